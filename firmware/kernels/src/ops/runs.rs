//! Groups pixels with the same taps: at the border of an image windows have fewer taps, inside all have the same.

use core::ops::Range;

use super::Sliding;

/// Output rows or columns whose windows have the same taps on the image.
pub struct Run {
    /// The output rows or columns.
    pub outputs: Range<usize>,
    /// The taps of the kernel that lie on the image.
    pub taps: Range<usize>,
    stride: usize,
    pad: usize,
}

impl Run {
    /// All runs along an axis, in order.
    pub fn all(shape: &Sliding, axis: usize) -> impl Iterator<Item = Run> {
        let taps = move |output: usize| {
            let (start, end, _) = shape.valid(axis, output);
            start..end
        };
        let mut start = 0;
        core::iter::from_fn(move || {
            let first = start;
            if first == shape.output[axis] {
                return None;
            }
            while start < shape.output[axis] && taps(start) == taps(first) {
                start += 1;
            }
            Some(Run {
                outputs: first..start,
                taps: taps(first),
                stride: shape.stride[axis],
                pad: shape.pad[axis],
            })
        })
    }

    /// Input row or column of the first tap of an output.
    pub fn origin(&self, output: usize) -> isize {
        (output * self.stride) as isize - self.pad as isize
    }
}
