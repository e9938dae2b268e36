//! `nas requantise`: new int8 models of a run from its float weights, without training.

use std::sync::atomic::Ordering;

use super::{Exit, Failure, Global, exit::interruption, open, out};
use nas::{
    report::{
        self,
        json::{self, FrontDocument},
        text,
    },
    run::{self, Requantise, ScoreWith, Settings, Setup, requantise},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run whose networks are quantised again
    #[arg(default_value = "latest")]
    run: String,
    /// Name of the new run [default: the old one's and `-int8`]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    limits: super::limits::Args,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let stop = interruption();
        let mut store = open::writable_store(global)?;
        let run = store.find_run(&self.run)?;
        let settings = Settings::from_json(&run.settings_json)?;
        let features = self.limits.features(global);
        let setup = Setup::resume(&run, &settings, ScoreWith::Training, features)?;
        let folds = setup.folds().filter(|folds| folds.all().count() == 1);
        let folds = folds.ok_or_else(|| {
            Failure::usage(format!(
                "the scores of run {} are means over folds, and the float weights of only the last one are kept; search again",
                run.name
            ))
        })?;
        let name = self
            .name
            .clone()
            .unwrap_or_else(|| format!("{}-int8", run.name));
        let options = Requantise {
            spaces: &setup.spaces,
            pipeline: folds.last(),
            name: &name,
            created_utc: run::utc_now(),
            stop,
        };
        let Some(made) = requantise(&mut store, &run, &options)? else {
            return Err(match stop.load(Ordering::Relaxed) {
                true => Failure::new(
                    Exit::Interrupted,
                    anyhow::anyhow!("interrupted; nothing was recorded"),
                ),
                false => Failure::plain(format!(
                    "run {} has kept no float weights, as runs of older programs have not; search again",
                    run.name
                )),
            });
        };
        global.note(&format!("run {}: {} models", made.run.name, made.done));
        if made.without_weights > 0 {
            global.note(&format!(
                "note: {} trials have kept no float weights, and are left out",
                made.without_weights
            ));
        }
        let info = report::load(&store, &made.run)?;
        match global.json {
            true => out::print(json::render(&FrontDocument::new(&info)))?,
            false => out::print(text::front::front_tables(&info, super::width()))?,
        }
        Ok(())
    }
}
