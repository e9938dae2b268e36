/// `RESIZE_NEAREST_NEIGHBOR` by whole factors `[height, width]` of an image `[height, width, channels]`.
#[inline(always)]
pub fn upsample(input: &[i8], shape: [usize; 3], factor: [usize; 2], output: &mut [i8]) {
    let [_, width, channels] = shape;
    let length = width * factor[1] * channels;
    let rows = output.chunks_exact_mut(length * factor[0]);
    for (source, rows) in input.chunks_exact(width * channels).zip(rows) {
        let (row, copies) = rows.split_at_mut(length);
        let pixels = row.chunks_exact_mut(factor[1] * channels);
        for (source, pixels) in source.chunks_exact(channels).zip(pixels) {
            super::repeat(source, pixels);
        }
        super::repeat(row, copies);
    }
}

/// Fills `target` with copies of `source`, as many as fit.
#[inline(always)]
pub fn repeat(source: &[i8], target: &mut [i8]) {
    for target in target.chunks_exact_mut(source.len()) {
        target.copy_from_slice(source);
    }
}
