//! Makes figures of merit, and a record of every test clip, from the scores of clips.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Answer, Classed, ClassedClip, EvaluateError, Examination, ExaminedClip, Pipeline, Scores,
};
use crate::{
    data::{Label, Learns},
    score::{
        Classification, ClipIntervals, ClipRule, ClipScore, Confusion, Figure, Figures, Measure,
        auc_difference_error, classification, summarise,
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
        let decided = |indices: &[usize], clips: &[ClipScore], measure: Measure| {
            if self.dataset.learns == Learns::Classes {
                return self.classified(indices, &scores.int8)?.figure(measure);
            }
            let threshold = threshold?;
            let decisions = (!clips.is_empty()).then(|| Confusion::of_clips(clips, threshold));
            decisions?.figure(measure)
        };
        let decisions = Measure::DECISIONS.map(|measure| {
            let steer = decided(&self.test.steer, &steer, measure);
            (measure, steer, decided(&self.test.shown, &shown, measure))
        });
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
        let figures = decisions
            .into_iter()
            .fold(figures, |figures, (measure, steer, shown)| {
                figures
                    .with(Figure::steering(measure), steer)
                    .with(Figure::test(measure), shown)
            });
        let intervals = match self.dataset.learns {
            // Every clip counts for each class, and how much their errors have in common is not known.
            Learns::Classes => ClipIntervals::new(),
            _ => [
                (Figure::AUC, steer.auc_interval),
                (Figure::AUC_FLOAT, float.auc_interval),
                (Figure::test(Measure::Auc), shown.auc_interval),
            ]
            .into_iter()
            .filter_map(|(figure, interval)| Some((figure, interval?)))
            .collect(),
        };
        Ok(Scores {
            figures,
            intervals,
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
        let answers = self.answers();
        let tells_classes = self.dataset.learns == Learns::Classes;
        let classed = |&idx: &usize| {
            let answer = |scores: &[Option<f64>]| {
                let own: Option<Vec<f64>> =
                    scores[idx * answers..][..answers].iter().copied().collect();
                Some(Answer::of(&own?)?.class)
            };
            Some(ClassedClip {
                truth: self.class_of(idx),
                steers: self.test.steer.binary_search(&idx).is_ok(),
                float: answer(&scores.float)?,
                int8: answer(&scores.int8)?,
            })
        };
        Examination {
            clips: match tells_classes {
                true => Vec::new(),
                false => tested.iter().filter_map(examined).collect(),
            },
            classes: tells_classes.then(|| Classed {
                names: self.class_names(),
                clips: tested.iter().filter_map(classed).collect(),
            }),
            too_short: tested
                .iter()
                .filter(|&&idx| scores.int8[idx * answers].is_none())
                .count(),
            threshold,
            history,
            int8: None,
        }
    }

    /// Labelled scores of some clips; those too short for a window are left out.
    pub(super) fn labelled(&self, indices: &[usize], scores: &[Option<f64>]) -> Vec<ClipScore> {
        if self.dataset.learns == Learns::Classes {
            return self.against_each_class(indices, scores);
        }
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

    /// Every class as a section of its own, in which the clips of the others are the anomalies.
    fn against_each_class(&self, indices: &[usize], scores: &[Option<f64>]) -> Vec<ClipScore> {
        let answers = self.answers();
        let names = self.class_names();
        let against = |(&idx, class): (&usize, usize)| {
            let clip = &self.dataset.clips[idx];
            Some(ClipScore {
                machine: clip.machine.clone(),
                section: names[class].clone(),
                domain: clip.domain,
                anomaly: self.class_of(idx) != class,
                score: scores[idx * answers + class]?,
            })
        };
        let pairs = indices
            .iter()
            .flat_map(|idx| (0..answers).map(move |class| (idx, class)));
        pairs.filter_map(against).collect()
    }

    /// How well classes are told apart on some clips; `None` without clips.
    fn classified(&self, indices: &[usize], scores: &[Option<f64>]) -> Option<Classification> {
        let answers = self.answers();
        let (mut rows, mut truth) = (Vec::new(), Vec::new());
        for &idx in indices {
            let own: Option<Vec<f64>> =
                scores[idx * answers..][..answers].iter().copied().collect();
            if let Some(own) = own {
                // The lowest score fits best.
                rows.extend(own.iter().map(|score| -score));
                truth.push(self.class_of(idx));
            }
        }
        classification(&rows, &truth, answers)
    }

    /// What the best constant answer gets on the clips that steer, by the names of the measures.
    pub fn constant_answer(&self) -> BTreeMap<String, f64> {
        let mut counts = vec![0; self.answers().max(2)];
        for &idx in &self.test.steer {
            let kind = match self.dataset.learns {
                Learns::Classes => self.class_of(idx),
                _ => usize::from(self.dataset.clips[idx].label == Some(Label::Anomaly)),
            };
            counts[kind] += 1;
        }
        let constant = Classification::of_constant(&counts);
        let measures = Measure::DECISIONS.into_iter();
        measures
            .filter_map(|measure| Some((measure.name().to_string(), constant?.figure(measure)?)))
            .collect()
    }
}

/// Indices of either list, each once.
pub(super) fn both(first: &[usize], second: &[usize]) -> BTreeSet<usize> {
    first.iter().chain(second).copied().collect()
}
