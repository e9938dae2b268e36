//! Features of a clip in few bytes, from which any frames are read without the others. Nothing is lost.
//!
//! A number of 32 bits becomes an integer of the same order. Features of one band of a clip lie close together, so each
//! is stored as its distance from the least one, in as many bits as the farthest takes. What a device computes lies
//! close to the exact features, and is stored as the difference from them.
//!
//! A clip is its columns, its frames, and the differences of its frames. A column is the least integer and the bits of
//! a distance, five bytes, for every band; then the same of differences. Each frame ends with a whole byte.

use super::{Arithmetic, Matrix};

/// Bytes of a column: four of the least integer, one of the width.
const COLUMN: usize = 5;

/// Where a clip's parts lie, counted from its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    bands: usize,
    /// Whether differences follow the frames.
    differs: bool,
}

/// How the numbers of one band are stored.
#[derive(Debug, Clone, Copy)]
struct Column {
    least: u32,
    /// Bits of a number, 0 to 32.
    width: u32,
}

impl Layout {
    /// The layout of clips with so many bands, with or without what a device computes.
    pub fn new(bands: usize, differs: bool) -> Layout {
        Layout { bands, differs }
    }

    /// Bytes of the columns, which come first.
    pub fn head(self) -> usize {
        COLUMN * self.bands * if self.differs { 2 } else { 1 }
    }

    /// Packs a clip. `device` has the shape of `exact`, or is `None` in a layout without differences.
    pub fn pack(self, exact: &Matrix, device: Option<&Matrix>) -> Vec<u8> {
        let integers = |matrix: &Matrix| -> Vec<u32> {
            let values = matrix.values.iter();
            values.map(|value| ordered(value.to_bits())).collect()
        };
        let exact = integers(exact);
        let differences = device.map(|device| -> Vec<u32> {
            let pairs = integers(device).into_iter().zip(&exact);
            // Differences of either sign become positive, so that small ones of both have few bits.
            pairs
                .map(|(device, exact)| device.wrapping_sub(*exact) ^ SIGN)
                .collect()
        });
        let parts = [Some(exact), differences];
        let parts: Vec<(Vec<Column>, Vec<u32>)> = parts
            .into_iter()
            .flatten()
            .map(|part| (self.columns(&part), part))
            .collect();
        let mut bytes = Vec::new();
        for column in parts.iter().flat_map(|(columns, _)| columns) {
            bytes.extend(column.least.to_le_bytes());
            bytes.push(column.width as u8);
        }
        for (columns, part) in &parts {
            for frame in part.chunks_exact(self.bands) {
                let (mut bits, mut held) = (0u64, 0);
                for (value, column) in frame.iter().zip(columns) {
                    bits |= u64::from(value.wrapping_sub(column.least)) << held;
                    held += column.width;
                    while held >= 8 {
                        bytes.push(bits as u8);
                        (bits, held) = (bits >> 8, held - 8);
                    }
                }
                if held > 0 || columns.iter().all(|column| column.width == 0) {
                    bytes.push(bits as u8);
                }
            }
        }
        bytes
    }

    fn columns(self, part: &[u32]) -> Vec<Column> {
        let column = |band: usize| {
            let values = || part.iter().skip(band).step_by(self.bands);
            let least = values().min().copied().unwrap_or(0);
            let range = values().max().map_or(0, |most| most - least);
            Column {
                least,
                width: u32::BITS - range.leading_zeros(),
            }
        };
        (0..self.bands).map(column).collect()
    }

    /// Reads frames of a clip with `frames` in all. `read` fills a buffer from a place in the clip.
    ///
    /// # Errors
    /// Those of `read`. Columns that no clip has give wrong values and no panic.
    pub fn frames<E>(
        self,
        of: Arithmetic,
        frames: usize,
        wanted: std::ops::Range<usize>,
        mut read: impl FnMut(usize, &mut [u8]) -> Result<(), E>,
    ) -> Result<Vec<f32>, E> {
        let mut head = vec![0; self.head()];
        read(0, &mut head)?;
        let columns: Vec<Column> = head.as_chunks::<COLUMN>().0.iter().map(column).collect();
        let mut values = vec![0u32; wanted.len() * self.bands];
        let mut start = head.len();
        let mut bytes = Vec::new();
        for (part, columns) in columns.chunks_exact(self.bands.max(1)).enumerate() {
            if part == 1 && of == Arithmetic::Exact {
                break;
            }
            let stride = stride(columns);
            bytes.clear();
            // Numbers are read eight bytes at a time.
            bytes.resize(wanted.len() * stride + 8, 0);
            let inside = start + wanted.start * stride;
            read(inside, &mut bytes[..wanted.len() * stride])?;
            let out = values.chunks_exact_mut(self.bands);
            for (row, out) in out.enumerate() {
                let mut bit = 8 * row * stride;
                for (value, Column { least, width }) in out.iter_mut().zip(columns) {
                    let word = bytes[bit / 8..].first_chunk::<8>();
                    let word = word.map_or(0, |word| u64::from_le_bytes(*word)) >> (bit % 8);
                    let distance = word & ((1u64 << width) - 1);
                    let number = least.wrapping_add(distance as u32);
                    *value = match part {
                        0 => number,
                        _ => value.wrapping_add(number ^ SIGN),
                    };
                    bit += *width as usize;
                }
            }
            start += frames * stride;
        }
        let values = values.into_iter().map(|value| f32::from_bits(bits(value)));
        Ok(values.collect())
    }
}

fn column(bytes: &[u8; COLUMN]) -> Column {
    let [a, b, c, d, width] = *bytes;
    Column {
        least: u32::from_le_bytes([a, b, c, d]),
        width: u32::from(width).min(u32::BITS),
    }
}

/// Bytes of a frame: at least one, so that no few bytes claim to be many frames.
fn stride(columns: &[Column]) -> usize {
    let bits: u32 = columns.iter().map(|column| column.width).sum();
    bits.div_ceil(8).max(1) as usize
}

const SIGN: u32 = 1 << 31;

/// The bits of a number as an integer that is larger where the number is.
fn ordered(bits: u32) -> u32 {
    match bits & SIGN {
        0 => bits | SIGN,
        _ => !bits,
    }
}

/// The bits that [`ordered`] made this of.
fn bits(ordered: u32) -> u32 {
    match ordered & SIGN {
        0 => !ordered,
        _ => ordered ^ SIGN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unpack(layout: Layout, of: Arithmetic, bytes: &[u8], frames: usize) -> [Vec<u32>; 2] {
        let read = |wanted| {
            let frames = layout.frames(of, frames, wanted, |at, out: &mut [u8]| {
                out.copy_from_slice(bytes.get(at..at + out.len()).ok_or(())?);
                Ok::<_, ()>(())
            });
            frames.unwrap().into_iter().map(f32::to_bits).collect()
        };
        [read(0..frames), read(frames / 2..frames)]
    }

    proptest! {
        /// Whatever the bits are, also those of no number.
        #[test]
        fn nothing_is_lost(
            bands in 1usize..7,
            pairs in prop::collection::vec(prop_oneof![
                any::<(u32, u32)>(),
                (-90f32..40.0, -9i32..9).prop_map(|(value, step)| {
                    (value.to_bits(), value.to_bits().wrapping_add_signed(step))
                }),
            ], 0..60),
        ) {
            let frames = pairs.len() / bands;
            let pairs = &pairs[..frames * bands];
            let bits = [0, 1].map(|idx| -> Vec<u32> {
                pairs.iter().map(|(exact, device)| [*exact, *device][idx]).collect()
            });
            let [exact, device] = bits.clone().map(|bits| Matrix {
                bands,
                values: bits.into_iter().map(f32::from_bits).collect(),
            });
            for other in [None, Some(&device)] {
                let layout = Layout::new(bands, other.is_some());
                let bytes = layout.pack(&exact, other);
                let expected = [&bits[0], if other.is_some() { &bits[1] } else { &bits[0] }];
                for (of, expected) in [Arithmetic::Exact, Arithmetic::Device].into_iter().zip(expected) {
                    let found = unpack(layout, of, &bytes, frames);
                    prop_assert_eq!(&found[0], expected);
                    prop_assert_eq!(&found[1], &expected[frames / 2 * bands..]);
                }
            }
        }

        #[test]
        fn damage_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), frames in 0usize..9) {
            for of in [Arithmetic::Exact, Arithmetic::Device] {
                let _ = Layout::new(3, true).frames(of, frames, 0..frames, |at, out: &mut [u8]| {
                    out.copy_from_slice(bytes.get(at..at + out.len()).ok_or(())?);
                    Ok::<_, ()>(())
                });
            }
        }
    }

    /// Levels that scatter by 5 dB, and a device that is off by some last digits.
    #[test]
    fn two_features_take_less_than_one_would() {
        let mut rng = crate::units::Rng::new(1, 0);
        let level = |idx: usize| (idx % 64) as f32 - 90.0;
        let exact: Vec<f32> = (0..64 * 300)
            .map(|idx| level(idx) + 5.0 * rng.normal() as f32)
            .collect();
        let step = |value: &f32| f32::from_bits(value.to_bits() + rng.below(16) as u32);
        let device: Vec<f32> = exact.iter().map(step).collect();
        let plain = 4 * exact.len();
        let [exact, device] = [exact, device].map(|values| Matrix { bands: 64, values });
        let packed = Layout::new(64, true).pack(&exact, Some(&device)).len();
        assert!(packed < plain, "{packed} bytes, {plain} of one plainly");
    }
}
