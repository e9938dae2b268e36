//! Search spaces: a family of networks and its axes, genomes that choose one value per axis, and their decoding.

use crate::{audio::FrontEnd, graph::Graph};

/// What a network is trained to do, and so how it scores a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// Reconstructs its input; the anomaly score is the mean squared error.
    Reconstruct,
    /// Tells sections apart; the anomaly score is the negative log-odds of the known section.
    Classify { classes: usize },
}

/// One network with its audio front end: what is costed, trained and exported.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    pub front_end: FrontEnd,
    pub graph: Graph,
    pub task: Task,
}

/// A point of the search: which space, and one value index per axis. Only a [`Spaces`] makes one, so it is always valid.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Genome {
    pub(super) space: u8,
    pub(super) genes: Vec<u8>,
}

/// The spaces of one search. Stand-in with bare axes, until the families stand here.
#[derive(Debug, Clone)]
pub struct Spaces {
    axis_sizes: Vec<Vec<u8>>,
}

impl Spaces {
    /// Spaces without meaning for tests of samplers: per space, the number of values of each axis.
    #[cfg(test)]
    pub(crate) fn with_axis_sizes(axis_sizes: Vec<Vec<u8>>) -> Self {
        Spaces { axis_sizes }
    }

    pub fn random(&self, rng: &mut crate::units::Rng) -> Genome {
        let space = rng.below(self.axis_sizes.len());
        let genes = self.axis_sizes[space]
            .iter()
            .map(|&size| rng.below(size.into()) as u8)
            .collect();
        Genome {
            space: space as u8,
            genes,
        }
    }

    pub fn mutate(&self, genome: &Genome, rng: &mut crate::units::Rng) -> Genome {
        if self.axis_sizes.len() > 1 && rng.below(20) == 0 {
            return self.random(rng);
        }
        let sizes = &self.axis_sizes[genome.space as usize];
        let mut child = genome.clone();
        for _ in 0..1 + rng.below(2) {
            let axis = rng.below(sizes.len());
            if sizes[axis] > 1 {
                let step = 1 + rng.below(sizes[axis] as usize - 1) as u8;
                child.genes[axis] = (child.genes[axis] + step) % sizes[axis];
            }
        }
        child
    }

    pub fn crossover(&self, a: &Genome, b: &Genome, rng: &mut crate::units::Rng) -> Genome {
        if a.space != b.space {
            return self.mutate(a, rng);
        }
        let mut child = a.clone();
        for (gene, other) in child.genes.iter_mut().zip(&b.genes) {
            if rng.below(2) == 0 {
                *gene = *other;
            }
        }
        child
    }

    pub fn encode(&self, genome: &Genome) -> Vec<u8> {
        [&[genome.space], &genome.genes[..]].concat()
    }

    pub fn decode_bytes(&self, bytes: &[u8]) -> Option<Genome> {
        let (&space, genes) = bytes.split_first()?;
        let sizes = self.axis_sizes.get(space as usize)?;
        let valid = sizes.len() == genes.len() && genes.iter().zip(sizes).all(|(g, s)| g < s);
        valid.then(|| Genome {
            space,
            genes: genes.to_vec(),
        })
    }
}
