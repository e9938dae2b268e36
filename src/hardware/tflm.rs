//! RAM of TensorFlow Lite Micro with CMSIS-NN on a core with DSP instructions (Cortex-M4, M7, M33).
//!
//! The arena holds planned activations, scratch buffers, and data that lives as long as the model. For models of one
//! convolution the sum is exact to the byte (5,946 of 5,947 records of MicroNAS), and for models of one ADD on two of
//! three boards. How the lasting data divides between model and operators was not measured, so for whole networks it
//! is an estimate.

use crate::graph::{Graph, Op, OpKind, memory};

/// Tensors and scratch buffers begin at multiples of this many bytes.
const ALIGNMENT: usize = 16;

/// Lasting bytes of a model, of each operator, and of each ADD: node, parameters and tensors.
///
/// Models of one convolution keep 612 bytes and those of one ADD 676. The model's part is estimated from the
/// structures of TFLite Micro.
const MODEL_BYTES: usize = 472;
const OP_BYTES: usize = 140;
const ADD_BYTES: usize = 204;

/// Multiplier and shift of one output channel; the arrays are rounded up to four channels.
const CHANNEL_BYTES: usize = 8;

/// Bytes of the arena of a model.
pub fn arena_bytes(graph: &Graph) -> usize {
    let kept = |op: &Op| match op.kind {
        OpKind::Conv2d(_) | OpKind::DepthwiseConv2d(_) => {
            OP_BYTES + CHANNEL_BYTES * graph.op_output(op).channels.next_multiple_of(4)
        }
        OpKind::Add => ADD_BYTES,
        _ => OP_BYTES,
    };
    planned_bytes(graph) + MODEL_BYTES + graph.ops.iter().map(kept).sum::<usize>()
}

/// Possible error of [`arena_bytes`]: none for one operator, half of an operator's lasting bytes for each further
/// one.
pub fn error_bytes(graph: &Graph) -> usize {
    OP_BYTES / 2 * graph.ops.len().saturating_sub(1)
}

/// One planned buffer: a tensor, or the scratch memory of an operator.
#[derive(Debug, Clone, Copy)]
struct Buffer {
    bytes: usize,
    first: usize,
    last: usize,
}

/// The greedy planner of TFLite Micro: the largest buffer first, each into the lowest gap that fits.
fn planned_bytes(graph: &Graph) -> usize {
    let lifetimes = memory::lifetimes(graph);
    let tensors = graph
        .tensors
        .iter()
        .zip(&lifetimes)
        .map(|(shape, life)| Buffer {
            bytes: shape.len().next_multiple_of(ALIGNMENT),
            first: life.first,
            last: life.last,
        });
    let scratch = graph.ops.iter().enumerate().map(|(op_idx, op)| Buffer {
        bytes: scratch_bytes(graph, op).next_multiple_of(ALIGNMENT),
        first: op_idx,
        last: op_idx,
    });
    let mut buffers: Vec<Buffer> = tensors.chain(scratch).filter(|b| b.bytes > 0).collect();
    buffers.sort_by_key(|buffer| std::cmp::Reverse(buffer.bytes));
    // Placed buffers by offset.
    let mut placed: Vec<(usize, Buffer)> = Vec::new();
    for buffer in buffers {
        let mut offset = 0;
        for (other_offset, other) in &placed {
            if other.last < buffer.first || buffer.last < other.first {
                continue;
            }
            if offset + buffer.bytes <= *other_offset {
                break;
            }
            offset = offset.max(other_offset + other.bytes);
        }
        let at = placed.partition_point(|(other_offset, _)| *other_offset <= offset);
        placed.insert(at, (offset, buffer));
    }
    let ends = placed.iter().map(|(offset, buffer)| offset + buffer.bytes);
    ends.max().unwrap_or(0)
}

/// Scratch memory of CMSIS-NN's kernels with DSP instructions.
///
/// Convolution: two columns of int16 for the matrix product, none for 1 x 1 with stride 1. Depthwise convolution: one
/// column, after `arm_depthwise_conv_s8_opt_get_buffer_size`.
fn scratch_bytes(graph: &Graph, op: &Op) -> usize {
    let channels = graph.op_input(op).channels;
    match op.kind {
        OpKind::Conv2d(window) if window.taps() == 1 && window.stride == [1, 1] => 0,
        OpKind::Conv2d(window) => 4 * window.taps() * channels,
        OpKind::DepthwiseConv2d(window) => 2 * window.taps() * channels,
        OpKind::AveragePool2d(_) => 4 * channels,
        _ => 0,
    }
}
