//! Fan: blade-pass tones, shaft tones and turbulence around the housing's resonance.

use super::{
    FaultKind,
    dsp::{self, Biquad, add, band_noise, harmonics, shape, sin_turns, tones},
    unit::Scene,
};

pub(super) fn sound(scene: &mut Scene) -> Vec<f32> {
    let unbalance = scene.severity(FaultKind::Unbalance);
    let clogging = scene.severity(FaultKind::Clogging);
    let undervoltage = scene.severity(FaultKind::Undervoltage);
    let (samples, kind) = (scene.samples, scene.section % 3);
    let blades = [7.0, 5.0, 6.0][kind];
    let shaft_hz = [23.0, 26.0, 24.5][kind] * scene.speed * (1.0 - 0.05 * undervoltage);
    let housing_hz = [800.0, 1000.0, 1250.0][kind];

    let turns = dsp::turns(samples, shaft_hz, 0.003, &mut scene.clip);
    let blade_pass = harmonics(blades, 8, 0.8, &mut scene.design, &mut scene.clip);
    let shaft = harmonics(1.0, 4, 1.0, &mut scene.design, &mut scene.clip);
    let mut turbulence = band_noise(samples, 150.0, 3500.0, &mut scene.clip);
    Biquad::peak(housing_hz, 2.0, 8.0).run(&mut turbulence);
    dsp::unit_power(&mut turbulence);
    shape(&mut turbulence, |idx| {
        1.0 + 0.15 * f64::from(sin_turns(blades * turns[idx]))
    });

    // The power of flow noise grows with about the fifth power of speed, so its amplitude with 2.5.
    let flow = (shaft_hz / 24.0).powf(2.5);
    let mut out = vec![0.0; samples];
    add(&mut out, 0.5, &tones(&turns, &blade_pass));
    add(&mut out, 0.2, &tones(&turns, &shaft));
    add(&mut out, 0.8 * flow * (1.0 - 0.2 * clogging), &turbulence);

    // A blocked inlet stalls the blades: a narrow, low rush that pulses with them.
    let mut stall = band_noise(samples, 250.0, 700.0, &mut scene.fault);
    shape(&mut stall, |idx| {
        1.0 + 0.5 * f64::from(sin_turns(blades * turns[idx]))
    });
    add(&mut out, 0.36 * clogging, &stall);

    // The shaft pulls the housing once a turn: level and rattle follow it.
    let pull = harmonics(1.0, 12, 0.6, &mut scene.design, &mut scene.fault);
    shape(&mut out, |idx| {
        1.0 + 0.2 * unbalance * f64::from(sin_turns(turns[idx]))
    });
    add(&mut out, 0.35 * unbalance, &tones(&turns, &pull));
    out
}
