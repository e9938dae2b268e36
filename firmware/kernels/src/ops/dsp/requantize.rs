//! Accumulators to outputs in few instructions.

use core::arch::asm;

use super::super::Requantize;
use crate::requantize::multiply_by_quantized_multiplier;

/// Largest right shift for which the zero point can be added before the shift.
const MAX_SHIFT: i32 = 20;

/// How the outputs of a layer can be computed, found once per layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// As written in [`multiply_by_quantized_multiplier`].
    Any,
    /// Sums stay below 2^30 and are shifted right. `SMMULR` on twice the sum does the first rounding, an addition
    /// before the shift the second. One is taken off negative numbers: halves then go away from zero.
    Short,
    /// As [`Rounding::Short`], and the clamp is that of int8.
    ShortAndSaturated,
}

impl Rounding {
    /// How the outputs of a layer with so many taps can be computed.
    pub fn of(requantize: &Requantize, taps: usize) -> Rounding {
        let shifted_right = requantize
            .shifts
            .iter()
            .all(|shift| (-MAX_SHIFT..0).contains(&i32::from(*shift)));
        // |int8 * int8| <= 2^14.
        let room = (1u32 << 30).checked_sub((taps as u32) << 14);
        let below = |room: u32| {
            requantize
                .biases
                .iter()
                .all(|bias| bias.unsigned_abs() < room)
        };
        if taps >= 1 << 16 || !shifted_right || !room.is_some_and(below) {
            return Rounding::Any;
        }
        if (requantize.clamp.min, requantize.clamp.max) == (i8::MIN, i8::MAX) {
            Rounding::ShortAndSaturated
        } else {
            Rounding::Short
        }
    }
}

/// `x * y / 2^32`, rounded to nearest, halves up.
#[inline(always)]
pub fn high_product(x: i32, y: i32) -> i32 {
    let product;
    // SAFETY: reads and writes registers alone.
    unsafe {
        asm!(
            "smmulr {}, {}, {}",
            out(reg) product,
            in(reg) x,
            in(reg) y,
            options(pure, nomem, nostack),
        );
    }
    product
}

/// Scales the sums of `N` pixels and neighbouring channels, `first` the first of them, into `outputs`.
///
/// # Safety
/// `requantize` [`Requantize::fits`] these channels, and as many bytes may be written at each of `outputs`.
#[inline(always)]
pub unsafe fn scale<const N: usize>(
    requantize: &Requantize,
    rounding: Rounding,
    sums: &[[i32; N]],
    first: usize,
    outputs: [*mut i8; N],
) {
    // SAFETY: the caller's promise.
    unsafe {
        match rounding {
            Rounding::Any => scale_as::<N, 0>(requantize, sums, first, outputs),
            Rounding::Short => scale_as::<N, 1>(requantize, sums, first, outputs),
            Rounding::ShortAndSaturated => scale_as::<N, 2>(requantize, sums, first, outputs),
        }
    }
}

#[inline(never)]
unsafe fn scale_as<const N: usize, const ROUNDING: u8>(
    requantize: &Requantize,
    sums: &[[i32; N]],
    first: usize,
    mut outputs: [*mut i8; N],
) {
    let clamp = requantize.clamp;
    let zero_point = requantize.output_zero_point;
    let step = usize::from(requantize.shifts.len() > 1);
    // SAFETY: the caller's promise; one scale for all is never advanced.
    unsafe {
        let mut multipliers = requantize.multipliers.from(first * step);
        let mut shifts = requantize.shifts.as_ptr().add(first * step);
        for sums in sums {
            let multiplier = multipliers.read_unaligned();
            let shift = i32::from(*shifts);
            multipliers = multipliers.add(step);
            shifts = shifts.add(step);
            let right = -shift & 31;
            // Half a step and the zero point.
            let nudge = (1 << right >> 1) + (zero_point << right);
            for (sum, output) in sums.iter().zip(&mut outputs) {
                let value = if ROUNDING == 0 {
                    multiply_by_quantized_multiplier(*sum, multiplier, shift) + zero_point
                } else {
                    let scaled = high_product(sum << 1, multiplier);
                    (scaled + (scaled >> 31) + nudge) >> right
                };
                **output = if ROUNDING == 2 {
                    value.clamp(-128, 127) as i8
                } else {
                    clamp.apply(value)
                };
                *output = output.add(1);
            }
        }
    }
}
