//! What trials are worth beside each other: their objectives as shares of reference values, and the fronts of those.

use std::collections::BTreeMap;

use super::{Objective, Settings, SettingsError};
use crate::{
    evaluate::Scores,
    hardware::{Budget, Cost, CostSource, Estimate, Metric, Target},
    search::pareto_front,
    store::{CostRow, EvaluationRow, RepeatRow, Run, TrialRow},
};

/// The figures of merit that objectives are made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Merit {
    pub auc_int8: f64,
    pub pauc_int8: f64,
    pub accuracy_int8: Option<f64>,
}

impl From<&Scores> for Merit {
    fn from(scores: &Scores) -> Merit {
        Merit {
            auc_int8: scores.auc_int8,
            pauc_int8: scores.pauc_int8,
            accuracy_int8: scores.accuracy_int8,
        }
    }
}

impl Merit {
    /// That of a stored evaluation; `None` where it has no figures.
    pub fn of(row: &EvaluationRow) -> Option<Merit> {
        Some(Merit {
            auc_int8: row.auc_int8?,
            pauc_int8: row.pauc_int8?,
            accuracy_int8: row.accuracy_int8,
        })
    }

    /// The score of that name; `None` of a cost, and of an accuracy without decisions.
    pub fn score(&self, objective: Objective) -> Option<f64> {
        match objective {
            Objective::Auc => Some(self.auc_int8),
            Objective::Pauc => Some(self.pauc_int8),
            Objective::Accuracy => self.accuracy_int8,
            Objective::Cost(_) => None,
        }
    }

    /// `None` of nothing.
    pub fn mean(merits: &[Merit]) -> Option<Merit> {
        let mean = |figure: fn(&Merit) -> f64| {
            merits.iter().map(figure).sum::<f64>() / merits.len() as f64
        };
        let decided = merits.iter().all(|merit| merit.accuracy_int8.is_some());
        (!merits.is_empty()).then(|| Merit {
            auc_int8: mean(|merit| merit.auc_int8),
            pauc_int8: mean(|merit| merit.pauc_int8),
            accuracy_int8: decided.then(|| mean(|merit| merit.accuracy_int8.unwrap_or_default())),
        })
    }
}

/// The mean merit over the further trainings of every trial that has some.
pub fn mean_merits(
    repeats: &[RepeatRow],
    evaluations: &BTreeMap<String, EvaluationRow>,
) -> BTreeMap<i64, Merit> {
    let mut merits: BTreeMap<i64, Vec<Merit>> = BTreeMap::new();
    for repeat in repeats {
        let evaluation = repeat
            .outcome
            .as_ref()
            .ok()
            .and_then(|key| evaluations.get(key));
        if let Some(merit) = evaluation.and_then(Merit::of) {
            merits.entry(repeat.number).or_default().push(merit);
        }
    }
    let mean = |(number, merits): (i64, Vec<Merit>)| Some((number, Merit::mean(&merits)?));
    merits.into_iter().filter_map(mean).collect()
}

/// What a run measures its trials by.
#[derive(Debug, Clone, PartialEq)]
pub struct Yardstick {
    pub targets: Vec<Target>,
    pub budget: Budget,
    pub objectives: Vec<Objective>,
    /// Per target, the reference value of each objective.
    pub references: Vec<Vec<f64>>,
}

impl Yardstick {
    pub fn of(run: &Run) -> Result<Yardstick, SettingsError> {
        let settings = Settings::from_json(&run.settings_json)?;
        Ok(Yardstick {
            targets: settings.targets()?,
            budget: settings.budget,
            objectives: settings.objectives()?,
            references: serde_json::from_str(&run.reference_json)?,
        })
    }

    /// Per target, the objectives of a stored trial as shares of their references; `None` on a target that it does not
    /// fit.
    pub fn points(&self, row: &TrialRow, merit: Merit) -> Vec<Option<Vec<f64>>> {
        let macs = row.macs as u64;
        let on_target = |(target, references): (&Target, &Vec<f64>)| {
            let estimate = stored_estimate(row, &target.name)?;
            let fits = self.budget.excess(target, &estimate, macs).is_none();
            fits.then(|| shares(&self.objectives, references, merit, &estimate, macs))
        };
        self.targets
            .iter()
            .zip(&self.references)
            .map(on_target)
            .collect()
    }
}

/// The estimate that was stored with a trial; `None` where a cost is missing.
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
    })
}

/// Objectives as shares of their references.
pub(super) fn shares(
    objectives: &[Objective],
    references: &[f64],
    merit: Merit,
    estimate: &Estimate,
    macs: u64,
) -> Vec<f64> {
    let share = |(objective, reference): (&Objective, &f64)| {
        objective.value(merit, estimate, macs) / reference
    };
    objectives.iter().zip(references).map(share).collect()
}

/// [`shares`] of a network that is not trained: `None` where only training can tell.
pub(super) fn known_shares(
    objectives: &[Objective],
    references: &[f64],
    estimate: &Estimate,
    macs: u64,
) -> Vec<Option<f64>> {
    let share = |(objective, reference): (&Objective, &f64)| match objective {
        Objective::Auc | Objective::Pauc | Objective::Accuracy => None,
        Objective::Cost(metric) => Some(metric.value(estimate, macs) / reference),
    };
    objectives.iter().zip(references).map(share).collect()
}

/// Numbers of the trials that no other dominates, ascending; of equal ones the earliest.
///
/// `points` are objectives as shares of their references. A network that tells anomalies no better than chance
/// is worth nothing however cheap it is: it is on the front only where no network does better.
pub(super) fn front(points: &[(usize, Vec<f64>)], objectives: &[Objective]) -> Vec<i64> {
    let is_useful = |point: &Vec<f64>| {
        let mut pairs = objectives.iter().zip(point);
        pairs.all(|(objective, share)| objective.is_cost() || *share < 1.0)
    };
    let any_useful = points.iter().any(|(_, point)| is_useful(point));
    let mut points: Vec<&(usize, Vec<f64>)> = points
        .iter()
        .filter(|(_, point)| is_useful(point) || !any_useful)
        .collect();
    // Trials are recorded in the order they finish, which differs from machine to machine.
    points.sort_by_key(|(number, _)| *number);
    let objectives: Vec<&[f64]> = points.iter().map(|(_, point)| point.as_slice()).collect();
    pareto_front(&objectives)
        .into_iter()
        .map(|idx| points[idx].0 as i64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Objective, front};
    use crate::hardware::Metric;

    #[test]
    fn fronts() {
        let objectives = [Objective::Auc, Objective::Cost(Metric::Latency)];
        let check = |points: &[[f64; 2]], expected: &[i64]| {
            let points: Vec<_> = points.iter().map(|p| p.to_vec()).enumerate().collect();
            assert_eq!(front(&points, &objectives), expected, "{points:?}");
        };
        check(&[], &[]);
        check(&[[0.2, 0.9], [0.8, 0.1], [0.8, 0.2]], &[0, 1]);
        // Equal ones: the earliest.
        check(&[[0.2, 0.9], [0.2, 0.9]], &[0]);
        // Chance or worse is on no front, ...
        check(&[[0.2, 0.9], [1.0, 0.1], [1.2, 0.05]], &[0]);
        // ... unless there is nothing else.
        check(&[[1.0, 0.1], [1.2, 0.05]], &[0, 1]);
    }
}
