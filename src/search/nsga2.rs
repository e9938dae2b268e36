//! NSGA-II with constraint domination.

use super::{
    Observation, Past, Preview, Sampler, excess, objectives, pareto_front, propose_unknown,
};
use crate::{
    space::{Genome, Spaces},
    units::Rng,
};

/// NSGA-II (Deb, Pratap, Agarwal, Meyarivan, 2002); the survivors are chosen from everything known.
///
/// Feasible candidates are ranked by non-dominated sorting and, within a front, by crowding distance. Rejected ones
/// follow by excess (constraint domination). Parents come from binary tournaments.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nsga2 {
    /// Random candidates at the start.
    pub initial: usize,
    /// Survivors that can become parents.
    pub population: usize,
    /// Share of crossed children that are also mutated.
    pub crossover: f64,
    /// Share of crossed children that are mutated as well.
    pub mutation: f64,
}

impl Nsga2 {
    /// Chosen for a few hundred trials, on knapsacks like that of the tests: 40 and 80 survivors found 3 % and 9 %
    /// less hypervolume, and mutating every child 3 % less.
    pub const DEFAULT: Nsga2 = Nsga2 {
        initial: 20,
        population: 20,
        crossover: 0.9,
        mutation: 0.3,
    };
}

impl Sampler for Nsga2 {
    fn propose(
        &self,
        spaces: &Spaces,
        past: Past<'_>,
        _: &dyn Fn(&Genome) -> Preview,
        rng: &mut Rng,
        count: usize,
    ) -> Vec<Genome> {
        let history = past.history;
        let survivors = survivors(history, self.population);
        // Survivors are sorted, best first, so the winner of a tournament is the smaller index.
        let parent = |rng: &mut Rng| {
            let winner = rng.below(survivors.len()).min(rng.below(survivors.len()));
            &survivors[winner].genome
        };
        propose_unknown(spaces, history, rng, count, |proposed, rng| {
            if history.len() + proposed < self.initial || survivors.is_empty() {
                return spaces.random(rng);
            }
            if rng.uniform() >= self.crossover {
                return spaces.mutate(parent(rng), rng);
            }
            let child = spaces.crossover(parent(rng), parent(rng), rng);
            match rng.uniform() < self.mutation {
                true => spaces.mutate(&child, rng),
                false => child,
            }
        })
    }
}

/// The best `size` observations, best first: by front, then by crowding distance; then rejected ones by excess.
fn survivors(history: &[Observation], size: usize) -> Vec<&Observation> {
    let mut remaining: Vec<&Observation> =
        history.iter().filter(|o| objectives(o).is_some()).collect();
    let mut chosen = Vec::new();
    while chosen.len() < size && !remaining.is_empty() {
        let points: Vec<&[f64]> = remaining.iter().filter_map(|o| objectives(o)).collect();
        let front = pareto_front(&points);
        let crowding = crowding(&front.iter().map(|&idx| points[idx]).collect::<Vec<_>>());
        let mut order: Vec<usize> = (0..front.len()).collect();
        order.sort_by(|&a, &b| crowding[b].total_cmp(&crowding[a]));
        chosen.extend(order.iter().map(|&idx| remaining[front[idx]]));
        let mut is_on_front = vec![false; remaining.len()];
        front.iter().for_each(|&idx| is_on_front[idx] = true);
        let mut on_front = is_on_front.iter();
        remaining.retain(|_| on_front.next() == Some(&false));
    }
    let mut rejected: Vec<(f64, &Observation)> = history
        .iter()
        .filter_map(|o| Some((excess(o)?, o)))
        .collect();
    rejected.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    chosen.extend(rejected.into_iter().map(|(_, observation)| observation));
    chosen.truncate(size);
    chosen
}

/// Crowding distance of each point of a front: the side lengths of the box between its neighbours, summed.
///
/// Ends of the front, and points beside infinite ones, get infinity.
fn crowding(front: &[&[f64]]) -> Vec<f64> {
    let mut distance = vec![0.0; front.len()];
    for axis in 0..front.first().map_or(0, |point| point.len()) {
        let value = |idx: usize| front[idx].get(axis).copied().unwrap_or(f64::INFINITY);
        let mut order: Vec<usize> = (0..front.len()).collect();
        order.sort_by(|&a, &b| value(a).total_cmp(&value(b)));
        let (first, last) = (order[0], order[order.len() - 1]);
        distance[first] = f64::INFINITY;
        distance[last] = f64::INFINITY;
        let span = value(last) - value(first);
        if span > 0.0 {
            for window in order.windows(3) {
                let side = (value(window[2]) - value(window[0])) / span;
                distance[window[1]] += if side.is_nan() { f64::INFINITY } else { side };
            }
        }
    }
    distance
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crowding_of_small_fronts() {
        fn check(front: &[[f64; 2]], expected: &[f64]) {
            let front: Vec<&[f64]> = front.iter().map(|point| &point[..]).collect();
            assert_eq!(crowding(&front), expected);
        }
        let inf = f64::INFINITY;
        check(&[], &[]);
        check(&[[1.0, 2.0]], &[inf]);
        check(&[[0.0, 1.0], [1.0, 0.0]], &[inf, inf]);
        // Neighbours of the middle point span the whole front on both axes.
        check(&[[0.0, 4.0], [1.0, 1.0], [4.0, 0.0]], &[inf, 2.0, inf]);
        check(
            &[[0.0, 8.0], [1.0, 4.0], [2.0, 2.0], [4.0, 0.0]],
            &[inf, 0.5 + 0.75, 0.75 + 0.5, inf],
        );
    }
}
