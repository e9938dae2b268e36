//! One pass of the NPU; operators of the graph become passes.

use crate::graph::Shape;

/// The unit of the NPU that a pass runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Convolution,
    Depthwise,
    /// Fully connected.
    Dense,
    Pooling,
    /// A sum of two inputs of the output's shape.
    Addition,
    /// A product of two inputs of the output's shape.
    Product,
    /// The larger of two inputs of the output's shape.
    Comparison,
}

/// How a feature map lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// NHWC, as the CPU reads and writes it.
    Linear,
    /// NHCWB16: bricks of 16 channels.
    Brick,
}

/// The properties of a pass that the choice of a block depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layer {
    /// The unit that it runs on.
    pub kind: Kind,
    /// Shape of the input; one of two equal inputs of an addition.
    pub input: Shape,
    /// Shape of the output.
    pub output: Shape,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Stride in height and width.
    pub stride: [usize; 2],
    /// Steps between taps in height and width, 1 or 2.
    pub dilation: [usize; 2],
    /// How often each input pixel is read in height and in width: 1 or 2.
    pub upscale: usize,
    /// Whether its outputs go through a table.
    pub has_table: bool,
}

/// A pass with the formats of its feature maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pass {
    /// The pass itself.
    pub layer: Layer,
    /// Format of the input in memory.
    pub input_format: Format,
    /// Format of the output in memory.
    pub output_format: Format,
}

/// The largest part of a kernel that is computed at once, in height and width.
pub const SUB_KERNEL: usize = 8;

impl Layer {
    /// Whether it has weights.
    pub fn has_weights(&self) -> bool {
        matches!(self.kind, Kind::Convolution | Kind::Depthwise | Kind::Dense)
    }

    /// Whether it computes every output from two inputs of the same place.
    pub fn is_elementwise(&self) -> bool {
        matches!(self.kind, Kind::Addition | Kind::Product | Kind::Comparison)
    }

    /// Whether an output may lie where an input of it lay.
    pub fn is_in_place(&self) -> bool {
        let is_copy = self.kind == Kind::Pooling && self.kernel == [1, 1] && self.stride == [1, 1];
        self.is_elementwise() || is_copy && self.input == self.output
    }

    /// Whether each output channel depends on one input channel alone.
    pub fn is_per_channel(&self) -> bool {
        !matches!(self.kind, Kind::Convolution | Kind::Dense)
    }

    /// Taps of each part of the kernel.
    pub fn sub_kernels(&self) -> impl Iterator<Item = usize> + use<> {
        let [height, width] = self.kernel;
        let parts = |len: usize| {
            (0..len)
                .step_by(SUB_KERNEL)
                .map(move |at| SUB_KERNEL.min(len - at))
        };
        parts(height).flat_map(move |h| parts(width).map(move |w| h * w))
    }

    /// Number of parts of the kernel.
    pub fn sub_kernel_count(&self) -> usize {
        self.kernel[0].div_ceil(SUB_KERNEL) * self.kernel[1].div_ceil(SUB_KERNEL)
    }

    /// The same layer for a slice of its output channels.
    pub fn with_depth(mut self, channels: usize) -> Layer {
        self.output.channels = channels;
        self
    }

    /// Whether the kernel's taps are traversed before the input channels.
    ///
    /// The choice wastes fewer multipliers: channels in steps of 32, or of 8 with four taps at once.
    pub fn is_part_kernel(&self) -> bool {
        if !matches!(self.kind, Kind::Convolution | Kind::Dense) {
            return false;
        }
        let channels = self.input.channels;
        let taps = self.kernel[0] * self.kernel[1];
        let share = |used: usize, step: usize| used as f64 / used.next_multiple_of(step) as f64;
        channels <= 8 || share(channels, 8) * share(taps, 4) >= share(channels, 32)
    }
}
