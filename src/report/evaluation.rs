//! What a detector decides about labelled test clips, float and int8. The tables and figures of an evaluation show
//! these facts.

use std::collections::BTreeMap;

use crate::{
    evaluate::{Classed, Examination, ExaminedClip, Int8},
    score::{
        Arithmetic, Classification, Confusion, Interval, auc, average_precision, classification,
        interval, precision_recall_curve, roc_curve,
    },
};

/// One way to split a data set into training and test clips, with its trainings.
#[derive(Debug, Clone, PartialEq)]
pub struct Examined {
    /// The way of splitting, for example `official folds` or `random split`.
    pub split: String,
    /// One per training: the folds in turn, or one for a single split.
    pub parts: Vec<Part>,
}

/// One training and the test clips that it did not learn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Name of the fold; trainings with other seeds share it.
    pub name: String,
    /// A clip with a higher score is called anomalous.
    pub threshold: f64,
    /// The labelled test clips with their scores.
    pub clips: Vec<ExaminedClip>,
    /// The answers of a network that tells classes apart.
    pub classes: Option<Classed>,
    /// Number of labelled test clips that are shorter than a window and cannot be judged.
    pub too_short: usize,
    /// Training and validation loss per epoch.
    pub history: Vec<[f32; 2]>,
    /// How the int8 network differs from the float network.
    pub int8: Option<Int8>,
}

/// A figure of merit of decisions or scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merit {
    /// Share of right decisions.
    Accuracy,
    /// Harmonic mean of precision and recall of the anomalies.
    F1,
    /// Mean of the F1 of normal and of anomalous clips.
    MacroF1,
    /// Area under the ROC curve.
    RocAuc,
    /// Mean precision over the recalls, see [`average_precision`].
    AveragePrecision,
    /// Mean of the shares of normal and of anomalous clips that are decided rightly.
    BalancedAccuracy,
    /// Accuracy of always giving the more frequent answer.
    Constant,
}

impl Merit {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Merit; 7] = [
        Merit::Accuracy,
        Merit::Constant,
        Merit::BalancedAccuracy,
        Merit::F1,
        Merit::MacroF1,
        Merit::RocAuc,
        Merit::AveragePrecision,
    ];

    /// The name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Merit::Accuracy => "accuracy",
            Merit::F1 => "F1",
            Merit::MacroF1 => "macro-F1",
            Merit::RocAuc => "ROC AUC",
            Merit::AveragePrecision => "average precision",
            Merit::BalancedAccuracy => "balanced accuracy",
            Merit::Constant => "accuracy of a constant answer",
        }
    }
}

impl Part {
    /// A training with its name and its judged clips. Without a threshold no clip is called anomalous.
    pub fn new(name: String, examination: Examination) -> Part {
        Part {
            name,
            threshold: examination.threshold.unwrap_or(f64::INFINITY),
            clips: examination.clips,
            classes: examination.classes,
            too_short: examination.too_short,
            history: examination.history,
            int8: examination.int8,
        }
    }

    /// Scores of the normal clips and of the anomalous ones.
    pub fn scores(&self, arithmetic: Arithmetic) -> [Vec<f64>; 2] {
        [false, true].map(|anomaly| {
            let own = self.clips.iter().filter(|clip| clip.anomaly == anomaly);
            let score = |clip: &ExaminedClip| match arithmetic {
                Arithmetic::Float => clip.float,
                Arithmetic::Int8 => clip.int8,
            };
            own.map(score).collect()
        })
    }

    /// The decisions at the threshold, counted.
    pub fn confusion(&self, arithmetic: Arithmetic) -> Confusion {
        let [normal, anomaly] = self.scores(arithmetic);
        Confusion::at_threshold(&normal, &anomaly, self.threshold)
    }

    /// One figure of this training; `None` where a kind of clips is missing.
    pub fn merit(&self, merit: Merit, arithmetic: Arithmetic) -> Option<f64> {
        let [normal, anomaly] = self.scores(arithmetic);
        match merit {
            Merit::Accuracy => Some(self.confusion(arithmetic).accuracy()),
            Merit::F1 => Some(self.confusion(arithmetic).f1()),
            Merit::MacroF1 => Some(self.confusion(arithmetic).macro_f1()),
            Merit::RocAuc => auc(&normal, &anomaly),
            Merit::AveragePrecision => average_precision(&normal, &anomaly),
            Merit::BalancedAccuracy => Some(self.confusion(arithmetic).balanced_accuracy()),
            Merit::Constant => {
                let constant = Classification::of_constant(&[normal.len(), anomaly.len()]);
                constant.map(|constant| constant.accuracy)
            }
        }
    }
}

/// The answers of a network that tells classes apart, counted over all trainings.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassTable {
    /// The names of the classes.
    pub names: Vec<String>,
    /// Numbers of clips: a row for every true class, in it a number for every answer.
    pub counts: Vec<Vec<usize>>,
}

impl ClassTable {
    /// Accuracy, macro-F1 and balanced accuracy; `None` without clips.
    pub fn figures(&self) -> Option<Classification> {
        let classes = self.names.len();
        let (mut rows, mut truths) = (Vec::new(), Vec::new());
        for (truth, answers) in self.counts.iter().enumerate() {
            for (answer, count) in answers.iter().enumerate() {
                for _ in 0..*count {
                    rows.extend((0..classes).map(|class| f64::from(u8::from(class == answer))));
                    truths.push(truth);
                }
            }
        }
        classification(&rows, &truths, classes)
    }

    /// What the best constant answer gets; `None` without clips.
    pub fn constant(&self) -> Option<Classification> {
        let clips: Vec<usize> = self.counts.iter().map(|row| row.iter().sum()).collect();
        Classification::of_constant(&clips)
    }

    /// Precision and recall of a class, each 0 where it is never answered or does not occur, and its number of clips.
    pub fn of_class(&self, class: usize) -> (f64, f64, usize) {
        let hits = self.counts[class][class];
        let answered: usize = self.counts.iter().map(|row| row[class]).sum();
        let own: usize = self.counts[class].iter().sum();
        let share = |of: usize| hits as f64 / of.max(1) as f64;
        (share(answered), share(own), own)
    }
}

impl Examined {
    /// The answers of networks that tell classes apart; `None` for others.
    pub fn classes(&self, arithmetic: Arithmetic) -> Option<ClassTable> {
        let names = self
            .parts
            .iter()
            .find_map(|part| Some(part.classes.as_ref()?.names.clone()))?;
        let mut counts = vec![vec![0; names.len()]; names.len()];
        let classed = self.parts.iter().filter_map(|part| part.classes.as_ref());
        for clip in classed.flat_map(|classed| &classed.clips) {
            let answer = match arithmetic {
                Arithmetic::Float => clip.float,
                Arithmetic::Int8 => clip.int8,
            };
            counts[clip.truth][answer] += 1;
        }
        Some(ClassTable { names, counts })
    }

    /// The same evaluation without the clips that steer a search.
    pub fn untouched(&self) -> Examined {
        let part = |part: &Part| Part {
            clips: part
                .clips
                .iter()
                .filter(|clip| !clip.steers)
                .copied()
                .collect(),
            classes: part.classes.as_ref().map(|classed| Classed {
                names: classed.names.clone(),
                clips: classed
                    .clips
                    .iter()
                    .filter(|clip| !clip.steers)
                    .copied()
                    .collect(),
            }),
            too_short: 0,
            // It is said once, for all clips.
            int8: None,
            ..part.clone()
        };
        Examined {
            split: format!("{}, untouched", self.split),
            parts: self.parts.iter().map(part).collect(),
        }
    }

    /// Mean over the parts with its interval. Parts with one name are trainings with several seeds: they count as one
    /// part, unless there is no other name.
    pub fn merit(&self, merit: Merit, arithmetic: Arithmetic) -> Option<Interval> {
        let mut of_name: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for part in &self.parts {
            let values = of_name.entry(&part.name).or_default();
            values.extend(part.merit(merit, arithmetic));
        }
        let mut values: Vec<Vec<f64>> = of_name.into_values().collect();
        if values.len() == 1 {
            return interval(&values.remove(0));
        }
        let mean = |values: Vec<f64>| Some(interval(&values)?.mean);
        interval(&values.into_iter().filter_map(mean).collect::<Vec<f64>>())
    }

    /// The decisions of all parts, counted together.
    pub fn confusion(&self, arithmetic: Arithmetic) -> Confusion {
        let sum = |count: fn(&Confusion) -> usize| {
            self.parts
                .iter()
                .map(|part| count(&part.confusion(arithmetic)))
                .sum()
        };
        Confusion {
            true_positives: sum(|c| c.true_positives),
            false_positives: sum(|c| c.false_positives),
            true_negatives: sum(|c| c.true_negatives),
            false_negatives: sum(|c| c.false_negatives),
        }
    }

    /// Number of judged clips, summed over the parts.
    pub fn clips(&self) -> usize {
        self.count(|part| part.clips.len())
    }

    /// Number of clips shorter than a window, summed over the parts.
    pub fn too_short(&self) -> usize {
        self.count(|part| part.too_short)
    }

    /// Sum over the parts; of parts with one name only the first counts.
    fn count(&self, of: impl Fn(&Part) -> usize) -> usize {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for part in &self.parts {
            counts.entry(&part.name).or_insert_with(|| of(part));
        }
        counts.into_values().sum()
    }

    /// Points `[false-positive rate, recall]` over the clips of all parts; empty where a kind is missing.
    pub fn roc(&self, arithmetic: Arithmetic) -> Vec<[f64; 2]> {
        let [normal, anomaly] = self.pooled(arithmetic);
        roc_curve(&normal, &anomaly).unwrap_or_default()
    }

    /// Points `[recall, precision]` over the clips of all parts; empty where a kind is missing.
    pub fn precision_recall(&self, arithmetic: Arithmetic) -> Vec<[f64; 2]> {
        let [normal, anomaly] = self.pooled(arithmetic);
        precision_recall_curve(&normal, &anomaly).unwrap_or_default()
    }

    /// Scores less the threshold of their part: scores of several networks become comparable.
    fn pooled(&self, arithmetic: Arithmetic) -> [Vec<f64>; 2] {
        let mut pooled = [Vec::new(), Vec::new()];
        for part in &self.parts {
            for (all, own) in pooled.iter_mut().zip(part.scores(arithmetic)) {
                all.extend(own.iter().map(|score| score - part.threshold));
            }
        }
        pooled
    }

    /// The line above the tables: `official folds: trained 5 times, 803 test clips`.
    pub fn headline(&self) -> String {
        let trained = match self.parts.len() {
            1 => "trained once".to_string(),
            times => format!("trained {times} times"),
        };
        let short = match self.too_short() {
            0 => String::new(),
            count => format!("; {count} more are shorter than a window"),
        };
        format!(
            "{}: {trained}, {} test clips{short}",
            self.split,
            self.clips()
        )
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two parts; the scores of their networks differ by one, and int8 misjudges one more clip.
    pub fn example() -> Examined {
        let part = |name: &str, offset: f64| {
            let clip = |(anomaly, float, int8): (bool, f64, f64)| ExaminedClip {
                anomaly,
                // It is the fourth clip of each.
                steers: float == 1.0,
                float: float + offset,
                int8: int8 + offset,
            };
            let clips = [
                (false, -2.0, -2.0),
                (false, -1.0, 0.25),
                (true, -0.5, -0.5),
                (true, 1.0, 1.0),
            ];
            Part {
                name: name.to_string(),
                threshold: offset,
                classes: None,
                clips: clips.map(clip).to_vec(),
                too_short: 0,
                history: vec![[0.7, 0.8], [0.5, 0.6], [0.4, 0.65]],
                int8: None,
            }
        };
        Examined {
            split: "official folds".to_string(),
            parts: vec![part("fold 1", 0.0), part("fold 2", 1.0)],
        }
    }

    #[test]
    fn seeds_of_a_fold_count_once() {
        let example = example();
        let untouched = example.untouched();
        assert_eq!((example.clips(), untouched.clips()), (8, 6));
        assert_eq!(untouched.confusion(Arithmetic::Int8).true_positives, 0);
        let mut twice = example.clone();
        twice.parts.extend(example.parts.clone());
        twice.parts[2].threshold = f64::INFINITY;
        assert_eq!(twice.clips(), 8);
        // Fold 1 has 0.5 and 0.5 of all clips right, fold 2 0.5 twice; float 0.75 and 0.5, and 0.75 twice.
        let accuracy = |arithmetic| twice.merit(Merit::Accuracy, arithmetic).unwrap().mean;
        assert_eq!(accuracy(Arithmetic::Int8), 0.5);
        assert_eq!(accuracy(Arithmetic::Float), (0.625 + 0.75) / 2.0);
    }

    #[test]
    fn curves_are_of_scores_above_their_thresholds() {
        let example = example();
        let alone = Examined {
            parts: example.parts[..1].to_vec(),
            ..example.clone()
        };
        for arithmetic in Arithmetic::BOTH {
            assert_eq!(example.roc(arithmetic), alone.roc(arithmetic));
            let curve = example.precision_recall(arithmetic);
            assert_eq!(curve, alone.precision_recall(arithmetic));
            assert_eq!(curve.last().unwrap()[0], 1.0);
        }
    }
}
