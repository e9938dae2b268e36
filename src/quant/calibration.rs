//! The values of tensors on calibration windows, and ranges that cover them.

use super::{QuantizeError, float::visit_tensors};
use crate::graph::{Graph, Weights};

/// Shares of the values that a range may leave out at each end: none, or beyond the 99.99 or 99.9 percentile.
pub const TAILS: [f64; 3] = [0.0, 1e-4, 1e-3];

/// Number of windows that the choice between ranges looks at.
pub const JUDGED_WINDOWS: usize = 64;

/// The values of one tensor: extremes and a histogram between them.
#[derive(Debug)]
pub struct Statistics {
    min: f32,
    max: f32,
    counts: Vec<u64>,
}

const BINS: usize = 4096;

impl Statistics {
    /// The range that leaves out at most a share `tail` of the values at each end, to the width of a bin.
    pub fn range(&self, tail: f64) -> [f32; 2] {
        let total: u64 = self.counts.iter().sum();
        let allowed = (total as f64 * tail) as u64;
        let outside = |counts: &mut dyn Iterator<Item = &u64>| {
            let mut seen = 0;
            counts
                .take_while(|count| {
                    seen += **count;
                    seen <= allowed
                })
                .count()
        };
        let low = outside(&mut self.counts.iter());
        let high = outside(&mut self.counts.iter().rev());
        let bin = (f64::from(self.max) - f64::from(self.min)) / BINS as f64;
        if low + high >= BINS {
            return [self.min, self.max];
        }
        [
            (f64::from(self.min) + bin * low as f64) as f32,
            (f64::from(self.max) - bin * high as f64) as f32,
        ]
    }
}

/// Statistics of every tensor.
///
/// # Errors
/// [`QuantizeError::NotFinite`].
pub fn observe(
    graph: &Graph,
    weights: &Weights,
    windows: &[&[f32]],
) -> Result<Vec<Statistics>, QuantizeError> {
    let mut extremes = vec![[f32::INFINITY, f32::NEG_INFINITY]; graph.tensors.len()];
    let mut not_finite = None;
    visit_tensors(graph, weights, windows, |tensor, values| {
        let [min, max] = &mut extremes[tensor];
        for value in values {
            *min = min.min(*value);
            *max = max.max(*value);
        }
        // Minimum and maximum do not see a NaN; among the bits of absolute values it is the largest.
        let largest = values
            .iter()
            .fold(0, |largest: u32, value| largest.max(value.abs().to_bits()));
        if largest >= f32::INFINITY.to_bits() {
            not_finite.get_or_insert(tensor);
        }
    });
    if let Some(tensor) = not_finite {
        return Err(QuantizeError::NotFinite { tensor });
    }
    let mut statistics: Vec<Statistics> = extremes
        .into_iter()
        .map(|[min, max]| Statistics {
            // A tensor that no operator writes has no values.
            min: min.min(max),
            max: max.max(min),
            counts: vec![0; BINS],
        })
        .collect();
    visit_tensors(graph, weights, windows, |tensor, values| {
        let Statistics { min, max, counts } = &mut statistics[tensor];
        let bins = BINS as f32 / (*max - *min).max(f32::MIN_POSITIVE);
        for value in values {
            let bin = ((value - *min) * bins) as usize;
            counts[bin.min(BINS - 1)] += 1;
        }
    });
    Ok(statistics)
}

/// At most `count` windows, evenly spread.
pub fn evenly<'a>(windows: &[&'a [f32]], count: usize) -> Vec<&'a [f32]> {
    let step = windows.len().div_ceil(count).max(1);
    windows.iter().step_by(step).copied().collect()
}
