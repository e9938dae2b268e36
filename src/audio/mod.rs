//! Sound to features: reading, resampling, log-mel and MFCC exactly as librosa computes them.

mod extract;
mod mel;

pub use extract::{Decibels, Extractor, Padding};

/// Mono samples in `[-1, 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Audio {
    pub samples: Vec<f32>,
    pub sample_rate_hz: u32,
}

/// What one frame of features holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feature {
    /// Log-mel power in dB: `10 log10(max(mel, 2.2e-16))`.
    LogMel,
    /// The first coefficients of the orthonormal DCT-II of the log-mel spectrum.
    Mfcc { coefficients: usize },
}

/// How a clip becomes a matrix of features: one row per frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeatureSpec {
    pub sample_rate_hz: u32,
    pub n_fft: usize,
    pub hop_length: usize,
    pub n_mels: usize,
    pub feature: Feature,
}

/// The audio front end of a candidate: features, and the windows of frames that the network sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrontEnd {
    pub spec: FeatureSpec,
    /// Frames in one window.
    pub frames: usize,
    /// Frames from one window to the next, when scoring.
    pub frame_stride: usize,
}

/// The features of one clip: `frames` rows of `bands` values, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    pub bands: usize,
    pub values: Vec<f32>,
}

/// Sound that could not be read, or not be turned into features.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AudioError {
    #[error("{field} is {value}, must be {allowed}")]
    Spec {
        field: &'static str,
        value: u64,
        allowed: &'static str,
    },
    #[error("the clip holds {samples} samples, but needs at least {needed}")]
    TooShort { samples: usize, needed: usize },
    #[error("sample {position} is not a finite number")]
    NotFinite { position: usize },
}

impl Matrix {
    pub fn frames(&self) -> usize {
        self.values.len() / self.bands
    }
}

impl FeatureSpec {
    /// Features per frame.
    pub fn bands(&self) -> usize {
        match self.feature {
            Feature::LogMel => self.n_mels,
            Feature::Mfcc { coefficients } => coefficients,
        }
    }

    /// Microseconds from one frame to the next.
    pub fn hop_us(&self) -> f64 {
        self.hop_length as f64 * 1e6 / f64::from(self.sample_rate_hz)
    }

    /// Features of one clip; [`Extractor`] does the same for many clips with one preparation.
    pub fn extract(&self, audio: &Audio) -> Result<Matrix, AudioError> {
        Extractor::new(self)?.extract(audio)
    }
}
