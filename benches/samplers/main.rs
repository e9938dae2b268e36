//! How good the samplers are: `samplers [--seeds N] [--table NAME] [--sampler NAME] [--train TABLE DATA]`.
//!
//! Every network of a table's space was trained once; a csv holds the scores, and `--train TABLE DATA` makes it anew. A
//! search then takes a moment, and is repeated with many seeds, by the samplers of this project and, where `NAS_PYTHON` names
//! an interpreter that has it, by Optuna's multivariate TPE. Prints hypervolumes as a share of what the whole table has.
//!
//! * `toycar`: 488 dense autoencoders on the ToyCar features of MLPerf Tiny (machine 4); all axes are ordered.
//! * `pooled`: perceptrons on pooled statistics of `synthetic:pump`; which statistics is a category.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, atomic::AtomicBool},
};

use nas::{
    data,
    evaluate::{EvaluateError, Evaluation, Evaluator, Options, Pipeline, Scores},
    features::FeatureStore,
    hardware::{self, Budget, Target, estimate},
    run::{Further, Objective, Pace, Search, references, search},
    score::{Figure, Figures, ThresholdRule},
    search::{SamplerKind, hypervolume},
    space::{self, Candidate, Genome, Spaces, Training},
    store::{NewRun, Store},
    train::Backend,
};
use rayon::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EVALUATIONS: usize = 300;
const MARKS: [usize; 5] = [24, 50, 72, 100, EVALUATIONS];
/// Optuna's proposals take longer the more is known: all evaluations would take it hours.
const EVALUATIONS_OF_OPTUNA: usize = 100;

/// A space of which every network was trained once.
struct Table {
    /// Name of its files.
    name: &'static str,
    /// Sections of the data.
    classes: usize,
    /// Most multiply-accumulates, one row of the printed table each.
    mac_budgets: &'static [Option<u64>],
}

const TABLES: [Table; 2] = [
    Table {
        name: "toycar",
        classes: 1,
        // Two thirds of the table exceed the second one.
        mac_budgets: &[None, Some(50_000)],
    },
    Table {
        name: "pooled",
        classes: 3,
        mac_budgets: &[None],
    },
];

fn main() {
    let mut arguments = env::args().skip(1).filter(|argument| argument != "--bench");
    let mut seeds = 50;
    let (mut only_table, mut samplers) = (None, SamplerKind::ALL.to_vec());
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value");
        match argument.as_str() {
            "--seeds" => seeds = value().parse().expect("a number of seeds"),
            "--table" => only_table = Some(table(&value()).name),
            "--sampler" => samplers = vec![value().parse().expect("the name of a sampler")],
            "--train" => return train(table(&value()), &value()),
            _ => panic!(
                "usage: samplers [--seeds N] [--table NAME] [--sampler NAME] [--train TABLE DATA]"
            ),
        }
    }
    let target = hardware::find("m7").expect("a built-in target");
    println!(
        "| table | sampler | {} |",
        MARKS.map(|mark| format!("after {mark}")).join(" | ")
    );
    println!("|---|---|{}", "--:|".repeat(MARKS.len()));
    for table in &TABLES {
        let is_asked = only_table.is_none_or(|only| only == table.name);
        for macs in table.mac_budgets.iter().filter(|_| is_asked) {
            compare(table, *macs, &target, &samplers, seeds);
        }
    }
}

fn compare(
    table: &Table,
    macs: Option<u64>,
    target: &Target,
    samplers: &[SamplerKind],
    seeds: u64,
) {
    let spaces = table.spaces();
    let bench = Bench::new(table, &spaces, target, macs);
    let name = macs.map_or(table.name.to_string(), |macs| {
        let fits = bench.points.len() as f64 / bench.networks.len() as f64;
        let (table, thousands, percent) = (table.name, macs / 1000, 100.0 * fits);
        format!("{table}, {thousands} k MACs ({percent:.0} % fit)")
    });
    for &kind in samplers {
        let curves: Vec<_> = (0..seeds)
            .into_par_iter()
            .map(|seed| bench.curve(&bench.search(kind, seed)))
            .collect();
        print_row(&name, kind.name(), &curves, EVALUATIONS);
    }
    if let Some(python) = env::var_os("NAS_PYTHON") {
        let orders = bench.optuna(Path::new(&python), seeds);
        let curves: Vec<_> = orders.iter().map(|order| bench.curve(order)).collect();
        print_row(&name, "Optuna TPE", &curves, EVALUATIONS_OF_OPTUNA);
    }
}

fn table(name: &str) -> &'static Table {
    let named = TABLES.iter().find(|table| table.name == name);
    named.expect("the name of a table")
}

/// Mean over the seeds, and its standard error; a dash where there were fewer evaluations.
fn print_row(table: &str, sampler: &str, curves: &[[f64; MARKS.len()]], evaluations: usize) {
    let n = curves.len() as f64;
    let cells = (0..MARKS.len()).map(|at| {
        if MARKS[at] > evaluations {
            return "-".to_string();
        }
        let mean = curves.iter().map(|curve| curve[at]).sum::<f64>() / n;
        let squares: f64 = curves.iter().map(|curve| (curve[at] - mean).powi(2)).sum();
        let error = (squares / (n - 1.0) / n).sqrt();
        format!("{mean:.4} ± {error:.4}")
    });
    println!(
        "| {table} | {sampler} | {} |",
        cells.collect::<Vec<_>>().join(" | ")
    );
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/samplers")
}

impl Table {
    fn file(&self, extension: &str) -> PathBuf {
        folder().join(format!("{}.{extension}", self.name))
    }

    fn spaces(&self) -> Spaces {
        let file = self.file("toml");
        let space = space::load(file.to_str().expect("a path of text")).expect("a valid space");
        Spaces::new(vec![space], self.classes)
    }
}

/// Every genome, in the order of their bytes.
fn genomes(spaces: &Spaces) -> Vec<Genome> {
    let mut all = vec![vec![0]];
    for axis in &spaces.spaces()[0].axes {
        let longer = |bytes: Vec<u8>| {
            (0..axis.values.len() as u8).map(move |gene| [bytes.as_slice(), &[gene]].concat())
        };
        all = all.into_iter().flat_map(longer).collect();
    }
    let genome = |bytes: Vec<u8>| spaces.decode_bytes(&bytes).expect("it is of this space");
    all.into_iter().map(genome).collect()
}

/// Trains every different network once and writes the table.
fn train(table: &Table, data: &str) {
    let spaces = table.spaces();
    let dataset = data::named(data).expect("a data set");
    let options = Options {
        epochs: None,
        backend: Backend::Flex,
        threshold: ThresholdRule::default(),
    };
    let pipeline = Pipeline::new(dataset, FeatureStore::new(None), options).expect("usable data");
    let mut seen = HashSet::new();
    let mut candidates: Vec<Candidate> = genomes(&spaces)
        .iter()
        .map(|genome| spaces.decode(genome))
        .collect();
    candidates.retain(|candidate| seen.insert(candidate.key()));
    eprintln!("{} networks", candidates.len());
    let training = spaces.spaces()[0].training;
    let rows: Vec<String> = candidates
        .par_iter()
        .map(|candidate| {
            let never = AtomicBool::new(false);
            let evaluation = pipeline
                .evaluate(candidate, &training, 1, &never)
                .expect("a network that trains");
            let auc = evaluation.scores.figures.get(Figure::AUC);
            format!("{},{:.4}\n", candidate.key(), auc.expect("an AUC"))
        })
        .collect();
    let text = format!("network,auc_int8\n{}", rows.concat());
    fs::write(table.file("csv"), text).expect("a table");
}

/// The trained networks of the space, and what each is worth under one budget.
struct Bench<'a> {
    spaces: &'a Spaces,
    target: &'a Target,
    budget: Budget,
    /// One per objective of [`Objective::DEFAULT`].
    references: Vec<f64>,
    /// AUC by key.
    networks: HashMap<String, f64>,
    /// Objectives, as shares of their references, of the networks that fit.
    points: HashMap<String, Vec<f64>>,
    /// Hypervolume of the whole table.
    whole: f64,
}

impl<'a> Bench<'a> {
    fn new(table: &Table, spaces: &'a Spaces, target: &'a Target, macs: Option<u64>) -> Bench<'a> {
        let table = fs::read_to_string(table.file("csv")).expect("the committed table");
        let row = |line: &str| {
            let (key, auc) = line.split_once(',').expect("two columns");
            (key.to_string(), auc.parse().expect("an AUC"))
        };
        let budget = Budget {
            macs,
            ..Budget::default()
        };
        let targets = std::slice::from_ref(target);
        let mut bench = Bench {
            spaces,
            target,
            budget,
            references: references(
                spaces,
                targets,
                &budget,
                &Objective::DEFAULT,
                &Default::default(),
            )
            .remove(0),
            networks: table.lines().skip(1).map(row).collect(),
            points: HashMap::new(),
            whole: 0.0,
        };
        for genome in genomes(spaces) {
            let candidate = spaces.decode(&genome);
            let (excess, point) = bench.value(&candidate);
            if excess <= 0.0 {
                bench.points.insert(candidate.key(), point);
            }
        }
        let points: Vec<&[f64]> = bench.points.values().map(Vec::as_slice).collect();
        bench.whole = hypervolume(&points, &[1.0; Objective::DEFAULT.len()]);
        bench
    }

    /// By how much a network is over budget, and its objectives.
    fn value(&self, candidate: &Candidate) -> (f64, Vec<f64>) {
        let auc = *self.networks.get(&candidate.key()).expect(
            "the table lacks a network of the space; make it anew with `--train TABLE DATA`",
        );
        let figures = Figures::default().with(Figure::AUC, auc);
        let (estimate, macs) = (estimate(candidate, self.target), candidate.graph.macs());
        let excess = self.budget.excess(self.target, &estimate, macs);
        let objectives = Objective::DEFAULT.iter().zip(&self.references);
        let point = objectives.map(|(o, reference)| o.value(&figures, &estimate, macs) / reference);
        (excess.map_or(0.0, |excess| excess.total()), point.collect())
    }

    /// The networks that a search trains, in order.
    fn search(&self, kind: SamplerKind, seed: u64) -> Vec<String> {
        let mut store = Store::open_in_memory().expect("a store in memory");
        let run = NewRun {
            name: "bench".to_string(),
            created_utc: nas::run::utc_now(),
            seed,
            version: env!("CARGO_PKG_VERSION").to_string(),
            data_name: "table".to_string(),
            data_hash: String::new(),
            synthetic: false,
            settings_json: "{}".to_string(),
            reference_json: "[]".to_string(),
        };
        let run = store.create_run(&run).expect("a run");
        let sampler = kind.sampler();
        let looked_up = LookedUp {
            networks: &self.networks,
            order: Mutex::default(),
        };
        let stop = AtomicBool::new(false);
        let setup = Search {
            spaces: self.spaces,
            targets: std::slice::from_ref(self.target),
            budget: &self.budget,
            objectives: &Objective::DEFAULT,
            references: std::slice::from_ref(&self.references),
            sampler: sampler.as_ref(),
            earlier: &[],
            evaluator: &looked_up,
            seed,
            trials: EVALUATIONS,
            further: Further::default(),
            pace: Pace::new(Some(1), &stop),
        };
        search(&mut store, &run, &setup, &mut |_| {}).expect("a search in memory");
        looked_up.order.into_inner().expect("no thread panicked")
    }

    /// The same for Optuna, per seed.
    fn optuna(&self, python: &Path, seeds: u64) -> Vec<Vec<String>> {
        let axes = &self.spaces.spaces()[0].axes;
        let genes = axes.iter().map(|axis| match axis.is_category {
            true => format!("gene_category_{}", axis.name),
            false => format!("gene_{}", axis.name),
        });
        let objectives = Objective::DEFAULT.map(|objective| format!("objective_{objective}"));
        let header: Vec<String> = genes
            .chain(["network".to_string(), "excess".to_string()])
            .chain(objectives)
            .collect();
        let mut table = header.join(",") + "\n";
        for genome in genomes(self.spaces) {
            let candidate = self.spaces.decode(&genome);
            let (excess, point) = self.value(&candidate);
            let bytes = self.spaces.encode(&genome);
            let genes = bytes[1..].iter().map(u8::to_string);
            let numbers = std::iter::once(excess)
                .chain(point)
                .map(|value| value.to_string());
            let row: Vec<String> = genes.chain([candidate.key()]).chain(numbers).collect();
            table += &(row.join(",") + "\n");
        }
        let folder_of_table = tempfile::tempdir().expect("a temporary folder");
        let path = folder_of_table.path().join("table.csv");
        fs::write(&path, table).expect("a table");
        let output = Command::new(python)
            .arg(folder().join("optuna_tpe.py"))
            .arg(&path)
            .args([EVALUATIONS_OF_OPTUNA.to_string(), seeds.to_string()])
            .output()
            .expect("the interpreter of NAS_PYTHON");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let lines = String::from_utf8(output.stdout).expect("text");
        let order = |line: &str| line.split(' ').map(str::to_string).collect();
        lines.lines().map(order).collect()
    }

    /// Hypervolumes at the marks, as a share of the table's.
    fn curve(&self, order: &[String]) -> [f64; MARKS.len()] {
        MARKS.map(|mark| {
            let known: BTreeMap<&String, &Vec<f64>> = order
                .iter()
                .take(mark)
                .filter_map(|key| self.points.get_key_value(key))
                .collect();
            let points: Vec<&[f64]> = known.values().map(|point| point.as_slice()).collect();
            hypervolume(&points, &[1.0; Objective::DEFAULT.len()]) / self.whole
        })
    }
}

/// An evaluator that knows all results, and remembers what it was asked.
struct LookedUp<'a> {
    networks: &'a HashMap<String, f64>,
    order: Mutex<Vec<String>>,
}

impl Evaluator for LookedUp<'_> {
    fn content_key(&self, candidate: &Candidate, _: &Training, _: u64) -> String {
        candidate.key()
    }

    fn expected_seconds(&self, _: &Candidate, _: &Training) -> f64 {
        1.0
    }

    fn evaluate(
        &self,
        candidate: &Candidate,
        _: &Training,
        _: u64,
        _: &AtomicBool,
    ) -> Result<Evaluation, EvaluateError> {
        let key = candidate.key();
        let auc = self.networks[&key];
        self.order.lock().expect("no thread panicked").push(key);
        Ok(Evaluation {
            scores: Scores::headline(
                Figure::ALL
                    .into_iter()
                    .map(|figure| (figure, auc))
                    .collect(),
            ),
            model: None,
        })
    }
}
