//! Makes features of sound: log-mel and MFCC of 16-bit samples, the same bits on every processor.
//!
//! A frame is windowed (periodic Hann), transformed and summed into Slaney's mel bands. Features are decibels relative
//! to full scale, never below those of 2^-52. MFCC are the first coefficients of their orthonormal DCT-II.
//! `librosa.feature.melspectrogram` and `mfcc` do the same with zero padding, in f64 instead of f32.
//!
//! The host makes the tables ([`Spec`] says how long they are), and the model holds them.

mod companding;
mod fft;
mod framer;
pub(crate) mod log;
#[cfg(all(feature = "mve", target_arch = "arm"))]
mod mve;
pub mod statistics;

pub use companding::Companding;
pub use framer::Framer;
pub use statistics::Statistics;

use fft::{Block, Twiddles};

/// How samples become frames of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// Sample rate in hertz, 1 to 1,000,000.
    pub sample_rate_hz: usize,
    /// Samples of a frame: a power of two from 16 to 65536.
    pub n_fft: usize,
    /// Samples from one frame to the next, 1 to 65536.
    pub hop_length: usize,
    /// Number of mel bands, 1 to 1024.
    pub n_mels: usize,
    /// Number of MFCC coefficients of a frame; 0 for log-mel.
    pub coefficients: usize,
}

/// The length of every table of a front end. The tables lie in the model in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableLengths {
    /// Passes of radix 4, short transforms first, that make transforms of `4 q` points: for `j` from 0 to `q - 1`, four
    /// at a time, cosines and sines of `2 pi j / 4 q`, of twice and of three times that angle.
    pub twiddles: usize,
    /// For `k` from 0 to `n_fft / 4 - 1`, four at a time: cosines and sines of `2 pi k / n_fft`.
    pub split: usize,
    /// The Hann window up to its middle, included.
    pub window: usize,
    /// For every bin below half the rate: its place between the band edge below (0) and the one above (1).
    pub rise: usize,
    /// The height of every mel filter, `2 / (high - low)` in Hz.
    pub heights: usize,
    /// Rows of the DCT-II: cosines of the lower half of the bands, backwards for odd rows.
    pub dct: usize,
    /// The end of the bins of every gap between two band edges; 16-bit.
    pub ends: usize,
}

/// Tables of a front end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tables<'t> {
    pub twiddles: &'t [Twiddles],
    pub split: &'t [Block],
    pub window: &'t [f32],
    pub rise: &'t [f32],
    pub heights: &'t [f32],
    pub dct: &'t [f32],
    pub ends: &'t [[u8; 2]],
}

/// Computes features of frames.
#[derive(Debug, Clone, Copy)]
pub struct FrontEnd<'t> {
    spec: Spec,
    tables: Tables<'t>,
}

/// Turns features in decibels into the int8 numbers of a network: `value * gain + offset`, rounded.
///
/// Gain and offset, one of each per band or statistic, include standardisation and the scale of the input. Companding
/// comes between them and the rounding.
#[derive(Debug, Clone, Copy)]
pub struct Quantizer<'t> {
    /// Gain of each band, in int8 steps per dB.
    pub gains: &'t [f32],
    /// Offset of each band, in int8 steps.
    pub offsets: &'t [f32],
    /// What compresses values far from the mean; `None` where all count alike.
    pub companding: Option<Companding>,
}

/// Powers are four times too large, and samples go up to 2^15 instead of 1.
const POWER_BITS: f32 = 32.0;
/// Mel power of silence: 2^-52 of full scale, the `eps` of the DCASE baselines.
const FLOOR: f32 = 1.0 / (1 << 20) as f32;

impl Spec {
    /// What is wrong with the specification; `None` where every buffer and index is in bounds.
    pub fn fault(&self) -> Option<&'static str> {
        if !self.n_fft.is_power_of_two() || !(16..=65_536).contains(&self.n_fft) {
            return Some("its n_fft is not a power of two from 16 to 65536");
        }
        if !(1..=65_536).contains(&self.hop_length) {
            return Some("its hop is not 1 to 65536 samples");
        }
        if !(1..=1024).contains(&self.n_mels) || self.coefficients > self.n_mels {
            return Some("it has no mel bands, more than 1024, or more coefficients than bands");
        }
        if !(1..=1_000_000).contains(&self.sample_rate_hz) {
            return Some("its sample rate is not 1 to 1000000 Hz");
        }
        None
    }

    /// The first frames of a stream, which begin before its first sample: half of a frame lies before its centre, and frames
    /// are centred at every hop. Statistics leave them out, since the edge sounds like a click.
    pub const fn settling_frames(&self) -> usize {
        (self.n_fft / 2).div_ceil(self.hop_length)
    }

    /// Number of features of a frame.
    pub const fn bands(&self) -> usize {
        if self.coefficients > 0 {
            self.coefficients
        } else {
            self.n_mels
        }
    }

    /// The lengths of all tables.
    pub const fn table_lengths(&self) -> TableLengths {
        TableLengths {
            twiddles: 24 * fft::twiddle_blocks(self.n_fft),
            split: self.n_fft / 2,
            window: self.n_fft / 2 + 1,
            rise: self.n_fft / 2,
            heights: self.n_mels,
            dct: self.coefficients * self.n_mels.div_ceil(2),
            ends: self.n_mels + 1,
        }
    }

    /// Length of the scratch of [`FrontEnd::features`], in numbers.
    pub const fn scratch_len(&self) -> usize {
        let mels = self.first_mel() + self.n_mels;
        if mels > self.n_fft { mels } else { self.n_fft }
    }

    /// The place of the mel bands in the scratch: behind the power spectrum, which the coefficients replace.
    const fn first_mel(&self) -> usize {
        let bins = self.n_fft / 2;
        if bins > self.coefficients {
            bins
        } else {
            self.coefficients
        }
    }
}

impl TableLengths {
    /// Number of 32-bit numbers in all tables.
    pub const fn floats(&self) -> usize {
        self.twiddles + self.split + self.window + self.rise + self.heights + self.dct
    }

    /// Bytes of all tables.
    pub const fn bytes(&self) -> usize {
        4 * self.floats() + 2 * self.ends
    }
}

impl<'t> FrontEnd<'t> {
    /// A front end with its tables, [`TableLengths::floats`] and [`TableLengths::ends`] long. `None` where the
    /// specification is wrong, the lengths differ, or the ends do not rise to the number of bins.
    pub fn new(spec: Spec, floats: &'t [f32], ends: &'t [[u8; 2]]) -> Option<FrontEnd<'t>> {
        if spec.fault().is_some() {
            return None;
        }
        let lengths = spec.table_lengths();
        if floats.len() != lengths.floats() || !ends_are_sound(&spec, ends) {
            return None;
        }
        let (twiddles, rest) = floats.split_at(lengths.twiddles);
        let (split, rest) = rest.split_at(lengths.split);
        let (window, rest) = rest.split_at(lengths.window);
        let (rise, rest) = rest.split_at(lengths.rise);
        let (heights, dct) = rest.split_at(lengths.heights);
        Some(FrontEnd {
            spec,
            tables: Tables {
                twiddles: twiddles.as_chunks().0,
                split: split.as_chunks().0,
                window,
                rise,
                heights,
                dct,
                ends,
            },
        })
    }

    /// How the features are made.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Features of one frame of `n_fft` samples, in dB.
    ///
    /// # Panics
    /// Where there are not exactly `n_fft` samples, or the scratch is not [`Spec::scratch_len`] long.
    pub fn features<'s>(&self, samples: &[i16], scratch: &'s mut [f32]) -> &'s [f32] {
        let Spec {
            n_fft,
            n_mels,
            coefficients,
            ..
        } = self.spec;
        assert_eq!(samples.len(), n_fft, "a frame has n_fft samples");
        assert_eq!(scratch.len(), self.spec.scratch_len(), "length of scratch");
        fft::power_spectrum(samples, &self.tables, &mut scratch[..n_fft]);
        let (power, mels) = scratch.split_at_mut(self.spec.first_mel());
        let mels = &mut mels[..n_mels];
        self.mel_bands(&power[..n_fft / 2], mels);
        for mel in mels.iter_mut() {
            *mel = log::decibels(mel.max(FLOOR), POWER_BITS);
        }
        if coefficients == 0 {
            return mels;
        }
        self.cosine_transform(mels, &mut power[..coefficients]);
        &power[..coefficients]
    }

    /// Between two neighbouring edges, a share of every bin counts for the band whose filter rises there, and the rest
    /// for the band whose filter falls.
    fn mel_bands(&self, power: &[f32], mels: &mut [f32]) {
        let Tables {
            rise,
            heights,
            ends,
            ..
        } = self.tables;
        let gap = |start: usize, end: &[u8; 2]| {
            let end = usize::from(u16::from_le_bytes(*end));
            let (mut rising, mut falling) = (0.0, 0.0);
            for (power, rise) in power[start..end].iter().zip(&rise[start..end]) {
                let part = power * rise;
                rising += part;
                falling += power - part;
            }
            (rising, falling, end)
        };
        let (mut rising, _, mut start) = gap(0, &ends[0]);
        for ((mel, height), end) in mels.iter_mut().zip(heights).zip(&ends[1..]) {
            let next = gap(start, end);
            *mel = (rising + next.1) * height;
            (rising, _, start) = next;
        }
    }

    fn cosine_transform(&self, bands: &mut [f32], coefficients: &mut [f32]) {
        // Even rows of the DCT are symmetric, odd ones antisymmetric: half the products do.
        let (count, half) = (bands.len(), bands.len().div_ceil(2));
        for low in 0..count / 2 {
            let (left, right) = (bands[low], bands[count - 1 - low]);
            bands[low] = left + right;
            bands[count - 1 - low] = left - right;
        }
        let rows = self.tables.dct.chunks_exact(half);
        for (idx, (coefficient, row)) in coefficients.iter_mut().zip(rows).enumerate() {
            let folded = match idx % 2 {
                0 => &bands[..half],
                _ => &bands[count - half..],
            };
            *coefficient = dot(row, folded);
        }
    }
}

impl Quantizer<'_> {
    /// Rounds halves up and saturates; returns how many values were cut off.
    pub fn quantize(&self, features: &[f32], output: &mut [i8]) -> u32 {
        match self.companding {
            None => self.quantize_by(features, output, |steps| steps),
            Some(companding) => {
                self.quantize_by(features, output, |steps| companding.compress(steps))
            }
        }
    }

    #[inline(always)]
    fn quantize_by(
        &self,
        features: &[f32],
        output: &mut [i8],
        compress: impl Fn(f32) -> f32,
    ) -> u32 {
        let mut clipped = 0;
        let gains = self.gains.iter().zip(self.offsets);
        for ((output, feature), (gain, offset)) in output.iter_mut().zip(features).zip(gains) {
            let shifted = shifted(compress(steps(*feature, *gain, *offset)));
            *output = rounded(shifted);
            clipped += u32::from(is_clipped(shifted));
        }
        clipped
    }

    /// One feature by its place, and whether it was cut off.
    pub fn quantize_one(&self, place: usize, feature: f32) -> (i8, bool) {
        let steps = steps(feature, self.gains[place], self.offsets[place]);
        let shifted = shifted(match self.companding {
            None => steps,
            Some(companding) => companding.compress(steps),
        });
        (rounded(shifted), is_clipped(shifted))
    }
}

#[inline(always)]
fn steps(feature: f32, gain: f32, offset: f32) -> f32 {
    feature * gain + offset
}

/// Positive where it is not saturated, so that cutting off rounds.
#[inline(always)]
fn shifted(steps: f32) -> f32 {
    steps + 128.5
}

#[inline(always)]
fn rounded(shifted: f32) -> i8 {
    (shifted.clamp(0.0, 255.0) as i32 - 128) as i8
}

#[inline(always)]
fn is_clipped(shifted: f32) -> bool {
    !(0.0..256.0).contains(&shifted)
}

/// Whether the ends rise to the number of bins.
pub(crate) fn ends_are_sound(spec: &Spec, ends: &[[u8; 2]]) -> bool {
    let mut least = 0;
    let rises = ends.iter().all(|end| {
        let end = usize::from(u16::from_le_bytes(*end));
        let rises = end >= least;
        least = end;
        rises
    });
    rises && ends.len() == spec.table_lengths().ends && least <= spec.n_fft / 2
}

/// Four running sums, which fill a vector register.
fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0; 4];
    let (left_quads, left_rest) = left.as_chunks::<4>();
    let (right_quads, right_rest) = right.as_chunks::<4>();
    for (left, right) in left_quads.iter().zip(right_quads) {
        for lane in 0..4 {
            sums[lane] += left[lane] * right[lane];
        }
    }
    let mut sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    for (left, right) in left_rest.iter().zip(right_rest) {
        sum += left * right;
    }
    sum
}
