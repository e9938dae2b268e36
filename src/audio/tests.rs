//! The front end against librosa, and the readers against good, other and hostile files.

use std::{f64::consts::TAU, path::PathBuf};

use proptest::prelude::*;

use super::*;

const DCASE: FeatureSpec = FeatureSpec {
    sample_rate_hz: 16_000,
    n_fft: 1024,
    hop_length: 512,
    n_mels: 128,
    feature: Feature::LogMel,
};

fn shared_data(relative: &str) -> Option<PathBuf> {
    let root = std::env::var_os("NAS_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")),
        PathBuf::from,
    );
    let path = root.join("data").join(relative);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var("NAS_REQUIRE_TOOLS").is_ok_and(|value| value == "1");
    assert!(!required, "{} is missing", path.display());
    println!("skipped: {} is missing", path.display());
    None
}

fn largest_difference(left: &[f32], right: &[f32]) -> f64 {
    assert_eq!(left.len(), right.len());
    left.iter()
        .zip(right)
        .map(|(l, r)| (f64::from(*l) - f64::from(*r)).abs())
        .fold(0.0, f64::max)
}

fn sine(frequency_hz: f64, samples: usize, sample_rate_hz: u32) -> Vec<f32> {
    (0..samples)
        .map(|idx| (TAU * frequency_hz * idx as f64 / f64::from(sample_rate_hz)).sin() as f32)
        .collect()
}

/// The signal of `make_librosa.py`.
fn golden_signal(sample_rate_hz: u32) -> Audio {
    const SAMPLES: usize = 6000;
    let mut state = 1u32;
    let samples = (0..SAMPLES)
        .map(|idx| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = f64::from(state >> 16) / 32768.0 - 1.0;
            let angle = TAU * 440.0 * idx as f64 / f64::from(sample_rate_hz);
            let sound = 0.01 * noise + 0.5 * angle.sin();
            if idx < SAMPLES / 4 { 0.0 } else { sound as f32 }
        })
        .collect();
    Audio {
        samples,
        sample_rate_hz,
    }
}

#[test]
fn features_are_those_of_librosa() {
    let golden = include_str!("../../tests/golden/librosa_features.txt");
    let mut largest = 0f64;
    let mut features = None;
    for line in golden.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |idx: usize| words[idx].parse::<usize>().unwrap();
        if let Some(frame) = words[0].strip_suffix(':') {
            let matrix: &Matrix = features.as_ref().unwrap();
            let frame: usize = frame.parse().unwrap();
            let expected: Vec<f32> = words[1..].iter().map(|w| w.parse().unwrap()).collect();
            let found = &matrix.values[frame * matrix.bands..][..matrix.bands];
            largest = largest.max(largest_difference(found, &expected));
            continue;
        }
        let spec = FeatureSpec {
            sample_rate_hz: number(0) as u32,
            n_fft: number(1),
            hop_length: number(2),
            n_mels: number(3),
            feature: match words[4] {
                "logmel" => Feature::LogMel,
                _ => Feature::Mfcc { coefficients: 13 },
            },
        };
        let padding = match words[5] {
            "constant" => Padding::Zero,
            _ => Padding::Reflect,
        };
        let decibels = match words[6] {
            "floor" => Decibels::Floor,
            "offset" => Decibels::Offset,
            _ => Decibels::Top80,
        };
        let extractor = Extractor::with(&spec, padding, decibels).unwrap();
        let matrix = extractor
            .extract(&golden_signal(spec.sample_rate_hz))
            .unwrap();
        assert_eq!(matrix.frames(), number(7), "{line}");
        features = Some(matrix);
    }
    // librosa sums mel power in 32 bits, we in 64; the MFCC add up 40 to 128 such differences.
    println!("largest difference from librosa: {largest:e}");
    assert!(largest < 2e-5, "{largest}");
}

#[test]
fn toycar_features_are_those_of_mlperf_tiny() {
    let (Some(clips), Some(bins)) = (
        shared_data("audio/dcase20-dev-36/dev_data/ToyCar/test"),
        shared_data("audio/toycar-ad01/bins"),
    ) else {
        return;
    };
    let mut compared = 0;
    for entry in std::fs::read_dir(clips).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let stored = std::fs::read(bins.join(format!("{name}_hist_librosa.bin"))).unwrap();
        let stored: Vec<f32> = stored
            .as_chunks::<4>()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect();
        let audio = read(&path, Channel::default()).unwrap();
        for padding in [Padding::Zero, Padding::Reflect] {
            let extractor = Extractor::with(&DCASE, padding, Decibels::Offset).unwrap();
            let matrix = extractor.extract(&audio).unwrap();
            let central = &matrix.values[50 * 128..250 * 128];
            let difference = largest_difference(central, &stored);
            println!("{name} {padding:?}: {difference:e} dB");
            assert!(difference < 1e-5, "{name}: {difference}");
        }
        compared += 1;
    }
    assert_eq!(compared, 6);
}
