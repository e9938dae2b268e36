//! From the scores of a clip's windows to the score of the clip.

use std::{fmt, str::FromStr};

use super::statistics::{mean, quantile};

/// How the scores of a clip's windows become the score of the clip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pooling {
    /// The DCASE baselines' choice.
    Mean,
    /// The score of the most anomalous window.
    Max,
    /// A quantile in `[0, 1]`, interpolated linearly; less nervous than the maximum.
    Quantile(f64),
    /// The mean of the highest share of the windows, in `(0, 1]`; at least one window.
    TopMean(f64),
}

/// A pooling that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` pools no windows; there are mean, max, q1 to q99 and top1 to top100")]
pub struct UnknownPooling(String);

impl FromStr for Pooling {
    type Err = UnknownPooling;

    fn from_str(text: &str) -> Result<Pooling, UnknownPooling> {
        let percent = |text: &str, most: u8| {
            let percent: Option<u8> = text.parse().ok();
            let percent = percent.filter(|percent| (1..=most).contains(percent));
            percent.map(|percent| f64::from(percent) / 100.0)
        };
        let pooling = match text {
            "mean" => Some(Pooling::Mean),
            "max" => Some(Pooling::Max),
            _ => match (text.strip_prefix("top"), text.strip_prefix('q')) {
                (Some(share), _) => percent(share, 100).map(Pooling::TopMean),
                (None, Some(q)) => percent(q, 99).map(Pooling::Quantile),
                (None, None) => None,
            },
        };
        pooling.ok_or_else(|| UnknownPooling(text.to_string()))
    }
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| (100.0 * share).round();
        match self {
            Pooling::Mean => f.write_str("mean"),
            Pooling::Max => f.write_str("max"),
            Pooling::Quantile(q) => write!(f, "q{}", percent(*q)),
            Pooling::TopMean(share) => write!(f, "top{}", percent(*share)),
        }
    }
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
