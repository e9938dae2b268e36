//! The butterfly of radix 4 with Helium: the same sums and products as the portable one, four at a time.
//!
//! The compiler vectorises most of this crate's loops by itself, but not this one.

#![expect(
    unsafe_code,
    reason = "vector instructions are reached by inline assembly"
)]

use core::arch::asm;

use super::fft::{Block, Twiddles};

/// As the portable butterfly.
#[inline(always)]
pub(super) fn butterfly(
    first: &mut Block,
    second: &mut Block,
    third: &mut Block,
    fourth: &mut Block,
    twiddles: &Twiddles,
) {
    // SAFETY: reads and writes 32 bytes of each block and reads 96 of the factors, all of them aligned to 4.
    unsafe {
        asm!(
            // The second block times its factors, joined with the first; the sums wait in place of the two.
            "vldrw.u32 q0, [{c}]",
            "vldrw.u32 q1, [{c}, #16]",
            "vldrw.u32 q2, [{w}, #32]",
            "vldrw.u32 q3, [{w}, #48]",
            "vmul.f32 q4, q0, q2",
            "vmul.f32 q5, q1, q3",
            "vmul.f32 q1, q1, q2",
            "vmul.f32 q0, q0, q3",
            "vadd.f32 q4, q4, q5",
            "vsub.f32 q5, q1, q0",
            "vldrw.u32 q0, [{a}]",
            "vldrw.u32 q1, [{a}, #16]",
            "vadd.f32 q6, q0, q4",
            "vadd.f32 q7, q1, q5",
            "vsub.f32 q4, q0, q4",
            "vsub.f32 q5, q1, q5",
            "vstrw.32 q6, [{a}]",
            "vstrw.32 q7, [{a}, #16]",
            "vstrw.32 q4, [{c}]",
            "vstrw.32 q5, [{c}, #16]",
            // The third and the fourth block times their factors.
            "vldrw.u32 q0, [{b}]",
            "vldrw.u32 q1, [{b}, #16]",
            "vldrw.u32 q2, [{w}]",
            "vldrw.u32 q3, [{w}, #16]",
            "vmul.f32 q4, q0, q2",
            "vmul.f32 q5, q1, q3",
            "vmul.f32 q1, q1, q2",
            "vmul.f32 q0, q0, q3",
            "vadd.f32 q4, q4, q5",
            "vsub.f32 q5, q1, q0",
            "vldrw.u32 q0, [{d}]",
            "vldrw.u32 q1, [{d}, #16]",
            "vldrw.u32 q2, [{w}, #64]",
            "vldrw.u32 q3, [{w}, #80]",
            "vmul.f32 q6, q0, q2",
            "vmul.f32 q7, q1, q3",
            "vmul.f32 q1, q1, q2",
            "vmul.f32 q0, q0, q3",
            "vadd.f32 q6, q6, q7",
            "vsub.f32 q7, q1, q0",
            // Their sum and their difference.
            "vadd.f32 q0, q4, q6",
            "vadd.f32 q1, q5, q7",
            "vsub.f32 q2, q4, q6",
            "vsub.f32 q3, q5, q7",
            "vldrw.u32 q4, [{a}]",
            "vldrw.u32 q5, [{a}, #16]",
            "vadd.f32 q6, q4, q0",
            "vadd.f32 q7, q5, q1",
            "vsub.f32 q4, q4, q0",
            "vsub.f32 q5, q5, q1",
            "vstrw.32 q6, [{a}]",
            "vstrw.32 q7, [{a}, #16]",
            "vstrw.32 q4, [{b}]",
            "vstrw.32 q5, [{b}, #16]",
            "vldrw.u32 q4, [{c}]",
            "vldrw.u32 q5, [{c}, #16]",
            "vadd.f32 q6, q4, q3",
            "vsub.f32 q7, q5, q2",
            "vsub.f32 q4, q4, q3",
            "vadd.f32 q5, q5, q2",
            "vstrw.32 q6, [{c}]",
            "vstrw.32 q7, [{c}, #16]",
            "vstrw.32 q4, [{d}]",
            "vstrw.32 q5, [{d}, #16]",
            a = in(reg) first,
            c = in(reg) second,
            b = in(reg) third,
            d = in(reg) fourth,
            w = in(reg) twiddles,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            out("d12") _, out("d13") _, out("d14") _, out("d15") _,
            options(nostack, preserves_flags),
        );
    }
}
