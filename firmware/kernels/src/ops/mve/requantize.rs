//! Accumulators to outputs, four lanes at a time, rounded as [`crate::multiply_by_quantized_multiplier`] does.

use core::arch::asm;

use super::super::Requantize;

/// Neighbouring pixels, which share the loads of weights, biases and scales.
pub const PIXELS: usize = 3;

/// Accumulators of [`PIXELS`] pixels and two channels.
pub type Pair = [[i32; 2]; PIXELS];

/// How a layer rounds, found once per layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Halves may be rounded up instead of away from zero: the two differ only for negative numbers, and nothing below
    /// the zero point survives the clamp.
    Up,
    /// Halves are rounded away from zero.
    Away,
    /// As [`Rounding::Away`], and some accumulators are shifted left first.
    LeftThenAway,
}

impl Rounding {
    /// How the layer of these parameters rounds.
    pub fn of(requantize: &Requantize) -> Rounding {
        if requantize.shifts.iter().any(|shift| *shift > 0) {
            Rounding::LeftThenAway
        } else if i32::from(requantize.clamp.min) >= requantize.output_zero_point {
            Rounding::Up
        } else {
            Rounding::Away
        }
    }
}

/// Scales of some neighbouring channels.
pub struct Scaler<'a> {
    requantize: &'a Requantize<'a>,
    rounding: Rounding,
    /// Four times the one scale of a layer that has only one.
    multiplier: [i32; 4],
    shift: [i8; 4],
}

impl<'a> Scaler<'a> {
    /// Scales of a layer.
    pub fn new(requantize: &'a Requantize<'a>) -> Self {
        Scaler {
            requantize,
            rounding: Rounding::of(requantize),
            multiplier: [requantize.multipliers.get(0); 4],
            shift: [requantize.shifts[0]; 4],
        }
    }

    fn per_channel(&self) -> bool {
        self.requantize.shifts.len() > 1
    }

    /// Multipliers and shifts from channel `first` on, or four equal ones.
    fn scales(&self, first: usize) -> (*const i32, *const i8) {
        if self.per_channel() {
            let shifts = &self.requantize.shifts[first..];
            (self.requantize.multipliers.from(first), shifts.as_ptr())
        } else {
            (self.multiplier.as_ptr(), self.shift.as_ptr())
        }
    }

    /// Scales the accumulators of one pixel into the channels from `first` on.
    #[inline(always)]
    pub fn row(&self, sums: &[i32], first: usize, output: &mut [i8]) {
        assert!(output.len() <= sums.len() && first + output.len() <= self.requantize.biases.len());
        // SAFETY: as many sums, biases and scales are there as outputs.
        unsafe {
            match (self.rounding, self.per_channel()) {
                (Rounding::Up, true) => self.row_as::<0, 0, 1>(sums, first, output),
                (Rounding::Up, false) => self.row_as::<0, 0, 0>(sums, first, output),
                (Rounding::Away, true) => self.row_as::<0, 1, 1>(sums, first, output),
                (Rounding::Away, false) => self.row_as::<0, 1, 0>(sums, first, output),
                (Rounding::LeftThenAway, true) => self.row_as::<1, 1, 1>(sums, first, output),
                (Rounding::LeftThenAway, false) => self.row_as::<1, 1, 0>(sums, first, output),
            }
        }
    }

    #[inline(never)]
    unsafe fn row_as<const LEFT: u32, const AWAY: u32, const PER_CHANNEL: u32>(
        &self,
        sums: &[i32],
        first: usize,
        output: &mut [i8],
    ) {
        let (multipliers, shifts) = self.scales(first);
        let clamp = self.requantize.clamp;
        // SAFETY: the loop touches `output.len()` lanes of everything.
        unsafe {
            asm!(
                "vdup.32 q5, {min}",
                "vdup.32 q6, {max}",
                "vmov.i32 q2, #0",
                "dlstp.32 lr, {channels}",
                "2:",
                "vldrw.u32 q0, [{sums}], #16",
                "vldrw.u32 q4, [{biases}], #16",
                "vadd.i32 q0, q0, q4",
                ".if {LEFT}",
                "vldrb.s32 q4, [r1]",
                "vmax.s32 q4, q4, q2",
                "vshl.s32 q0, q0, q4",
                ".endif",
                ".if {PER_CHANNEL}",
                "vldrw.u32 q4, [{multipliers}], #16",
                ".else",
                "vldrw.u32 q4, [{multipliers}]",
                ".endif",
                "vqrdmulh.s32 q0, q0, q4",
                ".if {PER_CHANNEL}",
                "vldrb.s32 q4, [r1], #4",
                ".else",
                "vldrb.s32 q4, [r1]",
                ".endif",
                ".if {LEFT}",
                "vmin.s32 q4, q4, q2",
                ".endif",
                ".if {AWAY}",
                "vand q3, q0, q4",
                "vshr.s32 q3, q3, #31",
                "vqadd.s32 q0, q0, q3",
                ".endif",
                "vrshl.s32 q0, q0, q4",
                "vadd.i32 q0, q0, {zero_point}",
                "vmax.s32 q0, q0, q5",
                "vmin.s32 q0, q0, q6",
                "vstrb.32 q0, [r0], #4",
                "letp lr, 2b",
                LEFT = const LEFT,
                AWAY = const AWAY,
                PER_CHANNEL = const PER_CHANNEL,
                min = in(reg) i32::from(clamp.min),
                max = in(reg) i32::from(clamp.max),
                channels = in(reg) output.len(),
                sums = inout(reg) sums.as_ptr() => _,
                biases = inout(reg) self.requantize.biases.from(first) => _,
                multipliers = inout(reg) multipliers => _,
                // Bytes are widened and narrowed through low registers alone.
                inout("r1") shifts => _,
                zero_point = in(reg) self.requantize.output_zero_point,
                inout("r0") output.as_mut_ptr() => _,
                out("lr") _,
                out("d0") _, out("d1") _, out("d4") _, out("d5") _, out("d6") _, out("d7") _, out("d8") _,
                out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _,
                options(nostack),
            );
        }
    }
}

/// Scales accumulators of [`PIXELS`] pixels; what it points to may change between two calls.
#[repr(C)]
pub struct PixelScaler {
    /// Addresses, less 48, of the first pixel's sums in the first and the second [`Pair`].
    sums: [*const Pair; 2],
    clamp: [i32; 2],
    /// First output channel of each pixel; equal ones are written more than once with the same values.
    pub outputs: [*mut i8; PIXELS],
    shifts: *const i8,
    biases: *const i32,
    multipliers: *const i32,
    output_zero_point: i32,
    channels: usize,
}

impl PixelScaler {
    /// A scaler of these sums, without selected channels.
    pub fn new(scaler: &Scaler, sums: &[Pair]) -> Self {
        let clamp = scaler.requantize.clamp;
        PixelScaler {
            sums: [-2, -1].map(|offset| sums.as_ptr().wrapping_offset(offset)),
            clamp: [clamp.min, clamp.max].map(i32::from),
            outputs: [core::ptr::null_mut(); PIXELS],
            biases: core::ptr::null(),
            multipliers: core::ptr::null(),
            shifts: core::ptr::null(),
            output_zero_point: scaler.requantize.output_zero_point,
            channels: 0,
        }
    }

    /// Takes `channels` channels, the first of them `first`.
    pub fn select(&mut self, scaler: &Scaler, first: usize, channels: usize) {
        assert!(first + channels <= scaler.requantize.biases.len());
        self.biases = scaler.requantize.biases.from(first);
        (self.multipliers, self.shifts) = scaler.scales(first);
        self.channels = channels;
    }

    /// # Safety
    /// There are as many sums as selected channels, and as many bytes may be written at each of `outputs`.
    #[inline(always)]
    pub unsafe fn run(&self, scaler: &Scaler) {
        // SAFETY: the caller's promise.
        unsafe {
            match (scaler.rounding, scaler.per_channel()) {
                (Rounding::Up, true) => self.run_as::<0, 0, 1>(),
                (Rounding::Up, false) => self.run_as::<0, 0, 0>(),
                (Rounding::Away, true) => self.run_as::<0, 1, 1>(),
                (Rounding::Away, false) => self.run_as::<0, 1, 0>(),
                (Rounding::LeftThenAway, true) => self.run_as::<1, 1, 1>(),
                (Rounding::LeftThenAway, false) => self.run_as::<1, 1, 0>(),
            }
        }
    }

    #[inline(never)]
    unsafe fn run_as<const LEFT: u32, const AWAY: u32, const PER_CHANNEL: u32>(&self) {
        // SAFETY: the loop touches `channels` lanes of everything, and of the sums one more where it is odd.
        unsafe {
            asm!(
                "ldm r0!, {{r1, r2, r3, r4}}",
                // The first register goes to the lower lane.
                "vmov q7[2], q7[0], r1, r2",
                "vdup.32 q5, r3",
                "vdup.32 q6, r4",
                "ldm r0, {{r1, r2, r3, r4, r5, r8, r10, r12}}",
                "dlstp.32 lr, r12",
                "2:",
                "vldrd.u64 q0, [q7, #48]!",
                "vldrd.u64 q1, [q7, #8]",
                "vldrw.u32 q4, [r5], #16",
                "vldrd.u64 q2, [q7, #16]",
                ".irp q, q0, q1, q2",
                "vadd.i32 \\q, \\q, q4",
                ".endr",
                ".if {LEFT}",
                "vldrb.s32 q4, [r4]",
                "vmov.i32 q3, #0",
                "vmax.s32 q4, q4, q3",
                ".irp q, q0, q1, q2",
                "vshl.s32 \\q, \\q, q4",
                ".endr",
                ".endif",
                ".if {PER_CHANNEL}",
                "vldrw.u32 q4, [r8], #16",
                ".else",
                "vldrw.u32 q4, [r8]",
                ".endif",
                ".irp q, q0, q1, q2",
                "vqrdmulh.s32 \\q, \\q, q4",
                ".endr",
                ".if {PER_CHANNEL}",
                "vldrb.s32 q4, [r4], #4",
                ".else",
                "vldrb.s32 q4, [r4]",
                ".endif",
                ".if {LEFT}",
                "vmin.s32 q4, q4, q3",
                ".endif",
                ".if {AWAY}",
                ".irp q, q0, q1, q2",
                "vand q3, \\q, q4",
                "vshr.s32 q3, q3, #31",
                "vqadd.s32 \\q, \\q, q3",
                ".endr",
                ".endif",
                ".irp q, q0, q1, q2",
                "vrshl.s32 \\q, \\q, q4",
                ".endr",
                ".irp q, q0, q1, q2",
                "vadd.i32 \\q, \\q, r10",
                ".endr",
                ".irp q, q0, q1, q2",
                "vmax.s32 \\q, \\q, q5",
                ".endr",
                ".irp q, q0, q1, q2",
                "vmin.s32 \\q, \\q, q6",
                ".endr",
                "vstrb.32 q0, [r1], #4",
                "vstrb.32 q1, [r2], #4",
                "vstrb.32 q2, [r3], #4",
                "letp lr, 2b",
                LEFT = const LEFT,
                AWAY = const AWAY,
                PER_CHANNEL = const PER_CHANNEL,
                inout("r0") self => _,
                out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r8") _, out("r10") _,
                out("r12") _, out("lr") _,
                out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _,
                out("d7") _, out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _,
                out("d14") _, out("d15") _,
                options(nostack),
            );
        }
    }
}
