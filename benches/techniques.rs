//! What a technique of training is worth: `techniques DATA [seeds] [words of technique or network …]`.
//!
//! Trains small networks with the plain recipe and with each technique, by equally many updates, and prints the int8
//! figures over *all* labelled test clips, mean and deviation over seeds. Data with folds are averaged over the folds,
//! each of which is the test fold once; nothing is chosen by a test clip.

use std::{path::Path, sync::atomic::AtomicBool, time::Instant};

use nas::{
    data::{self, Dataset, Label, Layout, Split, SplitBy},
    evaluate::{Evaluator, Options, Pipeline, Scorer},
    features::FeatureStore,
    score::{ClipScore, Figure, ThresholdRule, summarise},
    space::{self, Candidate, SearchSpace, Spaces, Training},
    train::Backend,
    units::Rng,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A name, and what it changes of the plain training.
type Technique = (&'static str, fn(&mut Training));

const TECHNIQUES: &[Technique] = &[
    ("plain", |_| ()),
    ("stopped early", |t| t.patience = 6),
    ("last epoch", |t| t.patience = 0),
    ("mix-up 0.2", |t| t.recipe.mix_up = 0.2),
    ("mix-up 0.5", |t| t.recipe.mix_up = 0.5),
    ("mix-up 1", |t| t.recipe.mix_up = 1.0),
    ("masks 0.2", |t| masks(t, 0.2)),
    ("masks 0.4", |t| masks(t, 0.4)),
    ("noise 0.1", |t| t.recipe.noise = 0.1),
    ("noise 0.3", |t| t.recipe.noise = 0.3),
    ("noise 0.6", |t| t.recipe.noise = 0.6),
    ("noise 1", |t| t.recipe.noise = 1.0),
    ("label smoothing 0.1", |t| t.recipe.label_smoothing = 0.1),
    ("twice as long", |t| t.epochs *= 2),
    ("no outliers", |t| t.recipe.outlier_exposure = 0.0),
    ("outliers 0.2", |t| t.recipe.outlier_exposure = 0.2),
    ("outliers 1", |t| t.recipe.outlier_exposure = 1.0),
    ("mixed and masked", |t| {
        masks(t, 0.3);
        t.recipe.mix_up = 0.5;
    }),
];

/// Epochs of every network but those of files.
const EPOCHS: usize = 20;
/// Slices of UrbanSound8K that are shorter do not judge, so that networks of long and of short windows are judged by
/// the same clips.
const SHORTEST_SLICE_S: f64 = 0.997;

fn masks(training: &mut Training, share: f32) {
    training.recipe.mask_frames = share;
    training.recipe.mask_bands = share;
}

/// A network of a space, and how long it is trained.
struct Network {
    name: String,
    space: String,
    /// Values of axes; of the others the first are taken.
    values: &'static [(&'static str, f64)],
    /// `None` for the training of the space.
    epochs: Option<usize>,
}

/// Name, space, values of axes.
type Chosen = (&'static str, &'static str, &'static [(&'static str, f64)]);

const AUTOENCODERS: &[Chosen] = &[
    (
        "ae-small",
        "dense-ae",
        &[
            ("frames", 5.0),
            ("depth", 1.0),
            ("width", 16.0),
            ("shrink", 1.0),
        ],
    ),
    (
        "ae-large",
        "dense-ae",
        &[
            ("frames", 5.0),
            ("depth", 2.0),
            ("width", 64.0),
            ("shrink", 1.0),
        ],
    ),
];

const CLASSIFIERS: &[Chosen] = &[
    ("p2-mlp", "p2-mlp", &[]),
    (
        "ds-small",
        "ds-cnn",
        &[
            ("n_mels", 64.0),
            ("frames", 32.0),
            ("frame_stride", 8.0),
            ("channels", 32.0),
            ("blocks", 3.0),
            ("stem_stride_freq", 2.0),
        ],
    ),
    (
        "ds-large",
        "ds-cnn",
        &[
            ("n_mels", 64.0),
            ("frames", 32.0),
            ("frame_stride", 8.0),
            ("channels", 96.0),
            ("blocks", 4.0),
            ("stem_kernel_time", 10.0),
            ("stem_kernel_freq", 4.0),
            ("stem_stride_freq", 2.0),
        ],
    ),
    (
        "mobile",
        "mobilenet-v2",
        &[
            ("n_mels", 64.0),
            ("frames", 32.0),
            ("frame_stride", 8.0),
            ("stem", 16.0),
            ("width", 16.0),
            ("stages", 3.0),
            ("blocks", 2.0),
            ("expansion", 4.0),
        ],
    ),
];

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let path = arguments.first().expect("a data set");
    let seeds: u64 = arguments
        .get(1)
        .map_or(3, |text| text.parse().expect("a number of seeds"));
    let words = arguments.get(2..).unwrap_or_default();
    let is_wanted = |technique: &str, network: &str| {
        let name = format!("{technique} / {network}");
        words
            .iter()
            .filter(|word| !word.ends_with(".toml"))
            .all(|word| {
                word.split('|')
                    .any(|alternative| name.contains(alternative))
            })
    };
    let divisions = divisions(Path::new(path));
    let chosen: &[&[Chosen]] = match divisions[0].classes() {
        0 | 1 => &[AUTOENCODERS],
        _ if divisions[0].dataset().learns == nas::data::Learns::Labels => &[CLASSIFIERS],
        _ => &[AUTOENCODERS, CLASSIFIERS],
    };
    let mut networks: Vec<Network> = Vec::new();
    for (name, space, values) in chosen.iter().copied().flatten() {
        networks.push(Network {
            name: name.to_string(),
            space: space.to_string(),
            values,
            epochs: Some(EPOCHS),
        });
    }
    let files = words.iter().filter(|word| word.ends_with(".toml"));
    let files: Vec<Network> = files
        .map(|file| Network {
            name: Path::new(file)
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default(),
            space: file.clone(),
            values: &[],
            epochs: None,
        })
        .collect();
    if !files.is_empty() {
        networks = files;
    }
    println!(
        "network,bytes,clips,technique,float less int8,AUC int8,deviation,pAUC int8,accuracy,deviation,seconds"
    );
    for network in &networks {
        for (name, change) in TECHNIQUES {
            if is_wanted(name, &network.name) {
                measure(&divisions, network, name, *change, seeds);
            }
        }
    }
}

/// One pipeline per test fold, or one.
fn divisions(path: &Path) -> Vec<Pipeline> {
    let options = Options {
        epochs: None,
        backend: Backend::Flex,
        threshold: ThresholdRule::default(),
    };
    let pipeline = |dataset: Dataset| {
        Pipeline::new(dataset, store(), options).expect("labels and training clips")
    };
    let dataset = data::open(path).expect("a data set");
    if !matches!(dataset.layout, Layout::UrbanSound8k | Layout::Esc50) {
        return vec![pipeline(dataset)];
    }
    let folds = dataset
        .clips
        .iter()
        .filter_map(|clip| clip.attribute("fold"));
    let folds: std::collections::BTreeSet<u32> =
        folds.filter_map(|fold| fold.parse().ok()).collect();
    let open = |fold| data::open_split(path, SplitBy::Folds { test: Some(fold) });
    folds
        .into_iter()
        .map(|fold| pipeline(open(fold).expect("a fold")))
        .collect()
}

fn decoded(network: &Network, pipeline: &Pipeline) -> Option<(Candidate, Training)> {
    let Network {
        space,
        values,
        epochs,
        ..
    } = network;
    let mut space: SearchSpace = space::load(space).expect("a search space");
    if let Some(spec) = &pipeline.dataset().fixed_features {
        space = space.with_fixed_features(spec)?;
    }
    for axis in &mut space.axes {
        // Ready features leave no choice.
        let free = axis.values.len() > 1;
        let chosen = values.iter().find(|(name, _)| *name == axis.name && free);
        axis.values = vec![chosen.map_or(axis.values[0], |(_, value)| *value)];
    }
    let mut training = space.training;
    if let Some(epochs) = epochs {
        training.epochs = *epochs;
        training.windows_per_epoch = training.windows_per_epoch.min(8192);
        training.patience = usize::MAX;
    }
    let spaces = Spaces::new(vec![space], pipeline.classes());
    let genome = spaces.random(&mut Rng::new(0, 0));
    Some((spaces.decode(&genome), training))
}

fn measure(
    divisions: &[Pipeline],
    network: &Network,
    technique: &str,
    change: fn(&mut Training),
    seeds: u64,
) {
    let begin = Instant::now();
    let mut figures: Vec<[f64; 4]> = Vec::new();
    let mut bytes = 0;
    let mut judged = 0;
    for seed in 0..seeds {
        judged = 0;
        let mut sums = [0.0; 4];
        for pipeline in divisions {
            let Some((candidate, mut training)) = decoded(network, pipeline) else {
                return;
            };
            change(&mut training);
            let stop = AtomicBool::new(false);
            let evaluation = pipeline
                .evaluate(&candidate, &training, seed, &stop)
                .expect("a network that trains");
            let model = evaluation.model.expect("the pipeline makes models");
            bytes = bytes.max(model.tflite.len());
            let mut scorer = Scorer::new(&model).expect("a model that runs");
            let dataset = pipeline.dataset();
            let features = store()
                .get_device(dataset, &candidate.front_end.spec)
                .expect("features");
            let mut scored = Vec::new();
            let spec = candidate.front_end.spec;
            let frame_s = spec.hop_length as f64 / f64::from(spec.sample_rate_hz);
            for (clip, matrix) in dataset.clips.iter().zip(&features.clips) {
                let (Split::Test, Some(label)) = (clip.split, clip.label) else {
                    continue;
                };
                let seconds = matrix.frames() as f64 * frame_s;
                if dataset.layout == Layout::UrbanSound8k && seconds < SHORTEST_SLICE_S {
                    continue;
                }
                let Some(score) = scorer.clip_score(matrix, model.card.class_of(clip)) else {
                    continue;
                };
                scored.push(ClipScore {
                    machine: clip.machine.clone(),
                    section: clip.section.clone(),
                    domain: clip.domain,
                    anomaly: label == Label::Anomaly,
                    score,
                });
            }
            let summary = summarise(&scored);
            let right = scored
                .iter()
                .filter(|clip| (clip.score > 0.0) == clip.anomaly);
            let share = 1.0 / divisions.len() as f64;
            let auc = |figure| evaluation.scores.figures.get(figure).expect("an AUC");
            sums[0] += share * (auc(Figure::AUC_FLOAT) - auc(Figure::AUC));
            sums[1] += share * summary.auc.expect("both labels");
            sums[2] += share * summary.pauc.expect("both labels");
            judged += scored.len();
            sums[3] += share * right.count() as f64 / scored.len() as f64;
        }
        figures.push(sums);
    }
    let seconds = begin.elapsed().as_secs_f64() / figures.len() as f64 / divisions.len() as f64;
    let figure = |at: usize| mean_and_deviation(figures.iter().map(|f| f[at]));
    let (auc, accuracy) = (figure(1), figure(3));
    println!(
        "{},{bytes},{judged},{technique},{:.4},{:.4},{:.4},{:.4},{:.4},{:.4},{seconds:.1}",
        network.name,
        figure(0).0,
        auc.0,
        auc.1,
        figure(2).0,
        accuracy.0,
        accuracy.1
    );
}

/// Features are kept between calls.
fn store() -> FeatureStore {
    FeatureStore::new(Some(std::env::temp_dir().join("nas-techniques")))
}

fn mean_and_deviation(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values: Vec<f64> = values.collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (values.len() - 1).max(1) as f64).sqrt())
}
