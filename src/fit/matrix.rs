//! Square matrices of 64 bits, as small as detectors need them.

use std::f64::consts::PI;

/// Row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Square {
    size: usize,
    values: Vec<f64>,
}

impl Square {
    pub fn zero(size: usize) -> Square {
        Square {
            size,
            values: vec![0.0; size * size],
        }
    }

    pub fn of_diagonal(diagonal: &[f64]) -> Square {
        let mut matrix = Square::zero(diagonal.len());
        for (idx, value) in diagonal.iter().enumerate() {
            matrix.row_mut(idx)[idx] = *value;
        }
        matrix
    }

    pub fn size(&self) -> usize {
        self.size
    }

    pub fn values(&self) -> &[f64] {
        &self.values
    }

    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.size..][..self.size]
    }

    pub fn row_mut(&mut self, row: usize) -> &mut [f64] {
        &mut self.values[row * self.size..][..self.size]
    }

    pub fn diagonal(&self) -> impl Iterator<Item = f64> + '_ {
        self.values.iter().step_by(self.size + 1).copied()
    }

    pub fn trace(&self) -> f64 {
        self.diagonal().sum()
    }

    /// `factor * self + ridge * I`.
    pub fn shrunk(&self, factor: f64, ridge: f64) -> Square {
        let mut result = self.clone();
        result.values.iter_mut().for_each(|value| *value *= factor);
        for idx in 0..self.size {
            result.row_mut(idx)[idx] += ridge;
        }
        result
    }

    pub fn times(&self, vector: &[f64]) -> Vec<f64> {
        let dot = |row: &[f64]| row.iter().zip(vector).map(|(a, b)| a * b).sum();
        self.values.chunks_exact(self.size).map(dot).collect()
    }

    /// Every column times a factor of its own.
    pub fn scale_columns(&mut self, factors: impl Fn(usize) -> f64) {
        for row in self.values.chunks_exact_mut(self.size) {
            for (column, value) in row.iter_mut().enumerate() {
                *value *= factors(column);
            }
        }
    }

    /// The inverse of Cholesky's factor `L`, with `L L^T` this matrix: lower triangular. A pivot that rounding made
    /// negative counts as tiny.
    pub fn inverse_factor(&self) -> Square {
        let size = self.size;
        let least = 1e-12 * self.trace().max(f64::MIN_POSITIVE) / size as f64;
        let mut factor = Square::zero(size);
        for row in 0..size {
            for column in 0..=row {
                let (above, current) = factor.values.split_at_mut(row * size);
                let known = match row == column {
                    true => &current[..column],
                    false => &above[column * size..][..column],
                };
                let known: f64 = known
                    .iter()
                    .zip(&current[..column])
                    .map(|(a, b)| a * b)
                    .sum();
                let rest = self.row(row)[column] - known;
                current[column] = match row == column {
                    true => rest.max(least).sqrt(),
                    false => rest / above[column * size + column],
                };
            }
        }
        // L X = I, row by row.
        let mut inverse = Square::zero(size);
        for row in 0..size {
            let pivot = factor.row(row)[row];
            let (above, current) = inverse.values.split_at_mut(row * size);
            for (known, weight) in above.chunks_exact(size).zip(factor.row(row)) {
                for (value, known) in current[..=row].iter_mut().zip(known) {
                    *value -= weight * known;
                }
            }
            current[row] += 1.0;
            current[..=row].iter_mut().for_each(|value| *value /= pivot);
        }
        inverse
    }

    /// The same after an orthogonal mixing of its rows (DCT-II), which leaves lengths of products as they are and gives
    /// the rows like norms: a layer has one scale for all weights.
    pub fn mixed(&self) -> Square {
        let size = self.size;
        let mut mixed = Square::zero(size);
        for row in 0..size {
            let scale = if row == 0 { 1.0 } else { 2.0 };
            let scale = f64::sqrt(scale / size as f64);
            let target = &mut mixed.values[row * size..][..size];
            for (idx, source) in self.values.chunks_exact(size).enumerate() {
                let angle = PI * (idx as f64 + 0.5) * row as f64 / size as f64;
                let weight = scale * angle.cos();
                for (target, source) in target.iter_mut().zip(source) {
                    *target += weight * source;
                }
            }
        }
        mixed
    }
}
