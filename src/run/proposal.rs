//! What a trial proposed, read back from the store.

use super::{RunError, Settings};
use crate::{
    hardware::{Budget, Target},
    space::{Candidate, Genome, Spaces},
    store::{Run, Store},
};

/// What a trial proposed, and what its run asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    pub run: String,
    pub spaces: Spaces,
    pub genome: Genome,
    pub candidate: Candidate,
    pub targets: Vec<Target>,
    pub budget: Budget,
}

/// What a trial proposed; `None` where the run has no such trial.
pub fn load_proposal(store: &Store, run: &Run, number: u64) -> Result<Option<Proposal>, RunError> {
    let rows = store.trials(run.id)?;
    let Some(row) = rows.iter().find(|row| row.number as u64 == number) else {
        return Ok(None);
    };
    let settings = Settings::from_json(&run.settings_json)?;
    let spaces = settings.spaces()?;
    let genome = spaces.decode_bytes(&row.genome).ok_or(RunError::Genome {
        number: row.number as usize,
    })?;
    Ok(Some(Proposal {
        run: run.name.clone(),
        candidate: spaces.decode(&genome),
        spaces,
        genome,
        targets: settings.targets()?,
        budget: settings.budget,
    }))
}
