use core::arch::asm;

use super::super::{BLOCK, portable};

/// Pixels whose sums fit 16 bits.
const PIXELS: usize = 256;

/// Channels that are added together.
const LANES: usize = 8;

/// Adds neighbouring channels of pixels that lie `step` bytes apart.
pub fn add_pixels(pixels: &[i8], step: usize, sums: &mut [i32]) {
    if sums.len() != BLOCK {
        return portable::add_pixels(pixels, step, sums);
    }
    assert!(step >= BLOCK && (pixels.is_empty() || (pixels.len() - 1) % step >= BLOCK - 1));
    for pixels in pixels.chunks(PIXELS * step) {
        let count = pixels.len().div_ceil(step);
        for (idx, sums) in sums.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            // SAFETY: so many pixels are there, each with a whole block of channels.
            let halves = unsafe { add_some(pixels.as_ptr().add(idx * LANES), step, count) };
            for (sums, halves) in sums.as_chunks_mut::<4>().0.iter_mut().zip(halves) {
                let [even, odd] = halves;
                for (sum, half) in sums.iter_mut().zip([even, odd, even >> 16, odd >> 16]) {
                    *sum += i32::from(half as i16);
                }
            }
        }
    }
}

/// Sums of two by four channels, even and odd ones apart, two in a word.
///
/// # Safety
/// [`LANES`] bytes may be read at each of `count` pixels, of which there are at least one and no more than [`PIXELS`].
unsafe fn add_some(from: *const i8, step: usize, count: usize) -> [[u32; 2]; 2] {
    let mut sums = [[0; 2]; 2];
    let [[a, b], [c, d]] = &mut sums;
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "1:",
            "ldr {low}, [{from}]",
            "ldr {high}, [{from}, #4]",
            "add {from}, {step}",
            "sxtab16 {a}, {a}, {low}",
            "sxtab16 {b}, {b}, {low}, ror #8",
            "sxtab16 {c}, {c}, {high}",
            "sxtab16 {d}, {d}, {high}, ror #8",
            "subs {count}, #1",
            "bne 1b",
            low = out(reg) _,
            high = out(reg) _,
            from = inout(reg) from => _,
            step = in(reg) step,
            count = inout(reg) count => _,
            a = inout(reg) *a,
            b = inout(reg) *b,
            c = inout(reg) *c,
            d = inout(reg) *d,
            options(nostack, readonly),
        );
    }
    sums
}
