//! Distances of a whitened vector from normal sound: one rule for Gaussians, mixtures and memory banks.

use crate::blob::{BlobError, CENTRE_BYTES, Centre, Tensor};

/// Steps of a centre in one step of the network's output.
pub const STEPS: i32 = 64;

/// Points near which sound is normal; the section `DIST` of a blob.
///
/// | bytes | content |
/// |---|---|
/// | 0..4 | length of a point |
/// | 4..8 | number of points |
/// | | points' records ([`Centre`], 16 bytes each) |
/// | | coordinates (int16), in 64ths of a step of the network's output from its zero point |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Centres<'a> {
    dimensions: usize,
    records: &'a [[u8; CENTRE_BYTES]],
    coordinates: &'a [[u8; 2]],
}

impl<'a> Centres<'a> {
    /// Reads a section, and checks it against the length of the network's output.
    pub fn read(section: &'a [u8], outputs: usize) -> Result<Centres<'a>, BlobError> {
        let fail = |problem| Err(BlobError::Distance(problem));
        let (&[dimensions, count], rest) = match section.split_first_chunk::<8>() {
            Some((head, rest)) => (
                &[0, 1].map(|word| u32::from_le_bytes(head.as_chunks().0[word]) as usize),
                rest,
            ),
            None => return fail("it is too short"),
        };
        if dimensions == 0 || count == 0 || !outputs.is_multiple_of(dimensions) {
            return fail(
                "its points do not have the length of the network's output or a part of it",
            );
        }
        let Some((records, coordinates)) = count
            .checked_mul(CENTRE_BYTES)
            .and_then(|bytes| rest.split_at_checked(bytes))
        else {
            return fail("it is too short");
        };
        let bytes = count
            .checked_mul(dimensions)
            .and_then(|all| all.checked_mul(2));
        let Some(coordinates) = bytes.and_then(|bytes| coordinates.get(..bytes)) else {
            return fail("it is too short");
        };
        let centres = Centres {
            dimensions,
            records: records.as_chunks().0,
            coordinates: coordinates.as_chunks().0,
        };
        let blocks = outputs / dimensions;
        for record in centres.records {
            let Centre {
                block,
                weight,
                offset,
                ..
            } = Centre::from_bytes(record);
            if block as usize >= blocks {
                return fail("a point lies beyond the network's output");
            }
            if !(weight.is_finite() && offset.is_finite()) {
                return fail("a point's weight is not a number");
            }
        }
        Ok(centres)
    }

    /// The distance from the nearest point of a class; from the nearest point of all where the class has none.
    ///
    /// A point's distance is the mean squared difference, times its weight, plus its offset. Sums are exact.
    pub fn distance(&self, class: usize, result: &[i8], output: &Tensor) -> f32 {
        let of_class =
            |record: &[u8; CENTRE_BYTES]| Centre::from_bytes(record).class as usize == class;
        let any = !self.records.iter().any(of_class);
        let step = f64::from(output.scale) / f64::from(STEPS);
        let mut least = f32::INFINITY;
        let points = self.coordinates.chunks_exact(self.dimensions);
        for (record, point) in self.records.iter().zip(points) {
            let centre = Centre::from_bytes(record);
            if !any && centre.class as usize != class {
                continue;
            }
            let vector = &result[centre.block as usize * self.dimensions..][..self.dimensions];
            let mut sum = 0i64;
            for (value, coordinate) in vector.iter().zip(point) {
                let value = STEPS * (i32::from(*value) - output.zero_point);
                let difference = i64::from(value - i32::from(i16::from_le_bytes(*coordinate)));
                sum += difference * difference;
            }
            let mean = sum as f64 * (step * step) / self.dimensions as f64;
            let distance = mean * f64::from(centre.weight) + f64::from(centre.offset);
            least = least.min(distance as f32);
        }
        least
    }
}
