//! Samplers, Pareto front, hypervolume.
//!
//! A [`Sampler`] takes what is known ([`Observation`]s, oldest first) and proposes genomes. It keeps no state, so a
//! resumed search proposes what the uninterrupted search would have proposed.
//!
//! This module may not know files, the clock or burn.

mod bayes;
mod changes;
mod cover;
mod evolution;
mod gaussian;
mod improvement;
mod nsga2;
mod pareto;
mod predictor;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, fmt, str::FromStr};

pub use self::{
    bayes::Bayes,
    cover::{Applicant, MOST_PLACES, smallest_family},
    evolution::Evolution,
    nsga2::Nsga2,
    pareto::{hypervolume, pareto_front},
};
use crate::{
    space::{Genome, Spaces},
    units::Rng,
};
pub use changes::{Change, smallest_changes};

/// One genome and its result.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The genome.
    pub genome: Genome,
    /// Its result so far.
    pub result: Observed,
}

/// The result of one evaluation, as a sampler sees it.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// Objectives, each minimised and divided by its reference; 1 is the reference point.
    Scored(Vec<f64>),
    /// Over budget by this share of the budget (0.5 = 50 % over), summed over the budgets; it was not trained.
    Rejected(f64),
    /// Its training or evaluation failed.
    Failed,
    /// In training; holds the objectives that are known without it, and `None` for the others.
    Pending(Vec<Option<f64>>),
}

/// What is known of a genome without training.
#[derive(Debug, Clone, PartialEq)]
pub enum Preview {
    /// Over budget by this share, as in [`Observed::Rejected`].
    Over(f64),
    /// Another genome has the same network.
    Taken,
    /// It fits the budget, but a cost lies beyond its reference: no score could make it count.
    Beyond,
    /// It may be trained.
    Fits(Prospect),
}

/// A network that may be trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Prospect {
    /// The objectives, as in [`Observed::Scored`]; `None` where only training can tell.
    pub objectives: Vec<Option<f64>>,
    /// Core-seconds that it is expected to take, above zero; the same on every machine.
    pub seconds: f64,
}

/// What a sampler knows.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// Genomes of the spaces with their results, oldest first.
    pub history: &'a [Observation],
    /// Objectives, as in [`Observed::Scored`], of detectors that are not of these spaces; a proposal has to add to them, too.
    pub others: &'a [Vec<f64>],
    /// What genomes of these spaces were worth in other searches: on other data, or for another target.
    pub earlier: &'a [Earlier],
}

/// What a genome was worth in another search.
#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    /// The genome.
    pub genome: Genome,
    /// The objectives, as in [`Observed::Scored`]; `None` where this search knows its own.
    pub objectives: Vec<Option<f64>>,
}

impl<'a> From<&'a [Observation]> for Past<'a> {
    fn from(history: &'a [Observation]) -> Past<'a> {
        let others = &[];
        let earlier = &[];
        Past {
            history,
            others,
            earlier,
        }
    }
}

/// A rule that turns past results into the next proposals.
pub trait Sampler: Sync {
    /// Proposes exactly `count` genomes. It may use only `past`, `preview` and `rng`.
    ///
    /// It prefers genomes that are not in the history; in a space that is used up it repeats some.
    fn propose(
        &self,
        spaces: &Spaces,
        past: Past<'_>,
        preview: &dyn Fn(&Genome) -> Preview,
        rng: &mut Rng,
        count: usize,
    ) -> Vec<Genome>;
}

/// The samplers that a user can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SamplerKind {
    /// Random search.
    Random,
    /// Aging evolution ([`Evolution`]).
    Evolution,
    /// NSGA-II ([`Nsga2`]).
    Nsga2,
    /// Bayesian optimisation ([`Bayes`]).
    Bayes,
}

/// A name that no sampler has; it holds the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a sampler; choose random, evolution, nsga2 or bayes")]
pub struct UnknownSampler(String);

impl SamplerKind {
    /// All samplers.
    pub const ALL: [SamplerKind; 4] = [
        SamplerKind::Random,
        SamplerKind::Evolution,
        SamplerKind::Nsga2,
        SamplerKind::Bayes,
    ];

    /// The sampler of this name with its default settings.
    pub fn sampler(self) -> Box<dyn Sampler> {
        match self {
            SamplerKind::Random => Box::new(Random),
            SamplerKind::Evolution => Box::new(Evolution::DEFAULT),
            SamplerKind::Nsga2 => Box::new(Nsga2::DEFAULT),
            SamplerKind::Bayes => Box::new(Bayes::DEFAULT),
        }
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            SamplerKind::Random => "random",
            SamplerKind::Evolution => "evolution",
            SamplerKind::Nsga2 => "nsga2",
            SamplerKind::Bayes => "bayes",
        }
    }
}

impl fmt::Display for SamplerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SamplerKind {
    type Err = UnknownSampler;
    fn from_str(text: &str) -> Result<Self, UnknownSampler> {
        SamplerKind::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| UnknownSampler(text.to_string()))
    }
}

/// Random search: it ignores what is known, and is the yardstick for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Random;

impl Sampler for Random {
    fn propose(
        &self,
        spaces: &Spaces,
        past: Past<'_>,
        _: &dyn Fn(&Genome) -> Preview,
        rng: &mut Rng,
        count: usize,
    ) -> Vec<Genome> {
        let history = past.history;
        propose_unknown(spaces, history, rng, count, |_, rng| spaces.random(rng))
    }
}

/// How many draws may repeat a known genome before random genomes are tried, and then how many of those.
const DRAWS: usize = 16;

/// Collects `count` draws; a genome that is known or already proposed is drawn again.
///
/// `draw` gets the number of genomes proposed so far. When its neighbourhood is used up, random genomes take its
/// place. When these are known too, the space is nearly used up, and the last draw is repeated.
fn propose_unknown(
    spaces: &Spaces,
    history: &[Observation],
    rng: &mut Rng,
    count: usize,
    draw: impl Fn(usize, &mut Rng) -> Genome,
) -> Vec<Genome> {
    let mut known: HashSet<Genome> = history.iter().map(|seen| seen.genome.clone()).collect();
    let mut proposed = Vec::new();
    while proposed.len() < count {
        let mut genome = draw(proposed.len(), rng);
        for attempt in 1..2 * DRAWS {
            if !known.contains(&genome) {
                break;
            }
            genome = match attempt < DRAWS {
                true => draw(proposed.len(), rng),
                false => spaces.random(rng),
            };
        }
        known.insert(genome.clone());
        proposed.push(genome);
    }
    proposed
}

/// The objectives of a scored observation; `None` where one of them is NaN.
fn objectives(observation: &Observation) -> Option<&[f64]> {
    match &observation.result {
        Observed::Scored(objectives) if objectives.iter().all(|value| !value.is_nan()) => {
            Some(objectives)
        }
        _ => None,
    }
}

/// How far a rejected observation is over budget; `None` where that is NaN.
fn excess(observation: &Observation) -> Option<f64> {
    match observation.result {
        Observed::Rejected(excess) if !excess.is_nan() => Some(excess),
        _ => None,
    }
}
