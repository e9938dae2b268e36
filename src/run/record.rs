//! Turns evaluations into rows of the store, and back.

use std::{collections::BTreeMap, path::Path};

use super::{RunError, utc_now};
use crate::{
    evaluate::{Evaluation, Int8, Model, ModelError},
    score::{ClipIntervals, ClipRule, Figure, Figures, GroupScore, Measure, Profile},
    store::{EvaluationRow, ScoreRow, Store, run_path},
};

/// The details of an evaluation that are stored beside its scores.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Details {
    /// Epochs of the training.
    pub epochs: usize,
    /// Scores of the groups of clips.
    pub groups: Vec<DetailsGroup>,
    /// 95 % intervals of AUCs over clips, `[low, high]`, by the key of the figure; empty in older evaluations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub intervals: BTreeMap<String, [f64; 2]>,
    /// Sentences for the reader, for example about missing scores.
    pub notes: Vec<String>,
    /// How the scores of a clip's windows became its score; absent for the mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_score: Option<String>,
    /// [`Model::content_hash`](crate::evaluate::Model::content_hash) of the model's files; absent without files, and in
    /// evaluations of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_hash: Option<String>,
    /// How the int8 network came out of the float network; absent in evaluations of pipelines up to version 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int8: Option<Int8>,
    /// What the int8 network hears of disturbed sound; absent where labels steer, and in evaluations of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hears: Option<Profile>,
}

/// AUC of one machine, section and domain, on the clips that steer the search.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct DetailsGroup {
    /// Name of the machine.
    pub machine: String,
    /// Name of the section.
    pub section: String,
    /// `source`, `target`, or absent for both together.
    pub domain: Option<String>,
    /// Area under the ROC curve, 0 to 1; absent where one kind of clips is missing.
    pub auc: Option<f64>,
    /// Partial area under the ROC curve, 0 to 1; absent where one kind of clips is missing.
    pub pauc: Option<f64>,
    /// Number of normal clips.
    pub normals: usize,
    /// Number of anomalous clips.
    pub anomalies: usize,
}

impl Details {
    /// The intervals, without those of figures that this program does not know.
    pub fn clip_intervals(&self) -> ClipIntervals {
        let known = |figure: Figure| Some((figure, *self.intervals.get(&figure.key())?));
        Figure::ALL.into_iter().filter_map(known).collect()
    }
}

pub(super) fn evaluation_row(
    key: String,
    evaluation: &Evaluation,
    artefacts: Option<String>,
    seconds: f64,
) -> EvaluationRow {
    let Evaluation { scores, model } = evaluation;
    let model_hash = model.as_ref().map(Model::content_hash);
    let group = |group: &GroupScore| DetailsGroup {
        machine: group.machine.clone(),
        section: group.section.clone(),
        domain: group.domain.map(|domain| domain.name().to_string()),
        auc: group.auc,
        pauc: group.pauc,
        normals: group.normals,
        anomalies: group.anomalies,
    };
    let details = Details {
        epochs: scores.epochs,
        groups: scores.groups.iter().map(group).collect(),
        intervals: scores
            .intervals
            .iter()
            .map(|(figure, bounds)| (figure.key(), *bounds))
            .collect(),
        notes: scores.notes.clone(),
        clip_score: (scores.clip_rule != ClipRule::Mean).then(|| scores.clip_rule.to_string()),
        model_hash: model_hash.filter(|_| artefacts.is_some()),
        int8: scores.int8.clone(),
        hears: scores.hears.clone(),
    };
    EvaluationRow {
        key,
        scores: score_rows(&scores.figures),
        details_json: serde_json::to_string(&details).expect("details have only plain fields"),
        artefacts,
        seconds,
        created_utc: utc_now(),
    }
}

fn score_rows(figures: &Figures) -> Vec<ScoreRow> {
    let row = |(figure, value): (Figure, f64)| ScoreRow {
        metric: figure.metric(),
        part: figure.part.name().to_string(),
        value,
    };
    let mut rows: Vec<ScoreRow> = figures.known().map(row).collect();
    rows.sort_by(|a, b| (&a.metric, &a.part).cmp(&(&b.metric, &b.part)));
    rows
}

/// The figures of merit of a stored evaluation, without those that this program does not know.
pub fn figures_of(row: &EvaluationRow) -> Figures {
    let known = |score: &ScoreRow| Some((Figure::named(&score.metric, &score.part)?, score.value));
    row.scores.iter().filter_map(known).collect()
}

/// Like [`figures_of`]; `None` without the figures that every trained network has.
pub(super) fn scored_figures(row: &EvaluationRow) -> Option<Figures> {
    let figures = figures_of(row);
    let is_known = |measure: &Measure| figures.steering(*measure).is_some();
    let is_whole =
        [Measure::Auc, Measure::Pauc].iter().all(is_known) || is_known(&Measure::Sensitivity);
    is_whole.then_some(figures)
}

/// The model of a stored evaluation, as it was when it was stored.
pub fn stored_model(folder: &Path, row: &EvaluationRow) -> Option<Result<Model, ModelError>> {
    let details: Option<Details> = serde_json::from_str(&row.details_json).ok();
    let hash = details.and_then(|details| details.model_hash);
    let folder = folder.join(row.artefacts.as_ref()?);
    Some(Model::read_exactly(&folder, hash.as_deref()))
}

/// Whether an evaluation keeps no model, or its model is still there.
pub(super) fn is_whole(store: &Store, row: &EvaluationRow) -> bool {
    let model = store.folder().and_then(|folder| stored_model(folder, row));
    model.is_none_or(|model| model.is_ok())
}

/// Writes the model of an evaluation, if it has one, into a folder of its run; returns the folder's name for rows.
pub(super) fn write_model(
    store: &Store,
    number: usize,
    run: &str,
    within: String,
    evaluation: &Evaluation,
) -> Result<Option<String>, RunError> {
    let (Some(model), Some(folder)) = (&evaluation.model, store.folder()) else {
        return Ok(None);
    };
    let relative = format!("{}/{within}", run_path(store.path(), run));
    model
        .write(&folder.join(&relative))
        .map_err(|source| RunError::Artefact { number, source })?;
    Ok(Some(relative))
}
