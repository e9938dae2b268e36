//! Features of a whole data set: extracted once per front end, in parallel, cached on disk by content.

mod cache;
mod stand_in;
mod store;

use crate::{audio::FeatureSpec, identity::Canonical};

pub use crate::audio::Matrix;
pub use store::{FeatureError, FeatureStore, Progress};

/// Who computes features: both from the same sound, a few millionths of a dB apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// [`crate::audio::Extractor`], in 64 bits: what networks are trained on.
    Exact,
    /// [`crate::audio::DeviceExtractor`], the code of the firmware: what int8 networks are scored on.
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
/// A clip that could not be read is an empty matrix and is named in `skipped`.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    pub spec: FeatureSpec,
    pub clips: Vec<Matrix>,
    /// Name and reason.
    pub skipped: Vec<(String, String)>,
}

/// Windows of consecutive frames out of many clips; a window is a contiguous slice of its clip.
#[derive(Debug, Clone)]
pub struct Windows<'a> {
    /// Standardised features, one matrix per clip.
    pub clips: Vec<&'a Matrix>,
    /// Frames in one window.
    pub frames: usize,
    /// `(clip, first frame)` of every window.
    pub index: Vec<(u32, u32)>,
    /// The class of every clip, for classifiers; empty otherwise.
    pub classes: Vec<u32>,
}

impl<'a> Windows<'a> {
    /// All windows of the clips, `stride` frames apart.
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

    pub fn len(&self) -> usize {
        self.index.len()
    }

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

/// Shifts and scales every band to mean 0 and standard deviation 1 over the clips it was fitted on.
#[derive(Debug, Clone, PartialEq)]
pub struct Standardiser {
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
}

impl Standardiser {
    /// In dB. A band that varies less is constant but for rounding; dividing by less would blow that up.
    pub const LEAST_STD: f64 = 0.1;

    /// Statistics per band over all frames of the clips, which have equally many bands.
    pub fn fit(clips: &[&Matrix]) -> Standardiser {
        let mean = mean_per_band(clips, |_, value| value);
        let variance = mean_per_band(clips, |band, value| (value - mean[band]).powi(2));
        Standardiser {
            mean: mean.iter().map(|mean| *mean as f32).collect(),
            std: variance
                .iter()
                .map(|variance| variance.sqrt().max(Self::LEAST_STD) as f32)
                .collect(),
        }
    }

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
