//! Folded weights, and their layouts: `[in, out]` while training, TFLite's `[out, in]` in graphs.

use super::fused::reciprocal_deviation;
use crate::graph::{Graph, Op, OpKind};

/// Folds a batch norm after an operator into the operator's weights and bias.
///
/// Output channels are the fastest dimension of `weight`. With `factor = scale / sqrt(variance + epsilon)` the
/// weights become `factor * weight`, and the bias becomes `factor * (bias - mean) + shift`.
pub fn fold_batch_norm(
    weight: &mut [f32],
    bias: &mut [f32],
    scale: &[f32],
    shift: &[f32],
    [mean, variance]: &[Vec<f32>; 2],
) {
    let factor = scale
        .iter()
        .zip(variance)
        .map(|(s, v)| s * reciprocal_deviation(*v));
    let factor: Vec<f32> = factor.collect();
    for row in weight.chunks_exact_mut(factor.len()) {
        for (weight, factor) in row.iter_mut().zip(&factor) {
            *weight *= factor;
        }
    }
    for (channel, bias) in bias.iter_mut().enumerate() {
        *bias = factor[channel] * (*bias - mean[channel]) + shift[channel];
    }
}

/// Rows and columns of an operator's weights; output channels are columns.
pub fn weight_shape(graph: &Graph, op: &Op) -> Option<[usize; 2]> {
    let len = graph.op_weight_len(op);
    let channels = graph.op_output(op).channels;
    (len > 0).then(|| [len / channels, channels])
}

/// Turns `[in, out]` into TFLite's `[out, in]`; depthwise weights are equal in both.
pub fn to_tflite(op: &Op, [rows, columns]: [usize; 2], weight: &[f32]) -> Vec<f32> {
    match op.kind {
        OpKind::DepthwiseConv2d(_) => weight.to_vec(),
        _ => transposed(weight, rows, columns),
    }
}

/// Turns TFLite's `[out, in]` into `[in, out]`; depthwise weights are equal in both.
pub fn from_tflite(op: &Op, [rows, columns]: [usize; 2], weight: &[f32]) -> Vec<f32> {
    match op.kind {
        OpKind::DepthwiseConv2d(_) => weight.to_vec(),
        _ => transposed(weight, columns, rows),
    }
}

fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let at = |idx| values[idx % rows * columns + idx / rows];
    (0..rows * columns).map(at).collect()
}
