//! Convolutions: sums of products, then a scale per output channel.

use super::{
    Finish,
    cache::Weights,
    products::{self, LANES, PIXELS},
    taps,
};
use crate::{
    error::Problem,
    memory::Memory,
    operation::{Constants, Kernel, Window},
    scale::{CHANNEL_BYTES, Channel},
};

/// Outputs, and the sum that is the furthest from zero.
type Sums = (Vec<i32>, i64);

/// Biases and scales of the output channels.
pub fn channels(
    kernel: &Kernel,
    constants: &Constants,
    memory: &Memory,
) -> Result<Vec<Channel>, Problem> {
    let span = constants.scales;
    let bytes = CHANNEL_BYTES * kernel.ofm.shape.depth;
    let bytes = memory.read("the scales", span.region, span.start, bytes)?;
    Ok(bytes.as_chunks().0.iter().map(Channel::read).collect())
}

/// Outputs of a convolution of an input whose zero point is taken off.
pub fn run(
    kernel: &Kernel,
    window: &Window,
    weights: &Weights,
    channels: &[Channel],
    input: &[i32],
    finish: &Finish,
) -> Sums {
    let convolution = Convolution {
        kernel,
        window,
        channels,
        finish,
    };
    match weights {
        Weights::Groups(groups) => convolution.narrow(input, groups),
        Weights::Rows(weights) => convolution.wide(input, weights),
        Weights::Channels(weights) => convolution.depthwise(input, weights),
    }
}

struct Convolution<'c> {
    kernel: &'c Kernel,
    window: &'c Window,
    channels: &'c [Channel],
    finish: &'c Finish,
}

impl Convolution<'_> {
    /// Sums of products of eight bits.
    fn narrow(&self, input: &[i32], groups: &[Vec<[f32; LANES]>]) -> Sums {
        let input: Vec<f32> = input.iter().map(|&value| value as f32).collect();
        let sums = products::sums();
        let outputs = self.channels.len();
        let pixels: Vec<[usize; 2]> = self.pixels().collect();
        let mut values = vec![0; pixels.len() * outputs];
        let mut furthest = 0_i64;
        let mut patches = [0; PIXELS].map(|_| vec![0.0; self.taps()]);
        let blocks = values.chunks_mut(PIXELS * outputs);
        for (pixels, values) in pixels.chunks(PIXELS).zip(blocks) {
            for (pixel, patch) in pixels.iter().zip(&mut patches) {
                self.patch(*pixel, &input, patch);
            }
            let lanes = self.channels.chunks(LANES).enumerate();
            for ((idx, channels), group) in lanes.zip(groups) {
                let sums = sums(&patches, group);
                for (values, sums) in values.chunks_exact_mut(outputs).zip(sums) {
                    let values = &mut values[idx * LANES..];
                    for ((value, sum), channel) in values.iter_mut().zip(sums).zip(channels) {
                        let sum = sum.wrapping_add(channel.bias);
                        furthest = further(furthest, sum);
                        *value = self.finish.output(sum, channel.scale);
                    }
                }
            }
        }
        (values, furthest)
    }

    /// Sums of products of 16 bits and eight.
    fn wide(&self, input: &[i32], weights: &[i16]) -> Sums {
        let taps = self.taps();
        let mut patch = vec![0; taps];
        let mut values = Vec::with_capacity(self.kernel.ofm.shape.elements());
        let mut furthest = 0_i64;
        for pixel in self.pixels() {
            self.patch(pixel, input, &mut patch);
            for (weights, channel) in weights.chunks_exact(taps).zip(self.channels) {
                let products = patch.iter().zip(weights);
                let products =
                    products.map(|(&input, &weight)| i64::from(input) * i64::from(weight));
                let sum = products.sum::<i64>().wrapping_add(channel.bias);
                furthest = further(furthest, sum);
                values.push(self.finish.output(sum, channel.scale));
            }
        }
        (values, furthest)
    }

    /// Each channel for itself.
    fn depthwise(&self, input: &[i32], weights: &[i32]) -> Sums {
        let depth = self.kernel.ifm.shape.depth;
        let width = self.window.size[1];
        let mut values = Vec::with_capacity(self.kernel.ofm.shape.elements());
        let mut furthest = 0_i64;
        let mut sums = vec![0_i64; depth];
        for pixel in self.pixels() {
            sums.fill(0);
            for ([row, column], from) in taps(self.window, pixel) {
                let tap = (row * width + column) * depth;
                let inputs = &input[from * depth..(from + 1) * depth];
                let products = inputs.iter().zip(&weights[tap..tap + depth]);
                for (sum, (input, weight)) in sums.iter_mut().zip(products) {
                    // Below 2^17 times below 2^8.
                    *sum += i64::from(input * weight);
                }
            }
            for (&sum, channel) in sums.iter().zip(self.channels) {
                let sum = sum.wrapping_add(channel.bias);
                furthest = further(furthest, sum);
                values.push(self.finish.output(sum, channel.scale));
            }
        }
        (values, furthest)
    }

    /// Weights of an output.
    fn taps(&self) -> usize {
        self.window.size[0] * self.window.size[1] * self.kernel.ifm.shape.depth
    }

    /// Rows, then columns of the output.
    fn pixels(&self) -> impl Iterator<Item = [usize; 2]> + use<> {
        let shape = self.kernel.ofm.shape;
        (0..shape.height).flat_map(move |y| (0..shape.width).map(move |x| [y, x]))
    }

    /// The inputs under the kernel, as weights lie; padding is zero.
    fn patch<T: Copy + Default>(&self, pixel: [usize; 2], input: &[T], patch: &mut [T]) {
        let depth = self.kernel.ifm.shape.depth;
        if self.window.has_padding() {
            patch.fill(T::default());
        }
        for ([row, column], from) in taps(self.window, pixel) {
            let to = (row * self.window.size[1] + column) * depth;
            let inputs = &input[from * depth..(from + 1) * depth];
            patch[to..to + depth].copy_from_slice(inputs);
        }
    }
}

fn further(furthest: i64, sum: i64) -> i64 {
    if sum.unsigned_abs() > furthest.unsigned_abs() {
        sum
    } else {
        furthest
    }
}
