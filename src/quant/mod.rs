//! Post-training int8 quantisation: calibration, the quantised model, TFLite and blob files, and the host's
//! interpreter.
//!
//! Weights are symmetric, per output channel; those of FULLY_CONNECTED are per tensor, which every runtime and NPU
//! compiler accepts. Activations are asymmetric, per tensor. Biases are int32 in units of input scale times weight
//! scale.
//!
//! This module may not know training (burn) or audio.

mod blob;
mod calibration;
mod curve;
mod float;
mod interpreter;
mod multiplier;
mod tflite;

pub use blob::{Hearing, append_front_end};
pub use calibration::{Calibration, Ranges};
pub use float::{run_float, visit_tensors};
pub use interpreter::Interpreter;
pub use multiplier::{Multiplier, quantize_multiplier};
pub use nas_kernels::blob::BlobError;
pub use tflite::{Operator, Outline, ReadError, Unrun, npu_blob, operators, read_float};

use crate::graph::{Activation, Function, Graph, OpKind, OpWeights, TensorId, Weights};

/// Scale and zero point of an int8 tensor: `real = scale * (q - zero_point)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantParams {
    /// The real value of one step.
    pub scale: f32,
    /// The int8 value that stands for 0.0, -128 to 127.
    pub zero_point: i32,
}

/// int8 weights of one operator; layouts as in [`crate::graph::OpWeights`].
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedOp {
    /// Weights in steps of their scale.
    pub weight: Vec<i8>,
    /// One scale per output channel; a single one for FULLY_CONNECTED.
    pub weight_scales: Vec<f32>,
    /// One bias per output channel, in units of input scale times weight scale.
    pub bias: Vec<i32>,
}

/// A full-integer int8 network.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedModel {
    /// The network's structure.
    pub graph: Graph,
    /// Scale and zero point of each tensor of the graph.
    pub tensors: Vec<QuantParams>,
    /// Weights of each operator; `None` for operators without weights.
    pub ops: Vec<Option<QuantizedOp>>,
}

/// Why a network cannot be quantised.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantizeError {
    /// The list of calibration windows is empty.
    #[error("there are no calibration windows")]
    NoWindows,
    /// A calibration window is not as long as the network's input.
    #[error("calibration window {window} has {found} values, but the network takes {expected}")]
    WindowLength {
        /// Index of the window.
        window: usize,
        /// Number of its values.
        found: usize,
        /// Number of values of the network's input.
        expected: usize,
    },
    /// An operator has too few or too many weights or biases, or some that are not finite.
    #[error(
        "operator {op} has {found} weights and biases, but needs {expected}, all of them finite"
    )]
    Weights {
        /// Index of the operator.
        op: usize,
        /// Number of its weights and biases.
        found: usize,
        /// Number of weights and biases that it needs.
        expected: usize,
    },
    /// Calibration gives a tensor infinite values or NaN.
    #[error("tensor {tensor} has values that are not finite on the calibration windows")]
    NotFinite {
        /// The tensor.
        tensor: TensorId,
    },
    /// An operator has an activation that TFLite does not allow there.
    #[error(
        "operator {op} is a {kind:?} with activation {activation:?}, which TFLite does not have"
    )]
    Activation {
        /// Index of the operator.
        op: usize,
        /// What the operator does.
        kind: OpKind,
        /// The activation.
        activation: Activation,
    },
    /// The kernels refuse the quantised network.
    #[error("the quantised network does not run: {0}")]
    Blob(#[from] BlobError),
}

impl QuantParams {
    /// Parameters that cover `min..=max` and zero; `[0, max]` gets zero point -128.
    pub fn from_range(min: f32, max: f32) -> QuantParams {
        let (min, max) = (f64::from(min.min(0.0)), f64::from(max.max(0.0)));
        let scale = ((max - min) / 255.0).max(SMALLEST_STEP) as f32;
        let zero_point = (-128.0 - min / f64::from(scale)).round();
        QuantParams {
            scale,
            zero_point: zero_point.clamp(-128.0, 127.0) as i32,
        }
    }

    /// Rounds to the nearest int8, halves away from zero, and saturates.
    pub fn quantize(&self, real: f32) -> i8 {
        let q = (real / self.scale).round() as i32;
        q.saturating_add(self.zero_point).clamp(-128, 127) as i8
    }

    /// The real value of an int8 value.
    pub fn dequantize(&self, q: i8) -> f32 {
        self.scale * (i32::from(q) - self.zero_point) as f32
    }
}

impl QuantizedModel {
    /// Scale and zero point of the network's input.
    pub fn input(&self) -> QuantParams {
        self.tensors[self.graph.input]
    }

    /// Scale and zero point of the network's output.
    pub fn output(&self) -> QuantParams {
        self.tensors[self.graph.output]
    }

    /// Reads a full-integer `.tflite` file, from this project or another tool.
    ///
    /// # Errors
    /// [`ReadError`] where the file is damaged, or has something that is not supported.
    pub fn from_tflite(file: &[u8]) -> Result<QuantizedModel, ReadError> {
        tflite::read(file)
    }

    /// The model as a full-integer `.tflite` file.
    pub fn to_tflite(&self) -> Vec<u8> {
        tflite::write(self)
    }

    /// The model with zeros between the taps of dilated windows; it computes the same.
    fn filled(&self) -> QuantizedModel {
        let filled = self.graph.ops.iter().zip(&self.ops).map(|(op, weights)| {
            let weights = weights.as_ref()?;
            Some(QuantizedOp {
                weight: self.graph.fill(op, &weights.weight),
                ..weights.clone()
            })
        });
        QuantizedModel {
            graph: self.graph.filled(),
            tensors: self.tensors.clone(),
            ops: filled.collect(),
        }
    }

    /// The model as the blob that [`Interpreter`] and the firmware run.
    pub fn to_blob(&self) -> Vec<u8> {
        blob::write(self)
    }
}

/// Quantises a trained network with [`Ranges::DEFAULT`]; `windows` are representative standardised windows.
pub fn quantize(
    graph: &Graph,
    weights: &Weights,
    windows: &[&[f32]],
) -> Result<QuantizedModel, QuantizeError> {
    Ok(Calibration::observe(graph, weights, windows)?.model(Ranges::DEFAULT))
}

/// Quantises a network whose ranges are known, one per tensor.
pub fn quantize_within(
    graph: &Graph,
    weights: &Weights,
    ranges: &[[f32; 2]],
) -> Result<QuantizedModel, QuantizeError> {
    let finite = |range: &[f32; 2]| range.iter().all(|end| end.is_finite());
    if let Some(tensor) =
        (0..graph.tensors.len()).find(|&tensor| !ranges.get(tensor).is_some_and(finite))
    {
        return Err(QuantizeError::NotFinite { tensor });
    }
    check_weights(graph, weights)?;
    Ok(with_ranges(graph, weights, ranges))
}

/// The smallest scale of an activation: SOFTMAX counts in steps of 2^-26.
const SMALLEST_STEP: f64 = 1.0 / (1 << 25) as f64;
/// The output scale of SOFTMAX in every runtime.
const SOFTMAX_OUTPUT: QuantParams = QuantParams {
    scale: 1.0 / 256.0,
    zero_point: -128,
};
/// The output scale of TANH in every runtime.
const TANH_OUTPUT: QuantParams = QuantParams {
    scale: 1.0 / 128.0,
    zero_point: 0,
};
/// The smallest scale of weights: products of scales stay normal numbers.
const SMALLEST_SCALE: f64 = 1e-9;
/// A channel's scale is at least this share of the largest channel's; weights of a dead channel round to zero.
const SMALLEST_CHANNEL: f32 = 1.0 / 65536.0;
/// The output scales of ADD, MEAN and QUANTIZE are at least this share of their inputs', so multipliers stay small.
const SMALLEST_SUM: f32 = 1.0 / (1 << 18) as f32;
/// The output scale of MUL is at least this share of the product of its inputs': 16 bits are shifted left by at most 12.
const SMALLEST_PRODUCT: f32 = 1.0 / (1 << 12) as f32;
/// The largest bias: the accumulator keeps room for the products.
const LARGEST_BIAS: f64 = (1 << 29) as f64;

fn check(graph: &Graph, weights: &Weights, calibration: &[&[f32]]) -> Result<(), QuantizeError> {
    if calibration.is_empty() {
        return Err(QuantizeError::NoWindows);
    }
    let expected = graph.input_shape().len();
    for (window, values) in calibration.iter().enumerate() {
        if values.len() != expected {
            return Err(QuantizeError::WindowLength {
                window,
                found: values.len(),
                expected,
            });
        }
    }
    check_weights(graph, weights)
}

fn check_weights(graph: &Graph, weights: &Weights) -> Result<(), QuantizeError> {
    for (idx, op) in graph.ops.iter().enumerate() {
        let sizes = [graph.op_weight_len(op), graph.op_bias_len(op)];
        let held = weights.0.get(idx).and_then(Option::as_ref);
        let found = held.map_or([0, 0], |held| [held.weight.len(), held.bias.len()]);
        let finite = held.is_none_or(|held| {
            held.weight
                .iter()
                .chain(&held.bias)
                .all(|value| value.is_finite())
        });
        if sizes != found || !finite {
            return Err(QuantizeError::Weights {
                op: idx,
                found: found.iter().sum(),
                expected: sizes.iter().sum(),
            });
        }
        let moves = matches!(
            op.kind,
            OpKind::Upsample(_)
                | OpKind::Reshape
                | OpKind::Mean
                | OpKind::Pad { .. }
                | OpKind::Lookup(_)
                | OpKind::Softmax
        );
        if moves && op.activation != Activation::None {
            return Err(QuantizeError::Activation {
                op: idx,
                kind: op.kind,
                activation: op.activation,
            });
        }
    }
    Ok(())
}

/// The quantised network for these ranges, one per tensor.
fn with_ranges(graph: &Graph, weights: &Weights, ranges: &[[f32; 2]]) -> QuantizedModel {
    let mut tensors: Vec<QuantParams> = ranges
        .iter()
        .map(|[min, max]| QuantParams::from_range(*min, *max))
        .collect();
    let mut ops = Vec::with_capacity(graph.ops.len());
    for (op, weights) in graph.ops.iter().zip(&weights.0) {
        let input = tensors[op.inputs[0]];
        if keeps_scale(op.kind) {
            tensors[op.output] = input;
        }
        if let Some(fixed) = fixed_output(op.kind) {
            tensors[op.output] = fixed;
        }
        if matches!(op.kind, OpKind::Mean | OpKind::Lookup(_))
            && !keeps_scale(op.kind)
            && fixed_output(op.kind).is_none()
        {
            let output = &mut tensors[op.output];
            output.scale = output.scale.max(input.scale * SMALLEST_SUM);
        }
        if op.kind == OpKind::Add {
            let largest = tensors[op.inputs[0]].scale.max(tensors[op.inputs[1]].scale);
            let output = &mut tensors[op.output];
            output.scale = output.scale.max(largest * SMALLEST_SUM);
        }
        if op.kind == OpKind::Multiply {
            let product = input.scale * tensors[op.inputs[1]].scale;
            let output = &mut tensors[op.output];
            output.scale = output.scale.max(product * SMALLEST_PRODUCT);
        }
        let Some(weights) = weights else {
            ops.push(None);
            continue;
        };
        let (quantized, smallest_scale) = quantize_weights(graph, op, weights, input.scale);
        let output = &mut tensors[op.output];
        output.scale = output.scale.max(smallest_scale);
        ops.push(Some(quantized));
    }
    QuantizedModel {
        graph: graph.clone(),
        tensors,
        ops,
    }
}

/// The scale and the zero point that an operator's output always has, where TFLite fixes them.
fn fixed_output(kind: OpKind) -> Option<QuantParams> {
    match kind {
        OpKind::Softmax | OpKind::Lookup(Function::Logistic) => Some(SOFTMAX_OUTPUT),
        OpKind::Lookup(Function::Tanh) => Some(TANH_OUTPUT),
        _ => None,
    }
}

/// Whether input and output share scale and zero point; TFLite, Vela and CMSIS-NN demand it.
fn keeps_scale(kind: OpKind) -> bool {
    match kind {
        OpKind::AveragePool2d(_)
        | OpKind::MaxPool2d(_)
        | OpKind::Upsample(_)
        | OpKind::Pad { .. }
        | OpKind::Lookup(Function::Relu6)
        | OpKind::Reshape => true,
        OpKind::Conv2d(_)
        | OpKind::DepthwiseConv2d(_)
        | OpKind::FullyConnected
        | OpKind::Mean
        | OpKind::Lookup(_)
        | OpKind::Softmax
        | OpKind::Add
        | OpKind::Multiply
        | OpKind::Foreign(_) => false,
    }
}

/// int8 weights, and the smallest output scale with which no scaled accumulator overflows.
fn quantize_weights(
    graph: &Graph,
    op: &crate::graph::Op,
    weights: &OpWeights,
    input_scale: f32,
) -> (QuantizedOp, f32) {
    let channels = weights.bias.len();
    let taps = weights.weight.len() / channels;
    let channel_of = |idx: usize| match op.kind {
        OpKind::DepthwiseConv2d(_) => idx % channels,
        _ => idx / taps,
    };
    let mut largest = vec![0f32; channels];
    for (idx, weight) in weights.weight.iter().enumerate() {
        let channel = &mut largest[channel_of(idx)];
        *channel = channel.max(weight.abs());
    }
    let overall = largest.iter().copied().fold(0f32, f32::max);
    let floor = if overall > 0.0 {
        overall * SMALLEST_CHANNEL
    } else {
        1.0
    };
    let scale = |largest: f32, bias: f32| {
        let for_weights = f64::from(largest.max(floor)) / 127.0;
        let for_bias = f64::from(bias.abs()) / (f64::from(input_scale) * LARGEST_BIAS);
        for_weights.max(for_bias).max(SMALLEST_SCALE) as f32
    };
    let weight_scales: Vec<f32> = if op.kind == OpKind::FullyConnected {
        let largest_bias = weights.bias.iter().fold(0f32, |a, b| a.max(b.abs()));
        vec![scale(overall, largest_bias)]
    } else {
        largest
            .iter()
            .zip(&weights.bias)
            .map(|(l, b)| scale(*l, *b))
            .collect()
    };
    let scale_of =
        |channel: usize| weight_scales[if weight_scales.len() == 1 { 0 } else { channel }];
    let weight = weights.weight.iter().enumerate().map(|(idx, weight)| {
        (weight / scale_of(channel_of(idx)))
            .round()
            .clamp(-127.0, 127.0) as i8
    });
    let unit = |channel: usize| f64::from(input_scale) * f64::from(scale_of(channel));
    let bias = weights.bias.iter().enumerate().map(|(channel, bias)| {
        let q = (f64::from(*bias) / unit(channel)).round();
        q.clamp(-2.0 * LARGEST_BIAS, 2.0 * LARGEST_BIAS) as i32
    });
    // Every product is below 2^14; the folded bias adds as much again; a multiplier m shifts left by at most 2 m.
    let room = f64::from(i32::MAX) / 2.0;
    let products = graph.op_macs(op) as f64 / graph.op_output(op).len() as f64 * 32768.0;
    let smallest_scale = weights
        .bias
        .iter()
        .enumerate()
        .map(|(channel, bias)| (products * unit(channel) + f64::from(bias.abs())) / room);
    let smallest_scale = smallest_scale.fold(0.0, f64::max) as f32;
    let quantized = QuantizedOp {
        weight: weight.collect(),
        bias: bias.collect(),
        weight_scales,
    };
    (quantized, smallest_scale)
}
