//! Why a `.tflite` file cannot be read.

use super::{IDENTIFIER, SCHEMA_VERSION, slots::Damaged};
use crate::quant::BlobError;

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReadError {
    #[error("this is not a .tflite file: the letters `{IDENTIFIER}` are missing")]
    Identifier,
    #[error("the .tflite file is damaged: it ends within its {0}, or points outside itself")]
    Damaged(&'static str),
    #[error("the .tflite file has schema version {found}, and version {SCHEMA_VERSION} is needed")]
    Version { found: i32 },
    #[error("the .tflite file has {found} {what}, and {expected} is expected")]
    Count {
        what: &'static str,
        found: usize,
        expected: &'static str,
    },
    #[error("tensor {index} `{name}` {problem}")]
    Tensor {
        index: usize,
        name: String,
        problem: String,
    },
    #[error("operator {index} ({operator}) {problem}")]
    Operator {
        index: usize,
        operator: String,
        problem: String,
    },
    #[error("the network does not run: {0}")]
    Blob(#[from] BlobError),
}

/// What an operator or a tensor does that is not supported, to stand after its name.
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
