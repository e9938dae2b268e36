//! Weights: their order and their code.
//!
//! Weights stand in a stream in the order in which the multipliers take them ([`Order`]), zeros where blocks are not
//! full. The stream is cut into slices. A slice has a header, perhaps a palette of common values, then indices in
//! Golomb-Rice code; where zeros are common, the lengths of their runs are coded in between. [`decode`] reads it,
//! [`encode`] writes it as Vela does. Sources: `mlw_decode.c`, `mlw_encode.cpp` and
//! `ethos_u55_weight_encoder.cpp` of Vela 5.2 (Apache-2.0).

mod bits;
mod decode;
mod encode;
mod order;

pub use decode::decode;
pub use encode::encode;
pub use order::{Order, Traversal};

use core::fmt;

/// Why a stream of weights cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightError {
    /// It ends within a slice.
    CutOff {
        /// Bit at which more was expected.
        bit: usize,
    },
    /// A header that no slice has.
    Header {
        /// First bit of the header.
        bit: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// A value that nine bits cannot hold.
    Value {
        /// The value.
        value: u32,
    },
    /// Fewer weights than the operation takes.
    Missing {
        /// How many there are.
        found: usize,
        /// How many it takes.
        expected: usize,
    },
    /// A weight where only zeros fill up a block.
    Stray {
        /// Its number in the stream.
        place: usize,
    },
}

impl fmt::Display for WeightError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WeightError::CutOff { bit } => write!(f, "they end at bit {bit}, within a slice"),
            WeightError::Header { bit, problem } => write!(f, "slice at bit {bit}: {problem}"),
            WeightError::Value { value } => write!(f, "{value} does not fit into nine bits"),
            WeightError::Missing { found, expected } => {
                write!(f, "{found} in the stream, {expected} expected")
            }
            WeightError::Stray { place } => {
                write!(f, "number {place} only fills up a block and is not zero")
            }
        }
    }
}

impl core::error::Error for WeightError {}

/// In a header: no runs of zeros.
const NO_RUNS: u32 = 6;
/// In place of a header: the stream ends, or filling up to a byte.
const END: u32 = 7;
/// In a header: indices in so many bits as the palette needs, without code.
const PLAIN: u32 = 7;
/// Bits of a header without its palette: runs, length, code, cut, palette.
const LENGTH_BITS: u32 = 15;
/// Most values of a slice.
const MOST_VALUES: usize = (1 << LENGTH_BITS) - 1;
/// Quotients that are read at once.
const CHUNK: u32 = 12;
/// The same for long runs of zeros, and for plain indices above five bits.
const SHORT_CHUNK: u32 = 8;

/// The sign is bit 0, the magnitude above it.
fn weight_of(symbol: u32) -> i16 {
    let magnitude = (symbol >> 1) as i16;
    if symbol & 1 == 1 {
        -magnitude
    } else {
        magnitude
    }
}

/// The opposite of [`weight_of`].
fn symbol_of(weight: i16) -> usize {
    2 * usize::from(weight.unsigned_abs()) + usize::from(weight < 0)
}
