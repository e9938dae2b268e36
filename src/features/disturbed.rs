//! Disturbs ready log-mel features as the same disturbance of their sound would, as far as features can tell.

use std::f64::consts::TAU;

use crate::{
    audio::{FeatureSpec, Matrix},
    disturb::{Disturbance, Kind},
    units::Rng,
};

/// Disturbs log-mel features in dB, frame-major. What is added adds power to bands; its mean over clip and bands has the
/// level of the disturbance.
pub(super) fn disturb_log_mel(mut matrix: Matrix, by: &Disturbance, spec: &FeatureSpec) -> Matrix {
    let bands = matrix.bands;
    let frames = matrix.values.len() / bands.max(1);
    if frames == 0 {
        return matrix;
    }
    let rows = || matrix.values.chunks_exact(bands);
    // Of all bands together, per frame.
    let own = rows()
        .flatten()
        .map(|db| power(f64::from(*db)))
        .sum::<f64>()
        / frames as f64;
    let added = own * power(by.strength);
    let frames_per_s = f64::from(spec.sample_rate_hz) / spec.hop_length as f64;
    let mut rng = Rng::new((by.place * 1e9) as u64, 0x6469_7374_7572_6222);
    let middle = by.place * (bands - 1) as f64;
    // Above 1 kHz, mel is close to a logarithmic scale: 128 bands of 16 kHz span some 3.4 e-folds there.
    let bands_per_fold = bands as f64 / 3.4;
    let octave = bands_per_fold * std::f64::consts::LN_2;
    let in_octave = |band: usize| (band as f64 - middle).abs() <= octave / 2.0;
    let octave_bands = (0..bands).filter(|band| in_octave(*band)).count().max(1) as f64;
    // What a frame gets, and how that spreads over its bands.
    let mut at_times = vec![1.0; frames];
    match by.kind {
        Kind::Knocks => {
            at_times.fill(0.0);
            for (start, strength) in by.knocks(frames_per_s, frames, &mut rng) {
                at_times[start] += strength;
            }
        }
        Kind::Burst => {
            let length = ((frames as f64 / 10.0).min(0.5 * frames_per_s) as usize).max(1);
            let start = (rng.uniform() * (frames - length) as f64) as usize;
            at_times.fill(0.0);
            at_times[start..start + length].fill(1.0);
        }
        _ => (),
    }
    let all: f64 = at_times.iter().sum();
    let scale = if all > 0.0 { frames as f64 / all } else { 0.0 };
    let depth = by.depth();
    let step = TAU * (2.0 + 10.0 * by.place) / frames_per_s;
    let weakened = -20.0 * (1.0 - power(by.strength).sqrt()).max(1e-3).log10();
    let shift = bands_per_fold * by.speed().ln();
    // Frames move as their mean does: interpolation would smooth the noise of each, and that is heard.
    let mut usual = vec![0.0; bands];
    for frame in rows() {
        usual
            .iter_mut()
            .zip(frame)
            .for_each(|(sum, db)| *sum += f64::from(*db) / frames as f64);
    }
    let moved = |band: usize| {
        let position = (band as f64 - shift).clamp(0.0, (bands - 1) as f64);
        let whole = position as usize;
        let next = usual[(whole + 1).min(bands - 1)];
        usual[whole] + (next - usual[whole]) * position.fract() - usual[band]
    };
    for (idx, frame) in matrix.values.chunks_exact_mut(bands).enumerate() {
        let with = at_times[idx] * scale * added;
        for (band, value) in frame.iter_mut().enumerate() {
            let db = f64::from(*value);
            let plus = |more: f64| 10.0 * (power(db) + more).log10();
            let now = match by.kind {
                Kind::Tone if band == middle.round() as usize => plus(with),
                Kind::Tone => db,
                Kind::Hiss if in_octave(band) => plus(with / octave_bands),
                Kind::Hiss => db,
                // The ringing of a knock is an octave wide, too: it is short.
                Kind::Knocks if in_octave(band) => plus(with / octave_bands),
                Kind::Knocks => db,
                Kind::Burst => plus(with / bands as f64),
                Kind::MissingBand if in_octave(band) => db - weakened,
                Kind::MissingBand => db,
                Kind::Modulation => {
                    let swing = 1.0 + depth * (idx as f64 * step).sin();
                    db + 20.0 * swing.max(1e-3).log10()
                }
                Kind::Speed => db + moved(band),
            };
            *value = now as f32;
        }
    }
    matrix
}

/// The power of a level in dB.
fn power(level_db: f64) -> f64 {
    10f64.powf(level_db / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Added power has the level that was asked for, and the number of frames stays.
    #[test]
    fn features_get_the_power_that_sound_would() {
        let spec = FeatureSpec::DCASE;
        let bands = spec.bands();
        let flat = |frames: usize| Matrix {
            bands,
            values: vec![-30.0; bands * frames],
        };
        let mean = |matrix: &Matrix| {
            matrix
                .values
                .iter()
                .map(|db| power(f64::from(*db)))
                .sum::<f64>()
        };
        for kind in Kind::ALL {
            for place in [0.0, 0.3, 0.99] {
                for frames in [0, 1, 313] {
                    let by = Disturbance {
                        kind,
                        strength: -6.0,
                        place,
                    };
                    let made = disturb_log_mel(flat(frames), &by, &spec);
                    assert_eq!(made.values.len(), bands * frames);
                    let added = 10.0 * (mean(&made) / mean(&flat(frames)) - 1.0).log10();
                    let adds = matches!(kind, Kind::Tone | Kind::Hiss | Kind::Burst | Kind::Knocks);
                    // A knock may fall beside a single frame, and an octave at the end is narrower.
                    if adds && frames > 1 {
                        assert!((added + 6.0).abs() < 0.1, "{kind} {place}: {added}");
                    }
                }
            }
        }
    }
}
