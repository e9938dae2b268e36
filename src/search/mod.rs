//! Samplers, Pareto front, hypervolume. Pure: no files, no clock.
//!
//! A [`Sampler`] takes what is known ([`Observation`]s, oldest first) and proposes genomes. It keeps no state,
//! so a search that is resumed proposes what the uninterrupted one would have proposed.

mod bayes;
mod changes;
mod evolution;
mod gaussian;
mod nsga2;
mod pareto;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, fmt, str::FromStr};

pub use self::{
    bayes::Bayes,
    evolution::Evolution,
    nsga2::Nsga2,
    pareto::{hypervolume, pareto_front},
};
use crate::{
    space::{Genome, Spaces},
    units::Rng,
};
pub use changes::{Change, smallest_changes};

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
    /// In training; the objectives that are known beforehand.
    Pending(Vec<Option<f64>>),
}

/// What is known of a genome without training it.
#[derive(Debug, Clone, PartialEq)]
pub enum Preview {
    /// Over budget, as [`Observed::Rejected`] says by how much.
    Over(f64),
    /// Its network is known under another genome.
    Taken,
    /// The objectives as [`Observed::Scored`] has them; `None` where only training can tell.
    Fits(Vec<Option<f64>>),
}

/// A rule that turns what is known into what to try next.
pub trait Sampler: Sync {
    /// Proposes exactly `count` genomes, from nothing but `history` (oldest first), what `preview` knows of any genome,
    /// and `rng`.
    ///
    /// Genomes that are not in `history` are preferred; a space that is used up repeats itself.
    fn propose(
        &self,
        spaces: &Spaces,
        history: &[Observation],
        preview: &dyn Fn(&Genome) -> Preview,
        rng: &mut Rng,
        count: usize,
    ) -> Vec<Genome>;
}

/// The samplers that a user can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SamplerKind {
    Random,
    Evolution,
    Nsga2,
    Bayes,
}

/// A name that no sampler has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a sampler; choose random, evolution, nsga2 or bayes")]
pub struct UnknownSampler(String);

impl SamplerKind {
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

/// Draws every genome independently of what is known: the yardstick for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Random;

impl Sampler for Random {
    fn propose(
        &self,
        spaces: &Spaces,
        history: &[Observation],
        _: &dyn Fn(&Genome) -> Preview,
        rng: &mut Rng,
        count: usize,
    ) -> Vec<Genome> {
        propose_unknown(spaces, history, rng, count, |_, rng| spaces.random(rng))
    }
}

/// How often a draw may repeat a known genome before a random one is tried, and then how often that may.
const DRAWS: usize = 16;

/// Collects `count` draws, each drawn again while it is known or proposed already.
///
/// `draw` gets the number of genomes proposed so far. When its neighbourhood is used up, random genomes take
/// its place; when these are known too, the space is nearly used up and the last draw is repeated.
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

/// The objectives of a scored observation, unless one of them is no number.
fn objectives(observation: &Observation) -> Option<&[f64]> {
    match &observation.result {
        Observed::Scored(objectives) if objectives.iter().all(|value| !value.is_nan()) => {
            Some(objectives)
        }
        _ => None,
    }
}

/// By how much a rejected observation is over budget, unless that is no number.
fn excess(observation: &Observation) -> Option<f64> {
    match observation.result {
        Observed::Rejected(excess) if !excess.is_nan() => Some(excess),
        _ => None,
    }
}
