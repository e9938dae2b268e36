//! Changes the sample rate with rubato's synchronous Fourier resampler.

use std::fmt;

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
        let [from, to] = [self.sample_rate_hz, sample_rate_hz].map(|rate| rate as usize);
        let (mut resampler, _) = resampler(from, to)?;
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

/// A change of rate for sound that comes in pieces of any length: the pieces together are as [`Audio::resampled`] of the
/// whole.
pub(super) struct Resampling {
    resampler: Fft<f32>,
    input_block: usize,
    /// Samples that do not fill a block yet.
    waiting: Vec<f32>,
    /// Samples of the output that come before the sound.
    delay: usize,
    rates: [usize; 2],
    taken: usize,
    given: usize,
}

impl fmt::Debug for Resampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resampling")
            .field("rates", &self.rates)
            .finish_non_exhaustive()
    }
}

impl Resampling {
    /// From one rate to another, different one.
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Resampling, AudioError> {
        require_sample_rate(from_hz)?;
        require_sample_rate(to_hz)?;
        let rates = [from_hz, to_hz].map(|rate| rate as usize);
        let (resampler, input_block) = resampler(rates[0], rates[1])?;
        Ok(Resampling {
            delay: resampler.output_delay(),
            resampler,
            input_block,
            waiting: Vec::new(),
            rates,
            taken: 0,
            given: 0,
        })
    }

    /// Takes a piece, and gives what is complete.
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<f32>, AudioError> {
        self.taken += samples.len();
        self.waiting.extend(samples);
        let mut complete = Vec::new();
        let whole = self.waiting.len() - self.waiting.len() % self.input_block;
        let blocks: Vec<f32> = self.waiting.drain(..whole).collect();
        for block in blocks.chunks_exact(self.input_block) {
            self.take(block, &mut complete)?;
        }
        Ok(complete)
    }

    /// Gives the rest.
    pub fn finish(&mut self) -> Result<Vec<f32>, AudioError> {
        let [from, to] = self.rates;
        let all = (self.taken * to).div_ceil(from);
        let mut block = std::mem::take(&mut self.waiting);
        let mut rest = Vec::new();
        while self.given < all {
            block.resize(self.input_block, 0.0);
            self.take(&block, &mut rest)?;
            block.fill(0.0);
        }
        rest.truncate(rest.len().saturating_sub(self.given - all));
        Ok(rest)
    }

    fn take(&mut self, block: &[f32], complete: &mut Vec<f32>) -> Result<(), AudioError> {
        let fail = |error: String| AudioError::Resample(error);
        let input = InterleavedSlice::new(block, 1, block.len())
            .map_err(|error| fail(error.to_string()))?;
        let output = self.resampler.process(&input, None);
        let output = output.map_err(|error| fail(error.to_string()))?.take_data();
        let left_out = self.delay.min(output.len());
        self.delay -= left_out;
        complete.extend(&output[left_out..]);
        self.given += output.len() - left_out;
        Ok(())
    }
}

/// rubato's resampler, and how many samples it takes at once.
fn resampler(from: usize, to: usize) -> Result<(Fft<f32>, usize), AudioError> {
    let step = greatest_common_divisor(from, to);
    // An even number: rubato removes a delay of half a block, which is then a whole number of samples.
    let blocks = BLOCK_SAMPLES
        .div_ceil(from.min(to) / step)
        .next_multiple_of(2);
    let input_block = blocks * (from / step);
    let one_block_at_once = FixedSync::Input;
    let resampler = Fft::<f32>::new_custom(
        from,
        to,
        input_block,
        1,
        1,
        WindowFunction::BlackmanHarris2,
        one_block_at_once,
    )
    .map_err(|error| AudioError::Resample(error.to_string()))?;
    Ok((resampler, input_block))
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}
