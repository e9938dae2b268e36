use super::{BLOCK, Clamp, Sliding};

/// `AVERAGE_POOL_2D`: the mean of the pixels inside the image, rounded to nearest, halves away from zero.
///
/// Input and output share scale and zero point. No window may lie outside the image altogether.
#[inline(always)]
pub fn average_pool2d(input: &[i8], shape: &Sliding, clamp: Clamp, output: &mut [i8]) {
    let [_, width, channels] = shape.input;
    let output_width = shape.output[1];
    for (idx, pixel) in output.chunks_exact_mut(channels).enumerate() {
        let (top, bottom, row) = shape.valid(0, idx / output_width);
        let (left, right, column) = shape.valid(1, idx % output_width);
        let count = ((bottom - top) * (right - left)) as i32;
        for (block_idx, block) in pixel.chunks_mut(BLOCK).enumerate() {
            let mut sums = [0i32; BLOCK];
            for ky in top..bottom {
                for kx in left..right {
                    let pixel =
                        (row + ky as isize) as usize * width + (column + kx as isize) as usize;
                    let values = &input[pixel * channels + block_idx * BLOCK..][..block.len()];
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum += i32::from(*value);
                    }
                }
            }
            for (value, sum) in block.iter_mut().zip(sums) {
                let half = if sum > 0 { count / 2 } else { -(count / 2) };
                *value = clamp.apply((sum + half) / count);
            }
        }
    }
}
