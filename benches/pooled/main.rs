//! Detectors that need no training, against their bars: `cargo test --bench pooled` or `cargo bench --bench pooled`.
//!
//! `-- compare` prints networks, fits, hybrids and heads side by side instead (`compare.rs`).
//!
//! Every labelled test clip judges, float and int8; nothing is chosen by any of them, but for the 48 bands of the
//! valve (docs/results.md). Core time is that of one fit with its
//! scores, features at hand. "model" is the whitening and its distance as a share of the front end's cycles on an M7, for a
//! decision at the end of every horizon. Real recordings are those of
//! `NAS_SHARED` (or `../shared`); where they are not at hand, their rows are left out. A folder of knocks is named by
//! `NAS_KNOCKS`.

mod compare;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::AtomicBool,
};

use nas::{
    audio::FeatureSpec,
    data::{self, Dataset},
    evaluate::{Evaluation, Evaluator, Options, Pipeline, test_scores},
    features::FeatureStore,
    hardware,
    score::{ThresholdRule, summarise},
    space::{self, Candidate, Spaces, Training},
    train::Backend,
    units::Rng,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A detector of the family `pooled-gaussian`.
#[derive(Debug, Clone, Copy)]
struct Detector {
    name: &'static str,
    frames: usize,
    groups: usize,
    /// The sum of 1 mean, 2 deviation, 4 maximum, 8 ranked, 16 difference.
    statistics: u32,
    ranking: f64,
    /// 0 diagonal, 1 Ledoit-Wolf, 2 OAS, 3 low rank.
    covariance: u32,
    shared: bool,
    standardised: bool,
    points: usize,
}

/// 16 bands, the mean over the clip, one covariance, one mean each.
const MEAN_16: Detector = Detector {
    name: "mean of 16 bands",
    frames: 0,
    groups: 16,
    statistics: 1,
    ranking: 1.0,
    covariance: 1,
    shared: true,
    standardised: false,
    points: 1,
};

/// What a row must keep.
#[derive(Debug, Clone, Copy, Default)]
struct Bars {
    /// AUC of sections, int8, in their order; one for all where there is one.
    auc: &'static [f64],
    bytes: Option<usize>,
}

/// Core seconds that one fit may take.
const MOST_SECONDS: f64 = 0.1;
/// The model's share of the front end's cycles that a bar allows.
const MOST_OF_FRONT_END: f64 = 0.05;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words = arguments.iter().filter(|word| !word.starts_with("--"));
    let words: Vec<String> = words.cloned().collect();
    if words.first().is_some_and(|word| word == "compare") {
        compare::run(&words[1..]);
        return ExitCode::SUCCESS;
    }
    let mut kept = true;
    let toycar = shared("audio/toycar-ad01");
    let ranked = Detector {
        name: "ranking-weighted mean of 16 bands",
        statistics: 8,
        ranking: 0.9,
        ..MEAN_16
    };
    if let Some(folder) = &toycar {
        let one = data::named(&folder.join("split.csv").to_string_lossy());
        kept &= table(
            "ToyCar, machine 4",
            one.as_ref().ok(),
            &[
                (
                    MEAN_16,
                    Bars {
                        auc: &[0.995],
                        bytes: Some(1024),
                    },
                ),
                (
                    Detector {
                        name: "mean of 32 bands",
                        groups: 32,
                        ..MEAN_16
                    },
                    Bars {
                        auc: &[0.998],
                        bytes: Some(6144),
                    },
                ),
                (
                    Detector {
                        name: "mean of 64 bands",
                        groups: 64,
                        ..MEAN_16
                    },
                    Bars {
                        auc: &[0.998],
                        bytes: Some(6144),
                    },
                ),
                (
                    Detector {
                        name: "mean of 16, standardised",
                        standardised: true,
                        ..MEAN_16
                    },
                    Bars::default(),
                ),
                (
                    Detector {
                        name: "mean of 16, OAS",
                        covariance: 2,
                        ..MEAN_16
                    },
                    Bars::default(),
                ),
                (
                    Detector {
                        name: "mean of 16, low rank",
                        covariance: 3,
                        ..MEAN_16
                    },
                    Bars::default(),
                ),
                (
                    Detector {
                        name: "mean of 16, diagonal",
                        covariance: 0,
                        standardised: true,
                        ..MEAN_16
                    },
                    Bars::default(),
                ),
                (
                    Detector {
                        name: "mean of 16 over 64 frames",
                        frames: 64,
                        ..MEAN_16
                    },
                    Bars::default(),
                ),
                (
                    Detector {
                        name: "mean of 16 over 8 frames",
                        frames: 8,
                        ..MEAN_16
                    },
                    Bars::default(),
                ),
                (
                    Detector {
                        name: "bank of 8, mean of 16",
                        points: 8,
                        ..MEAN_16
                    },
                    Bars::default(),
                ),
                (
                    Detector {
                        name: "mean, deviation, maximum of 16",
                        statistics: 7,
                        standardised: true,
                        ..MEAN_16
                    },
                    Bars::default(),
                ),
            ],
        );
        let four = data::named(&folder.join("split_all_ids.csv").to_string_lossy());
        kept &= table(
            "ToyCar, four machines",
            four.as_ref().ok(),
            &[
                (
                    Detector {
                        name: "mean of 64 bands, shared",
                        groups: 64,
                        ..MEAN_16
                    },
                    Bars {
                        auc: &[0.91, 0.96, 0.95, 0.995],
                        bytes: Some(6144),
                    },
                ),
                (
                    Detector {
                        name: "mean of 32 bands, shared",
                        groups: 32,
                        ..MEAN_16
                    },
                    Bars::default(),
                ),
                (
                    Detector {
                        name: "mean of 64 bands, each",
                        groups: 64,
                        shared: false,
                        ..MEAN_16
                    },
                    Bars::default(),
                ),
            ],
        );
    }
    let valve = data::named("synthetic:valve");
    kept &= table(
        "synthetic:valve",
        valve.as_ref().ok(),
        &[
            (
                Detector {
                    name: "mean+deviation of 48, each",
                    groups: 48,
                    statistics: 3,
                    shared: false,
                    ..MEAN_16
                },
                Bars {
                    auc: &[0.78],
                    bytes: Some(53_248),
                },
            ),
            (
                Detector {
                    name: "mean+deviation of 64, each",
                    groups: 64,
                    statistics: 3,
                    shared: false,
                    ..MEAN_16
                },
                Bars::default(),
            ),
            (
                Detector {
                    name: "mean+deviation of 64, shared",
                    groups: 64,
                    statistics: 3,
                    ..MEAN_16
                },
                Bars::default(),
            ),
            (
                Detector {
                    name: "mean+deviation of 32, each",
                    groups: 32,
                    statistics: 3,
                    shared: false,
                    ..MEAN_16
                },
                Bars::default(),
            ),
            (
                Detector {
                    name: "mean+deviation of 64, each, standardised",
                    groups: 64,
                    statistics: 3,
                    shared: false,
                    standardised: true,
                    ..MEAN_16
                },
                Bars::default(),
            ),
        ],
    );
    if let Some(folder) = std::env::var_os("NAS_KNOCKS") {
        let knocks = data::named(&PathBuf::from(folder).to_string_lossy());
        kept &= table(
            "faint knocks",
            knocks.as_ref().ok(),
            &[
                (
                    ranked,
                    Bars {
                        auc: &[0.99],
                        bytes: Some(1024),
                    },
                ),
                (
                    Detector {
                        name: "mean, deviation, maximum of 16",
                        statistics: 7,
                        standardised: true,
                        ..MEAN_16
                    },
                    Bars::default(),
                ),
            ],
        );
    }
    match kept {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Evaluates detectors on a data set, and says whether all bars were kept.
fn table(name: &str, dataset: Option<&Dataset>, rows: &[(Detector, Bars)]) -> bool {
    let Some(dataset) = dataset else {
        println!("{name}: not at hand");
        return true;
    };
    println!("\n{name}: {} clips", dataset.clips.len());
    let options = Options {
        epochs: None,
        backend: Backend::Flex,
        threshold: ThresholdRule::default(),
    };
    let pipeline = Pipeline::new(dataset.clone(), FeatureStore::new(None), options);
    let pipeline = pipeline.expect("the data set can steer a search");
    let spec = dataset.fixed_features.unwrap_or(FeatureSpec::DCASE);
    let frames = pipeline
        .shortest_clip_frames(&spec)
        .expect("features can be had");
    let samples = (frames - 1) * spec.hop_length;
    let mut kept = true;
    for (detector, bars) in rows {
        let (candidate, training) = candidate(detector, dataset, samples, pipeline.classes());
        let stop = AtomicBool::new(false);
        let evaluate = || {
            let begin = core_seconds();
            let evaluation = pipeline.evaluate(&candidate, &training, 0, &stop);
            let evaluation =
                evaluation.unwrap_or_else(|error| panic!("{}: {error}", detector.name));
            (evaluation, core_seconds() - begin)
        };
        // The first time may extract features.
        evaluate();
        let (evaluation, seconds) = evaluate();
        kept &= row(
            detector,
            bars,
            dataset,
            &spec,
            &candidate,
            &evaluation,
            &pipeline,
            seconds,
        );
    }
    kept
}

#[expect(clippy::too_many_arguments, reason = "a row of a table")]
fn row(
    detector: &Detector,
    bars: &Bars,
    dataset: &Dataset,
    spec: &FeatureSpec,
    candidate: &Candidate,
    evaluation: &Evaluation,
    pipeline: &Pipeline,
    seconds: f64,
) -> bool {
    let model = evaluation
        .model
        .as_ref()
        .expect("an evaluation makes a model");
    let store = FeatureStore::new(None);
    let features = store
        .get_device(dataset, spec)
        .expect("features can be had");
    let scored = test_scores(model, dataset, &features).expect("the model runs");
    let summary = summarise(&scored);
    let sections: Vec<f64> = summary
        .groups
        .iter()
        .filter_map(|group| group.auc)
        .collect();
    let examined = pipeline
        .examine(candidate, &Training::NONE, 0, &AtomicBool::new(false))
        .expect("what was evaluated once is evaluated again");
    let auc = |score: &dyn Fn(usize) -> f64| {
        let of = |anomaly: bool| -> Vec<f64> {
            let all = examined.clips.iter().enumerate();
            let chosen = all.filter(|(_, clip)| clip.anomaly == anomaly);
            chosen.map(|(idx, _)| score(idx)).collect()
        };
        nas::score::auc(&of(false), &of(true)).unwrap_or(f64::NAN)
    };
    let float = auc(&|idx| examined.clips[idx].float);
    let int8 = auc(&|idx| examined.clips[idx].int8);
    let bytes = constants(candidate, evaluation);
    let overall = summary.auc.unwrap_or(f64::NAN);
    let found = match bars.auc.len() {
        1 => vec![overall],
        _ => sections.clone(),
    };
    let reaches = found.iter().zip(bars.auc).all(|(found, bar)| found >= bar);
    let small = bars.bytes.is_none_or(|most| bytes <= most);
    let equal = (float - int8).abs() <= 0.003;
    let target = hardware::find("m7").expect("a shipped target");
    let front_end = hardware::front_end_latency_us(&candidate.front_end, &target).value;
    let whole = hardware::estimate(candidate, &target).latency_us.value;
    let share = whole / front_end - 1.0;
    let quick = seconds <= MOST_SECONDS && share <= MOST_OF_FRONT_END;
    let reaches = reaches && found.len() >= bars.auc.len();
    let kept = bars.auc.is_empty() || (reaches && small && equal && quick);
    let of_sections: Vec<String> = sections.iter().map(|auc| format!("{auc:.4}")).collect();
    println!(
        "{:42} {bytes:6} B  AUC {overall:.4} ({}), pooled float {float:.4} int8 {int8:.4}, {:.0} ms, model {:.2} %{}",
        detector.name,
        of_sections.join(" "),
        1000.0 * seconds,
        100.0 * share,
        match (bars.auc.is_empty(), kept) {
            (true, _) => "",
            (false, true) => "  bar kept",
            (false, false) => "  BAR MISSED",
        }
    );
    for note in &evaluation.scores.notes {
        println!("    {note}");
    }
    kept
}

/// Seconds that this thread has spent on a core, where Linux says so; elsewhere those of the clock.
fn core_seconds() -> f64 {
    let linux = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = linux.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(
        || {
            let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
            since.map_or(0.0, |elapsed| elapsed.as_secs_f64())
        },
        |nanoseconds| nanoseconds * 1e-9,
    )
}

/// Bytes of a detector's own constants: weights, biases, multiplier and shift, and points.
fn constants(candidate: &Candidate, evaluation: &Evaluation) -> usize {
    let card = &evaluation.model.as_ref().expect("a model").card;
    let points = card.distance.as_ref().map_or(0, |distance| {
        8 + distance.points.len() * (16 + 2 * distance.dimensions)
    });
    candidate.graph.weight_bytes() as usize + 5 + points
}

/// The candidate of a detector for the clips of a data set.
fn candidate(
    detector: &Detector,
    dataset: &Dataset,
    samples: usize,
    classes: usize,
) -> (Candidate, Training) {
    let text = include_str!("../../search_spaces/references/pooled.toml");
    let mut space = space::parse("pooled.toml", text).expect("a shipped space");
    let flag = |on: bool| f64::from(u8::from(on));
    for axis in &mut space.axes {
        let value = match axis.name {
            "frames" => detector.frames as f64,
            // A whole clip has one window.
            "frame_stride" if detector.frames == 0 => 8192.0,
            "frame_stride" => (detector.frames / 2).max(1) as f64,
            "groups" => detector.groups as f64,
            "statistics" => f64::from(detector.statistics),
            "ranking" => detector.ranking,
            "covariance" => f64::from(detector.covariance),
            "shared" => flag(detector.shared),
            "standardised" => flag(detector.standardised),
            "points" => detector.points as f64,
            _ => continue,
        };
        axis.values = vec![value];
    }
    if let Some(spec) = &dataset.fixed_features {
        space = space.with_fixed_features(spec).expect("log-mel");
    }
    let space = space.for_clips(samples).expect("windows fit");
    let training = space.training;
    let spaces = Spaces::new(vec![space], classes);
    (spaces.decode(&spaces.random(&mut Rng::new(0, 0))), training)
}

fn shared(relative: &str) -> Option<PathBuf> {
    let root = std::env::var_os("NAS_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let path = root.join("data").join(relative);
    path.exists().then_some(path)
}
