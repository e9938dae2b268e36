//! Logarithm and exponential in f32. They use only sums and products: every processor gets the same bits.

use core::f32::consts::{LN_2, LOG2_E, SQRT_2};

/// Natural logarithm of a positive normal number; within 1e-7 plus an f32's own rounding.
#[inline]
pub(crate) fn ln(value: f32) -> f32 {
    let (exponent, series) = exponent_and_series(value);
    exponent * LN_2 + series
}

/// `10 log10(value)` of a positive normal number divided by 2 to the `less`; within 2e-5 dB.
#[inline]
pub(crate) fn decibels(value: f32, less: f32) -> f32 {
    const PER_OCTAVE: f32 = (10.0 * core::f64::consts::LOG10_2) as f32;
    const PER_NEPER: f32 = (10.0 * core::f64::consts::LOG10_E) as f32;
    let (exponent, series) = exponent_and_series(value);
    (exponent - less) * PER_OCTAVE + series * PER_NEPER
}

/// `value = 2^exponent * exp(series)`, the second factor from `sqrt(1/2)` to `sqrt(2)`.
#[inline(always)]
fn exponent_and_series(value: f32) -> (f32, f32) {
    const SQRT_HALF: u32 = (SQRT_2 / 2.0).to_bits();
    const MANTISSA: u32 = (1 << 23) - 1;
    let above = value.to_bits().wrapping_sub(SQRT_HALF);
    let mantissa = f32::from_bits((above & MANTISSA) + SQRT_HALF);
    let exponent = (above as i32 >> 23) as f32;
    // ln m = 2 artanh((m - 1) / (m + 1)); |s| < 0.172 leaves 7e-10 after five terms.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let s2 = s * s;
    let series = 2.0 + s2 * (2.0 / 3.0 + s2 * (2.0 / 5.0 + s2 * (2.0 / 7.0 + s2 * (2.0 / 9.0))));
    (exponent, s * series)
}

/// `e` to a power that is not positive; 0 below -80, where it would not change a sum any more.
#[inline]
pub(crate) fn exp(power: f32) -> f32 {
    if power.is_nan() || power <= -80.0 {
        return 0.0;
    }
    let octaves = power * LOG2_E;
    let whole = (octaves - 0.5) as i32;
    let rest = (octaves - whole as f32) * LN_2;
    // Taylor's series; |rest| < 0.35 leaves 5e-9.
    let mut series = 1.0;
    for term in [7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0] {
        series = 1.0 + series * rest / term;
    }
    series * f32::from_bits(((127 + whole) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_and_exponential_are_close_to_those_of_64_bits() {
        let mut bits = 1.0e-9f32.to_bits();
        while bits < 1.0e16f32.to_bits() {
            let value = f32::from_bits(bits);
            let exact = f64::from(value).ln();
            let error = (f64::from(ln(value)) - exact).abs();
            // One rounding of the result, of its parts, and of the series.
            assert!(error <= 1e-7 + 1.5e-7 * exact.abs(), "ln {value}: {error}");
            let exact = 10.0 * (f64::from(value) / 2f64.powi(32)).log10();
            let error = (f64::from(decibels(value, 32.0)) - exact).abs();
            // Two roundings at up to 190 dB, each by 7.6e-6 dB.
            assert!(error <= 2e-5, "decibels {value}: {error}");
            bits += 100_003;
        }
        for step in 0..8000 {
            let power = -(step as f32) / 100.0;
            let exact = f64::from(power).exp();
            let error = (f64::from(exp(power)) / exact - 1.0).abs();
            // The product of up to 115 octaves is rounded by 3.8e-6 octaves.
            assert!(error <= 5e-6, "exp {power}: {error}");
        }
        assert_eq!([exp(0.0), exp(-81.0), exp(f32::NAN)], [1.0, 0.0, 0.0]);
    }
}
