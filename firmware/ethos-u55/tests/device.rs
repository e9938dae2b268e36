//! The device, driven by the driver of the firmware.

use std::fs;

use ethos_u55::{
    Accelerator, Device, Fault, Slices,
    cycles::{Port, System},
    vela::{Job, Model},
};
use nas_kernels::npu::{Addresses, MemoryPorts, NpuError, NpuModel, Registers, run, write_header};

/// The registers of a device, for the driver.
struct Apb<'a>(Device<Slices<'a>>);

impl Registers for Apb<'_> {
    fn read(&mut self, offset: usize) -> u32 {
        self.0.read(offset)
    }

    fn write(&mut self, offset: usize, value: u32) {
        self.0.write(offset, value);
    }
}

const STEM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/golden/u55-128_sram_only_r0483"
);
const ADDRESSES: Addresses = Addresses {
    commands: 0x2000_0000,
    weights: 0x2010_0000,
    arena: 0x2020_0000,
};
const PORTS: MemoryPorts = MemoryPorts {
    commands: 0,
    weights: 1,
    arena: 0,
    memory_type: 0,
};

/// The blob that the firmware holds for a network of one input and one output.
fn blob(job: &Job, payload: &[u8]) -> Vec<u8> {
    let mut blob = vec![0; 64];
    let put = |blob: &mut Vec<u8>, word: usize, values: &[usize]| {
        for (idx, &value) in values.iter().enumerate() {
            let bytes = (value as u32).to_le_bytes();
            blob[4 * (word + idx)..][..4].copy_from_slice(&bytes);
        }
    };
    put(&mut blob, 6, &[64, payload.len()]);
    let weights = (64 + payload.len()).next_multiple_of(16);
    put(
        &mut blob,
        8,
        &[weights, job.constants.len(), job.arena_bytes],
    );
    for (word, tensor) in [(11, &job.inputs[0]), (13, &job.outputs[0])] {
        put(&mut blob, word, &[tensor.offset, tensor.bytes()]);
    }
    blob.extend(payload);
    blob.resize(weights, 0);
    blob.extend(job.constants);
    write_header(&mut blob).expect("room for a header");
    blob
}

/// Runs the network on a device, after changes to its commands; the outputs, cycles and the fault.
fn drive(
    accelerator: Accelerator,
    change: impl Fn(&mut Vec<u8>),
) -> (Result<Vec<u8>, NpuError>, u32, Option<Fault>) {
    let file = fs::read(format!("{STEM}_vela.tflite")).expect("a network");
    let model = Model::read(&file).expect("a network");
    let job = model.job().expect("one job");
    let payload_start = file
        .windows(4)
        .position(|four| four == b"COP1")
        .expect("a payload");
    let end = job.payload.commands.end;
    let blob = blob(job, &file[payload_start..payload_start + end]);
    let npu_model = NpuModel::parse(&blob).expect("a blob");
    let input = fs::read(format!("{STEM}.in")).expect("inputs");
    let (mut commands, mut weights) = (npu_model.commands.to_vec(), npu_model.weights.to_vec());
    change(&mut commands);
    let mut arena = vec![0; npu_model.arena_bytes];
    let range = npu_model.input.clone();
    arena[range.clone()].copy_from_slice(&input[..range.len()]);
    let port = Port {
        bandwidth: 8.0,
        burst: 32,
        read_latency: 32.0,
        write_latency: 32.0,
    };
    let bus = Slices::new()
        .with(ADDRESSES.commands.into(), &mut commands)
        .with(ADDRESSES.weights.into(), &mut weights)
        .with(ADDRESSES.arena.into(), &mut arena);
    let device = Device::new(accelerator, bus).with_cycles(System::new(port, port));
    let mut apb = Apb(device);
    // A reset by the driver stops the counters again.
    let ended = run(&mut apb, &npu_model, &ADDRESSES, PORTS, 10);
    let mut device = apb.0;
    let fault = device.fault().cloned();
    device.write(0x180, 1 << 2 | 1);
    device.write(0x184, 1 << 31);
    device.write(0x08, 1);
    let cycles = device.read(0x1A0);
    let outputs = arena[npu_model.output.clone()].to_vec();
    (ended.map(|()| outputs), cycles, fault)
}

fn u55(macs: usize) -> Accelerator {
    Accelerator::of(macs).expect("an NPU")
}

#[test]
fn the_driver_runs_a_network() {
    let expected = fs::read(format!("{STEM}.out")).expect("outputs");
    let (outputs, cycles, fault) = drive(u55(128), |_| ());
    let outputs = outputs.expect("a run");
    assert!(expected.starts_with(&outputs));
    assert!(!outputs.is_empty() && cycles > 100, "{cycles}");
    assert_eq!(fault, None);
}

#[test]
fn faults_are_what_the_driver_names() {
    let (other, ..) = drive(u55(64), |_| ());
    assert!(
        matches!(other, Err(NpuError::OtherConfiguration { .. })),
        "{other:?}"
    );
    // No such command.
    let (damaged, _, fault) = drive(u55(128), |commands| commands[0] = 0xFF);
    assert_eq!(damaged, Err(NpuError::CommandFault { read: 0 }));
    assert!(matches!(fault, Some(Fault::Stream(_))), "{fault:?}");
    // The first base of the input moves out of its region.
    let (outside, _, fault) = drive(u55(128), |commands| {
        let base = commands.chunks(4).position(|word| word[..2] == [0, 0x40]);
        commands[4 * base.expect("IFM_BASE0") + 7] = 0x7F;
    });
    assert!(
        matches!(outside, Err(NpuError::BusFault { .. })),
        "{outside:?}"
    );
    let fault = fault.expect("a fault").to_string();
    assert!(fault.starts_with("a region"), "{fault}");
}
