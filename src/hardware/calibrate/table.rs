//! Tables of measurements: one row per network, with a name of its network or one column of work per term.

use std::collections::HashMap;

use crate::{
    graph::{Graph, text},
    hardware::{Target, Term, Work, cpu_work},
};

/// One measured network.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// Name of the network.
    pub name: String,
    /// Networks of one kind and its sizes; a test of a fit leaves them out together.
    pub family: String,
    /// Amounts of work, by [`Term`].
    pub work: Work,
    /// Cycles or instructions of one inference, above zero.
    pub count: f64,
    /// Where the measurement comes from.
    pub source: String,
}

/// A table of measurements.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurements {
    /// What all of its rows count.
    pub count: Count,
    /// Whether a row was computed by a model of the core and not seen; the column `kind` says so.
    pub is_estimated: bool,
    /// The measurements, in the order of the file.
    pub rows: Vec<Measurement>,
}

/// What a table counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Cycles of a core, measured or estimated.
    Cycles,
    /// Exact counts of an emulator.
    Instructions,
}

/// A table that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The file is not readable or not CSV.
    #[error("cannot read the measurements {file}: {source}")]
    Csv {
        /// Path of the table.
        file: String,
        /// The error of the reader.
        source: csv::Error,
    },
    /// The header has a column that is neither a term nor one of the fixed names.
    #[error("{file}: the column `{column}` is not known; known columns are {known}")]
    UnknownColumn {
        /// Path of the table.
        file: String,
        /// The unknown name.
        column: String,
        /// All known names, separated by commas.
        known: String,
    },
    /// The header lacks a required column.
    #[error("{file}: the column `{column}` is missing")]
    MissingColumn {
        /// Path of the table.
        file: String,
        /// Name of the column.
        column: &'static str,
    },
    /// A row has no count, or another kind of count than the rows before it.
    #[error(
        "{file}, row {row}: give `cycles`, or `latency_ms` with `clock_mhz`, or `instructions`, as in all rows"
    )]
    NoCount {
        /// Path of the table.
        file: String,
        /// Row as a spreadsheet counts: the header is row 1.
        row: usize,
    },
    /// A cell is not a number, or negative.
    #[error("{file}, row {row}: `{column}` must be zero or a positive number, but is `{text}`")]
    Number {
        /// Path of the table.
        file: String,
        /// Row as a spreadsheet counts: the header is row 1.
        row: usize,
        /// Name of the column.
        column: String,
        /// Text of the cell.
        text: String,
    },
    /// A required cell is empty or zero.
    #[error("{file}, row {row}: `{column}` is empty or zero")]
    Empty {
        /// Path of the table.
        file: String,
        /// Row as a spreadsheet counts: the header is row 1.
        row: usize,
        /// Name of the column.
        column: &'static str,
    },
    /// The network of a row cannot be read.
    #[error("{file}, row {row}: {message}")]
    Model {
        /// Path of the table.
        file: String,
        /// Row as a spreadsheet counts: the header is row 1.
        row: usize,
        /// What is wrong with the network.
        message: String,
    },
    /// The table has a header but no rows.
    #[error("{file}: there are no rows")]
    NoRows {
        /// Path of the table.
        file: String,
    },
}

/// Columns that are not terms. `note`, `chip` and `kind` are notes for readers.
const COLUMNS: [&str; 12] = [
    "name",
    "family",
    "chip",
    "kind",
    "clock_mhz",
    "latency_ms",
    "cycles",
    "instructions",
    "model",
    "network",
    "source",
    "note",
];

impl Measurements {
    /// Reads a table; `model` finds the network that a row's `model` column names.
    ///
    /// Work is counted as on `target`. Where rows have cycles and instructions, `wanted` chooses; the default is
    /// cycles.
    ///
    /// # Errors
    /// [`TableError`] with the row and column that is wrong.
    pub fn parse(
        text: &str,
        file: &str,
        wanted: Option<Count>,
        target: &Target,
        model: &dyn Fn(&str) -> Result<Graph, String>,
    ) -> Result<Measurements, TableError> {
        let (header, records) = rows(text, file)?;
        check_columns(&header, file)?;
        let mut measurements = Vec::new();
        let mut counts = Vec::new();
        for row in row_views(&header, &records, file) {
            let (count, value) = row.count(wanted)?;
            counts.push(count);
            if count != counts[0] {
                return Err(row.no_count());
            }
            measurements.push(Measurement {
                name: row.text("name")?,
                family: row.text("family")?,
                work: row.work(target, model)?,
                count: value,
                source: row.text("source")?,
            });
        }
        match counts.first() {
            Some(&count) => Ok(Measurements {
                count,
                is_estimated: row_views(&header, &records, file)
                    .iter()
                    .any(Row::is_estimated),
                rows: measurements,
            }),
            None => Err(TableError::NoRows {
                file: file.to_string(),
            }),
        }
    }
}

/// Header and records of a table; lines that begin with `#` are comments.
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
        // A spreadsheet counts the header as the first row.
        row: idx + 2,
        cells: header.iter().zip(record.iter()).collect(),
    };
    records.iter().enumerate().map(view).collect()
}

/// Checks that the header has a column.
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
    let terms = || {
        let terms = Term::ALL.iter().copied();
        terms.filter(|term| !term.is_front_end())
    };
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
    /// The text of a column; an error where it is empty.
    pub(super) fn text(&self, column: &'static str) -> Result<String, TableError> {
        match self.cells.get(column) {
            Some(text) if !text.is_empty() => Ok(text.to_string()),
            _ => Err(self.empty(column)),
        }
    }

    /// The error of an empty column in this row.
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

    fn count(&self, wanted: Option<Count>) -> Result<(Count, f64), TableError> {
        let latency = match (self.number("latency_ms")?, self.number("clock_mhz")?) {
            (Some(ms), Some(mhz)) => Some(ms * mhz * 1e3),
            _ => None,
        };
        let cycles = self.number("cycles")?.or(latency);
        let instructions = self.number("instructions")?;
        let (count, value) = match wanted {
            Some(Count::Cycles) => (Count::Cycles, cycles),
            Some(Count::Instructions) => (Count::Instructions, instructions),
            None if cycles.is_some() => (Count::Cycles, cycles),
            None => (Count::Instructions, instructions),
        };
        match value {
            Some(value) if value > 0.0 => Ok((count, value)),
            _ => Err(self.no_count()),
        }
    }

    fn is_estimated(&self) -> bool {
        self.cells.get("kind") == Some(&"estimated")
    }

    fn no_count(&self) -> TableError {
        TableError::NoCount {
            file: self.file.to_string(),
            row: self.row,
        }
    }

    /// Work of the network in `model` or `network`; without both, the amounts in the columns of the terms.
    fn work(
        &self,
        target: &Target,
        model: &dyn Fn(&str) -> Result<Graph, String>,
    ) -> Result<Work, TableError> {
        let cell = |column| self.cells.get(column).filter(|text| !text.is_empty());
        let graph = match (cell("model"), cell("network")) {
            (Some(name), _) => Some(model(name)),
            (None, Some(network)) => Some(text::parse(network).map_err(|e| e.to_string())),
            (None, None) => None,
        };
        match graph {
            Some(Ok(graph)) => {
                let mut work = cpu_work(&graph, target);
                if self.is_estimated() {
                    // Estimated cycles know no memory that weights are fetched from.
                    work[Term::WeightByte as usize] = 0.0;
                }
                Ok(work)
            }
            Some(Err(message)) => Err(TableError::Model {
                file: self.file.to_string(),
                row: self.row,
                message,
            }),
            None => {
                let mut work = [0.0; Term::COUNT];
                for &term in Term::ALL {
                    work[term as usize] = self.number(term.key())?.unwrap_or(0.0);
                }
                Ok(work)
            }
        }
    }
}
