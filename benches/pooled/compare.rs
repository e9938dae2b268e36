//! Networks, detectors that need no training, hybrids of both and heads, side by side: `cargo bench --bench pooled -- compare`.
//!
//! What is trained is trained with `NAS_SEEDS` seeds (5), and its figures are means over them, with the standard deviation
//! behind; fits have no seeds. The rows are the same on every set; the 48 bands were chosen
//! on the valve: all labelled test clips judge, and a
//! clip's score is the mean of its windows' scores. The rest of the arguments name data sets, to run some of them.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

use nas::{
    data::{self, Dataset, SplitBy},
    evaluate::{Evaluator, Options, Pipeline, test_scores},
    features::FeatureStore,
    hardware::{self, energy::Duty},
    score::{ClipRule, ThresholdRule, summarise},
    space::{self, Candidate, Spaces, Task, Training},
    train::Backend,
    units::Rng,
};

/// A kind of detector: a shipped space in which every axis has one value, that of the list or else its first.
struct Kind {
    name: &'static str,
    space: &'static str,
    values: &'static [(&'static str, f64)],
}

const KINDS: [Kind; 12] = [
    Kind {
        name: "Gaussian, mean of 64 bands, shared",
        space: "pooled-gaussian",
        values: &[
            ("groups", 64.0),
            ("statistics", 1.0),
            ("covariance", 1.0),
            ("shared", 1.0),
        ],
    },
    Kind {
        name: "Gaussian, mean+deviation of 48, each",
        space: "pooled-gaussian",
        values: &[
            ("groups", 48.0),
            ("statistics", 3.0),
            ("covariance", 1.0),
            ("shared", 0.0),
        ],
    },
    Kind {
        name: "Gaussian, mean+deviation+max of 16, each",
        space: "pooled-gaussian",
        values: &[
            ("groups", 16.0),
            ("statistics", 7.0),
            ("covariance", 1.0),
            ("shared", 0.0),
            ("standardised", 1.0),
        ],
    },
    Kind {
        name: "memory bank of 8, mean of 32",
        space: "pooled-gaussian",
        values: &[
            ("groups", 32.0),
            ("statistics", 1.0),
            ("covariance", 1.0),
            ("points", 8.0),
        ],
    },
    Kind {
        name: "linear classifier, mean+deviation of 64",
        space: "pooled-mlp",
        values: &[("groups", 64.0), ("statistics", 3.0), ("hidden", 0.0)],
    },
    Kind {
        name: "perceptron of 32, mean+deviation of 64",
        space: "pooled-mlp",
        values: &[("groups", 64.0), ("statistics", 3.0), ("hidden", 32.0)],
    },
    Kind {
        name: "perceptron of 32 with a head",
        space: "pooled-mlp",
        values: &[
            ("groups", 64.0),
            ("statistics", 3.0),
            ("hidden", 32.0),
            ("gaussian_head", 1.0),
        ],
    },
    Kind {
        name: "dense AE on mean+deviation of 32",
        space: "dense-ae",
        values: &[
            ("groups", 32.0),
            ("statistics", 3.0),
            ("width", 64.0),
            ("n_mels", 128.0),
            ("frames", 0.0),
            ("frame_stride", 8192.0),
        ],
    },
    Kind {
        name: "dense AE on 5 frames",
        space: "dense-ae",
        values: &[("width", 64.0), ("n_mels", 128.0), ("frames", 5.0)],
    },
    Kind {
        name: "dense AE on 5 frames, with a head",
        space: "dense-ae",
        values: &[
            ("width", 64.0),
            ("n_mels", 128.0),
            ("frames", 5.0),
            ("gaussian_head", 1.0),
        ],
    },
    Kind {
        name: "DS-CNN on 32 frames",
        space: "ds-cnn",
        values: &[
            ("channels", 24.0),
            ("blocks", 2.0),
            ("n_mels", 128.0),
            ("frames", 32.0),
            ("frame_stride", 16.0),
            ("stem_stride_freq", 3.0),
        ],
    },
    Kind {
        name: "DS-CNN on 32 frames, with a head",
        space: "ds-cnn",
        values: &[
            ("channels", 24.0),
            ("blocks", 2.0),
            ("n_mels", 128.0),
            ("frames", 32.0),
            ("frame_stride", 16.0),
            ("stem_stride_freq", 3.0),
            ("gaussian_head", 1.0),
        ],
    },
];

/// Epochs of what is trained: enough for networks so small.
const EPOCHS: usize = 12;

/// Prints the rows of every data set at hand whose name is asked for.
pub fn run(only: &[String]) {
    let seeds = std::env::var("NAS_SEEDS").ok();
    let seeds = seeds.and_then(|text| text.parse().ok()).unwrap_or(5);
    let target = hardware::find("m7").expect("a shipped target");
    println!("| data | detector | AUC, int8 | bytes | RAM, KiB | latency, ms | battery, days |");
    println!("|---|---|---|--:|--:|--:|--:|");
    for (name, dataset) in data_sets() {
        if !only.is_empty() && !only.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let Some(dataset) = dataset else {
            continue;
        };
        let options = Options {
            epochs: Some(EPOCHS),
            backend: Backend::Flex,
            threshold: ThresholdRule::default(),
        };
        let store = Arc::new(FeatureStore::new(None));
        let pipeline = Pipeline::new(dataset.clone(), store.clone(), options);
        let pipeline = pipeline
            .expect("the data set can steer a search")
            .scored_by(ClipRule::Mean);
        for kind in &KINDS {
            let Some((candidate, training)) = candidate(kind, &dataset, &pipeline) else {
                continue;
            };
            let is_fit = kind.space == "pooled-gaussian";
            let aucs = (0..if is_fit { 1 } else { seeds })
                .filter_map(|seed| auc(&pipeline, &store, &candidate, &training, seed));
            let aucs: Vec<f64> = aucs.collect();
            let estimate = hardware::estimate(&candidate, &target);
            // It listens without a pause, from a cell of 1000 mAh at 3 V.
            let front_end = candidate.front_end;
            let new_frames = front_end.frame_stride.min(front_end.frames) as f64;
            let duty = Duty {
                period_us: new_frames * front_end.spec.hop_us(),
                battery_mwh: Some(3000.0),
                least_days: None,
            };
            let days = duty
                .power(&estimate, &target)
                .ok()
                .and_then(|power| power.days);
            println!(
                "| {name} | {} | {} | {} | {:.1} | {:.2} | {} |",
                kind.name,
                shown(&aucs),
                bytes(&candidate),
                estimate.ram_bytes.value / 1024.0,
                estimate.latency_us.value / 1000.0,
                days.map_or("–".to_string(), |days| format!("{:.0}", days.value)),
            );
        }
    }
}

/// Bytes of weights, biases and points.
fn bytes(candidate: &Candidate) -> u64 {
    let points = match candidate.task {
        Task::Distance(how) => {
            let dimensions = candidate.graph.output_shape().len() / how.blocks();
            how.most_points() * (16 + 2 * dimensions)
        }
        _ => 0,
    };
    candidate.graph.weight_bytes() + points as u64
}

fn shown(aucs: &[f64]) -> String {
    let count = aucs.len() as f64;
    let mean = aucs.iter().sum::<f64>() / count;
    let squares = aucs.iter().map(|auc| (auc - mean).powi(2)).sum::<f64>();
    match aucs.len() {
        0 => "–".to_string(),
        1 => format!("{mean:.3}"),
        _ => format!("{mean:.3} ± {:.3}", (squares / (count - 1.0)).sqrt()),
    }
}

/// The AUC of the int8 detector over all labelled test clips, as the harmonic mean of sections and domains.
fn auc(
    pipeline: &Pipeline,
    store: &FeatureStore,
    candidate: &Candidate,
    training: &Training,
    seed: u64,
) -> Option<f64> {
    let evaluation = pipeline.evaluate(candidate, training, seed, &AtomicBool::new(false));
    let evaluation = match evaluation {
        Ok(evaluation) => evaluation,
        Err(error) => {
            eprintln!("{error}");
            return None;
        }
    };
    let model = evaluation.model?;
    let dataset = pipeline.dataset();
    let features = store.get_device(dataset, &candidate.front_end.spec).ok()?;
    summarise(&test_scores(&model, dataset, &features).ok()?).auc
}

/// The candidate of a kind; `None` where the data does not suit it.
fn candidate(kind: &Kind, dataset: &Dataset, pipeline: &Pipeline) -> Option<(Candidate, Training)> {
    let shipped = space::load(kind.space).expect("a shipped space");
    let mut text: String = shipped.text.clone();
    // Axes that the shipped space leaves out.
    let has = |name: &str| shipped.axes.iter().any(|axis| axis.name == name);
    let mut missing: Vec<String> = Vec::new();
    let mut add = |name: &str, value: f64| {
        if !has(name) {
            missing.push(format!("{name} = [{value}]\n"));
        }
    };
    for (name, value) in kind.values {
        add(name, *value);
        if *name == "statistics" {
            add("ranking", 1.0);
        }
    }
    text = text.replacen("[axes]\n", &format!("[axes]\n{}", missing.concat()), 1);
    let mut space = space::parse(kind.space, &text).unwrap_or_else(|error| panic!("{error}"));
    for axis in &mut space.axes {
        let chosen = kind.values.iter().find(|(name, _)| *name == axis.name);
        let first = match axis.name {
            "frame_stride" if space.name.starts_with("pooled") => *axis.values.last()?,
            _ => axis.values[0],
        };
        axis.values = vec![chosen.map_or(first, |(_, value)| *value)];
    }
    if let Some(spec) = &dataset.fixed_features {
        space = space.with_fixed_features(spec)?;
    }
    let value = |name: &str| Some(space.axes.iter().find(|axis| axis.name == name)?.values[0]);
    let spec = nas::audio::FeatureSpec {
        n_mels: value("n_mels")? as usize,
        n_fft: (value("n_fft")? as usize).max(1024),
        hop_length: value("hop_length")? as usize,
        ..nas::audio::FeatureSpec::DCASE
    };
    let frames = pipeline.shortest_clip_frames(&spec).ok()?;
    let space = space.for_clips((frames - 1) * spec.hop_length)?;
    let training = space.training;
    let spaces = Spaces::new(vec![space], pipeline.classes());
    let genome = (!spaces.is_empty()).then(|| spaces.random(&mut Rng::new(0, 0)))?;
    Some((spaces.decode(&genome), training))
}

/// The data sets; `None` where one is not at hand.
fn data_sets() -> Vec<(&'static str, Option<Dataset>)> {
    let at = |path: Option<PathBuf>| data::named(&path?.to_string_lossy()).ok();
    let toycar =
        |file: &str| at(super::shared("audio/toycar-ad01").map(|folder| folder.join(file)));
    let made = |machine: &str| data::named(&format!("synthetic:{machine}")).ok();
    let urban = super::shared("audio/us8k-subset").and_then(|path| {
        data::named_clips(&path.to_string_lossy(), SplitBy::Official, Some(0.992)).ok()
    });
    vec![
        ("ToyCar, machine 4", toycar("split.csv")),
        ("ToyCar, four machines", toycar("split_all_ids.csv")),
        (
            "faint knocks",
            at(std::env::var_os("NAS_KNOCKS").map(PathBuf::from)),
        ),
        ("synthetic:valve", made("valve")),
        ("synthetic:fan", made("fan")),
        ("synthetic:bearing", made("bearing")),
        ("synthetic:gearbox", made("gearbox")),
        ("synthetic:slider", made("slider")),
        ("UrbanSound8K, one fold", urban),
    ]
}
