//! What a search minimises, and the reference values that make objectives comparable.

use std::{fmt, str::FromStr};

use super::Merit;
use crate::{
    hardware::{Budget, Estimate, Metric, Target, estimate},
    space::Spaces,
    units::Rng,
};

/// One thing that a search minimises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Objective {
    /// 1 - AUC of the int8 model.
    Auc,
    /// 1 - partial AUC of the int8 model.
    Pauc,
    /// The share of clips that the int8 model decides wrongly.
    Accuracy,
    Cost(Metric),
}

/// A name that no objective has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an objective; choose from auc, pauc, accuracy, latency, ram, flash, energy, macs"
)]
pub struct UnknownObjective(String);

impl Objective {
    pub const DEFAULT: [Objective; 3] = [
        Objective::Auc,
        Objective::Cost(Metric::Latency),
        Objective::Cost(Metric::Ram),
    ];

    pub fn name(self) -> &'static str {
        match self {
            Objective::Auc => "auc",
            Objective::Pauc => "pauc",
            Objective::Accuracy => "accuracy",
            Objective::Cost(metric) => metric.name(),
        }
    }

    /// The key in documents.
    pub const fn key(self) -> &'static str {
        match self {
            Objective::Auc => "one_minus_auc_int8",
            Objective::Pauc => "one_minus_pauc_int8",
            Objective::Accuracy => "one_minus_accuracy_int8",
            Objective::Cost(metric) => metric.key(),
        }
    }

    /// Name and value for readers: `Latency 20.0 ms`.
    pub fn show(self, value: f64) -> String {
        match self {
            Objective::Cost(metric) => format!("{} {}", metric.title(), metric.show(value)),
            score => format!("1 \u{2212} {} {value:.2}", score.title()),
        }
    }

    /// The word for it in sentences.
    pub fn title(self) -> &'static str {
        match self {
            Objective::Auc => "AUC",
            Objective::Pauc => "pAUC",
            Objective::Accuracy => "accuracy",
            Objective::Cost(metric) => metric.title(),
        }
    }

    pub const fn is_cost(self) -> bool {
        matches!(self, Objective::Cost(_))
    }

    /// The score that networks are ranked by where one is asked for: the first of these, or AUC.
    pub fn leading(objectives: &[Objective]) -> Objective {
        let mut scores = objectives.iter().filter(|objective| !objective.is_cost());
        scores.next().copied().unwrap_or(Objective::Auc)
    }

    /// The value to minimise.
    pub fn value(self, merit: Merit, estimate: &Estimate, macs: u64) -> f64 {
        match self {
            Objective::Cost(metric) => metric.value(estimate, macs),
            // Who decides nothing is right about nothing.
            score => 1.0 - merit.score(score).unwrap_or(0.0),
        }
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Objective {
    type Err = UnknownObjective;
    fn from_str(text: &str) -> Result<Self, UnknownObjective> {
        let costs = Metric::ALL.map(Objective::Cost);
        [Objective::Auc, Objective::Pauc, Objective::Accuracy]
            .into_iter()
            .chain(costs)
            .find(|objective| objective.name() == text)
            .ok_or_else(|| UnknownObjective(text.to_string()))
    }
}

/// Random networks whose largest costs stand in for budgets that were not given.
const SAMPLE: usize = 1000;

/// Per target, the reference value of each objective: 0.5 for AUC and accuracy, the budget for a cost, and without a
/// budget the largest cost among random networks that fit the target.
pub fn references(
    spaces: &Spaces,
    targets: &[Target],
    budget: &Budget,
    objectives: &[Objective],
) -> Vec<Vec<f64>> {
    let mut rng = Rng::new(0, 0x7265_6665_7265_6e63);
    let sample: Vec<_> = (0..SAMPLE)
        .map(|_| spaces.decode(&spaces.random(&mut rng)))
        .collect();
    let of_target = |target: &Target| {
        let estimates: Vec<(Estimate, u64)> = sample
            .iter()
            .map(|candidate| (estimate(candidate, target), candidate.graph.macs()))
            .filter(|(estimate, macs)| budget.excess(target, estimate, *macs).is_none())
            .collect();
        let largest = |metric: Metric| {
            let values = estimates
                .iter()
                .map(|(estimate, macs)| metric.value(estimate, *macs));
            values.fold(0.0, f64::max)
        };
        let reference = |objective: &Objective| match *objective {
            Objective::Auc | Objective::Pauc | Objective::Accuracy => 0.5,
            Objective::Cost(metric) => {
                match budget.limit(metric).unwrap_or_else(|| largest(metric)) {
                    nothing_fits if nothing_fits <= 0.0 => 1.0,
                    value => value,
                }
            }
        };
        objectives.iter().map(reference).collect()
    };
    targets.iter().map(of_target).collect()
}
