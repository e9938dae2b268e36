//! Plans the trials: a pure function of the search and of the results so far.
//!
//! Trials come in blocks. A block's proposals use the results of all blocks but the one before it. So a block can be
//! planned while the last trials of its predecessor still train, and the plan does not depend on how many trials
//! train at once. A block ends with its `BLOCK`th trial that fits the budget; trials over budget that were found on
//! the way are part of it. The first block is a survey.

use std::collections::HashSet;

use super::{Search, front::known_shares};
use crate::{
    hardware::{Estimate, Excess, estimate},
    search::{Observation, Observed, Preview, Random, Sampler},
    space::{Candidate, Genome},
    units::Rng,
};

/// Trials of a block that are trained.
pub const BLOCK: usize = 8;
/// Random candidates that the first block costs.
const SURVEY: usize = 6144;
/// A block ends after this many proposals, whatever it holds.
const PROPOSALS_PER_BLOCK: usize = 4096;
/// Genomes that the survey draws at a time.
const CHUNK: usize = 16;

/// One trial of the plan.
#[derive(Debug)]
pub struct Trial {
    /// Its place in the plan, from 0.
    pub number: usize,
    /// Its block, from 0.
    pub block: usize,
    /// The proposed genome.
    pub genome: Genome,
    /// Key of its network and memory ([`Candidate::key`]).
    pub key: String,
    /// Its front end and network.
    pub candidate: Candidate,
    /// Its estimate on each target.
    pub estimates: Vec<Estimate>,
    /// How far it exceeds the budget on each target; `None` where it fits.
    pub excess: Vec<Option<Excess>>,
    /// Its result; `None` until it is recorded.
    pub result: Option<Observed>,
}

impl Trial {
    /// Whether it fits at least one target.
    pub fn fits(&self) -> bool {
        self.excess.iter().any(Option::is_none)
    }

    /// Objectives on the first target; `None` where only training can tell.
    fn known_objectives(&self, search: &Search<'_>) -> Vec<Option<f64>> {
        let macs = self.candidate.graph.macs();
        known_shares(
            search.objectives,
            &search.references[0],
            &self.estimates[0],
            macs,
        )
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

/// All trials planned so far.
#[derive(Debug, Default)]
pub struct Plan {
    /// The trials, in the order of their numbers.
    pub trials: Vec<Trial>,
    seen: HashSet<String>,
    blocks: usize,
    /// Whether the spaces have nothing new to offer.
    pub exhausted: bool,
}

impl Plan {
    /// Whether every result is known that the next block's proposals depend on.
    pub fn ready(&self) -> bool {
        let known = |trial: &Trial| trial.block + 1 >= self.blocks || trial.result.is_some();
        !self.exhausted && self.trials.iter().all(known)
    }

    /// Plans the next block; returns the range of its trials.
    pub fn extend(&mut self, search: &Search<'_>) -> std::ops::Range<usize> {
        let (block, first) = (self.blocks, self.trials.len());
        let mut rng = Rng::new(search.seed, block as u64);
        let fitting = match block {
            0 => self.survey(search, &mut rng),
            _ => self.follow(search, &mut rng),
        };
        self.blocks += 1;
        self.exhausted = fitting == 0;
        first..self.trials.len()
    }

    /// The first block: costs many random candidates, and trains a few that span the costs of those that fit.
    ///
    /// Costing takes no time compared with training, so the search begins with a view of where the budget cuts the
    /// space.
    fn survey(&mut self, search: &Search<'_>, rng: &mut Rng) -> usize {
        let mut fitting: Vec<Trial> = Vec::new();
        let mut drawn = 0;
        while drawn < SURVEY || (fitting.is_empty() && drawn < PROPOSALS_PER_BLOCK) {
            for genome in Random.propose(search.spaces, &[], &|_| Preview::Taken, rng, CHUNK) {
                drawn += 1;
                let candidate = search.spaces.decode(&genome);
                let key = candidate.key();
                if !self.seen.insert(key.clone()) {
                    continue;
                }
                let trial = cost(search, self.trials.len(), 0, genome, key, candidate);
                match trial.fits() {
                    true => fitting.push(trial),
                    false => self.trials.push(trial),
                }
            }
        }
        // The sort is stable, so equal latencies keep the order in which they were drawn.
        let latency_us = |trial: &Trial| trial.estimates[0].latency_us.value;
        fitting.sort_by(|a, b| latency_us(a).total_cmp(&latency_us(b)));
        let count = fitting.len().min(BLOCK);
        let chosen = spread(fitting.len(), count);
        let mut survey = Vec::new();
        for (idx, trial) in fitting.into_iter().enumerate() {
            match chosen.contains(&idx) {
                true => survey.push(Some(trial)),
                // It may be proposed again.
                false => _ = self.seen.remove(&trial.key),
            }
        }
        for idx in scattered(survey.len()) {
            let mut trial = survey[idx].take().expect("each is met once");
            trial.number = self.trials.len();
            self.trials.push(trial);
        }
        count
    }

    /// A later block: proposals from the results so far, until enough of them fit.
    fn follow(&mut self, search: &Search<'_>, rng: &mut Rng) -> usize {
        let block = self.blocks;
        let history: Vec<Observation> = self
            .trials
            .iter()
            .map(|trial| Observation {
                genome: trial.genome.clone(),
                result: match &trial.result {
                    // Whether a trial of the block before is done depends on the machine, so it must not matter.
                    _ if trial.block + 1 == block && trial.fits() => {
                        Observed::Pending(trial.known_objectives(search))
                    }
                    result => result.clone().expect("a block is planned when it is ready"),
                },
            })
            .collect();
        let mut fitting = 0;
        for _ in 0..PROPOSALS_PER_BLOCK / BLOCK {
            let preview = |genome: &Genome| self.preview(search, genome);
            let proposed =
                search
                    .sampler
                    .propose(search.spaces, &history, &preview, rng, BLOCK - fitting);
            for genome in proposed {
                let candidate = search.spaces.decode(&genome);
                let key = candidate.key();
                if self.seen.insert(key.clone()) {
                    let trial = cost(search, self.trials.len(), block, genome, key, candidate);
                    fitting += usize::from(trial.fits());
                    self.trials.push(trial);
                }
            }
            if fitting >= BLOCK {
                break;
            }
        }
        fitting
    }

    /// What is known of a genome that is not in the plan yet.
    fn preview(&self, search: &Search<'_>, genome: &Genome) -> Preview {
        let candidate = search.spaces.decode(genome);
        let key = candidate.key();
        if self.seen.contains(&key) {
            return Preview::Taken;
        }
        let trial = cost(search, 0, 0, genome.clone(), key, candidate);
        match trial.least_excess() {
            Some(excess) => Preview::Over(excess.total()),
            None => Preview::Fits(trial.known_objectives(search)),
        }
    }
}

/// `count` indices of `0..len` at even distances, with both ends.
fn spread(len: usize, count: usize) -> Vec<usize> {
    match count {
        0 | 1 => (0..count).collect(),
        _ => (0..count)
            .map(|idx| idx * (len - 1) / (count - 1))
            .collect(),
    }
}

/// `0..len` in the order of their reversed bits; every beginning of it is spread over the whole.
///
/// A search that ends early has then seen more than the cheapest networks.
fn scattered(len: usize) -> Vec<usize> {
    let bits = len.next_power_of_two().trailing_zeros();
    let reversed = |idx: usize| match bits {
        0 => idx,
        _ => idx.reverse_bits() >> (usize::BITS - bits),
    };
    let all = (0..len.next_power_of_two()).map(reversed);
    all.filter(|idx| *idx < len).collect()
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

#[cfg(test)]
mod tests {
    use super::{scattered, spread};

    #[test]
    fn orders() {
        let none: [usize; 0] = [];
        assert_eq!(spread(0, 0), none);
        assert_eq!(spread(9, 1), [0]);
        assert_eq!(spread(9, 3), [0, 4, 8]);
        assert_eq!(scattered(0), none);
        assert_eq!(scattered(1), [0]);
        assert_eq!(scattered(8), [0, 4, 2, 6, 1, 5, 3, 7]);
        assert_eq!(scattered(5), [0, 4, 2, 1, 3]);
    }
}
