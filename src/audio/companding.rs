//! Lets eight bits reach further: what lies far from the mean counts less.

use nas_kernels::front_end;

use crate::identity::{self, Canonical};

/// Compresses standardised features: beyond the knee, on either side, a deviation counts [`Companding::SLOPE`] of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Companding {
    /// Standard deviations from the mean up to which nothing changes, 1 to 15.
    pub knee: u8,
}

impl Companding {
    /// What a deviation beyond the knee counts.
    pub const SLOPE: f32 = 0.25;

    /// The companding of a number of deviations; `None` for 0, which stands for no companding.
    pub fn beyond(knee: u8) -> Option<Companding> {
        (knee > 0).then_some(Companding { knee })
    }

    /// The compressed value of a standardised feature.
    pub fn compress(self, value: f32) -> f32 {
        self.on_device(1.0, 0).compress(value)
    }

    /// The feature that [`Companding::compress`] makes this value of.
    pub fn expand(self, value: f32) -> f32 {
        let knee = f32::from(self.knee);
        let kept = value.clamp(-knee, knee);
        kept + (value - kept) / Self::SLOPE
    }

    /// The same in steps of an int8 input with this scale and zero point.
    pub fn on_device(self, scale: f32, zero_point: i32) -> front_end::Companding {
        let knee = f64::from(self.knee) / f64::from(scale);
        let zero = f64::from(zero_point);
        front_end::Companding {
            low: (zero - knee) as f32,
            high: (zero + knee) as f32,
            slope: Self::SLOPE,
        }
    }
}

impl Canonical for Companding {
    fn write_canonical(&self, text: &mut String) {
        let Companding { knee } = self;
        identity::record(text, "Companding", &[("knee", knee)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_expands_again() {
        let companding = Companding::beyond(3).unwrap();
        for (value, compressed) in [(-7.0, -4.0), (-3.0, -3.0), (0.5, 0.5), (5.0, 3.5)] {
            assert_eq!(companding.compress(value), compressed);
            assert_eq!(companding.expand(compressed), value);
        }
        assert_eq!(Companding::beyond(0), None);
    }
}
