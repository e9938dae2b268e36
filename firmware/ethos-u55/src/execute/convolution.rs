//! Convolutions: sums of products, then a scale per output channel.

use super::{
    Finish, input,
    products::{self, LANES, PIXELS},
    taps,
};
use crate::{
    accelerator::Accelerator,
    error::Problem,
    memory::Memory,
    operation::{Constants, Kernel, Window},
    scale::{CHANNEL_BYTES, Channel},
    weights::{Traversal, decode},
};

/// What a convolution reads.
pub struct Reader<'r, 'a> {
    pub kernel: &'r Kernel,
    pub window: &'r Window,
    pub constants: &'r Constants,
    pub accelerator: &'r Accelerator,
    pub memory: &'r Memory<'a>,
}

/// Outputs, and the sum that is the furthest from zero.
type Sums = (Vec<i32>, i64);

impl Reader<'_, '_> {
    /// Outputs of a convolution over all input channels.
    pub fn convolution(&self, traversal: Traversal, finish: &Finish) -> Result<Sums, Problem> {
        let weights = self.weights(traversal)?;
        let channels = self.channels()?;
        let input = input(self.kernel, self.window, self.memory)?;
        Ok(match self.kernel.ifm.bytes {
            1 => self.narrow(&input, &weights, &channels, finish),
            _ => self.wide(&input, &weights, &channels, finish),
        })
    }

    /// Sums of products of eight bits.
    fn narrow(
        &self,
        input: &[i32],
        weights: &[i16],
        channels: &[Channel],
        finish: &Finish,
    ) -> Sums {
        let input: Vec<f32> = input.iter().map(|&value| value as f32).collect();
        let taps = self.taps();
        let groups = products::group(weights, taps);
        let sums = products::sums();
        let outputs = channels.len();
        let pixels: Vec<[usize; 2]> = self.pixels().collect();
        let mut values = vec![0; pixels.len() * outputs];
        let mut furthest = 0_i64;
        let mut patches = [0; PIXELS].map(|_| vec![0.0; taps]);
        let blocks = values.chunks_mut(PIXELS * outputs);
        for (pixels, values) in pixels.chunks(PIXELS).zip(blocks) {
            for (pixel, patch) in pixels.iter().zip(&mut patches) {
                self.patch(*pixel, &input, patch);
            }
            let lanes = channels.chunks(LANES).enumerate();
            for ((idx, channels), group) in lanes.zip(&groups) {
                let sums = sums(&patches, group);
                for (values, sums) in values.chunks_exact_mut(outputs).zip(sums) {
                    let values = &mut values[idx * LANES..];
                    for ((value, sum), channel) in values.iter_mut().zip(sums).zip(channels) {
                        let sum = sum.wrapping_add(channel.bias);
                        furthest = further(furthest, sum);
                        *value = finish.output(sum, channel.scale);
                    }
                }
            }
        }
        (values, furthest)
    }

    /// Sums of products of 16 bits and eight.
    fn wide(&self, input: &[i32], weights: &[i16], channels: &[Channel], finish: &Finish) -> Sums {
        let taps = self.taps();
        let mut patch = vec![0; taps];
        let mut values = Vec::with_capacity(self.kernel.ofm.shape.elements());
        let mut furthest = 0_i64;
        for pixel in self.pixels() {
            self.patch(pixel, input, &mut patch);
            for (weights, channel) in weights.chunks_exact(taps).zip(channels) {
                let products = patch.iter().zip(weights);
                let products =
                    products.map(|(&input, &weight)| i64::from(input) * i64::from(weight));
                let sum = products.sum::<i64>().wrapping_add(channel.bias);
                furthest = further(furthest, sum);
                values.push(finish.output(sum, channel.scale));
            }
        }
        (values, furthest)
    }

    /// Weights of an output.
    fn taps(&self) -> usize {
        self.window.size[0] * self.window.size[1] * self.kernel.ifm.shape.depth
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

    /// Outputs of a convolution of each channel for itself.
    pub fn depthwise(&self, finish: &Finish) -> Result<Sums, Problem> {
        let weights = self.weights(Traversal::Depthwise)?;
        let channels = self.channels()?;
        let input = input(self.kernel, self.window, self.memory)?;
        let depth = self.kernel.ifm.shape.depth;
        let [height, width] = self.window.size;
        // Channels last, as inputs lie.
        let mut by_tap = vec![0_i32; weights.len()];
        for (channel, taps) in weights.chunks_exact(height * width).enumerate() {
            for (tap, &weight) in taps.iter().enumerate() {
                by_tap[tap * depth + channel] = i32::from(weight);
            }
        }
        let mut values = Vec::with_capacity(self.kernel.ofm.shape.elements());
        let mut furthest = 0_i64;
        let mut sums = vec![0_i64; depth];
        for pixel in self.pixels() {
            sums.fill(0);
            for ([row, column], from) in taps(self.window, pixel) {
                let tap = (row * width + column) * depth;
                let inputs = &input[from * depth..(from + 1) * depth];
                let products = inputs.iter().zip(&by_tap[tap..tap + depth]);
                for (sum, (input, weight)) in sums.iter_mut().zip(products) {
                    // Below 2^17 times below 2^8.
                    *sum += i64::from(input * weight);
                }
            }
            for (&sum, channel) in sums.iter().zip(&channels) {
                let sum = sum.wrapping_add(channel.bias);
                furthest = further(furthest, sum);
                values.push(finish.output(sum, channel.scale));
            }
        }
        Ok((values, furthest))
    }

    /// Rows, then columns of the output.
    fn pixels(&self) -> impl Iterator<Item = [usize; 2]> + use<> {
        let shape = self.kernel.ofm.shape;
        (0..shape.height).flat_map(move |y| (0..shape.width).map(move |x| [y, x]))
    }

    /// Weights `[output, y, x, input]`.
    fn weights(&self, traversal: Traversal) -> Result<Vec<i16>, Problem> {
        let span = self.constants.weights;
        let stream =
            self.memory
                .read("the stream of weights", span.region, span.start, span.bytes)?;
        let order = self
            .kernel
            .weight_order(self.window, traversal, self.accelerator);
        let weights = decode(stream).and_then(|weights| order.restore(&weights));
        weights.map_err(Problem::Weights)
    }

    fn channels(&self) -> Result<Vec<Channel>, Problem> {
        let span = self.constants.scales;
        let bytes = CHANNEL_BYTES * self.kernel.ofm.shape.depth;
        let bytes = self
            .memory
            .read("the scales", span.region, span.start, bytes)?;
        Ok(bytes.as_chunks().0.iter().map(Channel::read).collect())
    }
}

fn further(furthest: i64, sum: i64) -> i64 {
    if sum.unsigned_abs() > furthest.unsigned_abs() {
        sum
    } else {
        furthest
    }
}
