//! Sound to features: log-mel and MFCC of 16-bit samples, the same bits on every processor.
//!
//! A frame is windowed (periodic Hann), transformed, gathered into Slaney's mel bands and expressed in decibels
//! relative to full scale, never below those of 2^-52; MFCC are the first coefficients of the orthonormal DCT-II of
//! that. This is what `librosa.feature.melspectrogram` and `mfcc` do with zero padding, in f32 instead of f64.
//!
//! Tables are made on the host ([`Spec`] says how long they are) and lie in the model.

mod fft;
mod framer;
pub(crate) mod log;
#[cfg(all(feature = "mve", target_arch = "arm"))]
mod mve;

pub use framer::Framer;

use fft::{Block, Twiddles};

/// How samples become frames of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    pub sample_rate_hz: usize,
    /// A power of two from 16 to 65536.
    pub n_fft: usize,
    pub hop_length: usize,
    pub n_mels: usize,
    /// MFCC of a frame; 0 for log-mel.
    pub coefficients: usize,
}

/// Numbers in every table of a front end; in the model they lie in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableLengths {
    /// Passes of radix 4, short transforms first, that make transforms of `4 q` points: for `j` from 0 to `q - 1`, four
    /// at a time, cosines and sines of `2 pi j / 4 q`, of twice and of three times that angle.
    pub twiddles: usize,
    /// For `k` from 0 to `n_fft / 4 - 1`, four at a time: cosines and sines of `2 pi k / n_fft`.
    pub split: usize,
    /// The Hann window up to its middle, included.
    pub window: usize,
    /// For every bin below half the rate: how far it lies from the band edge below towards the one above, 0 to 1.
    pub rise: usize,
    /// The height of every mel filter, `2 / (high - low)` in Hz.
    pub heights: usize,
    /// Rows of the DCT-II: cosines of the lower half of the bands, for odd rows backwards.
    pub dct: usize,
    /// Where the bins of every gap between two band edges end; 16-bit.
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
/// Standardisation and the scale of the input are folded into gain and offset, one of each per band.
#[derive(Debug, Clone, Copy)]
pub struct Quantizer<'t> {
    pub gains: &'t [f32],
    pub offsets: &'t [f32],
}

/// Powers are four times too large, and of samples up to 2^15 instead of 1.
const POWER_BITS: f32 = 32.0;
/// Mel power that is taken for silence: 2^-52 of full scale, the `eps` of the DCASE baselines.
const FLOOR: f32 = 1.0 / (1 << 20) as f32;

impl Spec {
    /// What is wrong with it; `None` where every buffer and index is in bounds.
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

    /// Features of a frame.
    pub const fn bands(&self) -> usize {
        if self.coefficients > 0 {
            self.coefficients
        } else {
            self.n_mels
        }
    }

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

    /// Numbers that [`FrontEnd::features`] works on.
    pub const fn scratch_len(&self) -> usize {
        let mels = self.first_mel() + self.n_mels;
        if mels > self.n_fft { mels } else { self.n_fft }
    }

    /// Where the mel bands lie in the scratch: behind the power spectrum, and the coefficients that replace it.
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
    /// Numbers of 32 bits in all tables.
    pub const fn floats(&self) -> usize {
        self.twiddles + self.split + self.window + self.rise + self.heights + self.dct
    }

    /// Bytes of all tables.
    pub const fn bytes(&self) -> usize {
        4 * self.floats() + 2 * self.ends
    }
}

impl<'t> FrontEnd<'t> {
    /// A front end with its tables, [`TableLengths::floats`] and [`TableLengths::ends`] long; `None` where the
    /// specification is at fault, the lengths are others, or the ends do not rise to the number of bins.
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

    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Features of one frame of `n_fft` samples, in dB.
    ///
    /// # Panics
    /// Where there are not `n_fft` samples, or the scratch is not [`Spec::scratch_len`] long.
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

    /// Between two neighbouring edges every bin counts for the band whose filter rises there, and with the rest of its
    /// power for the one whose filter falls.
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
    /// Rounds halves up and saturates; says how many values were cut off at either end.
    pub fn quantize(&self, features: &[f32], output: &mut [i8]) -> u32 {
        let mut clipped = 0;
        let gains = self.gains.iter().zip(self.offsets);
        for ((output, feature), (gain, offset)) in output.iter_mut().zip(features).zip(gains) {
            // Positive where it is not saturated, so that cutting off rounds.
            let shifted = feature * gain + offset + 128.5;
            *output = (shifted.clamp(0.0, 255.0) as i32 - 128) as i8;
            clipped += u32::from(!(0.0..256.0).contains(&shifted));
        }
        clipped
    }
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
