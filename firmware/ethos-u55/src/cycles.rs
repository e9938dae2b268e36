//! Cycles of a stream: what each kernel takes, block by block, and when it runs.
//!
//! Per block the multipliers, the output stage and the reading of commands work side by side, and the slowest counts;
//! over a whole kernel the ports of the memories do, too. The formulas are those of Vela's estimate
//! (`ethos_u55_performance.cpp`, Apache-2.0), which is no simulation of the hardware either. Copies run beside
//! kernels: [`Timeline`] follows the waits of the stream.

use std::collections::VecDeque;

use crate::{
    accelerator::Accelerator,
    block::{self, PART},
    feature_map::{BRICK, FeatureMap},
    memory::REGIONS,
    operation::{
        Action, ElementwiseMode, Kernel, Kind, Place as Address, PoolMode, Transfer, Window,
    },
    scale::CHANNEL_BYTES,
    shape::Shape,
    stream::Stream,
    weights::Traversal,
};

/// One memory as the NPU sees it, in its own cycles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Port {
    /// Bytes per cycle.
    pub bandwidth: f64,
    /// Bytes of the longest burst; shorter ones take as long.
    pub burst: usize,
    /// Cycles until the first byte is read.
    pub read_latency: f64,
    /// Cycles until the first byte is written.
    pub write_latency: f64,
}

/// Which memory each region lies in.
#[derive(Debug, Clone, PartialEq)]
pub struct System {
    /// The memories.
    pub ports: Vec<Port>,
    /// Of each region the number of its memory.
    pub regions: [usize; REGIONS],
}

/// What limits a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bottleneck {
    /// The multipliers.
    Multipliers,
    /// The output stage.
    Output,
    /// The reading of commands, block by block.
    Commands,
    /// The memory with this number.
    Port(usize),
}

/// Cycles of one kernel.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelCycles {
    /// Of the multipliers, per block of outputs.
    pub multiply_per_block: f64,
    /// Of the output stage, per block.
    pub output_per_block: f64,
    /// Blocks; the last ones count by their micro-blocks.
    pub blocks: f64,
    /// Of the whole kernel, if no memory held it up.
    pub compute: f64,
    /// Of each memory, from the bytes that it moves.
    pub ports: Vec<f64>,
    /// Of the whole kernel: the slowest of those.
    pub total: f64,
    /// What is the slowest.
    pub bottleneck: Bottleneck,
}

/// Whether a kernel begins or ends a row of slices of one layer: what stands between slices overlaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// No slice before it.
    pub is_first: bool,
    /// No slice behind it.
    pub is_last: bool,
}

impl Place {
    /// A kernel that is a whole layer.
    pub const ALONE: Place = Place {
        is_first: true,
        is_last: true,
    };
}

/// When everything of a stream runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// Every kernel and copy in its order.
    pub entries: Vec<Entry>,
    /// Cycle at which the last one ends.
    pub total: f64,
}

/// When one kernel or copy runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Number of the operation.
    pub operation: usize,
    /// Cycle at which it begins.
    pub start: f64,
    /// Cycle at which it has ended.
    pub end: f64,
    /// Its parts, of a kernel.
    pub kernel: Option<KernelCycles>,
}

/// Kernels that wait or run at a time.
const KERNELS: usize = 2;
/// The same of copies.
const COPIES: usize = 1;

impl Timeline {
    /// The timeline of a stream.
    pub fn of(stream: &Stream, accelerator: &Accelerator, system: &System) -> Timeline {
        let mut kernels = Queue::default();
        let mut copies = Queue::default();
        let mut now = 0.0;
        let mut entries = Vec::new();
        let places = places(stream);
        for (step, place) in stream.steps.iter().zip(places) {
            let (queue, most, cycles, kernel) = match &step.action {
                Action::Stop => break,
                Action::Interrupt => continue,
                Action::WaitForCopies(most) => {
                    copies.wait(usize::from(*most), &mut now);
                    continue;
                }
                Action::WaitForKernels(most) => {
                    kernels.wait(usize::from(*most), &mut now);
                    continue;
                }
                Action::Transfer(transfer) => (&mut copies, COPIES, system.copy(transfer), None),
                Action::Kernel(kernel) => {
                    let cycles = kernel_cycles(kernel, accelerator, system, place);
                    (&mut kernels, KERNELS, cycles.total, Some(cycles))
                }
            };
            queue.wait(most - 1, &mut now);
            let start = queue.free.max(now);
            queue.free = start + cycles;
            queue.ends.push_back(queue.free);
            entries.push(Entry {
                operation: step.number,
                start,
                end: queue.free,
                kernel,
            });
        }
        let total = entries.iter().map(|entry| entry.end).fold(0.0, f64::max);
        Timeline { entries, total }
    }
}

/// What was started and has perhaps not ended.
#[derive(Default)]
struct Queue {
    ends: VecDeque<f64>,
    /// When the last one ends.
    free: f64,
}

impl Queue {
    /// Lets time go on until so many at most are running.
    fn wait(&mut self, most: usize, now: &mut f64) {
        self.ends.retain(|end| *end > *now);
        while self.ends.len() > most {
            if let Some(end) = self.ends.pop_front() {
                *now = end.max(*now);
            }
        }
    }
}

/// Whether a kernel computes further channels of what the one before computes.
fn continues(before: &Kernel, kernel: &Kernel) -> bool {
    let bytes = (before.ofm.shape.depth * before.ofm.bytes) as i64;
    let is_next = kernel.ofm.base[0] == before.ofm.base[0] + bytes
        || before.ofm.is_brick
            && kernel.ofm.base[0]
                == before.ofm.base[0]
                    + before.ofm.stride[2] * (before.ofm.shape.depth / BRICK) as i64;
    kernel.constants().is_some()
        && kernel.ifm == before.ifm
        && kernel.window() == before.window()
        && kernel.ofm.region == before.ofm.region
        && is_next
}

fn places(stream: &Stream) -> Vec<Place> {
    let mut places = vec![Place::ALONE; stream.steps.len()];
    let mut before: Option<(usize, &Kernel)> = None;
    for (idx, step) in stream.steps.iter().enumerate() {
        let Action::Kernel(kernel) = &step.action else {
            continue;
        };
        if let Some((last, last_kernel)) = before
            && continues(last_kernel, kernel)
        {
            places[last].is_last = false;
            places[idx].is_first = false;
        }
        before = Some((idx, kernel));
    }
    places
}

impl System {
    /// Two memories: one for activations and staged weights, one for constants. They may be the same.
    pub fn new(activations: Port, constants: Port) -> System {
        let mut regions = [1; REGIONS];
        regions[0] = 0;
        System {
            ports: vec![constants, activations],
            regions,
        }
    }

    fn port(&self, region: u8) -> Option<&Port> {
        self.ports.get(*self.regions.get(usize::from(region))?)
    }

    /// Cycles of a copy: the slower of reading and writing.
    ///
    /// Vela counts 256 bytes for a table whatever its entries are, and a cycle for each.
    fn copy(&self, transfer: &Transfer) -> f64 {
        let is_table = transfer.to.region.is_none();
        let bytes = transfer.bytes as f64;
        let bytes = if is_table {
            bytes.min(TABLE_BYTES)
        } else {
            bytes
        };
        let side = |place: Address, latency: fn(&Port) -> f64| match place.region {
            None => bytes,
            Some(region) => self
                .port(region)
                .map_or(0.0, |port| (bytes / port.bandwidth).floor() + latency(port)),
        };
        let read = side(transfer.from, |port| port.read_latency);
        read.max(side(transfer.to, |port| port.write_latency))
    }
}

/// Bytes that count of a copied table.
const TABLE_BYTES: f64 = 256.0;

/// What of the output stage counts.
///
/// The order is that of the table of `ethos_u55.cpp` in Vela.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// One operand of 32 bits.
    Wide,
    /// Two operands of 32 bits.
    TwoWide,
    /// A product of 32 bits.
    WideProduct,
    /// A product, or a sum in 40 bits.
    Product,
    /// A sum or difference, with scaled operands.
    Sum = 5,
    /// The largest of a window.
    Max,
    /// All others.
    Other,
}

impl Output {
    fn of(kernel: &Kernel) -> Output {
        match &kernel.kind {
            Kind::Elementwise(_) if kernel.ifm.bytes == 4 => match kernel.second() {
                Some(_) => Output::TwoWide,
                None => Output::Wide,
            },
            Kind::Elementwise(elementwise) => match elementwise.mode {
                ElementwiseMode::Mul if kernel.ofm.bytes == 4 => Output::WideProduct,
                ElementwiseMode::Mul => Output::Product,
                ElementwiseMode::Add | ElementwiseMode::Sub => Output::Sum,
                _ => Output::Other,
            },
            _ if kernel.shared.accumulator_bits == 40 => Output::Product,
            Kind::Pool(_, PoolMode::Max, _) => Output::Max,
            _ => Output::Other,
        }
    }
}

/// Cycles of the output stage per element.
fn output_cycles(kernel: &Kernel, accelerator: &Accelerator) -> f64 {
    let output = accelerator.output_millicycles[Output::of(kernel) as usize];
    // A pool of 1x1 with a table only looks up; a table behind something else takes its time.
    let is_carrier =
        matches!(&kernel.kind, Kind::Pool(window, PoolMode::Average, _) if window.size == [1, 1]);
    let activation = match kernel.output.table {
        Some(_) if !is_carrier => accelerator.activation_millicycles[0],
        _ => 0,
    };
    f64::from(output.max(activation)) / 1000.0
}

/// Cycles of one kernel.
pub fn kernel_cycles(
    kernel: &Kernel,
    accelerator: &Accelerator,
    system: &System,
    place: Place,
) -> KernelCycles {
    let ports = ports(kernel, accelerator, system);
    let per_element = output_cycles(kernel, accelerator);
    let output = kernel.ofm.shape.min(kernel.block);
    let fill = inputs_cycles(kernel, accelerator, system);
    let drain = map_cycles(&kernel.ofm, kernel.block, false, system);
    let mut cycles = match kernel.window() {
        Some(window) => {
            let micro = micro_block(kernel, window, accelerator);
            let in_block = output.div_ceil(micro).elements() as f64;
            let blocks = kernel.ofm.shape.div_ceil(micro).elements() as f64 / in_block;
            let multiply = multiply_cycles(kernel, window, output, micro, accelerator);
            let write = (per_element * output.elements() as f64).ceil();
            let constants = kernel.constants().and_then(|constants| {
                let port = system.port(constants.scales.region)?;
                Some((CHANNEL_BYTES * output.depth) as f64 * port.read_latency / FETCH)
            });
            let write = write.max(constants.unwrap_or(0.0));
            // Between blocks, the longer of reading and writing shows.
            let uneven = if blocks > 1.0 {
                (fill - drain).abs()
            } else {
                0.0
            };
            let commands = (uneven + multiply + write) / 4.0;
            let (slow, fast) = (multiply.max(commands), write.max(commands));
            let mut compute = slow.max(fast) * blocks;
            if place.is_last {
                compute += slow.min(fast) + drain;
            }
            if place.is_first {
                compute += fill;
            }
            KernelCycles {
                multiply_per_block: multiply,
                output_per_block: write,
                blocks,
                compute: compute.floor(),
                ports,
                total: 0.0,
                bottleneck: match (multiply, write) {
                    _ if commands > multiply.max(write) => Bottleneck::Commands,
                    _ if multiply >= write => Bottleneck::Multipliers,
                    _ => Bottleneck::Output,
                },
            }
        }
        None => {
            let elements = stored(&kernel.ofm) as f64;
            let write = (per_element * elements).ceil();
            let per_block = fill.max(drain) / kernel.block.elements() as f64;
            let commands = ((per_block + per_element) / 4.0 * elements).ceil();
            KernelCycles {
                multiply_per_block: 0.0,
                output_per_block: (per_element * output.elements() as f64).ceil(),
                blocks: kernel.ofm.shape.div_ceil(kernel.block).elements() as f64,
                compute: write.max(commands),
                ports,
                total: 0.0,
                bottleneck: if commands > write {
                    Bottleneck::Commands
                } else {
                    Bottleneck::Output
                },
            }
        }
    };
    cycles.total = cycles.compute;
    for (idx, &port) in cycles.ports.iter().enumerate() {
        if port > cycles.total {
            cycles.total = port;
            cycles.bottleneck = Bottleneck::Port(idx);
        }
    }
    cycles
}

/// Bytes that are fetched at once when scales are read.
const FETCH: f64 = 256.0;

/// A row is computed four pixels wide where micro-blocks are 2 x 2.
fn micro_block(kernel: &Kernel, window: &Window, accelerator: &Accelerator) -> Shape {
    let micro = accelerator.micro_block;
    let shape = kernel.ofm.shape;
    let is_row = matches!(kernel.kind, Kind::Convolution(..))
        && shape.height == 1
        && shape.width.is_multiple_of(2)
        && window.size[0] == 1;
    if is_row && micro.height == 2 {
        Shape::new(1, 4, micro.depth)
    } else {
        micro
    }
}

/// Cycles of the multipliers for one block of outputs.
fn multiply_cycles(
    kernel: &Kernel,
    window: &Window,
    output: Shape,
    micro: Shape,
    accelerator: &Accelerator,
) -> f64 {
    let count = output.div_ceil(micro);
    let is_smallest = accelerator.macs == 32;
    let is_long = kernel.shared.accumulator_bits == 40;
    let decode = 32 * micro.depth / 8;
    let bytes = kernel.ifm.bytes;
    let depth = kernel.ifm.shape.depth;
    let input_depth = depth.min(block::input_depth(kernel)).max(1);
    let per_step = decode.max(4 * count.area());
    let is_part_kernel = matches!(
        kernel.kind,
        Kind::Convolution(_, _, Traversal::PartKernelFirst)
    );
    let repeats = if is_part_kernel {
        input_depth.div_ceil(8)
    } else {
        1
    };
    let [height, width] = window.size;
    let mut sum = 0;
    for top in (0..height).step_by(PART) {
        for left in (0..width).step_by(PART) {
            let taps = PART.min(height - top) * PART.min(width - left);
            let (steps, cycles) = match &kernel.kind {
                Kind::Pool(_, PoolMode::ReduceSum, _) => (taps, per_step * taps * count.depth),
                Kind::Pool(..) => {
                    // Vela takes half the bits of an input here, but for the smallest accelerator.
                    let factor = if is_smallest { 1 } else { 4 * bytes };
                    (1, taps.max(4) * count.elements() * factor)
                }
                Kind::Depthwise(..) => {
                    let steps = taps.div_ceil(4);
                    let per_step = decode.max(4 * count.area() * bytes);
                    (steps, per_step * steps * count.depth)
                }
                _ if is_part_kernel => {
                    let steps = taps.div_ceil(if bytes == 2 { 2 } else { 4 });
                    (steps, per_step * steps * count.depth * repeats)
                }
                _ => (taps, per_step * taps * count.depth),
            };
            let bubble = match (is_smallest, is_long) {
                (true, true) => 7,
                (true, false) => 3,
                (false, true) if accelerator.macs <= 128 => 3,
                _ => 2,
            };
            let mut delay = match (count.area(), count.depth) {
                (1, 1) => bubble * steps,
                (1, _) => bubble * (steps - 1) * count.depth,
                _ => 0,
            };
            let is_narrow = count.width == 1 || count.height == 1;
            if is_smallest && is_long && is_narrow && count.depth > 1 {
                delay += bubble * count.depth;
            }
            sum += cycles + delay * repeats;
        }
    }
    let takes_all_inputs = matches!(
        kernel.kind,
        Kind::Convolution(..) | Kind::Pool(_, PoolMode::ReduceSum, _)
    );
    if takes_all_inputs {
        sum *= depth.div_ceil(input_depth);
    }
    sum as f64
}

/// Elements of a map in memory: bricks hold 16 channels.
fn stored(map: &FeatureMap) -> usize {
    stored_as(map, map.shape)
}

/// Elements of another shape in the layout of a map.
fn stored_as(map: &FeatureMap, shape: Shape) -> usize {
    let depth = match map.is_brick {
        true => shape.depth.next_multiple_of(BRICK),
        false => shape.depth,
    };
    shape.area().saturating_mul(depth)
}

/// Cycles of each memory, from the bytes that a kernel reads and writes.
fn ports(kernel: &Kernel, accelerator: &Accelerator, system: &System) -> Vec<f64> {
    let mut bytes = vec![0; system.ports.len()];
    let mut add = |region: u8, count: usize| {
        let port = system.regions.get(usize::from(region));
        if let Some(sum) = port.and_then(|&port| bytes.get_mut(port)) {
            *sum += count;
        }
    };
    let input = block::input_block(kernel, accelerator);
    let output = kernel.ofm.shape.min(kernel.block);
    let blocks = kernel.ofm.shape.div_ceil(output);
    let read = match kernel.window() {
        None => stored_as(kernel.operand_a(), kernel.ofm.shape),
        Some(window) => {
            let area = kernel.ifm.shape.min(input).area();
            let per_pixel = stored_as(&kernel.ifm, Shape::new(1, 1, kernel.ifm.shape.depth));
            let parts = window.size[0].div_ceil(PART) * window.size[1].div_ceil(PART);
            let per_channel = matches!(
                kernel.kind,
                Kind::Depthwise(..) | Kind::Pool(_, PoolMode::Max | PoolMode::Average, _)
            );
            let repeats = blocks.area() * if per_channel { 1 } else { blocks.depth };
            area * per_pixel * parts * repeats
        }
    };
    let burst = |map: &FeatureMap, block: Shape, is_read: bool, elements: usize| {
        let port = system.port(map.region);
        port.map_or(0, |port| burst_bytes(port, map, block, is_read, elements))
    };
    add(kernel.ifm.region, burst(&kernel.ifm, input, true, read));
    if let Some(second) = kernel.second().filter(|map| map.shape.elements() > 1) {
        // Repeated elements are read again.
        add(second.region, burst(second, input, true, read));
    }
    let written = burst(&kernel.ofm, kernel.block, false, stored(&kernel.ofm));
    add(kernel.ofm.region, written);
    if let Some(constants) = kernel.constants() {
        // All weights are fetched once per block of pixels.
        for span in [constants.weights, constants.scales] {
            add(span.region, span.bytes * blocks.area());
        }
    }
    let cycles = bytes.iter().zip(&system.ports);
    cycles
        .map(|(&bytes, port)| (bytes as f64 / port.bandwidth).floor())
        .collect()
}

/// Cycles until the first block of inputs is there.
fn inputs_cycles(kernel: &Kernel, accelerator: &Accelerator, system: &System) -> f64 {
    let block = block::input_block(kernel, accelerator);
    let maps = [Some(&kernel.ifm), kernel.second()].into_iter().flatten();
    maps.map(|map| map_cycles(map, block, true, system))
        .fold(0.0, f64::max)
}

/// Cycles to move one block of a map.
fn map_cycles(map: &FeatureMap, block: Shape, is_read: bool, system: &System) -> f64 {
    let Some(port) = system.port(map.region) else {
        return 0.0;
    };
    let elements = map.shape.min(block).elements();
    let bytes = burst_bytes(port, map, block, is_read, elements) as f64;
    let latency = if is_read {
        port.read_latency
    } else {
        port.write_latency
    };
    latency + (bytes / port.bandwidth).floor()
}

/// Bytes that a port is busy for: short bursts waste the rest of a full one.
fn burst_bytes(
    port: &Port,
    map: &FeatureMap,
    block: Shape,
    is_read: bool,
    elements: usize,
) -> usize {
    let row = block.width * block.depth;
    let pixel = map.shape.depth * map.bytes;
    let burst = match (map.is_brick, is_read) {
        (true, _) if BRICK * map.bytes * map.shape.width == block.depth => row,
        (true, _) => BRICK * block.width,
        (false, true) if pixel == block.depth => row,
        (false, true) => block.depth,
        (false, false) if block.depth <= 16 && pixel == block.depth => row,
        (false, false) => block.depth.min(16).min(64 / map.bytes),
    };
    let burst = (burst * map.bytes).clamp(1, port.burst.max(1));
    elements * map.bytes * port.burst.max(1) / burst
}
