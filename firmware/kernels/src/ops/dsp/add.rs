use core::ops::Range;

use super::{
    super::{AddScales, portable},
    requantize::high_product,
};

/// `ADD` of two ranges of one arena into a third, which may lie exactly on either.
pub fn add_in_arena(
    arena: &mut [i8],
    left: Range<usize>,
    right: usize,
    to: usize,
    scales: &AddScales,
) {
    let length = left.len();
    assert!(left.end <= arena.len() && right + length <= arena.len() && to + length <= arena.len());
    let Some(halved) = scales.halved() else {
        return portable::add_in_arena(arena, left, right, to, scales);
    };
    let inputs = [left.start, right];
    let (plain, scaled, idx) = (inputs[halved], inputs[1 - halved], 1 - halved);
    if !(-20..0).contains(&scales.output_shift) {
        return portable::add_in_arena(arena, left, right, to, scales);
    }
    // SAFETY: the three ranges lie in the arena.
    unsafe {
        let start = arena.as_mut_ptr();
        let [plain, scaled, to] = [plain, scaled, to].map(|offset| start.add(offset));
        add(plain, scaled, to, length, scales, idx);
    }
}

/// `plain` counts half, `scaled` is input number `idx`.
///
/// No value reaches 2^30, so that twice each may be multiplied.
///
/// # Safety
/// `length` bytes may be read at both inputs and written at `to`.
#[inline(never)]
unsafe fn add(
    mut plain: *const i8,
    mut scaled: *const i8,
    mut to: *mut i8,
    length: usize,
    scales: &AddScales,
    idx: usize,
) {
    let multiplier = scales.multipliers[idx];
    let right = -scales.shifts[idx];
    let half = 1 << right >> 1;
    let away = i32::from(right > 0);
    let zero_point = scales.zero_points[idx] << 21;
    let plain_zero_point = scales.zero_points[1 - idx] << 19;
    let output_right = -scales.output_shift & 31;
    let nudge = (1 << output_right >> 1) + (scales.output_zero_point << output_right);
    let clamp = scales.clamp;
    // SAFETY: the caller's promise.
    unsafe {
        let end = to.add(length);
        while to != end {
            let value = high_product((i32::from(*scaled) << 21) - zero_point, multiplier);
            let value = (value - (i32::from(value < 0) & away) + half) >> right;
            let sum = (i32::from(*plain) << 19) - plain_zero_point + value;
            let sum = high_product(sum << 1, scales.output_multiplier);
            *to = clamp.apply((sum + (sum >> 31) + nudge) >> output_right);
            (plain, scaled, to) = (plain.add(1), scaled.add(1), to.add(1));
        }
    }
}
