//! Clips that a model scored.

use schemars::JsonSchema;
use serde::Serialize;

/// What `nas score --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ScoresDocument {
    pub schema_version: u32,
    /// The trial whose model scored.
    pub model: String,
    pub synthetic: bool,
    /// A clip with a higher score is called anomalous.
    pub threshold: Option<f64>,
    /// Over the labelled test clips.
    pub auc_int8: Option<f64>,
    pub pauc_int8: Option<f64>,
    /// Of DCASE, and half the width of its 95 % interval.
    pub official_score: Option<f64>,
    pub official_half_width: Option<f64>,
    /// Where a least recall was asked for.
    pub operating_point: Option<OperatingPointView>,
    pub clips: Vec<ClipView>,
}

/// What a threshold does to the labelled test clips.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct OperatingPointView {
    pub threshold: f64,
    pub recall: f64,
    pub precision: f64,
    pub false_alarm_rate: f64,
    pub false_alarms_per_day: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ClipView {
    pub file: String,
    pub score: f64,
    pub anomalous: Option<bool>,
    /// `normal`, `anomaly`, or null where nobody says.
    pub label: Option<String>,
}
