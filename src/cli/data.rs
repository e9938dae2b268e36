//! `nas data`: known data sets, the contents of a path, and the synthetic set as files.

use std::path::PathBuf;

use super::{Failure, Global, out};
use nas::{
    data::{self, SplitBy, synthetic},
    disturb::Kind,
    report::{
        json::{
            self,
            lists::{DatasetDocument, KnownDatasetsDocument},
        },
        text,
    },
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the data sets that this program can read, and where they come from
    List,
    /// Show what was recognised at a path, and everything odd about it
    Info {
        /// A folder, a manifest, or `synthetic[:MACHINE]`
        path: String,
        /// Split of a set of folds into training and test clips: folds[:N], recordings or random
        #[arg(
            long,
            value_name = "HOW",
            default_value = "official",
            hide_default_value = true
        )]
        split: SplitBy,
        /// Also show the disturbed clips that steer a search where no label does
        #[arg(long)]
        disturbed: bool,
    },
    /// Download a public data set, check it and unpack it
    Fetch(super::fetch::Args),
    /// Write the synthetic machine sounds as WAV files in DCASE2022 layout
    Synth {
        /// A machine; repeatable [default: all]
        #[arg(long)]
        machine: Vec<String>,
        /// The folder to write; it must be new or empty
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        match &self.command {
            Command::List => match global.json {
                true => out::print(json::render(&KnownDatasetsDocument::new(
                    data::KNOWN_DATASETS,
                )))?,
                false => out::print(text::lists::known_datasets(
                    data::KNOWN_DATASETS,
                    super::width(),
                ))?,
            },
            Command::Info {
                path,
                split,
                disturbed,
            } => {
                let mut dataset = data::named_split(path, *split)?;
                if *disturbed {
                    dataset = dataset.with_disturbed(&Kind::ALL);
                }
                let info = data::describe(&dataset);
                match global.json {
                    true => out::print(json::render(&DatasetDocument::new(&info)))?,
                    false => out::print(text::lists::dataset(&info))?,
                }
            }
            Command::Fetch(args) => args.run(global)?,
            Command::Synth { machine, to } => {
                let names = match machine.is_empty() {
                    true => synthetic::Machine::ALL
                        .map(|machine| machine.name().to_string())
                        .to_vec(),
                    false => machine.clone(),
                };
                let mut all = data::named(&format!("synthetic:{}", names[0]))?;
                for name in &names[1..] {
                    all.clips
                        .extend(data::named(&format!("synthetic:{name}"))?.clips);
                }
                synthetic::write(&all, to)?;
                let clips = all.clips.len();
                global.note(&format!(
                    "wrote {clips} clips of {} to {}",
                    names.join(", "),
                    to.display()
                ));
            }
        }
        Ok(())
    }
}
