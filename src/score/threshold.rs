//! Thresholds from the scores of normal sound.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{gamma::Gamma, quantile};
use crate::stats::beta_quantile;

/// Quantile of the scores of normal clips at which the decision threshold lies, as in the DCASE baselines: one normal clip
/// in ten is called anomalous.
pub const THRESHOLD_QUANTILE: f64 = 0.9;

/// How the threshold follows from the scores of normal clips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ThresholdRule {
    /// Even odds where labels are learnt, otherwise the gamma distribution.
    #[default]
    Usual,
    /// A quantile of the gamma distribution that fits the scores, as in the DCASE baselines.
    Gamma,
    /// A quantile of the scores themselves.
    Quantile,
    /// Zero, where a classifier of learnt labels gives both labels even odds. Other networks take the gamma
    /// distribution.
    EvenOdds,
}

/// Both thresholds of one set of scores; `None` without scores, or where a fit has too few or too equal ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Quantile of the gamma distribution that fits the scores.
    pub gamma: Option<f64>,
    /// Quantile of the scores themselves.
    pub quantile: Option<f64>,
}

/// Normal clips that a detector was not made from, and how many of them a threshold calls anomalous: what share of new
/// normal clips of the same kind will raise an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FalseAlarms {
    /// Normal clips that were scored.
    pub clips: usize,
    /// Those that score above the threshold.
    pub above: usize,
}

/// An unknown threshold rule; holds what the user wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no threshold rule; there are usual, gamma, quantile and even-odds")]
pub struct UnknownRule(String);

impl FromStr for ThresholdRule {
    type Err = UnknownRule;

    fn from_str(text: &str) -> Result<ThresholdRule, UnknownRule> {
        let all = [Self::Usual, Self::Gamma, Self::Quantile, Self::EvenOdds];
        all.into_iter()
            .find(|rule| rule.name() == text)
            .ok_or_else(|| UnknownRule(text.to_string()))
    }
}

impl ThresholdRule {
    /// The name that a user writes.
    pub fn name(self) -> &'static str {
        match self {
            ThresholdRule::Usual => "usual",
            ThresholdRule::Gamma => "gamma",
            ThresholdRule::Quantile => "quantile",
            ThresholdRule::EvenOdds => "even-odds",
        }
    }

    /// The rule for a network, given whether it is a classifier that learnt the labels.
    pub fn resolved(self, labels_are_learnt: bool) -> ThresholdRule {
        match (self, labels_are_learnt) {
            (ThresholdRule::Usual, true) => ThresholdRule::EvenOdds,
            (ThresholdRule::Usual, false) | (ThresholdRule::EvenOdds, false) => {
                ThresholdRule::Gamma
            }
            (rule, _) => rule,
        }
    }
}

impl Thresholds {
    /// Both thresholds of normal scores. A share `q` of normal clips should lie below: 0.9 accepts one false alarm in
    /// ten.
    pub fn of(scores: &[f64], q: f64) -> Thresholds {
        Thresholds {
            gamma: Gamma::fit(scores).map(|gamma| gamma.quantile(q)),
            quantile: quantile(scores, q),
        }
    }

    /// The threshold of a resolved rule, and the rule that gave it: the quantile where no gamma distribution fits.
    pub fn choose(&self, rule: ThresholdRule) -> Option<(ThresholdRule, f64)> {
        match (rule, self.gamma) {
            (ThresholdRule::EvenOdds, _) => Some((rule, 0.0)),
            (ThresholdRule::Gamma, Some(threshold)) => Some((rule, threshold)),
            _ => Some((ThresholdRule::Quantile, self.quantile?)),
        }
    }
}

impl FalseAlarms {
    /// Of the scores of normal clips, and a threshold; `None` without scores.
    pub fn of(scores: &[f64], threshold: f64) -> Option<FalseAlarms> {
        let above = scores.iter().filter(|score| **score > threshold).count();
        let clips = scores.len();
        (clips > 0).then_some(FalseAlarms { clips, above })
    }

    /// The share that is expected of new normal clips, 0 to 1.
    pub fn share(&self) -> f64 {
        self.above as f64 / self.clips.max(1) as f64
    }

    /// The ends of its 95 % interval, 0 to 1, by Jeffreys' prior.
    ///
    /// A threshold between two of the scores has a share of a beta distribution whose shapes lie half a clip to either side of
    /// these, so that the interval also holds where the threshold follows from the same scores.
    pub fn interval(&self) -> [f64; 2] {
        let [above, below] = [self.above, self.clips - self.above.min(self.clips)];
        let shapes = (above as f64 + 0.5, below as f64 + 0.5);
        let end = |p| beta_quantile(p, shapes.0, shapes.1);
        [
            if above == 0 { 0.0 } else { end(0.025) },
            if below == 0 { 1.0 } else { end(0.975) },
        ]
    }
}

impl fmt::Display for FalseAlarms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, high] = self.interval().map(|share| 100.0 * share);
        write!(
            f,
            "{:.1} % of new normal clips raise a false alarm ({low:.1} to {high:.1} % with 95 % confidence; {} of {} that \
             it was not made from did)",
            100.0 * self.share(),
            self.above,
            self.clips
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn false_alarms_have_an_interval() {
        let check = |clips: usize, above: usize, expected: [f64; 2]| {
            let scores: Vec<f64> = (0..clips).map(|idx| idx as f64).collect();
            let threshold = clips as f64 - above as f64 - 0.5;
            let found = FalseAlarms::of(&scores, threshold).unwrap();
            assert_eq!(found, FalseAlarms { clips, above });
            for (found, expected) in found.interval().into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-4, "{found} {expected}");
            }
        };
        // Of scipy.stats.beta.ppf.
        check(200, 20, [0.064_166, 0.147_299]);
        check(30, 3, [0.028_981, 0.243_402]);
        // Nothing says that it never happens, or always.
        check(40, 0, [0.0, 0.060_498]);
        check(10, 10, [0.782_804, 1.0]);
        assert_eq!(FalseAlarms::of(&[], 0.0), None);
    }

    #[test]
    fn rules_decide_as_they_say() {
        let fitted = Thresholds {
            gamma: Some(3.0),
            quantile: Some(2.0),
        };
        let unfit = Thresholds {
            gamma: None,
            ..fitted
        };
        let check = |text: &str, labels_are_learnt: bool, thresholds: Thresholds, expected| {
            let rule: ThresholdRule = text.parse().unwrap();
            let (chosen, threshold) = thresholds.choose(rule.resolved(labels_are_learnt)).unwrap();
            assert_eq!((chosen.name(), threshold), expected, "{text}");
        };
        check("usual", true, fitted, ("even-odds", 0.0));
        check("usual", false, fitted, ("gamma", 3.0));
        check("usual", false, unfit, ("quantile", 2.0));
        check("gamma", true, fitted, ("gamma", 3.0));
        check("quantile", true, fitted, ("quantile", 2.0));
        check("even-odds", false, fitted, ("gamma", 3.0));
        assert!("even".parse::<ThresholdRule>().is_err());
    }
}
