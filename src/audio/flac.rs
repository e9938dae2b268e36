//! Reads FLAC with claxon.

use claxon::{FlacReader, FlacReaderOptions};

use super::{Audio, AudioError, Channel, channel::Layout};

/// Samples that any file may unpack to: 17 minutes at 16 kHz.
const SAMPLES_ANYWAY: usize = 1 << 24;
/// Samples per byte that a long file may unpack to. Real sound has one or two samples per byte, digital silence has
/// thousands; a few kilobytes must not fill the memory.
const SAMPLES_PER_BYTE: usize = 64;

/// Decodes a file that starts with `fLaC`.
pub(super) fn decode(bytes: &[u8], channel: Channel) -> Result<Audio, AudioError> {
    let flac_error = |error: claxon::Error| AudioError::Flac(error.to_string());
    let options = FlacReaderOptions {
        metadata_only: false,
        read_vorbis_comment: false,
    };
    let mut reader = FlacReader::new_ext(bytes, options).map_err(flac_error)?;
    let info = reader.streaminfo();
    let layout = Layout::new(info.sample_rate, info.channels as usize, channel)?;
    let scale = 2f64.powi(1 - info.bits_per_sample as i32);
    let limit = SAMPLES_ANYWAY.max(bytes.len().saturating_mul(SAMPLES_PER_BYTE));

    let mut samples = Vec::new();
    let mut blocks = reader.blocks();
    let mut buffer = Vec::new();
    while let Some(block) = blocks.read_next_or_eof(buffer).map_err(flac_error)? {
        if block.channels() != info.channels {
            return Err(AudioError::Malformed("the number of channels changes"));
        }
        if samples.len() + block.duration() as usize > limit {
            return Err(AudioError::TooLarge {
                limit: "2^24 samples, or 64 per byte of its file",
            });
        }
        let channels: Vec<&[i32]> = (0..block.channels()).map(|c| block.channel(c)).collect();
        samples.extend(
            (0..block.duration() as usize).map(|idx| {
                layout.mix(|channel| (f64::from(channels[channel][idx]) * scale) as f32)
            }),
        );
        buffer = block.into_buffer();
    }
    match info.samples {
        Some(claimed) if claimed != samples.len() as u64 => Err(AudioError::Truncated {
            claimed,
            found: samples.len() as u64,
            unit: "samples",
        }),
        _ => Ok(Audio {
            samples,
            sample_rate_hz: layout.sample_rate_hz,
        }),
    }
}
