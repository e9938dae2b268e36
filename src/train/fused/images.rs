//! Turns images into matrices of windows, into padded images and into enlarged ones.

use super::{epilogue::Affine, workspace::clear};
use crate::train::kernels::{self, Geometry};

/// The windows of every image as rows of a matrix.
pub fn windows(
    geometry: &Geometry,
    y: &[f32],
    input_len: usize,
    image: &mut Vec<f32>,
    columns: &mut Vec<f32>,
) {
    let [height, width] = geometry.output;
    let len = height * width * geometry.kernel[0] * geometry.kernel[1] * geometry.channels;
    clear(image, geometry.padded_len());
    columns.resize(y.len() / input_len * len, 0.0);
    for (y, columns) in y.chunks_exact(input_len).zip(columns.chunks_exact_mut(len)) {
        pad(geometry, None, y, image);
        kernels::image_to_columns(geometry, image, columns);
    }
}

/// Copies one image into its padded place, with its epilogue applied. The border stays as it is.
pub fn pad(geometry: &Geometry, affine: Option<&Affine>, x: &[f32], image: &mut [f32]) {
    for (y, row) in x.chunks_exact(geometry.row_len()).enumerate() {
        let target = &mut image[geometry.row_start(y)..][..row.len()];
        match affine {
            Some(affine) => affine.apply(row, target),
            None => target.copy_from_slice(row),
        }
    }
}

/// Copies one image out of its padded place.
pub fn crop(geometry: &Geometry, image: &[f32], x: &mut [f32]) {
    for (y, row) in x.chunks_exact_mut(geometry.row_len()).enumerate() {
        row.copy_from_slice(&image[geometry.row_start(y)..][..geometry.row_len()]);
    }
}

/// Repeats each pixel of an image by whole factors.
pub fn upsample(
    [_, width, channels]: [usize; 3],
    [fy, fx]: [usize; 2],
    y: &[f32],
    out: &mut [f32],
) {
    let out_row = width * fx * channels;
    for (row, rows) in y
        .chunks_exact(width * channels)
        .zip(out.chunks_exact_mut(fy * out_row))
    {
        let (first, others) = rows.split_at_mut(out_row);
        for (pixel, copies) in row
            .chunks_exact(channels)
            .zip(first.chunks_exact_mut(fx * channels))
        {
            for copy in copies.chunks_exact_mut(channels) {
                copy.copy_from_slice(pixel);
            }
        }
        for other in others.chunks_exact_mut(out_row) {
            other.copy_from_slice(first);
        }
    }
}

/// Backward pass of [`upsample`]: sums the gradients of the copies.
pub fn upsample_backward(
    [_, width, channels]: [usize; 3],
    [fy, fx]: [usize; 2],
    given: &[f32],
    gradient: &mut [f32],
) {
    gradient.fill(0.0);
    let out_row = width * fx * channels;
    let rows = gradient.chunks_exact_mut(width * channels);
    for (row, given_rows) in rows.zip(given.chunks_exact(fy * out_row)) {
        for given_row in given_rows.chunks_exact(out_row) {
            let pixels = row.chunks_exact_mut(channels);
            for (pixel, copies) in pixels.zip(given_row.chunks_exact(fx * channels)) {
                for copy in copies.chunks_exact(channels) {
                    for (sum, value) in pixel.iter_mut().zip(copy) {
                        *sum += value;
                    }
                }
            }
        }
    }
}
