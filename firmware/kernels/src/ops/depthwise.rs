use super::{BLOCK, Requantize, Sliding};

/// `DEPTHWISE_CONV_2D` with depth multiplier 1: weights `[kernel height, kernel width, channels]`.
///
/// Padding counts as `zero_point`: the input's, a real zero.
#[inline(always)]
pub fn depthwise_conv2d(
    input: &[i8],
    weights: &[i8],
    shape: &Sliding,
    zero_point: i8,
    requantize: &Requantize,
    output: &mut [i8],
) {
    let [_, output_width, channels] = shape.output;
    for (idx, pixel) in output.chunks_exact_mut(channels).enumerate() {
        let at = [idx / output_width, idx % output_width];
        for_blocks!(pixel, [BLOCK, 4, 1], |first, block| block_of_channels(
            input, weights, shape, zero_point, at, requantize, first, block,
        ));
    }
}

/// `N` neighbouring channels of one pixel, the first of them `first`.
#[expect(
    clippy::too_many_arguments,
    reason = "one call site per width, all arguments in registers"
)]
#[inline(always)]
fn block_of_channels<const N: usize>(
    input: &[i8],
    weights: &[i8],
    shape: &Sliding,
    zero_point: i8,
    at: [usize; 2],
    requantize: &Requantize,
    first: usize,
    output: &mut [i8; N],
) {
    let [_, width, channels] = shape.input;
    let (top, bottom, row) = shape.valid(0, at[0]);
    let (left, right, column) = shape.valid(1, at[1]);
    let padding = [zero_point; N];
    let mut accumulators: [i32; N] = requantize.biases.block(first);
    for ky in 0..shape.kernel[0] {
        for kx in 0..shape.kernel[1] {
            let tap = (ky * shape.kernel[1] + kx) * channels + first;
            let inside = ky >= top && ky < bottom && kx >= left && kx < right;
            let values = if inside {
                let pixel = (row + ky as isize) as usize * width + (column + kx as isize) as usize;
                &input[pixel * channels + first..][..N]
            } else {
                &padding[..]
            };
            let weights = &weights[tap..tap + N];
            for idx in 0..N {
                // int8 times int8 fits 16 bits, which doubles the lanes of the product.
                let product = i16::from(values[idx]) * i16::from(weights[idx]);
                accumulators[idx] += i32::from(product);
            }
        }
    }
    requantize.block(accumulators, first, output);
}
