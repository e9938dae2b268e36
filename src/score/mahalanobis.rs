//! The selective Mahalanobis score of DCASE 2023.

/// Adds up the residuals (input minus reconstruction) of training windows, for [`Mahalanobis`].
#[derive(Debug, Clone, PartialEq)]
pub struct ResidualSums {
    bands: usize,
    windows: usize,
    frames: usize,
    sum: Vec<f64>,
    /// `bands x bands`; only the lower triangle is filled.
    products: Vec<f64>,
}

impl ResidualSums {
    /// Sums of no windows; `bands` must not be zero.
    pub fn new(bands: usize) -> ResidualSums {
        ResidualSums {
            bands,
            windows: 0,
            frames: 0,
            sum: vec![0.0; bands],
            products: vec![0.0; bands * bands],
        }
    }

    /// Adds one window: whole frames of `bands` residuals.
    pub fn add(&mut self, residual: &[f32]) {
        self.windows += 1;
        for frame in residual.chunks_exact(self.bands) {
            self.frames += 1;
            for (row, value) in frame.iter().enumerate() {
                let value = f64::from(*value);
                self.sum[row] += value;
                let products = &mut self.products[row * self.bands..][..=row];
                for (product, other) in products.iter_mut().zip(frame) {
                    *product += value * f64::from(*other);
                }
            }
        }
    }

    /// The detector of these windows; `None` where they do not give a covariance of full rank.
    pub fn mahalanobis(&self) -> Option<Mahalanobis> {
        let bands = self.bands;
        // Cholesky's factorisation of the covariance, row by row.
        let mut factor = vec![0.0; bands * bands];
        for row in 0..bands {
            for column in 0..=row {
                let centred = self.products[row * bands + column]
                    - self.sum[row] * self.sum[column] / self.frames as f64;
                let covariance = centred / (self.windows as f64 - 1.0);
                let known: f64 = (0..column)
                    .map(|k| factor[row * bands + k] * factor[column * bands + k])
                    .sum();
                let rest = covariance - known;
                factor[row * bands + column] = if row > column {
                    rest / factor[column * bands + column]
                } else if rest > 1e-12 * covariance && rest.is_finite() {
                    rest.sqrt()
                } else {
                    return None;
                };
            }
        }
        Some(Mahalanobis { bands, factor })
    }
}

/// Scores a clip by the Mahalanobis length of its mean residual: the selective mode of the DCASE 2023 baseline.
///
/// The baseline divides the covariance by the number of windows less one, not of frames. It takes the smaller of two
/// scores: with the covariance of the source and of the target domain.
#[derive(Debug, Clone, PartialEq)]
pub struct Mahalanobis {
    bands: usize,
    /// Lower triangular `L` with `L L^T` the covariance, `bands x bands`.
    factor: Vec<f64>,
}

impl Mahalanobis {
    /// The squared length of the mean residual of a clip's windows. `residual` holds whole frames of `bands` values.
    pub fn score(&self, residual: &[f32]) -> f64 {
        let bands = self.bands;
        let mut mean = vec![0.0; bands];
        for frame in residual.chunks_exact(bands) {
            for (mean, value) in mean.iter_mut().zip(frame) {
                *mean += f64::from(*value);
            }
        }
        let frames = (residual.len() / bands) as f64;
        let mut whitened: Vec<f64> = Vec::with_capacity(bands);
        for (row, sum) in mean.iter().enumerate() {
            let factor = &self.factor[row * bands..][..=row];
            let known: f64 = factor.iter().zip(&whitened).map(|(f, w)| f * w).sum();
            whitened.push((sum / frames - known) / factor[row]);
        }
        whitened.iter().map(|value| value * value).sum()
    }
}
