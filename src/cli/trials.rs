//! `nas trials`: all trials of a run with their axes.

use super::{Failure, Global, open, out};
use nas::report::{
    json::{self, trials::TrialsDocument},
    text,
    trials::load_trials,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(default_value = "latest")]
    run: String,
    /// Print comma-separated values: a line per trial and target, a column per axis
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let store = open::store(global)?;
        let list = load_trials(&store, &store.find_run(&self.run)?)?;
        match (global.json, self.csv) {
            (true, _) => out::print(json::render(&TrialsDocument::from(&list)))?,
            (_, true) => out::print(text::trials::csv(&list))?,
            _ => out::print(text::trials::table(&list))?,
        }
        Ok(())
    }
}
