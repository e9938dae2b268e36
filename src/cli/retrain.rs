//! `nas retrain`: trains a found network on other clips.

use super::{Failure, Global, baseline::Common, open, out};
use nas::{
    report::{
        json::{self, BaselineDocument},
        text,
    },
    run::Settings,
    space,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A trial of a run, for example latest/17
    #[arg(value_name = "RUN/TRIAL")]
    trial: String,
    #[command(flatten)]
    common: Common,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let (run, number, proposal) = open::proposal(global, &self.trial)?;
        let settings = Settings::from_json(&run.settings_json).map_err(Failure::plain)?;
        let found = proposal.spaces.space_of(&proposal.genome);
        let alone = space::only(found, &proposal.genome)?;
        let what = format!("{}-{number}", run.name);
        let trained = self
            .common
            .train(global, &[alone], &what, Some(&settings))?;
        let info = &trained.info;
        match global.json {
            true => out::print(json::render(&BaselineDocument::new(info, &info.scored[0]))),
            false => out::print(text::front::trained_tables(info, super::width())),
        }?;
        global.note(&format!(
            "run {}: `nas show {0}/0`, `nas export {0}/0 --to DIR`",
            trained.run.name
        ));
        Ok(())
    }
}
