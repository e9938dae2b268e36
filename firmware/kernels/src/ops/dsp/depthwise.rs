use core::arch::asm;

use super::{
    super::{Requantize, Sliding, portable, runs::Run},
    even_bytes, odd_bytes,
    requantize::Rounding,
};

/// Channels that are computed together: bytes of a word.
const LANES: usize = 4;

/// Most taps of a window, with those that fill up a group.
const TAPS: usize = 66;

/// Taps of one pass of the inner loop.
const GROUP: usize = 3;

/// `DEPTHWISE_CONV_2D` with depth multiplier 1: weights `[kernel height, kernel width, channels]`.
///
/// Padding counts as `zero_point`, the input's, which is a real zero.
pub fn depthwise_conv2d(
    input: &[i8],
    weights: &[i8],
    shape: &Sliding,
    zero_point: i8,
    requantize: &Requantize,
    output: &mut [i8],
) {
    let [_, output_width, channels] = shape.output;
    let width = shape.input[1];
    let taps = shape.kernel[0] * shape.kernel[1];
    assert!(
        shape.input[2] == channels
            && shape.fits(input, output)
            && weights.len() == taps * channels
            && requantize.fits(channels)
    );
    let rounding = Rounding::of(requantize, taps);
    if taps > TAPS || channels < LANES || rounding == Rounding::Any {
        return portable::depthwise_conv2d(input, weights, shape, zero_point, requantize, output);
    }
    let mut block = Block {
        scales: [Scale::default(); LANES],
        min: i32::from(requantize.clamp.min),
        max: i32::from(requantize.clamp.max),
        steps: [0; 2],
        taps_end: core::ptr::null(),
        biases: [0; LANES],
        taps: [Tap::default(); TAPS],
    };
    for first in (0..channels).step_by(LANES) {
        // The last block begins earlier where channels are no multiple, and writes some again.
        let first = first.min(channels - LANES);
        block.select_channels(requantize, first);
        for rows in Run::all(shape, 0) {
            for columns in Run::all(shape, 1) {
                let runs = [&rows, &columns];
                block.select_taps(
                    &weights[first..],
                    requantize,
                    first,
                    shape,
                    zero_point,
                    runs,
                );
                let pixel = |row: usize, column: usize| {
                    let (row_start, column_start) = (rows.origin(row), columns.origin(column));
                    let from = (row_start * width as isize + column_start) * channels as isize;
                    let to = (row * output_width + column) * channels;
                    // The first pixel of a window may lie outside; the selected taps do not.
                    let from = input.as_ptr().wrapping_offset(from + first as isize);
                    (from, to + first)
                };
                // From the last output byte of a pixel to the first of the next.
                block.steps = [shape.stride[1] * channels, channels - LANES];
                for row in rows.outputs.clone() {
                    let (from, to) = pixel(row, columns.outputs.start);
                    // SAFETY: all selected taps of these pixels lie on the image, and all pixels on the output.
                    unsafe {
                        let to = output.as_mut_ptr().add(to);
                        let count = columns.outputs.len();
                        if rounding == Rounding::ShortAndSaturated {
                            block.run::<0>(from, to, count);
                        } else {
                            block.run::<1>(from, to, count);
                        }
                    }
                }
            }
        }
    }
}

/// [`LANES`] channels and the taps of some pixels, as the inner loop reads them.
#[repr(C)]
struct Block {
    scales: [Scale; LANES],
    min: i32,
    max: i32,
    /// From pixel to pixel in input and output.
    steps: [usize; 2],
    taps_end: *const Tap,
    biases: [i32; LANES],
    taps: [Tap; TAPS],
}

/// See [`Rounding::Short`].
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Scale {
    multiplier: i32,
    nudge: i32,
    right_shift: i32,
}

/// Where an input lies and its weights, even and odd channels apart.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Tap {
    offset: usize,
    even: u32,
    odd: u32,
}

impl Block {
    fn select_channels(&mut self, requantize: &Requantize, first: usize) {
        for (idx, scale) in self.scales.iter_mut().enumerate() {
            let channel = if requantize.shifts.len() == 1 {
                0
            } else {
                first + idx
            };
            let right_shift = -i32::from(requantize.shifts[channel]);
            *scale = Scale {
                multiplier: requantize.multipliers.get(channel),
                nudge: (1 << right_shift >> 1) + (requantize.output_zero_point << right_shift),
                right_shift,
            };
        }
    }

    /// Takes the taps that lie on the image and adds what padding contributes to the biases.
    ///
    /// `weights` begin at the first selected channel.
    fn select_taps(
        &mut self,
        weights: &[i8],
        requantize: &Requantize,
        first: usize,
        shape: &Sliding,
        zero_point: i8,
        [rows, columns]: [&Run; 2],
    ) {
        let [_, width, channels] = shape.input;
        self.biases = requantize.biases.block(first);
        let mut count = 0;
        for ky in 0..shape.kernel[0] {
            for kx in 0..shape.kernel[1] {
                let tap = &weights[(ky * shape.kernel[1] + kx) * channels..][..LANES];
                if rows.taps.contains(&ky) && columns.taps.contains(&kx) {
                    let word = u32::from_le_bytes([0, 1, 2, 3].map(|idx| tap[idx] as u8));
                    self.taps[count] = Tap {
                        offset: (ky * width + kx) * channels,
                        even: even_bytes(word),
                        odd: odd_bytes(word),
                    };
                    count += 1;
                } else {
                    for (bias, weight) in self.biases.iter_mut().zip(tap) {
                        *bias += i32::from(zero_point) * i32::from(*weight);
                    }
                }
            }
        }
        while !count.is_multiple_of(GROUP) {
            self.taps[count] = Tap {
                even: 0,
                odd: 0,
                ..self.taps[0]
            };
            count += 1;
        }
        self.taps_end = self.taps[count..].as_ptr();
    }

    /// Computes `count` pixels.
    ///
    /// # Safety
    /// [`LANES`] bytes may be read at each selected tap of each pixel and written at each output.
    #[inline(never)]
    unsafe fn run<const CLAMP: u32>(&self, from: *const i8, to: *mut i8, count: usize) {
        // SAFETY: the caller's promise; r6 and r7, which the compiler keeps for itself, are restored.
        unsafe {
            asm!(
                "push {{r0, r6, r7}}",
                "1:",
                "ldr r0, [sp]",
                "add r0, #64",
                "ldm r0!, {{r6, r9, r10, r11, r12}}",
                "cmp r0, r6",
                "beq 3f",
                "2:",
                ".rept 3",
                "ldm r0!, {{r2, r3, r4}}",
                "ldr r5, [r1, r2]",
                "sxtb16 r2, r5",
                "sxtb16 r5, r5, ror #8",
                "smlabb r9, r2, r3, r9",
                "smlatt r11, r2, r3, r11",
                "smlabb r10, r5, r4, r10",
                "smlatt r12, r5, r4, r12",
                ".endr",
                "cmp r0, r6",
                "bne 2b",
                "3:",
                "ldr r0, [sp]",
                ".if {CLAMP}",
                "ldrd r5, r6, [r0, #48]",
                ".endif",
                ".irp sum, r9, r10, r11, r12",
                "ldm r0!, {{r2, r3, r4}}",
                "lsl \\sum, \\sum, #1",
                "smmulr \\sum, \\sum, r2",
                "add \\sum, \\sum, \\sum, asr #31",
                "add \\sum, r3",
                "asr \\sum, r4",
                ".if {CLAMP}",
                "cmp \\sum, r5",
                "it lt",
                "movlt \\sum, r5",
                "cmp \\sum, r6",
                "it gt",
                "movgt \\sum, r6",
                ".else",
                "ssat \\sum, #8, \\sum",
                ".endif",
                "strb \\sum, [r8], #1",
                ".endr",
                "ldrd r2, r3, [r0, #8]",
                "add r1, r2",
                "add r8, r3",
                "subs lr, #1",
                "bne 1b",
                "pop {{r0, r6, r7}}",
                CLAMP = const CLAMP,
                in("r0") self,
                inout("r1") from => _,
                inout("r8") to => _,
                inout("lr") count => _,
                out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r9") _, out("r10") _, out("r11") _,
                out("r12") _,
            );
        }
    }
}
