//! `nas baseline`: a published network, trained, quantised, scored and costed like a searched one.

use super::{Failure, Global, search};
use crate::{
    data::SplitBy,
    report::{
        self,
        json::{self, BaselineDocument},
        table,
    },
    run::utc_now,
    space,
};

/// Where a baseline is costed unless the user says otherwise.
pub(super) const TARGETS: [&str; 3] = ["m7", "m55", "u55"];

#[derive(Debug, clap::Args)]
pub struct Args {
    /// dcase-ae, dcase-mobilenetv2, mlperf-ad, mimii-ae or p2-mlp
    name: String,
    #[command(flatten)]
    common: Common,
}

/// What every training of published networks can be told.
#[derive(Debug, clap::Args)]
pub(super) struct Common {
    /// A folder or manifest of sounds, or `synthetic[:MACHINE]` for built-in machine sounds
    #[arg(long, value_name = "PATH|synthetic[:MACHINE]")]
    data: String,
    /// What trains and what tests in a set of folds: folds[:N], recordings or random
    #[arg(
        long,
        value_name = "HOW",
        default_value = "official",
        hide_default_value = true
    )]
    split: SplitBy,
    /// A hardware target by name or TOML file; repeatable [default: m7, m55, u55]
    #[arg(long = "target", value_name = "NAME|FILE")]
    targets: Vec<String>,
    /// Determines the training
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Epochs of the training, instead of the published number
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
}

impl Common {
    /// Trains the networks in a run that is named after `what` and the time, and loads what became of it.
    pub(super) fn train(
        &self,
        global: &Global,
        names: &[&str],
        what: &str,
    ) -> Result<report::RunInfo, Failure> {
        let stamp: String = utc_now().chars().filter(char::is_ascii_digit).collect();
        let targets = match self.targets.is_empty() {
            true => TARGETS.map(String::from).to_vec(),
            false => self.targets.clone(),
        };
        let options = search::FixedOptions {
            data: self.data.clone(),
            split: self.split,
            spaces: names.iter().map(|name| name.to_string()).collect(),
            targets,
            seed: self.seed,
            epochs: self.epochs,
            name: format!("{what}-{stamp}"),
        };
        let (store, run) = search::train_fixed(global, options)?;
        let info = report::load(&store, &run)?;
        match info.scored.len() == names.len() {
            true => Ok(info),
            false => Err(Failure::plain(format!(
                "a network could not be trained; `nas show {}/0` tells why",
                run.name
            ))),
        }
    }
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let known = space::baselines();
        if !known.iter().any(|space| space.name == self.name) {
            let names: Vec<&str> = known.iter().map(|space| space.name.as_str()).collect();
            return Err(Failure::usage(format!(
                "there is no baseline `{}`; there are {}",
                self.name,
                names.join(", ")
            )));
        }
        let info = self.common.train(global, &[&self.name], &self.name)?;
        match global.json {
            true => print!(
                "{}",
                json::render(&BaselineDocument::new(&info, &info.scored[0]))
            ),
            false => print!("{}", table::trained_tables(&info, super::width())),
        }
        Ok(())
    }
}
