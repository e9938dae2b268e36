//! Signal blocks of the generator: oscillators locked to a shaft, noise, filters, rings, convolution.

use realfft::RealFftPlanner;

use super::SAMPLE_RATE_HZ;
use crate::units::Rng;

/// Samples in one second.
pub(super) const RATE: f64 = SAMPLE_RATE_HZ as f64;

/// One partial of a tone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Partial {
    /// Periods in one turn of the shaft.
    pub order: f64,
    /// Peak amplitude.
    pub amplitude: f64,
    /// In turns, `[0, 1)`.
    pub phase: f64,
}

/// A second-order filter section (R. Bristow-Johnson, "Audio EQ Cookbook").
#[derive(Debug, Clone, Copy)]
pub(super) struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
}

impl Biquad {
    /// Passes what lies below `hz` and damps what lies above.
    pub fn low_pass(hz: f64) -> Self {
        let (cos, alpha) = prewarp(hz, std::f64::consts::FRAC_1_SQRT_2);
        let b = 1.0 - cos;
        Self::normalised(
            [b / 2.0, b, b / 2.0],
            [1.0 + alpha, -2.0 * cos, 1.0 - alpha],
        )
    }

    /// Passes what lies above `hz` and damps what lies below.
    pub fn high_pass(hz: f64) -> Self {
        let (cos, alpha) = prewarp(hz, std::f64::consts::FRAC_1_SQRT_2);
        let b = 1.0 + cos;
        Self::normalised(
            [b / 2.0, -b, b / 2.0],
            [1.0 + alpha, -2.0 * cos, 1.0 - alpha],
        )
    }

    /// Raises (or lowers) a band around `hz` by `gain_db`.
    pub fn peak(hz: f64, q: f64, gain_db: f64) -> Self {
        let (cos, alpha) = prewarp(hz, q);
        let gain = 10f64.powf(gain_db / 40.0);
        Self::normalised(
            [1.0 + alpha * gain, -2.0 * cos, 1.0 - alpha * gain],
            [1.0 + alpha / gain, -2.0 * cos, 1.0 - alpha / gain],
        )
    }

    /// Filters a signal in place.
    pub fn run(self, signal: &mut [f32]) {
        let ([b0, b1, b2], [a1, a2]) = (self.b, self.a);
        let (mut s1, mut s2) = (0.0, 0.0);
        for sample in signal {
            let x = f64::from(*sample);
            let y = b0 * x + s1;
            s1 = b1 * x - a1 * y + s2;
            s2 = b2 * x - a2 * y;
            *sample = y as f32;
        }
    }

    fn normalised(b: [f64; 3], a: [f64; 3]) -> Self {
        Biquad {
            b: b.map(|value| value / a[0]),
            a: [a[1] / a[0], a[2] / a[0]],
        }
    }
}

/// Turns that a shaft has made at each sample, at `rate_hz` with a slow relative `wander`.
pub(super) fn turns(samples: usize, rate_hz: f64, wander: f64, rng: &mut Rng) -> Vec<f64> {
    // The speed changes every 8 ms, and its memory lasts about half a second.
    const BLOCK: usize = 128;
    const MEMORY: f64 = 0.984;
    let mut deviation = rng.normal();
    let mut turn = rng.uniform();
    let mut out = Vec::with_capacity(samples);
    while out.len() < samples {
        deviation = MEMORY * deviation + (1.0 - MEMORY * MEMORY).sqrt() * rng.normal();
        let step = rate_hz / RATE * (1.0 + wander * deviation);
        for _ in 0..BLOCK.min(samples - out.len()) {
            out.push(turn);
            turn += step;
        }
    }
    out
}

/// A sum of partials locked to the shaft.
pub(super) fn tones(turns: &[f64], partials: &[Partial]) -> Vec<f32> {
    let mut out = vec![0.0f32; turns.len()];
    for partial in partials {
        for (sample, turn) in out.iter_mut().zip(turns) {
            *sample += partial.amplitude as f32 * sin_turns(partial.order * turn + partial.phase);
        }
    }
    out
}

/// Partials at the multiples `1..=count` of `order`, which fall as `1 / h^fall`.
///
/// The machine's `design` gives the amplitudes and the clip gives the phases. Together the partials have unit power.
pub(super) fn harmonics(
    order: f64,
    count: usize,
    fall: f64,
    design: &mut Rng,
    clip: &mut Rng,
) -> Vec<Partial> {
    let mut partials: Vec<Partial> = (1..=count)
        .map(|h| Partial {
            order: order * h as f64,
            // Load and temperature move each partial by about 1 dB from clip to clip.
            amplitude: design.range(0.4, 1.0) / (h as f64).powf(fall)
                * (1.0 + 0.12 * clip.normal()),
            phase: clip.uniform(),
        })
        .collect();
    let power: f64 = partials
        .iter()
        .map(|p| p.amplitude * p.amplitude / 2.0)
        .sum();
    for partial in &mut partials {
        partial.amplitude /= power.sqrt();
    }
    partials
}

/// The samples of events that happen `per_turn` times a turn, with relative `jitter`.
pub(super) fn events(turns: &[f64], per_turn: f64, jitter: f64, rng: &mut Rng) -> Vec<usize> {
    let mut next = turns.first().copied().unwrap_or(0.0) + rng.uniform() / per_turn;
    let mut out = Vec::new();
    for (idx, turn) in turns.iter().enumerate() {
        if *turn >= next {
            out.push(idx);
            // Slips may be large, but never go back in time.
            next += (1.0 + jitter * rng.normal()).max(0.1) / per_turn;
        }
    }
    out
}

/// White noise of unit power. It is uniform, since filters and the spectrum make it Gaussian anyway.
pub(super) fn white(samples: usize, rng: &mut Rng) -> Vec<f32> {
    let half_width = 3f64.sqrt();
    (0..samples)
        .map(|_| rng.range(-half_width, half_width) as f32)
        .collect()
}

/// Noise of unit power between two frequencies.
pub(super) fn band_noise(samples: usize, low_hz: f64, high_hz: f64, rng: &mut Rng) -> Vec<f32> {
    let mut noise = white(samples, rng);
    Biquad::high_pass(low_hz).run(&mut noise);
    Biquad::low_pass(high_hz).run(&mut noise);
    unit_power(&mut noise);
    noise
}

/// Noise of unit power that falls by 3 dB per octave (P. Kellet's economy filter).
pub(super) fn pink_noise(samples: usize, rng: &mut Rng) -> Vec<f32> {
    let mut noise = white(samples, rng);
    let (mut slow, mut middle, mut fast) = (0.0f32, 0.0f32, 0.0f32);
    for sample in &mut noise {
        slow = 0.99765 * slow + *sample * 0.0990460;
        middle = 0.963 * middle + *sample * 0.2965164;
        fast = 0.57 * fast + *sample * 1.0526913;
        *sample = slow + middle + fast + *sample * 0.1848;
    }
    // The microphone does not hear what lies lower.
    Biquad::high_pass(30.0).run(&mut noise);
    unit_power(&mut noise);
    noise
}

/// Adds a damped oscillation that begins at sample `start`.
pub(super) fn ring(out: &mut [f32], start: usize, hz: f64, decay_s: f64, amplitude: f64) {
    let (cos, sin) = (
        f64::from(sin_turns(hz / RATE + 0.25)),
        f64::from(sin_turns(hz / RATE)),
    );
    let damping = (-1.0 / (decay_s * RATE)).exp();
    // After seven time constants 0.1 % is left.
    let length = (7.0 * decay_s * RATE) as usize;
    let (mut re, mut im) = (amplitude, 0.0);
    for sample in out.iter_mut().skip(start).take(length) {
        *sample += im as f32;
        (re, im) = (
            damping * (re * cos - im * sin),
            damping * (re * sin + im * cos),
        );
    }
}

/// `out += gain * signal`.
pub(super) fn add(out: &mut [f32], gain: f64, signal: &[f32]) {
    for (sample, other) in out.iter_mut().zip(signal) {
        *sample += gain as f32 * other;
    }
}

/// `signal *= envelope(index)`.
pub(super) fn shape(signal: &mut [f32], envelope: impl Fn(usize) -> f64) {
    for (idx, sample) in signal.iter_mut().enumerate() {
        *sample *= envelope(idx) as f32;
    }
}

/// Root of the mean square.
pub(super) fn rms(signal: &[f32]) -> f64 {
    let power: f64 = signal.iter().map(|s| f64::from(*s) * f64::from(*s)).sum();
    (power / signal.len().max(1) as f64).sqrt()
}

/// Scales a signal to unit power; silence stays silent.
pub(super) fn unit_power(signal: &mut [f32]) {
    let level = rms(signal);
    if level > 0.0 {
        signal
            .iter_mut()
            .for_each(|s| *s = (f64::from(*s) / level) as f32);
    }
}

/// Convolution by overlap and add; the result is as long as `signal`.
pub(super) fn convolve(signal: &[f32], response: &[f32]) -> Vec<f32> {
    const FFT: usize = 8192;
    assert!(
        response.len() <= FFT / 2,
        "a response fills at most half a block"
    );
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(FFT), planner.plan_fft_inverse(FFT));
    let mut block = forward.make_input_vec();
    let mut filter = forward.make_output_vec();
    let mut spectrum = forward.make_output_vec();
    let fits = "the plan made these buffers";

    block[..response.len()].copy_from_slice(response);
    forward.process(&mut block, &mut filter).expect(fits);
    let step = FFT - response.len();
    let mut out = vec![0.0f32; signal.len()];
    for (idx, chunk) in signal.chunks(step).enumerate() {
        block.fill(0.0);
        block[..chunk.len()].copy_from_slice(chunk);
        forward.process(&mut block, &mut spectrum).expect(fits);
        for (value, weight) in spectrum.iter_mut().zip(&filter) {
            *value *= weight;
        }
        inverse.process(&mut spectrum, &mut block).expect(fits);
        add(&mut out[idx * step..], 1.0 / FFT as f64, &block);
    }
    out
}

/// Sine of an angle in turns, to 4e-6. It has the same bits on every machine.
pub(super) fn sin_turns(turns: f64) -> f32 {
    // Adding and subtracting this number rounds to a whole number without a call.
    const ROUND: f64 = 6755399441055744.0;
    let part = (turns - ((turns + ROUND) - ROUND)) as f32;
    // Fold `[-1/2, 1/2]` to a quarter turn: sin(pi - x) = sin(x).
    let folded = part.signum() * (0.25 - (part.abs() - 0.25).abs());
    let x = folded * std::f32::consts::TAU;
    let x2 = x * x;
    // Taylor series up to the ninth power.
    x * (1.0 + x2 * (-1.0 / 6.0 + x2 * (1.0 / 120.0 + x2 * (-1.0 / 5040.0 + x2 / 362880.0))))
}

fn prewarp(hz: f64, q: f64) -> (f64, f64) {
    let angle = std::f64::consts::TAU * hz.clamp(1.0, 0.49 * RATE) / RATE;
    (angle.cos(), angle.sin() / (2.0 * q))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_is_a_sine() {
        for step in -4000..4000 {
            let turns = f64::from(step) * 0.00137;
            let exact = (std::f64::consts::TAU * turns).sin();
            // The first term that the series leaves out is (pi/2)^11 / 11! = 3.6e-6.
            assert!(
                (f64::from(sin_turns(turns)) - exact).abs() < 4e-6,
                "{turns}"
            );
        }
    }

    #[test]
    fn convolution_equals_its_definition() {
        let mut rng = Rng::new(1, 0);
        let (signal, response) = (white(10_000, &mut rng), white(300, &mut rng));
        let fast = convolve(&signal, &response);
        for idx in [0, 1, 299, 5000, 7891, 7892, 7893, 9999] {
            let exact: f64 = (0..response.len().min(idx + 1))
                .map(|k| f64::from(response[k]) * f64::from(signal[idx - k]))
                .sum();
            // Single precision over sums of size about 20.
            assert!((f64::from(fast[idx]) - exact).abs() < 1e-3, "{idx}");
        }
    }

    #[test]
    fn filters_pass_what_they_should() {
        fn gain(filter: Biquad, hz: f64) -> f64 {
            let mut tone: Vec<f32> = (0..16000)
                .map(|i| sin_turns(hz * f64::from(i) / RATE))
                .collect();
            filter.run(&mut tone);
            rms(&tone[8000..]) * 2f64.sqrt()
        }
        assert!((gain(Biquad::low_pass(1000.0), 50.0) - 1.0).abs() < 0.01);
        assert!(gain(Biquad::low_pass(500.0), 5000.0) < 0.02);
        assert!((gain(Biquad::high_pass(500.0), 5000.0) - 1.0).abs() < 0.01);
        assert!(gain(Biquad::high_pass(1000.0), 50.0) < 0.01);
        assert!((gain(Biquad::peak(1000.0, 2.0, 6.0), 1000.0) - 1.995).abs() < 0.01);
    }
}
