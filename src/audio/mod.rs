//! Turns sound into features: it reads, resamples, and computes log-mel or MFCC, exactly as librosa or as a device
//! does.
//!
//! This module knows no labels, data sets or models.

mod adpcm;
mod channel;
mod coded;
mod companding;
mod device;
mod extract;
mod mel;
mod microphone;
mod read;
mod recipe;
mod resample;
mod statistics;
mod stream;
mod wav;

use std::{borrow::Cow, fmt, path::PathBuf};

use crate::identity::{self, Canonical};

pub use channel::Channel;
pub use companding::Companding;
pub use device::{DeviceExtractor, DeviceTables};
pub use extract::{Decibels, Extractor, Padding};
pub use microphone::Strain;
pub use read::{Encoding, Form, Recording, decode, is_sound, read, read_log_mel, read_recording};
pub use recipe::Recipe;
pub use statistics::{FULL_RANKING, MAX_POOLED_FRAMES, StatisticKind, Statistics};
pub use stream::SoundStream;
pub use wav::encode;

/// Mono samples in `[-1, 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Audio {
    /// Samples of one channel; full scale is 1, and float files may go beyond it.
    pub samples: Vec<f32>,
    /// Samples per second.
    pub sample_rate_hz: u32,
}

/// What one frame of features holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feature {
    /// Log-mel power in dB: `10 log10(max(mel, 2.2e-16))`.
    LogMel,
    /// The first coefficients of the orthonormal DCT-II of the log-mel spectrum.
    Mfcc {
        /// Coefficients per frame, from 1 to `n_mels`.
        coefficients: usize,
    },
}

/// How a clip becomes a matrix of features: one row per frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeatureSpec {
    /// The rate that clips are resampled to, 1,000 to 384,000 Hz.
    pub sample_rate_hz: u32,
    /// Samples in one frame and its Fourier transform: a power of two from 16 to 65,536.
    pub n_fft: usize,
    /// Samples from the start of one frame to the start of the next, 16 to 65,536.
    pub hop_length: usize,
    /// Mel bands, 1 to 1,024.
    pub n_mels: usize,
    /// Which values a frame holds.
    pub feature: Feature,
}

/// The audio front end of a candidate: features, and the windows of frames that the network sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrontEnd {
    /// How a clip becomes frames of features.
    pub spec: FeatureSpec,
    /// Frames in one window.
    pub frames: usize,
    /// Frames from one window to the next, when scoring.
    pub frame_stride: usize,
    /// What of a window's frames the network sees; the frames themselves where it is `None`.
    pub statistics: Option<Statistics>,
    /// What compresses standardised features far from the mean; `None` where all count alike.
    pub companding: Option<Companding>,
}

/// The features of one clip: `frames` rows of `bands` values, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Values per frame.
    pub bands: usize,
    /// The values, frame after frame; log-mel is in dB.
    pub values: Vec<f32>,
}

/// Why sound could not be read, or not be turned into features.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AudioError {
    /// A file could not be read or decoded.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<AudioError>,
    },
    /// The file could not be opened or read; holds the reason.
    #[error("{0}")]
    Io(String),
    /// The first bytes are those of no known format, or ready features stand where sound is needed.
    #[error("neither WAV, FLAC, Ogg Vorbis nor MP3, by its first bytes")]
    UnknownFormat,
    /// A number in a header or a [`FeatureSpec`] is out of range.
    #[error("{what} is {value}, must be {allowed}")]
    OutOfRange {
        /// What the number is, as messages show it.
        what: &'static str,
        /// The number.
        value: u64,
        /// The allowed values, as messages show them.
        allowed: &'static str,
    },
    /// A WAV file stores its samples in a form that is not supported.
    #[error(
        "WAV encoding {tag:#06x} of {bits} bits cannot be read; PCM up to 32 bits, float of 32 or 64, ADPCM, A-law and \
         mu-law can"
    )]
    Encoding {
        /// Format tag of the header: 1 is PCM, 3 is float.
        tag: u16,
        /// Bits per sample.
        bits: u16,
    },
    /// The file breaks the rules of its format; says which.
    #[error("damaged: {0}")]
    Malformed(&'static str),
    /// The decoder of FLAC, Ogg Vorbis or MP3 refuses the file; holds its message.
    #[error("damaged: {0}")]
    Coded(String),
    /// Float samples are no shares of full scale, which is 1.
    #[error(
        "its float samples reach {largest}, where full scale is 1: steps of 16 bits, it seems; divide them by 32768"
    )]
    Unscaled {
        /// The largest magnitude, rounded.
        largest: u32,
    },
    /// The length of the sound is not the one that the header states.
    #[error("truncated: the header promises {claimed} {unit} of sound, {found} are there")]
    Truncated {
        /// The length that the header states.
        claimed: u64,
        /// The length that was found.
        found: u64,
        /// The unit of both lengths: `bytes` or `samples`.
        unit: &'static str,
    },
    /// The file, or the sound in it, is larger than the reader accepts.
    #[error("larger than {limit}")]
    TooLarge {
        /// The limit, as messages show it.
        limit: &'static str,
    },
    /// The recording does not have the channel that was asked for.
    #[error("channel {wanted} was asked for, there are {channels}, counted from 0")]
    NoSuchChannel {
        /// The channel that was asked for, from 0 on.
        wanted: usize,
        /// How many channels the recording has.
        channels: usize,
    },
    /// There are no samples.
    #[error("holds no samples")]
    Empty,
    /// A converter of 16 bits gives zeros alone.
    #[error("is digital silence to a device of 16 bits")]
    Silent,
    /// The clip is too short to be mirrored ([`Padding::Reflect`]).
    #[error("{samples} samples, at least {needed} are needed")]
    TooShort {
        /// Samples in the clip.
        samples: usize,
        /// The fewest samples that are enough.
        needed: usize,
    },
    /// A sample or a feature is NaN or infinite.
    #[error("value {position} is not a finite number")]
    NotFinite {
        /// Index of the first such value.
        position: usize,
    },
    /// The resampler failed; holds its message.
    #[error("cannot change the sample rate: {0}")]
    Resample(String),
}

impl AudioError {
    /// What is wrong, without the path of the file.
    pub fn reason(&self) -> &AudioError {
        match self {
            AudioError::File { error, .. } => error.reason(),
            other => other,
        }
    }

    /// Whether the disk or the system failed, rather than the sound being unusable.
    pub fn is_of_machine(&self) -> bool {
        match self {
            AudioError::Io(_) => true,
            AudioError::File { error, .. } => error.is_of_machine(),
            _ => false,
        }
    }
}

impl Audio {
    /// The same sound at another rate. Samples that are not finite are refused.
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
        // NaN and infinity have an exponent of all ones: one step more sets the sign bit. All samples are checked
        // together, which is many times faster than stopping at the first.
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

impl Audio {
    /// Refuses samples that are not shares of full scale: far beyond it, or whole numbers of which some are above 1.
    fn require_scale(&self) -> Result<(), AudioError> {
        /// 18 dB above full scale; no converter has so much headroom.
        const FAR: f32 = 8.0;
        let largest = self
            .samples
            .iter()
            .fold(0f32, |max, sample| max.max(sample.abs()));
        let are_whole = || self.samples.iter().all(|sample| sample.fract() == 0.0);
        match largest > FAR || (largest > 1.0 && are_whole()) {
            true => Err(AudioError::Unscaled {
                largest: largest.round() as u32,
            }),
            false => Ok(()),
        }
    }
}

impl FrontEnd {
    /// Rows and columns of what the network sees: frames by bands, or kinds of statistics by groups of bands.
    pub fn window(&self) -> [usize; 2] {
        match self.statistics {
            None => [self.frames, self.spec.bands()],
            Some(statistics) => [statistics.count(), statistics.groups],
        }
    }

    /// Numbers that are standardised each by itself: bands, or statistics.
    pub fn features(&self) -> usize {
        let statistics = self.statistics.map(|statistics| statistics.features());
        statistics.unwrap_or(self.spec.bands())
    }

    /// Microseconds from one window to the next.
    pub fn window_us(&self) -> f64 {
        self.frame_stride as f64 * self.spec.hop_us()
    }

    /// Rows of [`FrontEnd::rows`] in one window, and from one window to the next.
    pub fn rows_per_window(&self) -> [usize; 2] {
        match self.statistics {
            None => [self.frames, self.frame_stride],
            Some(_) => [1, 1],
        }
    }

    /// What windows are cut from: the frames of a clip, or a row of statistics for each of its windows, which begin after
    /// the frames that hang over the clip's edge.
    pub fn rows<'c>(&self, clip: &'c Matrix) -> Cow<'c, Matrix> {
        match self.statistics {
            None => Cow::Borrowed(clip),
            Some(which) => Cow::Owned(statistics::pool(
                clip,
                which,
                self.spec.on_device().settling_frames(),
                self.frames,
                self.frame_stride,
            )),
        }
    }
}

impl Matrix {
    /// Frames of the clip: rows of the matrix.
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

    /// Computes the features of one clip. For many clips, prepare one [`Extractor`].
    ///
    /// It fails where the specification is out of range, or the clip is empty, not finite, or of an impossible rate.
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
            statistics,
            companding,
        } = self;
        let fields: [(&str, &dyn Canonical); 3] = [
            ("spec", spec),
            ("frames", frames),
            ("frame_stride", frame_stride),
        ];
        identity::record(text, "FrontEnd", &fields);
        // Written only where there are some, since front ends had none once.
        if let Some(statistics) = statistics {
            statistics.write_canonical(text);
        }
        if let Some(companding) = companding {
            companding.write_canonical(text);
        }
    }
}

impl Canonical for Statistics {
    fn write_canonical(&self, text: &mut String) {
        let Statistics {
            groups,
            kinds,
            ranking,
        } = self;
        let fields: [(&str, &dyn Canonical); 3] =
            [("groups", groups), ("kinds", kinds), ("ranking", ranking)];
        identity::record(text, "Statistics", &fields);
    }
}

/// Refuses rates that sound cannot have; a header with such a rate is damaged.
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
