//! Compares the kernels of a core with the portable ones: random operators, whole outputs, in an emulator.
//!
//! Prints one line of JSON: `{"cases":…,"differences":…,"first":…}`; the last is the first case that differs.
#![no_std]
#![no_main]

mod cases;

use core::{arch::global_asm, panic::PanicInfo};

use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};

use crate::cases::{Memory, OPERATORS, Random, is_equal};

/// Of each operator.
const CASES: u64 = 500;

// Code for Cortex-M55 may use vectors anywhere: the coprocessors are enabled before any of it.
global_asm!(
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

#[entry]
fn main() -> ! {
    static mut MEMORY: Memory = Memory::new();
    let (mut cases, mut differences, mut first) = (0, 0, None);
    for operator in OPERATORS {
        for seed in 0..CASES {
            cases += 1;
            if !is_equal(operator, MEMORY, &mut Random(seed << 32)) {
                differences += 1;
                first = first.or(Some((operator, seed)));
            }
        }
    }
    match first {
        None => hprintln!("{{\"cases\":{},\"differences\":0}}", cases),
        Some((operator, seed)) => hprintln!(
            "{{\"cases\":{},\"differences\":{},\"first\":\"{:?} {}\"}}",
            cases,
            differences,
            operator,
            seed
        ),
    }
    debug::exit(if differences == 0 {
        debug::EXIT_SUCCESS
    } else {
        debug::EXIT_FAILURE
    });
    loop {}
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    hprintln!("{}", info);
    debug::exit(debug::EXIT_FAILURE);
    loop {}
}
