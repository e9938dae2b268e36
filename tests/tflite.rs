//! Reading `.tflite` files: ours, others', damaged ones, and those that are refused.

use std::{fs, path::PathBuf};

use nas::{
    graph::Graph,
    hardware::{Budget, find},
    quant::{Interpreter, Outline, QuantizedModel, ReadError, quantize, read_float, run_float},
    report::network::{Network, target_costs},
    space::{Spaces, builtin},
    units::Rng,
};
use proptest::prelude::*;

use crate::{
    networks::{random_file_graph, random_graph, random_weights},
    oracle::run_oracles,
    runner::{python, shared},
};

tests! {
    foreign_files_give_the_outputs_of_tflm: [Shared("data/tflite"), Oracles],
    what_is_written_again_is_what_was_read: [Shared("data/tflite")],
    models_come_back_as_they_were_written,
    damaged_files_never_panic,
    a_float_file_gives_what_litert_made_of_it,
    damaged_float_files_never_panic,
    any_bytes_never_panic,
    what_is_not_supported_is_named,
    other_kinds_of_networks_are_named_as_what_they_are: [Shared("cases/networks/17-estimate-messages")],
}

/// A float network and, behind one another, LiteRT's inputs and outputs: by `golden/make_float.py`.
const FLOAT: &[u8] = include_bytes!("golden/float.tflite");
const FLOAT_VALUES: &[u8] = include_bytes!("golden/float_values.bin");

/// Inputs per file: a hundred, and fewer of large networks, which TFLM's reference kernels take seconds for.
fn inputs_of(model: &QuantizedModel) -> usize {
    (100_000_000 / model.graph.macs().max(1)).clamp(4, 100) as usize
}

/// All int8 files of the shared data give the outputs that TFLM gives, bit for bit.
fn foreign_files_give_the_outputs_of_tflm() {
    let (files, python) = (foreign_files(), python().expect("a need of this test"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut rng = Rng::new(7, 0);
    for path in &files {
        let file = fs::read(path).expect("the file is there");
        let model = QuantizedModel::from_tflite(&file)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let blob = model.to_blob();
        let mut interpreter = Interpreter::new(&blob).expect("a read model runs");
        let (length, _) = interpreter.lengths();
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for _ in 0..inputs_of(&model) {
            let input: Vec<i8> = (0..length).map(|_| rng.below(256) as u8 as i8).collect();
            outputs.extend(interpreter.run(&input).iter().map(|value| *value as u8));
            inputs.extend(input.iter().map(|value| *value as u8));
        }
        let case = folder.path().join(path.file_name().expect("a file"));
        fs::write(case.with_extension("in"), inputs).expect("the folder takes files");
        fs::write(case.with_extension("out"), outputs).expect("the folder takes files");
        fs::write(case, file).expect("the folder takes files");
    }
    let summary = run_oracles(&python, folder.path(), &["--vela-every", "0"]);
    say!("{summary}");
    let none = serde_json::json!([]);
    assert_eq!(summary["failures"], none, "{summary}");
    assert_eq!(summary["tflm_different_models"], none, "{summary}");
    assert_eq!(summary["models"], files.len(), "{summary}");
}

fn what_is_written_again_is_what_was_read() {
    for path in foreign_files() {
        let model = QuantizedModel::from_tflite(&fs::read(&path).expect("the file is there"));
        let model = model.expect("the file is supported");
        assert_eq!(
            QuantizedModel::from_tflite(&model.to_tflite()),
            Ok(model),
            "{}",
            path.display()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    fn models_come_back_as_they_were_written(seed in 0u64..1 << 40) {
        for graph in [random_graph(seed), random_file_graph(seed), random_candidate(seed)] {
            let model = random_model(graph, seed);
            prop_assert_eq!(QuantizedModel::from_tflite(&model.to_tflite()), Ok(deployed(model)));
        }
    }

    fn damaged_files_never_panic(
        seed in 0u64..400,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut file = random_model(random_file_graph(seed), seed).to_tflite();
        for (at, value) in damage {
            let at = at.index(file.len());
            file[at] = value;
        }
        if cut {
            file.truncate(end.index(file.len()));
        }
        run_if_read(&file);
    }

    fn damaged_float_files_never_panic(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in any::<prop::sample::Index>(),
    ) {
        let mut file = FLOAT.to_vec();
        for (at, value) in damage {
            let at = at.index(file.len());
            file[at] = value;
        }
        file.truncate(end.index(file.len()).max(file.len() / 2));
        if let Ok((graph, weights)) = read_float(&file) {
            let input = vec![0.0; graph.input_shape().len()];
            run_float(&graph, &weights, &[&input]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    fn any_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        run_if_read(&bytes);
        let _ = read_float(&bytes);
        // Most bytes end at the identifier; with it the reader gets further.
        if let Some(identifier) = bytes.get_mut(4..8) {
            identifier.copy_from_slice(b"TFL3");
            run_if_read(&bytes);
            let _ = read_float(&bytes);
        }
    }
}

fn run_if_read(file: &[u8]) {
    if let Ok(outline) = Outline::read(file) {
        let network = Network::File {
            name: String::new(),
            outline,
        };
        for target in ["m7", "u55"] {
            let target = find(target).expect("a target");
            let costs = target_costs(&network, &target, &Budget::default());
            assert!(costs.estimate.latency_us.value.is_finite());
        }
    }
    if let Ok(model) = QuantizedModel::from_tflite(file) {
        let blob = model.to_blob();
        let mut interpreter = Interpreter::new(&blob).expect("a read model runs");
        // A huge network is legal, and slow.
        if model.graph.macs() < 1 << 22 && interpreter.arena_bytes() < 1 << 22 {
            let input = vec![0; interpreter.lengths().0];
            interpreter.run(&input);
        }
    }
}

fn a_float_file_gives_what_litert_made_of_it() {
    let (graph, weights) = read_float(FLOAT).expect("the file is supported");
    let values: Vec<f32> = FLOAT_VALUES
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    let length = graph.input_shape().len();
    for case in values.chunks_exact(length + graph.output_shape().len()) {
        let (input, expected) = case.split_at(length);
        let found = run_float(&graph, &weights, &[input]).swap_remove(0);
        for (found, expected) in found.iter().zip(expected) {
            // Sums of up to 48 products in 32 bits.
            assert!(
                (found - expected).abs() <= 1e-5 * expected.abs().max(1.0),
                "{found} {expected}"
            );
        }
    }
}

fn what_is_not_supported_is_named() {
    let check = |file: &[u8], expected: &str| {
        let error = QuantizedModel::from_tflite(file).expect_err("the file is refused");
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(b"", "not a .tflite file");
    check(b"RIFF....WAVEfmt ", "not a .tflite file");
    check(&[0, 0, 0, 0, b'T', b'F', b'L', b'3'], "damaged");
    check(FLOAT, "a float network");
}

fn other_kinds_of_networks_are_named_as_what_they_are() {
    let folder = shared("cases/networks/17-estimate-messages");
    for (name, expected) in [
        // Its layers are so small that the converter kept all of its weights as float.
        ("ds_drq", "a float network"),
        ("ds_16x8", "16x8"),
        ("ds_fp16", "float16"),
        ("ds_batch4", "batch"),
    ] {
        let file = fs::read(folder.join(format!("{name}.tflite"))).expect("a file");
        let error = QuantizedModel::from_tflite(&file).expect_err("the file is refused");
        assert!(matches!(error, ReadError::Kind(_)), "{name}: {error}");
        let text = error.to_string();
        assert!(
            text.contains(expected) && text.contains("convert it"),
            "{name}: {error}"
        );
    }
}

/// The int8 files of the shared data.
fn foreign_files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(shared("data/tflite"))
        .expect("a folder")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "tflite")
        })
        .filter(|path| !path.to_string_lossy().contains("fp32"))
        .collect();
    files.sort();
    assert!(files.len() > 30, "the files were not found");
    files
}

fn random_candidate(seed: u64) -> Graph {
    let mut rng = Rng::new(seed, 3);
    let spaces = Spaces::new(builtin(), 6);
    spaces.decode(&spaces.random(&mut rng)).graph
}

fn random_model(graph: Graph, seed: u64) -> QuantizedModel {
    let mut rng = Rng::new(seed, 1);
    let weights = random_weights(&graph, &mut rng);
    let window: Vec<f32> = (0..graph.input_shape().len())
        .map(|_| rng.normal() as f32)
        .collect();
    quantize(&graph, &weights, &[&window]).expect("the random network is quantised")
}

/// Without what concerns training alone.
fn deployed(mut model: QuantizedModel) -> QuantizedModel {
    for op in &mut model.graph.ops {
        op.batch_norm = false;
        op.dropout = 0.0;
    }
    model
}
