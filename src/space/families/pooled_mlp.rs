//! A small dense classifier over pooled statistics.

use super::{
    AxisRule, DROPOUT, GROUPS_RULE, HOP_LENGTH, HORIZON, HORIZON_STRIDE, N_FFT, N_MELS,
    RANKING_RULE, STATISTICS_RULE, Values, whole,
};
use crate::graph::{Activation, Graph, GraphBuilder, Shape, Style};

/// The axes of a perceptron over pooled statistics.
pub const AXES: &[AxisRule] = &[
    N_MELS,
    N_FFT,
    HOP_LENGTH,
    HORIZON,
    HORIZON_STRIDE,
    GROUPS_RULE,
    STATISTICS_RULE,
    RANKING_RULE,
    // 0 leaves the layer out: a linear classifier.
    whole("hidden", 0, 1024),
    DROPOUT,
];

/// A perceptron over the statistics.
pub fn build(values: &Values<'_>, input: Shape, classes: usize) -> Graph {
    let hidden = Style {
        activation: Activation::Relu,
        batch_norm: false,
        dropout: values.real("dropout") as f32,
    };
    let mut net = GraphBuilder::new(input);
    let x = match values.count("hidden") {
        0 => 0,
        features => net.dense(0, features, hidden),
    };
    let x = net.dense(x, classes, Style::LINEAR);
    net.finish(x)
}
