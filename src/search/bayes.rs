//! Bayesian optimisation: a model predicts what only training can tell; costs are known without it.

use std::collections::{HashMap, HashSet};

use super::{
    Evolution, Observed, Past, Preview, Prospect, Sampler,
    improvement::{Belief, expected_improvement},
    objectives, pareto_front,
    predictor::{Known, Predictor},
    propose_unknown,
};
use crate::{
    space::{Axis, Genome, SearchSpace, Spaces},
    units::Rng,
};

/// Proposes the networks with the largest expected gain of hypervolume per second of training.
///
/// A Gaussian process predicts the logarithm of every objective that needs training (for example 1 - AUC). Its inputs
/// are the axes of the genome and the logarithms of the costs; the costs themselves are not predicted. The pool holds
/// random genomes, mutants of the front and the front's neighbours; those over budget are dropped. The best by expected
/// hypervolume improvement per second is taken, then the next as if the first had turned out as expected (Emmerich, 2006;
/// the "kriging believer" of Ginsbourger, Le Riche, Carraro, 2010). Networks in training are treated the same way. Before
/// there are results, proposals are random. Where nothing fits, [`Evolution`] leads towards the budget.
///
/// Results of another search are a mean that the process starts from, as far as they make its own results likelier; before
/// there are own ones, they are all that it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bayes {
    /// With fewer results than this, proposals are random.
    pub initial: usize,
    /// Genomes to choose from, beside the neighbours of the front; half of them are random.
    pub pool: usize,
    /// Neighbours of the front to choose from, at most.
    pub neighbours: usize,
    /// The model knows the front and the latest results, together this many.
    pub fitted: usize,
}

impl Bayes {
    /// The pool is a hundred times as large as a block of trainings. Knowing more results costs more time than it gains.
    pub const DEFAULT: Bayes = Bayes {
        initial: 4,
        pool: 768,
        neighbours: 512,
        fitted: 256,
    };
}

/// Candidates whose gain is updated after each choice; the gain can only fall.
const SHORTLIST: usize = 128;
/// Objectives count as at least this before the logarithm, and as at most that: how far a network is beyond the
/// reference tells nothing about those that count.
const LEAST: f64 = 1e-4;
const MOST: f64 = 1.2;

impl Sampler for Bayes {
    fn propose(
        &self,
        spaces: &Spaces,
        past: Past<'_>,
        preview: &dyn Fn(&Genome) -> Preview,
        rng: &mut Rng,
        count: usize,
    ) -> Vec<Genome> {
        let history = past.history;
        let scored: Vec<(&Genome, &[f64])> = history
            .iter()
            .filter_map(|seen| objectives(seen).map(|values| (&seen.genome, values)))
            .filter(|(_, values)| values.iter().all(|value| value.is_finite()))
            .collect();
        if past.earlier.is_empty() {
            if !history.is_empty() && scored.is_empty() {
                return Evolution::DEFAULT.propose(spaces, past, preview, rng, count);
            }
            if scored.len() < self.initial {
                return propose_unknown(spaces, history, rng, count, |_, rng| spaces.random(rng));
            }
        }
        let pool = self.pool(spaces, past, &scored, preview, rng);
        let mut chosen = match Model::new(self, spaces, past, &scored, &pool) {
            Some(model) => model.choose(pool, count),
            None => Vec::new(),
        };
        if chosen.len() < count {
            let rest = count - chosen.len();
            let proposed = Evolution::DEFAULT.propose(spaces, past, preview, rng, rest);
            chosen.extend(proposed);
        }
        chosen
    }
}

/// A genome that may be trained.
struct Entrant {
    genome: Genome,
    prospect: Prospect,
}

impl Bayes {
    /// New genomes that fit: neighbours of the front, random ones, and mutants of the front up to three steps away; and what
    /// another search has tried, which is the front as long as there is none.
    fn pool(
        &self,
        spaces: &Spaces,
        past: Past<'_>,
        scored: &[(&Genome, &[f64])],
        preview: &dyn Fn(&Genome) -> Preview,
        rng: &mut Rng,
    ) -> Vec<Entrant> {
        let values: Vec<&[f64]> = scored.iter().map(|(_, values)| *values).collect();
        let earlier = || past.earlier.iter().map(|earlier| &earlier.genome);
        let parents: Vec<&Genome> = match scored.is_empty() {
            true => earlier().collect(),
            false => pareto_front(&values)
                .into_iter()
                .map(|idx| scored[idx].0)
                .collect(),
        };
        let history = past.history.iter();
        let mut seen: HashSet<Genome> = history.map(|seen| seen.genome.clone()).collect();
        let mut pool = Vec::new();
        let mut enter = |genome: Genome| {
            if seen.insert(genome.clone())
                && let Preview::Fits(prospect) = preview(&genome)
            {
                pool.push(Entrant { genome, prospect });
            }
        };
        for genome in earlier().take(self.neighbours) {
            enter(genome.clone());
        }
        let mut neighbours: Vec<Genome> = parents
            .iter()
            .flat_map(|parent| spaces.neighbours(parent))
            .collect();
        for taken in 0..self.neighbours.min(neighbours.len()) {
            let other = taken + rng.below(neighbours.len() - taken);
            neighbours.swap(taken, other);
            enter(neighbours[taken].clone());
        }
        for draw in 0..self.pool {
            enter(match draw % 2 {
                0 => spaces.random(rng),
                _ => {
                    let parent = parents[rng.below(parents.len())].clone();
                    (0..1 + rng.below(3)).fold(parent, |genome, _| spaces.mutate(&genome, rng))
                }
            });
        }
        pool
    }
}

/// The model at the moment of one choice.
struct Model<'a> {
    features: Features<'a>,
    /// A model of each objective's logarithm; `None` where the objective is known.
    processes: Vec<Option<Predictor>>,
    /// Objectives of the genomes that are, or are expected to be, on the front.
    front: Vec<Vec<f64>>,
}

impl<'a> Model<'a> {
    /// `None` where there is nothing to choose from.
    fn new(
        settings: &Bayes,
        spaces: &'a Spaces,
        past: Past<'_>,
        scored: &[(&Genome, &[f64])],
        pool: &[Entrant],
    ) -> Option<Model<'a>> {
        let first = pool.first()?;
        // The number of objectives comes from the preview; results of another length are no help.
        let of_results = scored.last().map_or(0, |(_, values)| values.len());
        let n_objectives = first.prospect.objectives.len().max(of_results);
        let known_of_first = &first.prospect.objectives;
        let is_known = |idx: usize| known_of_first.get(idx).is_some_and(Option::is_some);
        let known: Vec<usize> = (0..n_objectives).filter(|idx| is_known(*idx)).collect();
        let features = Features::new(spaces, known);
        let fitting: Vec<_> = scored
            .iter()
            .filter(|(_, values)| values.len() == n_objectives)
            .collect();
        if fitting.is_empty() && past.earlier.is_empty() {
            return None;
        }
        let values: Vec<&[f64]> = fitting.iter().map(|(_, values)| *values).collect();
        let on_front = pareto_front(&values);
        // The front, then the latest of the others, in the order of time.
        let rest = settings.fitted.saturating_sub(on_front.len());
        let others = (0..fitting.len())
            .rev()
            .filter(|idx| on_front.binary_search(idx).is_err());
        let mut told: Vec<usize> = others.take(rest).chain(on_front.iter().copied()).collect();
        told.sort_unstable();
        let points: Vec<Vec<f64>> = told
            .iter()
            .map(|&idx| {
                let (genome, values) = fitting[idx];
                features.of(genome, |idx| values.get(idx).copied())
            })
            .collect();
        let logarithm = |value: f64| value.clamp(LEAST, MOST).ln();
        let process = |objective: usize| {
            let own = Known {
                points: points.clone(),
                values: told
                    .iter()
                    .map(|&idx| logarithm(values[idx][objective]))
                    .collect(),
            };
            let mut earlier = Known::default();
            for one in past.earlier.iter().take(settings.fitted) {
                if let Some(value) = one.objectives.get(objective).copied().flatten() {
                    earlier.points.push(features.of_genome(&one.genome));
                    earlier.values.push(logarithm(value));
                }
            }
            match is_known(objective) {
                true => None,
                false => Predictor::fit(&own, &earlier, &features.is_category()),
            }
        };
        let mut model = Model {
            processes: (0..n_objectives).map(process).collect(),
            features,
            front: on_front
                .into_iter()
                .map(|idx| values[idx].to_vec())
                .collect(),
        };
        let others = past.others.iter();
        model.hold(others.filter(|other| other.len() == n_objectives).cloned());
        for seen in past.history {
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
            self.believe(&entrant.genome, &entrant.prospect.objectives);
            chosen.push(entrant.genome);
            for (promise, entrant) in &mut entrants {
                *promise = self.promise(entrant);
            }
        }
        chosen
    }

    /// Expected hypervolume improvement per second.
    fn promise(&self, entrant: &Entrant) -> f64 {
        let Prospect {
            objectives,
            seconds,
        } = &entrant.prospect;
        expected_improvement(&self.front, &self.beliefs(&entrant.genome, objectives)) / seconds
    }

    /// Adds a network as if it had turned out as expected.
    fn believe(&mut self, genome: &Genome, known: &[Option<f64>]) {
        let beliefs = self.beliefs(genome, known);
        self.hold([beliefs.iter().map(|belief| belief.at(0.0)).collect()]);
        let point = self
            .features
            .of(genome, |idx| known.get(idx).copied().flatten());
        for process in self.processes.iter_mut().flatten() {
            process.believe(&point);
        }
    }

    /// Adds points that proposals have to add to.
    fn hold(&mut self, points: impl IntoIterator<Item = Vec<f64>>) {
        self.front.extend(points);
        let kept = pareto_front(&self.front);
        self.front = kept
            .into_iter()
            .map(|idx| self.front[idx].clone())
            .collect();
    }

    /// What is known or predicted of each objective.
    fn beliefs(&self, genome: &Genome, known: &[Option<f64>]) -> Vec<Belief> {
        let known = |idx: usize| known.get(idx).copied().flatten();
        let point = self.features.of(genome, known);
        let objectives = self.processes.iter().enumerate();
        objectives
            .map(|(idx, process)| match process {
                Some(process) => {
                    let (mean, deviation) = process.predict(&point);
                    Belief::LogNormal { mean, deviation }
                }
                None => Belief::Known(known(idx).unwrap_or(1.0)),
            })
            .collect()
    }
}

/// The model's view of a genome: its space, the place of each axis' value among the values, and the costs.
struct Features<'a> {
    spaces: &'a Spaces,
    /// Indices of the objectives that are known without training.
    known: Vec<usize>,
    /// The dimension of each axis, per space. Axes of one name are one dimension in all spaces; a second axis of that
    /// name within a space is another dimension.
    dims: Vec<Vec<usize>>,
    /// Whether values of a dimension are compared by equality alone.
    categories: Vec<bool>,
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
        let dims: Vec<Vec<usize>> = spaces.spaces().iter().map(&mut dims_of_space).collect();
        let mut categories = vec![false; dim_of.len()];
        for (space, dims) in spaces.spaces().iter().zip(&dims) {
            for (axis, dim) in space.axes.iter().zip(dims) {
                categories[*dim] |= axis.is_category;
            }
        }
        Features {
            spaces,
            known,
            dims,
            categories,
        }
    }

    /// Whether each feature is compared by equality alone.
    fn is_category(&self) -> Vec<bool> {
        let mut categories = self.categories.clone();
        categories.resize(self.n_features(), false);
        categories
    }

    fn n_features(&self) -> usize {
        self.categories.len() + self.dims.len() + self.known.len()
    }

    fn of(&self, genome: &Genome, known: impl Fn(usize) -> Option<f64>) -> Vec<f64> {
        let mut features = self.of_genome(genome);
        let cost = |idx: &usize| known(*idx).unwrap_or(1.0).max(LEAST).ln();
        features.extend(self.known.iter().map(cost));
        features
    }

    /// The features that no target and no data changes; they come first.
    fn of_genome(&self, genome: &Genome) -> Vec<f64> {
        let space = usize::from(self.spaces.encode(genome)[0]);
        let mut features = vec![0.0; self.categories.len() + self.dims.len()];
        for (dim, place) in self.dims[space].iter().zip(self.spaces.places(genome)) {
            features[*dim] = place;
        }
        features[self.categories.len() + space] = 1.0;
        features
    }
}
