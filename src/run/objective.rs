//! What a search minimises, and the reference values that make objectives comparable.

use std::{fmt, str::FromStr};

use super::Merit;
use crate::{
    space::Spaces,
    target::{Budget, Estimate, Metric, Target, estimate},
    units::Rng,
};

/// One thing that a search minimises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Objective {
    /// 1 - AUC of the int8 model.
    Auc,
    /// 1 - partial AUC of the int8 model.
    Pauc,
    Cost(Metric),
}

/// A name that no objective has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an objective; choose from auc, pauc, latency, ram, flash, energy, macs")]
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
            Objective::Cost(metric) => metric.name(),
        }
    }

    /// The key in documents.
    pub const fn key(self) -> &'static str {
        match self {
            Objective::Auc => "one_minus_auc_int8",
            Objective::Pauc => "one_minus_pauc_int8",
            Objective::Cost(metric) => metric.key(),
        }
    }

    /// Name and value for readers: `Latency 20.0 ms`.
    pub fn show(self, value: f64) -> String {
        match self {
            Objective::Auc => format!("1 \u{2212} AUC {value:.2}"),
            Objective::Pauc => format!("1 \u{2212} pAUC {value:.2}"),
            Objective::Cost(metric) => format!("{} {}", metric.title(), metric.show(value)),
        }
    }

    pub const fn is_cost(self) -> bool {
        matches!(self, Objective::Cost(_))
    }

    /// The value to minimise.
    pub fn value(self, merit: Merit, estimate: &Estimate, macs: u64) -> f64 {
        match self {
            Objective::Auc => 1.0 - merit.auc_int8,
            Objective::Pauc => 1.0 - merit.pauc_int8,
            Objective::Cost(metric) => metric.value(estimate, macs),
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
        [Objective::Auc, Objective::Pauc]
            .into_iter()
            .chain(costs)
            .find(|objective| objective.name() == text)
            .ok_or_else(|| UnknownObjective(text.to_string()))
    }
}

/// Random networks whose largest costs stand in for budgets that were not given.
const SAMPLE: usize = 1000;

/// Per target, the reference value of each objective: 0.5 for AUC, the budget for a cost, and without a
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
            Objective::Auc | Objective::Pauc => 0.5,
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
