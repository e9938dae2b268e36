//! Speed of the front ends against real time: `front_end [seconds of sound]`.
//!
//! Prints, for log-mel and MFCC, how many times faster than real time one thread extracts the features that networks
//! are trained on and those that a device computes. `benches/front_end_librosa.py` does the same with librosa.

use std::time::Instant;

use nas::{
    audio::{Audio, DeviceExtractor, Extractor, Feature, FeatureSpec},
    units::Rng,
};

const ROUNDS: usize = 5;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let seconds: usize = arguments
        .next()
        .map_or(100, |text| text.parse().expect("a number"));
    let mut rng = Rng::new(1, 1);
    let sample = |_| (rng.normal() * 1000.0).round() as f32 / 32768.0;
    let clip = Audio {
        samples: (0..160_000).map(sample).collect(),
        sample_rate_hz: 16_000,
    };
    let mfcc = FeatureSpec {
        feature: Feature::Mfcc { coefficients: 13 },
        ..FeatureSpec::DCASE
    };
    for spec in [FeatureSpec::DCASE, mfcc] {
        let exact = Extractor::new(&spec).expect("the specification is sound");
        let device = DeviceExtractor::new(&spec).expect("the specification is sound");
        let times = |extract: &dyn Fn(&Audio)| {
            let round = |_| {
                let begin = Instant::now();
                (0..seconds / 10).for_each(|_| extract(&clip));
                (seconds / 10 * 10) as f64 / begin.elapsed().as_secs_f64()
            };
            (0..ROUNDS).map(round).fold(0.0, f64::max)
        };
        let exact = times(&|clip| drop(exact.extract(clip)));
        let device = times(&|clip| drop(device.extract(clip)));
        println!("{spec}: training {exact:.0} x real time, device {device:.0} x real time");
    }
}
