//! What a microphone and its circuit do to sound: level, offset, low cut, noise, clipping, starts, lost blocks, clocks.
//!
//! Every one is a function of samples alone: the same one makes the same sound on every machine.

use std::{f64::consts::TAU, fmt};

use crate::{
    disturb::{amplitude, at_speed},
    units::Rng,
};

/// One thing that a microphone does to sound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Strain {
    /// Nothing.
    None,
    /// Louder or softer by so many dB.
    Gain(f64),
    /// An offset by so many per cent of full scale.
    Offset(f64),
    /// Frequencies below this one, in hertz, fall by 12 dB per octave.
    LowCut(f64),
    /// Another microphone: 6 dB more around 5 kHz, or a quarter of the sample rate where that is lower, and a low cut at 100 Hz.
    Response,
    /// Nothing is left above nine tenths of the half of this sample rate, in hertz: a recording at another rate.
    Rate(f64),
    /// White noise so many dB below the sound.
    Noise(f64),
    /// Peaks are cut off so many dB below the highest one.
    Clipping(f64),
    /// The sound begins with a step to half of full scale that dies out within 100 ms.
    Pop,
    /// The first so many milliseconds are zeros.
    Zeros(f64),
    /// A tenth of the sound, from its middle on, is zeros: a loose contact.
    Contact,
    /// One block of 20 ms is lost every second.
    LostBlocks,
    /// The clock is fast or slow by so many per cent.
    Clock(f64),
}

impl Strain {
    /// What `nas stress` tries, the sound as it is first.
    pub const ALL: [Strain; 23] = [
        Strain::None,
        Strain::Gain(-12.0),
        Strain::Gain(-6.0),
        Strain::Gain(-3.0),
        Strain::Gain(3.0),
        Strain::Gain(6.0),
        Strain::Gain(12.0),
        Strain::Offset(1.0),
        Strain::Offset(5.0),
        Strain::LowCut(100.0),
        Strain::LowCut(300.0),
        Strain::Response,
        Strain::Rate(8000.0),
        Strain::Noise(20.0),
        Strain::Noise(10.0),
        Strain::Noise(0.0),
        Strain::Clipping(6.0),
        Strain::Pop,
        Strain::Zeros(100.0),
        Strain::Contact,
        Strain::LostBlocks,
        Strain::Clock(-0.1),
        Strain::Clock(0.1),
    ];

    /// The sound as the microphone gives it, before 16 bits cut it off.
    pub fn of(self, samples: &[f32], rate_hz: u32) -> Vec<f32> {
        let rate_hz = f64::from(rate_hz);
        let each = |change: &dyn Fn(f64) -> f64| -> Vec<f32> {
            let changed = samples
                .iter()
                .map(|sample| change(f64::from(*sample)) as f32);
            changed.collect()
        };
        match self {
            Strain::None => samples.to_vec(),
            Strain::Gain(db) => each(&|sample| sample * amplitude(db)),
            Strain::Offset(percent) => each(&|sample| sample + percent / 100.0),
            Strain::LowCut(hz) => filtered(samples, [Biquad::high_pass(hz, rate_hz)]),
            Strain::Response => {
                let peak = Biquad::peak(5000f64.min(rate_hz / 4.0), 6.0, rate_hz);
                filtered(samples, [Biquad::high_pass(100.0, rate_hz), peak])
            }
            Strain::Rate(of_hz) => {
                let corner_hz = (0.45 * of_hz).min(0.45 * rate_hz);
                // Eighth order, by Butterworth's poles.
                let quality = |pole: f64| 1.0 / (2.0 * (TAU * (2.0 * pole + 1.0) / 32.0).cos());
                let filters = [0.0, 1.0, 2.0, 3.0].map(quality);
                filtered(
                    samples,
                    filters.map(|quality| Biquad::low_pass(corner_hz, quality, rate_hz)),
                )
            }
            Strain::Noise(snr_db) => {
                let power = samples.iter().map(|sample| f64::from(*sample).powi(2));
                let mean = power.sum::<f64>() / samples.len().max(1) as f64;
                let level = (mean.sqrt()) * amplitude(-snr_db);
                let mut rng = Rng::new(0, 0x6d69_6372_6f70_686f);
                let noisy = |sample: &f32| (f64::from(*sample) + level * rng.normal()) as f32;
                samples.iter().map(noisy).collect()
            }
            Strain::Clipping(db) => {
                let peak = samples
                    .iter()
                    .fold(0f32, |peak, sample| peak.max(sample.abs()));
                let limit = f64::from(peak) * amplitude(-db);
                each(&|sample| sample.clamp(-limit, limit))
            }
            Strain::Pop => {
                let fall = 0.02 * rate_hz;
                let popped = samples.iter().enumerate().map(|(idx, sample)| {
                    (f64::from(*sample) + 0.5 * (-(idx as f64) / fall).exp()) as f32
                });
                popped.collect()
            }
            Strain::Zeros(ms) => {
                let mut samples = samples.to_vec();
                let zeros = ((ms * rate_hz / 1e3) as usize).min(samples.len());
                samples[..zeros].fill(0.0);
                samples
            }
            Strain::Contact => {
                let mut samples = samples.to_vec();
                let (from, count) = (samples.len() / 2, samples.len() / 10);
                samples[from..from + count].fill(0.0);
                samples
            }
            Strain::LostBlocks => {
                let [second, lost] = [rate_hz, 0.02 * rate_hz].map(|count| count as usize);
                let seconds = samples.chunks(second.max(1));
                let kept = seconds.map(|part| &part[..part.len().min(second - lost)]);
                kept.flatten().copied().collect()
            }
            Strain::Clock(percent) => at_speed(samples, 1.0 + percent / 100.0),
        }
    }
}

impl fmt::Display for Strain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Strain::None => f.write_str("as recorded"),
            Strain::Gain(db) => write!(f, "gain {db:+} dB"),
            Strain::Offset(percent) => write!(f, "offset {percent} %"),
            Strain::LowCut(hz) => write!(f, "low cut {hz} Hz"),
            Strain::Response => f.write_str("another microphone"),
            Strain::Rate(hz) => write!(f, "recorded at {} kHz", hz / 1000.0),
            Strain::Noise(db) => write!(f, "white noise, SNR {db} dB"),
            Strain::Clipping(db) => write!(f, "clipped {db} dB below the peak"),
            Strain::Pop => f.write_str("pop at the start"),
            Strain::Zeros(ms) => write!(f, "{ms} ms of zeros at the start"),
            Strain::Contact => f.write_str("a tenth lost in the middle"),
            Strain::LostBlocks => f.write_str("20 ms lost every second"),
            Strain::Clock(percent) => write!(f, "clock {percent:+} %"),
        }
    }
}

/// The sound behind filters, one after the other.
fn filtered<const COUNT: usize>(samples: &[f32], mut filters: [Biquad; COUNT]) -> Vec<f32> {
    let next = |sample: &f32| {
        let sample = f64::from(*sample);
        filters
            .iter_mut()
            .fold(sample, |value, filter| filter.next(value)) as f32
    };
    samples.iter().map(next).collect()
}

/// A filter of second order.
///
/// Source of the coefficients: R. Bristow-Johnson, Audio EQ Cookbook.
struct Biquad {
    forward: [f64; 3],
    back: [f64; 2],
    inputs: [f64; 2],
    outputs: [f64; 2],
}

impl Biquad {
    fn new(forward: [f64; 3], back: [f64; 3]) -> Biquad {
        Biquad {
            forward: forward.map(|value| value / back[0]),
            back: [back[1], back[2]].map(|value| value / back[0]),
            inputs: [0.0; 2],
            outputs: [0.0; 2],
        }
    }

    fn low_pass(corner_hz: f64, quality: f64, rate_hz: f64) -> Biquad {
        let (sine, cosine) = (TAU * corner_hz / rate_hz).sin_cos();
        let width = sine / (2.0 * quality);
        let side = (1.0 - cosine) / 2.0;
        Biquad::new(
            [side, 2.0 * side, side],
            [1.0 + width, -2.0 * cosine, 1.0 - width],
        )
    }

    /// Without a peak: of quality 1 / sqrt(2).
    fn high_pass(corner_hz: f64, rate_hz: f64) -> Biquad {
        let (sine, cosine) = (TAU * corner_hz / rate_hz).min(3.0).sin_cos();
        let width = sine / std::f64::consts::SQRT_2;
        let side = (1.0 + cosine) / 2.0;
        Biquad::new(
            [side, -2.0 * side, side],
            [1.0 + width, -2.0 * cosine, 1.0 - width],
        )
    }

    /// So many dB more around a frequency, with a quality of 1.
    fn peak(middle_hz: f64, level_db: f64, rate_hz: f64) -> Biquad {
        let (sine, cosine) = (TAU * middle_hz / rate_hz).sin_cos();
        let (width, gain) = (sine / 2.0, amplitude(level_db / 2.0));
        Biquad::new(
            [1.0 + width * gain, -2.0 * cosine, 1.0 - width * gain],
            [1.0 + width / gain, -2.0 * cosine, 1.0 - width / gain],
        )
    }

    fn next(&mut self, input: f64) -> f64 {
        let output = self.forward[0] * input
            + self.forward[1] * self.inputs[0]
            + self.forward[2] * self.inputs[1]
            - self.back[0] * self.outputs[0]
            - self.back[1] * self.outputs[1];
        self.inputs = [input, self.inputs[0]];
        self.outputs = [output, self.outputs[0]];
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE_HZ: u32 = 16_000;

    fn tone(hz: f64) -> Vec<f32> {
        let step = TAU * hz / f64::from(RATE_HZ);
        (0..16_000)
            .map(|idx| (0.2 * (step * f64::from(idx)).sin()) as f32)
            .collect()
    }

    fn level_db(samples: &[f32]) -> f64 {
        let power = samples.iter().map(|sample| f64::from(*sample).powi(2));
        10.0 * (power.sum::<f64>() / samples.len() as f64).log10()
    }

    #[test]
    fn levels_are_as_named() {
        let sound = tone(1000.0);
        let check = |strain: Strain, hz: f64, expected_db: f64| {
            let sound = tone(hz);
            let change = level_db(&strain.of(&sound, RATE_HZ)) - level_db(&sound);
            assert!((change - expected_db).abs() < 0.2, "{strain}: {change}");
        };
        check(Strain::None, 1000.0, 0.0);
        check(Strain::Gain(-6.0), 1000.0, -6.0);
        check(Strain::Gain(12.0), 1000.0, 12.0);
        // At the corner 3 dB are lost, far above nothing, two octaves below 24 dB.
        check(Strain::LowCut(300.0), 300.0, -3.0);
        check(Strain::LowCut(100.0), 3000.0, 0.0);
        check(Strain::LowCut(400.0), 100.0, -24.1);
        check(Strain::Response, 4000.0, 6.0);
        check(Strain::Response, 1000.0, 0.1);
        check(Strain::Rate(8000.0), 3600.0, -3.0);
        check(Strain::Rate(8000.0), 1000.0, 0.0);
        // Eight poles take 51.4 dB of a steady tone; its beginning gets through.
        check(Strain::Rate(8000.0), 5400.0, -48.0);
        check(Strain::Noise(0.0), 1000.0, 3.0);
        check(Strain::Noise(20.0), 1000.0, 0.04);
        let offset = Strain::Offset(5.0).of(&sound, RATE_HZ);
        let mean = offset.iter().sum::<f32>() / offset.len() as f32;
        assert!((mean - 0.05).abs() < 1e-3);
        let clipped = Strain::Clipping(6.0).of(&sound, RATE_HZ);
        let peak = clipped.iter().fold(0f32, |peak, sample| peak.max(*sample));
        assert!((peak - 0.2 / 1.9953).abs() < 1e-3, "{peak}");
    }

    #[test]
    fn times_are_as_named() {
        let sound = tone(1000.0);
        let lengths = |strain: Strain| strain.of(&sound, RATE_HZ).len();
        assert_eq!(lengths(Strain::LostBlocks), 15_680);
        assert_eq!(lengths(Strain::Clock(0.1)), lengths(Strain::None));
        let contact = Strain::Contact.of(&sound, RATE_HZ);
        let silent = contact.iter().filter(|sample| **sample == 0.0).count();
        assert!((1600..1700).contains(&silent), "{silent}");
        let zeros = Strain::Zeros(100.0).of(&sound, RATE_HZ);
        // A tone passes through zero where the zeros end.
        let first = zeros.iter().position(|sample| *sample != 0.0).unwrap();
        assert!((1600..1602).contains(&first), "{first}");
        let pop = Strain::Pop.of(&sound, RATE_HZ);
        assert!((pop[0] - 0.5).abs() < 1e-6 && (pop[8000] - sound[8000]).abs() < 1e-6);
    }
}
