//! Training. burn lives here and nowhere else: a graph becomes a module, is fitted, and comes back as folded weights.

mod adam;
#[cfg(target_arch = "x86_64")]
mod bf16;
mod disturb;
mod fused;
mod kernels;
mod network;
#[cfg(test)]
mod tests;

use std::{
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
};

use burn::{
    optim::{AdamConfig, GradientsParams, ModuleOptimizer},
    tensor::Device,
};

use self::{
    adam::FusedAdam,
    disturb::Batch,
    fused::Products,
    network::{Loss, Network, Pass},
};
use crate::{
    features::Windows,
    graph::{Graph, OpKind, Weights},
    space::{Recipe, Task},
    units::Rng,
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
    pub recipe: Recipe,
    pub backend: Backend,
}

/// Where burn computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// The processor, one thread, with the fused operators.
    Flex,
    /// As `Flex`, with matrix products of operands that are rounded to bfloat16; only where [`Backend::has_bf16`].
    FlexBf16,
    /// The processor with burn's own operators: slower, the reference for the fused ones.
    FlexStock,
    #[cfg(feature = "wgpu")]
    Wgpu,
    #[cfg(feature = "cuda")]
    Cuda,
}

/// A device that this build or this machine cannot train on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownBackend {
    #[error(
        "`{0}` is no device of this build; choose cpu or cpu-bf16, or build with `--features wgpu` or \
         `--features cuda` for that device"
    )]
    Name(String),
    #[error("cpu-bf16 needs a processor with AVX512-BF16; choose cpu")]
    NoBf16,
}

impl FromStr for Backend {
    type Err = UnknownBackend;
    fn from_str(text: &str) -> Result<Backend, UnknownBackend> {
        match text {
            "cpu" => Ok(Backend::Flex),
            "cpu-bf16" if Backend::has_bf16() => Ok(Backend::FlexBf16),
            "cpu-bf16" => Err(UnknownBackend::NoBf16),
            #[cfg(feature = "wgpu")]
            "wgpu" => Ok(Backend::Wgpu),
            #[cfg(feature = "cuda")]
            "cuda" => Ok(Backend::Cuda),
            _ => Err(UnknownBackend::Name(text.to_string())),
        }
    }
}

impl Backend {
    /// Whether this processor multiplies bfloat16.
    pub fn has_bf16() -> bool {
        Products::brain().is_some()
    }

    /// How the fused operators multiply; `None` where burn's own operators compute.
    fn products(self) -> Option<Products> {
        match self {
            Backend::Flex => Some(Products::Single),
            Backend::FlexBf16 => Some(Products::brain().unwrap_or_default()),
            _ => None,
        }
    }

    fn device(self) -> Device {
        match self {
            Backend::Flex | Backend::FlexBf16 | Backend::FlexStock => Device::flex(),
            #[cfg(feature = "wgpu")]
            Backend::Wgpu => Device::wgpu(Default::default()),
            #[cfg(feature = "cuda")]
            Backend::Cuda => Device::cuda(0),
        }
    }
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
    #[error("a window has {window} values, but the network's input takes {input}")]
    InputShape { window: usize, input: usize },
    #[error("a clip has class {class}, but the network tells {classes} classes apart")]
    Class { class: u32, classes: usize },
    #[error("operator {op} is a {kind:?}, which cannot be trained")]
    Operator { op: usize, kind: OpKind },
    #[error("the loss became {loss} in epoch {epoch}")]
    Diverged { epoch: usize, loss: f32 },
}

/// Windows on which the statistics of batch norm are measured after an epoch, at most.
const STATISTICS_WINDOWS: usize = 512;
/// Windows on which a validation loss is measured, at most.
const VALIDATION_WINDOWS: usize = 1024;
/// Share of all steps over which the learning rate rises, and steps at most.
const WARM_UP: (f64, usize) = (0.05, 100);
/// The learning rate at the end, as a share of its peak.
const FINAL_RATE: f64 = 0.01;

/// Streams of the candidate's seed.
const WEIGHT_STREAM: u64 = 0x7261_6901;
const SHUFFLE_STREAM: u64 = 0x7261_6902;
const DROPOUT_STREAM: u64 = 0x7261_6903;
const RECIPE_STREAM: u64 = 0x7261_6904;

/// Trains one candidate on standardised windows, on the calling thread alone.
///
/// The same graph, windows, options and seed give bit-identical weights, whatever else runs.
/// Batch norm's statistics for evaluation are measured after each epoch on a fixed subset of the
/// training windows, with that epoch's weights. Without validation windows the training loss decides.
pub fn train(
    graph: &Graph,
    task: Task,
    train: &Windows<'_>,
    validation: &Windows<'_>,
    options: &TrainOptions,
    seed: u64,
    stop: &AtomicBool,
) -> Result<Trained, TrainError> {
    check(graph, task, &[train, validation])?;
    let batch_size = options.batch_size.clamp(1, train.len());
    let steps_per_epoch = (options.windows_per_epoch.min(train.len()) / batch_size).max(1);
    let steps = steps_per_epoch * options.epochs;
    let mut shuffle = Rng::new(seed, SHUFFLE_STREAM);
    let mut order: Vec<u32> = (0..train.len() as u32).collect();
    let mut fit = Fit::new(graph, task, options, seed);
    // Judging an epoch shall not take longer than the epoch itself.
    let judged_at_most = VALIDATION_WINDOWS.min(steps_per_epoch * batch_size);
    let statistics = Batches::spread(train, STATISTICS_WINDOWS.min(judged_at_most), batch_size);
    let validation_batches = Batches::spread(validation, judged_at_most, 256);

    let mut history: Vec<[f32; 2]> = Vec::new();
    let mut best: Option<(usize, f32, Weights)> = None;
    for epoch in 0..options.epochs {
        shuffle.shuffle(&mut order);
        let mut total = 0.0;
        for (step, idxs) in order
            .chunks_exact(batch_size)
            .take(steps_per_epoch)
            .enumerate()
        {
            if stop.load(Ordering::Relaxed) {
                return Err(TrainError::Interrupted);
            }
            let rate = learning_rate(options.learning_rate, epoch * steps_per_epoch + step, steps);
            total += f64::from(fit.step(train, idxs, rate));
        }
        let training = (total / steps_per_epoch as f64) as f32;
        if !training.is_finite() {
            return Err(TrainError::Diverged {
                epoch,
                loss: training,
            });
        }
        let weights = fit.weights(train, &statistics);
        let judged = match validation.is_empty() {
            true => training,
            false => fit.evaluate(&weights, validation, &validation_batches),
        };
        if !judged.is_finite() {
            return Err(TrainError::Diverged {
                epoch,
                loss: judged,
            });
        }
        history.push([training, judged]);
        match &best {
            Some((_, loss, _)) if judged >= *loss => {}
            _ => best = Some((epoch, judged, weights)),
        }
        if best
            .as_ref()
            .is_some_and(|(at, ..)| epoch - at >= options.patience.max(1))
        {
            break;
        }
    }
    let weights = match best {
        Some((.., weights)) => weights,
        None => fit.weights(train, &statistics),
    };
    Ok(Trained { weights, history })
}

/// Samples per second of the training loop's inner step (gather, forward, backward, Adam) are measured with this.
pub struct Bench<'a> {
    fit: Fit,
    windows: &'a Windows<'a>,
    order: Vec<u32>,
    batch_size: usize,
}

impl<'a> Bench<'a> {
    pub fn new(
        graph: &Graph,
        task: Task,
        windows: &'a Windows<'a>,
        options: &TrainOptions,
        seed: u64,
    ) -> Bench<'a> {
        let order = (0..windows.len() as u32).collect();
        let fit = Fit::new(graph, task, options, seed);
        Bench {
            fit,
            windows,
            order,
            batch_size: options.batch_size,
        }
    }

    /// Trains for some steps; the last step's loss.
    pub fn steps(&mut self, count: usize) -> f32 {
        let mut loss = 0.0;
        for idxs in self.order.chunks_exact(self.batch_size).cycle().take(count) {
            loss = self.fit.step(self.windows, idxs, 1e-3);
        }
        loss
    }
}

/// A network in training.
struct Fit {
    graph: Graph,
    task: Task,
    network: Option<Network>,
    optimizer: ModuleOptimizer,
    dropout: Rng,
    recipe: Recipe,
    /// Draws what the recipe leaves to chance.
    draws: Rng,
    /// With automatic differentiation.
    device: Device,
    fused: bool,
}

impl Fit {
    fn new(graph: &Graph, task: Task, options: &TrainOptions, seed: u64) -> Fit {
        let device = options.backend.device().autodiff();
        let products = options.backend.products();
        let fused = products.is_some();
        let mut weights = Rng::new(seed, WEIGHT_STREAM);
        let network = Network::new(graph, products, &mut weights, &device);
        let optimizer = match fused {
            true => FusedAdam.into(),
            false => AdamConfig::new()
                .with_beta_1(adam::BETAS[0])
                .with_beta_2(adam::BETAS[1])
                .with_epsilon(adam::EPSILON)
                .init(),
        };
        Fit {
            graph: graph.clone(),
            task,
            network: Some(network),
            optimizer,
            dropout: Rng::new(seed, DROPOUT_STREAM),
            recipe: options.recipe,
            draws: Rng::new(seed, RECIPE_STREAM),
            device,
            fused,
        }
    }

    fn loss(&self) -> Loss {
        match self.task {
            Task::Reconstruct => Loss::SquaredError,
            Task::Classify { .. } => Loss::CrossEntropy,
        }
    }

    /// One step on some windows; the loss before it.
    fn step(&mut self, windows: &Windows<'_>, idxs: &[u32], rate: f64) -> f32 {
        let network = self.network.take().expect("a network is always put back");
        let mut batch = self.batch(windows, idxs);
        batch.disturb(&self.recipe, windows.frames, &mut self.draws);
        let [x, target] = batch.tensors(&self.device);
        let mut pass = Pass {
            dropout: Some(&mut self.dropout),
            record_moments: false,
        };
        let kind = match self.task {
            Task::Reconstruct => Loss::SquaredError,
            Task::Classify { .. } => Loss::CrossEntropy,
        };
        let loss = network.loss(x, target, kind, &mut pass);
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        self.network = Some(self.optimizer.step(rate, network, gradients));
        loss.into_scalar()
    }

    /// The present weights, with batch norm folded for its statistics over some windows.
    fn weights(&self, windows: &Windows<'_>, batches: &Batches) -> Weights {
        use burn::module::Module;
        let network = self
            .network
            .as_ref()
            .expect("a network is always put back")
            .valid();
        let mut pooled: Vec<[Vec<f64>; 2]> = Vec::new();
        for idxs in batches.iter() {
            let [x, _] = self
                .batch(windows, idxs)
                .tensors(&self.device.clone().inner());
            network.forward(
                x,
                &mut Pass {
                    dropout: None,
                    record_moments: true,
                },
            );
            let share = idxs.len() as f64 / batches.idxs.len() as f64;
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
        network.folded(&moments.collect::<Vec<_>>())
    }

    /// Mean loss of folded weights over some windows.
    fn evaluate(&self, weights: &Weights, windows: &Windows<'_>, batches: &Batches) -> f32 {
        let device = self.device.clone().inner();
        let network = Network::from_weights(&self.graph, weights, self.fused, &device);
        let mut total = 0.0;
        for idxs in batches.iter() {
            let [x, target] = self.batch(windows, idxs).tensors(&device);
            let mut pass = Pass {
                dropout: None,
                record_moments: false,
            };
            let loss: f32 = network
                .loss(x, target, self.loss(), &mut pass)
                .into_scalar();
            total += f64::from(loss) * idxs.len() as f64;
        }
        (total / batches.idxs.len() as f64) as f32
    }

    /// Windows and what they are to become.
    fn batch(&self, windows: &Windows<'_>, idxs: &[u32]) -> Batch {
        let mut inputs = Vec::with_capacity(idxs.len() * self.graph.input_shape().len());
        for idx in idxs {
            inputs.extend_from_slice(windows.window(*idx as usize));
        }
        let targets = match self.task {
            Task::Reconstruct => inputs.clone(),
            Task::Classify { classes } => {
                let mut targets = vec![0.0; idxs.len() * classes];
                for (idx, target) in idxs.iter().zip(targets.chunks_exact_mut(classes)) {
                    target[windows.class(*idx as usize) as usize] = 1.0;
                }
                targets
            }
        };
        Batch {
            size: idxs.len(),
            inputs,
            targets,
        }
    }
}

/// Fixed batches of windows.
struct Batches {
    idxs: Vec<u32>,
    size: usize,
}

impl Batches {
    /// At most `limit` windows, evenly spread over all.
    fn spread(windows: &Windows<'_>, limit: usize, size: usize) -> Batches {
        let count = windows.len().min(limit);
        let idxs = (0..count)
            .map(|n| (n * windows.len() / count) as u32)
            .collect();
        Batches { idxs, size }
    }

    fn iter(&self) -> impl Iterator<Item = &[u32]> {
        self.idxs.chunks(self.size)
    }
}

fn check(graph: &Graph, task: Task, sets: &[&Windows<'_>]) -> Result<(), TrainError> {
    let untrainable = |kind: &OpKind| match kind {
        OpKind::MaxPool2d(_)
        | OpKind::Mean
        | OpKind::Pad { .. }
        | OpKind::Lookup(_)
        | OpKind::Softmax => true,
        OpKind::Conv2d(_)
        | OpKind::DepthwiseConv2d(_)
        | OpKind::FullyConnected
        | OpKind::AveragePool2d(_)
        | OpKind::Add
        | OpKind::Upsample(_)
        | OpKind::Reshape => false,
    };
    if let Some(op) = graph.ops.iter().position(|op| untrainable(&op.kind)) {
        let kind = graph.ops[op].kind;
        return Err(TrainError::Operator { op, kind });
    }
    let input = graph.input_shape().len();
    if sets[0].is_empty() {
        return Err(TrainError::NoWindows {
            frames: sets[0].frames,
        });
    }
    for windows in sets.iter().filter(|windows| !windows.is_empty()) {
        let window = windows.window(0).len();
        if window != input {
            return Err(TrainError::InputShape { window, input });
        }
        if let Task::Classify { classes } = task {
            let wrong = windows
                .classes
                .iter()
                .find(|class| **class as usize >= classes);
            if let Some(&class) = wrong {
                return Err(TrainError::Class { class, classes });
            }
        }
    }
    Ok(())
}

/// Linear warm-up, then half a cosine.
fn learning_rate(peak: f32, step: usize, steps: usize) -> f64 {
    let (share, most) = WARM_UP;
    let warm_up = ((steps as f64 * share) as usize).min(most);
    let peak = f64::from(peak);
    if step < warm_up {
        return peak * (step + 1) as f64 / (warm_up + 1) as f64;
    }
    let progress = (step - warm_up) as f64 / (steps - warm_up).max(1) as f64;
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
    peak * (FINAL_RATE + (1.0 - FINAL_RATE) * cosine)
}
