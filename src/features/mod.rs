//! Features of a whole data set: extracted once per front end, in parallel, and cached on disk by content.
//!
//! This module knows no networks, training or scores.

mod cache;
mod lru;
mod stand_in;
mod store;

use crate::{audio::FeatureSpec, identity::Canonical};

pub use crate::audio::Matrix;
pub use store::{FeatureError, FeatureStore, Prepared, Progress};

/// Which code computes features. Both use the same sound, and differ by a few millionths of a dB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// [`crate::audio::Extractor`], in 64 bits: networks are trained on these.
    Exact,
    /// [`crate::audio::DeviceExtractor`], the firmware's code: int8 networks are scored on these.
    Device,
}

impl Canonical for Arithmetic {
    fn write_canonical(&self, text: &mut String) {
        text.push_str(match self {
            Arithmetic::Exact => "Exact",
            Arithmetic::Device => "Device",
        });
    }
}

/// Features of every clip of a data set for one [`FeatureSpec`], in the order of its clips.
///
/// A clip that could not be read has an empty matrix, and `skipped` names it.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// The front end that made them.
    pub spec: FeatureSpec,
    /// One matrix per clip.
    pub clips: Vec<Matrix>,
    /// Name and reason for each clip that could not be read.
    pub skipped: Vec<(String, String)>,
}

/// Windows of consecutive frames from many clips. A window is a contiguous slice of its clip.
#[derive(Debug, Clone)]
pub struct Windows<'a> {
    /// Standardised features, one matrix per clip.
    pub clips: Vec<&'a Matrix>,
    /// Frames in one window.
    pub frames: usize,
    /// `(clip, first frame)` of every window.
    pub index: Vec<(u32, u32)>,
    /// The class of every clip, for classifiers; empty for other networks.
    pub classes: Vec<u32>,
}

impl<'a> Windows<'a> {
    /// All windows of the clips. They start `stride` frames apart; 0 counts as 1.
    pub fn new(
        clips: Vec<&'a Matrix>,
        classes: Vec<u32>,
        frames: usize,
        stride: usize,
    ) -> Windows<'a> {
        let mut index = Vec::new();
        for (clip_idx, clip) in clips.iter().enumerate() {
            let last = clip.frames().checked_sub(frames);
            for first in last
                .into_iter()
                .flat_map(|last| (0..=last).step_by(stride.max(1)))
            {
                index.push((clip_idx as u32, first as u32));
            }
        }
        Windows {
            clips,
            frames,
            index,
            classes,
        }
    }

    /// Number of windows.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no window.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The values of window `idx`: `frames * bands`, frame-major.
    pub fn window(&self, idx: usize) -> &'a [f32] {
        let (clip, first) = self.index[idx];
        let clip = self.clips[clip as usize];
        &clip.values[first as usize * clip.bands..][..self.frames * clip.bands]
    }

    /// The class of window `idx`.
    pub fn class(&self, idx: usize) -> u32 {
        self.classes[self.index[idx].0 as usize]
    }
}

/// Shifts and scales every band to mean 0 and standard deviation 1 over the clips that it was fitted to.
#[derive(Debug, Clone, PartialEq)]
pub struct Standardiser {
    /// Mean of each band, in the features' unit.
    pub mean: Vec<f32>,
    /// Standard deviation of each band, at least [`Standardiser::LEAST_STD`].
    pub std: Vec<f32>,
}

impl Standardiser {
    /// The smallest standard deviation, in dB. A band that varies less is constant except for rounding, which a smaller
    /// divisor would amplify.
    pub const LEAST_STD: f64 = 0.1;
    /// The same for pooled statistics, which vary less from window to window: two of their steps, in dB.
    pub const LEAST_STD_OF_STATISTICS: f64 = 0.016;

    /// Computes the statistics of each band over all frames. All clips must have equally many bands.
    pub fn fit(clips: &[&Matrix]) -> Standardiser {
        Standardiser::fit_above(clips, Self::LEAST_STD)
    }

    /// The same of rows of pooled statistics.
    pub fn fit_statistics(rows: &[&Matrix]) -> Standardiser {
        Standardiser::fit_above(rows, Self::LEAST_STD_OF_STATISTICS)
    }

    fn fit_above(clips: &[&Matrix], least_std: f64) -> Standardiser {
        let mean = mean_per_band(clips, |_, value| value);
        let variance = mean_per_band(clips, |band, value| (value - mean[band]).powi(2));
        Standardiser {
            mean: mean.iter().map(|mean| *mean as f32).collect(),
            std: variance
                .iter()
                .map(|variance| variance.sqrt().max(least_std) as f32)
                .collect(),
        }
    }

    /// Changes nothing: mean 0 and deviation 1.
    pub fn none(bands: usize) -> Standardiser {
        Standardiser {
            mean: vec![0.0; bands],
            std: vec![1.0; bands],
        }
    }

    /// The standardised features of a clip: `(value - mean) / std`.
    pub fn apply(&self, clip: &Matrix) -> Matrix {
        let mut values = clip.values.clone();
        for frame in values.chunks_exact_mut(clip.bands) {
            for ((value, mean), std) in frame.iter_mut().zip(&self.mean).zip(&self.std) {
                *value = (*value - mean) / std;
            }
        }
        Matrix {
            bands: clip.bands,
            values,
        }
    }
}

fn mean_per_band(clips: &[&Matrix], term: impl Fn(usize, f64) -> f64) -> Vec<f64> {
    let bands = clips.first().map_or(0, |clip| clip.bands);
    let frames: usize = clips.iter().map(|clip| clip.frames()).sum();
    let mut sums = vec![0.0; bands];
    for frame in clips
        .iter()
        .flat_map(|clip| clip.values.chunks_exact(bands))
    {
        for (band, (sum, value)) in sums.iter_mut().zip(frame).enumerate() {
            *sum += term(band, f64::from(*value));
        }
    }
    sums.iter().map(|sum| sum / frames.max(1) as f64).collect()
}

#[cfg(test)]
mod tests;
