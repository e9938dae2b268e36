//! `nas targets`: the hardware profiles and what is known about each.

use super::{Failure, Global};
use crate::{
    report::{json, listing},
    target,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A built-in target or a TOML file, to see every number with its source; all where left out
    #[arg(value_name = "NAME|FILE")]
    target: Option<String>,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        match (&self.target, global.json) {
            (Some(name), json) => {
                let target = target::find(name)?;
                match json {
                    true => print!("{}", json::render(&listing::targets_document(&[target]))),
                    false => print!("{}", target.text),
                }
            }
            (None, true) => print!(
                "{}",
                json::render(&listing::targets_document(target::builtin()))
            ),
            (None, false) => print!("{}", listing::targets(target::builtin())),
        }
        Ok(())
    }
}
