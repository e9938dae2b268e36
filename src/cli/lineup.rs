//! `nas lineup`: the fewest networks of a run that serve devices of several sizes.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{Failure, Global, export, open, out};
use nas::{
    bundle::Prefix,
    report::{
        json::{self, lineup::LineupDocument},
        lineup::{Device, Lineup, lineup},
        text,
    },
    run::Settings,
    search::MOST_PLACES,
    units::Bytes,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(default_value = "latest")]
    run: String,
    /// The RAM of each device for the network and its front end, for example 16k,32k,64k
    #[arg(
        long = "for",
        value_name = "BYTES",
        value_delimiter = ',',
        required = true
    )]
    rooms: Vec<Bytes>,
    /// The targets, each with every size [default: those of the run]
    #[arg(long, value_name = "NAME|FILE", value_delimiter = ',')]
    targets: Vec<String>,
    /// The loss of score that a device may bear against the best network for it alone
    #[arg(long, value_name = "SCORE", default_value_t = 0.01)]
    within: f64,
    /// Export every member, once per target that it serves, into folders below this one
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        if !(0.0..=1.0).contains(&self.within) {
            return Err(Failure::usage(format!(
                "--within {} is no difference of scores; give one from 0 to 1, for example 0.01",
                self.within
            )));
        }
        let store = open::store(global)?;
        let run = store.find_run(&self.run)?;
        let settings = Settings::from_json(&run.settings_json).map_err(Failure::plain)?;
        let targets = match self.targets.is_empty() {
            true => settings.targets().map_err(Failure::plain)?,
            false => open::targets(&self.targets)?,
        };
        let devices: Vec<Device> = targets
            .iter()
            .flat_map(|target| {
                self.rooms.iter().map(|room| Device {
                    target: target.clone(),
                    ram_bytes: room.0 as f64,
                })
            })
            .collect();
        if devices.len() > MOST_PLACES {
            return Err(Failure::usage(format!(
                "{} devices are too many: targets times sizes may be {MOST_PLACES}",
                devices.len()
            )));
        }
        let found = lineup(&store, &run, &devices, self.within)?;
        match global.json {
            true => out::print(json::render(&LineupDocument::from(&found)))?,
            false => out::print(text::lineup::table(&found))?,
        }
        match &self.to {
            Some(folder) => self.export(global, &run.name, &found, folder),
            None => Ok(()),
        }
    }

    fn export(
        &self,
        global: &Global,
        run: &str,
        found: &Lineup,
        folder: &Path,
    ) -> Result<(), Failure> {
        let served = found
            .devices
            .iter()
            .enumerate()
            .filter_map(|(idx, device)| {
                // A target of the user's own is found by its file.
                let named = self.targets.get(idx / self.rooms.len());
                let named = named.unwrap_or(&device.target);
                Some((device.member.as_ref()?.trial, &device.target, named))
            });
        for (trial, target, named) in served.collect::<BTreeSet<_>>() {
            let to = folder.join(format!("{trial}-{target}"));
            export::write(
                global,
                &format!("{run}/{trial}"),
                &to,
                Some(named),
                None,
                None,
                &Prefix::default(),
            )?;
            global.note(&format!("wrote {}", to.display()));
        }
        Ok(())
    }
}
