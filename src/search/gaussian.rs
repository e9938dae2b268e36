//! Gaussian process regression: predicts values and their uncertainty at any point from noisy values at others.

/// A Gaussian process with Matérn kernel (5/2), one length scale per dimension, fitted to values at points.
#[derive(Debug, Clone)]
pub(super) struct GaussianProcess {
    points: Vec<Vec<f64>>,
    /// How points are compared.
    metric: Metric,
    /// Variance of the noise, as a share of the signal's.
    noise: f64,
    /// Lower triangular `L` with `L L^T` the covariance of the values, row after row; row `i` has `i + 1` numbers.
    factor: Vec<f64>,
    /// `L^-1` times the standardised values.
    whitened: Vec<f64>,
    mean: f64,
    deviation: f64,
    log_evidence: f64,
}

/// Rounds of the search for length scales; each round stretches and shrinks all of them together, and every one
/// alone.
const ROUNDS: usize = 3;
/// How much shorter than the prior's centre length scales begin, as logarithms; and how much more those of categories, whose
/// values lie at a distance of 1 where those of ordered axes lie between.
const START: f64 = 1.5;
const CATEGORY_START: f64 = 1.0;
const STRETCH: f64 = std::f64::consts::LN_2;
const NOISES: [f64; 5] = [0.01, 0.03, 0.1, 0.3, 1.0];
/// Length scales are chosen by this many points, spread evenly over all; more would cost more time than they gain.
const CHOOSING: usize = 128;

impl GaussianProcess {
    /// Fits length scales and noise by their posterior; at least one point, all of the same dimension, all finite.
    ///
    /// The prior of the length scales (Hvarfner, Hellsten, Nardi, 2024) is log-normal about `sqrt(2) + ln(d) / 2` for `d`
    /// dimensions in which points differ, so that points stay related in many dimensions.
    /// Values of a dimension in `categories` are equal or not; how much that matters is learnt like a length scale.
    pub fn fit(points: Vec<Vec<f64>>, values: &[f64], categories: Vec<bool>) -> GaussianProcess {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        let deviation = match variance.sqrt() {
            deviation if deviation > 1e-9 => deviation,
            _ => 1.0,
        };
        let standardised: Vec<f64> = values.iter().map(|v| (v - mean) / deviation).collect();
        let n_dims = points.first().map_or(0, Vec::len);
        // A dimension in which all points agree keeps none of them apart.
        let varies = |dim: &usize| points.iter().any(|point| point[*dim] != points[0][*dim]);
        let n_varying = (0..n_dims).filter(varies).count();
        let centre = std::f64::consts::SQRT_2 + (n_varying.max(1) as f64).ln() / 2.0;
        let count = points.len().min(CHOOSING);
        let some = (0..count).map(|idx| idx * points.len() / count);
        let (chosen, chosen_values): (Vec<Vec<f64>>, Vec<f64>) = some
            .map(|idx| (points[idx].clone(), standardised[idx]))
            .unzip();
        let attempt = |scales: Vec<f64>, noise: f64| {
            Fit::new(&chosen, &chosen_values, scales, &categories, noise, centre)
        };
        // Starts from shorter scales than the prior's centre; a few points cannot move away from the centre.
        let first = |is_category: &bool| match is_category {
            true => centre - START - CATEGORY_START,
            false => centre - START,
        };
        let mut best = attempt(categories.iter().map(first).collect(), 0.1);
        for _ in 0..ROUNDS {
            for noise in NOISES {
                let scales = best.scales.clone();
                best.take_better(attempt(scales, noise));
            }
            // A few points fit many choices of one dimension equally well, and give no reason to believe any of them.
            let alone = (0..n_dims).filter(|_| chosen.len() > 2 * n_varying);
            let together = std::iter::once(0..n_dims);
            for dims in together.chain(alone.map(|dim| dim..dim + 1)) {
                for step in [-STRETCH, STRETCH] {
                    let mut scales = best.scales.clone();
                    scales[dims.clone()]
                        .iter_mut()
                        .for_each(|scale| *scale += step);
                    let noise = best.noise;
                    best.take_better(attempt(scales, noise));
                }
            }
        }
        let (scales, noise) = (best.scales.clone(), best.noise);
        let log_evidence = best.log_posterior - count as f64 * deviation.ln();
        if count < points.len() {
            best = Fit::new(
                &points,
                &standardised,
                scales.clone(),
                &categories,
                noise,
                centre,
            );
        }
        GaussianProcess {
            points,
            metric: Metric::new(&scales, &categories),
            noise,
            factor: best.factor,
            whitened: best.whitened,
            mean,
            deviation,
            log_evidence,
        }
    }

    /// How likely the values are, as a logarithm up to a constant; comparable for values at the same points.
    pub fn log_evidence(&self) -> f64 {
        self.log_evidence
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
            .map(|other| self.metric.kernel(point, other));
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
    fn new(
        points: &[Vec<f64>],
        values: &[f64],
        scales: Vec<f64>,
        categories: &[bool],
        noise: f64,
        centre: f64,
    ) -> Fit {
        let metric = Metric::new(&scales, categories);
        let mut factor = Vec::with_capacity(points.len() * (points.len() + 1) / 2);
        let mut log_pivots = 0.0;
        for (row, point) in points.iter().enumerate() {
            let known = points[..row].iter();
            let weights = solve(&factor, known.map(|other| metric.kernel(point, other)));
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

/// How alike two points are.
#[derive(Debug, Clone)]
struct Metric {
    /// One over the length scales.
    inverse_scales: Vec<f64>,
    /// Whether values of a dimension are compared by equality alone.
    categories: Vec<bool>,
}

impl Metric {
    /// From the logarithms of the length scales.
    fn new(scales: &[f64], categories: &[bool]) -> Metric {
        Metric {
            inverse_scales: scales.iter().map(|scale| (-scale).exp()).collect(),
            categories: categories.to_vec(),
        }
    }

    /// Matérn covariance of smoothness 5/2 and variance 1.
    fn kernel(&self, a: &[f64], b: &[f64]) -> f64 {
        let dims = self.inverse_scales.iter().zip(&self.categories);
        let distance = |((a, b), (inverse, is_category)): ((&f64, &f64), (&f64, &bool))| {
            let apart = match is_category {
                true => f64::from(u8::from(a != b)),
                false => a - b,
            };
            (apart * inverse).powi(2)
        };
        let squared: f64 = a.iter().zip(b).zip(dims).map(distance).sum();
        let r = (5.0 * squared).sqrt();
        (1.0 + r + r * r / 3.0) * (-r).exp()
    }
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
        let process = GaussianProcess::fit(points, &values, vec![false; 3]);
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
        let mut process = GaussianProcess::fit(points, &[1.0, 2.0, 1.5, 3.0], vec![false; 2]);
        let at = [0.9, 0.9];
        let (mean, before) = process.predict(&at);
        process.believe(&at);
        let (again, after) = process.predict(&at);
        assert!((mean - again).abs() < 1e-9, "{mean} {again}");
        assert!(after < before, "{after} {before}");
    }

    /// A category's values are as far from each other whatever their numbers are.
    #[test]
    fn categories_know_no_order() {
        let mut rng = Rng::new(3, 0);
        let effects = [0.0, 3.0, -2.0, 1.0, 2.5];
        let points: Vec<Vec<f64>> = (0..60)
            .map(|_| vec![rng.below(5) as f64, rng.uniform()])
            .collect();
        let values: Vec<f64> = points
            .iter()
            .map(|p| effects[p[0] as usize] + p[1])
            .collect();
        let error = |is_category: bool| {
            let process = GaussianProcess::fit(points.clone(), &values, vec![is_category, false]);
            let at = |category: usize| {
                let (mean, _) = process.predict(&[category as f64, 0.5]);
                (mean - effects[category] - 0.5).abs()
            };
            (0..5).map(at).fold(0.0, f64::max)
        };
        assert!(error(true) < 0.1, "{}", error(true));
        let process = GaussianProcess::fit(points.clone(), &values, vec![true, false]);
        let (near, far) = (process.predict(&[9.0, 0.5]), process.predict(&[-7.0, 0.5]));
        assert_eq!(near, far, "unknown categories are alike");
    }

    #[test]
    fn degenerate_values_are_no_trouble() {
        let same = vec![vec![0.5]; 5];
        let (mean, deviation) = GaussianProcess::fit(same, &[2.0; 5], vec![false]).predict(&[0.5]);
        assert!((mean - 2.0).abs() < 1e-9 && deviation.is_finite());
        let (mean, deviation) = GaussianProcess::fit(vec![vec![]], &[1.0], vec![]).predict(&[]);
        assert!(mean.is_finite() && deviation.is_finite());
    }
}
