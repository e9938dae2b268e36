//! The order in which multipliers take weights.

use crate::{accelerator::INPUT_LANES, shape::Shape};

/// Which loop is the innermost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Traversal {
    /// Input channels, in blocks of 32.
    DepthFirst,
    /// Taps of the kernel, in fours, then input channels in blocks of 16.
    PartKernelFirst,
    /// Taps of the kernel, in fours; one input channel for each output channel.
    Depthwise,
}

/// All that the order depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Which loop is the innermost.
    pub traversal: Traversal,
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Distance of taps: kernels are cut into parts of 8 by 8 rows and columns of the input.
    pub dilation: [usize; 2],
    /// Input channels; of no meaning for depthwise convolutions.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Output channels of a block.
    pub block_outputs: usize,
    /// Output channels of a micro-block.
    pub micro_outputs: usize,
    /// Inputs have 16 bits instead of 8.
    pub has_wide_inputs: bool,
}

/// Rows and columns of a part of a kernel.
const PART: usize = 8;

impl Order {
    /// Shape of the weights, taps by inputs, for one output.
    pub fn taps(&self) -> Shape {
        let inputs = match self.traversal {
            Traversal::Depthwise => 1,
            _ => self.inputs,
        };
        Shape::new(self.kernel[0], self.kernel[1], inputs)
    }

    /// Calls for each place of the stream with the index of its weight in `[output, y, x, input]`, `None` where a
    /// zero fills up a block; ends with the first error.
    pub fn visit<E>(&self, mut place: impl FnMut(Option<usize>) -> Result<(), E>) -> Result<(), E> {
        let is_depthwise = self.traversal == Traversal::Depthwise;
        let is_part_kernel = self.traversal == Traversal::PartKernelFirst;
        let [height, width] = self.kernel;
        let inputs = self.taps().depth;
        let lanes = if is_depthwise { 1 } else { INPUT_LANES };
        let input_block = if is_part_kernel || self.has_wide_inputs {
            16
        } else {
            32
        };
        let group = match self.traversal {
            Traversal::DepthFirst => 1,
            Traversal::PartKernelFirst if self.has_wide_inputs => 2,
            _ => 4,
        };
        let [part_height, part_width] = self.dilation.map(|step| (PART / step.max(1)).max(1));
        // One step of the multipliers: a micro-block of outputs, some inputs of each, one tap.
        let mut step = |output: usize, tap: Option<[usize; 2]>, input: usize| {
            for output in output..output + self.micro_outputs {
                for input in input..input + lanes {
                    let inside = tap.filter(|_| output < self.outputs && input < inputs);
                    place(
                        inside.map(|[y, x]| ((output * height + y) * width + x) * inputs + input),
                    )?;
                }
            }
            Ok(())
        };
        for block in (0..self.outputs).step_by(self.block_outputs.max(1)) {
            let block_end = self.outputs.min(block + self.block_outputs.max(1));
            let outputs = || (block..block_end).step_by(self.micro_outputs.max(1));
            for first in (0..inputs).step_by(input_block) {
                // Depth first fills the block, the others only its last lanes.
                let end = match self.traversal {
                    Traversal::DepthFirst => first + input_block,
                    Traversal::PartKernelFirst => inputs.min(first + input_block),
                    Traversal::Depthwise => first + 1,
                };
                for top in (0..height).step_by(part_height) {
                    for left in (0..width).step_by(part_width) {
                        let rows = part_height.min(height - top);
                        let columns = part_width.min(width - left);
                        let count = (rows * columns).next_multiple_of(group);
                        let tap = |idx: usize| {
                            let [y, x] = [idx / columns, idx % columns];
                            (y < rows).then_some([top + y, left + x])
                        };
                        let parts = if is_part_kernel {
                            first..end
                        } else {
                            first..first + 1
                        };
                        for part in parts.step_by(lanes) {
                            for output in outputs() {
                                for idx in 0..count {
                                    if is_part_kernel {
                                        step(output, tap(idx), part)?;
                                        continue;
                                    }
                                    for input in (first..end).step_by(lanes) {
                                        step(output, tap(idx), input)?;
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Weights `[output, y, x, input]` in the order of a stream, zeros where blocks are not full.
    pub fn arrange(&self, weights: &[i16]) -> Vec<i16> {
        let mut stream = Vec::with_capacity(weights.len());
        let pushed: Result<(), core::convert::Infallible> = self.visit(|idx| {
            let weight = idx.and_then(|idx| weights.get(idx));
            stream.push(weight.copied().unwrap_or(0));
            Ok(())
        });
        match pushed {
            Ok(()) => stream,
        }
    }

    /// Weights `[output, y, x, input]` from the order of a stream.
    pub fn restore(&self, stream: &[i16]) -> Result<Vec<i16>, super::WeightError> {
        let expected = self.outputs.saturating_mul(self.taps().elements());
        let missing = super::WeightError::Missing {
            found: stream.len(),
            expected,
        };
        if stream.len() < expected {
            return Err(missing);
        }
        let mut weights = vec![0; expected];
        let mut place = 0;
        self.visit(|idx| {
            let weight = *stream.get(place).ok_or(missing)?;
            match idx {
                Some(idx) => weights[idx] = weight,
                None if weight != 0 => return Err(super::WeightError::Stray { place }),
                None => {}
            }
            place += 1;
            Ok(())
        })?;
        match stream[place..].iter().position(|&weight| weight != 0) {
            Some(idx) => Err(super::WeightError::Stray { place: place + idx }),
            None => Ok(weights),
        }
    }
}
