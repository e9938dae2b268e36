//! Bits, the lowest of a byte first.

use super::WeightError;

/// Reads bits.
pub struct Reader {
    /// The stream, and zeros behind it, so that eight bytes can be read at each of its bytes.
    bytes: Vec<u8>,
    /// Bits of the stream.
    end: usize,
    /// The next bit.
    pub bit: usize,
}

impl Reader {
    pub fn new(stream: &[u8]) -> Reader {
        let mut bytes = stream.to_vec();
        bytes.resize(stream.len() + 8, 0);
        Reader {
            bytes,
            end: 8 * stream.len(),
            bit: 0,
        }
    }

    /// The next `count` bits, 32 at most.
    #[inline]
    pub fn take(&mut self, count: u32) -> Result<u32, WeightError> {
        let taken = self.take_all::<1>(1, count)?;
        Ok(taken[0])
    }

    /// `number` values of `count` bits each, 57 bits at most; behind them there is no meaning.
    #[inline]
    pub fn take_all<const MOST: usize>(
        &mut self,
        number: usize,
        count: u32,
    ) -> Result<[u32; MOST], WeightError> {
        let bits = number * count as usize;
        if bits > self.end - self.bit {
            return Err(WeightError::CutOff { bit: self.bit });
        }
        let word = self.bytes[self.bit / 8..].first_chunk();
        let word = word.map_or(0, |bytes| u64::from_le_bytes(*bytes)) >> (self.bit % 8);
        let mask = (1 << count) - 1;
        let mut values = [0; MOST];
        let mut word = word;
        for value in &mut values {
            *value = (word & mask) as u32;
            word >>= count;
        }
        self.bit += bits;
        Ok(values)
    }

    /// Goes to the next whole byte.
    pub fn align(&mut self) {
        self.bit = self.bit.next_multiple_of(8).min(self.end);
    }

    /// Whether nothing is left.
    pub fn is_at_end(&self) -> bool {
        self.bit / 8 >= self.end / 8
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
