//! `nas completions`: a completion script on stdout.

use clap::CommandFactory;

use super::Failure;

#[derive(Debug, clap::Args)]
pub struct Args {
    shell: clap_complete::Shell,
}

impl Args {
    pub fn run(&self) -> Result<(), Failure> {
        let mut command = super::Args::command();
        clap_complete::generate(self.shell, &mut command, "nas", &mut std::io::stdout());
        Ok(())
    }
}
