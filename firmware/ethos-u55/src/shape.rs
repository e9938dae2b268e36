//! Height, width and depth, as the NPU counts feature maps, blocks and micro-blocks.

/// A box of elements; the depth are its channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels.
    pub depth: usize,
}

impl Shape {
    /// A shape of so many rows, columns and channels.
    pub const fn new(height: usize, width: usize, depth: usize) -> Shape {
        Shape {
            height,
            width,
            depth,
        }
    }

    /// Number of elements, and the largest `usize` where they are more than that.
    pub fn elements(self) -> usize {
        self.area().saturating_mul(self.depth)
    }

    /// Rows times columns.
    pub fn area(self) -> usize {
        self.height.saturating_mul(self.width)
    }

    /// The smaller of both in each dimension.
    pub fn min(self, other: Shape) -> Shape {
        Shape::new(
            self.height.min(other.height),
            self.width.min(other.width),
            self.depth.min(other.depth),
        )
    }

    /// How many boxes of `step` cover this one, per dimension; no dimension of `step` is zero.
    pub fn div_ceil(self, step: Shape) -> Shape {
        Shape::new(
            self.height.div_ceil(step.height),
            self.width.div_ceil(step.width),
            self.depth.div_ceil(step.depth),
        )
    }
}

impl core::fmt::Display for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}x{}x{}", self.height, self.width, self.depth)
    }
}
