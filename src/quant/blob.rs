//! Writes a quantised model as the blob that `nas_kernels` reads.

use nas_kernels::{
    blob::{
        AddMultipliers, COMPANDING, Constants, DECISION, DISTANCE, Decision, FRONT_END,
        FRONT_END_BYTES, FrontEndRecord, HEADER_BYTES, Header, Kind, OP_BYTES, Op, Parts,
        SECTIONS_AT, STATISTICS, Section, TENSOR_BYTES, Tensor, Window, seal,
    },
    front_end::{Companding, Statistics},
};

use super::{
    QuantParams, QuantizedModel, QuantizedOp, curve,
    multiplier::{self, Multiplier, quantize_multiplier},
};
use crate::graph::{
    self, OpKind,
    memory::{MemoryPlan, plan},
};

/// The blob; [`nas_kernels::Model::parse`] accepts it if every accumulator fits 32 bits.
pub fn write(model: &QuantizedModel) -> Vec<u8> {
    if model.graph.is_dilated() {
        return write(&model.filled());
    }
    let graph = &model.graph;
    let MemoryPlan {
        offsets,
        arena_bytes,
    } = plan(graph);
    let (tensor_count, op_count) = (graph.tensors.len(), graph.ops.len());
    let ops_offset = HEADER_BYTES + tensor_count * TENSOR_BYTES;
    let constants_offset = ops_offset + op_count * OP_BYTES;

    let mut constants = Vec::new();
    let mut ops = Vec::with_capacity(op_count * OP_BYTES);
    for (op, weights) in graph.ops.iter().zip(&model.ops) {
        let placed = weights
            .as_ref()
            .map(|weights| write_constants(model, op, weights, constants_offset, &mut constants));
        let record = Op {
            kind: kind(model, op, placed, constants_offset, &mut constants),
            input: op.inputs[0] as u32,
            output: op.output as u32,
            clamp: multiplier::clamp(op.activation, model.tensors[op.output]),
        };
        ops.extend(record.to_bytes());
    }

    let header = Header {
        tensor_count: tensor_count as u32,
        op_count: op_count as u32,
        tensors_offset: HEADER_BYTES as u32,
        ops_offset: ops_offset as u32,
        arena_bytes: arena_bytes as u32,
        input: graph.input as u32,
        output: graph.output as u32,
        parts: Parts::Sections {
            offset: 0,
            count: 0,
        },
    };
    let mut blob = header.to_bytes().to_vec();
    for ((shape, params), offset) in graph.tensors.iter().zip(&model.tensors).zip(offsets) {
        let record = Tensor {
            offset: offset as u32,
            shape: [
                shape.height as u32,
                shape.width as u32,
                shape.channels as u32,
            ],
            scale: params.scale,
            zero_point: params.zero_point,
        };
        blob.extend(record.to_bytes());
    }
    blob.extend(ops);
    blob.extend(constants);
    seal(&mut blob);
    blob
}

/// The parts of a blob beside its network, which [`nas_kernels::Stream`] needs.
#[derive(Debug, Clone, Copy)]
pub struct Hearing<'h> {
    /// Its `tables_offset` is set when it is written.
    pub front_end: FrontEndRecord,
    /// The tables of the front end, then the gain and the offset of every band or statistic.
    pub floats: &'h [f32],
    /// The ends of the bins in the front end's tables.
    pub ends: &'h [u16],
    /// The statistics of frames that the network sees; `None` where it sees the frames.
    pub statistics: Option<Statistics>,
    /// What compresses the input; `None` where all its values count alike.
    pub companding: Option<Companding>,
    /// How outputs become a score and a decision.
    pub decision: Decision,
    /// The section with the points from which the score is a distance, as [`nas_kernels::score::Centres`] reads it.
    pub centres: Option<&'h [u8]>,
}

/// Adds sections to a network's blob, which lacks them.
pub fn append_front_end(blob: &mut Vec<u8>, hearing: &Hearing<'_>) {
    let front_end = FrontEndRecord {
        tables_offset: (next_section(blob) + FRONT_END_BYTES) as u32,
        ..hearing.front_end
    };
    let mut heard = front_end.to_bytes().to_vec();
    heard.extend(hearing.floats.iter().flat_map(|value| value.to_le_bytes()));
    heard.extend(hearing.ends.iter().flat_map(|end| end.to_le_bytes()));
    let statistics = hearing.statistics.map(|statistics| statistics.to_bytes());
    let companding = hearing.companding.map(|companding| companding.to_bytes());
    let decision = hearing.decision.to_bytes();
    let sections = [
        Some((FRONT_END, &heard[..])),
        statistics.as_ref().map(|bytes| (STATISTICS, &bytes[..])),
        companding.as_ref().map(|bytes| (COMPANDING, &bytes[..])),
        Some((DECISION, &decision[..])),
        hearing.centres.map(|bytes| (DISTANCE, bytes)),
    ];
    append_sections(blob, &sections.into_iter().flatten().collect::<Vec<_>>());
}

/// Where the first section that is appended to a blob begins.
fn next_section(blob: &[u8]) -> usize {
    blob.len().next_multiple_of(16)
}

/// Sections that every build must know, for a blob without any.
fn append_sections(blob: &mut Vec<u8>, sections: &[([u8; 4], &[u8])]) {
    let mut table = Vec::new();
    for (tag, content) in sections {
        blob.resize(next_section(blob), 0);
        let section = Section {
            tag: *tag,
            required: true,
            offset: blob.len() as u32,
            length: content.len() as u32,
        };
        table.extend(section.to_bytes());
        blob.extend(*content);
    }
    blob.resize(next_section(blob), 0);
    let place = [blob.len(), sections.len()].map(|number| (number as u32).to_le_bytes());
    blob[SECTIONS_AT..][..8].copy_from_slice(place.as_flattened());
    blob.extend(table);
    seal(blob);
}

fn kind(
    model: &QuantizedModel,
    op: &graph::Op,
    constants: Option<Constants>,
    start: usize,
    bytes: &mut Vec<u8>,
) -> Kind {
    let (input, output) = (model.tensors[op.inputs[0]], model.tensors[op.output]);
    let constants = || constants.expect("an operator with weights has constants");
    let window = |window: &graph::Window| Window {
        kernel: window.kernel.map(|length| length as u16),
        stride: window.stride.map(|length| length as u16),
        pad: window
            .pad_before(model.graph.op_input(op))
            .map(|length| length as u16),
    };
    match &op.kind {
        OpKind::Conv2d(sliding) => Kind::Conv2d(window(sliding), constants()),
        OpKind::DepthwiseConv2d(sliding) => Kind::DepthwiseConv2d(window(sliding), constants()),
        // Over several rows it is a convolution of pixels.
        OpKind::FullyConnected if model.graph.op_output(op).area() > 1 => {
            Kind::Conv2d(window(&graph::Window::same(1, 1)), constants())
        }
        OpKind::FullyConnected => Kind::FullyConnected(constants()),
        OpKind::AveragePool2d(sliding) => Kind::AveragePool2d(window(sliding)),
        OpKind::MaxPool2d(sliding) => Kind::MaxPool2d(window(sliding)),
        OpKind::Mean => {
            let Multiplier { multiplier, shift } =
                multiplier::mean(input, output, model.graph.op_input(op).area());
            Kind::Mean { multiplier, shift }
        }
        OpKind::Add => Kind::Add {
            input: op.inputs[1] as u32,
            scales: add_multipliers([input, model.tensors[op.inputs[1]]], output),
        },
        OpKind::Multiply => {
            let Multiplier { multiplier, shift } =
                multiplier::product(input, model.tensors[op.inputs[1]], output);
            Kind::Multiply {
                input: op.inputs[1] as u32,
                multiplier,
                shift,
            }
        }
        OpKind::Upsample(factor) => Kind::Upsample(factor.map(|factor| factor as u16)),
        OpKind::Pad { before, .. } => Kind::Pad(before.map(|length| length as u16)),
        OpKind::Lookup(function) => {
            let table = curve::table(*function, input, output);
            Kind::Lookup {
                table_offset: place(start, bytes, 1, table.map(|value| value as u8)),
            }
        }
        OpKind::Softmax => Kind::Softmax(multiplier::softmax(input)),
        OpKind::Reshape => Kind::Reshape,
        OpKind::Foreign(foreign) => unreachable!("nothing runs {}", foreign.name),
    }
}

/// Appends weights, folded biases, multipliers and shifts of one operator.
fn write_constants(
    model: &QuantizedModel,
    op: &graph::Op,
    quantized: &QuantizedOp,
    start: usize,
    bytes: &mut Vec<u8>,
) -> Constants {
    let (input, output) = (model.tensors[op.inputs[0]], model.tensors[op.output]);
    let per_channel = quantized.weight_scales.len() > 1;
    let scales: Vec<Multiplier> = quantized
        .weight_scales
        .iter()
        .map(|weight| {
            quantize_multiplier(real_multiplier(
                op.kind,
                input,
                *weight,
                output,
                per_channel,
            ))
        })
        .collect();
    let biases = folded_biases(op.kind, quantized, input.zero_point);
    Constants {
        weights_offset: place(
            start,
            bytes,
            16,
            quantized.weight.iter().map(|weight| *weight as u8),
        ),
        biases_offset: place(
            start,
            bytes,
            4,
            biases.iter().flat_map(|bias| bias.to_le_bytes()),
        ),
        multipliers_offset: place(
            start,
            bytes,
            4,
            scales
                .iter()
                .flat_map(|scale| scale.multiplier.to_le_bytes()),
        ),
        shifts_offset: place(
            start,
            bytes,
            1,
            scales.iter().map(|scale| scale.shift as i8 as u8),
        ),
        scale_count: scales.len() as u32,
    }
}

/// Appends data to the constants that begin at `start`; returns the data's place in the blob.
fn place(
    start: usize,
    bytes: &mut Vec<u8>,
    alignment: usize,
    data: impl IntoIterator<Item = u8>,
) -> u32 {
    let padded = (start + bytes.len()).next_multiple_of(alignment) - start;
    bytes.resize(padded, 0);
    bytes.extend(data);
    (start + padded) as u32
}

/// The multiplier from accumulator to output steps.
fn real_multiplier(
    kind: OpKind,
    input: QuantParams,
    weight: f32,
    output: QuantParams,
    per_channel: bool,
) -> f64 {
    let product = match kind {
        // TFLite multiplies the single scale of FULLY_CONNECTED in 32 bits and all others in 64
        // (`GetQuantizedConvolutionMultipler`, `PopulateConvolutionQuantizationParams`).
        OpKind::FullyConnected if !per_channel => f64::from(input.scale * weight),
        _ => f64::from(input.scale) * f64::from(weight),
    };
    product / f64::from(output.scale)
}

/// Biases with the input's zero point taken out of all products.
///
/// A bias that does not fit 32 bits becomes `i32::MAX`, and no such model is accepted.
fn folded_biases(kind: OpKind, quantized: &QuantizedOp, zero_point: i32) -> Vec<i32> {
    let channels = quantized.bias.len();
    let taps = quantized.weight.len() / channels;
    let mut sums = vec![0i64; channels];
    for (idx, weight) in quantized.weight.iter().enumerate() {
        let channel = match kind {
            OpKind::DepthwiseConv2d(_) => idx % channels,
            _ => idx / taps,
        };
        sums[channel] += i64::from(*weight);
    }
    let fold = |(bias, sum): (&i32, i64)| {
        let folded = i64::from(*bias) - i64::from(zero_point) * sum;
        i32::try_from(folded).unwrap_or(i32::MAX)
    };
    quantized.bias.iter().zip(sums).map(fold).collect()
}

/// Source: `CalculateOpDataAdd` in TFLM's `add_common.cc`.
fn add_multipliers(inputs: [QuantParams; 2], output: QuantParams) -> AddMultipliers {
    const LEFT_SHIFT: i32 = 20;
    let [left, right] = inputs.map(|input| f64::from(input.scale));
    let twice = 2.0 * left.max(right);
    let [left, right] = [left / twice, right / twice].map(quantize_multiplier);
    let output = f64::from(1 << LEFT_SHIFT) * f64::from(output.scale);
    let output = quantize_multiplier(twice / output);
    AddMultipliers {
        multipliers: [left.multiplier, right.multiplier],
        shifts: [left.shift, right.shift],
        output_multiplier: output.multiplier,
        output_shift: output.shift,
    }
}
