use super::{BLOCK, Clamp};
use crate::requantize::multiply_by_quantized_multiplier;

/// Scale and zero points of `MEAN`; the multiplier includes one over the number of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeanScale {
    pub zero_point: i32,
    pub multiplier: i32,
    /// In `-31..=30`.
    pub shift: i32,
    pub output_zero_point: i32,
    pub clamp: Clamp,
}

/// `MEAN` over height and width of an image `[pixels, channels]`; as many outputs as channels.
///
/// Source: `QuantizedMeanOrSum` in TFLM's `reduce.h`.
#[inline(always)]
pub fn mean(input: &[i8], scale: &MeanScale, output: &mut [i8]) {
    let channels = output.len();
    let zero = scale.zero_point * (input.len() / channels) as i32;
    for (block_idx, block) in output.chunks_mut(BLOCK).enumerate() {
        let mut sums = [0i32; BLOCK];
        for pixel in input.chunks_exact(channels) {
            let values = &pixel[block_idx * BLOCK..][..block.len()];
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += i32::from(*value);
            }
        }
        for (value, sum) in block.iter_mut().zip(sums) {
            let scaled =
                multiply_by_quantized_multiplier(sum - zero, scale.multiplier, scale.shift);
            *value = scale.clamp.apply(scaled + scale.output_zero_point);
        }
    }
}
