//! Bits, the lowest of a byte first.

use super::WeightError;

/// Reads bits.
pub struct Reader<'a> {
    bytes: &'a [u8],
    /// The next bit.
    pub bit: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, bit: 0 }
    }

    /// The next `count` bits, 16 at most.
    #[inline]
    pub fn take(&mut self, count: u32) -> Result<u32, WeightError> {
        let rest = self.bytes.get(self.bit / 8..).unwrap_or(&[]);
        let word = match rest.first_chunk::<4>() {
            Some(bytes) => u32::from_le_bytes(*bytes),
            None => {
                let mut bytes = [0; 4];
                bytes[..rest.len()].copy_from_slice(rest);
                u32::from_le_bytes(bytes)
            }
        };
        if self.bit + count as usize > 8 * self.bytes.len() {
            return Err(WeightError::CutOff { bit: self.bit });
        }
        let value = word >> (self.bit % 8) & ((1 << count) - 1);
        self.bit += count as usize;
        Ok(value)
    }

    /// Goes to the next whole byte.
    pub fn align(&mut self) {
        self.bit = self.bit.next_multiple_of(8);
    }

    /// Whether less than a byte is left.
    pub fn is_at_end(&self) -> bool {
        self.bit / 8 >= self.bytes.len()
    }
}

/// Writes bits.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
    /// Bits that do not fill a byte yet, and how many.
    rest: u64,
    count: u32,
}

impl Writer {
    /// The lower `count` bits of a value, 32 at most.
    #[inline]
    pub fn put(&mut self, value: u32, count: u32) {
        let value = u64::from(value) & ((1 << count) - 1);
        self.rest |= value << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.rest as u8);
            self.rest >>= 8;
            self.count -= 8;
        }
    }

    /// Fills up with ones to a multiple of so many bytes.
    pub fn finish(mut self, bytes: usize) -> Vec<u8> {
        if self.count > 0 {
            self.put(u32::MAX, 8 - self.count);
        }
        let length = self.bytes.len().next_multiple_of(bytes);
        self.bytes.resize(length, 0xFF);
        self.bytes
    }
}
