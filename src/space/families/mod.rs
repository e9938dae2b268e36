//! The families of networks: which axes each has, and how their values become a graph. One file each.

mod conv_autoencoder;
mod dense_autoencoder;
mod ds_cnn;
mod keras_mobilenet_v2;
mod mfcc_mlp;
mod mobilenet_v2;

use super::{MEMBERS, Values};
use crate::graph::{Graph, Shape};

/// A family of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    DenseAutoencoder,
    ConvAutoencoder,
    MobilenetV2,
    DsCnn,
    MfccMlp,
    KerasMobilenetV2,
}

/// What values an axis may have.
#[derive(Debug, Clone, Copy)]
pub struct AxisRule {
    pub name: &'static str,
    min: f64,
    max: f64,
    kind: Kind,
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
    }
}

const fn real(name: &'static str, min: f64, max: f64) -> AxisRule {
    AxisRule {
        name,
        min,
        max,
        kind: Kind::Real,
    }
}

const N_MELS: AxisRule = whole("n_mels", 4, 256);
const N_FFT: AxisRule = AxisRule {
    name: "n_fft",
    min: 64.0,
    max: 8192.0,
    kind: Kind::PowerOfTwo,
};
const HOP_LENGTH: AxisRule = whole("hop_length", 16, 8192);
const N_MFCC: AxisRule = whole("n_mfcc", 1, 128);
const FRAMES: AxisRule = whole("frames", 1, 512);
const FRAME_STRIDE: AxisRule = whole("frame_stride", 1, 512);
const KERNEL: AxisRule = whole("kernel", 1, 9);
const DROPOUT: AxisRule = real("dropout", 0.0, 0.9);
const MEMBERS_RULE: AxisRule = whole(MEMBERS, 1, 9);

impl AxisRule {
    /// What is wrong with these values; `None` where nothing is.
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
            "{odd} is out of place; {what} between {} and {} can stand here",
            self.min, self.max
        ))
    }
}

impl Family {
    pub const ALL: [Family; 6] = [
        Family::DenseAutoencoder,
        Family::ConvAutoencoder,
        Family::MobilenetV2,
        Family::DsCnn,
        Family::MfccMlp,
        Family::KerasMobilenetV2,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Family::DenseAutoencoder => "dense-autoencoder",
            Family::ConvAutoencoder => "conv-autoencoder",
            Family::MobilenetV2 => "mobilenet-v2",
            Family::DsCnn => "ds-cnn",
            Family::MfccMlp => "mfcc-mlp",
            Family::KerasMobilenetV2 => "keras-mobilenet-v2",
        }
    }

    pub fn from_name(name: &str) -> Option<Family> {
        Family::ALL.into_iter().find(|family| family.name() == name)
    }

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
        }
    }

    /// The axis of ensembles, which a space of classifiers may give.
    pub fn members(self) -> Option<AxisRule> {
        (!self.is_autoencoder()).then_some(MEMBERS_RULE)
    }

    /// The network for an input window of `frames x bands x 1`.
    pub fn build(self, values: &Values<'_>, input: Shape, classes: usize) -> Graph {
        match self {
            Family::DenseAutoencoder => dense_autoencoder::build(values, input),
            Family::ConvAutoencoder => conv_autoencoder::build(values, input),
            Family::MobilenetV2 => mobilenet_v2::build(values, input, classes),
            Family::DsCnn => ds_cnn::build(values, input, classes),
            Family::MfccMlp => mfcc_mlp::build(values, input, classes),
            Family::KerasMobilenetV2 => keras_mobilenet_v2::build(values, input, classes),
        }
    }
}

/// The nearest multiple of 8, at least 8: what NPU lanes and SIMD registers hold without waste.
fn multiple_of_8(channels: f64) -> usize {
    ((channels / 8.0).round() as usize).max(1) * 8
}
