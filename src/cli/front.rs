//! `nas front`: the Pareto front of a run.

use super::{Failure, Global, open, out};
use nas::report::{
    json::{self, FrontDocument},
    text,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(default_value = "latest")]
    run: String,
    /// Print comma-separated values
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let (_, _, info) = open::run(global, &self.run)?;
        match (global.json, self.csv) {
            (true, _) => out::print(json::render(&FrontDocument::new(&info)))?,
            (_, true) => out::print(text::front::front_csv(&info))?,
            _ => out::print(text::front::front_tables(&info, super::width()))?,
        }
        Ok(())
    }
}
