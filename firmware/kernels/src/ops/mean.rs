use super::{BLOCK, Clamp, pool::blocks};
use crate::requantize::multiply_by_quantized_multiplier;

/// Scale and zero points of `MEAN`. The multiplier includes one over the number of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeanScale {
    /// Zero point of the input.
    pub zero_point: i32,
    /// Multiplier of the sum.
    pub multiplier: i32,
    /// Shift of the sum, in `-31..=30`.
    pub shift: i32,
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// The range of the outputs.
    pub clamp: Clamp,
}

/// `MEAN` over height and width of an image `[pixels, channels]`; as many outputs as channels.
///
/// Source: `QuantizedMeanOrSum` in TFLM's `reduce.h`.
#[inline(always)]
pub fn mean(input: &[i8], scale: &MeanScale, output: &mut [i8]) {
    let channels = output.len();
    let zero = scale.zero_point * (input.len() / channels) as i32;
    for block in blocks(channels) {
        let mut sums = [0i32; BLOCK];
        let sums = &mut sums[..block.len()];
        let after = channels - block.end;
        super::add_pixels(&input[block.start..input.len() - after], channels, sums);
        for (value, sum) in output[block].iter_mut().zip(sums) {
            let scaled =
                multiply_by_quantized_multiplier(*sum - zero, scale.multiplier, scale.shift);
            *value = scale.clamp.apply(scaled + scale.output_zero_point);
        }
    }
}
