//! Thresholds from the scores of normal sound.

use std::str::FromStr;

use super::{gamma::Gamma, quantile};

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

#[cfg(test)]
mod tests {
    use super::*;

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
