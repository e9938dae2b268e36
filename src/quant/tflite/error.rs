//! Errors of reading `.tflite` files.

use super::{IDENTIFIER, SCHEMA_VERSION, slots::Damaged};
use crate::quant::BlobError;

/// Why a `.tflite` file cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file does not have the letters of the format.
    #[error("this is not a .tflite file: the letters `{IDENTIFIER}` are missing")]
    Identifier,
    /// The file ends within the named part, or points outside itself.
    #[error("the .tflite file is damaged: it ends within its {0}, or points outside itself")]
    Damaged(&'static str),
    /// The file follows another version of the schema.
    #[error(
        "the .tflite file has schema version {found}, but only version {SCHEMA_VERSION} is supported"
    )]
    Version {
        /// The file's version.
        found: i32,
    },
    /// The file has too many or too few of something.
    #[error("the .tflite file has {found} {what}, but {expected} is expected")]
    Count {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many are allowed, in words.
        expected: &'static str,
    },
    /// A tensor is damaged or not supported.
    #[error("tensor {index} `{name}` {problem}")]
    Tensor {
        /// Index of the tensor in the file.
        index: usize,
        /// Its name in the file.
        name: String,
        /// What is wrong, to follow the name.
        problem: String,
    },
    /// An operator is damaged or not supported.
    #[error("operator {index} ({operator}) {problem}")]
    Operator {
        /// Index of the operator in the file.
        index: usize,
        /// Its name in TFLite.
        operator: String,
        /// What is wrong, to follow the name.
        problem: String,
    },
    /// The network is of another kind than int8 in full.
    #[error("{0}")]
    Kind(&'static str),
    /// The kernels refuse the network.
    #[error("the network does not run: {0}")]
    Blob(#[from] BlobError),
}

/// What is wrong with an operator or a tensor, to follow its name.
pub(super) struct Problem(pub String);

impl From<String> for Problem {
    fn from(text: String) -> Problem {
        Problem(text)
    }
}

impl From<&str> for Problem {
    fn from(text: &str) -> Problem {
        Problem(text.to_string())
    }
}

impl From<Damaged> for Problem {
    fn from(_: Damaged) -> Problem {
        "is damaged: the file ends within it, or it points outside the file".into()
    }
}
