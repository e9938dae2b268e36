//! A MobileNetV2-like classifier: inverted residuals with linear projections (Sandler et al., 2018).

use super::{
    AxisRule, FRAME_STRIDE, FRAMES, HOP_LENGTH, KERNEL, N_FFT, N_MELS, Values, multiple_of_8, whole,
};
use crate::graph::{Graph, GraphBuilder, Shape, Style, TensorId, Window};

/// The axes, in the order of genes.
pub const AXES: &[AxisRule] = &[
    N_MELS,
    N_FFT,
    HOP_LENGTH,
    FRAMES,
    FRAME_STRIDE,
    whole("stem", 8, 128),
    whole("width", 8, 128),
    whole("stages", 1, 5),
    whole("blocks", 1, 4),
    whole("expansion", 1, 8),
    KERNEL,
    whole("head", 0, 1280),
];

/// The network for these values; `input` is `frames x bands x 1`.
pub fn build(values: &Values<'_>, input: Shape, classes: usize) -> Graph {
    let (kernel, expansion) = (values.count("kernel"), values.count("expansion"));
    let mut net = GraphBuilder::new(input);
    let mut x = net.conv(
        0,
        values.count("stem"),
        Window::same(3, 2),
        Style::BATCH_NORM_RELU,
    );
    for stage in 0..values.count("stages") {
        let channels = multiple_of_8(values.real("width") * 1.5f64.powi(stage as i32));
        for block in 0..values.count("blocks") {
            let stride = if block == 0 { 2 } else { 1 };
            x = inverted_residual(
                &mut net,
                x,
                channels,
                expansion,
                Window::same(kernel, stride),
                Style::BATCH_NORM_RELU,
            );
        }
    }
    if values.count("head") > 0 {
        x = net.conv(
            x,
            values.count("head"),
            Window::same(1, 1),
            Style::BATCH_NORM_RELU,
        );
    }
    let x = net.global_average_pool(x);
    let x = net.dense(x, classes, Style::LINEAR);
    net.finish(x)
}

/// Expansion, depthwise convolution and linear projection; added to the input where the shapes are equal.
pub(super) fn inverted_residual(
    net: &mut GraphBuilder,
    input: TensorId,
    channels: usize,
    expansion: usize,
    window: Window,
    style: Style,
) -> TensorId {
    let mut x = input;
    if expansion > 1 {
        let expanded = net.shape(x).channels * expansion;
        x = net.conv(x, expanded, Window::same(1, 1), style);
    }
    x = net.depthwise(x, window, style);
    x = net.conv(x, channels, Window::same(1, 1), Style::BATCH_NORM);
    if net.shape(x) == net.shape(input) {
        net.add(input, x)
    } else {
        x
    }
}
