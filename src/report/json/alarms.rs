//! When a model raises alarms, and what is left of it behind another microphone.

use schemars::JsonSchema;
use serde::Serialize;

use crate::evaluate::{DecisionCard, Expected, ModelCard, Strained};

/// What `nas decide --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DecideDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// The trial, as `RUN/NUMBER`.
    pub model: String,
    /// Whether the clips come from the built-in generator.
    pub synthetic: bool,
    /// Clips that were heard: every other one chose, the others were counted on.
    pub clips: usize,
    /// The decision that was written beside the model.
    pub decision: DecisionCard,
    /// What a reader must know, a sentence each.
    pub notes: Vec<String>,
}

/// What `nas stress --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StressDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// The trial, as `RUN/NUMBER`.
    pub model: String,
    /// Whether the clips come from the built-in generator.
    pub synthetic: bool,
    /// Normal clips that were heard.
    pub normal_clips: usize,
    /// Clips with a fault that were heard.
    pub fault_clips: usize,
    /// One entry per microphone, the sound as it is first.
    pub microphones: Vec<StrainView>,
    /// What a reader must know, a sentence each.
    pub notes: Vec<String>,
}

/// What is left of a detector behind one microphone.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StrainView {
    /// What the microphone does.
    pub microphone: String,
    /// AUC of int8, 0 to 1; null where one label is missing.
    pub auc_int8: Option<f64>,
    /// False alarms in a day of normal sound, clips one after the other; null without a threshold.
    pub false_alarms_per_day: Option<Expected>,
    /// Share of the normal sound in alarm, 0 to 1: an alarm that never ends is one alarm. Null without a threshold.
    pub share_in_alarm: Option<f64>,
    /// Share of the faults that raise an alarm; null without faults or a threshold.
    pub recall: Option<Expected>,
    /// Normal clips that were heard from a start.
    pub starts: usize,
    /// Those that raised an alarm.
    pub alarmed_starts: usize,
}

impl StrainView {
    /// One row of the table.
    pub fn new(row: &Strained, card: &ModelCard) -> StrainView {
        StrainView {
            microphone: row.strain.to_string(),
            auc_int8: row.auc,
            false_alarms_per_day: row.false_alarms_per_day(card),
            share_in_alarm: row.share_in_alarm(card),
            recall: row.recall(card),
            starts: row.starts,
            alarmed_starts: row.alarmed_starts,
        }
    }
}
