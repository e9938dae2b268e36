//! The quantities that a search minimises, and the reference values that make them comparable.

use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::{
    hardware::{Budget, Estimate, Metric, Target, estimate},
    score::{Figure, Figures, Measure},
    space::Spaces,
    units::Rng,
};

/// One quantity that a search minimises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Objective {
    /// The distance of the int8 model from a perfect score: 1 - AUC, or the share of clips that it decides wrongly.
    Score(Measure),
    /// A cost of the network.
    Cost(Metric),
}

/// A name that no objective has; it holds the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an objective; choose from {names}", names = Objective::names(Objective::all()).join(", "))]
pub struct UnknownObjective(String);

impl Objective {
    /// 1 - AUC of the int8 model.
    pub const AUC: Objective = Objective::Score(Measure::Auc);

    /// The objectives of a search unless the user chooses others.
    pub const DEFAULT: [Objective; 3] = [
        Objective::AUC,
        Objective::Cost(Metric::Latency),
        Objective::Cost(Metric::Ram),
    ];

    /// The objectives where labels steer, or where disturbed sound does: that has a sensitivity and no other score.
    pub fn steered(objectives: &[Objective], by_disturbed: bool) -> Vec<Objective> {
        let sensitivity = Objective::Score(Measure::Sensitivity);
        let mut steering = Vec::new();
        for objective in objectives {
            let own = match objective {
                Objective::Score(_) if by_disturbed => sensitivity,
                Objective::Score(Measure::Sensitivity) => Objective::AUC,
                other => *other,
            };
            if !steering.contains(&own) {
                steering.push(own);
            }
        }
        steering
    }

    /// Every score, then every cost.
    pub fn all() -> impl Iterator<Item = Objective> {
        let scores = Measure::ALL.into_iter().map(Objective::Score);
        scores.chain(Metric::ALL.into_iter().map(Objective::Cost))
    }

    /// Words of some on the command line.
    pub fn names(objectives: impl IntoIterator<Item = Objective>) -> Vec<String> {
        let objectives = objectives.into_iter();
        objectives.map(|one| one.name().to_string()).collect()
    }

    /// The word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Objective::Score(measure) => measure.name(),
            Objective::Cost(metric) => metric.name(),
        }
    }

    /// The key in documents.
    pub fn key(self) -> String {
        match self {
            Objective::Score(measure) => format!("one_minus_{}", Figure::steering(measure).key()),
            Objective::Cost(metric) => metric.key().to_string(),
        }
    }

    /// Name and value for readers: `Latency 20.0 ms`.
    pub fn show(self, value: f64) -> String {
        match self {
            Objective::Score(measure) => format!("1 \u{2212} {} {value:.2}", measure.title()),
            Objective::Cost(metric) => format!("{} {}", metric.title(), metric.show(value)),
        }
    }

    /// Whether it is a cost, and known without training.
    pub const fn is_cost(self) -> bool {
        matches!(self, Objective::Cost(_))
    }

    /// The scores among some objectives, in their order.
    pub fn measures(objectives: &[Objective]) -> impl Iterator<Item = Measure> {
        objectives.iter().filter_map(|objective| match objective {
            Objective::Score(measure) => Some(*measure),
            Objective::Cost(_) => None,
        })
    }

    /// The score that ranks networks: the first score among these, or AUC.
    pub fn leading(objectives: &[Objective]) -> Measure {
        Objective::measures(objectives)
            .next()
            .unwrap_or(Measure::Auc)
    }

    /// The value to minimise.
    pub fn value(self, figures: &Figures, estimate: &Estimate, macs: u64) -> f64 {
        match self {
            // Without a threshold, figures of decisions count as 0.
            Objective::Score(measure) => 1.0 - figures.steering(measure).unwrap_or(0.0),
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
        Objective::all()
            .find(|objective| objective.name() == text)
            .ok_or_else(|| UnknownObjective(text.to_string()))
    }
}

/// Number of random networks whose largest costs replace missing budgets.
const SAMPLE: usize = 1000;

/// The reference value of each objective, per target: what a constant answer gets for a score of decisions, chance for other
/// scores, and the budget for a cost. Without a budget
/// it is the largest cost among random networks that fit the target.
pub fn references(
    spaces: &Spaces,
    targets: &[Target],
    budget: &Budget,
    objectives: &[Objective],
    constant: &BTreeMap<String, f64>,
) -> Vec<Vec<f64>> {
    let mut rng = Rng::new(0, 0x7265_6665_7265_6e63);
    // Of networks, where there are any: what is fitted must not move what they are measured by.
    let trained = spaces.trained();
    let spaces = if trained.is_empty() { spaces } else { &trained };
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
            Objective::Score(measure) => match constant.get(measure.name()) {
                Some(share) if *share < 1.0 => 1.0 - share,
                _ => Measure::CHANCE,
            },
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
