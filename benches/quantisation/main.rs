//! What int8 costs: `quantisation [DATA[=SPACE[,SPACE]] …] [--trials N] [--seeds A,B] [--companding K] [--grid]
//! [--brief] [--weights DIR] [--hand-out DIR]`.
//!
//! Trains the networks that `nas search --sampler random --target m7 --budget-ram 128k` would train, and quantises each
//! by several rules:
//!
//! * `before`: ranges of normal sound alone, those of three that reproduce the float network's outputs best, as up to
//!   pipeline version 3;
//! * `now`: the ranges that detection needs;
//! * `extremes`: the smallest and largest values of all calibration windows, as LiteRT's converter takes them;
//! * `averages`: moving averages of every window's smallest and largest value, as ai-edge-quantizer 0.10 takes them.
//!
//! Prints AUC over all labelled test clips, float less int8, as the clips are and 6 dB louder, with the time that the
//! first two took; then means over all networks. The rules of other tools are computed here, on the same float networks.
//!
//! DATA is `knocks`, `clicks`, `synthetic:MACHINE` or a path. `--companding` gives every network a front end that
//! compresses features beyond so many deviations. `--grid` quantises by many fixed ranges, too. `--brief` leaves out the
//! rules of other tools. `--weights` keeps float weights between calls. `--hand-out` writes float networks and sound for
//! `other_tools.py`, which quantises them by the tools themselves.

mod hand_out;
mod rules;
#[path = "../../tests/sounds.rs"]
mod sounds;

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Mutex, atomic::AtomicBool},
    time::Instant,
};

use nas::{
    audio::Companding,
    data::{self, Dataset, Label, Split},
    evaluate::{
        EvaluateError, Evaluation, Evaluator, ModelCard, Options, Pipeline, Scorer, Scores,
        headroom::Choice,
    },
    features::{FeatureStore, Matrix, Standardiser, Windows},
    graph::Weights,
    hardware::{self, Budget},
    quant::{Calibration, QuantizedModel, Ranges, run_float},
    run::{self, Objective, Search},
    score::{
        ClipScore, Figure, Measure, ThresholdRule, interval, negative_log_odds,
        reconstruction_error, summarise,
    },
    search::SamplerKind,
    space::{self, Candidate, Spaces, Task, Training},
    store::{NewRun, Store},
    train::Backend,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How much louder the clips are at the second time.
const LOUDER_DB: f32 = 6.0;

/// What was asked for.
struct Request {
    data: Vec<(String, Vec<String>)>,
    trials: usize,
    seeds: Vec<u64>,
    companding: Option<Companding>,
    grid: bool,
    brief: bool,
    weights: Option<PathBuf>,
    hand_out: Option<PathBuf>,
}

/// What one network gave.
#[derive(Debug, Clone)]
struct Row {
    key: String,
    /// AUC of the float network, and what int8 loses by each rule.
    float: f64,
    lost: [f64; 4],
    /// The same on louder clips.
    louder: [f64; 4],
    seconds: [f64; 2],
    choice: Choice,
}

fn main() {
    let request = request();
    if request.grid {
        println!("grid,space,network,input,others,tail,kept,lost");
    }
    println!(
        "data,space,network,AUC float,lost before,now,extremes,averages,louder before,now,extremes,averages,seconds before,now,input,others,tail,kept"
    );
    let mut of_data: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for (data, spaces) in &request.data {
        let (dataset, _folder) = open(data);
        for seed in &request.seeds {
            for space in spaces {
                let rows = measure(&dataset, space, *seed, &request);
                for row in &rows {
                    let joined = |values: &[f64]| {
                        let texts = values.iter().map(|value| format!("{value:.4}"));
                        texts.collect::<Vec<String>>().join(",")
                    };
                    let Ranges {
                        tail,
                        input,
                        others,
                    } = row.choice.ranges;
                    println!(
                        "{data},{space},{},{:.4},{},{},{},{input},{others},{tail},{:.4}",
                        &row.key[..8],
                        row.float,
                        joined(&row.lost),
                        joined(&row.louder),
                        joined(&row.seconds),
                        row.choice.kept.unwrap_or(f64::NAN),
                    );
                }
                of_data
                    .entry(format!("{data} {space}"))
                    .or_default()
                    .extend(rows);
            }
        }
    }
    println!(
        "\n| data, space | networks | AUC float | before: mean, worst | now: mean, worst | gained, 95 % | extremes | averages | 6 dB louder: before, now | time |"
    );
    println!("|---|--:|--:|---|---|--:|--:|--:|---|--:|");
    for (name, rows) in &of_data {
        let column = |value: &dyn Fn(&Row) -> f64| rows.iter().map(value).collect::<Vec<f64>>();
        let mean = |value: &dyn Fn(&Row) -> f64| {
            let values = column(value);
            values.iter().sum::<f64>() / values.len() as f64
        };
        let lost = |rule: usize| {
            if rows.iter().all(|row| row.lost[rule].is_nan()) {
                return "–".to_string();
            }
            let worst = column(&|row| row.lost[rule])
                .into_iter()
                .fold(f64::MIN, f64::max);
            format!("{:.4}, {worst:.3}", mean(&|row| row.lost[rule]))
        };
        let gained = interval(&column(&|row| row.lost[0] - row.lost[1])).expect("there are rows");
        println!(
            "| {name} | {} | {:.3} | {} | {} | {:+.4} ± {:.4} | {} | {} | {:.4}, {:.4} | {:.2} |",
            rows.len(),
            mean(&|row| row.float),
            lost(0),
            lost(1),
            gained.mean,
            gained.half_width.unwrap_or(f64::NAN),
            lost(2),
            lost(3),
            mean(&|row| row.louder[0]),
            mean(&|row| row.louder[1]),
            mean(&|row| row.seconds[1]) / mean(&|row| row.seconds[0]),
        );
    }
}

fn request() -> Request {
    let mut request = Request {
        data: Vec::new(),
        trials: 12,
        seeds: vec![0],
        companding: None,
        grid: false,
        brief: false,
        weights: None,
        hand_out: None,
    };
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value behind the option");
        match argument.as_str() {
            "--trials" => request.trials = value().parse().expect("a number of networks"),
            "--seeds" => {
                let seeds = value();
                let seeds = seeds.split(',').map(|seed| seed.parse().expect("a seed"));
                request.seeds = seeds.collect();
            }
            "--companding" => {
                let knee = value().parse().expect("a number of deviations");
                request.companding = Companding::beyond(knee);
            }
            "--grid" => request.grid = true,
            "--brief" => request.brief = true,
            "--hand-out" => request.hand_out = Some(value().into()),
            "--weights" => request.weights = Some(value().into()),
            data => {
                let (data, spaces) = data.split_once('=').unwrap_or((data, "dense-ae,conv-ae"));
                let spaces = spaces.split(',').map(str::to_string).collect();
                request.data.push((data.to_string(), spaces));
            }
        }
    }
    if request.data.is_empty() {
        let spaces = ["dense-ae", "conv-ae"].map(str::to_string).to_vec();
        for data in ["knocks", "clicks"] {
            request.data.push((data.to_string(), spaces.clone()));
        }
    }
    request
}

/// The data set, and the folder that it was made in.
fn open(name: &str) -> (Dataset, Option<tempfile::TempDir>) {
    let fault = match name {
        "knocks" => sounds::Fault::Knocks,
        "clicks" => sounds::Fault::Clicks,
        _ => {
            return (data::named(name).expect("a data set"), None);
        }
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    sounds::write(folder.path(), fault, [200, 100], 3.0, 1);
    (data::open(folder.path()).expect("a data set"), Some(folder))
}

/// Trains and quantises the networks that a random search of one space would train.
fn measure(dataset: &Dataset, space: &str, seed: u64, request: &Request) -> Vec<Row> {
    let options = Options {
        epochs: None,
        backend: Backend::usual(),
        threshold: ThresholdRule::default(),
    };
    let pipeline =
        Pipeline::new(dataset.clone(), features(), options).expect("training clips and labels");
    let mut loaded = space::load(space).expect("a search space");
    if let Some(spec) = &dataset.fixed_features {
        loaded = loaded
            .with_fixed_features(spec)
            .expect("a space of log-mel");
    }
    let frames = pipeline
        .shortest_clip_frames(&probe(dataset))
        .expect("features");
    let samples = (frames - 1) * probe(dataset).hop_length;
    let loaded = loaded.for_clips(samples).expect("windows that fit");
    let spaces = Spaces::new(vec![loaded], pipeline.classes());
    let target = hardware::find("m7").expect("a target");
    let budget = Budget {
        ram_bytes: Some(128.0 * 1024.0),
        ..Budget::default()
    };
    let objectives = Objective::DEFAULT.to_vec();
    let targets = [target];
    let references = run::references(&spaces, &targets, &budget, &objectives, &Default::default());
    let paired = Paired {
        pipeline,
        space: space.to_string(),
        request,
        rows: Mutex::default(),
    };
    let mut store = Store::open_in_memory().expect("memory");
    let run = store
        .create_run(&NewRun {
            name: "bench".to_string(),
            created_utc: run::utc_now(),
            seed,
            version: String::new(),
            data_name: dataset.name.clone(),
            data_hash: String::new(),
            synthetic: dataset.synthetic,
            settings_json: "{}".to_string(),
            reference_json: "[]".to_string(),
        })
        .expect("a run");
    let stop = AtomicBool::new(false);
    let sampler = SamplerKind::Random.sampler();
    let search = Search {
        spaces: &spaces,
        targets: &targets,
        budget: &budget,
        objectives: &objectives,
        references: &references,
        sampler: sampler.as_ref(),
        earlier: &[],
        evaluator: &paired,
        seed,
        trials: request.trials,
        further: run::Further::default(),
        pace: run::Pace::new(None, &stop),
    };
    run::search(&mut store, &run, &search, &mut |_| ()).expect("a search");
    let mut rows = paired.rows.into_inner().expect("no thread panicked");
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    rows
}

fn probe(dataset: &Dataset) -> nas::audio::FeatureSpec {
    dataset
        .fixed_features
        .unwrap_or(nas::audio::FeatureSpec::DCASE)
}

/// Features are kept between calls.
fn features() -> FeatureStore {
    FeatureStore::new(Some(std::env::temp_dir().join("nas-quantisation")))
}

/// Trains once and quantises twice.
struct Paired<'r> {
    pipeline: Pipeline,
    space: String,
    request: &'r Request,
    rows: Mutex<Vec<Row>>,
}

impl Evaluator for Paired<'_> {
    fn content_key(&self, candidate: &Candidate, training: &Training, seed: u64) -> String {
        self.pipeline.content_key(candidate, training, seed)
    }

    fn expected_seconds(&self, candidate: &Candidate, training: &Training) -> f64 {
        self.pipeline.expected_seconds(candidate, training)
    }

    fn evaluate(
        &self,
        candidate: &Candidate,
        training: &Training,
        seed: u64,
        stop: &AtomicBool,
    ) -> Result<Evaluation, EvaluateError> {
        let mut candidate = candidate.clone();
        candidate.front_end.companding = self.request.companding;
        let candidate = &candidate;
        let key = self.content_key(candidate, training, seed);
        let weights = self.trained(&key, candidate, training, seed, stop)?;
        let begin = Instant::now();
        let before = self.pipeline.calibration(candidate, |windows| {
            rules::reproducing(candidate, &weights, windows)
        })?;
        let middle = Instant::now();
        let (now, choice) = self.pipeline.quantize(candidate, &weights)?;
        let seconds = [middle - begin, middle.elapsed()].map(|span| span.as_secs_f64());
        let others = self.pipeline.calibration(candidate, |windows| {
            let calibration =
                Calibration::observe(&candidate.graph, &weights, windows).expect("finite values");
            let plain = Ranges {
                tail: 0.0,
                input: 1.0,
                others: 1.0,
            };
            let averages = rules::averages(candidate, &weights, windows);
            vec![
                calibration.model(plain),
                calibration.model_between(&averages),
            ]
        })?;
        let others = if self.request.brief {
            Vec::new()
        } else {
            others
        };
        let card = self.pipeline.card(candidate)?;
        let auc = |scores: Vec<ClipScore>| summarise(&scores).auc.expect("both labels");
        let int8_auc = |clips: &[Matrix], model: &QuantizedModel| {
            let blob = model.to_blob();
            let mut scorer = Scorer::with(&card, &blob).expect("a network that runs");
            auc(self.scored(clips, |clip, class| scorer.clip_score(clip, class), &card))
        };
        let aucs = |clips: &[Matrix]| {
            let float = |clip: &Matrix, class| {
                let clip = standardised(candidate, &card, clip);
                float_score(candidate, &weights, &clip, class)
            };
            let mut aucs = vec![auc(self.scored(clips, float, &card))];
            let models = [&before, &now].into_iter().chain(&others);
            aucs.extend(models.map(|model| int8_auc(clips, model)));
            aucs
        };
        let lost = |aucs: &[f64], rule: usize| {
            let auc = aucs.get(rule + 1).copied();
            aucs[0] - auc.unwrap_or(f64::NAN)
        };
        let clips = self.clips(candidate, 0.0);
        let (plain, louder) = (aucs(&clips), aucs(&self.clips(candidate, LOUDER_DB)));
        if self.request.grid {
            let ranges = rules::grid();
            for (model, choice) in self.pipeline.quantize_with(candidate, &weights, &ranges)? {
                let Ranges {
                    tail,
                    input,
                    others,
                } = choice.ranges;
                println!(
                    "grid,{},{},{input},{others},{tail},{:.4},{:.4}",
                    self.space,
                    &key[..8],
                    choice.kept.unwrap_or(f64::NAN),
                    plain[0] - int8_auc(&clips, &model)
                );
            }
        }
        if let Some(folder) = &self.request.hand_out {
            let tested = self.tested(&clips);
            let windows = tested
                .iter()
                .map(|(clip, _)| standardised(candidate, &card, clip));
            let windows: Vec<Matrix> = windows.collect();
            let anomalies: Vec<bool> = tested.iter().map(|(_, anomaly)| *anomaly).collect();
            self.pipeline.calibration(candidate, |calibration| {
                let network = hand_out::Network {
                    candidate,
                    weights: &weights,
                    calibration,
                };
                let ours = [plain[0], plain[2]];
                hand_out::write(
                    &folder.join(&key[..8]),
                    &network,
                    &windows,
                    &anomalies,
                    ours,
                )
            })?;
        }
        let row = Row {
            key,
            float: plain[0],
            lost: std::array::from_fn(|rule| lost(&plain, rule)),
            louder: std::array::from_fn(|rule| lost(&louder, rule)),
            seconds,
            choice,
        };
        self.rows.lock().expect("no thread panicked").push(row);
        Ok(Evaluation {
            scores: Scores::headline(
                [Figure::AUC, Figure::steering(Measure::Pauc)]
                    .into_iter()
                    .map(|figure| (figure, plain[2]))
                    .collect(),
            ),
            model: None,
        })
    }
}

impl Paired<'_> {
    fn trained(
        &self,
        key: &str,
        candidate: &Candidate,
        training: &Training,
        seed: u64,
        stop: &AtomicBool,
    ) -> Result<Weights, EvaluateError> {
        let file = self
            .request
            .weights
            .as_ref()
            .map(|folder| folder.join(format!("{key}.bin")));
        let kept = file.as_ref().and_then(|file| fs::read(file).ok());
        if let Some(weights) = kept.and_then(|bytes| Weights::from_bytes(&bytes).ok()) {
            return Ok(weights);
        }
        let weights = self
            .pipeline
            .train(candidate, training, seed, stop)?
            .weights;
        if let Some(file) = file {
            fs::create_dir_all(file.parent().expect("it has a folder")).expect("a folder");
            fs::write(file, weights.to_bytes()).expect("a file");
        }
        Ok(weights)
    }

    /// Device features of all clips, so much louder.
    fn clips(&self, candidate: &Candidate, gain_db: f32) -> Vec<Matrix> {
        let spec = &candidate.front_end.spec;
        let features = features()
            .get_device(self.pipeline.dataset(), spec)
            .expect("features");
        let mut clips = features.clips.clone();
        // All bands of log-mel are louder; of MFCC the first coefficient, by the root of the bands.
        let (shift, step) = match spec.feature {
            nas::audio::Feature::LogMel => (gain_db, 1),
            nas::audio::Feature::Mfcc { .. } => {
                (gain_db * (spec.n_mels as f32).sqrt(), spec.bands())
            }
        };
        for clip in &mut clips {
            clip.values
                .iter_mut()
                .step_by(step)
                .for_each(|value| *value += shift);
        }
        clips
    }

    /// Labelled test clips, and whether they are anomalous.
    fn tested<'c>(&self, clips: &'c [Matrix]) -> Vec<(&'c Matrix, bool)> {
        let rows = self.pipeline.dataset().clips.iter().zip(clips);
        rows.filter(|(clip, _)| clip.split == Split::Test)
            .filter_map(|(clip, matrix)| Some((matrix, clip.label? == Label::Anomaly)))
            .collect()
    }

    fn scored(
        &self,
        clips: &[Matrix],
        mut score: impl FnMut(&Matrix, usize) -> Option<f64>,
        card: &ModelCard,
    ) -> Vec<ClipScore> {
        let rows = self.pipeline.dataset().clips.iter().zip(clips);
        rows.filter(|(clip, _)| clip.split == Split::Test)
            .filter_map(|(clip, matrix)| {
                Some(ClipScore {
                    machine: clip.machine.clone(),
                    section: clip.section.clone(),
                    domain: clip.domain,
                    anomaly: clip.label? == Label::Anomaly,
                    score: score(matrix, card.class_of(clip))?,
                })
            })
            .collect()
    }
}

/// What the network sees of a clip's features in dB.
fn standardised(candidate: &Candidate, card: &ModelCard, clip: &Matrix) -> Matrix {
    let standardiser = Standardiser {
        mean: card.mean.clone(),
        std: card.std.clone(),
    };
    let mut clip = standardiser.apply(clip);
    if let Some(companding) = candidate.front_end.companding {
        for value in &mut clip.values {
            *value = companding.compress(*value);
        }
    }
    clip
}

fn float_score(
    candidate: &Candidate,
    weights: &Weights,
    clip: &Matrix,
    class: usize,
) -> Option<f64> {
    let front_end = candidate.front_end;
    let windows = Windows::new(
        vec![clip],
        vec![0],
        front_end.frames,
        front_end.frame_stride,
    );
    let inputs = windows.gather(0..windows.len()).expect("in memory");
    let inputs: Vec<&[f32]> = inputs.iter().map(|window| &**window).collect();
    let outputs = run_float(&candidate.graph, weights, &inputs);
    let scores = inputs
        .iter()
        .zip(&outputs)
        .map(|(input, output)| match candidate.task {
            Task::Classify { .. } => negative_log_odds(output, class),
            _ => reconstruction_error(input, output),
        });
    (!inputs.is_empty()).then(|| scores.sum::<f64>() / inputs.len() as f64)
}
