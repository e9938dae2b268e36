//! Scores a network on every fold of a data set in turn: more clips judge it than those of one fold.

use std::{collections::BTreeMap, sync::atomic::AtomicBool};

use super::{EvaluateError, Evaluation, Evaluator, Pipeline, Scores};
use crate::{
    data::Domain,
    score::{ClipIntervals, ClipRule, Figures, GroupScore, mean_of_parts},
    space::{Candidate, Training},
};

/// Pipelines over the same clips, each with other test clips. Mostly there is one.
///
/// The scores of a candidate are means over all pipelines. Its model is the last one's.
#[derive(Debug)]
pub struct Folds {
    others: Vec<Pipeline>,
    last: Pipeline,
}

impl Folds {
    /// One pipeline per fold; only the models of `last` are kept.
    pub fn new(others: Vec<Pipeline>, last: Pipeline) -> Folds {
        Folds { others, last }
    }

    /// The pipeline whose models are kept.
    pub fn last(&self) -> &Pipeline {
        &self.last
    }

    /// One pipeline per fold; the one whose models are kept comes last.
    pub fn all(&self) -> impl Iterator<Item = &Pipeline> {
        self.others.iter().chain([&self.last])
    }

    /// Hash of the clips and their splits, in hex.
    pub fn data_hash(&self) -> String {
        self.combined(|pipeline| pipeline.data_hash().to_string())
    }

    /// The hash of the only pipeline, or one hash over those of all.
    fn combined(&self, hash: impl Fn(&Pipeline) -> String) -> String {
        match self.others.is_empty() {
            true => hash(&self.last),
            false => {
                let hashes: Vec<String> = self.all().map(hash).collect();
                let all = blake3::hash(hashes.join(" ").as_bytes());
                all.to_hex().to_string()
            }
        }
    }
}

impl Evaluator for Folds {
    fn content_key(&self, candidate: &Candidate, training: &Training, seed: u64) -> String {
        self.combined(|pipeline| pipeline.content_key(candidate, training, seed))
    }

    fn expected_seconds(&self, candidate: &Candidate, training: &Training) -> f64 {
        let of_fold = |pipeline: &Pipeline| pipeline.expected_seconds(candidate, training);
        self.all().map(of_fold).sum()
    }

    fn evaluate(
        &self,
        candidate: &Candidate,
        training: &Training,
        seed: u64,
        stop: &AtomicBool,
    ) -> Result<Evaluation, EvaluateError> {
        let evaluate = |pipeline: &Pipeline| pipeline.evaluate(candidate, training, seed, stop);
        let mut scores = Vec::new();
        for pipeline in &self.others {
            scores.push(evaluate(pipeline)?.scores);
        }
        let last = evaluate(&self.last)?;
        if scores.is_empty() {
            return Ok(last);
        }
        scores.push(last.scores);
        Ok(Evaluation {
            scores: mean(&scores),
            model: last.model,
        })
    }
}

/// Means of all figures; counts of clips are sums. `scores` is not empty.
fn mean(scores: &[Scores]) -> Scores {
    let figures: Vec<Figures> = scores.iter().map(|one| one.figures).collect();
    let parts = scores.iter().map(|one| (one.figures, &one.intervals));
    let parts: Vec<(Figures, &ClipIntervals)> = parts.collect();
    let epochs: usize = scores.iter().map(|one| one.epochs).sum();
    let mut notes: Vec<String> = scores.iter().flat_map(|one| one.notes.clone()).collect();
    notes.sort();
    notes.dedup();
    Scores {
        figures: Figures::mean(&figures).unwrap_or_default(),
        intervals: mean_of_parts(&parts),
        groups: mean_groups(scores.iter().flat_map(|one| &one.groups)),
        epochs: (epochs as f64 / scores.len() as f64).round() as usize,
        // These are of the model that is kept.
        clip_rule: scores.last().map_or(ClipRule::Mean, |one| one.clip_rule),
        int8: scores.last().and_then(|one| one.int8.clone()),
        hears: scores.last().and_then(|one| one.hears.clone()),
        notes,
    }
}

/// Means per machine, section and domain, over the folds that have a figure.
fn mean_groups<'a>(groups: impl Iterator<Item = &'a GroupScore>) -> Vec<GroupScore> {
    type Key<'a> = (&'a str, &'a str, Option<Domain>);
    let mut of_key: BTreeMap<Key<'_>, Vec<&GroupScore>> = BTreeMap::new();
    for group in groups {
        let key = (group.machine.as_str(), group.section.as_str(), group.domain);
        of_key.entry(key).or_default().push(group);
    }
    let merged = |groups: Vec<&GroupScore>| {
        let mean = |figure: fn(&GroupScore) -> Option<f64>| {
            let values: Vec<f64> = groups.iter().filter_map(|group| figure(group)).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        GroupScore {
            auc: mean(|group| group.auc),
            pauc: mean(|group| group.pauc),
            normals: groups.iter().map(|group| group.normals).sum(),
            anomalies: groups.iter().map(|group| group.anomalies).sum(),
            ..groups[0].clone()
        }
    };
    of_key.into_values().map(merged).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::{Figure, Measure};

    #[test]
    fn figures_are_means_and_counts_sums() {
        let figures = |auc: f64, test: Option<f64>| {
            let figures = Figures::default().with(Figure::AUC, auc);
            figures.with(Figure::test(Measure::Auc), test)
        };
        let fold = |auc: f64, test: Option<f64>, section: &str| Scores {
            groups: vec![GroupScore {
                machine: "fan".to_string(),
                section: section.to_string(),
                domain: None,
                auc: Some(auc),
                pauc: None,
                normals: 3,
                anomalies: 4,
            }],
            notes: vec!["odd".to_string()],
            epochs: 5,
            ..Scores::headline(figures(auc, test))
        };
        let mean = mean(&[
            fold(0.5, Some(0.25), "a"),
            fold(0.75, Some(0.75), "b"),
            fold(1.0, Some(0.5), "a"),
        ]);
        assert_eq!(mean.figures, figures(0.75, Some(0.5)));
        assert_eq!((mean.epochs, mean.notes.len()), (5, 1));
        let groups = mean.groups.iter();
        let groups: Vec<_> = groups.map(|g| (&*g.section, g.auc, g.normals)).collect();
        assert_eq!(groups, [("a", Some(0.75), 6), ("b", Some(0.75), 3)]);
        let lacking = super::mean(&[fold(0.5, None, "a"), fold(0.75, Some(0.5), "a")]);
        assert_eq!(lacking.figures, figures(0.625, None));
    }
}
