//! Features of a whole data set: extracted once per front end, in parallel, and cached on disk by content.
//!
//! This module knows no networks, training or scores.

mod cache;
mod disturbed;
mod heard;
mod lru;
mod packed;
mod rows;
mod store;

use std::borrow::Cow;

use crate::audio::FeatureSpec;

pub use crate::audio::Matrix;
pub use rows::{Prepared, ReadError, Rows, Windows};
pub use store::{FeatureError, FeatureStore, Limits, Progress, cached_bytes, clear_cache};

/// Which code computed features. Both use the same sound, and differ by a few millionths of a dB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// [`crate::audio::Extractor`], in 64 bits: networks are trained on these.
    Exact,
    /// [`crate::audio::DeviceExtractor`], the firmware's code: int8 networks are scored on these.
    Device,
}

/// Features of every clip of a data set for one [`FeatureSpec`], in the order of its clips.
///
/// A clip that could not be read has an empty matrix, and `skipped` names it. Of others, the longest part that no digital
/// silence touches is here: zeros are no sound, and would spoil mean, deviation and int8 ranges of all.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// The front end that made them.
    pub spec: FeatureSpec,
    /// One matrix per clip.
    pub clips: Vec<Matrix>,
    /// Name and reason for each clip that could not be read, or holds nothing but digital silence.
    pub skipped: Vec<(String, String)>,
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
        let clip = |idx: usize| Ok::<_, std::convert::Infallible>(Cow::Borrowed(clips[idx]));
        let Ok(standardiser) = Standardiser::fit_each(clips.len(), Self::LEAST_STD, clip);
        standardiser
    }

    /// The same of clips that are fetched one by one, twice each.
    pub(crate) fn fit_each<'a, E>(
        clips: usize,
        least_std: f64,
        clip: impl Fn(usize) -> Result<Cow<'a, Matrix>, E>,
    ) -> Result<Standardiser, E> {
        let mean = mean_per_band(clips, &clip, |_, value| value)?;
        let variance = mean_per_band(clips, &clip, |band, value| (value - mean[band]).powi(2))?;
        Ok(Standardiser {
            mean: mean.iter().map(|mean| *mean as f32).collect(),
            std: variance
                .iter()
                .map(|variance| variance.sqrt().max(least_std) as f32)
                .collect(),
        })
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
        self.apply_to(&mut values);
        Matrix {
            bands: clip.bands,
            values,
        }
    }

    /// Standardises frames in their place.
    pub fn apply_to(&self, frames: &mut [f32]) {
        for frame in frames.chunks_exact_mut(self.mean.len().max(1)) {
            for ((value, mean), std) in frame.iter_mut().zip(&self.mean).zip(&self.std) {
                *value = (*value - mean) / std;
            }
        }
    }
}

fn mean_per_band<'a, E>(
    clips: usize,
    clip: &impl Fn(usize) -> Result<Cow<'a, Matrix>, E>,
    term: impl Fn(usize, f64) -> f64,
) -> Result<Vec<f64>, E> {
    let (mut sums, mut frames) = (Vec::new(), 0);
    for idx in 0..clips {
        let clip = clip(idx)?;
        sums.resize(clip.bands, 0.0);
        frames += clip.frames();
        for frame in clip.values.chunks_exact(clip.bands) {
            for (band, (sum, value)) in sums.iter_mut().zip(frame).enumerate() {
                *sum += term(band, f64::from(*value));
            }
        }
    }
    Ok(sums.iter().map(|sum| sum / frames.max(1) as f64).collect())
}

#[cfg(test)]
mod tests;
