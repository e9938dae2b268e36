use core::{arch::asm, mem::MaybeUninit};

use super::{
    super::Requantize,
    requantize::{Rounding, scale},
    unpack,
};

/// Inputs that are unpacked on the stack at once.
const TAPS: usize = 768;

/// Outputs whose sums are on the stack at once.
const ROWS: usize = 32;

/// `FULLY_CONNECTED`: weights `[outputs, inputs]`.
pub fn fully_connected(input: &[i8], weights: &[i8], requantize: &Requantize, output: &mut [i8]) {
    let taps = input.len();
    assert!(weights.len() == taps * output.len() && requantize.fits(output.len()));
    let rounding = Rounding::of(requantize, taps);
    let mut unpacked = MaybeUninit::<[u32; TAPS / 2]>::uninit();
    let unpacked = unpacked.as_mut_ptr().cast::<u32>();
    let mut sums = [[0]; ROWS];
    for (block, output) in output.chunks_mut(ROWS).enumerate() {
        let first = block * ROWS;
        let sums = &mut sums[..output.len()];
        for (idx, sum) in sums.iter_mut().enumerate() {
            *sum = [requantize.biases.get(first + idx)];
        }
        for (chunk, input) in input.chunks(TAPS).enumerate() {
            if taps > TAPS || block == 0 {
                // SAFETY: a chunk fits.
                unsafe { unpack::<1>(input.as_ptr(), input.len(), unpacked) };
            }
            let rows = &weights[first * taps + chunk * TAPS..];
            add_products(input, unpacked, rows, taps, sums.as_flattened_mut());
        }
        // SAFETY: a scale and an output are there for every sum.
        unsafe { scale(requantize, rounding, sums, first, [output.as_mut_ptr()]) };
    }
}

/// Adds the products of a vector with rows that lie `row_bytes` apart.
#[inline(always)]
fn add_products(
    input: &[i8],
    unpacked: *const u32,
    rows: &[i8],
    row_bytes: usize,
    sums: &mut [i32],
) {
    let length = input.len();
    assert!(rows.len() >= (sums.len() - 1) * row_bytes + length);
    let words = rows.as_ptr().cast::<u32>();
    let (pairs, single) = sums.as_chunks_mut::<2>();
    // SAFETY: the rows were checked; the unpacked input has as many fours as the input.
    unsafe {
        if words.is_aligned() && row_bytes.is_multiple_of(4) {
            add_eights::<1>(unpacked, words, length / 8, row_bytes, pairs);
        } else {
            add_eights::<0>(unpacked, words, length / 8, row_bytes, pairs);
        }
        if let [sum] = single {
            let mut pair = [[*sum, 0]];
            let last = words.byte_add(2 * pairs.len() * row_bytes);
            add_eights::<0>(unpacked, last, length / 8, 0, &mut pair);
            *sum = pair[0][0];
        }
    }
    if !length.is_multiple_of(8) {
        let rest = length / 8 * 8..length;
        for (idx, sum) in sums.iter_mut().enumerate() {
            let row = &rows[idx * row_bytes..][rest.clone()];
            for (value, weight) in input[rest.clone()].iter().zip(row) {
                *sum += i32::from(*value) * i32::from(*weight);
            }
        }
    }
}

/// Eight products at a time with two rows at a time.
///
/// # Safety
/// `eights` times four words may be read at `input`, and two words for each eight in every row; rows are aligned if
/// `ALIGNED`.
#[inline(always)]
unsafe fn add_eights<const ALIGNED: u32>(
    input: *const u32,
    rows: *const u32,
    eights: usize,
    row_bytes: usize,
    sums: &mut [[i32; 2]],
) {
    if eights == 0 || sums.is_empty() {
        return;
    }
    let range = sums.as_mut_ptr_range();
    let job = Job {
        // From the end of one pair of rows to the next pair.
        step: (2 * row_bytes).wrapping_sub(8 * eights),
        input,
        sums_end: range.end,
    };
    // SAFETY: the caller's promise; r6 and r7, which the compiler keeps for itself, are restored.
    unsafe {
        asm!(
            "push {{r2, r6, r7}}",
            "add r6, r0, r3, lsl #4",
            "1:",
            "ldrd r9, r10, [r12]",
            // An odd number of eights begins in the middle of the loop.
            "sub r2, r6, r0",
            "tst r2, #16",
            "bne 3f",
            "2:",
            ".irp half, 0, 1",
            ".if \\half",
            "3:",
            ".endif",
            "ldm r0!, {{r2, r3, r4, r5}}",
            ".if {ALIGNED}",
            "ldrd r7, lr, [r1], #8",
            ".else",
            "ldr r7, [r1], #4",
            "ldr lr, [r1], #4",
            ".endif",
            "sxtb16 r11, r7",
            "smlad r9, r2, r11, r9",
            "sxtb16 r7, r7, ror #8",
            "smlad r9, r3, r7, r9",
            "sxtb16 r11, lr",
            "smlad r9, r4, r11, r9",
            "sxtb16 lr, lr, ror #8",
            "smlad r9, r5, lr, r9",
            ".if {ALIGNED}",
            "ldrd r7, lr, [r8], #8",
            ".else",
            "ldr r7, [r8], #4",
            "ldr lr, [r8], #4",
            ".endif",
            "sxtb16 r11, r7",
            "smlad r10, r2, r11, r10",
            "sxtb16 r7, r7, ror #8",
            "smlad r10, r3, r7, r10",
            "sxtb16 r11, lr",
            "smlad r10, r4, r11, r10",
            "sxtb16 lr, lr, ror #8",
            "smlad r10, r5, lr, r10",
            ".endr",
            "cmp r0, r6",
            "bne 2b",
            "ldr r2, [sp]",
            "strd r9, r10, [r12], #8",
            "ldm r2, {{r0, r3, r4}}",
            "add r1, r3",
            "add r8, r3",
            "cmp r12, r4",
            "bne 1b",
            "pop {{r2, r6, r7}}",
            ALIGNED = const ALIGNED,
            inout("r0") input => _,
            inout("r1") rows => _,
            inout("r2") &job => _,
            inout("r3") eights => _,
            inout("r8") rows.byte_add(row_bytes) => _,
            inout("r12") range.start => _,
            out("r4") _, out("r5") _, out("r9") _, out("r10") _, out("r11") _, out("lr") _,
        );
    }
}

/// What is read again after every pair of rows.
#[repr(C)]
struct Job {
    input: *const u32,
    step: usize,
    sums_end: *const [i32; 2],
}
