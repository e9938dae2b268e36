//! The mel filter bank of `librosa.filters.mel`: Slaney's scale and Slaney's norm, 0 Hz to half the rate.

/// Triangular filters, stored without their zeros.
#[derive(Debug, Clone)]
pub(super) struct FilterBank {
    filters: Vec<Filter>,
}

#[derive(Debug, Clone)]
struct Filter {
    first_bin: usize,
    weights: Vec<f64>,
}

impl FilterBank {
    /// Builds the filters. A filter too narrow to hold a bin of the spectrum is empty, as in librosa.
    pub fn new(sample_rate_hz: u32, n_fft: usize, n_mels: usize) -> FilterBank {
        let rate = f64::from(sample_rate_hz);
        let filters = band_edges_hz(sample_rate_hz, n_mels)
            .windows(3)
            .map(|edge| {
                let [low, peak, high] = [edge[0], edge[1], edge[2]];
                let weights: Vec<f64> = (0..=n_fft / 2)
                    .map(|bin| {
                        let hz = bin as f64 * rate / n_fft as f64;
                        let rise = (hz - low) / (peak - low);
                        let fall = (high - hz) / (high - peak);
                        // librosa keeps its weights in 32 bits, before and after the norm.
                        let height = rise.min(fall).max(0.0) as f32;
                        f64::from((f64::from(height) * (2.0 / (high - low))) as f32)
                    })
                    .collect();
                let first_bin = weights.iter().take_while(|weight| **weight == 0.0).count();
                let weights = weights[first_bin..]
                    .iter()
                    .copied()
                    .take_while(|weight| *weight > 0.0)
                    .collect();
                Filter { first_bin, weights }
            })
            .collect();
        FilterBank { filters }
    }

    /// Computes the mel power of one frame from its power spectrum of `n_fft / 2 + 1` bins.
    pub fn apply(&self, power: &[f64], mel: &mut [f64]) {
        for (filter, mel) in self.filters.iter().zip(mel) {
            *mel = match filter.weights.len() {
                0 => 0.0,
                bins => dot(&filter.weights, &power[filter.first_bin..][..bins]),
            };
        }
    }
}

/// Edges of the triangles in Hz: filter `idx` begins, peaks and ends at the edges `idx`, `idx + 1` and `idx + 2`.
pub(super) fn band_edges_hz(sample_rate_hz: u32, n_mels: usize) -> Vec<f64> {
    let top_mel = mel_of_hz(f64::from(sample_rate_hz) / 2.0);
    (0..n_mels + 2)
        .map(|idx| hz_of_mel(top_mel * idx as f64 / (n_mels + 1) as f64))
        .collect()
}

// Slaney's scale: linear up to 1 kHz, 27 steps for every factor of 6.4 above.
const HZ_PER_MEL: f64 = 200.0 / 3.0;
const LOG_FROM_HZ: f64 = 1000.0;
const LOG_FROM_MEL: f64 = LOG_FROM_HZ / HZ_PER_MEL;

fn mel_of_hz(hz: f64) -> f64 {
    if hz < LOG_FROM_HZ {
        hz / HZ_PER_MEL
    } else {
        LOG_FROM_MEL + (hz / LOG_FROM_HZ).ln() / log_step()
    }
}

fn hz_of_mel(mel: f64) -> f64 {
    if mel < LOG_FROM_MEL {
        mel * HZ_PER_MEL
    } else {
        LOG_FROM_HZ * (log_step() * (mel - LOG_FROM_MEL)).exp()
    }
}

fn log_step() -> f64 {
    6.4f64.ln() / 27.0
}

/// Dot product with four running sums, whose additions need not wait for each other.
pub(super) fn dot(left: &[f64], right: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (left_quads, left_rest) = left.as_chunks::<4>();
    let (right_quads, right_rest) = right.as_chunks::<4>();
    for (left, right) in left_quads.iter().zip(right_quads) {
        for lane in 0..4 {
            sums[lane] += left[lane] * right[lane];
        }
    }
    let rest: f64 = left_rest.iter().zip(right_rest).map(|(l, r)| l * r).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}
