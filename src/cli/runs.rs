//! `nas runs`: the runs of a store.

use super::{Failure, Global, open};
use crate::report::{self, json, listing};

pub fn run(global: &Global) -> Result<(), Failure> {
    let store = open::store(global)?;
    let runs = report::load_runs(&store)?;
    match global.json {
        true => print!("{}", json::render(&json::RunsDocument::new(runs))),
        false => print!("{}", listing::runs(&runs)),
    }
    Ok(())
}
