//! `nas compare-approaches`: compares reconstruction and classification on every target, with the published networks.

use super::{Failure, Global, baseline::Common, out};
use nas::report::{
    files,
    json::{self, BaselinesDocument},
    text,
};

/// The DCASE baselines of the two approaches.
const APPROACHES: [&str; 2] = ["dcase-ae", "dcase-mobilenetv2"];

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let info = self
            .common
            .train_named(global, &APPROACHES, "approaches")?
            .info;
        match global.json {
            true => out::print(json::render(&BaselinesDocument::new(&info)))?,
            false => out::print(text::front::trained_tables(&info, super::width()))?,
        }
        for file in files::write_figures(&info, &global.run_folder(&info.run))? {
            global.note(&format!("wrote {}", file.display()));
        }
        Ok(())
    }
}
