//! Finds the block of outputs that the NPU computes at a time: the one that fetches least per output.
//!
//! After `ArchEthosU55::FindBlockConfig` of Vela's Regor core (`ethos_u55.cpp`, Apache-2.0).

use super::{
    layer::{Kind, Layer, SUB_KERNEL},
    system::Accelerator,
};
use crate::graph::Shape;

/// Sizes of one block of outputs, and of the inputs that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Inputs that the block of outputs needs.
    pub input: Shape,
    /// Outputs computed together.
    pub output: Shape,
}

/// The largest block of outputs.
const LARGEST: Shape = Shape::new(32, 64, 128);

/// A block that does not hold all channels holds a multiple of this many.
const SPLIT_DEPTH: usize = 16;

const BANK_BYTES: usize = 1024;
const OUTPUT_BANKS: usize = 2;
const ACCUMULATOR_BYTES: usize = 4;

/// The block of a layer; `None` where not even one micro-block fits.
pub fn find(layer: &Layer, accelerator: &Accelerator) -> Option<Block> {
    let micro = accelerator.micro_block;
    let limit = |of: usize, most: usize, step: usize| of.min(most).next_multiple_of(step);
    let height_limit = limit(layer.output.height, LARGEST.height, micro.height);
    let width_limit = limit(layer.output.width, LARGEST.width, micro.width);
    let depth_limit = limit(layer.output.channels, LARGEST.channels, micro.channels);
    let split = |depth: usize| match depth < layer.output.channels {
        true => depth.next_multiple_of(SPLIT_DEPTH),
        false => depth,
    };
    let mut best = Best::default();
    let mut depth = split(micro.channels.max(depth_limit.min(SPLIT_DEPTH)));
    while depth <= depth_limit {
        for height in (micro.height..=height_limit).step_by(micro.height) {
            // If this width does not fit, wider ones do not either.
            for width in (micro.width..=width_limit).step_by(micro.width) {
                let output = Shape::new(height, width, depth);
                let input = input_block(layer, output, accelerator);
                if !fits(layer, input, output, accelerator) {
                    break;
                }
                best.offer(layer, Block { input, output });
            }
        }
        depth = split(depth + micro.channels);
    }
    best.block
}

/// The cheapest block so far. Costs are `f32`, so ties fall as they do in Vela.
struct Best {
    cost: f32,
    coverage: f32,
    block: Option<Block>,
}

impl Default for Best {
    fn default() -> Self {
        Best {
            cost: f32::INFINITY,
            coverage: f32::INFINITY,
            block: None,
        }
    }
}

impl Best {
    fn offer(&mut self, layer: &Layer, block: Block) {
        let cost = fetches_per_output(layer, &block);
        if cost < self.cost {
            *self = Best {
                cost,
                coverage: f32::INFINITY,
                block: Some(block),
            };
        } else if cost == self.cost {
            let covered = layer.input.height.min(block.input.height)
                * layer.input.width.min(block.input.width);
            let coverage = layer.input.area() as f32 / covered.max(1) as f32;
            let small = block.output.height <= 4 && block.output.width <= 4;
            if coverage <= self.coverage && small {
                self.coverage = coverage;
                self.block = Some(block);
            }
        }
    }
}

fn fetches_per_output(layer: &Layer, block: &Block) -> f32 {
    let (input, output) = (layer.input, layer.output);
    let blocks = |of: usize, step: usize| of as f32 / step as f32;
    let whole = |of: usize, step: usize| of.div_ceil(step);
    let whole_area =
        whole(output.height, block.output.height) * whole(output.width, block.output.width);
    let elements = output.len() as f32;
    let cost = if layer.is_elementwise() {
        elements / block.output.len() as f32
    } else {
        let taps = match layer.kind {
            Kind::Convolution | Kind::Depthwise => layer.kernel[0] * layer.kernel[1],
            _ => 0,
        };
        let mut weights = (taps * input.channels * whole_area) as f32;
        if layer.kind != Kind::Depthwise {
            weights *=
                blocks(output.channels, block.output.channels) * block.output.channels as f32;
        }
        let repeats = layer.sub_kernel_count();
        let mut inputs = (block.input.area() * input.channels * repeats) as f32
            * blocks(output.width, block.output.width)
            * blocks(output.height, block.output.height);
        if !layer.is_per_channel() {
            inputs *= whole(output.channels, block.output.channels) as f32;
        }
        (inputs + weights) / elements
    };
    // Both halves of the double buffer together hold the whole input.
    if input.len() < 2 * block.input.len() {
        cost / 2.0
    } else {
        cost
    }
}

/// Inputs that a block of outputs needs, for one part of the kernel.
fn input_block(layer: &Layer, output: Shape, accelerator: &Accelerator) -> Shape {
    let micro = accelerator.micro_block;
    let needed = |outputs: usize, axis: usize, step: usize| {
        let kernel = (layer.kernel[axis].min(SUB_KERNEL) - 1) * layer.dilation[axis] + 1;
        let last = (outputs - 1) * layer.stride[axis] + kernel + (layer.upscale - 1);
        last.div_ceil(layer.upscale).next_multiple_of(step)
    };
    let channels = if layer.is_per_channel() {
        output.channels
    } else {
        let most = if layer.is_part_kernel() { 16 } else { 32 };
        layer.input.channels.min(most).next_multiple_of(8)
    };
    Shape::new(
        needed(output.height, 0, micro.height),
        needed(output.width, 1, micro.width),
        channels,
    )
}

/// Whether two blocks of inputs and two of accumulators fit into the banks.
fn fits(layer: &Layer, input: Shape, output: Shape, accelerator: &Accelerator) -> bool {
    let banks =
        |bytes: usize, granule: usize| (2 * bytes.div_ceil(BANK_BYTES)).next_multiple_of(granule);
    let input_bytes = input.area() * input.channels.next_multiple_of(8);
    let inputs = banks(input_bytes, accelerator.input_granule);
    let free = accelerator.banks - accelerator.reserved_banks - OUTPUT_BANKS;
    if layer.is_elementwise() {
        return 2 * inputs <= free;
    }
    // A row needs accumulators for one row only, although its block has two.
    let is_row = layer.output.height == 1 && layer.kernel[0] == 1;
    let height = if is_row && accelerator.micro_block.height == 2 {
        1
    } else {
        output.height
    };
    let outputs = height * output.width * output.channels.next_multiple_of(8);
    inputs + banks(outputs * ACCUMULATOR_BYTES, accelerator.accumulator_granule) <= free
}
