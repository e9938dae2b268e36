//! Opens what several commands need: stores, runs, data sets, feature caches.

use std::path::PathBuf;

use super::{Exit, Failure, Global};
use nas::{
    hardware::{self, Target},
    report::{self, RunInfo},
    run::{self, Proposal},
    store::{Run, Store, StoreError},
};

/// Opens the store for reading; if it does not exist, the error says so plainly.
pub fn store(global: &Global) -> Result<Store, Failure> {
    match Store::open_read_only(&global.store) {
        // A store of an earlier version of the program is brought up to date.
        Err(StoreError::OlderVersion { .. }) => writable_store(global),
        result => result.map_err(no_runs),
    }
}

/// Opens the store for writing; it must exist.
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

/// A run of the store, with everything that reports show.
pub fn run(global: &Global, selector: &str) -> Result<(Store, Run, RunInfo), Failure> {
    let store = store(global)?;
    let run = store.find_run(selector)?;
    let info = report::load(&store, &run)?;
    Ok((store, run, info))
}

/// Splits `RUN/NUMBER`; the number is `None` where only a run is given.
pub fn run_and_trial(text: &str) -> Result<(&str, Option<u64>), Failure> {
    let Some((run, number)) = text.split_once('/') else {
        return Ok((text, None));
    };
    match number.parse() {
        Ok(number) => Ok((run, Some(number))),
        Err(_) => Err(Failure::usage(format!(
            "`{number}` is not the number of a trial; write, for example, {run}/17"
        ))),
    }
}

/// Splits `RUN/NUMBER`, which names a trial.
pub fn trial(text: &str) -> Result<(&str, u64), Failure> {
    let (selector, number) = run_and_trial(text)?;
    let number =
        number.ok_or_else(|| Failure::usage(format!("give a trial, for example {selector}/17")))?;
    Ok((selector, number))
}

/// Targets by names or files.
pub fn targets<N: AsRef<str>>(names: &[N]) -> Result<Vec<Target>, Failure> {
    let found = names.iter().map(|name| hardware::find(name.as_ref()));
    Ok(found.collect::<Result<_, _>>()?)
}

/// The proposal of a trial like `latest/17`, with its run and number.
pub fn proposal(global: &Global, text: &str) -> Result<(Run, u64, Proposal), Failure> {
    let (selector, number) = trial(text)?;
    let store = store(global)?;
    let run = store.find_run(selector)?;
    let proposal = run::load_proposal(&store, &run, number)?;
    let proposal = proposal
        .ok_or_else(|| Failure::usage(format!("run {} has no trial {number}", run.name)))?;
    Ok((run, number, proposal))
}

/// The folder of a trial's model.
///
/// # Errors
/// Where the trial has no model.
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
        nas::store::TrialOutcome::Rejected { message, .. } => {
            Err(no_model(&format!("over budget, {message}")))
        }
        nas::store::TrialOutcome::Failed { message } => {
            Err(no_model(&format!("it failed, {message}")))
        }
        nas::store::TrialOutcome::Scored { evaluation_key } => {
            let evaluation = store.evaluation(evaluation_key)?;
            let evaluation = evaluation.ok_or_else(|| no_model("nothing was stored"))?;
            let model = run::stored_model(&global.folder(), &evaluation);
            match (model, evaluation.artefacts) {
                (Some(model), Some(relative)) => {
                    model?;
                    Ok(global.folder().join(relative))
                }
                _ => Err(no_model("nothing was stored")),
            }
        }
    }
}
