//! Scores a found network on every labelled test clip: trained as in its run, float and int8.

use std::sync::atomic::AtomicBool;

use super::{Proposal, training_seed};
use crate::{
    data::Split,
    evaluate::{EvaluateError, Examination, Pipeline},
    store::Run,
};

/// One training of a network in a run.
#[derive(Debug, Clone, Copy)]
pub struct Training<'a> {
    /// The run that the network was found in.
    pub run: &'a Run,
    /// Offset from the run's seed; 0 is the run's own training.
    pub seed_offset: u64,
}

/// Trains the network as its run does, and scores all labelled test clips with it.
///
/// # Errors
/// Where the network cannot be trained, or `stop` is set.
pub fn judge(
    pipeline: &Pipeline,
    proposal: &Proposal,
    training: Training<'_>,
    stop: &AtomicBool,
) -> Result<Examination, EvaluateError> {
    let run_seed = training.run.seed.wrapping_add(training.seed_offset);
    let seed = training_seed(run_seed, &proposal.candidate.network_key());
    let options = proposal.spaces.space_of(&proposal.genome).training;
    pipeline.examine(&proposal.candidate, &options, seed, stop)
}

/// The part that a pipeline tests on: `fold 3`, or `test` where the test clips are not one fold.
pub fn tested_part(pipeline: &Pipeline) -> String {
    let clips = &pipeline.dataset().clips;
    let mut tested = clips.iter().filter(|clip| clip.split == Split::Test);
    let first = tested.next().and_then(|clip| clip.attribute("fold"));
    match first {
        Some(fold) if tested.all(|clip| clip.attribute("fold") == Some(fold)) => {
            format!("fold {fold}")
        }
        _ => "test".to_string(),
    }
}
