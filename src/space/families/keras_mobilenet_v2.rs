//! MobileNetV2 as Keras builds it (Sandler et al., 2018, table 2), with its width multiplier `alpha`.

use super::{
    AxisRule, FRAME_STRIDE, FRAMES, HOP_LENGTH, N_FFT, N_MELS, Values, mobilenet_v2, real,
};
use crate::graph::{Activation, Graph, GraphBuilder, Shape, Style, Window};

/// The axes, in the order of genes.
pub const AXES: &[AxisRule] = &[
    N_MELS,
    N_FFT,
    HOP_LENGTH,
    FRAMES,
    FRAME_STRIDE,
    real("alpha", 0.1, 2.0),
];

/// Expansion, channels, blocks and stride of the first block, for every stage.
const STAGES: [(usize, f64, usize, usize); 7] = [
    (1, 16.0, 1, 1),
    (6, 24.0, 2, 2),
    (6, 32.0, 3, 2),
    (6, 64.0, 4, 2),
    (6, 96.0, 3, 1),
    (6, 160.0, 3, 2),
    (6, 320.0, 1, 1),
];
const STEM: f64 = 32.0;
const HEAD: f64 = 1280.0;

const RELU6: Style = Style {
    activation: Activation::Relu6,
    ..Style::BATCH_NORM_RELU
};

/// The network for these values; `input` is `frames x bands x 1`.
pub fn build(values: &Values<'_>, input: Shape, classes: usize) -> Graph {
    let alpha = values.real("alpha");
    let mut net = GraphBuilder::new(input);
    let mut x = net.conv(0, divisible_by_8(STEM * alpha), Window::same(3, 2), RELU6);
    for (expansion, channels, blocks, stride) in STAGES {
        for block in 0..blocks {
            let window = Window::same(3, if block == 0 { stride } else { 1 });
            let channels = divisible_by_8(channels * alpha);
            x = mobilenet_v2::inverted_residual(&mut net, x, channels, expansion, window, RELU6);
        }
    }
    // Keras widens the head with alpha, but never makes it narrower.
    let head = divisible_by_8(HEAD * alpha.max(1.0));
    x = net.conv(x, head, Window::same(1, 1), RELU6);
    let x = net.global_average_pool(x);
    let x = net.dense(x, classes, Style::LINEAR);
    net.finish(x)
}

/// The nearest multiple of 8 that is at least nine tenths of `channels`, as Keras rounds.
fn divisible_by_8(channels: f64) -> usize {
    let rounded = (((channels + 4.0) / 8.0) as usize).max(1) * 8;
    match (rounded as f64) < 0.9 * channels {
        true => rounded + 8,
        false => rounded,
    }
}

#[cfg(test)]
mod tests {
    use crate::space::baselines;

    #[test]
    fn size_is_that_of_keras() {
        let spaces = baselines();
        let space = spaces
            .iter()
            .find(|space| space.name == "dcase-mobilenetv2");
        let graph = space.unwrap().decode(&[0; 6], 3).graph;
        // Keras' MobileNetV2(alpha=0.5, include_top=False) has 706,224 parameters with batch norm; here each of its
        // 52 batch norms of C channels (9,272 in all) is folded from 4 C into C biases, the stem reads one channel
        // instead of three (2 x 9 x 16 fewer weights), and the classifier has 1280 x 3 weights and 3 biases.
        let folded = 706_224 - 3 * 9_272 - 288 + 3843;
        assert_eq!(graph.params(), folded);
    }
}
