//! Trials that were trained again with further seeds.

use schemars::JsonSchema;
use serde::Serialize;

use super::FiguresView;
use crate::{
    report::{Figures, Seeds, Training},
    score::Interval,
};

/// Further trainings of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RescoredView {
    /// Of the trial's own model, for which it was chosen.
    pub own_auc_int8: Option<f64>,
    pub auc_int8: Option<IntervalView>,
    pub pauc_int8: Option<IntervalView>,
    pub auc_float: Option<IntervalView>,
    pub test_auc_int8: Option<IntervalView>,
    pub test_pauc_int8: Option<IntervalView>,
    pub accuracy_int8: Option<IntervalView>,
    pub test_accuracy_int8: Option<IntervalView>,
    pub trainings: Vec<TrainingView>,
}

/// A mean over trainings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct IntervalView {
    pub mean: f64,
    /// Of the 95 % interval; null of a single training.
    pub half_width: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TrainingView {
    /// How far the seed lies from that of the run.
    pub seed_offset: u64,
    pub figures: Option<FiguresView>,
    pub error: Option<String>,
}

impl From<&Seeds> for RescoredView {
    fn from(seeds: &Seeds) -> RescoredView {
        let interval = |figure: fn(&Figures) -> Option<f64>| {
            let Interval { mean, half_width } = seeds.interval(figure)?;
            Some(IntervalView { mean, half_width })
        };
        let training = |training: &Training| TrainingView {
            seed_offset: training.seed,
            figures: training.figures.as_ref().ok().map(FiguresView::from),
            error: training.figures.as_ref().err().cloned(),
        };
        RescoredView {
            own_auc_int8: seeds.own.auc_int8,
            auc_int8: interval(|figures| figures.auc_int8),
            pauc_int8: interval(|figures| figures.pauc_int8),
            auc_float: interval(|figures| figures.auc_float),
            test_auc_int8: interval(|figures| figures.test_auc_int8),
            test_pauc_int8: interval(|figures| figures.test_pauc_int8),
            accuracy_int8: interval(|figures| figures.accuracy_int8),
            test_accuracy_int8: interval(|figures| figures.test_accuracy_int8),
            trainings: seeds.each.iter().map(training).collect(),
        }
    }
}
