//! Changes the sample rate with rubato's synchronous Fourier resampler.

use rubato::{
    Fft, FixedSync, Resampler, WindowFunction, audioadapter_buffers::direct::InterleavedSlice,
};

use super::{Audio, AudioError, require_sample_rate};

/// The fewest samples in a block, on its shorter side. With rubato's default, 256 on the longer side, the filter is so
/// short that 44.1 kHz to 16 kHz loses all above 7 kHz; this one keeps 98 % of the band.
const BLOCK_SAMPLES: usize = 800;

impl Audio {
    /// The same sound at another rate: `ceil(samples * to / from)` samples, without delay.
    pub fn resampled(&self, sample_rate_hz: u32) -> Result<Audio, AudioError> {
        require_sample_rate(self.sample_rate_hz)?;
        require_sample_rate(sample_rate_hz)?;
        if sample_rate_hz == self.sample_rate_hz || self.samples.is_empty() {
            return Ok(Audio {
                samples: self.samples.clone(),
                sample_rate_hz,
            });
        }
        let [from, to] = [self.sample_rate_hz as usize, sample_rate_hz as usize];
        let step = greatest_common_divisor(from, to);
        // An even number: rubato removes a delay of half a block, which is then a whole number of samples.
        let blocks = BLOCK_SAMPLES
            .div_ceil(from.min(to) / step)
            .next_multiple_of(2);
        let input_block = blocks * (from / step);
        let one_block_at_once = FixedSync::Input;
        let mut resampler = Fft::<f32>::new_custom(
            from,
            to,
            input_block,
            1,
            1,
            WindowFunction::BlackmanHarris2,
            one_block_at_once,
        )
        .map_err(|error| AudioError::Resample(error.to_string()))?;
        let clip = InterleavedSlice::new(&self.samples, 1, self.samples.len())
            .map_err(|error| AudioError::Resample(error.to_string()))?;
        let mut samples = resampler
            .process_all(&clip, self.samples.len(), None)
            .map_err(|error| AudioError::Resample(error.to_string()))?
            .take_data();
        // rubato rounds in floating point, so a long clip can be one sample off.
        samples.resize((self.samples.len() * to).div_ceil(from), 0.0);
        Ok(Audio {
            samples,
            sample_rate_hz,
        })
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}
