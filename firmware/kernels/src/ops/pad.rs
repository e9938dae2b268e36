/// `PAD` of an image `[height, width, channels]`: `before` zeros precede the data along each axis.
///
/// Input and output have one scale and zero point; the zero point is the real zero.
#[inline(always)]
pub fn pad(
    input: &[i8],
    shape: [usize; 3],
    before: [usize; 3],
    output_shape: [usize; 3],
    zero_point: i8,
    output: &mut [i8],
) {
    let [_, width, channels] = shape;
    let [_, output_width, output_channels] = output_shape;
    output.fill(zero_point);
    for (idx, pixel) in input.chunks_exact(channels).enumerate() {
        let (row, column) = (idx / width + before[0], idx % width + before[1]);
        let start = (row * output_width + column) * output_channels + before[2];
        output[start..start + channels].copy_from_slice(pixel);
    }
}
