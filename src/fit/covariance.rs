//! Covariances from few samples.

use super::{matrix::Square, squared};
use crate::space::{Covariance, Fit};

/// No covariance is less guessed than this, so that it has an inverse.
const LEAST_SHRINKAGE: f64 = 1e-4;
/// Steps in which the largest principal components are found.
const ITERATIONS: usize = 20;

/// A covariance of residuals.
#[derive(Debug)]
pub struct Estimate {
    kind: Covariance,
    /// Residuals that it is of.
    count: usize,
    /// Their mean products, in the units of the fit.
    sample: Square,
    /// The share of it that is guessed.
    pub shrinkage: f64,
    /// The variance that it is shrunk towards.
    target: f64,
    /// What a standardised statistic is multiplied by to be in the units of the fit.
    units: Vec<f64>,
}

/// What [`Estimate::without_one`] has prepared.
#[derive(Debug)]
pub struct Without {
    inverse_factor: Square,
    units: Vec<f64>,
    count: f64,
    /// Share of the measured covariance.
    measured: f64,
    /// The measured variances, where nothing else is fitted.
    variances: Option<Vec<f64>>,
}

impl Estimate {
    /// Of residuals of standardised statistics, whose standard deviations in dB are given.
    pub fn of(how: &Fit, residuals: &[&[f64]], std: &[f32]) -> Estimate {
        let units: Vec<f64> = match how.standardised {
            true => vec![1.0; std.len()],
            false => std.iter().map(|std| f64::from(*std)).collect(),
        };
        let size = units.len();
        let mut sample = Square::zero(size);
        let mut fourth = 0.0;
        for residual in residuals {
            let scaled: Vec<f64> = residual.iter().zip(&units).map(|(r, u)| r * u).collect();
            fourth += squared(&scaled).powi(2);
            for (row, value) in scaled.iter().enumerate() {
                let sums = &mut sample.row_mut(row)[..=row];
                for (sum, other) in sums.iter_mut().zip(&scaled) {
                    *sum += value * other;
                }
            }
        }
        let count = residuals.len();
        for row in 0..size {
            for column in 0..=row {
                let value = sample.row(row)[column] / count.max(1) as f64;
                sample.row_mut(row)[column] = value;
                sample.row_mut(column)[row] = value;
            }
        }
        let target = sample.trace() / size as f64;
        let shrinkage = match how.covariance {
            Covariance::Diagonal | Covariance::LowRank => 0.0,
            Covariance::LedoitWolf => ledoit_wolf(&sample, target, fourth, count),
            Covariance::Oas => oracle(&sample, target, count),
        };
        Estimate {
            kind: how.covariance,
            count,
            sample,
            shrinkage,
            target,
            units,
        }
    }

    /// The matrix with which standardised residuals have the identity for a covariance.
    pub fn whitening(&self) -> Square {
        if self.kind == Covariance::Diagonal {
            let least = self.least_variance();
            let deviation = self
                .sample
                .diagonal()
                .map(|variance| variance.max(least).sqrt());
            let factors: Vec<f64> = deviation.zip(&self.units).map(|(s, u)| u / s).collect();
            return Square::of_diagonal(&factors);
        }
        let covariance = match self.kind {
            Covariance::LowRank => low_rank(&self.sample),
            _ => self.shrunk(1.0),
        };
        let mut whitening = covariance.inverse_factor().mixed();
        whitening.scale_columns(|column| self.units[column]);
        whitening
    }

    /// The covariance, its measured part times a factor.
    fn shrunk(&self, factor: f64) -> Square {
        let shrinkage = self.shrinkage.max(LEAST_SHRINKAGE);
        let target = self.target.max(f64::MIN_POSITIVE);
        self.sample
            .shrunk((1.0 - shrinkage) * factor, shrinkage * target)
    }

    #[cfg(test)]
    pub fn keep_guess_of(&mut self, other: &Estimate) {
        (self.shrinkage, self.target) = (other.shrinkage, other.target);
    }

    fn least_variance(&self) -> f64 {
        (LEAST_SHRINKAGE * self.target).max(f64::MIN_POSITIVE)
    }

    /// Distances by the covariances without one residual each; `None` where no formula gives them.
    pub fn without_one(&self) -> Option<Without> {
        if self.kind == Covariance::LowRank || self.count < 3 {
            return None;
        }
        let count = self.count as f64;
        let factor = count / (count - 1.0);
        let variances =
            (self.kind == Covariance::Diagonal).then(|| self.sample.diagonal().collect());
        let inverse_factor = match variances {
            Some(_) => Square::zero(0),
            None => self.shrunk(factor).inverse_factor(),
        };
        Some(Without {
            inverse_factor,
            units: self.units.clone(),
            count,
            measured: 1.0 - self.shrinkage.max(LEAST_SHRINKAGE),
            variances,
        })
    }
}

impl Without {
    /// The mean squared distance of a vector, by the covariance and the mean without it; `of` vectors have that mean.
    pub fn distance(&self, residual: &[f64], of: f64) -> f64 {
        let scaled: Vec<f64> = residual
            .iter()
            .zip(&self.units)
            .map(|(r, u)| r * u)
            .collect();
        let away = of / (of - 1.0);
        let removed = away / (self.count - 1.0);
        let sum = match &self.variances {
            Some(variances) => {
                let least =
                    variances.iter().sum::<f64>() / variances.len() as f64 * LEAST_SHRINKAGE;
                let least = least.max(f64::MIN_POSITIVE);
                let one = |(value, variance): (&f64, &f64)| {
                    let square = value * value;
                    let rest = variance * self.count / (self.count - 1.0) - removed * square;
                    square / rest.max(least)
                };
                scaled.iter().zip(variances).map(one).sum()
            }
            None => {
                let whole = squared(&self.inverse_factor.times(&scaled));
                // Positive, since a covariance is left; rounding may say otherwise.
                whole / (1.0 - self.measured * removed * whole).max(1e-6)
            }
        };
        away * away * sum / residual.len() as f64
    }
}

/// Ledoit's and Wolf's share, as scikit-learn computes it; `fourth` is the sum of the residuals' lengths to the fourth.
fn ledoit_wolf(sample: &Square, target: f64, fourth: f64, count: usize) -> f64 {
    let (size, count) = (sample.size() as f64, count as f64);
    let products = squared(sample.values());
    let noise = (fourth / count - products) / (count * size);
    let spread = products / size - target * target;
    share(noise.min(spread), spread)
}

/// The share of oracle approximating shrinkage, as scikit-learn computes it.
fn oracle(sample: &Square, target: f64, count: usize) -> f64 {
    let (size, count) = (sample.size() as f64, count as f64);
    let products = squared(sample.values()) / (size * size);
    let above = products + target * target;
    let below = (count + 1.0) * (products - target * target / size);
    share(above, below)
}

fn share(above: f64, below: f64) -> f64 {
    if below > 0.0 {
        (above / below).clamp(0.0, 1.0)
    } else {
        1.0
    }
}

/// The covariance of the largest eighth of the principal components and one variance for the rest, found by orthogonal
/// iteration.
fn low_rank(sample: &Square) -> Square {
    let size = sample.size();
    let rank = (size / 8).max(1);
    // Cosines are a start without a bias, the same everywhere.
    let start = Square::of_diagonal(&vec![1.0; size]).mixed();
    let mut axes: Vec<Vec<f64>> = (0..rank).map(|idx| start.row(idx).to_vec()).collect();
    let mut variances = vec![0.0; rank];
    for _ in 0..ITERATIONS {
        for (axis, variance) in axes.iter_mut().zip(&mut variances) {
            let moved = sample.times(axis);
            *variance = moved.iter().zip(&*axis).map(|(a, b)| a * b).sum();
            *axis = moved;
        }
        for idx in 0..rank {
            let (known, rest) = axes.split_at_mut(idx);
            let axis = &mut rest[0];
            for known in known {
                let shared: f64 = axis.iter().zip(&*known).map(|(a, b)| a * b).sum();
                axis.iter_mut()
                    .zip(known)
                    .for_each(|(a, k)| *a -= shared * *k);
            }
            let length = squared(axis).sqrt().max(f64::MIN_POSITIVE);
            axis.iter_mut().for_each(|value| *value /= length);
        }
    }
    let explained: f64 = variances.iter().sum();
    let rest = (sample.trace() - explained) / (size - rank).max(1) as f64;
    let rest = rest.max(LEAST_SHRINKAGE * sample.trace() / size as f64);
    let rest = rest.max(f64::MIN_POSITIVE);
    let mut covariance = Square::zero(size).shrunk(0.0, rest);
    for (axis, variance) in axes.iter().zip(&variances) {
        let above = (variance - rest).max(0.0);
        for row in 0..size {
            let weight = above * axis[row];
            let target = covariance.row_mut(row).iter_mut();
            target.zip(axis).for_each(|(value, a)| *value += weight * a);
        }
    }
    covariance
}
