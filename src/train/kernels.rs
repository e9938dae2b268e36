//! The inner loops of training, compiled for AVX-512, AVX2 and the baseline; the best one is chosen at run time.
//!
//! All of them work on row-major slices; `channels` is the fastest dimension. Vectors over channels are [`tiled`]
//! patterns, so narrow tensors fill whole vector registers.

#![allow(
    unsafe_code,
    reason = "a function that needs CPU features may be called once they were found"
)]

use crate::graph::{Shape, Window};

/// Lanes that the loops keep in registers: two AVX-512 vectors.
const PANEL: usize = 32;
/// Channels of a depthwise convolution computed together: one AVX-512 vector.
const LANES: usize = 16;

/// Defines a function three times, and calls the best version that the processor can run.
macro_rules! multiversion {
    ($($(#[$doc:meta])* pub fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block)*) => {$(
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        pub fn $name($($arg: $type),*) {
            #[inline(always)]
            fn portable($($arg: $type),*) $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                fn avx512($($arg: $type),*) { portable($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $type),*) { portable($($arg),*) }
                let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
                if has_avx2
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
                {
                    // SAFETY: the processor has been asked for these features just above.
                    return unsafe { avx512($($arg),*) };
                }
                if has_avx2 {
                    // SAFETY: the processor has been asked for these features just above.
                    return unsafe { avx2($($arg),*) };
                }
            }
            portable($($arg),*)
        }
    )*};
}

/// A row-major operand of a matrix product; it may be read as its transpose.
#[derive(Clone, Copy)]
pub struct Operand<'a> {
    /// The values, row by row.
    pub(super) values: &'a [f32],
    /// Number of rows.
    pub(super) rows: usize,
    /// Number of columns.
    pub(super) columns: usize,
    /// Values from one row to the next.
    pub(super) row_stride: isize,
    /// Values from one column to the next.
    pub(super) column_stride: isize,
}

impl<'a> Operand<'a> {
    /// A row-major operand of `rows x columns` values.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns);
        Operand {
            values,
            rows,
            columns,
            row_stride: columns as isize,
            column_stride: 1,
        }
    }

    /// The transpose, without copying.
    pub fn transposed(self) -> Self {
        Operand {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// `out = a b`, or `out += a b` where `accumulate`; one thread.
pub fn matrix_product(a: Operand, b: Operand, out: &mut [f32], accumulate: bool) {
    assert_eq!(a.columns, b.rows);
    assert_eq!(out.len(), a.rows * b.columns);
    // SAFETY: both operands cover their slices (checked when they were made), `out` holds
    // `a.rows x b.columns` values, and the borrows keep the three apart.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            b.columns as isize,
            accumulate,
            a.values.as_ptr(),
            a.column_stride,
            a.row_stride,
            b.values.as_ptr(),
            b.column_stride,
            b.row_stride,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Repeats a pattern over channels until its length is a multiple of [`PANEL`].
pub fn tiled(pattern: &[f32]) -> Vec<f32> {
    // PANEL is a power of two, so the greatest common divisor is one too.
    let shared = 1 << pattern.len().trailing_zeros().min(PANEL.ilog2());
    pattern.repeat(PANEL / shared)
}

/// Sums a tiled pattern back to `channels` values.
pub fn folded(tiles: &[f32], channels: usize) -> Vec<f32> {
    let mut sums = vec![0.0; channels];
    for tile in tiles.chunks_exact(channels) {
        for (sum, value) in sums.iter_mut().zip(tile) {
            *sum += value;
        }
    }
    sums
}

#[inline(always)]
fn clamped(value: f32, [low, high]: [f32; 2]) -> f32 {
    // Unlike `max` and `min`, comparisons keep NaN, so divergence shows in the loss.
    let value = if value < low { low } else { value };
    if value > high { high } else { value }
}

multiversion! {
    /// `out = clamp(x * scale + shift)`; `scale` and `shift` are tiled patterns.
    pub fn affine(x: &[f32], scale: &[f32], shift: &[f32], bounds: [f32; 2], out: &mut [f32]) {
        for (x, out) in x.chunks(scale.len()).zip(out.chunks_mut(scale.len())) {
            for (((out, x), scale), shift) in out.iter_mut().zip(x).zip(scale).zip(shift) {
                *out = clamped(x.mul_add(*scale, *shift), bounds);
            }
        }
    }

    /// Adds the sums of `x - origin` and of its squares to `sums` and `squares`; all but `x` are tiled patterns.
    pub fn column_sums(x: &[f32], origin: &[f32], sums: &mut [f32], squares: &mut [f32]) {
        let width = sums.len();
        let (origin, squares) = (&origin[..width], &mut squares[..width]);
        let rows = x.len() / width;
        for first in (0..width).step_by(PANEL) {
            let (mut sum, mut square) = ([0.0f32; PANEL], [0.0f32; PANEL]);
            let origin = &origin[first..][..PANEL];
            for row in 0..rows {
                let x = &x[row * width + first..][..PANEL];
                for lane in 0..PANEL {
                    let x = x[lane] - origin[lane];
                    sum[lane] += x;
                    square[lane] = x.mul_add(x, square[lane]);
                }
            }
            for lane in 0..PANEL {
                sums[first + lane] += sum[lane];
                squares[first + lane] += square[lane];
            }
        }
        for (column, x) in x[rows * width..].iter().enumerate() {
            let x = x - origin[column];
            sums[column] += x;
            squares[column] += x * x;
        }
    }

    /// Backward of [`affine`]: zeroes `gradient` where the clamp held, and adds the sums of `gradient`
    /// and of `gradient * x` to two tiled patterns.
    pub fn affine_backward(
        x: &[f32], scale: &[f32], shift: &[f32], bounds: [f32; 2],
        gradient: &mut [f32], sums: &mut [f32], products: &mut [f32],
    ) {
        let width = scale.len();
        let (shift, sums, products) = (&shift[..width], &mut sums[..width], &mut products[..width]);
        let rows = x.len() / width;
        for first in (0..width).step_by(PANEL) {
            let (mut sum, mut product) = ([0.0f32; PANEL], [0.0f32; PANEL]);
            let (mut scales, mut shifts) = ([0.0f32; PANEL], [0.0f32; PANEL]);
            scales.copy_from_slice(&scale[first..][..PANEL]);
            shifts.copy_from_slice(&shift[first..][..PANEL]);
            for row in 0..rows {
                let x = &x[row * width + first..][..PANEL];
                let gradient = &mut gradient[row * width + first..][..PANEL];
                for lane in 0..PANEL {
                    let y = x[lane].mul_add(scales[lane], shifts[lane]);
                    let kept = if y > bounds[0] && y < bounds[1] { gradient[lane] } else { 0.0 };
                    gradient[lane] = kept;
                    sum[lane] += kept;
                    product[lane] = kept.mul_add(x[lane], product[lane]);
                }
            }
            for lane in 0..PANEL {
                sums[first + lane] += sum[lane];
                products[first + lane] += product[lane];
            }
        }
        for at in rows * width..x.len() {
            let column = at - rows * width;
            let y = x[at].mul_add(scale[column], shift[column]);
            let kept = if y > bounds[0] && y < bounds[1] { gradient[at] } else { 0.0 };
            gradient[at] = kept;
            sums[column] += kept;
            products[column] += kept * x[at];
        }
    }

    /// Gradient through batch statistics: `gradient = scale * gradient - slope * x - offset`, tiled patterns.
    pub fn normalise_backward(x: &[f32], scale: &[f32], slope: &[f32], offset: &[f32], gradient: &mut [f32]) {
        for (x, gradient) in x.chunks(scale.len()).zip(gradient.chunks_mut(scale.len())) {
            let patterns = scale.iter().zip(slope).zip(offset);
            for ((gradient, x), ((scale, slope), offset)) in gradient.iter_mut().zip(x).zip(patterns) {
                *gradient = gradient.mul_add(*scale, -slope.mul_add(*x, *offset));
            }
        }
    }

    /// One Adam step (Kingma and Ba 2015, algorithm 1); `rate` and `correction` hold the bias corrections.
    pub fn adam(
        parameter: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32],
        betas: [f32; 2], rate: f32, correction: f32, epsilon: f32,
    ) {
        let moments = first.iter_mut().zip(second);
        for ((parameter, gradient), (first, second)) in parameter.iter_mut().zip(gradient).zip(moments) {
            *first = betas[0] * *first + (1.0 - betas[0]) * gradient;
            *second = betas[1] * *second + (1.0 - betas[1]) * (gradient * gradient);
            *parameter -= rate * *first / (second.sqrt() * correction + epsilon);
        }
    }

    /// Depthwise convolution of one padded image.
    pub fn depthwise(geometry: &Geometry, image: &[f32], weight: &[f32], out: &mut [f32]) {
        match geometry.kernel {
            [3, 3] => depthwise_image::<9>(geometry, 3, image, weight, out),
            [5, 5] => depthwise_image::<25>(geometry, 5, image, weight, out),
            [_, width] => depthwise_image::<0>(geometry, width, image, weight, out),
        }
    }

    /// Backward of [`depthwise`]: adds to the gradients of the padded image and of the weights.
    pub fn depthwise_backward(
        geometry: &Geometry, image: &[f32], weight: &[f32], gradient: &[f32],
        image_gradient: &mut [f32], weight_gradient: &mut [f32],
    ) {
        let g = (image, weight, gradient);
        match geometry.kernel {
            [3, 3] => depthwise_image_backward::<9>(geometry, 3, g, image_gradient, weight_gradient),
            [5, 5] => depthwise_image_backward::<25>(geometry, 5, g, image_gradient, weight_gradient),
            [_, width] => depthwise_image_backward::<0>(geometry, width, g, image_gradient, weight_gradient),
        }
    }

    /// The windows of one padded image as rows of a matrix: `output pixels x (taps * channels)`.
    pub fn image_to_columns(geometry: &Geometry, image: &[f32], columns: &mut [f32]) {
        let run = geometry.kernel[1] * geometry.channels;
        let mut rest = columns;
        for y in 0..geometry.output[0] {
            for x in 0..geometry.output[1] {
                for ky in 0..geometry.kernel[0] {
                    let (target, after) = rest.split_at_mut(run);
                    let source = &image[geometry.at(y, x, ky)..][..run];
                    for (target, source) in target.iter_mut().zip(source) {
                        *target = *source;
                    }
                    rest = after;
                }
            }
        }
    }

    /// Backward of [`image_to_columns`]: adds the rows to the padded image.
    pub fn columns_to_image(geometry: &Geometry, columns: &[f32], image: &mut [f32]) {
        let run = geometry.kernel[1] * geometry.channels;
        let mut rest = columns;
        for y in 0..geometry.output[0] {
            for x in 0..geometry.output[1] {
                for ky in 0..geometry.kernel[0] {
                    let (source, after) = rest.split_at(run);
                    let target = &mut image[geometry.at(y, x, ky)..][..run];
                    for (target, source) in target.iter_mut().zip(source) {
                        *target += source;
                    }
                    rest = after;
                }
            }
        }
    }

    /// Adds the sum of squared differences of `x + shift` and `target` to `sum`, and writes `factor` times
    /// the differences; `shift` is a tiled pattern.
    pub fn squared_error(
        x: &[f32], shift: &[f32], target: &[f32], factor: f32, out: &mut [f32], sum: &mut f64,
    ) {
        let width = shift.len();
        let rows = x.chunks(width).zip(target.chunks(width)).zip(out.chunks_mut(width));
        for ((x, target), out) in rows {
            let mut lanes = [0.0f32; PANEL];
            let panels = x.chunks(PANEL).zip(target.chunks(PANEL)).zip(shift.chunks(PANEL));
            for (((x, target), shift), out) in panels.zip(out.chunks_mut(PANEL)) {
                let values = x.iter().zip(target).zip(shift).zip(out);
                for (lane, (((x, target), shift), out)) in lanes.iter_mut().zip(values) {
                    let difference = x + shift - target;
                    *lane = difference.mul_add(difference, *lane);
                    *out = factor * difference;
                }
            }
            *sum += f64::from(lanes.iter().sum::<f32>());
        }
    }
}

/// A sliding window over one image padded with zeros.
#[derive(Debug, Clone, PartialEq)]
pub struct Geometry {
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Stride in height and width.
    pub stride: [usize; 2],
    /// Height and width of the output.
    pub output: [usize; 2],
    /// Channels of the input.
    pub channels: usize,
    /// Height and width with padding.
    padded: [usize; 2],
    before: [usize; 2],
    input: [usize; 2],
}

impl Geometry {
    /// `output` is the output's height and width.
    pub fn new(window: Window, input: Shape, output: [usize; 2]) -> Self {
        let before = window.pad_before(input);
        let size = [input.height, input.width];
        let padded = [0, 1].map(|axis| {
            let reach = (output[axis] - 1) * window.stride[axis] + window.kernel[axis];
            reach.max(before[axis] + size[axis])
        });
        Geometry {
            kernel: window.kernel,
            stride: window.stride,
            output,
            channels: input.channels,
            padded,
            before,
            input: size,
        }
    }

    /// Padding `[before, after]` for both axes.
    pub fn padding(&self) -> [(usize, usize); 2] {
        [0, 1].map(|axis| {
            let after = self.padded[axis] - self.before[axis] - self.input[axis];
            (self.before[axis], after)
        })
    }

    /// `[height, width, channels]` without padding.
    pub fn input_shape(&self) -> [usize; 3] {
        [self.input[0], self.input[1], self.channels]
    }

    /// Values of the padded image.
    pub fn padded_len(&self) -> usize {
        self.padded[0] * self.padded[1] * self.channels
    }

    /// Whether the window only rearranges nothing: one tap, stride one.
    pub fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1]
    }

    /// Values of an input row.
    pub fn row_len(&self) -> usize {
        self.input[1] * self.channels
    }

    /// Where input row `y` begins in the padded image.
    pub fn row_start(&self, y: usize) -> usize {
        ((y + self.before[0]) * self.padded[1] + self.before[1]) * self.channels
    }

    /// Where tap `(ky, 0)` of output pixel `(y, x)` begins in the padded image.
    #[inline(always)]
    fn at(&self, y: usize, x: usize, ky: usize) -> usize {
        ((y * self.stride[0] + ky) * self.padded[1] + x * self.stride[1]) * self.channels
    }
}

/// Calls `body` for groups of 16 channels, then for single ones.
macro_rules! for_channel_groups {
    ($channels:expr, $call:ident, [$($generic:tt),*], ($($arg:expr),*)) => {{
        let mut first = 0;
        while first + LANES <= $channels {
            $call::<LANES, $($generic),*>(first, $($arg),*);
            first += LANES;
        }
        while first + 8 <= $channels {
            $call::<8, $($generic),*>(first, $($arg),*);
            first += 8;
        }
        while first < $channels {
            $call::<1, $($generic),*>(first, $($arg),*);
            first += 1;
        }
    }};
}

/// `TAPS` is 0 where the kernel is not square or has an unusual size.
#[inline(always)]
fn depthwise_image<const TAPS: usize>(
    geometry: &Geometry,
    width: usize,
    image: &[f32],
    weight: &[f32],
    out: &mut [f32],
) {
    for y in 0..geometry.output[0] {
        for_channel_groups!(
            geometry.channels,
            depthwise_row,
            [TAPS],
            (geometry, width, y, image, weight, &mut *out)
        );
    }
}

#[inline(always)]
fn depthwise_row<const L: usize, const TAPS: usize>(
    first: usize,
    geometry: &Geometry,
    width: usize,
    y: usize,
    image: &[f32],
    weight: &[f32],
    out: &mut [f32],
) {
    let channels = geometry.channels;
    let taps = if TAPS == 0 {
        geometry.kernel[0] * width
    } else {
        TAPS
    };
    let mut kept = [[0.0f32; L]; TAPS];
    for (tap, kept) in kept.iter_mut().enumerate() {
        kept.copy_from_slice(&weight[tap * channels + first..][..L]);
    }
    for x in 0..geometry.output[1] {
        let mut sum = [0.0f32; L];
        for tap in 0..taps {
            let at = geometry.at(y, x, tap / width) + (tap % width) * channels + first;
            let image = &image[at..][..L];
            let weight = if TAPS == 0 {
                &weight[tap * channels + first..][..L]
            } else {
                &kept[tap][..]
            };
            for lane in 0..L {
                sum[lane] = image[lane].mul_add(weight[lane], sum[lane]);
            }
        }
        out[(y * geometry.output[1] + x) * channels + first..][..L].copy_from_slice(&sum);
    }
}

#[inline(always)]
fn depthwise_image_backward<const TAPS: usize>(
    geometry: &Geometry,
    width: usize,
    given: (&[f32], &[f32], &[f32]),
    image_gradient: &mut [f32],
    weight_gradient: &mut [f32],
) {
    for y in 0..geometry.output[0] {
        for_channel_groups!(
            geometry.channels,
            depthwise_row_backward,
            [TAPS],
            (
                geometry,
                width,
                y,
                given,
                &mut *image_gradient,
                &mut *weight_gradient
            )
        );
    }
}

#[inline(always)]
fn depthwise_row_backward<const L: usize, const TAPS: usize>(
    first: usize,
    geometry: &Geometry,
    width: usize,
    y: usize,
    (image, weight, gradient): (&[f32], &[f32], &[f32]),
    image_gradient: &mut [f32],
    weight_gradient: &mut [f32],
) {
    let channels = geometry.channels;
    let taps = if TAPS == 0 {
        geometry.kernel[0] * width
    } else {
        TAPS
    };
    let (mut kept, mut sums) = ([[0.0f32; L]; TAPS], [[0.0f32; L]; TAPS]);
    for (tap, kept) in kept.iter_mut().enumerate() {
        kept.copy_from_slice(&weight[tap * channels + first..][..L]);
    }
    for x in 0..geometry.output[1] {
        let mut given = [0.0f32; L];
        given.copy_from_slice(&gradient[(y * geometry.output[1] + x) * channels + first..][..L]);
        for tap in 0..taps {
            let at = geometry.at(y, x, tap / width) + (tap % width) * channels + first;
            let image = &image[at..][..L];
            let image_gradient = &mut image_gradient[at..][..L];
            if TAPS == 0 {
                let weight = &weight[tap * channels + first..][..L];
                let sum = &mut weight_gradient[tap * channels + first..][..L];
                for lane in 0..L {
                    sum[lane] = image[lane].mul_add(given[lane], sum[lane]);
                    image_gradient[lane] = weight[lane].mul_add(given[lane], image_gradient[lane]);
                }
            } else {
                for lane in 0..L {
                    sums[tap][lane] = image[lane].mul_add(given[lane], sums[tap][lane]);
                    image_gradient[lane] =
                        kept[tap][lane].mul_add(given[lane], image_gradient[lane]);
                }
            }
        }
    }
    for (tap, sums) in sums.iter().enumerate() {
        let target = &mut weight_gradient[tap * channels + first..][..L];
        for lane in 0..L {
            target[lane] += sums[lane];
        }
    }
}
