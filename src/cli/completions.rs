//! `nas completions`: prints a completion script.

use clap::CommandFactory;

use super::{Failure, out};

#[derive(Debug, clap::Args)]
pub struct Args {
    shell: clap_complete::Shell,
}

impl Args {
    pub fn run(&self) -> Result<(), Failure> {
        let mut command = super::Args::command();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "nas", &mut script);
        out::print(String::from_utf8_lossy(&script))
    }
}
