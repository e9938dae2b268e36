//! `manifest.json`: all that a program needs to know about a bundle.

use std::collections::BTreeMap;

use nas_kernels::blob::Kind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BundleError, Parts, boards, golden, judge, vela::VelaView};
use crate::{
    evaluate::{AlarmCard, DecisionCard},
    hardware::Core,
    quant::{Interpreter, QuantParams},
    report::json::{CostsView, Document, FrontEndView, MeasurementView},
    score::FalseAlarms,
};

/// The version of the manifest's format.
pub const SCHEMA_VERSION: u32 = 1;

/// What `manifest.json` says.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Manifest {
    /// The version of this format.
    pub schema_version: u32,
    /// Version of the program that wrote the bundle.
    pub nas_version: String,
    /// `RUN/TRIAL`.
    pub model: String,
    /// Name of the data set that the model was trained on.
    pub data: String,
    /// Whether the sound was made by the built-in generator.
    pub synthetic: bool,
    /// What steered the search: `labels` or `disturbed` sound (`stand-ins` in older runs); null where that was not recorded.
    pub steered_by: Option<String>,
    /// `reconstruct` or `classify`.
    pub task: String,
    /// Machine and section of every output of a classifier; empty for other models.
    pub classes: Vec<[String; 2]>,
    /// Name of the target.
    pub target: String,
    /// `cortex-m7` or `cortex-m55`.
    pub core: String,
    /// Boards for which the firmware has a linker script.
    pub boards: Vec<String>,
    /// The network's input.
    pub input: TensorView,
    /// The network's output.
    pub output: TensorView,
    /// How sound becomes the network's input.
    pub front_end: InputFeatures,
    /// A score above this is anomalous; null where no threshold was set.
    pub threshold: Option<f64>,
    /// How often normal clips that the detector was not made from score above the threshold; null without such clips.
    pub false_alarms: Option<FalseAlarms>,
    /// When the score of a continuing sound is an alarm.
    pub alarm: AlarmCard,
    /// How that rule was chosen by `nas decide`, and what to expect of it; null for the rule of the search.
    pub decision: Option<DecisionCard>,
    /// Seconds from a start, or from the first sample that is not zero, to the first verdict.
    pub first_verdict_s: f64,
    /// Bytes of the arena for the network's tensors.
    pub arena_bytes: usize,
    /// Bytes of `model.nas`: weights, tables, structure.
    pub model_bytes: usize,
    /// How often the network uses each operator, by the names of TFLite.
    pub operators: BTreeMap<&'static str, usize>,
    /// The golden vectors: inputs of the network and the expected outputs.
    pub golden: Golden,
    /// Costs on the target; every number says that it is estimated.
    pub costs: Option<CostsView>,
    /// What Vela says about the network on an NPU. Nothing here runs it.
    pub vela: Option<VelaView>,
    /// What was seen in an emulator or on a board.
    pub measurements: Vec<MeasurementView>,
    /// SHA-256 of every other file, by its path.
    pub files: BTreeMap<String, String>,
}

/// An int8 tensor: `real = scale * (q - zero_point)`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TensorView {
    /// Height, width, channels.
    pub shape: [u32; 3],
    /// Real step between two neighbouring values.
    pub scale: f32,
    /// The stored value that stands for zero.
    pub zero_point: i32,
}

/// How sound becomes the network's input.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct InputFeatures {
    /// Features and the windows of frames.
    #[serde(flatten)]
    pub front_end: FrontEndView,
    /// Mean of each band in dB; the network sees `(feature - mean) / std`, companded where `companding` says so.
    pub mean: Vec<f32>,
    /// Standard deviation of each band in dB.
    pub std: Vec<f32>,
}

/// The golden vectors: inputs of the network and the outputs that the host computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Golden {
    /// Path of the inputs in the bundle.
    pub inputs: String,
    /// Path of the outputs in the bundle.
    pub outputs: String,
    /// Number of inputs.
    pub count: usize,
    /// Bytes of one input.
    pub input_bytes: usize,
    /// Bytes of one output.
    pub output_bytes: usize,
    /// FNV-1a hash of all outputs, 64 bits in hexadecimal; the firmware prints it.
    pub outputs_hash: String,
    /// Clips with the decision about each.
    pub clips: Vec<GoldenClip>,
}

/// A sound clip and what the device decides about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GoldenClip {
    /// Path of the WAV file in the bundle.
    pub file: String,
    /// What the clip is: `normal` or `anomaly`.
    pub label: String,
    /// The score after the last hop; null where the clip is shorter than a window.
    pub score: Option<f32>,
    /// Whether the score is above the threshold; null without a score or a threshold.
    pub anomaly: Option<bool>,
}

impl Document for Manifest {
    const NAME: &'static str = "manifest";
}

impl Manifest {
    /// The manifest as indented JSON with a line break at its end.
    pub fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("a manifest has text keys");
        text.push(b'\n');
        text
    }
}

/// Describes a bundle; `files` holds the hashes of its other files.
pub(super) fn describe(
    parts: &Parts<'_>,
    files: BTreeMap<String, String>,
) -> Result<Manifest, BundleError> {
    let model = parts.model;
    let card = &model.card;
    let interpreter =
        Interpreter::new(&model.blob).map_err(|error| BundleError::Model(error.to_string()))?;
    let blob = nas_kernels::Model::parse(&model.blob)
        .map_err(|error| BundleError::Model(error.to_string()))?;
    let (input_bytes, output_bytes) = interpreter.lengths();
    let vectors = golden(&model.blob)?;
    let tensor = |tensor: nas_kernels::blob::Tensor, params: QuantParams| TensorView {
        shape: tensor.shape,
        scale: params.scale,
        zero_point: params.zero_point,
    };
    let mut operators = BTreeMap::new();
    for op in blob.ops() {
        *operators.entry(operator_name(&op.kind)).or_default() += 1;
    }
    let class = |class: &crate::evaluate::Class| [class.machine.clone(), class.section.clone()];
    Ok(Manifest {
        schema_version: SCHEMA_VERSION,
        nas_version: env!("CARGO_PKG_VERSION").to_string(),
        model: parts.name.clone(),
        data: parts.data.clone(),
        synthetic: card.synthetic,
        steered_by: parts.steered_by.clone(),
        task: card.task.clone(),
        classes: card.classes.iter().map(class).collect(),
        target: parts.target.clone(),
        core: core_name(parts.core).to_string(),
        boards: boards(parts.core)
            .map(|board| board.name.to_string())
            .collect(),
        input: tensor(blob.input(), interpreter.input()),
        output: tensor(blob.output(), interpreter.output()),
        front_end: InputFeatures {
            front_end: card.front_end().into(),
            mean: card.mean.clone(),
            std: card.std.clone(),
        },
        threshold: card.threshold,
        false_alarms: card.false_alarms,
        alarm: card.alarm_rule().into(),
        decision: parts.decision.clone(),
        first_verdict_s: card.verdict_samples() as f64 / f64::from(card.sample_rate_hz),
        arena_bytes: blob.arena_bytes(),
        model_bytes: model.blob.len(),
        operators,
        golden: Golden {
            inputs: "golden/inputs.bin".to_string(),
            outputs: "golden/outputs.bin".to_string(),
            count: super::GOLDEN_INPUTS,
            input_bytes,
            output_bytes,
            outputs_hash: format!("{:016x}", vectors.hash),
            clips: parts
                .clips
                .iter()
                .map(|clip| judge(&model.blob, clip))
                .collect::<Result<_, _>>()?,
        },
        costs: parts.costs,
        vela: parts.vela.as_ref().map(|compiled| compiled.figures.clone()),
        measurements: parts.measurements.clone(),
        files,
    })
}

/// The name of a core in manifests and for compilers.
pub(super) fn core_name(core: Core) -> &'static str {
    match core {
        Core::CortexM7 => "cortex-m7",
        Core::CortexM55 => "cortex-m55",
    }
}

fn operator_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Conv2d(..) => "CONV_2D",
        Kind::DepthwiseConv2d(..) => "DEPTHWISE_CONV_2D",
        Kind::FullyConnected(..) => "FULLY_CONNECTED",
        Kind::AveragePool2d(..) => "AVERAGE_POOL_2D",
        Kind::MaxPool2d(..) => "MAX_POOL_2D",
        Kind::Mean { .. } => "MEAN",
        Kind::Pad(..) => "PAD",
        // The table does not say which activation it holds.
        Kind::Lookup { .. } => "ACTIVATION",
        Kind::Softmax(..) => "SOFTMAX",
        Kind::Add { .. } => "ADD",
        Kind::Multiply { .. } => "MUL",
        Kind::Upsample(..) => "RESIZE_NEAREST_NEIGHBOR",
        Kind::Reshape => "RESHAPE",
    }
}
