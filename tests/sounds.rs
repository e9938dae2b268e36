//! Hum and hiss, and what faults of machines sound like in them: knocks and clicks.

use std::{f64::consts::TAU, fs, path::Path};

use nas::units::Rng;

pub const SAMPLE_RATE_HZ: u32 = 16_000;

/// A fault of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Every 0.31 s a decaying tone at 2.3 kHz, fainter than the hum.
    Knocks,
    /// Some five times a second, at no regular time, 2 ms of noise.
    Clicks,
}

/// Writes `normal/` and `abnormal/` clips of so many seconds into a folder.
pub fn write(folder: &Path, fault: Fault, counts: [usize; 2], seconds: f64, seed: u64) {
    let mut rng = Rng::new(seed, 0x0073_6f75_6e64);
    for (kind, count) in ["normal", "abnormal"].into_iter().zip(counts) {
        let folder = folder.join(kind);
        fs::create_dir_all(&folder).expect("a folder that can be written");
        for idx in 0..count {
            let mut sound = hum(seconds, &mut rng);
            if kind == "abnormal" {
                add(fault, &mut sound, &mut rng);
            }
            save(&folder.join(format!("clip_{idx:03}.wav")), &sound);
        }
    }
}

/// Eleven harmonics of mains hum, each as loud as it happens to be, and white noise.
fn hum(seconds: f64, rng: &mut Rng) -> Vec<f64> {
    let count = (seconds * f64::from(SAMPLE_RATE_HZ)) as usize;
    let frequency_hz = 50.0 * (1.0 + 0.02 * rng.normal());
    let harmonics: Vec<[f64; 2]> = (0..11)
        .map(|_| [0.5 + 0.5 * rng.uniform(), TAU * rng.uniform()])
        .collect();
    let sample = |idx: usize| {
        let t = idx as f64 / f64::from(SAMPLE_RATE_HZ);
        let harmonic = |(order, [loudness, phase]): (usize, &[f64; 2])| {
            let order = (order + 1) as f64;
            loudness / order * (TAU * frequency_hz * order * t + phase).sin()
        };
        0.08 * harmonics.iter().enumerate().map(harmonic).sum::<f64>()
    };
    (0..count)
        .map(|idx| sample(idx) + 0.03 * rng.normal())
        .collect()
}

fn add(fault: Fault, sound: &mut [f64], rng: &mut Rng) {
    let rate_hz = f64::from(SAMPLE_RATE_HZ);
    let seconds = sound.len() as f64 / rate_hz;
    match fault {
        Fault::Knocks => {
            let mut at = 0.3 * rng.uniform();
            while at < seconds {
                let length = (0.03 * rate_hz) as usize;
                for (idx, sample) in sound
                    .iter_mut()
                    .skip((at * rate_hz) as usize)
                    .take(length)
                    .enumerate()
                {
                    let t = idx as f64 / rate_hz;
                    *sample += 0.05 * (-t / 0.006).exp() * (TAU * 2300.0 * t).sin();
                }
                at += 0.31;
            }
        }
        Fault::Clicks => {
            for _ in 0..(5.0 * seconds) as usize {
                let first = rng.below(sound.len());
                let length = (0.002 * rate_hz) as usize;
                for sample in sound.iter_mut().skip(first).take(length) {
                    *sample += 0.05 * rng.normal();
                }
            }
        }
    }
}

fn save(path: &Path, sound: &[f64]) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE_HZ,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = hound::WavWriter::create(path, spec).expect("a file that can be written");
    for sample in sound {
        let sample = (sample.clamp(-1.0, 1.0) * 32767.0) as i16;
        file.write_sample(sample)
            .expect("a file that can be written");
    }
    file.finalize().expect("a file that can be written");
}
