use core::ops::Range;

use super::Clamp;
use crate::requantize::multiply_by_quantized_multiplier;

/// Bits by which `ADD` raises both inputs before it scales them to a common scale. Source: TFLM `add_common.cc`.
const LEFT_SHIFT: i32 = 20;

/// Scales and zero points of `ADD`; every shift is in `-31..=0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddScales {
    /// Zero points of the two inputs.
    pub zero_points: [i32; 2],
    /// Multipliers of the two inputs.
    pub multipliers: [i32; 2],
    /// Shifts of the two inputs.
    pub shifts: [i32; 2],
    /// Zero point of the output.
    pub output_zero_point: i32,
    /// Multiplier of the sum.
    pub output_multiplier: i32,
    /// Shift of the sum.
    pub output_shift: i32,
    /// The range of the outputs.
    pub clamp: Clamp,
}

#[cfg(all(any(feature = "dsp", feature = "mve"), not(feature = "portable")))]
impl AddScales {
    /// Index of the input with the larger scale, if it is only halved: its scaling is then a shift. `None` where
    /// neither input is only halved.
    pub(super) fn halved(&self) -> Option<usize> {
        (0..2).find(|idx| self.multipliers[*idx] == 1 << 30 && self.shifts[*idx] == 0)
    }
}

/// `ADD` of two equally long slices.
#[inline(always)]
pub fn add(left: &[i8], right: &[i8], scales: &AddScales, output: &mut [i8]) {
    let scaled = |value: i8, idx: usize| {
        let raised = (i32::from(value) - scales.zero_points[idx]) << LEFT_SHIFT;
        multiply_by_quantized_multiplier(raised, scales.multipliers[idx], scales.shifts[idx])
    };
    for ((left, right), output) in left.iter().zip(right).zip(output) {
        let sum = scaled(*left, 0) + scaled(*right, 1);
        let sum =
            multiply_by_quantized_multiplier(sum, scales.output_multiplier, scales.output_shift);
        *output = scales.clamp.apply(sum + scales.output_zero_point);
    }
}

/// `ADD` of two ranges of one arena into a third, which may lie exactly on either. It works piece by piece on copies.
#[inline(always)]
pub fn add_in_arena(
    arena: &mut [i8],
    left: Range<usize>,
    right: usize,
    to: usize,
    scales: &AddScales,
) {
    const PIECE: usize = 64;
    let (mut left_piece, mut right_piece) = ([0; PIECE], [0; PIECE]);
    for done in (0..left.len()).step_by(PIECE) {
        let length = PIECE.min(left.len() - done);
        left_piece[..length].copy_from_slice(&arena[left.start + done..][..length]);
        right_piece[..length].copy_from_slice(&arena[right + done..][..length]);
        let output = &mut arena[to + done..][..length];
        add(
            &left_piece[..length],
            &right_piece[..length],
            scales,
            output,
        );
    }
}
