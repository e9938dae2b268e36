//! `nas report`: the pictures of a run.

use std::path::PathBuf;

use super::{Failure, Global, open};
use crate::report::draw;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(default_value = "latest")]
    run: String,
    /// The folder to write to [default: the run's own]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let (_, run, info) = open::run(global, &self.run)?;
        let folder = self
            .to
            .clone()
            .unwrap_or_else(|| global.folder().join(&run.name));
        for picture in draw::write_figures(&info, &folder)? {
            println!("{}", picture.display());
        }
        Ok(())
    }
}
