/// `RESIZE_NEAREST_NEIGHBOR` by whole factors `[height, width]` of an image `[height, width, channels]`.
#[inline(always)]
pub fn upsample(input: &[i8], shape: [usize; 3], factor: [usize; 2], output: &mut [i8]) {
    let [_, width, channels] = shape;
    let output_row = width * factor[1] * channels;
    for (row_idx, row) in output.chunks_exact_mut(output_row).enumerate() {
        let source = &input[row_idx / factor[0] * width * channels..][..width * channels];
        for (column, pixel) in row.chunks_exact_mut(channels).enumerate() {
            pixel.copy_from_slice(&source[column / factor[1] * channels..][..channels]);
        }
    }
}
