//! What has to happen before any Rust code runs.

use core::arch::global_asm;

/// The board's name, as its linker script is called.
pub const NAME: &str = env!("NAS_BOARD");

// The compiler may use floating-point and vector registers anywhere, even to clear memory, so coprocessors 10 and
// 11 are enabled (CPACR) before cortex-m-rt touches `.bss`.
global_asm!(
    ".section .text.__pre_init, \"ax\"",
    ".global __pre_init",
    ".type __pre_init, %function",
    ".thumb_func",
    "__pre_init:",
    "ldr r0, =0xE000ED88",
    "ldr r1, [r0]",
    "orr r1, r1, #0xF00000",
    "str r1, [r0]",
    "dsb",
    "isb",
    "bx lr",
);

/// Switches on what only chips have: caches.
#[cfg(feature = "hardware")]
pub fn start(peripherals: &mut cortex_m::Peripherals) {
    peripherals.SCB.enable_icache();
    peripherals.SCB.enable_dcache(&mut peripherals.CPUID);
}
