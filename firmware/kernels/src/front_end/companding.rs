//! Lets eight bits reach further: what lies beyond a knee counts less.

/// Compresses the network's input beyond a knee on either side, in steps of int8, before they are rounded.
///
/// Between `low` and `high` nothing changes; beyond them a step counts `slope` of one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Companding {
    /// The lower knee.
    pub low: f32,
    /// The upper knee.
    pub high: f32,
    /// What a step beyond a knee counts, above 0 and at most 1.
    pub slope: f32,
}

impl Companding {
    /// What is wrong with it; `None` where it can be used.
    pub fn fault(&self) -> Option<&'static str> {
        let is_finite = self.low.is_finite() && self.high.is_finite();
        if !is_finite || self.low > self.high {
            return Some("the knees of its companding are not two rising numbers");
        }
        if !(self.slope > 0.0 && self.slope <= 1.0) {
            return Some("the slope of its companding is not above 0 and at most 1");
        }
        None
    }

    /// The compressed value, by the same operations on every processor.
    #[inline(always)]
    pub fn compress(&self, value: f32) -> f32 {
        // Most values lie between the knees; comparisons are cheaper than minimum and maximum on a Cortex-M7.
        let knee = if value > self.high {
            self.high
        } else if value < self.low {
            self.low
        } else {
            return value;
        };
        knee + (value - knee) * self.slope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_beyond_a_knee_counts_less() {
        let companding = Companding {
            low: -10.0,
            high: 30.0,
            slope: 0.25,
        };
        for (value, expected) in [
            (-10.0, -10.0),
            (0.3, 0.3),
            (30.0, 30.0),
            (34.0, 31.0),
            (-50.0, -20.0),
        ] {
            assert_eq!(companding.compress(value), expected, "{value}");
        }
        assert_eq!(companding.fault(), None);
    }

    #[test]
    fn faults_are_seen() {
        let check = |low, high, slope| Companding { low, high, slope }.fault().is_some();
        assert!(check(1.0, 0.0, 0.5));
        assert!(check(f32::NAN, 0.0, 0.5));
        assert!(check(0.0, f32::INFINITY, 0.5));
        assert!(check(0.0, 1.0, 0.0));
        assert!(check(0.0, 1.0, f32::NAN));
        assert!(check(0.0, 1.0, 1.5));
    }
}
