//! Log-mel and MFCC of a clip, as `librosa.feature.melspectrogram` and `librosa.feature.mfcc` define them.

use std::{f64::consts::PI, sync::Arc};

use realfft::{RealFftPlanner, RealToComplex};

use super::{
    Audio, AudioError, Feature, FeatureSpec, Matrix,
    mel::{FilterBank, dot},
    require, require_sample_rate,
};

/// What centred frames see before the first and after the last sample of a clip.
///
/// Only the outer `n_fft / 2 / hop_length` frames differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Padding {
    /// Silence, as in librosa from 0.10 on, and on a device that has just woken up.
    #[default]
    Zero,
    /// The clip mirrored, as in librosa 0.6 to 0.9, which DCASE 2020-22 and MLPerf Tiny used.
    Reflect,
}

/// How mel power becomes decibels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decibels {
    /// `10 log10(max(mel, eps))`, eps = 2.2e-16: the DCASE baselines from 2021 on.
    #[default]
    Floor,
    /// `10 log10(mel + eps)`: the DCASE 2020 and MLPerf Tiny baselines.
    Offset,
    /// `librosa.power_to_db` with its defaults: `10 log10(max(mel, 1e-10))`, then at least the clip's loudest value
    /// minus 80 dB. The last step needs the whole clip, so a stream cannot do it.
    Top80,
}

/// Turns clips into features. It is prepared once, and any number of threads can share it.
#[derive(Clone)]
pub struct Extractor {
    spec: FeatureSpec,
    padding: Padding,
    decibels: Decibels,
    fft: Arc<dyn RealToComplex<f64>>,
    /// Periodic Hann.
    window: Vec<f64>,
    filters: FilterBank,
    /// `coefficients` rows of `n_mels`; empty for log-mel.
    dct: Vec<Vec<f64>>,
}

impl Extractor {
    /// Prepares the front end that networks are trained with: zero padding, floored decibels.
    ///
    /// It fails where the specification is out of range.
    pub fn new(spec: &FeatureSpec) -> Result<Extractor, AudioError> {
        Extractor::with(spec, Padding::default(), Decibels::default())
    }

    /// Prepares any of librosa's variants; it fails where the specification is out of range.
    pub fn with(
        spec: &FeatureSpec,
        padding: Padding,
        decibels: Decibels,
    ) -> Result<Extractor, AudioError> {
        check(spec)?;
        let n_fft = spec.n_fft;
        let window = (0..n_fft)
            .map(|idx| 0.5 - 0.5 * (2.0 * PI * idx as f64 / n_fft as f64).cos())
            .collect();
        let dct = match spec.feature {
            Feature::LogMel => Vec::new(),
            Feature::Mfcc { coefficients } => dct_rows(coefficients, spec.n_mels),
        };
        Ok(Extractor {
            spec: *spec,
            padding,
            decibels,
            fft: RealFftPlanner::new().plan_fft_forward(n_fft),
            window,
            filters: FilterBank::new(spec.sample_rate_hz, n_fft, spec.n_mels),
            dct,
        })
    }

    /// The specification of the features.
    pub fn spec(&self) -> &FeatureSpec {
        &self.spec
    }

    /// Features of one clip: `1 + samples / hop_length` frames, all finite.
    ///
    /// A clip of another rate is resampled first.
    pub fn extract(&self, audio: &Audio) -> Result<Matrix, AudioError> {
        let audio = audio.at_rate(self.spec.sample_rate_hz)?;
        let decibels = self.log_mel(&audio.samples)?;
        let values = match self.spec.feature {
            Feature::LogMel => decibels.iter().map(|db| *db as f32).collect(),
            Feature::Mfcc { .. } => decibels
                .chunks_exact(self.spec.n_mels)
                .flat_map(|frame| self.dct.iter().map(|row| dot(row, frame) as f32))
                .collect(),
        };
        Ok(Matrix {
            bands: self.spec.bands(),
            values,
        })
    }

    /// `frames` rows of `n_mels` decibels.
    ///
    /// Computed in 64 bits, as librosa's Fourier transform is; in 32 bits a quiet band would lose its last digits.
    fn log_mel(&self, samples: &[f32]) -> Result<Vec<f64>, AudioError> {
        let FeatureSpec {
            n_fft,
            hop_length,
            n_mels,
            ..
        } = self.spec;
        let frames = 1 + samples.len() / hop_length;
        let padded = pad(samples, n_fft / 2, self.padding)?;
        let mut windowed = self.fft.make_input_vec();
        let mut spectrum = self.fft.make_output_vec();
        let mut scratch = self.fft.make_scratch_vec();
        let mut power = vec![0.0; n_fft / 2 + 1];
        let mut values = vec![0.0; frames * n_mels];
        for (frame, mel) in values.chunks_exact_mut(n_mels).enumerate() {
            let samples = &padded[frame * hop_length..][..n_fft];
            for ((out, sample), weight) in windowed.iter_mut().zip(samples).zip(&self.window) {
                *out = f64::from(*sample) * weight;
            }
            self.fft
                .process_with_scratch(&mut windowed, &mut spectrum, &mut scratch)
                .expect("buffers come from the plan itself");
            for (power, bin) in power.iter_mut().zip(&spectrum) {
                *power = bin.norm_sqr();
            }
            self.filters.apply(&power, mel);
            to_decibels(mel, self.decibels);
        }
        if self.decibels == Decibels::Top80 {
            let loudest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            values
                .iter_mut()
                .for_each(|db| *db = db.max(loudest - 80.0));
        }
        Ok(values)
    }
}

/// Checks bounds that keep every buffer small; all published front ends lie within them.
pub(super) fn check(spec: &FeatureSpec) -> Result<(), AudioError> {
    require_sample_rate(spec.sample_rate_hz)?;
    require(
        spec.n_fft.is_power_of_two() && (16..=65_536).contains(&spec.n_fft),
        "n_fft",
        spec.n_fft,
        "a power of two from 16 to 65536",
    )?;
    require(
        (16..=65_536).contains(&spec.hop_length),
        "hop_length",
        spec.hop_length,
        "16 to 65536",
    )?;
    require(
        (1..=1024).contains(&spec.n_mels),
        "n_mels",
        spec.n_mels,
        "1 to 1024",
    )?;
    match spec.feature {
        Feature::LogMel => Ok(()),
        Feature::Mfcc { coefficients } => require(
            (1..=spec.n_mels).contains(&coefficients),
            "coefficients",
            coefficients,
            "1 to n_mels",
        ),
    }
}

/// The clip with `margin` further samples on either side.
fn pad(samples: &[f32], margin: usize, padding: Padding) -> Result<Vec<f32>, AudioError> {
    let needed = match padding {
        Padding::Zero => 1,
        Padding::Reflect => margin + 1,
    };
    if samples.is_empty() {
        return Err(AudioError::Empty);
    }
    if samples.len() < needed {
        return Err(AudioError::TooShort {
            samples: samples.len(),
            needed,
        });
    }
    let mut padded = vec![0.0; samples.len() + 2 * margin];
    padded[margin..][..samples.len()].copy_from_slice(samples);
    if padding == Padding::Reflect {
        let last = samples.len() - 1;
        for distance in 1..=margin {
            padded[margin - distance] = samples[distance];
            padded[margin + last + distance] = samples[last - distance];
        }
    }
    Ok(padded)
}

fn to_decibels(mel: &mut [f64], decibels: Decibels) {
    let mut guard = |guarded: fn(f64) -> f64| mel.iter_mut().for_each(|mel| *mel = guarded(*mel));
    match decibels {
        Decibels::Floor => guard(|mel| mel.max(f64::EPSILON)),
        Decibels::Offset => guard(|mel| mel + f64::EPSILON),
        Decibels::Top80 => guard(|mel| mel.max(1e-10)),
    }
    for mel in mel {
        *mel = 10.0 * std::f64::consts::LOG10_E * ln(*mel);
    }
}

/// Natural logarithm of a positive normal number, to 1e-11.
///
/// It has no branches and no calls, so the compiler computes several at once. The library's logarithm takes a quarter
/// of the whole extraction.
#[inline]
fn ln(value: f64) -> f64 {
    const MANTISSA_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    const SQRT_HALF: u64 = std::f64::consts::FRAC_1_SQRT_2.to_bits();
    // value = mantissa * 2^exponent, mantissa from sqrt(1/2) to sqrt(2).
    let above = value.to_bits().wrapping_sub(SQRT_HALF);
    let mantissa = f64::from_bits((above & ((1 << MANTISSA_BITS) - 1)) + SQRT_HALF);
    // Turns a whole number below 2^52 into a float: writes it behind the leading one of 2^52.
    const SHIFT: u64 = 1 << 11;
    let shifted = (above >> MANTISSA_BITS).wrapping_add(SHIFT) & (2 * SHIFT - 1);
    let two_52 = (1u64 << MANTISSA_BITS) as f64;
    let exponent = f64::from_bits(two_52.to_bits() | shifted) - (two_52 + SHIFT as f64);
    // ln m = 2 artanh((m - 1) / (m + 1)), whose series converges fast for |s| < 0.172.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let s2 = s * s;
    let series = 1.0
        + s2 * (1.0 / 3.0
            + s2 * (1.0 / 5.0
                + s2 * (1.0 / 7.0 + s2 * (1.0 / 9.0 + s2 * (1.0 / 11.0 + s2 / 13.0)))));
    exponent * std::f64::consts::LN_2 + 2.0 * s * series
}

/// The first rows of the orthonormal DCT-II.
pub(super) fn dct_rows(coefficients: usize, n_mels: usize) -> Vec<Vec<f64>> {
    let count = n_mels as f64;
    (0..coefficients)
        .map(|row| {
            let scale = if row == 0 { 1.0 } else { 2.0f64 };
            (0..n_mels)
                .map(|mel| {
                    let angle = PI * row as f64 * (2.0 * mel as f64 + 1.0) / (2.0 * count);
                    (scale / count).sqrt() * angle.cos()
                })
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_is_the_library_s() {
        let mut value = 1e-300f64;
        while value < 1e300 {
            let difference = (ln(value) - value.ln()).abs();
            // The next term of the series, plus the rounding of a result of up to 690.
            assert!(difference < 1e-11 / 3.0, "{value:e}: {difference:e}");
            value *= 1.003;
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn a_sine_lies_in_its_band() {
        let spec = FeatureSpec {
            sample_rate_hz: 16_000,
            n_fft: 1024,
            hop_length: 512,
            n_mels: 128,
            feature: Feature::LogMel,
        };
        let samples = (0..160_000)
            .map(|idx| (2.0 * PI * 1000.0 * f64::from(idx) / 16_000.0).sin() as f32)
            .collect();
        let audio = Audio {
            samples,
            sample_rate_hz: 16_000,
        };
        let matrix = spec.extract(&audio).unwrap();
        assert_eq!((matrix.bands, matrix.frames()), (128, 313));
        let middle = &matrix.values[150 * 128..][..128];
        let loudest = (0..128).max_by(|a, b| middle[*a].total_cmp(&middle[*b]));
        // 1 kHz is mel 15 of 45.2, at 129 steps: the filter whose peak lies at step 43.
        assert_eq!(loudest, Some(42));
    }
}
