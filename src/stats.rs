//! Statistics that several modules need. This module knows no other module.

/// Kendall's tau-b of two lists of figures for the same things.
///
/// It is 1 where both rank the things alike, and -1 where they rank them the other way round. A pair that ties in one
/// figure counts only for the other. `None` where the lengths differ, a figure is NaN, or all things have the same
/// figure.
pub fn kendall_tau(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() {
        return None;
    }
    let (mut agreement, mut distinct_a, mut distinct_b) = (0i64, 0u64, 0u64);
    for first in 0..a.len() {
        for second in first + 1..a.len() {
            let order_a = a[first].partial_cmp(&a[second])? as i64;
            let order_b = b[first].partial_cmp(&b[second])? as i64;
            agreement += order_a * order_b;
            distinct_a += order_a.unsigned_abs();
            distinct_b += order_b.unsigned_abs();
        }
    }
    let pairs = (distinct_a as f64 * distinct_b as f64).sqrt();
    (pairs > 0.0).then(|| agreement as f64 / pairs)
}

/// The share of a normal distribution below `x` standard deviations, to 1.5e-7 (Abramowitz and Stegun 7.1.26).
pub fn normal_cdf(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let coefficients = [
        0.254_829_592,
        -0.284_496_736,
        1.421_413_741,
        -1.453_152_027,
        1.061_405_429,
    ];
    let series = coefficients.iter().rev().fold(0.0, |sum, c| t * (c + sum));
    let tail = 0.5 * series * (-z * z).exp();
    if x >= 0.0 { 1.0 - tail } else { tail }
}
