//! All trials of a run with the values of their axes: what a table, a notebook or the next search starts from.

use super::{Costs, ReportError, costs_of, seeds};
use crate::{
    run::{Objective, Settings, Yardstick, figures_of, stored_estimate},
    score::{Figures, Measure},
    store::{Run, Store, TrialOutcome},
};

/// The trials of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialList {
    /// Name of the run.
    pub run: String,
    /// Name of the data set.
    pub data: String,
    /// Whether the built-in generator made the data.
    pub synthetic: bool,
    /// What steered the search; `None` where that was not recorded.
    pub steered: Option<String>,
    /// Names of the targets; the first one steered.
    pub targets: Vec<String>,
    /// The score by which trials are shown beside their costs.
    pub merit: Measure,
    /// Every trial, in the order of their numbers.
    pub trials: Vec<Listed>,
}

/// One trial of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Number of the trial.
    pub trial: u64,
    /// `scored`, `rejected` or `failed`.
    pub state: &'static str,
    /// Name of the search space.
    pub space: String,
    /// `reconstruct`, `classify` or `distance`.
    pub task: String,
    /// The value of every axis of the space, by its name, in the order of the space.
    pub axes: Vec<(String, String)>,
    /// Figures of merit, means over further trainings where there are some; `None` where it was not scored.
    pub figures: Option<Figures>,
    /// Trainings beyond the first one.
    pub further_trainings: usize,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Number of weights and biases.
    pub params: u64,
    /// One per target of the run, in their order.
    pub costs: Vec<Costs>,
    /// Names of the targets on whose front it is.
    pub on_front: Vec<String>,
    /// Seconds that its training and scoring took; 0 where it was not trained.
    pub seconds: f64,
    /// Why it was rejected, or what failed.
    pub reason: Option<String>,
}

/// Reads the trials of a run.
///
/// # Errors
/// [`ReportError`] where the store cannot be read, or a genome does not suit the run's spaces.
pub fn load_trials(store: &Store, run: &Run) -> Result<TrialList, ReportError> {
    let settings = Settings::from_json(&run.settings_json)?;
    let yardstick = Yardstick::of(run)?;
    let spaces = settings.spaces()?;
    let evaluations = store.evaluations(run.id)?;
    let trainings = seeds::trainings(store.repeats(run.id)?, &evaluations);
    let fronts = store.fronts(run.id)?;
    let mut trials = Vec::new();
    for row in store.trials(run.id)? {
        let genome = spaces
            .decode_bytes(&row.genome)
            .ok_or(ReportError::Genome { trial: row.number })?;
        let axes = spaces.explain(&genome).into_iter();
        let own = match &row.outcome {
            TrialOutcome::Scored { evaluation_key } => evaluations.get(evaluation_key),
            TrialOutcome::Rejected { .. } | TrialOutcome::Failed { .. } => None,
        };
        let figures = own.map(|own| seeds::figures(figures_of(own), trainings.get(&row.number)).0);
        let costs = yardstick.targets.iter().map(|target| {
            let estimate = stored_estimate(&row, &target.name);
            estimate.map_or(Costs::default(), |estimate| {
                costs_of(estimate, target, &yardstick.budget)
            })
        });
        let (state, reason) = match row.outcome.clone() {
            TrialOutcome::Scored { .. } => ("scored", None),
            TrialOutcome::Rejected { message, .. } => ("rejected", Some(message)),
            TrialOutcome::Failed { message } => ("failed", Some(message)),
        };
        let on_front = fronts
            .iter()
            .filter(|(_, front)| front.contains(&row.number));
        trials.push(Listed {
            trial: row.number as u64,
            state,
            axes: axes
                .map(|(name, value)| (name.to_string(), value))
                .collect(),
            figures,
            further_trainings: trainings.get(&row.number).map_or(0, Vec::len),
            macs: row.macs as u64,
            params: row.params as u64,
            costs: costs.collect(),
            on_front: on_front.map(|(target, _)| target.clone()).collect(),
            seconds: row.seconds,
            reason,
            space: row.space,
            task: row.task,
        });
    }
    Ok(TrialList {
        run: run.name.clone(),
        data: run.data_name.clone(),
        synthetic: run.synthetic,
        steered: settings.steered.clone(),
        targets: yardstick
            .targets
            .iter()
            .map(|one| one.name.clone())
            .collect(),
        merit: Objective::leading(&yardstick.objectives),
        trials,
    })
}
