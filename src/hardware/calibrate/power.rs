//! Fits active power to measured energies: one power per board with its runtime and supply.

use std::collections::BTreeMap;

use super::TableError;
use crate::hardware::energy::microjoules;

/// One measured inference.
#[derive(Debug, Clone, PartialEq)]
pub struct EnergyRow {
    /// Board, runtime, clock and supply: what shares one power.
    pub set: String,
    /// Latency in microseconds, above zero.
    pub latency_us: f64,
    /// Energy in microjoules, above zero.
    pub energy_uj: f64,
}

/// The power of one set.
#[derive(Debug, Clone, PartialEq)]
pub struct Power {
    /// Board, runtime, clock and supply.
    pub set: String,
    /// Number of measurements.
    pub rows: usize,
    /// Active power in milliwatts.
    pub active_mw: f64,
    /// Relative errors of the energies, given the latencies.
    pub errors: Vec<f64>,
    /// The same where each row is predicted from the others of its set.
    pub errors_without_row: Vec<f64>,
}

impl Power {
    /// Relative errors over all sets, in sample and without the row that is predicted.
    pub fn all_errors(powers: &[Power]) -> (Vec<f64>, Vec<f64>) {
        let errors = powers.iter().flat_map(|power| power.errors.clone());
        let without = powers
            .iter()
            .flat_map(|power| power.errors_without_row.clone());
        (errors.collect(), without.collect())
    }
}

/// The mean of absolute errors; NaN where there are none.
pub fn mean_absolute(errors: &[f64]) -> f64 {
    errors.iter().map(|error| error.abs()).sum::<f64>() / errors.len() as f64
}

/// Reads a table with the columns `set`, `latency_ms` and `energy_uj`; other columns are ignored.
///
/// # Errors
/// [`TableError`] where a column is missing, or a cell is not a number above zero.
pub fn parse_energies(text: &str, file: &str) -> Result<Vec<EnergyRow>, TableError> {
    let (header, rows) = super::table::rows(text, file)?;
    for column in ["set", "latency_ms", "energy_uj"] {
        super::table::require_column(&header, file, column)?;
    }
    let energy = |row: &super::table::Row| {
        let positive = |column: &'static str| match row.number(column)? {
            Some(value) if value > 0.0 => Ok(value),
            _ => Err(row.empty(column)),
        };
        Ok(EnergyRow {
            set: row.text("set")?,
            latency_us: 1e3 * positive("latency_ms")?,
            energy_uj: positive("energy_uj")?,
        })
    };
    super::table::row_views(&header, &rows, file)
        .iter()
        .map(energy)
        .collect()
}

/// The power of every set with at least two rows, in the order of their names.
pub fn fit_powers(rows: &[EnergyRow]) -> Vec<Power> {
    let mut sets: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for row in rows {
        // Energy of one milliwatt over the measured energy: the inverse of the row's own power.
        let inverse_power = microjoules(1.0, row.latency_us) / row.energy_uj;
        sets.entry(&row.set).or_default().push(inverse_power);
    }
    let sets = sets.into_iter().filter(|(_, rows)| rows.len() > 1);
    sets.map(|(set, inverse)| {
        let active_mw = power(inverse.iter().copied());
        let without = |out: usize| {
            let others = inverse.iter().enumerate().filter(|(idx, _)| *idx != out);
            power(others.map(|(_, inverse)| *inverse)) * inverse[out] - 1.0
        };
        Power {
            set: set.to_string(),
            rows: inverse.len(),
            active_mw,
            errors: inverse.iter().map(|i| active_mw * i - 1.0).collect(),
            errors_without_row: (0..inverse.len()).map(without).collect(),
        }
    })
    .collect()
}

/// Least squares of relative errors: minimises the sum of `(power * inverse - 1)^2`.
fn power(inverse: impl Iterator<Item = f64>) -> f64 {
    let (sum, squares) = inverse.fold((0.0, 0.0), |(sum, squares), i| (sum + i, squares + i * i));
    sum / squares
}
