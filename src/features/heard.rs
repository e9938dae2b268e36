//! Keeps of every clip what was heard: digital silence is no sound, and far outside of what any converter delivers.

use std::ops::Range;

use super::Matrix;
use crate::audio::{Feature, FeatureSpec};

/// A frame without any band above this is digital silence, in dB; the rounding of 16 bits alone is some 30 dB louder.
const SILENCE_DB: f32 = -120.0;
/// The coefficients of a silent frame are flat: so many dB of deviation at most. Sound of a low rate is not, which leaves the
/// upper bands empty.
const FLAT_DB: f32 = 15.0;

/// The frames of the longest part of a clip that no digital silence touches; `None` where that is all.
pub(super) fn part(clip: &Matrix, spec: &FeatureSpec) -> Option<Range<usize>> {
    let silent: Vec<bool> = clip
        .values
        .chunks_exact(clip.bands)
        .map(|frame| is_silent(frame, spec))
        .collect();
    if !silent.contains(&true) {
        return None;
    }
    // A frame beside a silent one holds some of its zeros.
    let reach = ((spec.n_fft - 1) / spec.hop_length).max(1);
    let touched = |frame: usize| {
        let near = frame.saturating_sub(reach)..(frame + reach + 1).min(silent.len());
        silent[near].contains(&true)
    };
    let frames: Vec<usize> = (0..silent.len()).filter(|frame| !touched(*frame)).collect();
    let runs = frames.chunk_by(|a, b| a + 1 == *b);
    // The first of equally long ones.
    let longest = runs.rev().max_by_key(|run| run.len()).unwrap_or(&[]);
    let first = longest.first().copied().unwrap_or(0);
    Some(first..first + longest.len())
}

/// Some frames of a clip.
pub(super) fn cut(clip: &Matrix, frames: Range<usize>) -> Matrix {
    let values = &clip.values[frames.start * clip.bands..frames.end * clip.bands];
    Matrix {
        bands: clip.bands,
        values: values.to_vec(),
    }
}

fn is_silent(frame: &[f32], spec: &FeatureSpec) -> bool {
    match (spec.feature, frame) {
        (Feature::Mfcc { .. }, [first, rest @ ..]) => {
            let bands = spec.n_mels as f32;
            let deviation = rest.iter().map(|value| value * value).sum::<f32>() / bands;
            first / bands.sqrt() <= SILENCE_DB && deviation <= FLAT_DB * FLAT_DB
        }
        _ => frame.iter().all(|band| *band <= SILENCE_DB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Audio, DeviceExtractor};

    #[test]
    fn digital_silence_is_cut_from_clips() {
        // 16 frames of sound, and of zeros where a word says so.
        let clip = |parts: &str, sample_rate_hz: u32| {
            let mut rng = crate::units::Rng::new(5, 0);
            let mut samples = Vec::new();
            for part in parts.split(' ') {
                let is_sound = part == "sound";
                samples.extend((0..8192).map(|_| match is_sound {
                    true => rng.range(-0.01, 0.01) as f32,
                    false => 0.0,
                }));
            }
            Audio {
                samples,
                sample_rate_hz,
            }
        };
        let check = |parts: &str, rate_hz: u32, expected: std::ops::RangeInclusive<usize>| {
            for feature in [Feature::LogMel, Feature::Mfcc { coefficients: 13 }] {
                let spec = FeatureSpec {
                    feature,
                    ..FeatureSpec::DCASE
                };
                let audio = clip(parts, rate_hz);
                let device = DeviceExtractor::new(&spec)
                    .unwrap()
                    .extract(&audio)
                    .unwrap();
                for matrix in [spec.extract(&audio).unwrap(), device] {
                    let all = 0..matrix.frames();
                    let found = cut(&matrix, part(&matrix, &spec).unwrap_or(all)).frames();
                    assert!(expected.contains(&found), "{parts}: {found}");
                }
            }
        };
        check("sound sound", 16_000, 33..=33);
        // Frames that touch a zero go, too: one or two at every edge.
        check("sound zeros zeros", 16_000, 14..=16);
        check("zeros sound sound zeros", 16_000, 28..=32);
        check("sound zeros sound sound", 16_000, 29..=32);
        check("zeros zeros", 16_000, 0..=0);
        // A resampler rings into the silence, and sound of a low rate leaves most bands empty.
        check("zeros sound zeros", 44_100, 2..=6);
        check("sound", 2_000, 129..=129);
    }
}
