//! `nas rescore`: trains the front of a run again with further seeds, so that lucky trials fall off it.

use std::sync::atomic::AtomicBool;

use super::{Exit, Failure, Global, exit::interruption, open, out, search};
use nas::{
    report::{
        self, files,
        json::{self, FrontDocument},
        text,
    },
    run::{Finish, Pace, Rescore, Settings, Setup, rescore},
    store::{Run, RunLock, Store},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(default_value = "latest")]
    run: String,
    /// Number of further trainings of every member of a front; its figures are then their means
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Also train trials off the front again, if an AUC higher by this would put them on it
    #[arg(long, value_name = "AUC", default_value_t = 0.01, value_parser = near)]
    near: f64,
    /// Networks that train at the same time; the results do not depend on it [default: all cores]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    #[command(flatten)]
    limits: super::limits::Args,
    /// Score by a formula instead of training, to test the tool itself
    #[arg(long, hide = true)]
    debug_formula: bool,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        if self.jobs == Some(0) {
            return Err(Failure::usage("--jobs must be at least 1"));
        }
        let stop = interruption();
        let mut store = open::writable_store(global)?;
        let run = store.find_run(&self.run)?;
        let before = report::load(&store, &run)?;
        let options = Options {
            seeds: 1..self.seeds + 1,
            near: self.near,
            jobs: self.jobs,
            by_formula: self.debug_formula,
            limits: self.limits,
        };
        train_again(global, &mut store, &run, options, stop)?;
        let info = report::load(&store, &run)?;
        match global.json {
            true => out::print(json::render(&FrontDocument::new(&info)))?,
            false => out::print(text::front::front_tables(&info, super::width()))?,
        }
        for (before, after) in before.targets.iter().zip(&info.targets) {
            let gone: Vec<String> = before
                .front
                .iter()
                .filter(|trial| !after.front.contains(trial))
                .map(u64::to_string)
                .collect();
            if !gone.is_empty() {
                global.note(&format!(
                    "off the front on {}: {}",
                    after.name,
                    gone.join(", ")
                ));
            }
        }
        for file in files::write_figures(&info, &global.run_folder(&run.name))? {
            global.note(&format!("wrote {}", file.display()));
        }
        Ok(())
    }
}

/// How to train trials again.
pub(super) struct Options {
    /// Offsets from the run's seed.
    pub seeds: std::ops::Range<u64>,
    pub near: f64,
    pub jobs: Option<usize>,
    pub by_formula: bool,
    pub limits: super::limits::Args,
}

/// Trains the front of a run again.
///
/// # Errors
/// Also where it is interrupted.
pub(super) fn train_again(
    global: &Global,
    store: &mut Store,
    run: &Run,
    options: Options,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let settings = Settings::from_json(&run.settings_json)?;
    let _lock = RunLock::acquire(&global.run_folder(&run.name))?;
    let scores = search::score_with(options.by_formula);
    let features = options.limits.features(global);
    let setup = Setup::resume(run, &settings, scores, features)?;
    for note in &setup.notes {
        global.note(&format!("note: {note}"));
    }
    let rescoring = Rescore {
        spaces: &setup.spaces,
        evaluator: setup.evaluator(),
        seeds: options.seeds,
        near: options.near,
        limit: None,
        pace: Pace::new(options.jobs, stop),
    };
    let finish = rescore(store, run, &rescoring, &mut |progress| {
        global.note(&match progress.done {
            0 => format!(
                "round {}: {} more trials, {} trainings",
                progress.round, progress.trials, progress.wanted
            ),
            done => format!("[{done}/{}] {}", progress.wanted, progress.news),
        });
    })?;
    match finish {
        Finish::Interrupted => Err(Failure::new(
            Exit::Interrupted,
            anyhow::anyhow!("interrupted; the same command continues"),
        )),
        _ => Ok(()),
    }
}

fn near(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(near) if (0.0..=1.0).contains(&near) => Ok(near),
        _ => Err("give a difference of AUC from 0 to 1, for example 0.01".to_string()),
    }
}
