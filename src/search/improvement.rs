//! Expected hypervolume improvement by one more point, where some of its objectives are known and the others are
//! predicted.
//!
//! All objectives are minimised, and 1 is the reference on each of them.

use super::{hypervolume, pareto::Stairs};
use crate::stats::normal_cdf;

/// What is known of an objective of a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Belief {
    /// Its value.
    Known(f64),
    /// Its logarithm is normally distributed.
    LogNormal {
        /// Mean of the logarithm.
        mean: f64,
        /// Standard deviation of the logarithm, not negative.
        deviation: f64,
    },
}

impl Belief {
    /// The value that lies `z` standard deviations from the median.
    pub fn at(self, z: f64) -> f64 {
        match self {
            Belief::Known(value) => value,
            Belief::LogNormal { mean, deviation } => (mean + z * deviation).exp(),
        }
    }
}

/// Steps of the integral over several predicted objectives, and how far it goes in standard deviations.
const STEPS: usize = 48;
const REACH: f64 = 5.0;

/// The volume that a point is expected to add to a front.
///
/// With one predicted objective the expectation is exact, tails included: the gain is a step function of the value's
/// bound, so that it is a sum of integrals over boxes (as in Emmerich, Deutz, Klinkenberg, 2011). Several are taken to
/// be good or bad together, as AUC and pAUC are, and integrated numerically.
pub(super) fn expected_improvement(front: &[Vec<f64>], point: &[Belief]) -> f64 {
    let is_predicted = |belief: &&Belief| matches!(belief, Belief::LogNormal { .. });
    match point.iter().filter(is_predicted).count() {
        0 => improvement(front, point, 0.0),
        1 => exact(front, point),
        _ => {
            let width = 2.0 * REACH / STEPS as f64;
            let step = |idx: usize| {
                let low = idx as f64 * width - REACH;
                let share = normal_cdf(low + width) - normal_cdf(low);
                share * improvement(front, point, low + width / 2.0)
            };
            (0..STEPS).map(step).sum()
        }
    }
}

/// The gain where every predicted objective lies `z` deviations from its median.
fn improvement(front: &[Vec<f64>], point: &[Belief], z: f64) -> f64 {
    let point: Vec<f64> = point.iter().map(|belief| belief.at(z)).collect();
    let reference = vec![1.0; point.len()];
    // What the front covers of the point's own box.
    let covered: Vec<Vec<f64>> = front.iter().map(|other| larger(other, &point)).collect();
    hypervolume(&[&point], &reference) - hypervolume(&covered, &reference)
}

fn larger(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a.max(*b)).collect()
}

fn exact(front: &[Vec<f64>], point: &[Belief]) -> f64 {
    let mut costs = Vec::new();
    let mut predicted = None;
    for (axis, belief) in point.iter().enumerate() {
        match *belief {
            Belief::Known(value) => costs.push(value),
            Belief::LogNormal { mean, deviation } => predicted = Some((axis, mean, deviation)),
        }
    }
    let Some((axis, mean, deviation)) = predicted else {
        return 0.0;
    };
    if costs.iter().any(|cost| *cost >= 1.0) {
        return 0.0;
    }
    let mut others: Vec<(f64, Vec<f64>)> = front
        .iter()
        .map(|other| {
            let costs_of_other = other.iter().enumerate().filter(|(idx, _)| *idx != axis);
            let costs_of_other: Vec<f64> = costs_of_other.map(|(_, value)| *value).collect();
            (other[axis], larger(&costs_of_other, &costs))
        })
        .collect();
    others.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Up to the score of the best other point, the gain of a better score is the whole face of the box of costs. Every
    // point on the way covers a part of that face.
    let whole: f64 = costs.iter().map(|cost| 1.0 - cost).product();
    let below = Below { mean, deviation };
    let mut covered = Covered::new(costs.len());
    let (mut from, mut gain) = (0.0, 0.0);
    for (score, costs_of_other) in others {
        let to = score.clamp(from, 1.0);
        gain += (whole - covered.area).max(0.0) * (below.integral(to) - below.integral(from));
        from = to;
        if from >= 1.0 {
            break;
        }
        covered.add(costs_of_other);
    }
    gain + (whole - covered.area).max(0.0) * (below.integral(1.0) - below.integral(from))
}

/// How much of the box of costs the points so far cover.
struct Covered {
    area: f64,
    stairs: Stairs,
    /// All points, where there are not exactly two costs.
    points: Vec<Vec<f64>>,
    n_costs: usize,
}

impl Covered {
    fn new(n_costs: usize) -> Covered {
        Covered {
            area: 0.0,
            stairs: Stairs::default(),
            points: Vec::new(),
            n_costs,
        }
    }

    fn add(&mut self, costs: Vec<f64>) {
        match costs[..] {
            // Without costs, a better score is all that counts.
            [] => self.area = 1.0,
            [width, height] => {
                if width < 1.0 && height < 1.0 {
                    self.stairs.add(1.0 - width, 1.0 - height);
                }
                self.area = self.stairs.area;
            }
            _ => {
                self.points.push(costs);
                self.area = hypervolume(&self.points, &vec![1.0; self.n_costs]);
            }
        }
    }
}

/// The probability that a log-normal value lies below a bound.
struct Below {
    mean: f64,
    deviation: f64,
}

impl Below {
    /// Its integral over all bounds from 0 to `bound`: the value's expected shortfall from `bound`.
    fn integral(&self, bound: f64) -> f64 {
        if bound <= 0.0 {
            return 0.0;
        }
        if self.deviation <= 0.0 {
            return (bound - self.mean.exp()).max(0.0);
        }
        let z = (bound.ln() - self.mean) / self.deviation;
        let expected = (self.mean + self.deviation * self.deviation / 2.0).exp();
        (bound * normal_cdf(z) - expected * normal_cdf(z - self.deviation)).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Rng;

    /// The mean over many draws of the gain, by its definition.
    fn drawn(front: &[Vec<f64>], point: &[Belief], seed: u64) -> (f64, f64) {
        const DRAWS: usize = 20_000;
        let reference = vec![1.0; point.len()];
        let before = hypervolume(front, &reference);
        let mut rng = Rng::new(seed, 0);
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..DRAWS {
            let z = rng.normal();
            let mut all = front.to_vec();
            all.push(point.iter().map(|belief| belief.at(z)).collect());
            let gain = hypervolume(&all, &reference) - before;
            sum += gain;
            squares += gain * gain;
        }
        let mean = sum / DRAWS as f64;
        let variance = squares / DRAWS as f64 - mean * mean;
        (mean, (variance.max(0.0) / DRAWS as f64).sqrt())
    }

    #[test]
    fn expectations_are_means_of_draws() {
        let check = |n_axes: usize, n_predicted: usize, seed: u64| {
            let mut rng = Rng::new(seed, 1);
            let front: Vec<Vec<f64>> = (0..6)
                .map(|_| (0..n_axes).map(|_| rng.range(0.1, 1.2)).collect())
                .collect();
            let point: Vec<Belief> = (0..n_axes)
                .map(|axis| match axis < n_predicted {
                    true => Belief::LogNormal {
                        mean: rng.range(-1.5, 0.2),
                        deviation: rng.range(0.05, 0.6),
                    },
                    false => Belief::Known(rng.range(0.05, 0.9)),
                })
                .collect();
            let expected = expected_improvement(&front, &point);
            let (mean, error) = drawn(&front, &point, seed);
            // Five standard errors of the draws, and what the numerical integral leaves out.
            assert!(
                (expected - mean).abs() < 5.0 * error + 1e-4,
                "{n_axes} axes, {n_predicted} predicted, seed {seed}: {expected} {mean} ± {error}"
            );
        };
        for seed in 0..8 {
            for (n_axes, n_predicted) in [(1, 1), (2, 1), (3, 1), (4, 1), (3, 2), (3, 0)] {
                check(n_axes, n_predicted, seed);
            }
        }
    }

    #[test]
    fn tails_count() {
        // The front is at 0.2; a mean of 0.4 with a spread of a fifth is three and a half deviations away.
        let front = [vec![0.2, 0.5]];
        let hopeful = |deviation| {
            let score = Belief::LogNormal {
                mean: 0.4f64.ln(),
                deviation,
            };
            expected_improvement(&front, &[score, Belief::Known(0.5)])
        };
        assert!(hopeful(0.2) > 0.0);
        assert!(hopeful(0.3) > hopeful(0.2));
        assert_eq!(hopeful(0.0), 0.0);
        // Beyond the reference nothing is gained.
        let beyond = [
            Belief::LogNormal {
                mean: -2.0,
                deviation: 0.1,
            },
            Belief::Known(1.5),
        ];
        assert_eq!(expected_improvement(&front, &beyond), 0.0);
    }
}
