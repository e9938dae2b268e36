//! `nas spaces`: the search spaces and their sizes.

use super::{Failure, Global, out};
use nas::{
    report::{
        json::{self, lists::SpacesDocument},
        text,
    },
    space,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A built-in space or a TOML file, to show its axes [default: all built-in spaces in short]
    #[arg(value_name = "NAME|FILE")]
    space: Option<String>,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let spaces = match &self.space {
            Some(name) => vec![space::load(name)?],
            None => space::builtin(),
        };
        if global.json {
            out::print(json::render(&SpacesDocument::new(&spaces)))?;
        } else if self.space.is_some() {
            out::print(&spaces[0].text)?;
        } else {
            out::print(text::lists::spaces(&spaces, super::width()))?;
        }
        Ok(())
    }
}
