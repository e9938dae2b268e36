use core::arch::asm;

use super::{
    super::{Requantize, Sliding, portable, runs::Run},
    requantize::Rounding,
};

/// Channels that are computed together: bytes of a vector.
const LANES: usize = 16;

/// Most taps of a window.
const TAPS: usize = 64;

/// `DEPTHWISE_CONV_2D` with depth multiplier 1: weights `[kernel height, kernel width, channels]`.
///
/// Padding counts as `zero_point`, the input's, which is a real zero.
///
/// The products of two taps are added in 16 bits, which is exact unless a weight is -128; TensorFlow Lite makes none.
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
    if taps > TAPS || smallest(weights) == i8::MIN {
        return portable::depthwise_conv2d(input, weights, shape, zero_point, requantize, output);
    }
    let rounding = Rounding::of(requantize);
    let step = shape.stride.map(|stride| stride * channels);
    let mut block = Block::new(requantize);
    for first in (0..channels).step_by(LANES) {
        let lanes = (channels - first).min(LANES);
        block.select_channels(requantize, first, lanes);
        for rows in Run::all(shape, 0) {
            for columns in Run::all(shape, 1) {
                block.select_taps(
                    &weights[first..],
                    shape,
                    zero_point,
                    [&rows, &columns],
                    lanes,
                );
                let pixel = |row: usize, column: usize| {
                    let (row_start, column_start) = (rows.origin(row), columns.origin(column));
                    let from = (row_start * width as isize + column_start) * channels as isize;
                    let to = (row * output_width + column) * channels;
                    // The first pixel of a window may lie outside; the selected taps do not.
                    (
                        input.as_ptr().wrapping_offset(from + first as isize),
                        to + first,
                    )
                };
                let (height, length) = (rows.outputs.len(), columns.outputs.len());
                // SAFETY: all selected taps of these pixels lie on the image, and all pixels on the output.
                unsafe {
                    if length >= height {
                        for row in rows.outputs.clone() {
                            let (from, to) = pixel(row, columns.outputs.start);
                            let to = output.as_mut_ptr().add(to);
                            block.run(rounding, from, to, [step[1], channels], length, lanes);
                        }
                    } else {
                        let steps = [step[0] * width, channels * output_width];
                        for column in columns.outputs.clone() {
                            let (from, to) = pixel(rows.outputs.start, column);
                            let to = output.as_mut_ptr().add(to);
                            block.run(rounding, from, to, steps, height, lanes);
                        }
                    }
                }
            }
        }
    }
}

/// Up to [`LANES`] channels and the taps of some pixels, as the inner loop reads them.
///
/// Lane `i` of the `k`th of four vectors of words is channel `4 i + k`: products of bytes that are widened twice lie
/// in this order.
#[repr(C, align(8))]
struct Block {
    offsets_start: *const usize,
    weights_start: *const i8,
    tap_pairs: usize,
    odd_tap: usize,
    biases: [[i32; 4]; 4],
    multipliers: [[i32; 4]; 4],
    right_shifts: [[i32; 4]; 4],
    left_shifts: [[i32; 4]; 4],
    min: [i8; LANES],
    max: [i8; LANES],
    output_zero_point: i32,
    /// Biases for pixels whose windows lie on the image.
    full_biases: [[i32; 4]; 4],
    offsets: [usize; TAPS],
    weights: [[i8; LANES]; TAPS],
}

impl Block {
    fn new(requantize: &Requantize) -> Self {
        Block {
            offsets_start: core::ptr::null(),
            weights_start: core::ptr::null(),
            tap_pairs: 0,
            odd_tap: 0,
            biases: [[0; 4]; 4],
            multipliers: [[0; 4]; 4],
            right_shifts: [[0; 4]; 4],
            left_shifts: [[0; 4]; 4],
            min: [requantize.clamp.min; LANES],
            max: [requantize.clamp.max; LANES],
            output_zero_point: requantize.output_zero_point,
            full_biases: [[0; 4]; 4],
            offsets: [0; TAPS],
            weights: [[0; LANES]; TAPS],
        }
    }

    fn select_channels(&mut self, requantize: &Requantize, first: usize, lanes: usize) {
        let shared = requantize.shifts.len() == 1;
        for lane in 0..lanes {
            let (channel, at) = (first + lane, (lane % 4, lane / 4));
            let scale = if shared { 0 } else { channel };
            let shift = i32::from(requantize.shifts[scale]);
            self.full_biases[at.0][at.1] = requantize.biases.get(channel);
            self.multipliers[at.0][at.1] = requantize.multipliers.get(scale);
            self.right_shifts[at.0][at.1] = shift.min(0);
            self.left_shifts[at.0][at.1] = shift.max(0);
        }
    }

    /// Takes the taps that lie on the image and adds what padding contributes to the biases.
    ///
    /// `weights` begin at the first selected channel.
    fn select_taps(
        &mut self,
        weights: &[i8],
        shape: &Sliding,
        zero_point: i8,
        [rows, columns]: [&Run; 2],
        lanes: usize,
    ) {
        let [_, width, channels] = shape.input;
        self.biases = self.full_biases;
        let mut count = 0;
        for ky in 0..shape.kernel[0] {
            for kx in 0..shape.kernel[1] {
                let row = &weights[(ky * shape.kernel[1] + kx) * channels..][..lanes];
                if rows.taps.contains(&ky) && columns.taps.contains(&kx) {
                    self.offsets[count] = (ky * width + kx) * channels;
                    // SAFETY: `lanes` bytes are there, at most as many as the row holds.
                    unsafe { super::copy(row.as_ptr(), self.weights[count].as_mut_ptr(), lanes) };
                    count += 1;
                } else {
                    // SAFETY: `lanes` bytes are there.
                    unsafe { add_padding(&mut self.biases, row.as_ptr(), zero_point, lanes) };
                }
            }
        }
        self.offsets_start = self.offsets.as_ptr();
        self.weights_start = self.weights[0].as_ptr();
        (self.tap_pairs, self.odd_tap) = (count / 2, count % 2);
    }

    /// Computes `count` pixels that lie `steps` apart in input and output.
    ///
    /// # Safety
    /// `lanes` bytes may be read at each selected tap of each pixel and written at each output.
    #[inline(always)]
    unsafe fn run(
        &self,
        rounding: Rounding,
        from: *const i8,
        to: *mut i8,
        steps: [usize; 2],
        count: usize,
        lanes: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            match (rounding, lanes == LANES) {
                (Rounding::Up, true) => self.run_as::<0, 0, 0>(from, to, steps, count, lanes),
                (Rounding::Up, false) => self.run_as::<0, 0, 1>(from, to, steps, count, lanes),
                (Rounding::Away, true) => self.run_as::<0, 1, 0>(from, to, steps, count, lanes),
                (Rounding::Away, false) => self.run_as::<0, 1, 1>(from, to, steps, count, lanes),
                (Rounding::LeftThenAway, _) => {
                    self.run_as::<1, 1, 1>(from, to, steps, count, lanes);
                }
            }
        }
    }

    #[inline(never)]
    unsafe fn run_as<const LEFT: u32, const AWAY: u32, const PARTIAL: u32>(
        &self,
        from: *const i8,
        to: *mut i8,
        steps: [usize; 2],
        count: usize,
        lanes: usize,
    ) {
        // SAFETY: the caller's promise; r6 and r7, which the compiler keeps for itself, are restored.
        unsafe {
            asm!(
                "push {{r6, r7}}",
                "vctp.8 r1",
                "1:",
                // r6: offsets of the taps, r7: their weights, r1: whether one is left over.
                "ldrd r6, r7, [r0]",
                "ldrd lr, r1, [r0, #8]",
                "vldrw.u32 q4, [r0, #16]",
                "vldrw.u32 q5, [r0, #32]",
                "vldrw.u32 q6, [r0, #48]",
                "vldrw.u32 q7, [r0, #64]",
                "wls lr, lr, 3f",
                "2:",
                "ldrd r8, r9, [r6], #8",
                "add r8, r2",
                "add r9, r2",
                ".if {PARTIAL}",
                "vpst",
                "vldrbt.u8 q0, [r8]",
                ".else",
                "vldrb.u8 q0, [r8]",
                ".endif",
                "vldrb.u8 q1, [r7], #16",
                "vmullb.s8 q2, q0, q1",
                "vldrb.u8 q3, [r7], #16",
                "vmullt.s8 q0, q0, q1",
                ".if {PARTIAL}",
                "vpst",
                "vldrbt.u8 q1, [r9]",
                ".else",
                "vldrb.u8 q1, [r9]",
                ".endif",
                "vmullt.s8 q3, q1, q3",
                "vadd.i16 q0, q0, q3",
                // Eight registers are one too few: the second weights are read again.
                "vldrb.u8 q3, [r7, #-16]",
                "vmullb.s8 q1, q1, q3",
                "vmovlb.s16 q3, q0",
                "vadd.i16 q2, q2, q1",
                "vadd.i32 q5, q5, q3",
                "vmovlb.s16 q1, q2",
                "vmovlt.s16 q3, q0",
                "vadd.i32 q4, q4, q1",
                "vmovlt.s16 q1, q2",
                "vadd.i32 q7, q7, q3",
                "vadd.i32 q6, q6, q1",
                "le lr, 2b",
                "3:",
                "cbz r1, 4f",
                "ldr r8, [r6]",
                "add r8, r2",
                ".if {PARTIAL}",
                "vpst",
                "vldrbt.u8 q0, [r8]",
                ".else",
                "vldrb.u8 q0, [r8]",
                ".endif",
                "vldrb.u8 q1, [r7]",
                "vmullb.s8 q2, q0, q1",
                "vmullt.s8 q0, q0, q1",
                "vmovlb.s16 q1, q2",
                "vmovlb.s16 q3, q0",
                "vadd.i32 q4, q4, q1",
                "vmovlt.s16 q1, q2",
                "vadd.i32 q5, q5, q3",
                "vmovlt.s16 q3, q0",
                "vadd.i32 q6, q6, q1",
                "vadd.i32 q7, q7, q3",
                "4:",
                ".if {LEFT}",
                "vldrw.u32 q0, [r0, #208]",
                "vldrw.u32 q1, [r0, #224]",
                "vshl.s32 q4, q4, q0",
                "vldrw.u32 q2, [r0, #240]",
                "vshl.s32 q5, q5, q1",
                "vldrw.u32 q3, [r0, #256]",
                "vshl.s32 q6, q6, q2",
                "vshl.s32 q7, q7, q3",
                ".endif",
                "vldrw.u32 q0, [r0, #80]",
                "vldrw.u32 q1, [r0, #96]",
                "vqrdmulh.s32 q4, q4, q0",
                "vldrw.u32 q2, [r0, #112]",
                "vqrdmulh.s32 q5, q5, q1",
                "vldrw.u32 q3, [r0, #128]",
                "vqrdmulh.s32 q6, q6, q2",
                "vldrw.u32 q0, [r0, #144]",
                "vqrdmulh.s32 q7, q7, q3",
                "vldrw.u32 q1, [r0, #160]",
                ".if {AWAY}",
                "vand q2, q4, q0",
                "vshr.s32 q2, q2, #31",
                "vqadd.s32 q4, q4, q2",
                "vand q3, q5, q1",
                "vshr.s32 q3, q3, #31",
                "vqadd.s32 q5, q5, q3",
                ".endif",
                "vrshl.s32 q4, q4, q0",
                "vldrw.u32 q0, [r0, #176]",
                "vrshl.s32 q5, q5, q1",
                "vldrw.u32 q1, [r0, #192]",
                ".if {AWAY}",
                "vand q2, q6, q0",
                "vshr.s32 q2, q2, #31",
                "vqadd.s32 q6, q6, q2",
                "vand q3, q7, q1",
                "vshr.s32 q3, q3, #31",
                "vqadd.s32 q7, q7, q3",
                ".endif",
                "vrshl.s32 q6, q6, q0",
                "vrshl.s32 q7, q7, q1",
                // 16 bits saturate beyond everything that the clamp lets through.
                "vqmovnb.s32 q4, q4",
                "vqmovnb.s32 q5, q5",
                "vqmovnt.s32 q4, q6",
                "vqmovnt.s32 q5, q7",
                "vqadd.s16 q4, q4, r10",
                "vldrw.u32 q0, [r0, #272]",
                "vqadd.s16 q5, q5, r10",
                "vldrw.u32 q1, [r0, #288]",
                "vqmovnb.s16 q4, q4",
                "vqmovnt.s16 q4, q5",
                "vmax.s8 q4, q4, q0",
                "vmin.s8 q4, q4, q1",
                ".if {PARTIAL}",
                "vpst",
                "vstrbt.8 q4, [r3]",
                ".else",
                "vstrb.8 q4, [r3]",
                ".endif",
                "add r2, r4",
                "add r3, r5",
                "subs r12, #1",
                "bne 1b",
                "pop {{r6, r7}}",
                LEFT = const LEFT,
                AWAY = const AWAY,
                PARTIAL = const PARTIAL,
                in("r0") self,
                inout("r1") lanes => _,
                inout("r2") from => _,
                inout("r3") to => _,
                in("r4") steps[0],
                in("r5") steps[1],
                inout("r12") count => _,
                in("r10") self.output_zero_point,
                out("r8") _, out("r9") _, out("lr") _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _,
                out("d7") _, out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _,
                out("d14") _, out("d15") _,
            );
        }
    }
}

/// Adds the products of a row of weights with the padding's value.
///
/// # Safety
/// `lanes` bytes may be read at `weights`.
#[inline(always)]
unsafe fn add_padding(
    biases: &mut [[i32; 4]; 4],
    weights: *const i8,
    zero_point: i8,
    lanes: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "vctp.8 {lanes}",
            "vdup.8 q1, {zero_point}",
            "vpst",
            "vldrbt.u8 q0, [{weights}]",
            "vmullb.s8 q2, q0, q1",
            "vmullt.s8 q3, q0, q1",
            ".irp at, 0, 16, 32, 48",
            "vldrw.u32 q0, [{biases}, #\\at]",
            ".if \\at == 0",
            "vmovlb.s16 q1, q2",
            ".elseif \\at == 16",
            "vmovlb.s16 q1, q3",
            ".elseif \\at == 32",
            "vmovlt.s16 q1, q2",
            ".else",
            "vmovlt.s16 q1, q3",
            ".endif",
            "vadd.i32 q0, q0, q1",
            "vstrw.32 q0, [{biases}, #\\at]",
            ".endr",
            lanes = in(reg) lanes,
            zero_point = in(reg) i32::from(zero_point),
            weights = in(reg) weights,
            biases = in(reg) biases,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _,
            out("d7") _,
            options(nostack),
        );
    }
}

/// The smallest of some numbers.
fn smallest(bytes: &[i8]) -> i8 {
    let mut smallest = i32::from(i8::MAX);
    // SAFETY: the loop reads `bytes.len()` bytes.
    unsafe {
        asm!(
            "wlstp.8 lr, {length}, 3f",
            "2:",
            "vldrb.u8 q0, [{from}], #16",
            "vminv.s8 {smallest}, q0",
            "letp lr, 2b",
            "3:",
            length = in(reg) bytes.len(),
            from = inout(reg) bytes.as_ptr() => _,
            smallest = inout(reg) smallest,
            out("lr") _, out("d0") _, out("d1") _,
            options(nostack, readonly),
        );
    }
    smallest as i8
}
