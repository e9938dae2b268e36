//! From the scores of a clip's windows to the score of the clip.

use super::statistics::{mean, quantile};

/// How the scores of a clip's windows become the score of the clip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pooling {
    /// The DCASE baselines' choice.
    Mean,
    Max,
    /// A quantile in `[0, 1]`, interpolated linearly; less nervous than the maximum.
    Quantile(f64),
    /// The mean of the highest share of the windows, in `(0, 1]`; at least one window.
    TopMean(f64),
}

impl Pooling {
    /// The score of a clip; `None` without windows, not a number where one window's score is not.
    pub fn pool(self, windows: &[f64]) -> Option<f64> {
        if windows.is_empty() {
            return None;
        }
        if windows.iter().any(|score| score.is_nan()) {
            return Some(f64::NAN);
        }
        match self {
            Pooling::Mean => Some(mean(windows)),
            Pooling::Max => windows.iter().copied().max_by(f64::total_cmp),
            Pooling::Quantile(q) => quantile(windows, q),
            Pooling::TopMean(share) => {
                let count = (share * windows.len() as f64).ceil() as usize;
                let mut sorted = windows.to_vec();
                sorted.sort_by(|a, b| b.total_cmp(a));
                Some(mean(&sorted[..count.clamp(1, windows.len())]))
            }
        }
    }
}
