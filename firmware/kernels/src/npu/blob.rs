//! The blob of a network for an NPU. Numbers are little-endian; every offset counts from the first byte.
//!
//! | bytes | content |
//! |---|---|
//! | 0..8 | [`MAGIC`] |
//! | 8..12 | format version, [`VERSION`] |
//! | 12..16 | length of the whole blob |
//! | 16..24 | [`checksum`] of everything after it |
//! | 24..32 | Vela's driver payload: offset, a multiple of 16, and bytes |
//! | 32..40 | weights: offset, a multiple of 16, and bytes |
//! | 40..44 | bytes of the arena |
//! | 44..52 | input: offset in the arena, and bytes |
//! | 52..60 | output: offset in the arena, and bytes |
//! | 60..64 | zero |
//!
//! The payload is a list of words: `COP1`, then actions. Source: `driver_actions.py` of Vela, and `ethosu_driver.c` of
//! Arm's core driver.

use core::ops::Range;

use super::NpuError;
use crate::blob::checksum;

/// The first bytes of every blob for an NPU.
pub const MAGIC: [u8; 8] = *b"NASNPU55";
/// The format version that this crate reads.
pub const VERSION: u32 = 1;
/// Bytes of the header.
pub const HEADER_BYTES: usize = 64;
/// First byte that the checksum covers.
const CHECKED_FROM: usize = 24;
/// Alignment in bytes of payload and weights in the blob, and of all that the NPU reads in memory.
pub(super) const ALIGNMENT: usize = 16;

/// A blob in which everything was checked once.
#[derive(Debug, Clone)]
pub struct NpuModel<'a> {
    /// The command stream, whole words.
    pub commands: &'a [u8],
    /// The encoded weights.
    pub weights: &'a [u8],
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// Place of the input in the arena.
    pub input: Range<usize>,
    /// Place of the output in the arena.
    pub output: Range<usize>,
    /// The value that the NPU's register `CONFIG` should have: MACs per cycle, command stream version, shared memory.
    pub(super) config: u32,
    pub(super) architecture: u32,
}

impl<'a> NpuModel<'a> {
    /// Reads and checks a blob; the error says what is wrong with it.
    pub fn parse(blob: &'a [u8]) -> Result<NpuModel<'a>, NpuError> {
        let Some(header) = blob.first_chunk::<HEADER_BYTES>() else {
            return Err(NpuError::NotAModel);
        };
        let words: [u32; HEADER_BYTES / 4] =
            core::array::from_fn(|idx| u32::from_le_bytes(header.as_chunks().0[idx]));
        if header[..8] != MAGIC {
            return Err(NpuError::NotAModel);
        }
        if words[2] != VERSION {
            return Err(NpuError::OtherVersion { found: words[2] });
        }
        let (claimed, found) = (words[3], blob.len());
        if claimed as usize != found {
            return Err(NpuError::Length { claimed, found });
        }
        let claimed = u64::from(words[4]) | u64::from(words[5]) << 32;
        if claimed != checksum(&blob[CHECKED_FROM..]) {
            return Err(NpuError::Checksum);
        }
        let part = |word: usize, problem| {
            let (offset, bytes) = (words[word] as usize, words[word + 1] as usize);
            let end = offset.checked_add(bytes);
            let part = end.and_then(|end| blob.get(offset..end));
            part.filter(|_| offset.is_multiple_of(ALIGNMENT) && offset >= HEADER_BYTES)
                .ok_or(NpuError::Part(problem))
        };
        let arena_bytes = words[10] as usize;
        let within = |word: usize, problem| {
            let (offset, bytes) = (words[word] as usize, words[word + 1] as usize);
            match offset.checked_add(bytes) {
                Some(end) if bytes > 0 && end <= arena_bytes => Ok(offset..end),
                _ => Err(NpuError::Part(problem)),
            }
        };
        let payload = part(6, "its commands lie outside it or are not aligned")?;
        let payload = Payload::parse(payload)?;
        Ok(NpuModel {
            commands: payload.commands,
            weights: part(8, "its weights lie outside it or are not aligned")?,
            arena_bytes,
            input: within(11, "its input lies outside the arena")?,
            output: within(13, "its output lies outside the arena")?,
            config: payload.config,
            architecture: payload.id >> 28,
        })
    }
}

/// Writes magic, version, length and checksum into an otherwise complete blob.
///
/// `None` where it is shorter than a header, or longer than 4 GiB.
pub fn write_header(blob: &mut [u8]) -> Option<()> {
    let length = u32::try_from(blob.len()).ok()?;
    let sum = checksum(blob.get(CHECKED_FROM..)?);
    let header = blob.first_chunk_mut::<HEADER_BYTES>()?;
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&length.to_le_bytes());
    header[16..24].copy_from_slice(&sum.to_le_bytes());
    Some(())
}

/// What a driver is to do.
struct Payload<'a> {
    config: u32,
    id: u32,
    commands: &'a [u8],
}

/// The word that a payload begins with.
const FOURCC: [u8; 4] = *b"COP1";
const CONFIG: u8 = 1;
const COMMAND_STREAM: u8 = 2;
const NOP: u8 = 5;

impl<'a> Payload<'a> {
    /// Reads one configuration and one command stream. Apart from padding, Vela writes nothing else.
    fn parse(bytes: &'a [u8]) -> Result<Payload<'a>, NpuError> {
        let (words, rest) = bytes.as_chunks::<4>();
        let Some((first, mut words)) = words.split_first() else {
            return Err(NpuError::Payload("it is empty"));
        };
        if *first != FOURCC || !rest.is_empty() {
            return Err(NpuError::Payload("it does not start with `COP1`"));
        }
        let (mut configuration, mut commands) = (None, None);
        while let Some((action, after)) = words.split_first() {
            words = match (action[0], after) {
                (NOP, after) => after,
                (CONFIG, [config, id, after @ ..]) => {
                    configuration = Some([config, id].map(|word| u32::from_le_bytes(*word)));
                    after
                }
                (COMMAND_STREAM, after) if commands.is_none() => {
                    let [_, high, low, middle] = *action;
                    let length = u32::from_le_bytes([low, middle, high, 0]) as usize;
                    let Some((stream, after)) = after.split_at_checked(length) else {
                        return Err(NpuError::Payload("its command stream ends before its end"));
                    };
                    let start = bytes.len() - 4 * (after.len() + length);
                    if !start.is_multiple_of(ALIGNMENT) {
                        return Err(NpuError::Payload("its command stream is not aligned"));
                    }
                    commands = Some(stream.as_flattened());
                    after
                }
                _ => return Err(NpuError::Payload("it has an action that is not known")),
            };
        }
        match (configuration, commands) {
            (Some([config, id]), Some(commands)) if !commands.is_empty() => Ok(Payload {
                config,
                id,
                commands,
            }),
            _ => Err(NpuError::Payload("a configuration or commands are missing")),
        }
    }
}
