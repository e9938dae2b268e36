//! Our int8 outputs against those of TensorFlow Lite for Microcontrollers, bit for bit, on random networks.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use nas::{
    graph::{
        Activation, Graph, GraphBuilder, OpKind, OpWeights, Padding, Shape, Style, TensorId,
        Weights, Window,
    },
    quant::{Interpreter, quantize},
    units::Rng,
};

const INPUTS: usize = 4;

#[test]
fn tflm_gives_our_outputs_bit_for_bit() {
    let graphs = (0..240).map(random_graph);
    let Some(summary) = compare_with_oracles(graphs) else {
        return;
    };
    println!("{summary}");
    assert!(summary["models"].as_u64() >= Some(200), "{summary}");
    assert_eq!(summary["failures"], serde_json::json!([]), "{summary}");
    assert_eq!(
        summary["tflm_different_models"],
        serde_json::json!([]),
        "{summary}"
    );
    assert_eq!(summary["litert_loaded"], summary["models"], "{summary}");
    assert_eq!(summary["vela_compiled"], summary["models"], "{summary}");
}

/// Quantises every graph with random weights, writes it with inputs and our outputs, and lets the oracles judge.
///
/// `None` where Python or its packages are missing.
fn compare_with_oracles(graphs: impl Iterator<Item = Graph>) -> Option<serde_json::Value> {
    let python = python()?;
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (idx, graph) in graphs.enumerate() {
        write_case(folder.path(), idx, &graph);
    }
    let script = project("tests/oracles/check_tflite.py");
    let output = Command::new(python)
        .arg(script)
        .arg(folder.path())
        .output()
        .expect("python starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let printed = String::from_utf8(output.stdout).expect("the summary is text");
    let json = printed.lines().last().expect("the script prints a summary");
    Some(serde_json::from_str(json).expect("the summary is JSON"))
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
    let blob = model.to_blob();
    let mut interpreter = Interpreter::new(&blob).expect("our own blob is accepted");
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    for case in 0..INPUTS {
        // Half of the inputs look like features, half reach every corner of the range.
        let input: Vec<i8> = if case % 2 == 0 {
            windows[case]
                .iter()
                .map(|value| model.input().quantize(*value))
                .collect()
        } else {
            (0..length)
                .map(|_| (rng.below(256) as i32 - 128) as i8)
                .collect()
        };
        outputs.extend(interpreter.run(&input).iter().map(|value| *value as u8));
        inputs.extend(input.iter().map(|value| *value as u8));
    }
    let path = |extension: &str| folder.join(format!("{idx:03}.{extension}"));
    fs::write(path("tflite"), model.to_tflite()).expect("the folder takes files");
    fs::write(path("in"), inputs).expect("the folder takes files");
    fs::write(path("out"), outputs).expect("the folder takes files");
}

/// A Python that has the packages of `oracles/requirements.txt`.
fn python() -> Option<PathBuf> {
    let candidates = [
        std::env::var_os("NAS_PYTHON").map(PathBuf::from),
        Some(project(".venv/bin/python")),
        Some(PathBuf::from("python3")),
    ];
    let has_packages = |python: &PathBuf| {
        Command::new(python)
            .args(["-c", "import tflite_micro, ai_edge_litert, ethosu.vela"])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    let found = candidates.into_iter().flatten().find(has_packages);
    if found.is_none() {
        let reason =
            "no python with the packages of tests/oracles/requirements.txt; run tests/setup.sh";
        assert!(
            std::env::var("NAS_REQUIRE_TOOLS").as_deref() != Ok("1"),
            "{reason}"
        );
        println!("skipped: {reason}");
    }
    found
}

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Weights as an initialisation draws them, with some dead channels.
fn random_weights(graph: &Graph, rng: &mut Rng) -> Weights {
    let weights = graph.ops.iter().map(|op| {
        let count = graph.op_weight_len(op);
        let biases = graph.op_bias_len(op);
        if count == 0 {
            return None;
        }
        let taps = match op.kind {
            OpKind::DepthwiseConv2d(window) => window.taps(),
            _ => count / biases,
        };
        let spread = (2.0 / taps as f64).sqrt();
        let mut weight: Vec<f32> = (0..count).map(|_| (rng.normal() * spread) as f32).collect();
        if rng.below(8) == 0 && !matches!(op.kind, OpKind::DepthwiseConv2d(_)) {
            weight[..taps].fill(0.0);
        }
        let bias = (0..biases).map(|_| (rng.normal() * 0.3) as f32).collect();
        Some(OpWeights { weight, bias })
    });
    Weights(weights.collect())
}

/// A network of up to eight operators that uses odd sizes, strides, both paddings and every activation.
fn random_graph(seed: u64) -> Graph {
    let mut rng = Rng::new(seed, 0);
    let channels = [1, 1, 2, 3, 8, 20][rng.below(6)];
    let input = Shape::new(1 + rng.below(24), 1 + rng.below(24), channels);
    let mut builder = GraphBuilder::new(input);
    let mut x: TensorId = 0;
    let mut pools = Vec::new();
    for _ in 0..1 + rng.below(6) {
        x = random_operator(&mut builder, x, &mut pools, &mut rng);
    }
    if rng.below(2) == 0 {
        if rng.below(2) == 0 {
            x = builder.global_average_pool(x);
        }
        for _ in 0..1 + rng.below(3) {
            let features = 1 + rng.below(70);
            let style = random_style(&mut rng);
            x = builder.dense(x, features, style);
        }
        if rng.below(3) == 0 {
            let features = builder.shape(x).len();
            let other = builder.dense(x, features, random_style(&mut rng));
            x = builder.add(x, other);
        }
    }
    let mut graph = builder.finish(x);
    for op in &mut graph.ops {
        if let (OpKind::DepthwiseConv2d(window), true) = (op.kind, pools.contains(&op.output)) {
            op.kind = OpKind::AveragePool2d(window);
        }
        if matches!(op.kind, OpKind::Add | OpKind::AveragePool2d(_)) {
            op.activation = random_style(&mut rng).activation;
        }
    }
    graph
}

/// Outputs in `pools` are to become average pools, which the builder makes only over whole images.
fn random_operator(
    builder: &mut GraphBuilder,
    x: TensorId,
    pools: &mut Vec<TensorId>,
    rng: &mut Rng,
) -> TensorId {
    let shape = builder.shape(x);
    let style = random_style(rng);
    let channels = [1, 3, 4, 8, 16, 17, 24, 40, 72][rng.below(9)];
    match rng.below(8) {
        0 => builder.conv(x, channels, Window::same(1, 1), style),
        1 | 2 => {
            let window = random_window(shape, rng);
            builder.conv(x, channels, window, style)
        }
        3 | 4 => {
            let window = random_window(shape, rng);
            builder.depthwise(x, window, style)
        }
        5 => {
            let other = builder.conv(x, shape.channels, Window::same(3, 1), style);
            builder.add(x, other)
        }
        6 if shape.area() <= 300 => builder.upsample(x, [2, 2]),
        6 => builder.add(x, x),
        _ if shape.area() > 1 => {
            let kernel = [
                1 + rng.below(shape.height.min(5)),
                1 + rng.below(shape.width.min(5)),
            ];
            let padding = [Padding::Same, Padding::Valid][rng.below(2)];
            let stride = [1 + rng.below(2), 1 + rng.below(2)];
            let window = Window {
                kernel,
                stride,
                padding,
            };
            pools.push(builder.depthwise(x, window, Style::LINEAR));
            pools[pools.len() - 1]
        }
        _ => builder.reshape(x, Shape::vector(shape.len())),
    }
}

fn random_window(input: Shape, rng: &mut Rng) -> Window {
    let kernel = [1 + rng.below(5), 1 + rng.below(5)];
    let fits = kernel[0] <= input.height && kernel[1] <= input.width;
    let padding = if fits && rng.below(2) == 0 {
        Padding::Valid
    } else {
        Padding::Same
    };
    let stride = 1 + rng.below(3);
    Window {
        kernel,
        stride: if rng.below(3) == 0 {
            [stride, 1]
        } else {
            [stride; 2]
        },
        padding,
    }
}

fn random_style(rng: &mut Rng) -> Style {
    let activation = [Activation::None, Activation::Relu, Activation::Relu6][rng.below(3)];
    Style {
        activation,
        ..Style::LINEAR
    }
}
