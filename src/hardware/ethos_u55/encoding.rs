//! Size of weights as the NPU's decoder reads them.
//!
//! Weights lie in the order of computation, in slices of output channels; each slice starts with its biases and
//! scales. Zeros fill blocks that are not full. After `Scheduler::TryEncodeWeightAndScaleTensor` and
//! `EthosUWeightOrdering` of Vela's Regor core (Apache-2.0).

use super::{
    cycles::CHANNEL_BYTES,
    layer::{Kind, Layer},
    system::Accelerator,
};

/// Streams start and end at multiples of this many bytes.
const ALIGNMENT: usize = 16;

/// How densely the weights of one operator are coded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coding {
    /// Bits per weight; zeros that fill blocks count as weights.
    pub bits: f64,
    /// Bits at the head and the end of every stream.
    pub header_bits: f64,
}

/// Encoded size of a layer's weights, for any slice of its output channels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Encoded {
    stored_per_channel: usize,
    channel_step: usize,
    coding: Coding,
}

/// Bytes of one slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Bytes of biases and scales.
    pub biases: usize,
    /// Bytes of weights.
    pub weights: usize,
}

impl Range {
    /// Bytes of both.
    pub fn total(&self) -> usize {
        self.biases + self.weights
    }
}

impl Encoded {
    /// The encoded size, from stored weights per output channel and their coding.
    pub fn new(stored_per_channel: usize, accelerator: &Accelerator, coding: Coding) -> Encoded {
        Encoded {
            stored_per_channel,
            channel_step: accelerator.micro_block.channels,
            coding,
        }
    }

    /// The size of a slice of this many output channels.
    pub fn range(&self, channels: usize) -> Range {
        let stored = self.stored_per_channel * channels.next_multiple_of(self.channel_step);
        let bits = stored as f64 * self.coding.bits + self.coding.header_bits;
        let bytes = (bits / 8.0).ceil() as usize;
        Range {
            biases: (CHANNEL_BYTES * channels).next_multiple_of(ALIGNMENT),
            weights: bytes.next_multiple_of(ALIGNMENT),
        }
    }
}

/// Weights per output channel, with the zeros that fill blocks: taps in fours, or input channels in blocks.
pub fn stored_per_channel(layer: &Layer) -> usize {
    let in_fours = || {
        layer
            .sub_kernels()
            .map(|taps| taps.next_multiple_of(4))
            .sum::<usize>()
    };
    match layer.kind {
        Kind::Depthwise => in_fours(),
        _ if layer.is_part_kernel() => in_fours() * layer.input.channels.next_multiple_of(8),
        _ => layer.kernel[0] * layer.kernel[1] * layer.input.channels.next_multiple_of(32),
    }
}

/// The coding of weights from a normal distribution, for use before training.
///
/// Bits per weight fall with the number `n` of weights that share a scale, because the largest of them lies further
/// out: 8.3 - 0.115 log2 n, fitted to Vela 5.2 on random candidates of our spaces (7.7 for 9 taps, 6.7 for 16,000
/// fully connected weights). Where zeros fill blocks, each weight also carries the length of the run of zeros before
/// it, coded with zero to three remainder bits.
pub fn untrained(layer: &Layer) -> Coding {
    let taps = layer.kernel[0] * layer.kernel[1];
    let (real, sharing) = match layer.kind {
        Kind::Depthwise => (taps, taps),
        Kind::Dense => (
            layer.input.channels,
            layer.input.channels * layer.output.channels,
        ),
        _ => (taps * layer.input.channels, taps * layer.input.channels),
    };
    let value_bits = 8.3 - 0.115 * (sharing as f64).log2();
    let zeros = (stored_per_channel(layer) - real) as f64 / real as f64;
    let real_bits = if zeros < RUNS_PAY {
        value_bits * (1.0 + zeros)
    } else {
        value_bits + run_bits(layer, zeros)
    };
    Coding {
        bits: real_bits / (1.0 + zeros),
        header_bits: UNTRAINED_HEADER_BITS,
    }
}

/// A header, a palette of 32 entries of 8 or 9 bits, and the end marker.
const UNTRAINED_HEADER_BITS: f64 = 340.0;

/// Runs are coded from this many filling zeros per weight: five times as many as the most common other value.
const RUNS_PAY: f64 = 0.06;

/// Bits of run lengths per weight, for `zeros` filling zeros per weight.
fn run_bits(layer: &Layer, zeros: f64) -> f64 {
    // With fewer than eight input channels, zeros follow every pixel; all other zeros come in long runs.
    let channels = layer.input.channels;
    let has_gaps = layer.kind != Kind::Depthwise && layer.is_part_kernel() && channels < 8;
    let gap = if has_gaps { 8 - channels } else { 0 };
    let in_gaps = gap as f64 / channels as f64;
    let bits = |rest: i32| {
        let gaps = (gap >> rest) as f64 / channels as f64;
        f64::from(1 + rest) + gaps + (zeros - in_gaps).max(0.0) / 2f64.powi(rest)
    };
    (0..4).map(bits).fold(f64::INFINITY, f64::min)
}
