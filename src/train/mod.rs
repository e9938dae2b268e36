//! Training. burn lives here and nowhere else: a graph becomes a module, is fitted, and comes back as folded weights.

use std::sync::atomic::AtomicBool;

use crate::{
    features::Windows,
    graph::{Graph, Weights},
    space::Task,
};

/// How to train one candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainOptions {
    pub epochs: usize,
    pub batch_size: usize,
    /// Peak learning rate of Adam.
    pub learning_rate: f32,
    /// Windows drawn per epoch at most; fewer where the data has fewer.
    pub windows_per_epoch: usize,
    /// Epochs without improvement on held-out normal clips before training stops.
    pub patience: usize,
}

/// A trained network.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// Batch norm folded; the best epoch's weights by validation loss.
    pub weights: Weights,
    /// Training and validation loss per epoch.
    pub history: Vec<[f32; 2]>,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrainError {
    #[error("training was interrupted")]
    Interrupted,
    #[error("there are no training windows: every clip is shorter than {frames} frames")]
    NoWindows { frames: usize },
    #[error("the loss became {loss} in epoch {epoch}")]
    Diverged { epoch: usize, loss: f32 },
}

/// Trains one candidate on standardised windows, on the calling thread alone.
///
/// The same graph, windows, options and seed give bit-identical weights, whatever else runs.
pub fn train(
    _graph: &Graph,
    _task: Task,
    _train: &Windows<'_>,
    _validation: &Windows<'_>,
    _options: &TrainOptions,
    _seed: u64,
    _stop: &AtomicBool,
) -> Result<Trained, TrainError> {
    Err(TrainError::Interrupted)
}
