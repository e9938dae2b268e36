//! Figures of decisions: a detector at its threshold, and a classifier.

use super::{
    ClipScore, Measure, average_precision, judged_anomalous, judged_normal, statistics::mean,
};

/// Decisions of a detector, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confusion {
    /// Anomalies that are called anomalous.
    pub true_positives: usize,
    /// Normal clips that are called anomalous.
    pub false_positives: usize,
    /// Normal clips that are called normal.
    pub true_negatives: usize,
    /// Anomalies that are called normal.
    pub false_negatives: usize,
}

impl Confusion {
    /// Calls a clip anomalous where its score is above the threshold.
    pub fn at_threshold(normal: &[f64], anomaly: &[f64], threshold: f64) -> Confusion {
        let false_positives = judged_normal(normal).filter(|s| *s > threshold).count();
        let true_positives = judged_anomalous(anomaly).filter(|s| *s > threshold).count();
        Confusion {
            true_positives,
            false_positives,
            true_negatives: normal.len() - false_positives,
            false_negatives: anomaly.len() - true_positives,
        }
    }

    /// The same for labelled clips.
    pub fn of_clips(clips: &[ClipScore], threshold: f64) -> Confusion {
        let of = |anomaly: bool| -> Vec<f64> {
            let own = clips.iter().filter(|clip| clip.anomaly == anomaly);
            own.map(|clip| clip.score).collect()
        };
        Confusion::at_threshold(&of(false), &of(true), threshold)
    }

    /// The share of right decisions; 0 without clips.
    pub fn accuracy(&self) -> f64 {
        let right = self.true_positives + self.true_negatives;
        ratio(right, right + self.false_positives + self.false_negatives)
    }

    /// The share of alarms that were anomalies; 0 without alarms.
    pub fn precision(&self) -> f64 {
        let alarms = self.true_positives + self.false_positives;
        ratio(self.true_positives, alarms)
    }

    /// The share of anomalies that were found; 0 without anomalies.
    pub fn recall(&self) -> f64 {
        let anomalies = self.true_positives + self.false_negatives;
        ratio(self.true_positives, anomalies)
    }

    /// The harmonic mean of precision and recall; 0 without anomalies and alarms.
    pub fn f1(&self) -> f64 {
        self.f1_of(self.true_positives).unwrap_or(0.0)
    }

    /// The unweighted mean of the F1 of anomalies and of normal clips, as scikit-learn's `f1_score` with
    /// `average="macro"`: a kind that neither occurs nor is called is left out. 0 without clips.
    pub fn macro_f1(&self) -> f64 {
        let kinds = [self.true_positives, self.true_negatives].map(|hits| self.f1_of(hits));
        let kinds: Vec<f64> = kinds.into_iter().flatten().collect();
        match kinds.is_empty() {
            true => 0.0,
            false => mean(&kinds),
        }
    }

    /// The mean of the shares of anomalies and of normal clips that are called right, over the kinds that occur; 0 without
    /// clips.
    pub fn balanced_accuracy(&self) -> f64 {
        let kinds = [
            (self.true_positives, self.false_negatives),
            (self.true_negatives, self.false_positives),
        ];
        let there = kinds.into_iter().filter(|(right, wrong)| right + wrong > 0);
        let recalls: Vec<f64> = there
            .map(|(right, wrong)| ratio(right, right + wrong))
            .collect();
        match recalls.is_empty() {
            true => 0.0,
            false => mean(&recalls),
        }
    }

    /// F1 of the kind of clips with so many right decisions; `None` where it neither occurs nor is called.
    fn f1_of(&self, hits: usize) -> Option<f64> {
        let wrong = self.false_positives + self.false_negatives;
        (hits + wrong > 0).then(|| ratio(2 * hits, 2 * hits + wrong))
    }

    /// The figure of merit of these decisions; `None` where the measure is not one of [`Measure::DECISIONS`].
    pub fn figure(&self, measure: Measure) -> Option<f64> {
        match measure {
            Measure::Accuracy => Some(self.accuracy()),
            Measure::MacroF1 => Some(self.macro_f1()),
            Measure::BalancedAccuracy => Some(self.balanced_accuracy()),
            Measure::Auc | Measure::Pauc | Measure::Sensitivity => None,
        }
    }
}

/// How well a classifier tells classes apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Classification {
    /// Share of clips with the right class, 0 to 1.
    pub accuracy: f64,
    /// Unweighted mean of F1 over the classes that occur in the truth or in the predictions.
    pub macro_f1: f64,
    /// Unweighted mean of the recall over the classes that occur in the truth.
    pub balanced_accuracy: f64,
    /// Unweighted mean of one-against-rest average precision over the classes that some clips have and some have not.
    /// `None` where there are no such classes.
    pub mean_average_precision: Option<f64>,
}

impl Classification {
    /// The figure of merit of these decisions; `None` where the measure is not one of [`Measure::DECISIONS`].
    pub fn figure(&self, measure: Measure) -> Option<f64> {
        match measure {
            Measure::Accuracy => Some(self.accuracy),
            Measure::MacroF1 => Some(self.macro_f1),
            Measure::BalancedAccuracy => Some(self.balanced_accuracy),
            Measure::Auc | Measure::Pauc | Measure::Sensitivity => None,
        }
    }

    /// What the best constant answer gets where every class has so many clips; `None` without clips.
    pub fn of_constant(clips: &[usize]) -> Option<Classification> {
        let (all, most) = (clips.iter().sum::<usize>(), *clips.iter().max()?);
        let classes = clips.iter().filter(|count| **count > 0).count();
        (all > 0).then(|| Classification {
            accuracy: ratio(most, all),
            macro_f1: ratio(2 * most, all + most) / classes as f64,
            balanced_accuracy: 1.0 / classes as f64,
            mean_average_precision: None,
        })
    }
}

/// Compares class scores with the truth: one row of `classes` scores (logits or probabilities) per clip.
///
/// The first highest score of a row is its prediction; a row with a score that is not a number predicts nothing. `None` without clips or classes, or where lengths disagree or a
/// true class is not below `classes`.
pub fn classification(scores: &[f64], truth: &[usize], classes: usize) -> Option<Classification> {
    let fits = scores.len() == truth.len().checked_mul(classes)?;
    if scores.is_empty() || !fits || truth.iter().any(|class| *class >= classes) {
        return None;
    }
    let predicted: Vec<Option<usize>> = scores.chunks_exact(classes).map(argmax).collect();
    let truth: Vec<Option<usize>> = truth.iter().copied().map(Some).collect();
    let right = predicted.iter().zip(&truth).filter(|(p, t)| p == t).count();
    let (mut f1, mut recalls) = (Vec::new(), Vec::new());
    let mut precision = Vec::new();
    for class in 0..classes {
        let is_class = |label: &&Option<usize>| **label == Some(class);
        let mentions = [&predicted, &truth]
            .map(|labels| labels.iter().filter(is_class).count())
            .iter()
            .sum();
        if mentions > 0 {
            let both = |(p, t): &(&Option<usize>, &Option<usize>)| is_class(p) && p == t;
            let hits = predicted.iter().zip(&truth).filter(both).count();
            f1.push(ratio(2 * hits, mentions));
            let own = truth.iter().filter(is_class).count();
            recalls.extend((own > 0).then(|| ratio(hits, own)));
        }
        let (mut own, mut rest) = (Vec::new(), Vec::new());
        for (row, label) in scores.chunks_exact(classes).zip(&truth) {
            let side = if is_class(&label) {
                &mut own
            } else {
                &mut rest
            };
            side.push(row[class]);
        }
        precision.extend(average_precision(&rest, &own));
    }
    Some(Classification {
        accuracy: ratio(right, truth.len()),
        macro_f1: mean(&f1),
        balanced_accuracy: mean(&recalls),
        mean_average_precision: (!precision.is_empty()).then(|| mean(&precision)),
    })
}

fn argmax(row: &[f64]) -> Option<usize> {
    if row.iter().any(|score| score.is_nan()) {
        return None;
    }
    // `max_by` would take the last of equals; the first is wanted.
    (0..row.len())
        .rev()
        .max_by(|a, b| row[*a].total_cmp(&row[*b]))
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_answer_is_right_for_the_largest_class() {
        let found = Classification::of_constant(&[190, 10]).unwrap();
        assert_eq!((found.accuracy, found.balanced_accuracy), (0.95, 0.5));
        assert!((found.macro_f1 - 0.5 * 380.0 / 390.0).abs() < 1e-12);
        let found = Classification::of_constant(&[3, 0, 5, 2]).unwrap();
        assert_eq!((found.accuracy, found.balanced_accuracy), (0.5, 1.0 / 3.0));
        assert_eq!(Classification::of_constant(&[0, 0]), None);
        // The same by the counts of its decisions.
        let always_normal = Confusion {
            true_positives: 0,
            false_positives: 0,
            true_negatives: 190,
            false_negatives: 10,
        };
        assert_eq!(always_normal.accuracy(), 0.95);
        assert_eq!(always_normal.balanced_accuracy(), 0.5);
    }

    #[test]
    fn macro_f1_is_the_mean_over_the_kinds_that_occur_or_are_called() {
        let check = |[
            true_positives,
            false_positives,
            true_negatives,
            false_negatives,
        ]: [usize; 4],
                     expected: f64| {
            let confusion = Confusion {
                true_positives,
                false_positives,
                true_negatives,
                false_negatives,
            };
            assert!(
                (confusion.macro_f1() - expected).abs() < 1e-12,
                "{confusion:?}"
            );
        };
        check([2, 1, 3, 2], (4.0 / 7.0 + 6.0 / 9.0) / 2.0);
        // Always normal, half of the clips are: a third.
        check([0, 0, 4, 4], 1.0 / 3.0);
        check([0, 0, 4, 0], 1.0);
        check([0, 0, 0, 0], 0.0);
    }
}
