//! `nas targets`: the hardware profiles and what is known about each.

use super::{Failure, Global};
use crate::{
    report::{json, listing},
    target,
};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// A built-in target or a TOML file, to print its profile as it is; all in short where left out
    #[arg(value_name = "NAME|FILE")]
    target: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print every number of a target with its unit, error and source
    Show {
        #[arg(value_name = "NAME|FILE")]
        target: String,
    },
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let (name, is_for_people) = match &self.command {
            Some(Command::Show { target }) => (Some(target), true),
            None => (self.target.as_ref(), false),
        };
        let Some(name) = name else {
            match global.json {
                true => print!(
                    "{}",
                    json::render(&listing::targets_document(target::builtin()))
                ),
                false => print!("{}", listing::targets(target::builtin())),
            }
            return Ok(());
        };
        let target = target::find(name)?;
        match (global.json, is_for_people) {
            (true, _) => print!("{}", json::render(&listing::targets_document(&[target]))),
            (false, true) => print!("{}", listing::target(&target)),
            (false, false) => print!("{}", target.text),
        }
        Ok(())
    }
}
