//! Centrifugal pump: motor hum, tones of shaft and vanes, and flow that makes the pipe ring.

use super::{
    FaultKind,
    dsp::{self, Biquad, add, band_noise, harmonics, ring, shape, sin_turns, tones},
    unit::Scene,
};

pub(super) fn sound(scene: &mut Scene) -> Vec<f32> {
    let cavitation = scene.severity(FaultKind::Cavitation);
    let air = scene.severity(FaultKind::AirIngress);
    let worn = scene.severity(FaultKind::WornBearing);
    let (samples, kind) = (scene.samples, scene.section % 3);
    let vanes = 6.0;
    let shaft_hz = 24.2 * scene.speed;
    // Bubbles slow sound down (Wood's equation), so the pipe rings lower; where they burst they swallow it.
    let pipe_hz = [740.0, 900.0, 1090.0][kind] * (1.0 - 0.12 * air);
    let pipe_db = 9.0 * (1.0 - 0.3 * cavitation);

    let turns = dsp::turns(samples, shaft_hz, 0.002, &mut scene.clip);
    let vane_pass = harmonics(vanes, 6, 0.9, &mut scene.design, &mut scene.clip);
    let shaft = harmonics(1.0, 5, 1.0, &mut scene.design, &mut scene.clip);
    // The field of a motor of two poles pulls twice a period of the mains, whatever the load.
    let mains = dsp::turns(samples, 100.0, 0.0003, &mut scene.clip);
    let hum = harmonics(1.0, 4, 1.2, &mut scene.design, &mut scene.clip);
    let mut flow = band_noise(samples, 200.0, 3000.0, &mut scene.clip);
    for mode in [1.0, 2.4] {
        Biquad::peak(pipe_hz * mode, 3.0, pipe_db / mode).run(&mut flow);
    }
    dsp::unit_power(&mut flow);
    shape(&mut flow, |idx| {
        1.0 + 0.1 * f64::from(sin_turns(vanes * turns[idx]))
    });

    let mut out = vec![0.0; samples];
    add(&mut out, 0.5, &tones(&turns, &vane_pass));
    add(&mut out, 0.2, &tones(&turns, &shaft));
    add(&mut out, 0.25, &tones(&mains, &hum));
    add(&mut out, 0.7, &flow);

    // Vapour bubbles burst where the vanes pass: a crackle far above the flow.
    let mut crackle = vec![0.0; samples];
    for start in dsp::events(&turns, 2.0 * vanes, 0.6, &mut scene.fault) {
        let (hz, size) = (scene.fault.range(1500.0, 7000.0), scene.fault.uniform());
        ring(&mut crackle, start, hz, 0.0008, size * size);
    }
    add(&mut out, 1.7 * cavitation, &crackle);

    // Pockets of air swash through the pump a few times a second.
    let mut gurgle = band_noise(samples, 150.0, 500.0, &mut scene.fault);
    let pockets = dsp::turns(samples, 3.0, 0.2, &mut scene.fault);
    shape(&mut gurgle, |idx| {
        f64::from(sin_turns(pockets[idx])).max(0.0)
    });
    add(&mut out, 0.5 * air, &gurgle);

    // A scar in the bearing's ring is struck three times a turn, give or take slip.
    let mut knocks = vec![0.0; samples];
    for start in dsp::events(&turns, 3.1, 0.02, &mut scene.fault) {
        for housing_hz in [820.0, 990.0, 1700.0] {
            ring(&mut knocks, start, housing_hz, 0.004, 0.6);
        }
    }
    add(&mut out, 1.3 * worn, &knocks);
    out
}
