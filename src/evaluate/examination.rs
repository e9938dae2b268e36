//! Makes figures of merit, and a record of every test clip, from the scores of clips.

use std::collections::BTreeSet;

use super::{EvaluateError, Examination, ExaminedClip, Pipeline, Scores};
use crate::{
    data::Label,
    score::{
        ClipRule, ClipScore, Confusion, Figure, Figures, Measure, auc_difference_error, summarise,
    },
};

/// Scores of a network, one per clip of the data set; `None` where a clip was not scored or is too short for a window.
#[derive(Debug)]
pub(super) struct ClipScores {
    pub(super) float: Vec<Option<f64>>,
    pub(super) int8: Vec<Option<f64>>,
}

impl Pipeline {
    /// Figures of merit on the clips that steer, and on those that are only shown.
    pub(super) fn scores(
        &self,
        scores: &ClipScores,
        threshold: Option<f64>,
        epochs: usize,
    ) -> Result<Scores, EvaluateError> {
        let steer = self.labelled(&self.test.steer, &scores.int8);
        let shown = self.labelled(&self.test.shown, &scores.int8);
        let decided = |clips: &[ClipScore]| {
            let threshold = threshold?;
            (!clips.is_empty()).then(|| Confusion::of_clips(clips, threshold))
        };
        let decisions = (decided(&steer), decided(&shown));
        let (steer, shown) = (summarise(&steer), summarise(&shown));
        let float = summarise(&self.labelled(&self.test.steer, &scores.float));
        let missing = || {
            let message = "too few test clips are long enough for one window";
            EvaluateError::Failed(message.to_string())
        };
        let figures = Figures::default()
            .with(Figure::AUC, steer.auc.ok_or_else(missing)?)
            .with(
                Figure::steering(Measure::Pauc),
                steer.pauc.ok_or_else(missing)?,
            )
            .with(Figure::AUC_FLOAT, float.auc.ok_or_else(missing)?)
            .with(
                Figure::float(Measure::Pauc),
                float.pauc.ok_or_else(missing)?,
            )
            .with(Figure::test(Measure::Auc), shown.auc)
            .with(Figure::test(Measure::Pauc), shown.pauc);
        let figures = Measure::DECISIONS
            .into_iter()
            .fold(figures, |figures, measure| {
                let of = |decisions: Option<Confusion>| decisions?.figure(measure);
                figures
                    .with(Figure::steering(measure), of(decisions.0))
                    .with(Figure::test(measure), of(decisions.1))
            });
        Ok(Scores {
            figures,
            groups: steer.groups,
            epochs,
            clip_rule: ClipRule::Mean,
            int8: None,
            notes: steer.notes,
        })
    }

    /// AUC of the float network less the AUC of the int8 network, on the clips that steer.
    pub(super) fn auc_lost(&self, scores: &Scores) -> f64 {
        let auc = |figure| scores.figures.get(figure).unwrap_or(f64::NAN);
        auc(Figure::AUC_FLOAT) - auc(Figure::AUC)
    }

    /// The standard error of that difference.
    pub(super) fn auc_lost_error(&self, scores: &ClipScores) -> Option<f64> {
        let of = |scores| self.labelled(&self.test.steer, scores);
        auc_difference_error(&of(&scores.float), &of(&scores.int8))
    }

    /// Every labelled test clip that both networks scored.
    pub(super) fn examination(
        &self,
        scores: &ClipScores,
        threshold: Option<f64>,
        history: Vec<[f32; 2]>,
    ) -> Examination {
        let tested = both(&self.test.steer, &self.test.shown);
        let examined = |&idx: &usize| {
            Some(ExaminedClip {
                anomaly: self.dataset.clips[idx].label? == Label::Anomaly,
                steers: self.test.steer.binary_search(&idx).is_ok(),
                float: scores.float[idx]?,
                int8: scores.int8[idx]?,
            })
        };
        Examination {
            clips: tested.iter().filter_map(examined).collect(),
            too_short: tested
                .iter()
                .filter(|&&idx| scores.int8[idx].is_none())
                .count(),
            threshold,
            history,
            int8: None,
        }
    }

    /// Labelled scores of some clips; those too short for a window are left out.
    pub(super) fn labelled(&self, indices: &[usize], scores: &[Option<f64>]) -> Vec<ClipScore> {
        let labelled = |&idx: &usize| {
            let clip = &self.dataset.clips[idx];
            Some(ClipScore {
                machine: clip.machine.clone(),
                section: clip.section.clone(),
                domain: clip.domain,
                anomaly: clip.label? == Label::Anomaly,
                score: scores[idx]?,
            })
        };
        indices.iter().filter_map(labelled).collect()
    }
}

/// Indices of either list, each once.
pub(super) fn both(first: &[usize], second: &[usize]) -> BTreeSet<usize> {
    first.iter().chain(second).copied().collect()
}
