//! Aging evolution with random Chebyshev weights.

use super::{Observation, Past, Preview, Sampler, excess, objectives, propose_unknown};
use crate::{
    space::{Genome, Spaces},
    units::Rng,
};

/// Aging evolution: the population is the latest feasible candidates; the winner of a tournament is mutated.
///
/// Each tournament draws new weights and compares by weighted Chebyshev distance, so different tournaments pull
/// towards different parts of the front (µNAS: Liberis, Dudziak, Lane, 2021; aging: Real et al., 2019). While
/// feasible candidates are few, rejected ones fill the population. They lose against every feasible one; among them
/// the smallest excess wins, which leads the search into the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evolution {
    /// Random candidates at the start.
    pub initial: usize,
    /// Candidates in the population.
    pub population: usize,
    /// Candidates in one tournament.
    pub tournament: usize,
}

impl Evolution {
    /// Population and tournament of µNAS; smaller ones found less on knapsacks like that of the tests.
    pub const DEFAULT: Evolution = Evolution {
        initial: 40,
        population: 100,
        tournament: 25,
    };
}

impl Sampler for Evolution {
    fn propose(
        &self,
        spaces: &Spaces,
        past: Past<'_>,
        _: &dyn Fn(&Genome) -> Preview,
        rng: &mut Rng,
        count: usize,
    ) -> Vec<Genome> {
        let history = past.history;
        let population = population(history, self.population);
        propose_unknown(spaces, history, rng, count, |proposed, rng| {
            if history.len() + proposed < self.initial || population.is_empty() {
                return spaces.random(rng);
            }
            let parent = tournament(&population, self.tournament, rng);
            spaces.mutate(&parent.genome, rng)
        })
    }
}

/// The latest `size` scored observations; where there are fewer, also the latest rejected ones.
fn population(history: &[Observation], size: usize) -> Vec<&Observation> {
    let scored = history.iter().rev().filter(|o| objectives(o).is_some());
    let rejected = history.iter().rev().filter(|o| excess(o).is_some());
    scored.chain(rejected).take(size).collect()
}

/// The best of `size` members, drawn with replacement and compared with weights drawn for this tournament.
fn tournament<'a>(population: &[&'a Observation], size: usize, rng: &mut Rng) -> &'a Observation {
    let entrants: Vec<&Observation> = (0..size.max(1))
        .map(|_| population[rng.below(population.len())])
        .collect();
    let n_objectives = entrants
        .iter()
        .find_map(|entrant| objectives(entrant))
        .map_or(0, <[f64]>::len);
    let weights: Vec<f64> = (0..n_objectives).map(|_| 1.0 - rng.uniform()).collect();
    // Feasible before rejected, then by loss.
    let loss = |entrant: &Observation| match objectives(entrant) {
        Some(objectives) => (false, chebyshev(objectives, &weights)),
        None => (true, excess(entrant).unwrap_or(f64::INFINITY)),
    };
    entrants
        .into_iter()
        .min_by(|a, b| {
            let ((a_rejected, a_loss), (b_rejected, b_loss)) = (loss(a), loss(b));
            a_rejected.cmp(&b_rejected).then(a_loss.total_cmp(&b_loss))
        })
        .expect("a tournament has at least one entrant")
}

/// The largest objective, each divided by its weight in (0, 1].
fn chebyshev(objectives: &[f64], weights: &[f64]) -> f64 {
    objectives
        .iter()
        .zip(weights)
        .map(|(objective, weight)| objective / weight)
        .fold(f64::NEG_INFINITY, f64::max)
}
