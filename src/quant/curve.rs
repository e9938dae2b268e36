//! Functions of one element as tables, with LOGISTIC and TANH in whole numbers as TFLM's kernels compute them.
//!
//! Sources: `logistic.h` and `tanh.h` in TFLM's `reference/integer_ops`, and `fixedpoint.h` of gemmlowp (both
//! Apache-2.0). A number in `Qn` has `n` bits before the point, the sign, and `31 - n` behind it.

use nas_kernels::{
    fixed_point::{
        exp_on_negative_values, one_over_one_plus, saturating_shift_left, two_over_one_plus,
    },
    multiply_by_quantized_multiplier, rounding_shift_right,
};

use super::{
    QuantParams,
    multiplier::{MAX_LEFT_SHIFT, Multiplier, clamp, quantize_multiplier},
};
use crate::graph::{Activation, Function};

/// Bits before the point of inputs.
const INPUT_BITS: u32 = 4;

/// The values of a function of one element, for inputs from -128 to 127.
///
/// Source: `Requantize` in TFLM's `requantize.h`, `ReluQuantized` and `Relu6Quantized` in its `activations.cc`.
pub fn table(function: Function, input: QuantParams, output: QuantParams) -> [i8; 256] {
    let Multiplier { multiplier, shift } =
        quantize_multiplier(f64::from(input.scale) / f64::from(output.scale));
    let steps = |idx: usize| idx as i32 - 128 - input.zero_point;
    let activation = match function {
        Function::Identity => Activation::None,
        Function::Relu => Activation::Relu,
        Function::Relu6 => Activation::Relu6,
        Function::Logistic => {
            return std::array::from_fn(|idx| logistic(steps(idx), input.scale));
        }
        Function::Tanh => return std::array::from_fn(|idx| tanh(steps(idx), input.scale)),
        Function::HardSwish => {
            let swish = HardSwish::new(input, output);
            return std::array::from_fn(|idx| swish.value(steps(idx)));
        }
        Function::LeakyRelu(slope) => {
            return leaky_relu(slope.value(), input, output);
        }
    };
    let clamp = clamp(activation, output);
    std::array::from_fn(|idx| {
        let value = steps(idx);
        let scaled = multiply_by_quantized_multiplier(value, multiplier, shift.min(MAX_LEFT_SHIFT));
        (scaled + output.zero_point).clamp(i32::from(clamp.min), i32::from(clamp.max)) as i8
    })
}

/// Source: `CalculateOpDataLeakyRelu` in TFLM's `leaky_relu_common.cc`, `QuantizeLeakyRelu` in its `leaky_relu.h`.
fn leaky_relu(slope: f32, input: QuantParams, output: QuantParams) -> [i8; 256] {
    // Scales are divided in 32 bits.
    let [above, below] = [
        input.scale / output.scale,
        input.scale * slope / output.scale,
    ]
    .map(|factor| quantize_multiplier(f64::from(factor)));
    std::array::from_fn(|idx| {
        let value = idx as i32 - 128 - input.zero_point;
        let Multiplier { multiplier, shift } = if value >= 0 { above } else { below };
        let scaled = multiply_by_quantized_multiplier(value, multiplier, shift.min(MAX_LEFT_SHIFT));
        (scaled + output.zero_point).clamp(-128, 127) as i8
    })
}

/// HARD_SWISH in whole numbers of 16 bits. Source: `HardSwish` in TFLM's `hard_swish.h`, `HardSwishPrepare` in its
/// `hard_swish_common.cc`.
struct HardSwish {
    output: (i32, i32),
    reluish: (i32, i32),
    zero_point: i32,
}

impl HardSwish {
    fn new(input: QuantParams, output: QuantParams) -> HardSwish {
        let fine = 1.0f32 / 128.0 * input.scale;
        let narrow = |factor: f32| {
            let Multiplier { multiplier, shift } = quantize_multiplier(f64::from(factor));
            let most = i32::MAX - (1 << 15);
            let short = match multiplier >= most {
                true => i32::from(i16::MAX),
                false => (multiplier + (1 << 15)) >> 16,
            };
            (short, shift)
        };
        HardSwish {
            output: narrow(fine / output.scale),
            reluish: narrow(fine / (3.0f32 / 32768.0)),
            zero_point: output.zero_point,
        }
    }

    /// The value of an input of `steps` above its zero point.
    fn value(&self, steps: i32) -> i8 {
        let short = |value: i32| value.clamp(i32::from(i16::MIN), i32::from(i16::MAX));
        let rounded = |a: i32, b: i32| {
            let product = a * b;
            let nudge = if product >= 0 { 1 << 14 } else { 1 - (1 << 14) };
            short((product + nudge) / (1 << 15))
        };
        let fine = i32::from((steps << 7) as i16);
        let scaled = rounded(fine, self.output.0);
        let (multiplier, exponent) = self.reluish;
        let mut reluish = fine;
        if exponent > 0 {
            reluish = short(reluish << (exponent - 1).min(15));
        }
        reluish = rounded(reluish, multiplier);
        if exponent > 0 {
            reluish = short(reluish << 1);
        }
        if exponent < 0 {
            reluish = rounding_shift_right(reluish, -exponent);
        }
        let share = (reluish + (1 << 15)) >> 1;
        let product = short(share * scaled / (1 << 15));
        let shifted = rounding_shift_right(product, -self.output.1);
        (shifted + self.zero_point).clamp(-128, 127) as i8
    }
}

/// `1 / (1 + exp(-x))` of `x` steps of `scale` above zero, as int8 of scale 1/256 with zero point -128.
fn logistic(steps: i32, scale: f32) -> i8 {
    match Input::of(steps, scale) {
        Input::Low => -128,
        Input::High => 127,
        Input::Near(x) => narrow(logistic_q0(x), 31 - 8, -128),
    }
}

/// The hyperbolic tangent of `x` steps of `scale` above zero, as int8 of scale 1/128 with zero point 0.
fn tanh(steps: i32, scale: f32) -> i8 {
    match Input::of(steps, scale) {
        Input::Low => -128,
        Input::High => 127,
        Input::Near(x) => narrow(tanh_q0(x), 31 - 7, 0),
    }
}

/// An input, where the function is not at its end yet in `Q4`.
enum Input {
    Low,
    High,
    Near(i32),
}

impl Input {
    fn of(steps: i32, scale: f32) -> Input {
        let real = f64::from(scale) * f64::from(1u32 << (31 - INPUT_BITS));
        let Multiplier { multiplier, shift } = quantize_multiplier(real);
        // `CalculateInputRadius` of TFLite's `quantization_util.cc`, rounded down.
        let most = f64::from((1 << INPUT_BITS) - 1) * 2f64.powi(31 - INPUT_BITS as i32 - shift);
        let radius = most.floor();
        match f64::from(steps) {
            steps if steps <= -radius => Input::Low,
            steps if steps >= radius => Input::High,
            _ => Input::Near(multiply_by_quantized_multiplier(steps, multiplier, shift)),
        }
    }
}

/// Rounds off `bits` and adds the zero point.
fn narrow(value: i32, bits: i32, zero_point: i32) -> i8 {
    (rounding_shift_right(value, bits) + zero_point).clamp(-128, 127) as i8
}

fn logistic_q0(x: i32) -> i32 {
    if x == 0 {
        return 1 << 30;
    }
    let of_positive = one_over_one_plus(exp_on_negative_values::<INPUT_BITS>(-x.abs()));
    match x > 0 {
        true => of_positive,
        false => i32::MAX - of_positive,
    }
}

fn tanh_q0(x: i32) -> i32 {
    if x == 0 {
        return 0;
    }
    // Twice the input is the same number with the point one place further.
    let y = two_over_one_plus(exp_on_negative_values::<{ INPUT_BITS + 1 }>(-x.abs()));
    let of_positive = saturating_shift_left(y - (1 << 29), 2);
    if x > 0 { of_positive } else { -of_positive }
}

#[cfg(test)]
mod tests {
    use super::{logistic, tanh};

    #[test]
    fn curves_are_those_of_real_numbers_within_a_step() {
        for scale in [0.001f32, 0.02, 0.1, 0.7] {
            for steps in -255..=255 {
                let x = f64::from(steps) * f64::from(scale);
                let near = |found: i8, real: f64| {
                    let expected = real.clamp(-128.0, 127.0);
                    assert!(
                        (f64::from(found) - expected).abs() <= 1.0,
                        "{x}: {found} {expected}"
                    );
                };
                near(logistic(steps, scale), 256.0 / (1.0 + (-x).exp()) - 128.0);
                near(tanh(steps, scale), 128.0 * x.tanh());
            }
        }
    }
}
