//! `nas data fetch`: downloads a public data set after its licence is accepted.

use std::{
    io::{BufRead, IsTerminal},
    path::PathBuf,
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Failure, Global, out};
use nas::data::fetch::{self, Event, FetchError, Options};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A data set: dcase2020 to dcase2024, mimii, urbansound8k or esc50
    name: String,
    /// A machine; repeatable [default: all]
    #[arg(long)]
    machine: Vec<String>,
    /// Parts: dev, train and eval of DCASE; -6_dB, 0_dB and 6_dB of MIMII; or all [default: dev, or 0_dB]
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    part: Vec<String>,
    /// The folder to unpack into; it is created if it does not exist
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Accept the licence without being asked
    #[arg(long)]
    yes: bool,
    /// Use only archives that are already in DIR
    #[arg(long)]
    offline: bool,
    /// Keep the archives in DIR
    #[arg(long)]
    keep_archives: bool,
    /// A server that has the files of zenodo.org under the same paths
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let (dataset, known, archives) = fetch::select(&self.name, &self.machine, &self.part)?;
        // Always shown: the user should know the terms of the data.
        out::note(format!(
            "{}: {} ({})",
            known.name, dataset.licence, known.terms
        ));
        for archive in &archives {
            global.note(&format!("  {}", archive.address(self.mirror.as_deref())));
        }
        if !self.yes && !self.agreed()? {
            return Err(Failure::plain("nothing was fetched"));
        }
        let options = Options {
            mirror: self.mirror.clone(),
            offline: self.offline,
            keep_archives: self.keep_archives,
            stall: Options::STALL,
            first_pause: Options::FIRST_PAUSE,
        };
        let mut display = Display::new(global);
        fetch::fetch(&archives, &self.to, &options, &mut |event| {
            display.show(event)
        })?;
        global.note(&format!(
            "done; `nas data info {}` shows what is there",
            self.to.display()
        ));
        Ok(())
    }

    fn agreed(&self) -> Result<bool, Failure> {
        if !std::io::stdin().is_terminal() {
            return Err(Failure::usage(
                "there is no terminal to agree to the licence; --yes agrees",
            ));
        }
        out::ask(format!(
            "Agree, and fetch into {}? [y/N] ",
            self.to.display()
        ));
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Failure {
        match error {
            FetchError::UnknownSet { .. }
            | FetchError::UnknownMachine { .. }
            | FetchError::UnknownPart { .. } => Failure::usage(error),
            error => Failure::plain(error),
        }
    }
}

/// A bar on a terminal, lines elsewhere.
struct Display<'a> {
    global: &'a Global,
    bar: Option<ProgressBar>,
}

impl<'a> Display<'a> {
    fn new(global: &'a Global) -> Display<'a> {
        let has_bar = !global.quiet && std::io::stderr().is_terminal();
        let bar = has_bar.then(|| {
            let style = ProgressStyle::with_template(
                "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            );
            ProgressBar::new(0).with_style(style.expect("the template is valid"))
        });
        Display { global, bar }
    }

    fn show(&mut self, event: Event) {
        let line = match event {
            Event::Downloading(file, done, total) => {
                if let Some(bar) = &self.bar {
                    bar.set_message(file.to_string());
                    bar.set_length(total.unwrap_or(done));
                    bar.set_position(done);
                }
                return;
            }
            Event::Retrying(file, cause) => format!("{file}: {cause}; trying again"),
            Event::Checking(file) => format!("{file}: checking its checksum"),
            Event::Unpacking(file) => format!("{file}: unpacking"),
            Event::Present(file) => format!("{file}: already fetched"),
        };
        match &self.bar {
            Some(bar) => bar.suspend(|| self.global.note(&line)),
            None => self.global.note(&line),
        }
    }
}
