//! File names and attribute tables of the DCASE challenges' task 2, 2020 to 2026.

use std::collections::HashMap;

use super::{Domain, Label, Split};

/// What a file name says about its recording.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recording {
    /// `id_04` of 2020, or `00` of later sections.
    pub section: String,
    /// `None` where the name does not say it.
    pub domain: Option<Domain>,
    /// `None` where the name does not say it.
    pub split: Option<Split>,
    /// `None` where the name does not say it.
    pub label: Option<Label>,
    /// Names and values of further attributes.
    pub attributes: Vec<(String, String)>,
}

/// Reads a file name without its extension.
///
/// 2020: `normal_id_04_00000012`, or `id_04_00000012` in the evaluation set.
/// Later: `section_00_source_train_normal_0012_vel_8_loc_B`, or `section_00_0012` in the evaluation set.
pub(super) fn parse_name(stem: &str) -> Option<Recording> {
    let mut rest = stem;
    let label_2020 = take(&mut rest, label);
    match take(&mut rest, |word| Some(word.to_string()))?.as_str() {
        "id" => {
            let id = take(&mut rest, digits)?;
            take(&mut rest, digits)?;
            rest.is_empty().then(|| Recording {
                section: format!("id_{id}"),
                domain: None,
                split: None,
                label: label_2020,
                attributes: Vec::new(),
            })
        }
        "section" if label_2020.is_none() => {
            let section = take(&mut rest, digits)?;
            let domain = take(&mut rest, domain);
            let split = take(&mut rest, split);
            let label = take(&mut rest, label);
            take(&mut rest, digits)?;
            Some(Recording {
                section,
                domain,
                split,
                label,
                attributes: attributes(rest),
            })
        }
        _ => None,
    }
}

/// The folder where the baseline of 2023 and later puts evaluation files that it has renamed to show their labels.
pub(super) const RENAMED_FOLDER: &str = "test_rename";

/// What a recording's folder says: `train`, `test`, or 2021's `source_test` and `target_test`.
pub(super) fn parse_folder(name: &str) -> Option<(Split, Option<Domain>)> {
    match name.to_ascii_lowercase().as_str() {
        "train" => Some((Split::Train, None)),
        "test" | RENAMED_FOLDER => Some((Split::Test, None)),
        "source_test" => Some((Split::Test, Some(Domain::Source))),
        "target_test" => Some((Split::Test, Some(Domain::Target))),
        _ => None,
    }
}

/// Reads `attributes_NN.csv` into attributes by file name (without folders).
///
/// The columns are `file_name,d1p,d1v,d2p,d2v,…`: names and values alternate. The error names the line where the table
/// breaks.
pub(super) fn parse_attributes(
    text: &[u8],
) -> Result<HashMap<String, Vec<(String, String)>>, String> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text);
    let headers = reader
        .headers()
        .map_err(|_| "line 1 is not text".to_string())?;
    let column = |name: &str| headers.iter().position(|header| header.trim() == name);
    let file_column = column("file_name").ok_or("line 1 has no column `file_name`")?;
    let pairs: Vec<(usize, usize)> = (1..=headers.len())
        .map_while(|n| Some((column(&format!("d{n}p"))?, column(&format!("d{n}v"))?)))
        .collect();

    let mut attributes = HashMap::new();
    for (row_idx, record) in reader.records().enumerate() {
        let record = record.map_err(|_| format!("row {} is not text", row_idx + 1))?;
        let file = record.get(file_column).unwrap_or_default().trim();
        let name = file.rsplit(['/', '\\']).next().unwrap_or_default();
        let row = pairs
            .iter()
            .filter_map(|&(name, value)| {
                Some((record.get(name)?.trim(), record.get(value)?.trim()))
            })
            .filter(|(name, _)| !name.is_empty() && *name != HIDDEN)
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        attributes.insert(name.to_string(), row);
    }
    Ok(attributes)
}

/// The organisers write this in 2024 where they keep the attributes secret.
const HIDDEN: &str = "noAttribute";

/// Reads `vel_8_loc_B` as pairs. A text that is not pairs becomes one attribute.
fn attributes(text: &str) -> Vec<(String, String)> {
    if text.is_empty() || text == HIDDEN {
        return Vec::new();
    }
    let words: Vec<&str> = text.split('_').collect();
    let (pairs, odd) = words.as_chunks::<2>();
    if odd.is_empty() && words.iter().all(|word| !word.is_empty()) {
        let pair = |[name, value]: &[&str; 2]| (name.to_string(), value.to_string());
        pairs.iter().map(pair).collect()
    } else {
        vec![("attribute".to_string(), text.to_string())]
    }
}

/// Takes the first word of `rest` where `read` accepts it, in lower case.
fn take<T>(rest: &mut &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
    let (word, tail) = rest.split_once('_').unwrap_or((rest, ""));
    let value = read(&word.to_ascii_lowercase())?;
    *rest = tail;
    Some(value)
}

fn label(word: &str) -> Option<Label> {
    match word {
        "normal" => Some(Label::Normal),
        "anomaly" => Some(Label::Anomaly),
        _ => None,
    }
}

fn domain(word: &str) -> Option<Domain> {
    match word {
        "source" => Some(Domain::Source),
        "target" => Some(Domain::Target),
        _ => None,
    }
}

fn split(word: &str) -> Option<Split> {
    match word {
        "train" => Some(Split::Train),
        "test" => Some(Split::Test),
        _ => None,
    }
}

fn digits(word: &str) -> Option<String> {
    let all_digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| word.to_string())
}
