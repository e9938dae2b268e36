//! Cycles of one operator on an Ethos-U55: the slowest of compute, SRAM and weight memory.
//!
//! After the micro-block formulas of Arm's Vela (`ethosu/vela/npu_performance.py`, Apache-2.0), without
//! its search for block sizes: one factor (`fill`) stands for what blocks cost at their borders.

use super::profile::Npu;
use crate::graph::{Graph, Op, OpKind, Shape, Window};

/// Cycles that each resource needs for one operator; they work at the same time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NpuCycles {
    pub compute: f64,
    pub sram: f64,
    pub flash: f64,
}

/// Kernels are cut into pieces of at most this height and width.
const SUB_KERNEL: usize = 8;

/// Input channels that the depth-first and the part-kernel traversal take at once.
const DEPTH_FIRST_CHANNELS: usize = 32;
const PART_KERNEL_CHANNELS: usize = 8;

/// Taps that the part-kernel and the depthwise traversal take at once.
const TAPS_AT_ONCE: usize = 4;

/// Cycles of one micro-block for one step of its traversal.
const UBLOCK_CYCLES: f64 = 4.0;

/// Bytes of bias and scale per output channel.
pub const CHANNEL_BYTES: usize = 10;

/// Whether Vela maps an operator to the NPU (its `SUPPORTED_OPS.md`).
pub fn supports(op: &Op) -> bool {
    let stride_fits = |window: &Window| window.stride.iter().all(|stride| (1..=3).contains(stride));
    match &op.kind {
        OpKind::Conv2d(window) | OpKind::DepthwiseConv2d(window) => {
            stride_fits(window) && window.kernel.iter().all(|&kernel| kernel <= 64)
        }
        OpKind::AveragePool2d(window) | OpKind::MaxPool2d(window) => {
            window.kernel.iter().all(|&kernel| kernel <= 256)
                && (stride_fits(window) || window.stride == window.kernel)
        }
        OpKind::Upsample([height, width]) => height == width && [2, 4, 8].contains(height),
        OpKind::FullyConnected
        | OpKind::Add
        | OpKind::Mean
        | OpKind::Pad { .. }
        | OpKind::Lookup(_)
        | OpKind::Softmax
        | OpKind::Reshape => true,
    }
}

/// Cycles of an operator that [`supports`] accepts; nothing for RESHAPE.
pub fn op_cycles(graph: &Graph, op: &Op, npu: &Npu) -> NpuCycles {
    let (input, output) = (graph.op_input(op), graph.op_output(op));
    let elements = output.len() as f64;
    let output_cycles = elements * npu.output_cycles();
    let (compute, traffic) = match op.kind {
        OpKind::Conv2d(window) => {
            let dpu = convolution(input, output, window.kernel, npu);
            (dpu.max(output_cycles), 2.4)
        }
        OpKind::FullyConnected => {
            let input = Shape::vector(input.len());
            let dpu = convolution(input, output, [1, 1], npu);
            (dpu.max(output_cycles), 1.2)
        }
        OpKind::DepthwiseConv2d(window) => {
            let dpu = depthwise(output, window.kernel, npu);
            (dpu.max(output_cycles), 1.2)
        }
        OpKind::AveragePool2d(window) | OpKind::MaxPool2d(window) => {
            let blocks = blocks_xy(output, 1, npu) * blocks_z(output, npu);
            let dpu = if output.area() == 1 {
                blocks * window.taps() as f64 * 6.0
            } else {
                blocks * (window.taps() as f64).max(UBLOCK_CYCLES)
            };
            (dpu.max(output_cycles), 1.2)
        }
        OpKind::Add => (elements * 3.0 * npu.output_cycles(), 1.5 * 1.2),
        OpKind::Mean => {
            let blocks = blocks_z(output, npu) * input.area() as f64;
            ((blocks * 6.0).max(output_cycles), 1.2)
        }
        OpKind::Pad { .. } | OpKind::Lookup(_) => (output_cycles, 1.2),
        // Of the 31 passes into which Vela takes SOFTMAX apart, six go over every element.
        OpKind::Softmax => (6.0 * elements * 3.0 * npu.output_cycles(), 6.0 * 1.2),
        OpKind::Upsample([factor, _]) => {
            // One pass per doubling; each writes four times what the one before wrote.
            let passes = factor.ilog2();
            let written: f64 = (0..passes)
                .map(|pass| elements / 4f64.powi(pass as i32))
                .sum();
            let steps = UBLOCK_CYCLES * npu.ublock_pixels_inverse();
            (written * npu.output_cycles().max(steps), 1.2)
        }
        OpKind::Reshape => (0.0, 0.0),
    };
    let fill = match op.kind {
        OpKind::Add => 1.0,
        _ => 1.08 * npu.cycles.value,
    };
    let weights = graph.op_weight_len(op);
    let channels = if weights > 0 { output.channels } else { 0 };
    // Biases of the last block are fetched before its output can start (10 B a channel in bursts of 256).
    let bias = (CHANNEL_BYTES * channels.min(128)) as f64 * npu.flash.read_latency.value / 256.0;
    let streamed = weights as f64 * npu.weight_encoding.value + (CHANNEL_BYTES * channels) as f64;
    let moved = traffic * (input.len() + output.len()) as f64;
    NpuCycles {
        compute: fill * compute + bias,
        sram: moved / npu.sram.bandwidth.value,
        flash: streamed / npu.flash.bandwidth.value,
    }
}

impl Npu {
    fn ublock(&self) -> [f64; 3] {
        match self.macs_per_cycle.value as usize {
            256 => [2.0, 2.0, 8.0],
            128 => [1.0, 2.0, 8.0],
            64 => [1.0, 1.0, 8.0],
            _ => [1.0, 1.0, 4.0],
        }
    }

    fn output_cycles(&self) -> f64 {
        64.0 / self.macs_per_cycle.value
    }

    /// The share of one micro-block that one output element takes.
    fn ublock_pixels_inverse(&self) -> f64 {
        1.0 / self.ublock().iter().product::<f64>()
    }

    /// Cycles to decode the weights of one step of one micro-block.
    fn weight_cycles(&self) -> f64 {
        DEPTH_FIRST_CHANNELS as f64 * self.ublock()[2] / 8.0
    }
}

/// A convolution in the traversal that uses the multipliers better.
fn convolution(input: Shape, output: Shape, kernel: [usize; 2], npu: &Npu) -> f64 {
    let taps = kernel[0] * kernel[1];
    let channels = input.channels as f64;
    let depth_first = channels / input.channels.next_multiple_of(DEPTH_FIRST_CHANNELS) as f64;
    let part_kernel = channels * taps as f64
        / (input.channels.next_multiple_of(PART_KERNEL_CHANNELS)
            * taps.next_multiple_of(TAPS_AT_ONCE)) as f64;
    let steps = if input.channels <= PART_KERNEL_CHANNELS || part_kernel > depth_first {
        sub_kernel_steps(kernel, TAPS_AT_ONCE) * input.channels.div_ceil(PART_KERNEL_CHANNELS)
    } else {
        taps * input.channels.div_ceil(DEPTH_FIRST_CHANNELS)
    };
    let blocks = UBLOCK_CYCLES * blocks_xy(output, kernel[0], npu);
    blocks.max(npu.weight_cycles()) * steps as f64 * blocks_z(output, npu)
}

fn depthwise(output: Shape, kernel: [usize; 2], npu: &Npu) -> f64 {
    let steps = sub_kernel_steps(kernel, TAPS_AT_ONCE);
    let blocks = UBLOCK_CYCLES * blocks_xy(output, kernel[0], npu);
    blocks.max(npu.weight_cycles()) * steps as f64 * blocks_z(output, npu)
}

/// Micro-blocks over height and width; a single row is computed four pixels wide where blocks are 2 x 2.
fn blocks_xy(output: Shape, kernel_height: usize, npu: &Npu) -> f64 {
    let (height, width) = (npu.ublock()[0] as usize, npu.ublock()[1] as usize);
    let is_row = output.height == 1 && output.width.is_multiple_of(2) && kernel_height == 1;
    let (height, width) = if height == 2 && is_row {
        (1, 4)
    } else {
        (height.max(1), width.max(1))
    };
    (output.height.div_ceil(height) * output.width.div_ceil(width)) as f64
}

fn blocks_z(output: Shape, npu: &Npu) -> f64 {
    output.channels.div_ceil((npu.ublock()[2] as usize).max(1)) as f64
}

/// Steps over all pieces of a kernel, `taps_at_once` of each piece at a time.
fn sub_kernel_steps(kernel: [usize; 2], taps_at_once: usize) -> usize {
    let pieces = |len: usize| {
        (0..len)
            .step_by(SUB_KERNEL)
            .map(move |at| SUB_KERNEL.min(len - at))
    };
    pieces(kernel[0])
        .flat_map(|height| pieces(kernel[1]).map(move |width| height * width))
        .map(|taps| taps.div_ceil(taps_at_once))
        .sum()
}
