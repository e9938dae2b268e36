//! What a candidate is worth: the one long wait of the search, behind a trait with a quick fake beside the real one.

mod examination;
mod folds;
mod formula;
mod model;
mod pipeline;
mod rules;
mod scored;

use std::sync::atomic::AtomicBool;

pub use folds::Folds;
pub use formula::Formula;
pub use model::{Class, FORMAT_VERSION, Model, ModelCard, ModelError, Scorer};
pub use pipeline::{Options, Pipeline, PrepareError};
pub use rules::{RescoreError, Rescorer, ScoreBy, UnknownScore};
pub use scored::{Scored, Scoring, score_clips, test_scores};

use crate::{
    score::GroupScore,
    space::{Candidate, Training},
};

/// Figures of merit of one candidate. Those that steer the search come from one part of the labelled
/// test clips, `test_*` from the other part, which nothing is chosen by.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Headline AUC of the int8 model, see [`crate::score::summarise`].
    pub auc_int8: f64,
    pub pauc_int8: f64,
    /// The same with the float model.
    pub auc_float: f64,
    pub pauc_float: f64,
    pub test_auc_int8: Option<f64>,
    pub test_pauc_int8: Option<f64>,
    /// Share of clips that the int8 model decides rightly by its threshold; `None` without one.
    pub accuracy_int8: Option<f64>,
    pub test_accuracy_int8: Option<f64>,
    /// Per machine, section and domain, on the steering part.
    pub groups: Vec<GroupScore>,
    /// Epochs until early stopping, or all.
    pub epochs: usize,
    pub notes: Vec<String>,
}

impl Scores {
    /// Headline figures alone.
    pub fn headline(auc_int8: f64, pauc_int8: f64, auc_float: f64, pauc_float: f64) -> Scores {
        Scores {
            auc_int8,
            pauc_int8,
            auc_float,
            pauc_float,
            test_auc_int8: None,
            test_pauc_int8: None,
            accuracy_int8: None,
            test_accuracy_int8: None,
            groups: Vec::new(),
            epochs: 0,
            notes: Vec::new(),
        }
    }
}

/// A trained and scored candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    pub scores: Scores,
    /// `None` where the evaluator makes no model.
    pub model: Option<Model>,
}

/// A trained network before every labelled test clip that is long enough for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Examination {
    pub clips: Vec<ExaminedClip>,
    /// Labelled test clips that are shorter than a window.
    pub too_short: usize,
    /// Where the int8 network calls a clip anomalous.
    pub threshold: Option<f64>,
    /// Training and validation loss per epoch.
    pub history: Vec<[f32; 2]>,
}

/// Anomaly scores of one labelled test clip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExaminedClip {
    pub anomaly: bool,
    /// Whether its score steers a search; a clip that does not is judged only.
    pub steers: bool,
    pub float: f64,
    pub int8: f64,
}

/// A candidate that could not be evaluated; a broken data set is found before the search starts.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error("interrupted")]
    Interrupted,
    /// What a user reads beside the failed trial.
    #[error("{0}")]
    Failed(String),
}

/// Evaluates candidates. Equal candidate, training and seed give equal results, on any thread.
pub trait Evaluator: Sync {
    /// Equal for evaluations that give equal results; runs share them by this key.
    fn content_key(&self, candidate: &Candidate, training: &Training, seed: u64) -> String;

    /// Trains, quantises and scores a candidate on the calling thread; `stop` ends it early.
    fn evaluate(
        &self,
        candidate: &Candidate,
        training: &Training,
        seed: u64,
        stop: &AtomicBool,
    ) -> Result<Evaluation, EvaluateError>;
}
