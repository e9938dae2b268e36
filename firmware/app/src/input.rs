//! What a model is to be run on. Little-endian:
//!
//! | bytes | content |
//! |---|---|
//! | 0..8 | `NASINPUT` |
//! | 8..12 | format version, 1 |
//! | 12..16 | number of inputs |
//! | 16..20 | bytes of one input |
//! | 20..24 | 1 where the hash of the outputs is known |
//! | 24..32 | that hash: FNV-1a of all outputs |
//! | 32.. | the inputs |

const MAGIC: &[u8; 8] = b"NASINPUT";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 32;

/// Inputs, and what should come out.
pub struct Input {
    length: usize,
    data: &'static [u8],
    pub expected_hash: Option<u64>,
}

/// Inputs that cannot be read.
pub enum InputError {
    Missing,
    OtherVersion(u32),
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
        let (count, length) = (words[3] as usize, words[4] as usize);
        let data = count
            .checked_mul(length)
            .and_then(|bytes| data.get(..bytes))
            .ok_or(InputError::TooLarge)?;
        let hash = u64::from(words[6]) | u64::from(words[7]) << 32;
        Ok(Input {
            length,
            data,
            expected_hash: (words[5] == 1).then_some(hash),
        })
    }

    /// Bytes of one input.
    pub fn length(&self) -> usize {
        self.length
    }

    pub fn count(&self) -> usize {
        self.tensors().len()
    }

    pub fn tensors(&self) -> impl ExactSizeIterator<Item = &'static [u8]> {
        self.data.chunks_exact(self.length.max(1))
    }
}
