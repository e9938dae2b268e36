//! `nas calibrate`: fits a profile to measurements, and says how far it can be trusted.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use super::{Failure, Global, open};
use crate::{
    report::{calibration, json},
    run::Settings,
    target::{
        self, Target,
        calibrate::{
            Group, Measurements, Work, calibrate, calibrated_profile, fit_powers, next_to_measure,
            parse_energies,
        },
    },
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A table with one measured network per row (docs/estimates.md)
    #[arg(long, value_name = "FILE.csv")]
    measurements: PathBuf,
    /// The profile to fit: a built-in target or a TOML file
    #[arg(long, value_name = "NAME|FILE", required_unless_present = "power")]
    profile: Option<String>,
    /// The table has energies: fit one active power to each of its sets, and no cycles
    #[arg(long, conflicts_with_all = ["profile", "terms", "to", "suggest"])]
    power: bool,
    /// Terms to fit, separated by commas; `a + b` share one coefficient; as in the profile where left out
    #[arg(long, value_name = "TERMS", value_delimiter = ',')]
    terms: Vec<String>,
    /// Write the fitted profile here, and a copy of the measurements beside it; both must not exist
    #[arg(long, value_name = "FILE.toml")]
    to: Option<PathBuf>,
    /// Say which candidates on the front of a run to measure next
    #[arg(long, value_name = "RUN")]
    suggest: Option<String>,
    /// How many candidates to suggest
    #[arg(long, value_name = "N", default_value_t = 3, requires = "suggest")]
    count: usize,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let file = self.measurements.display().to_string();
        let text = std::fs::read_to_string(&self.measurements)
            .map_err(|e| Failure::usage(format!("cannot read the measurements {file}: {e}")))?;
        let Some(profile) = &self.profile else {
            let powers = fit_powers(&parse_energies(&text, &file)?);
            match global.json {
                true => print!("{}", json::render(&calibration::powers_document(&powers))),
                false => print!("{}", calibration::powers(&powers)),
            }
            return Ok(());
        };
        let target = target::find(profile)?;
        let model = |name: &str| trial_work(global, name, &target);
        let measurements = Measurements::parse(&text, &file, &model)?;
        let fit = calibrate(&measurements.rows, &self.groups(&target)?, &target)?;
        match global.json {
            true => print!("{}", json::render(&calibration::document(&fit))),
            false => print!("{}", calibration::text(&fit)),
        }
        if let Some(selector) = &self.suggest {
            let candidates = front_work(global, selector, &target)?;
            let work: Vec<Work> = candidates.iter().map(|(_, work)| *work).collect();
            for suggestion in next_to_measure(&work, &fit, self.count) {
                println!(
                    "measure {} (standard error of its prediction {:.1} %)",
                    candidates[suggestion.idx].0,
                    100.0 * suggestion.standard_error
                );
            }
        }
        if let Some(to) = &self.to {
            let table = to.with_extension("csv");
            let name = |path: &Path| {
                path.file_name()
                    .map(|name| name.to_string_lossy().into_owned())
            };
            let table_name = name(&table).unwrap_or_default();
            let stem = to
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned());
            let renamed = target.renamed(&stem.unwrap_or_default());
            let profile = calibrated_profile(&renamed.text, &fit, &measurements, &table_name)?;
            // Only a profile that can be read back is written.
            Target::parse(&profile, &to.display().to_string())?;
            write_new(&table, &text)?;
            write_new(to, &profile)?;
            global.note(&format!("wrote {} and {}", to.display(), table.display()));
        }
        Ok(())
    }

    fn groups(&self, target: &Target) -> Result<Vec<Group>, Failure> {
        let terms = match (&self.terms[..], &target.calibration) {
            ([], Some(calibration)) => &calibration.terms,
            ([], None) => {
                return Err(Failure::usage(format!(
                    "the profile `{}` does not say which terms to fit; give `--terms`, for example \
                     --terms 'conv_mac + pointwise_mac, conv_output + pointwise_output'",
                    target.name
                )));
            }
            (terms, _) => terms,
        };
        Ok(terms
            .iter()
            .map(|text| Group::parse(text))
            .collect::<Result<_, _>>()?)
    }
}

/// Writes a file that must not exist.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let file = std::fs::File::create_new(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => Failure::usage(format!(
                "{} exists, and is not overwritten; choose another name",
                path.display()
            )),
            _ => Failure::plain(format!("cannot write {}: {e}", path.display())),
        })
}

/// Work of a trial, for the `model` column of a table.
fn trial_work(global: &Global, name: &str, target: &Target) -> Result<Work, String> {
    let wanted =
        || format!("`{name}` is not a trial; write RUN/NUMBER, or give the work in columns");
    let (selector, number) = open::run_and_trial(name).map_err(|e| e.error.to_string())?;
    let number = number.ok_or_else(wanted)?;
    let found = candidates(global, selector, target, &mut |trial| trial == number);
    let found = found.map_err(|e| format!("{:#}", e.error))?;
    found.first().map(|(_, work)| *work).ok_or_else(wanted)
}

/// Name and work of the candidates on the front of a run's first target.
fn front_work(
    global: &Global,
    selector: &str,
    target: &Target,
) -> Result<Vec<(String, Work)>, Failure> {
    let (_, _, info) = open::run(global, selector)?;
    let front: Vec<u64> = info
        .targets
        .iter()
        .flat_map(|target| target.front.clone())
        .collect();
    let found = candidates(global, selector, target, &mut |trial| {
        front.contains(&trial)
    })?;
    match found.is_empty() {
        true => Err(Failure::plain(format!(
            "nothing is on the front of {} yet",
            info.run
        ))),
        false => Ok(found),
    }
}

/// Name and work of some trials of a run.
fn candidates(
    global: &Global,
    selector: &str,
    target: &Target,
    is_wanted: &mut dyn FnMut(u64) -> bool,
) -> Result<Vec<(String, Work)>, Failure> {
    let store = open::store(global)?;
    let run = store.find_run(selector)?;
    let settings = Settings::from_json(&run.settings_json).map_err(Failure::plain)?;
    let spaces = settings.spaces().map_err(Failure::plain)?;
    let mut found = Vec::new();
    for trial in store.trials(run.id)? {
        let number = trial.number as u64;
        if !is_wanted(number) {
            continue;
        }
        let genome = spaces.decode_bytes(&trial.genome).ok_or_else(|| {
            Failure::plain(format!("the genome of {}/{number} is damaged", run.name))
        })?;
        let graph = spaces.decode(&genome).graph;
        found.push((
            format!("{}/{number}", run.name),
            target::cpu_work(&graph, target),
        ));
    }
    Ok(found)
}
