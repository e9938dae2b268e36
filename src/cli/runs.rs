//! `nas runs`: the runs of a store.

use super::{Failure, Global, open, out};
use nas::{
    report::{self, json, text},
    store::RunLock,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Remove a run with its models and pictures; models that other runs share stay
    Remove {
        /// The whole name of the run
        run: String,
    },
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        match &self.command {
            Some(Command::Remove { run }) => remove(global, run),
            None => list(global),
        }
    }
}

fn list(global: &Global) -> Result<(), Failure> {
    let store = open::store(global)?;
    let runs = report::load_runs(&store)?;
    match global.json {
        true => out::print(json::render(&json::RunsDocument::new(runs)))?,
        false => out::print(text::lists::runs(&runs))?,
    }
    Ok(())
}

/// Removes a run; its name must be whole, because nothing brings it back.
fn remove(global: &Global, name: &str) -> Result<(), Failure> {
    let mut store = open::writable_store(global)?;
    let run = store.find_run(name)?;
    if run.name != name {
        return Err(Failure::usage(format!(
            "write the whole name to remove a run: {}",
            run.name
        )));
    }
    let lock = RunLock::acquire(&global.run_folder(&run.name))?;
    let shared = store.remove_run(&run, lock)?;
    let kept = match shared {
        0 => String::new(),
        count => format!("; {count} of its models stay, since other runs share them"),
    };
    global.note(&format!("removed run {}{kept}", run.name));
    Ok(())
}
