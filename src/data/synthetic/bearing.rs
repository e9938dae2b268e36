//! Rolling bearing: tones of the shaft, rolling noise, and a housing that rings when a ball rolls over a defect.

use super::{
    FaultKind,
    dsp::{self, Biquad, add, band_noise, events, harmonics, ring, shape, sin_turns, tones},
    unit::Scene,
};

pub(super) fn sound(scene: &mut Scene) -> Vec<f32> {
    let outer_race = scene.severity(FaultKind::OuterRace);
    let inner_race = scene.severity(FaultKind::InnerRace);
    let dry = scene.severity(FaultKind::Dry);
    let (samples, kind) = (scene.samples, scene.section % 3);
    let shaft_hz = [15.0, 16.0, 17.2][kind] * scene.speed;
    let housing_hz = [2700.0, 3200.0, 3900.0][kind];
    // All units have the same type of bearing, and its rings sound at their own frequency.
    let race_hz = 3500.0;
    let balls = [8.0, 9.0, 9.0][kind];
    // d/D cos(a): ball over pitch diameter, times the contact angle's cosine.
    let ratio = [0.23, 0.2, 0.26][kind];

    let turns = dsp::turns(samples, shaft_hz, 0.003, &mut scene.clip);
    let shaft = harmonics(1.0, 12, 0.8, &mut scene.design, &mut scene.clip);
    let mut rolling = band_noise(samples, 400.0, 5500.0, &mut scene.clip);
    Biquad::peak(housing_hz, 3.0, 7.0 - 2.0 * (outer_race + inner_race)).run(&mut rolling);
    dsp::unit_power(&mut rolling);
    let mut out = vec![0.0; samples];
    add(&mut out, 0.6, &tones(&turns, &shaft));
    add(&mut out, 0.8, &rolling);

    // Balls slip by 1-2 %, so the impulses are not strictly periodic.
    let passes_outer = balls / 2.0 * (1.0 - ratio);
    for start in events(&turns, passes_outer, 0.015, &mut scene.fault) {
        ring(&mut out, start, race_hz, 0.004, 1.2 * outer_race);
    }
    // A defect of the inner ring turns with the shaft, in and out of the loaded zone.
    let passes_inner = balls / 2.0 * (1.0 + ratio);
    for start in events(&turns, passes_inner, 0.015, &mut scene.fault) {
        let load = 0.5 + 0.5 * f64::from(sin_turns(turns[start]));
        ring(&mut out, start, race_hz, 0.004, 1.4 * inner_race * load);
    }
    // Without grease, surfaces rub. They rub most where the cage presses: (1 - d/D cos a) / 2 times per turn.
    let cage = (1.0 - ratio) / 2.0;
    let mut rub = band_noise(samples, 3500.0, 7000.0, &mut scene.fault);
    shape(&mut rub, |idx| {
        1.0 + 0.6 * f64::from(sin_turns(cage * turns[idx]))
    });
    add(&mut out, 0.2 * dry, &rub);
    out
}
