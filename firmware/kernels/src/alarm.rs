//! When the score of a continuing sound is an alarm.

/// From a score over time to an alarm: what is left out after a start, how many windows a verdict needs, hysteresis, k of n,
/// and a hold.
///
/// A score above the threshold is a vote for an alarm. Votes go on until the score falls to `threshold - release` or
/// below. There is an alarm while `needed` of the latest `of` votes are for one, and for `hold` windows more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AlarmRule {
    /// Frames after a start that no window holds. Zeros before the first sound are left out, too.
    pub settle: u32,
    /// Windows after a start before there is a verdict, at least 1.
    pub ready: u32,
    /// How far below the threshold a score ends its votes, 0 or more.
    pub release: f32,
    /// Votes for an alarm that make one, at least 1.
    pub needed: u32,
    /// Latest votes that count, at most [`MOST_VOTES`].
    pub of: u32,
    /// Windows that an alarm lasts after its last reason.
    pub hold: u32,
}

/// Most votes that a rule can look back on.
pub const MOST_VOTES: u32 = 32;
/// Most frames or windows that a number of a rule can be.
pub const MOST_WINDOWS: u32 = 1 << 20;
/// No threshold and no release is further from zero, as no score is.
pub const LARGEST: f32 = 1024.0;

impl AlarmRule {
    /// A verdict with the first window, an alarm with every score above the threshold: the rule of older models.
    pub const IMMEDIATE: AlarmRule = AlarmRule {
        settle: 0,
        ready: 1,
        release: 0.0,
        needed: 1,
        of: 1,
        hold: 0,
    };

    /// What is wrong with it; `None` for a rule that can be used.
    pub fn fault(&self) -> Option<&'static str> {
        let AlarmRule {
            settle,
            ready,
            release,
            needed,
            of,
            hold,
        } = *self;
        if settle > MOST_WINDOWS || ready > MOST_WINDOWS || hold > MOST_WINDOWS {
            return Some("its alarm waits or lasts for more than 2^20 windows");
        }
        if ready == 0 {
            return Some("its alarm needs no windows");
        }
        if !(0.0..=LARGEST).contains(&release) {
            return Some("its alarm ends at no level from 0 to 1024 below the threshold");
        }
        if !(1..=of).contains(&needed) || of > MOST_VOTES {
            return Some("its alarm needs k of n votes, of 1 to n and at most 32");
        }
        None
    }
}

/// Whether a number can be a threshold.
pub fn is_threshold(threshold: f32) -> bool {
    (-LARGEST..=LARGEST).contains(&threshold)
}

/// The state of an alarm, window after window.
#[derive(Debug, Clone)]
pub struct Alarm {
    rule: AlarmRule,
    threshold: Option<f32>,
    windows: u32,
    is_above: bool,
    /// The latest votes, the newest in the lowest bit.
    votes: u32,
    /// Windows that the alarm lasts without a further reason.
    left: u32,
    is_on: bool,
}

impl Alarm {
    /// No alarm, before the first window. A rule with a [`AlarmRule::fault`] counts as [`AlarmRule::IMMEDIATE`].
    pub fn new(rule: AlarmRule, threshold: Option<f32>) -> Alarm {
        Alarm {
            rule: match rule.fault() {
                None => rule,
                Some(_) => AlarmRule::IMMEDIATE,
            },
            threshold,
            windows: 0,
            is_above: false,
            votes: 0,
            left: 0,
            is_on: false,
        }
    }

    /// The rule that it follows.
    pub fn rule(&self) -> &AlarmRule {
        &self.rule
    }

    /// A score above it is a vote for an alarm; `None` where there is no threshold.
    pub fn threshold(&self) -> Option<f32> {
        self.threshold
    }

    /// Follows another rule from here on. Votes are forgotten, and a running alarm ends; windows that were heard count.
    pub fn follow(&mut self, rule: AlarmRule, threshold: Option<f32>) {
        let windows = self.windows;
        *self = Alarm::new(rule, threshold);
        self.windows = windows;
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        *self = Alarm::new(self.rule, self.threshold);
    }

    /// Whether enough windows were heard for a verdict.
    pub fn is_ready(&self) -> bool {
        self.windows >= self.rule.ready
    }

    /// Whether there is an alarm; `None` before there are enough windows, and without a threshold.
    pub fn verdict(&self) -> Option<bool> {
        self.threshold?;
        self.is_ready().then_some(self.is_on)
    }

    /// Takes the score after one more window.
    pub fn push(&mut self, score: f32) {
        self.windows = self.windows.saturating_add(1);
        let Some(threshold) = self.threshold.filter(|_| self.is_ready()) else {
            return;
        };
        self.is_above = match self.is_above {
            true => score > threshold - self.rule.release,
            false => score > threshold,
        };
        self.votes = self.votes << 1 | u32::from(self.is_above);
        let counted = self.votes & (u32::MAX >> (MOST_VOTES - self.rule.of));
        match counted.count_ones() >= self.rule.needed {
            true => (self.is_on, self.left) = (true, self.rule.hold),
            false => {
                self.is_on &= self.left > 0;
                self.left = self.left.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate alloc;
    use alloc::string::String;

    use super::*;

    /// One letter per window: `-` no verdict, `.` normal, `A` alarm.
    fn heard(rule: AlarmRule, scores: &[f32]) -> String {
        assert_eq!(rule.fault(), None);
        let mut alarm = Alarm::new(rule, Some(1.0));
        let letter = |score: &f32| {
            alarm.push(*score);
            match alarm.verdict() {
                None => '-',
                Some(false) => '.',
                Some(true) => 'A',
            }
        };
        scores.iter().map(letter).collect()
    }

    #[test]
    fn an_alarm_follows_every_part_of_its_rule() {
        let scores = [2.0, 0.0, 2.0, 0.9, 0.9, 0.4, 0.9, 2.0, 2.0, 0.0, 0.0, 0.0];
        let plain = AlarmRule::IMMEDIATE;
        let check = |rule, expected: &str| assert_eq!(heard(rule, &scores), expected, "{rule:?}");
        check(plain, "A.A....AA...");
        check(AlarmRule { ready: 3, ..plain }, "--A....AA...");
        let release = 0.5;
        check(AlarmRule { release, ..plain }, "A.AAA..AA...");
        let (needed, of) = (2, 3);
        check(
            AlarmRule {
                needed,
                of,
                ..plain
            },
            "..A.....AA..",
        );
        check(AlarmRule { hold: 2, ..plain }, "AAAAA..AAAA.");
        let all = AlarmRule {
            ready: 2,
            release,
            needed,
            of,
            hold: 1,
            ..plain
        };
        check(all, "-..AAAA.AAA.");
    }

    #[test]
    fn a_rule_out_of_range_is_refused_and_never_followed() {
        let plain = AlarmRule::IMMEDIATE;
        assert_eq!(plain.fault(), None);
        let many = MOST_WINDOWS + 1;
        for wrong in [
            AlarmRule { ready: 0, ..plain },
            AlarmRule {
                ready: many,
                ..plain
            },
            AlarmRule {
                settle: many,
                ..plain
            },
            AlarmRule {
                hold: many,
                ..plain
            },
            AlarmRule { needed: 0, ..plain },
            AlarmRule { needed: 2, ..plain },
            AlarmRule { of: 33, ..plain },
            AlarmRule {
                release: -0.1,
                ..plain
            },
            AlarmRule {
                release: f32::NAN,
                ..plain
            },
        ] {
            assert!(wrong.fault().is_some(), "{wrong:?}");
            assert_eq!(*Alarm::new(wrong, None).rule(), plain);
        }
        assert!(is_threshold(-1024.0) && !is_threshold(1024.5) && !is_threshold(f32::NAN));
    }

    #[test]
    fn another_rule_ends_an_alarm_and_keeps_the_windows_that_were_heard() {
        let mut alarm = Alarm::new(AlarmRule::IMMEDIATE, None);
        alarm.push(5.0);
        assert_eq!((alarm.verdict(), alarm.is_ready()), (None, true));
        alarm.follow(
            AlarmRule {
                ready: 2,
                hold: 9,
                ..AlarmRule::IMMEDIATE
            },
            Some(4.0),
        );
        assert_eq!(alarm.verdict(), None);
        alarm.push(5.0);
        assert_eq!(alarm.verdict(), Some(true));
        alarm.follow(AlarmRule::IMMEDIATE, Some(6.0));
        assert_eq!(alarm.verdict(), Some(false));
        alarm.push(5.0);
        assert_eq!(alarm.verdict(), Some(false));
        alarm.reset();
        assert_eq!(alarm.verdict(), None);
    }
}
