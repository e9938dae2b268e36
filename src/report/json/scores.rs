//! Clips that a model scored.

use schemars::JsonSchema;
use serde::Serialize;

use crate::evaluate::{AlarmCard, Event, Listened};

/// What `nas score --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ScoresDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// The trial whose model scored, as `RUN/NUMBER`.
    pub model: String,
    /// Whether the scored clips come from the built-in generator.
    pub synthetic: bool,
    /// A clip with a higher score is called anomalous.
    pub threshold: Option<f64>,
    /// AUC over the labelled test clips, 0 to 1.
    pub auc_int8: Option<f64>,
    /// Partial AUC over the labelled test clips, 0 to 1.
    pub pauc_int8: Option<f64>,
    /// DCASE's official score over the labelled test clips, 0 to 1.
    pub official_score: Option<f64>,
    /// Half the width of the official score's 95 % interval, by the jackknife.
    pub official_half_width: Option<f64>,
    /// What the chosen threshold does; only with `--min-recall`.
    pub operating_point: Option<OperatingPointView>,
    /// The scored clips.
    pub clips: Vec<ClipView>,
    /// Clips without a score: name and reason.
    pub skipped: Vec<(String, String)>,
    /// Number of scored clips that trained the model; null where the data that trained it cannot be opened any more.
    pub trained_on: Option<usize>,
    /// What a reader of the scores must know, a sentence each.
    pub notes: Vec<String>,
}

/// What a threshold does to the labelled test clips.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct OperatingPointView {
    /// A clip with a higher score is called anomalous.
    pub threshold: f64,
    /// Share of the anomalies that are found.
    pub recall: f64,
    /// Share of the alarms that are anomalies; 0 without alarms.
    pub precision: f64,
    /// Share of the normal clips that raise an alarm.
    pub false_alarm_rate: f64,
    /// False alarms in a day of normal sound; only with `--every`.
    pub false_alarms_per_day: Option<f64>,
}

/// A scored clip.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ClipView {
    /// Name of the clip.
    pub file: String,
    /// Its anomaly score; higher is more anomalous.
    pub score: f64,
    /// Whether the score is above the threshold; null without one.
    pub anomalous: Option<bool>,
    /// `normal`, `anomaly`, or null without a label.
    pub label: Option<String>,
    /// The class that the clip sounds like; only of models that tell classes apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// How much better it fits than the next class: the difference of their log-odds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
}

/// What `nas score --events --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct EventsDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// The trial whose model heard, as `RUN/NUMBER`.
    pub model: String,
    /// Whether the recordings come from the built-in generator.
    pub synthetic: bool,
    /// How scores become alarms.
    pub rule: AlarmView,
    /// What was heard, one entry per recording.
    pub recordings: Vec<RecordingView>,
    /// Recordings that were not heard: name and reason.
    pub skipped: Vec<(String, String)>,
    /// What a reader must know, a sentence each.
    pub notes: Vec<String>,
}

/// How a score over time becomes an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct AlarmView {
    /// A score above it is a vote for an alarm; null without one.
    pub threshold: Option<f64>,
    /// Windows that the score over time covers.
    pub windows: u32,
    /// What votes become.
    #[serde(flatten)]
    pub alarm: AlarmCard,
}

/// What a device decided about a recording.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RecordingView {
    /// Name of the recording.
    pub file: String,
    /// `normal`, `anomaly`, or null without a label.
    pub label: Option<String>,
    /// Its length in seconds.
    pub seconds: f64,
    /// When the first verdict came; null for a recording that is too short for one.
    pub first_verdict_s: Option<f64>,
    /// Seconds in alarm.
    pub alarm_s: f64,
    /// The highest score over time; null without a verdict.
    pub peak: Option<f32>,
    /// The alarms, in their order.
    pub events: Vec<EventView>,
}

/// An alarm, in seconds of the recording.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct EventView {
    /// When the device raised it; what caused it began before.
    pub begin_s: f64,
    /// When the device ended it, or the recording ended.
    pub end_s: f64,
    /// The highest score over time while it lasted.
    pub peak: f32,
    /// When the score was that high.
    pub peak_s: f64,
}

impl RecordingView {
    /// A recording with its name and label.
    pub fn new(file: &str, label: Option<&str>, heard: &Listened) -> RecordingView {
        let Listened {
            seconds,
            first_verdict_s,
            alarm_s,
            peak,
            events,
        } = heard;
        RecordingView {
            file: file.to_string(),
            label: label.map(str::to_string),
            seconds: *seconds,
            first_verdict_s: *first_verdict_s,
            alarm_s: *alarm_s,
            peak: *peak,
            events: events.iter().map(EventView::from).collect(),
        }
    }
}

impl From<&Event> for EventView {
    fn from(event: &Event) -> EventView {
        let Event {
            begin_s,
            end_s,
            peak,
            peak_s,
        } = *event;
        EventView {
            begin_s,
            end_s,
            peak,
            peak_s,
        }
    }
}
