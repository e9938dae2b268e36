//! Reads WAV in all its coats: PCM of 8 to 32 bits, float, ADPCM, A-law and mu-law; plain and extensible headers; RIFF, RF64
//! and W64.
//!
//! This is not hound's reader, for three reasons. hound returns one sample at a time, which takes longer than the
//! features of the clip. It does not skip the pad byte after a chunk of odd length. It refuses the open-ended lengths
//! that programs write into a pipe.

use std::io::Cursor;

use super::{
    Audio, AudioError, Channel, Encoding, Form, Recording,
    adpcm::{self, Blocks},
    channel::Layout,
};

/// A length that means "until the end of the file", or "see the chunk `ds64`"; programs write it where they cannot know the
/// length. Others write 0.
const OPEN_ENDED: u64 = u32::MAX as u64;

const TAG_PCM: u16 = 1;
const TAG_MS_ADPCM: u16 = 2;
const TAG_FLOAT: u16 = 3;
const TAG_A_LAW: u16 = 6;
const TAG_MU_LAW: u16 = 7;
const TAG_IMA_ADPCM: u16 = 0x11;
const TAG_EXTENSIBLE: u16 = 0xFFFE;
/// The sub-format of an extensible header is a tag followed by these bytes.
const SUBFORMAT_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];
/// W64 names its chunks by 16 bytes: those of RIFF, then these. The file itself is `riff` with another tail.
const W64_TAIL: [u8; 12] = [
    0xF3, 0xAC, 0xD3, 0x11, 0x8C, 0xD1, 0, 0xC0, 0x4F, 0x8E, 0xDB, 0x8A,
];
const W64_RIFF: [u8; 16] = [
    b'r', b'i', b'f', b'f', 0x2E, 0x91, 0xCF, 0x11, 0xA5, 0xD6, 0x28, 0xDB, 0x04, 0xC1, 0, 0,
];

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

/// How a file cuts itself into chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    /// Chunks of at most 4 GiB, padded to two bytes; RF64 states longer ones in a chunk of its own.
    Riff,
    /// Chunks of any size, padded to eight bytes.
    W64,
}

impl Container {
    /// The container that a file's first bytes say; `None` where it is no WAV.
    pub fn of(bytes: &[u8]) -> Option<Container> {
        let wave = bytes.get(8..12) == Some(b"WAVE");
        match bytes.get(..4)? {
            b"RIFF" | b"RF64" | b"BW64" if wave => Some(Container::Riff),
            _ if bytes.starts_with(&W64_RIFF) => Some(Container::W64),
            _ => None,
        }
    }

    /// The bytes before the first chunk.
    fn head(self) -> usize {
        match self {
            Container::Riff => 12,
            Container::W64 => 40,
        }
    }

    /// Name, claimed length and content of the first chunk; the content runs to the file's end.
    fn chunk(self, rest: &[u8]) -> Option<([u8; 4], u64, &[u8])> {
        match self {
            Container::Riff => {
                let (head, body) = rest.split_first_chunk::<8>()?;
                let [a, b, c, d, sizes @ ..] = *head;
                Some(([a, b, c, d], u64::from(u32::from_le_bytes(sizes)), body))
            }
            Container::W64 => {
                let (head, body) = rest.split_first_chunk::<24>()?;
                let (name, rest) = head.split_first_chunk::<4>()?;
                let (tail, size) = rest.split_at(W64_TAIL.len());
                let claimed = u64::from_le_bytes(size.try_into().ok()?);
                // A foreign chunk has another tail and is skipped like any that is not known.
                let name = if tail == W64_TAIL { *name } else { [0; 4] };
                Some((name, claimed.saturating_sub(24), body))
            }
        }
    }

    fn after(self, length: usize) -> usize {
        let pad = match self {
            Container::Riff => 2,
            Container::W64 => 8,
        };
        length.checked_next_multiple_of(pad).unwrap_or(usize::MAX)
    }
}

/// Where the sound of a file lies, and how it is stored: of a coding that can be read from any moment on.
#[derive(Debug)]
pub(super) struct Head {
    /// The first byte of the sound in the file.
    pub sound_at: u64,
    /// Bytes of sound, whole moments.
    pub sound_bytes: u64,
    format: Format<'static>,
}

impl Head {
    /// Samples per second.
    pub fn sample_rate_hz(&self) -> u32 {
        self.format.layout.sample_rate_hz
    }

    /// Bytes of one moment of all channels.
    pub fn moment_bytes(&self) -> usize {
        self.format.block_bytes
    }

    /// The sound of whole moments.
    pub fn decoded(&self, moments: &[u8]) -> Result<Recording, AudioError> {
        decoded(moments, &self.format, None)
    }
}

/// Finds the sound of a file of so many bytes by its first ones; `None` where it does not begin in those, or where it is of a
/// coding of blocks.
pub(super) fn head(
    start: &[u8],
    container: Container,
    channel: Channel,
    file_bytes: u64,
) -> Result<Option<Head>, AudioError> {
    let (mut format, mut long) = (None, None);
    let mut rest = start.get(container.head()..).unwrap_or(&[]);
    while let Some((name, claimed, body)) = container.chunk(rest) {
        let length = usize::try_from(claimed).unwrap_or(usize::MAX);
        match &name {
            b"fmt " => {
                let content = body.get(..length).unwrap_or(body);
                format = Some(parse_format(content, channel)?);
            }
            b"ds64" => long = u64_at(body, 8),
            b"data" => {
                let format =
                    format.ok_or(AudioError::Malformed("the data come before the format"))?;
                if matches!(format.encoding, Encoding::ImaAdpcm | Encoding::MsAdpcm) {
                    return Ok(None);
                }
                let sound_at = (start.len() - body.len()) as u64;
                let found = file_bytes.saturating_sub(sound_at);
                let moment = format.block_bytes.max(1) as u64;
                let sound_bytes = match long.filter(|_| claimed == OPEN_ENDED).unwrap_or(claimed) {
                    // A program that could not go back to write the length leaves one of these.
                    0 => return Ok(None),
                    claimed if claimed <= found => claimed,
                    claimed if claimed >= OPEN_ENDED && long.is_none() => found - found % moment,
                    claimed => {
                        let unit = "bytes";
                        return Err(AudioError::Truncated {
                            claimed,
                            found,
                            unit,
                        });
                    }
                };
                return Ok(Some(Head {
                    sound_at,
                    sound_bytes,
                    format: Format {
                        extra: &[],
                        ..format
                    },
                }));
            }
            _ => {}
        }
        rest = body.get(container.after(length)..).unwrap_or(&[]);
    }
    Ok(None)
}

/// What the format chunk says.
#[derive(Debug)]
struct Format<'a> {
    layout: Layout,
    encoding: Encoding,
    bits: u32,
    block_bytes: usize,
    /// What follows the 16 bytes that every format has.
    extra: &'a [u8],
}

/// Decodes a file of this container.
pub(super) fn decode(
    bytes: &[u8],
    container: Container,
    channel: Channel,
) -> Result<Recording, AudioError> {
    let (mut format, mut long, mut moments) = (None, None, None);
    let mut rest = bytes.get(container.head()..).unwrap_or(&[]);
    while let Some((name, claimed, body)) = container.chunk(rest) {
        let length = usize::try_from(claimed).unwrap_or(usize::MAX);
        let content = body.get(..length).unwrap_or(body);
        match &name {
            b"fmt " => format = Some(parse_format(content, channel)?),
            // RF64: the lengths of the file and of its sound in 64 bits.
            b"ds64" => long = u64_at(content, 8),
            b"fact" => moments = content.first_chunk().map(|b| u32::from_le_bytes(*b)),
            b"data" => {
                let format =
                    format.ok_or(AudioError::Malformed("the data come before the format"))?;
                let data = match sound(container, claimed, long, body)? {
                    Some(data) => data,
                    // A program that was stopped may have left the beginning of a block.
                    None => &body[..body.len() - body.len() % format.block_bytes.max(1)],
                };
                return decoded(data, &format, moments);
            }
            _ => {}
        }
        rest = body.get(container.after(length)..).unwrap_or(&[]);
    }
    Err(AudioError::Malformed("there is no data chunk"))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

/// The sound of a data chunk whose content begins with `body`; `None` where its length was left open.
fn sound(
    container: Container,
    claimed: u64,
    long: Option<u64>,
    body: &[u8],
) -> Result<Option<&[u8]>, AudioError> {
    let claimed = match long {
        Some(long) if claimed == OPEN_ENDED => long,
        _ => claimed,
    };
    let length = usize::try_from(claimed).unwrap_or(usize::MAX);
    match body.get(..length) {
        // A program that could not go back to write the length leaves 0; then no further chunks follow.
        Some([]) if !is_chunks(container, body) => Ok(None),
        Some(data) => Ok(Some(data)),
        None if claimed >= OPEN_ENDED && long.is_none() => Ok(None),
        None => Err(AudioError::Truncated {
            claimed,
            found: body.len() as u64,
            unit: "bytes",
        }),
    }
}

/// Whether these bytes are whole chunks up to their end, or nothing.
fn is_chunks(container: Container, bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some((name, claimed, body)) = container.chunk(rest) {
        let length = usize::try_from(claimed).unwrap_or(usize::MAX);
        if !name.iter().all(|byte| (b' '..=b'~').contains(byte)) || length > body.len() {
            return false;
        }
        rest = body.get(container.after(length)..).unwrap_or(&[]);
    }
    rest.is_empty()
}

fn parse_format(body: &[u8], channel: Channel) -> Result<Format<'_>, AudioError> {
    let Some((fixed, extra)) = body.split_first_chunk::<16>() else {
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
        (TAG_PCM, 1..=32) => Encoding::Pcm,
        (TAG_FLOAT, 32 | 64) => Encoding::Float,
        (TAG_A_LAW, 8) => Encoding::ALaw,
        (TAG_MU_LAW, 8) => Encoding::MuLaw,
        (TAG_IMA_ADPCM, 4) => Encoding::ImaAdpcm,
        (TAG_MS_ADPCM, 4) => Encoding::MsAdpcm,
        _ => return Err(AudioError::Encoding { tag, bits }),
    };
    let block_bytes = usize::from(block_align);
    let is_adpcm = matches!(encoding, Encoding::ImaAdpcm | Encoding::MsAdpcm);
    // Samples of, say, 12 bits lie in the upper bits of whole bytes.
    if !is_adpcm && block_bytes != layout.channels * usize::from(bits.div_ceil(8)) {
        return Err(AudioError::Malformed(
            "the block size does not fit the channels and bits",
        ));
    }
    Ok(Format {
        layout,
        encoding,
        bits: u32::from(bits),
        block_bytes,
        extra,
    })
}

/// The samples of a data chunk.
fn decoded(
    data: &[u8],
    format: &Format<'_>,
    moments: Option<u32>,
) -> Result<Recording, AudioError> {
    let Format {
        layout,
        encoding,
        bits,
        block_bytes,
        extra,
    } = *format;
    let blocks = || Blocks {
        data,
        block_bytes,
        channels: layout.channels,
        moments: moments.filter(|moments| *moments > 0),
    };
    let samples = match (encoding, bits.div_ceil(8)) {
        (Encoding::Pcm, 1) => mix(data, layout, |[b]| (f32::from(b) - 128.0) / 128.0),
        (Encoding::Pcm, 2) => mix(data, layout, |b| f32::from(i16::from_le_bytes(b)) / 32768.0),
        (Encoding::Pcm, 3) => mix(data, layout, |[a, b, c]| {
            (i32::from_le_bytes([0, a, b, c]) as f64 / 2f64.powi(31)) as f32
        }),
        (Encoding::Pcm, _) => mix(data, layout, |b| {
            (f64::from(i32::from_le_bytes(b)) / 2f64.powi(31)) as f32
        }),
        (Encoding::Float, 4) => mix(data, layout, f32::from_le_bytes),
        (Encoding::Float, _) => mix(data, layout, |b| f64::from_le_bytes(b) as f32),
        (Encoding::ALaw, _) => mix(data, layout, |[b]| a_law(b)),
        (Encoding::MuLaw, _) => mix(data, layout, |[b]| mu_law(b)),
        (Encoding::ImaAdpcm, _) => Some(mixed(&adpcm::ima(&blocks())?, layout)),
        (Encoding::MsAdpcm, _) => Some(mixed(&adpcm::ms(&blocks(), extra)?, layout)),
        (Encoding::Flac | Encoding::Vorbis | Encoding::Mp3, _) => None,
    }
    .ok_or(AudioError::Malformed(
        "the data end in the middle of a sample",
    ))?;
    Ok(Recording {
        audio: Audio {
            samples,
            sample_rate_hz: layout.sample_rate_hz,
        },
        form: Form {
            encoding,
            channels: layout.channels as u32,
            bits,
        },
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

/// Mixes decoded 16-bit samples, those of one moment beside each other.
fn mixed(samples: &[i16], layout: Layout) -> Vec<f32> {
    let moments = samples.chunks_exact(layout.channels);
    moments
        .map(|moment| layout.mix(|channel| f32::from(moment[channel]) / 32768.0))
        .collect()
}

/// A sample of ITU-T G.711's A-law.
fn a_law(byte: u8) -> f32 {
    let code = byte ^ 0x55;
    let (exponent, mantissa) = (i32::from(code >> 4 & 7), i32::from(code & 15));
    let magnitude = match exponent {
        0 => (mantissa << 4) + 8,
        _ => ((mantissa << 4) + 0x108) << (exponent - 1),
    };
    let sign = if code & 0x80 == 0 { -1 } else { 1 };
    (sign * magnitude) as f32 / 32768.0
}

/// A sample of ITU-T G.711's mu-law.
fn mu_law(byte: u8) -> f32 {
    let code = !byte;
    let (exponent, mantissa) = (i32::from(code >> 4 & 7), i32::from(code & 15));
    let magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84;
    let sign = if code & 0x80 == 0 { 1 } else { -1 };
    (sign * magnitude) as f32 / 32768.0
}
