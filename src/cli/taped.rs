//! Clips of labelled or normal sound that did not train a model, for what is counted on its alarms.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{Failure, Global, open};
use nas::{
    data::{self, Clip, Dataset, Label, SplitBy},
    evaluate::{DecisionCard, Model},
    run::Settings,
    store::Run,
};

/// A trial's model, its run, and where its files lie.
pub(super) struct Found {
    pub model: Model,
    pub run: Run,
    pub folder: PathBuf,
}

/// The model of RUN/TRIAL.
pub(super) fn model(global: &Global, trial: &str) -> Result<Found, Failure> {
    let (selector, number) = open::trial(trial)?;
    let store = open::store(global)?;
    let run = store.find_run(selector)?;
    let folder = open::model_folder(global, &store, &run, number)?;
    Ok(Found {
        model: Model::read(&folder)?,
        run,
        folder,
    })
}

/// Which decision beside a model is meant.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    Latest,
    Version(u32),
}

/// `latest`, or the number that `nas decide` gave.
pub(super) fn wanted(text: &str) -> Result<Wanted, String> {
    match text {
        "latest" => Ok(Wanted::Latest),
        _ => match text.parse() {
            Ok(version) => Ok(Wanted::Version(version)),
            Err(_) => Err("write `latest` or the number that `nas decide` gave".to_string()),
        },
    }
}

/// A decision beside a model.
pub(super) fn decision(
    folder: &Path,
    trial: &str,
    wanted: Wanted,
) -> Result<DecisionCard, Failure> {
    let version = match wanted {
        Wanted::Latest => None,
        Wanted::Version(version) => Some(version),
    };
    let found = DecisionCard::read(folder, version)
        .map_err(|error| Failure::plain(format!("the decision cannot be read: {error}")))?;
    found.ok_or_else(|| {
        let there = DecisionCard::versions(folder).unwrap_or_default();
        let there: Vec<String> = there.iter().map(u32::to_string).collect();
        Failure::usage(match there.is_empty() {
            true => format!("{trial} has no decision; `nas decide {trial} --data PATH` makes one"),
            false => format!("{trial} has only these decisions: {}", there.join(", ")),
        })
    })
}

/// The same model with a decision in place of its own.
pub(super) fn decided(
    model: &Model,
    folder: &Path,
    trial: &str,
    wanted: Wanted,
) -> Result<(Model, DecisionCard), Failure> {
    let decision = decision(folder, trial, wanted)?;
    match model.with_decision(&decision) {
        Ok(model) => Ok((model, decision)),
        Err(fault) => Err(Failure::plain(fault)),
    }
}

/// The clips of a data set that did not train the model, and what to say about those that did.
pub(super) fn untrained(
    run: &Run,
    data: &str,
    split: SplitBy,
) -> Result<(Dataset, Vec<usize>, Vec<String>), Failure> {
    let dataset = data::named_split(data, split)?;
    let mut notes = dataset.left_out_notes();
    let trained: BTreeSet<usize> = match training_clips(run, &dataset) {
        Some(trained) => trained,
        None => {
            notes.push(TRAINING_IS_GONE.to_string());
            BTreeSet::new()
        }
    };
    if !trained.is_empty() {
        notes.push(format!(
            "{} clips trained the model and are left out",
            trained.len()
        ));
    }
    let left = (0..dataset.clips.len()).filter(|idx| !trained.contains(idx));
    let left: Vec<usize> = left.collect();
    if left.is_empty() {
        return Err(Failure::plain(
            "all of these clips trained the model: give others",
        ));
    }
    Ok((dataset, left, notes))
}

/// What is said where [`training_clips`] knows nothing.
pub(super) const TRAINING_IS_GONE: &str = "the data that trained the model cannot be opened any more, so nothing says which of these clips did";

/// Places of the clips whose content trained the model of a run; `None` where the run's data cannot be opened.
pub(super) fn training_clips(run: &Run, dataset: &Dataset) -> Option<BTreeSet<usize>> {
    let settings = Settings::from_json(&run.settings_json).ok()?;
    let split = settings.split_by().ok()?;
    let learnt = data::named_clips(&settings.data, split, settings.min_clip_s).ok()?;
    let clips = learnt
        .train_clips()
        .into_iter()
        .chain(learnt.known_anomalies());
    let clips: Vec<&Clip> = clips.map(|idx| &learnt.clips[idx]).collect();
    Some(data::repeated(dataset, &clips).into_iter().collect())
}

/// Whether a clip is labelled as a fault. Clips without a label count as normal.
pub(super) fn is_fault(clip: &Clip) -> bool {
    clip.label == Some(Label::Anomaly)
}
