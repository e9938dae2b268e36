//! The gamma distribution with a location, fitted by maximum likelihood.

use statrs::function::gamma::{digamma, gamma_lr, ln_gamma};

/// `x - location` is gamma distributed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gamma {
    /// Shape parameter, above 0.
    pub shape: f64,
    /// Lower end of the distribution, in the unit of the values.
    pub location: f64,
    /// Scale parameter, above 0, in the unit of the values.
    pub scale: f64,
}

/// How far below the smallest value the location is searched, in standard deviations.
///
/// Nearer, the likelihood grows without bounds; farther, the distribution is practically a normal one.
const DISTANCES: [f64; 2] = [1e-3, 1e3];
/// A shape below 1 has its largest density at the location, and the fit would move that to the smallest value.
const LEAST_SHAPE: f64 = 1.0;

impl Gamma {
    /// The most likely distribution of at least three finite values that are not all equal, otherwise `None`.
    ///
    /// For a given location, one equation gives the best shape and scale. The likelihood is therefore searched along
    /// the location alone: on a grid, then by golden sections. `scipy.stats.gamma.fit` starts from the moments,
    /// descends in all three and stops at 1e-4.
    pub fn fit(values: &[f64]) -> Option<Gamma> {
        let count = values.len() as f64;
        let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let mean = values.iter().sum::<f64>() / count;
        let variance = values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>()
            / count;
        let deviation = variance.sqrt();
        if values.len() < 3 || !(deviation > 1e-12 * mean.abs() && deviation.is_finite()) {
            return None;
        }
        let at =
            |log_distance: f64| with_location(values, smallest - deviation * log_distance.exp());
        const STEPS: usize = 60;
        let [low, high] = DISTANCES.map(f64::ln);
        let step = (high - low) / STEPS as f64;
        let likelihood = |log_distance: f64| at(log_distance).map_or(f64::NEG_INFINITY, |(_, l)| l);
        let best = (0..=STEPS)
            .map(|idx| low + step * idx as f64)
            .max_by(|a, b| likelihood(*a).total_cmp(&likelihood(*b)))?;
        let (mut left, mut right) = ((best - step).max(low), (best + step).min(high));
        const SECTION: f64 = 0.618_033_988_749_894_8;
        while right - left > 1e-7 {
            let (a, b) = (
                right - SECTION * (right - left),
                left + SECTION * (right - left),
            );
            if likelihood(a) >= likelihood(b) {
                right = b;
            } else {
                left = a;
            }
        }
        at((left + right) / 2.0)
            .or_else(|| at(best))
            .map(|(gamma, _)| gamma)
    }

    /// The value that a share `q` in `(0, 1)` of the distribution lies below.
    pub fn quantile(&self, q: f64) -> f64 {
        // The interval doubles until it holds the value, then halves: a double has fewer bits than 200 steps.
        let (mut low, mut high) = (0.0, self.shape + 1.0);
        while lower_incomplete(self.shape, high) < q && high < 1e300 {
            high *= 2.0;
        }
        for _ in 0..200 {
            let middle = (low + high) / 2.0;
            if lower_incomplete(self.shape, middle) < q {
                low = middle;
            } else {
                high = middle;
            }
        }
        self.location + self.scale * (low + high) / 2.0
    }
}

/// The most likely shape and scale for a location below all values, and the mean log-likelihood.
fn with_location(values: &[f64], location: f64) -> Option<(Gamma, f64)> {
    let count = values.len() as f64;
    let mean = values.iter().map(|value| value - location).sum::<f64>() / count;
    let mean_log = values
        .iter()
        .map(|value| (value - location).ln())
        .sum::<f64>()
        / count;
    let excess = mean.ln() - mean_log;
    if !(excess > 0.0 && excess.is_finite()) {
        return None;
    }
    // ln(shape) - digamma(shape) = excess, whose left side falls from infinity to 0 (Minka 2002 starts likewise).
    let mut shape =
        (3.0 - excess + ((excess - 3.0).powi(2) + 24.0 * excess).sqrt()) / (12.0 * excess);
    for _ in 0..50 {
        let error = shape.ln() - digamma(shape) - excess;
        let slope = 1.0 / shape - trigamma(shape);
        let next = (shape - error / slope).max(shape / 2.0);
        let done = (next / shape - 1.0).abs() < 1e-13;
        shape = next;
        if done {
            break;
        }
    }
    if shape < LEAST_SHAPE {
        return None;
    }
    let scale = mean / shape;
    let likelihood = (shape - 1.0) * mean_log - shape - shape * scale.ln() - ln_gamma(shape);
    let gamma = Gamma {
        shape,
        location,
        scale,
    };
    likelihood.is_finite().then_some((gamma, likelihood))
}

/// The derivative of digamma, by its asymptotic series after a shift upwards (Abramowitz and Stegun 6.4.12).
fn trigamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 10.0 {
        shift += 1.0 / (x * x);
        x += 1.0;
    }
    let x2 = x * x;
    let series = (1.0 / 6.0 - (1.0 / 30.0 - (1.0 / 42.0 - 1.0 / (30.0 * x2)) / x2) / x2) / (x * x2);
    1.0 / x + 0.5 / x2 + series + shift
}

/// The share of a gamma distribution of scale 1 below `x`.
fn lower_incomplete(shape: f64, x: f64) -> f64 {
    match x > 0.0 {
        true => gamma_lr(shape, x),
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Golden {
        fits: Vec<Fit>,
        quantiles: Vec<Quantile>,
    }

    #[derive(Deserialize)]
    struct Fit {
        name: String,
        values: Vec<f64>,
        shape: f64,
        log_likelihood: f64,
        q90: f64,
    }

    #[derive(Deserialize)]
    struct Quantile {
        shape: f64,
        q: f64,
        value: f64,
    }

    fn golden() -> Golden {
        serde_json::from_str(include_str!("../../tests/golden/scipy_gamma.json")).unwrap()
    }

    #[test]
    fn quantiles_are_those_of_scipy() {
        for Quantile { shape, q, value } in golden().quantiles {
            let gamma = Gamma {
                shape,
                location: 0.0,
                scale: 1.0,
            };
            let error = (gamma.quantile(q) / value - 1.0).abs();
            // Powers of the shape lose up to 1e7 * 1e-16 of the probability, and the value loses as much.
            assert!(error < 1e-9, "shape {shape}, q {q}: {error:e}");
        }
    }

    #[test]
    fn fits_are_as_likely_as_those_of_scipy() {
        for case in golden().fits {
            let gamma = Gamma::fit(&case.values).unwrap();
            let log_density = |value: &f64| {
                let x = (value - gamma.location) / gamma.scale;
                (gamma.shape - 1.0) * x.ln() - x - ln_gamma(gamma.shape) - gamma.scale.ln()
            };
            let likelihood: f64 = case.values.iter().map(log_density).sum();
            let mean = case.values.iter().sum::<f64>() / case.values.len() as f64;
            let deviation = case.values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
            let deviation = (deviation / case.values.len() as f64).sqrt();
            let difference = (gamma.quantile(0.9) - case.q90).abs() / deviation;
            println!(
                "{}: {gamma:?} {} {difference}",
                case.name,
                likelihood - case.log_likelihood
            );
            if case.shape >= LEAST_SHAPE {
                let gain = likelihood - case.log_likelihood;
                assert!(gain > -1e-4, "{}", case.name);
                // On values that are not gamma distributed, scipy may end in another, far less likely optimum.
                if gain > 1.0 {
                    continue;
                }
                // scipy stops once a step changes parameters by less than 1e-4, or ends on a slope towards the normal
                // distribution, which the likelihood hardly feels.
                assert!(difference < 0.02, "{}: {difference}", case.name);
            } else {
                // scipy follows the unbounded likelihood to the smallest value; we stop at an exponential distribution.
                assert!(difference < 0.25, "{}: {difference}", case.name);
            }
        }
    }

    #[test]
    fn nothing_fits_too_few_or_equal_values() {
        let check = |values: &[f64]| assert_eq!(Gamma::fit(values), None, "{values:?}");
        check(&[]);
        check(&[1.0, 2.0]);
        check(&[3.0, 3.0, 3.0, 3.0]);
        check(&[1.0, 2.0, f64::NAN]);
        check(&[1.0, 2.0, f64::INFINITY]);
    }
}
