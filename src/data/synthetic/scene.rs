//! Makes one clip: a machine in its room, heard by a microphone in factory noise.

use super::{
    ClipSpec, Machine, Noise, SAMPLE_RATE_HZ, bearing,
    dsp::{
        self, Biquad, Partial, RATE, add, band_noise, convolve, pink_noise, ring, shape, sin_turns,
    },
    fan, gearbox, pump, slider,
    unit::Scene,
    valve,
};
use crate::{audio::Audio, units::Rng};

/// Separate streams of random numbers, so a fault or a noise changes nothing else in a clip.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    OperatingPoint,
    Machine,
    Fault,
    Factory,
    Level,
    Construction,
    Room,
}

/// The sound of a clip: mono, 16 kHz, RMS about 0.05.
pub fn render(spec: &ClipSpec) -> Audio {
    let clip_stream = |stream: Stream| Rng::new(spec.seed, clip_stream_number(spec, stream));
    let mut clip = clip_stream(Stream::Machine);
    // Operators set the speed by hand: 0.7 % from clip to clip.
    let speed = spec.speed * (1.0 + 0.007 * clip.normal());
    let mut scene = Scene {
        spec,
        samples: (u64::from(spec.duration_ms) * u64::from(SAMPLE_RATE_HZ) / 1000) as usize,
        section: usize::from(spec.section),
        speed,
        design: unit_stream(spec, Stream::Construction, 0),
        clip,
        fault: clip_stream(Stream::Fault),
    };
    let machine = match spec.machine {
        Machine::Fan => fan::sound(&mut scene),
        Machine::Bearing => bearing::sound(&mut scene),
        Machine::Valve => valve::sound(&mut scene),
        Machine::Gearbox => gearbox::sound(&mut scene),
        Machine::Slider => slider::sound(&mut scene),
        Machine::Pump => pump::sound(&mut scene),
    };
    let mut samples = microphone(&machine, spec);

    let mut level = clip_stream(Stream::Level);
    let snr_db = spec.snr_db + level.range(-2.0, 2.0);
    let noise = factory(scene.samples, spec.noise, &mut clip_stream(Stream::Factory));
    add(&mut samples, decibels(-snr_db), &noise);
    // Machine and noise at 0 dB give an RMS of 0.05, 26 dB below full scale.
    let gain = 0.035 * decibels(level.range(-1.5, 1.5));
    for sample in &mut samples {
        *sample = (f64::from(*sample) * gain).clamp(-0.99, 0.99) as f32;
    }
    Audio {
        samples,
        sample_rate_hz: SAMPLE_RATE_HZ,
    }
}

/// What the microphone hears: the room's response, of unit power, and the colour of the microphone's place.
fn microphone(machine: &[f32], spec: &ClipSpec) -> Vec<f32> {
    let mut room = unit_stream(spec, Stream::Room, 0);
    let decay_s = room.range(0.015, 0.03);
    let mut response = reverberation(decay_s, &mut room);
    let mut colours = [(); 3].map(|()| room.range(-3.0, 3.0));
    // Another place in the same room changes some of the reflections and a little of the colour.
    if spec.microphone != 0 {
        let mut place = unit_stream(spec, Stream::Room, spec.microphone);
        let moved = reverberation(decay_s, &mut place);
        for (tap, moved) in response.iter_mut().zip(moved) {
            *tap = 0.85 * *tap + 0.53 * moved;
        }
        colours
            .iter_mut()
            .for_each(|db| *db += place.range(-2.0, 2.0));
    }
    response[0] = 1.0;
    let power: f64 = response.iter().map(|tap| f64::from(tap * tap)).sum();
    response
        .iter_mut()
        .for_each(|tap| *tap /= power.sqrt() as f32);

    let mut heard = convolve(machine, &response);
    for (hz, gain_db) in [300.0, 1100.0, 3400.0].into_iter().zip(colours) {
        Biquad::peak(hz, 0.8, gain_db).run(&mut heard);
    }
    heard
}

/// Reflections that fall to `1 / e` in `decay_s`; the direct sound has an amplitude of 1.
fn reverberation(decay_s: f64, rng: &mut Rng) -> Vec<f32> {
    let mut response = dsp::white((0.1 * RATE) as usize, rng);
    shape(&mut response, |idx| {
        0.05 * (-(idx as f64) / (decay_s * RATE)).exp()
    });
    response
}

/// The factory noise: a bed of unit power, and a clang every two seconds on average.
fn factory(samples: usize, noise: Noise, rng: &mut Rng) -> Vec<f32> {
    let (rate, phase) = (rng.range(0.2, 1.0), rng.uniform());
    let waver = |idx: usize, depth: f64| {
        1.0 + depth * f64::from(sin_turns(rate * idx as f64 / RATE + phase))
    };
    let mut bed = pink_noise(samples, rng);
    match noise {
        Noise::Hall => {
            let mut work = band_noise(samples, 1000.0, 4000.0, rng);
            shape(&mut work, |idx| 0.4 * waver(idx, 0.5));
            add(&mut bed, 1.0, &work);
        }
        Noise::Ventilation => {
            add(&mut bed, 0.8, &band_noise(samples, 150.0, 900.0, rng));
            let mains = dsp::turns(samples, 50.0, 0.0005, rng);
            let hum: Vec<Partial> = [(2.0, 0.4), (4.0, 0.25), (6.0, 0.2), (12.0, 0.1)]
                .map(|(order, amplitude)| Partial {
                    order,
                    amplitude,
                    phase: rng.uniform(),
                })
                .to_vec();
            add(&mut bed, 1.0, &dsp::tones(&mains, &hum));
        }
        Noise::Press => {
            add(&mut bed, 0.6, &band_noise(samples, 2500.0, 6500.0, rng));
            let strokes = dsp::turns(samples, 1.3, 0.01, rng);
            for start in dsp::events(&strokes, 1.0, 0.02, rng) {
                ring(&mut bed, start, 85.0, 0.06, 4.0);
                ring(&mut bed, start, 640.0, 0.02, 1.5);
            }
        }
    }
    dsp::unit_power(&mut bed);

    // Exponential gaps make a Poisson process.
    let mut at_s = -2.0 * (1.0 - rng.uniform()).ln();
    while at_s * RATE < samples as f64 {
        let (hz, decay_s) = (rng.range(400.0, 5000.0), rng.range(0.01, 0.04));
        ring(
            &mut bed,
            (at_s * RATE) as usize,
            hz,
            decay_s,
            rng.range(1.0, 4.0),
        );
        at_s += -2.0 * (1.0 - rng.uniform()).ln();
    }
    bed
}

fn decibels(db: f64) -> f64 {
    10f64.powf(db / 20.0)
}

fn clip_stream_number(spec: &ClipSpec, stream: Stream) -> u64 {
    (spec.machine as u64) << 16 | u64::from(spec.section) << 8 | stream as u64
}

/// A stream that all clips of one unit share; all units do where they are of one make.
fn unit_stream(spec: &ClipSpec, stream: Stream, place: u8) -> Rng {
    let of_unit = match spec.machine.is_of_one_make() {
        true => (spec.machine as u64) << 16 | stream as u64,
        false => clip_stream_number(spec, stream),
    };
    Rng::new(u64::from(place), 1 << 32 | of_unit)
}
