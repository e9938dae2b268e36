//! Trials that were trained again with further seeds: means of their figures, and intervals of the means.

use std::collections::BTreeMap;

use crate::{
    run::figures_of,
    score::{Figure, Figures, Interval, interval},
    store::{EvaluationRow, RepeatRow},
};

/// The further trainings of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Seeds {
    /// Figures of the trial's own model, by which the trial was chosen.
    pub own: Figures,
    /// The further trainings, in the order of their seeds.
    pub each: Vec<Training>,
}

/// One further training.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// Its seed less the run's seed.
    pub seed: u64,
    /// Figures of its model, or what went wrong.
    pub figures: Result<Figures, String>,
}

impl Seeds {
    /// Mean and interval of one figure over the trainings.
    pub fn interval(&self, figure: Figure) -> Option<Interval> {
        let figures = self.figures();
        let values: Option<Vec<f64>> = figures.iter().map(|one| one.get(figure)).collect();
        // A training that failed counts as chance; a figure that the trial never had stays unknown.
        self.own
            .get(figure)
            .and(values)
            .and_then(|values| interval(&values))
    }

    /// The number of trainings, failed ones included.
    pub fn count(&self) -> usize {
        self.each.len()
    }

    /// The figures of each training; one that failed counts as chance.
    fn figures(&self) -> Vec<Figures> {
        let of = |training: &Training| *training.figures.as_ref().unwrap_or(&Figures::CHANCE);
        self.each.iter().map(of).collect()
    }

    fn means(&self) -> Figures {
        let known = self.own.known();
        let mean = |(figure, _): (Figure, f64)| Some((figure, self.interval(figure)?.mean));
        known.filter_map(mean).collect()
    }
}

/// The further trainings of a run's trials, by trial.
pub(super) fn trainings(
    repeats: Vec<RepeatRow>,
    evaluations: &BTreeMap<String, EvaluationRow>,
) -> BTreeMap<i64, Vec<Training>> {
    let mut trainings: BTreeMap<i64, Vec<Training>> = BTreeMap::new();
    for repeat in repeats {
        let figures = repeat.outcome.and_then(|key| match evaluations.get(&key) {
            Some(evaluation) => Ok(figures_of(evaluation)),
            None => Err("its evaluation is not in the store".to_string()),
        });
        trainings.entry(repeat.number).or_default().push(Training {
            seed: repeat.seed as u64,
            figures,
        });
    }
    trainings
}

/// A trial's figures: its own, or means over further trainings where there are some.
pub(super) fn figures(own: Figures, trainings: Option<&Vec<Training>>) -> (Figures, Option<Seeds>) {
    let Some(each) = trainings else {
        return (own, None);
    };
    let seeds = Seeds {
        own,
        each: each.clone(),
    };
    (seeds.means(), Some(seeds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::Measure;

    #[test]
    fn a_training_that_failed_counts_as_chance() {
        let figures = |auc: f64| Figures::default().with(Figure::AUC, auc);
        let training = |(seed, figures)| Training { seed, figures };
        let each = [
            (1, Ok(figures(0.75))),
            (2, Err("the loss became NaN".to_string())),
            (3, Ok(figures(0.85))),
        ];
        let seeds = Seeds {
            own: figures(0.9),
            each: each.map(training).to_vec(),
        };
        let auc = seeds.interval(Figure::AUC).unwrap();
        // 0.75, chance and 0.85.
        assert!((auc.mean - 0.7).abs() < 1e-12);
        assert!(auc.half_width.unwrap() > 0.3);
        assert_eq!(seeds.count(), 3);
        assert_eq!(seeds.means().get(Figure::AUC), Some(auc.mean));
        // What the trial itself does not have is no figure of its trainings.
        assert_eq!(seeds.interval(Figure::steering(Measure::Accuracy)), None);
    }
}
