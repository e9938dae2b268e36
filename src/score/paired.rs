//! Tells whether two ways of scoring the same clips differ by more than chance.

use std::collections::BTreeMap;

use super::{ClipScore, statistics::mean};

/// The standard error of the difference between two AUCs of the same labelled clips (DeLong and others, 1988). With
/// several sections it is that of the mean difference. The clips are in the same order. `None` without both kinds.
pub fn auc_difference_error(first: &[ClipScore], second: &[ClipScore]) -> Option<f64> {
    type Scores = [Vec<[f64; 2]>; 2];
    let mut sections: BTreeMap<(&str, &str), Scores> = BTreeMap::new();
    for (one, other) in first.iter().zip(second) {
        let section = sections.entry((&one.machine, &one.section)).or_default();
        section[usize::from(one.anomaly)].push([one.score, other.score]);
    }
    let sections = sections.values();
    let variances: Vec<f64> = sections
        .filter(|[normal, anomaly]| !normal.is_empty() && !anomaly.is_empty())
        .map(|[normal, anomaly]| variance(normal, anomaly))
        .collect();
    let count = variances.len() as f64;
    (count > 0.0).then(|| variances.iter().sum::<f64>().sqrt() / count)
}

/// The squared standard error for one section, whose clips have two scores each.
fn variance(normal: &[[f64; 2]], anomaly: &[[f64; 2]]) -> f64 {
    let wins = |high: f64, low: f64| match high.partial_cmp(&low) {
        Some(order) => (1.0 + f64::from(order as i8)) / 2.0,
        // A score that is not a number is judged wrong.
        None => 0.0,
    };
    let differs = |high: &[f64; 2], low: &[f64; 2]| wins(high[0], low[0]) - wins(high[1], low[1]);
    let of_anomalies = anomaly.iter().map(|high| {
        let all = normal.iter().map(|low| differs(high, low));
        all.sum::<f64>() / normal.len() as f64
    });
    let of_normals = normal.iter().map(|low| {
        let all = anomaly.iter().map(|high| differs(high, low));
        all.sum::<f64>() / anomaly.len() as f64
    });
    let (of_anomalies, of_normals): (Vec<f64>, Vec<f64>) =
        (of_anomalies.collect(), of_normals.collect());
    spread(&of_anomalies) + spread(&of_normals)
}

/// The square of a mean's standard error; 0 for a single value.
fn spread(values: &[f64]) -> f64 {
    let (count, mean) = (values.len() as f64, mean(values));
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    squares / (count * (count - 1.0).max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{data::Domain, score::auc, units::Rng};

    fn clips(section: &str, scores: &[(bool, f64)]) -> Vec<ClipScore> {
        let clip = |(anomaly, score): &(bool, f64)| ClipScore {
            machine: "fan".to_string(),
            section: section.to_string(),
            domain: Domain::Source,
            anomaly: *anomaly,
            score: *score,
        };
        scores.iter().map(clip).collect()
    }

    #[test]
    fn the_error_is_the_deviation_over_many_draws() {
        let mut rng = Rng::new(3, 0);
        let (mut errors, mut differences) = (Vec::new(), Vec::new());
        for _ in 0..400 {
            let mut first = Vec::new();
            let mut second = Vec::new();
            for idx in 0..60 {
                let anomaly = idx % 3 == 0;
                let score = rng.normal() + f64::from(u8::from(anomaly));
                first.push((anomaly, score));
                second.push((anomaly, score + 0.5 * rng.normal()));
            }
            let of = |scores: &[(bool, f64)], kind: bool| -> Vec<f64> {
                scores
                    .iter()
                    .filter(|(anomaly, _)| *anomaly == kind)
                    .map(|(_, score)| *score)
                    .collect()
            };
            let area = |scores: &[(bool, f64)]| auc(&of(scores, false), &of(scores, true)).unwrap();
            differences.push(area(&first) - area(&second));
            errors.push(auc_difference_error(&clips("a", &first), &clips("a", &second)).unwrap());
        }
        let average = mean(&differences);
        let squares: f64 = differences
            .iter()
            .map(|value| (value - average).powi(2))
            .sum();
        let deviation = (squares / differences.len() as f64).sqrt();
        let ratio = mean(&errors) / deviation;
        // A deviation of 400 draws is known to one part in 28; the bound is three of those.
        assert!((0.9..1.1).contains(&ratio), "{ratio}");
    }

    #[test]
    fn equal_scores_have_no_error() {
        let scores = [(false, 0.1), (true, 0.2), (false, 0.3), (true, 0.4)];
        let one = clips("a", &scores);
        assert_eq!(auc_difference_error(&one, &one), Some(0.0));
        assert_eq!(auc_difference_error(&one[..1], &one[..1]), None);
        let two = [one.clone(), clips("b", &scores[..1])].concat();
        assert_eq!(auc_difference_error(&two, &two), Some(0.0));
    }
}
