use super::*;
use crate::{
    audio::{Feature, FeatureSpec, FrontEnd},
    graph::{Graph, GraphBuilder, Op, OpKind, Padding, Shape, Style, Window},
    space::{Candidate, Task, WeightMemory},
};

#[test]
fn every_shipped_profile_is_valid() {
    for (file, text) in PROFILES {
        let target = Target::parse(text, file).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(format!("{}.toml", target.name), file);
        assert_eq!(target.text, text);
    }
    let shipped = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/hardware_profiles"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.ends_with(".toml"))
        .count();
    assert_eq!(shipped, builtin().len(), "a profile is not compiled in");
}

#[test]
fn wrong_profiles_name_file_and_key() {
    fn check(from: &str, to: &str, expected: &[&str]) {
        let text = PROFILES[1].1;
        assert!(text.contains(from), "{from}");
        let message = Target::parse(&text.replacen(from, to, 1), "mine.toml")
            .unwrap_err()
            .to_string();
        for part in expected.iter().chain(&["mine.toml"]) {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    }
    check(
        "clock =",
        "clok =",
        &["line", "`clok`", "did you mean `clock`?"],
    );
    check(
        "conv_mac =",
        "conv_mca =",
        &["line", "did you mean `conv_mac`?"],
    );
    check(
        "cortex-m7",
        "cortex-m8",
        &["line", "did you mean `cortex-m7`?"],
    );
    check(
        "format = 1",
        "format = 7",
        &["`format` is 7, but only 1 is known"],
    );
    check(
        "\"MHz\"",
        "\"Hz\"",
        &["`cpu.clock` is in MHz, but its unit says `Hz`"],
    );
    check(
        "value = 480",
        "value = 0",
        &["`cpu.clock` must be above zero, but is 0"],
    );
    check(
        "value = 480",
        "value = nan",
        &["`cpu.clock` must be above zero, but is NaN"],
    );
    check(
        "error = 0.3",
        "error = -1.0",
        &["error of `cpu.cycles.", "but is -1"],
    );
    check("[\"flash\"]", "[]", &["no entry of `memories` holds flash"]);
    check("add_output =", "#", &["`cpu.cycles.add_output` is missing"]);
    check("name =", "name", &["line 2"]);
}

#[test]
fn targets_are_found_by_name_and_by_path() {
    fn check(name: &str, expected: &str) {
        let found = find(name).map_or_else(|e| e.to_string(), |target| target.description);
        assert!(found.contains(expected), "{name}: {found}");
    }
    check("u55", "Ethos-U55-128");
    check("m55", "400 MHz");
    check(
        "m555",
        "no target `m555` (did you mean `m55`?); known targets are m7, m55, u55",
    );
    check("", "no target ``;");
    check("./absent.toml", "cannot read the profile ./absent.toml");
    check(
        concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/hardware_profiles/stm32h743-nas.toml"
        ),
        "480 MHz",
    );
}

/// A number without its source, and a profile that lacks a line, are refused with the file's name; notes may go.
#[test]
fn every_number_says_its_source_and_every_line_counts() {
    let (_, shipped) = PROFILES[1];
    let (mut sources, mut needed) = (0, 0);
    for line in shipped.lines() {
        if let Some((before, _)) = line.split_once(", source = ") {
            let changed = shipped.replacen(line, &format!("{before} }}"), 1);
            let error = Target::parse(&changed, "mine.toml")
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("mine.toml") && error.contains("source"),
                "{error}"
            );
            sources += 1;
        }
        if let Err(error) = Target::parse(&shipped.replacen(line, "", 1), "mine.toml") {
            assert!(error.to_string().contains("mine.toml"), "{error}");
            needed += 1;
        }
    }
    assert!(sources > 10 && needed > 20, "{sources} {needed}");
}

proptest::proptest! {
    /// What is no profile ends in an error, never in a panic.
    #[test]
    fn damaged_text_is_no_profile(text in ".{1,80}", cut in 0usize..1000) {
        let shipped = PROFILES[4].1;
        let cut = (0..=cut.min(shipped.len())).rev().find(|&at| shipped.is_char_boundary(at));
        // The first thousand characters hold no whole profile.
        proptest::prop_assert!(Target::parse(&shipped[..cut.unwrap_or(0)], "mine.toml").is_err());
        proptest::prop_assert!(Target::parse(&text, "mine.toml").is_err());
    }
}

#[test]
fn costs_add_up_and_lie_in_their_bands() {
    for target in builtin() {
        for candidate in [autoencoder(), convolutional_autoencoder()] {
            let estimate = estimate(&candidate, target);
            let Estimate {
                ram_bytes,
                flash_bytes,
                latency_us,
                energy_uj,
                window_us: _,
            } = estimate;
            for cost in [ram_bytes, flash_bytes, latency_us, energy_uj] {
                assert!(0.0 < cost.low && cost.low <= cost.value && cost.value <= cost.high);
                assert!(cost.high.is_finite());
            }
            let ops: f64 = op_costs(&candidate.graph, target)
                .iter()
                .map(|op| op.latency_us.value)
                .sum();
            let start = target
                .npu
                .as_ref()
                .map_or(0.0, |npu| npu.start_cycles.value / target.cpu.clock.value);
            let front_end = front_end_latency_us(&candidate.front_end, target).value;
            let sum = ops + start + front_end;
            // Sums in another order differ in the last digits.
            assert!((sum / latency_us.value - 1.0).abs() < 1e-9);
            let parts = ram_parts(
                Some(&candidate.front_end),
                &candidate.clip_rules,
                &candidate.graph,
                target,
            );
            assert_eq!(
                parts.arena + parts.weights + parts.front_end + parts.stack + parts.state,
                ram_bytes.value
            );
        }
    }
}

#[test]
fn operators_run_where_the_npu_supports_them() {
    let u55 = find("u55").unwrap();
    let mut b = GraphBuilder::new(Shape::new(8, 8, 16));
    let x = b.upsample(0, [2, 2]);
    let x = b.upsample(x, [1, 2]);
    let x = b.dense(x, 8, Style::LINEAR);
    let graph = b.finish(x);
    let units: Vec<Unit> = op_costs(&graph, &u55).iter().map(|op| op.unit).collect();
    assert_eq!(units, [Unit::Npu, Unit::Cpu, Unit::Npu, Unit::Npu]);
    let costs = op_costs(&graph, &u55);
    assert_eq!(costs[3].bottleneck, Bottleneck::Weights);
    let on_cpu = op_costs(&graph, &find("m55").unwrap());
    assert!(on_cpu.iter().all(|op| op.unit == Unit::Cpu));
}

#[test]
fn excess_says_what_is_over_and_by_how_much() {
    let m7 = find("m7").unwrap();
    let cost = |value| Cost::estimated(value, 0.1);
    let estimate = Estimate {
        ram_bytes: cost(312.0 * 1024.0),
        flash_bytes: cost(3e6),
        latency_us: cost(20_000.0),
        energy_uj: cost(100.0),
        window_us: None,
    };
    let none = Budget {
        flash_bytes: Some(1e9),
        ..Budget::default()
    };
    let check = |budget: Budget, expected: &str| {
        let excess = budget.excess(&m7, &estimate, 1000).expect("over budget");
        assert_eq!(excess.to_string(), expected);
        excess
    };
    let flash = "flash 2.86 MiB is 44 % over 2.00 MiB of the target's flash";
    check(none, flash);
    let excess = check(
        Budget {
            ram_bytes: Some(256.0 * 1024.0),
            latency_us: Some(10_000.0),
            energy_uj: Some(100.0),
            macs: Some(1000),
            ..none
        },
        &format!(
            "RAM 312 KiB is 22 % over 256 KiB; {flash}; latency 20.0 ms is 100 % over 10.0 ms"
        ),
    );
    let expected = 56.0 / 256.0 + (3e6 / 2097152.0 - 1.0) + 1.0;
    assert!((excess.total() - expected).abs() < 1e-12);
    let small = Estimate {
        flash_bytes: cost(1e6),
        ..estimate
    };
    assert_eq!(none.excess(&m7, &small, 1000), None);
    let late = Estimate {
        window_us: Some(16_000.0),
        ..small
    };
    let excess = none.excess(&m7, &late, 1000).expect("over budget");
    let expected = "real-time factor 1.25 is 25 % over 1.00";
    assert_eq!(excess.to_string(), expected);
    let offline = Budget {
        offline: true,
        ..none
    };
    assert_eq!(offline.excess(&m7, &late, 1000), None);
    // Runs of older programs did not ask.
    let older: Budget = serde_json::from_str("{}").unwrap();
    assert!(older.offline && !Budget::default().offline);
}

/// A network as public tables list it: its operators with shapes, not its wiring.
fn published_network(layers: &serde_json::Value) -> Graph {
    let numbers = |layer: &serde_json::Value, key: &str| -> Vec<usize> {
        let list = layer[key].as_array().cloned().unwrap_or_default();
        list.iter().map(|n| n.as_u64().unwrap() as usize).collect()
    };
    let shape = |dims: &[usize]| match *dims {
        [_, height, width, channels] => Shape::new(height, width, channels),
        _ => Shape::vector(dims.iter().product()),
    };
    let mut graph = Graph {
        tensors: Vec::new(),
        ops: Vec::new(),
        input: 0,
        output: 0,
        more_outputs: Vec::new(),
    };
    for layer in layers.as_array().unwrap() {
        let (input, output) = (shape(&numbers(layer, "ish")), shape(&numbers(layer, "osh")));
        let weight = numbers(layer, "w");
        let stride = numbers(layer, "stride");
        let window = |kernel| Window {
            kernel,
            stride: [stride[0], stride[1]],
            padding: Padding::Same,
            dilation: [1, 1],
        };
        let kind = match layer["op"].as_str().unwrap() {
            "CONV_2D" => OpKind::Conv2d(window([weight[1], weight[2]])),
            "DEPTHWISE_CONV_2D" => OpKind::DepthwiseConv2d(window([weight[1], weight[2]])),
            "FULLY_CONNECTED" => OpKind::FullyConnected,
            "AVERAGE_POOL_2D" => {
                // Published lists leave the window out; these pools are global or tile the input.
                let kernel = [input.height / output.height, input.width / output.width];
                OpKind::AveragePool2d(Window {
                    kernel,
                    stride: kernel,
                    padding: Padding::Valid,
                    dilation: [1, 1],
                })
            }
            "ADD" => OpKind::Add,
            "RESHAPE" => OpKind::Reshape,
            // Softmax, quantise and pad have no operator here; they are a small share of these networks.
            _ => continue,
        };
        graph.tensors.extend([input, output]);
        let output = graph.tensors.len() - 1;
        graph.ops.push(Op {
            kind,
            inputs: vec![output - 1; if kind == OpKind::Add { 2 } else { 1 }],
            output,
            activation: crate::graph::Activation::None,
            batch_norm: false,
            dropout: 0.0,
        });
        graph.output = output;
    }
    graph
}

#[test]
fn arenas_of_tflite_micro_are_exact_to_the_byte() {
    let table = include_str!("golden/tflm_arenas.csv").as_bytes();
    let mut compared = 0;
    for record in csv::Reader::from_reader(table).deserialize() {
        let record: std::collections::HashMap<String, String> = record.unwrap();
        let number = |key: &str| record[key].parse::<usize>().unwrap();
        let mut b = GraphBuilder::new(Shape::new(number("in_h"), number("in_w"), number("in_c")));
        let window = Window {
            kernel: [number("kh"), number("kw")],
            stride: [number("sh"), number("sw")],
            padding: Padding::Same,
            dilation: [1, 1],
        };
        let x = b.conv(0, number("out_c"), window, Style::LINEAR);
        assert_eq!(b.shape(x).height, number("out_h"));
        let arena = tflm::arena_bytes(&b.finish(x));
        assert_eq!(arena, number("arena_bytes"), "{record:?}");
        compared += 1;
    }
    assert_eq!(compared, 56);

    // ADD of two inputs: 676 bytes beside the tensors on two of three boards.
    let mut b = GraphBuilder::new(Shape::new(4, 4, 8));
    let x = b.add(0, 0);
    assert_eq!(tflm::arena_bytes(&b.finish(x)), 2 * 128 + 676);
}

#[test]
fn a_day_of_inferences_costs_active_and_idle_energy() {
    let target = find("stm32h7a3-xcubeai-9").unwrap();
    let estimate = estimate(&autoencoder(), &target);
    let day = |period_us| energy::period_energy_uj(&estimate, &target, period_us);
    let second = day(1e6).unwrap();
    let idle_mw = target.cpu.idle_power.as_ref().unwrap().value;
    let idle_uj = idle_mw * (1e6 - estimate.latency_us.value) * 1e-3;
    assert!((second.value - estimate.energy_uj.value - idle_uj).abs() < 1e-6);
    assert!(second.low < second.value && second.value < second.high);
    // 1 mWh is 3.6 J, so 24 mWh last a day at 1 mW.
    let days = energy::battery_days(
        24.0,
        &energy::mean_power_mw(&Cost::estimated(1e3, 1.0), 1e6),
    );
    assert_eq!((days.value, days.low, days.high), (1.0, 0.5, 2.0));
    // A budget of days is one of mean power, and a period that is too short one of latency.
    let check = |duty: energy::Duty, expected: &str| {
        let budget = Budget {
            duty: Some(duty),
            ..Budget::default()
        };
        let excess = budget.excess(&target, &estimate, 0);
        let text = excess.map_or(String::new(), |excess| excess.to_string());
        assert_eq!(
            text.split(' ').next().unwrap_or_default(),
            expected,
            "{text}"
        );
        assert_eq!(budget.fit(&target, &estimate).0 < 0.5, !expected.is_empty());
    };
    let duty = energy::Duty {
        period_us: 1e6,
        battery_mwh: Some(1000.0),
        least_days: None,
    };
    let lasts = duty.power(&estimate, &target).unwrap().days.unwrap().value;
    let lasting = |days| energy::Duty {
        least_days: Some(days),
        ..duty
    };
    check(duty, "");
    check(lasting(0.99 * lasts), "");
    check(lasting(1.01 * lasts), "mean");
    let period_us = 0.5 * estimate.latency_us.value;
    check(energy::Duty { period_us, ..duty }, "latency");
    let message = day(10.0).unwrap_err().to_string();
    assert!(
        message.contains("longer than the period of 0.010 ms"),
        "{message}"
    );
    assert!(day(f64::NAN).is_err());
    let silent = Target {
        cpu: Cpu {
            idle_power: None,
            ..target.cpu.clone()
        },
        ..target.clone()
    };
    let message = energy::period_energy_uj(&estimate, &silent, 1e6).unwrap_err();
    assert!(message.to_string().contains("has no idle power"));
}

#[test]
fn activations_beyond_the_memory_cost_cycles() {
    let target = find("stm32h747-xcubeai-10").unwrap();
    let network = |side| {
        let mut b = GraphBuilder::new(Shape::new(side, side, 8));
        let x = b.conv(0, 8, Window::same(3, 1), Style::LINEAR);
        b.finish(x)
    };
    let spilled = |graph: &Graph| cpu_work(graph, &target)[Term::SpilledOutput as usize];
    // Two tensors of 8 channels in 512 KiB: 181 x 181 pixels still fit.
    assert_eq!(spilled(&network(181)), 0.0);
    assert_eq!(spilled(&network(182)), 182.0 * 182.0 * 8.0);
}

#[test]
fn weights_in_ram_take_ram_and_save_time() {
    let in_flash = find("ethos-u55-128").unwrap();
    let mut in_ram = in_flash.clone();
    in_ram.npu.as_mut().unwrap().weights_in = WeightMemory::Sram;
    let graph = autoencoder().graph;
    let [flash, ram] = [&in_flash, &in_ram].map(|target| estimate_graph(&graph, target));
    assert!(ram.latency_us.value < 0.5 * flash.latency_us.value);
    let weights = ram_parts(None, &[], &graph, &in_ram).weights;
    assert!(weights > 0.7 * graph.weight_bytes() as f64);
    assert_eq!(ram.ram_bytes.value, flash.ram_bytes.value + weights);
    assert_eq!(ram.flash_bytes.value, flash.flash_bytes.value);
}

#[test]
fn npu_latency_lies_near_silicon() {
    let network: serde_json::Value =
        serde_json::from_str(include_str!("golden/kws_micronet_m.json")).unwrap();
    // KWS MicroNet-M: 2.727 ms on Alif RTSS-HE silicon, 414,172 NPU cycles in Arm's simulator.
    let target = find("u55").unwrap();
    let graph = published_network(&network["layers"]);
    let latency = estimate_graph(&graph, &target).latency_us;
    assert!((latency.value / 2727.0 - 1.0).abs() < 0.20, "{latency:?}");
    assert!(latency.low < 2727.0 && 2727.0 < latency.high);
}

fn front_end() -> FrontEnd {
    FrontEnd {
        spec: FeatureSpec {
            sample_rate_hz: 16000,
            n_fft: 1024,
            hop_length: 512,
            n_mels: 128,
            feature: Feature::LogMel,
        },
        frames: 5,
        frame_stride: 1,
        statistics: None,
        companding: None,
    }
}

/// The autoencoder of the DCASE baseline and of MLPerf Tiny.
fn autoencoder() -> Candidate {
    let mut b = GraphBuilder::new(Shape::vector(640));
    let mut x = 0;
    for width in [128, 128, 128, 128, 8, 128, 128, 128, 128] {
        x = b.dense(x, width, Style::BATCH_NORM_RELU);
    }
    let x = b.dense(x, 640, Style::LINEAR);
    Candidate {
        front_end: front_end(),
        graph: b.finish(x),
        task: Task::Reconstruct,
        weights_in: None,
        clip_rules: Vec::new(),
        ensemble: None,
        head: None,
    }
}

fn convolutional_autoencoder() -> Candidate {
    let mut b = GraphBuilder::new(Shape::new(32, 64, 1));
    let mut x = b.conv(0, 16, Window::same(3, 2), Style::BATCH_NORM_RELU);
    for _ in 0..3 {
        let skip = x;
        let y = b.depthwise(x, Window::same(3, 1), Style::BATCH_NORM_RELU);
        let y = b.conv(y, 16, Window::same(1, 1), Style::BATCH_NORM);
        x = b.add(skip, y);
    }
    x = b.upsample(x, [2, 2]);
    let x = b.conv(x, 1, Window::same(3, 1), Style::LINEAR);
    Candidate {
        front_end: FrontEnd {
            spec: FeatureSpec {
                n_mels: 64,
                feature: Feature::Mfcc { coefficients: 64 },
                ..front_end().spec
            },
            frames: 32,
            frame_stride: 4,
            statistics: None,
            companding: None,
        },
        graph: b.finish(x),
        task: Task::Reconstruct,
        weights_in: None,
        clip_rules: Vec::new(),
        ensemble: None,
        head: None,
    }
}

#[test]
fn front_ends_take_the_instructions_that_were_counted() {
    let table = include_str!("../../hardware_profiles/calibration/front_end.csv");
    let (mut worst, mut compared) = (0f64, 0);
    for line in table.lines().filter(|line| line.starts_with("cortex")) {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |idx: usize| fields[idx].parse::<usize>().unwrap();
        // The lengths that the spaces use, and their neighbour.
        if !(512..=2048).contains(&number(1)) {
            continue;
        }
        let front_end = FrontEnd {
            spec: FeatureSpec {
                sample_rate_hz: 16_000,
                n_fft: number(1),
                hop_length: number(2),
                n_mels: number(3),
                feature: match number(4) {
                    0 => Feature::LogMel,
                    coefficients => Feature::Mfcc { coefficients },
                },
            },
            frames: 1,
            frame_stride: 1,
            statistics: None,
            companding: None,
        };
        let target = match fields[0] {
            "cortex-m7" => find("stm32h743-nas"),
            _ => find("alif-e7-hp"),
        };
        let target = target.unwrap();
        let latency = front_end_latency_us(&front_end, &target).value;
        let cycles = latency * target.cpu.clock.value / target.cpu.whole_network.value;
        // What LLVM's scheduling model gives for both cores.
        const CYCLES_PER_INSTRUCTION: f64 = 1.13;
        let counted = (number(5) + number(6)) as f64;
        worst = worst.max((cycles / CYCLES_PER_INSTRUCTION / counted - 1.0).abs());
        compared += 1;
    }
    assert_eq!(compared, 72);
    // The fit's largest error is 4.1 %, and its coefficients are rounded to two digits.
    assert!(worst < 0.06, "{worst}");
}
