use core::{mem::MaybeUninit, ops::Range};

use super::{
    super::{Requantize, Sliding, portable},
    copy_rows, fill, fully_connected,
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
    let row_taps = shape.kernel[1] * shape.input[2];
    let taps = shape.kernel[0] * row_taps;
    assert!(
        shape.fits(input, output) && weights.len() == taps * channels && requantize.fits(channels)
    );
    if row_taps > PATCH || !requantize.is_aligned() {
        return portable::conv2d(input, weights, shape, zero_point, requantize, output);
    }
    if height * width == 1 && input.len() == taps && shape.pad == [0, 0] {
        return fully_connected(input, weights, requantize, output);
    }

    let windows = Windows {
        input,
        shape,
        zero_point,
        row_taps,
    };
    // Kernel rows that are gathered and multiplied together.
    let rows = (PATCH / row_taps).min(shape.kernel[0]);
    let scaler = Scaler::new(requantize);
    let mut sums = [Pair::default(); PAIRS];
    let mut work = Work {
        products: Products::new(),
        scale: PixelScaler::new(&scaler, &sums),
        patches: [const { MaybeUninit::uninit() }; PIXELS],
    };
    for first in (0..channels).step_by(2 * PAIRS) {
        let count = (channels - first).min(2 * PAIRS);
        let weights = &weights[first * taps..][..count * taps];
        work.scale.select(&scaler, first, count);
        work.products
            .select(weights.as_ptr(), count, rows * row_taps, taps, &mut sums);
        let mut next = [0, 0];
        for pixel in (0..height * width).step_by(PIXELS) {
            let group = (height * width - pixel).min(PIXELS);
            if rows == shape.kernel[0] {
                next = windows.gather(next, group, 0..rows, &mut work);
                // SAFETY: `count` weight rows are there, and each window has as many taps.
                unsafe { work.products.run(false) };
            } else {
                let place = next;
                for ky in (0..shape.kernel[0]).step_by(rows) {
                    let end = (ky + rows).min(shape.kernel[0]);
                    let row = weights[ky * row_taps..].as_ptr();
                    next = windows.gather(place, group, ky..end, &mut work);
                    work.products
                        .select(row, count, (end - ky) * row_taps, taps, &mut sums);
                    // SAFETY: as above, for some rows of the kernel.
                    unsafe { work.products.run(ky > 0) };
                }
            }
            let target = output[pixel * channels..][..group * channels].as_mut_ptr();
            // Where fewer pixels are left, the last one is written again.
            let last = (group - 1) * channels;
            work.scale.outputs[0] = target.wrapping_add(first);
            work.scale.outputs[1] = target.wrapping_add(first + channels.min(last));
            work.scale.outputs[2] = target.wrapping_add(first + last);
            // SAFETY: `count` channels of each pixel were summed and are written.
            unsafe { work.scale.run(&scaler) };
        }
    }
}

/// What the inner loops read, and the windows of [`PIXELS`] pixels.
struct Work {
    products: Products,
    scale: PixelScaler,
    patches: [MaybeUninit<[i8; PATCH]>; PIXELS],
}

/// The windows of a layer's output pixels.
struct Windows<'a> {
    input: &'a [i8],
    shape: &'a Sliding,
    zero_point: i8,
    row_taps: usize,
}

impl Windows<'_> {
    /// Some kernel rows of the windows of `group` pixels from `place` on; returns the place after them.
    ///
    /// Windows are copied row after row, with padding, or used where they lie if that is the same. Where fewer than
    /// [`PIXELS`] pixels are left, the last one stands for the others.
    #[inline(always)]
    fn gather(
        &self,
        place: [usize; 2],
        group: usize,
        rows: Range<usize>,
        work: &mut Work,
    ) -> [usize; 2] {
        let shape = self.shape;
        let [height, width, depth] = shape.input;
        let step = width * depth;
        let [row, column] = place;
        let top = (row * shape.stride[0] + rows.start).wrapping_sub(shape.pad[0]);
        let left = (column * shape.stride[1]).wrapping_sub(shape.pad[1]);
        let last = left.wrapping_add((PIXELS - 1) * shape.stride[1]);
        // A window that begins before the image begins far behind it here.
        let inside = top < height
            && rows.len() <= height - top
            && left <= last
            && last < width
            && shape.kernel[1] <= width - last;
        if !inside || group < PIXELS || column + PIXELS > shape.output[1] {
            return self.gather_each(place, group, rows, work);
        }
        let pixel_step = shape.stride[1] * depth;
        let length = (rows.len() - 1) * step + self.row_taps;
        let source =
            self.input[top * step + left * depth..][..(PIXELS - 1) * pixel_step + length].as_ptr();
        let sources = [0, 1, 2].map(|idx| source.wrapping_add(idx * pixel_step));
        if rows.len() == 1 {
            work.products.pixels = sources;
        } else {
            for (idx, patch) in work.patches.iter_mut().enumerate() {
                let (source, patch) = (sources[idx], patch.as_mut_ptr().cast());
                work.products.pixels[idx] = patch;
                // SAFETY: the slice above has all rows of all three pixels, and a patch holds those of one.
                unsafe {
                    copy_rows(
                        source,
                        step,
                        patch,
                        self.row_taps,
                        self.row_taps,
                        rows.len(),
                    );
                }
            }
        }
        if column + PIXELS == shape.output[1] {
            [row + 1, 0]
        } else {
            [row, column + PIXELS]
        }
    }

    /// [`Windows::gather`], pixel by pixel.
    #[inline(never)]
    fn gather_each(
        &self,
        place: [usize; 2],
        group: usize,
        rows: Range<usize>,
        work: &mut Work,
    ) -> [usize; 2] {
        let [mut row, mut column] = place;
        let Work {
            products, patches, ..
        } = work;
        for (patch, pixel) in patches.iter_mut().zip(&mut products.pixels).take(group) {
            *pixel = self.gather_one([row, column], rows.clone(), patch);
            column += 1;
            if column == self.shape.output[1] {
                (row, column) = (row + 1, 0);
            }
        }
        for idx in group..PIXELS {
            products.pixels[idx] = products.pixels[group - 1];
        }
        [row, column]
    }

    #[inline(always)]
    fn gather_one(
        &self,
        [row, column]: [usize; 2],
        rows: Range<usize>,
        patch: &mut MaybeUninit<[i8; PATCH]>,
    ) -> *const i8 {
        let [_, width, depth] = self.shape.input;
        let (top, bottom, origin_row) = self.shape.valid(0, row);
        let (left, right, origin_column) = self.shape.valid(1, column);
        let (top, bottom) = (top.max(rows.start), bottom.min(rows.end));
        let patch = patch.as_mut_ptr().cast::<i8>();
        let whole = top == rows.start && bottom == rows.end && right - left == self.shape.kernel[1];
        if !whole {
            // SAFETY: the patch holds the kernel rows.
            unsafe { fill(patch, rows.len() * self.row_taps, self.zero_point) };
        }
        if top >= bottom || left >= right {
            return patch;
        }
        let step = width * depth;
        let from = (origin_row + top as isize) as usize * step
            + (origin_column + left as isize) as usize * depth;
        let length = (right - left) * depth;
        let source = self.input[from..][..(bottom - top - 1) * step + length].as_ptr();
        // SAFETY: the slice above has `bottom - top` rows, and the patch holds as many at this place.
        unsafe {
            let target = patch.add((top - rows.start) * self.row_taps + left * depth);
            copy_rows(source, step, target, self.row_taps, length, bottom - top);
        }
        patch
    }
}
