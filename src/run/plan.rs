//! Plans the trials: a pure function of the search and of the results so far.
//!
//! Trials come in blocks. A block's proposals use the results of all blocks but the one before it. So a block can be
//! planned while the last trials of its predecessor still train, and the plan does not depend on how many trials
//! train at once. A block ends with its `BLOCK`th trial that fits the budget; trials over budget that were found on
//! the way are part of it. The first block is a survey.
//!
//! What is fitted in closed form takes milliseconds where a training takes seconds, so it has rounds of its own before
//! the first block, and takes no part in blocks: it does not count as a trial to train. Networks so keep all of their
//! share, whatever the fits have found; the sampler sees what fits reach as something to add to.

use std::collections::HashSet;

use super::{Search, front::known_shares};
use crate::{
    hardware::{Estimate, Excess, estimate},
    search::{Observation, Observed, Past, Preview, Prospect, Random, Sampler, pareto_front},
    space::{Candidate, Genome, Spaces},
    units::Rng,
};

/// Version of the rules here and of the samplers: raised whenever the same search would propose other networks.
pub const PLAN_VERSION: u32 = 3;
/// Trials of a block that are trained.
pub const BLOCK: usize = 8;
/// Random candidates that the first block costs.
const SURVEY: usize = 6144;
/// A block ends after this many proposals, whatever it holds.
const PROPOSALS_PER_BLOCK: usize = 4096;
/// Genomes that the survey draws at a time.
const CHUNK: usize = 16;
/// Rounds of fits: random ones, and twice those that lie around the front of all before.
pub const FIT_ROUNDS: usize = 3;
/// Fits of a round.
const FITS: [usize; FIT_ROUNDS] = [128, 48, 48];
/// Genomes that a round of fits draws at most, for each fit.
const DRAWS_PER_FIT: usize = 8;

/// The most fits of all rounds, where the first has so many.
pub(super) fn fits_planned(first: usize) -> usize {
    match first {
        0 => 0,
        _ => first + FITS[1..].iter().sum::<usize>(),
    }
}

/// One trial of the plan.
#[derive(Debug, Clone)]
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

    /// Whether it has a cost beyond the reference on every target that it fits: no score could make it count.
    fn is_beyond(&self, search: &Search<'_>) -> bool {
        let macs = self.candidate.graph.macs();
        let targets = self
            .estimates
            .iter()
            .zip(&self.excess)
            .zip(search.references);
        targets
            .filter(|((_, excess), _)| excess.is_none())
            .all(|((estimate, _), references)| {
                let known = known_shares(search.objectives, references, estimate, macs);
                known.into_iter().flatten().any(|share| share > 1.0)
            })
    }

    /// Core-seconds that its training is expected to take.
    pub(super) fn expected_seconds(&self, search: &Search<'_>) -> f64 {
        let training = search.spaces.space_of(&self.genome).training;
        search
            .evaluator
            .expected_seconds(&self.candidate, &training)
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
    /// The second half of the survey, until the second block is planned.
    surveyed: Vec<Trial>,
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

    /// Plans a round of fits, which all rounds before have to be done for; returns the range of its trials. Those over
    /// budget are passed over.
    pub fn extend_fits(&mut self, search: &Search<'_>, round: usize) -> std::ops::Range<usize> {
        let first = self.trials.len();
        let spaces = search.spaces;
        // Far from the numbers of blocks.
        let mut rng = Rng::new(search.seed, u64::MAX - round as u64);
        let fronts = self.front_of_fits();
        let fitted = spaces.fitted();
        if fitted.is_empty() || (round > 0 && fronts.is_empty()) {
            return first..first;
        }
        // Spaces of one detector first: what all others are held against.
        let (single, several): (Vec<usize>, Vec<usize>) =
            fitted.partition(|&space| spaces.spaces()[space].size() == 1);
        let references = match round {
            0 => single.len(),
            _ => 0,
        };
        let mut fits = 0;
        for draw in 0..references + DRAWS_PER_FIT * FITS[round] {
            let genome = match round {
                _ if draw < references => spaces.random_of(single[draw], &mut rng),
                _ if several.is_empty() || fits == FITS[round] => break,
                0 => spaces.random_of(several[draw % several.len()], &mut rng),
                _ => {
                    let parent = &self.trials[fronts[rng.below(fronts.len())]].genome;
                    spaces.vary(parent, &mut rng)
                }
            };
            let candidate = spaces.decode(&genome);
            let key = candidate.key();
            if !self.seen.insert(key.clone()) {
                continue;
            }
            let trial = cost(search, self.trials.len(), 0, genome, key, candidate);
            if trial.fits() {
                fits += usize::from(draw >= references);
                self.trials.push(trial);
            }
        }
        first..self.trials.len()
    }

    /// Numbers of the fits that no other fit dominates on the target that steers.
    fn front_of_fits(&self) -> Vec<usize> {
        let scored = self.trials.iter().filter_map(|trial| match &trial.result {
            Some(Observed::Scored(objectives)) => Some((trial.number, objectives.as_slice())),
            _ => None,
        });
        let (numbers, objectives): (Vec<usize>, Vec<&[f64]>) = scored.unzip();
        let front = pareto_front(&objectives);
        front.into_iter().map(|idx| numbers[idx]).collect()
    }

    /// Plans the next block; returns the range of its trials.
    pub fn extend(&mut self, search: &Search<'_>) -> std::ops::Range<usize> {
        let (block, first) = (self.blocks, self.trials.len());
        let mut rng = Rng::new(search.seed, block as u64);
        let networks = search.spaces.trained();
        let fitting = match block {
            _ if networks.is_empty() => 0,
            0 => self.survey(search, &networks, &mut rng),
            // Another search has seen more than a survey would.
            1 if !search.earlier.is_empty() => {
                for trial in std::mem::take(&mut self.surveyed) {
                    self.seen.remove(&trial.key);
                }
                self.follow(search, &networks, &mut rng)
            }
            // Nothing is known yet that could be followed.
            1 if !self.surveyed.is_empty() => {
                let rest = std::mem::take(&mut self.surveyed);
                self.take_in(rest, 1)
            }
            _ => self.follow(search, &networks, &mut rng),
        };
        self.blocks += 1;
        self.exhausted = fitting == 0;
        first..self.trials.len()
    }

    /// The first two blocks: costs many random candidates, and trains some that span the costs of those that fit.
    ///
    /// Costing takes no time compared with training, so the search begins with a view of where the budget cuts the
    /// spaces. Every space gets its share. The three quarters of a space that take longest to train wait until a model knows
    /// whether they are worth their time.
    fn survey(&mut self, search: &Search<'_>, networks: &Spaces, rng: &mut Rng) -> usize {
        let mut of_space: Vec<Vec<Trial>> = vec![Vec::new(); networks.spaces().len()];
        let mut drawn = 0;
        let mut fitting = 0;
        while drawn < SURVEY || (fitting == 0 && drawn < PROPOSALS_PER_BLOCK) {
            for genome in Random.propose(networks, [][..].into(), &|_| Preview::Taken, rng, CHUNK) {
                drawn += 1;
                let candidate = search.spaces.decode(&genome);
                let key = candidate.key();
                if !self.seen.insert(key.clone()) {
                    continue;
                }
                let trial = cost(search, self.trials.len(), 0, genome, key, candidate);
                match trial.fits() {
                    false => self.trials.push(trial),
                    true if trial.is_beyond(search) => (),
                    true => {
                        fitting += 1;
                        let space = usize::from(networks.encode(&trial.genome)[0]);
                        of_space[space].push(trial);
                    }
                }
            }
        }
        of_space.retain(|trials| !trials.is_empty());
        let sizes: Vec<usize> = of_space.iter().map(Vec::len).collect();
        let mut chosen: Vec<Vec<Trial>> = Vec::new();
        for (trials, share) in of_space.into_iter().zip(shares_of(2 * BLOCK, &sizes)) {
            chosen.push(self.spread_over(search, trials, share));
        }
        // In turn from each space, so that the first block has some of all.
        let longest = chosen.iter().map(Vec::len).max().unwrap_or(0);
        let mut queues: Vec<_> = chosen.into_iter().map(Vec::into_iter).collect();
        let mut survey: Vec<Trial> = Vec::new();
        for _ in 0..longest {
            survey.extend(queues.iter_mut().filter_map(Iterator::next));
        }
        self.surveyed = survey.split_off(survey.len().min(BLOCK));
        self.take_in(survey, 0)
    }

    /// Some of the trials of a space, evenly spread over the latencies of those that train soonest; the others may be
    /// proposed again.
    fn spread_over(&mut self, search: &Search<'_>, trials: Vec<Trial>, share: usize) -> Vec<Trial> {
        let mut timed: Vec<(f64, Trial)> = trials
            .into_iter()
            .map(|trial| (trial.expected_seconds(search), trial))
            .collect();
        // Sorts are stable, so equals keep the order in which they were drawn.
        timed.sort_by(|a, b| a.0.total_cmp(&b.0));
        let limit = timed[(timed.len() - 1) / 4].0;
        let soon = timed
            .partition_point(|(seconds, _)| *seconds <= limit)
            .max(share);
        let mut trials: Vec<Trial> = timed.into_iter().map(|(_, trial)| trial).collect();
        let late = trials.split_off(soon.min(trials.len()));
        let latency_us = |trial: &Trial| trial.estimates[0].latency_us.value;
        trials.sort_by(|a, b| latency_us(a).total_cmp(&latency_us(b)));
        let places = spread(trials.len(), share);
        let mut chosen = Vec::new();
        for (idx, trial) in trials.into_iter().enumerate() {
            match places.contains(&idx) {
                true => chosen.push(Some(trial)),
                false => _ = self.seen.remove(&trial.key),
            }
        }
        for trial in late {
            self.seen.remove(&trial.key);
        }
        let order = scattered(chosen.len());
        order
            .into_iter()
            .filter_map(|idx| chosen[idx].take())
            .collect()
    }

    /// Numbers these trials as the next ones of a block; returns how many there are.
    fn take_in(&mut self, trials: Vec<Trial>, block: usize) -> usize {
        let count = trials.len();
        for trial in trials {
            let number = self.trials.len();
            self.trials.push(Trial {
                number,
                block,
                ..trial
            });
        }
        count
    }

    /// A later block: proposals from the results so far, until enough of them fit.
    fn follow(&mut self, search: &Search<'_>, networks: &Spaces, rng: &mut Rng) -> usize {
        let block = self.blocks;
        let history: Vec<Observation> = self
            .trials
            .iter()
            .filter(|trial| !search.spaces.is_fitted(&trial.genome))
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
        // What was fitted is done before the first block.
        let others: Vec<Vec<f64>> = self
            .trials
            .iter()
            .filter(|trial| search.spaces.is_fitted(&trial.genome))
            .filter_map(|trial| match &trial.result {
                Some(Observed::Scored(objectives)) => Some(objectives.clone()),
                _ => None,
            })
            .collect();
        let past = Past {
            history: &history,
            others: &others,
            earlier: search.earlier,
        };
        let mut fitting = 0;
        for _ in 0..PROPOSALS_PER_BLOCK / BLOCK {
            let preview = |genome: &Genome| self.preview(search, genome);
            let proposed = search
                .sampler
                .propose(networks, past, &preview, rng, BLOCK - fitting);
            for genome in proposed {
                let candidate = search.spaces.decode(&genome);
                let key = candidate.key();
                if self.seen.insert(key.clone()) {
                    let trial = cost(search, self.trials.len(), block, genome, key, candidate);
                    if trial.fits() && trial.is_beyond(search) {
                        continue;
                    }
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
            None if trial.is_beyond(search) => Preview::Beyond,
            None => Preview::Fits(Prospect {
                objectives: trial.known_objectives(search),
                seconds: trial.expected_seconds(search),
            }),
        }
    }
}

/// Divides `count` among parts that hold so many each: evenly, and what a small part cannot take goes to the others.
fn shares_of(count: usize, sizes: &[usize]) -> Vec<usize> {
    let mut shares = vec![0; sizes.len()];
    let mut left = count.min(sizes.iter().sum());
    while left > 0 {
        for (share, size) in shares.iter_mut().zip(sizes) {
            if left > 0 && *share < *size {
                *share += 1;
                left -= 1;
            }
        }
    }
    shares
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
    use super::{scattered, shares_of, spread};

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
        assert_eq!(shares_of(16, &[100, 1, 100]), [8, 1, 7]);
        assert_eq!(shares_of(16, &[3, 2]), [3, 2]);
        assert_eq!(shares_of(16, &[]), none);
    }
}
