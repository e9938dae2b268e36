//! Feature maps in memory: tiles, layouts, strides.
//!
//! A map is cut into up to four tiles. Left of `width0` rows below `height0` lie at the first base and the others at
//! the third; right of it `height1` divides the second from the fourth. Coordinates count from the corner of a tile.
//! In NHWC the channels of a pixel follow each other; in NHCWB16 sixteen of them do, and then come the next pixels
//! of the row.

use core::fmt;

use crate::{
    error::{Access, Problem},
    memory::Memory,
    shape::Shape,
};

/// A feature map in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureMap {
    /// What it is for its operation, for messages.
    pub what: &'static str,
    /// Rows, columns and channels.
    pub shape: Shape,
    /// The region, 0 to 7.
    pub region: u8,
    /// Bytes of an element: 1, 2 or 4.
    pub bytes: usize,
    /// Whether elements have a sign.
    pub is_signed: bool,
    /// NHCWB16 instead of NHWC.
    pub is_brick: bool,
    /// What stands for zero.
    pub zero_point: i32,
    /// Addresses of the four tiles.
    pub base: [i64; 4],
    /// Bytes between rows, columns and bricks of sixteen channels.
    pub stride: [i64; 3],
    /// Columns of the tiles to the left.
    pub width0: usize,
    /// Rows of the upper left tile.
    pub height0: usize,
    /// Rows of the upper right tile.
    pub height1: usize,
}

/// Channels of a brick.
pub const BRICK: usize = 16;

impl FeatureMap {
    /// Address of the first channel of a pixel.
    fn pixel(&self, y: usize, x: usize) -> i64 {
        let is_right = x >= self.width0;
        let (height, x) = if is_right {
            (self.height1, x - self.width0)
        } else {
            (self.height0, x)
        };
        let is_below = y >= height;
        let y = if is_below { y - height } else { y };
        let base = self.base[usize::from(is_right) + 2 * usize::from(is_below)];
        let step = if self.is_brick {
            (BRICK * self.bytes) as i64
        } else {
            self.stride[1]
        };
        base + y as i64 * self.stride[0] + x as i64 * step
    }

    /// Channels of a pixel that follow each other.
    fn run(&self) -> usize {
        match self.is_brick {
            true => BRICK,
            false => self.shape.depth.max(1),
        }
    }

    /// The address behind its last byte.
    ///
    /// In each tile that is at one of the corners, whatever the signs of the strides.
    pub(crate) fn end(&self) -> i64 {
        let Shape {
            height,
            width,
            depth,
        } = self.shape;
        let rows = [
            0,
            self.height0 - 1,
            self.height0,
            self.height1 - 1,
            self.height1,
            height - 1,
        ];
        let columns = [0, self.width0 - 1, self.width0, width - 1];
        let run = self.run();
        let bricks = [0, (depth - 1) / run];
        let mut end = 0;
        for y in rows.map(|y| y.min(height - 1)) {
            for x in columns.map(|x| x.min(width - 1)) {
                for brick in bricks {
                    let start = self.pixel(y, x) + brick as i64 * self.stride[2];
                    let channels = run.min(depth - brick * run);
                    end = end.max(start + (channels * self.bytes) as i64);
                }
            }
        }
        end
    }

    /// Calls for each run of elements that lie behind each other: index of its first element, address, elements.
    pub(crate) fn runs<E>(
        &self,
        mut visit: impl FnMut(usize, i64, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let Shape {
            height,
            width,
            depth,
        } = self.shape;
        let run = self.run();
        let is_row =
            !self.is_brick && width <= self.width0 && self.stride[1] == (depth * self.bytes) as i64;
        for y in 0..height {
            if is_row {
                visit(y * width * depth, self.pixel(y, 0), width * depth)?;
                continue;
            }
            for x in 0..width {
                let pixel = self.pixel(y, x);
                for (brick, channel) in (0..depth).step_by(run).enumerate() {
                    let address = pixel + brick as i64 * self.stride[2];
                    let idx = (y * width + x) * depth + channel;
                    visit(idx, address, run.min(depth - channel))?;
                }
            }
        }
        Ok(())
    }

    /// Pieces in memory that may not follow each other: those of one pixel.
    pub(crate) fn pieces(&self) -> usize {
        let run = self.run();
        let bricks = self.shape.depth.div_ceil(run);
        self.shape.area().saturating_mul(bricks)
    }

    /// Addresses of first bytes and behind last ones of a part of the map: rows, columns, channels from and to.
    pub(crate) fn spans(&self, from: [usize; 3], to: [usize; 3]) -> Vec<[i64; 2]> {
        let mut spans: Vec<[i64; 2]> = Vec::new();
        let mut add = |start: i64, bytes: usize| {
            let end = start + bytes as i64;
            match spans.last_mut() {
                Some(last) if last[1] == start => last[1] = end,
                _ => spans.push([start, end]),
            }
        };
        let run = self.run();
        for brick in from[2] / run..to[2].div_ceil(run) {
            let channels = from[2].max(brick * run)..to[2].min((brick + 1) * run);
            let first = channels.start - brick * run;
            for y in from[0]..to[0] {
                for x in from[1]..to[1] {
                    let address = self.pixel(y, x)
                        + brick as i64 * self.stride[2]
                        + (first * self.bytes) as i64;
                    add(address, channels.len() * self.bytes);
                }
            }
        }
        spans.sort_unstable();
        spans
    }

    /// All elements, rows first, as they stand in memory.
    pub fn read(&self, memory: &Memory) -> Result<Vec<i32>, Problem> {
        self.check_size(memory)?;
        let mut values = vec![0; self.shape.elements()];
        self.runs(|idx, address, count| {
            let bytes = memory.read(self.what, self.region, address, count * self.bytes)?;
            let values = &mut values[idx..idx + count];
            match (self.bytes, self.is_signed) {
                (1, true) => fill(values, bytes, |[byte]: [u8; 1]| i32::from(byte as i8)),
                (1, false) => fill(values, bytes, |[byte]: [u8; 1]| i32::from(byte)),
                (2, true) => fill(values, bytes, |pair| i32::from(i16::from_le_bytes(pair))),
                (2, false) => fill(values, bytes, |pair| i32::from(u16::from_le_bytes(pair))),
                _ => fill(values, bytes, i32::from_le_bytes),
            }
            Ok(())
        })?;
        Ok(values)
    }

    /// A map has no more elements than its region has bytes.
    pub(crate) fn check_size(&self, memory: &Memory) -> Result<(), Problem> {
        let (what, region) = (self.what, self.region);
        let size = memory.bytes_of(region);
        let size = size.ok_or(Problem::NoMemory { what, region })?;
        let bytes = self.shape.elements().saturating_mul(self.bytes);
        if bytes <= size {
            return Ok(());
        }
        Err(Problem::OutOfBounds(Access {
            what,
            region: Some(region),
            start: self.base[0],
            bytes,
            size,
        }))
    }

    /// Writes all elements; what does not fit into one is cut off above.
    pub fn write(&self, memory: &mut Memory, values: &[i32]) -> Result<(), Problem> {
        self.runs(|idx, address, count| {
            let bytes = memory.write(self.what, self.region, address, count * self.bytes)?;
            let values = &values[idx..idx + count];
            match self.bytes {
                1 => store(bytes, values, |value| [value as u8]),
                2 => store(bytes, values, |value| (value as u16).to_le_bytes()),
                _ => store(bytes, values, i32::to_le_bytes),
            }
            Ok(())
        })
    }
}

fn fill<const BYTES: usize>(values: &mut [i32], bytes: &[u8], read: impl Fn([u8; BYTES]) -> i32) {
    for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
        *value = read(*bytes);
    }
}

fn store<const BYTES: usize>(bytes: &mut [u8], values: &[i32], write: impl Fn(i32) -> [u8; BYTES]) {
    for (bytes, value) in bytes.as_chunks_mut().0.iter_mut().zip(values) {
        *bytes = write(*value);
    }
}

impl fmt::Display for FeatureMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_signed { "s" } else { "u" };
        let layout = if self.is_brick { " bricks" } else { "" };
        write!(f, "{} {sign}{}{layout}", self.shape, 8 * self.bytes)
    }
}
