//! Counts the bits of real weights in the NPU's stream; nothing is encoded.
//!
//! Weights are Golomb-Rice codes of indices into a palette. Runs of zeros have their own code where they are common.
//! The parameters of the codes may change along the stream. After `mlw_encode.cpp` and `EthosUWeightOrdering` of
//! Vela's Regor core (Apache-2.0); Vela places changes of parameters greedily, this code optimally.

use super::{
    block::Block,
    encoding::Coding,
    layer::{Kind, Layer, SUB_KERNEL},
    system::Accelerator,
};

/// The coding of a layer's weights in TFLite's layout: convolution `[out, kh, kw, in]`, depthwise `[kh, kw,
/// channels]`, fully connected `[out, in]`. Zero points are zero.
pub fn coding(layer: &Layer, block: &Block, weights: &[i8], accelerator: &Accelerator) -> Coding {
    let stream = ordered(layer, block, weights, accelerator);
    let symbols: Vec<usize> = stream.iter().map(|&weight| symbol(weight)).collect();
    let mut counts = [0; SYMBOLS];
    symbols.iter().for_each(|&symbol| counts[symbol] += 1);
    let has_runs = runs_pay(&symbols, &counts);
    if has_runs {
        counts[0] = 0;
    }
    let palette = Palette::of(&counts);
    let coded = symbols
        .iter()
        .filter(|&&symbol| !has_runs || symbol != 0)
        .map(|&symbol| palette.index[symbol]);
    let mut bits = cheapest(coded, &WEIGHT_CODES, palette.plain_bits);
    if has_runs {
        // One run before each weight, and one after the last.
        let mut runs = vec![0];
        for &symbol in &symbols {
            match (symbol, runs.last_mut()) {
                (0, Some(run)) => *run += 1,
                _ => runs.push(0),
            }
        }
        bits += cheapest(runs.into_iter(), &RUN_CODES, None);
    }
    let slices = 1 + stream.len() / SLICE_WEIGHTS;
    Coding {
        bits: bits as f64 / stream.len().max(1) as f64,
        header_bits: (palette.bits + slices * SLICE_HEADER_BITS + END_BITS) as f64,
    }
}

const SLICE_HEADER_BITS: usize = 23;
const SLICE_WEIGHTS: usize = 32767;
const PALETTE_HEADER_BITS: usize = 13;
const PALETTE_SIZE: usize = 32;
const END_BITS: usize = 3;

/// Number of symbols: twice the magnitude, plus one where negative.
const SYMBOLS: usize = 258;

fn symbol(weight: i8) -> usize {
    2 * usize::from(weight.unsigned_abs()) + usize::from(weight < 0)
}

/// Whether runs of zeros have their own code: most zeros lie in runs, and no other value is nearly as common.
fn runs_pay(symbols: &[usize], counts: &[usize; SYMBOLS]) -> bool {
    let in_runs: usize = symbols
        .chunk_by(|a, b| (*a == 0) == (*b == 0))
        .filter(|chunk| chunk[0] == 0 && chunk.len() >= 2)
        .map(<[usize]>::len)
        .sum();
    let most = counts[1..].iter().max().copied().unwrap_or(0);
    in_runs >= counts[0] / 2 && counts[0] > 5 * most
}

/// Short indices for common values.
struct Palette {
    index: [usize; SYMBOLS],
    bits: usize,
    /// Bits of a plain index, where all values fit into that.
    plain_bits: Option<usize>,
}

impl Palette {
    fn of(counts: &[usize; SYMBOLS]) -> Palette {
        let mut common: Vec<usize> = (0..SYMBOLS).filter(|&symbol| counts[symbol] > 0).collect();
        let largest = common.last().copied().unwrap_or(0);
        let unused = common.first().map_or(0, |&first| first.min(31));
        common.sort_by_key(|&symbol| std::cmp::Reverse((counts[symbol], symbol)));
        let total: usize = counts.iter().sum();
        let all_fit = common.len() <= PALETTE_SIZE;
        common.truncate(PALETTE_SIZE);
        let inside: usize = common.iter().map(|&symbol| counts[symbol]).sum();
        if inside < total / 2 {
            common.clear();
        }
        // The format has no palette of one entry.
        let size = if common.len() == 1 { 2 } else { common.len() };
        let widest = common.iter().max().copied().unwrap_or(largest);
        let width = (2..9).find(|&bits| widest < 1 << bits).unwrap_or(9);
        let mut index = [0; SYMBOLS];
        for (symbol, index) in index.iter_mut().enumerate() {
            *index = size + symbol.max(1).saturating_sub(unused);
        }
        for (idx, &symbol) in common.iter().enumerate() {
            index[symbol] = idx;
        }
        let plain_bits = match size {
            0 => Some(width),
            _ if all_fit => (0..9).find(|&bits| size <= 1 << bits),
            _ => None,
        };
        Palette {
            index,
            bits: PALETTE_HEADER_BITS + size * width,
            plain_bits,
        }
    }
}

/// A Golomb-Rice code: quotient in unary and remainder in `rest` bits; or a quotient of at most two in two bits.
#[derive(Clone, Copy)]
struct Code {
    rest: usize,
    is_cut: bool,
    largest_quotient: usize,
}

const fn whole(rest: usize) -> Code {
    Code {
        rest,
        is_cut: false,
        largest_quotient: 31,
    }
}

const fn cut(rest: usize) -> Code {
    Code {
        rest,
        is_cut: true,
        largest_quotient: 2,
    }
}

const fn run(rest: usize) -> Code {
    Code {
        rest,
        is_cut: false,
        largest_quotient: usize::MAX,
    }
}

const WEIGHT_CODES: [Code; 12] = [
    whole(0),
    whole(1),
    whole(2),
    whole(3),
    whole(4),
    whole(5),
    cut(0),
    cut(1),
    cut(2),
    cut(3),
    cut(4),
    cut(5),
];
const RUN_CODES: [Code; 4] = [run(0), run(1), run(2), run(3)];

/// The encoder's estimate of the bits that a change of code costs.
const CHANGE_BITS: usize = 40;

/// Too many bits to be chosen, but few enough to add to.
const NEVER: usize = usize::MAX / 4;

/// Bits of a stream of values with the cheapest sequence of codes.
fn cheapest(values: impl Iterator<Item = usize>, codes: &[Code], plain: Option<usize>) -> usize {
    // The lowest cost so far if the last value was coded by each code, or by none.
    let mut costs = vec![0; codes.len() + 1];
    let mut best = 0;
    for value in values {
        let mut next = NEVER;
        for (idx, cost) in costs.iter_mut().enumerate() {
            let bits = match codes.get(idx) {
                Some(code) => code.bits(value),
                None => plain.unwrap_or(NEVER),
            };
            *cost = ((*cost).min(best + CHANGE_BITS) + bits).min(NEVER);
            next = next.min(*cost);
        }
        best = next;
    }
    best
}

impl Code {
    fn bits(self, value: usize) -> usize {
        let quotient = value >> self.rest;
        if quotient > self.largest_quotient {
            return NEVER;
        }
        let unary = if self.is_cut {
            (quotient + 1).min(2)
        } else {
            quotient + 1
        };
        unary + self.rest
    }
}

/// The weights in the order of computation.
fn ordered(layer: &Layer, block: &Block, weights: &[i8], accelerator: &Accelerator) -> Vec<i8> {
    let (is_part_kernel, is_depthwise) = (layer.is_part_kernel(), layer.kind == Kind::Depthwise);
    let [kernel_height, kernel_width] = layer.kernel;
    let (inputs, outputs) = (layer.input.channels, layer.output.channels);
    let at = |output: usize, y: usize, x: usize, input: usize| {
        let idx = if is_depthwise {
            (y * kernel_width + x) * outputs + output
        } else {
            ((output * kernel_height + y) * kernel_width + x) * inputs + input
        };
        weights.get(idx).copied().unwrap_or(0)
    };
    let input_block = if is_part_kernel { 16 } else { 32 };
    let read_inputs = if is_depthwise { 1 } else { inputs };
    let lanes = if is_depthwise { 1 } else { LANES };
    let mut stream = Vec::new();
    // One step of the multipliers: a micro-block of outputs, some inputs of each, one tap.
    let mut step = |output: usize, y: usize, x: usize, input: usize, is_tap: bool| {
        for output in output..output + accelerator.micro_block.channels {
            for input in input..input + lanes {
                let is_weight = is_tap && output < outputs && input < read_inputs;
                stream.push(if is_weight {
                    at(output, y, x, input)
                } else {
                    0
                });
            }
        }
    };
    for output_start in (0..outputs).step_by(block.output.channels) {
        let output_end = outputs.min(output_start + block.output.channels);
        let micro_blocks = (output_start..output_end).step_by(accelerator.micro_block.channels);
        for input_start in (0..read_inputs).step_by(input_block) {
            // Depth first fills the block of inputs; the other orders fill only its last lanes.
            let input_end = match (is_depthwise, is_part_kernel) {
                (true, _) => 1,
                (_, true) => inputs.min(input_start + input_block),
                _ => input_start + input_block,
            };
            let input_steps = (input_start..input_end).step_by(LANES);
            for [top, left] in corners(layer) {
                let height = SUB_KERNEL.min(kernel_height - top);
                let width = SUB_KERNEL.min(kernel_width - left);
                let taps = height * width;
                let place = |tap: usize| (top + tap / width, left + tap % width, tap < taps);
                if is_part_kernel {
                    for input in input_steps.clone() {
                        for output in micro_blocks.clone() {
                            for tap in 0..taps.next_multiple_of(4) {
                                let (y, x, is_tap) = place(tap);
                                step(output, y, x, input, is_tap);
                            }
                        }
                    }
                    continue;
                }
                let taps = if is_depthwise {
                    taps.next_multiple_of(4)
                } else {
                    taps
                };
                for output in micro_blocks.clone() {
                    for tap in 0..taps {
                        let (y, x, is_tap) = place(tap);
                        for input in input_steps.clone() {
                            step(output, y, x, input, is_tap);
                        }
                    }
                }
            }
        }
    }
    stream
}

/// Inputs multiplied at once.
const LANES: usize = 8;

/// The first tap of each part of the kernel, `[y, x]`.
fn corners(layer: &Layer) -> impl Iterator<Item = [usize; 2]> + use<> {
    let [height, width] = layer.kernel;
    let starts = |len: usize| (0..len).step_by(SUB_KERNEL);
    starts(height).flat_map(move |top| starts(width).map(move |left| [top, left]))
}
