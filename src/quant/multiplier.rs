//! Real multipliers as fixed-point numbers, and activations as int8 ranges, computed as in TFLite.

use nas_kernels::ops::{Clamp, SoftmaxScale};

use super::QuantParams;
use crate::graph::Activation;

/// A fixed-point number: `multiplier * 2^(shift - 31)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Multiplier {
    /// 0, or at least 2^30.
    pub multiplier: i32,
    /// Power of two: positive shifts left.
    pub shift: i32,
}

/// The nearest fixed-point number to a positive real number; zero where it is below `2^-32`.
///
/// Source: `QuantizeMultiplier` in TFLite's `quantization_util.cc`.
pub fn quantize_multiplier(real: f64) -> Multiplier {
    const NOTHING: Multiplier = Multiplier {
        multiplier: 0,
        shift: 0,
    };
    if !(real.is_normal() && real > 0.0) {
        return NOTHING;
    }
    // As C's `frexp`: a mantissa in [0.5, 1) and its power of two.
    const EXPONENT: u64 = 0x7ff << 52;
    let bits = real.to_bits();
    let mut shift = (bits >> 52) as i32 - 1022;
    let mantissa = f64::from_bits(bits & !EXPONENT | 1022 << 52);
    let mut multiplier = (mantissa * (1i64 << 31) as f64).round() as i64;
    if multiplier == 1 << 31 {
        multiplier /= 2;
        shift += 1;
    }
    if shift < -31 {
        return NOTHING;
    }
    Multiplier {
        multiplier: multiplier as i32,
        shift,
    }
}

/// The int8 range of an activation. Source: `CalculateActivationRangeQuantized` in TFLite's `kernel_util.cc`.
pub fn clamp(activation: Activation, output: QuantParams) -> Clamp {
    let q = |real: f32| {
        output
            .zero_point
            .saturating_add((real / output.scale).round() as i32)
    };
    let (min, max) = match activation {
        Activation::None => (-128, 127),
        Activation::Relu => (q(0.0), 127),
        Activation::Relu6 => (q(0.0), q(6.0)),
        Activation::ReluN1To1 => (q(-1.0), q(1.0)),
    };
    Clamp {
        min: min.clamp(-128, 127) as i8,
        max: max.clamp(-128, 127) as i8,
    }
}

/// The multiplier of MUL. Source: `CalculateOpDataMul` in TFLM's `mul_common.cc`.
pub fn product(left: QuantParams, right: QuantParams, output: QuantParams) -> Multiplier {
    let scale = f64::from(left.scale) * f64::from(right.scale);
    quantize_multiplier(scale / f64::from(output.scale))
}

/// The multiplier of MEAN over `pixels` pixels.
///
/// Source: `QuantizedMeanOrSum` in TFLM's `reduce.h`.
pub fn mean(input: QuantParams, output: QuantParams, pixels: usize) -> Multiplier {
    let Multiplier { multiplier, shift } =
        quantize_multiplier(f64::from(input.scale) / f64::from(output.scale));
    let extra = (pixels.max(1).ilog2() as i32).min(32).min(31 + shift);
    Multiplier {
        multiplier: ((i64::from(multiplier) << extra) / pixels.max(1) as i64) as i32,
        shift: shift - extra,
    }
}

/// The largest left shift with which a difference of two int8 values fits 32 bits.
pub const MAX_LEFT_SHIFT: i32 = 22;

/// The scale of SOFTMAX with beta 1. Sources: `PreprocessSoftmaxScaling` and `CalculateInputRadius` in TFLM's
/// `quantization_util.cc`.
pub fn softmax(input: QuantParams) -> SoftmaxScale {
    const INTEGER_BITS: u32 = 5;
    let real = f64::from(input.scale) * f64::from(1u32 << (31 - INTEGER_BITS));
    let Multiplier { multiplier, shift } = quantize_multiplier(real.min(f64::from(i32::MAX)));
    // No difference of two int8 values is larger than 255.
    let radius = (31i64 << (31 - INTEGER_BITS)) >> shift.clamp(0, 31);
    SoftmaxScale {
        multiplier,
        left_shift: shift,
        diff_min: -radius.min(255) as i32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multipliers_are_tflites() {
        let check = |real, multiplier, shift| {
            assert_eq!(
                quantize_multiplier(real),
                Multiplier { multiplier, shift },
                "{real}"
            );
        };
        check(0.0, 0, 0);
        check(0.5, 1 << 30, 0);
        check(1.0, 1 << 30, 1);
        check(0.75, 3 << 29, 0);
        check(0.1, 1717986918, -3);
        check(1.0 - 1e-12, 1 << 30, 1);
        check(2f64.powi(-32), 1 << 30, -31);
        check(2f64.powi(-33), 0, 0);
    }
}
