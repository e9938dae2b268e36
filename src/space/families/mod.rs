//! The families of networks: the axes of each, and how their values become a graph. One file each.

mod conv_autoencoder;
mod dense_autoencoder;
mod ds_cnn;
mod keras_mobilenet_v2;
mod mfcc_mlp;
mod mobilenet_v2;
mod pooled_gaussian;
mod pooled_mlp;

use super::{COMPANDING, GROUPS, HEAD, MEMBERS, RANKING, STATISTICS, Task, Values};
use crate::{
    audio::{MAX_POOLED_FRAMES, StatisticKind},
    graph::{Graph, Shape},
};

/// A family of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// Dense autoencoder with mirrored sides, after the DCASE Task 2 baseline.
    DenseAutoencoder,
    /// Convolutional autoencoder: strided depthwise-separable encoder, upsampling decoder.
    ConvAutoencoder,
    /// Classifier of inverted residuals, after MobileNetV2 (Sandler et al., 2018).
    MobilenetV2,
    /// DS-CNN classifier: one convolution, then depthwise-separable blocks (Zhang et al., 2017).
    DsCnn,
    /// Dense classifier over MFCC frames.
    MfccMlp,
    /// MobileNetV2 as Keras builds it (Sandler et al., 2018, table 2).
    KerasMobilenetV2,
    /// Detectors that are fitted to pooled statistics in closed form: Gaussians and memory banks.
    PooledGaussian,
    /// Dense classifier over pooled statistics.
    PooledMlp,
}

/// The values that an axis may have.
#[derive(Debug, Clone, Copy)]
pub struct AxisRule {
    /// Name of the axis.
    pub name: &'static str,
    min: f64,
    max: f64,
    kind: Kind,
    /// Whether values are names, whatever the space's file says.
    is_category: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Whole,
    PowerOfTwo,
    Real,
}

const fn whole(name: &'static str, min: u32, max: u32) -> AxisRule {
    AxisRule {
        name,
        min: min as f64,
        max: max as f64,
        kind: Kind::Whole,
        is_category: false,
    }
}

const fn category(name: &'static str, min: u32, max: u32) -> AxisRule {
    AxisRule {
        is_category: true,
        ..whole(name, min, max)
    }
}

const fn real(name: &'static str, min: f64, max: f64) -> AxisRule {
    AxisRule {
        name,
        min,
        max,
        kind: Kind::Real,
        is_category: false,
    }
}

const N_MELS: AxisRule = whole("n_mels", 4, 256);
const N_FFT: AxisRule = AxisRule {
    name: "n_fft",
    min: 64.0,
    max: 8192.0,
    kind: Kind::PowerOfTwo,
    is_category: false,
};
const HOP_LENGTH: AxisRule = whole("hop_length", 16, 8192);
const N_MFCC: AxisRule = whole("n_mfcc", 1, 128);
const FRAMES: AxisRule = whole("frames", 1, 512);
const FRAME_STRIDE: AxisRule = whole("frame_stride", 1, 512);
const KERNEL: AxisRule = whole("kernel", 1, 9);
const DROPOUT: AxisRule = real("dropout", 0.0, 0.9);
const MEMBERS_RULE: AxisRule = whole(MEMBERS, 1, 9);
/// Frames that statistics are over; 0 is as many as clips have.
const HORIZON: AxisRule = whole("frames", 0, MAX_POOLED_FRAMES as u32);
const HORIZON_STRIDE: AxisRule = whole("frame_stride", 1, MAX_POOLED_FRAMES as u32);
const GROUPS_RULE: AxisRule = whole(GROUPS, 1, 256);
/// The sum of what is computed: 1 mean, 2 deviation, 4 maximum, 8 ranking-weighted mean, 16 mean difference.
const STATISTICS_RULE: AxisRule = category(STATISTICS, 1, 31);
const RANKING_RULE: AxisRule = real(RANKING, 0.0, 1.0);
const HEAD_RULE: AxisRule = whole(HEAD, 0, 1);
/// Deviations beyond which a feature counts less; 0 for none.
const COMPANDING_RULE: AxisRule = whole(COMPANDING, 0, 15);
/// The stage between frames and a network of vectors.
const STAGE: [AxisRule; 3] = [GROUPS_RULE, STATISTICS_RULE, RANKING_RULE];

impl AxisRule {
    /// Whether values are names that happen to be numbers.
    pub fn is_category(&self) -> bool {
        self.is_category
    }

    /// What is wrong with these values; `None` where they are allowed.
    pub fn fault(&self, values: &[f64]) -> Option<String> {
        if values.is_empty() || values.len() > 255 {
            return Some("needs between 1 and 255 values".to_string());
        }
        let range = self.min..=self.max;
        let odd = values.iter().find(|value| {
            !range.contains(value)
                || (self.kind != Kind::Real && value.fract() != 0.0)
                || (self.kind == Kind::PowerOfTwo && !(**value as u64).is_power_of_two())
        })?;
        let what = match self.kind {
            Kind::Whole => "whole numbers",
            Kind::PowerOfTwo => "powers of two",
            Kind::Real => "numbers",
        };
        Some(format!(
            "{odd} is not allowed; use {what} between {} and {}",
            self.min, self.max
        ))
    }
}

impl Family {
    /// All families.
    pub const ALL: [Family; 8] = [
        Family::DenseAutoencoder,
        Family::ConvAutoencoder,
        Family::MobilenetV2,
        Family::DsCnn,
        Family::MfccMlp,
        Family::KerasMobilenetV2,
        Family::PooledGaussian,
        Family::PooledMlp,
    ];

    /// The name in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Family::DenseAutoencoder => "dense-autoencoder",
            Family::ConvAutoencoder => "conv-autoencoder",
            Family::MobilenetV2 => "mobilenet-v2",
            Family::DsCnn => "ds-cnn",
            Family::MfccMlp => "mfcc-mlp",
            Family::KerasMobilenetV2 => "keras-mobilenet-v2",
            Family::PooledGaussian => "pooled-gaussian",
            Family::PooledMlp => "pooled-mlp",
        }
    }

    /// The family with this name; `None` where there is none.
    pub fn from_name(name: &str) -> Option<Family> {
        Family::ALL.into_iter().find(|family| family.name() == name)
    }

    /// Whether its networks reconstruct their input; the others classify.
    pub fn is_autoencoder(self) -> bool {
        matches!(self, Family::DenseAutoencoder | Family::ConvAutoencoder)
    }

    /// The axes that a space of this family must give, in the order of its genes.
    pub fn axes(self) -> &'static [AxisRule] {
        match self {
            Family::DenseAutoencoder => dense_autoencoder::AXES,
            Family::ConvAutoencoder => conv_autoencoder::AXES,
            Family::MobilenetV2 => mobilenet_v2::AXES,
            Family::DsCnn => ds_cnn::AXES,
            Family::MfccMlp => mfcc_mlp::AXES,
            Family::KerasMobilenetV2 => keras_mobilenet_v2::AXES,
            Family::PooledGaussian => pooled_gaussian::AXES,
            Family::PooledMlp => pooled_mlp::AXES,
        }
    }

    /// Whether it tells classes apart, and so needs two of them.
    pub fn needs_classes(self) -> bool {
        !self.is_autoencoder() && !self.is_fitted()
    }

    /// Whether candidates are fitted in closed form, in milliseconds and without epochs, and not trained.
    pub fn is_fitted(self) -> bool {
        self == Family::PooledGaussian
    }

    /// Axes that a space may leave out: ensembles of classifiers, statistics before a network of vectors, heads, companding. Those
    /// of one list come together.
    pub fn optional(self) -> &'static [&'static [AxisRule]] {
        match self {
            Family::DenseAutoencoder => &[&STAGE, &[HEAD_RULE], &[COMPANDING_RULE]],
            Family::ConvAutoencoder => &[&[HEAD_RULE], &[COMPANDING_RULE]],
            Family::PooledGaussian => &[],
            Family::PooledMlp => &[&[MEMBERS_RULE], &[HEAD_RULE]],
            _ => &[&[MEMBERS_RULE], &[HEAD_RULE], &[COMPANDING_RULE]],
        }
    }

    /// Axes that change nothing where the others have these values.
    pub fn idle(self, values: &Values<'_>) -> Vec<&'static str> {
        let mut idle = Vec::new();
        // Spaces of tests have axes of no meaning.
        if !self.axes().iter().all(|rule| values.has(rule.name)) {
            return idle;
        }
        if values.has(STATISTICS)
            && values.count(STATISTICS) as u32 & StatisticKind::Ranked.bit() == 0
        {
            idle.push(RANKING);
        }
        match self {
            Family::DenseAutoencoder => idle.extend(dense_autoencoder::idle(values)),
            Family::PooledGaussian => idle.extend(pooled_gaussian::idle(values)),
            _ => (),
        }
        idle
    }

    /// What candidates are made to do.
    pub fn task(self, values: &Values<'_>, classes: usize) -> Task {
        match self {
            Family::DenseAutoencoder | Family::ConvAutoencoder => Task::Reconstruct,
            Family::PooledGaussian => Task::Distance(pooled_gaussian::fit(values, classes)),
            _ => Task::Classify { classes },
        }
    }

    /// The network for an input window of `frames x bands x 1`, or of `kinds x groups x 1` statistics.
    pub fn build(self, values: &Values<'_>, input: Shape, classes: usize) -> Graph {
        match self {
            Family::PooledGaussian => pooled_gaussian::build(values, input, classes),
            Family::PooledMlp => pooled_mlp::build(values, input, classes),
            Family::DenseAutoencoder => dense_autoencoder::build(values, input),
            Family::ConvAutoencoder => conv_autoencoder::build(values, input),
            Family::MobilenetV2 => mobilenet_v2::build(values, input, classes),
            Family::DsCnn => ds_cnn::build(values, input, classes),
            Family::MfccMlp => mfcc_mlp::build(values, input, classes),
            Family::KerasMobilenetV2 => keras_mobilenet_v2::build(values, input, classes),
        }
    }
}

/// The nearest multiple of 8, at least 8; it fills NPU lanes and SIMD registers.
fn multiple_of_8(channels: f64) -> usize {
    ((channels / 8.0).round() as usize).max(1) * 8
}
