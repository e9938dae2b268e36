use core::{arch::asm, ops::Range};

use super::super::{AddScales, portable};

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
    // SAFETY: the three ranges lie in the arena.
    unsafe {
        let start = arena.as_mut_ptr();
        let [plain, scaled, to] = [plain, scaled, to].map(|offset| start.add(offset));
        if i32::from(scales.clamp.min) >= scales.output_zero_point {
            add_as::<0>(plain, scaled, to, length, scales, idx);
        } else {
            add_as::<1>(plain, scaled, to, length, scales, idx);
        }
    }
}

/// `plain` counts half, `scaled` is input number `idx`.
///
/// # Safety
/// `length` bytes may be read at both inputs and written at `to`.
unsafe fn add_as<const AWAY: u32>(
    plain: *const i8,
    scaled: *const i8,
    to: *mut i8,
    length: usize,
    scales: &AddScales,
    idx: usize,
) {
    let constants = Constants {
        shift: [scales.shifts[idx]; 4],
        output_shift: [scales.output_shift; 4],
        min: i32::from(scales.clamp.min),
        max: i32::from(scales.clamp.max),
    };
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "vldrw.u32 q4, [{constants}]",
            "vldrw.u32 q5, [{constants}, #16]",
            "ldrd r3, r4, [{constants}, #32]",
            "vdup.32 q6, r3",
            "vdup.32 q7, r4",
            "dlstp.32 lr, {length}",
            "2:",
            "vldrb.s32 q0, [r1], #4",
            "vldrb.s32 q1, [r0], #4",
            "vshl.i32 q0, q0, #20",
            "vshl.i32 q1, q1, #19",
            "vsub.i32 q0, q0, {zero_point}",
            "vqrdmulh.s32 q0, q0, {multiplier}",
            "vand q2, q0, q4",
            "vshr.s32 q2, q2, #31",
            "vqadd.s32 q0, q0, q2",
            "vrshl.s32 q0, q0, q4",
            "vsub.i32 q1, q1, {plain_zero_point}",
            "vadd.i32 q0, q0, q1",
            "vqrdmulh.s32 q0, q0, {output_multiplier}",
            ".if {AWAY}",
            "vand q2, q0, q5",
            "vshr.s32 q2, q2, #31",
            "vqadd.s32 q0, q0, q2",
            ".endif",
            "vrshl.s32 q0, q0, q5",
            "vadd.i32 q0, q0, {output_zero_point}",
            "vmax.s32 q0, q0, q6",
            "vmin.s32 q0, q0, q7",
            "vstrb.32 q0, [r2], #4",
            "letp lr, 2b",
            AWAY = const AWAY,
            constants = in(reg) &constants,
            zero_point = in(reg) scales.zero_points[idx] << 20,
            plain_zero_point = in(reg) scales.zero_points[1 - idx] << 19,
            multiplier = in(reg) scales.multipliers[idx],
            output_multiplier = in(reg) scales.output_multiplier,
            output_zero_point = in(reg) scales.output_zero_point,
            length = in(reg) length,
            // Bytes are widened and narrowed through low registers alone.
            inout("r0") plain => _,
            inout("r1") scaled => _,
            inout("r2") to => _,
            out("r3") _, out("r4") _, out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d8") _,
            out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _, out("d14") _, out("d15") _,
            options(nostack),
        );
    }
}

/// Four lanes of each shift, and the clamp.
#[repr(C)]
struct Constants {
    shift: [i32; 4],
    output_shift: [i32; 4],
    min: i32,
    max: i32,
}
