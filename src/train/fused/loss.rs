//! Losses with their gradients.

use burn_flex::FlexTensor;

use super::{
    Kernel, Node, apply,
    epilogue::Affine,
    samples_per_block,
    workspace::{Workspace, values},
};
use crate::train::kernels::{self, tiled};

/// The loss, and its gradient to the output with the epilogue applied.
pub fn loss(
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
    let terms = match node.kernel {
        Kernel::SquaredError => batch * len,
        _ => batch,
    };
    let factor = 1.0 / terms as f32;
    let none = tiled(&[0.0]);
    let step = samples_per_block(node, len, batch) * len;
    let blocks = values(x).chunks(step).zip(values(target).chunks(step));
    for ((x, target), gradient) in blocks.zip(gradient.chunks_mut(step)) {
        match (&node.kernel, affine) {
            (Kernel::SquaredError, Some(affine)) if affine.is_offset() => {
                kernels::squared_error(x, &affine.shift, target, 2.0 * factor, gradient, &mut sum);
            }
            (Kernel::SquaredError, _) => {
                let y = apply(affine, x, &mut workspace.input);
                kernels::squared_error(y, &none, target, 2.0 * factor, gradient, &mut sum);
            }
            _ => {
                let y = apply(affine, x, &mut workspace.input);
                sum += cross_entropy(y, target, len, factor, gradient);
            }
        }
    }
    (sum / terms as f64) as f32
}

/// Sum over samples of the cross-entropy of `softmax(logits)` to target probabilities, and `factor` times its gradient.
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
