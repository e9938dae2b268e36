//! `nas report`: writes the pictures and the page of a run.

use std::path::PathBuf;

use super::{Failure, Global, open, out};
use nas::report::files;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(default_value = "latest")]
    run: String,
    /// The folder to write to [default: the run's own]
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Open the page in the browser
    #[arg(long)]
    open: bool,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let (_, run, info) = open::run(global, &self.run)?;
        let folder = self
            .to
            .clone()
            .unwrap_or_else(|| global.run_folder(&run.name));
        let files = files::write_figures(&info, &folder)?;
        for file in &files {
            out::print(format!("{}\n", file.display()))?;
        }
        if self.open {
            let page = files
                .iter()
                .find(|file| file.extension() == Some("html".as_ref()));
            let opened = page.map(opener::open);
            opened
                .transpose()
                .map_err(|error| Failure::plain(format!("no browser could be started: {error}")))?;
        }
        Ok(())
    }
}
