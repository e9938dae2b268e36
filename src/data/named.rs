//! Data sets by the names that people give them: a path or `synthetic[:MACHINE]`, each with an optional `:SECTION` to
//! watch, and `:labels` or `:classes` for what is learnt.

use std::path::Path;

use super::{
    DataError, Dataset, Learns, SplitBy, open_split, synthetic, synthetic::Machine, watched,
};

/// Opens a data set by name, with the split that its layout defines.
pub fn named(text: &str) -> Result<Dataset, DataError> {
    named_split(text, SplitBy::Official)
}

/// The name of a data set, and what is to be learnt of it, where the text ends in `:labels` or `:classes`.
fn task(text: &str) -> Option<(&str, Learns)> {
    let (whole, learns) = match text.rsplit_once(':')? {
        (whole, "labels") => (whole, Learns::Labels),
        (whole, "classes") => (whole, Learns::Classes),
        _ => return None,
    };
    (!Path::new(text).exists()).then_some((whole, learns))
}

/// As [`named`], for a set of folds with a choice of which clips train and which test.
pub fn named_split(text: &str, by: SplitBy) -> Result<Dataset, DataError> {
    if let Some((whole, learns)) = task(text) {
        let dataset = named_split(whole, by)?;
        return match learns {
            Learns::Classes => dataset.learning_classes(),
            Learns::Sections | Learns::Labels => dataset.learning_labels(),
        };
    }
    let Some(rest) = text.strip_prefix("synthetic") else {
        return open_split(Path::new(text), by);
    };
    let machine = match rest.strip_prefix(':') {
        None if rest.is_empty() => "",
        None => return open_split(Path::new(text), by),
        Some(machine) => machine,
    };
    if by != SplitBy::Official {
        let name = text.to_string();
        return Err(DataError::NoFolds { name });
    }
    if rest.is_empty() {
        return Ok(synthetic::dataset(Machine::DEFAULT));
    }
    let (name, section) = match machine.split_once(':') {
        Some((name, section)) => (name, Some(section)),
        None => (machine, None),
    };
    let machine = Machine::from_name(name).ok_or_else(|| DataError::NoSyntheticMachine {
        name: name.to_string(),
    })?;
    let dataset = synthetic::dataset(machine);
    match section {
        Some(section) => dataset.watching(section),
        None => Ok(dataset),
    }
}

/// As [`named_split`], without clips shorter than `least_s` seconds.
pub fn named_clips(text: &str, by: SplitBy, least_s: Option<f64>) -> Result<Dataset, DataError> {
    let dataset = named_split(text, by)?;
    Ok(match least_s {
        Some(seconds) => dataset.at_least(seconds),
        None => dataset,
    })
}

/// The data set's name with an absolute path, or with its machine: a run can be resumed from any folder, whatever the default
/// machine will be.
pub fn lasting_name(text: &str) -> String {
    if text == "synthetic" {
        return format!("synthetic:{}", Machine::DEFAULT.name());
    }
    if let Some((whole, _)) = task(text) {
        return format!("{}{}", lasting_name(whole), &text[whole.len()..]);
    }
    let (path, part) = match watched(Path::new(text)) {
        Some((path, part)) => (path, format!(":{part}")),
        None => (Path::new(text), String::new()),
    };
    match std::fs::canonicalize(path) {
        Ok(path) => format!("{}{part}", path.display()),
        Err(_) => text.to_string(),
    }
}
