//! Solenoid valve: it clicks when it opens and when it closes, and gas flows while it is open.

use super::{
    FaultKind,
    dsp::{RATE, add, band_noise, ring, shape},
    unit::Scene,
};

pub(super) fn sound(scene: &mut Scene) -> Vec<f32> {
    let leak = scene.severity(FaultKind::Leak);
    let contamination = scene.severity(FaultKind::Contamination);
    let weak_spring = scene.severity(FaultKind::WeakSpring);
    let (samples, kind) = (scene.samples, scene.section % 3);
    let period_s = [0.45, 0.54, 0.62][kind] / scene.speed;
    let open_s = [0.4, 0.3, 0.5][kind] * period_s;
    let body_hz: Vec<f64> = (0..3)
        .map(|mode| {
            [900.0, 1900.0, 3600.0][mode]
                * [0.88, 1.0, 1.14][kind]
                * scene.design.range(0.95, 1.05)
                * (1.0 - 0.025 * contamination)
        })
        .collect();

    let mut out = vec![0.0; samples];
    // 1 while open, 0 while closed, with 5 ms edges.
    let mut openness = vec![0.0f64; samples];
    let mut cycle_s = scene.clip.range(-1.0, 0.0) * period_s;
    while cycle_s * RATE < samples as f64 {
        let opens_s = cycle_s + 0.003 * scene.clip.normal();
        // A weak spring closes late and bounces.
        let late_s = weak_spring * scene.fault.range(0.0, 0.06) * period_s;
        let closes_s = cycle_s + open_s + 0.003 * scene.clip.normal() + late_s;
        for (at_s, strength) in [(opens_s, 6.0), (closes_s, 4.0 * (1.0 - 0.3 * weak_spring))] {
            // Dirt damps the stroke.
            let soft = 1.0 - 0.4 * contamination * scene.fault.uniform();
            for hz in &body_hz {
                let amplitude = strength * soft * (1.0 + 0.1 * scene.clip.normal());
                strike(&mut out, at_s, *hz, 0.006, amplitude);
            }
        }
        for bounce in 1..=2 {
            let at_s = closes_s + f64::from(bounce) * scene.fault.range(0.02, 0.035);
            strike(
                &mut out,
                at_s,
                body_hz[0],
                0.006,
                1.5 * weak_spring / f64::from(bounce),
            );
        }
        // Grains hit the seat while gas flows.
        for _ in 0..6 {
            let at_s = opens_s + scene.fault.uniform() * open_s;
            let hz = scene.fault.range(3000.0, 6500.0);
            strike(&mut out, at_s, hz, 0.002, 0.4 * contamination);
        }
        let edge = 0.005 * RATE;
        let (from, to) = (opens_s * RATE, closes_s * RATE);
        let first = from.max(0.0) as usize;
        let count = (to.max(0.0) as usize).saturating_sub(first);
        for (idx, open) in openness.iter_mut().enumerate().skip(first).take(count) {
            let inside = (idx as f64 - from).min(to - idx as f64) / edge;
            *open = inside.clamp(0.0, 1.0);
        }
        cycle_s += period_s;
    }
    let mut flow = band_noise(samples, 1200.0, 4500.0, &mut scene.clip);
    shape(&mut flow, |idx| openness[idx]);
    add(&mut out, 0.5, &flow);
    let mut hiss = band_noise(samples, 2500.0, 7000.0, &mut scene.fault);
    shape(&mut hiss, |idx| 1.0 - openness[idx]);
    add(&mut out, 0.1 * leak, &hiss);
    out
}

fn strike(out: &mut [f32], at_s: f64, hz: f64, decay_s: f64, amplitude: f64) {
    if at_s >= 0.0 {
        ring(out, (at_s * RATE) as usize, hz, decay_s, amplitude);
    }
}
