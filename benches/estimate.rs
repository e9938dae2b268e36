//! Candidates costed per second on one core: `cargo bench --bench estimate`.

use std::{hint::black_box, time::Instant};

use nas::{
    audio::{Feature, FeatureSpec, FrontEnd},
    graph::{Graph, GraphBuilder, Shape, Style, Window},
    space::{Candidate, Task},
    target::{builtin, estimate},
};

fn main() {
    let candidates = [
        ("dense autoencoder", candidate(dense_autoencoder())),
        ("convolutional autoencoder", candidate(convolutional_autoencoder())),
        ("inverted residuals", candidate(inverted_residuals())),
    ];
    println!("candidates per second on one core");
    for target in builtin() {
        for (name, candidate) in &candidates {
            let per_second = rate(|| {
                black_box(estimate(black_box(candidate), target));
            });
            let n_ops = candidate.graph.ops.len();
            println!("{per_second:>10.0}  {:<10}  {name} ({n_ops} operators)", target.name);
        }
    }
}

/// Calls per second, the best of five rounds: other work on the machine only slows down.
fn rate(mut call: impl FnMut()) -> f64 {
    const CALLS: u32 = 20_000;
    let mut best: f64 = 0.0;
    for _ in 0..5 {
        let start = Instant::now();
        (0..CALLS).for_each(|_| call());
        best = best.max(f64::from(CALLS) / start.elapsed().as_secs_f64());
    }
    best
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
        },
        graph,
        task: Task::Reconstruct,
    }
}

fn dense_autoencoder() -> Graph {
    let mut b = GraphBuilder::new(Shape::vector(640));
    let mut x = 0;
    for width in [128, 128, 128, 128, 8, 128, 128, 128, 128] {
        x = b.dense(x, width, Style::BATCH_NORM_RELU);
    }
    let x = b.dense(x, 640, Style::LINEAR);
    b.finish(x)
}

fn convolutional_autoencoder() -> Graph {
    let mut b = GraphBuilder::new(Shape::new(32, 64, 1));
    let mut x = b.conv(0, 16, Window::same(3, 2), Style::BATCH_NORM_RELU);
    for channels in [24, 32, 48] {
        x = b.depthwise(x, Window::same(3, 2), Style::BATCH_NORM_RELU);
        x = b.conv(x, channels, Window::same(1, 1), Style::BATCH_NORM_RELU);
    }
    for channels in [32, 24, 16] {
        x = b.upsample(x, [2, 2]);
        x = b.depthwise(x, Window::same(3, 1), Style::BATCH_NORM_RELU);
        x = b.conv(x, channels, Window::same(1, 1), Style::BATCH_NORM_RELU);
    }
    x = b.upsample(x, [2, 2]);
    let x = b.conv(x, 1, Window::same(3, 1), Style::LINEAR);
    b.finish(x)
}

fn inverted_residuals() -> Graph {
    let mut b = GraphBuilder::new(Shape::new(32, 64, 1));
    let mut x = b.conv(0, 16, Window::same(3, 2), Style::BATCH_NORM_RELU);
    for (channels, stride) in [(16, 1), (24, 2), (24, 1), (24, 1), (32, 2), (32, 1), (32, 1)] {
        let input = x;
        let expanded = 4 * b.shape(x).channels;
        x = b.conv(x, expanded, Window::same(1, 1), Style::BATCH_NORM_RELU);
        x = b.depthwise(x, Window::same(3, stride), Style::BATCH_NORM_RELU);
        x = b.conv(x, channels, Window::same(1, 1), Style::BATCH_NORM);
        if b.shape(input) == b.shape(x) {
            x = b.add(input, x);
        }
    }
    let x = b.global_average_pool(x);
    let x = b.dense(x, 4, Style::LINEAR);
    b.finish(x)
}
