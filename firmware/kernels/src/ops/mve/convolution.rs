use core::ops::Range;

use super::{
    super::{Requantize, Sliding, portable},
    copy, fill, fully_connected,
    products::Products,
    requantize::{PIXELS, Pair, PixelScaler, Scaler},
};

/// Longest part of a window that is gathered on the stack, in bytes; [`PIXELS`] of them are.
const PATCH: usize = 768;

/// Pairs of channels whose accumulators are on the stack at once.
const PAIRS: usize = 32;

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
    let depth = shape.input[2];
    let row_taps = shape.kernel[1] * depth;
    let taps = shape.kernel[0] * row_taps;
    assert!(
        input.len() == shape.input.iter().product()
            && output.len() == height * width * channels
            && weights.len() == taps * channels
            && requantize.fits(channels)
    );
    let in_place = shape.kernel == [1, 1] && shape.stride == [1, 1] && shape.pad == [0, 0];
    if in_place && height * width == 1 {
        return fully_connected(input, weights, requantize, output);
    }
    if !in_place && row_taps > PATCH {
        return portable::conv2d(input, weights, shape, zero_point, requantize, output);
    }
    // Kernel rows that are gathered and multiplied together.
    let rows = if in_place {
        1
    } else {
        (PATCH / row_taps).min(shape.kernel[0])
    };

    let scaler = Scaler::new(requantize);
    let mut sums = [Pair::default(); PAIRS];
    let mut patches = [[0; PATCH]; PIXELS];
    let mut scale = PixelScaler::new(&scaler, &sums);
    let mut products = Products::new();
    let pixels = height * width;
    for group in (0..pixels).step_by(PIXELS) {
        // The last pixel again where fewer are left.
        let group: [usize; PIXELS] = core::array::from_fn(|idx| (group + idx).min(pixels - 1));
        for first in (0..channels).step_by(2 * PAIRS) {
            let count = (channels - first).min(2 * PAIRS);
            for ky in (0..shape.kernel[0]).step_by(rows) {
                let rows = rows.min(shape.kernel[0] - ky);
                if in_place {
                    products.pixels = group.map(|pixel| input[pixel * depth..].as_ptr());
                } else if first == 0 || rows < shape.kernel[0] {
                    for (patch, pixel) in patches.iter_mut().zip(group) {
                        let at = [pixel / width, pixel % width];
                        gather(input, shape, zero_point, at, ky..ky + rows, patch);
                    }
                    products.pixels = patches.each_ref().map(|patch| patch.as_ptr());
                }
                let row = weights[first * taps + ky * row_taps..].as_ptr();
                products.select(rows * row_taps, taps);
                // SAFETY: `count` weight rows are there, and each pixel's pointer has `rows` kernel rows.
                unsafe { products.multiply(row, taps, count, ky > 0, &mut sums) };
            }
            scale.select(&scaler, first, count);
            scale.outputs = group.map(|pixel| output[pixel * channels + first..].as_mut_ptr());
            // SAFETY: `count` channels of each pixel were summed and are written.
            unsafe { scale.run(&scaler) };
        }
    }
}

/// Copies some kernel rows of the window of one output pixel, padding included.
#[inline(always)]
fn gather(
    input: &[i8],
    shape: &Sliding,
    zero_point: i8,
    at: [usize; 2],
    rows: Range<usize>,
    patch: &mut [i8; PATCH],
) {
    let [_, width, depth] = shape.input;
    let (top, bottom, row) = shape.valid(0, at[0]);
    let (left, right, column) = shape.valid(1, at[1]);
    let row_taps = shape.kernel[1] * depth;
    let (top, bottom) = (top.max(rows.start), bottom.min(rows.end));
    if top > rows.start || bottom < rows.end || right - left < shape.kernel[1] {
        fill(&mut patch[..rows.len() * row_taps], zero_point);
    }
    let length = (right - left) * depth;
    let step = width * depth;
    if top >= bottom {
        return;
    }
    let start = (row + top as isize) as usize * step + (column + left as isize) as usize * depth;
    let source = &input[start..start + (bottom - top - 1) * step + length];
    let target = &mut patch[(top - rows.start) * row_taps + left * depth..];
    assert!(target.len() >= (bottom - top - 1) * row_taps + length);
    for idx in 0..bottom - top {
        // SAFETY: the slices are long enough for the last row.
        unsafe {
            let source = source.as_ptr().add(idx * step);
            copy(source, target.as_mut_ptr().add(idx * row_taps), length);
        }
    }
}
