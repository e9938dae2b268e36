//! Trials that were trained again with further seeds.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use super::{FiguresView, trial::by_figure};
use crate::{
    report::{Seeds, Training},
    score::{Figure, Interval},
};

/// Further trainings of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RescoredView {
    /// AUC of the trial's own model, by which the trial was chosen; 0 to 1.
    pub own_auc_int8: Option<f64>,
    /// Means over the trainings.
    #[serde(flatten)]
    pub means: MeansView,
    /// The further trainings, in the order of their seeds.
    pub trainings: Vec<TrainingView>,
}

/// Means of figures of merit by their keys; null where they are unknown.
#[derive(Debug, Clone, PartialEq)]
pub struct MeansView(Vec<(Figure, Option<IntervalView>)>);

impl MeansView {
    /// The mean of one figure.
    pub fn get(&self, figure: Figure) -> Option<IntervalView> {
        let found = self.0.iter().find(|(known, _)| *known == figure);
        found.and_then(|(_, mean)| *mean)
    }
}

impl Serialize for MeansView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(figure, mean)| (figure.key(), mean)))
    }
}

impl JsonSchema for MeansView {
    fn schema_name() -> Cow<'static, str> {
        "MeansView".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        by_figure::<Option<IntervalView>>(generator)
    }
}

/// A mean over trainings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct IntervalView {
    /// The mean, in the unit of its figure.
    pub mean: f64,
    /// Half the width of its 95 % interval; null for a single training.
    pub half_width: Option<f64>,
}

/// One further training.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TrainingView {
    /// Its seed less the run's seed.
    pub seed_offset: u64,
    /// Figures of its model; null where it failed.
    pub figures: Option<FiguresView>,
    /// What went wrong; null where nothing did.
    pub error: Option<String>,
}

impl From<&Seeds> for RescoredView {
    fn from(seeds: &Seeds) -> RescoredView {
        let mean = |figure: Figure| {
            let interval = seeds.interval(figure);
            let view = |Interval { mean, half_width }| IntervalView { mean, half_width };
            (figure, interval.map(view))
        };
        let training = |training: &Training| TrainingView {
            seed_offset: training.seed,
            figures: training.figures.as_ref().ok().copied().map(FiguresView),
            error: training.figures.as_ref().err().cloned(),
        };
        RescoredView {
            own_auc_int8: seeds.own.get(Figure::AUC),
            means: MeansView(Figure::documented().map(mean).collect()),
            trainings: seeds.each.iter().map(training).collect(),
        }
    }
}
