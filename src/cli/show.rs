//! `nas show`: everything that is known of a run, or of one of its trials.

use super::{Failure, Global, open, out};
use nas::report::{
    self,
    json::{self, FrontDocument},
    text,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_name = "RUN[/TRIAL]")]
    what: String,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let (selector, number) = open::run_and_trial(&self.what)?;
        let (store, run, info) = open::run(global, selector)?;
        let Some(number) = number else {
            if global.json {
                out::print(json::render(&FrontDocument::new(&info)))?;
                return Ok(());
            }
            let view = report::load_runs(&store)?
                .into_iter()
                .find(|view| view.run == run.name);
            let view = view.ok_or_else(|| Failure::plain("the run has just been removed"))?;
            out::print(text::lists::run(&view, &info, super::width()))?;
            return Ok(());
        };
        let trial = report::load_trial(&store, &run, number)?;
        let trial = trial
            .ok_or_else(|| Failure::usage(format!("run {} has no trial {number}", run.name)))?;
        match global.json {
            true => out::print(json::render(&trial))?,
            false => out::print(text::trial::trial(&trial, &global.folder()))?,
        }
        Ok(())
    }
}
