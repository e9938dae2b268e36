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
