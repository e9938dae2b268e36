//! What is stored of an evaluation, and how it is read back.

use super::{RunError, utc_now};
use crate::{
    evaluate::{Evaluation, Scores},
    score::{Figure, Figures, GroupScore, Measure},
    store::{EvaluationRow, ScoreRow, Store},
};

/// What is stored of an evaluation besides its headline numbers.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Details {
    pub epochs: usize,
    pub groups: Vec<DetailsGroup>,
    pub notes: Vec<String>,
}

/// AUC of one machine, section and domain on the clips that steer.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct DetailsGroup {
    pub machine: String,
    pub section: String,
    /// `source`, `target`, or absent for both together.
    pub domain: Option<String>,
    pub auc: Option<f64>,
    pub pauc: Option<f64>,
    pub normals: usize,
    pub anomalies: usize,
}

pub(super) fn evaluation_row(
    key: String,
    scores: &Scores,
    artefacts: Option<String>,
    seconds: f64,
) -> EvaluationRow {
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
        notes: scores.notes.clone(),
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

/// The figures of merit of a stored evaluation; those that this program does not know are left out.
pub fn figures_of(row: &EvaluationRow) -> Figures {
    let known = |score: &ScoreRow| Some((Figure::named(&score.metric, &score.part)?, score.value));
    row.scores.iter().filter_map(known).collect()
}

/// As [`figures_of`]; `None` where those are missing that every trained network has.
pub(super) fn scored_figures(row: &EvaluationRow) -> Option<Figures> {
    let figures = figures_of(row);
    let needed = [Measure::Auc, Measure::Pauc];
    let is_known = |measure: &Measure| figures.steering(*measure).is_some();
    needed.iter().all(is_known).then_some(figures)
}

/// Writes the model of an evaluation, if there is one, into a folder beside the store; its name in rows.
pub(super) fn write_model(
    store: &Store,
    number: usize,
    relative: String,
    evaluation: &Evaluation,
) -> Result<Option<String>, RunError> {
    let (Some(model), Some(folder)) = (&evaluation.model, store.folder()) else {
        return Ok(None);
    };
    model
        .write(&folder.join(&relative))
        .map_err(|source| RunError::Artefact { number, source })?;
    Ok(Some(relative))
}
