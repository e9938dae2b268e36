//! Our costs of Ethos-U55 against those of Arm's Vela: `cargo bench --bench vela [CANDIDATES]`.
//!
//! Random candidates of every built-in space with random weights, and the models of `$NAS_SHARED/data/tflite`
//! where those are, are compiled by Vela 5.2 for every accelerator and configuration, once: its answers are
//! kept under `target/tmp`. Prints a Markdown table. Needs the `.venv` of `tests/setup.sh`, or `NAS_PYTHON`.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use nas::{
    hardware::{NpuPlan, Target, find, npu_plan},
    quant::{QuantizedModel, quantize},
    space::{Spaces, WeightMemory, builtin},
    stats::kendall_tau,
    units::Rng,
};

#[path = "../tests/networks.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod networks;

/// What Vela says of one model in one configuration.
#[derive(Debug, Clone, serde::Deserialize)]
struct Row {
    model: String,
    macs: usize,
    system: String,
    memory: String,
    cycles: f64,
    sram_bytes: f64,
    constant_bytes: f64,
}

fn main() {
    let count = env::args().filter_map(|arg| arg.parse().ok()).next();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vela");
    fs::create_dir_all(&folder).expect("a folder for the models");
    let mut models = candidates(count.unwrap_or(500), &folder);
    let n_candidates = models.len();
    models.extend(shared_models());
    println!(
        "{n_candidates} random candidates and {} models of others; errors in % as median / 95th percentile",
        models.len() - n_candidates
    );
    let rows = vela_rows(&models, &folder);
    // What Vela says of a network, and what we say with its weights and without.
    type Compared = (Row, [NpuPlan; 2]);
    let mut groups: BTreeMap<(usize, String), Vec<Compared>> = BTreeMap::new();
    for row in rows {
        let Some(model) = models.get(&row.model).and_then(|path| read(path)) else {
            continue;
        };
        let target = target_of(&row);
        let weights: Vec<Option<&[i8]>> = model
            .ops
            .iter()
            .map(|op| op.as_ref().map(|op| op.weight.as_slice()))
            .collect();
        let plan =
            |weights| npu_plan(&model.graph, weights, &target).expect("the target has an NPU");
        let plans = [plan(Some(weights.as_slice())), plan(None)];
        let system = row.system.trim_start_matches("Ethos_U55_");
        let configuration = format!("{system}, {}", row.memory);
        groups
            .entry((row.macs, configuration))
            .or_default()
            .push((row, plans));
    }
    println!("| MACs | configuration | weights | cycles | Kendall's tau | SRAM | constants |");
    println!("|--:|---|---|--:|--:|--:|--:|");
    for ((macs, configuration), group) in &groups {
        for (idx, weights) in ["known", "guessed"].iter().enumerate() {
            let of =
                |ours: &dyn Fn(&NpuPlan) -> f64, theirs: &dyn Fn(&Row) -> f64| -> Vec<[f64; 2]> {
                    group
                        .iter()
                        .map(|(row, plans)| [ours(&plans[idx]), theirs(row)])
                        .collect()
                };
            let cycles = of(&cycles, &|row| row.cycles);
            let sram = of(&|plan| plan.sram_bytes as f64, &|row| row.sram_bytes);
            let constants = of(&|plan| plan.constant_bytes as f64, &|row| {
                row.constant_bytes
            });
            println!(
                "| {macs} | {configuration} | {weights} | {} | {:.4} | {} | {} |",
                errors(&cycles),
                rank_correlation(&cycles),
                errors(&sram),
                errors(&constants),
            );
        }
    }
}

fn cycles(plan: &NpuPlan) -> f64 {
    plan.ops.iter().flatten().map(|op| op.total).sum()
}

/// Name and file of random candidates, as many of each space. Names carry the hash of the file.
fn candidates(count: usize, folder: &Path) -> BTreeMap<String, PathBuf> {
    let spaces = builtin();
    let each = count.div_ceil(spaces.len());
    let mut models = BTreeMap::new();
    for (stream, space) in spaces.into_iter().enumerate() {
        let name = space.name.clone();
        let mut rng = Rng::new(55, stream as u64);
        let alone = Spaces::new(vec![space], 6);
        for idx in 0..each {
            let graph = alone.decode(&alone.random(&mut rng)).graph;
            let weights = networks::random_weights(&graph, &mut rng);
            let window: Vec<f32> = (0..graph.input_shape().len())
                .map(|_| rng.normal() as f32)
                .collect();
            let model =
                quantize(&graph, &weights, &[&window]).expect("random networks are quantised");
            let file = model.to_tflite();
            let hash = &blake3::hash(&file).to_hex()[..8];
            let name = format!("{name}-{idx}-{hash}");
            let path = folder.join(format!("{name}.tflite"));
            if !path.exists() {
                fs::write(&path, file).expect("the folder takes files");
            }
            models.insert(name, path);
        }
    }
    models
}

/// The models of the shared test data that our reader understands.
fn shared_models() -> BTreeMap<String, PathBuf> {
    let shared = env::var_os("NAS_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")),
        PathBuf::from,
    );
    let files = fs::read_dir(shared.join("data/tflite"))
        .into_iter()
        .flatten();
    files
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| read(path).is_some())
        .filter_map(|path| Some((path.file_stem()?.to_str()?.to_string(), path)))
        .collect()
}

fn read(path: &Path) -> Option<QuantizedModel> {
    QuantizedModel::from_tflite(&fs::read(path).ok()?).ok()
}

/// Vela's answers, of which those for new models are asked for now.
fn vela_rows(models: &BTreeMap<String, PathBuf>, folder: &Path) -> Vec<Row> {
    let table = folder.join("costs.csv");
    let mut text = fs::read_to_string(&table).unwrap_or_default();
    let known: BTreeSet<String> = parse(&text).into_iter().map(|row| row.model).collect();
    let new: Vec<&PathBuf> = models
        .iter()
        .filter(|(name, _)| !known.contains(*name))
        .map(|(_, path)| path)
        .collect();
    if !new.is_empty() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python =
            env::var_os("NAS_PYTHON").map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
        let answers = folder.join("new.csv");
        let status = Command::new(&python)
            .arg(root.join("tests/oracles/vela_costs.py"))
            .arg(&answers)
            .args(new)
            .status()
            .unwrap_or_else(|e| panic!("{} ({e}): run tests/setup.sh", python.display()));
        assert!(status.success(), "vela_costs.py failed");
        let answers = fs::read_to_string(answers).expect("the script writes its table");
        let rows = answers.split_once('\n').map_or("", |(_, rows)| rows);
        text += if text.is_empty() { &answers } else { rows };
        fs::write(table, &text).expect("the table can be written");
    }
    parse(&text)
}

fn parse(text: &str) -> Vec<Row> {
    csv::Reader::from_reader(text.as_bytes())
        .deserialize()
        .map(|row| row.expect("the script prints rows"))
        .collect()
}

/// The profile of an accelerator with the memories of a row's configuration.
fn target_of(row: &Row) -> Target {
    let mut target = find(&format!("ethos-u55-{}", row.macs)).expect("a built-in profile");
    let npu = target.npu.as_mut().expect("an NPU");
    if row.system == "Ethos_U55_Deep_Embedded" {
        // `OffChipFlash_clock_scale` is 0.0625 there; everything else is the same in cycles.
        npu.flash.bandwidth.value = 0.5;
    }
    if row.memory == "Sram_Only" {
        npu.weights_in = WeightMemory::Sram;
    }
    target
}

/// Median and 95th percentile of the absolute relative error of `[ours, theirs]`, in percent.
fn errors(pairs: &[[f64; 2]]) -> String {
    let mut errors: Vec<f64> = pairs
        .iter()
        .filter(|[_, theirs]| *theirs > 0.0)
        .map(|[ours, theirs]| 100.0 * (ours / theirs - 1.0).abs())
        .collect();
    errors.sort_by(f64::total_cmp);
    let at = |share: f64| errors[(share * (errors.len() - 1) as f64).round() as usize];
    format!("{:.2} / {:.2}", at(0.5), at(0.95))
}

fn rank_correlation(pairs: &[[f64; 2]]) -> f64 {
    let [ours, theirs] = [0, 1].map(|side| pairs.iter().map(|pair| pair[side]).collect::<Vec<_>>());
    kendall_tau(&ours, &theirs).unwrap_or(f64::NAN)
}
