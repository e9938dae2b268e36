//! The value of trials compared with each other: objectives as shares of reference values, and their fronts.

use std::collections::BTreeMap;

use super::{Objective, Settings, SettingsError, record::scored_figures};
use crate::{
    hardware::{Budget, Cost, CostSource, Estimate, Metric, Target},
    score::{Figures, Measure},
    search::{hypervolume, pareto_front},
    store::{CostRow, EvaluationRow, RepeatRow, Run, TrialRow},
};

/// The mean figures of every trial with further trainings, over those trainings.
///
/// A failed training counts as chance: with that seed there is no detector.
pub fn mean_figures(
    repeats: &[RepeatRow],
    evaluations: &BTreeMap<String, EvaluationRow>,
) -> BTreeMap<i64, Figures> {
    let mut figures: BTreeMap<i64, Vec<Figures>> = BTreeMap::new();
    for repeat in repeats {
        let training = match &repeat.outcome {
            Ok(key) => evaluations.get(key).and_then(scored_figures),
            Err(_) => Some(Figures::CHANCE),
        };
        figures.entry(repeat.number).or_default().extend(training);
    }
    let mean = |(number, figures): (i64, Vec<Figures>)| Some((number, Figures::mean(&figures)?));
    figures.into_iter().filter_map(mean).collect()
}

/// The settings by which a run compares its trials.
#[derive(Debug, Clone, PartialEq)]
pub struct Yardstick {
    /// The targets; the sampler saw only the first.
    pub targets: Vec<Target>,
    /// Limits of a candidate's costs on every target.
    pub budget: Budget,
    /// The quantities to minimise.
    pub objectives: Vec<Objective>,
    /// The reference value of each objective, per target.
    pub references: Vec<Vec<f64>>,
}

impl Yardstick {
    /// The settings of a stored run.
    ///
    /// # Errors
    /// [`SettingsError`] where the settings cannot be read.
    pub fn of(run: &Run) -> Result<Yardstick, SettingsError> {
        let settings = Settings::from_json(&run.settings_json)?;
        Ok(Yardstick {
            targets: settings.targets()?,
            budget: settings.budget,
            objectives: settings.objectives()?,
            references: serde_json::from_str(&run.reference_json)?,
        })
    }

    /// The objectives of a stored trial as shares of their references, per target; `None` on a target that it does
    /// not fit.
    pub fn points(&self, row: &TrialRow, figures: &Figures) -> Vec<Option<Vec<f64>>> {
        let macs = row.macs as u64;
        let on_target = |(target, references): (&Target, &Vec<f64>)| {
            let estimate = stored_estimate(row, &target.name)?;
            let fits = self.budget.excess(target, &estimate, macs).is_none();
            fits.then(|| shares(&self.objectives, references, figures, &estimate, macs))
        };
        self.targets
            .iter()
            .zip(&self.references)
            .map(on_target)
            .collect()
    }
}

/// The stored estimate of a trial; `None` where a cost is missing.
pub fn stored_estimate(row: &TrialRow, target: &str) -> Option<Estimate> {
    let cost = |metric: Metric| {
        let is_it = |cost: &&CostRow| {
            cost.target == target
                && cost.metric == metric.key()
                && cost.source == CostSource::Estimated.name()
        };
        let cost = row.costs.iter().find(is_it)?;
        Some(Cost {
            value: cost.value,
            low: cost.low,
            high: cost.high,
            source: CostSource::Estimated,
        })
    };
    Some(Estimate {
        ram_bytes: cost(Metric::Ram)?,
        flash_bytes: cost(Metric::Flash)?,
        latency_us: cost(Metric::Latency)?,
        energy_uj: cost(Metric::Energy)?,
        window_us: row.window_us(target),
    })
}

/// Objectives as shares of their references.
pub(super) fn shares(
    objectives: &[Objective],
    references: &[f64],
    figures: &Figures,
    estimate: &Estimate,
    macs: u64,
) -> Vec<f64> {
    let share = |(objective, reference): (&Objective, &f64)| {
        objective.value(figures, estimate, macs) / reference
    };
    objectives.iter().zip(references).map(share).collect()
}

/// [`shares`] of a network before training; `None` where only training can tell.
pub(super) fn known_shares(
    objectives: &[Objective],
    references: &[f64],
    estimate: &Estimate,
    macs: u64,
) -> Vec<Option<f64>> {
    let share = |(objective, reference): (&Objective, &f64)| match objective {
        Objective::Score(_) => None,
        Objective::Cost(metric) => Some(metric.value(estimate, macs) / reference),
    };
    objectives.iter().zip(references).map(share).collect()
}

/// Numbers of the trials that no other trial dominates, ascending; of equal trials the first.
///
/// `points` are objectives as shares of their references. A network that is no better than chance has no value
/// however cheap it is: it is on the front only where no network is better, and never where a constant answer decides as
/// well.
pub(super) fn front(points: &[(usize, Vec<f64>)], objectives: &[Objective]) -> Vec<i64> {
    let is_useful = |point: &Vec<f64>| {
        let mut pairs = objectives.iter().zip(point);
        pairs.all(|(objective, share)| objective.is_cost() || *share < 1.0)
    };
    let mut steering = Objective::measures(objectives);
    let decide = steering.any(|measure| Measure::DECISIONS.contains(&measure));
    let any_useful = decide || points.iter().any(|(_, point)| is_useful(point));
    let mut points: Vec<&(usize, Vec<f64>)> = points
        .iter()
        .filter(|(_, point)| is_useful(point) || !any_useful)
        .collect();
    // Trials are recorded in the order in which they finish, which differs between machines.
    points.sort_by_key(|(number, _)| *number);
    let objectives: Vec<&[f64]> = points.iter().map(|(_, point)| point.as_slice()).collect();
    pareto_front(&objectives)
        .into_iter()
        .map(|idx| points[idx].0 as i64)
        .collect()
}

/// The hypervolume of points, as a share of the box between the ideal and the reference point.
pub(super) fn volume(points: &[(usize, Vec<f64>)], objectives: usize) -> f64 {
    let points: Vec<&[f64]> = points.iter().map(|(_, point)| point.as_slice()).collect();
    hypervolume(&points, &vec![1.0; objectives])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Objective, front, mean_figures};
    use crate::{
        hardware::Metric,
        score::{Figure, Figures, Measure},
        store::{EvaluationRow, RepeatRow, ScoreRow},
    };

    #[test]
    fn a_training_that_failed_counts_as_chance() {
        let repeat = |number, seed, outcome: Result<&str, &str>| RepeatRow {
            number,
            seed,
            outcome: outcome.map(str::to_string).map_err(str::to_string),
        };
        let score = |metric: &str| ScoreRow {
            metric: metric.to_string(),
            part: "steer".to_string(),
            value: 0.75,
        };
        let evaluation = EvaluationRow {
            key: "e".to_string(),
            scores: vec![score("auc_int8"), score("pauc_int8")],
            details_json: String::new(),
            artefacts: None,
            seconds: 1.0,
            created_utc: String::new(),
        };
        let evaluations = BTreeMap::from([("e".to_string(), evaluation)]);
        let repeats = [
            repeat(1, 1, Ok("e")),
            repeat(2, 1, Ok("e")),
            repeat(2, 2, Err("diverged")),
            repeat(3, 1, Err("diverged")),
        ];
        let means = mean_figures(&repeats, &evaluations);
        let auc = |number: i64| means[&number].get(Figure::AUC);
        assert_eq!([auc(1), auc(2), auc(3)], [0.75, 0.625, 0.5].map(Some));
        // A figure that the others lack is no mean.
        let accuracy = Figure::steering(Measure::Accuracy);
        assert_eq!(means[&2].get(accuracy), None);
        assert_eq!(means[&3], Figures::CHANCE);
    }

    #[test]
    fn fronts() {
        let objectives = [Objective::AUC, Objective::Cost(Metric::Latency)];
        let check = |points: &[[f64; 2]], expected: &[i64]| {
            let points: Vec<_> = points.iter().map(|p| p.to_vec()).enumerate().collect();
            assert_eq!(front(&points, &objectives), expected, "{points:?}");
        };
        check(&[], &[]);
        check(&[[0.2, 0.9], [0.8, 0.1], [0.8, 0.2]], &[0, 1]);
        // Of equal points, the first.
        check(&[[0.2, 0.9], [0.2, 0.9]], &[0]);
        // Chance or worse is on no front, ...
        check(&[[0.2, 0.9], [1.0, 0.1], [1.2, 0.05]], &[0]);
        // ... unless there is nothing else.
        check(&[[1.0, 0.1], [1.2, 0.05]], &[0, 1]);
    }
}
