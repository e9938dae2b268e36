//! Performance model of the Ethos-U55: cycles, SRAM and flash of a network as Arm's compiler Vela would map it.
//!
//! It follows the decisions of Vela 5.2's default core (Regor, Apache-2.0), which does not simulate the accelerator
//! either. `lower` turns operators into passes, `block` chooses the block of outputs that is computed at a time,
//! `cycles` counts the cost of a block, `staging` decides which weights are copied into SRAM before use, and
//! `encoding` gives the length of the weight stream. Each pass costs the slowest of compute, SRAM and weight memory.

mod block;
mod cycles;
mod encoding;
mod layer;
mod lower;
mod mapped;
mod staging;
mod stream;
mod system;

pub use encoding::Coding;

use super::profile::Npu;
use crate::graph::{Effort, Foreign, Graph, Op, OpKind, Padding, Shape, Window};
use encoding::Encoded;
use layer::SUB_KERNEL;
use lower::{Passes, Step, is_table};

pub use lower::LONGEST_DILATION;
use system::System;

/// Cycles that each resource needs for one operator; they work at the same time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct NpuCycles {
    /// Cycles of the multipliers and the output stage.
    pub compute: f64,
    /// Cycles of the SRAM port.
    pub sram: f64,
    /// Cycles of the weight memory, where that is not SRAM.
    pub flash: f64,
    /// The slowest of the three per pass, summed over the passes of the operator.
    pub total: f64,
}

/// What a network costs on the NPU.
#[derive(Debug, Clone, PartialEq)]
pub struct NpuPlan {
    /// One entry per operator of the graph; `None` for an operator on the CPU.
    pub ops: Vec<Option<NpuCycles>>,
    /// Peak of feature maps and staged weights, in bytes.
    pub sram_bytes: usize,
    /// Encoded weights, biases and tables, in bytes.
    pub constant_bytes: usize,
    /// Register commands and the file around them, in bytes.
    pub command_bytes: usize,
    /// Whether all of its weights were at hand; else the size of some is a guess.
    pub are_weights_known: bool,
}

/// Constants that Vela adds for one SOFTMAX: a table of exponentials and the coefficients of a division.
const SOFTMAX_BYTES: usize = 1184;

/// The share of reading these constants that adds to the total, from Vela's totals of U55-64 and -128.
const SOFTMAX_FLASH_SHARE: f64 = 0.25;

const SOFTMAX_PASSES: usize = 31;

/// Cycles of every further element, of which some are elementwise steps, and bytes of what lies between them: Vela's figures
/// of 12 to 1000 classes on U55-32 and -128, cycles within 6 %.
const SOFTMAX_CYCLES: f64 = 11.0;
const SOFTMAX_STEPS: f64 = 1.6;
const SOFTMAX_ELEMENT_BYTES: usize = 6;
const SOFTMAX_ROW_BYTES: usize = 288;

/// A table of a function of one int8 element.
const TABLE_BYTES: usize = 256;

/// The coding of the ones by which MEAN is a depthwise convolution: a palette of one value, a bit each.
const ONES: Coding = Coding {
    bits: 1.0,
    header_bits: 48.0,
};

/// Bytes of a compiled model besides constants: per pass, per slice of a pass, and of the file around them.
///
/// Fitted to the 538 files of `benches/vela.rs`, unsliced: 1280 + 103 per pass, half of them within 4 %.
const PASS_COMMANDS: usize = 63;
const SLICE_COMMANDS: usize = 40;
const STREAM_COMMANDS: usize = 1280;

/// Whether Vela 5.2 maps an operator to the NPU, as its answers to the grid of `tests/costs.rs` show it.
pub fn supports(graph: &Graph, op: &Op) -> bool {
    let input = graph.op_input(op);
    let output = graph.op_output(op);
    let is_near = |window: &Window| window.stride.iter().all(|&stride| stride <= LONGEST_STRIDE);
    // SAME may have nothing to pad.
    let is_padded = |window: &Window| {
        let needed = |axis: usize, of: usize| (of - 1) * window.stride[axis] + window.kernel[axis];
        window.padding == Padding::Same
            && (needed(0, output.height) > input.height || needed(1, output.width) > input.width)
    };
    let pools = |window: &Window| {
        window.kernel[0] <= TALLEST_POOL && (is_near(window) || !is_padded(window))
    };
    match &op.kind {
        OpKind::DepthwiseConv2d(window) => is_near(window),
        OpKind::MaxPool2d(window) => pools(window),
        OpKind::AveragePool2d(window) => {
            let is_small = window.kernel.iter().all(|&kernel| kernel <= SUB_KERNEL);
            pools(window) && (is_small || !is_padded(window))
        }
        OpKind::Upsample(factor) => {
            let lengths = [input.height, input.width];
            let doubles = |axis: usize| {
                [2, 4, 8].contains(&factor[axis]) || (lengths[axis], factor[axis]) == (1, 1)
            };
            let is_equal = factor[0] == factor[1] || lengths.contains(&1);
            lengths == [1, 1] || (doubles(0) && doubles(1) && is_equal)
        }
        OpKind::Mean => input.height.max(input.width) <= LONGEST_MEAN,
        OpKind::Conv2d(_)
        | OpKind::FullyConnected
        | OpKind::Add
        | OpKind::Multiply
        | OpKind::Pad { .. }
        | OpKind::Lookup(_)
        | OpKind::Softmax
        | OpKind::Reshape => true,
        OpKind::Foreign(Foreign { name, effort, .. }) => match effort {
            Effort::Unknown => ON_NPU.contains(name),
            Effort::Transposed(window) => window.stride.iter().all(|&stride| stride <= 2),
            _ => !ON_CPU.contains(name),
        },
    }
}

/// Whether it multiplies by ones.
fn is_mean(kind: OpKind) -> bool {
    matches!(
        kind,
        OpKind::Mean
            | OpKind::Foreign(Foreign {
                effort: Effort::Means(_),
                ..
            })
    )
}

/// Operators that Vela 5.2 leaves to the core though others of their kind are on the NPU, and the other way round.
const ON_CPU: [&str; 9] = [
    "ASSIGN_VARIABLE",
    "BATCH_TO_SPACE_ND",
    "CUSTOM",
    "DEPTH_TO_SPACE",
    "GATHER",
    "READ_VARIABLE",
    "SPACE_TO_BATCH_ND",
    "SPACE_TO_DEPTH",
    "SVDF",
];
const ON_NPU: [&str; 7] = [
    "ARG_MAX",
    "AVERAGE_POOL_2D",
    "MAX_POOL_2D",
    "REDUCE_MAX",
    "RESIZE_BILINEAR",
    "SOFTMAX",
    "SUM",
];

/// The longest step of a window that the NPU makes by itself.
const LONGEST_STRIDE: usize = 3;
/// The most rows of a pool.
const TALLEST_POOL: usize = 256;
/// The longest side of a MEAN.
const LONGEST_MEAN: usize = 4096;

/// Maps a network. `codings` has the coding of each operator's weights; without it weights count as random.
pub fn plan(graph: &Graph, npu: &Npu, codings: Option<&[Option<Coding>]>) -> NpuPlan {
    let system = System::of(npu);
    let mut passes = Passes::of(graph);
    let on_npu = |op| supports(graph, op).then(NpuCycles::default);
    let mut plan = NpuPlan {
        ops: graph.ops.iter().map(on_npu).collect(),
        sram_bytes: 0,
        constant_bytes: 0,
        command_bytes: STREAM_COMMANDS,
        are_weights_known: true,
    };
    let mut slack = None;
    for scheduled in &mut passes.list {
        let Step {
            op_idx,
            pass,
            repeats,
            sets,
        } = scheduled.step;
        let Some(pass) = pass else {
            if let OpKind::Foreign(foreign) = &graph.ops[op_idx].kind
                && let Some(sum) = &mut plan.ops[op_idx]
            {
                *sum = unmodelled(graph, &graph.ops[op_idx], foreign, npu, &system);
                plan.constant_bytes += foreign.constant_bytes;
                plan.command_bytes += PASS_COMMANDS;
            }
            if graph.ops[op_idx].kind == OpKind::Softmax {
                plan.ops[op_idx] = Some(softmax(graph.op_output(&graph.ops[op_idx]), &system));
                plan.constant_bytes += SOFTMAX_BYTES;
                plan.command_bytes += SOFTMAX_PASSES * PASS_COMMANDS;
                let output = graph.op_output(&graph.ops[op_idx]);
                scheduled.buffer.parts[0] =
                    SOFTMAX_ELEMENT_BYTES * output.len() + SOFTMAX_ROW_BYTES * output.area();
            }
            slack = Some(0);
            continue;
        };
        let Some(mapped) = mapped::map(&pass, &system) else {
            plan.ops[op_idx] = None;
            slack = Some(0);
            continue;
        };
        let coding = match codings.and_then(|codings| *codings.get(op_idx)?) {
            Some(coding) => coding,
            None if is_mean(graph.ops[op_idx].kind) => ONES,
            None => {
                plan.are_weights_known &= !pass.layer.has_weights();
                Coding {
                    bits: mapped.untrained.bits * npu.weight_encoding.value,
                    ..mapped.untrained
                }
            }
        };
        let encoded = Encoded::new(mapped.stored_per_channel, system.accelerator, coding);
        // The first run may wait for its weights; all others are alike.
        for times in [1, repeats - 1] {
            if times == 0 {
                break;
            }
            let is_repeated = repeats > sets;
            let cost = staging::cost(&pass, &mapped, &encoded, slack, is_repeated, &system);
            let storage = match &graph.ops[op_idx].kind {
                // A constant of more than one value is read anew for every element.
                OpKind::Foreign(foreign)
                    if foreign.constant_bytes > 1
                        && pass.layer.is_elementwise()
                        && system.staging =>
                {
                    let bytes = cycles::constant_bytes(&pass.layer, &mapped.block, &system);
                    system::cycles(bytes, system.storage.bandwidth)
                }
                _ => cost.storage,
            };
            if times == 1 {
                scheduled.buffer = cost.buffer;
                plan.constant_bytes += sets * cost.encoded;
            }
            slack = Some(cost.slack);
            plan.command_bytes += times * (PASS_COMMANDS + SLICE_COMMANDS * cost.slices);
            if let Some(sum) = &mut plan.ops[op_idx] {
                let times = times as f64;
                sum.compute += times * cost.compute as f64;
                sum.sram += times * cost.sram as f64;
                sum.flash += times * storage as f64;
                sum.total += times * cost.compute.max(cost.sram).max(storage) as f64;
            }
        }
    }
    for (op, cycles) in graph.ops.iter().zip(&plan.ops) {
        if cycles.is_none() {
            continue;
        }
        plan.constant_bytes += match op.kind {
            kind if is_table(kind) => TABLE_BYTES,
            OpKind::Foreign(Foreign {
                effort: Effort::Sums | Effort::Products | Effort::Comparisons,
                constant_bytes,
                ..
            }) => constant_bytes.next_multiple_of(16),
            // One pixel is spread by the addition of constant zeros.
            OpKind::Upsample(_) if graph.op_input(op).area() == 1 => graph.op_output(op).len(),
            _ => 0,
        };
    }
    plan.sram_bytes = passes.peak_bytes();
    plan
}

/// Cycles of an operator on the NPU whose passes are not modelled: by its multiply-accumulates or its elements alone.
fn unmodelled(graph: &Graph, op: &Op, foreign: &Foreign, npu: &Npu, system: &System) -> NpuCycles {
    let elements = graph.op_input(op).len().max(graph.op_output(op).len()) as f64;
    let compute = match foreign.effort {
        // A product of two tensors is a product and a sum of elements.
        Effort::Macs(macs) if foreign.constant_bytes == 0 => macs as f64 * CYCLES_PER_STEP,
        Effort::Macs(macs) => macs as f64 / (MACS_USED * npu.macs_per_cycle.value),
        Effort::None => 0.0,
        Effort::Shuffles => elements * CYCLES_PER_SHUFFLE,
        _ => elements * CYCLES_PER_STEP,
    };
    let flash = match system.staging {
        true => foreign.constant_bytes as f64 / system.storage.bandwidth,
        false => 0.0,
    };
    NpuCycles {
        compute,
        sram: 0.0,
        flash,
        total: compute.max(flash),
    }
}

/// The share of multipliers that work, and cycles of an element, where passes are not modelled: the middle of what Vela 5.2
/// says of the networks in `tests/foreign.rs`, which spread by a factor of two.
const MACS_USED: f64 = 0.5;
const CYCLES_PER_SHUFFLE: f64 = 0.6;
const CYCLES_PER_STEP: f64 = 1.5;

/// How densely real weights are coded; one entry per operator, `None` where it has no weights on the NPU.
///
/// `weights` are int8 in TFLite's layout, one entry per operator.
pub fn codings(graph: &Graph, weights: &[Option<&[i8]>], npu: &Npu) -> Vec<Option<Coding>> {
    let accelerator = System::of(npu).accelerator;
    let mut codings = vec![None; graph.ops.len()];
    for scheduled in Passes::of(graph).list {
        let Step { op_idx, pass, .. } = scheduled.step;
        let weights = weights.get(op_idx).copied().flatten();
        if let (Some(pass), Some(weights)) = (pass.filter(|pass| pass.layer.has_weights()), weights)
        {
            codings[op_idx] = block::find(&pass.layer, accelerator)
                .map(|block| stream::coding(&pass.layer, &block, weights, accelerator));
        }
    }
    codings
}

/// SOFTMAX becomes some thirty passes, most of them over a single value per pixel.
///
/// They are not modelled one by one: Vela's figure for 12 classes, and and [`SOFTMAX_CYCLES`] and [`SOFTMAX_STEPS`] for every further element. Many rows of few classes cost
/// up to five times as much, by the padding of channels, which is not modelled.
fn softmax(output: Shape, system: &System) -> NpuCycles {
    let accelerator = system.accelerator;
    let more = output.len().saturating_sub(12) as f64;
    let step = accelerator.add_millicycles as f64 / 1000.0;
    let further = more * (SOFTMAX_CYCLES + SOFTMAX_STEPS * step);
    let compute = accelerator.softmax_cycles as f64 + further;
    let flash = match system.staging {
        true => SOFTMAX_BYTES as f64 / system.storage.bandwidth,
        false => 0.0,
    };
    NpuCycles {
        compute,
        sram: 36.0 * output.len() as f64 / system.sram.bandwidth,
        flash,
        total: compute + SOFTMAX_FLASH_SHARE * flash,
    }
}
