//! Costs against what others say: Arm's Vela of an Ethos-U55, and TensorFlow Lite Micro of its arena.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use nas::{
    graph::{Activation, Function, Graph, GraphBuilder, OpKind, Padding, Shape, Style, Window},
    hardware::{find, npu_plan, tflm},
    quant::{QuantizedModel, quantize},
    space::{Spaces, WeightMemory, builtin},
    units::Rng,
};

use crate::{
    networks::random_weights,
    runner::{project, python, shared},
};

tests! {
    npu_costs_of_candidates_lie_near_vela: [Oracles],
    npu_costs_of_a_grid_of_operators_lie_near_vela,
    npu_costs_of_foreign_networks_lie_near_vela: [Shared("data/tflite")],
    arenas_of_measured_layers_are_exact_to_the_byte: [Shared("data/hardware/single_ops_m4_m33.csv")],
}

/// A line of `oracles/vela_costs.py`.
#[derive(serde::Deserialize)]
pub struct VelaRow {
    pub model: String,
    pub macs: usize,
    system: String,
    pub memory: String,
    pub cycles: f64,
    pub sram_bytes: f64,
    constant_bytes: f64,
}

/// Pairs of what we say and what Vela says, over many networks and configurations.
#[derive(Default)]
struct Compared {
    cycles: Vec<[f64; 2]>,
    sram: Vec<[f64; 2]>,
    constants: Vec<[f64; 2]>,
}

impl Compared {
    fn add(&mut self, model: &QuantizedModel, row: &VelaRow) {
        let mut target = find(&format!("ethos-u55-{}", row.macs)).unwrap();
        let npu = target.npu.as_mut().unwrap();
        if row.system == "Ethos_U55_Deep_Embedded" {
            npu.flash.bandwidth.value = 0.5;
        }
        if row.memory == "Sram_Only" {
            npu.weights_in = WeightMemory::Sram;
        }
        let weights: Vec<Option<&[i8]>> = model
            .ops
            .iter()
            .map(|op| op.as_ref().map(|op| op.weight.as_slice()))
            .collect();
        let plan = npu_plan(&model.graph, Some(&weights), &target).unwrap();
        let cycles: f64 = plan.ops.iter().flatten().map(|op| op.total).sum();
        self.cycles.push([cycles, row.cycles]);
        self.sram.push([plan.sram_bytes as f64, row.sram_bytes]);
        if row.constant_bytes > 0.0 {
            self.constants
                .push([plan.constant_bytes as f64, row.constant_bytes]);
        }
    }
}

/// Mean absolute relative error of pairs of predicted and true.
fn mean_error(title: &str, pairs: &[[f64; 2]]) -> f64 {
    assert!(!pairs.is_empty(), "{title}: nothing to compare");
    let errors = pairs.iter().map(|[ours, truth]| (ours / truth - 1.0).abs());
    let mean = errors.sum::<f64>() / pairs.len() as f64;
    say!(
        "{title}: mean absolute error {:.2} % of {}",
        100.0 * mean,
        pairs.len()
    );
    mean
}

fn npu_costs_of_candidates_lie_near_vela() {
    const OF_EACH_SPACE: usize = 2;
    let folder = tempfile::tempdir().unwrap();
    let mut models = HashMap::new();
    for space in builtin() {
        let name = space.name.clone();
        let alone = Spaces::new(vec![space], 6);
        let mut rng = Rng::new(55, 1);
        for idx in 0..OF_EACH_SPACE {
            let graph = alone.decode(&alone.random(&mut rng)).graph;
            let weights = random_weights(&graph, &mut rng);
            let length = graph.input_shape().len();
            let window: Vec<f32> = (0..length).map(|_| rng.normal() as f32).collect();
            let model = quantize(&graph, &weights, &[&window]).unwrap();
            models.insert(format!("{name}-{idx}"), model);
        }
    }
    let files: Vec<PathBuf> = models
        .iter()
        .map(|(name, model)| {
            let path = folder.path().join(format!("{name}.tflite"));
            fs::write(&path, model.to_tflite()).unwrap();
            path
        })
        .collect();
    let table = folder.path().join("costs.csv");
    let output = Command::new(python().expect("a need of this test"))
        .arg(project("tests/oracles/vela_costs.py"))
        .arg(&table)
        .args(files)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut compared = Compared::default();
    for row in csv::Reader::from_path(table).unwrap().deserialize() {
        let row: VelaRow = row.unwrap();
        compared.add(&models[&row.model], &row);
    }
    // 12 configurations of every network.
    assert_eq!(compared.cycles.len(), 12 * models.len());
    // docs/estimates.md: over 500 candidates the median error of cycles is below 1 %, the 95th percentile is 1 % with
    // the weights known. Vela's allocator leaves gaps; the profile's band is 10 %.
    assert!(mean_error("cycles", &compared.cycles) < 0.02);
    assert!(mean_error("constants", &compared.constants) < 0.02);
    assert!(mean_error("SRAM", &compared.sram) < 0.10);
}

/// Operators as other people's networks have them: name and network.
fn grid() -> Vec<(String, Graph)> {
    let mut cases = Vec::new();
    let mut add = |name: String, input: [usize; 3], make: &dyn Fn(&mut GraphBuilder) -> usize| {
        let mut builder = GraphBuilder::new(Shape::new(input[0], input[1], input[2]));
        let output = make(&mut builder);
        cases.push((name, builder.finish(output)));
    };
    let window = |kernel, stride, padding| Window {
        kernel,
        stride,
        padding,
        dilation: [1, 1],
    };
    use Padding::{Same, Valid};
    let paddings = |padding| if padding == Same { "same" } else { "valid" };
    // Windows: input, kernel, stride, padding, channels of a convolution.
    for (input, kernel, stride, padding, channels) in [
        ([32, 32, 8], [3, 3], [4, 4], Valid, 8),
        ([32, 32, 3], [5, 5], [4, 4], Valid, 24),
        ([1, 400, 1], [1, 16], [1, 8], Valid, 16),
        ([1, 400, 1], [1, 64], [1, 20], Valid, 32),
        ([40, 24, 16], [4, 4], [4, 1], Valid, 40),
        ([40, 24, 16], [4, 4], [2, 4], Valid, 16),
        ([32, 32, 8], [3, 3], [4, 4], Same, 8),
        ([32, 32, 8], [3, 3], [3, 3], Valid, 8),
        ([4, 4, 8], [4, 4], [4, 4], Valid, 8),
        ([200, 1, 8], [65, 1], [1, 1], Same, 8),
        ([1, 200, 8], [1, 65], [1, 1], Same, 8),
        ([1, 200, 8], [1, 100], [1, 1], Valid, 8),
        ([200, 1, 8], [65, 1], [1, 1], Valid, 8),
        ([80, 80, 1], [64, 64], [1, 1], Valid, 4),
        ([80, 80, 1], [65, 64], [1, 1], Valid, 4),
    ] {
        let kind = window(kernel, stride, padding);
        let [h, w, c] = input;
        let name = format!(
            "{}x{}_s{}x{}_{}_{h}x{w}x{c}",
            kernel[0],
            kernel[1],
            stride[0],
            stride[1],
            paddings(padding)
        );
        add(format!("conv_{name}_{channels}"), input, &|b| {
            b.conv(0, channels, kind, Style::LINEAR)
        });
        add(format!("dw_{name}"), input, &|b| {
            b.depthwise(0, kind, Style::LINEAR)
        });
        add(format!("max_{name}"), input, &|b| {
            b.max_pool(0, kind, Activation::None)
        });
        add(format!("avg_{name}"), input, &|b| {
            b.average_pool(0, kind, Activation::None)
        });
    }
    for (input, kernel, stride, padding) in [
        ([32, 32, 1], [4, 4], [4, 4], Valid),
        ([32, 32, 16], [9, 1], [1, 1], Same),
        ([32, 32, 16], [8, 8], [1, 1], Same),
        ([32, 32, 16], [9, 9], [1, 1], Valid),
        ([1, 600, 8], [1, 300], [1, 1], Valid),
        ([1, 600, 8], [1, 256], [1, 1], Valid),
        ([600, 1, 8], [300, 1], [1, 1], Valid),
        ([40, 20, 24], [2, 2], [2, 2], Valid),
        ([40, 20, 24], [3, 3], [2, 2], Same),
        ([20, 20, 64], [20, 20], [20, 20], Valid),
        ([32, 32, 16], [8, 8], [4, 4], Same),
    ] {
        let kind = window(kernel, stride, padding);
        let [h, w, c] = input;
        let name = format!(
            "pool_{}x{}_s{}x{}_{}_{h}x{w}x{c}",
            kernel[0],
            kernel[1],
            stride[0],
            stride[1],
            paddings(padding)
        );
        add(format!("max{name}"), input, &|b| {
            b.max_pool(0, kind, Activation::None)
        });
        add(format!("avg{name}"), input, &|b| {
            b.average_pool(0, kind, Activation::None)
        });
    }
    for (h, w, c) in [
        (32, 32, 16),
        (4, 4, 64),
        (1, 100, 24),
        (49, 10, 64),
        (1, 4096, 4),
        (1, 4097, 4),
        (63, 1, 32),
    ] {
        add(format!("mean_{h}x{w}x{c}"), [h, w, c], &|b| b.mean(0));
    }
    for (h, w, c) in [
        (4, 4, 10),
        (1, 1, 12),
        (1, 1, 2),
        (1, 1, 100),
        (1, 1, 1000),
        (16, 1, 4),
        (10, 10, 35),
        (1, 49, 40),
    ] {
        add(format!("softmax_{h}x{w}x{c}"), [h, w, c], &|b| b.softmax(0));
    }
    for (h, w, c, fh, fw) in [
        (16, 1, 24, 2, 1),
        (1, 1, 32, 4, 4),
        (8, 8, 16, 2, 2),
        (8, 8, 16, 2, 1),
        (1, 1, 16, 5, 7),
        (1, 16, 8, 1, 2),
        (8, 8, 16, 4, 4),
        (8, 8, 16, 3, 3),
        (10, 1, 16, 4, 1),
    ] {
        add(format!("near_{h}x{w}x{c}_{fh}x{fw}"), [h, w, c], &|b| {
            b.upsample(0, [fh, fw])
        });
    }
    // Paddings and activations of their own, first, within and last.
    for (kernel, stride, before, after) in [
        ([3, 3], [2, 2], [0, 0, 0], [1, 1, 0]),
        ([3, 3], [1, 1], [1, 1, 0], [1, 1, 0]),
        ([10, 4], [2, 2], [4, 1, 0], [5, 1, 0]),
        ([3, 3], [1, 1], [4, 4, 0], [0, 0, 0]),
        ([1, 1], [1, 1], [1, 1, 0], [1, 1, 0]),
        ([3, 3], [4, 4], [1, 1, 0], [1, 1, 0]),
    ] {
        let kind = window(kernel, stride, Valid);
        let name = format!(
            "{}x{}_s{}_{}{}{}{}",
            kernel[0], kernel[1], stride[0], before[0], before[1], after[0], after[1]
        );
        add(format!("pad_conv_{name}"), [32, 24, 8], &|b| {
            let x = b.pad(0, before, after);
            b.conv(x, 16, kind, Style::LINEAR)
        });
        add(format!("conv_pad_dw_relu_{name}"), [32, 24, 8], &|b| {
            let x = b.conv(0, 24, Window::same(3, 1), Style::LINEAR);
            let x = b.lookup(x, Function::Relu);
            let x = b.pad(x, before, after);
            let x = b.depthwise(x, kind, Style::LINEAR);
            let x = b.lookup(x, Function::Relu6);
            b.mean(x)
        });
        add(format!("pad_max_{name}"), [32, 24, 8], &|b| {
            let x = b.pad(0, before, after);
            b.max_pool(x, kind, Activation::None)
        });
    }
    for function in [
        Function::Relu,
        Function::Relu6,
        Function::Identity,
        Function::Logistic,
        Function::Tanh,
    ] {
        add(
            format!("lone_{function:?}").to_lowercase(),
            [16, 16, 24],
            &|b| b.lookup(0, function),
        );
        add(
            format!("dense_{function:?}").to_lowercase(),
            [1, 1, 64],
            &|b| {
                let x = b.dense(0, 48, Style::LINEAR);
                let x = b.lookup(x, function);
                b.dense(x, 10, Style::LINEAR)
            },
        );
        add(
            format!("add_{function:?}").to_lowercase(),
            [16, 16, 24],
            &|b| {
                let x = b.conv(0, 24, Window::same(1, 1), Style::LINEAR);
                let x = b.add(x, 0);
                b.lookup(x, function)
            },
        );
        add(
            format!("maxpool_{function:?}").to_lowercase(),
            [16, 16, 24],
            &|b| {
                let x = b.max_pool(0, Window::same(2, 2), Activation::None);
                b.lookup(x, function)
            },
        );
        add(
            format!("branch_{function:?}").to_lowercase(),
            [16, 16, 24],
            &|b| {
                let x = b.conv(0, 24, Window::same(1, 1), Style::LINEAR);
                let y = b.lookup(x, function);
                b.add(x, y)
            },
        );
    }
    cases
}

/// Writes what Vela says of these files on a few configurations into a table; returns its messages.
pub fn ask_vela(golden: &Path, files: Vec<PathBuf>) -> String {
    let output = Command::new(python().expect("Vela"))
        .arg(project("tests/oracles/vela_costs.py"))
        .arg(golden)
        .env("VELA_FEW", "1")
        .args(files)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Against stored answers of Vela 5.2, which `NAS_BLESS=1` asks for anew.
fn npu_costs_of_a_grid_of_operators_lie_near_vela() {
    let golden = project("tests/golden/vela_grid.csv");
    let mut models = HashMap::new();
    let mut rng = Rng::new(7, 1);
    for (name, graph) in grid() {
        let weights = random_weights(&graph, &mut rng);
        let length = graph.input_shape().len();
        let values: Vec<f32> = (0..length).map(|_| rng.normal() as f32).collect();
        let mut model = quantize(&graph, &weights, &[&values]).unwrap();
        for op in &graph.ops {
            // Vela fuses a RELU that keeps the scale, and a padding has the scale of what it pads.
            if matches!(op.kind, OpKind::Lookup(Function::Relu) | OpKind::Pad { .. }) {
                model.tensors[op.output] = model.tensors[op.inputs[0]];
            }
        }
        models.insert(name, model);
    }
    if std::env::var_os("NAS_BLESS").is_some() {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = models
            .iter()
            .map(|(name, model)| {
                let path = folder.path().join(format!("{name}.tflite"));
                fs::write(&path, model.to_tflite()).unwrap();
                path
            })
            .collect();
        ask_vela(&golden, files);
    }
    let mut compared = Compared::default();
    let mut errors = Vec::new();
    for row in csv::Reader::from_path(golden).unwrap().deserialize() {
        let row: VelaRow = row.unwrap();
        let model = &models[&row.model];
        let target = find(&format!("ethos-u55-{}", row.macs)).unwrap();
        let plan = npu_plan(&model.graph, None, &target).unwrap();
        // Vela counts no cycles of what it leaves to the core.
        let is_on_npu = row.cycles > 0.0;
        // A network of several operators may have some on either side.
        for op in plan.ops.iter().filter(|_| plan.ops.len() == 1) {
            assert_eq!(
                op.is_some(),
                is_on_npu,
                "{} on {} MACs",
                row.model,
                row.macs
            );
        }
        if !is_on_npu {
            continue;
        }
        compared.add(model, &row);
        let last = |pairs: &[[f64; 2]]| pairs[pairs.len() - 1];
        let ([cycles, _], sram) = (last(&compared.cycles), last(&compared.sram));
        let error = cycles / row.cycles - 1.0;
        say!(
            "{:40} {:3} {:11} {:+.3} {cycles} {} {sram:?} {}",
            row.model,
            row.macs,
            row.memory,
            error,
            row.cycles,
            row.constant_bytes
        );
        errors.push(error.abs());
    }
    // What was asked for, less what Vela refuses.
    assert!(errors.len() > 3 * models.len());
    errors.sort_by(f64::total_cmp);
    let at = |share: f64| errors[(share * errors.len() as f64) as usize];
    say!(
        "cycles: half within {:.4}, three quarters {:.4}, nine tenths {:.4}",
        at(0.5),
        at(0.75),
        at(0.9)
    );
    // The last tenth are lone SOFTMAX over rows and paddings that are not fused, which docs/estimates.md names.
    assert!(at(0.5) < 0.005 && at(0.75) < 0.03 && at(0.9) < 0.3);
}

/// Against stored answers of Vela 5.2.
fn npu_costs_of_foreign_networks_lie_near_vela() {
    let folder = shared("data/tflite");
    let (mut layers, mut networks) = (Compared::default(), Compared::default());
    let golden = include_str!("golden/vela.csv").as_bytes();
    for row in csv::Reader::from_reader(golden).deserialize() {
        let row: VelaRow = row.unwrap();
        let file = fs::read(folder.join(format!("{}.tflite", row.model))).unwrap();
        let Ok(model) = QuantizedModel::from_tflite(&file) else {
            continue;
        };
        // A lone RESHAPE: a copy for Vela, nothing for us.
        if model.graph.ops.is_empty() {
            continue;
        }
        match row.model.starts_with("layer_") {
            true => layers.add(&model, &row),
            false => networks.add(&model, &row),
        }
    }
    // Single layers and four whole networks; the means are dominated by lone SOFTMAX layers of a thousand
    // cycles, which are not modelled pass by pass. Whole networks are within 1.1 %.
    let all = |of: fn(&Compared) -> &Vec<[f64; 2]>| [&of(&layers)[..], of(&networks)].concat();
    assert!(mean_error("cycles", &all(|compared| &compared.cycles)) < 0.02);
    assert!(mean_error("constants", &all(|compared| &compared.constants)) < 0.02);
    assert!(mean_error("cycles of networks", &networks.cycles) < 0.005);
    // Vela's allocator leaves gaps; the profile's band is 10 %.
    assert!(mean_error("SRAM of networks", &networks.sram) < 0.05);
}

/// All layers of which one in 107 is in the project.
fn arenas_of_measured_layers_are_exact_to_the_byte() {
    let path = shared("data/hardware/single_ops_m4_m33.csv");
    let (mut exact, mut total) = (0, 0);
    for record in csv::Reader::from_path(path).unwrap().deserialize() {
        let record: HashMap<String, String> = record.unwrap();
        let number = |key: &str| record[key].parse::<usize>().unwrap();
        if record["arena_bytes"].is_empty() || record["op"] != "conv2d" {
            continue;
        }
        let mut builder =
            GraphBuilder::new(Shape::new(number("in_h"), number("in_w"), number("in_c")));
        let window = Window {
            kernel: [number("kh"), number("kw")],
            stride: [number("sh"), number("sw")],
            padding: match record["padding"].as_str() {
                "same" => Padding::Same,
                _ => Padding::Valid,
            },
            dilation: [1, 1],
        };
        let output = builder.conv(0, number("out_c"), window, Style::LINEAR);
        assert_eq!(builder.shape(output).height, number("out_h"));
        total += 1;
        exact += usize::from(tflm::arena_bytes(&builder.finish(output)) == number("arena_bytes"));
    }
    // The one exception has another build: 16 bytes fewer than its neighbours.
    assert!(total > 5000 && exact + 1 >= total, "{exact} of {total}");
}
