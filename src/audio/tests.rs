//! Tests the front end against librosa, and the readers with good, damaged and hostile files.

use std::f64::consts::TAU;

use proptest::prelude::*;

use super::*;

const DCASE: FeatureSpec = FeatureSpec {
    sample_rate_hz: 16_000,
    n_fft: 1024,
    hop_length: 512,
    n_mels: 128,
    feature: Feature::LogMel,
};

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
    let (mut largest, mut compared) = (0f64, 0);
    let mut features = None;
    for line in golden.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |idx: usize| words[idx].parse::<usize>().unwrap();
        if let Some(frame) = words[0].strip_suffix(':') {
            let matrix: &Matrix = features.as_ref().unwrap();
            let frame: usize = frame.parse().unwrap();
            let expected: Vec<f32> = words[1..].iter().map(|w| w.parse().unwrap()).collect();
            let found = &matrix.values[frame * matrix.bands..][..matrix.bands];
            for (found, expected) in found.iter().zip(&expected) {
                // librosa sums mel power in 32 bits, we in 64, and both store 32. The sums allow 1e-5 dB; MFCC, which
                // are up to 1765 large, allow two units in the last place.
                let allowed = 1e-5 + 2.0 * f64::from(f32::EPSILON) * f64::from(expected.abs());
                let difference = (f64::from(*found) - f64::from(*expected)).abs();
                assert!(difference <= allowed, "{found} instead of {expected}");
                largest = largest.max(difference / allowed);
            }
            compared += expected.len();
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
    println!("{compared} values, at worst {largest:.2} of what is allowed");
    assert_eq!(compared, 2 * 3 * (3 * (128 + 40 + 32 + 64) + 2 * 4 * 13));
}

/// Largest and root mean square difference of the device's features from librosa's, in dB.
fn distance_from_librosa(spec: &FeatureSpec, audio: &Audio) -> (f64, f64) {
    let exact = Extractor::new(spec).unwrap().extract(audio).unwrap();
    let device = DeviceExtractor::new(spec).unwrap().extract(audio).unwrap();
    assert_eq!(
        (exact.bands, exact.frames()),
        (device.bands, device.frames())
    );
    let squares = exact.values.iter().zip(&device.values);
    let squares: f64 = squares
        .map(|(e, d)| (f64::from(*e) - f64::from(*d)).powi(2))
        .sum();
    (
        largest_difference(&exact.values, &device.values),
        (squares / exact.values.len() as f64).sqrt(),
    )
}

#[test]
fn device_features_are_close_to_librosa_s() {
    let mut rng = crate::units::Rng::new(5, 5);
    let noise = (0..16_000).map(|_| (rng.normal() * 1000.0).round() as f32 / 32768.0);
    let noise = Audio {
        samples: noise.collect(),
        sample_rate_hz: 16_000,
    };
    for n_fft in [16, 32, 256, 512, 1024, 2048, 4096] {
        for n_mels in [1, 5, 40, 128] {
            let spec = FeatureSpec {
                n_fft,
                n_mels,
                hop_length: 300,
                ..DCASE
            };
            let coefficients = n_mels.min(13);
            let mfcc = FeatureSpec {
                feature: Feature::Mfcc { coefficients },
                ..spec
            };
            // Where every band is about equally loud, 32 bits keep some 1e-6 of its power. A decibel value of up to 100
            // has a rounding of its own of 7.6e-6. Short transforms have bands of one weak bin. MFCC add up all bands.
            let (largest, _) = distance_from_librosa(&spec, &noise);
            assert!(largest < 1e-4, "{spec}: {largest} dB");
            let (largest, _) = distance_from_librosa(&mfcc, &noise);
            assert!(largest < 3e-4, "{mfcc}: {largest} dB");
        }
    }
}

/// Of clips of every built-in machine; recordings are compared in `tests/real.rs`.
#[test]
fn device_features_of_machines_are_close_to_librosa_s() {
    use crate::data::{Source, synthetic};
    let mfcc = FeatureSpec {
        feature: Feature::Mfcc { coefficients: 13 },
        ..DCASE
    };
    let mut worst = [(0f64, 0f64); 2];
    for machine in synthetic::Machine::ALL {
        let dataset = synthetic::dataset(machine);
        for clip in dataset.clips.iter().step_by(dataset.clips.len() / 4) {
            let Source::Synthetic(clip) = &clip.source else {
                panic!("{clip:?}");
            };
            // On the grid of 16 bits, as recordings are: a device hears nothing finer.
            let mut audio = synthetic::render(clip);
            for sample in &mut audio.samples {
                *sample = (*sample * 32768.0).round() / 32768.0;
            }
            for (worst, spec) in worst.iter_mut().zip([DCASE, mfcc]) {
                let (largest, rms) = distance_from_librosa(&spec, &audio);
                *worst = (worst.0.max(largest), worst.1.max(rms));
            }
        }
    }
    // A transform in 32 bits adds noise some 140 dB below the loudest bin; a band 80 dB below it changes by 1e-6 of its
    // power squared root, and the quietest bands lie there. A step of an int8 input is about 0.05 dB.
    assert!(worst[0].0 < 5e-3 && worst[0].1 < 5e-5, "{worst:?}");
    assert!(worst[1].0 < 5e-3 && worst[1].1 < 5e-5, "{worst:?}");
}

proptest! {
    #[test]
    fn device_frames_do_not_depend_on_how_samples_come(
        n_fft in prop::sample::select(vec![16usize, 64, 128, 512]),
        hop_length in 16usize..700,
        samples in prop::collection::vec(any::<i16>(), 0..3000),
        pieces in prop::collection::vec(1usize..400, 1..8),
    ) {
        use nas_kernels::front_end::{Framer, FrontEnd};
        let spec = FeatureSpec { n_fft, hop_length, n_mels: 8, ..DCASE };
        let tables = spec.device_tables().unwrap();
        let ends: Vec<[u8; 2]> = tables.ends.iter().map(|end| end.to_le_bytes()).collect();
        let device = spec.on_device();
        let front_end = FrontEnd::new(device, &tables.floats, &ends).unwrap();
        let (mut frame, mut scratch) = (vec![0; n_fft], vec![0.0; device.scratch_len()]);
        let mut framer = Framer::new(front_end, &mut frame, &mut scratch);
        let mut streamed: Vec<f32> = Vec::new();
        let silence = vec![0; n_fft / 2];
        let padded = [&samples[..], &silence].concat();
        let mut rest = &padded[..];
        for piece in pieces.iter().cycle() {
            let (mut heard, later) = rest.split_at((*piece).min(rest.len()));
            while let Some(features) = framer.next(&mut heard) {
                streamed.extend_from_slice(features);
            }
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        // Every frame on its own, cut out of the padded clip.
        let padded = [&silence[..], &samples, &silence].concat();
        let mut cut: Vec<f32> = Vec::new();
        for frame in 0..1 + samples.len() / hop_length {
            let frame = &padded[frame * hop_length..][..n_fft];
            cut.extend_from_slice(front_end.features(frame, &mut scratch));
        }
        prop_assert_eq!(&streamed, &cut);
        let audio = Audio {
            samples: samples.iter().map(|sample| f32::from(*sample) / 32768.0).collect(),
            sample_rate_hz: 16_000,
        };
        if !samples.is_empty() {
            let extractor = DeviceExtractor::new(&spec).unwrap();
            prop_assert_eq!(extractor.extract(&audio).unwrap().values, cut);
        }
    }
}

/// A WAV file of raw samples.
fn wav(tag: u16, channels: u16, sample_rate_hz: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    let block = channels * (bits / 8);
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
    file.extend([tag.to_le_bytes(), channels.to_le_bytes()].concat());
    file.extend(sample_rate_hz.to_le_bytes());
    file.extend((sample_rate_hz * u32::from(block)).to_le_bytes());
    file.extend([block.to_le_bytes(), bits.to_le_bytes()].concat());
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

#[test]
fn every_sample_format_is_read() {
    fn check(channels: u16, bits: u16, format: hound::SampleFormat) {
        let spec = hound::WavSpec {
            channels,
            sample_rate: 44_100,
            bits_per_sample: bits,
            sample_format: format,
        };
        let mut file = std::io::Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
        let full_scale = 2f64.powi(i32::from(bits) - 1);
        let values: Vec<f64> = (0..5 * channels)
            .map(|idx| (f64::from(idx) / f64::from(5 * channels) - 0.5) * 2.0)
            .collect();
        for value in &values {
            match format {
                hound::SampleFormat::Int => writer.write_sample((value * full_scale) as i32),
                hound::SampleFormat::Float => writer.write_sample(*value as f32),
            }
            .unwrap();
        }
        writer.finalize().unwrap();
        let last = usize::from(channels) - 1;
        let audio = decode(file.get_ref(), Channel::Index(last)).unwrap();
        assert_eq!((audio.samples.len(), audio.sample_rate_hz), (5, 44_100));
        // hound's writer was given values that are cut to a whole step.
        let step = if format == hound::SampleFormat::Int {
            1.0 / full_scale
        } else {
            1e-7
        };
        for (moment, found) in values.chunks(channels.into()).zip(&audio.samples) {
            let difference = (moment[last] - f64::from(*found)).abs();
            assert!(difference <= step.max(1e-7), "{bits} bits: {found}");
        }
        let mean = decode(file.get_ref(), Channel::Mean).unwrap();
        let expected = values[..channels.into()].iter().sum::<f64>() / f64::from(channels);
        assert!((f64::from(mean.samples[0]) - expected).abs() <= step.max(1e-7));
    }
    for channels in [1, 2, 8] {
        for bits in [8, 16, 24, 32] {
            check(channels, bits, hound::SampleFormat::Int);
        }
        check(channels, 32, hound::SampleFormat::Float);
    }
}

#[test]
fn unusual_and_damaged_files_are_told_apart() {
    fn check(file: &[u8], channel: Channel, expected: &str) {
        let found = match decode(file, channel) {
            Ok(audio) => format!("{:?} at {}", audio.samples, audio.sample_rate_hz),
            Err(error) => error.to_string(),
        };
        assert!(found.contains(expected), "{found} instead of {expected}");
    }
    let first = Channel::default();
    let good = wav(1, 1, 16_000, 16, &[0, 0x40, 0, 0xC0]);
    check(&good, first, "[0.5, -0.5] at 16000");
    check(
        &good,
        Channel::Index(1),
        "channel 1 was asked for, there are 1",
    );
    check(
        &good[..good.len() - 1],
        first,
        "promises 4 bytes of sound, 3 are there",
    );
    check(&good[..36], first, "no data chunk");
    check(&good[..30], first, "shorter than 16 bytes");
    check(&good[..11], first, "neither WAV, FLAC");
    check(&[], first, "no samples");
    check(&wav(1, 1, 16_000, 16, &[]), first, "no samples");
    check(
        &wav(1, 1, 16_000, 16, &[1, 2, 3]),
        first,
        "in the middle of a sample",
    );
    check(
        &wav(1, 2, 16_000, 16, &[1, 2]),
        first,
        "in the middle of a sample",
    );
    check(
        &wav(1, 0, 16_000, 16, &[1, 2]),
        first,
        "channels is 0, must be 1 to 8",
    );
    check(
        &wav(1, 9, 16_000, 16, &[1, 2]),
        first,
        "channels is 9, must be 1 to 8",
    );
    check(&wav(1, 1, 0, 16, &[1, 2]), first, "sample rate in Hz is 0");
    check(
        &wav(1, 1, 16_000, 48, &[1, 2]),
        first,
        "of 48 bits cannot be read",
    );
    check(
        &wav(0x55, 1, 16_000, 8, &[1, 2]),
        first,
        "encoding 0x0055 of 8 bits",
    );
    // Twelve bits lie in the upper part of two bytes.
    let twelve = [&good[..34], &[12, 0], &good[36..]].concat();
    check(&twelve, first, "[0.5, -0.5]");
    check(
        &wav(3, 1, 16_000, 32, &f32::NAN.to_le_bytes()),
        first,
        "value 0 is not a finite",
    );
    check(
        &wav(3, 1, 16_000, 64, &1e300f64.to_le_bytes()),
        first,
        "value 0 is not a finite",
    );
    check(
        &wav(3, 1, 16_000, 64, &0.25f64.to_le_bytes()),
        first,
        "[0.25]",
    );
    check(b"fLaC", first, "damaged");
    check(b"ID3\x03 and so on", first, "damaged");
    let in_steps = |values: [f32; 2]| wav(3, 1, 16_000, 32, &values.map(f32::to_le_bytes).concat());
    check(&in_steps([1.5, -0.5]), first, "[1.5, -0.5]");
    check(&in_steps([9830.4, 0.1]), first, "reach 9830");
    check(&in_steps([-3.0, 2.0]), first, "divide them by 32768");
    check(&in_steps([1.0, -1.0]), first, "[1.0, -1.0]");

    for length in [[0xFF; 4], [0; 4]] {
        let open_ended = [&good[..40], &length, &good[44..]].concat();
        check(&open_ended, first, "[0.5, -0.5]");
        check(&[&open_ended[..], &[7]].concat(), first, "[0.5, -0.5]");
    }
    let no_sound = [&good[..40], &[0; 4], b"LIST\x03\0\0\0abc\0"].concat();
    check(&no_sound, first, "no samples");
    let odd_chunk = [&good[..36], b"LIST\x03\0\0\0abc\0", &good[36..]].concat();
    check(&odd_chunk, first, "[0.5, -0.5]");
    let data_first = [&good[..12], &good[36..], &good[12..36]].concat();
    check(&data_first, first, "data come before the format");
}

/// Every coding decodes to what libsndfile makes of it (`tests/golden/make_sounds.py`).
#[test]
fn every_coding_is_read() {
    fn check(name: &str, encoding: Encoding, bits: u32, tolerance: f32) {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/sounds");
        let path = std::path::Path::new(golden).join(name);
        let expected = std::fs::read(path.with_extension("i16")).unwrap();
        let expected: Vec<i16> = expected
            .as_chunks::<2>()
            .0
            .iter()
            .map(|bytes| i16::from_le_bytes(*bytes))
            .collect();
        for channel in [0, 1] {
            let found = read_recording(&path, Channel::Index(channel)).unwrap();
            let form = Form {
                encoding,
                channels: 2,
                bits,
            };
            assert_eq!(found.form, form, "{name}");
            assert_eq!(found.audio.sample_rate_hz, 11_025, "{name}");
            assert_eq!(found.audio.samples.len(), expected.len() / 2, "{name}");
            let expected = expected[channel..].iter().step_by(2);
            for (found, expected) in found.audio.samples.iter().zip(expected) {
                let expected = f32::from(*expected) / 32768.0;
                assert!(
                    (found - expected).abs() <= tolerance,
                    "{name}: {found} {expected}"
                );
            }
        }
        assert!(is_sound(&path) || name == "mp3.mp3");
    }
    check("ima_adpcm.wav", Encoding::ImaAdpcm, 4, 0.0);
    check("ms_adpcm.wav", Encoding::MsAdpcm, 4, 0.0);
    check("a_law.wav", Encoding::ALaw, 8, 0.0);
    check("mu_law.wav", Encoding::MuLaw, 8, 0.0);
    check("extensible.wav", Encoding::Pcm, 16, 0.0);
    check("rf64.wav", Encoding::Pcm, 16, 0.0);
    // Rounded to 16 bits by the script.
    let half_a_step = 0.5 / 32768.0;
    check("w64.w64", Encoding::Pcm, 24, half_a_step);
    // Decoders differ by their rounding: a step and a half.
    check("vorbis.ogg", Encoding::Vorbis, 0, 3.0 * half_a_step);
    check("mp3.mp3", Encoding::Mp3, 0, 3.0 * half_a_step);
}

/// An encoder that writes into a pipe cannot go back to write the length.
#[test]
fn a_streamed_flac_is_read() {
    let file = include_bytes!("../../tests/golden/sine.flac");
    let whole = decode(file, Channel::default()).unwrap();
    let mut streamed = file.to_vec();
    // 36 bits of samples in all, behind 13 bytes of head and block sizes.
    streamed[21] &= 0xF0;
    streamed[22..26].fill(0);
    assert_eq!(decode(&streamed, Channel::default()), Ok(whole));
}

#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.wav");
    std::fs::write(&path, "notes").unwrap();
    for (path, reason) in [
        (path, "neither WAV, FLAC, Ogg Vorbis nor MP3"),
        (folder.path().join("missing.wav"), "No such file"),
        (folder.path().to_path_buf(), "not a file"),
    ] {
        let message = read(&path, Channel::default()).unwrap_err().to_string();
        assert!(message.starts_with(path.to_str().unwrap()) && message.contains(reason));
    }
}

#[test]
fn a_sine_stays_a_sine() {
    fn check(from: u32, to: u32, frequency_hz: f64) {
        let samples = from as usize * 2 + 7;
        let audio = Audio {
            samples: sine(frequency_hz, samples, from),
            sample_rate_hz: from,
        };
        let resampled = audio.resampled(to).unwrap();
        assert_eq!(resampled.sample_rate_hz, to);
        let expected_length = (samples * to as usize).div_ceil(from as usize);
        assert_eq!(resampled.samples.len(), expected_length);
        let expected = sine(frequency_hz, expected_length, to);
        // The ends know only one side of the sound, so a block of the filter is left out there.
        let inner = 0.1 * f64::from(to);
        let inner = inner as usize..expected_length - inner as usize;
        let power = |values: &mut dyn Iterator<Item = f32>| -> f64 {
            values.map(|value| f64::from(value).powi(2)).sum()
        };
        let signal = power(&mut expected[inner.clone()].iter().copied());
        let noise = power(
            &mut inner
                .clone()
                .map(|idx| resampled.samples[idx] - expected[idx]),
        );
        let snr_db = 10.0 * (signal / noise).log10();
        println!("{from} -> {to} Hz, {frequency_hz} Hz: {snr_db:.1} dB");
        assert!(snr_db > 60.0);
    }
    check(44_100, 16_000, 997.0);
    check(44_100, 16_000, 7_500.0);
    check(48_000, 16_000, 440.0);
    check(22_050, 16_000, 3_000.0);
    check(8_000, 16_000, 3_000.0);
    check(15_999, 16_000, 440.0);
    check(96_000, 8_000, 440.0);
}

#[test]
fn what_lies_above_the_new_band_is_gone() {
    let audio = Audio {
        samples: sine(9_000.0, 88_200, 44_100),
        sample_rate_hz: 44_100,
    };
    let resampled = audio.resampled(16_000).unwrap();
    let inner = &resampled.samples[2_000..30_000];
    let loudest = inner.iter().fold(0f32, |most, s| most.max(s.abs()));
    // -80 dB, the usual demand on an anti-aliasing filter.
    assert!(loudest < 1e-4, "{loudest}");
}

#[test]
fn extraction_resamples_and_refuses_what_it_cannot_do() {
    let audio = Audio {
        samples: sine(1_000.0, 48_000, 48_000),
        sample_rate_hz: 48_000,
    };
    let resampled = audio.resampled(16_000).unwrap();
    assert_eq!(DCASE.extract(&audio), DCASE.extract(&resampled));

    fn check(spec: FeatureSpec, audio: &Audio, padding: Padding, expected: &str) {
        let found = Extractor::with(&spec, padding, Decibels::Floor)
            .and_then(|extractor| extractor.extract(audio))
            .map(|matrix| format!("{} frames", matrix.frames()))
            .unwrap_or_else(|error| error.to_string());
        assert_eq!(found, expected);
    }
    let short = |samples: &[f32]| Audio {
        samples: samples.to_vec(),
        sample_rate_hz: 16_000,
    };
    let one = short(&[1.0]);
    let mfcc = |coefficients| Feature::Mfcc { coefficients };
    check(DCASE, &one, Padding::Zero, "1 frames");
    check(
        DCASE,
        &one,
        Padding::Reflect,
        "1 samples, at least 513 are needed",
    );
    check(DCASE, &short(&[]), Padding::Zero, "holds no samples");
    check(
        DCASE,
        &short(&[0.0, f32::INFINITY]),
        Padding::Zero,
        "value 1 is not a finite number",
    );
    check(DCASE, &short(&[f32::MAX; 1000]), Padding::Zero, "2 frames");
    check(
        FeatureSpec {
            n_fft: 1000,
            ..DCASE
        },
        &one,
        Padding::Zero,
        "n_fft is 1000, must be a power of two from 16 to 65536",
    );
    check(
        FeatureSpec {
            hop_length: 0,
            ..DCASE
        },
        &one,
        Padding::Zero,
        "hop_length is 0, must be 16 to 65536",
    );
    check(
        FeatureSpec { n_mels: 0, ..DCASE },
        &one,
        Padding::Zero,
        "n_mels is 0, must be 1 to 1024",
    );
    check(
        FeatureSpec {
            feature: mfcc(129),
            ..DCASE
        },
        &one,
        Padding::Zero,
        "coefficients is 129, must be 1 to n_mels",
    );
    check(
        FeatureSpec {
            sample_rate_hz: 0,
            ..DCASE
        },
        &one,
        Padding::Zero,
        "the sample rate in Hz is 0, must be 1000 to 384000",
    );
}

const FLAC: &[u8] = include_bytes!("../../tests/golden/sine.flac");

#[test]
fn flac_is_read_by_channel() {
    let left = decode(FLAC, Channel::Index(0)).unwrap();
    let right = decode(FLAC, Channel::Index(1)).unwrap();
    let mean = decode(FLAC, Channel::Mean).unwrap();
    assert_eq!((left.samples.len(), left.sample_rate_hz), (5000, 16_000));
    let signal = &golden_signal(16_000).samples[1000..];
    for (idx, expected) in signal.iter().enumerate() {
        let [left, right, mean] = [&left, &right, &mean].map(|audio| audio.samples[idx]);
        let left_integer = (f64::from(*expected) * 32767.0).floor();
        assert_eq!(f64::from(left) * 32768.0, left_integer);
        assert_eq!(f64::from(right) * 32768.0, (left_integer / 2.0).floor());
        assert_eq!(mean, (left + right) / 2.0);
    }
    let cut = &FLAC[..FLAC.len() - 100];
    assert!(decode(cut, Channel::Mean).is_err());
    assert!(decode(FLAC, Channel::Index(2)).is_err());
}

/// Any file that decodes gives finite samples, and no more of them than its bytes can stand for.
fn decode_hostile(bytes: &[u8]) {
    for channel in [Channel::Mean, Channel::Index(0)] {
        if let Ok(audio) = decode(bytes, channel) {
            assert!(audio.samples.iter().all(|sample| sample.is_finite()));
            let expansion = if bytes.starts_with(b"fLaC") {
                1 << 24
            } else {
                bytes.len()
            };
            assert!((1..=expansion).contains(&audio.samples.len()));
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(
        head in 0usize..4,
        rest in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let wav = wav(1, 1, 16_000, 16, &[]);
        let head = [b"" as &[u8], &wav[..12], &wav[..40], &FLAC[..42]][head];
        decode_hostile(&[head, &rest].concat());
    }

    #[test]
    fn no_change_of_a_good_file_makes_a_reader_panic(
        kind in 0usize..4,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        in_header in any::<bool>(),
        kept in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let data = [7, 1, 2, 3, 4, 5, 6, 0].repeat(12);
        let mut file = match kind {
            0 => wav(1, 2, 16_000, 16, &data),
            1 => wav(1, 1, 44_100, 24, &data),
            2 => wav(3, 1, 48_000, 32, &data),
            _ => FLAC.to_vec(),
        };
        for (position, value) in changes {
            let range = if in_header { file.len().min(64) } else { file.len() };
            let position = position.index(range);
            file[position] = value;
        }
        if cut {
            file.truncate(kept.index(file.len()));
        }
        decode_hostile(&file);
    }
}
