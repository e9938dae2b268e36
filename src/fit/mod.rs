//! Detectors in closed form: vectors of normal sound to a layer that whitens, and the points that sound is normal near.
//!
//! The module knows nothing of audio, of quantisation and of training; it is deterministic and takes milliseconds.

mod covariance;
mod matrix;
mod points;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::{covariance::Estimate, matrix::Square};
use crate::{
    graph::{Graph, Op, OpKind, OpWeights, Weights},
    space::Fit,
};

/// Vectors of normal sound.
#[derive(Debug, Clone)]
pub struct Samples<'a> {
    /// Standardised statistics of a window each.
    pub vectors: Vec<&'a [f32]>,
    /// The section of every vector.
    pub classes: Vec<u32>,
    /// The domain of every vector: any number, equal for equal domains.
    pub domains: Vec<u32>,
    /// The clip of every vector, which is left out as a whole.
    pub clips: Vec<u32>,
    /// Standard deviation of each statistic before it was standardised, in dB.
    pub std: &'a [f32],
}

/// A point that sound of a section is normal near.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The section that it is of, from 0.
    pub class: u32,
    /// Which part of the layer's output lies near it, counted in lengths of a point.
    pub block: u32,
    /// What mean squared differences from it are multiplied by.
    pub weight: f32,
    /// Its place among the whitened values, one number per dimension.
    pub coordinates: Vec<f32>,
}

/// A fitted detector.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// One layer of weights, the layout of [`OpWeights`].
    pub weights: Weights,
    /// What distances are measured from.
    pub points: Vec<Point>,
    /// Scores of the clips that were fitted, each by a fit without it: the clip and its mean score. Clips without which
    /// nothing can be fitted are left out.
    pub out_of_sample: Vec<(u32, f64)>,
    /// The largest share of a covariance that is not measured but guessed, 0 to 1.
    pub shrinkage: f64,
}

/// Vectors that nothing can be fitted to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// There are fewer than two windows; holds how many.
    #[error(
        "a distance needs at least two windows of normal sound to be fitted to, and there are {0}"
    )]
    TooFew(usize),
}

/// Shrinkage from which on the covariance is more guessed than measured.
pub const MOSTLY_GUESSED: f64 = 0.9;
/// Parts that clips are divided into where no formula leaves out one.
const FOLDS: u32 = 5;

/// Fits a detector whose graph is one layer, as the family `pooled-gaussian` builds it.
///
/// # Errors
/// Where there are fewer than two vectors.
pub fn fit(how: &Fit, graph: &Graph, samples: &Samples<'_>) -> Result<Fitted, FitError> {
    let count = samples.vectors.len();
    if count < 2 {
        return Err(FitError::TooFew(count));
    }
    let all: Vec<usize> = (0..count).collect();
    let detector = Detector::of(how, samples, &all);
    let scores = match detector.left_out(samples) {
        Some(scores) => scores,
        None => left_out_by_folds(how, samples),
    };
    Ok(Fitted {
        weights: detector.weights(graph),
        points: detector.points(),
        out_of_sample: of_clips(samples, &scores),
        shrinkage: detector.shrinkage(),
    })
}

/// The distance of a whitened vector from the nearest point of its class; from the nearest of all, where no point is of
/// that class. What `nas_kernels::score::Centres` does in whole numbers.
pub fn distance(points: &[Point], class: usize, whitened: &[f32]) -> f64 {
    let is_own = |point: &&Point| point.class as usize == class;
    let any = !points.iter().any(|point| is_own(&point));
    let near = points.iter().filter(|point| any || is_own(point));
    let from = |point: &Point| {
        let length = point.coordinates.len();
        let vector = &whitened[point.block as usize * length..][..length];
        let squares = vector.iter().zip(&point.coordinates);
        let squares = squares.map(|(x, c)| (f64::from(*x) - f64::from(*c)).powi(2));
        f64::from(point.weight) * squares.sum::<f64>() / length as f64
    };
    near.map(from).fold(f64::INFINITY, f64::min)
}

/// What was fitted, in 64 bits.
#[derive(Debug)]
struct Detector {
    /// One for all sections, or one for each.
    blocks: Vec<Block>,
    /// Whether a block serves all sections.
    shared: bool,
    /// Means of sections, or of their domains, or centroids.
    places: Vec<Place>,
    /// Of which place every fitted vector is; the nearest one where there are several.
    own: Vec<usize>,
}

/// One covariance, and the layer that makes it the identity.
#[derive(Debug)]
struct Block {
    /// What the layer takes for the origin.
    origin: Vec<f64>,
    estimate: Estimate,
    whitening: Square,
}

/// A point before it is whitened.
#[derive(Debug)]
struct Place {
    class: u32,
    block: usize,
    weight: f64,
    at: Vec<f64>,
    /// Vectors that it is the mean of.
    count: usize,
}

impl Detector {
    /// Fits the given vectors.
    fn of(how: &Fit, samples: &Samples<'_>, chosen: &[usize]) -> Detector {
        let vector = |idx: usize| samples.vectors[idx];
        let (mut places, own) = means(how, samples, chosen);
        let residuals: Vec<Vec<f64>> = chosen
            .iter()
            .zip(&own)
            .map(|(&idx, &place)| difference(vector(idx), &places[place].at))
            .collect();
        let everywhere = mean(chosen.iter().map(|&idx| vector(idx)));
        let block = |of: &[usize], origin: Vec<f64>| {
            let residuals: Vec<&[f64]> = of.iter().map(|&idx| &residuals[idx][..]).collect();
            let estimate = Estimate::of(how, &residuals, samples.std);
            Block {
                whitening: estimate.whitening(),
                origin,
                estimate,
            }
        };
        let every: Vec<usize> = (0..chosen.len()).collect();
        let blocks = match how.shared {
            true => vec![block(&every, everywhere)],
            false => (0..how.sections as u32)
                .map(|class| {
                    let mine = |idx: &usize| samples.classes[chosen[*idx]] == class;
                    let mine: Vec<usize> = every.iter().copied().filter(mine).collect();
                    let origin = mean(mine.iter().map(|&idx| vector(chosen[idx])));
                    match mine.len() {
                        // A section without sound of its own has the covariance of all.
                        0..3 => block(&every, everywhere.clone()),
                        _ => block(&mine, origin),
                    }
                })
                .collect(),
        };
        if !how.shared {
            for place in &mut places {
                place.block = (place.class as usize).min(blocks.len() - 1);
            }
        }
        let mut detector = Detector {
            blocks,
            shared: how.shared,
            places,
            own,
        };
        if how.points > 1 {
            detector.gather(how.points, samples, chosen);
        }
        detector
    }

    /// Replaces the means by centroids.
    fn gather(&mut self, count: usize, samples: &Samples<'_>, chosen: &[usize]) {
        let block = &self.blocks[0];
        let whitened: Vec<Vec<f64>> = chosen
            .iter()
            .map(|&idx| block.whiten(samples.vectors[idx]))
            .collect();
        let mut by_class: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (place, &idx) in chosen.iter().enumerate() {
            by_class
                .entry(samples.classes[idx])
                .or_default()
                .push(place);
        }
        self.places.clear();
        for (class, members) in by_class {
            let vectors: Vec<&[f64]> = members.iter().map(|&idx| &whitened[idx][..]).collect();
            for centroid in points::centroids(&vectors, count) {
                // Back to where vectors are: the mean of its members.
                let of = centroid
                    .members
                    .iter()
                    .map(|&idx| samples.vectors[chosen[members[idx]]]);
                self.places.push(Place {
                    class,
                    block: 0,
                    weight: centroid.weight,
                    at: mean(of),
                    count: centroid.members.len(),
                });
            }
        }
    }

    /// Scores of all vectors, each by the fit without it, in closed form; `None` where there is none: where a clip has
    /// several vectors, or a place is more than a mean.
    ///
    /// Without a vector `r` away from the mean of `n` of all `N`, the covariance `S` is that of `N - 1`, less a matrix
    /// of rank one, so that its inverse follows by Sherman's and Morrison's formula. Shrinkage and target stand.
    fn left_out(&self, samples: &Samples<'_>) -> Option<Vec<Option<f64>>> {
        let clips: std::collections::BTreeSet<u32> = samples.clips.iter().copied().collect();
        let is_mean = self
            .places
            .iter()
            .all(|place| place.count > 0 && place.weight == 1.0);
        if clips.len() < samples.vectors.len() || !is_mean || self.own.is_empty() {
            return None;
        }
        let without: Vec<covariance::Without> = self
            .blocks
            .iter()
            .map(|block| block.estimate.without_one())
            .collect::<Option<_>>()?;
        let score = |(idx, &own): (usize, &usize)| {
            let place = &self.places[own];
            let count = place.count as f64;
            if place.count < 2 {
                return None;
            }
            let residual = difference(samples.vectors[idx], &place.at);
            let own = without[place.block].distance(&residual, count);
            // Another domain's mean may be nearer; it does not depend on this vector but by the covariance.
            let block = &self.blocks[place.block];
            let others = self
                .places
                .iter()
                .enumerate()
                .filter(|(other, known)| *other != self.own[idx] && known.class == place.class);
            let whitened = |at: &[f64]| {
                let away = difference(samples.vectors[idx], at);
                squared(&block.whitening.times(&away)) / away.len() as f64
            };
            Some(
                others
                    .map(|(_, known)| whitened(&known.at))
                    .fold(own, f64::min),
            )
        };
        Some(self.own.iter().enumerate().map(score).collect())
    }

    fn weights(&self, graph: &Graph) -> Weights {
        let mut weight = Vec::new();
        let mut bias = Vec::new();
        let by_itself = |op: &Op| matches!(op.kind, OpKind::DepthwiseConv2d(_));
        let is_diagonal = graph.ops.iter().any(by_itself);
        for block in &self.blocks {
            let moved = block.whitening.times(&block.origin);
            bias.extend(moved.iter().map(|value| -*value as f32));
            match is_diagonal {
                true => weight.extend(block.whitening.diagonal().map(|value| value as f32)),
                false => weight.extend(block.whitening.values().iter().map(|value| *value as f32)),
            }
        }
        let mut layer = Some(OpWeights { weight, bias });
        let weights = graph.ops.iter().map(|op| match op.kind.has_weights() {
            true => layer.take(),
            false => None,
        });
        Weights(weights.collect())
    }

    fn points(&self) -> Vec<Point> {
        let point = |place: &Place| {
            let block = &self.blocks[place.block];
            let away: Vec<f64> = place
                .at
                .iter()
                .zip(&block.origin)
                .map(|(a, o)| a - o)
                .collect();
            let whitened = block.whitening.times(&away);
            Point {
                class: place.class,
                block: if self.shared { 0 } else { place.block as u32 },
                weight: place.weight as f32,
                coordinates: whitened.into_iter().map(|value| value as f32).collect(),
            }
        };
        self.places.iter().map(point).collect()
    }

    fn shrinkage(&self) -> f64 {
        let shares = self.blocks.iter().map(|block| block.estimate.shrinkage);
        shares.fold(0.0, f64::max)
    }

    /// The score of a vector.
    fn score(&self, vector: &[f32], class: u32) -> f64 {
        let any = !self.places.iter().any(|place| place.class == class);
        let near = self
            .places
            .iter()
            .filter(|place| any || place.class == class);
        let from = |place: &Place| {
            let away = difference(vector, &place.at);
            let whitened = self.blocks[place.block].whitening.times(&away);
            place.weight * squared(&whitened) / away.len() as f64
        };
        near.map(from).fold(f64::INFINITY, f64::min)
    }
}

impl Block {
    /// The same with the share and the target of another one's shrinkage.
    #[cfg(test)]
    fn keep_guess_of(&mut self, other: &Block) {
        self.estimate.keep_guess_of(&other.estimate);
        self.whitening = self.estimate.whitening();
    }

    fn whiten(&self, vector: &[f32]) -> Vec<f64> {
        self.whitening.times(&difference(vector, &self.origin))
    }
}

/// Means of sections, or where both are known of their domains, and which of them every chosen vector is of.
fn means(how: &Fit, samples: &Samples<'_>, chosen: &[usize]) -> (Vec<Place>, Vec<usize>) {
    let key = |idx: usize| {
        let domain = if how.per_domain {
            samples.domains[idx]
        } else {
            0
        };
        (samples.classes[idx], domain)
    };
    let mut groups: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
    for &idx in chosen {
        groups.entry(key(idx)).or_default().push(idx);
    }
    let keys: Vec<(u32, u32)> = groups.keys().copied().collect();
    let place = |((class, _), members): ((u32, u32), Vec<usize>)| Place {
        class,
        block: 0,
        weight: 1.0,
        count: members.len(),
        at: mean(members.iter().map(|&idx| samples.vectors[idx])),
    };
    let places = groups.into_iter().map(place).collect();
    let own = chosen.iter().map(|&idx| {
        let found = keys.binary_search(&key(idx));
        found.expect("every key was gathered above")
    });
    (places, own.collect())
}

/// Scores of all vectors, each by a fit without a fifth of the clips, its own among them.
fn left_out_by_folds(how: &Fit, samples: &Samples<'_>) -> Vec<Option<f64>> {
    let mut numbers: Vec<u32> = samples.clips.clone();
    numbers.sort_unstable();
    numbers.dedup();
    let fold_of = |idx: usize| {
        let place = numbers.binary_search(&samples.clips[idx]).unwrap_or(0);
        place as u32 % FOLDS
    };
    let mut scores = vec![None; samples.vectors.len()];
    for fold in 0..FOLDS {
        let (left, kept): (Vec<usize>, Vec<usize>) =
            (0..samples.vectors.len()).partition(|&idx| fold_of(idx) == fold);
        if kept.len() < 2 || left.is_empty() {
            continue;
        }
        let detector = Detector::of(how, samples, &kept);
        for idx in left {
            scores[idx] = Some(detector.score(samples.vectors[idx], samples.classes[idx]));
        }
    }
    scores
}

/// Means of the scores of a clip's vectors.
fn of_clips(samples: &Samples<'_>, scores: &[Option<f64>]) -> Vec<(u32, f64)> {
    let mut clips: BTreeMap<u32, (f64, usize)> = BTreeMap::new();
    for (&clip, score) in samples.clips.iter().zip(scores) {
        if let Some(score) = score {
            let (sum, count) = clips.entry(clip).or_default();
            *sum += score;
            *count += 1;
        }
    }
    let mean = |(clip, (sum, count)): (u32, (f64, usize))| (clip, sum / count as f64);
    clips.into_iter().map(mean).collect()
}

fn mean<'v>(vectors: impl Iterator<Item = &'v [f32]>) -> Vec<f64> {
    let (mut sum, mut count) = (Vec::new(), 0usize);
    for vector in vectors {
        sum.resize(vector.len(), 0.0);
        for (sum, value) in sum.iter_mut().zip(vector) {
            *sum += f64::from(*value);
        }
        count += 1;
    }
    sum.iter().map(|sum: &f64| sum / count as f64).collect()
}

fn difference(vector: &[f32], from: &[f64]) -> Vec<f64> {
    let pairs = vector.iter().zip(from);
    pairs
        .map(|(value, from)| f64::from(*value) - from)
        .collect()
}

fn squared(vector: &[f64]) -> f64 {
    vector.iter().map(|value| value * value).sum()
}
