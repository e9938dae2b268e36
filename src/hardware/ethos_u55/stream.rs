//! Encodes real weights as the NPU's stream has them, and keeps how long that is.

use ::ethos_u55::weights::encode;

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
    let weights: Vec<i16> = stream.iter().copied().map(i16::from).collect();
    let bits = 8 * encode(&weights).len();
    let header_bits = HEADER_BITS.min(bits / 2);
    Coding {
        // A little less than the stream has: it is rounded up to whole units again.
        bits: (bits - header_bits - ROUNDING_BITS) as f64 / stream.len().max(1) as f64,
        header_bits: header_bits as f64,
    }
}

/// A header, a palette of 32 entries of 8 bits, and the end marker; a slice has them again.
const HEADER_BITS: usize = 295;
const ROUNDING_BITS: usize = 4;

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
