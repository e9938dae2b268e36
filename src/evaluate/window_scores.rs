//! Makes the scores of clips from the scores of windows. The clips that steer choose the rule.

use super::{Pipeline, examination::ClipScores};
use crate::score::{ClipRule, auc_difference_error, clip_score, float_clip_score, summarise};

/// Scores of a network: per clip of the data set, and per class that it may be of, those of its windows; none where a clip
/// was not scored or too short.
#[derive(Debug)]
pub(super) struct WindowScores {
    pub(super) float: Vec<Vec<f64>>,
    pub(super) int8: Vec<Vec<f32>>,
    /// Number of latest windows in a device's score.
    pub(super) horizon: u32,
}

impl WindowScores {
    /// Scores of the clips by a rule.
    pub(super) fn of_clips(&self, rule: ClipRule) -> ClipScores {
        let float = self.float.iter();
        ClipScores {
            float: float
                .map(|scores| float_clip_score(rule, self.horizon, scores))
                .collect(),
            int8: self.int8_of_clips(rule),
        }
    }

    fn int8_of_clips(&self, rule: ClipRule) -> Vec<Option<f64>> {
        let int8 = self.int8.iter();
        int8.map(|scores| clip_score(rule, self.horizon, scores))
            .collect()
    }
}

impl Pipeline {
    /// The rule with the highest AUC on the clips that steer. The first one is used unless another is ahead by more
    /// than the standard error of the difference: the luck of a few clips must not choose.
    pub(super) fn best_rule(&self, rules: &[ClipRule], windows: &WindowScores) -> ClipRule {
        let Some((&first, others)) = rules.split_first() else {
            return ClipRule::Mean;
        };
        let steering = |rule| self.labelled(&self.test.steer, &windows.int8_of_clips(rule));
        let standing = steering(first);
        let Some(usual) = summarise(&standing).auc.filter(|_| !others.is_empty()) else {
            return first;
        };
        let mut best = (first, usual);
        for &rule in others {
            let clips = steering(rule);
            let error = auc_difference_error(&clips, &standing).unwrap_or(f64::INFINITY);
            let auc = summarise(&clips).auc;
            if let Some(auc) = auc.filter(|auc| *auc > best.1 && *auc > usual + error) {
                best = (rule, auc);
            }
        }
        best.0
    }
}
