//! Disturbances of sound: what faults do to a machine's sound, reduced to a few physical kinds of graded strength.
//!
//! Every disturbance is a function of samples alone: the same one makes the same sound on every machine. Nothing here
//! knows clips, features or detectors. `docs/unlabelled.md` says which faults sound like which kind.

use std::{f64::consts::TAU, fmt, str::FromStr};

use crate::units::Rng;

/// What is done to a sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A steady tone is added, at 150 Hz to 6 kHz.
    Tone,
    /// Steady noise of one octave is added, its middle between 300 Hz and 4 kHz.
    Hiss,
    /// 2 to 8 short knocks per second are added, each a body that rings at 800 Hz to 4 kHz and falls to a third
    /// within 6 ms.
    Knocks,
    /// One burst of noise of all frequencies is added; it lasts a tenth of the sound, at most 0.5 s.
    Burst,
    /// An octave is weakened, its middle between 300 Hz and 4 kHz.
    MissingBand,
    /// The loudness swings 2 to 12 times per second.
    Modulation,
    /// All frequencies and times change, as in a machine that runs slower or faster.
    Speed,
}

/// One disturbance, of a kind and strength.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Disturbance {
    /// What is done.
    pub kind: Kind,
    /// How strongly, in the unit of [`Kind::unit`]; see [`Kind::strengths`].
    pub strength: f64,
    /// Picks frequency, rate and moment within the range of the kind, 0 to 1. Noise follows from it, too.
    pub place: f64,
}

/// A word that names neither a kind of disturbance nor a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "nobody knows what `{0}` sounds like; name kinds of disturbances ({kinds}) or faults ({faults})",
    kinds = Kind::ALL.map(Kind::name).join(", "),
    faults = FAULTS.map(|(fault, _)| fault).join(", ")
)]
pub struct UnknownSound(String);

/// Faults as maintenance engineers name them, and the kinds that sound like them.
pub const FAULTS: [(&str, &[Kind]); 12] = [
    ("bearing", &[Kind::Knocks, Kind::Hiss, Kind::Modulation]),
    ("gear", &[Kind::Tone, Kind::Knocks, Kind::Modulation]),
    ("leak", &[Kind::Hiss]),
    ("friction", &[Kind::Hiss, Kind::Tone]),
    ("imbalance", &[Kind::Tone, Kind::Modulation]),
    ("misalignment", &[Kind::Tone, Kind::Modulation]),
    ("loose-part", &[Kind::Knocks, Kind::Burst]),
    ("slipping-belt", &[Kind::Speed, Kind::Tone]),
    ("clogging", &[Kind::Hiss, Kind::MissingBand, Kind::Speed]),
    ("cavitation", &[Kind::Hiss, Kind::Burst]),
    ("electrical", &[Kind::Tone]),
    ("load", &[Kind::Speed, Kind::Modulation]),
];

/// The kinds that a user listens for, by their names or by those of faults; each once, in the order of [`Kind::ALL`].
///
/// # Errors
/// [`UnknownSound`] for the first word that names neither.
pub fn listened_for<'a>(
    words: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<Kind>, UnknownSound> {
    let mut named = Vec::new();
    for word in words {
        let word = word.trim().to_lowercase().replace([' ', '_'], "-");
        match FAULTS.iter().find(|(fault, _)| *fault == word) {
            Some((_, kinds)) => named.extend_from_slice(kinds),
            None => named.push(word.parse()?),
        }
    }
    let mut kinds = Kind::ALL.to_vec();
    kinds.retain(|kind| named.contains(kind));
    Ok(kinds)
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 7] = [
        Kind::Tone,
        Kind::Hiss,
        Kind::Knocks,
        Kind::Burst,
        Kind::MissingBand,
        Kind::Modulation,
        Kind::Speed,
    ];

    /// The word for it in arguments, documents and stores.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Tone => "tone",
            Kind::Hiss => "hiss",
            Kind::Knocks => "knocks",
            Kind::Burst => "burst",
            Kind::MissingBand => "missing-band",
            Kind::Modulation => "modulation",
            Kind::Speed => "speed",
        }
    }

    /// The words for it in sentences.
    pub const fn title(self) -> &'static str {
        match self {
            Kind::Tone => "a tone",
            Kind::Hiss => "hiss",
            Kind::Knocks => "knocks",
            Kind::Burst => "a burst",
            Kind::MissingBand => "a missing band",
            Kind::Modulation => "swinging loudness",
            Kind::Speed => "another speed",
        }
    }

    /// The unit of its strength: `dB` below the sound's own level, or `%` of its speed.
    ///
    /// The level of what is added is its mean power over the whole sound, that of a missing band the share of its
    /// amplitude that is taken away, that of swinging loudness the power of its side bands.
    pub const fn unit(self) -> &'static str {
        match self {
            Kind::Speed => "%",
            _ => "dB",
        }
    }

    /// Strengths from faint to plain.
    pub const fn strengths(self) -> [f64; 5] {
        match self {
            Kind::MissingBand => [-24.0, -18.0, -12.0, -6.0, 0.0],
            Kind::Modulation => [-36.0, -30.0, -24.0, -18.0, -12.0],
            Kind::Speed => [0.5, 1.0, 2.0, 4.0, 8.0],
            _ => [-33.0, -27.0, -21.0, -15.0, -9.0],
        }
    }

    /// A strength on a scale of even steps: dB as they are, and the logarithm of per cent.
    pub fn even(self, strength: f64) -> f64 {
        match self {
            Kind::Speed => strength.ln(),
            _ => strength,
        }
    }

    /// The strength at a place of that scale.
    pub fn uneven(self, even: f64) -> f64 {
        match self {
            Kind::Speed => even.exp(),
            _ => even,
        }
    }

    /// A strength for readers: `-18 dB`, `2 %`.
    pub fn show(self, strength: f64) -> String {
        match self {
            Kind::Speed => format!("{} %", (10.0 * strength).round() / 10.0),
            _ => format!("{:.0} dB", strength),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = UnknownSound;

    fn from_str(text: &str) -> Result<Kind, UnknownSound> {
        let mut kinds = Kind::ALL.into_iter();
        let kind = kinds.find(|kind| kind.name() == text);
        kind.ok_or_else(|| UnknownSound(text.to_string()))
    }
}

impl Disturbance {
    /// The sound with this disturbance, of the same length. Silence stays silent, but for a change of speed.
    pub fn of(&self, samples: &[f32], rate_hz: u32) -> Vec<f32> {
        let rate_hz = f64::from(rate_hz);
        let seconds = samples.len() as f64 / rate_hz;
        // Below what front ends hear, and what low sample rates hold: what no detector can hear tells none apart.
        let highest_hz = (rate_hz / 4.0).min(4000.0);
        let middle_hz = between(300.0, highest_hz, self.place);
        let mut rng = Rng::new((self.place * 1e9) as u64, 0x6469_7374_7572_6221);
        match self.kind {
            Kind::Tone => {
                let step = TAU * between(150.0, 1.5 * highest_hz, self.place) / rate_hz;
                let tone = (0..samples.len()).map(|idx| (idx as f64 * step).sin());
                self.added(samples, &tone.collect::<Vec<f64>>())
            }
            Kind::Hiss => {
                let mut band = [Band::octave(middle_hz, rate_hz); 2];
                let noise = (0..samples.len()).map(|_| {
                    let white = 2.0 * rng.uniform() - 1.0;
                    band.iter_mut().fold(white, |value, band| band.next(value))
                });
                self.added(samples, &noise.collect::<Vec<f64>>())
            }
            Kind::Knocks => {
                let step = TAU * between(800.0, highest_hz, self.place) / rate_hz;
                let fall = (0.006 * rate_hz).max(1.0);
                let mut knocks = vec![0.0; samples.len()];
                for (start, strength) in self.knocks(rate_hz, samples.len(), &mut rng) {
                    let length = (6.0 * fall) as usize;
                    let rest = knocks[start..].iter_mut().take(length);
                    for (idx, value) in rest.enumerate() {
                        let idx = idx as f64;
                        *value += strength * (-idx / fall).exp() * (idx * step).sin();
                    }
                }
                self.added(samples, &knocks)
            }
            Kind::Burst => {
                let length = ((seconds / 10.0).min(0.5) * rate_hz) as usize;
                let start = (rng.uniform() * (samples.len() - length) as f64) as usize;
                let mut burst = vec![0.0; samples.len()];
                burst[start..start + length].fill_with(|| 2.0 * rng.uniform() - 1.0);
                self.added(samples, &burst)
            }
            Kind::MissingBand => {
                let share = amplitude(self.strength).min(1.0);
                let mut band = Band::octave(middle_hz, rate_hz);
                let weakened = |sample: &f32| {
                    let sample = f64::from(*sample);
                    (sample - share * band.next(sample)) as f32
                };
                samples.iter().map(weakened).collect()
            }
            Kind::Modulation => {
                let depth = self.depth();
                let step = TAU * between(2.0, 12.0, self.place) / rate_hz;
                let swung = |(idx, sample): (usize, &f32)| {
                    let swing = 1.0 + depth * (idx as f64 * step).sin();
                    (f64::from(*sample) * swing) as f32
                };
                samples.iter().enumerate().map(swung).collect()
            }
            Kind::Speed => at_speed(samples, self.speed()),
        }
    }

    /// Where knocks begin and how strong they are, among `count` samples or frames of so many per second.
    pub(crate) fn knocks(&self, per_s: f64, count: usize, rng: &mut Rng) -> Vec<(usize, f64)> {
        // Steps of the golden ratio: the rate does not follow the frequency.
        let period = per_s / (2.0 + 6.0 * (89.0 * self.place).fract());
        let mut knocks = Vec::new();
        let mut start = period * rng.uniform();
        while (start as usize) < count {
            knocks.push((start as usize, 0.7 + 0.6 * rng.uniform()));
            start += period * (0.9 + 0.2 * rng.uniform());
        }
        knocks
    }

    /// How far the loudness swings, as a share of it: side bands have half of the squared depth of the power, and the
    /// loudness never turns round.
    pub(crate) fn depth(&self) -> f64 {
        (std::f64::consts::SQRT_2 * amplitude(self.strength)).min(1.0)
    }

    /// The factor of the machine's speed.
    pub(crate) fn speed(&self) -> f64 {
        let factor = 1.0 + self.strength / 100.0;
        let is_faster = (97.0 * self.place).fract() < 0.5;
        if is_faster { factor } else { 1.0 / factor }
    }

    /// The sound with another one on top, whose mean power is this strength relative to the sound's own.
    fn added(&self, samples: &[f32], other: &[f64]) -> Vec<f32> {
        let power = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum();
        let own: f64 = power(&mut samples.iter().map(|sample| f64::from(*sample)));
        let theirs: f64 = power(&mut other.iter().copied());
        let gain = match theirs > 0.0 {
            true => amplitude(self.strength) * (own / theirs).sqrt(),
            false => 0.0,
        };
        let pairs = samples.iter().zip(other);
        pairs
            .map(|(sample, other)| (f64::from(*sample) + gain * other) as f32)
            .collect()
    }
}

/// A value between two others, even in its logarithm.
fn between(low: f64, high: f64, place: f64) -> f64 {
    low * (high.max(low) / low).powf(place)
}

/// The amplitude of a level in dB.
pub(crate) fn amplitude(level_db: f64) -> f64 {
    10f64.powf(level_db / 20.0)
}

/// Lets through the octave around a frequency; the middle keeps its loudness and phase.
///
/// Source: R. Bristow-Johnson, Audio EQ Cookbook, band-pass of constant peak gain.
#[derive(Debug, Clone, Copy)]
struct Band {
    gain: f64,
    back: [f64; 2],
    inputs: [f64; 2],
    outputs: [f64; 2],
}

impl Band {
    fn octave(middle_hz: f64, rate_hz: f64) -> Band {
        let angle = (TAU * middle_hz / rate_hz).min(3.0);
        let width = (2f64.ln() / 2.0 * angle / angle.sin()).sinh() * angle.sin();
        Band {
            gain: width / (1.0 + width),
            back: [
                -2.0 * angle.cos() / (1.0 + width),
                (1.0 - width) / (1.0 + width),
            ],
            inputs: [0.0; 2],
            outputs: [0.0; 2],
        }
    }

    fn next(&mut self, input: f64) -> f64 {
        let output = self.gain * (input - self.inputs[1])
            - self.back[0] * self.outputs[0]
            - self.back[1] * self.outputs[1];
        self.inputs = [input, self.inputs[0]];
        self.outputs = [output, self.outputs[0]];
        output
    }
}

/// The sound at another speed. After its end it starts over, so it keeps its length.
///
/// Between samples a windowed sinc of 16 of them interpolates: a plain line would dull high frequencies, and a detector
/// would hear that.
pub(crate) fn at_speed(samples: &[f32], factor: f64) -> Vec<f32> {
    const HALF: usize = 8;
    const PHASES: usize = 256;
    let weight = |offset: f64| {
        let x = std::f64::consts::PI * offset;
        let sinc = if x == 0.0 { 1.0 } else { x.sin() / x };
        let window = (x / (2.0 * HALF as f64)).cos();
        sinc * window * window
    };
    let table: Vec<[f32; 2 * HALF]> = (0..=PHASES)
        .map(|phase| {
            let part = phase as f64 / PHASES as f64;
            let mut taps = [0.0; 2 * HALF];
            for (tap, value) in taps.iter_mut().enumerate() {
                *value = weight(tap as f64 - (HALF - 1) as f64 - part) as f32;
            }
            taps
        })
        .collect();
    let count = samples.len();
    let at = |idx: usize| {
        let position = (idx as f64 * factor) % count as f64;
        let whole = position as usize;
        let taps = &table[(position.fract() * PHASES as f64).round() as usize];
        let first = whole + count - (HALF - 1) % count;
        let values = (0..2 * HALF).map(|tap| samples[(first + tap) % count]);
        values.zip(taps).map(|(value, tap)| value * tap).sum()
    };
    (0..count).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE_HZ: u32 = 16_000;

    /// Two seconds of noise, as loud at all frequencies.
    fn noise() -> Vec<f32> {
        let mut rng = Rng::new(1, 2);
        let samples = 2 * RATE_HZ as usize;
        (0..samples).map(|_| rng.uniform() as f32 - 0.5).collect()
    }

    fn power_db(samples: &[f32]) -> f64 {
        let power: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
        10.0 * (power / samples.len() as f64).log10()
    }

    fn difference(a: &[f32], b: &[f32]) -> Vec<f32> {
        a.iter().zip(b).map(|(a, b)| a - b).collect()
    }

    /// What is added, or taken away, has the level that was asked for.
    #[test]
    fn strengths_are_those_of_the_difference() {
        let sound = noise();
        let of = |kind, strength, place| {
            let disturbance = Disturbance {
                kind,
                strength,
                place,
            };
            disturbance.of(&sound, RATE_HZ)
        };
        for kind in Kind::ALL {
            let mut before = f64::NEG_INFINITY;
            for strength in kind.strengths() {
                for place in [0.0, 0.3, 0.99] {
                    let disturbed = of(kind, strength, place);
                    assert_eq!(disturbed.len(), sound.len());
                    assert_eq!(disturbed, of(kind, strength, place));
                    let level = power_db(&difference(&disturbed, &sound)) - power_db(&sound);
                    let expected = match kind {
                        // Of the octave alone, which holds a part of the noise.
                        Kind::MissingBand | Kind::Speed => continue,
                        Kind::Modulation => strength,
                        _ => strength,
                    };
                    assert!(
                        (level - expected).abs() < 0.2,
                        "{kind} {strength} {place}: {level}"
                    );
                }
                let level = power_db(&difference(&of(kind, strength, 0.3), &sound));
                let grows = level > before || kind == Kind::Speed;
                assert!(grows, "{kind} {strength}: {level} dB after {before} dB");
                before = level;
            }
        }
        // A sine of 1 kHz in the middle of a missing octave is gone, and one far away stays.
        let sine = |hz: f64| -> Vec<f32> {
            let step = TAU * hz / f64::from(RATE_HZ);
            (0..16_000)
                .map(|idx| (f64::from(idx) * step).sin() as f32)
                .collect()
        };
        let mut band = Band::octave(1000.0, f64::from(RATE_HZ));
        let left = |hz: f64, band: &mut Band| {
            let sine = sine(hz);
            let rest: Vec<f32> = sine
                .iter()
                .map(|s| (f64::from(*s) - band.next(f64::from(*s))) as f32)
                .collect();
            power_db(&rest[4000..]) - power_db(&sine[4000..])
        };
        assert!(left(1000.0, &mut band) < -60.0);
        assert!(left(6000.0, &mut band) > -1.0);
    }

    /// A faster sine is the sine of a higher frequency, and just as loud.
    #[test]
    fn another_speed_keeps_the_loudness_of_high_frequencies() {
        for (hz, factor) in [(440.0, 1.05), (5000.0, 1.02), (6000.0, 1.0 / 1.08)] {
            let step = TAU * hz / 16_000.0;
            let sine = |factor: f64| -> Vec<f32> {
                (0..8000)
                    .map(|idx| (f64::from(idx) * step * factor).sin() as f32)
                    .collect()
            };
            // Away from the ends, where the sound starts over.
            let (made, expected) = (
                &at_speed(&sine(1.0), factor)[100..7000],
                &sine(factor)[100..7000],
            );
            let error = power_db(&difference(made, expected)) - power_db(expected);
            assert!(error < -40.0, "{hz} Hz, {factor}: {error} dB");
        }
    }

    #[test]
    fn short_and_silent_sounds_are_disturbed_too() {
        for kind in Kind::ALL {
            for count in [0, 1, 2, 50] {
                let disturbance = Disturbance {
                    kind,
                    strength: kind.strengths()[4],
                    place: 0.7,
                };
                let silent = disturbance.of(&vec![0.0; count], 8000);
                assert_eq!(silent, vec![0.0; count], "{kind}");
                let loud = disturbance.of(&vec![0.5; count], 8000);
                assert!(loud.len() == count && loud.iter().all(|sample| sample.is_finite()));
            }
        }
    }

    #[test]
    fn faults_are_named_by_what_they_sound_like() {
        fn check(words: &str, expected: &str) {
            let found = match listened_for(words.split(',')) {
                Ok(kinds) => kinds
                    .iter()
                    .map(|kind| kind.name())
                    .collect::<Vec<_>>()
                    .join(" "),
                Err(error) => error.to_string(),
            };
            assert!(found.starts_with(expected), "{words}: {found}");
        }
        check("knocks", "knocks");
        check("hiss, tone,hiss", "tone hiss");
        check("Loose part", "knocks burst");
        check("leak,missing-band", "hiss missing-band");
        check(
            "ghost",
            "nobody knows what `ghost` sounds like; name kinds of disturbances (tone, hiss, ",
        );
        for (fault, kinds) in FAULTS {
            assert_eq!(listened_for([fault]).unwrap().len(), kinds.len(), "{fault}");
        }
    }
}
