//! Functions of fixed-point numbers, as gemmlowp's `fixedpoint.h` computes them.
//!
//! `Qm.n` is an int32 with `m` integer and `n` fraction bits, `m + n = 31`.

use crate::requantize::rounding_shift_right;

/// `exp(a)` in Q0.31 for a number of so many integer bits, 1 to 5, that is not positive.
pub fn exp_on_negative_values<const INTEGER_BITS: u32>(a: i32) -> i32 {
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
    let quarter_bit = 31 - INTEGER_BITS - 2;
    let quarter = 1 << quarter_bit;
    if a == 0 {
        return i32::MAX;
    }
    let in_quarter = (a & (quarter - 1)) - quarter;
    let mut result = exp_on_last_quarter(saturating_shift_left(in_quarter, INTEGER_BITS));
    let remainder = in_quarter.wrapping_sub(a);
    // Numbers with fewer integer bits do not reach the last factors.
    for (bit, factor) in (quarter_bit..31).zip(FACTORS) {
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

/// `1 / (1 + a)` in Q0.31 for a Q0.31 in `0..1`.
pub fn one_over_one_plus(a: i32) -> i32 {
    saturating_shift_left(two_over_one_plus(a), 1)
}

/// `2 / (1 + a)` in Q2.29 for a Q0.31 in `0..1`: three steps of Newton and Raphson.
pub fn two_over_one_plus(a: i32) -> i32 {
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
    x
}

/// gemmlowp's `SaturatingRoundingDoublingHighMul`.
#[inline(always)]
pub fn high_product(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    ((i64::from(a) * i64::from(b) + (1 << 30)) >> 31) as i32
}

/// `x * 2^by`, or the end of 32 bits that it passes.
#[inline(always)]
pub fn saturating_shift_left(x: i32, by: u32) -> i32 {
    (i64::from(x) << by).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exponential<const INTEGER_BITS: u32>() {
        let scale = f64::from(1 << 30) * 2.0;
        let fraction_bits = 31 - INTEGER_BITS;
        for a in (-(((1 << INTEGER_BITS) - 1) << fraction_bits)..=0).step_by(999_983) {
            let expected = (f64::from(a) / f64::from(1 << fraction_bits)).exp();
            let found = f64::from(exp_on_negative_values::<INTEGER_BITS>(a)) / scale;
            // gemmlowp's own tests allow 5e-7 relative and one step of a Q0.31.
            assert!(
                (found - expected).abs() < 5e-7 * expected + 1e-9,
                "exp of {a}"
            );
        }
    }

    #[test]
    fn fixed_point_functions_are_close_to_the_real_ones() {
        exponential::<4>();
        exponential::<5>();
        let scale = f64::from(1 << 30) * 2.0;
        for a in (0..i32::MAX).step_by(999_983) {
            let expected = 1.0 / (1.0 + f64::from(a) / scale);
            let found = f64::from(one_over_one_plus(a)) / scale;
            assert!((found - expected).abs() < 5e-7, "1 / (1 + {a})");
        }
    }
}
