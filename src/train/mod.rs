//! Training. burn lives here and nowhere else: a graph becomes a module, is fitted, and comes back as folded weights.

mod adam;
#[cfg(target_arch = "x86_64")]
mod bf16;
mod disturb;
mod fit;
mod fold;
mod fused;
mod kernels;
mod network;
mod stock;
#[cfg(test)]
mod tests;

use std::{
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
};

use burn::tensor::Device;

use self::{
    fit::{Batches, Fit},
    fused::Products,
};
use crate::{
    features::Windows,
    graph::{Graph, OpKind, Weights},
    identity::{self, Canonical},
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
    /// Epochs without improvement on held-out clips before training stops; with 0 it goes on, and the last epoch's
    /// weights are kept.
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
    /// What trains unless the user says otherwise: rounding the operands of products changes no score by more than
    /// another seed does (docs/training.md).
    pub fn usual() -> Backend {
        match Backend::has_bf16() {
            true => Backend::FlexBf16,
            false => Backend::Flex,
        }
    }

    /// The name by which [`Backend::from_str`] knows it; `cpu-stock` has no such name, being for tests.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Flex => "cpu",
            Backend::FlexBf16 => "cpu-bf16",
            Backend::FlexStock => "cpu-stock",
            #[cfg(feature = "wgpu")]
            Backend::Wgpu => "wgpu",
            #[cfg(feature = "cuda")]
            Backend::Cuda => "cuda",
        }
    }

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

impl Canonical for Backend {
    fn write_canonical(&self, text: &mut String) {
        text.push_str(match self {
            Backend::Flex => "Flex",
            Backend::FlexBf16 => "FlexBf16",
            Backend::FlexStock => "FlexStock",
            #[cfg(feature = "wgpu")]
            Backend::Wgpu => "Wgpu",
            #[cfg(feature = "cuda")]
            Backend::Cuda => "Cuda",
        });
    }
}

impl Canonical for TrainOptions {
    fn write_canonical(&self, text: &mut String) {
        let TrainOptions {
            epochs,
            batch_size,
            learning_rate,
            windows_per_epoch,
            patience,
            recipe,
            backend,
        } = self;
        let fields: [(&str, &dyn Canonical); 7] = [
            ("epochs", epochs),
            ("batch_size", batch_size),
            ("learning_rate", learning_rate),
            ("windows_per_epoch", windows_per_epoch),
            ("patience", patience),
            ("recipe", recipe),
            ("backend", backend),
        ];
        identity::record(text, "TrainOptions", &fields);
    }
}

/// What a network learns from.
#[derive(Debug, Clone, Copy)]
pub struct Lessons<'a> {
    pub fit: &'a Windows<'a>,
    /// Decide when training stops; without them the training loss does.
    pub validation: &'a Windows<'a>,
    /// What an autoencoder shall not reconstruct, where the recipe says so.
    pub outliers: Option<&'a Windows<'a>>,
}

impl<'a> Lessons<'a> {
    pub fn new(fit: &'a Windows<'a>, validation: &'a Windows<'a>) -> Lessons<'a> {
        Lessons {
            fit,
            validation,
            outliers: None,
        }
    }
}

/// A trained network.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// Batch norm folded; the best epoch's weights by validation loss, or the last one's.
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
/// An outlier is drawn for so many windows of a batch.
const OUTLIERS_PER_BATCH: usize = 4;
/// Share of all steps over which the learning rate rises, and steps at most.
const WARM_UP: (f64, usize) = (0.05, 100);
/// The learning rate at the end, as a share of its peak.
const FINAL_RATE: f64 = 0.01;

/// Streams of the candidate's seed.
const WEIGHT_STREAM: u64 = 0x7261_6901;
const SHUFFLE_STREAM: u64 = 0x7261_6902;
const DROPOUT_STREAM: u64 = 0x7261_6903;
const RECIPE_STREAM: u64 = 0x7261_6904;
const OUTLIER_STREAM: u64 = 0x7261_6905;

/// Trains one candidate on standardised windows, on the calling thread alone.
///
/// The same graph, windows, options and seed give bit-identical weights, whatever else runs.
/// Batch norm's statistics for evaluation are measured after each epoch on a fixed subset of the
/// training windows, with that epoch's weights.
pub fn train(
    graph: &Graph,
    task: Task,
    lessons: &Lessons<'_>,
    options: &TrainOptions,
    seed: u64,
    stop: &AtomicBool,
) -> Result<Trained, TrainError> {
    check(graph, task, lessons)?;
    let mut fit = Fit::new(graph, task, options, seed);
    let Lessons {
        fit: train,
        validation,
        ..
    } = *lessons;
    let batch_size = options.batch_size.clamp(1, train.len());
    let steps_per_epoch = (options.windows_per_epoch.min(train.len()) / batch_size).max(1);
    let steps = steps_per_epoch * options.epochs;
    let mut shuffle = Rng::new(seed, SHUFFLE_STREAM);
    let mut order: Vec<u32> = (0..train.len() as u32).collect();
    // Judging an epoch shall not take longer than the epoch itself.
    let judged_at_most = VALIDATION_WINDOWS.min(steps_per_epoch * batch_size);
    let validation_batches = Batches::spread(validation, judged_at_most, 256);
    let count = STATISTICS_WINDOWS.min(judged_at_most);
    let mut statistics = vec![Batches::spread(train, count, batch_size)];
    if let Some(outliers) = fit.outliers(lessons) {
        let count = count / OUTLIERS_PER_BATCH;
        statistics.push(Batches::spread(outliers, count, batch_size));
    }

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
            total += f64::from(fit.step(lessons, idxs, rate));
        }
        let training = (total / steps_per_epoch as f64) as f32;
        if !training.is_finite() {
            return Err(TrainError::Diverged {
                epoch,
                loss: training,
            });
        }
        let weights = fit.weights(&statistics);
        let judged = match validation.is_empty() {
            true => training,
            false => fit.evaluate(&weights, &validation_batches),
        };
        if !judged.is_finite() {
            return Err(TrainError::Diverged {
                epoch,
                loss: judged,
            });
        }
        history.push([training, judged]);
        let stops_early = options.patience > 0;
        match &best {
            Some((_, loss, _)) if stops_early && judged >= *loss => {}
            _ => best = Some((epoch, judged, weights)),
        }
        if stops_early
            && best
                .as_ref()
                .is_some_and(|(at, ..)| epoch - at >= options.patience)
        {
            break;
        }
    }
    let weights = match best {
        Some((.., weights)) => weights,
        None => fit.weights(&statistics),
    };
    Ok(Trained { weights, history })
}

/// Samples per second of the training loop's inner step (gather, forward, backward, Adam) are measured with this.
pub struct Bench<'a> {
    fit: Fit,
    lessons: Lessons<'a>,
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
        let lessons = Lessons::new(windows, windows);
        let fit = Fit::new(graph, task, options, seed);
        Bench {
            fit,
            lessons,
            order,
            batch_size: options.batch_size,
        }
    }

    /// Trains for some steps; the last step's loss.
    pub fn steps(&mut self, count: usize) -> f32 {
        let mut loss = 0.0;
        for idxs in self.order.chunks_exact(self.batch_size).cycle().take(count) {
            loss = self.fit.step(&self.lessons, idxs, 1e-3);
        }
        loss
    }
}

fn check(graph: &Graph, task: Task, lessons: &Lessons<'_>) -> Result<(), TrainError> {
    let sets = [
        Some(lessons.fit),
        Some(lessons.validation),
        lessons.outliers,
    ];
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
    if lessons.fit.is_empty() {
        return Err(TrainError::NoWindows {
            frames: lessons.fit.frames,
        });
    }
    for windows in sets
        .into_iter()
        .flatten()
        .filter(|windows| !windows.is_empty())
    {
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
