//! Products of int8 vectors: 16 multiplications an instruction, summed in a register.

use core::arch::asm;

use super::requantize::{PIXELS, Pair};

/// Products of [`PIXELS`] pixels with pairs of weight rows.
///
/// Only even registers can hold sums. Three pixels times two rows are the largest block whose sums fit the register
/// file: five loads for six multiplications.
#[repr(C)]
pub struct Products {
    /// Where the taps of each pixel lie.
    pub pixels: [*const i8; PIXELS],
    taps: usize,
    /// From the end of a row as the loop leaves it to the row after the next.
    step: usize,
    end: *mut Pair,
    rows: [*const i8; 2],
    sums: *mut Pair,
    /// The last row where there is an odd number of them.
    odd_row: Option<*const i8>,
}

impl Products {
    /// Products without rows; see [`Products::select`].
    pub fn new() -> Self {
        Products {
            pixels: [core::ptr::null(); PIXELS],
            taps: 0,
            step: 0,
            end: core::ptr::null_mut(),
            rows: [core::ptr::null(); 2],
            sums: core::ptr::null_mut(),
            odd_row: None,
        }
    }

    /// Takes the first `taps` products of `channels` rows from `row` on; rows lie `row_bytes` apart.
    pub fn select(
        &mut self,
        row: *const i8,
        channels: usize,
        taps: usize,
        row_bytes: usize,
        sums: &mut [Pair],
    ) {
        let (pairs, odd) = (channels / 2, channels % 2);
        assert!(pairs + odd <= sums.len());
        self.taps = taps;
        self.step = (2 * row_bytes).wrapping_sub(taps.next_multiple_of(16));
        self.rows = [row, row.wrapping_add(row_bytes)];
        self.sums = sums.as_mut_ptr();
        self.end = self.sums.wrapping_add(pairs);
        self.odd_row = (odd == 1).then(|| row.wrapping_add((channels - 1) * row_bytes));
    }

    /// Writes the selected sums, or adds to them.
    ///
    /// # Safety
    /// The selected taps may be read at each of `pixels` and in each selected row, and the sums are still there.
    #[inline(always)]
    pub unsafe fn run(&self, add: bool) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.sums != self.end {
                self.run_pairs(add);
            }
            if let Some(row) = self.odd_row {
                let last = Products {
                    rows: [row, row],
                    sums: self.end,
                    end: self.end.add(1),
                    ..*self
                };
                last.run_pairs(add);
            }
        }
    }

    #[inline(always)]
    unsafe fn run_pairs(&self, add: bool) {
        // SAFETY: the caller's promise.
        unsafe {
            if add {
                self.run_as::<1>();
            } else {
                self.run_as::<0>();
            }
        }
    }

    #[inline(never)]
    unsafe fn run_as<const ADD: u32>(&self) {
        // SAFETY: the caller's promise; r6 and r7, which the compiler keeps for itself, are restored.
        unsafe {
            asm!(
                "push {{r6, r7}}",
                "ldr r7, [r11, #24]",
                "ldr r9, [r11, #28]",
                "ldr r6, [r11, #32]",
                "1:",
                "ldm r11, {{r1, r3, r5, lr}}",
                ".if {ADD}",
                "ldm r6, {{r0, r2, r4, r8, r10, r12}}",
                ".else",
                "clrm {{r0, r2, r4, r8, r10, r12}}",
                ".endif",
                "dlstp.8 lr, lr",
                "2:",
                "vldrb.u8 q0, [r7], #16",
                "vldrb.u8 q2, [r1], #16",
                "vmladava.s8 r0, q2, q0",
                "vldrb.u8 q1, [r9], #16",
                "vmladava.s8 r2, q2, q1",
                "vldrb.u8 q3, [r3], #16",
                "vmladava.s8 r4, q3, q0",
                "vldrb.u8 q4, [r5], #16",
                "vmladava.s8 r8, q3, q1",
                "vmladava.s8 r10, q4, q0",
                "vmladava.s8 r12, q4, q1",
                "letp lr, 2b",
                "stm r6!, {{r0, r2, r4, r8, r10, r12}}",
                "ldrd r1, r3, [r11, #16]",
                "add r7, r1",
                "add r9, r1",
                "cmp r6, r3",
                "bne 1b",
                "pop {{r6, r7}}",
                ADD = const ADD,
                in("r11") self,
                out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r8") _,
                out("r9") _, out("r10") _, out("r12") _, out("lr") _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _,
                out("d7") _, out("d8") _, out("d9") _,
            );
        }
    }
}

/// Products of one vector with `sums.len()` consecutive weight rows, four at a time.
///
/// # Safety
/// `taps` bytes may be read at `input`, and as many for each sum at `weights`.
#[inline(always)]
pub unsafe fn vector_times_rows(
    input: *const i8,
    weights: *const i8,
    taps: usize,
    sums: &mut [[i32; 4]],
) {
    if sums.is_empty() {
        return;
    }
    let range = sums.as_mut_ptr_range();
    // From the end of a row as the loop leaves it to the fourth row after it.
    let step = (4 * taps).wrapping_sub(taps.next_multiple_of(16));
    // SAFETY: the caller's promise; r6 and r7, which the compiler keeps for itself, are restored.
    unsafe {
        asm!(
            "push {{r0, r4, r6, r7}}",
            // r6, r7: what is pushed below is read again for every block.
            "mov r6, r2",
            "mov r7, r5",
            "add r5, r3, r6",
            "add r9, r5, r6",
            "add r11, r9, r6",
            "1:",
            "dlstp.8 lr, r6",
            "clrm {{r0, r2, r4, r8}}",
            "2:",
            "vldrb.u8 q0, [r1], #16",
            "vldrb.u8 q1, [r3], #16",
            "vmladava.s8 r0, q0, q1",
            "vldrb.u8 q2, [r5], #16",
            "vmladava.s8 r2, q0, q2",
            "vldrb.u8 q3, [r9], #16",
            "vmladava.s8 r4, q0, q3",
            "vldrb.u8 q4, [r11], #16",
            "vmladava.s8 r8, q0, q4",
            "letp lr, 2b",
            "stm r12!, {{r0, r2, r4, r8}}",
            "ldrd r1, r0, [sp]",
            "add r3, r7",
            "add r5, r7",
            "add r9, r7",
            "add r11, r7",
            "cmp r12, r0",
            "bne 1b",
            "pop {{r0, r4, r6, r7}}",
            inout("r0") input => _,
            in("r1") input,
            inout("r2") taps => _,
            inout("r3") weights => _,
            inout("r4") range.end => _,
            inout("r5") step => _,
            inout("r12") range.start => _,
            out("r8") _, out("r9") _, out("r11") _, out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _,
            out("d7") _, out("d8") _, out("d9") _,
        );
    }
}
