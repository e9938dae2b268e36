//! The csv files of DCASE's task 2, with the names and the form that its evaluators read.

use std::collections::BTreeMap;

use super::words::csv_text;
use crate::{
    data::{Clip, Layout, Split},
    score::{Against, ClipScore, DomainFigures, SectionFigures, dcase_sections, harmonic_mean},
};

/// A clip with its score and decision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged<'a> {
    /// The test clip.
    pub clip: &'a Clip,
    /// Its anomaly score; higher is more anomalous.
    pub score: f64,
    /// Whether the score is above the threshold.
    pub anomalous: bool,
}

/// A file of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvFile {
    /// Name of the file, as DCASE asks for it.
    pub name: String,
    /// The lines of the file.
    pub text: String,
}

/// Scores and decisions of the test clips per machine and section, and `result.csv` where there are labels.
///
/// The layout decides the year's form. Other layouts are written as in 2020 where sections are machine IDs (`id_04`),
/// and as from 2022 on elsewhere.
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
            let row = |judged: &&Judged| [judged.clip.file_name().to_string(), value(judged)];
            csv_text(clips.iter().map(row))
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

/// A block per machine: its name, the figures of its sections, their means, and an empty line.
fn result_table(layout: Layout, sections: &[SectionFigures]) -> String {
    let mut machines: BTreeMap<&str, Vec<&SectionFigures>> = BTreeMap::new();
    for section in sections {
        machines.entry(&section.machine).or_default().push(section);
    }
    let mut text = String::new();
    for (machine, sections) in machines {
        let mut block = match layout {
            Layout::Dcase2020 => block_2020(&sections),
            Layout::Dcase2021 => block_2021(&sections),
            _ => block_2022(&sections),
        };
        block.rows.insert(0, vec![machine.to_string()]);
        text += &csv_text(block.rows.iter());
        text.push('\n');
    }
    text
}

/// The rows of a machine, and their values for the means.
struct Block {
    rows: Vec<Vec<String>>,
    columns: Vec<Vec<f64>>,
}

impl Block {
    fn new(header: &str) -> Block {
        let header: Vec<String> = header.split(',').map(String::from).collect();
        Block {
            rows: vec![header],
            columns: Vec::new(),
        }
    }

    /// Adds a row. A missing figure is an empty field, and the means leave it out.
    fn push(&mut self, head: &[&str], values: &[Option<f64>]) {
        self.columns.resize(values.len(), Vec::new());
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.extend(value);
        }
        self.push_row(head, values);
    }

    fn push_mean(&mut self, head: &[&str], mean: fn(&[f64]) -> Option<f64>) {
        let means: Vec<Option<f64>> = self.columns.iter().map(|column| mean(column)).collect();
        self.push_row(head, &means);
    }

    fn push_row(&mut self, head: &[&str], values: &[Option<f64>]) {
        let shown = |value: &Option<f64>| value.map_or(String::new(), |value| value.to_string());
        let head = head.iter().map(|word| word.to_string());
        self.rows
            .push(head.chain(values.iter().map(shown)).collect());
    }
}

fn block_2020(sections: &[&SectionFigures]) -> Block {
    let mut block = Block::new("id,AUC,pAUC");
    for section in sections {
        let id = section.section.trim_start_matches("id_");
        block.push(&[id], &[section.auc, section.pauc]);
    }
    block.push_mean(&["Average"], arithmetic_mean);
    block
}

fn block_2021(sections: &[&SectionFigures]) -> Block {
    let mut block = Block::new("section,domain,AUC,pAUC,precision,recall,F1 score");
    for section in sections {
        let domains = [("source", Some(section.source)), ("target", section.target)];
        for (name, figures) in domains {
            if let Some(f) = figures {
                let values = [f.auc, f.pauc, Some(f.precision), Some(f.recall), Some(f.f1)];
                block.push(&[&section.section, name], &values);
            }
        }
    }
    block.push_mean(&["arithmetic mean", ""], arithmetic_mean);
    block.push_mean(&["harmonic mean", ""], floored_harmonic_mean);
    block
}

fn block_2022(sections: &[&SectionFigures]) -> Block {
    let mut block = Block::new(
        "section,AUC (source),AUC (target),pAUC,precision (source),precision (target),recall (source),\
         recall (target),F1 score (source),F1 score (target)",
    );
    for section in sections {
        let (source, target) = (Some(section.source), section.target);
        let both = |figure: fn(DomainFigures) -> f64| [source.map(figure), target.map(figure)];
        let mut values = vec![section.source.auc, target.and_then(|t| t.auc), section.pauc];
        values.extend(both(|f| f.precision));
        values.extend(both(|f| f.recall));
        values.extend(both(|f| f.f1));
        block.push(&[&section.section], &values);
    }
    block.push_mean(&["arithmetic mean"], arithmetic_mean);
    block.push_mean(&["harmonic mean"], floored_harmonic_mean);
    block
}

fn arithmetic_mean(values: &[f64]) -> Option<f64> {
    let count = values.len();
    (count > 0).then(|| values.iter().sum::<f64>() / count as f64)
}

/// The harmonic mean as in the baselines: a zero counts as the smallest step of a double from 1.
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

    #[test]
    fn names_with_commas_stay_one_field() {
        let rows = [["a,b.wav", "say \"c\""], ["d", ""]];
        assert_eq!(csv_text(rows.iter()), "\"a,b.wav\",\"say \"\"c\"\"\"\nd,\n");
    }
}
