//! Statistics that several modules need. This module knows no other module.

use libm::erfc;
use statrs::function::beta::beta_reg;

/// Kendall's tau-b of two figures of the same things: 1 where both rank them alike, -1 where they rank them the other way
/// round. Pairs that tie in one figure count half. `None` where lengths disagree or a figure is the same for all.
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

/// Two-sided 95 % of a normal distribution, in standard deviations.
pub const Z_95: f64 = 1.959_964;

/// The 95 % interval of Kendall's tau over so many things, `[low, high]`; `None` with fewer than five.
///
/// Source: Fieller, Hartley and Pearson 1957, Biometrika 44, 470-481: the inverse hyperbolic tangent of tau has a variance
/// of 0.437 / (n - 4).
pub fn kendall_interval(tau: f64, things: usize) -> Option<[f64; 2]> {
    let free = things.checked_sub(4).filter(|free| *free > 0)? as f64;
    let reach = Z_95 * (0.437 / free).sqrt();
    let at = |sign: f64| (tau.clamp(-1.0, 1.0).atanh() + sign * reach).tanh();
    Some([at(-1.0), at(1.0)])
}

/// The share of a normal distribution below `x` standard deviations, to 1.5e-7 (Abramowitz and Stegun 7.1.26).
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x / std::f64::consts::SQRT_2)
}

/// The quantile of the beta distribution with shapes `a` and `b`, both positive, for `p` from 0 to 1.
pub fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    // Halves until nothing changes.
    for _ in 0..200 {
        let middle = low + (high - low) / 2.0;
        if middle == low || middle == high {
            break;
        }
        match beta_reg(a, b, middle) < p {
            true => low = middle,
            false => high = middle,
        }
    }
    high
}

/// The quantile of Student's t distribution with `dof` degrees of freedom, for `p` from 0.5 to below 1; both finite.
pub fn student_quantile(p: f64, dof: f64) -> f64 {
    // Abramowitz and Stegun 26.7.1, for a value that is not negative.
    let below = |t: f64| 1.0 - 0.5 * beta_reg(dof / 2.0, 0.5, dof / (dof + t * t));
    // The distribution is monotonic: double until it is enclosed, then halve until nothing changes.
    let (mut low, mut high) = (0.0, 1.0);
    while below(high) < p && high < 1e9 {
        (low, high) = (high, high * 2.0);
    }
    for _ in 0..200 {
        let middle = low + (high - low) / 2.0;
        if middle == low || middle == high {
            break;
        }
        match below(middle) < p {
            true => low = middle,
            false => high = middle,
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_the_beta_distribution_are_those_of_scipy() {
        // Of scipy.stats.beta.ppf.
        for (p, a, b, expected) in [
            (0.025, 20.5, 180.5, 0.064_166_416_148_423_17),
            (0.975, 0.5, 30.5, 0.079_678_173_817_259_99),
            (0.5, 3.0, 1.0, 0.793_700_525_984_099_8),
        ] {
            let found = beta_quantile(p, a, b);
            assert!((found - expected).abs() < 1e-9, "{p} {a} {b}: {found}");
        }
    }

    #[test]
    fn tau_of_few_things_says_little() {
        assert_eq!(kendall_interval(0.5, 4), None);
        let rounded = |tau, things| {
            kendall_interval(tau, things).map(|ends| ends.map(|end| (100.0 * end).round() / 100.0))
        };
        // atanh(0.5) = 0.549, and 1.96 sqrt(0.437 / 36) = 0.216.
        assert_eq!(rounded(0.5, 40), Some([0.32, 0.64]));
        assert_eq!(rounded(1.0, 40), Some([1.0, 1.0]));
    }

    #[test]
    fn tails_of_the_normal_distribution_keep_their_digits() {
        // Of scipy.stats.norm.cdf.
        for (x, expected) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_542_9),
            (-1.0, 0.158_655_253_931_457_05),
            (-6.0, 9.865_876_450_376_946e-10),
            (-20.0, 2.753_624_118_606_233_7e-89),
        ] {
            let found = normal_cdf(x);
            assert!((found / expected - 1.0).abs() < 1e-12, "{x}: {found}");
        }
    }
}
