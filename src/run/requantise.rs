//! New int8 models from the float weights that a run has kept, without training.
//!
//! They become a run of their own: the old one keeps the scores that its proposals were made from.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use rayon::prelude::*;

use super::{
    RunError, Yardstick,
    front::front,
    record::{Details, evaluation_row, stored_model, write_model},
};
use crate::{
    evaluate::{EvaluateError, Evaluation, Evaluator, Pipeline},
    space::Spaces,
    store::{EvaluationRow, Front, NewRun, Run, RunState, Store, TrialOutcome, TrialRow},
};

/// What quantises again.
pub struct Requantise<'a> {
    /// The spaces of the run.
    pub spaces: &'a Spaces,
    /// What scores on the run's data.
    pub pipeline: &'a Pipeline,
    /// Name of the new run.
    pub name: &'a str,
    /// The present time, UTC, in ISO 8601.
    pub created_utc: String,
    /// Set from outside to end it; then there is no new run.
    pub stop: &'a AtomicBool,
}

/// What became of a run's models.
#[derive(Debug, Clone, PartialEq)]
pub struct Requantised {
    /// The new run.
    pub run: Run,
    /// Trials that have a new model.
    pub done: usize,
    /// Scored trials of which no float weights were kept.
    pub without_weights: usize,
}

/// Makes a run of the same trials with int8 models of the present pipeline; `None` where it was interrupted, or where no
/// trial has float weights.
pub fn requantise(
    store: &mut Store,
    run: &Run,
    options: &Requantise<'_>,
) -> Result<Option<Requantised>, RunError> {
    let evaluations = store.evaluations(run.id)?;
    let folder = store
        .path()
        .parent()
        .unwrap_or(Path::new("."))
        .to_path_buf();
    let rows = store.trials(run.id)?;
    let scored = rows.par_iter().filter_map(|row| match &row.outcome {
        TrialOutcome::Scored { evaluation_key } => Some((row, evaluations.get(evaluation_key)?)),
        _ => None,
    });
    let made: Vec<(i64, Option<Remade>)> = scored
        .map(|(row, old)| Ok((row.number, again(&folder, row, old, options)?)))
        .collect::<Result<_, RunError>>()?;
    let without_weights = made.iter().filter(|(_, made)| made.is_none()).count();
    let mut made: BTreeMap<i64, Remade> = made
        .into_iter()
        .filter_map(|(number, made)| Some((number, made?)))
        .collect();
    if made.is_empty() || options.stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let new = store.create_run(&NewRun {
        name: options.name.to_string(),
        created_utc: options.created_utc.clone(),
        seed: run.seed,
        version: env!("CARGO_PKG_VERSION").to_string(),
        data_name: run.data_name.clone(),
        data_hash: run.data_hash.clone(),
        synthetic: run.synthetic,
        settings_json: run.settings_json.clone(),
        reference_json: run.reference_json.clone(),
    })?;
    let yardstick = Yardstick::of(run)?;
    let mut points = vec![Vec::new(); yardstick.targets.len()];
    let done = made.len();
    for row in rows {
        let number = row.number;
        let Some(Remade {
            key,
            epochs,
            evaluation,
        }) = made.remove(&number)
        else {
            if !matches!(row.outcome, TrialOutcome::Scored { .. }) {
                store.record(new.id, &row, None, &[])?;
            }
            continue;
        };
        let artefacts = write_model(
            store,
            number as usize,
            &new.name,
            number.to_string(),
            &evaluation,
        )?;
        let mut evaluation = evaluation;
        evaluation.scores.epochs = epochs;
        let on_targets = yardstick.points(&row, &evaluation.scores.figures);
        for (points, point) in points.iter_mut().zip(on_targets) {
            points.extend(point.map(|point| (number as usize, point)));
        }
        let fronts = yardstick.targets.iter().zip(&points);
        let fronts: Vec<Front> = fronts
            .map(|(target, points)| (target.name.clone(), front(points, &yardstick.objectives)))
            .collect();
        let outcome = TrialOutcome::Scored {
            evaluation_key: key.clone(),
        };
        let evaluation = evaluation_row(key, &evaluation, artefacts, 0.0);
        store.record(
            new.id,
            &TrialRow { outcome, ..row },
            Some(&evaluation),
            &fronts,
        )?;
    }
    store.set_state(new.id, RunState::Finished)?;
    Ok(Some(Requantised {
        run: new,
        done,
        without_weights,
    }))
}

/// A new evaluation of a trial's weights.
struct Remade {
    key: String,
    epochs: usize,
    evaluation: Evaluation,
}

/// `None` where no weights were kept, or it was interrupted.
fn again(
    folder: &Path,
    row: &TrialRow,
    old: &EvaluationRow,
    options: &Requantise<'_>,
) -> Result<Option<Remade>, RunError> {
    let number = row.number as usize;
    let Some(model) = stored_model(folder, old) else {
        return Ok(None);
    };
    let model = model.map_err(|source| RunError::Artefact { number, source })?;
    let Some(weights) = model.weights else {
        return Ok(None);
    };
    let genome = options.spaces.decode_bytes(&row.genome);
    let genome = genome.ok_or(RunError::Genome { number })?;
    let candidate = options.spaces.decode(&genome);
    let details: Option<Details> = serde_json::from_str(&old.details_json).ok();
    match options
        .pipeline
        .evaluate_weights(&candidate, weights, options.stop)
    {
        Ok(evaluation) => {
            // Other weights than a training of the present pipeline may give, so the key names where they came from.
            let training = options.spaces.space_of(&genome).training;
            let present = options.pipeline.content_key(&candidate, &training, 0);
            let key = blake3::hash(format!("{present} with the weights of {}", old.key).as_bytes());
            Ok(Some(Remade {
                key: key.to_hex()[..32].to_string(),
                epochs: details.map_or(0, |details| details.epochs),
                evaluation,
            }))
        }
        Err(EvaluateError::Interrupted) => Ok(None),
        Err(EvaluateError::Failed(message) | EvaluateError::Lost(message)) => {
            Err(RunError::Requantise { number, message })
        }
    }
}
