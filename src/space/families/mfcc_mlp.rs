//! A dense classifier over MFCC frames.

use super::{
    AxisRule, DROPOUT, FRAME_STRIDE, FRAMES, HOP_LENGTH, N_FFT, N_MELS, N_MFCC, Values, whole,
};
use crate::graph::{Activation, Graph, GraphBuilder, Shape, Style};

/// The axes, in the order of genes.
pub const AXES: &[AxisRule] = &[
    N_MELS,
    N_FFT,
    HOP_LENGTH,
    FRAMES,
    FRAME_STRIDE,
    N_MFCC,
    whole("hidden_1", 1, 1024),
    whole("hidden_2", 0, 1024),
    DROPOUT,
];

/// The network for these values; `input` is `frames x bands x 1`.
pub fn build(values: &Values<'_>, input: Shape, classes: usize) -> Graph {
    let hidden = Style {
        activation: Activation::Relu,
        batch_norm: false,
        dropout: values.real("dropout") as f32,
    };
    let mut net = GraphBuilder::new(input);
    let mut x = 0;
    for features in [values.count("hidden_1"), values.count("hidden_2")] {
        if features > 0 {
            x = net.dense(x, features, hidden);
        }
    }
    let x = net.dense(x, classes, Style::LINEAR);
    net.finish(x)
}
