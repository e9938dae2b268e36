//! Slide rail: a carriage runs to and fro; the motor tone and the rolling noise follow its speed.

use super::{
    FaultKind,
    dsp::{RATE, add, band_noise, harmonics, ring, shape, tones},
    unit::Scene,
};

pub(super) fn sound(scene: &mut Scene) -> Vec<f32> {
    let rail_damage = scene.severity(FaultKind::RailDamage);
    let no_grease = scene.severity(FaultKind::NoGrease);
    let loose_belt = scene.severity(FaultKind::LooseBelt);
    let (samples, kind) = (scene.samples, scene.section % 3);
    // Friction holds the carriage back.
    let speed = scene.speed * (1.0 - 0.04 * no_grease);
    let stroke_s = [0.72, 0.66, 0.8][kind] / speed;
    let motor_hz = [420.0, 460.0, 510.0][kind] * speed;
    let rail_hz = [1500.0, 1800.0, 2150.0][kind];
    // Carriage and belt are the same in all units.
    let (carriage_hz, squeal_hz) = (1250.0, 3400.0);
    let scar = scene.design.range(0.3, 0.7);

    // In each stroke the speed rises, holds and falls, and the carriage rests a little at the end.
    let start_s = scene.clip.range(0.0, 2.0) * stroke_s;
    let velocity: Vec<f64> = (0..samples)
        .map(|idx| {
            let part = ((idx as f64 / RATE + start_s) / stroke_s).fract();
            (part.min(0.92 - part) / 0.15).clamp(0.0, 1.0)
        })
        .collect();
    let step = motor_hz / RATE;
    let turns: Vec<f64> = velocity
        .iter()
        .scan(scene.clip.uniform(), |turn, v| {
            *turn += step * v;
            Some(*turn)
        })
        .collect();

    let motor = harmonics(1.0, 5, 0.9, &mut scene.design, &mut scene.clip);
    let mut drive = tones(&turns, &motor);
    shape(&mut drive, |idx| velocity[idx].sqrt());
    let mut rolling = band_noise(samples, 250.0, 3800.0, &mut scene.clip);
    super::dsp::Biquad::peak(rail_hz, 2.0, 7.0).run(&mut rolling);
    super::dsp::unit_power(&mut rolling);
    shape(&mut rolling, |idx| velocity[idx]);
    let mut out = vec![0.0; samples];
    add(&mut out, 0.6, &drive);
    add(&mut out, 0.9 * (1.0 + 0.1 * no_grease), &rolling);

    // The squeal sticks and slips, so its pitch wanders, and it is heard only at full speed.
    let mut squeal = band_noise(
        samples,
        squeal_hz * 0.97,
        squeal_hz * 1.03,
        &mut scene.fault,
    );
    shape(&mut squeal, |idx| ((velocity[idx] - 0.7) / 0.3).max(0.0));
    add(&mut out, 0.12 * no_grease, &squeal);

    let first = start_s / stroke_s;
    let strokes = (samples as f64 / RATE / stroke_s) as usize + 3;
    for stroke in 0..strokes {
        // Strokes are counted from the clip's beginning; odd strokes run back.
        let begins_s = (stroke as f64 - first.fract()) * stroke_s;
        let there = if (stroke + first as usize).is_multiple_of(2) {
            scar
        } else {
            1.0 - scar
        };
        let knock = 1.0 + 0.1 * scene.clip.normal();
        hit(&mut out, begins_s, 240.0, 0.012, 1.5 * knock);
        let scar_s = begins_s + (0.1 + 0.72 * there) * stroke_s;
        hit(&mut out, scar_s, carriage_hz, 0.01, 4.0 * rail_damage);
        for (late_s, strength) in [(0.01, 1.0), (0.05, 0.6), (0.09, 0.35)] {
            let at_s = begins_s + late_s + 0.004 * scene.fault.normal();
            hit(&mut out, at_s, 130.0, 0.03, 2.0 * loose_belt * strength);
        }
    }
    out
}

fn hit(out: &mut [f32], at_s: f64, hz: f64, decay_s: f64, amplitude: f64) {
    if at_s >= 0.0 {
        ring(out, (at_s * RATE) as usize, hz, decay_s, amplitude);
    }
}
