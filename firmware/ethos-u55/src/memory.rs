//! The memories that a stream addresses.
//!
//! Addresses of a stream count from the start of one of eight regions. By Vela's convention region 0 holds constants,
//! 1 the arena and 2 its fast part, which may be the same memory.

use crate::error::{Access, Problem};

/// Regions of a stream.
pub const REGIONS: usize = 8;

/// Slices, and which region lies in which.
#[derive(Debug, Default)]
pub struct Memory<'a> {
    buffers: Vec<Buffer<'a>>,
    regions: [Option<Region>; REGIONS],
}

#[derive(Debug)]
enum Buffer<'a> {
    Constant(&'a [u8]),
    Writable(&'a mut [u8]),
}

#[derive(Debug, Clone, Copy)]
struct Region {
    buffer: usize,
    /// First byte of the region in its buffer.
    start: usize,
}

impl<'a> Memory<'a> {
    /// No memory.
    pub fn new() -> Memory<'a> {
        Memory::default()
    }

    /// Lets a region be memory that nothing writes to.
    pub fn constant(mut self, region: u8, bytes: &'a [u8]) -> Memory<'a> {
        self.buffers.push(Buffer::Constant(bytes));
        self.last(region)
    }

    /// Lets some regions be the same memory.
    pub fn writable(mut self, regions: &[u8], bytes: &'a mut [u8]) -> Memory<'a> {
        self.buffers.push(Buffer::Writable(bytes));
        regions
            .iter()
            .fold(self, |memory, &region| memory.last(region))
    }

    /// Memories without regions in them.
    pub(crate) fn bus(blocks: impl Iterator<Item = &'a mut [u8]>) -> Memory<'a> {
        Memory {
            buffers: blocks.map(Buffer::Writable).collect(),
            ..Memory::default()
        }
    }

    /// Lets a region start at a byte of the memory with this number.
    pub(crate) fn at(mut self, region: u8, buffer: usize, start: usize) -> Memory<'a> {
        if let Some(place) = self.regions.get_mut(usize::from(region)) {
            *place = Some(Region { buffer, start });
        }
        self
    }

    /// Lets a region be the memory that was given last.
    fn last(self, region: u8) -> Memory<'a> {
        let last = self.buffers.len() - 1;
        self.at(region, last, 0)
    }

    /// Bytes of a region, `None` where there is no memory.
    pub fn bytes_of(&self, region: u8) -> Option<usize> {
        let Region { buffer, start } = (*self.regions.get(usize::from(region))?)?;
        Some(
            self.buffers
                .get(buffer)?
                .bytes()
                .len()
                .saturating_sub(start),
        )
    }

    /// A number that is equal for regions in the same memory, and the offset of the region in it.
    pub fn identity(&self, region: u8) -> Option<(usize, usize)> {
        let Region { buffer, start } = (*self.regions.get(usize::from(region))?)?;
        Some((buffer, start))
    }

    /// Reads bytes of a region.
    pub fn read(
        &self,
        what: &'static str,
        region: u8,
        start: i64,
        bytes: usize,
    ) -> Result<&[u8], Problem> {
        let place = self.region(what, region)?;
        let buffer = self.buffers[place.buffer].bytes();
        let range = range(buffer.len(), place.start, start, bytes);
        range
            .and_then(|range| buffer.get(range))
            .ok_or_else(|| self.outside(what, region, start, bytes))
    }

    /// Bytes of a region to write to.
    pub fn write(
        &mut self,
        what: &'static str,
        region: u8,
        start: i64,
        bytes: usize,
    ) -> Result<&mut [u8], Problem> {
        let place = self.region(what, region)?;
        let outside = self.outside(what, region, start, bytes);
        match &mut self.buffers[place.buffer] {
            Buffer::Constant(_) => Err(Problem::ReadOnly { region }),
            Buffer::Writable(buffer) => range(buffer.len(), place.start, start, bytes)
                .and_then(|range| buffer.get_mut(range))
                .ok_or(outside),
        }
    }

    fn region(&self, what: &'static str, region: u8) -> Result<Region, Problem> {
        let place = self.regions.get(usize::from(region)).copied().flatten();
        place.ok_or(Problem::NoMemory { what, region })
    }

    fn outside(&self, what: &'static str, region: u8, start: i64, bytes: usize) -> Problem {
        Problem::OutOfBounds(Access {
            what,
            region: Some(region),
            start,
            bytes,
            size: self.bytes_of(region).unwrap_or(0),
        })
    }
}

impl Buffer<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Buffer::Constant(bytes) => bytes,
            Buffer::Writable(bytes) => bytes,
        }
    }
}

/// Indices of bytes that count from `base`, `None` where they leave the buffer.
pub(crate) fn range(
    size: usize,
    base: usize,
    start: i64,
    bytes: usize,
) -> Option<core::ops::Range<usize>> {
    let start = base.checked_add(usize::try_from(start).ok()?)?;
    let end = start.checked_add(bytes)?;
    (end <= size).then_some(start..end)
}
