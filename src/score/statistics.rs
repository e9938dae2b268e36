//! Quantiles and means, and the distribution of a mean.

use crate::stats::student_quantile;

/// The `q` quantile with linear interpolation, as numpy's default. `None` without values, for a `q` outside `[0, 1]`
/// and where a value is not a number.
///
/// The quantile of the normal training scores is the threshold of a detector: 0.9 accepts one false alarm in ten.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    if values.is_empty() || !(0.0..=1.0).contains(&q) || values.iter().any(|v| v.is_nan()) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = q * (sorted.len() - 1) as f64;
    let below = sorted[position.floor() as usize];
    let above = sorted[position.ceil() as usize];
    if below == above {
        return Some(below);
    }
    Some(below + (above - below) * position.fract())
}

/// The harmonic mean of non-negative values; 0 where one of them is 0, `None` without values.
pub fn harmonic_mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let reciprocals: f64 = values.iter().map(|value| value.recip()).sum();
    Some(values.len() as f64 / reciprocals)
}

/// The mean of independent values, and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Arithmetic mean of the values.
    pub mean: f64,
    /// Half the width of the 95 % interval by Student's t distribution; `None` for a single value.
    pub half_width: Option<f64>,
}

/// The mean of the values with its 95 % interval; `None` without values.
pub fn interval(values: &[f64]) -> Option<Interval> {
    if values.is_empty() {
        return None;
    }
    let (count, mean) = (values.len() as f64, mean(values));
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let half_width =
        || student_quantile(0.975, count - 1.0) * (squares / (count - 1.0) / count).sqrt();
    Some(Interval {
        mean,
        half_width: (values.len() > 1).then(half_width),
    })
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
