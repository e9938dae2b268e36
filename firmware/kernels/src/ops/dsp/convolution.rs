use core::{arch::asm, mem::MaybeUninit};

use super::{
    super::{Requantize, Sliding},
    even_bytes, fully_connected,
    requantize::{Rounding, scale},
    unpack, unpack_fours,
};

/// Pixels whose windows are unpacked side by side and share the loads of weights.
const PIXELS: usize = 4;

/// Taps of each window that are unpacked on the stack at once.
const TAPS: usize = 320;

/// Channels whose sums wait on the stack where windows are longer than that.
const CHANNELS: usize = 32;

/// Windows of [`PIXELS`] pixels: for every four taps a word of each pixel with taps 0 and 2, then one with 1 and 3.
type Unpacked = [[[u32; PIXELS]; 2]; TAPS / 4];

/// `CONV_2D`: weights `[output channels, kernel height, kernel width, input channels]`.
///
/// Padding counts as `zero_point`, the input's, which is a real zero.
pub fn conv2d(
    input: &[i8],
    weights: &[i8],
    shape: &Sliding,
    zero_point: i8,
    requantize: &Requantize,
    output: &mut [i8],
) {
    let [height, width, channels] = shape.output;
    let row_taps = shape.kernel[1] * shape.input[2];
    let taps = shape.kernel[0] * row_taps;
    assert!(
        shape.fits(input, output) && weights.len() == taps * channels && requantize.fits(channels)
    );
    if height * width == 1 && input.len() == taps && shape.pad == [0, 0] {
        return fully_connected(input, weights, requantize, output);
    }
    let layer = Layer {
        input,
        shape,
        zero_point,
        row_taps,
    };
    // Whole kernel rows where they are short enough.
    let chunk = match TAPS / row_taps {
        0 => TAPS,
        rows => rows * row_taps,
    };
    let rounding = Rounding::of(requantize, taps);
    let mut unpacked: MaybeUninit<Unpacked> = MaybeUninit::uninit();
    let mut sums = [[0; PIXELS]; CHANNELS];
    let mut next = [0, 0];
    for pixel in (0..height * width).step_by(PIXELS) {
        let group = (height * width - pixel).min(PIXELS);
        let target = output[pixel * channels..][..group * channels].as_mut_ptr();
        let place = next;
        for first in (0..channels).step_by(CHANNELS) {
            let sums = &mut sums[..CHANNELS.min(channels - first)];
            for (idx, sums) in sums.iter_mut().enumerate() {
                *sums = [requantize.biases.get(first + idx); PIXELS];
            }
            for start in (0..taps).step_by(chunk) {
                let length = chunk.min(taps - start);
                if first == 0 || taps > chunk {
                    next = layer.unpack_windows(place, group, start, length, &mut unpacked);
                }
                let rows = &weights[first * taps + start..];
                add_products(&unpacked, length, rows, taps, sums);
            }
            // Where fewer pixels are left, the last one is written again.
            let outputs = core::array::from_fn(|idx| {
                target.wrapping_add(first + idx.min(group - 1) * channels)
            });
            // SAFETY: a scale and an output are there for every sum.
            unsafe { scale(requantize, rounding, sums, first, outputs) };
        }
    }
}

struct Layer<'a> {
    input: &'a [i8],
    shape: &'a Sliding,
    zero_point: i8,
    row_taps: usize,
}

impl Layer<'_> {
    /// Unpacks some taps of the windows of `group` pixels from `place` on; returns the place after them.
    #[inline(always)]
    fn unpack_windows(
        &self,
        place: [usize; 2],
        group: usize,
        start: usize,
        length: usize,
        unpacked: &mut MaybeUninit<Unpacked>,
    ) -> [usize; 2] {
        let [mut row, mut column] = place;
        let mut last = place;
        for pixel in 0..PIXELS {
            // The last pixel again where fewer are left.
            if pixel < group {
                last = [row, column];
                column += 1;
                if column == self.shape.output[1] {
                    (row, column) = (row + 1, 0);
                }
            }
            self.unpack_window(last, start, length, pixel, unpacked);
        }
        [row, column]
    }

    /// Unpacks `length` taps from `start` on of the window at `place` as number `pixel`.
    #[inline(never)]
    fn unpack_window(
        &self,
        place: [usize; 2],
        start: usize,
        length: usize,
        pixel: usize,
        unpacked: &mut MaybeUninit<Unpacked>,
    ) {
        let [_, width, depth] = self.shape.input;
        let (top, bottom, row) = self.shape.valid(0, place[0]);
        let (left, right, column) = self.shape.valid(1, place[1]);
        let (height, length_of_row) = (self.shape.kernel[0], self.row_taps);
        let inside = (top, bottom, left, right) == (0, height, 0, self.shape.kernel[1]);
        if inside && length_of_row.is_multiple_of(4) && length_of_row <= TAPS {
            let (first_row, rows) = (start / length_of_row, length / length_of_row);
            let step = width * depth;
            let from = (row as usize + first_row) * step + column as usize * depth;
            let source = self.input[from..][..(rows - 1) * step + length_of_row].as_ptr();
            for idx in 0..rows {
                // SAFETY: the slice has all rows, and the window fits.
                unsafe {
                    let words = unpacked.as_mut_ptr().cast::<u32>().add(pixel);
                    let words = words.add(idx * length_of_row / 2 * PIXELS);
                    unpack_fours::<PIXELS>(source.add(idx * step), length_of_row / 4, words);
                }
            }
            return;
        }
        let mut target = Target {
            words: unpacked.as_mut_ptr().cast::<u32>().wrapping_add(pixel),
            taps: 0,
        };
        let (mut ky, mut from) = (start / self.row_taps, start % self.row_taps);
        let mut left_taps = length;
        while left_taps > 0 {
            // What lies in one kernel row.
            let to = self.row_taps.min(from + left_taps);
            left_taps -= to - from;
            let (valid_from, valid_to) = if ky >= top && ky < bottom {
                (
                    (left * depth).clamp(from, to),
                    (right * depth).clamp(from, to),
                )
            } else {
                (to, to)
            };
            // SAFETY: no more than `length` taps in all are written, and so many fit.
            unsafe {
                target.repeat(self.zero_point, valid_from - from);
                if valid_from < valid_to {
                    let row = (row + ky as isize) * width as isize + column;
                    let first = (row * depth as isize + valid_from as isize) as usize;
                    target.copy(&self.input[first..][..valid_to - valid_from]);
                }
                target.repeat(self.zero_point, to - valid_to);
            }
            (ky, from) = (ky + 1, 0);
        }
        // SAFETY: the last four is there as a whole.
        unsafe { target.repeat(0, length.wrapping_neg() % 4) };
    }
}

/// Where the next taps of one pixel go.
struct Target {
    words: *mut u32,
    taps: usize,
}

impl Target {
    /// # Safety
    /// There is room for the taps.
    #[inline(always)]
    unsafe fn copy(&mut self, bytes: &[i8]) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.taps % 4 == 0 && bytes.len() % 4 == 0 {
                unpack::<PIXELS>(bytes.as_ptr(), bytes.len(), self.four());
                self.taps += bytes.len();
            } else {
                for byte in bytes {
                    self.push(*byte);
                }
            }
        }
    }

    /// # Safety
    /// There is room for the taps.
    #[inline(always)]
    unsafe fn repeat(&mut self, value: i8, count: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.taps % 4 == 0 && count % 4 == 0 {
                let halves = even_bytes(u32::from_le_bytes([value as u8; 4]));
                for word in 0..count / 2 {
                    self.four().add(word * PIXELS).write(halves);
                }
                self.taps += count;
            } else {
                for _ in 0..count {
                    self.push(value);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn push(&mut self, value: i8) {
        // SAFETY: the caller's promise; tap 0 is the lower half of the first word, tap 1 of the second.
        unsafe {
            let word = self.four().add(self.taps % 2 * PIXELS);
            word.cast::<i16>()
                .add(self.taps / 2 % 2)
                .write(i16::from(value));
        }
        self.taps += 1;
    }

    #[inline(always)]
    fn four(&self) -> *mut u32 {
        self.words.wrapping_add(self.taps / 4 * 2 * PIXELS)
    }
}

/// Adds the products of `length` taps of all pixels with rows that lie `row_bytes` apart.
#[inline(always)]
fn add_products(
    unpacked: &MaybeUninit<Unpacked>,
    length: usize,
    rows: &[i8],
    row_bytes: usize,
    sums: &mut [[i32; PIXELS]],
) {
    assert!(rows.len() >= (sums.len() - 1) * row_bytes + length);
    let Some((last, sums)) = sums.split_last_mut() else {
        return;
    };
    let words = unpacked.as_ptr().cast::<u32>();
    // SAFETY: so many fours were unpacked, with zeros at the end of the last. The last four of a row may reach into
    // the next one; that of the last row is a copy.
    unsafe {
        let rows = rows.as_ptr();
        add_fours(words, rows.cast(), length.div_ceil(4), row_bytes, sums);
        let row = rows.add(sums.len() * row_bytes);
        let last = core::slice::from_mut(last);
        add_fours(words, row.cast(), length / 4, row_bytes, last);
        if !length.is_multiple_of(4) {
            let whole = length / 4 * 4;
            let mut rest = [0; 4];
            for (idx, weight) in rest[..length - whole].iter_mut().enumerate() {
                *weight = *row.add(whole + idx);
            }
            let words = words.add(whole / 2 * PIXELS);
            add_fours(words, rest.as_ptr().cast(), 1, row_bytes, last);
        }
    }
}

/// Four products at a time with one row after the other.
///
/// # Safety
/// `fours` words may be read at each row, which need not be aligned, and [`PIXELS`] times twice as many at `unpacked`.
#[inline(always)]
unsafe fn add_fours(
    unpacked: *const u32,
    rows: *const u32,
    fours: usize,
    row_bytes: usize,
    sums: &mut [[i32; PIXELS]],
) {
    if fours == 0 || sums.is_empty() {
        return;
    }
    let range = sums.as_mut_ptr_range();
    let job = Job {
        unpacked,
        // From the end of one row to the next.
        step: row_bytes.wrapping_sub(4 * fours),
        fours,
        sums_end: range.end,
    };
    // SAFETY: the caller's promise; r6 and r7, which the compiler keeps for itself, are restored.
    unsafe {
        asm!(
            "push {{r2, r3, r6, r7}}",
            "1:",
            "ldr r2, [sp]",
            "ldr r3, [sp, #4]",
            "ldr r0, [r2]",
            "ldr r2, [r2, #8]",
            "ldm r3, {{r9, r10, r11, r12}}",
            "add r6, r1, r2, lsl #2",
            // What is left over from fours of fours, then four of them at a time.
            "ands lr, r2, #3",
            "beq 3f",
            "2:",
            "ldr r7, [r1], #4",
            "ldm r0!, {{r2, r3, r4, r5}}",
            "sxtb16 r8, r7",
            "smlad r9, r2, r8, r9",
            "smlad r10, r3, r8, r10",
            "smlad r11, r4, r8, r11",
            "smlad r12, r5, r8, r12",
            "ldm r0!, {{r2, r3, r4, r5}}",
            "sxtb16 r7, r7, ror #8",
            "smlad r9, r2, r7, r9",
            "smlad r10, r3, r7, r10",
            "smlad r11, r4, r7, r11",
            "smlad r12, r5, r7, r12",
            "subs lr, #1",
            "bne 2b",
            "3:",
            "cmp r1, r6",
            "beq 5f",
            "4:",
            ".rept 4",
            "ldr r7, [r1], #4",
            "ldm r0!, {{r2, r3, r4, r5}}",
            "sxtb16 r8, r7",
            "smlad r9, r2, r8, r9",
            "smlad r10, r3, r8, r10",
            "smlad r11, r4, r8, r11",
            "smlad r12, r5, r8, r12",
            "ldm r0!, {{r2, r3, r4, r5}}",
            "sxtb16 r7, r7, ror #8",
            "smlad r9, r2, r7, r9",
            "smlad r10, r3, r7, r10",
            "smlad r11, r4, r7, r11",
            "smlad r12, r5, r7, r12",
            ".endr",
            "cmp r1, r6",
            "bne 4b",
            "5:",
            "ldrd r2, r3, [sp]",
            "stm r3!, {{r9, r10, r11, r12}}",
            "ldr r4, [r2, #4]",
            "str r3, [sp, #4]",
            "ldr r5, [r2, #12]",
            "add r1, r4",
            "cmp r3, r5",
            "bne 1b",
            "pop {{r2, r3, r6, r7}}",
            in("r2") &job,
            inout("r3") range.start => _,
            inout("r1") rows => _,
            out("r0") _, out("r4") _, out("r5") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            out("r12") _, out("lr") _,
        );
    }
}

/// What is read again for every row.
#[repr(C)]
struct Job {
    unpacked: *const u32,
    step: usize,
    fours: usize,
    sums_end: *const [i32; PIXELS],
}
