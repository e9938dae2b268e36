//! How hard the synthetic faults are to hear: `cargo bench --bench synthetic` prints the table of `docs/synthetic.md`.
//!
//! Name machines to restrict it: `cargo bench --bench synthetic -- fan valve`.

use std::{sync::atomic::AtomicBool, time::Instant};

use nas::{
    audio::{Extractor, Feature, FeatureSpec, Matrix},
    data::{
        Clip, Domain, Label, Source, Split,
        synthetic::{self, FaultKind, Machine},
    },
    features::Windows,
    graph::{Graph, GraphBuilder, Padding, Shape, Style, Window},
    quant::run_float,
    score::{auc, negative_log_odds, reconstruction_error},
    space::{Recipe, Task},
    train::{Backend, Lessons, TrainOptions, train},
    units::Rng,
};
use rayon::prelude::*;

/// The DCASE baseline's front end.
const SPEC: FeatureSpec = FeatureSpec {
    sample_rate_hz: synthetic::SAMPLE_RATE_HZ,
    n_fft: 1024,
    hop_length: 512,
    n_mels: 128,
    feature: Feature::LogMel,
};
const FRAMES: usize = 5;
const SECTIONS: [&str; 3] = ["00", "01", "02"];

/// Networks are trained this often: on one section their AUC can move by 0.3 from seed to seed.
const SEEDS: [u64; 3] = [1, 2, 3];

/// Anomaly scores of all clips by one detector, once for every seed it was trained with.
struct Detector {
    name: &'static str,
    runs: Vec<Vec<f64>>,
}

fn main() {
    let wanted: Vec<Machine> = std::env::args()
        .filter_map(|name| Machine::from_name(&name))
        .collect();
    let machines = if wanted.is_empty() {
        Machine::ALL.to_vec()
    } else {
        wanted
    };
    for machine in machines {
        calibrate(machine);
    }
}

fn calibrate(machine: Machine) {
    let clips = synthetic::dataset(machine).clips;
    let started = Instant::now();
    let sounds: Vec<_> = clips.par_iter().map(sound).collect();
    let rendered = started.elapsed();
    let extractor = Extractor::new(&SPEC).expect("a valid front end");
    let features: Vec<Matrix> = sounds
        .par_iter()
        .map(|audio| extractor.extract(audio).expect("finite sound"))
        .collect();
    eprintln!(
        "{}: {} clips, rendered in {:.1} s, features in {:.1} s on {} threads",
        machine.name(),
        clips.len(),
        rendered.as_secs_f64(),
        (started.elapsed() - rendered).as_secs_f64(),
        rayon::current_num_threads(),
    );

    let spectra: Vec<Vec<f64>> = features.iter().map(mean_and_std).collect();
    let standardised = standardised_clips(&clips, &features);
    let classes = SECTIONS.len();
    let trained = |graph: Graph, task, frames, stride| -> Vec<Vec<f64>> {
        SEEDS
            .par_iter()
            .map(|seed| network(&clips, &standardised, &graph, task, frames, stride, *seed))
            .collect()
    };
    let autoencoder = trained(dcase_autoencoder(), Task::Reconstruct, FRAMES, 1);
    let classifier = trained(ds_cnn(classes), Task::Classify { classes }, 32, 8);
    let detectors = [
        Detector {
            name: "mean level",
            runs: vec![mean_level(&clips, &spectra)],
        },
        Detector {
            name: "diagonal Gaussian",
            runs: vec![diagonal_gaussian(&clips, &spectra)],
        },
        Detector {
            name: "PCA-8",
            runs: vec![principal_components(&clips, &features)],
        },
        Detector {
            name: "DCASE autoencoder",
            runs: autoencoder,
        },
        Detector {
            name: "ID, logistic",
            runs: vec![section_classifier(&clips, &spectra)],
        },
        Detector {
            name: "ID, DS-CNN",
            runs: classifier,
        },
    ];
    print_table(machine, &clips, &detectors);
}

fn sound(clip: &Clip) -> nas::audio::Audio {
    match &clip.source {
        Source::Synthetic(spec) => synthetic::render(spec),
        other => unreachable!("{other:?} in a synthetic set"),
    }
}

/// Source and target AUC as DCASE counts them (normals of the domain against anomalies of both
/// domains), and with source anomalies only; the mean over the sections and training runs.
fn print_table(machine: Machine, clips: &[Clip], detectors: &[Detector]) {
    println!("\n### {}\n", machine.name());
    let names: Vec<&str> = detectors.iter().map(|detector| detector.name).collect();
    println!("| fault | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    let row = |name: &str, keep: &dyn Fn(&Clip) -> bool| {
        let cells: Vec<String> = detectors
            .iter()
            .map(|detector| cell(clips, &detector.runs, keep))
            .collect();
        println!("| {name} | {} |", cells.join(" | "));
    };
    for kind in machine.faults() {
        row(kind.name(), &|clip| fault_of(clip) == Some(*kind));
    }
    for section in SECTIONS {
        row(&format!("all, section {section}"), &|clip| {
            clip.section == section
        });
    }
    row("all", &|_| true);
}

fn cell(clips: &[Clip], runs: &[Vec<f64>], keep: &dyn Fn(&Clip) -> bool) -> String {
    let pick = |scores: &[f64], section: &str, label: Label, domain: Option<Domain>| -> Vec<f64> {
        clips
            .iter()
            .zip(scores)
            .filter(|(clip, _)| {
                clip.split == Split::Test
                    && clip.section == section
                    && clip.label == Some(label)
                    && domain.is_none_or(|domain| clip.domain == domain)
                    && (label == Label::Normal || keep(clip))
            })
            .map(|(_, score)| *score)
            .collect()
    };
    let mean = |normals: Domain, anomalies: Option<Domain>| -> f64 {
        let one = |scores: &Vec<f64>, section: &str| {
            auc(
                &pick(scores, section, Label::Normal, Some(normals)),
                &pick(scores, section, Label::Anomaly, anomalies),
            )
        };
        let values: Vec<f64> = runs
            .iter()
            .flat_map(|scores| {
                SECTIONS
                    .iter()
                    .filter_map(move |section| one(scores, section))
            })
            .collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    format!(
        "{:.2} / {:.2} ({:.2})",
        mean(Domain::Source, None),
        mean(Domain::Target, None),
        mean(Domain::Source, Some(Domain::Source)),
    )
}

fn fault_of(clip: &Clip) -> Option<FaultKind> {
    match &clip.source {
        Source::Synthetic(spec) => spec.fault.map(|fault| fault.kind),
        _ => None,
    }
}

/// Mean and standard deviation over time of every band.
fn mean_and_std(features: &Matrix) -> Vec<f64> {
    let frames = features.frames() as f64;
    let mut sums = vec![0.0; 2 * features.bands];
    for frame in features.values.chunks(features.bands) {
        for (band, value) in frame.iter().enumerate() {
            sums[band] += f64::from(*value) / frames;
            sums[features.bands + band] += f64::from(*value).powi(2) / frames;
        }
    }
    for band in 0..features.bands {
        let variance = sums[features.bands + band] - sums[band].powi(2);
        sums[features.bands + band] = variance.max(0.0).sqrt();
    }
    sums
}

fn is_training(clip: &Clip, section: &str) -> bool {
    clip.split == Split::Train && clip.section == section
}

/// Distance of a clip's mean level from that of its section's training clips.
fn mean_level(clips: &[Clip], spectra: &[Vec<f64>]) -> Vec<f64> {
    let levels: Vec<f64> = spectra
        .iter()
        .map(|s| s[..SPEC.n_mels].iter().sum::<f64>())
        .collect();
    let usual = |section: &str| {
        let rows: Vec<f64> = clips
            .iter()
            .zip(&levels)
            .filter(|(clip, _)| is_training(clip, section))
            .map(|(_, level)| *level)
            .collect();
        rows.iter().sum::<f64>() / rows.len() as f64
    };
    let usual = SECTIONS.map(usual);
    clips
        .iter()
        .zip(&levels)
        .map(|(clip, level)| (level - usual[section_index(clip)]).abs())
        .collect()
}

/// Squared standardised distance from the section's training clips, band by band.
fn diagonal_gaussian(clips: &[Clip], spectra: &[Vec<f64>]) -> Vec<f64> {
    let statistics = SECTIONS.map(|section| {
        let rows: Vec<&[f64]> = clips
            .iter()
            .zip(spectra)
            .filter(|(clip, _)| is_training(clip, section))
            .map(|(_, row)| row.as_slice())
            .collect();
        standardisation(&rows)
    });
    clips
        .iter()
        .zip(spectra)
        .map(|(clip, row)| {
            let z = standardised(row, &statistics[section_index(clip)]);
            z.iter().map(|z| z * z).sum()
        })
        .collect()
}

/// Reconstruction error of 5-frame windows from their first eight principal components, one model for all sections.
fn principal_components(clips: &[Clip], features: &[Matrix]) -> Vec<f64> {
    const COMPONENTS: usize = 8;
    const ITERATIONS: usize = 8;
    let window = |matrix: &Matrix, first: usize| -> Vec<f64> {
        let values = &matrix.values[first * SPEC.n_mels..][..FRAMES * SPEC.n_mels];
        values.iter().map(|value| f64::from(*value)).collect()
    };
    let training: Vec<Vec<f64>> = clips
        .iter()
        .zip(features)
        .filter(|(clip, _)| clip.split == Split::Train)
        .flat_map(|(_, matrix)| {
            // A third of the windows describes the rest: they overlap.
            (0..=matrix.frames() - FRAMES)
                .step_by(3)
                .map(|first| window(matrix, first))
        })
        .collect();
    let rows: Vec<&[f64]> = training.iter().map(Vec::as_slice).collect();
    let statistics = standardisation(&rows);
    let rows: Vec<Vec<f64>> = rows
        .par_iter()
        .map(|row| standardised(row, &statistics))
        .collect();

    // Orthogonal iteration.
    let width = FRAMES * SPEC.n_mels;
    let mut rng = Rng::new(0, 0);
    let mut basis: Vec<Vec<f64>> = (0..COMPONENTS)
        .map(|_| (0..width).map(|_| rng.normal()).collect())
        .collect();
    orthonormalise(&mut basis);
    for _ in 0..ITERATIONS {
        basis = basis
            .par_iter()
            .map(|direction| {
                let mut next = vec![0.0; width];
                for row in &rows {
                    let share = dot(row, direction);
                    next.iter_mut().zip(row).for_each(|(n, r)| *n += share * r);
                }
                next
            })
            .collect();
        orthonormalise(&mut basis);
    }
    features
        .par_iter()
        .map(|matrix| {
            let windows = matrix.frames() - FRAMES + 1;
            let error: f64 = (0..windows)
                .map(|first| {
                    let z = standardised(&window(matrix, first), &statistics);
                    let explained: f64 = basis.iter().map(|b| dot(&z, b).powi(2)).sum();
                    dot(&z, &z) - explained
                })
                .sum();
            error / (windows * width) as f64
        })
        .collect()
}

/// Negative log-odds of a clip's own section by logistic regression on mean and deviation of the bands.
fn section_classifier(clips: &[Clip], spectra: &[Vec<f64>]) -> Vec<f64> {
    const STEPS: usize = 500;
    const RATE: f64 = 0.02;
    const DECAY: f64 = 0.01;
    let training: Vec<(usize, &[f64])> = clips
        .iter()
        .zip(spectra)
        .filter(|(clip, _)| clip.split == Split::Train)
        .map(|(clip, row)| (section_index(clip), row.as_slice()))
        .collect();
    let rows: Vec<&[f64]> = training.iter().map(|(_, row)| *row).collect();
    let statistics = standardisation(&rows);
    let training: Vec<(usize, Vec<f64>)> = training
        .iter()
        .map(|(section, row)| (*section, standardised(row, &statistics)))
        .collect();

    let width = 2 * SPEC.n_mels;
    let mut weights = [const { Vec::new() }; 3].map(|_: Vec<f64>| vec![0.0; width + 1]);
    let logits = |weights: &[Vec<f64>; 3], z: &[f64]| -> [f64; 3] {
        std::array::from_fn(|class| dot(&weights[class][..width], z) + weights[class][width])
    };
    for _ in 0..STEPS {
        let mut gradient = [const { Vec::new() }; 3].map(|_: Vec<f64>| vec![0.0; width + 1]);
        for (section, z) in &training {
            let probability = softmax(logits(&weights, z));
            for class in 0..3 {
                let error = probability[class] - f64::from(u8::from(class == *section));
                for (g, z) in gradient[class].iter_mut().zip(z.iter().chain([&1.0])) {
                    *g += error * z / training.len() as f64;
                }
            }
        }
        for class in 0..3 {
            for (w, g) in weights[class].iter_mut().zip(&gradient[class]) {
                *w -= RATE * (g + DECAY * *w);
            }
        }
    }
    clips
        .iter()
        .zip(spectra)
        .map(|(clip, row)| {
            let p = softmax(logits(&weights, &standardised(row, &statistics)))[section_index(clip)];
            (1.0 - p).max(f64::EPSILON).ln() - p.max(f64::EPSILON).ln()
        })
        .collect()
}

/// Every clip with mean 0 and deviation 1 in each band over the training clips.
fn standardised_clips(clips: &[Clip], features: &[Matrix]) -> Vec<Matrix> {
    let frames: Vec<Vec<f64>> = clips
        .iter()
        .zip(features)
        .filter(|(clip, _)| clip.split == Split::Train)
        .flat_map(|(_, matrix)| matrix.values.chunks(matrix.bands))
        .map(|frame| frame.iter().map(|value| f64::from(*value)).collect())
        .collect();
    let (mean, deviation) = standardisation(&frames.iter().map(Vec::as_slice).collect::<Vec<_>>());
    features
        .iter()
        .map(|matrix| {
            let mut matrix = matrix.clone();
            for frame in matrix.values.chunks_mut(matrix.bands) {
                for (value, (mean, deviation)) in frame.iter_mut().zip(mean.iter().zip(&deviation))
                {
                    *value = ((f64::from(*value) - mean) / deviation) as f32;
                }
            }
            matrix
        })
        .collect()
}

/// Trains a network on the training clips of all sections and scores every clip by its windows' mean.
fn network(
    clips: &[Clip],
    features: &[Matrix],
    graph: &Graph,
    task: Task,
    frames: usize,
    stride: usize,
    seed: u64,
) -> Vec<f64> {
    let windows = |validation: bool| {
        let idxs: Vec<usize> = (0..clips.len())
            .filter(|idx| clips[*idx].split == Split::Train && (idx % 10 == 9) == validation)
            .collect();
        let section = |idx: &usize| section_index(&clips[*idx]) as u32;
        let classes = match task {
            Task::Classify { .. } => idxs.iter().map(section).collect(),
            _ => Vec::new(),
        };
        Windows::new(
            idxs.iter().map(|idx| &features[*idx]).collect(),
            classes,
            frames,
            stride,
        )
    };
    let (epochs, batch_size) = match task {
        Task::Classify { .. } => (10, 64),
        _ => (30, 512),
    };
    let options = TrainOptions {
        epochs,
        batch_size,
        learning_rate: 1e-3,
        windows_per_epoch: usize::MAX,
        patience: epochs,
        recipe: Recipe::default(),
        backend: Backend::Flex,
    };
    let stop = AtomicBool::new(false);
    let weights = train(
        graph,
        task,
        &Lessons::new(&windows(false), &windows(true)),
        &options,
        seed,
        &stop,
    )
    .expect("training converges")
    .weights;
    clips
        .iter()
        .zip(features)
        .map(|(clip, matrix)| {
            // Neighbouring windows overlap: half of them say as much.
            let windows = Windows::new(vec![matrix], Vec::new(), frames, stride.max(2));
            let inputs = windows.gather(0..windows.len()).expect("in memory");
            let inputs: Vec<&[f32]> = inputs.iter().map(|window| &**window).collect();
            let outputs = run_float(graph, &weights, &inputs);
            let scores = inputs.iter().zip(&outputs).map(|(x, y)| match task {
                Task::Classify { .. } => negative_log_odds(y, section_index(clip)),
                _ => reconstruction_error(x, y),
            });
            scores.sum::<f64>() / inputs.len() as f64
        })
        .collect()
}

/// 640-128-128-128-128-8-128-128-128-128-640 with batch norm: the baseline of DCASE 2020 to 2022.
fn dcase_autoencoder() -> Graph {
    let mut net = GraphBuilder::new(Shape::vector(FRAMES * SPEC.n_mels));
    let mut x = 0;
    for features in [128, 128, 128, 128, 8, 128, 128, 128, 128] {
        x = net.dense(x, features, Style::BATCH_NORM_RELU);
    }
    let x = net.dense(x, FRAMES * SPEC.n_mels, Style::LINEAR);
    net.finish(x)
}

/// A small depthwise-separable classifier over about one second.
fn ds_cnn(classes: usize) -> Graph {
    let window = |kernel: [usize; 2], stride: [usize; 2]| Window {
        kernel,
        stride,
        padding: Padding::Same,
        dilation: [1, 1],
    };
    let mut net = GraphBuilder::new(Shape::new(32, SPEC.n_mels, 1));
    let mut x = net.conv(0, 24, window([5, 4], [2, 2]), Style::BATCH_NORM_RELU);
    for stride in [[1, 2], [2, 2], [1, 1]] {
        x = net.depthwise(x, window([3, 3], stride), Style::BATCH_NORM_RELU);
        x = net.conv(x, 32, window([1, 1], [1, 1]), Style::BATCH_NORM_RELU);
    }
    let x = net.global_average_pool(x);
    let x = net.dense(x, classes, Style::LINEAR);
    net.finish(x)
}

fn section_index(clip: &Clip) -> usize {
    SECTIONS
        .iter()
        .position(|section| *section == clip.section)
        .expect("one of the three sections")
}

/// Mean and standard deviation of every column.
fn standardisation(rows: &[&[f64]]) -> (Vec<f64>, Vec<f64>) {
    let (width, count) = (rows[0].len(), rows.len() as f64);
    let mut mean = vec![0.0; width];
    let mut deviation = vec![0.0; width];
    for row in rows {
        mean.iter_mut().zip(*row).for_each(|(m, x)| *m += x / count);
    }
    for row in rows {
        for ((d, m), x) in deviation.iter_mut().zip(&mean).zip(*row) {
            *d += (x - m) * (x - m) / count;
        }
    }
    deviation.iter_mut().for_each(|d| *d = d.sqrt().max(1e-9));
    (mean, deviation)
}

fn standardised(row: &[f64], (mean, deviation): &(Vec<f64>, Vec<f64>)) -> Vec<f64> {
    row.iter()
        .zip(mean)
        .zip(deviation)
        .map(|((x, m), d)| (x - m) / d)
        .collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn orthonormalise(basis: &mut [Vec<f64>]) {
    for idx in 0..basis.len() {
        let (done, rest) = basis.split_at_mut(idx);
        let direction = &mut rest[0];
        for earlier in done.iter() {
            let share = dot(direction, earlier);
            direction
                .iter_mut()
                .zip(earlier)
                .for_each(|(d, e)| *d -= share * e);
        }
        let length = dot(direction, direction).sqrt();
        direction.iter_mut().for_each(|d| *d /= length);
    }
}

fn softmax(logits: [f64; 3]) -> [f64; 3] {
    let top = logits.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let powers = logits.map(|logit| (logit - top).exp());
    let sum: f64 = powers.iter().sum();
    powers.map(|power| power / sum)
}
