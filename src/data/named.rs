//! Data sets as people name them: a path, or `synthetic[:MACHINE]`; behind each, `:SECTION` watches that alone.

use std::path::Path;

use super::{DataError, Dataset, SplitBy, open_split, synthetic, synthetic::Machine, watched};

/// A data set by name, with the split that its layout defines.
pub fn named(text: &str) -> Result<Dataset, DataError> {
    named_split(text, SplitBy::Official)
}

/// As [`named`], with a choice of what trains and what tests in a set of folds.
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

/// As [`named_split`], without clips that last less than so many seconds.
pub fn named_clips(text: &str, by: SplitBy, least_s: Option<f64>) -> Result<Dataset, DataError> {
    let dataset = named_split(text, by)?;
    Ok(match least_s {
        Some(seconds) => dataset.at_least(seconds),
        None => dataset,
    })
}

/// An absolute form of a data set's name, so that a run can be resumed from anywhere.
pub fn lasting_name(text: &str) -> String {
    let (path, part) = match watched(Path::new(text)) {
        Some((path, part)) => (path, format!(":{part}")),
        None => (Path::new(text), String::new()),
    };
    match std::fs::canonicalize(path) {
        Ok(path) => format!("{}{part}", path.display()),
        Err(_) => text.to_string(),
    }
}
