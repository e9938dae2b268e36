//! Batch norm or bias, and activation. The operator that reads a value applies them, and takes gradients back through
//! them.

use std::sync::{Arc, Mutex};

use burn_flex::FlexTensor;

use super::workspace::{lock, values};
use crate::train::kernels::{self, folded, tiled};

/// Added to the variance in batch norm, as Keras does.
pub const EPSILON: f64 = 1e-3;

/// Mean and biased variance of each channel of an operator's raw output in the current batch.
pub type Moments = Arc<Mutex<[Vec<f32>; 2]>>;

/// What follows an operator's raw output: batch norm or bias, then the activation's bounds.
#[derive(Debug, Clone)]
pub struct Epilogue {
    /// Channels of the raw output.
    pub channels: usize,
    /// Set where there is a batch norm.
    pub moments: Option<Moments>,
    /// Lower and upper bound of the activation; infinite where it has none.
    pub bounds: [f32; 2],
}

/// An epilogue as numbers: `clamp(x * scale + shift)`, as tiled patterns.
#[derive(Debug, Clone)]
pub struct Affine {
    /// Factors, a tiled pattern.
    pub scale: Vec<f32>,
    /// Offsets, a tiled pattern.
    pub shift: Vec<f32>,
    bounds: [f32; 2],
    /// Channels of the raw output.
    pub channels: usize,
    /// Mean and reciprocal standard deviation, where there is a batch norm.
    normal: Option<[Vec<f32>; 2]>,
}

impl Affine {
    /// The numbers of an epilogue, for the moments of the current batch.
    pub fn new(epilogue: &Epilogue, scale: &FlexTensor, shift: &FlexTensor) -> Affine {
        let shift = values(shift);
        let (scale, shift, normal) = match &epilogue.moments {
            None => (vec![1.0; epilogue.channels], shift.to_vec(), None),
            Some(moments) => {
                let [mean, variance] = lock(moments).clone();
                let inverse: Vec<f32> = variance.iter().map(|v| reciprocal_deviation(*v)).collect();
                let scale: Vec<f32> = values(scale)
                    .iter()
                    .zip(&inverse)
                    .map(|(scale, inverse)| scale * inverse)
                    .collect();
                let shift = shift.iter().zip(&mean).zip(&scale);
                let shift = shift
                    .map(|((shift, mean), scale)| shift - mean * scale)
                    .collect();
                (scale, shift, Some([mean, inverse]))
            }
        };
        Affine {
            scale: tiled(&scale),
            shift: tiled(&shift),
            bounds: epilogue.bounds,
            channels: epilogue.channels,
            normal,
        }
    }

    /// Whether it only adds a bias.
    pub fn is_offset(&self) -> bool {
        self.normal.is_none() && self.bounds == [f32::NEG_INFINITY, f32::INFINITY]
    }

    /// Writes the activated values of `x` to `out`.
    pub fn apply(&self, x: &[f32], out: &mut [f32]) {
        kernels::affine(x, &self.scale, &self.shift, self.bounds, out);
    }
}

/// `1 / sqrt(variance + EPSILON)`.
pub fn reciprocal_deviation(variance: f32) -> f32 {
    (1.0 / (f64::from(variance) + EPSILON).sqrt()) as f32
}

/// Backward pass of an epilogue, in two parts: sums over the batch, then the gradient through batch statistics.
pub struct EpilogueSums<'a> {
    affine: Option<&'a Affine>,
    /// Sums of the gradient, and of the gradient times the raw value; tiled patterns.
    pub sums: Vec<f32>,
    /// See `sums`.
    pub products: Vec<f32>,
}

impl<'a> EpilogueSums<'a> {
    /// Sums of zero.
    pub fn new(affine: Option<&'a Affine>) -> Self {
        let width = affine.map_or(0, |affine| affine.scale.len());
        EpilogueSums {
            affine,
            sums: vec![0.0; width],
            products: vec![0.0; width],
        }
    }

    /// Takes a block's gradient through the activation, and adds it to the sums.
    pub fn add(&mut self, x: &[f32], gradient: Option<&mut [f32]>) {
        if let (Some(affine), Some(gradient)) = (self.affine, gradient) {
            let (sums, products) = (&mut self.sums, &mut self.products);
            let (scale, shift) = (&affine.scale, &affine.shift);
            kernels::affine_backward(x, scale, shift, affine.bounds, gradient, sums, products);
        }
    }

    /// Takes the whole gradient through the batch norm; returns the gradients of scale and shift.
    pub fn finish(self, x: &[f32], gradient: Option<&mut [f32]>) -> Option<(Vec<f32>, Vec<f32>)> {
        let affine = self.affine?;
        let channels = affine.channels;
        let shift = folded(&self.sums, channels);
        let Some([mean, inverse]) = &affine.normal else {
            return Some((Vec::new(), shift));
        };
        // With n = (x - mean) * inverse: d scale = sum(g n), and
        // d x = scale * (g - mean(g) - n * mean(g n)), written as scale * g - slope * x - offset.
        let rows = (x.len() / channels) as f32;
        let mut scale = folded(&self.products, channels);
        let (mut slope, mut offset) = (vec![0.0; channels], vec![0.0; channels]);
        for channel in 0..channels {
            let factor = affine.scale[channel] / rows;
            scale[channel] = (scale[channel] - mean[channel] * shift[channel]) * inverse[channel];
            slope[channel] = factor * inverse[channel] * scale[channel];
            offset[channel] = factor * shift[channel] - slope[channel] * mean[channel];
        }
        if let Some(gradient) = gradient {
            let (slope, offset) = (tiled(&slope), tiled(&offset));
            kernels::normalise_backward(x, &affine.scale, &slope, &offset, gradient);
        }
        Some((scale, shift))
    }
}

/// Sums for the moments of an output: f32 within a block, f64 over blocks.
///
/// Values count from the first row: far from zero, the difference of large squares would leave nothing of the
/// variance.
pub struct ColumnSums {
    channels: usize,
    rows: usize,
    /// The first row, as a tiled pattern.
    origin: Vec<f32>,
    totals: [Vec<f64>; 2],
    tiles: [Vec<f32>; 2],
}

impl ColumnSums {
    /// Sums of zero.
    pub fn new(channels: usize) -> ColumnSums {
        let tiles = tiled(&vec![0.0; channels]);
        ColumnSums {
            channels,
            rows: 0,
            origin: tiles.clone(),
            totals: [vec![0.0; channels], vec![0.0; channels]],
            tiles: [tiles.clone(), tiles],
        }
    }

    /// Adds the rows of a block.
    pub fn add(&mut self, block: &[f32]) {
        if let (0, Some(first)) = (self.rows, block.get(..self.channels)) {
            self.origin = tiled(first);
        }
        self.rows += block.len() / self.channels;
        let [sums, squares] = &mut self.tiles;
        sums.fill(0.0);
        squares.fill(0.0);
        kernels::column_sums(block, &self.origin, sums, squares);
        for (totals, tiles) in self.totals.iter_mut().zip(&self.tiles) {
            for tile in tiles.chunks_exact(self.channels) {
                for (total, value) in totals.iter_mut().zip(tile) {
                    *total += f64::from(*value);
                }
            }
        }
    }

    /// Mean and biased variance of each channel.
    pub fn moments(&self) -> [Vec<f32>; 2] {
        let [sums, squares] = &self.totals;
        let rows = self.rows as f64;
        let mean = sums.iter().zip(&self.origin);
        let mean = mean.map(|(sum, origin)| (f64::from(*origin) + sum / rows) as f32);
        let variance = sums.iter().zip(squares).map(|(sum, square)| {
            let mean = sum / rows;
            (square / rows - mean * mean).max(0.0) as f32
        });
        [mean.collect(), variance.collect()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Rng;

    #[test]
    fn a_large_mean_leaves_the_variance() {
        for channels in [1, 3, 32, 40] {
            let mut rng = Rng::new(channels as u64, 0);
            let rows = 700;
            let value = |_| 1000.0 + 0.05 * rng.normal() as f32;
            let values: Vec<f32> = (0..rows * channels).map(value).collect();
            let mut sums = ColumnSums::new(channels);
            // Blocks of 100 rows.
            values
                .chunks(100 * channels)
                .for_each(|block| sums.add(block));
            let [means, variances] = sums.moments();
            for channel in 0..channels {
                let column = values.iter().skip(channel).step_by(channels);
                let column: Vec<f64> = column.map(|value| f64::from(*value)).collect();
                let mean = column.iter().sum::<f64>() / rows as f64;
                let squares = column.iter().map(|value| (value - mean).powi(2));
                let variance = squares.sum::<f64>() / rows as f64;
                assert!((f64::from(means[channel]) - mean).abs() < 1e-4);
                // Sums of 100 values of 24 bits each.
                let found = f64::from(variances[channel]);
                assert!((found / variance - 1.0).abs() < 1e-4, "{found} {variance}");
            }
        }
    }
}
