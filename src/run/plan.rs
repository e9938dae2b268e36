//! Which trials there are: a pure function of the search and of the results so far.
//!
//! Trials come in blocks. The proposals of a block know the trials of all blocks but the one before it, so
//! that a block can be planned while the last trials of its predecessor are still training, and the plan is
//! the same however many trials train at once. A block ends with its `BLOCK`th trial that fits the budget;
//! those that are over budget, found on the way, are part of it.

use std::collections::HashSet;

use super::Search;
use crate::{
    search::{Observation, Observed},
    space::{Candidate, Genome},
    target::{Estimate, Excess, estimate},
    units::Rng,
};

/// Trials of a block that are trained.
pub const BLOCK: usize = 8;
/// Proposals after which a block ends, whatever it holds.
const PROPOSALS_PER_BLOCK: usize = 4096;
/// Genomes that are asked of the sampler at a time.
const CHUNK: usize = 16;

/// One trial of the plan.
#[derive(Debug)]
pub struct Trial {
    pub number: usize,
    pub block: usize,
    pub genome: Genome,
    pub key: String,
    pub candidate: Candidate,
    /// One per target.
    pub estimates: Vec<Estimate>,
    /// One per target: how much too much it needs; `None` where it fits.
    pub excess: Vec<Option<Excess>>,
    pub result: Option<Observed>,
}

impl Trial {
    /// Whether some target can take it.
    pub fn fits(&self) -> bool {
        self.excess.iter().any(Option::is_none)
    }

    /// The excess on the target that it misses by least; `None` where it fits one.
    pub fn least_excess(&self) -> Option<&Excess> {
        if self.fits() {
            return None;
        }
        self.excess
            .iter()
            .flatten()
            .min_by(|a, b| a.total().total_cmp(&b.total()))
    }
}

/// All trials that are planned so far.
#[derive(Debug, Default)]
pub struct Plan {
    pub trials: Vec<Trial>,
    seen: HashSet<String>,
    blocks: usize,
    /// The space has nothing new to offer.
    pub exhausted: bool,
}

impl Plan {
    /// Whether every result that the next block's proposals depend on is there.
    pub fn ready(&self) -> bool {
        let known = |trial: &Trial| trial.block + 1 >= self.blocks || trial.result.is_some();
        !self.exhausted && self.trials.iter().all(known)
    }

    /// Plans the next block; returns the range of its trials.
    pub fn extend(&mut self, search: &Search<'_>) -> std::ops::Range<usize> {
        let (block, first) = (self.blocks, self.trials.len());
        let history: Vec<Observation> = self
            .trials
            .iter()
            .filter(|trial| trial.block + 1 < block)
            .map(|trial| Observation {
                genome: trial.genome.clone(),
                result: trial
                    .result
                    .clone()
                    .expect("a block is planned when it is ready"),
            })
            .collect();

        let mut rng = Rng::new(search.seed, block as u64);
        let mut fitting = 0;
        for _ in 0..PROPOSALS_PER_BLOCK / CHUNK {
            for genome in search
                .sampler
                .propose(search.spaces, &history, &mut rng, CHUNK)
            {
                let candidate = search.spaces.decode(&genome);
                let key = candidate.key();
                if fitting < BLOCK && self.seen.insert(key.clone()) {
                    let trial = cost(search, self.trials.len(), block, genome, key, candidate);
                    fitting += usize::from(trial.fits());
                    self.trials.push(trial);
                }
            }
            if fitting >= BLOCK {
                break;
            }
        }
        self.blocks += 1;
        self.exhausted = fitting == 0;
        first..self.trials.len()
    }
}

fn cost(
    search: &Search<'_>,
    number: usize,
    block: usize,
    genome: Genome,
    key: String,
    candidate: Candidate,
) -> Trial {
    let macs = candidate.graph.macs();
    let estimates: Vec<Estimate> = search
        .targets
        .iter()
        .map(|target| estimate(&candidate, target))
        .collect();
    let excess: Vec<Option<Excess>> = search
        .targets
        .iter()
        .zip(&estimates)
        .map(|(target, estimate)| search.budget.excess(target, estimate, macs))
        .collect();
    let mut trial = Trial {
        number,
        block,
        genome,
        key,
        candidate,
        estimates,
        excess,
        result: None,
    };
    trial.result = trial
        .least_excess()
        .map(|excess| Observed::Rejected(excess.total()));
    trial
}
