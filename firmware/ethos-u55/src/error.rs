//! Why a stream is not run.

use core::fmt;

use crate::{command::Register, weights::WeightError};

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Number of the operation, from 0; copies count.
    pub operation: usize,
    /// Byte of the command in the stream.
    pub offset: usize,
    /// What is wrong.
    pub problem: Problem,
}

impl Error {
    pub(crate) fn new(operation: usize, offset: usize, problem: Problem) -> Error {
        Error {
            operation,
            offset,
            problem,
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The stream ends within a command.
    CutOff,
    /// A code that no command has.
    UnknownCommand {
        /// The word.
        word: u32,
    },
    /// An operation needs a register that was never set.
    Unset(Register),
    /// A register holds a value that has no known meaning.
    Field {
        /// The register.
        register: Register,
        /// What it holds.
        value: u64,
        /// What it should be.
        expected: &'static str,
    },
    /// Something that the hardware may do, and this model does not.
    Unsupported(&'static str),
    /// Settings that contradict each other.
    Contradiction(&'static str),
    /// Bytes outside of their region, or of the shared memory.
    OutOfBounds(Access),
    /// A region that no memory was given for.
    NoMemory {
        /// What would lie there.
        what: &'static str,
        /// The region, 0 to 7.
        region: u8,
    },
    /// A write into memory that is read-only.
    ReadOnly {
        /// The region, 0 to 7.
        region: u8,
    },
    /// The stream of weights cannot be decoded.
    Weights(WeightError),
    /// More work than was allowed.
    TooMuch {
        /// Elements or multiplications that it takes.
        work: u64,
        /// How many were left.
        allowed: u64,
    },
}

/// An access that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// What was accessed.
    pub what: &'static str,
    /// The region, `None` for the shared memory.
    pub region: Option<u8>,
    /// First byte, from the start of the region.
    pub start: i64,
    /// Bytes of the access.
    pub bytes: usize,
    /// Bytes of the region.
    pub size: usize,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Error {
            operation,
            offset,
            problem,
        } = self;
        write!(f, "operation {operation}, byte {offset}: {problem}")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::CutOff => f.write_str("the stream ends within a command"),
            Problem::UnknownCommand { word } => write!(f, "{word:#010x} is no known command"),
            Problem::Unset(register) => {
                write!(f, "{} is missing before this operation", register.name())
            }
            Problem::Field {
                register,
                value,
                expected,
            } => write!(
                f,
                "{} holds {value:#x}, expected {expected}",
                register.name()
            ),
            Problem::Unsupported(what) => write!(f, "{what}: not modelled"),
            Problem::Contradiction(what) => f.write_str(what),
            Problem::OutOfBounds(access) => {
                let Access {
                    what,
                    start,
                    bytes,
                    size,
                    ..
                } = access;
                let end = start.saturating_add_unsigned(*bytes as u64);
                write!(f, "{what} at bytes {start}..{end} lies outside ")?;
                match access.region {
                    Some(region) => write!(f, "region {region} of {size} bytes"),
                    None => write!(f, "the shared memory of {size} bytes"),
                }
            }
            Problem::NoMemory { what, region } => {
                write!(f, "{what} in region {region}, for which there is no memory")
            }
            Problem::ReadOnly { region } => write!(f, "a write into region {region}, read-only"),
            Problem::Weights(error) => write!(f, "weights: {error}"),
            Problem::TooMuch { work, allowed } => {
                write!(f, "{work} steps of work, {allowed} are allowed")
            }
        }
    }
}

impl core::error::Error for Error {}

impl core::error::Error for Problem {}
