//! Lists with the labels of test clips whose names do not show them: DCASE's evaluation sets and MLPerf Tiny's test.

use std::collections::HashMap;

use super::{Label, dcase_names};

/// What the lists say about clips, by machine and file name.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Truth {
    /// What the labelled names in `eval_data_list_*.csv` say.
    pub recordings: HashMap<(String, String), dcase_names::Recording>,
    /// Labels of recordings.
    pub labels: HashMap<(String, String), Label>,
    /// Whether a recording is of the target domain.
    pub targets: HashMap<(String, String), bool>,
}

impl Truth {
    /// Reads `eval_data_list_*.csv`: a line with a machine's name, then lines `name,labelled name`.
    pub(super) fn add_list(&mut self, text: &[u8]) -> Result<(), String> {
        let mut machine = String::new();
        for (line, record) in records(text)? {
            match &record[..] {
                [name] => machine.clone_from(name),
                [name, labelled] => {
                    let stem = labelled
                        .rsplit_once('.')
                        .map_or(&labelled[..], |(stem, _)| stem);
                    let recording = dcase_names::parse_name(stem)
                        .ok_or_else(|| format!("line {line}: `{labelled}` is not a DCASE name"))?;
                    self.recordings
                        .insert((machine.clone(), name.clone()), recording);
                }
                other => return Err(wrong_width(line, other.len())),
            }
        }
        Ok(())
    }

    /// Reads `ground_truth_<machine>_section_<NN>_test.csv`: lines `name,0` or `name,1`.
    ///
    /// In a folder `ground_truth_domain`, 1 means the target domain; elsewhere it means an anomaly.
    pub(super) fn add_ground_truth(
        &mut self,
        stem: &str,
        is_domain: bool,
        text: &[u8],
    ) -> Result<(), String> {
        let machine = ground_truth_machine(stem).ok_or("its name does not hold a machine")?;
        for (line, record) in records(text)? {
            let [name, value] = &record[..] else {
                return Err(wrong_width(line, record.len()));
            };
            let is_one = match value.as_str() {
                "0" => false,
                "1" => true,
                _ => return Err(format!("line {line}: `{value}` should be 0 or 1")),
            };
            let key = (machine.to_string(), name.clone());
            if is_domain {
                self.targets.insert(key, is_one);
            } else {
                let label = if is_one {
                    Label::Anomaly
                } else {
                    Label::Normal
                };
                self.labels.insert(key, label);
            }
        }
        Ok(())
    }
}

/// `fan` of `ground_truth_fan_section_00_test`.
fn ground_truth_machine(stem: &str) -> Option<&str> {
    let rest = stem.strip_prefix("ground_truth_")?;
    let (machine, _) = rest.split_once("_section_")?;
    (!machine.is_empty()).then_some(machine)
}

/// Reads MLPerf Tiny's `y_labels.csv`: lines `name,2,label,bytes of a window,stride`, label 0 or 1.
pub(super) fn parse_y_labels(text: &[u8]) -> Result<HashMap<String, Label>, String> {
    let mut labels = HashMap::new();
    for (line, record) in records(text)? {
        let label = match record.get(2).map(String::as_str) {
            Some("0") => Label::Normal,
            Some("1") => Label::Anomaly,
            _ => return Err(format!("line {line}: the third column should be 0 or 1")),
        };
        labels.insert(record[0].clone(), label);
    }
    Ok(labels)
}

/// Lines without a header, with their numbers. Empty lines are left out.
fn records(text: &[u8]) -> Result<Vec<(u64, Vec<String>)>, String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text);
    let mut records = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|_| "it is not text".to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        records.push((line, record.iter().map(str::to_string).collect()));
    }
    Ok(records)
}

fn wrong_width(line: u64, found: usize) -> String {
    format!("line {line} has {found} columns where two are expected")
}
