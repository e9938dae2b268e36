//! Training throughput of two networks: `training <ae|mobile> [seconds] [threads] [rounds] [device]`.
//!
//! Every thread trains one candidate through the training loop's own step: gathering the batch,
//! forward, backward, Adam. Prints two numbers per round: samples per second of all threads together,
//! and samples per second of processor time, which other programs on the machine disturb less.

use std::time::{Duration, Instant};

use nas::{
    features::{Matrix, Windows},
    graph::{Activation, Graph, GraphBuilder, Shape, Style, Window},
    space::{Recipe, Task},
    train::{Backend, Bench, TrainOptions},
    units::Rng,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let number = |at: usize, default: f64| {
        arguments
            .get(at)
            .map_or(default, |text| text.parse().expect("a number"))
    };
    let model = arguments.first().map_or("ae", String::as_str);
    let (seconds, threads, rounds) = (
        number(1, 3.0),
        number(2, 2.0) as u64,
        number(3, 1.0) as usize,
    );
    let (graph, task, batch_size, frames) = match model {
        "ae" => (dense_autoencoder(), Task::Reconstruct, 512, 5),
        "mobile" => (mobile_net(), Task::Classify { classes: 10 }, 64, 64),
        other => panic!("`{other}` is not a model; write `ae` or `mobile`"),
    };
    let backend: Backend = arguments
        .get(4)
        .map_or(Ok(Backend::Flex), |device| device.parse())
        .expect("a device of this machine");
    let bands = graph.input_shape().len() / frames;
    let mut rng = Rng::new(1, 1);
    let mut clip = || {
        let values = (0..320 * bands).map(|_| rng.normal() as f32).collect();
        Matrix { bands, values }
    };
    let clips: Vec<Matrix> = (0..10).map(|_| clip()).collect();
    let windows = Windows::new(clips.iter().collect(), (0..10).collect(), frames, 1);
    let options = TrainOptions {
        epochs: 1,
        batch_size,
        learning_rate: 1e-3,
        windows_per_epoch: usize::MAX,
        patience: 1,
        recipe: Recipe::default(),
        backend,
    };
    for _ in 0..rounds {
        let [wall, processor]: [f64; 2] = std::thread::scope(|scope| {
            let train = |seed| {
                let (graph, windows, options) = (&graph, &windows, &options);
                move || {
                    let mut bench = Bench::new(graph, task, windows, options, seed);
                    bench.steps(5).expect("windows in memory");
                    let (start, processor, mut steps) = (Instant::now(), processor_seconds(), 0);
                    while start.elapsed() < Duration::from_secs_f64(seconds) {
                        bench.steps(5).expect("windows in memory");
                        steps += 5;
                    }
                    let samples = (steps * batch_size) as f64;
                    let processor = processor_seconds() - processor;
                    [samples / start.elapsed().as_secs_f64(), samples / processor]
                }
            };
            let threads: Vec<_> = (0..threads).map(|seed| scope.spawn(train(seed))).collect();
            threads.into_iter().fold([0.0; 2], |sum, thread| {
                let [wall, processor] = thread.join().expect("training works");
                [sum[0] + wall, sum[1] + processor]
            })
        });
        println!("{wall:.0} {processor:.0}");
    }
}

/// Processor time of this thread, as Linux counts it; elsewhere not a number.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text
        .split(' ')
        .next()
        .and_then(|number| number.parse::<f64>().ok());
    nanoseconds.map_or(f64::NAN, |nanoseconds| nanoseconds * 1e-9)
}

/// The autoencoder of the DCASE 2020 baseline: 640-128x4-8-128x4-640.
fn dense_autoencoder() -> Graph {
    let mut builder = GraphBuilder::new(Shape::new(5, 128, 1));
    let mut x = 0;
    for features in [128, 128, 128, 128, 8, 128, 128, 128, 128] {
        x = builder.dense(x, features, Style::BATCH_NORM_RELU);
    }
    let output = builder.dense(x, 640, Style::LINEAR);
    builder.finish(output)
}

/// Inverted residuals on a 64 x 64 spectrogram, 31 k weights.
fn mobile_net() -> Graph {
    let mut builder = GraphBuilder::new(Shape::new(64, 64, 1));
    let mut x = builder.conv(0, 16, Window::same(3, 2), Style::BATCH_NORM_RELU);
    let blocks = [
        (1, 8, 1),
        (4, 16, 2),
        (4, 16, 1),
        (4, 24, 2),
        (4, 24, 1),
        (4, 32, 2),
        (4, 32, 1),
    ];
    for (expansion, channels, stride) in blocks {
        let source = x;
        let inner = builder.shape(x).channels * expansion;
        if expansion > 1 {
            x = builder.conv(x, inner, Window::same(1, 1), Style::BATCH_NORM_RELU);
        }
        x = builder.depthwise(x, Window::same(3, stride), Style::BATCH_NORM_RELU);
        x = builder.conv(x, channels, Window::same(1, 1), Style::BATCH_NORM);
        if builder.shape(x) == builder.shape(source) {
            x = builder.add(x, source);
        }
    }
    x = builder.conv(x, 64, Window::same(1, 1), Style::BATCH_NORM_RELU);
    x = builder.global_average_pool(x);
    let logits = builder.dense(
        x,
        10,
        Style {
            activation: Activation::None,
            ..Style::LINEAR
        },
    );
    builder.finish(logits)
}
