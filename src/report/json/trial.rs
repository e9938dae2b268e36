//! The document of one trial.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use super::{BoundsView, CostsView, MeasurementView, RescoredView};
use crate::{
    audio::{FULL_RANKING, Feature, FrontEnd, Recipe},
    evaluate::Int8,
    score::{Figure, Figures, Profile},
    space::show_statistics,
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
    /// What steered the search: `labels` or `disturbed` sound (`stand-ins` in older runs); null where that was not recorded.
    pub steered_by: Option<String>,
    /// Number of the trial.
    pub trial: u64,
    /// `scored`, `rejected` or `failed`.
    pub state: &'static str,
    /// Name of the search space.
    pub space: String,
    /// `reconstruct` (autoencoder) or `classify`.
    pub task: &'static str,
    /// Seed of initialisation and shuffling.
    pub seed: u64,
    /// The value of every axis of the space, by its name.
    pub axes: BTreeMap<String, String>,
    /// How sound becomes the network's input.
    pub front_end: FrontEndView,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Number of weights and biases.
    pub params: u64,
    /// Figures of the trial's own model; null where it was not scored.
    pub figures: Option<FiguresView>,
    /// 95 % intervals of figures over clips, by the key of the figure.
    pub intervals: BTreeMap<String, BoundsView>,
    /// The further trainings; null where the trial was trained once.
    pub rescored: Option<RescoredView>,
    /// How windows' scores become a clip's: `max`, `q90`, `top10`, `rank90`; null for the mean.
    pub clip_score: Option<String>,
    /// How the int8 network came out of the float network; null without one, and of pipelines up to version 3.
    pub int8: Option<Int8>,
    /// What the int8 network hears of disturbed sound, kind by kind; null where labels steered, and in older runs.
    pub hears: Option<Profile>,
    /// Whether the network was quantised by an older pipeline than this program's, and would score otherwise now.
    pub older_pipeline: bool,
    /// Figures per machine, section and domain, on the clips that steer.
    pub groups: Vec<GroupView>,
    /// Costs by name of the target.
    pub costs: BTreeMap<String, CostsView>,
    /// What the model took when it ran as firmware, one entry per place.
    pub measurements: Vec<MeasurementView>,
    /// Share by which each budget is exceeded: 0.5 is half as much again. Only where the trial was rejected.
    pub excess: BTreeMap<String, f64>,
    /// What went wrong; only where the trial failed.
    pub error: Option<String>,
    /// The network, operator by operator.
    pub operators: Vec<OperatorView>,
    /// Files that belong to the trial, relative to the store's folder.
    pub files: Vec<String>,
}

/// Figures of merit by their keys; null where they are unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FiguresView(pub Figures);

/// How sound becomes the windows that the network sees.
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
    /// Number of MFCC coefficients per frame; null for log-mel.
    pub mfcc: Option<usize>,
    /// Every further choice that a second implementation needs.
    pub features: Recipe,
    /// Feature frames in one window.
    pub frames: usize,
    /// Frames from one window to the next.
    pub frame_stride: usize,
    /// The pooled statistics that the network sees; absent where it sees the frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistics: Option<StatisticsView>,
    /// Deviations from the mean beyond which a standardised feature counts a quarter; absent where all count alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub companding: Option<u8>,
}

/// Pooled statistics.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StatisticsView {
    /// The kinds of statistics, for example `mean+maximum`.
    pub kinds: String,
    /// Number of groups of bands.
    pub groups: usize,
    /// Weight of a rank relative to the next louder one, 0 to 1.
    pub ranking: f64,
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
            features: Recipe::of(&spec),
            frames: front_end.frames,
            frame_stride: front_end.frame_stride,
            statistics: front_end.statistics.map(|which| StatisticsView {
                kinds: show_statistics(which.kinds),
                groups: which.groups,
                ranking: f64::from(which.ranking) / f64::from(FULL_RANKING),
            }),
            companding: front_end.companding.map(|companding| companding.knee),
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
    /// AUC of the int8 network, 0 to 1; null where it is unknown.
    pub auc_int8: Option<f64>,
    /// Partial AUC of the int8 network, 0 to 1; null where it is unknown.
    pub pauc_int8: Option<f64>,
    /// Number of normal clips.
    pub normals: usize,
    /// Number of anomalous clips.
    pub anomalies: usize,
}

/// One operator of the network.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct OperatorView {
    /// TFLite's name of the operator, with its window.
    pub operator: String,
    /// Shape of its output: height, width, channels.
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
