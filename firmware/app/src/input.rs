//! What a model is to be run on. Little-endian:
//!
//! | bytes | content |
//! |---|---|
//! | 0..8 | `NASINPUT` |
//! | 8..12 | format version, 1 |
//! | 12..16 | what they are: 1 for int8 tensors, 2 for 16-bit samples |
//! | 16..20 | number of tensors or samples |
//! | 20..24 | bytes of one tensor; for samples the class that the sound should be of |
//! | 24..32 | FNV-1a of the outputs that are expected; 0 where they are unknown |
//! | 32.. | tensors or samples |
//!
//! The outputs of a tensor are the network's int8 values. Those of samples are, for every hop after the first window,
//! the bits of the score and one byte: 1 for an anomaly, 0 for none, 2 where there is no threshold.

const MAGIC: &[u8; 8] = b"NASINPUT";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 32;
const TENSORS: u32 = 1;
const SAMPLES: u32 = 2;

/// Inputs, and what should come out.
pub struct Input {
    pub kind: Kind,
    pub expected_hash: Option<u64>,
}

pub enum Kind {
    Tensors(Tensors),
    Samples {
        samples: &'static [[u8; 2]],
        class: usize,
    },
}

/// Equally long int8 inputs of a network.
#[derive(Clone, Copy)]
pub struct Tensors {
    /// Bytes of one.
    pub length: usize,
    data: &'static [u8],
}

/// Inputs that cannot be read.
pub enum InputError {
    Missing,
    OtherVersion(u32),
    UnknownKind(u32),
    /// They should end beyond their region.
    TooLarge,
}

impl Input {
    pub fn read(region: &'static [u8]) -> Result<Input, InputError> {
        let Some((header, data)) = region.split_first_chunk::<HEADER_BYTES>() else {
            return Err(InputError::Missing);
        };
        let words: [u32; HEADER_BYTES / 4] =
            core::array::from_fn(|idx| u32::from_le_bytes(header.as_chunks().0[idx]));
        if header[..8] != *MAGIC {
            return Err(InputError::Missing);
        }
        if words[2] != VERSION {
            return Err(InputError::OtherVersion(words[2]));
        }
        let (count, length) = (words[4] as usize, words[5] as usize);
        let taken = |each: usize| {
            let bytes = count.checked_mul(each)?;
            data.get(..bytes)
        };
        let kind = match words[3] {
            TENSORS => Kind::Tensors(Tensors {
                length,
                data: taken(length).ok_or(InputError::TooLarge)?,
            }),
            SAMPLES => Kind::Samples {
                samples: taken(2).ok_or(InputError::TooLarge)?.as_chunks().0,
                class: length,
            },
            kind => return Err(InputError::UnknownKind(kind)),
        };
        let hash = u64::from(words[6]) | u64::from(words[7]) << 32;
        Ok(Input {
            kind,
            expected_hash: (hash != 0).then_some(hash),
        })
    }
}

impl Tensors {
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'static [u8]> {
        self.data.chunks_exact(self.length.max(1))
    }
}
