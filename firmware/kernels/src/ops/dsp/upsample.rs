use core::arch::asm;

/// Fills `target` with copies of `source`, as many as fit.
pub fn repeat(source: &[i8], target: &mut [i8]) {
    for target in target.chunks_exact_mut(source.len()) {
        // SAFETY: both have this length, and references to the two do not overlap.
        unsafe { copy(source.as_ptr(), target.as_mut_ptr(), source.len()) };
    }
}

/// Copies bytes, four words at a time; `memcpy` of a bare-metal build copies word by word.
///
/// # Safety
/// `length` bytes may be read at `from` and written at `to`, and the two do not overlap.
#[inline(always)]
unsafe fn copy(from: *const i8, to: *mut i8, length: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "subs {length}, #16",
            "blt 2f",
            "1:",
            "ldr {a}, [{from}], #4",
            "ldr {b}, [{from}], #4",
            "ldr {c}, [{from}], #4",
            "ldr {d}, [{from}], #4",
            "str {a}, [{to}], #4",
            "str {b}, [{to}], #4",
            "str {c}, [{to}], #4",
            "str {d}, [{to}], #4",
            "subs {length}, #16",
            "bge 1b",
            // What is left, less 16: its bits say which parts there are.
            "2:",
            "lsls {a}, {length}, #29",
            "itttt cs",
            "ldrcs {b}, [{from}], #4",
            "ldrcs {c}, [{from}], #4",
            "strcs {b}, [{to}], #4",
            "strcs {c}, [{to}], #4",
            "itt mi",
            "ldrmi {b}, [{from}], #4",
            "strmi {b}, [{to}], #4",
            "lsls {a}, {length}, #31",
            "itt cs",
            "ldrhcs {b}, [{from}], #2",
            "strhcs {b}, [{to}], #2",
            "itt mi",
            "ldrbmi {b}, [{from}]",
            "strbmi {b}, [{to}]",
            length = inout(reg) length => _,
            from = inout(reg) from => _,
            to = inout(reg) to => _,
            a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _,
            options(nostack),
        );
    }
}
