//! Blocks: what a kernel computes at a time, and the shared memory that this takes.

use crate::{
    accelerator::{Accelerator, BANK_BYTES, INPUT_LANES, TABLE_BANKS},
    operation::{Elementwise, Kernel, Kind, PoolMode, Second, Upscale, Window},
    shape::Shape,
    weights::Traversal,
};

/// Rows and columns of taps that are computed at a time.
pub(crate) const PART: usize = 8;

/// Banks at the start of the shared memory that hold outputs on their way to memory.
const OUTPUT_BANKS: usize = 2;

/// Part of the input that one block of outputs takes at a time.
pub(crate) fn input_block(kernel: &Kernel, accelerator: &Accelerator) -> Shape {
    let block = kernel.block;
    let Some(window) = kernel.window() else {
        return block;
    };
    let (upscale, rounding) = match window.upscale {
        Upscale::None => (1, 0),
        Upscale::Nearest => (2, 1),
        Upscale::Zeros => (2, 0),
    };
    let side = |axis: usize, outputs: usize, micro: usize| {
        let taps = window.dilated()[axis].min(PART);
        let inputs = (outputs - 1) * window.stride[axis] + taps + rounding;
        inputs.div_ceil(upscale).next_multiple_of(micro)
    };
    let micro = accelerator.micro_block;
    Shape::new(
        side(0, block.height, micro.height),
        side(1, block.width, micro.width),
        input_depth(kernel),
    )
}

/// Input channels that a block of outputs takes at a time.
pub(crate) fn input_depth(kernel: &Kernel) -> usize {
    let depth = kernel.ifm.shape.depth;
    let most = match kernel.kind {
        Kind::Convolution(_, _, Traversal::PartKernelFirst) => 16,
        Kind::Convolution(..) | Kind::Pool(_, PoolMode::ReduceSum, _) => 32,
        _ => return kernel.block.depth,
    };
    match kernel.ifm.bytes {
        2 => depth.min(16).next_multiple_of(4),
        _ => depth.min(most).next_multiple_of(INPUT_LANES),
    }
}

/// Ends and starts of the parts of the shared memory, in banks, as small as they can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needed {
    /// The first input ends here at the earliest.
    pub input_end: usize,
    /// So many banks lie behind the start of the second input.
    pub second_banks: Option<usize>,
    /// Accumulators start here at the latest.
    pub accumulator_start: usize,
}

/// The banks that two blocks of inputs and two of accumulators take.
pub(crate) fn needed(kernel: &Kernel, accelerator: &Accelerator) -> Needed {
    let bytes = kernel.ifm.bytes;
    let wide = usize::from(bytes == 4);
    let banks =
        |bytes: usize, granule: usize| (2 * bytes.div_ceil(BANK_BYTES)).next_multiple_of(granule);
    let input = input_block(kernel, accelerator);
    let input_bytes = input.area() * (input.depth * bytes).next_multiple_of(8);
    let input_banks = banks(input_bytes, accelerator.input_granules[wide]);
    let table_banks = match kernel.output.table {
        Some(_) => TABLE_BANKS,
        None => accelerator.reserved_banks,
    };
    let end = accelerator.banks - table_banks;
    let second_banks = match &kernel.kind {
        Kind::Elementwise(Elementwise {
            second: Some(Second::Map(_)),
            ..
        }) => Some(input_banks),
        _ => None,
    };
    let accumulator_banks = match kernel.window() {
        None => 0,
        Some(window) => {
            let outputs = fitted(kernel, window, accelerator);
            let bits = usize::from(kernel.shared.accumulator_bits);
            let bytes = outputs.area() * outputs.depth.next_multiple_of(8) * bits / 8;
            banks(
                bytes,
                accelerator.accumulator_granules[usize::from(bits == 40)],
            )
        }
    };
    Needed {
        input_end: OUTPUT_BANKS + input_banks,
        second_banks,
        accumulator_start: end.saturating_sub(accumulator_banks),
    }
}

/// A row needs accumulators for one row only, though its block has two.
fn fitted(kernel: &Kernel, window: &Window, accelerator: &Accelerator) -> Shape {
    let is_row = kernel.ofm.shape.height == 1 && window.size[0] == 1;
    if is_row && accelerator.micro_block.height == 2 {
        Shape {
            height: 1,
            ..kernel.block
        }
    } else {
        kernel.block
    }
}

/// Blocks of a map in their order: channels first, then columns, then rows.
pub(crate) struct Blocks {
    map: Shape,
    block: Shape,
    counts: Shape,
}

impl Blocks {
    pub fn of(map: Shape, block: Shape) -> Blocks {
        Blocks {
            map,
            block,
            counts: map.div_ceil(block),
        }
    }

    pub fn count(&self) -> usize {
        self.counts.elements()
    }

    /// First row, column and channel of a block, and those behind its last.
    pub fn bounds(&self, idx: usize) -> [[usize; 3]; 2] {
        let Shape { width, depth, .. } = self.counts;
        let place = [idx / (depth * width), idx / depth % width, idx % depth];
        let steps = [self.block.height, self.block.width, self.block.depth];
        let ends = [self.map.height, self.map.width, self.map.depth];
        let from = [0, 1, 2].map(|axis| place[axis] * steps[axis]);
        [
            from,
            [0, 1, 2].map(|axis| (from[axis] + steps[axis]).min(ends[axis])),
        ]
    }
}
