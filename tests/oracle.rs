//! Our int8 outputs against those of TensorFlow Lite for Microcontrollers, bit for bit, on random networks.

use std::{fs, path::Path, process::Command};

use nas::{
    graph::{Graph, Op, OpKind, Padding},
    quant::{Interpreter, quantize},
    space::{SearchSpace, Spaces, builtin},
    units::Rng,
};

use crate::{
    networks::{random_file_graph, random_graph, random_weights},
    runner::{project, python},
};

tests! {
    tflm_gives_our_outputs_for_random_networks: [Oracles],
    tflm_gives_our_outputs_for_networks_as_files_bring_them: [Oracles],
    tflm_gives_our_outputs_for_candidates_of_every_space: [Oracles],
}

const INPUTS: usize = 4;
/// Of all networks; TFLM and LiteRT run every one.
const VELA_EVERY: usize = 4;

fn tflm_gives_our_outputs_for_random_networks() {
    // The last has a Relu6 whose upper bound is a tie, 127.5 steps.
    check(200, (0..240).chain([232_913_970_926]).map(random_graph));
}

fn tflm_gives_our_outputs_for_networks_as_files_bring_them() {
    check(200, (0..200).map(random_file_graph));
}

fn tflm_gives_our_outputs_for_candidates_of_every_space() {
    let spaces: Vec<SearchSpace> = builtin();
    let each = 200usize.div_ceil(spaces.len());
    let candidates: Vec<Graph> = spaces
        .into_iter()
        .flat_map(|space| {
            let mut rng = Rng::new(3, 0);
            let alone = Spaces::new(vec![space], 6);
            (0..each)
                .map(|_| alone.decode(&alone.random(&mut rng)).graph)
                .collect::<Vec<_>>()
        })
        .collect();
    // "Stride>3 is only supported IF (dilation = 1 AND padding = VALID)", says Vela 5.2 of CONV_2D.
    let wide_stride = |op: &&Op| match op.kind {
        OpKind::Conv2d(window) => {
            window.padding == Padding::Same && window.stride.iter().any(|s| *s > 3)
        }
        _ => false,
    };
    let on_cpu = candidates
        .iter()
        .step_by(VELA_EVERY)
        .flat_map(|graph| &graph.ops)
        .filter(wide_stride)
        .count();
    let summary = check(200, candidates.into_iter());
    let expected = match on_cpu {
        0 => serde_json::json!({}),
        count => serde_json::json!({ "CONV_2D": count }),
    };
    assert_eq!(summary["vela_on_cpu"], expected, "{summary}");
}

fn check(at_least: u64, graphs: impl Iterator<Item = Graph>) -> serde_json::Value {
    let summary = compare_with_oracles(graphs);
    say!("{summary}");
    let none = serde_json::json!([]);
    assert!(summary["models"].as_u64() >= Some(at_least), "{summary}");
    assert_eq!(summary["failures"], none, "{summary}");
    assert_eq!(summary["tflm_different_models"], none, "{summary}");
    assert_eq!(summary["litert_loaded"], summary["models"], "{summary}");
    assert_eq!(summary["vela_compiled"], summary["vela_tried"], "{summary}");
    assert!(summary["vela_tried"].as_u64() > Some(40), "{summary}");
    summary
}

/// Quantises every graph with random weights, writes it with inputs and our outputs, and lets the oracles judge.
fn compare_with_oracles(graphs: impl Iterator<Item = Graph>) -> serde_json::Value {
    let python = python().expect("a need of this test");
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (idx, graph) in graphs.enumerate() {
        write_case(folder.path(), idx, &graph);
    }
    run_oracles(
        &python,
        folder.path(),
        &["--vela-every", &VELA_EVERY.to_string()],
    )
}

/// The summary of `check_tflite.py` over a folder of cases.
pub fn run_oracles(python: &Path, folder: &Path, options: &[&str]) -> serde_json::Value {
    let script = project("tests/oracles/check_tflite.py");
    let output = Command::new(python)
        .arg(script)
        .arg(folder)
        .args(options)
        .output()
        .expect("python starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let printed = String::from_utf8(output.stdout).expect("the summary is text");
    let json = printed.lines().last().expect("the script prints a summary");
    serde_json::from_str(json).expect("the summary is JSON")
}

fn write_case(folder: &Path, idx: usize, graph: &Graph) {
    let mut rng = Rng::new(idx as u64, 1);
    let weights = random_weights(graph, &mut rng);
    let length = graph.input_shape().len();
    let windows: Vec<Vec<f32>> = (0..8)
        .map(|_| (0..length).map(|_| rng.normal() as f32).collect())
        .collect();
    let windows: Vec<&[f32]> = windows.iter().map(Vec::as_slice).collect();
    let model = quantize(graph, &weights, &windows).expect("the random network is quantised");
    let inputs = windows
        .iter()
        .take(INPUTS)
        .enumerate()
        .map(|(case, window)| {
            // Half of the inputs look like features, half reach every corner of the range.
            match case % 2 {
                0 => {
                    let quantised = window.iter().map(|value| model.input().quantize(*value));
                    quantised.collect()
                }
                _ => (0..length)
                    .map(|_| (rng.below(256) as i32 - 128) as i8)
                    .collect(),
            }
        });
    let inputs: Vec<Vec<i8>> = inputs.collect();
    write_files(folder, idx, &model.to_tflite(), &model.to_blob(), &inputs);
}

/// Writes a model with inputs and our outputs.
pub fn write_files(folder: &Path, idx: usize, tflite: &[u8], blob: &[u8], inputs: &[Vec<i8>]) {
    let mut interpreter = Interpreter::new(blob).expect("our own blob is accepted");
    let outputs = inputs.iter().flat_map(|input| {
        let output: Vec<u8> = interpreter.run(input).iter().map(|v| *v as u8).collect();
        output
    });
    let outputs: Vec<u8> = outputs.collect();
    let bytes: Vec<u8> = inputs.iter().flatten().map(|value| *value as u8).collect();
    let path = |extension: &str| folder.join(format!("{idx:03}.{extension}"));
    fs::write(path("tflite"), tflite).expect("the folder takes files");
    fs::write(path("in"), bytes).expect("the folder takes files");
    fs::write(path("out"), outputs).expect("the folder takes files");
}
