//! The command line: one file per subcommand. Only this module reads arguments, prints, and chooses exit codes.
//!
//! This module may not know how anything is trained, costed, stored or drawn; it hands that work down.

mod baseline;
mod budget;
mod cache;
mod calibrate;
mod compare;
mod completions;
mod data;
mod decide;
mod estimate;
mod events;
mod exit;
mod explain;
mod export;
mod fetch;
mod front;
mod introduce;
mod judge;
mod limits;
mod lineup;
mod measure;
mod npu;
mod open;
mod out;
mod progress;
mod report;
mod requantise;
mod rescore;
mod retrain;
mod runs;
mod score;
mod search;
mod show;
mod spaces;
mod split;
mod stress;
mod taped;
mod targets;
mod trials;
mod verify;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

pub use exit::{Exit, Failure};

/// Finds neural networks for sound that fit a microcontroller.
#[derive(Debug, Parser)]
#[command(name = "nas", version, about, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Args {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
A run is named by `latest`, its name or a unique beginning of it; a trial by RUN/NUMBER.
stdout carries data, stderr messages.

Exit codes: 0 ok, 1 failure, 2 usage, 3 nothing fits the budget, 5 store locked or damaged, 130 interrupted.";

/// Where `--help` lists the options of every command.
const GLOBAL: &str = "Global options";

/// The store that commands use unless the user names another.
const STORE: &str = "runs/nas.sqlite";

/// Options that every command has.
#[derive(Debug, clap::Args)]
pub struct Global {
    /// The database of runs; models and pictures are in folders beside it
    #[arg(
        long,
        global = true,
        help_heading = GLOBAL,
        value_name = "PATH",
        default_value = STORE
    )]
    store: PathBuf,
    /// Print a JSON document (docs/json.md) instead of text
    #[arg(long, global = true, help_heading = GLOBAL)]
    json: bool,
    /// Say less: no progress, no notes
    #[arg(short, long, global = true, help_heading = GLOBAL, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more; twice for every trial
    #[arg(short, long, global = true, help_heading = GLOBAL, action = clap::ArgAction::Count)]
    verbose: u8,
}

impl Global {
    /// The folder of the store; paths of artefacts are relative to it.
    fn folder(&self) -> PathBuf {
        let parent = self.store.parent().unwrap_or(std::path::Path::new(""));
        if parent.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            parent.to_path_buf()
        }
    }

    /// The folder of a run: its models and pictures.
    fn run_folder(&self, run: &str) -> PathBuf {
        self.folder().join(nas::store::run_path(&self.store, run))
    }

    /// A message for people who want to know more, on stderr.
    fn detail(&self, text: &str) {
        if self.verbose > 0 {
            out::note(text);
        }
    }

    /// What is kept between commands, and can be made again.
    fn cache(&self) -> PathBuf {
        self.folder().join("cache")
    }

    /// Where images of firmware are built and kept.
    fn images(&self) -> PathBuf {
        self.cache().join("firmware")
    }

    /// A message for people, on stderr.
    fn note(&self, text: &str) {
        if !self.quiet {
            out::note(text);
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Search networks for a data set and a target
    Search(Box<search::Args>),
    /// List the runs of the store, or remove one
    Runs(runs::Args),
    /// Show how much features and firmware images take, or remove them
    Cache(cache::Args),
    /// Show a run, or one of its trials
    Show(show::Args),
    /// Print the Pareto front of a run
    Front(front::Args),
    /// List all trials of a run with their axes, also as CSV
    Trials(trials::Args),
    /// Draw the Pareto front and the hypervolume of a run as SVG and PNG
    Report(report::Args),
    /// Train the front of a run again with further seeds, so that lucky trials fall off it
    Rescore(rescore::Args),
    /// Make new int8 models of a run's networks from their float weights, without training
    Requantise(requantise::Args),
    /// Judge every labelled test clip by a found network: tables, confusion matrix, curves
    Judge(judge::Args),
    /// Run found models as firmware, in QEMU or on a board
    Measure(measure::Args),
    /// Write a found model with its firmware into a folder
    Export(export::Args),
    /// Run an exported folder against its golden vectors
    Verify(verify::Args),
    /// Train a published network as a yardstick
    Baseline(baseline::Args),
    /// Train a found network on other clips
    Retrain(retrain::Args),
    /// Compare reconstruction and classification on all targets, with the published networks
    CompareApproaches(compare::Args),
    /// Find the fewest networks of a run that serve devices of several sizes
    Lineup(lineup::Args),
    /// Score sound clips with a found model
    Score(score::Args),
    /// Choose when a found model raises alarms, and say how many to expect
    Decide(decide::Args),
    /// Hear clips as other microphones would, and show what is left of a found model
    Stress(stress::Args),
    /// Estimate what an int8 network costs on the targets
    Estimate(estimate::Args),
    /// Show what a network that Vela compiled does on the NPU, operation by operation
    Npu(npu::Args),
    /// Show why a trial is over budget, and the smallest changes that make it fit
    Explain(explain::Args),
    /// List the search spaces
    Spaces(spaces::Args),
    /// List the hardware targets
    Targets(targets::Args),
    /// Fit a target's cycle coefficients to measurements
    Calibrate(calibrate::Args),
    /// Look at data sets
    Data(data::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

/// Runs the command that the process was given.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let global = &args.global;
    let result = match args.command {
        Command::Search(args) => args.run(global),
        Command::Runs(args) => args.run(global),
        Command::Cache(args) => args.run(global),
        Command::Show(args) => args.run(global),
        Command::Front(args) => args.run(global),
        Command::Trials(args) => args.run(global),
        Command::Report(args) => args.run(global),
        Command::Rescore(args) => args.run(global),
        Command::Requantise(args) => args.run(global),
        Command::Judge(args) => args.run(global),
        Command::Measure(args) => args.run(global),
        Command::Export(args) => args.run(global),
        Command::Verify(args) => args.run(global),
        Command::Baseline(args) => args.run(global),
        Command::Retrain(args) => args.run(global),
        Command::CompareApproaches(args) => args.run(global),
        Command::Lineup(args) => args.run(global),
        Command::Score(args) => args.run(global),
        Command::Decide(args) => args.run(global),
        Command::Stress(args) => args.run(global),
        Command::Estimate(args) => args.run(global),
        Command::Npu(args) => args.run(global),
        Command::Explain(args) => args.run(global),
        Command::Spaces(args) => args.run(global),
        Command::Targets(args) => args.run(global),
        Command::Calibrate(args) => args.run(global),
        Command::Data(args) => args.run(global),
        Command::Completions(args) => args.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if failure.exit != Exit::ReaderGone {
                out::note(format!("error: {}", failure.sentence()));
            }
            if failure.is_full_disk() {
                out::note("no space is left: make some, then run this again or resume");
            }
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// Columns that a table may take: what `COLUMNS` says, else those of the terminal; 120 where there is none.
fn width() -> usize {
    let columns = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    let terminal = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    columns.or_else(terminal).unwrap_or(120)
}
