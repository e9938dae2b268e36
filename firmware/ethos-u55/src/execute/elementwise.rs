//! Operations element by element.

use super::Finish;
use crate::{
    error::Problem,
    memory::Memory,
    operation::{Elementwise, ElementwiseMode, Kernel, OperandScaling, Second},
    scale::{Rounding, Scale},
    shape::Shape,
};

/// Outputs of an elementwise operation.
pub fn run(
    kernel: &Kernel,
    elementwise: &Elementwise,
    memory: &Memory,
    finish: &Finish,
) -> Result<Vec<i32>, Problem> {
    let shape = kernel.ofm.shape;
    let first = kernel.ifm.read(memory)?;
    let first_zero = i64::from(kernel.ifm.zero_point);
    let firsts = first.iter().map(|&value| i64::from(value) - first_zero);
    let operator = Operator {
        elementwise,
        bytes: kernel.ifm.bytes,
        finish,
    };
    let compute = |first: i64, second: i64| match elementwise.is_swapped {
        false => operator.output(first, second),
        true => operator.output(second, first),
    };
    let values = match &elementwise.second {
        None => firsts.map(|first| compute(first, 0)).collect(),
        Some(Second::Scalar(value)) => {
            let second = i64::from(*value);
            firsts.map(|first| compute(first, second)).collect()
        }
        Some(Second::Map(map)) => {
            let second = map.read(memory)?;
            let zero = i64::from(map.zero_point);
            if map.shape == shape {
                let pairs = firsts.zip(&second);
                let values = pairs.map(|(first, &second)| compute(first, i64::from(second) - zero));
                return Ok(values.collect());
            }
            let seconds = places(shape, map.shape).map(|idx| i64::from(second[idx]) - zero);
            let pairs = firsts.zip(seconds);
            pairs
                .map(|(first, second)| compute(first, second))
                .collect()
        }
    };
    Ok(values)
}

/// Indices into a map that is repeated where it has a dimension of 1.
fn places(shape: Shape, repeated: Shape) -> impl Iterator<Item = usize> {
    let step = |side: usize, stride: usize| if side == 1 { 0 } else { stride };
    let rows = step(repeated.height, repeated.width * repeated.depth);
    let columns = step(repeated.width, repeated.depth);
    let channels = step(repeated.depth, 1);
    (0..shape.height).flat_map(move |y| {
        (0..shape.width).flat_map(move |x| {
            (0..shape.depth).map(move |channel| y * rows + x * columns + channel * channels)
        })
    })
}

struct Operator<'o> {
    elementwise: &'o Elementwise,
    /// Bytes of an operand.
    bytes: usize,
    finish: &'o Finish,
}

impl Operator<'_> {
    fn output(&self, a: i64, b: i64) -> i32 {
        use ElementwiseMode::*;
        let (finish, scale) = (self.finish, self.elementwise.scale);
        match self.elementwise.mode {
            Mul if self.bytes == 4 => {
                // Of a product of 32-bit values only the shift counts.
                let shift_only = Scale { factor: 1, ..scale };
                finish.output(a.wrapping_mul(b), shift_only)
            }
            Mul => finish.output(a * b, scale),
            Add => {
                let [a, b] = self.scaled(a, b);
                finish.output(a + b, scale)
            }
            Sub => {
                let [a, b] = self.scaled(a, b);
                finish.output(a - b, scale)
            }
            Min => finish.scaled(a.min(b)),
            Max => finish.scaled(a.max(b)),
            LeakyRelu if a >= 0 => finish.scaled(a),
            LeakyRelu => finish.output(a, scale),
            Abs => finish.output(a.abs(), scale),
            LeadingZeros => finish.scaled(i64::from((a as u32).leading_zeros())),
            ShiftRight => finish.scaled(shift_right(a, b, finish.rounding())),
            ShiftLeft => {
                let shifted = a.wrapping_shl(b.clamp(0, 63) as u32);
                finish.scaled(i64::from(shifted as i32))
            }
        }
    }

    /// Operands of ADD and SUB on a common scale.
    fn scaled(&self, a: i64, b: i64) -> [i64; 2] {
        match self.elementwise.scaling {
            OperandScaling::None => [a, b],
            OperandScaling::Both([by_a, by_b]) => [a * i64::from(by_a), b * i64::from(by_b)],
            OperandScaling::One {
                is_a,
                scale,
                rounding,
            } => {
                // The bits below the point that one operand gets by its scale and the other, less one, by a shift.
                let bits = if self.bytes == 1 { 20 } else { 15 };
                let fine = Scale {
                    shift: (scale.shift + bits).min(63),
                    ..scale
                };
                let by_scale = |value: i64| fine.apply(value << bits, rounding);
                let by_shift = |value: i64| value << (bits - 1);
                match is_a {
                    true => [by_scale(a), by_shift(b)],
                    false => [by_shift(a), by_scale(b)],
                }
            }
        }
    }
}

fn shift_right(value: i64, by: i64, rounding: Rounding) -> i64 {
    let by = by.clamp(0, 63) as u32;
    let half = if by > 0 && rounding == Rounding::Natural {
        1 << (by - 1)
    } else {
        0
    };
    value.wrapping_add(half) >> by
}
