//! Views of the blob's bytes as numbers.

/// 32-bit little-endian integers at any alignment.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a>(&'a [[u8; 4]]);

impl<'a> Words<'a> {
    /// Views bytes as words; bytes after the last whole word are left out.
    pub fn new(bytes: &'a [u8]) -> Self {
        Words(bytes.as_chunks().0)
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no words.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Word number `idx`.
    #[inline(always)]
    pub fn get(&self, idx: usize) -> i32 {
        i32::from_le_bytes(self.0[idx])
    }

    /// The address of a word; not aligned if the blob is not.
    #[cfg(all(any(feature = "dsp", feature = "mve"), not(feature = "portable")))]
    pub fn from(&self, first: usize) -> *const i32 {
        self.0[first..].as_ptr().cast()
    }

    /// `N` consecutive words.
    #[inline(always)]
    pub fn block<const N: usize>(&self, first: usize) -> [i32; N] {
        let words = &self.0[first..first + N];
        core::array::from_fn(|idx| i32::from_le_bytes(words[idx]))
    }

    /// All words in order.
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

/// The same bytes as numbers; `None` where their address is not a multiple of 4, and on big-endian machines.
#[expect(
    unsafe_code,
    reason = "the standard library has no safe cast from bytes to f32"
)]
pub fn as_f32(bytes: &[u8]) -> Option<&[f32]> {
    // SAFETY: every bit pattern is valid in both.
    let (before, numbers, after) = unsafe { bytes.align_to::<f32>() };
    let whole = before.is_empty() && after.is_empty() && cfg!(target_endian = "little");
    whole.then_some(numbers)
}

/// Divides memory into slices of three kinds of numbers; `None` where it is too small. `shorts` must be even.
pub fn memory_parts(
    memory: &mut [u32],
    floats: usize,
    shorts: usize,
    bytes: usize,
) -> Option<(&mut [f32], &mut [i16], &mut [i8])> {
    let (of_floats, rest) = memory.split_at_mut_checked(floats)?;
    let (of_shorts, of_bytes) = rest.split_at_mut_checked(shorts.div_ceil(2))?;
    let of_floats = of_words::<f32>(of_floats);
    let of_shorts = of_words::<i16>(of_shorts).get_mut(..shorts)?;
    let of_bytes = of_words::<i8>(of_bytes).get_mut(..bytes)?;
    Some((of_floats, of_shorts, of_bytes))
}

/// The first words as words, and the others as bytes.
pub fn split_words(memory: &mut [u32], words: usize) -> (&mut [u32], &mut [u8]) {
    let (words, rest) = memory.split_at_mut(words);
    (words, of_words(rest))
}

/// A number for which every bit pattern is valid. It is at most as large as a word, and needs no stricter alignment.
trait Plain: Copy {}
impl Plain for f32 {}
impl Plain for i16 {}
impl Plain for i8 {}
impl Plain for u8 {}

#[expect(
    unsafe_code,
    reason = "the standard library has no safe cast between numbers of different sizes"
)]
fn of_words<T: Plain>(words: &mut [u32]) -> &mut [T] {
    // SAFETY: every bit pattern is valid in u32 and in `T`, whose alignment divides that of u32.
    unsafe { words.align_to_mut::<T>().1 }
}
