//! `manifest.json`: all that a program needs to know of a bundle.

use std::collections::BTreeMap;

use nas_kernels::blob::Kind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BundleError, Parts, boards, golden, judge, vela::VelaView};
use crate::{
    hardware::Core,
    quant::{Interpreter, QuantParams},
    report::json::{CostsView, Document, FrontEndView, MeasurementView},
};

/// The version of the manifest's form.
pub const SCHEMA_VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Manifest {
    pub schema_version: u32,
    /// Version of the program that exported.
    pub nas_version: String,
    /// `RUN/TRIAL`.
    pub model: String,
    pub data: String,
    /// Trained on sound of the built-in generator.
    pub synthetic: bool,
    /// `reconstruct` or `classify`.
    pub task: String,
    /// Machine and section of every output of a classifier.
    pub classes: Vec<[String; 2]>,
    pub target: String,
    /// `cortex-m7` or `cortex-m55`.
    pub core: String,
    /// Boards with a linker script.
    pub boards: Vec<String>,
    pub input: TensorView,
    pub output: TensorView,
    pub front_end: InputFeatures,
    /// A score above it is anomalous.
    pub threshold: Option<f64>,
    pub arena_bytes: usize,
    pub model_bytes: usize,
    /// How often the network uses each operator, by TFLite's names.
    pub operators: BTreeMap<&'static str, usize>,
    pub golden: Golden,
    /// Estimated for the target; every number says so.
    pub costs: Option<CostsView>,
    /// Where Vela compiled the network for an NPU, which nothing here executes.
    pub vela: Option<VelaView>,
    /// Seen in an emulator or on a board.
    pub measurements: Vec<MeasurementView>,
    /// SHA-256 of every other file.
    pub files: BTreeMap<String, String>,
}

/// An int8 tensor: `real = scale * (q - zero_point)`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TensorView {
    /// Height, width, channels.
    pub shape: [u32; 3],
    pub scale: f32,
    pub zero_point: i32,
}

/// From sound to the network's input.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct InputFeatures {
    #[serde(flatten)]
    pub front_end: FrontEndView,
    /// Per band, dB: the network sees `(feature - mean) / std`.
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
}

/// The golden vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Golden {
    pub inputs: String,
    pub outputs: String,
    pub count: usize,
    pub input_bytes: usize,
    pub output_bytes: usize,
    /// FNV-1a, 64 bits, of all outputs, hexadecimal: what the firmware prints.
    pub outputs_hash: String,
    pub clips: Vec<GoldenClip>,
}

/// A sound clip and what the device makes of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GoldenClip {
    pub file: String,
    /// `normal` or `anomaly`.
    pub label: String,
    /// After the last hop.
    pub score: Option<f32>,
    pub anomaly: Option<bool>,
}

impl Document for Manifest {
    const NAME: &'static str = "manifest";
}

impl Manifest {
    pub fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("a manifest has text keys");
        text.push(b'\n');
        text
    }
}

/// The manifest of a bundle whose other files have these hashes.
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

/// The name that manifests and compilers give a core.
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
        // One table is as good as another: which activation it holds is not recorded.
        Kind::Lookup { .. } => "ACTIVATION",
        Kind::Softmax(..) => "SOFTMAX",
        Kind::Add { .. } => "ADD",
        Kind::Upsample(..) => "RESIZE_NEAREST_NEIGHBOR",
        Kind::Reshape => "RESHAPE",
    }
}
