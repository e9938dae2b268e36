//! `nas export`: a found model with its firmware, as a folder that needs nothing of this program.

use std::path::PathBuf;

use super::{Failure, Global, open};
use crate::{
    bundle::{self, Parts},
    evaluate::Model,
    report::{
        self, html,
        json::{CostsView, measurements_of},
    },
    target,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A trial of a run, such as latest/17
    #[arg(value_name = "RUN/TRIAL")]
    trial: String,
    /// The folder to write; it must be empty or not exist
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The target whose core the firmware is for [default: the run's first]
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let (selector, number) = open::run_and_trial(&self.trial)?;
        let number =
            number.ok_or_else(|| Failure::usage(format!("name a trial, such as {selector}/17")))?;
        let (store, run, info) = open::run(global, selector)?;
        let model = Model::read(&open::model_folder(global, &store, &run, number)?)?;
        let first = info.targets.first().map(|target| target.name.as_str());
        let target = target::find(self.target.as_deref().or(first).unwrap_or("m7"))?;
        let costs = info
            .targets
            .iter()
            .position(|known| known.name == target.name)
            .and_then(|idx| {
                let trial = info.scored.iter().find(|trial| trial.trial == number)?;
                trial.costs.get(idx).map(CostsView::from)
            });
        let parts = Parts {
            name: format!("{}/{number}", run.name),
            data: run.data_name.clone(),
            model: &model,
            target: target.name.clone(),
            core: target.cpu.core,
            costs,
            measurements: measurements_of(&info.measurements, number),
            report: html::report(&info)?,
            clips: Vec::new(),
        };
        let manifest = bundle::write(&self.to, &parts)?;
        match global.json {
            true => print!("{}", report::json::render(&manifest)),
            false => println!("{}", self.to.display()),
        }
        Ok(())
    }
}
