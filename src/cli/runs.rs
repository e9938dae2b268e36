//! `nas runs`: the runs of a store.

use super::{Failure, Global, open, out};
use nas::report::{self, json, text};

pub fn run(global: &Global) -> Result<(), Failure> {
    let store = open::store(global)?;
    let runs = report::load_runs(&store)?;
    match global.json {
        true => out::print(json::render(&json::RunsDocument::new(runs)))?,
        false => out::print(text::lists::runs(&runs))?,
    }
    Ok(())
}
