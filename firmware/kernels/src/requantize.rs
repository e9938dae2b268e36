//! Fixed-point scaling of int32 accumulators, as gemmlowp and TensorFlow Lite for Microcontrollers do it.

/// `x * multiplier * 2^(shift - 31)`, rounded twice: once after the product, once after the shift.
///
/// `shift` is in `-31..=30`, and `x << shift` must fit where the shift is positive.
/// Source: `MultiplyByQuantizedMultiplier` of TFLM's reference kernels, built without `TFLITE_SINGLE_ROUNDING`.
#[inline(always)]
pub fn multiply_by_quantized_multiplier(x: i32, multiplier: i32, shift: i32) -> i32 {
    let shifted = x << shift.max(0);
    // gemmlowp rounds with a nudge that depends on the sign and a division that truncates; that is this arithmetic
    // shift. Its saturation concerns only i32::MIN times itself, and multipliers are not negative.
    let product = i64::from(shifted) * i64::from(multiplier) + (1 << 30);
    rounding_shift_right((product >> 31) as i32, (-shift).max(0))
}

/// `x / 2^by`, rounded to nearest, halves away from zero; `by` is in `0..=31`.
#[inline(always)]
pub fn rounding_shift_right(x: i32, by: i32) -> i32 {
    let mask = ((1u32 << by) - 1) as i32;
    let threshold = (mask >> 1) + i32::from(x < 0);
    (x >> by) + i32::from((x & mask) > threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_as_gemmlowp() {
        let check = |x, multiplier, shift, expected| {
            let found = multiply_by_quantized_multiplier(x, multiplier, shift);
            assert_eq!(found, expected, "{x} * {multiplier} * 2^({shift} - 31)");
        };
        const HALF: i32 = 1 << 30;
        check(100, HALF, 0, 50);
        check(101, HALF, 0, 51);
        // The first rounding is up, the second away from zero.
        check(-101, HALF, 0, -50);
        check(3, HALF, -1, 1);
        check(-3, HALF, -1, -1);
        check(5, HALF, -1, 2);
        check(-5, HALF, -1, -1);
        check(-6, HALF, -1, -2);
        check(7, HALF, 3, 28);
        check(i32::MAX, i32::MAX, 0, i32::MAX - 1);
        check(i32::MIN, i32::MAX, 0, -i32::MAX);
        check(i32::MAX, i32::MAX, -31, 1);
        check(12345, 0, -7, 0);
        check(123_456_789, 1_717_986_918, -9, 192_901);
    }

    #[test]
    fn equals_gemmlowp_as_published() {
        // fixedpoint.h, with its truncating division and its two nudges.
        let published = |x: i32, multiplier: i32, shift: i32| {
            let product = i64::from(x << shift.max(0)) * i64::from(multiplier);
            let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
            let high = ((product + nudge) / (1i64 << 31)) as i32;
            let by = (-shift).max(0);
            let mask = ((1i64 << by) - 1) as i32;
            let remainder = high & mask;
            let threshold = (mask >> 1) + i32::from(high < 0);
            (high >> by) + i32::from(remainder > threshold)
        };
        let mut state = 1u64;
        for _ in 0..200_000 {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let multiplier = (state >> 33) as i32 & i32::MAX;
            let shift = (state >> 20 & 31) as i32 - 28;
            let x = (state as i32) >> (state >> 40 & 31).max(4);
            let found = multiply_by_quantized_multiplier(x, multiplier, shift);
            assert_eq!(
                found,
                published(x, multiplier, shift),
                "{x} {multiplier} {shift}"
            );
        }
    }
}
