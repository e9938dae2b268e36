//! Training: a graph becomes a module, is fitted, and comes back as folded weights. burn is used here and nowhere
//! else.
//!
//! This module may not know int8, targets or SQLite.

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
    features::{ReadError, Windows},
    graph::{Graph, OpKind, Weights},
    identity::{self, Canonical},
    space::{Recipe, Task},
    units::Rng,
};

/// Settings of one training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainOptions {
    /// Most passes over the training windows.
    pub epochs: usize,
    /// Windows per step.
    pub batch_size: usize,
    /// Peak learning rate of Adam.
    pub learning_rate: f32,
    /// Most windows per epoch; fewer where the data has fewer.
    pub windows_per_epoch: usize,
    /// Training stops after this many epochs without improvement on held-out clips. With 0 it runs to the end and
    /// keeps the last epoch's weights.
    pub patience: usize,
    /// Means against overfitting.
    pub recipe: Recipe,
    /// The device, and how it multiplies.
    pub backend: Backend,
}

/// The device that burn computes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// One thread of the processor, with the fused operators.
    Flex,
    /// Like `Flex`, but matrix products round their operands to bfloat16; only where [`Backend::has_bf16`].
    FlexBf16,
    /// The processor with burn's own operators: slow, the reference for the fused ones.
    FlexStock,
    /// A graphics card by WebGPU.
    #[cfg(feature = "wgpu")]
    Wgpu,
    /// The first graphics card by CUDA.
    #[cfg(feature = "cuda")]
    Cuda,
}

/// A device that this build or this machine cannot train on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownBackend {
    /// No device of this build has this name.
    #[error(
        "`{0}` is no device of this build; choose cpu or cpu-bf16, or build with `--features wgpu` or \
         `--features cuda` for that device"
    )]
    Name(String),
    /// The processor has no instructions for bfloat16.
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
    /// The default. Rounding the operands of products changes no score by more than another seed does
    /// (docs/training.md).
    pub fn usual() -> Backend {
        match Backend::has_bf16() {
            true => Backend::FlexBf16,
            false => Backend::Flex,
        }
    }

    /// The name that [`Backend::from_str`] reads; it does not read `cpu-stock`, which is for tests.
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

    /// Whether this processor can multiply bfloat16.
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

/// The windows that a network learns from.
#[derive(Debug, Clone, Copy)]
pub struct Lessons<'a> {
    /// Windows to fit; at least one.
    pub fit: &'a Windows<'a>,
    /// Windows that decide when training stops; where they are empty, the training loss decides.
    pub validation: &'a Windows<'a>,
    /// Windows that an autoencoder must not reconstruct; used where the recipe says so.
    pub outliers: Option<&'a Windows<'a>>,
}

impl<'a> Lessons<'a> {
    /// Lessons without outliers.
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
    /// Weights with batch norm folded: the best epoch's by validation loss, or the last epoch's.
    pub weights: Weights,
    /// Training and validation loss of each epoch.
    pub history: Vec<[f32; 2]>,
}

/// Why a training ended without weights.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The caller set `stop`.
    #[error("training was interrupted")]
    Interrupted,
    /// There is nothing to train on.
    #[error("there are no training windows: every clip is shorter than {frames} frames")]
    NoWindows {
        /// Frames of a window.
        frames: usize,
    },
    /// A window does not fit the network's input.
    #[error("a window has {window} values, but the network's input takes {input}")]
    InputShape {
        /// Number of values of a window.
        window: usize,
        /// Number of values of the network's input.
        input: usize,
    },
    /// A window has a class that the network does not have.
    #[error("a clip has class {class}, but the network tells {classes} classes apart")]
    Class {
        /// The class of the window, from 0.
        class: u32,
        /// Number of classes of the network.
        classes: usize,
    },
    /// The network has an operator without a gradient.
    #[error("operator {op} is a {kind:?}, which cannot be trained")]
    Operator {
        /// Index of the operator.
        op: usize,
        /// What the operator does.
        kind: OpKind,
    },
    /// A distance is fitted in closed form.
    #[error("a distance is fitted in closed form and not trained")]
    Distance,
    /// The features cannot be read any more.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The training or validation loss became infinite or NaN.
    #[error("the loss became {loss} in epoch {epoch}")]
    Diverged {
        /// The epoch, from 0.
        epoch: usize,
        /// The loss.
        loss: f32,
    },
}

/// Most windows for the statistics of batch norm after an epoch.
const STATISTICS_WINDOWS: usize = 512;
/// Most windows for a validation loss.
const VALIDATION_WINDOWS: usize = 1024;
/// One outlier is drawn for this many windows of a batch.
const OUTLIERS_PER_BATCH: usize = 4;
/// Share of all steps in which the learning rate rises, and the most steps of it.
const WARM_UP: (f64, usize) = (0.05, 100);
/// The learning rate at the end, as a share of its peak.
const FINAL_RATE: f64 = 0.01;

/// Random streams of the candidate's seed.
const WEIGHT_STREAM: u64 = 0x7261_6901;
const SHUFFLE_STREAM: u64 = 0x7261_6902;
const DROPOUT_STREAM: u64 = 0x7261_6903;
const RECIPE_STREAM: u64 = 0x7261_6904;
const OUTLIER_STREAM: u64 = 0x7261_6905;

/// Trains one candidate on standardised windows, on the calling thread.
///
/// The same graph, windows, options and seed give bit-identical weights, whatever else runs. After each epoch, the
/// statistics of batch norm are measured on a fixed subset of the training windows with that epoch's weights.
///
/// # Errors
/// [`TrainError`] where the windows do not fit the network, the loss diverges, or `stop` is set.
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
    // Evaluating an epoch must not take longer than the epoch itself.
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
            total += f64::from(fit.step(lessons, idxs, rate)?);
        }
        let training = (total / steps_per_epoch as f64) as f32;
        if !training.is_finite() {
            return Err(TrainError::Diverged {
                epoch,
                loss: training,
            });
        }
        let weights = fit.weights(&statistics)?;
        let judged = match validation.is_empty() {
            true => training,
            false => fit.evaluate(&weights, &validation_batches)?,
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
        None => fit.weights(&statistics)?,
    };
    Ok(Trained { weights, history })
}

/// Measures the speed of the training loop's inner step (gather, forward, backward, Adam).
pub struct Bench<'a> {
    fit: Fit,
    lessons: Lessons<'a>,
    order: Vec<u32>,
    batch_size: usize,
}

impl<'a> Bench<'a> {
    /// A network and windows to measure with; nothing is trained yet.
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

    /// Trains for `count` steps; returns the last step's loss.
    ///
    /// # Errors
    /// Where the windows lie in a file that cannot be read any more.
    pub fn steps(&mut self, count: usize) -> Result<f32, ReadError> {
        let mut loss = 0.0;
        for idxs in self.order.chunks_exact(self.batch_size).cycle().take(count) {
            loss = self.fit.step(&self.lessons, idxs, 1e-3)?;
        }
        Ok(loss)
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
        | OpKind::Softmax
        | OpKind::Multiply
        | OpKind::Foreign(_) => true,
        OpKind::Conv2d(window) | OpKind::DepthwiseConv2d(window) => window.is_dilated(),
        OpKind::FullyConnected
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
    if let Task::Distance(_) = task {
        return Err(TrainError::Distance);
    }
    for windows in sets
        .into_iter()
        .flatten()
        .filter(|windows| !windows.is_empty())
    {
        let window = windows.window(0)?.len();
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
