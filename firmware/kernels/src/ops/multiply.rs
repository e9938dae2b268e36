use core::ops::Range;

use super::Clamp;
use crate::requantize::multiply_by_quantized_multiplier;

/// The largest shift of a product: 17 bits are shifted left within 32.
pub const MAX_PRODUCT_SHIFT: i32 = 14;

/// Scale and zero points of `MUL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProductScale {
    /// Zero points of the two inputs.
    pub zero_points: [i32; 2],
    /// Multiplier of the product.
    pub multiplier: i32,
    /// Shift of the product, in `-31..=`[`MAX_PRODUCT_SHIFT`].
    pub shift: i32,
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// The range of the outputs.
    pub clamp: Clamp,
}

/// `MUL` of two ranges of one arena into a third, which lies on neither; a shorter second one is repeated.
///
/// Source: `MulElementwise` in TFLM's `integer_ops/mul.h`.
#[inline(always)]
pub fn multiply_in_arena(
    arena: &mut [i8],
    left: Range<usize>,
    right: Range<usize>,
    to: usize,
    scale: &ProductScale,
) {
    let [left_zero, right_zero] = scale.zero_points;
    for done in (0..left.len()).step_by(right.len().max(1)) {
        for (idx, right) in right.clone().enumerate() {
            let left = i32::from(arena[left.start + done + idx]) - left_zero;
            let product = left * (i32::from(arena[right]) - right_zero);
            let scaled = multiply_by_quantized_multiplier(product, scale.multiplier, scale.shift);
            arena[to + done + idx] = scale.clamp.apply(scaled + scale.output_zero_point);
        }
    }
}
