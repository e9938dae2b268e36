//! Tables of measurements: one row per network, its work in one column per term.

use std::collections::HashMap;

use super::Work;
use crate::target::Term;

/// One measured network.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    pub name: String,
    /// Networks of one kind and its sizes: what must be left out together to test a fit.
    pub family: String,
    pub work: Work,
    /// Cycles or instructions of one inference.
    pub count: f64,
    pub source: String,
}

/// A table with what it counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurements {
    pub count: Count,
    pub rows: Vec<Measurement>,
}

/// What a table counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    Cycles,
    /// Exact counts of an emulator.
    Instructions,
}

/// A table that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("cannot read the measurements {file}: {source}")]
    Csv { file: String, source: csv::Error },
    #[error("{file}: the column `{column}` is not known; there are {known}")]
    UnknownColumn {
        file: String,
        column: String,
        known: String,
    },
    #[error("{file}: the column `{column}` is missing")]
    MissingColumn { file: String, column: &'static str },
    #[error(
        "{file}, row {row}: give `cycles`, or `latency_ms` with `clock_mhz`, or `instructions`, as in all rows"
    )]
    NoCount { file: String, row: usize },
    #[error("{file}, row {row}: `{column}` must be a number that is not negative, but is `{text}`")]
    Number {
        file: String,
        row: usize,
        column: String,
        text: String,
    },
    #[error("{file}, row {row}: `{column}` is empty or zero")]
    Empty {
        file: String,
        row: usize,
        column: &'static str,
    },
    #[error("{file}, row {row}: {message}")]
    Model {
        file: String,
        row: usize,
        message: String,
    },
    #[error("{file}: there are no rows")]
    NoRows { file: String },
}

/// Columns that are not terms. `note`, `chip` and `kind` are for readers.
const COLUMNS: [&str; 11] = [
    "name",
    "family",
    "chip",
    "kind",
    "clock_mhz",
    "latency_ms",
    "cycles",
    "instructions",
    "model",
    "source",
    "note",
];

impl Measurements {
    /// Reads a table; `model` turns the text of a row's `model` column into the work of that network.
    pub fn parse(
        text: &str,
        file: &str,
        model: &dyn Fn(&str) -> Result<Work, String>,
    ) -> Result<Measurements, TableError> {
        let (header, records) = rows(text, file)?;
        check_columns(&header, file)?;
        let mut measurements = Vec::new();
        let mut counts = Vec::new();
        for row in row_views(&header, &records, file) {
            let (count, value) = row.count()?;
            counts.push(count);
            if count != counts[0] {
                return Err(row.no_count());
            }
            measurements.push(Measurement {
                name: row.text("name")?,
                family: row.text("family")?,
                work: row.work(model)?,
                count: value,
                source: row.text("source")?,
            });
        }
        match counts.first() {
            Some(&count) => Ok(Measurements {
                count,
                rows: measurements,
            }),
            None => Err(TableError::NoRows {
                file: file.to_string(),
            }),
        }
    }
}

/// Header and records of a table; lines that begin with `#` are for readers.
pub(super) fn rows(
    text: &str,
    file: &str,
) -> Result<(csv::StringRecord, Vec<csv::StringRecord>), TableError> {
    let csv_error = |source| TableError::Csv {
        file: file.to_string(),
        source,
    };
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(csv_error)?.clone();
    let records = reader
        .records()
        .collect::<Result<_, _>>()
        .map_err(csv_error)?;
    Ok((header, records))
}

/// The records with their columns by name.
pub(super) fn row_views<'a>(
    header: &'a csv::StringRecord,
    records: &'a [csv::StringRecord],
    file: &'a str,
) -> Vec<Row<'a>> {
    let view = |(idx, record): (usize, &'a csv::StringRecord)| Row {
        file,
        // The header is the first row, as a spreadsheet counts.
        row: idx + 2,
        cells: header.iter().zip(record.iter()).collect(),
    };
    records.iter().enumerate().map(view).collect()
}

pub(super) fn require_column(
    header: &csv::StringRecord,
    file: &str,
    column: &'static str,
) -> Result<(), TableError> {
    match header.iter().any(|name| name == column) {
        true => Ok(()),
        false => Err(TableError::MissingColumn {
            file: file.to_string(),
            column,
        }),
    }
}

fn check_columns(header: &csv::StringRecord, file: &str) -> Result<(), TableError> {
    let terms = || Term::ALL.into_iter().filter(|term| !term.is_front_end());
    let known = || COLUMNS.into_iter().chain(terms().map(Term::key));
    if let Some(column) = header
        .iter()
        .find(|name| known().all(|known| known != *name))
    {
        return Err(TableError::UnknownColumn {
            file: file.to_string(),
            column: column.to_string(),
            known: known().collect::<Vec<_>>().join(", "),
        });
    }
    ["name", "family", "source"]
        .into_iter()
        .try_for_each(|column| require_column(header, file, column))
}

/// One record with its columns by name.
pub(super) struct Row<'a> {
    file: &'a str,
    row: usize,
    cells: HashMap<&'a str, &'a str>,
}

impl Row<'_> {
    pub(super) fn text(&self, column: &'static str) -> Result<String, TableError> {
        match self.cells.get(column) {
            Some(text) if !text.is_empty() => Ok(text.to_string()),
            _ => Err(self.empty(column)),
        }
    }

    pub(super) fn empty(&self, column: &'static str) -> TableError {
        TableError::Empty {
            file: self.file.to_string(),
            row: self.row,
            column,
        }
    }

    /// The number of a column; `None` where the column or the cell is missing.
    pub(super) fn number(&self, column: &str) -> Result<Option<f64>, TableError> {
        let Some(text) = self.cells.get(column).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() && value >= 0.0 => Ok(Some(value)),
            _ => Err(TableError::Number {
                file: self.file.to_string(),
                row: self.row,
                column: column.to_string(),
                text: text.to_string(),
            }),
        }
    }

    fn count(&self) -> Result<(Count, f64), TableError> {
        let latency = match (self.number("latency_ms")?, self.number("clock_mhz")?) {
            (Some(ms), Some(mhz)) => Some(ms * mhz * 1e3),
            _ => None,
        };
        let cycles = self.number("cycles")?.or(latency);
        match (cycles, self.number("instructions")?) {
            (Some(cycles), None) if cycles > 0.0 => Ok((Count::Cycles, cycles)),
            (None, Some(instructions)) if instructions > 0.0 => {
                Ok((Count::Instructions, instructions))
            }
            _ => Err(self.no_count()),
        }
    }

    fn no_count(&self) -> TableError {
        TableError::NoCount {
            file: self.file.to_string(),
            row: self.row,
        }
    }

    fn work(&self, model: &dyn Fn(&str) -> Result<Work, String>) -> Result<Work, TableError> {
        if let Some(name) = self.cells.get("model").filter(|name| !name.is_empty()) {
            return model(name).map_err(|message| TableError::Model {
                file: self.file.to_string(),
                row: self.row,
                message,
            });
        }
        let mut work = [0.0; Term::COUNT];
        for term in Term::ALL {
            work[term as usize] = self.number(term.key())?.unwrap_or(0.0);
        }
        Ok(work)
    }
}
