//! Losses with their gradients.

use burn_flex::FlexTensor;

use super::{
    Node, apply,
    epilogue::Affine,
    samples_per_block,
    workspace::{Workspace, values},
};
use crate::train::kernels::{self, tiled};

/// The loss that a network is trained with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// Mean squared error.
    SquaredError,
    /// Cross-entropy of the softmax of the output to target probabilities.
    CrossEntropy,
    /// The mean squared error of the first `kept` windows, plus `weight` times the amount by which the error of the
    /// others is below [`OUTLIER_ERROR`].
    Margin { kept: usize, weight: f32 },
}

/// The error of a network that always gives every band's mean; inputs are standardised.
pub const OUTLIER_ERROR: f32 = 1.0;

/// The loss, and its gradient to the output with the epilogue applied.
pub fn loss(
    kind: Loss,
    node: &Node,
    workspace: &mut Workspace,
    affine: Option<&Affine>,
    x: &FlexTensor,
    target: &FlexTensor,
    gradient: &mut [f32],
) -> f32 {
    let shape = x.layout().shape();
    let (batch, len) = (shape[0], shape[1]);
    let mut sum = 0.0;
    let terms = match kind {
        Loss::SquaredError => batch * len,
        Loss::CrossEntropy => batch,
        Loss::Margin { .. } => 1,
    };
    let factor = 1.0 / terms as f32;
    let none = tiled(&[0.0]);
    let step = samples_per_block(node, len, batch) * len;
    let blocks = values(x).chunks(step).zip(values(target).chunks(step));
    for (block, ((x, target), gradient)) in blocks.zip(gradient.chunks_mut(step)).enumerate() {
        match (kind, affine) {
            (Loss::SquaredError, Some(affine)) if affine.is_offset() => {
                kernels::squared_error(x, &affine.shift, target, 2.0 * factor, gradient, &mut sum);
            }
            (Loss::SquaredError, _) => {
                let y = apply(affine, x, &mut workspace.input);
                kernels::squared_error(y, &none, target, 2.0 * factor, gradient, &mut sum);
            }
            (Loss::CrossEntropy, _) => {
                let y = apply(affine, x, &mut workspace.input);
                sum += cross_entropy(y, target, len, factor, gradient);
            }
            (Loss::Margin { kept, weight }, _) => {
                let y = apply(affine, x, &mut workspace.input);
                let rows = y.chunks_exact(len).zip(target.chunks_exact(len));
                let rows = rows.zip(gradient.chunks_exact_mut(len));
                for (row, ((y, target), gradient)) in rows.enumerate() {
                    let is_kept = block * (step / len) + row < kept;
                    let share = match is_kept {
                        true => 1.0 / kept as f32,
                        false => weight / (batch - kept) as f32,
                    };
                    sum += f64::from(share * margin(y, target, is_kept, share, gradient));
                }
            }
        }
    }
    (sum / terms as f64) as f32
}

/// The mean squared error of one sample, or the amount by which it is below [`OUTLIER_ERROR`]; and `factor` times its
/// gradient.
fn margin(y: &[f32], target: &[f32], is_kept: bool, factor: f32, gradient: &mut [f32]) -> f32 {
    let none = tiled(&[0.0]);
    let mut sum = 0.0;
    let slope = 2.0 * factor / y.len() as f32;
    kernels::squared_error(y, &none, target, slope, gradient, &mut sum);
    let error = (sum / y.len() as f64) as f32;
    match is_kept {
        true => error,
        false if error < OUTLIER_ERROR => {
            gradient.iter_mut().for_each(|value| *value = -*value);
            OUTLIER_ERROR - error
        }
        false => {
            gradient.fill(0.0);
            0.0
        }
    }
}

/// Sum over samples of the cross-entropy of `softmax(logits)` to target probabilities, and `factor` times its
/// gradient.
fn cross_entropy(
    logits: &[f32],
    target: &[f32],
    classes: usize,
    factor: f32,
    gradient: &mut [f32],
) -> f64 {
    let samples = logits
        .chunks_exact(classes)
        .zip(target.chunks_exact(classes));
    let mut sum = 0.0;
    for ((logits, target), gradient) in samples.zip(gradient.chunks_exact_mut(classes)) {
        let log_sum = log_sum_exp(logits);
        for ((gradient, logit), target) in gradient.iter_mut().zip(logits).zip(target) {
            sum += f64::from(target * (log_sum - logit));
            *gradient = factor * ((logit - log_sum).exp() - target);
        }
    }
    sum
}

fn log_sum_exp(logits: &[f32]) -> f32 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    largest + sum.ln()
}
