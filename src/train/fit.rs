//! A network in training: one step, the weights for deployment, and their loss.

use burn::{
    module::Module,
    optim::{AdamConfig, GradientsParams, ModuleOptimizer},
    tensor::Device,
};

use super::{
    DROPOUT_STREAM, Lessons, OUTLIER_STREAM, OUTLIERS_PER_BATCH, RECIPE_STREAM, TrainOptions,
    WEIGHT_STREAM,
    adam::{self, FusedAdam},
    disturb::Batch,
    fused::Loss,
    network::{Network, Pass},
};
use crate::{
    features::{ReadError, Windows},
    graph::{Graph, Weights},
    space::{Recipe, Task},
    units::Rng,
};

/// A network in training.
pub struct Fit {
    graph: Graph,
    task: Task,
    network: Option<Network>,
    optimizer: ModuleOptimizer,
    recipe: Recipe,
    dropout: Rng,
    /// Random numbers of the recipe.
    draws: Rng,
    outlier_draws: Rng,
    /// The device with automatic differentiation.
    device: Device,
    fused: bool,
}

impl Fit {
    /// A network with initial weights.
    pub fn new(graph: &Graph, task: Task, options: &TrainOptions, seed: u64) -> Fit {
        let device = options.backend.device().autodiff();
        let products = options.backend.products();
        let fused = products.is_some();
        let optimizer = match fused {
            true => FusedAdam.into(),
            false => AdamConfig::new()
                .with_beta_1(adam::BETAS[0])
                .with_beta_2(adam::BETAS[1])
                .with_epsilon(adam::EPSILON)
                .init(),
        };
        let mut weights = Rng::new(seed, WEIGHT_STREAM);
        let network = Network::new(graph, products, &mut weights, &device);
        Fit {
            graph: graph.clone(),
            task,
            network: Some(network),
            optimizer,
            recipe: options.recipe,
            dropout: Rng::new(seed, DROPOUT_STREAM),
            draws: Rng::new(seed, RECIPE_STREAM),
            outlier_draws: Rng::new(seed, OUTLIER_STREAM),
            device,
            fused,
        }
    }

    /// The windows that must not be reconstructed.
    pub fn outliers<'a>(&self, lessons: &Lessons<'a>) -> Option<&'a Windows<'a>> {
        let wanted = self.task == Task::Reconstruct && self.recipe.outlier_exposure > 0.0;
        lessons
            .outliers
            .filter(|outliers| wanted && !outliers.is_empty())
    }

    fn loss(&self) -> Loss {
        match self.task {
            // `check` lets no distance come here: it is fitted and not trained.
            Task::Reconstruct | Task::Distance(_) => Loss::SquaredError,
            Task::Classify { .. } => Loss::CrossEntropy,
        }
    }

    /// Takes one step on some windows; returns the loss before it.
    pub fn step(
        &mut self,
        lessons: &Lessons<'_>,
        idxs: &[u32],
        rate: f64,
    ) -> Result<f32, ReadError> {
        let frames = lessons.fit.frames;
        let mut batch = self.batch(lessons.fit, idxs)?;
        batch.disturb(&self.recipe, frames, &mut self.draws);
        let mut kind = self.loss();
        if let Some(outliers) = self.outliers(lessons) {
            let count = (idxs.len() / OUTLIERS_PER_BATCH).max(1);
            let idxs = (0..count).map(|_| self.outlier_draws.below(outliers.len()) as u32);
            let idxs: Vec<u32> = idxs.collect();
            let mut others = self.batch(outliers, &idxs)?;
            others.disturb(&self.recipe, frames, &mut self.draws);
            kind = Loss::Margin {
                kept: batch.size,
                weight: self.recipe.outlier_exposure,
            };
            batch.append(others);
        }
        let [x, target] = batch.tensors(&self.device);
        let network = self.network.take().expect("a network is always put back");
        let mut pass = Pass {
            dropout: Some(&mut self.dropout),
            record_moments: false,
        };
        let loss = network.loss(x, target, kind, &mut pass);
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        self.network = Some(self.optimizer.step(rate, network, gradients));
        Ok(loss.into_scalar())
    }

    /// The current weights, with batch norm folded for its statistics over some windows.
    pub fn weights(&self, statistics: &[Batches<'_>]) -> Result<Weights, ReadError> {
        let network = self
            .network
            .as_ref()
            .expect("a network is always put back")
            .valid();
        let all: usize = statistics.iter().map(|batches| batches.idxs.len()).sum();
        let mut pooled: Vec<[Vec<f64>; 2]> = Vec::new();
        for (windows, idxs) in statistics.iter().flat_map(Batches::iter) {
            let [x, _] = self
                .batch(windows, idxs)?
                .tensors(&self.device.clone().inner());
            network.forward(
                x,
                &mut Pass {
                    dropout: None,
                    record_moments: true,
                },
            );
            let share = idxs.len() as f64 / all as f64;
            for (idx, [mean, variance]) in network.moments().iter().enumerate() {
                if pooled.len() <= idx {
                    pooled.push([vec![0.0; mean.len()], vec![0.0; mean.len()]]);
                }
                let [sums, squares] = &mut pooled[idx];
                for channel in 0..mean.len() {
                    let (mean, variance) = (f64::from(mean[channel]), f64::from(variance[channel]));
                    sums[channel] += share * mean;
                    squares[channel] += share * (variance + mean * mean);
                }
            }
        }
        let moments = pooled.iter().map(|[means, squares]| {
            let variance = means
                .iter()
                .zip(squares)
                .map(|(m, s)| (s - m * m).max(0.0) as f32);
            [
                means.iter().map(|mean| *mean as f32).collect(),
                variance.collect(),
            ]
        });
        Ok(network.folded(&moments.collect::<Vec<_>>()))
    }

    /// Mean loss of folded weights over some windows.
    pub fn evaluate(&self, weights: &Weights, batches: &Batches<'_>) -> Result<f32, ReadError> {
        let device = self.device.clone().inner();
        let network = Network::from_weights(&self.graph, weights, self.fused, &device);
        let mut total = 0.0;
        for (windows, idxs) in batches.iter() {
            let [x, target] = self.batch(windows, idxs)?.tensors(&device);
            let mut pass = Pass {
                dropout: None,
                record_moments: false,
            };
            let loss: f32 = network
                .loss(x, target, self.loss(), &mut pass)
                .into_scalar();
            total += f64::from(loss) * idxs.len() as f64;
        }
        Ok((total / batches.idxs.len() as f64) as f32)
    }

    /// Windows and their targets.
    fn batch(&self, windows: &Windows<'_>, idxs: &[u32]) -> Result<Batch, ReadError> {
        let mut inputs = Vec::with_capacity(idxs.len() * self.graph.input_shape().len());
        for idx in idxs {
            inputs.extend_from_slice(&windows.window(*idx as usize)?);
        }
        let targets = match self.task {
            Task::Reconstruct | Task::Distance(_) => inputs.clone(),
            Task::Classify { classes } => {
                let mut targets = vec![0.0; idxs.len() * classes];
                for (idx, target) in idxs.iter().zip(targets.chunks_exact_mut(classes)) {
                    target[windows.class(*idx as usize) as usize] = 1.0;
                }
                targets
            }
        };
        Ok(Batch {
            size: idxs.len(),
            inputs,
            targets,
        })
    }
}

/// Fixed batches of windows.
pub struct Batches<'a> {
    windows: &'a Windows<'a>,
    idxs: Vec<u32>,
    size: usize,
}

impl<'a> Batches<'a> {
    /// At most `limit` windows, spread evenly over all.
    pub fn spread(windows: &'a Windows<'a>, limit: usize, size: usize) -> Batches<'a> {
        let count = windows.len().min(limit);
        let idxs = (0..count)
            .map(|n| (n * windows.len() / count) as u32)
            .collect();
        Batches {
            windows,
            idxs,
            size,
        }
    }

    fn iter(&self) -> impl Iterator<Item = (&'a Windows<'a>, &[u32])> {
        self.idxs.chunks(self.size).map(|idxs| (self.windows, idxs))
    }
}
