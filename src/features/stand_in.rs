//! Changes normal sound into stand-ins for anomalies, as samples or as ready log-mel features.

use crate::{
    audio::{Audio, Matrix},
    data::Change,
};

/// Length of a click in seconds. Its loudness falls to a third within a fifth of it.
const CLICK_S: f64 = 0.01;

/// Applies a change to samples. `with` is the recording that is mixed in, at the same sample rate.
pub(super) fn change_audio(mut audio: Audio, with: Option<&Audio>, change: &Change) -> Audio {
    let rate_hz = f64::from(audio.sample_rate_hz);
    let rms = rms(&audio.samples);
    match change {
        Change::Mix { level_db, .. } => {
            let Some(with) = with else { return audio };
            let gain = rms / self::rms(&with.samples).max(f64::MIN_POSITIVE) * amplitude(*level_db);
            for (sample, other) in audio.samples.iter_mut().zip(with.samples.iter().cycle()) {
                *sample += (gain * f64::from(*other)) as f32;
            }
        }
        Change::Tone { place, level_db } => {
            // A sine of amplitude 1 has an RMS of the square root of 1/2.
            let gain = rms * amplitude(*level_db) * std::f64::consts::SQRT_2;
            let step = std::f64::consts::TAU * tone_hz(*place, rate_hz) / rate_hz;
            for (idx, sample) in audio.samples.iter_mut().enumerate() {
                *sample += (gain * (idx as f64 * step).sin()) as f32;
            }
        }
        Change::Clicks { per_s, level_db } => {
            let length = (CLICK_S * rate_hz) as usize;
            let period = ((rate_hz / per_s) as usize).max(length + 1);
            // All clicks together have this level. Noise between -1 and 1 has a third of the power of a square wave,
            // and the decay leaves a tenth of that.
            let gain = 3f64.sqrt()
                * rms
                * amplitude(*level_db)
                * (period as f64 / (length as f64 / 10.0).max(1.0)).sqrt();
            let mut noise = 1u32;
            for burst in audio.samples.chunks_mut(period) {
                for (idx, sample) in burst.iter_mut().take(length).enumerate() {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let white = f64::from(noise >> 8) / f64::from(1u32 << 23) - 1.0;
                    let decay = (-5.0 * idx as f64 / length as f64).exp();
                    *sample += (gain * white * decay) as f32;
                }
            }
        }
        Change::Speed { factor } => {
            let samples = &audio.samples;
            let last = samples.len().saturating_sub(1);
            let at = |idx: usize| {
                // After its end the recording starts over, so the clip keeps its length.
                let position = (idx as f64 * factor) % last.max(1) as f64;
                let (whole, part) = (position as usize, position.fract() as f32);
                samples[whole] * (1.0 - part) + samples[(whole + 1).min(last)] * part
            };
            audio.samples = (0..samples.len()).map(at).collect();
        }
    }
    audio
}

/// Applies a change to log-mel features in dB, frame-major; `frames_per_s` says how far apart clicks are.
pub(super) fn change_log_mel(
    mut matrix: Matrix,
    with: Option<&Matrix>,
    change: &Change,
    frames_per_s: f64,
) -> Matrix {
    let bands = matrix.bands;
    let power = mean_power(&matrix) * bands as f64;
    match change {
        Change::Mix { level_db, .. } => {
            let Some(with) = with else { return matrix };
            let own = power / bands as f64;
            let gain = own / mean_power(with).max(f64::MIN_POSITIVE) * decibels(*level_db);
            for (value, other) in matrix.values.iter_mut().zip(with.values.iter().cycle()) {
                *value = added(*value, gain * decibels(f64::from(*other)));
            }
        }
        Change::Tone { place, level_db } => {
            let band = ((place * bands as f64) as usize).min(bands - 1);
            for frame in matrix.values.chunks_exact_mut(bands) {
                frame[band] = added(frame[band], power * decibels(*level_db));
            }
        }
        Change::Clicks { per_s, level_db } => {
            let period = ((frames_per_s / per_s).round() as usize).max(2);
            let in_band = power * decibels(*level_db) * period as f64 / bands as f64;
            for frame in matrix.values.chunks_exact_mut(bands).step_by(period) {
                for value in frame {
                    *value = added(*value, in_band);
                }
            }
        }
        Change::Speed { factor } => {
            for frame in matrix.values.chunks_exact_mut(bands) {
                let before = frame.to_vec();
                for (band, value) in frame.iter_mut().enumerate() {
                    // Above 1 kHz, mel is close to a logarithmic scale: 128 bands span some 3.4 e-folds there.
                    let shift = factor.ln() * bands as f64 / 3.4;
                    let position = (band as f64 - shift).clamp(0.0, (bands - 1) as f64);
                    let (whole, part) = (position as usize, position.fract() as f32);
                    let next = before[(whole + 1).min(bands - 1)];
                    *value = before[whole] * (1.0 - part) + next * part;
                }
            }
        }
    }
    matrix
}

/// The frequency in Hz of a place on the mel scale, from 0 to the highest frequency. O'Shaughnessy's formula is exact
/// enough here.
fn tone_hz(place: f64, rate_hz: f64) -> f64 {
    let highest = (1.0 + rate_hz / 2.0 / 700.0).ln();
    700.0 * ((place * highest).exp() - 1.0)
}

fn rms(samples: &[f32]) -> f64 {
    let power: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    (power / samples.len().max(1) as f64).sqrt()
}

fn mean_power(matrix: &Matrix) -> f64 {
    let sum: f64 = matrix
        .values
        .iter()
        .map(|db| decibels(f64::from(*db)))
        .sum();
    sum / matrix.values.len().max(1) as f64
}

/// The power of a level in dB.
fn decibels(level_db: f64) -> f64 {
    10f64.powf(level_db / 10.0)
}

/// The amplitude of a level in dB.
fn amplitude(level_db: f64) -> f64 {
    10f64.powf(level_db / 20.0)
}

/// A level in dB after power is added.
fn added(level_db: f32, power: f64) -> f32 {
    (10.0 * (decibels(f64::from(level_db)) + power).log10()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Source;

    const SOURCE: Source = Source::Audio(std::path::PathBuf::new());

    fn all_changes() -> [Change; 4] {
        [
            Change::Mix {
                with: SOURCE,
                level_db: 0.0,
            },
            Change::Tone {
                place: 0.5,
                level_db: 0.0,
            },
            Change::Clicks {
                per_s: 5.0,
                level_db: 0.0,
            },
            Change::Speed { factor: 1.1 },
        ]
    }

    /// A sound added at 0 dB has the power of the recording, so the sum has 3 dB more, give or take chance.
    #[test]
    fn levels_are_relative_to_the_recording() {
        let samples =
            |step: f32| -> Vec<f32> { (0..16_000).map(|idx| (idx as f32 * step).sin()).collect() };
        let audio = Audio {
            samples: samples(0.3),
            sample_rate_hz: 16_000,
        };
        let other = Audio {
            samples: samples(0.7),
            sample_rate_hz: 16_000,
        };
        let log_mel = |level: f32| Matrix {
            bands: 8,
            values: vec![level; 8 * 40],
        };
        for change in all_changes() {
            let changed = change_audio(audio.clone(), Some(&other), &change);
            assert_eq!(changed.samples.len(), audio.samples.len());
            let gain_db = 20.0 * (rms(&changed.samples) / rms(&audio.samples)).log10();
            let matrix = change_log_mel(log_mel(-30.0), Some(&log_mel(-60.0)), &change, 31.25);
            let matrix_db = 10.0 * (mean_power(&matrix) / mean_power(&log_mel(-30.0))).log10();
            let expected = if matches!(change, Change::Speed { .. }) {
                0.0
            } else {
                3.01
            };
            // There are few clicks, so their random samples differ from the mean by some tenths of a decibel.
            assert!((gain_db - expected).abs() < 0.8, "{change:?}: {gain_db}");
            assert!(
                (matrix_db - expected).abs() < 0.3,
                "{change:?}: {matrix_db}"
            );
        }
    }

    #[test]
    fn the_shortest_sound_is_changed_too() {
        for change in all_changes() {
            for count in [0, 1, 2] {
                let audio = Audio {
                    samples: vec![0.0; count],
                    sample_rate_hz: 8000,
                };
                let changed = change_audio(audio.clone(), Some(&audio), &change);
                assert_eq!(changed.samples.len(), count);
                assert!(changed.samples.iter().all(|sample| sample.is_finite()));
            }
        }
    }
}
