//! Bayesian optimisation: a model predicts what only training can tell; costs are known without it.

use std::collections::{HashMap, HashSet};

use super::{
    Evolution, Observation, Observed, Preview, Sampler, gaussian::GaussianProcess, hypervolume,
    objectives, pareto_front, propose_unknown,
};
use crate::{
    space::{Axis, Genome, SearchSpace, Spaces},
    units::Rng,
};

/// Proposes the networks with the largest expected gain of hypervolume.
///
/// A Gaussian process predicts the logarithm of every objective that needs training (for example 1 - AUC). Its inputs
/// are the axes of the genome and the logarithms of the costs; the costs themselves are not predicted. The pool holds
/// random genomes and mutants of the front; those over budget are dropped. The best by expected hypervolume
/// improvement is taken, then the next as if the first had turned out as expected (Emmerich, 2006; the "kriging
/// believer" of Ginsbourger, Le Riche, Carraro, 2010). Networks in training are treated the same way. Before there
/// are results, proposals are random. Where nothing fits, [`Evolution`] leads towards the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bayes {
    /// With fewer results than this, proposals are random.
    pub initial: usize,
    /// Genomes to choose from; half of them are random.
    pub pool: usize,
    /// The model is fitted to this many of the latest results.
    pub fitted: usize,
}

impl Bayes {
    /// The pool is a hundred times as large as a block of trainings. Fitting more results costs more time than it
    /// gains.
    pub const DEFAULT: Bayes = Bayes {
        initial: 4,
        pool: 1024,
        fitted: 256,
    };
}

/// Candidates whose gain is updated after each choice; the gain can only fall.
const SHORTLIST: usize = 128;
/// Quantiles of the standard normal distribution at the middles of eight equal shares.
const QUANTILES: [f64; 8] = [
    -1.534_121, -0.887_147, -0.488_776, -0.157_311, 0.157_311, 0.488_776, 0.887_147, 1.534_121,
];
/// Objectives count as at least this before the logarithm.
const LEAST: f64 = 1e-4;

impl Sampler for Bayes {
    fn propose(
        &self,
        spaces: &Spaces,
        history: &[Observation],
        preview: &dyn Fn(&Genome) -> Preview,
        rng: &mut Rng,
        count: usize,
    ) -> Vec<Genome> {
        let scored: Vec<(&Genome, &[f64])> = history
            .iter()
            .filter_map(|seen| objectives(seen).map(|values| (&seen.genome, values)))
            .filter(|(_, values)| values.iter().all(|value| value.is_finite()))
            .collect();
        if !history.is_empty() && scored.is_empty() {
            return Evolution::DEFAULT.propose(spaces, history, preview, rng, count);
        }
        if scored.len() < self.initial {
            return propose_unknown(spaces, history, rng, count, |_, rng| spaces.random(rng));
        }
        let pool = self.pool(spaces, history, &scored, preview, rng);
        let mut chosen = match Model::new(self, spaces, history, &scored, &pool) {
            Some(model) => model.choose(pool, count),
            None => Vec::new(),
        };
        if chosen.len() < count {
            let rest = count - chosen.len();
            let proposed = Evolution::DEFAULT.propose(spaces, history, preview, rng, rest);
            chosen.extend(proposed);
        }
        chosen
    }
}

/// A genome that fits, and its known objectives.
struct Entrant {
    genome: Genome,
    known: Vec<Option<f64>>,
}

impl Bayes {
    /// New genomes that fit: random ones, and mutants of the front up to three steps away.
    fn pool(
        &self,
        spaces: &Spaces,
        history: &[Observation],
        scored: &[(&Genome, &[f64])],
        preview: &dyn Fn(&Genome) -> Preview,
        rng: &mut Rng,
    ) -> Vec<Entrant> {
        let values: Vec<&[f64]> = scored.iter().map(|(_, values)| *values).collect();
        let front = pareto_front(&values);
        let mut seen: HashSet<Genome> = history.iter().map(|seen| seen.genome.clone()).collect();
        let mut pool = Vec::new();
        for draw in 0..self.pool {
            let genome = match draw % 2 {
                0 => spaces.random(rng),
                _ => {
                    let parent = scored[front[rng.below(front.len())]].0.clone();
                    (0..1 + rng.below(3)).fold(parent, |genome, _| spaces.mutate(&genome, rng))
                }
            };
            if seen.insert(genome.clone())
                && let Preview::Fits(known) = preview(&genome)
            {
                pool.push(Entrant { genome, known });
            }
        }
        pool
    }
}

/// The model at the moment of one choice.
struct Model<'a> {
    features: Features<'a>,
    /// A model of each objective's logarithm; `None` where the objective is known.
    processes: Vec<Option<GaussianProcess>>,
    /// Objectives of the genomes that are, or are expected to be, on the front.
    front: Vec<Vec<f64>>,
    /// Hypervolume of that front.
    volume: f64,
}

impl<'a> Model<'a> {
    /// `None` where there is nothing to choose from.
    fn new(
        settings: &Bayes,
        spaces: &'a Spaces,
        history: &[Observation],
        scored: &[(&Genome, &[f64])],
        pool: &[Entrant],
    ) -> Option<Model<'a>> {
        let first = pool.first()?;
        // The number of objectives comes from the preview; results of another length are no help.
        let n_objectives = first.known.len().max(scored.last()?.1.len());
        let is_known = |idx: usize| first.known.get(idx).is_some_and(Option::is_some);
        let known: Vec<usize> = (0..n_objectives).filter(|idx| is_known(*idx)).collect();
        let features = Features::new(spaces, known);
        let fitting: Vec<_> = scored
            .iter()
            .filter(|(_, values)| values.len() == n_objectives)
            .collect();
        let latest = &fitting[fitting.len().saturating_sub(settings.fitted)..];
        if latest.is_empty() {
            return None;
        }
        let points: Vec<Vec<f64>> = latest
            .iter()
            .map(|(genome, values)| features.of(genome, |idx| values.get(idx).copied()))
            .collect();
        let process = |idx: usize| {
            let logarithms: Vec<f64> = latest
                .iter()
                .map(|(_, values)| values[idx].max(LEAST).ln())
                .collect();
            (!is_known(idx)).then(|| GaussianProcess::fit(points.clone(), &logarithms))
        };
        let values: Vec<&[f64]> = fitting.iter().map(|(_, values)| *values).collect();
        let front: Vec<Vec<f64>> = pareto_front(&values)
            .into_iter()
            .map(|idx| values[idx].to_vec())
            .collect();
        let mut model = Model {
            features,
            processes: (0..n_objectives).map(process).collect(),
            volume: volume(&front),
            front,
        };
        for seen in history {
            if let Observed::Pending(known) = &seen.result {
                model.believe(&seen.genome, known);
            }
        }
        Some(model)
    }

    /// Chooses up to `count` genomes of the pool, one after another.
    fn choose(mut self, pool: Vec<Entrant>, count: usize) -> Vec<Genome> {
        let mut entrants: Vec<(f64, Entrant)> = pool
            .into_iter()
            .map(|entrant| (self.promise(&entrant), entrant))
            .collect();
        // The sort is stable, so equal gains keep the order in which they were drawn.
        entrants.sort_by(|a, b| b.0.total_cmp(&a.0));
        entrants.truncate(SHORTLIST.max(count));
        let mut chosen = Vec::new();
        while chosen.len() < count && !entrants.is_empty() {
            let best = (0..entrants.len())
                .reduce(|best, idx| {
                    if entrants[idx].0 > entrants[best].0 {
                        idx
                    } else {
                        best
                    }
                })
                .expect("some are left");
            let (_, entrant) = entrants.remove(best);
            self.believe(&entrant.genome, &entrant.known);
            chosen.push(entrant.genome);
            for (promise, entrant) in &mut entrants {
                *promise = self.promise(entrant);
            }
        }
        chosen
    }

    /// Expected hypervolume improvement, plus a small reward for uncertainty where no improvement is expected.
    fn promise(&self, entrant: &Entrant) -> f64 {
        let predictions = self.predictions(&entrant.genome, &entrant.known);
        let mut front = self.front.clone();
        let mut gain = 0.0;
        for quantile in QUANTILES {
            // Objectives that need training are good or bad together, as AUC and pAUC are.
            front.push(at_quantile(&predictions, quantile));
            gain += (volume(&front) - self.volume).max(0.0) / QUANTILES.len() as f64;
            front.pop();
        }
        let doubt: f64 = predictions.iter().map(|(_, deviation)| deviation).sum();
        gain + 1e-9 * doubt
    }

    /// Adds a network as if it had turned out as expected.
    fn believe(&mut self, genome: &Genome, known: &[Option<f64>]) {
        let predictions = self.predictions(genome, known);
        self.front.push(at_quantile(&predictions, 0.0));
        let kept = pareto_front(&self.front);
        self.front = kept
            .into_iter()
            .map(|idx| self.front[idx].clone())
            .collect();
        self.volume = volume(&self.front);
        let point = self
            .features
            .of(genome, |idx| known.get(idx).copied().flatten());
        for process in self.processes.iter_mut().flatten() {
            process.believe(&point);
        }
    }

    /// Mean and standard deviation of each objective's logarithm.
    fn predictions(&self, genome: &Genome, known: &[Option<f64>]) -> Vec<(f64, f64)> {
        let known = |idx: usize| known.get(idx).copied().flatten();
        let point = self.features.of(genome, known);
        let objectives = self.processes.iter().enumerate();
        objectives
            .map(|(idx, process)| match process {
                Some(process) => process.predict(&point),
                None => (known(idx).unwrap_or(1.0).max(LEAST).ln(), 0.0),
            })
            .collect()
    }
}

/// Hypervolume of objectives that are shares of their references.
fn volume<P: AsRef<[f64]>>(points: &[P]) -> f64 {
    let n_objectives = points.first().map_or(0, |point| point.as_ref().len());
    hypervolume(points, &vec![1.0; n_objectives])
}

fn at_quantile(predictions: &[(f64, f64)], quantile: f64) -> Vec<f64> {
    let value = |(mean, deviation): &(f64, f64)| (mean + quantile * deviation).exp();
    predictions.iter().map(value).collect()
}

/// The model's view of a genome: its space, the place of each axis' value among the values, and the costs.
struct Features<'a> {
    spaces: &'a Spaces,
    /// Indices of the objectives that are known without training.
    known: Vec<usize>,
    /// The dimension of each axis, per space. Axes of one name are one dimension in all spaces; a second axis of that
    /// name within a space is another dimension.
    dims: Vec<Vec<usize>>,
    n_dims: usize,
}

impl<'a> Features<'a> {
    fn new(spaces: &'a Spaces, known: Vec<usize>) -> Features<'a> {
        let mut dim_of: HashMap<(&str, usize), usize> = HashMap::new();
        let mut dims_of_space = |space: &SearchSpace| {
            let mut counts: HashMap<&str, usize> = HashMap::new();
            let mut dim = |axis: &Axis| {
                let count = counts.entry(axis.name).or_default();
                *count += 1;
                let next = dim_of.len();
                *dim_of.entry((axis.name, *count)).or_insert(next)
            };
            space.axes.iter().map(&mut dim).collect()
        };
        let dims = spaces.spaces().iter().map(&mut dims_of_space).collect();
        Features {
            spaces,
            known,
            dims,
            n_dims: dim_of.len(),
        }
    }

    fn of(&self, genome: &Genome, known: impl Fn(usize) -> Option<f64>) -> Vec<f64> {
        let space = usize::from(self.spaces.encode(genome)[0]);
        let mut features = vec![0.0; self.n_dims + self.dims.len()];
        for (dim, place) in self.dims[space].iter().zip(self.spaces.places(genome)) {
            features[*dim] = place;
        }
        features[self.n_dims + space] = 1.0;
        let cost = |idx: &usize| known(*idx).unwrap_or(1.0).max(LEAST).ln();
        features.extend(self.known.iter().map(cost));
        features
    }
}
