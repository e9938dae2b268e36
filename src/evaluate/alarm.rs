//! When a device raises an alarm, as a model's card has it.

use nas_kernels::alarm::AlarmRule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audio::FrontEnd;

/// From a score over time to an alarm: what a device leaves out after a start, how many windows a verdict needs,
/// hysteresis, k of n, and a hold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlarmCard {
    /// Frames after a start that no window holds; zeros before the first sound are left out, too.
    pub settle_frames: u32,
    /// Windows after a start before there is a verdict.
    pub ready_windows: u32,
    /// A score above the threshold is a vote for an alarm, and votes go on until it falls to this far below.
    pub release: f32,
    /// Votes for an alarm that make one.
    pub needed: u32,
    /// Latest votes that count, 1 to 32.
    pub of: u32,
    /// Windows that an alarm lasts after its last reason.
    pub hold_windows: u32,
}

/// Sound after a start that is in no window: what microphones and their filters take to settle.
const SETTLE_US: f64 = 250_000.0;

impl AlarmCard {
    /// The rule of a model whose threshold is for the score of so many windows: a usual clip.
    ///
    /// A verdict needs as many windows as such a clip has, less what a start leaves out and a sixteenth, so that a device
    /// that hears nothing but such a clip decides about it. A start leaves out at most a quarter of the clip, and nothing where a
    /// window is the whole clip.
    pub fn usual(front_end: &FrontEnd, score_windows: u32) -> AlarmCard {
        let spec = &front_end.spec;
        let stride = front_end.frame_stride.max(1) as u32;
        let settle = (SETTLE_US / spec.hop_us()).round() as u32;
        let beyond_a_window = score_windows.saturating_sub(1).saturating_mul(stride);
        let settle = settle
            .min(score_windows.saturating_mul(stride) / 4)
            .min(beyond_a_window);
        // Frames are centred: without silence after it, a clip's last ones are not complete.
        let at_end = (spec.n_fft / 2).div_ceil(spec.hop_length) as u32;
        let left_out = (settle + at_end).div_ceil(stride) + score_windows / 16;
        AlarmCard {
            settle_frames: settle,
            ready_windows: score_windows.saturating_sub(left_out).max(1),
            ..AlarmCard::from(AlarmRule::IMMEDIATE)
        }
    }

    /// The rule as a device has it.
    pub fn rule(&self) -> AlarmRule {
        let AlarmCard {
            settle_frames,
            ready_windows,
            release,
            needed,
            of,
            hold_windows,
        } = *self;
        AlarmRule {
            settle: settle_frames,
            ready: ready_windows,
            release,
            needed,
            of,
            hold: hold_windows,
        }
    }
}

impl From<AlarmRule> for AlarmCard {
    fn from(rule: AlarmRule) -> AlarmCard {
        let AlarmRule {
            settle,
            ready,
            release,
            needed,
            of,
            hold,
        } = rule;
        AlarmCard {
            settle_frames: settle,
            ready_windows: ready,
            release,
            needed,
            of,
            hold_windows: hold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::FeatureSpec;

    #[test]
    fn the_usual_rule_decides_about_a_usual_clip() {
        let check = |frames, frame_stride, score_windows, expected: [u32; 2]| {
            let front_end = FrontEnd {
                spec: FeatureSpec::DCASE,
                frames,
                frame_stride,
                statistics: None,
                companding: None,
            };
            let card = AlarmCard::usual(&front_end, score_windows);
            assert_eq!([card.settle_frames, card.ready_windows], expected);
            assert_eq!(card.rule().fault(), None);
        };
        // Clips of 10 s, 4 s, 1 s, and one that is a single window.
        check(5, 1, 309, [8, 281]);
        check(3, 1, 124, [8, 108]);
        check(5, 1, 28, [7, 19]);
        check(64, 8, 8, [8, 6]);
        check(126, 1, 1, [0, 1]);
        check(124, 8192, 1, [0, 1]);
    }
}
