//! Views of the blob's bytes as numbers.

/// 32-bit little-endian integers at any alignment.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a>(&'a [[u8; 4]]);

impl<'a> Words<'a> {
    /// Reads whole words; bytes beyond the last whole one are left out.
    pub fn new(bytes: &'a [u8]) -> Self {
        Words(bytes.as_chunks().0)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline(always)]
    pub fn get(&self, idx: usize) -> i32 {
        i32::from_le_bytes(self.0[idx])
    }

    /// Where a word lies; not aligned if the blob is not.
    #[cfg(feature = "mve")]
    pub fn from(&self, first: usize) -> *const i32 {
        self.0[first..].as_ptr().cast()
    }

    /// `N` consecutive words.
    #[inline(always)]
    pub fn block<const N: usize>(&self, first: usize) -> [i32; N] {
        let words = &self.0[first..first + N];
        core::array::from_fn(|idx| i32::from_le_bytes(words[idx]))
    }

    pub fn iter(&self) -> impl Iterator<Item = i32> + 'a {
        self.0.iter().map(|word| i32::from_le_bytes(*word))
    }
}

/// The same bytes as signed numbers.
#[expect(
    unsafe_code,
    reason = "the standard library has no safe cast between slices of u8 and i8"
)]
pub fn as_i8(bytes: &[u8]) -> &[i8] {
    // SAFETY: u8 and i8 have the same size and alignment, and every bit pattern is valid in both.
    unsafe { core::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
}
