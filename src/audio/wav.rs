//! Reads WAV: integer PCM of 8 to 32 bits and float, in plain or extensible headers.
//!
//! This is not hound's reader, for three reasons. hound returns one sample at a time, which takes longer than the
//! features of the clip. It does not skip the pad byte after a chunk of odd length. It refuses the open-ended lengths
//! that programs write into a pipe.

use std::io::Cursor;

use super::{Audio, AudioError, Channel, channel::Layout};

/// A length that means "until the end of the file"; programs write it where they cannot know the length.
const OPEN_ENDED: u32 = u32::MAX;

const TAG_PCM: u16 = 1;
const TAG_FLOAT: u16 = 3;
const TAG_EXTENSIBLE: u16 = 0xFFFE;
/// The sub-format of an extensible header is a tag followed by these bytes.
const SUBFORMAT_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];

#[derive(Debug, Clone, Copy)]
enum Encoding {
    Unsigned8,
    Signed16,
    Signed24,
    Signed32,
    Float32,
    Float64,
}

/// Sound as a WAV file of one channel and 16 bits.
pub fn encode(samples: &[i16], sample_rate_hz: u32) -> Result<Vec<u8>, hound::Error> {
    let format = hound::WavSpec {
        channels: 1,
        sample_rate: sample_rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, format)?;
    for sample in samples {
        writer.write_sample(*sample)?;
    }
    writer.finalize()?;
    Ok(file.into_inner())
}

/// Decodes a file that starts with `RIFF....WAVE`.
pub(super) fn decode(bytes: &[u8], channel: Channel) -> Result<Audio, AudioError> {
    let mut format = None;
    let mut rest = &bytes[12..];
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let claimed = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let length = claimed as usize;
        match &head[..4] {
            b"fmt " => format = Some(parse_format(body.get(..length).unwrap_or(body), channel)?),
            b"data" => {
                let (layout, encoding) =
                    format.ok_or(AudioError::Malformed("the data come before the format"))?;
                let data = match body.get(..length) {
                    Some(data) => data,
                    None if claimed == OPEN_ENDED => body,
                    None => {
                        return Err(AudioError::Truncated {
                            claimed: u64::from(claimed),
                            found: body.len() as u64,
                            unit: "bytes",
                        });
                    }
                };
                return samples(data, layout, encoding);
            }
            _ => {}
        }
        rest = body.get(length + length % 2..).unwrap_or(&[]);
    }
    Err(AudioError::Malformed("there is no data chunk"))
}

fn parse_format(body: &[u8], channel: Channel) -> Result<(Layout, Encoding), AudioError> {
    let Some(fixed) = body.first_chunk::<16>() else {
        return Err(AudioError::Malformed(
            "the format chunk is shorter than 16 bytes",
        ));
    };
    let u16_at = |at: usize| u16::from_le_bytes([fixed[at], fixed[at + 1]]);
    let [outer_tag, channels, block_align, bits] = [0, 2, 12, 14].map(u16_at);
    let sample_rate_hz = u32::from_le_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
    let tag = match (outer_tag, body.get(24..40)) {
        (TAG_EXTENSIBLE, Some([low, high, tail @ ..])) if tail == SUBFORMAT_TAIL => {
            u16::from_le_bytes([*low, *high])
        }
        _ => outer_tag,
    };
    let layout = Layout::new(sample_rate_hz, usize::from(channels), channel)?;
    let encoding = match (tag, bits) {
        (TAG_PCM, 8) => Encoding::Unsigned8,
        (TAG_PCM, 16) => Encoding::Signed16,
        (TAG_PCM, 24) => Encoding::Signed24,
        (TAG_PCM, 32) => Encoding::Signed32,
        (TAG_FLOAT, 32) => Encoding::Float32,
        (TAG_FLOAT, 64) => Encoding::Float64,
        _ => return Err(AudioError::Encoding { tag, bits }),
    };
    if usize::from(block_align) != layout.channels * usize::from(bits / 8) {
        return Err(AudioError::Malformed(
            "the block size does not fit the channels and bits",
        ));
    }
    Ok((layout, encoding))
}

fn samples(data: &[u8], layout: Layout, encoding: Encoding) -> Result<Audio, AudioError> {
    let samples = match encoding {
        Encoding::Unsigned8 => mix(data, layout, |[b]| (f32::from(b) - 128.0) / 128.0),
        Encoding::Signed16 => mix(data, layout, |b| f32::from(i16::from_le_bytes(b)) / 32768.0),
        Encoding::Signed24 => mix(data, layout, |[a, b, c]| {
            (i32::from_le_bytes([0, a, b, c]) as f64 / 2f64.powi(31)) as f32
        }),
        Encoding::Signed32 => mix(data, layout, |b| {
            (f64::from(i32::from_le_bytes(b)) / 2f64.powi(31)) as f32
        }),
        Encoding::Float32 => mix(data, layout, f32::from_le_bytes),
        Encoding::Float64 => mix(data, layout, |b| f64::from_le_bytes(b) as f32),
    }
    .ok_or(AudioError::Malformed(
        "the data end in the middle of a sample",
    ))?;
    Ok(Audio {
        samples,
        sample_rate_hz: layout.sample_rate_hz,
    })
}

/// Decodes and mixes all moments; `None` where the data are not a whole number of moments.
fn mix<const BYTES: usize>(
    data: &[u8],
    layout: Layout,
    value: impl Fn([u8; BYTES]) -> f32,
) -> Option<Vec<f32>> {
    let (values, rest) = data.as_chunks::<BYTES>();
    let moments = values.chunks_exact(layout.channels);
    if !(rest.is_empty() && moments.remainder().is_empty()) {
        return None;
    }
    Some(
        moments
            .map(|moment| layout.mix(|channel| value(moment[channel])))
            .collect(),
    )
}
