//! Data sets by the names that people give them: a path or `synthetic[:MACHINE]`, each with an optional `:SECTION` to
//! watch.

use std::path::Path;

use super::{DataError, Dataset, SplitBy, open_split, synthetic, synthetic::Machine, watched};

/// Opens a data set by name, with the split that its layout defines.
pub fn named(text: &str) -> Result<Dataset, DataError> {
    named_split(text, SplitBy::Official)
}

/// As [`named`], for a set of folds with a choice of which clips train and which test.
pub fn named_split(text: &str, by: SplitBy) -> Result<Dataset, DataError> {
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
    let (path, part) = match watched(Path::new(text)) {
        Some((path, part)) => (path, format!(":{part}")),
        None => (Path::new(text), String::new()),
    };
    match std::fs::canonicalize(path) {
        Ok(path) => format!("{}{part}", path.display()),
        Err(_) => text.to_string(),
    }
}
