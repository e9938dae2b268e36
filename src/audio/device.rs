//! Features as a device computes them, with the device's own code, and the tables that this code needs.

use std::f64::consts::PI;

use nas_kernels::front_end::{Framer, FrontEnd, Spec};

use super::{
    Audio, AudioError, Feature, FeatureSpec, Matrix,
    extract::{check, dct_rows},
    mel::band_edges_hz,
};

/// Tables of [`nas_kernels::front_end`], computed in 64 bits.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceTables {
    /// Twiddle factors, one half of the window, rises of the bins, heights of the filters, and for MFCC one half of the
    /// DCT, in this order.
    pub floats: Vec<f32>,
    /// The bin after each gap between two band edges; `n_mels + 1` values.
    pub ends: Vec<u16>,
}

/// Turns clips into features as a device does: from 16-bit samples, in 32-bit arithmetic.
///
/// The frames are those of [`super::Extractor`] with zero padding. A device that starts with the clip computes the same
/// bits; for the last `n_fft / 2 / hop_length` frames, `n_fft / 2` zeros must follow the clip. Where a device hears
/// other sound before and after the clip, the first and last `n_fft / 2 / hop_length` frames differ.
#[derive(Debug, Clone)]
pub struct DeviceExtractor {
    spec: FeatureSpec,
    tables: DeviceTables,
    ends: Vec<[u8; 2]>,
}

impl FeatureSpec {
    /// The same specification for [`nas_kernels`].
    pub fn on_device(&self) -> Spec {
        Spec {
            sample_rate_hz: self.sample_rate_hz as usize,
            n_fft: self.n_fft,
            hop_length: self.hop_length,
            n_mels: self.n_mels,
            coefficients: match self.feature {
                Feature::LogMel => 0,
                Feature::Mfcc { coefficients } => coefficients,
            },
        }
    }

    /// Computes the tables that the device's code needs; it fails where the specification is out of range.
    pub fn device_tables(&self) -> Result<DeviceTables, AudioError> {
        check(self)?;
        let mut floats = Vec::with_capacity(self.on_device().table_lengths().floats());
        push_twiddles(self.n_fft, &mut floats);
        let edges = band_edges_hz(self.sample_rate_hz, self.n_mels);
        let (rise, ends) = gaps(&edges, self.sample_rate_hz, self.n_fft);
        floats.extend(rise);
        let heights = edges.windows(3).map(|edge| 2.0 / (edge[2] - edge[0]));
        floats.extend(heights.map(|height| height as f32));
        if let Feature::Mfcc { coefficients } = self.feature {
            let half = self.n_mels.div_ceil(2);
            for (idx, row) in dct_rows(coefficients, self.n_mels).iter().enumerate() {
                let row = row[..half].iter().map(|value| *value as f32);
                match idx % 2 {
                    0 => floats.extend(row),
                    _ => floats.extend(row.rev()),
                }
            }
        }
        debug_assert_eq!(floats.len(), self.on_device().table_lengths().floats());
        Ok(DeviceTables { floats, ends })
    }
}

impl DeviceExtractor {
    /// Prepares the tables; it fails where the specification is out of range.
    pub fn new(spec: &FeatureSpec) -> Result<DeviceExtractor, AudioError> {
        let tables = spec.device_tables()?;
        let ends = tables.ends.iter().map(|end| end.to_le_bytes()).collect();
        Ok(DeviceExtractor {
            spec: *spec,
            tables,
            ends,
        })
    }

    /// The specification of the features.
    pub fn spec(&self) -> &FeatureSpec {
        &self.spec
    }

    /// Features of one clip in dB: `1 + samples / hop_length` frames.
    ///
    /// A clip of another rate is resampled first. Samples are rounded to 16 bits, which changes nothing in a 16-bit
    /// file.
    pub fn extract(&self, audio: &Audio) -> Result<Matrix, AudioError> {
        let audio = audio.at_rate(self.spec.sample_rate_hz)?;
        if audio.samples.is_empty() {
            return Err(AudioError::Empty);
        }
        let silence = self.spec.n_fft / 2;
        let mut samples = audio.to_i16();
        samples.resize(samples.len() + silence, 0);
        let spec = self.spec.on_device();
        let (mut frame, mut scratch) = (vec![0; spec.n_fft], vec![0.0; spec.scratch_len()]);
        let front_end = FrontEnd::new(spec, &self.tables.floats, &self.ends)
            .expect("the tables were made for this specification");
        let mut framer = Framer::new(front_end, &mut frame, &mut scratch);
        let frames = 1 + audio.samples.len() / spec.hop_length;
        let mut values = Vec::with_capacity(frames * spec.bands());
        let mut heard = &samples[..];
        while let Some(features) = framer.next(&mut heard) {
            values.extend_from_slice(features);
        }
        Ok(Matrix {
            bands: spec.bands(),
            values,
        })
    }
}

impl Audio {
    /// The samples as a 16-bit converter gives them.
    pub fn to_i16(&self) -> Vec<i16> {
        let sample = |sample: &f32| (sample * 32768.0).round() as i16;
        self.samples.iter().map(sample).collect()
    }
}

/// Appends the twiddle factors of the passes, those that separate even from odd, and the window.
fn push_twiddles(n_fft: usize, floats: &mut Vec<f32>) {
    let points = n_fft / 2;
    let mut push = |turns: &dyn Fn(usize) -> f64, count: usize| {
        floats.extend((0..count).map(|lane| (2.0 * PI * turns(lane)).cos() as f32));
        floats.extend((0..count).map(|lane| (2.0 * PI * turns(lane)).sin() as f32));
    };
    // The first pass takes 4 or 8 points; passes of 4 do the rest.
    let mut quarter = if points.ilog2() % 2 == 1 { 8 } else { 4 };
    while 4 * quarter <= points {
        for block in 0..quarter / 4 {
            for times in 1..4 {
                let turns = |lane| (times * (4 * block + lane)) as f64 / (4 * quarter) as f64;
                push(&turns, 4);
            }
        }
        quarter *= 4;
    }
    for block in 0..points / 8 {
        push(&|lane| (4 * block + lane) as f64 / n_fft as f64, 4);
    }
    let window = |idx: usize| 0.5 - 0.5 * (2.0 * PI * idx as f64 / n_fft as f64).cos();
    floats.extend((0..=points).map(|idx| window(idx) as f32));
}

/// How far every bin has risen between the band edges around it (0 to 1), and where the bins of every gap end.
fn gaps(edges: &[f64], sample_rate_hz: u32, n_fft: usize) -> (Vec<f32>, Vec<u16>) {
    let hz = |bin: usize| bin as f64 * f64::from(sample_rate_hz) / n_fft as f64;
    let bins = n_fft / 2;
    let mut rise = Vec::with_capacity(bins);
    let mut ends = Vec::with_capacity(edges.len() - 1);
    for (idx, gap) in edges.windows(2).enumerate() {
        let is_last = idx + 2 == edges.len();
        while rise.len() < bins && (is_last || hz(rise.len()) < gap[1]) {
            rise.push(((hz(rise.len()) - gap[0]) / (gap[1] - gap[0])) as f32);
        }
        // There are at most 2^15 bins, which a `u16` holds.
        ends.push(rise.len() as u16);
    }
    (rise, ends)
}
