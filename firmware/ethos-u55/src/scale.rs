//! Scaling of sums to outputs, bit for bit.

/// A factor below 2^32 and a shift to the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// The factor.
    pub factor: u32,
    /// Bits that are shifted out, 0 to 63.
    pub shift: u32,
}

/// How bits that are shifted out are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Twice, as gemmlowp and TFLite do: first at bit 31 away from zero, then half up.
    Double,
    /// Towards zero.
    Truncating,
    /// Half up.
    Natural,
}

impl Scale {
    /// Leaves a value as it is.
    pub const ONE: Scale = Scale {
        factor: 1,
        shift: 0,
    };

    /// `value * factor >> shift`, rounded.
    ///
    /// Source: `Scale()` in `graphir_optimiser.cpp` of Vela's Regor core, found equal to TFLite Micro on whole networks.
    #[inline]
    pub fn apply(self, value: i64, rounding: Rounding) -> i64 {
        if self == Scale::ONE {
            return value;
        }
        let shift = self.shift & 63;
        if value.unsigned_abs() < 1 << 30 && shift < 62 {
            // All of it fits into 64 bits.
            let product = value * i64::from(self.factor);
            return (product + addend(value, shift, rounding)) >> shift;
        }
        self.apply_wide(value, shift, rounding)
    }

    fn apply_wide(self, value: i64, shift: u32, rounding: Rounding) -> i64 {
        let product = i128::from(value) * i128::from(self.factor);
        ((product + i128::from(addend(value, shift, rounding))) >> shift) as i64
    }

    /// By how much a sum of so many values is multiplied for their mean, where the hardware counts them itself.
    ///
    /// The rounded up reciprocal with 31 bits; source: `QuantizePoolingScale` in `ethos_u_scaling.cpp` of Vela.
    pub fn mean_of(count: usize) -> Scale {
        let count = count.max(1) as u64;
        let bits = u64::BITS - (count - 1).leading_zeros();
        let factor = ((1 << (31 + bits)) + (1 << bits)) / count;
        Scale {
            factor: factor as u32,
            shift: 31 + bits,
        }
    }
}

/// What is added before bits are shifted out.
#[inline]
fn addend(value: i64, shift: u32, rounding: Rounding) -> i64 {
    let half = if shift > 0 { 1 << (shift - 1) } else { 0 };
    match rounding {
        Rounding::Natural => half,
        Rounding::Double if shift > 31 && value >= 0 => half + (1 << 30),
        Rounding::Double if shift > 31 => half - (1 << 30),
        Rounding::Double => half,
        Rounding::Truncating if value >= 0 => 0,
        Rounding::Truncating => i64::MAX >> (63 - shift),
    }
}

/// Bytes of bias and scale of an output channel.
pub const CHANNEL_BYTES: usize = 10;

/// What an output channel adds and multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel {
    /// Added to the sum of products, 40 bits.
    pub bias: i64,
    /// What the sum is multiplied by.
    pub scale: Scale,
}

impl Channel {
    /// Reads ten bytes: 40 bits of bias, 32 of the factor, 6 of the shift.
    pub fn read(bytes: &[u8; CHANNEL_BYTES]) -> Channel {
        let [b0, b1, b2, b3, b4, f0, f1, f2, f3, shift] = *bytes;
        // The sign of the 40 bits moves up to that of 64.
        let bias = i64::from_le_bytes([0, 0, 0, b0, b1, b2, b3, b4]) >> 24;
        Channel {
            bias,
            scale: Scale {
                factor: u32::from_le_bytes([f0, f1, f2, f3]),
                shift: u32::from(shift & 0x3F),
            },
        }
    }

    /// The ten bytes; of the bias the lower 40 bits.
    pub fn write(&self) -> [u8; CHANNEL_BYTES] {
        let [b0, b1, b2, b3, b4, ..] = self.bias.to_le_bytes();
        let [f0, f1, f2, f3] = self.scale.factor.to_le_bytes();
        [
            b0,
            b1,
            b2,
            b3,
            b4,
            f0,
            f1,
            f2,
            f3,
            self.scale.shift as u8 & 0x3F,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: i64, factor: u32, shift: u32, expected: [i64; 3]) {
        let scale = Scale { factor, shift };
        let all = [Rounding::Double, Rounding::Truncating, Rounding::Natural];
        assert_eq!(all.map(|rounding| scale.apply(value, rounding)), expected);
    }

    #[test]
    fn scales_round_as_asked() {
        check(5, 1, 1, [3, 2, 3]);
        check(-5, 1, 1, [-2, -2, -2]);
        check(7, 1 << 30, 31, [4, 3, 4]);
        // gemmlowp: 3 * 0.5 rounds to 2 first, then a quarter of that to 1; at once 0.375 would be 0.
        check(3, 1 << 30, 33, [1, 0, 0]);
        check(-3, 1 << 30, 33, [0, 0, 0]);
        check(
            i64::from(i32::MIN),
            u32::MAX,
            32,
            [-2147483648, -2147483647, -2147483647],
        );
        check(-1, 1, 0, [-1, -1, -1]);
        check(
            i64::MIN,
            u32::MAX,
            63,
            [-4294967295, -4294967295, -4294967295],
        );
    }

    #[test]
    fn a_mean_is_the_sum_over_the_count() {
        for count in 1..=256_usize {
            let scale = Scale::mean_of(count);
            for value in [0, count - 1, count, 255 * count] {
                let mean = scale.apply(value as i64, Rounding::Natural);
                let expected = (2 * value + count) / (2 * count);
                assert_eq!(mean, expected as i64, "{value} / {count}");
            }
        }
    }

    #[test]
    fn channels_come_back() {
        for bias in [0, -1, (1 << 39) - 1, -(1 << 39)] {
            let scale = Scale {
                factor: 0xDEAD_BEEF,
                shift: 63,
            };
            let channel = Channel { bias, scale };
            assert_eq!(Channel::read(&channel.write()), channel);
        }
    }
}
