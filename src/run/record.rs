//! What is stored of an evaluation, and how it is read back.

use super::{RunError, utc_now};
use crate::{
    evaluate::{Evaluation, Scores},
    score::GroupScore,
    store::{EvaluationRow, Store},
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
        auc_int8: Some(scores.auc_int8),
        pauc_int8: Some(scores.pauc_int8),
        auc_float: Some(scores.auc_float),
        pauc_float: Some(scores.pauc_float),
        test_auc_int8: scores.test_auc_int8,
        test_pauc_int8: scores.test_pauc_int8,
        accuracy_int8: scores.accuracy_int8,
        test_accuracy_int8: scores.test_accuracy_int8,
        details_json: serde_json::to_string(&details).expect("details have only plain fields"),
        artefacts,
        seconds,
        created_utc: utc_now(),
    }
}

/// The headline scores of a stored evaluation.
pub(super) fn scores_of(row: &EvaluationRow) -> Option<Scores> {
    let headline = Scores::headline(
        row.auc_int8?,
        row.pauc_int8?,
        row.auc_float?,
        row.pauc_float?,
    );
    Some(Scores {
        test_auc_int8: row.test_auc_int8,
        test_pauc_int8: row.test_pauc_int8,
        accuracy_int8: row.accuracy_int8,
        test_accuracy_int8: row.test_accuracy_int8,
        ..headline
    })
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
