use super::fully_connected;
use super::{BLOCK, Requantize, Sliding, fully_connected::dot};

/// Longest window that is gathered on the stack, in bytes.
const PATCH: usize = 512;

/// `CONV_2D`: weights `[output channels, kernel height, kernel width, input channels]`.
///
/// Padding counts as `zero_point`, the input's, which is a real zero.
#[inline(always)]
pub fn conv2d(
    input: &[i8],
    weights: &[i8],
    shape: &Sliding,
    zero_point: i8,
    requantize: &Requantize,
    output: &mut [i8],
) {
    let [_, output_width, output_channels] = shape.output;
    let taps = shape.kernel[0] * shape.kernel[1] * shape.input[2];
    let pixels = output.chunks_exact_mut(output_channels);
    if shape.kernel == [1, 1] && shape.stride == [1, 1] && shape.input[..2] == shape.output[..2] {
        for (pixel, input) in pixels.zip(input.chunks_exact(taps)) {
            fully_connected(input, weights, requantize, pixel);
        }
    } else if taps <= PATCH {
        let mut patch = [0; PATCH];
        let patch = &mut patch[..taps];
        for (idx, pixel) in pixels.enumerate() {
            gather(
                input,
                shape,
                zero_point,
                [idx / output_width, idx % output_width],
                patch,
            );
            fully_connected(patch, weights, requantize, pixel);
        }
    } else {
        for (idx, pixel) in pixels.enumerate() {
            let at = [idx / output_width, idx % output_width];
            in_place(input, weights, shape, zero_point, at, requantize, pixel);
        }
    }
}

/// Copies the window of one output pixel, padding included.
#[inline(always)]
fn gather(input: &[i8], shape: &Sliding, zero_point: i8, at: [usize; 2], patch: &mut [i8]) {
    let [_, width, channels] = shape.input;
    let (top, bottom, row) = shape.valid(0, at[0]);
    let (left, right, column) = shape.valid(1, at[1]);
    if bottom - top < shape.kernel[0] || right - left < shape.kernel[1] {
        patch.fill(zero_point);
    }
    let (left, right) = (left * channels, right * channels);
    let rows = patch.chunks_exact_mut(shape.kernel[1] * channels);
    for (ky, patch_row) in rows.enumerate().take(bottom).skip(top) {
        let start = (row + ky as isize) * (width * channels) as isize + column * channels as isize;
        let source = &input[(start + left as isize) as usize..(start + right as isize) as usize];
        patch_row[left..right].copy_from_slice(source);
    }
}

/// One output pixel of a window that is too long to gather, row by row of the kernel.
#[inline(always)]
fn in_place(
    input: &[i8],
    weights: &[i8],
    shape: &Sliding,
    zero_point: i8,
    at: [usize; 2],
    requantize: &Requantize,
    output: &mut [i8],
) {
    let [_, width, channels] = shape.input;
    let (top, bottom, row) = shape.valid(0, at[0]);
    let (left, right, column) = shape.valid(1, at[1]);
    let (left, right) = (left * channels, right * channels);
    let row_taps = shape.kernel[1] * channels;
    let padding = |weights: &[i8]| {
        let sum: i32 = weights.iter().map(|w| i32::from(*w)).sum();
        i32::from(zero_point) * sum
    };
    let channel = |kernel: &[i8]| {
        let mut sum = 0;
        for (ky, taps) in kernel.chunks_exact(row_taps).enumerate() {
            if ky < top || ky >= bottom {
                sum += padding(taps);
                continue;
            }
            let start =
                (row + ky as isize) * (width * channels) as isize + column * channels as isize;
            let source =
                &input[(start + left as isize) as usize..(start + right as isize) as usize];
            sum +=
                dot(source, &taps[left..right]) + padding(&taps[..left]) + padding(&taps[right..]);
        }
        sum
    };
    let kernels = weights.chunks_exact(shape.kernel[0] * row_taps);
    for (idx, (value, kernel)) in output
        .as_chunks_mut::<1>()
        .0
        .iter_mut()
        .zip(kernels)
        .enumerate()
    {
        requantize.block([requantize.biases.get(idx) + channel(kernel)], idx, value);
    }
}

const _: () = assert!(BLOCK % 4 == 0);
