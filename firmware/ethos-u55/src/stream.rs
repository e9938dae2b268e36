//! A command stream, read once.

use crate::{
    command::{self, Command},
    error::Error,
    operation::{self, Step},
};

/// A command stream, read once.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// Its commands.
    pub commands: Vec<Command>,
    /// What they start.
    pub steps: Vec<Step>,
}

impl Stream {
    /// Reads and checks a stream, little-endian words.
    pub fn read(bytes: &[u8]) -> Result<Stream, Error> {
        let commands = command::read(bytes)?;
        let steps = operation::read(&commands)?;
        Ok(Stream { commands, steps })
    }
}
