//! A dense autoencoder with mirrored sides, after the DCASE Task 2 baseline.

use super::{
    AxisRule, FRAME_STRIDE, FRAMES, HOP_LENGTH, N_FFT, N_MELS, Values, multiple_of_8, real, whole,
};
use crate::graph::{Graph, GraphBuilder, Shape, Style};

/// The axes, in the order of genes.
pub const AXES: &[AxisRule] = &[
    N_MELS,
    N_FFT,
    HOP_LENGTH,
    FRAMES,
    FRAME_STRIDE,
    whole("depth", 1, 8),
    whole("width", 8, 1024),
    real("shrink", 0.25, 1.0),
    whole("bottleneck", 1, 256),
];

/// Axes that change nothing beside these values: a single layer has no other to be narrower than.
pub fn idle(values: &Values<'_>) -> Option<&'static str> {
    (values.count("depth") == 1).then_some("shrink")
}

/// The network for these values; `input` is `frames x bands x 1`.
pub fn build(values: &Values<'_>, input: Shape) -> Graph {
    let (width, shrink) = (values.real("width"), values.real("shrink"));
    let widths: Vec<usize> = (0..values.count("depth"))
        .map(|layer| multiple_of_8(width * shrink.powi(layer as i32)))
        .collect();
    // A bottleneck wider than its neighbours would not be one.
    let bottleneck = values.count("bottleneck").min(widths[widths.len() - 1]);

    let mut net = GraphBuilder::new(input);
    let mut x = 0;
    let inner = std::iter::once(&bottleneck);
    for &features in widths.iter().chain(inner).chain(widths.iter().rev()) {
        x = net.dense(x, features, Style::BATCH_NORM_RELU);
    }
    let x = net.dense(x, input.len(), Style::LINEAR);
    net.finish(x)
}
