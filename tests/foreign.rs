//! Files as other people's tools write them: operators that nothing here runs are costed, near Vela on an Ethos-U55.

use std::{collections::HashMap, fs, path::PathBuf};

use flatbuffers::{
    FlatBufferBuilder, ForwardsUOffset, TableFinishedWIPOffset, UnionWIPOffset, Vector, WIPOffset,
};
use nas::{
    graph::{Activation, Effort, Foreign, Graph, Op, OpKind, Shape},
    hardware::{Budget, Cost, Unit, find, op_costs},
    quant::{Outline, ReadError, operators},
    report::network::{Network, TargetCosts, target_costs},
    units::Rng,
};

use crate::{
    costs::{VelaRow, ask_vela},
    runner::{project, shared},
};

tests! {
    foreign_operators_lie_near_vela,
    foreign_operators_are_named,
    the_table_of_operators_is_what_the_code_does,
    files_of_others_are_costed_or_named: [Shared("cases/networks")],
}

/// A field of an operator's options: its number and value.
#[derive(Clone, Copy)]
enum Field {
    Bool(u16, bool),
    I8(u16, i8),
    I32(u16, i32),
    F32(u16, f32),
}
use Field::{Bool, F32, I8, I32};

/// An operator: its code, its version, the tag of its options.
type Code = (i32, i32, u8);

const ADD: Code = (0, 2, 11);
const CONCATENATION: Code = (2, 2, 10);
const CONV_2D: Code = (3, 3, 1);
const DEPTHWISE_CONV_2D: Code = (4, 3, 2);
const FULLY_CONNECTED: Code = (9, 4, 8);
const MUL: Code = (18, 2, 21);
const TRANSPOSE: Code = (39, 2, 26);
const MEAN: Code = (40, 2, 27);
const SUB: Code = (41, 2, 28);
const STRIDED_SLICE: Code = (45, 2, 32);
const SPLIT: Code = (49, 2, 35);
const EXP: Code = (47, 2, 33);
const PRELU: Code = (54, 1, 0);
const MAXIMUM: Code = (55, 2, 39);
const TRANSPOSE_CONV: Code = (67, 3, 49);
const SUM: Code = (74, 2, 27);
const GATHER: Code = (36, 2, 23);
const LEAKY_RELU: Code = (98, 2, 75);
const HARD_SWISH: Code = (117, 1, 0);
const CALL_ONCE: Code = (129, 1, 103);
const VAR_HANDLE: Code = (142, 1, 111);
const READ_VARIABLE: Code = (143, 1, 112);
const ASSIGN_VARIABLE: Code = (144, 1, 113);
const WHILE: Code = (119, 1, 93);

const INT8: i8 = 9;
const INT32: i8 = 2;
const RESOURCE: i8 = 13;

type Builder = FlatBufferBuilder<'static>;
type Table = WIPOffset<TableFinishedWIPOffset>;

/// A file under construction.
struct File {
    builder: Builder,
    buffers: Vec<Table>,
    tensors: Vec<Table>,
    operators: Vec<Table>,
    codes: Vec<Code>,
    inputs: Vec<i32>,
    rng: Rng,
}

impl File {
    fn new() -> File {
        let mut builder = FlatBufferBuilder::new();
        let empty = table(&mut builder, |_| {});
        File {
            builder,
            buffers: vec![empty],
            tensors: Vec::new(),
            operators: Vec::new(),
            codes: Vec::new(),
            inputs: Vec::new(),
            rng: Rng::new(3, 0),
        }
    }

    fn tensor(&mut self, dims: &[i32], kind: i8, scales: &[f32], axis: i32, data: &[u8]) -> i32 {
        let builder = &mut self.builder;
        let buffer = match data.is_empty() {
            true => 0,
            false => {
                let data = builder.create_vector(data);
                self.buffers
                    .push(table(builder, |builder| builder.push_slot_always(4, data)));
                self.buffers.len() as u32 - 1
            }
        };
        let name = builder.create_string(&format!("t{}", self.tensors.len()));
        let dims = builder.create_vector(dims);
        let quantization = (!scales.is_empty()).then(|| {
            let zero_points = builder.create_vector(&vec![0i64; scales.len()]);
            let scales = builder.create_vector(scales);
            table(builder, |builder| {
                builder.push_slot_always(4 + 2 * 2, scales);
                builder.push_slot_always(4 + 2 * 3, zero_points);
                builder.push_slot_always(4 + 2 * 6, axis);
            })
        });
        self.tensors.push(table(builder, |builder| {
            builder.push_slot_always(4, dims);
            builder.push_slot_always(4 + 2, kind);
            builder.push_slot_always(4 + 2 * 2, buffer);
            builder.push_slot_always(4 + 2 * 3, name);
            if let Some(quantization) = quantization {
                builder.push_slot_always(4 + 2 * 4, quantization);
            }
        }));
        self.tensors.len() as i32 - 1
    }

    fn map(&mut self, dims: &[i32]) -> i32 {
        self.tensor(dims, INT8, &[0.05], 0, &[])
    }

    fn input(&mut self, dims: &[i32]) -> i32 {
        let input = self.map(dims);
        self.inputs.push(input);
        input
    }

    /// An int8 constant with `scales` scales.
    fn constant(&mut self, dims: &[i32], scales: usize, axis: i32) -> i32 {
        let count: i32 = dims.iter().product();
        let data: Vec<u8> = (0..count).map(|_| self.rng.below(256) as u8).collect();
        self.tensor(dims, INT8, &vec![0.01; scales], axis, &data)
    }

    fn integers(&mut self, values: &[i32]) -> i32 {
        let data: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.tensor(&[values.len() as i32], INT32, &[], 0, &data)
    }

    fn push(&mut self, code: Code, inputs: &[i32], outputs: &[i32], options: &[Field]) {
        let known = self.codes.iter().position(|known| *known == code);
        let place = known.unwrap_or_else(|| {
            self.codes.push(code);
            self.codes.len() - 1
        });
        let builder = &mut self.builder;
        let inputs = builder.create_vector(inputs);
        let outputs = builder.create_vector(outputs);
        let options = (code.2 != 0).then(|| {
            let name = (code == VAR_HANDLE).then(|| builder.create_string("state"));
            table(builder, |builder| {
                for option in options {
                    match *option {
                        Bool(field, value) => builder.push_slot_always(4 + 2 * field, value),
                        I8(field, value) => builder.push_slot_always(4 + 2 * field, value),
                        I32(field, value) => builder.push_slot_always(4 + 2 * field, value),
                        F32(field, value) => builder.push_slot_always(4 + 2 * field, value),
                    }
                }
                if let Some(name) = name {
                    builder.push_slot_always(4 + 2, name);
                }
            })
        });
        self.operators.push(table(builder, |builder| {
            builder.push_slot_always(4, place as u32);
            builder.push_slot_always(4 + 2, inputs);
            builder.push_slot_always(4 + 2 * 2, outputs);
            if let Some(options) = options {
                builder.push_slot_always(4 + 2 * 3, code.2);
                let options = WIPOffset::<UnionWIPOffset>::new(options.value());
                builder.push_slot_always(4 + 2 * 4, options);
            }
        }));
    }

    /// An operator with a new output.
    fn op(&mut self, code: Code, inputs: &[i32], dims: &[i32], options: &[Field]) -> i32 {
        let output = self.map(dims);
        self.push(code, inputs, &[output], options);
        output
    }

    /// A convolution 1 x 1 over `from`.
    fn pointwise(&mut self, x: i32, from: [i32; 4], channels: i32) -> i32 {
        let [_, height, width, depth] = from;
        let weights = self.constant(&[channels, 1, 1, depth], channels as usize, 0);
        let to = [1, height, width, channels];
        let options = [I8(0, 0), I32(1, 1), I32(2, 1), I32(4, 1), I32(5, 1)];
        self.op(CONV_2D, &[x, weights], &to, &options)
    }

    fn finish(mut self, outputs: &[i32]) -> Vec<u8> {
        let builder = &mut self.builder;
        let codes: Vec<Table> = self
            .codes
            .iter()
            .map(|&(code, version, _)| {
                table(builder, |builder| {
                    builder.push_slot_always(4, code.min(127) as i8);
                    builder.push_slot_always(4 + 2 * 2, version);
                    builder.push_slot_always(4 + 2 * 3, code);
                })
            })
            .collect();
        let tensors = tables(builder, &self.tensors);
        let operators = tables(builder, &self.operators);
        let inputs = builder.create_vector(&self.inputs);
        let outputs = builder.create_vector(outputs);
        let subgraph = table(builder, |builder| {
            builder.push_slot_always(4, tensors);
            builder.push_slot_always(4 + 2, inputs);
            builder.push_slot_always(4 + 2 * 2, outputs);
            builder.push_slot_always(4 + 2 * 3, operators);
        });
        let codes = tables(builder, &codes);
        let subgraphs = tables(builder, &[subgraph]);
        let buffers = tables(builder, &self.buffers);
        let model = table(builder, |builder| {
            builder.push_slot_always(4, 3u32);
            builder.push_slot_always(4 + 2, codes);
            builder.push_slot_always(4 + 2 * 2, subgraphs);
            builder.push_slot_always(4 + 2 * 4, buffers);
        });
        builder.finish(model, Some("TFL3"));
        builder.finished_data().to_vec()
    }
}

fn table(builder: &mut Builder, fields: impl FnOnce(&mut Builder)) -> Table {
    let start = builder.start_table();
    fields(builder);
    builder.end_table(start)
}

fn tables(
    builder: &mut Builder,
    tables: &[Table],
) -> WIPOffset<Vector<'static, ForwardsUOffset<TableFinishedWIPOffset>>> {
    builder.create_vector(tables)
}

/// Small networks of operators that no space of ours has: name and file.
fn networks() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut add = |name: &str, make: &dyn Fn(&mut File) -> Vec<i32>| {
        let mut file = File::new();
        let outputs = make(&mut file);
        files.push((name.to_string(), file.finish(&outputs)));
    };
    const MAP: [i32; 4] = [1, 16, 16, 24];
    const SLIM: [i32; 4] = [1, 49, 10, 8];
    for (name, code) in [
        ("add", ADD),
        ("sub", SUB),
        ("mul", MUL),
        ("maximum", MAXIMUM),
    ] {
        for (of, dims) in [("map", MAP), ("slim", SLIM)] {
            let channel = [1, 1, 1, dims[3]];
            add(&format!("{name}_two_{of}"), &|f| {
                let (a, b) = (f.input(&dims), f.input(&dims));
                vec![f.op(code, &[a, b], &dims, &[])]
            });
            add(&format!("{name}_channels_{of}"), &|f| {
                let (a, b) = (f.input(&dims), f.input(&channel));
                vec![f.op(code, &[a, b], &dims, &[])]
            });
            // The larger of two int8 values needs one scale, which these constants do not have.
            let constants = [("map", &dims[..]), ("channels", &channel), ("one", &[1])];
            for (which, constant) in constants.into_iter().filter(|_| code != MAXIMUM) {
                add(&format!("{name}_constant_{which}_{of}"), &|f| {
                    let (a, b) = (f.input(&dims), f.constant(constant, 1, 0));
                    vec![f.op(code, &[a, b], &dims, &[])]
                });
            }
            add(&format!("{name}_within_{of}"), &|f| {
                let x = f.input(&dims);
                let y = f.pointwise(x, dims, dims[3]);
                let y = f.op(code, &[y, x], &dims, &[]);
                vec![f.pointwise(y, dims, 8)]
            });
        }
    }
    add("prelu", &|f| {
        let (x, slopes) = (f.input(&MAP), f.constant(&[1, 1, 24], 1, 0));
        vec![f.op(PRELU, &[x, slopes], &MAP, &[])]
    });
    for (name, code, option) in [
        ("hard_swish", HARD_SWISH, F32(0, 0.0)),
        ("leaky_relu", LEAKY_RELU, F32(0, 0.1)),
        ("exp", EXP, F32(0, 0.0)),
    ] {
        add(name, &|f| {
            let x = f.input(&MAP);
            vec![f.op(code, &[x], &MAP, &[option])]
        });
        add(&format!("{name}_within"), &|f| {
            let x = f.input(&MAP);
            let x = f.pointwise(x, MAP, 24);
            let x = f.op(code, &[x], &MAP, &[option]);
            vec![f.pointwise(x, MAP, 8)]
        });
    }
    for (name, second, axis, whole) in [
        ("channels", MAP, 3, [1, 16, 16, 48]),
        ("odd", [1, 16, 16, 7], 3, [1, 16, 16, 31]),
        ("rows", MAP, 1, [1, 32, 16, 24]),
        ("columns", [1, 16, 4, 24], 2, [1, 16, 20, 24]),
    ] {
        add(&format!("concatenation_{name}"), &|f| {
            let (a, b) = (f.input(&MAP), f.input(&second));
            vec![f.op(CONCATENATION, &[a, b], &whole, &[I32(0, axis)])]
        });
        add(&format!("concatenation_{name}_within"), &|f| {
            let (a, b) = (f.input(&MAP), f.input(&second));
            let (a, b) = (f.pointwise(a, MAP, 24), f.pointwise(b, second, second[3]));
            let y = f.op(CONCATENATION, &[a, b], &whole, &[I32(0, axis)]);
            vec![f.pointwise(y, whole, 8)]
        });
    }
    for (name, axis, part) in [
        ("channels", 3, [1, 16, 16, 12]),
        ("rows", 1, [1, 8, 16, 24]),
    ] {
        let split = move |f: &mut File, x: i32| {
            let axis = f.integers(&[axis]);
            let parts = [f.map(&part), f.map(&part)];
            f.push(SPLIT, &[axis, x], &parts, &[I32(0, 2)]);
            parts
        };
        add(&format!("split_{name}"), &|f| {
            let x = f.input(&MAP);
            split(f, x).to_vec()
        });
        add(&format!("split_{name}_within"), &|f| {
            let x = f.input(&MAP);
            let x = f.pointwise(x, MAP, 24);
            split(f, x).map(|y| f.pointwise(y, part, 8)).to_vec()
        });
    }
    for (name, begin, end, step, part) in [
        ("rows", [0, 2, 0, 0], [1, 16, 16, 24], 1, [1, 14, 16, 24]),
        (
            "channels",
            [0, 0, 0, 16],
            [1, 16, 16, 24],
            1,
            [1, 16, 16, 8],
        ),
        ("steps", [0, 0, 0, 0], [1, 16, 16, 24], 2, [1, 8, 16, 24]),
    ] {
        let slice = move |f: &mut File, x: i32| {
            let places = [
                f.integers(&begin),
                f.integers(&end),
                f.integers(&[1, step, 1, 1]),
            ];
            f.op(
                STRIDED_SLICE,
                &[x, places[0], places[1], places[2]],
                &part,
                &[],
            )
        };
        add(&format!("slice_{name}"), &|f| {
            let x = f.input(&MAP);
            vec![slice(f, x)]
        });
        add(&format!("slice_{name}_within"), &|f| {
            let x = f.input(&MAP);
            let x = f.pointwise(x, MAP, 24);
            let x = slice(f, x);
            vec![f.pointwise(x, part, 8)]
        });
    }
    for (name, order) in [
        ("hw", [0, 2, 1, 3]),
        ("nchw", [0, 3, 1, 2]),
        ("nhwc", [0, 2, 3, 1]),
    ] {
        let dims = [1, 12, 20, 16];
        add(&format!("transpose_{name}"), &|f| {
            let (x, axes) = (f.input(&dims), f.integers(&order));
            let to = order.map(|axis| dims[axis as usize]);
            vec![f.op(TRANSPOSE, &[x, axes], &to, &[])]
        });
    }
    for (name, kernel, dilation) in [
        ("2x2", [3, 3], [2, 2]),
        ("2x1", [3, 1], [2, 1]),
        ("1x2", [1, 5], [1, 2]),
        ("3x3", [3, 3], [3, 3]),
        ("4x1", [3, 1], [4, 1]),
        ("1x8", [1, 3], [1, 8]),
    ] {
        let [h, w] = kernel;
        add(&format!("conv_dilated_{name}"), &|f| {
            let (x, weights) = (f.input(&MAP), f.constant(&[16, h, w, 24], 16, 0));
            let steps = [I32(4, dilation[1]), I32(5, dilation[0])];
            let options = [&[I8(0, 0), I32(1, 1), I32(2, 1)][..], &steps].concat();
            vec![f.op(CONV_2D, &[x, weights], &[1, 16, 16, 16], &options)]
        });
        add(&format!("depthwise_dilated_{name}"), &|f| {
            let (x, weights) = (f.input(&MAP), f.constant(&[1, h, w, 24], 24, 3));
            let steps = [I32(3, 1), I32(5, dilation[1]), I32(6, dilation[0])];
            let options = [&[I8(0, 0), I32(1, 1), I32(2, 1)][..], &steps].concat();
            vec![f.op(DEPTHWISE_CONV_2D, &[x, weights], &MAP, &options)]
        });
    }
    for (name, depth, multiplier) in [("24x2", 24, 2), ("4x8", 4, 8), ("1x8", 1, 8)] {
        add(&format!("depthwise_multiplier_{name}"), &|f| {
            let channels = depth * multiplier;
            let x = f.input(&[1, 16, 16, depth]);
            let weights = f.constant(&[1, 3, 3, channels], channels as usize, 3);
            let options = [I8(0, 0), I32(1, 1), I32(2, 1), I32(3, multiplier)];
            vec![f.op(
                DEPTHWISE_CONV_2D,
                &[x, weights],
                &[1, 16, 16, channels],
                &options,
            )]
        });
    }
    add("conv_grouped", &|f| {
        let (x, weights) = (f.input(&MAP), f.constant(&[16, 3, 3, 12], 16, 0));
        let options = [I8(0, 0), I32(1, 1), I32(2, 1)];
        vec![f.op(CONV_2D, &[x, weights], &[1, 16, 16, 16], &options)]
    });
    for (rows, inputs, outputs) in [
        (10, 16, 32),
        (16, 640, 128),
        (49, 40, 64),
        (2, 128, 128),
        (7, 33, 5),
        (100, 64, 64),
    ] {
        add(&format!("rows_{rows}x{inputs}x{outputs}"), &|f| {
            let x = f.input(&[rows, inputs]);
            let weights = f.constant(&[outputs, inputs], 1, 0);
            vec![f.op(FULLY_CONNECTED, &[x, weights], &[rows, outputs], &[])]
        });
    }
    for (name, kernel, stride) in [
        ("2", [2, 2], [2, 2]),
        ("3", [3, 3], [2, 2]),
        ("3s1", [3, 3], [1, 1]),
    ] {
        add(&format!("transpose_conv_{name}"), &|f| {
            let to = [1, 8 * stride[0], 8 * stride[1], 16];
            let x = f.input(&[1, 8, 8, 16]);
            let weights = f.constant(&[16, kernel[0], kernel[1], 16], 16, 0);
            let size = f.integers(&to);
            let options = [I8(0, 0), I32(1, stride[1]), I32(2, stride[0])];
            vec![f.op(TRANSPOSE_CONV, &[size, weights, x], &to, &options)]
        });
    }
    for (name, axes, to) in [
        ("rows", vec![1], vec![1, 1, 16, 24]),
        ("columns", vec![2], vec![1, 16, 1, 24]),
        ("channels", vec![3], vec![1, 16, 16, 1]),
    ] {
        add(&format!("mean_{name}"), &|f| {
            let (x, axes) = (f.input(&MAP), f.integers(&axes));
            vec![f.op(MEAN, &[x, axes], &to, &[Bool(0, true)])]
        });
    }
    add("sum", &|f| {
        let (x, axes) = (f.input(&MAP), f.integers(&[1, 2]));
        vec![f.op(SUM, &[x, axes], &[1, 1, 1, 24], &[Bool(0, true)])]
    });
    add("gather", &|f| {
        let (x, places) = (f.input(&[1, 16, 24]), f.integers(&[0, 3, 5, 7]));
        vec![f.op(GATHER, &[x, places], &[1, 4, 24], &[I32(0, 1)])]
    });
    add("two_outputs", &|f| {
        let x = f.input(&MAP);
        let y = f.pointwise(x, MAP, 24);
        vec![y, f.pointwise(y, MAP, 8)]
    });
    files
}

/// What a file costs on a target.
fn costs(name: &str, file: &[u8], target: &str) -> TargetCosts {
    let outline = Outline::read(file).unwrap_or_else(|error| panic!("{name}: {error}"));
    let network = Network::File {
        name: name.to_string(),
        outline,
    };
    target_costs(&network, &find(target).unwrap(), &Budget::default())
}

/// Against stored answers of Vela 5.2, which `NAS_BLESS=1` asks for anew.
fn foreign_operators_lie_near_vela() {
    let golden = project("tests/golden/vela_foreign.csv");
    let networks: HashMap<String, Vec<u8>> = networks().into_iter().collect();
    if std::env::var_os("NAS_BLESS").is_some() {
        let folder = tempfile::tempdir().unwrap();
        let mut files: Vec<PathBuf> = Vec::new();
        for (name, file) in &networks {
            files.push(folder.path().join(format!("{name}.tflite")));
            fs::write(&files[files.len() - 1], file).unwrap();
        }
        files.sort();
        say!("{}", ask_vela(&golden, files));
    }
    let (mut errors, mut outside) = (Vec::new(), Vec::new());
    for row in csv::Reader::from_path(golden).unwrap().deserialize() {
        let row: VelaRow = row.unwrap();
        // The profiles of Vela's own systems read weights from flash.
        if row.memory != "Shared_Sram" {
            continue;
        }
        let target = format!("ethos-u55-{}", row.macs);
        let costs = costs(&row.model, &networks[&row.model], &target);
        let on_npu = costs.layers.iter().filter(|layer| layer.unit == Unit::Npu);
        let sum =
            |of: fn(&Cost) -> f64| -> f64 { on_npu.clone().map(|layer| of(&layer.cycles)).sum() };
        let [cycles, low, high] = [
            sum(|cost| cost.value),
            sum(|cost| cost.low),
            sum(|cost| cost.high),
        ];
        // Vela counts no cycles of what it leaves to the core.
        let is_on_npu = row.cycles > 0.0;
        assert_eq!(cycles > 0.0, is_on_npu, "{} on {target}", row.model);
        if !is_on_npu {
            continue;
        }
        let error = cycles / row.cycles - 1.0;
        let sram = [costs.ram.arena, row.sram_bytes];
        say!(
            "{:32} {:3} {error:+.3} {cycles:.0} {} {sram:?}",
            row.model,
            row.macs,
            row.cycles
        );
        errors.push(error.abs());
        // A band is a root mean square: rows on 32 MACs lie 3 % below theirs.
        if row.cycles < 0.95 * low || row.cycles > 1.05 * high {
            outside.push(format!(
                "{} on {target}: {low:.0} {high:.0} {}",
                row.model, row.cycles
            ));
        }
    }
    assert_eq!(
        outside,
        Vec::<String>::new(),
        "Vela's cycles lie outside of the band"
    );
    assert!(errors.len() > networks.len());
    errors.sort_by(f64::total_cmp);
    let at = |share: f64| errors[(share * errors.len() as f64) as usize];
    say!(
        "cycles: half within {:.4}, three quarters {:.4}, nine tenths {:.4}",
        at(0.5),
        at(0.75),
        at(0.9)
    );
    assert!(at(0.5) < 0.005 && at(0.75) < 0.05 && at(0.9) < 0.6);
}

fn foreign_operators_are_named() {
    let networks: HashMap<String, Vec<u8>> = networks().into_iter().collect();
    let check = |name: &str, expected: &[&str]| {
        let outline = Outline::read(&networks[name]).unwrap();
        let found: Vec<&str> = outline
            .unrun
            .iter()
            .map(|unrun| unrun.operator.as_str())
            .collect();
        assert_eq!(found, expected, "{name}");
    };
    check("sub_within_map", &["SUB"]);
    check("mul_within_map", &[]);
    check("mul_constant_one_map", &["MUL"]);
    check("split_channels_within", &["SPLIT"]);
    check("depthwise_multiplier_24x2", &["DEPTHWISE_CONV_2D"]);
    check("depthwise_multiplier_1x8", &[]);
    check("conv_dilated_3x3", &[]);
    check("rows_16x640x128", &[]);
    check("hard_swish", &[]);
    check("two_outputs", &[]);

    // A stream that adds what it hears to a state of 4,096 bytes.
    let mut f = File::new();
    let x = f.input(&[1, 4096]);
    let handle = f.tensor(&[], RESOURCE, &[], 0, &[]);
    f.push(CALL_ONCE, &[], &[], &[I32(0, 1)]);
    f.push(VAR_HANDLE, &[], &[handle], &[]);
    let state = f.op(READ_VARIABLE, &[handle], &[1, 4096], &[]);
    let sum = f.op(ADD, &[x, state], &[1, 4096], &[]);
    f.push(ASSIGN_VARIABLE, &[handle, sum], &[], &[]);
    let weights = f.constant(&[2, 4096], 1, 0);
    let y = f.op(FULLY_CONNECTED, &[sum, weights], &[1, 2], &[]);
    let stream = f.finish(&[y]);
    let outline = Outline::read(&stream).unwrap();
    let names: Vec<&str> = outline
        .unrun
        .iter()
        .map(|unrun| unrun.operator.as_str())
        .collect();
    assert_eq!(names, ["READ_VARIABLE", "ASSIGN_VARIABLE"]);
    for target in ["m7", "u55", "stm32h743-tflm-cmsis-nn"] {
        let costs = costs("stream", &stream, target);
        // The input, the state and its copy.
        assert!(costs.ram.arena >= 3.0 * 4096.0, "{target}: {:?}", costs.ram);
    }

    // What depends on the data has no cost.
    let mut f = File::new();
    let x = f.input(&[1, 8]);
    let y = f.op(WHILE, &[x], &[1, 8], &[]);
    let error = Outline::read(&f.finish(&[y])).unwrap_err().to_string();
    assert!(
        error.contains("operator 0 (WHILE)") && error.contains("depend"),
        "{error}"
    );
}

/// `docs/operators.md`; `NAS_BLESS=1` writes it.
fn the_table_of_operators_is_what_the_code_does() {
    let targets = ["m7", "m55", "u55"].map(|name| find(name).unwrap());
    let mut text = OPERATORS.to_string();
    for operator in operators() {
        let kind = OpKind::Foreign(Foreign {
            name: operator.name,
            effort: match operator.effort {
                Effort::Macs(_) => Effort::Macs(1 << 16),
                effort => effort,
            },
            constant_bytes: 1 << 12,
        });
        let shape = Shape::new(16, 16, 16);
        let op = Op {
            kind,
            inputs: vec![0],
            output: 1,
            activation: Activation::None,
            batch_norm: false,
            dropout: 0.0,
        };
        let graph = Graph {
            tensors: vec![shape; 2],
            ops: vec![op],
            input: 0,
            output: 1,
            more_outputs: Vec::new(),
        };
        let cells = targets.each_ref().map(|target| {
            let cost = op_costs(&graph, target)[0];
            let unit = match (target.npu.is_some(), cost.unit) {
                (true, Unit::Npu) => "NPU, ",
                (true, Unit::Cpu) => "core, ",
                (false, _) => "",
            };
            // The band beyond that of the profile, as a factor.
            match cost.latency_us.high / cost.latency_us.value {
                factor if factor < 1.01 || operator.effort == Effort::None => {
                    format!("{unit}nothing")
                }
                factor if factor < 2.0 => format!("{unit}near"),
                factor if factor < 5.0 => format!("{unit}wide"),
                factor if factor >= 5.0 => format!("{unit}very wide"),
                _ => format!("{unit}nothing"),
            }
        });
        let is_run = if operator.is_run { "yes" } else { "" };
        text += &format!("| {} | {is_run} | {} |\n", operator.name, cells.join(" | "));
    }
    let path = project("docs/operators.md");
    if std::env::var_os("NAS_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(
        fs::read_to_string(path).unwrap(),
        text,
        "`NAS_BLESS=1` writes docs/operators.md"
    );
}

/// What stands above the table.
const OPERATORS: &str = "\
# Operators of `.tflite` files

`nas estimate` costs any int8 network. An operator that *runs* is read with all its numbers; the interpreter of the host
and the firmware compute it bit for bit as TensorFlow Lite Micro does, `.tflite` and blob are written with it, and its costs
are those of [estimates](estimates.md). Every other operator, or a form of one that does not run, is kept by its kind
alone: named below the costs, refused by `--strict`, and in the bands of the last three columns: *near* is a factor of 1.5
(its passes on the NPU are modelled), *wide* a factor of 3, *very wide* a factor of 10, beside the band of the target.
On an Ethos-U55, Vela decides what runs on the NPU and what on the core.

Forms that run:

* CONV_2D, DEPTHWISE_CONV_2D: any kernel, stride and dilation, a fused RELU, RELU6 or RELU_N1_TO_1; one group; a depth
  multiplier of one, or any over one channel.
* FULLY_CONNECTED: over a whole tensor, or over the channels of every row or pixel.
* ADD: of two computed tensors of one shape. MUL: the same, or by one pixel for all others. MEAN: over all pixels. PAD: with zeros.
* RESIZE_NEAREST_NEIGHBOR: by whole factors. SOFTMAX: with a beta of one. LEAKY_RELU: a slope from 0 to 16.
* QUANTIZE, DEQUANTIZE: between two int8 scales, or at the border of the network.
* Up to four inputs, one output, one subgraph. Networks with more are costed.

Variables (VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE) count as copies of a state that lives all the time; what CALL_ONCE
calls happens before. IF, WHILE and CALL have no cost here, since it depends on the data. `tests/foreign.rs` writes this
table (`NAS_BLESS=1`) and compares networks of such operators with Vela's figures.

| operator | runs | else on M7 | else on M55 | else on U55 |
|---|---|---|---|---|
";

/// Every file is costed, or said to be of a kind that has to be converted again.
fn files_of_others_are_costed_or_named() {
    let mut found = 0;
    for case in fs::read_dir(shared("cases/networks")).unwrap() {
        for file in fs::read_dir(case.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path
                .extension()
                .is_none_or(|extension| extension != "tflite")
            {
                continue;
            }
            found += 1;
            match Outline::read(&fs::read(&path).unwrap()) {
                Ok(outline) => {
                    assert_eq!(
                        outline.is_wide,
                        path.ends_with("ds_16x8.tflite"),
                        "{path:?}"
                    );
                }
                Err(ReadError::Kind(_)) => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }
    assert!(found > 20, "the files were not found");
}
