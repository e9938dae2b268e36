//! The values that tensors take on calibration windows, ranges that cover them, and the int8 networks of those ranges.

use super::{QuantizeError, QuantizedModel, check, float::visit_tensors, with_ranges};
use crate::graph::{Activation, Graph, Weights};

/// How far the ranges of int8 tensors reach beyond what normal sound fills.
///
/// Whatever lies outside of a range ends at the rail of int8, and the unusual, which a detector is for, lies outside first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranges {
    /// Share of the values of calibration windows that may lie outside, at either end, before the factors apply.
    pub tail: f64,
    /// By how much the network's input reaches further than those values, a factor.
    pub input: f32,
    /// The same for all tensors behind the input.
    pub others: f32,
}

impl Ranges {
    /// What stands where nothing tells which ranges are better (docs/quantisation.md).
    pub const DEFAULT: Ranges = Ranges {
        tail: 0.0,
        input: 2.0,
        others: 1.5,
    };
}

/// What a float network's tensors do on calibration windows: all that ranges are made of.
#[derive(Debug)]
pub struct Calibration<'a> {
    graph: &'a Graph,
    weights: &'a Weights,
    statistics: Vec<Statistics>,
}

impl<'a> Calibration<'a> {
    /// Runs the float network on representative standardised windows.
    pub fn observe(
        graph: &'a Graph,
        weights: &'a Weights,
        windows: &[&[f32]],
    ) -> Result<Calibration<'a>, QuantizeError> {
        check(graph, weights, windows)?;
        Ok(Calibration {
            graph,
            weights,
            statistics: observe(graph, weights, windows)?,
        })
    }

    /// The int8 network with these ranges.
    pub fn model(&self, ranges: Ranges) -> QuantizedModel {
        let mut bounds: Vec<[f32; 2]> = self
            .statistics
            .iter()
            .enumerate()
            .map(|(tensor, statistics)| {
                let factor = match tensor == self.graph.input {
                    true => ranges.input,
                    false => ranges.others,
                };
                let widened = |end: f32| (factor * end).clamp(f32::MIN, f32::MAX);
                statistics.range(ranges.tail).map(widened)
            })
            .collect();
        for op in &self.graph.ops {
            // Beyond its ends an activation has no values.
            let ends = match op.activation {
                Activation::None => continue,
                Activation::Relu => [0.0, f32::INFINITY],
                Activation::Relu6 => [0.0, 6.0],
                Activation::ReluN1To1 => [-1.0, 1.0],
            };
            bounds[op.output] = bounds[op.output].map(|end| end.clamp(ends[0], ends[1]));
        }
        self.model_between(&bounds)
    }

    /// The int8 network whose tensors have these smallest and largest values, one pair per tensor of the graph.
    ///
    /// # Panics
    /// Where there are fewer pairs than tensors.
    pub fn model_between(&self, bounds: &[[f32; 2]]) -> QuantizedModel {
        with_ranges(self.graph, self.weights, bounds)
    }
}

/// The values of one tensor: extremes and a histogram between them.
#[derive(Debug)]
struct Statistics {
    min: f32,
    max: f32,
    counts: Vec<u64>,
}

const BINS: usize = 4096;

impl Statistics {
    /// The range that leaves out at most the given share of values at either end, to the width of a bin.
    fn range(&self, tail: f64) -> [f32; 2] {
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
fn observe(
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
