//! How hard the synthetic faults are to hear: `cargo bench --bench synthetic` prints the table of `docs/synthetic.md`.
//!
//! Name machines to restrict it: `cargo bench --bench synthetic -- fan valve`.

use std::time::Instant;

use nas::{
    audio::{Extractor, Feature, FeatureSpec, Matrix},
    data::{
        Clip, Domain, Label, Source, Split,
        synthetic::{self, FaultKind, Machine},
    },
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

/// Anomaly scores of all clips by one detector.
struct Detector {
    name: &'static str,
    scores: Vec<f64>,
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

    if let Ok(dir) = std::env::var("DUMP") {
        let mut bytes = Vec::new();
        for m in &features {
            for v in &m.values {
                bytes.extend(v.to_le_bytes());
            }
        }
        std::fs::write(format!("{dir}/{}.f32", machine.name()), bytes).unwrap();
        let names: Vec<String> = clips
            .iter()
            .map(|c| format!("{},{}", c.name, fault_of(c).map_or("none", |f| f.name())))
            .collect();
        std::fs::write(format!("{dir}/{}.csv", machine.name()), names.join("\n")).unwrap();
    }
    let spectra: Vec<Vec<f64>> = features.iter().map(mean_and_std).collect();
    let detectors = [
        Detector {
            name: "mean level",
            scores: mean_level(&clips, &spectra),
        },
        Detector {
            name: "diagonal Gaussian",
            scores: diagonal_gaussian(&clips, &spectra),
        },
        Detector {
            name: "PCA-8",
            scores: principal_components(&clips, &features),
        },
        Detector {
            name: "ID, logistic",
            scores: section_classifier(&clips, &spectra),
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
/// domains), and with source anomalies only; the mean over the sections.
fn print_table(machine: Machine, clips: &[Clip], detectors: &[Detector]) {
    println!("\n### {}\n", machine.name());
    let names: Vec<&str> = detectors.iter().map(|detector| detector.name).collect();
    println!("| fault | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    let row = |name: &str, keep: &dyn Fn(&Clip) -> bool| {
        let cells: Vec<String> = detectors
            .iter()
            .map(|detector| cell(clips, &detector.scores, keep))
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

fn cell(clips: &[Clip], scores: &[f64], keep: &dyn Fn(&Clip) -> bool) -> String {
    let pick = |section: &str, label: Label, domain: Option<Domain>, all: bool| -> Vec<f64> {
        clips
            .iter()
            .zip(scores)
            .filter(|(clip, _)| {
                clip.split == Split::Test
                    && clip.section == section
                    && clip.label == Some(label)
                    && domain.is_none_or(|domain| clip.domain == domain)
                    && (all || keep(clip))
            })
            .map(|(_, score)| *score)
            .collect()
    };
    let mean = |normals: Domain, anomalies: Option<Domain>| -> f64 {
        let values: Vec<f64> = SECTIONS
            .iter()
            .filter_map(|section| {
                let anomalies = pick(section, Label::Anomaly, anomalies, false);
                (!anomalies.is_empty()).then(|| {
                    auc(
                        &pick(section, Label::Normal, Some(normals), true),
                        &anomalies,
                    )
                })
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

fn auc(normal: &[f64], anomaly: &[f64]) -> f64 {
    let mut wins = 0.0;
    for a in anomaly {
        for n in normal {
            wins += f64::from(u8::from(a > n)) + 0.5 * f64::from(u8::from(a == n));
        }
    }
    wins / (normal.len() * anomaly.len()) as f64
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
