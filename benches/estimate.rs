//! Candidates costed per second on one core: `cargo bench --bench estimate`.

use std::{hint::black_box, time::Instant};

use nas::{
    audio::{Feature, FeatureSpec, FrontEnd},
    graph::{Graph, GraphBuilder, Shape, Style, Window},
    hardware::{builtin, estimate},
    space::{Candidate, Task},
    units::Rng,
};

fn main() {
    let mut rng = Rng::new(1, 0);
    let families: [(&str, Vec<Candidate>); 3] = [
        ("dense autoencoders", random(&mut rng, dense_autoencoder)),
        (
            "convolutional autoencoders",
            random(&mut rng, convolutional_autoencoder),
        ),
        ("inverted residuals", random(&mut rng, inverted_residuals)),
    ];
    println!("candidates per second on one core");
    for target in builtin() {
        for (name, candidates) in &families {
            let per_second = rate(|| {
                for candidate in candidates {
                    black_box(estimate(black_box(candidate), target));
                }
            });
            println!("{per_second:>10.0}  {:<10}  {name}", target.name);
        }
    }
}

/// Candidates of one family; as many are costed in one call of the timed function.
const CANDIDATES: usize = 500;

fn random(rng: &mut Rng, build: fn(&mut Rng) -> Graph) -> Vec<Candidate> {
    (0..CANDIDATES).map(|_| candidate(build(rng))).collect()
}

/// Candidates per second of computing time, over twenty rounds after one that warms up.
fn rate(mut round: impl FnMut()) -> f64 {
    const ROUNDS: usize = 20;
    round();
    let start = Instant::now();
    let before = seconds(start);
    (0..ROUNDS).for_each(|_| round());
    (ROUNDS * CANDIDATES) as f64 / (seconds(start) - before)
}

/// Time that this thread computed, where Linux tells; else the time that passed.
fn seconds(start: Instant) -> f64 {
    let passed = start.elapsed().as_secs_f64();
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse::<f64>().ok())
        .map_or(passed, |nanoseconds| nanoseconds / 1e9)
}

fn candidate(graph: Graph) -> Candidate {
    let spec = FeatureSpec {
        sample_rate_hz: 16000,
        n_fft: 1024,
        hop_length: 512,
        n_mels: 64,
        feature: Feature::LogMel,
    };
    Candidate {
        front_end: FrontEnd {
            spec,
            frames: 32,
            frame_stride: 4,
            statistics: None,
            companding: None,
        },
        graph,
        task: Task::Reconstruct,
        weights_in: None,
        clip_rules: Vec::new(),
        ensemble: None,
        head: None,
    }
}

/// A random number of channels in steps of 8.
fn channels(rng: &mut Rng, most: usize) -> usize {
    8 * (1 + rng.below(most / 8))
}

fn dense_autoencoder(rng: &mut Rng) -> Graph {
    let mut b = GraphBuilder::new(Shape::vector(640));
    let mut x = 0;
    for _ in 0..4 + rng.below(6) {
        x = b.dense(x, channels(rng, 256), Style::BATCH_NORM_RELU);
    }
    let x = b.dense(x, 640, Style::LINEAR);
    b.finish(x)
}

fn convolutional_autoencoder(rng: &mut Rng) -> Graph {
    let mut b = GraphBuilder::new(Shape::new(32, 64, 1));
    let mut x = b.conv(
        0,
        channels(rng, 32),
        Window::same(3, 2),
        Style::BATCH_NORM_RELU,
    );
    let levels = 2 + rng.below(3);
    for _ in 0..levels {
        x = b.depthwise(x, Window::same(3, 2), Style::BATCH_NORM_RELU);
        x = b.conv(
            x,
            channels(rng, 64),
            Window::same(1, 1),
            Style::BATCH_NORM_RELU,
        );
    }
    for _ in 0..=levels {
        x = b.upsample(x, [2, 2]);
        x = b.depthwise(x, Window::same(3, 1), Style::BATCH_NORM_RELU);
        x = b.conv(
            x,
            channels(rng, 64),
            Window::same(1, 1),
            Style::BATCH_NORM_RELU,
        );
    }
    let x = b.conv(x, 1, Window::same(3, 1), Style::LINEAR);
    b.finish(x)
}

fn inverted_residuals(rng: &mut Rng) -> Graph {
    let mut b = GraphBuilder::new(Shape::new(32, 64, 1));
    let mut x = b.conv(
        0,
        channels(rng, 32),
        Window::same(3, 2),
        Style::BATCH_NORM_RELU,
    );
    for _ in 0..3 {
        let (width, expansion) = (channels(rng, 48), 2 + rng.below(5));
        for layer in 0..1 + rng.below(4) {
            let input = x;
            let stride = if layer == 0 { 2 } else { 1 };
            x = b.conv(
                x,
                expansion * b.shape(x).channels,
                Window::same(1, 1),
                Style::BATCH_NORM_RELU,
            );
            x = b.depthwise(x, Window::same(3, stride), Style::BATCH_NORM_RELU);
            x = b.conv(x, width, Window::same(1, 1), Style::BATCH_NORM);
            if layer > 0 {
                x = b.add(input, x);
            }
        }
    }
    let x = b.global_average_pool(x);
    let x = b.dense(x, 4, Style::LINEAR);
    b.finish(x)
}
