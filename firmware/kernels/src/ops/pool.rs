use core::ops::Range;

use super::{BLOCK, Clamp, Sliding};

/// `AVERAGE_POOL_2D`: the mean of the pixels inside the image, rounded to nearest, halves away from zero.
///
/// Input and output have one scale and zero point. Every window must lie at least partly on the image.
#[inline(always)]
pub fn average_pool2d(input: &[i8], shape: &Sliding, clamp: Clamp, output: &mut [i8]) {
    let [_, width, channels] = shape.input;
    let output_width = shape.output[1];
    for (idx, pixel) in output.chunks_exact_mut(channels).enumerate() {
        let (top, bottom, row) = shape.valid(0, idx / output_width);
        let (left, right, column) = shape.valid(1, idx % output_width);
        let start = (row + top as isize) as usize * width + (column + left as isize) as usize;
        let (height, length) = (bottom - top, right - left);
        let count = (height * length) as i32;
        // The rows are whole rows of the image, and follow one another.
        let (height, length) = if length == width {
            (1, height * width)
        } else {
            (height, length)
        };
        for block in blocks(channels) {
            let mut sums = [0i32; BLOCK];
            let sums = &mut sums[..block.len()];
            for row in 0..height {
                let from = (start + row * width) * channels + block.start;
                let pixels = &input[from..][..(length - 1) * channels + block.len()];
                super::add_pixels(pixels, channels, sums);
            }
            for (value, sum) in pixel[block].iter_mut().zip(sums) {
                let half = if *sum > 0 { count / 2 } else { -(count / 2) };
                *value = clamp.apply((*sum + half) / count);
            }
        }
    }
}

/// Adds neighbouring channels of pixels that lie `step` bytes apart: at most `BLOCK` channels, and at most `step`.
///
/// The last pixel may end with the last of these channels.
#[inline(always)]
pub fn add_pixels(pixels: &[i8], step: usize, sums: &mut [i32]) {
    for pixel in pixels.chunks(step) {
        for (sum, value) in sums.iter_mut().zip(pixel) {
            *sum += i32::from(*value);
        }
    }
}

/// Blocks of [`BLOCK`] channels; the last one may begin within another. Fewer channels are one shorter block.
#[inline(always)]
pub(super) fn blocks(channels: usize) -> impl Iterator<Item = Range<usize>> {
    let length = channels.min(BLOCK);
    (0..channels).step_by(BLOCK).map(move |first| {
        let first = first.min(channels - length);
        first..first + length
    })
}
