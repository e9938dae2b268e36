//! Cycles and memory traffic of one pass.
//!
//! After `EthosU55Performance` of Vela's Regor core (`ethos_u55_performance.cpp`, Apache-2.0). The pipeline terms are
//! those of version 5.2, as its per-layer figures show them.

use super::{
    block::Block,
    layer::{Format, Kind, Layer, Pass},
    system::{Accelerator, Memory, System, cycles},
};
use crate::graph::Shape;

/// Bytes of bias and scale per output channel.
pub const CHANNEL_BYTES: usize = 10;

/// Thousandths of a cycle for each output that is looked up in a table, on every size.
const TABLE_MILLICYCLES: usize = 1000;

/// Bytes fetched at once when biases are read.
const BIAS_FETCH: f64 = 256.0;

/// The place of a pass among the slices of its layer; it overlaps with the slices before and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Whether no slice comes before it.
    pub is_first: bool,
    /// Whether no slice comes after it.
    pub is_last: bool,
}

impl Place {
    /// A pass in one slice.
    pub const ALONE: Place = Place {
        is_first: true,
        is_last: true,
    };
}

/// Cycles of the multipliers and the output stage alone.
pub fn compute(pass: &Pass, block: &Block, place: Place, system: &System) -> i64 {
    match pass.layer.kind {
        Kind::Addition | Kind::Product | Kind::Comparison => elementwise(pass, block, system),
        _ => pipeline(pass, block, place, system),
    }
}

/// Bytes over the SRAM port for feature maps, with the cost of bursts.
pub fn feature_map_bytes(pass: &Pass, block: &Block, system: &System) -> usize {
    let layer = &pass.layer;
    let sram = &system.sram;
    let read = fetched_input(layer, block, pass.input_format);
    let read = burst_bytes(
        sram,
        true,
        pass.input_format,
        block.input,
        layer.input,
        read,
    );
    let written = stored(layer.output, pass.output_format);
    let written = burst_bytes(
        sram,
        false,
        pass.output_format,
        block.output,
        layer.output,
        written,
    );
    let inputs = if layer.is_elementwise() { 2 } else { 1 };
    inputs * read + written
}

/// How often all weights are fetched: once per block of pixels.
pub fn weight_fetches(layer: &Layer, block: &Block) -> usize {
    let one = |of: usize, step: usize| of.div_ceil(step.min(of));
    one(layer.output.height, block.output.height) * one(layer.output.width, block.output.width)
}

/// Bytes that a constant second input of an elementwise pass keeps its memory busy, all of them for every output.
pub fn constant_bytes(layer: &Layer, block: &Block, system: &System) -> usize {
    let (map, bytes) = (layer.output, layer.output.len());
    burst_bytes(
        &system.storage,
        true,
        Format::Linear,
        clip(block.output, map),
        map,
        bytes,
    )
}

/// Input elements fetched over the whole pass.
pub fn fetched_input(layer: &Layer, block: &Block, format: Format) -> usize {
    if layer.is_elementwise() {
        return stored(layer.output, format);
    }
    let area =
        layer.input.height.min(block.input.height) * layer.input.width.min(block.input.width);
    let mut blocks = weight_fetches(layer, block);
    if !layer.is_per_channel() {
        let depth = block.output.channels.min(layer.output.channels);
        blocks *= layer.output.channels.div_ceil(depth);
    }
    area * stored_channels(layer.input, format) * layer.sub_kernel_count() * blocks
}

fn pipeline(pass: &Pass, block: &Block, place: Place, system: &System) -> i64 {
    let layer = &pass.layer;
    let accelerator = system.accelerator;
    let output = clip(block.output, layer.output);
    let micro = micro_block(layer, accelerator);
    let in_block = micro_blocks(output, micro);
    let blocks = micro_blocks(layer.output, micro).len() as f64 / in_block.len() as f64;
    let multiply = multiply_cycles(layer, block, accelerator) as f64;
    let millicycles = match layer.has_table {
        true => accelerator.output_millicycles.max(TABLE_MILLICYCLES),
        false => accelerator.output_millicycles,
    };
    let mut write = ((millicycles * output.len()) as f64 / 1000.0).ceil();
    if layer.has_weights() {
        let bias =
            (CHANNEL_BYTES * output.channels) as f64 * system.storage.read_latency / BIAS_FETCH;
        write = write.max(bias);
    }
    let (fill, drain) = block_transfer(pass, block, system);
    // Between blocks, only the longer of reading and writing counts.
    let uneven = if blocks > 1.0 {
        (fill - drain).abs()
    } else {
        0
    };
    let commands = (uneven as f64 + multiply + write) / 4.0;
    let (multiply, write) = (multiply.max(commands), write.max(commands));
    let mut sum = multiply.max(write) * blocks;
    if place.is_first {
        sum += fill as f64;
    }
    if place.is_last {
        sum += multiply.min(write) + drain as f64;
    }
    sum as i64
}

fn elementwise(pass: &Pass, block: &Block, system: &System) -> i64 {
    let sums = system.accelerator.add_millicycles as f64;
    // A product needs no scaling of its inputs.
    let millicycles = match pass.layer.kind {
        Kind::Product => sums / 2.0,
        Kind::Comparison => system.accelerator.output_millicycles as f64,
        _ => sums,
    };
    let millicycles = match pass.layer.has_table {
        true => millicycles.max(TABLE_MILLICYCLES as f64),
        false => millicycles,
    };
    let elements = stored(pass.layer.output, pass.output_format) as f64;
    let write = (millicycles * elements / 1000.0).ceil();
    let (fill, drain) = block_transfer(pass, block, system);
    let per_block = fill.max(drain) as f64 / block.output.len() as f64;
    let commands = ((per_block + millicycles / 1000.0) / 4.0 * elements).ceil();
    write.max(commands) as i64
}

/// Cycles of the multipliers for one block of outputs.
fn multiply_cycles(layer: &Layer, block: &Block, accelerator: &Accelerator) -> usize {
    let micro = micro_block(layer, accelerator);
    let count = micro_blocks(clip(block.output, layer.output), micro);
    let decode = 32 * micro.channels / 8;
    let per_step = decode.max(4 * count.area());
    let part_kernel = layer.kind == Kind::Convolution && layer.is_part_kernel();
    let input_depth = layer.input.channels.min(block.input.channels);
    let mut sum = 0;
    for taps in layer.sub_kernels() {
        let steps = match layer.kind {
            Kind::Pooling => 1,
            Kind::Depthwise => taps.div_ceil(4),
            _ if part_kernel => taps.div_ceil(4),
            _ => taps,
        };
        let mut cycles = match layer.kind {
            // Vela takes the bits of an input for its bytes here, except on the smallest accelerator.
            Kind::Pooling if accelerator.macs == 32 => taps.max(4) * count.len(),
            Kind::Pooling => taps.max(4) * count.len() * 4,
            _ => per_step * steps * count.channels,
        };
        let bubble = if accelerator.macs == 32 { 3 } else { 2 };
        if count.area() == 1 {
            cycles += if count.channels == 1 {
                bubble * steps
            } else {
                bubble * (steps - 1) * count.channels
            };
        }
        sum += cycles
            * if part_kernel {
                input_depth.div_ceil(8)
            } else {
                1
            };
    }
    match layer.kind {
        Kind::Convolution | Kind::Dense => sum * layer.input.channels.div_ceil(input_depth),
        _ => sum,
    }
}

/// Cycles until the first block of inputs is loaded, and from the last block of outputs until it is written.
fn block_transfer(pass: &Pass, block: &Block, system: &System) -> (i64, i64) {
    let layer = &pass.layer;
    let sram = &system.sram;
    let read = clip(block.input, layer.input).len();
    let read = burst_bytes(
        sram,
        true,
        pass.input_format,
        block.input,
        layer.input,
        read,
    );
    let written = clip(block.output, layer.output).len();
    let written = burst_bytes(
        sram,
        false,
        pass.output_format,
        block.output,
        layer.output,
        written,
    );
    (
        cycles(read, sram.bandwidth) + sram.read_latency as i64,
        cycles(written, sram.bandwidth) + sram.write_latency as i64,
    )
}

/// Bytes that keep the port busy: a short burst wastes the rest of a full one.
fn burst_bytes(
    memory: &Memory,
    is_read: bool,
    format: Format,
    block: Shape,
    map: Shape,
    bytes: usize,
) -> usize {
    let row = block.width * block.channels;
    let burst = match format {
        Format::Brick if 16 * map.width == block.channels => row,
        Format::Brick if is_read => 16 * block.width,
        Format::Brick => 16 * block.width,
        Format::Linear if map.channels == block.channels && (is_read || block.channels <= 16) => {
            row
        }
        Format::Linear if is_read => block.channels,
        Format::Linear => block.channels.min(16),
    };
    bytes * memory.burst / burst.min(memory.burst)
}

/// A row is computed four pixels wide where micro-blocks are 2 x 2.
fn micro_block(layer: &Layer, accelerator: &Accelerator) -> Shape {
    let micro = accelerator.micro_block;
    let is_row = layer.output.height == 1
        && layer.output.width.is_multiple_of(2)
        && layer.kernel[0] == 1
        && matches!(layer.kind, Kind::Convolution | Kind::Dense);
    if micro.height == 2 && is_row {
        Shape::new(1, 4, micro.channels)
    } else {
        micro
    }
}

/// Elements of a feature map in memory: bricks hold 16 channels.
pub fn stored(map: Shape, format: Format) -> usize {
    map.area() * stored_channels(map, format)
}

fn stored_channels(map: Shape, format: Format) -> usize {
    match format {
        Format::Linear => map.channels,
        Format::Brick => map.channels.next_multiple_of(16),
    }
}

fn clip(block: Shape, map: Shape) -> Shape {
    Shape::new(
        block.height.min(map.height),
        block.width.min(map.width),
        block.channels.min(map.channels),
    )
}

fn micro_blocks(of: Shape, micro: Shape) -> Shape {
    Shape::new(
        of.height.div_ceil(micro.height),
        of.width.div_ceil(micro.width),
        of.channels.div_ceil(micro.channels),
    )
}
