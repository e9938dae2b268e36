//! `SOFTMAX` in fixed point, as gemmlowp's `fixedpoint.h` computes it in TFLM's `softmax.h`.
//!
//! `Qm.n` is an int32 with `m` integer and `n` fraction bits.

use crate::requantize::rounding_shift_right;

/// Fraction bits of the exponential's argument, Q5.26.
const ARGUMENT_BITS: i32 = 26;
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
                exp_on_negative_values(high_product(raised, scale.multiplier))
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

/// `exp(a)` in Q0.31 for a Q5.26 that is not positive.
fn exp_on_negative_values(a: i32) -> i32 {
    const QUARTER: i32 = 1 << (ARGUMENT_BITS - 2);
    /// `exp(-2^n)` in Q0.31, for n from -2 on.
    const FACTORS: [i32; 7] = [
        1_672_461_947,
        1_302_514_674,
        790_015_084,
        290_630_308,
        39_332_535,
        720_401,
        242,
    ];
    if a == 0 {
        return i32::MAX;
    }
    let in_quarter = (a & (QUARTER - 1)) - QUARTER;
    let mut result = exp_on_last_quarter(saturating_shift_left(in_quarter, 5));
    let remainder = in_quarter.wrapping_sub(a);
    for (bit, factor) in (ARGUMENT_BITS - 2..).zip(FACTORS) {
        if remainder & (1 << bit) != 0 {
            result = high_product(result, factor);
        }
    }
    result
}

/// `exp(a)` in Q0.31 for a Q0.31 in `-1/4..0`: a Taylor series around -1/8.
fn exp_on_last_quarter(a: i32) -> i32 {
    /// `exp(-1/8)`.
    const CONSTANT: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let x = a + (1 << 28);
    let x2 = high_product(x, x);
    let x3 = high_product(x2, x);
    let x4 = high_product(x2, x2);
    let x4_over_4 = rounding_shift_right(x4, 2);
    let tail = high_product(x4_over_4 + x3, THIRD) + x2;
    let tail = rounding_shift_right(tail, 1);
    CONSTANT + high_product(CONSTANT, x + tail)
}

/// `1 / (1 + a)` in Q0.31 for a Q0.31 in `0..1`: three steps of Newton and Raphson.
fn one_over_one_plus(a: i32) -> i32 {
    /// 48/17 and -32/17 in Q2.29.
    const START: [i32; 2] = [1_515_870_810, -1_010_580_540];
    const ONE: i32 = 1 << 29;
    // The mean of `a` and the largest Q0.31, rounded to nearest; neither is negative.
    let half_denominator = ((i64::from(a) + i64::from(i32::MAX) + 1) / 2) as i32;
    let mut x = START[0] + high_product(half_denominator, START[1]);
    for _ in 0..3 {
        let error = ONE - high_product(half_denominator, x);
        x += saturating_shift_left(high_product(x, error), 2);
    }
    saturating_shift_left(x, 1)
}

/// gemmlowp's `SaturatingRoundingDoublingHighMul`.
#[inline(always)]
fn high_product(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    ((i64::from(a) * i64::from(b) + (1 << 30)) >> 31) as i32
}

#[inline(always)]
fn saturating_shift_left(x: i32, by: u32) -> i32 {
    (i64::from(x) << by).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_point_functions_are_close_to_the_real_ones() {
        let scale = f64::from(1 << 30) * 2.0;
        for a in (-31 << ARGUMENT_BITS..=0).step_by(999_983) {
            let expected = (f64::from(a) / f64::from(1 << ARGUMENT_BITS)).exp();
            let found = f64::from(exp_on_negative_values(a)) / scale;
            // gemmlowp's own tests allow 5e-7 relative and one step of a Q0.31.
            assert!(
                (found - expected).abs() < 5e-7 * expected + 1e-9,
                "exp of {a}"
            );
        }
        for a in (0..i32::MAX).step_by(999_983) {
            let expected = 1.0 / (1.0 + f64::from(a) / scale);
            let found = f64::from(one_over_one_plus(a)) / scale;
            assert!((found - expected).abs() < 5e-7, "1 / (1 + {a})");
        }
    }
}
