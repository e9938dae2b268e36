//! A DS-CNN classifier: one convolution, then depthwise-separable blocks of one width (Zhang et al., 2017).

use super::{
    AxisRule, DROPOUT, FRAME_STRIDE, FRAMES, HOP_LENGTH, KERNEL, N_FFT, N_MELS, Values,
    conv_autoencoder::separable, whole,
};
use crate::graph::{Graph, GraphBuilder, Padding, Shape, Style, Window};

/// The axes, in the order of genes.
pub const AXES: &[AxisRule] = &[
    N_MELS,
    N_FFT,
    HOP_LENGTH,
    FRAMES,
    FRAME_STRIDE,
    whole("channels", 8, 276),
    whole("blocks", 1, 8),
    whole("stem_kernel_time", 1, 16),
    whole("stem_kernel_freq", 1, 16),
    // An NPU does not take larger strides.
    whole("stem_stride_freq", 1, 3),
    KERNEL,
    DROPOUT,
];

/// The network for these values; `input` is `frames x bands x 1`.
pub fn build(values: &Values<'_>, input: Shape, classes: usize) -> Graph {
    let channels = values.count("channels");
    let stem = Window {
        kernel: [
            values.count("stem_kernel_time"),
            values.count("stem_kernel_freq"),
        ],
        stride: [2, values.count("stem_stride_freq")],
        padding: Padding::Same,
        dilation: [1, 1],
    };
    let mut net = GraphBuilder::new(input);
    let dropout = values.real("dropout") as f32;
    let mut x = net.conv(
        0,
        channels,
        stem,
        Style {
            dropout,
            ..Style::BATCH_NORM_RELU
        },
    );
    for _ in 0..values.count("blocks") {
        x = separable(
            &mut net,
            x,
            channels,
            Window::same(values.count("kernel"), 1),
        );
    }
    let x = net.global_average_pool(x);
    let x = net.dense(x, classes, Style::LINEAR);
    net.finish(x)
}
