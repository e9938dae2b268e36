use super::{Requantize, Sliding, fully_connected, fully_connected::dot};

/// Longest window that is gathered on the stack, in bytes.
const PATCH: usize = 1024;

/// `CONV_2D`: weights `[output channels, kernel height, kernel width, input channels]`.
///
/// Padding counts as `zero_point`: the input's, a real zero.
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
            // A window that is too long to gather.
            for_blocks!(pixel, [4, 1], |first, block| in_place(
                input, weights, shape, zero_point, at, requantize, first, block,
            ));
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

/// `N` neighbouring output channels of one pixel, row by row of the kernel.
#[expect(
    clippy::too_many_arguments,
    reason = "one call site per width, all arguments in registers"
)]
#[inline(always)]
fn in_place<const N: usize>(
    input: &[i8],
    weights: &[i8],
    shape: &Sliding,
    zero_point: i8,
    at: [usize; 2],
    requantize: &Requantize,
    first: usize,
    output: &mut [i8; N],
) {
    let [_, width, depth] = shape.input;
    let (top, bottom, row) = shape.valid(0, at[0]);
    let (left, right, column) = shape.valid(1, at[1]);
    let (left, right) = (left * depth, right * depth);
    let row_taps = shape.kernel[1] * depth;
    let taps = shape.kernel[0] * row_taps;
    let padding = |weights: &[i8]| {
        let sum: i32 = weights.iter().map(|w| i32::from(*w)).sum();
        i32::from(zero_point) * sum
    };
    let mut accumulators: [i32; N] = requantize.biases.block(first);
    for ky in 0..shape.kernel[0] {
        let rows: [&[i8]; N] = core::array::from_fn(|idx| {
            &weights[(first + idx) * taps + ky * row_taps..][..row_taps]
        });
        if ky < top || ky >= bottom {
            for (accumulator, row) in accumulators.iter_mut().zip(rows) {
                *accumulator += padding(row);
            }
            continue;
        }
        let start = (row + ky as isize) * (width * depth) as isize + column * depth as isize;
        let source = &input[(start + left as isize) as usize..(start + right as isize) as usize];
        let sums = dot(source, rows.map(|row| &row[left..right]));
        for ((accumulator, sum), row) in accumulators.iter_mut().zip(sums).zip(rows) {
            *accumulator += sum + padding(&row[..left]) + padding(&row[right..]);
        }
    }
    requantize.block(accumulators, first, output);
}
