//! The operators for Armv8.1-M with Helium (M-profile vector extension, integer), bit for bit as the portable ones.
//!
//! Every inner loop is inline assembly: this compiler has no intrinsics for the extension. Loops are tail-predicated
//! (`dlstp` … `letp`): a length that is no multiple of a vector costs one iteration and no second loop.

#![expect(
    unsafe_code,
    reason = "vector instructions are reached by inline assembly"
)]

mod add;
mod convolution;
mod depthwise;
mod fully_connected;
mod lookup;
mod pool;
mod products;
mod requantize;
mod upsample;

pub use add::add_in_arena;
pub use convolution::conv2d;
pub use depthwise::depthwise_conv2d;
pub use fully_connected::fully_connected;
pub use lookup::lookup;
pub use pool::add_pixels;
pub use upsample::repeat;

use core::arch::asm;

/// Copies bytes; `memcpy` of a bare-metal build copies word by word.
///
/// # Safety
/// `length` bytes may be read at `from` and written at `to`, and the two do not overlap.
#[inline(always)]
unsafe fn copy(from: *const i8, to: *mut i8, length: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "wlstp.8 lr, {length}, 3f",
            "2:",
            "vldrb.u8 q0, [{from}], #16",
            "vstrb.8 q0, [{to}], #16",
            "letp lr, 2b",
            "3:",
            length = in(reg) length,
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            out("lr") _, out("d0") _, out("d1") _,
            options(nostack),
        );
    }
}

/// Sets bytes.
///
/// # Safety
/// `length` bytes may be written at `to`.
#[inline(always)]
unsafe fn fill(to: *mut i8, length: usize, value: i8) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "vdup.8 q0, {value}",
            "wlstp.8 lr, {length}, 3f",
            "2:",
            "vstrb.8 q0, [{to}], #16",
            "letp lr, 2b",
            "3:",
            value = in(reg) i32::from(value),
            length = in(reg) length,
            to = inout(reg) to => _,
            out("lr") _, out("d0") _, out("d1") _,
            options(nostack),
        );
    }
}

/// Copies `count` rows of `length` bytes.
///
/// # Safety
/// All rows may be read and written, and the two images do not overlap; `count` and `length` are not 0.
#[inline(always)]
unsafe fn copy_rows(
    source: *const i8,
    source_step: usize,
    target: *mut i8,
    target_step: usize,
    length: usize,
    count: usize,
) {
    let whole = length.next_multiple_of(16);
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "1:",
            "dlstp.8 lr, {length}",
            "2:",
            "vldrb.u8 q0, [{source}], #16",
            "vstrb.8 q0, [{target}], #16",
            "letp lr, 2b",
            "add {source}, {source_step}",
            "add {target}, {target_step}",
            "subs {count}, #1",
            "bne 1b",
            source = inout(reg) source => _,
            source_step = in(reg) source_step.wrapping_sub(whole),
            target = inout(reg) target => _,
            target_step = in(reg) target_step.wrapping_sub(whole),
            length = in(reg) length,
            count = inout(reg) count => _,
            out("lr") _, out("d0") _, out("d1") _,
            options(nostack),
        );
    }
}
