//! Sound to features: reading, resampling, log-mel and MFCC, exactly as librosa computes them or as a device does.

mod channel;
mod device;
mod extract;
mod flac;
mod mel;
mod read;
mod resample;
mod wav;

use std::{borrow::Cow, fmt, path::PathBuf};

use crate::identity::{self, Canonical};

pub use channel::Channel;
pub use device::{DeviceExtractor, DeviceTables};
pub use extract::{Decibels, Extractor, Padding};
pub use read::{decode, read, read_log_mel};

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
    #[error("{}: {error}", path.display())]
    File {
        path: PathBuf,
        error: Box<AudioError>,
    },
    #[error("{0}")]
    Io(String),
    #[error("neither WAV nor FLAC: starts with neither `RIFF....WAVE` nor `fLaC`")]
    UnknownFormat,
    #[error("{what} is {value}, must be {allowed}")]
    OutOfRange {
        what: &'static str,
        value: u64,
        allowed: &'static str,
    },
    #[error(
        "WAV encoding {tag:#06x} of {bits} bits cannot be read; PCM of 8, 16, 24 or 32 bits and float of 32 or 64 can"
    )]
    Encoding { tag: u16, bits: u16 },
    #[error("damaged: {0}")]
    Malformed(&'static str),
    #[error("damaged FLAC: {0}")]
    Flac(String),
    #[error("truncated: the header promises {claimed} {unit} of sound, {found} are there")]
    Truncated {
        claimed: u64,
        found: u64,
        unit: &'static str,
    },
    #[error("larger than {limit}")]
    TooLarge { limit: &'static str },
    #[error("channel {wanted} was asked for, there are {channels}, counted from 0")]
    NoSuchChannel { wanted: usize, channels: usize },
    #[error("holds no samples")]
    Empty,
    #[error("{samples} samples, at least {needed} are needed")]
    TooShort { samples: usize, needed: usize },
    #[error("value {position} is not a finite number")]
    NotFinite { position: usize },
    #[error("cannot change the sample rate: {0}")]
    Resample(String),
}

impl Audio {
    /// The same sound at a rate; refuses samples that are not finite.
    fn at_rate(&self, sample_rate_hz: u32) -> Result<Cow<'_, Audio>, AudioError> {
        let audio = if self.sample_rate_hz == sample_rate_hz {
            Cow::Borrowed(self)
        } else {
            Cow::Owned(self.resampled(sample_rate_hz)?)
        };
        audio.require_finite()?;
        Ok(audio)
    }

    fn require_finite(&self) -> Result<(), AudioError> {
        // One step above an exponent of all ones, the mark of NaN and infinity, is the sign bit. All
        // are looked at together, which is many times faster than stopping at the first.
        const EXPONENT: u32 = 0x7F80_0000;
        const STEP: u32 = 0x0080_0000;
        let marks = |marks, sample: &f32| marks | ((sample.to_bits() & EXPONENT) + STEP);
        if self.samples.iter().fold(0, marks) >> 31 == 0 {
            return Ok(());
        }
        match self.samples.iter().position(|sample| !sample.is_finite()) {
            Some(position) => Err(AudioError::NotFinite { position }),
            None => Ok(()),
        }
    }
}

impl Matrix {
    pub fn frames(&self) -> usize {
        self.values.len() / self.bands
    }
}

impl fmt::Display for FeatureSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.feature {
            Feature::LogMel => write!(f, "{} mels", self.n_mels)?,
            Feature::Mfcc { coefficients } => {
                write!(f, "{coefficients} MFCC of {} mels", self.n_mels)?;
            }
        }
        write!(
            f,
            " at {} Hz, n_fft {}, hop {}",
            self.sample_rate_hz, self.n_fft, self.hop_length
        )
    }
}

impl FeatureSpec {
    /// The log-mel features of the DCASE Task 2 baselines.
    pub const DCASE: FeatureSpec = FeatureSpec {
        sample_rate_hz: 16_000,
        n_fft: 1024,
        hop_length: 512,
        n_mels: 128,
        feature: Feature::LogMel,
    };

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

impl Canonical for Feature {
    fn write_canonical(&self, text: &mut String) {
        match self {
            Feature::LogMel => text.push_str("LogMel"),
            Feature::Mfcc { coefficients } => {
                identity::record(text, "Mfcc", &[("coefficients", coefficients)]);
            }
        }
    }
}

impl Canonical for FeatureSpec {
    fn write_canonical(&self, text: &mut String) {
        let FeatureSpec {
            sample_rate_hz,
            n_fft,
            hop_length,
            n_mels,
            feature,
        } = self;
        let fields: [(&str, &dyn Canonical); 5] = [
            ("sample_rate_hz", sample_rate_hz),
            ("n_fft", n_fft),
            ("hop_length", hop_length),
            ("n_mels", n_mels),
            ("feature", feature),
        ];
        identity::record(text, "FeatureSpec", &fields);
    }
}

impl Canonical for FrontEnd {
    fn write_canonical(&self, text: &mut String) {
        let FrontEnd {
            spec,
            frames,
            frame_stride,
        } = self;
        let fields: [(&str, &dyn Canonical); 3] = [
            ("spec", spec),
            ("frames", frames),
            ("frame_stride", frame_stride),
        ];
        identity::record(text, "FrontEnd", &fields);
    }
}

/// Rates that make sense for sound; a header that says otherwise is damaged.
fn require_sample_rate(sample_rate_hz: u32) -> Result<(), AudioError> {
    require(
        (1_000..=384_000).contains(&sample_rate_hz),
        "the sample rate in Hz",
        sample_rate_hz as usize,
        "1000 to 384000",
    )
}

fn require(
    ok: bool,
    what: &'static str,
    value: usize,
    allowed: &'static str,
) -> Result<(), AudioError> {
    if ok {
        return Ok(());
    }
    Err(AudioError::OutOfRange {
        what,
        value: value as u64,
        allowed,
    })
}

#[cfg(test)]
mod tests;
