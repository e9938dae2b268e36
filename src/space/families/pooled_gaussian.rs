//! A Gaussian, or a few points in its metric, over pooled statistics, after TWFR-GMM (Guan et al., 2023, arXiv
//! 2305.03328): fitted in closed form, deployed as one layer that whitens.

use super::{
    AxisRule, GROUPS_RULE, HOP_LENGTH, HORIZON, HORIZON_STRIDE, N_FFT, N_MELS, RANKING_RULE,
    STATISTICS_RULE, Values, category, whole,
};
use crate::{
    graph::{Graph, GraphBuilder, Shape, Style, Window},
    space::{Covariance, Fit},
};

/// The axes of a pooled Gaussian.
pub const AXES: &[AxisRule] = &[
    N_MELS,
    N_FFT,
    HOP_LENGTH,
    HORIZON,
    HORIZON_STRIDE,
    GROUPS_RULE,
    STATISTICS_RULE,
    RANKING_RULE,
    // A place in [`Covariance::ALL`].
    category("covariance", 0, Covariance::ALL.len() as u32 - 1),
    // 1: one covariance for all sections, with a mean each.
    whole("shared", 0, 1),
    // 1: every statistic has unit variance before the covariance is shrunk.
    whole("standardised", 0, 1),
    // Points that normal sound of a section lies near; 1 is its mean.
    whole("points", 1, 64),
    // 1: a mean for each domain that clips are known to be of.
    whole("per_domain", 0, 1),
];

/// Axes that change nothing beside these values.
pub fn idle(values: &Values<'_>) -> Vec<&'static str> {
    let is_bank = values.count("points") > 1;
    let is_diagonal = values.count("covariance") == Covariance::Diagonal as usize;
    let idle = [
        ("shared", is_bank),
        ("per_domain", is_bank),
        ("standardised", is_diagonal),
    ];
    let is_idle = |(name, is_idle): (&'static str, bool)| is_idle.then_some(name);
    idle.into_iter().filter_map(is_idle).collect()
}

/// The fit that a genome's values stand for.
pub fn fit(values: &Values<'_>, classes: usize) -> Fit {
    let covariance = Covariance::ALL[values.count("covariance")];
    let points = values.count("points");
    Fit {
        covariance,
        // Points are found in one metric, and of a single section there is only one.
        shared: classes < 2 || points > 1 || values.count("shared") == 1,
        // Nothing is shrunk.
        standardised: covariance == Covariance::Diagonal || values.count("standardised") == 1,
        points,
        per_domain: points == 1 && values.count("per_domain") == 1,
        sections: classes.max(1),
    }
}

/// A network of one whitening layer over the statistics.
pub fn build(values: &Values<'_>, input: Shape, classes: usize) -> Graph {
    let how = fit(values, classes);
    let mut net = GraphBuilder::new(input);
    let whitened = match (how.covariance, how.blocks()) {
        (Covariance::Diagonal, 1) => {
            let vector = net.reshape(0, Shape::vector(input.len()));
            net.depthwise(vector, Window::same(1, 1), Style::LINEAR)
        }
        (_, blocks) => net.dense(0, blocks * input.len(), Style::LINEAR),
    };
    net.finish(whitened)
}
