//! Probability that a cost stays within a limit, given its band.

use super::{Budget, Contents, Cost, Estimate, Limited, Metric, Target, budget::duty_cost};
use crate::stats::normal_cdf;

/// The probability that the true cost is at most `limit`.
///
/// The logarithm of the error is taken as normal; the band is one standard deviation either way.
pub fn fit_probability(cost: &Cost, limit: f64) -> f64 {
    if cost.low >= cost.high || cost.value <= 0.0 || limit <= 0.0 {
        return f64::from(u8::from(cost.value <= limit));
    }
    // A band may be wider above than below.
    let (bound, sign) = match limit >= cost.value {
        true => (cost.high, 1.0),
        false => (cost.low.max(f64::MIN_POSITIVE), -1.0),
    };
    let deviation = sign * (bound / cost.value).ln();
    if deviation <= 0.0 {
        return f64::from(u8::from(cost.value <= limit));
    }
    normal_cdf((limit / cost.value).ln() / deviation)
}

impl Budget {
    /// The limit of a cost on a target: the user's, or the chip's memory where that is smaller; `None` without
    /// either.
    pub fn limit_on(&self, target: &Target, metric: Metric) -> Option<f64> {
        let contents = match metric {
            Metric::Ram => Some(Contents::Ram),
            Metric::Flash => Some(Contents::Flash),
            Metric::Latency | Metric::Energy | Metric::Macs => None,
        };
        let memory = contents.and_then(|contents| target.largest_memory(contents));
        let chip = memory.map(|memory| memory.bytes.value);
        match (self.limit(metric), chip) {
            (Some(user), Some(chip)) => Some(user.min(chip)),
            (user, chip) => user.or(chip),
        }
    }

    /// The probability that every cost stays within its limit, if they err independently; and the cost most likely to
    /// be over.
    pub fn fit(&self, target: &Target, estimate: &Estimate) -> (f64, Option<Limited>) {
        let of_inference = Metric::COSTED.into_iter().filter_map(|metric| {
            let limit = self.limit_on(target, metric)?;
            Some((metric.into(), estimate.get(metric)?, limit))
        });
        let of_duty = self
            .duty
            .and_then(|duty| duty_cost(&duty, target, estimate));
        let mut all = 1.0;
        let mut worst: Option<(f64, Limited)> = None;
        let of_sound = self
            .real_time(estimate)
            .map(|factor| (Limited::RealTime, factor, 1.0));
        for (what, cost, limit) in of_inference.chain(of_duty).chain(of_sound) {
            let fits = fit_probability(&cost, limit);
            all *= fits;
            if fits < worst.map_or(1.0, |(least, _)| least) {
                worst = Some((fits, what));
            }
        }
        (all, worst.map(|(_, what)| what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::CostSource;

    #[test]
    fn the_band_is_one_standard_deviation() {
        let check = |cost: Cost, limit: f64, expected: f64| {
            let found = fit_probability(&cost, limit);
            assert!(
                (found - expected).abs() < 1e-6,
                "{cost:?} within {limit}: {found}"
            );
        };
        let exact = Cost::exact(100.0, CostSource::Estimated);
        check(exact, 99.0, 0.0);
        check(exact, 100.0, 1.0);
        let cost = Cost::estimated(100.0, 0.25);
        check(cost, 100.0, 0.5);
        // The error function's tables.
        check(cost, 125.0, 0.841_344_7);
        check(cost, 80.0, 0.158_655_3);
        check(cost, 156.25, 0.977_249_9);
        check(cost, 1e9, 1.0);
    }
}
