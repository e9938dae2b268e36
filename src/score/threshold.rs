//! Where normal ends: thresholds from the scores of normal sound.

use std::str::FromStr;

use super::{gamma::Gamma, quantile};

/// How the threshold is taken from the scores of normal clips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ThresholdRule {
    /// A quantile of the gamma distribution that fits them, as the DCASE baselines do.
    #[default]
    Gamma,
    /// Their own quantile.
    Quantile,
}

/// Both thresholds of one set of scores; `None` where there are none, or too few or too equal ones for a fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    pub gamma: Option<f64>,
    pub quantile: Option<f64>,
}

/// No threshold rule has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no threshold rule; there are gamma and quantile")]
pub struct UnknownRule(String);

impl FromStr for ThresholdRule {
    type Err = UnknownRule;

    fn from_str(text: &str) -> Result<ThresholdRule, UnknownRule> {
        [ThresholdRule::Gamma, ThresholdRule::Quantile]
            .into_iter()
            .find(|rule| rule.name() == text)
            .ok_or_else(|| UnknownRule(text.to_string()))
    }
}

impl ThresholdRule {
    pub fn name(self) -> &'static str {
        match self {
            ThresholdRule::Gamma => "gamma",
            ThresholdRule::Quantile => "quantile",
        }
    }
}

impl Thresholds {
    /// `q` is the share of normal clips that should lie below: 0.9 accepts one false alarm in ten.
    pub fn of(scores: &[f64], q: f64) -> Thresholds {
        Thresholds {
            gamma: Gamma::fit(scores).map(|gamma| gamma.quantile(q)),
            quantile: quantile(scores, q),
        }
    }

    /// The threshold by a rule, and the rule that gave it: the quantile stands in where nothing fits.
    pub fn choose(&self, rule: ThresholdRule) -> Option<(ThresholdRule, f64)> {
        let gamma = self.gamma.filter(|_| rule == ThresholdRule::Gamma);
        match gamma {
            Some(threshold) => Some((ThresholdRule::Gamma, threshold)),
            None => Some((ThresholdRule::Quantile, self.quantile?)),
        }
    }
}
