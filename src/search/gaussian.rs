//! Gaussian process regression: predicts values and their uncertainty at any point from noisy values at others.

/// A Gaussian process with Matérn kernel (5/2), one length scale per dimension, fitted to values at points.
#[derive(Debug, Clone)]
pub(super) struct GaussianProcess {
    points: Vec<Vec<f64>>,
    /// One over the length scales.
    inverse_scales: Vec<f64>,
    /// Variance of the noise, as a share of the signal's.
    noise: f64,
    /// Lower triangular `L` with `L L^T` the covariance of the values, row after row; row `i` has `i + 1` numbers.
    factor: Vec<f64>,
    /// `L^-1` times the standardised values.
    whitened: Vec<f64>,
    mean: f64,
    deviation: f64,
}

/// Rounds of the search for length scales; each round stretches and shrinks all of them together, and every one
/// alone.
const ROUNDS: usize = 3;
const STRETCH: f64 = std::f64::consts::LN_2;
const NOISES: [f64; 5] = [0.01, 0.03, 0.1, 0.3, 1.0];

impl GaussianProcess {
    /// Fits length scales and noise by their posterior; at least one point, all of the same dimension, all finite.
    ///
    /// The prior of the length scales (Hvarfner, Hellsten, Nardi, 2024) is log-normal about `sqrt(2) + ln(d) / 2`, so
    /// that points stay related in many dimensions.
    pub fn fit(points: Vec<Vec<f64>>, values: &[f64]) -> GaussianProcess {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        let deviation = match variance.sqrt() {
            deviation if deviation > 1e-9 => deviation,
            _ => 1.0,
        };
        let standardised: Vec<f64> = values.iter().map(|v| (v - mean) / deviation).collect();
        let n_dims = points.first().map_or(0, Vec::len);
        let centre = std::f64::consts::SQRT_2 + (n_dims.max(1) as f64).ln() / 2.0;
        // Starts from shorter scales than the prior's centre; a few points cannot move away from the centre.
        let mut best = Fit::new(
            &points,
            &standardised,
            vec![centre - 1.5; n_dims],
            0.1,
            centre,
        );
        for _ in 0..ROUNDS {
            for noise in NOISES {
                let scales = best.scales.clone();
                best.take_better(Fit::new(&points, &standardised, scales, noise, centre));
            }
            // A few points fit many choices of one dimension equally well, and give no reason to believe any of them.
            let alone = (0..n_dims).filter(|_| points.len() > 2 * n_dims);
            let together = std::iter::once(0..n_dims);
            for dims in together.chain(alone.map(|dim| dim..dim + 1)) {
                for step in [-STRETCH, STRETCH] {
                    let mut scales = best.scales.clone();
                    scales[dims.clone()]
                        .iter_mut()
                        .for_each(|scale| *scale += step);
                    let noise = best.noise;
                    best.take_better(Fit::new(&points, &standardised, scales, noise, centre));
                }
            }
        }
        GaussianProcess {
            points,
            inverse_scales: inverses(&best.scales),
            noise: best.noise,
            factor: best.factor,
            whitened: best.whitened,
            mean,
            deviation,
        }
    }

    /// Mean and standard deviation of the value at `point`, without the noise of a measurement.
    pub fn predict(&self, point: &[f64]) -> (f64, f64) {
        let weights = self.weights(point);
        let mean: f64 = weights.iter().zip(&self.whitened).map(|(w, y)| w * y).sum();
        let explained: f64 = weights.iter().map(|w| w * w).sum();
        let deviation = (1.0 - explained).max(0.0).sqrt();
        (
            self.mean + self.deviation * mean,
            self.deviation * deviation,
        )
    }

    /// Adds `point` with its expected value: points nearby become less uncertain.
    pub fn believe(&mut self, point: &[f64]) {
        let weights = self.weights(point);
        let explained: f64 = weights.iter().map(|w| w * w).sum();
        let pivot = (1.0 + self.noise - explained).max(self.noise).sqrt();
        self.factor.extend(weights);
        self.factor.push(pivot);
        // The value is the mean, so it adds nothing new.
        self.whitened.push(0.0);
        self.points.push(point.to_vec());
    }

    /// `L^-1 k` for the covariances `k` of the value at `point` with the known values.
    fn weights(&self, point: &[f64]) -> Vec<f64> {
        let covariances = self
            .points
            .iter()
            .map(|other| kernel(point, other, &self.inverse_scales));
        solve(&self.factor, covariances)
    }
}

/// One choice of length scales and noise, and how likely it is.
struct Fit {
    scales: Vec<f64>,
    noise: f64,
    factor: Vec<f64>,
    whitened: Vec<f64>,
    /// The log posterior up to a constant; minus infinity where the covariance is singular.
    log_posterior: f64,
}

impl Fit {
    fn new(points: &[Vec<f64>], values: &[f64], scales: Vec<f64>, noise: f64, centre: f64) -> Fit {
        let inverse = inverses(&scales);
        let mut factor = Vec::with_capacity(points.len() * (points.len() + 1) / 2);
        let mut log_pivots = 0.0;
        for (row, point) in points.iter().enumerate() {
            let known = points[..row].iter();
            let weights = solve(&factor, known.map(|other| kernel(point, other, &inverse)));
            let explained: f64 = weights.iter().map(|w| w * w).sum();
            // Only rounding can bring it below the noise.
            let pivot = (1.0 + noise - explained).max(noise).sqrt();
            log_pivots += pivot.ln();
            factor.extend(weights);
            factor.push(pivot);
        }
        let whitened = solve(&factor, values.iter().copied());
        let misfit: f64 = whitened.iter().map(|y| y * y).sum();
        // Log-normal with a spread of sqrt(3).
        let prior: f64 = scales
            .iter()
            .map(|scale| (scale - centre).powi(2) / 6.0)
            .sum();
        Fit {
            scales,
            noise,
            factor,
            whitened,
            log_posterior: -misfit / 2.0 - log_pivots - prior,
        }
    }

    fn take_better(&mut self, other: Fit) {
        if other.log_posterior > self.log_posterior {
            *self = other;
        }
    }
}

/// One over the length scales, from their logarithms.
fn inverses(scales: &[f64]) -> Vec<f64> {
    scales.iter().map(|scale| (-scale).exp()).collect()
}

/// `L^-1 b` by forward substitution, for as many rows as `b` has.
fn solve(factor: &[f64], b: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut solution: Vec<f64> = Vec::new();
    let mut begin = 0;
    for b in b {
        let row = &factor[begin..][..=solution.len()];
        let (pivot, known) = row.split_last().expect("a row has its diagonal at least");
        let sum: f64 = known.iter().zip(&solution).map(|(l, x)| l * x).sum();
        begin += row.len();
        solution.push((b - sum) / pivot);
    }
    solution
}

/// Matérn covariance of smoothness 5/2 and variance 1.
fn kernel(a: &[f64], b: &[f64], inverse_scales: &[f64]) -> f64 {
    let squares = a.iter().zip(b).zip(inverse_scales);
    let squared: f64 = squares
        .map(|((a, b), inverse)| ((a - b) * inverse).powi(2))
        .sum();
    let r = (5.0 * squared).sqrt();
    (1.0 + r + r * r / 3.0) * (-r).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Rng;

    /// Root mean square error and mean predicted deviation at new points, for a function of the first of three
    /// dimensions.
    fn errors(n_points: usize, noise: f64) -> (f64, f64) {
        let mut rng = Rng::new(1, 0);
        let truth = |point: &[f64]| (3.0 * point[0]).sin() + 10.0;
        let mut draw = |count: usize| -> Vec<Vec<f64>> {
            (0..count)
                .map(|_| (0..3).map(|_| rng.uniform()).collect())
                .collect()
        };
        let (points, others) = (draw(n_points), draw(200));
        let mut rng = Rng::new(2, 0);
        let values: Vec<f64> = points
            .iter()
            .map(|point| truth(point) + noise * rng.normal())
            .collect();
        let process = GaussianProcess::fit(points, &values);
        let (mut squares, mut deviations) = (0.0, 0.0);
        for point in &others {
            let (mean, deviation) = process.predict(point);
            squares += (mean - truth(point)).powi(2) / 200.0;
            deviations += deviation / 200.0;
        }
        (squares.sqrt(), deviations)
    }

    #[test]
    fn predictions_are_as_good_as_they_claim() {
        let check = |n_points, noise, most: f64| {
            let (error, claimed) = errors(n_points, noise);
            println!("{n_points} points, noise {noise}: error {error:.4}, claimed {claimed:.4}");
            assert!(error < most, "{error}");
            // Within a factor of three: one draw of the points.
            assert!(
                claimed < 3.0 * error && error < 3.0 * claimed,
                "{error} {claimed}"
            );
        };
        // The function's own deviation is 0.3.
        check(20, 0.0, 0.15);
        check(60, 0.0, 0.05);
        check(60, 0.2, 0.1);
    }

    #[test]
    fn what_is_believed_changes_no_mean_and_shrinks_what_is_near() {
        let points = vec![
            vec![0.0, 0.0],
            vec![1.0, 0.0],
            vec![0.0, 1.0],
            vec![0.4, 0.5],
        ];
        let mut process = GaussianProcess::fit(points, &[1.0, 2.0, 1.5, 3.0]);
        let at = [0.9, 0.9];
        let (mean, before) = process.predict(&at);
        process.believe(&at);
        let (again, after) = process.predict(&at);
        assert!((mean - again).abs() < 1e-9, "{mean} {again}");
        assert!(after < before, "{after} {before}");
    }

    #[test]
    fn degenerate_values_are_no_trouble() {
        let same = vec![vec![0.5]; 5];
        let (mean, deviation) = GaussianProcess::fit(same, &[2.0; 5]).predict(&[0.5]);
        assert!((mean - 2.0).abs() < 1e-9 && deviation.is_finite());
        let (mean, deviation) = GaussianProcess::fit(vec![vec![]], &[1.0]).predict(&[]);
        assert!(mean.is_finite() && deviation.is_finite());
    }
}
