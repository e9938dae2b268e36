//! Gearbox: tooth mesh with sidebands of both shafts, over rumble.

use super::{
    FaultKind,
    dsp::{
        self, Biquad, Partial, add, band_noise, events, harmonics, ring, shape, sin_turns, tones,
    },
    unit::Scene,
};

pub(super) fn sound(scene: &mut Scene) -> Vec<f32> {
    let chipped_tooth = scene.severity(FaultKind::ChippedTooth);
    let wear = scene.severity(FaultKind::Wear);
    let overload = scene.severity(FaultKind::Overload);
    let (samples, kind) = (scene.samples, scene.section % 3);
    let shaft_hz = [18.0, 19.0, 20.2][kind] * scene.speed * (1.0 - 0.03 * overload);
    let teeth = [23.0, 26.0, 21.0][kind];
    let wheel_teeth = [61.0, 53.0, 67.0][kind];
    let case_hz = [1700.0, 2100.0, 2550.0][kind];
    // The wheels are the same in all units, and so is their ringing.
    let blank_hz = 2300.0;

    let turns = dsp::turns(samples, shaft_hz, 0.003, &mut scene.clip);
    let mesh = harmonics(teeth, 4, 1.0, &mut scene.design, &mut scene.clip);
    let mut orders: Vec<Partial> = Vec::new();
    for (idx, partial) in mesh.iter().enumerate() {
        // Worn flanks move power from the mesh to its harmonics. Load raises the whole mesh.
        let worn = if idx == 0 {
            1.0 - 0.3 * wear
        } else {
            1.0 + 0.4 * wear
        };
        let amplitude = partial.amplitude * worn * (1.0 + 0.1 * overload);
        orders.push(Partial {
            amplitude,
            ..*partial
        });
        let side = amplitude * (0.2 + 0.15 * wear + 0.15 * overload);
        for offset in [-1.0, 1.0, -teeth / wheel_teeth, teeth / wheel_teeth] {
            orders.push(Partial {
                order: partial.order + offset,
                amplitude: side,
                phase: scene.clip.uniform(),
            });
        }
    }
    let shaft = harmonics(1.0, 4, 0.8, &mut scene.design, &mut scene.clip);
    let mut rumble = band_noise(samples, 150.0, 4500.0, &mut scene.clip);
    Biquad::peak(case_hz, 2.5, 8.0).run(&mut rumble);
    dsp::unit_power(&mut rumble);
    shape(&mut rumble, |idx| {
        1.0 + 0.2 * f64::from(sin_turns(turns[idx] * teeth / wheel_teeth))
    });

    let mut out = vec![0.0; samples];
    add(&mut out, 0.5, &tones(&turns, &orders));
    add(&mut out, 0.2, &tones(&turns, &shaft));
    add(&mut out, 0.8, &rumble);
    // The bearings of an overloaded gearbox grumble.
    let grumble = band_noise(samples, 900.0, 3500.0, &mut scene.fault);
    add(&mut out, 0.35 * overload, &grumble);
    // Where a tooth is missing, the next one strikes, once a turn.
    for start in events(&turns, 1.0, 0.002, &mut scene.fault) {
        ring(&mut out, start, blank_hz, 0.006, 2.0 * chipped_tooth);
        ring(&mut out, start, 1.9 * blank_hz, 0.003, 1.0 * chipped_tooth);
    }
    out
}
