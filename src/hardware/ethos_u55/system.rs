//! The four accelerators, and the memories beside them, as plain numbers.

use crate::{
    graph::Shape,
    hardware::profile::{Npu, Port},
    space::WeightMemory,
};

/// What differs between U55-32, -64, -128 and -256.
///
/// Source: tables of Vela's Regor core, `ethosu/regor/architecture/ethosu55/ethos_u55.cpp` (Apache-2.0).
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Accelerator {
    /// Multiply-accumulates per cycle.
    pub macs: usize,
    /// Outputs computed at once.
    pub micro_block: Shape,
    /// KiB of internal memory, shared by blocks of inputs and accumulators.
    pub banks: usize,
    /// Banks at the end that must stay free.
    pub reserved_banks: usize,
    /// Banks are given to int8 inputs, and to 32-bit accumulators, in portions of this size.
    pub input_granule: usize,
    pub accumulator_granule: usize,
    /// Thousandths of a cycle per output element, and per output element of ADD.
    pub output_millicycles: usize,
    pub add_millicycles: usize,
    /// Cycles of a SOFTMAX over 12 classes, as Vela 5.2 prints them with constants in SRAM.
    pub softmax_cycles: usize,
}

const ACCELERATORS: [Accelerator; 4] = [
    Accelerator {
        macs: 32,
        micro_block: Shape::new(1, 1, 4),
        banks: 16,
        reserved_banks: 0,
        input_granule: 2,
        accumulator_granule: 4,
        output_millicycles: 2000,
        add_millicycles: 6000,
        softmax_cycles: 1452,
    },
    Accelerator {
        macs: 64,
        micro_block: Shape::new(1, 1, 8),
        banks: 16,
        reserved_banks: 0,
        input_granule: 2,
        accumulator_granule: 4,
        output_millicycles: 1000,
        add_millicycles: 3000,
        softmax_cycles: 882,
    },
    Accelerator {
        macs: 128,
        micro_block: Shape::new(1, 2, 8),
        banks: 24,
        reserved_banks: 2,
        input_granule: 4,
        accumulator_granule: 8,
        output_millicycles: 500,
        add_millicycles: 1500,
        softmax_cycles: 771,
    },
    Accelerator {
        macs: 256,
        micro_block: Shape::new(2, 2, 8),
        banks: 48,
        reserved_banks: 2,
        input_granule: 8,
        accumulator_granule: 16,
        output_millicycles: 250,
        add_millicycles: 750,
        softmax_cycles: 723,
    },
];

/// One memory port in NPU cycles.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Bytes per cycle.
    pub bandwidth: f64,
    /// Longest burst in bytes.
    pub burst: usize,
    /// Cycles until the first byte is read.
    pub read_latency: f64,
    /// Cycles until the first byte is written.
    pub write_latency: f64,
}

/// Equal for systems on which every pass costs the same, apart from waiting for its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SystemKey([u64; 6]);

/// An accelerator with its memories.
#[derive(Debug, Clone, Copy)]
pub struct System {
    /// A key for caches.
    pub key: SystemKey,
    /// The accelerator.
    pub accelerator: &'static Accelerator,
    /// The memory of activations and staged weights.
    pub sram: Memory,
    /// The memory of weights before staging.
    pub storage: Memory,
    /// Whether weights lie outside of SRAM, so that staging them may pay.
    pub staging: bool,
}

impl System {
    /// The system of a target's NPU.
    pub fn of(npu: &Npu) -> System {
        let macs = npu.macs_per_cycle.value;
        let accelerator = ACCELERATORS
            .iter()
            .find(|accelerator| accelerator.macs as f64 >= macs)
            .unwrap_or(&ACCELERATORS[ACCELERATORS.len() - 1]);
        let sram = memory(&npu.sram);
        let staging = npu.weights_in == WeightMemory::Flash;
        let storage = if staging { memory(&npu.flash) } else { sram };
        let key = SystemKey([
            accelerator.macs as u64,
            sram.bandwidth.to_bits(),
            sram.burst as u64,
            sram.read_latency.to_bits(),
            sram.write_latency.to_bits(),
            storage.read_latency.to_bits(),
        ]);
        System {
            key,
            accelerator,
            sram,
            storage,
            staging,
        }
    }

    /// Cycles to copy bytes from the weight memory into SRAM.
    pub fn copy_cycles(&self, bytes: usize) -> i64 {
        let read = cycles(bytes, self.storage.bandwidth) + self.storage.read_latency as i64;
        let write = cycles(bytes, self.sram.bandwidth) + self.storage.write_latency as i64;
        read.max(write)
    }
}

/// Whole cycles to move bytes at a bandwidth.
pub fn cycles(bytes: usize, bandwidth: f64) -> i64 {
    (bytes as f64 / bandwidth) as i64
}

fn memory(port: &Port) -> Memory {
    Memory {
        bandwidth: port.bandwidth.value,
        burst: (port.burst.value as usize).max(1),
        read_latency: port.read_latency.value,
        write_latency: port.write_latency.as_ref().map_or(0.0, |fact| fact.value),
    }
}
