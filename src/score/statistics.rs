//! Quantiles and means, and the distribution of a mean.

/// The `q` quantile with linear interpolation, as numpy's default; `None` without values, for a `q` outside `[0, 1]`
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

/// The harmonic mean of non-negative values, 0 where one of them is 0; `None` without values.
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
    pub mean: f64,
    /// Half the width of the 95 % interval by Student's t distribution; `None` for a single value.
    pub half_width: Option<f64>,
}

/// `None` without values.
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

/// The quantile of Student's t distribution with `dof` degrees of freedom, for `p` from 0.5 to below 1; both finite.
pub(super) fn student_quantile(p: f64, dof: f64) -> f64 {
    // The distribution is monotonic: double until it is enclosed, then halve until nothing changes.
    let (mut low, mut high) = (0.0, 1.0);
    while student_cdf(high, dof) < p && high < 1e9 {
        (low, high) = (high, high * 2.0);
    }
    for _ in 0..200 {
        let middle = low + (high - low) / 2.0;
        if middle == low || middle == high {
            break;
        }
        match student_cdf(middle, dof) < p {
            true => low = middle,
            false => high = middle,
        }
    }
    high
}

/// Probability of a value up to `t >= 0`: Abramowitz and Stegun 26.7.1.
fn student_cdf(t: f64, dof: f64) -> f64 {
    1.0 - 0.5 * incomplete_beta(dof / (dof + t * t), dof / 2.0, 0.5)
}

/// The regularised incomplete beta function by Lentz's continued fraction (Numerical Recipes, 6.4).
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    let front = (a * x.ln() + b * (1.0 - x).ln() - ln_beta(a, b)).exp();
    // The fraction converges fast on this side of its mean only.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(x, a, b) / a
    } else {
        1.0 - front * beta_fraction(1.0 - x, b, a) / b
    }
}

fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guarded = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = guarded(1.0 - (a + b) * x / (a + 1.0)).recip();
    let mut fraction = d;
    for step in 1..=500 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = guarded(1.0 + even * d).recip();
        c = guarded(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = guarded(1.0 + odd * d).recip();
        c = guarded(1.0 + odd / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-16 {
            break;
        }
    }
    fraction
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// The logarithm of the gamma function for `x > 0`: Stirling's series, shifted to where it converges.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 16.0 {
        shift += x.ln();
        x += 1.0;
    }
    let y = (x * x).recip();
    let series =
        (1.0 / 12.0 - y * (1.0 / 360.0 - y * (1.0 / 1260.0 - y * (1.0 / 1680.0 - y / 1188.0)))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - shift
}
