//! A model of one objective that may stand on what another search has found.

use super::gaussian::GaussianProcess;

/// Shares of the other search's opinion that are tried, beside none of it.
const SHARES: [f64; 2] = [0.5, 1.0];

/// Points and the values there.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Points, all of one dimension.
    pub points: Vec<Vec<f64>>,
    /// A value for each.
    pub values: Vec<f64>,
}

/// Predicts a value at a point.
#[derive(Debug, Clone)]
pub(super) struct Predictor {
    /// The mean that the other search gives, by the first features of a point, and the share of it that counts.
    prior: Option<(GaussianProcess, f64)>,
    /// What own results differ from that mean by; `None` before there are any.
    own: Option<GaussianProcess>,
    /// Features of a point that the other search knows, too.
    shared: usize,
}

impl Predictor {
    /// Fits own results on top of the share of the other search's opinion that makes them most likely.
    ///
    /// Points of `earlier` have the first features of those of `own`. `None` where nothing is known at all.
    pub fn fit(own: &Known, earlier: &Known, categories: &[bool]) -> Option<Predictor> {
        let shared = earlier.points.first().map_or(0, Vec::len);
        let prior = (shared > 0).then(|| {
            let categories = categories[..shared].to_vec();
            GaussianProcess::fit(earlier.points.clone(), &earlier.values, categories)
        });
        if own.points.is_empty() {
            return prior.map(|prior| Predictor {
                prior: Some((prior, 1.0)),
                own: None,
                shared,
            });
        }
        let with = |share: f64, opinions: &[f64]| {
            let pairs = own.values.iter().zip(opinions);
            let left: Vec<f64> = pairs
                .map(|(value, opinion)| value - share * opinion)
                .collect();
            GaussianProcess::fit(own.points.clone(), &left, categories.to_vec())
        };
        let (mut process, mut share) = (with(0.0, &vec![0.0; own.values.len()]), 0.0);
        if let Some(prior) = &prior {
            let points = own.points.iter();
            let opinions: Vec<f64> = points
                .map(|point| prior.predict(&point[..shared]).0)
                .collect();
            for tried in SHARES {
                let other = with(tried, &opinions);
                if other.log_evidence() > process.log_evidence() {
                    (process, share) = (other, tried);
                }
            }
        }
        Some(Predictor {
            prior: prior.filter(|_| share > 0.0).map(|prior| (prior, share)),
            own: Some(process),
            shared,
        })
    }

    /// Mean and standard deviation at `point`, as [`GaussianProcess::predict`].
    pub fn predict(&self, point: &[f64]) -> (f64, f64) {
        let opinion = self.prior.as_ref().map(|(prior, share)| {
            let (mean, deviation) = prior.predict(&point[..self.shared]);
            (share * mean, deviation)
        });
        match (&self.own, opinion) {
            (Some(own), opinion) => {
                let (mean, deviation) = own.predict(point);
                (mean + opinion.map_or(0.0, |(mean, _)| mean), deviation)
            }
            (None, Some(opinion)) => opinion,
            (None, None) => (0.0, 1.0),
        }
    }

    /// Adds `point` with its expected value: points nearby become less uncertain.
    pub fn believe(&mut self, point: &[f64]) {
        match (&mut self.own, &mut self.prior) {
            (Some(own), _) => own.believe(point),
            (None, Some((prior, _))) => prior.believe(&point[..self.shared]),
            (None, None) => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Rng;

    /// The error at new points, with ten own results and sixty from elsewhere.
    fn error(elsewhere: impl Fn(&[f64]) -> f64) -> f64 {
        let mut rng = Rng::new(5, 0);
        let truth = |point: &[f64]| (6.0 * point[0]).sin() + point[1];
        let mut draw = |count: usize| -> Vec<Vec<f64>> {
            (0..count)
                .map(|_| (0..3).map(|_| rng.uniform()).collect())
                .collect()
        };
        let (own, other, asked) = (draw(10), draw(60), draw(100));
        let known = |points: Vec<Vec<f64>>, value: &dyn Fn(&[f64]) -> f64| Known {
            values: points.iter().map(|point| value(point)).collect(),
            points,
        };
        let own = known(own, &truth);
        let mut earlier = known(other, &elsewhere);
        // Of a search without the last feature.
        for point in &mut earlier.points {
            point.truncate(2);
        }
        let predictor = Predictor::fit(&own, &earlier, &[false; 3]).unwrap();
        let errors = asked
            .iter()
            .map(|point| (predictor.predict(point).0 - truth(point)).abs());
        errors.sum::<f64>() / 100.0
    }

    #[test]
    fn what_helps_is_used_and_what_misleads_is_not() {
        let truth = |point: &[f64]| (6.0 * point[0]).sin() + point[1];
        let none = {
            let constant = |_: &[f64]| 1.0;
            error(constant)
        };
        // Another level is no trouble.
        let helps = error(|point| truth(point) + 5.0);
        let misleads = error(|point| -3.0 * truth(point));
        println!("{none} {helps} {misleads}");
        assert!(helps < none / 3.0, "{helps} {none}");
        assert!(misleads < 1.05 * none, "{misleads} {none}");
    }

    #[test]
    fn the_other_search_alone_is_believed_until_there_is_more() {
        let earlier = Known {
            points: vec![vec![0.0], vec![0.5], vec![1.0]],
            values: vec![1.0, 2.0, 3.0],
        };
        let mut predictor = Predictor::fit(&Known::default(), &earlier, &[false; 2]).unwrap();
        let (low, before) = predictor.predict(&[0.1, 9.0]);
        let (high, _) = predictor.predict(&[0.9, 0.0]);
        assert!(low < high, "{low} {high}");
        predictor.believe(&[0.1, 9.0]);
        assert!(predictor.predict(&[0.1, 9.0]).1 < before);
        assert!(Predictor::fit(&Known::default(), &Known::default(), &[]).is_none());
    }
}
