//! Two places between which an emulator's plugin counts instructions (`firmware/counter`).

use core::arch::asm;

/// Called before an inference.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn __inference_start() {
    // SAFETY: does nothing.
    unsafe { asm!("nop") };
}

/// Called after it.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn __inference_end() {
    // SAFETY: does nothing; in two instructions, so that the linker keeps two functions.
    unsafe { asm!("nop", "nop") };
}
