//! Random operators: odd lengths, strides, padding, extreme numbers.

use nas_kernels::{
    Words,
    ops::{
        AddScales, Clamp, Requantize, Sliding, add_in_arena, add_pixels, conv2d, depthwise_conv2d,
        fully_connected, lookup, portable, repeat,
    },
};

/// Bytes of the largest tensors.
const INPUT: usize = 16 << 10;
const WEIGHTS: usize = 48 << 10;
const OUTPUT: usize = 8 << 10;
const CHANNELS: usize = 192;

/// Everything that a case needs, and two places for its result.
pub struct Memory {
    input: [i8; INPUT],
    weights: [i8; WEIGHTS],
    scales: Scales,
    expected: [i8; OUTPUT],
    found: [i8; OUTPUT],
}

struct Scales {
    biases: [[u8; 4]; CHANNELS],
    multipliers: [[u8; 4]; CHANNELS],
    shifts: [i8; CHANNELS],
    channels: usize,
    count: usize,
    output_zero_point: i32,
    clamp: Clamp,
}

impl Memory {
    pub const fn new() -> Memory {
        Memory {
            input: [0; INPUT],
            weights: [0; WEIGHTS],
            scales: Scales {
                biases: [[0; 4]; CHANNELS],
                multipliers: [[0; 4]; CHANNELS],
                shifts: [0; CHANNELS],
                channels: 0,
                count: 0,
                output_zero_point: 0,
                clamp: Clamp { min: 0, max: 0 },
            },
            expected: [0; OUTPUT],
            found: [0; OUTPUT],
        }
    }
}

/// Operators that have builds of their own, and the inner loops of pooling and upsampling.
#[derive(Debug, Clone, Copy)]
pub enum Operator {
    Conv2d,
    DepthwiseConv2d,
    FullyConnected,
    Add,
    AddPixels,
    Repeat,
    Lookup,
}

pub const OPERATORS: [Operator; 7] = [
    Operator::Conv2d,
    Operator::DepthwiseConv2d,
    Operator::FullyConnected,
    Operator::Add,
    Operator::AddPixels,
    Operator::Repeat,
    Operator::Lookup,
];

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    fn word(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) as u32
    }

    fn within(&mut self, least: usize, most: usize) -> usize {
        least + self.word() as usize % (most - least + 1)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.within(1, count) == 1
    }

    /// Of all values alike, or of the extreme ones alone.
    fn fill(&mut self, bytes: &mut [i8]) {
        match self.within(0, 7) {
            0 => bytes.fill_with(|| if self.word() & 1 == 0 { -128 } else { 127 }),
            1 => bytes.fill(-128),
            _ => bytes.fill_with(|| self.word() as i8),
        }
    }

    fn clamp(&mut self, zero_point: i32) -> Clamp {
        let (one, other) = (self.word() as i8, self.word() as i8);
        match self.within(0, 3) {
            0 => Clamp {
                min: one.min(other),
                max: one.max(other),
            },
            1 => Clamp {
                min: zero_point as i8,
                max: 127,
            },
            _ => Clamp {
                min: -128,
                max: 127,
            },
        }
    }

    /// A window that lies at least partly on the image everywhere.
    fn sliding(&mut self, channels: usize) -> Sliding {
        let mut shape = Sliding {
            input: [0, 0, channels],
            output: [0, 0, channels],
            kernel: [0; 2],
            stride: [0; 2],
            pad: [0; 2],
        };
        let common = !self.one_in(3);
        for axis in 0..2 {
            let kernel = if common { 3 } else { self.within(1, 7) };
            let stride = self.within(1, 3);
            let input = self.within(1, 12);
            let pad = self.within(0, kernel - 1);
            let most = (input + pad - 1) / stride + 1;
            shape.kernel[axis] = kernel;
            shape.stride[axis] = stride;
            shape.input[axis] = input;
            shape.pad[axis] = pad;
            shape.output[axis] = if self.one_in(2) {
                most
            } else {
                self.within(1, most)
            };
        }
        shape
    }
}

impl Scales {
    /// Scales with which no sum overflows.
    fn draw(&mut self, random: &mut Random, channels: usize, taps: usize) -> Requantize<'_> {
        self.channels = channels;
        self.count = if random.one_in(4) { 1 } else { channels };
        self.output_zero_point = i32::from(random.word() as i8);
        self.clamp = random.clamp(self.output_zero_point);
        let kind = random.within(0, 5);
        // Kernels look at a whole layer to choose a shorter way, so most layers have nothing extreme.
        let extreme_biases = random.one_in(4);
        // |int8 * int8| <= 2^14.
        let products = taps << 14;
        for idx in 0..self.count {
            let multiplier = match random.within(0, 15) {
                0 => i32::MAX as u32,
                1 => random.word() >> 1,
                _ => 1 << 30 | random.word() >> 2,
            };
            self.multipliers[idx] = multiplier.to_le_bytes();
            let mut shift = match kind {
                0 => random.within(0, 31) as i8 - 31,
                1 => random.within(0, 7) as i8 - 4,
                _ => -(random.within(4, 12) as i8),
            };
            while shift > 0 && products > 1 << (30 - shift) {
                shift -= 1;
            }
            self.shifts[idx] = shift;
        }
        for idx in 0..channels {
            let shift = self.shifts[if self.count == 1 { 0 } else { idx }];
            let room = (i32::MAX >> shift.max(0)) - products as i32;
            let bias = match random.within(0, 7) {
                0 if extreme_biases => room,
                1 if extreme_biases => -room,
                _ => random.word() as i32 % room.min(100_000),
            };
            self.biases[idx] = bias.to_le_bytes();
        }
        Requantize {
            biases: Words::new(self.biases[..self.channels].as_flattened()),
            multipliers: Words::new(self.multipliers[..self.count].as_flattened()),
            shifts: &self.shifts[..self.count],
            output_zero_point: self.output_zero_point,
            clamp: self.clamp,
        }
    }
}

/// Computes one random operator both ways; whether the results are equal, also beyond the output's end.
pub fn is_equal(operator: Operator, memory: &mut Memory, random: &mut Random) -> bool {
    let Memory {
        input,
        weights,
        scales,
        expected,
        found,
    } = memory;
    let pattern = random.word() as i8;
    expected.fill(pattern);
    found.fill(pattern);
    random.fill(input);
    random.fill(weights);
    if !random.one_in(8) {
        // What TensorFlow Lite writes.
        weights
            .iter_mut()
            .for_each(|weight| *weight = (*weight).max(-127));
    }
    let zero_point = random.word() as i8;
    match operator {
        Operator::Conv2d => {
            let most = if random.one_in(16) { 400 } else { 40 };
            let depth = random.within(1, most);
            let mut shape = random.sliding(depth);
            if random.one_in(4) {
                (shape.kernel, shape.stride, shape.pad) = ([1, 1], [1, 1], [0, 0]);
                shape.output = shape.input;
            }
            let taps = shape.kernel[0] * shape.kernel[1] * depth;
            let pixels = shape.output[0] * shape.output[1];
            let most = if random.one_in(8) { CHANNELS } else { 24 };
            let most = most.min(WEIGHTS / taps).min(OUTPUT / pixels);
            if most == 0 || shape.input.iter().product::<usize>() > INPUT {
                return true;
            }
            let channels = random.within(1, most);
            shape.output[2] = channels;
            let requantize = scales.draw(random, channels, taps);
            let input = &input[..shape.input.iter().product()];
            let weights = &weights[..taps * channels];
            let length = pixels * channels;
            portable::conv2d(
                input,
                weights,
                &shape,
                zero_point,
                &requantize,
                &mut expected[..length],
            );
            conv2d(
                input,
                weights,
                &shape,
                zero_point,
                &requantize,
                &mut found[..length],
            );
        }
        Operator::DepthwiseConv2d => {
            let channels = random.within(1, 50);
            let shape = random.sliding(channels);
            let taps = shape.kernel[0] * shape.kernel[1];
            let requantize = scales.draw(random, channels, taps);
            let input = &input[..shape.input.iter().product()];
            let weights = &weights[..taps * channels];
            let length = shape.output.iter().product();
            portable::depthwise_conv2d(
                input,
                weights,
                &shape,
                zero_point,
                &requantize,
                &mut expected[..length],
            );
            depthwise_conv2d(
                input,
                weights,
                &shape,
                zero_point,
                &requantize,
                &mut found[..length],
            );
        }
        Operator::FullyConnected => {
            let most = if random.one_in(4) { 2000 } else { 140 };
            let taps = random.within(1, most);
            let channels = random.within(1, CHANNELS.min(WEIGHTS / taps));
            let requantize = scales.draw(random, channels, taps);
            let (input, weights) = (&input[..taps], &weights[..taps * channels]);
            portable::fully_connected(input, weights, &requantize, &mut expected[..channels]);
            fully_connected(input, weights, &requantize, &mut found[..channels]);
        }
        Operator::Add => {
            let length = random.within(1, 300);
            let multiplier = |random: &mut Random| match random.within(0, 3) {
                0 => i32::MAX,
                _ => 1 << 30 | (random.word() >> 2) as i32,
            };
            let shift = |random: &mut Random| match random.within(0, 3) {
                0 => -(random.within(0, 31) as i32),
                _ => -(random.within(0, 6) as i32),
            };
            let output_zero_point = i32::from(random.word() as i8);
            let mut sum = AddScales {
                zero_points: [zero_point, random.word() as i8].map(i32::from),
                multipliers: [multiplier(random), multiplier(random)],
                shifts: [shift(random), shift(random)],
                output_zero_point,
                output_multiplier: multiplier(random),
                output_shift: if random.one_in(4) {
                    shift(random)
                } else {
                    -(random.within(15, 20) as i32)
                },
                clamp: random.clamp(output_zero_point),
            };
            if !random.one_in(4) {
                let larger = random.within(0, 1);
                (sum.multipliers[larger], sum.shifts[larger]) = (1 << 30, 0);
            }
            // The output may be either input.
            let right = random.within(length, 2 * length);
            let to = [0, right, 3 * length][random.within(0, 2)];
            expected[..4 * length].copy_from_slice(&input[..4 * length]);
            found[..4 * length].copy_from_slice(&input[..4 * length]);
            portable::add_in_arena(expected, 0..length, right, to, &sum);
            add_in_arena(found, 0..length, right, to, &sum);
        }
        Operator::AddPixels => {
            let channels = if random.one_in(4) {
                random.within(1, 16)
            } else {
                16
            };
            let step = random.within(channels, 64);
            let most = if random.one_in(4) { 1000 } else { 30 };
            let count = random.within(1, most.min(INPUT / step));
            let rest = if random.one_in(2) { channels } else { step };
            let pixels = &input[..(count - 1) * step + rest];
            let mut sums = [[0; 16]; 2];
            sums[0].fill_with(|| random.word() as i32 >> 2);
            sums[1] = sums[0];
            portable::add_pixels(pixels, step, &mut sums[0][..channels]);
            add_pixels(pixels, step, &mut sums[1][..channels]);
            return sums[0] == sums[1];
        }
        Operator::Repeat => {
            let length = random.within(1, 100);
            let source = &input[random.within(0, 3)..][..length];
            let (start, target) = (random.within(0, 3), length * random.within(0, 16));
            portable::repeat(source, &mut expected[start..][..target]);
            repeat(source, &mut found[start..][..target]);
        }
        Operator::Lookup => {
            let length = random.within(1, 300);
            let (input, table) = (&input[..length], weights.first_chunk().unwrap());
            portable::lookup(input, table, &mut expected[..length]);
            lookup(input, table, &mut found[..length]);
        }
    }
    expected == found
}
