//! Reads a trial's proposal back from the store.

use super::{RunError, Settings};
use crate::{
    hardware::{Budget, Target},
    space::{Candidate, Genome, Spaces},
    store::{Run, Store},
};

/// The proposal of a trial, and the conditions of its run.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// Name of the run.
    pub run: String,
    /// The spaces of the run.
    pub spaces: Spaces,
    /// The proposed genome.
    pub genome: Genome,
    /// Its front end and network.
    pub candidate: Candidate,
    /// The targets of the run.
    pub targets: Vec<Target>,
    /// The budget of the run.
    pub budget: Budget,
}

/// The proposal of a trial; `None` where the run has no such trial.
///
/// # Errors
/// [`RunError`] where the store or the run's settings cannot be read, or the genome is not of its spaces.
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
