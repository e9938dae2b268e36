//! The operators: free functions on slices, NHWC, batch 1.
//!
//! Lengths must agree with the parameters; [`crate::Model::parse`] makes sure of that for a blob.

/// Runs `$body` for blocks of neighbouring channels: as many of the first width as there are, then of the next.
///
/// `$block` is an array of a block's outputs, `$first` its first channel; the last width is 1.
macro_rules! for_blocks {
    ($output:expr, [$($width:expr),+], |$first:ident, $block:ident| $body:expr) => {
        let (mut done, rest) = (0, $output);
        $(
            let (blocks, rest) = rest.as_chunks_mut::<{ $width }>();
            for $block in blocks {
                let $first = done;
                $body;
                done += $width;
            }
        )+
        debug_assert!(rest.is_empty());
    };
}

mod add;
mod convolution;
mod depthwise;
mod fully_connected;
mod lookup;
mod max_pool;
mod mean;
mod multiply;
mod pad;
mod pool;
mod softmax;
mod upsample;

// Only the widest enabled build is compiled.
#[cfg(all(feature = "dsp", not(any(feature = "mve", feature = "portable"))))]
mod dsp;
#[cfg(all(feature = "mve", not(feature = "portable")))]
mod mve;
#[cfg(all(any(feature = "dsp", feature = "mve"), not(feature = "portable")))]
mod runs;

/// Plain Rust builds of the operators that have other builds, too. The host runs them, and they are the reference.
pub mod portable {
    pub use super::{
        add::add_in_arena, convolution::conv2d, depthwise::depthwise_conv2d,
        fully_connected::fully_connected, lookup::lookup, pool::add_pixels, upsample::repeat,
    };
}

#[cfg(all(feature = "dsp", not(any(feature = "mve", feature = "portable"))))]
use dsp as build;
#[cfg(all(feature = "mve", not(feature = "portable")))]
use mve as build;
#[cfg(any(not(any(feature = "dsp", feature = "mve")), feature = "portable"))]
use portable as build;

pub use add::{AddScales, add};
pub use build::{
    add_in_arena, add_pixels, conv2d, depthwise_conv2d, fully_connected, lookup, repeat,
};
pub use max_pool::max_pool2d;
pub use mean::{MeanScale, mean};
pub use multiply::{MAX_PRODUCT_SHIFT, ProductScale, multiply_in_arena};
pub use pad::pad;
pub use pool::average_pool2d;
pub use softmax::{MAX_CHANNELS, SoftmaxScale, softmax};
pub use upsample::upsample;

use crate::{Words, requantize::multiply_by_quantized_multiplier};

/// Output channels that are computed together.
const BLOCK: usize = 16;

/// The geometry of an operator with a window that slides over an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sliding {
    /// Height, width, channels.
    pub input: [usize; 3],
    /// Height, width, channels.
    pub output: [usize; 3],
    /// Height and width of the window in pixels.
    pub kernel: [usize; 2],
    /// Pixels from one window to the next, height first.
    pub stride: [usize; 2],
    /// Padding before the first row and column.
    pub pad: [usize; 2],
}

impl Sliding {
    /// The part `start..end` of the kernel that lies on the image for an output row (axis 0) or column (axis 1), and
    /// the input row or column of the kernel's first tap, which may be negative.
    #[inline(always)]
    fn valid(&self, axis: usize, output: usize) -> (usize, usize, isize) {
        let origin = (output * self.stride[axis]) as isize - self.pad[axis] as isize;
        let start = (-origin).max(0) as usize;
        let end = (self.input[axis] as isize - origin).max(0) as usize;
        (start, end.min(self.kernel[axis]), origin)
    }

    /// Whether input and output have as many elements as the shapes say.
    #[cfg(all(any(feature = "dsp", feature = "mve"), not(feature = "portable")))]
    fn fits(&self, input: &[i8], output: &[i8]) -> bool {
        input.len() == self.input.iter().product() && output.len() == self.output.iter().product()
    }
}

/// Turns int32 accumulators into int8 outputs.
#[derive(Debug, Clone, Copy)]
pub struct Requantize<'a> {
    /// One per output channel, with `-input_zero_point * sum(weights)` already added.
    pub biases: Words<'a>,
    /// Multipliers: one per output channel, or one for all.
    pub multipliers: Words<'a>,
    /// Shifts: as many as multipliers, each in `-31..=30`.
    pub shifts: &'a [i8],
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// The range of the outputs.
    pub clamp: Clamp,
}

/// The range of int8 outputs; an activation acts through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clamp {
    /// The smallest output.
    pub min: i8,
    /// The largest output.
    pub max: i8,
}

impl Clamp {
    #[inline(always)]
    fn apply(&self, value: i32) -> i8 {
        value.clamp(i32::from(self.min), i32::from(self.max)) as i8
    }
}

impl Requantize<'_> {
    /// Whether there are parameters for so many output channels.
    #[cfg(all(any(feature = "dsp", feature = "mve"), not(feature = "portable")))]
    fn fits(&self, channels: usize) -> bool {
        let scales = self.shifts.len();
        self.biases.len() == channels
            && self.multipliers.len() == scales
            && (scales == 1 || scales == channels)
    }

    /// Whether whole words may be read at once: a blob may lie at any address.
    #[cfg(all(feature = "mve", not(feature = "portable")))]
    fn is_aligned(&self) -> bool {
        self.biases.from(0).is_aligned() && self.multipliers.from(0).is_aligned()
    }

    /// Scales `N` neighbouring channels, the first of them `first`.
    #[inline(always)]
    fn block<const N: usize>(&self, accumulators: [i32; N], first: usize, output: &mut [i8; N]) {
        let (multipliers, shifts): ([i32; N], [i8; N]) = if self.shifts.len() == 1 {
            ([self.multipliers.get(0); N], [self.shifts[0]; N])
        } else {
            let shifts = &self.shifts[first..first + N];
            (
                self.multipliers.block(first),
                core::array::from_fn(|idx| shifts[idx]),
            )
        };
        for idx in 0..N {
            let shift = i32::from(shifts[idx]);
            let scaled =
                multiply_by_quantized_multiplier(accumulators[idx], multipliers[idx], shift);
            output[idx] = self.clamp.apply(scaled + self.output_zero_point);
        }
    }
}
