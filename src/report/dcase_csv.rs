//! The csv files of DCASE's task 2, named and written as its challenges ask, so that its evaluators read them.

use std::{collections::BTreeMap, fmt::Write};

use crate::{
    data::{Clip, Layout, Split},
    score::{Against, ClipScore, DomainFigures, SectionFigures, dcase_sections, harmonic_mean},
};

/// A clip with its score and decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged<'a> {
    pub clip: &'a Clip,
    pub score: f64,
    pub anomalous: bool,
}

/// A file of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvFile {
    pub name: String,
    pub text: String,
}

/// Scores and decisions of the test clips per machine and section, and `result.csv` where there are labels.
///
/// The layout decides the year's form; other layouts are written as 2020 where sections are machine IDs (`id_04`), and as
/// 2022 and later elsewhere.
pub fn dcase_files(
    layout: Layout,
    judged: &[Judged],
    labelled: &[ClipScore],
    threshold_of: &dyn Fn(&ClipScore) -> f64,
) -> Vec<CsvFile> {
    let has_ids = judged
        .iter()
        .any(|judged| judged.clip.section.starts_with("id_"));
    let layout = if has_ids { Layout::Dcase2020 } else { layout };
    let mut groups: BTreeMap<String, Vec<&Judged>> = BTreeMap::new();
    for judged in judged
        .iter()
        .filter(|judged| judged.clip.split == Split::Test)
    {
        let group = group_name(layout, judged.clip);
        groups.entry(group).or_default().push(judged);
    }
    let mut files = Vec::new();
    for (group, mut clips) in groups {
        clips.sort_by_key(|judged| judged.clip.file_name());
        let rows = |value: &dyn Fn(&Judged) -> String| {
            let row = |judged: &&Judged| format!("{},{}\n", judged.clip.file_name(), value(judged));
            clips.iter().map(row).collect::<String>()
        };
        files.push(CsvFile {
            name: format!("anomaly_score_{group}.csv"),
            text: rows(&|judged| judged.score.to_string()),
        });
        if layout != Layout::Dcase2020 {
            files.push(CsvFile {
                name: format!("decision_result_{group}.csv"),
                text: rows(&|judged| u8::from(judged.anomalous).to_string()),
            });
        }
    }
    let against = match layout {
        Layout::Dcase2021 => Against::Own,
        _ => Against::All,
    };
    let sections = dcase_sections(labelled, against, threshold_of);
    if !sections.is_empty() {
        files.push(CsvFile {
            name: "result.csv".to_string(),
            text: result_table(layout, &sections),
        });
    }
    files
}

/// `fan_id_00`, `fan_section_00_source_test` or `fan_section_00_test`.
fn group_name(layout: Layout, clip: &Clip) -> String {
    let (machine, section) = (&clip.machine, &clip.section);
    match layout {
        Layout::Dcase2020 => format!("{machine}_{section}"),
        Layout::Dcase2021 => format!("{machine}_section_{section}_{}_test", clip.domain.name()),
        _ => format!("{machine}_section_{section}_test"),
    }
}

fn result_table(layout: Layout, sections: &[SectionFigures]) -> String {
    let mut machines: BTreeMap<&str, Vec<&SectionFigures>> = BTreeMap::new();
    for section in sections {
        machines.entry(&section.machine).or_default().push(section);
    }
    let mut text = String::new();
    for (machine, sections) in machines {
        text.push_str(machine);
        text.push('\n');
        match layout {
            Layout::Dcase2020 => block_2020(&mut text, &sections),
            Layout::Dcase2021 => block_2021(&mut text, &sections),
            _ => block_2022(&mut text, &sections),
        }
        text.push('\n');
    }
    text
}

fn block_2020(text: &mut String, sections: &[&SectionFigures]) {
    text.push_str("id,AUC,pAUC\n");
    let mut columns = vec![Vec::new(); 2];
    for section in sections {
        let id = section.section.trim_start_matches("id_");
        row(text, id, &[section.auc, section.pauc], &mut columns);
    }
    mean_row(text, "Average", &columns, arithmetic_mean);
}

fn block_2021(text: &mut String, sections: &[&SectionFigures]) {
    text.push_str("section,domain,AUC,pAUC,precision,recall,F1 score\n");
    let mut columns = vec![Vec::new(); 5];
    for section in sections {
        let domains = [("source", Some(section.source)), ("target", section.target)];
        for (name, figures) in domains {
            if let Some(f) = figures {
                let values = [f.auc, f.pauc, Some(f.precision), Some(f.recall), Some(f.f1)];
                row(
                    text,
                    &format!("{},{name}", section.section),
                    &values,
                    &mut columns,
                );
            }
        }
    }
    mean_row(text, "arithmetic mean,", &columns, arithmetic_mean);
    mean_row(text, "harmonic mean,", &columns, floored_harmonic_mean);
}

fn block_2022(text: &mut String, sections: &[&SectionFigures]) {
    text.push_str(
        "section,AUC (source),AUC (target),pAUC,precision (source),precision (target),recall (source),\
         recall (target),F1 score (source),F1 score (target)\n",
    );
    let mut columns = vec![Vec::new(); 9];
    for section in sections {
        let (source, target) = (Some(section.source), section.target);
        let both = |figure: fn(DomainFigures) -> f64| [source.map(figure), target.map(figure)];
        let mut values = vec![section.source.auc, target.and_then(|t| t.auc), section.pauc];
        values.extend(both(|f| f.precision));
        values.extend(both(|f| f.recall));
        values.extend(both(|f| f.f1));
        row(text, &section.section, &values, &mut columns);
    }
    mean_row(text, "arithmetic mean", &columns, arithmetic_mean);
    mean_row(text, "harmonic mean", &columns, floored_harmonic_mean);
}

/// Writes a row and keeps its values for the means; a figure that is missing is an empty field.
fn row(text: &mut String, head: &str, values: &[Option<f64>], columns: &mut [Vec<f64>]) {
    text.push_str(head);
    for (value, column) in values.iter().zip(columns) {
        match value {
            Some(value) => {
                let _ = write!(text, ",{value}");
                column.push(*value);
            }
            None => text.push(','),
        }
    }
    text.push('\n');
}

fn mean_row(text: &mut String, head: &str, columns: &[Vec<f64>], mean: fn(&[f64]) -> Option<f64>) {
    let means: Vec<Option<f64>> = columns.iter().map(|column| mean(column)).collect();
    row(text, head, &means, &mut vec![Vec::new(); columns.len()]);
}

fn arithmetic_mean(values: &[f64]) -> Option<f64> {
    let count = values.len();
    (count > 0).then(|| values.iter().sum::<f64>() / count as f64)
}

/// As the baselines: a zero counts as the smallest step of a double from 1.
fn floored_harmonic_mean(values: &[f64]) -> Option<f64> {
    let floored: Vec<f64> = values.iter().map(|value| value.max(f64::EPSILON)).collect();
    harmonic_mean(&floored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Domain, Label, Source};

    fn clip(section: &str, name: &str, domain: Domain, label: Label) -> Clip {
        Clip {
            name: format!("fan/test/{name}.wav"),
            source: Source::Audio(name.into()),
            split: Split::Test,
            label: Some(label),
            machine: "fan".to_string(),
            section: section.to_string(),
            domain,
            attributes: Vec::new(),
        }
    }

    fn check(layout: Layout, section: &str, domains: &[Domain], expected: &str) {
        let mut clips = Vec::new();
        for (domain_idx, domain) in domains.iter().enumerate() {
            for (idx, label) in [Label::Normal, Label::Anomaly].into_iter().enumerate() {
                let name = format!("{}{}", ["b", "a"][domain_idx], idx);
                clips.push(clip(section, &name, *domain, label));
            }
        }
        let judged: Vec<Judged> = clips
            .iter()
            .enumerate()
            .map(|(idx, clip)| Judged {
                clip,
                score: idx as f64 + 0.5,
                anomalous: idx as f64 + 0.5 > 1.0,
            })
            .collect();
        let labelled: Vec<ClipScore> = judged
            .iter()
            .map(|judged| ClipScore {
                machine: judged.clip.machine.clone(),
                section: judged.clip.section.clone(),
                domain: judged.clip.domain,
                anomaly: judged.clip.label == Some(Label::Anomaly),
                score: judged.score,
            })
            .collect();
        let files = dcase_files(layout, &judged, &labelled, &|_| 1.0);
        let shown: Vec<String> = files
            .iter()
            .map(|file| format!("{}: {}", file.name, file.text.replace('\n', "|")))
            .collect();
        let expected: Vec<&str> = expected.trim().lines().map(str::trim).collect();
        assert_eq!(shown.join("\n"), expected.join("\n"));
    }

    #[test]
    fn files_are_named_and_written_as_each_year_asks() {
        use Domain::{Source, Target};
        check(
            Layout::Dcase2020,
            "id_04",
            &[Source],
            "anomaly_score_fan_id_04.csv: b0.wav,0.5|b1.wav,1.5|
             result.csv: fan|id,AUC,pAUC|04,1,1|Average,1,1||",
        );
        check(
            Layout::Dcase2021,
            "01",
            &[Source, Target],
            "anomaly_score_fan_section_01_source_test.csv: b0.wav,0.5|b1.wav,1.5|
             decision_result_fan_section_01_source_test.csv: b0.wav,0|b1.wav,1|
             anomaly_score_fan_section_01_target_test.csv: a0.wav,2.5|a1.wav,3.5|
             decision_result_fan_section_01_target_test.csv: a0.wav,1|a1.wav,1|
             result.csv: fan|section,domain,AUC,pAUC,precision,recall,F1 score|01,source,1,1,1,1,1|01,target,1,1,0.5,1,0.6666666666666666|arithmetic mean,,1,1,0.75,1,0.8333333333333333|harmonic mean,,1,1,0.6666666666666666,1,0.8||",
        );
        check(
            Layout::Dcase2022,
            "00",
            &[Source, Target],
            "anomaly_score_fan_section_00_test.csv: a0.wav,2.5|a1.wav,3.5|b0.wav,0.5|b1.wav,1.5|
             decision_result_fan_section_00_test.csv: a0.wav,1|a1.wav,1|b0.wav,0|b1.wav,1|
             result.csv: fan|section,AUC (source),AUC (target),pAUC,precision (source),precision (target),recall (source),recall (target),F1 score (source),F1 score (target)|00,1,0.5,0.7368421052631579,1,0.5,1,1,1,0.6666666666666666|arithmetic mean,1,0.5,0.7368421052631579,1,0.5,1,1,1,0.6666666666666666|harmonic mean,1,0.5,0.7368421052631579,1,0.5,1,1,1,0.6666666666666666||",
        );
    }
}
