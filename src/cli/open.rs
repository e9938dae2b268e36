//! Opening what several commands need: stores, runs, data sets, feature caches.

use std::path::{Path, PathBuf};

use super::{Exit, Failure, Global};
use crate::{
    data::{self, DataError, Dataset, SplitBy, synthetic::Machine},
    features::FeatureStore,
    report::{self, RunInfo},
    run::{self, Proposal},
    store::{Run, Store, StoreError},
};

/// The store for reading; a store that does not exist is a plain message.
pub fn store(global: &Global) -> Result<Store, Failure> {
    match Store::open_read_only(&global.store) {
        // One of an earlier version of the program is brought up to date.
        Err(StoreError::OlderVersion { .. }) => writable_store(global),
        result => result.map_err(no_runs),
    }
}

/// The store for adding to it; it must exist.
pub fn writable_store(global: &Global) -> Result<Store, Failure> {
    if !global.store.exists() {
        let path = global.store.clone();
        return Err(no_runs(StoreError::Missing { path }));
    }
    Ok(Store::open(&global.store)?)
}

fn no_runs(error: StoreError) -> Failure {
    match error {
        StoreError::Missing { path } => Failure::plain(format!(
            "there are no runs yet ({} does not exist); `nas search` begins one",
            path.display()
        )),
        error => error.into(),
    }
}

/// A run of the store with all that reports show of it.
pub fn run(global: &Global, selector: &str) -> Result<(Store, Run, RunInfo), Failure> {
    let store = store(global)?;
    let run = store.find_run(selector)?;
    let info = report::load(&store, &run)?;
    Ok((store, run, info))
}

/// Splits `RUN/NUMBER`; the number is `None` where only a run is named.
pub fn run_and_trial(text: &str) -> Result<(&str, Option<u64>), Failure> {
    let Some((run, number)) = text.split_once('/') else {
        return Ok((text, None));
    };
    match number.parse() {
        Ok(number) => Ok((run, Some(number))),
        Err(_) => Err(Failure::usage(format!(
            "`{number}` is not the number of a trial; write for example {run}/17"
        ))),
    }
}

/// What a trial such as `latest/17` proposed, with its run and number.
pub fn proposal(global: &Global, text: &str) -> Result<(Run, u64, Proposal), Failure> {
    let (selector, number) = run_and_trial(text)?;
    let number =
        number.ok_or_else(|| Failure::usage(format!("name a trial, such as {selector}/17")))?;
    let store = store(global)?;
    let run = store.find_run(selector)?;
    let proposal = run::load_proposal(&store, &run, number)?;
    let proposal = proposal
        .ok_or_else(|| Failure::usage(format!("run {} has no trial {number}", run.name)))?;
    Ok((run, number, proposal))
}

/// A data set by path, or `synthetic` or `synthetic:MACHINE`; behind each, `:SECTION` watches that alone.
pub fn dataset(text: &str) -> Result<Dataset, Failure> {
    dataset_split(text, SplitBy::Official)
}

/// As [`dataset_split`], without clips that last less than so many seconds.
pub fn clips(text: &str, by: SplitBy, least_s: Option<f64>) -> Result<Dataset, Failure> {
    let dataset = dataset_split(text, by)?;
    Ok(match least_s {
        Some(seconds) => dataset.at_least(seconds),
        None => dataset,
    })
}

/// As [`dataset`], with a choice of what trains and what tests in a set of folds.
pub fn dataset_split(text: &str, by: SplitBy) -> Result<Dataset, Failure> {
    if text.starts_with("synthetic") && by != SplitBy::Official {
        let name = text.to_string();
        return Err(DataError::NoFolds { name }.into());
    }
    match text.strip_prefix("synthetic") {
        Some("") => Ok(data::synthetic::dataset(Machine::DEFAULT)),
        Some(rest) if rest.starts_with(':') => {
            let mut words = rest[1..].splitn(2, ':');
            let name = words.next().unwrap_or_default();
            let Some(machine) = Machine::from_name(name) else {
                return Err(Failure::usage(format!(
                    "there is no synthetic machine `{name}`; there are {}",
                    Machine::ALL.map(Machine::name).join(", ")
                )));
            };
            let dataset = data::synthetic::dataset(machine);
            match words.next() {
                Some(section) => Ok(dataset.watching(section)?),
                None => Ok(dataset),
            }
        }
        _ => Ok(data::open_split(Path::new(text), by)?),
    }
}

/// Where features are kept between runs.
pub fn features(global: &Global) -> FeatureStore {
    FeatureStore::new(Some(global.folder().join("cache")))
}

/// An absolute form of a data set's name, so that a run can be resumed from anywhere.
pub fn lasting_name(text: &str) -> String {
    let (path, part) = match data::watched(Path::new(text)) {
        Some((path, part)) => (path, format!(":{part}")),
        None => (Path::new(text), String::new()),
    };
    match std::fs::canonicalize(path) {
        Ok(path) => format!("{}{part}", path.display()),
        Err(_) => text.to_string(),
    }
}

/// The folder of a trial's model; an error where it has none.
pub fn model_folder(
    global: &Global,
    store: &Store,
    run: &Run,
    number: u64,
) -> Result<PathBuf, Failure> {
    let trial = store
        .trials(run.id)?
        .into_iter()
        .find(|trial| trial.number == number as i64)
        .ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                anyhow::anyhow!("run {} has no trial {number}", run.name),
            )
        })?;
    let no_model =
        |why: &str| Failure::plain(format!("trial {}/{number} has no model: {why}", run.name));
    match &trial.outcome {
        crate::store::TrialOutcome::Rejected { message, .. } => {
            Err(no_model(&format!("over budget, {message}")))
        }
        crate::store::TrialOutcome::Failed { message } => {
            Err(no_model(&format!("it failed, {message}")))
        }
        crate::store::TrialOutcome::Scored { evaluation_key } => {
            let evaluation = store.evaluation(evaluation_key)?;
            let relative = evaluation.and_then(|evaluation| evaluation.artefacts);
            let relative = relative.ok_or_else(|| no_model("nothing was stored"))?;
            Ok(global.folder().join(relative))
        }
    }
}
