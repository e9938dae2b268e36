//! Trials that were trained again with further seeds: what their figures are means of, and how sure those are.

use std::collections::BTreeMap;

use crate::{
    run::figures_of,
    score::{Figure, Figures, Interval, interval},
    store::{EvaluationRow, RepeatRow},
};

/// The further trainings of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Seeds {
    /// Figures of the trial's own model, for which the trial was chosen.
    pub own: Figures,
    /// In the order of their seeds.
    pub each: Vec<Training>,
}

/// One further training.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// How far the seed lies from that of the run.
    pub seed: u64,
    /// What went wrong, where it did.
    pub figures: Result<Figures, String>,
}

impl Seeds {
    /// Mean and interval of one figure over the trainings.
    pub fn interval(&self, figure: Figure) -> Option<Interval> {
        let figures = self.figures();
        let values: Option<Vec<f64>> = figures.iter().map(|one| one.get(figure)).collect();
        // Chance stands for a training that failed, and not for a figure that the trial never had.
        self.own
            .get(figure)
            .and(values)
            .and_then(|values| interval(&values))
    }

    /// The number of trainings, those that failed among them.
    pub fn count(&self) -> usize {
        self.each.len()
    }

    /// Of each training; one that failed counts as chance.
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

/// What a trial's figures are: its own, or means over further trainings where there are some.
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
    use crate::{report::fixture::rescored, score::Measure};

    #[test]
    fn a_training_that_failed_counts_as_chance() {
        let seeds = rescored();
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
