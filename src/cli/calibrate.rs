//! `nas calibrate`: fits a profile to measurements, and shows how far it can be trusted.

use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
};

use super::{Failure, Global, open, out};
use nas::{
    graph::Graph,
    hardware::{
        self, Target, Work,
        calibrate::{
            Count, Fit, Group, Measurements, Suggestion, calibrate, calibrated_profile, fit_powers,
            next_to_measure, parse_energies,
        },
    },
    quant::QuantizedModel,
    report::{
        json::{
            self,
            calibration::{FitDocument, PowersDocument},
        },
        text,
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
    /// Read a table of energies, and fit one active power to each of its sets instead of cycles
    #[arg(long, conflicts_with_all = ["profile", "terms", "fit", "to", "suggest"])]
    power: bool,
    /// Terms to fit, separated by commas; `a + b` share one coefficient [default: those of the profile]
    #[arg(long, value_name = "TERMS", value_delimiter = ',')]
    terms: Vec<String>,
    /// What to fit where the table has both [default: cycles]
    #[arg(long, value_enum)]
    fit: Option<Fitted>,
    /// Write the fitted profile to this file, and a copy of the measurements beside it; both must be new
    #[arg(long, value_name = "FILE.toml")]
    to: Option<PathBuf>,
    /// Suggest which candidates on the front of a run to measure next
    #[arg(long, value_name = "RUN")]
    suggest: Option<String>,
    /// Number of candidates to suggest
    #[arg(long, value_name = "N", default_value_t = 3, requires = "suggest")]
    count: usize,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Fitted {
    Cycles,
    Instructions,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let file = self.measurements.display().to_string();
        let text = std::fs::read_to_string(&self.measurements)
            .map_err(|e| Failure::usage(format!("cannot read the measurements {file}: {e}")))?;
        let Some(profile) = &self.profile else {
            let powers = fit_powers(&parse_energies(&text, &file)?);
            match global.json {
                true => out::print(json::render(&PowersDocument::new(&powers)))?,
                false => out::print(text::calibration::powers(&powers))?,
            }
            return Ok(());
        };
        let target = hardware::find(profile)?;
        let folder = self.measurements.parent().unwrap_or(Path::new(""));
        let model = |name: &str| match name.ends_with(".tflite") {
            true => file_graph(&folder.join(name)),
            false => trial_graph(global, name).map_err(|failure| format!("{:#}", failure.error)),
        };
        let wanted = self.fit.map(|fit| match fit {
            Fitted::Cycles => Count::Cycles,
            Fitted::Instructions => Count::Instructions,
        });
        let measurements = Measurements::parse(&text, &file, wanted, &target, &model)?;
        let fit = calibrate(&measurements.rows, &self.groups(&target)?, &target)?;
        let suggestions = match &self.suggest {
            Some(selector) => self.suggestions(global, selector, &target, &fit)?,
            None => Vec::new(),
        };
        match global.json {
            true => out::print(json::render(&FitDocument::new(&fit, &suggestions)))?,
            false => out::print(text::calibration::text(&fit, &suggestions))?,
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
            let stem = stem.unwrap_or_default();
            let profile =
                calibrated_profile(&target.text, &stem, &fit, &measurements, &table_name)?;
            // Only a profile that can be read again is written.
            Target::parse(&profile, &to.display().to_string())?;
            write_new(&table, &text)?;
            write_new(to, &profile)?;
            global.note(&format!("wrote {} and {}", to.display(), table.display()));
        }
        Ok(())
    }

    /// Names of the candidates to measure next, with the standard errors of their predictions.
    fn suggestions(
        &self,
        global: &Global,
        selector: &str,
        target: &Target,
        fit: &Fit,
    ) -> Result<Vec<(String, f64)>, Failure> {
        let candidates = front_work(global, selector, target)?;
        let work: Vec<Work> = candidates.iter().map(|(_, work)| *work).collect();
        let named = |suggestion: &Suggestion| {
            let (name, _) = &candidates[suggestion.idx];
            (name.clone(), suggestion.standard_error)
        };
        let suggestions = next_to_measure(&work, fit, self.count);
        Ok(suggestions.iter().map(named).collect())
    }

    fn groups(&self, target: &Target) -> Result<Vec<Group>, Failure> {
        let terms = match (&self.terms[..], &target.calibration) {
            ([], Some(calibration)) => &calibration.terms,
            ([], None) => {
                return Err(Failure::usage(format!(
                    "the profile `{}` has no list of terms to fit; give `--terms`, for example \
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

/// Writes a new file.
///
/// # Errors
/// Where the file exists.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let file = std::fs::File::create_new(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => Failure::usage(format!(
                "{} already exists; choose another name",
                path.display()
            )),
            _ => Failure::plain(format!("cannot write {}: {e}", path.display())),
        })
}

/// The network of a `.tflite` file, for the `model` column of a table.
fn file_graph(path: &Path) -> Result<Graph, String> {
    let file = std::fs::read(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let model = QuantizedModel::from_tflite(&file);
    Ok(model.map_err(|e| format!("{}: {e}", path.display()))?.graph)
}

/// The network of a trial, RUN/NUMBER.
fn trial_graph(global: &Global, name: &str) -> Result<Graph, Failure> {
    let (_, _, proposal) = open::proposal(global, name)?;
    Ok(proposal.candidate.graph)
}

/// Names and work of the candidates on the fronts of a run.
fn front_work(
    global: &Global,
    selector: &str,
    target: &Target,
) -> Result<Vec<(String, Work)>, Failure> {
    let (_, _, info) = open::run(global, selector)?;
    let numbers = info.targets.iter().flat_map(|target| &target.front);
    let numbers: BTreeSet<&u64> = numbers.collect();
    if numbers.is_empty() {
        return Err(Failure::plain(format!(
            "the front of {} is still empty",
            info.run
        )));
    }
    let work = |number: &&u64| {
        let name = format!("{}/{number}", info.run);
        let graph = trial_graph(global, &name)?;
        Ok((name, hardware::cpu_work(&graph, target)))
    };
    numbers.iter().map(work).collect()
}
