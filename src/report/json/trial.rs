//! One trial.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use super::{CostsView, MeasurementView, RescoredView};
use crate::{
    audio::{Feature, FrontEnd},
    evaluate::Int8,
    score::{Figure, Figures},
};

/// What `nas show RUN/TRIAL --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TrialDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// Name of the run.
    pub run: String,
    /// Name of the data set.
    pub data: String,
    /// Whether the data comes from the built-in generator.
    pub synthetic: bool,
    /// Number of the trial.
    pub trial: u64,
    /// `scored`, `rejected`, `failed`.
    pub state: &'static str,
    /// Name of the search space.
    pub space: String,
    /// `reconstruct` (autoencoder) or `classify`.
    pub task: &'static str,
    /// Seed of initialisation and shuffling.
    pub seed: u64,
    /// The chosen value of every axis of the space.
    pub axes: BTreeMap<String, String>,
    /// How sound becomes the network's input.
    pub front_end: FrontEndView,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Number of weights and biases.
    pub params: u64,
    /// Of the trial's own model.
    pub figures: Option<FiguresView>,
    /// The further trainings; null where the trial was trained once.
    pub rescored: Option<RescoredView>,
    /// How windows' scores become a clip's: `max`, `q90`, `top10`, `rank90`; null for the mean.
    pub clip_score: Option<String>,
    /// How the int8 network came out of the float network; null without one, and of pipelines up to version 3.
    pub int8: Option<Int8>,
    /// Whether the network was quantised by an older pipeline than this program's, and would score otherwise now.
    pub older_pipeline: bool,
    /// Figures per machine, section and domain, on the clips that steer.
    pub groups: Vec<GroupView>,
    /// Per target.
    pub costs: BTreeMap<String, CostsView>,
    /// What was seen when the model ran as firmware, one per place.
    pub measurements: Vec<MeasurementView>,
    /// Share of each exceeded budget, such as 0.5 for half as much again; only where the trial was rejected.
    pub excess: BTreeMap<String, f64>,
    /// Only where the trial failed.
    pub error: Option<String>,
    /// The network, operator by operator.
    pub operators: Vec<OperatorView>,
    /// Files that belong to the trial, relative to the store's folder.
    pub files: Vec<String>,
}

/// Figures of merit by their keys; null where nobody knows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FiguresView(pub Figures);

/// From sound to the windows that the network sees.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FrontEndView {
    /// Sample rate of the sound, in hertz.
    pub sample_rate_hz: u32,
    /// Length of a frame in samples.
    pub n_fft: usize,
    /// Samples from one frame to the next.
    pub hop_length: usize,
    /// Number of mel bands.
    pub n_mels: usize,
    /// Coefficients per frame where the features are MFCCs.
    pub mfcc: Option<usize>,
    /// Feature frames in one window.
    pub frames: usize,
    /// Frames from one window to the next.
    pub frame_stride: usize,
}

impl From<FrontEnd> for FrontEndView {
    fn from(front_end: FrontEnd) -> FrontEndView {
        let spec = front_end.spec;
        FrontEndView {
            sample_rate_hz: spec.sample_rate_hz,
            n_fft: spec.n_fft,
            hop_length: spec.hop_length,
            n_mels: spec.n_mels,
            mfcc: match spec.feature {
                Feature::LogMel => None,
                Feature::Mfcc { coefficients } => Some(coefficients),
            },
            frames: front_end.frames,
            frame_stride: front_end.frame_stride,
        }
    }
}

/// Figures of one group of clips.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct GroupView {
    /// Name of the machine.
    pub machine: String,
    /// Name of the section.
    pub section: String,
    /// `source`, `target`, or null for the whole section.
    pub domain: Option<String>,
    /// AUC of the int8 network, 0 to 1; null where nobody knows.
    pub auc_int8: Option<f64>,
    /// Partial AUC of the int8 network, 0 to 1; null where nobody knows.
    pub pauc_int8: Option<f64>,
    /// Number of normal clips.
    pub normals: usize,
    /// Number of anomalous clips.
    pub anomalies: usize,
}

/// One operator of the network.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct OperatorView {
    /// TFLite's name.
    pub operator: String,
    /// Height, width, channels.
    pub output: [usize; 3],
    /// Its multiply-accumulates.
    pub macs: u64,
    /// Number of its weights and biases.
    pub params: u64,
}

impl Serialize for FiguresView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let figures = Figure::documented();
        serializer.collect_map(figures.map(|figure| (figure.key(), self.0.get(figure))))
    }
}

impl JsonSchema for FiguresView {
    fn schema_name() -> Cow<'static, str> {
        "FiguresView".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        by_figure::<Option<f64>>(generator)
    }
}

/// The schema of an object with a value for each figure of merit. It does not name them, so that a new one is no new
/// schema; docs/json.md does.
pub(super) fn by_figure<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let value = generator.subschema_for::<T>();
    schemars::json_schema!({ "type": "object", "additionalProperties": value })
}
