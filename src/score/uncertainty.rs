//! How far an AUC may be off because there are only so many clips.

use std::collections::BTreeMap;

use super::{Figure, Figures, GroupScore, harmonic_mean};
use crate::stats::Z_95;

/// 95 % intervals of figures, `[low, high]`, over the clips that they are computed on. A figure without one is missing.
pub type ClipIntervals = BTreeMap<Figure, [f64; 2]>;

/// The 95 % interval of an AUC of so many normal and anomalous clips: the AUCs from which this one is not further than
/// chance takes it. It leaves room for error even at 0 and 1.
///
/// Source: Newcombe 2006, Statistics in Medicine 25, 559-573, method 5, with the variance of Hanley and McNeil 1982.
pub fn auc_interval(auc: f64, normals: usize, anomalies: usize) -> [f64; 2] {
    let deviation = |auc: f64| {
        let clips = (normals + anomalies) as f64 / 2.0 - 1.0;
        let above = (1.0 - auc) / (2.0 - auc);
        let below = auc / (1.0 + auc);
        let pairs = (normals * anomalies) as f64;
        (auc * (1.0 - auc) * (1.0 + clips * (above + below)) / pairs).sqrt()
    };
    // Between the AUC and an end of the scale there is one at the border.
    let border = |end: f64| {
        let (mut inside, mut outside) = (auc, end);
        for _ in 0..40 {
            let middle = (inside + outside) / 2.0;
            match (middle - auc).abs() <= Z_95 * deviation(middle) {
                true => inside = middle,
                false => outside = middle,
            }
        }
        inside
    };
    [border(0.0), border(1.0)]
}

/// The 95 % interval of the harmonic mean of groups' AUCs; `None` where no group has one.
///
/// Sections are independent of each other. Groups of one section share their anomalies, so that their errors count as
/// one. Source of the combination: Zou and Donner 2008, Statistics in Medicine 27, 1693-1702 (MOVER).
pub(super) fn mean_interval(groups: &[GroupScore]) -> Option<[f64; 2]> {
    let known = groups.iter().filter_map(|group| Some((group, group.auc?)));
    let known: Vec<(&GroupScore, f64)> = known.collect();
    let aucs: Vec<f64> = known.iter().map(|(_, auc)| *auc).collect();
    let mean = harmonic_mean(&aucs)?;
    let mut sections: BTreeMap<(&str, &str), [f64; 2]> = BTreeMap::new();
    for (group, auc) in &known {
        // The derivative of the mean; without one each counts alike.
        let slope = if *auc > 0.0 { mean / auc } else { 1.0 };
        let weight = slope * slope / known.len() as f64;
        let [low, high] = auc_interval(*auc, group.normals, group.anomalies);
        let section = sections
            .entry((&group.machine, &group.section))
            .or_default();
        section[0] += weight * (auc - low);
        section[1] += weight * (high - auc);
    }
    let [below, above] = [0, 1].map(|side| {
        let squares = sections.values().map(|section| section[side].powi(2));
        squares.sum::<f64>().sqrt()
    });
    Some([(mean - below).max(0.0), (mean + above).min(1.0)])
}

/// The intervals of means over independent parts, for example folds, whose clips differ.
pub fn mean_of_parts(parts: &[(Figures, &ClipIntervals)]) -> ClipIntervals {
    let Some((_, first)) = parts.first() else {
        return ClipIntervals::new();
    };
    let count = parts.len() as f64;
    let of = |&figure: &Figure| {
        let each = parts
            .iter()
            .map(|(figures, intervals)| Some((figures.get(figure)?, *intervals.get(&figure)?)));
        let each: Vec<(f64, [f64; 2])> = each.collect::<Option<_>>()?;
        let mean = each.iter().map(|(value, _)| value).sum::<f64>() / count;
        let reach = |side: usize| {
            let squares = each
                .iter()
                .map(|(value, bounds)| (value - bounds[side]).powi(2));
            squares.sum::<f64>().sqrt() / count
        };
        Some((figure, [mean - reach(0), mean + reach(1)]))
    };
    first.keys().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{score::auc, units::Rng};

    #[test]
    fn an_interval_of_few_clips_is_wide() {
        let check = |auc: f64, normals, anomalies, expected: [f64; 2]| {
            let found = auc_interval(auc, normals, anomalies);
            let is_near = |(a, b): (f64, f64)| (a - b).abs() < 5e-4;
            assert!(
                found.into_iter().zip(expected).all(is_near),
                "{auc} of {normals} and {anomalies}: {found:?}"
            );
        };
        // The same equation, solved in Python by trying two million AUCs.
        check(0.8, 30, 30, [0.6622, 0.8868]);
        check(0.5, 50, 50, [0.3897, 0.6103]);
        check(0.95, 200, 100, [0.9145, 0.9707]);
        check(1.0, 10, 10, [0.8002, 1.0]);
    }

    /// Of scores with a known AUC about 95 % of intervals hold it.
    #[test]
    fn an_interval_holds_the_truth() {
        let mut rng = Rng::new(1, 0);
        // Normal distributions whose means are so far apart have these AUCs.
        for (apart, truth) in [(1.19023, 0.8), (2.32617, 0.95)] {
            let mut held = 0;
            for _ in 0..1000 {
                let normal: Vec<f64> = (0..30).map(|_| rng.normal()).collect();
                let anomaly: Vec<f64> = (0..30).map(|_| rng.normal() + apart).collect();
                let auc = auc(&normal, &anomaly).expect("both kinds");
                let [low, high] = auc_interval(auc, 30, 30);
                held += usize::from(low <= truth && truth <= high);
            }
            // 950 with a standard error of 7; the method itself is a little wide or narrow.
            assert!((925..=980).contains(&held), "{truth}: {held}");
        }
    }

    #[test]
    fn the_interval_of_a_mean_is_narrower() {
        let group = |section: &str, auc| GroupScore {
            machine: "fan".to_string(),
            section: section.to_string(),
            domain: None,
            auc,
            pauc: None,
            normals: 40,
            anomalies: 40,
        };
        let alone = mean_interval(&[group("00", Some(0.8))]).expect("an AUC");
        assert_eq!(alone, auc_interval(0.8, 40, 40));
        let width = |[low, high]: [f64; 2]| high - low;
        let sections = [group("00", Some(0.8)), group("01", Some(0.8))];
        let ratio = width(mean_interval(&sections).expect("an AUC")) / width(alone);
        assert!((ratio - 0.5f64.sqrt()).abs() < 1e-9, "{ratio}");
        // What shares its anomalies counts as one.
        let domains = [group("00", Some(0.8)), group("00", Some(0.8))];
        let ratio = width(mean_interval(&domains).expect("an AUC")) / width(alone);
        assert!((ratio - 1.0).abs() < 1e-9, "{ratio}");
        assert_eq!(mean_interval(&[group("00", None)]), None);
    }
}
