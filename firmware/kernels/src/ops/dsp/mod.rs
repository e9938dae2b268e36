//! The operators for Armv7E-M with the DSP extension (Cortex-M4, M7), bit for bit as the portable ones.
//!
//! `SMLAD` adds two 16-bit products to a sum. Bytes become halfwords in two steps that keep every second one. Inputs
//! are therefore unpacked once, into that order, and all weight rows share them.

#![expect(
    unsafe_code,
    reason = "DSP instructions are reached by inline assembly"
)]

mod add;
mod convolution;
mod depthwise;
mod fully_connected;
mod pool;
mod requantize;
mod upsample;

pub use super::portable::lookup;
pub use add::add_in_arena;
pub use convolution::conv2d;
pub use depthwise::depthwise_conv2d;
pub use fully_connected::fully_connected;
pub use pool::add_pixels;
pub use upsample::repeat;

use core::arch::asm;

/// Bytes 0 and 2 of a word as signed halfwords.
#[inline(always)]
fn even_bytes(word: u32) -> u32 {
    let halves;
    // SAFETY: reads and writes registers alone.
    unsafe { asm!("sxtb16 {}, {}", out(reg) halves, in(reg) word, options(pure, nomem, nostack)) };
    halves
}

/// Bytes 1 and 3 of a word as signed halfwords.
#[inline(always)]
fn odd_bytes(word: u32) -> u32 {
    even_bytes(word >> 8)
}

/// Unpacks inputs in fours: bytes 0 and 2, then bytes 1 and 3, as weights are unpacked in the inner loops.
///
/// A last incomplete four ends with zeros. Words of one four lie `STEP` words apart, and so do fours.
///
/// # Safety
/// `length` bytes may be read at `from`, and `2 * STEP * length.div_ceil(4)` words written at `to`.
#[inline(always)]
unsafe fn unpack<const STEP: usize>(from: *const i8, length: usize, to: *mut u32) {
    let (fours, rest) = (length / 4, length % 4);
    // SAFETY: the caller's promise.
    unsafe {
        if fours > 0 {
            unpack_fours::<STEP>(from, fours, to);
        }
        if rest > 0 {
            let mut last = [0; 4];
            for (idx, byte) in last[..rest].iter_mut().enumerate() {
                *byte = *from.add(4 * fours + idx);
            }
            unpack_fours::<STEP>(last.as_ptr(), 1, to.add(2 * STEP * fours));
        }
    }
}

/// # Safety
/// As [`unpack`]; there is at least one four.
#[inline(always)]
unsafe fn unpack_fours<const STEP: usize>(from: *const i8, fours: usize, to: *mut u32) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "tst {fours}, #1",
            "add {fours}, {from}, {fours}, lsl #2",
            "bne 2f",
            "1:",
            ".irp half, 0, 1",
            ".if \\half",
            "2:",
            ".endif",
            "ldr {word}, [{from}], #4",
            "sxtb16 {even}, {word}",
            "sxtb16 {word}, {word}, ror #8",
            ".if {STEP} == 1",
            "strd {even}, {word}, [{to}], #8",
            ".else",
            "str {word}, [{to}, #4 * {STEP}]",
            "str {even}, [{to}], #8 * {STEP}",
            ".endif",
            ".endr",
            "cmp {from}, {fours}",
            "bne 1b",
            STEP = const STEP,
            word = out(reg) _,
            even = out(reg) _,
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            fours = inout(reg) fours => _,
            options(nostack),
        );
    }
}
