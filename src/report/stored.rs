//! Published networks on the default data, as `nas baseline` trained them once: a first search shows them without training
//! them for minutes.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{ScoredTrial, costs_of};
use crate::{
    hardware::{Budget, Target, estimate},
    score::Figure,
    space::{self, Candidate, Spaces, Training},
    units::Rng,
};

/// Result of `nas baseline NAME --data DATA`, whose figures do not change while the evaluation has the same key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    /// Name of the network.
    pub name: String,
    /// Name of the data set.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for readers of the file, and for its test")
    )]
    data: String,
    /// Hash of the data set's clips.
    data_hash: String,
    /// Key of the evaluation: of data, network, training, seed and pipeline.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for readers of the file, and for its test")
    )]
    evaluation: String,
    /// Figures by their keys in documents.
    figures: BTreeMap<String, f64>,
}

/// The stored results for data of this hash.
pub(super) fn of_data(data_hash: &str) -> Vec<Stored> {
    let own = all().into_iter();
    own.filter(|stored| stored.data_hash == data_hash).collect()
}

fn all() -> Vec<Stored> {
    serde_json::from_str(include_str!("stored.json")).expect("the file is tested")
}

impl Stored {
    /// The result as a trial, with costs on these targets; `None` where no network has the name.
    pub fn scored(
        &self,
        classes: usize,
        targets: &[Target],
        budget: &Budget,
    ) -> Option<ScoredTrial> {
        let (candidate, _) = self.candidate(classes)?;
        let costs = targets
            .iter()
            .map(|target| costs_of(estimate(&candidate, target), target, budget));
        let known = |figure: Figure| Some((figure, *self.figures.get(&figure.key())?));
        Some(ScoredTrial {
            trial: 0,
            space: self.name.clone(),
            task: candidate.task,
            is_fitted: false,
            figures: Figure::documented().filter_map(known).collect(),
            intervals: Default::default(),
            hears: None,
            seeds: None,
            macs: candidate.graph.macs(),
            params: candidate.graph.params(),
            costs: costs.collect(),
        })
    }

    fn candidate(&self, classes: usize) -> Option<(Candidate, Training)> {
        let mut known = space::baselines().into_iter();
        let space = known.find(|space| space.name == self.name)?;
        let training = space.training;
        let spaces = Spaces::new(vec![space], classes);
        // A space of one network.
        let genome = (!spaces.is_empty()).then(|| spaces.random(&mut Rng::new(0, 0)))?;
        Some((spaces.decode(&genome), training))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data,
        evaluate::{Evaluator, Options, Pipeline},
        features::FeatureStore,
        run,
        score::{ClipRule, ThresholdRule},
        train::Backend,
    };

    /// Whatever changes how a stored network would score changes its key.
    #[test]
    fn results_are_of_todays_pipeline() {
        let all = all();
        assert!(!all.is_empty());
        for stored in all {
            let dataset = data::named(&stored.data).unwrap();
            let options = Options {
                epochs: None,
                backend: Backend::Flex,
                threshold: ThresholdRule::default(),
            };
            let pipeline = Pipeline::new(dataset, FeatureStore::new(None), options).unwrap();
            let pipeline = pipeline.scored_by(ClipRule::Mean);
            let (candidate, training) = stored.candidate(pipeline.classes()).unwrap();
            let seed = run::training_seed(0, &candidate.network_key());
            let key = pipeline.content_key(&candidate, &training, seed);
            let again = "train it again with `nas baseline`, and store what it prints";
            assert_eq!(
                pipeline.data_hash(),
                stored.data_hash,
                "{}: {again}",
                stored.name
            );
            assert_eq!(key, stored.evaluation, "{}: {again}", stored.name);
            assert!(stored.figures.contains_key("auc_int8"), "{}", stored.name);
        }
    }
}
