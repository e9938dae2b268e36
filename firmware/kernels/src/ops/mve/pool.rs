use core::arch::asm;

use super::super::{BLOCK, portable};

/// Pixels whose sums fit 16 bits.
const PIXELS: usize = 256;

/// Adds neighbouring channels of pixels that lie `step` bytes apart.
pub fn add_pixels(pixels: &[i8], step: usize, sums: &mut [i32]) {
    let Ok(sums) = <&mut [i32; BLOCK]>::try_from(&mut *sums) else {
        return portable::add_pixels(pixels, step, sums);
    };
    assert!(step >= BLOCK && (pixels.is_empty() || (pixels.len() - 1) % step >= BLOCK - 1));
    for pixels in pixels.chunks(PIXELS * step) {
        // SAFETY: so many pixels are there, each with a whole block of channels.
        unsafe { add_some(pixels.as_ptr(), step, pixels.len().div_ceil(step), sums) };
    }
}

/// # Safety
/// [`BLOCK`] bytes may be read at each of `count` pixels, of which there are at least one and no more than [`PIXELS`].
unsafe fn add_some(from: *const i8, step: usize, count: usize, sums: &mut [i32; BLOCK]) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "vmov.i16 q0, #0",
            "vmov.i16 q1, #0",
            "dls lr, {count}",
            "2:",
            "vldrb.s16 q2, [r0]",
            "vadd.i16 q0, q0, q2",
            "vldrb.s16 q3, [r0, #8]",
            "add r0, {step}",
            "vadd.i16 q1, q1, q3",
            "le lr, 2b",
            // Sums of even and odd channels, in two halves.
            ".irp q, q0, q1",
            "vld20.32 {{q2, q3}}, [{sums}]",
            "vld21.32 {{q2, q3}}, [{sums}]",
            "vmovlb.s16 q4, \\q",
            "vadd.i32 q2, q2, q4",
            "vmovlt.s16 q5, \\q",
            "vadd.i32 q3, q3, q5",
            "vst20.32 {{q2, q3}}, [{sums}]",
            "vst21.32 {{q2, q3}}, [{sums}]!",
            ".endr",
            count = in(reg) count,
            step = in(reg) step,
            // Bytes are widened through low registers alone.
            inout("r0") from => _,
            sums = inout(reg) sums => _,
            out("lr") _, out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _,
            out("d6") _, out("d7") _, out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            options(nostack),
        );
    }
}
