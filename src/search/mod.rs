//! Samplers, Pareto front, hypervolume. Pure: no files, no clock.

use crate::space::Genome;

/// What is known about one genome.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    pub genome: Genome,
    pub result: Observed,
}

/// The result of one evaluation, as a sampler sees it.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// Objectives, each minimised and divided by its reference, so that 1 is the reference point.
    Scored(Vec<f64>),
    /// Over budget by this share of the budget (0.5 = 50 % over), summed over the budgets; never trained.
    Rejected(f64),
    Failed,
}
