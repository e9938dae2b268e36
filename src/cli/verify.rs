//! `nas verify`: runs an exported folder against its golden vectors.

use std::path::PathBuf;

use super::{Failure, Global, measure::INSTRUCTIONS, out};
use nas::{
    bundle::{self, Check, Verdict, VerdictDocument},
    report::json::render,
    units::Count,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A folder that `nas export` wrote
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Check only on the host: build no firmware, start no emulator
    #[arg(long)]
    host: bool,
    /// Build the folder's own firmware where it differs from this program's; this runs its build scripts on this machine
    #[arg(long, conflicts_with = "host")]
    build_foreign: bool,
    /// Give up on the emulator after so many instructions
    #[arg(long, value_name = "COUNT", default_value = INSTRUCTIONS)]
    limit: Count,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let note = |text: &str| global.note(text);
        let check = Check {
            images: (!self.host).then(|| global.images()),
            build_foreign: self.build_foreign,
            instructions: self.limit.0,
        };
        let verdict = bundle::verify(&self.folder, &check, &note)?;
        match global.json {
            true => out::print(render(&VerdictDocument::new(&verdict)))?,
            false => out::print(text(&verdict))?,
        }
        match verdict.is_good() {
            true => Ok(()),
            false => Err(Failure::plain(format!(
                "{} differs from what was exported",
                self.folder.display()
            ))),
        }
    }
}

fn text(verdict: &Verdict) -> String {
    let said = |good: bool| if good { "as exported" } else { "DIFFERENT" };
    let mut text = String::new();
    for file in &verdict.changed_files {
        text += &format!("changed or missing: {file}\n");
    }
    for file in &verdict.unlisted_files {
        text += &format!("not part of the export: {file}\n");
    }
    for file in &verdict.foreign_sources {
        text += &format!("not this program's firmware: {file}\n");
    }
    text += &format!("outputs on the host: {}\n", said(verdict.host));
    for (core, result) in &verdict.emulated {
        text += &match result {
            Ok(same) => format!("outputs on an emulated {core}: {}\n", said(*same)),
            Err(error) => format!("not run on an emulated {core}: {error}\n"),
        };
    }
    text
}
