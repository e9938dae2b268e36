//! Results that another search has found already, and from which this one starts.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Objective, RunError, Settings, front::mean_figures, record::scored_figures};
use crate::{
    score::{Figure, Figures},
    search::Earlier,
    space::Spaces,
    store::{Run, Store, TrialOutcome},
};

/// The results of one run, or of one table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlierResults {
    /// The run, or the file.
    pub from: String,
    /// One per network, in the order of the source.
    pub results: Vec<EarlierResult>,
}

/// What one network was worth elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlierResult {
    /// Name of the space.
    pub space: String,
    /// The values of its axes by name, as `nas show` prints them; axes of other spaces may be among them.
    pub axes: BTreeMap<String, String>,
    /// Its scores, by the keys of the figures, for example `auc_int8`.
    pub scores: BTreeMap<String, f64>,
}

/// A table of results that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EarlierError {
    /// The file cannot be read as CSV.
    #[error("cannot read `{}`", path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        source: csv::Error,
    },
    /// A column is missing.
    #[error(
        "`{}` has no column `{column}`; `nas trials RUN --csv` prints such tables",
        path.display()
    )]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// A score is no number from 0 to 1.
    #[error("`{}`, line {line}: {column} is `{value}`, which is no number from 0 to 1", path.display())]
    Score {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column.
        column: String,
        /// What stands there.
        value: String,
    },
}

/// The scored trials of a run; scores are means where a trial was trained again.
///
/// # Errors
/// [`RunError`] where the store or the run's settings cannot be read, or a genome is not of its spaces.
pub fn earlier_of_run(store: &Store, run: &Run) -> Result<EarlierResults, RunError> {
    let spaces = Settings::from_json(&run.settings_json)?.spaces()?;
    let evaluations = store.evaluations(run.id)?;
    let means = mean_figures(&store.repeats(run.id)?, &evaluations);
    let mut results = Vec::new();
    for row in store.trials(run.id)? {
        let TrialOutcome::Scored { evaluation_key } = &row.outcome else {
            continue;
        };
        let own = evaluations.get(evaluation_key).and_then(scored_figures);
        let Some(figures) = means.get(&row.number).copied().or(own) else {
            continue;
        };
        let number = row.number as usize;
        let genome = spaces
            .decode_bytes(&row.genome)
            .ok_or(RunError::Genome { number })?;
        let axes = spaces.explain(&genome).into_iter();
        results.push(EarlierResult {
            space: row.space,
            axes: axes
                .map(|(name, value)| (name.to_string(), value))
                .collect(),
            scores: steering(&figures),
        });
    }
    Ok(EarlierResults {
        from: run.name.clone(),
        results,
    })
}

/// The scores that can steer, by their keys.
fn steering(figures: &Figures) -> BTreeMap<String, f64> {
    let known = figures.known();
    let steers = known.filter(|(figure, _)| *figure == Figure::steering(figure.measure));
    steers
        .map(|(figure, value)| (figure.key(), value))
        .collect()
}

/// A table like that of `nas trials RUN --csv`: a column `space`, one per axis, and scores by their keys.
///
/// Other columns do not matter. A line without a score is passed over, and of several lines of one network the first counts.
///
/// # Errors
/// [`EarlierError`].
pub fn earlier_of_table(path: &Path) -> Result<EarlierResults, EarlierError> {
    let csv_error = |source: csv::Error| EarlierError::Csv {
        path: path.to_path_buf(),
        source,
    };
    let mut reader = csv::Reader::from_path(path).map_err(csv_error)?;
    let header = reader.headers().map_err(csv_error)?.clone();
    let missing = |column: &str| EarlierError::Column {
        path: path.to_path_buf(),
        column: column.to_string(),
    };
    let place = |column: &str| header.iter().position(|name| name == column);
    let space = place("space").ok_or_else(|| missing("space"))?;
    let keys: BTreeSet<String> = Objective::all()
        .filter_map(|objective| match objective {
            Objective::Score(measure) => Some(Figure::steering(measure).key()),
            Objective::Cost(_) => None,
        })
        .collect();
    let scored: Vec<usize> = (0..header.len())
        .filter(|&idx| keys.contains(&header[idx]))
        .collect();
    if scored.is_empty() {
        return Err(missing("auc_int8"));
    }
    let mut seen = BTreeSet::new();
    let mut results = Vec::new();
    for record in reader.records() {
        let record = record.map_err(csv_error)?;
        // Spreadsheets are kept from taking a text for a formula by an apostrophe.
        let cell = |idx: usize| record.get(idx).unwrap_or_default().trim_start_matches('\'');
        let mut scores = BTreeMap::new();
        for &idx in scored.iter().filter(|&&idx| !cell(idx).is_empty()) {
            let value = cell(idx).parse().ok();
            let value = value.filter(|value| (0.0..=1.0).contains(value));
            let value = value.ok_or_else(|| EarlierError::Score {
                path: path.to_path_buf(),
                line: record.position().map_or(0, csv::Position::line),
                column: header[idx].to_string(),
                value: cell(idx).to_string(),
            })?;
            scores.insert(header[idx].to_string(), value);
        }
        let axes: BTreeMap<String, String> = (0..header.len())
            .filter(|&idx| idx != space && !scored.contains(&idx) && !cell(idx).is_empty())
            .map(|idx| (header[idx].to_string(), cell(idx).to_string()))
            .collect();
        if scores.is_empty() {
            continue;
        }
        results.push(EarlierResult {
            space: cell(space).to_string(),
            axes,
            scores,
        });
    }
    results
        .retain(|result: &EarlierResult| seen.insert((result.space.clone(), result.axes.clone())));
    Ok(EarlierResults {
        from: path.display().to_string(),
        results,
    })
}

impl EarlierResults {
    /// The results that these spaces and objectives can use, once per network. Costs are this search's own.
    pub fn in_terms_of(
        &self,
        spaces: &Spaces,
        objectives: &[Objective],
        references: &[f64],
    ) -> Vec<Earlier> {
        let mut seen = BTreeSet::new();
        let usable = |result: &EarlierResult| {
            let genome = spaces.find(&result.space, &result.axes)?;
            if spaces.is_fitted(&genome) || !seen.insert(spaces.encode(&genome)) {
                return None;
            }
            let share = |(objective, reference): (&Objective, &f64)| match objective {
                Objective::Score(measure) => {
                    let score = result.scores.get(&Figure::steering(*measure).key())?;
                    Some((1.0 - score) / reference)
                }
                Objective::Cost(_) => None,
            };
            let shares: Vec<Option<f64>> = objectives.iter().zip(references).map(share).collect();
            let mut pairs = objectives.iter().zip(&shares);
            let knows_all = pairs.all(|(objective, share)| objective.is_cost() || share.is_some());
            knows_all.then_some(Earlier {
                genome,
                objectives: shares,
            })
        };
        self.results.iter().filter_map(usable).collect()
    }
}
