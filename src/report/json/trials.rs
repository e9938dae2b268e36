//! All trials of a run.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{CostsView, FiguresView, SCHEMA_VERSION};
use crate::report::trials::{Listed, TrialList};

/// What `nas trials RUN --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TrialsDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// Name of the run.
    pub run: String,
    /// Name of the data set.
    pub data: String,
    /// Whether the data comes from the built-in generator.
    pub synthetic: bool,
    /// What steered the search: `labels` or `disturbed` sound (`stand-ins` in older runs); null where that was not recorded.
    pub steered_by: Option<String>,
    /// Names of the targets; the first one steers the search.
    pub targets: Vec<String>,
    /// Every trial, in the order of their numbers.
    pub trials: Vec<ListedView>,
}

/// One trial of the list.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ListedView {
    /// Number of the trial.
    pub trial: u64,
    /// `scored`, `rejected` or `failed`.
    pub state: &'static str,
    /// Name of the search space.
    pub space: String,
    /// `reconstruct` (autoencoder), `classify` or `distance`.
    pub task: String,
    /// The value of every axis of the space, by its name.
    pub axes: BTreeMap<String, String>,
    /// Figures of merit, means over the further trainings where there are some; null where it was not scored.
    pub figures: Option<FiguresView>,
    /// Trainings beyond the first one.
    pub further_trainings: usize,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Number of weights and biases.
    pub params: u64,
    /// Costs by name of the target.
    pub costs: BTreeMap<String, CostsView>,
    /// The targets on whose front it is.
    pub on_front: Vec<String>,
    /// Seconds that training and scoring took; 0 where it was not trained.
    pub seconds: f64,
    /// Why it was rejected, or what failed; null where it was scored.
    pub reason: Option<String>,
}

impl From<&TrialList> for TrialsDocument {
    fn from(list: &TrialList) -> TrialsDocument {
        let view = |trial: &Listed| ListedView {
            trial: trial.trial,
            state: trial.state,
            space: trial.space.clone(),
            task: trial.task.clone(),
            axes: trial.axes.iter().cloned().collect(),
            figures: trial.figures.map(FiguresView),
            further_trainings: trial.further_trainings,
            macs: trial.macs,
            params: trial.params,
            costs: list
                .targets
                .iter()
                .zip(&trial.costs)
                .map(|(target, costs)| (target.clone(), CostsView::from(costs)))
                .collect(),
            on_front: trial.on_front.clone(),
            seconds: trial.seconds,
            reason: trial.reason.clone(),
        };
        TrialsDocument {
            schema_version: SCHEMA_VERSION,
            run: list.run.clone(),
            data: list.data.clone(),
            synthetic: list.synthetic,
            steered_by: list.steered.clone(),
            targets: list.targets.clone(),
            trials: list.trials.iter().map(view).collect(),
        }
    }
}
