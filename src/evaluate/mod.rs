//! Scores a candidate: [`Pipeline`] trains it, [`Formula`] is a fast fake.
//!
//! This module may not know samplers, stores of runs or how results are shown.

mod alarm;
mod closed_form;
mod decide;
mod examination;
mod folds;
mod formula;
pub mod headroom;
mod listen;
mod model;
mod pipeline;
mod rules;
mod scored;
mod stress;
mod tape;
mod window_scores;
mod workload;

use std::sync::atomic::AtomicBool;

pub use alarm::AlarmCard;
pub use decide::{DecideError, DecisionCard, Goal, Promise, decide, promise};
pub use folds::Folds;
pub use formula::Formula;
pub use listen::{Event, ListenError, Listened, Moment, Rule, audio_of, listen, sound_of};
pub use model::{
    Aim, Answer, Class, Distance, DistancePoint, FORMAT_VERSION, Int8, Model, ModelCard,
    ModelError, ModelFault, Scorer, StatisticsCard, Steps,
};
pub use pipeline::{Options, PIPELINE_VERSION, Pipeline, PrepareError};
pub use rules::{RescoreError, Rescorer, ScoreBy, UnknownScore};
pub use scored::{Scored, Scoring, score_clips, test_scores};
pub use stress::{Strained, StressClip, strained};
pub use tape::{Expected, Outcome, Tape, TapedClip, tape_clip};

use crate::{
    features::ReadError,
    score::{ClipIntervals, ClipRule, Figures, GroupScore, Profile},
    space::{Candidate, Training},
};

/// The scores of one candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Its figures of merit; AUCs and pAUCs of the clips that steer, or sensitivities, are always among them.
    pub figures: Figures,
    /// How far its AUCs may be off because there are only so many clips.
    pub intervals: ClipIntervals,
    /// Figures per machine, section and domain, on the clips that steer.
    pub groups: Vec<GroupScore>,
    /// Number of epochs until early stopping, or all.
    pub epochs: usize,
    /// How the scores of a clip's windows became its score.
    pub clip_rule: ClipRule,
    /// How the int8 network differs from the float network; `None` where there is none, or by an older pipeline.
    pub int8: Option<Int8>,
    /// What the int8 network hears of disturbed sound; `None` where labels steer.
    pub hears: Option<Profile>,
    /// What a reader must know, a sentence each: for example, a group has no anomalous clips.
    pub notes: Vec<String>,
}

impl Scores {
    /// Scores with figures of merit and nothing else.
    pub fn headline(figures: Figures) -> Scores {
        Scores {
            figures,
            intervals: ClipIntervals::new(),
            groups: Vec::new(),
            epochs: 0,
            clip_rule: ClipRule::Mean,
            int8: None,
            hears: None,
            notes: Vec::new(),
        }
    }
}

/// A trained and scored candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Figures of merit and how they came about.
    pub scores: Scores,
    /// `None` where the evaluator makes no model.
    pub model: Option<Model>,
}

/// The scores of a trained network on every labelled test clip that is long enough for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Examination {
    /// One per labelled test clip that is long enough, in the order of the data set.
    pub clips: Vec<ExaminedClip>,
    /// Number of labelled test clips that are shorter than a window.
    pub too_short: usize,
    /// The answers of a network that tells classes apart; `None` for others.
    pub classes: Option<Classed>,
    /// The int8 network calls a clip with a higher score anomalous; `None` without a threshold.
    pub threshold: Option<f64>,
    /// Training and validation loss per epoch.
    pub history: Vec<[f32; 2]>,
    /// How the int8 network differs from the float network, on the clips that steer.
    pub int8: Option<Int8>,
}

/// What a network that tells classes apart answers about every test clip that is long enough.
#[derive(Debug, Clone, PartialEq)]
pub struct Classed {
    /// The names of the classes.
    pub names: Vec<String>,
    /// One per clip, in the order of the data set.
    pub clips: Vec<ClassedClip>,
}

/// The class of a test clip, and what the two networks answer; indices of classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassedClip {
    /// The class that it is of.
    pub truth: usize,
    /// Whether its score steers a search; otherwise the clip is only judged.
    pub steers: bool,
    /// The answer of the float network.
    pub float: usize,
    /// The answer of the int8 network.
    pub int8: usize,
}

/// Anomaly scores of one labelled test clip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExaminedClip {
    /// Whether the clip is labelled as an anomaly.
    pub anomaly: bool,
    /// Whether its score steers a search; otherwise the clip is only judged.
    pub steers: bool,
    /// Score by the float network; higher is more anomalous.
    pub float: f64,
    /// Score by the int8 network; higher is more anomalous.
    pub int8: f64,
}

/// A candidate that could not be evaluated; a broken data set is found before the search starts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The evaluation was stopped before it ended.
    #[error("interrupted")]
    Interrupted,
    /// The candidate is at fault; holds what a user reads beside the failed trial.
    #[error("{0}")]
    Failed(String),
    /// The data or the machine failed; this says nothing about the candidate.
    #[error("{0}")]
    Lost(String),
}

/// What was there and is gone is the machine's fault.
impl From<ReadError> for EvaluateError {
    fn from(error: ReadError) -> EvaluateError {
        EvaluateError::Lost(error.to_string())
    }
}

/// A network that is no detector is its candidate's fault.
impl From<ModelFault> for EvaluateError {
    fn from(fault: ModelFault) -> EvaluateError {
        EvaluateError::Failed(fault.to_string())
    }
}

/// Evaluates candidates. Equal candidate, training and seed give equal results, on any thread.
pub trait Evaluator: Sync {
    /// Equal for evaluations that give equal results; runs share them by this key.
    fn content_key(&self, candidate: &Candidate, training: &Training, seed: u64) -> String;

    /// Core-seconds that an evaluation is expected to take, above zero: a formula of shapes with shipped constants, so that
    /// it is the same on every machine.
    fn expected_seconds(&self, candidate: &Candidate, training: &Training) -> f64;

    /// Trains, quantises and scores a candidate on the calling thread; `stop` ends it early.
    fn evaluate(
        &self,
        candidate: &Candidate,
        training: &Training,
        seed: u64,
        stop: &AtomicBool,
    ) -> Result<Evaluation, EvaluateError>;
}
