//! A command stream, read once.

use crate::{
    command::{self, Command},
    error::Error,
    memory::REGIONS,
    operation::{self, Action, Step, Transfer},
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

    /// Bytes of each region that the operations reach, from its start.
    pub fn extents(&self) -> [u64; REGIONS] {
        let mut extents = [0; REGIONS];
        let mut reach = |region: u8, end: i64| {
            if let Some(extent) = extents.get_mut(usize::from(region)) {
                *extent = (*extent).max(u64::try_from(end).unwrap_or(0));
            }
        };
        for step in &self.steps {
            match &step.action {
                Action::Transfer(Transfer { from, to, bytes }) => {
                    for place in [from, to] {
                        let end = place.start.saturating_add_unsigned(*bytes as u64);
                        place
                            .region
                            .into_iter()
                            .for_each(|region| reach(region, end));
                    }
                }
                Action::Kernel(kernel) => {
                    for map in kernel.maps() {
                        reach(map.region, map.end());
                    }
                    if let Some(constants) = kernel.constants() {
                        for span in [constants.weights, constants.scales] {
                            let end = span.start.saturating_add_unsigned(span.bytes as u64);
                            reach(span.region, end);
                        }
                    }
                }
                _ => {}
            }
        }
        extents
    }
}
