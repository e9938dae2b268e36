//! The operators for Armv8.1-M with Helium (M-profile vector extension, integer), bit for bit as the portable ones.
//!
//! Every inner loop is inline assembly: this compiler has no intrinsics for the extension. Loops are tail-predicated
//! (`dlstp` … `letp`), so lengths that are no multiple of a vector cost one iteration and no second loop.

#![expect(
    unsafe_code,
    reason = "vector instructions are reached by inline assembly"
)]

mod convolution;
mod fully_connected;
mod products;
mod requantize;

pub use convolution::conv2d;
pub use fully_connected::fully_connected;

use core::arch::asm;

/// Copies bytes; `memcpy` of a bare-metal build goes word by word.
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
fn fill(bytes: &mut [i8], value: i8) {
    // SAFETY: the loop writes `bytes.len()` bytes.
    unsafe {
        asm!(
            "vdup.8 q0, {value}",
            "wlstp.8 lr, {length}, 3f",
            "2:",
            "vstrb.8 q0, [{to}], #16",
            "letp lr, 2b",
            "3:",
            value = in(reg) i32::from(value),
            length = in(reg) bytes.len(),
            to = inout(reg) bytes.as_mut_ptr() => _,
            out("lr") _, out("d0") _, out("d1") _,
            options(nostack),
        );
    }
}
