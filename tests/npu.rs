//! What Vela made of a network, as the firmware's driver of an Ethos-U55 reads it: registers played by the host.

use ethos_u55::{Accelerator, Device, Slices};
use nas::{
    bundle::vela,
    graph::{GraphBuilder, Shape, Style},
    hardware::Core,
    measure::{BOARDS, Bench, Inputs, Kernels, MeasureError},
    quant::{Interpreter, QuantizedModel, npu_blob, quantize},
    space::{Spaces, builtin},
    units::Rng,
};
use nas_kernels::npu::{
    Addresses, MemoryPorts, NpuError, NpuModel, Registers, register, run, status, write_header,
};
use proptest::prelude::*;

use crate::{
    firmware::{LIMIT, image},
    networks::random_weights,
    runner::vela as program,
};

tests! {
    the_driver_writes_what_arms_driver_writes: [Vela],
    what_the_npu_does_not_do_has_a_name: [Vela],
    a_network_that_vela_left_to_the_core_is_refused,
    damaged_blobs_are_refused_or_read,
    the_npu_computes_what_the_host_computes: [Vela],
    an_image_for_the_npu_says_that_there_is_none: [Vela, RustForM55, Qemu],
}

const MACS_PER_CYCLE: u32 = 128;
const ADDRESSES: Addresses = Addresses {
    commands: 0x8002_0040,
    weights: 0x8002_0400,
    arena: 0x0200_0020,
};
const PORTS: MemoryPorts = MemoryPorts {
    commands: 1,
    weights: 1,
    arena: 0,
    memory_type: 3,
};
const POLLS: u32 = 20;

/// A small classifier.
fn network() -> QuantizedModel {
    let mut rng = Rng::new(3, 0);
    let mut builder = GraphBuilder::new(Shape::new(16, 32, 1));
    let x = builder.dense(0, 16, Style::BATCH_NORM_RELU);
    let output = builder.dense(x, 3, Style::LINEAR);
    let graph = builder.finish(output);
    let weights = random_weights(&graph, &mut rng);
    let window: Vec<f32> = (0..16 * 32).map(|_| rng.normal() as f32).collect();
    quantize(&graph, &weights, &[&window]).unwrap()
}

/// The network for the NPU.
fn compiled() -> vela::Compiled {
    let vela = program().expect("Vela is a need of these tests");
    vela::compile(&vela, &network().to_tflite(), MACS_PER_CYCLE).unwrap()
}

/// A device of the model, for the driver.
struct Apb<'a>(Device<Slices<'a>>);

impl Registers for Apb<'_> {
    fn read(&mut self, offset: usize) -> u32 {
        self.0.read(offset)
    }

    fn write(&mut self, offset: usize, value: u32) {
        self.0.write(offset, value);
    }
}

/// Candidates of every space on each size of NPU: driver and model give what our kernels give.
fn the_npu_computes_what_the_host_computes() {
    let (mut run_on_npu, mut on_core) = (0, 0);
    for space in builtin() {
        let name = space.name.clone();
        let alone = Spaces::new(vec![space], 6);
        let mut rng = Rng::new(9, 0);
        for macs in [32, 64, 128, 256] {
            let graph = alone.decode(&alone.random(&mut rng)).graph;
            let weights = random_weights(&graph, &mut rng);
            let window: Vec<f32> = (0..graph.input_shape().len())
                .map(|_| rng.normal() as f32)
                .collect();
            let network = quantize(&graph, &weights, &[&window]).unwrap();
            let vela = program().expect("Vela is a need of this test");
            let compiled = vela::compile(&vela, &network.to_tflite(), macs).unwrap();
            // Vela leaves strides above 3 to the core where they are padded.
            let Ok(blob) = compiled.blob else {
                on_core += 1;
                continue;
            };
            let blob_of_core = network.to_blob();
            let mut host = Interpreter::new(&blob_of_core).unwrap();
            let model = NpuModel::parse(&blob).unwrap();
            let accelerator = Accelerator::of(macs as usize).unwrap();
            for _ in 0..3 {
                let input: Vec<i8> = (0..model.input.len())
                    .map(|_| (rng.normal() * 50.0) as i8)
                    .collect();
                let outputs = on_npu(&model, accelerator, &input);
                assert_eq!(outputs, host.run(&input), "{name} on {macs} MACs");
            }
            run_on_npu += 1;
        }
    }
    println!("{run_on_npu} networks on the NPU, {on_core} partly on the core");
    assert!(run_on_npu > on_core, "{run_on_npu} {on_core}");
}

fn on_npu(model: &NpuModel<'_>, accelerator: Accelerator, input: &[i8]) -> Vec<i8> {
    let (mut commands, mut weights) = (model.commands.to_vec(), model.weights.to_vec());
    let mut arena = vec![0; model.arena_bytes];
    for (byte, &value) in arena[model.input.clone()].iter_mut().zip(input) {
        *byte = value as u8;
    }
    let bus = Slices::new()
        .with(ADDRESSES.commands.into(), &mut commands)
        .with(ADDRESSES.weights.into(), &mut weights)
        .with(ADDRESSES.arena.into(), &mut arena);
    let mut apb = Apb(Device::new(accelerator, bus));
    run(&mut apb, model, &ADDRESSES, PORTS, POLLS)
        .unwrap_or_else(|error| panic!("{error}: {:?}", apb.0.fault()));
    let outputs = arena[model.output.clone()].iter();
    outputs.map(|&byte| byte as i8).collect()
}

/// Registers that remember what was written, and an NPU that ends after some looks at its status.
struct Fake {
    id: u32,
    config: u32,
    /// What `STATUS` says once it has ended; `None` for never.
    ends_with: Option<u32>,
    read: u32,
    writes: Vec<(usize, u32)>,
    looks: u32,
}

impl Registers for Fake {
    fn read(&mut self, offset: usize) -> u32 {
        let last = |register| self.writes.iter().rev().find(|(at, _)| *at == register);
        let is_running = last(register::CMD).is_some_and(|(_, command)| command & 1 == 1);
        match offset {
            register::ID => self.id,
            register::CONFIG => self.config,
            register::PROT => last(register::RESET).map_or(0, |(_, state)| *state),
            register::QREAD => self.read,
            register::STATUS => {
                self.looks += 1;
                match (is_running, self.ends_with, self.looks) {
                    (false, _, 1) => status::IN_RESET,
                    (true, Some(end), 5..) => end,
                    (running, ..) => u32::from(running),
                }
            }
            _ => panic!("the driver reads {offset:#x}"),
        }
    }

    fn write(&mut self, offset: usize, value: u32) {
        self.writes.push((offset, value));
    }
}

/// An Ethos-U55 with 128 MACs and 24 KiB that does what it is told.
fn good(model: &NpuModel<'_>) -> Fake {
    Fake {
        id: 0x1006_6001,
        config: 0x1807,
        ends_with: Some(status::COMMANDS_ENDED),
        read: model.commands.len() as u32,
        writes: Vec::new(),
        looks: 0,
    }
}

fn the_driver_writes_what_arms_driver_writes() {
    let blob = compiled().blob.unwrap();
    let model = NpuModel::parse(&blob).unwrap();
    assert_eq!((model.input.len(), model.output.len()), (16 * 32, 3));
    // 512 inputs by 16 outputs; Vela encodes the weights with little loss of length either way.
    assert!(model.weights.len() > 4000, "{}", model.weights.len());
    let mut npu = good(&model);
    run(&mut npu, &model, &ADDRESSES, PORTS, POLLS).unwrap();
    let limit = 0x0f1f_0030;
    let expected = [
        (0x0c, 1),
        (0x08, 0),
        (0x1c, 1),
        (0x3c, 0b00_00_01),
        (0x40, limit),
        (0x44, limit),
        (0x48, limit),
        (0x4c, limit),
        (0x10, ADDRESSES.commands),
        (0x14, 0),
        (0x20, model.commands.len() as u32),
        (0x80, ADDRESSES.weights),
        (0x84, 0),
        (0x88, ADDRESSES.arena),
        (0x8c, 0),
        (0x90, ADDRESSES.arena),
        (0x94, 0),
        (0x08, 1),
        (0x08, 2),
    ];
    assert_eq!(npu.writes, expected);
}

fn what_the_npu_does_not_do_has_a_name() {
    let blob = compiled().blob.unwrap();
    let model = NpuModel::parse(&blob).unwrap();
    let check = |change: &dyn Fn(&mut Fake), expected: &str| {
        let mut npu = good(&model);
        change(&mut npu);
        let error = run(&mut npu, &model, &ADDRESSES, PORTS, POLLS).expect_err(expected);
        assert_eq!(error.name(), expected, "{error}");
    };
    check(&|npu| npu.id = 0, "no-npu");
    check(&|npu| npu.id = 0x2000_0001, "other-npu");
    check(&|npu| npu.config = 0x3008, "other-npu");
    check(&|npu| npu.ends_with = None, "npu-timeout");
    let ends = |bits: u32| move |npu: &mut Fake| npu.ends_with = Some(bits);
    check(&ends(status::BUS_FAULT), "npu-bus-fault");
    check(&ends(status::COMMAND_FAULT), "npu-command-fault");
    check(&ends(status::WATCHDOG), "npu-watchdog");
    check(&ends(status::ECC_FAULT), "npu-ecc-fault");
    check(&|npu| npu.read -= 4, "npu-unfinished");
    let odd = Addresses {
        arena: ADDRESSES.arena + 8,
        ..ADDRESSES
    };
    let refused = run(&mut good(&model), &model, &odd, PORTS, POLLS);
    assert!(matches!(refused, Err(NpuError::Address(_))), "{refused:?}");
}

fn a_network_that_vela_left_to_the_core_is_refused() {
    let error = npu_blob(&network().to_tflite()).unwrap_err().to_string();
    assert_eq!(
        error,
        "operator 0 (RESHAPE) was left to the core; the NPU runs only whole networks"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// A blob by hand, so that this needs no Vela; damaged, with a checksum that fits.
    fn damaged_blobs_are_refused_or_read(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
    ) {
        let payload: Vec<u32> = vec![
            u32::from_le_bytes(*b"COP1"), 0x0010_0001, 0x1807, 0x1006_6001, 5, 5, 5, 0x0002_0002, 1, 2,
        ];
        let mut blob = vec![0; 24];
        for word in [64u32, 40, 112, 16, 4496, 2048, 512, 0, 3, 0] {
            blob.extend(word.to_le_bytes());
        }
        blob.extend(payload.iter().flat_map(|word| word.to_le_bytes()));
        blob.resize(128, 7);
        write_header(&mut blob).unwrap();
        let whole = NpuModel::parse(&blob).unwrap();
        prop_assert_eq!(whole.commands, &[1, 0, 0, 0, 2, 0, 0, 0]);
        prop_assert_eq!((whole.input, whole.output), (2048..2560, 0..3));
        for (index, byte) in &damage {
            let at = 24 + index.index(blob.len() - 24);
            blob[at] = *byte;
        }
        if end.index(4) == 0 {
            blob.truncate(end.index(blob.len()));
        }
        let _ = write_header(&mut blob);
        match NpuModel::parse(&blob) {
            Ok(model) => prop_assert!(model.input.end <= model.arena_bytes && model.output.end <= model.arena_bytes),
            // Undamaged and whole it was read above.
            Err(error) => prop_assert!(!damage.is_empty() || blob.len() < 128, "{}", error),
        }
    }
}

/// QEMU has no NPU: the program says so instead of failing.
fn an_image_for_the_npu_says_that_there_is_none() {
    let blob = compiled().blob.unwrap();
    let inputs = Inputs::random_tensors(1, 16 * 32);
    for board in BOARDS.iter().filter(|board| board.core == Core::CortexM55) {
        let (with, without) = (
            image(board, Kernels::WithNpu),
            image(board, Kernels::OfCore),
        );
        let more = with.sections.text as i64 - without.sections.text as i64;
        say!("{}: the driver takes {more} bytes of code", board.name);
        assert!(more > 500, "{}: {more}", board.name);
        if board.machine.is_some() {
            let mut bench = Bench::of_image(board, with, LIMIT).unwrap();
            match bench.reproduces(&blob, &inputs, 1) {
                Err(MeasureError::Refused { name, .. }) => assert_eq!(name, "no-npu"),
                other => panic!("{other:?}"),
            }
        }
    }
}
