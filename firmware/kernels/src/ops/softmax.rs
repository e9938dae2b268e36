//! `SOFTMAX` in fixed point, as gemmlowp's `fixedpoint.h` computes it in TFLM's `softmax.h`.
//!
//! `Qm.n` is an int32 with `m` integer and `n` fraction bits.

use crate::{
    fixed_point::{exp_on_negative_values, high_product, one_over_one_plus},
    requantize::rounding_shift_right,
};

/// Integer bits of the sum of exponentials, Q12.19.
const SUM_INTEGER_BITS: i32 = 12;
/// More channels could overflow the sum.
pub const MAX_CHANNELS: u32 = 4095;

/// Scales int8 differences to Q5.26.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoftmaxScale {
    /// Multiplier of a difference.
    pub multiplier: i32,
    /// Shift of a difference, in `0..=31`.
    pub left_shift: i32,
    /// Elements that lie further below the largest count as nothing; at most zero.
    pub diff_min: i32,
}

/// `SOFTMAX` over every `channels` neighbouring elements; the output has scale 1/256 and zero point -128.
#[inline(always)]
pub fn softmax(input: &[i8], channels: usize, scale: &SoftmaxScale, output: &mut [i8]) {
    let rows = input.chunks_exact(channels);
    for (row, output) in rows.zip(output.chunks_exact_mut(channels)) {
        let largest = row.iter().fold(i8::MIN, |a, b| a.max(*b));
        let exponential = |value: i8| {
            let diff = i32::from(value) - i32::from(largest);
            (diff >= scale.diff_min).then(|| {
                let raised = (i64::from(diff) << scale.left_shift) as i32;
                exp_on_negative_values::<5>(high_product(raised, scale.multiplier))
            })
        };
        let sum: i32 = row
            .iter()
            .filter_map(|value| exponential(*value))
            .map(|exp| rounding_shift_right(exp, SUM_INTEGER_BITS))
            .sum();
        let headroom = sum.leading_zeros() as i32;
        let fraction = ((sum as u32) << headroom).wrapping_sub(1 << 31) as i32;
        let reciprocal = one_over_one_plus(fraction);
        // SUM_INTEGER_BITS - headroom is the reciprocal's exponent; 31 - 8 bits become an int8.
        let exponent = SUM_INTEGER_BITS - headroom + 31 - 8;
        for (output, value) in output.iter_mut().zip(row) {
            *output = exponential(*value).map_or(i8::MIN, |exp| {
                // TFLM stops at more than 511 nearly equal channels; here all of them round to zero.
                let scaled = match exponent {
                    32.. => 0,
                    _ => rounding_shift_right(high_product(reciprocal, exp), exponent),
                };
                (scaled - 128).clamp(-128, 127) as i8
            });
        }
    }
}
