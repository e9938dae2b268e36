//! A convolutional autoencoder: strided depthwise-separable encoder, upsampling decoder.

use super::{
    AxisRule, FRAME_STRIDE, FRAMES, HOP_LENGTH, KERNEL, N_FFT, N_MELS, Values, multiple_of_8, real,
    whole,
};
use crate::graph::{Graph, GraphBuilder, Shape, Style, TensorId, Window};

/// The axes, in the order of genes.
pub const AXES: &[AxisRule] = &[
    N_MELS,
    N_FFT,
    HOP_LENGTH,
    FRAMES,
    FRAME_STRIDE,
    whole("stages", 1, 6),
    whole("channels", 8, 256),
    real("growth", 0.5, 4.0),
    KERNEL,
    whole("bottleneck", 1, 256),
];

/// The network for these values; `input` is `frames x bands x 1`.
pub fn build(values: &Values<'_>, input: Shape) -> Graph {
    // Each stage halves the image and the decoder doubles it again, so both sides must be divisible.
    let halvings = input
        .height
        .trailing_zeros()
        .min(input.width.trailing_zeros()) as usize;
    let stages = values.count("stages").min(halvings);
    let kernel = values.count("kernel");
    let (channels, growth) = (values.real("channels"), values.real("growth"));
    let channels: Vec<usize> = (0..stages)
        .map(|stage| multiple_of_8(channels * growth.powi(stage as i32)).min(256))
        .collect();

    let mut net = GraphBuilder::new(input);
    let mut x = 0;
    for (stage, &channels) in channels.iter().enumerate() {
        x = match stage {
            0 => net.conv(x, channels, Window::same(3, 2), Style::BATCH_NORM_RELU),
            _ => separable(&mut net, x, channels, Window::same(kernel, 2)),
        };
    }
    x = net.conv(
        x,
        values.count("bottleneck"),
        Window::same(1, 1),
        Style::BATCH_NORM_RELU,
    );
    for &channels in channels.iter().rev() {
        x = net.conv(x, channels, Window::same(1, 1), Style::BATCH_NORM_RELU);
        x = net.upsample(x, [2, 2]);
        x = net.depthwise(x, Window::same(kernel, 1), Style::BATCH_NORM_RELU);
    }
    let x = net.conv(x, 1, Window::same(1, 1), Style::LINEAR);
    net.finish(x)
}

/// A depthwise convolution and a 1x1 convolution, each with batch norm and ReLU.
pub fn separable(net: &mut GraphBuilder, x: TensorId, channels: usize, window: Window) -> TensorId {
    let x = net.depthwise(x, window, Style::BATCH_NORM_RELU);
    net.conv(x, channels, Window::same(1, 1), Style::BATCH_NORM_RELU)
}
