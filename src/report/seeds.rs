//! Trials that were trained again with further seeds: what their figures are means of, and how sure those are.

use std::collections::BTreeMap;

use super::Figures;
use crate::{
    score::{Interval, interval},
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
    /// Mean and interval of one figure over the trainings that have it.
    pub fn interval(&self, figure: impl Fn(&Figures) -> Option<f64>) -> Option<Interval> {
        let values: Vec<f64> = self.good().filter_map(figure).collect();
        interval(&values)
    }

    /// Trainings that succeeded.
    pub fn count(&self) -> usize {
        self.good().count()
    }

    fn good(&self) -> impl Iterator<Item = &Figures> {
        self.each
            .iter()
            .filter_map(|training| training.figures.as_ref().ok())
    }

    /// The means; of the own model where no training succeeded.
    fn means(&self) -> Figures {
        let mean = |figure: fn(&Figures) -> Option<f64>| Some(self.interval(figure)?.mean);
        match self.count() {
            0 => self.own,
            _ => Figures {
                auc_int8: mean(|figures| figures.auc_int8),
                pauc_int8: mean(|figures| figures.pauc_int8),
                auc_float: mean(|figures| figures.auc_float),
                pauc_float: mean(|figures| figures.pauc_float),
                test_auc_int8: mean(|figures| figures.test_auc_int8),
                test_pauc_int8: mean(|figures| figures.test_pauc_int8),
                accuracy_int8: mean(|figures| figures.accuracy_int8),
                test_accuracy_int8: mean(|figures| figures.test_accuracy_int8),
            },
        }
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
            Some(evaluation) => Ok(Figures::from(evaluation)),
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
