use super::{BLOCK, Clamp, Sliding};

/// `MAX_POOL_2D`: the largest of the pixels inside the image.
///
/// Input and output have one scale and zero point. Every window must lie at least partly on the image.
#[inline(always)]
pub fn max_pool2d(input: &[i8], shape: &Sliding, clamp: Clamp, output: &mut [i8]) {
    let [_, width, channels] = shape.input;
    let output_width = shape.output[1];
    for (idx, pixel) in output.chunks_exact_mut(channels).enumerate() {
        let (top, bottom, row) = shape.valid(0, idx / output_width);
        let (left, right, column) = shape.valid(1, idx % output_width);
        for (block_idx, block) in pixel.chunks_mut(BLOCK).enumerate() {
            let mut largest = [i8::MIN; BLOCK];
            for ky in top..bottom {
                for kx in left..right {
                    let pixel =
                        (row + ky as isize) as usize * width + (column + kx as isize) as usize;
                    let values = &input[pixel * channels + block_idx * BLOCK..][..block.len()];
                    for (largest, value) in largest.iter_mut().zip(values) {
                        *largest = (*largest).max(*value);
                    }
                }
            }
            for (value, largest) in block.iter_mut().zip(largest) {
                *value = clamp.apply(i32::from(largest));
            }
        }
    }
}
