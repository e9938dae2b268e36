//! Suggests which networks to measure next.

use super::{Fit, Work};

/// One network that is worth measuring.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suggestion {
    /// Index into the candidates.
    pub idx: usize,
    /// Relative standard error of its prediction before it is measured; only the coefficients' errors count.
    pub standard_error: f64,
}

/// The `count` candidates whose measurement reduces the uncertainty of the coefficients most, best first.
///
/// Greedy D-optimal design: each step takes the candidate with the largest predictive variance `r' C r`, which
/// shrinks `det C` most. It then updates the covariance `C` (Sherman-Morrison) as if the candidate were measured. `r`
/// is the candidate's work over its predicted cycles, so all networks count alike.
pub fn next_to_measure(candidates: &[Work], fit: &Fit, count: usize) -> Vec<Suggestion> {
    let relative = |work: &Work| -> Vec<f64> {
        let cycles = fit.cycles(work).max(f64::MIN_POSITIVE);
        fit.groups
            .iter()
            .map(|group| group.amount(work) / cycles)
            .collect()
    };
    let rows: Vec<Vec<f64>> = candidates.iter().map(relative).collect();
    let row_error = residual_error(fit);
    let mut covariance = fit.inverse.clone();
    let mut chosen: Vec<Suggestion> = Vec::new();
    while chosen.len() < count.min(candidates.len()) {
        let variances = rows
            .iter()
            .enumerate()
            .filter(|(idx, _)| chosen.iter().all(|suggestion| suggestion.idx != *idx));
        let best = variances
            .map(|(idx, row)| (idx, quadratic(row, &covariance)))
            .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        let Some((idx, variance)) = best else {
            break;
        };
        chosen.push(Suggestion {
            idx,
            standard_error: row_error * variance.sqrt(),
        });
        update(&mut covariance, &rows[idx]);
    }
    chosen
}

/// Relative standard deviation of one measurement around the fit.
fn residual_error(fit: &Fit) -> f64 {
    let squares: f64 = fit
        .errors(|row| Some(row.predicted))
        .map(|error| error * error)
        .sum();
    (squares / (fit.rows.len() - fit.groups.len()) as f64).sqrt()
}

fn quadratic(row: &[f64], matrix: &[Vec<f64>]) -> f64 {
    let product = matrix.iter().map(|line| super::dot(line, row));
    row.iter().zip(product).map(|(a, b)| a * b).sum()
}

/// `C - C r r' C / (1 + r' C r)`.
fn update(covariance: &mut [Vec<f64>], row: &[f64]) {
    let product: Vec<f64> = covariance
        .iter()
        .map(|line| super::dot(line, row))
        .collect();
    let scale = 1.0 + super::dot(&product, row);
    for (line, a) in covariance.iter_mut().zip(&product) {
        for (value, b) in line.iter_mut().zip(&product) {
            *value -= a * b / scale;
        }
    }
}
