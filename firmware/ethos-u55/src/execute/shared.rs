//! The memory inside of the NPU.

use crate::{
    accelerator::Accelerator,
    error::{Access, Problem},
    memory::{Memory, range},
    operation::Transfer,
};

/// Tables lie in it; of what else the hardware keeps there, blocks and accumulators, nothing is seen from outside.
#[derive(Debug, Clone)]
pub struct Shared(Vec<u8>);

impl Shared {
    pub fn new(accelerator: &Accelerator) -> Shared {
        Shared(vec![0; accelerator.shared_bytes()])
    }

    pub fn read(&self, what: &'static str, start: i64, bytes: usize) -> Result<&[u8], Problem> {
        let range = range(self.0.len(), 0, start, bytes);
        range
            .and_then(|range| self.0.get(range))
            .ok_or(Problem::OutOfBounds(Access {
                what,
                region: None,
                start,
                bytes,
                size: self.0.len(),
            }))
    }

    /// Copies bytes from and to regions or this memory.
    pub fn transfer(&mut self, transfer: &Transfer, memory: &mut Memory) -> Result<(), Problem> {
        const FROM: &str = "the source of a copy";
        const TO: &str = "the destination of a copy";
        let Transfer { from, to, bytes } = *transfer;
        let copied = match from.region {
            Some(region) => memory.read(FROM, region, from.start, bytes)?,
            None => self.read(FROM, from.start, bytes)?,
        };
        let copied = copied.to_vec();
        let target = match to.region {
            Some(region) => memory.write(TO, region, to.start, bytes)?,
            None => {
                self.read(TO, to.start, bytes)?;
                let start = to.start as usize;
                &mut self.0[start..start + bytes]
            }
        };
        target.copy_from_slice(&copied);
        Ok(())
    }
}
