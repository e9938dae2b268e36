//! `nas targets`: the hardware profiles and their numbers.

use super::{Failure, Global, out};
use nas::{
    hardware,
    report::{
        json::{self, lists::TargetsDocument},
        text,
    },
};

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// A built-in target or a TOML file, to print its profile [default: all targets in short]
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
                true => out::print(json::render(&TargetsDocument::new(hardware::builtin())))?,
                false => out::print(text::lists::targets(hardware::builtin(), super::width()))?,
            }
            return Ok(());
        };
        let target = hardware::find(name)?;
        match (global.json, is_for_people) {
            (true, _) => out::print(json::render(&TargetsDocument::new(&[target])))?,
            (false, true) => out::print(text::lists::target(&target, super::width()))?,
            (false, false) => out::print(&target.text)?,
        }
        Ok(())
    }
}
