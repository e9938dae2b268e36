//! The four sizes of the Ethos-U55.

use crate::shape::Shape;

/// What differs between U55-32, -64, -128 and -256.
///
/// Source: the table of accelerators in Vela's Regor core (`ethos_u55.cpp`, Apache-2.0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accelerator {
    /// Multiplications of two 8-bit numbers per cycle.
    pub macs: usize,
    /// Outputs that are computed at once.
    pub micro_block: Shape,
    /// KiB of shared memory, which holds blocks of inputs, accumulators and tables.
    pub banks: usize,
    /// Banks at the end that only tables use.
    pub reserved_banks: usize,
    /// Banks come in such portions: for inputs of 8 and 16 bits, and of 32.
    pub input_granules: [usize; 2],
    /// The same of accumulators of 32 and 40 bits.
    pub accumulator_granules: [usize; 2],
    /// Thousandths of a cycle that the output stage takes per element, by [`crate::cycles::Output`].
    pub(crate) output_millicycles: [u32; 8],
    /// The same of the activation: table, clamp, none.
    pub(crate) activation_millicycles: [u32; 3],
}

/// Input channels that are multiplied at once.
pub const INPUT_LANES: usize = 8;

/// Bytes of a bank of shared memory.
pub const BANK_BYTES: usize = 1024;

/// Banks that hold tables, the last of the shared memory.
pub const TABLE_BANKS: usize = 2;

/// Bytes of a slot for tables; a table of 8-bit values fills one, one of 32-bit values four.
pub const TABLE_SLOT_BYTES: usize = 256;

/// All four, the smallest first.
pub const ACCELERATORS: [Accelerator; 4] = [
    Accelerator {
        macs: 32,
        micro_block: Shape::new(1, 1, 4),
        banks: 16,
        reserved_banks: 0,
        input_granules: [2, 4],
        accumulator_granules: [4, 4],
        output_millicycles: [2000, 3000, 3000, 3000, 4000, 6000, 1000, 2000],
        activation_millicycles: [1000, 1000, 0],
    },
    Accelerator {
        macs: 64,
        micro_block: Shape::new(1, 1, 8),
        banks: 16,
        reserved_banks: 0,
        input_granules: [2, 4],
        accumulator_granules: [4, 8],
        output_millicycles: [1000, 1500, 1500, 1500, 2000, 3000, 500, 1000],
        activation_millicycles: [1000, 1000, 0],
    },
    Accelerator {
        macs: 128,
        micro_block: Shape::new(1, 2, 8),
        banks: 24,
        reserved_banks: 2,
        input_granules: [4, 8],
        accumulator_granules: [8, 12],
        output_millicycles: [750, 1250, 750, 750, 1000, 1500, 250, 500],
        activation_millicycles: [1000, 500, 0],
    },
    Accelerator {
        macs: 256,
        micro_block: Shape::new(2, 2, 8),
        banks: 48,
        reserved_banks: 2,
        input_granules: [8, 16],
        accumulator_granules: [16, 20],
        output_millicycles: [625, 1125, 500, 375, 500, 750, 125, 250],
        activation_millicycles: [1000, 250, 0],
    },
];

impl Accelerator {
    /// The one with so many multipliers: 32, 64, 128 or 256.
    pub fn of(macs: usize) -> Option<Accelerator> {
        ACCELERATORS.into_iter().find(|one| one.macs == macs)
    }

    /// The one that a word of the register CONFIG names: bits 0 to 3 are the logarithm of the multipliers.
    pub fn of_config(config: u32) -> Option<Accelerator> {
        Accelerator::of(1 << (config & 0xF))
    }

    /// What the register CONFIG reads: multipliers, command stream version 0, KiB of shared memory.
    pub fn config(&self) -> u32 {
        self.macs.trailing_zeros() | (self.banks as u32) << 8
    }

    /// Where tables start in shared memory.
    pub fn table_base(&self) -> usize {
        (self.banks - TABLE_BANKS) * BANK_BYTES
    }

    /// Bytes of shared memory.
    pub fn shared_bytes(&self) -> usize {
        self.banks * BANK_BYTES
    }
}
