//! Makes figures of merit, and a record of every test clip, from the scores of clips.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Answer, Classed, ClassedClip, EvaluateError, Examination, ExaminedClip, Pipeline, Scores,
};
use crate::{
    data::{Label, Learns, TestDivision},
    score::{
        Classification, ClipIntervals, ClipRule, ClipScore, Confusion, DisturbedScore, Figure,
        Figures, Measure, NormalScore, auc_difference_error, classification, profile, sensitivity,
        summarise,
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
        if self.dataset.has_disturbed() {
            return self.heard(scores, threshold, epochs);
        }
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
            hears: None,
            notes: steer.notes,
        })
    }

    /// How well disturbed clips are heard; of labelled faults, which then only judge, AUC and decisions.
    fn heard(
        &self,
        scores: &ClipScores,
        threshold: Option<f64>,
        epochs: usize,
    ) -> Result<Scores, EvaluateError> {
        let TestDivision { steer, shown, .. } = &self.test;
        let of = |indices: &[usize], scores: &[Option<f64>]| {
            let (normal, disturbed) = self.undisturbed(indices, scores);
            sensitivity(&normal, &disturbed)
        };
        let missing = || {
            let message = "too few test clips are long enough for one window";
            EvaluateError::Failed(message.to_string())
        };
        let int8 = of(steer, &scores.int8).ok_or_else(missing)?;
        let float = of(steer, &scores.float).ok_or_else(missing)?;
        let untouched = of(shown, &scores.int8);
        let is_real = |idx: &usize| self.dataset.clips[*idx].disturbed().is_none();
        let real: Vec<usize> = shown.iter().copied().filter(is_real).collect();
        let real = self.labelled(&real, &scores.int8);
        let judged = summarise(&real);
        let decided = threshold.filter(|_| real.iter().any(|clip| clip.anomaly));
        let decided = decided.map(|threshold| Confusion::of_clips(&real, threshold));
        let own = Measure::Sensitivity;
        let test = |measure| Figure::test(measure);
        let figures = Measure::DECISIONS.into_iter().fold(
            Figures::default()
                .with(Figure::steering(own), int8.mean)
                .with(Figure::float(own), float.mean)
                .with(test(own), untouched.as_ref().map(|heard| heard.mean))
                .with(test(Measure::Auc), judged.auc)
                .with(test(Measure::Pauc), judged.pauc),
            |figures, measure| {
                let decided = decided.as_ref().and_then(|decided| decided.figure(measure));
                figures.with(test(measure), decided)
            },
        );
        let intervals = [
            (Figure::steering(own), Some(int8.interval)),
            (Figure::float(own), Some(float.interval)),
            (test(own), untouched.map(|heard| heard.interval)),
            (test(Measure::Auc), judged.auc_interval),
        ];
        let known = |(figure, interval): (Figure, Option<[f64; 2]>)| Some((figure, interval?));
        let (steering, _) = self.undisturbed(steer, &scores.int8);
        let (normal, disturbed) = self.undisturbed(shown, &scores.int8);
        Ok(Scores {
            intervals: intervals.into_iter().filter_map(known).collect(),
            epochs,
            hears: profile(&steering, &normal, &disturbed),
            ..Scores::headline(figures)
        })
    }

    /// Scores of normal clips as they were recorded, and of disturbed ones.
    fn undisturbed(
        &self,
        indices: &[usize],
        scores: &[Option<f64>],
    ) -> (Vec<NormalScore>, Vec<DisturbedScore>) {
        let (mut normal, mut disturbed) = (Vec::new(), Vec::new());
        for &idx in indices {
            let clip = &self.dataset.clips[idx];
            let group = || (clip.machine.clone(), clip.section.clone(), clip.domain);
            match (scores[idx], clip.disturbed(), clip.label) {
                (Some(score), Some(made), _) => disturbed.push(DisturbedScore {
                    group: group(),
                    kind: made.kind,
                    strength: made.strength,
                    of: made.of.to_string(),
                    score,
                }),
                (Some(score), None, Some(Label::Normal)) => normal.push(NormalScore {
                    group: group(),
                    score,
                }),
                _ => (),
            }
        }
        (normal, disturbed)
    }

    /// The measure by which int8 is compared with float: that which steers, where that is no decision.
    pub(super) fn lost(&self, scores: &Scores, measure: Measure) -> Option<f64> {
        let figures = &scores.figures;
        Some(figures.get(Figure::float(measure))? - figures.steering(measure)?)
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
        let mut tested = both(&self.test.steer, &self.test.shown);
        tested.retain(|idx| self.dataset.clips[*idx].disturbed().is_none());
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
