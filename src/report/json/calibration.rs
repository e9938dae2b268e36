//! The documents of `nas calibrate`.

use schemars::JsonSchema;
use serde::Serialize;

use super::SCHEMA_VERSION;
use crate::hardware::calibrate::{Fit, FitRow, Power, mean_absolute};

/// What `nas calibrate --json` prints for latencies. Errors are relative: 0.03 is 3 %.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FitDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// The fitted coefficients.
    pub coefficients: Vec<CoefficientView>,
    /// Mean absolute error on the rows that were fitted.
    pub in_sample: f64,
    /// Mean absolute error where each row is predicted from the others.
    pub leave_one_out: f64,
    /// Mean absolute error where each family of networks is predicted from the others.
    pub leave_family_out: f64,
    /// Root mean square of the errors where each family is predicted from the others.
    pub root_mean_square: f64,
    /// Rank correlation of predicted and measured values.
    pub kendall_tau: f64,
    /// Number of families of networks.
    pub families: usize,
    /// The measured networks.
    pub rows: Vec<FitRowView>,
    /// Trials whose measurement would help most.
    pub measure_next: Vec<SuggestionView>,
}

/// A coefficient of the fit.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CoefficientView {
    /// The terms of the cost model that share it.
    pub terms: Vec<&'static str>,
    /// The fitted value, in `unit`.
    pub value: f64,
    /// The unit of the value.
    pub unit: &'static str,
    /// Standard error of the value, as a share of it.
    pub standard_error: f64,
    /// Whether rows with this coefficient remain where any family is left out.
    pub tested: bool,
}

/// A measured network.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FitRowView {
    /// Name of the network.
    pub name: String,
    /// Name of its family.
    pub family: String,
    /// Measured cycles.
    pub measured: f64,
    /// Predicted cycles.
    pub predicted: f64,
    /// Cycles predicted from the other rows; null where only this row has one of its terms.
    pub without_row: Option<f64>,
    /// Cycles predicted from the other families; null where only its family has one of its terms.
    pub without_family: Option<f64>,
}

/// A trial whose measurement would help.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SuggestionView {
    /// The trial as `RUN/NUMBER`.
    pub trial: String,
    /// Standard error of its prediction today, as a share of it.
    pub standard_error: f64,
}

impl FitDocument {
    /// `suggestions` are names of trials and the relative standard errors of their predictions.
    pub fn new(fit: &Fit, suggestions: &[(String, f64)]) -> FitDocument {
        let row = |row: &FitRow| FitRowView {
            name: row.name.clone(),
            family: row.family.clone(),
            measured: row.measured,
            predicted: row.predicted,
            without_row: row.without_row,
            without_family: row.without_family,
        };
        let suggestion = |(trial, error): &(String, f64)| SuggestionView {
            trial: trial.clone(),
            standard_error: *error,
        };
        let coefficient = |idx: usize| CoefficientView {
            terms: fit.groups[idx].0.iter().map(|term| term.key()).collect(),
            value: fit.coefficients[idx],
            unit: fit.groups[idx].0[0].unit(),
            standard_error: fit.standard_errors[idx],
            tested: fit.is_tested[idx],
        };
        FitDocument {
            schema_version: SCHEMA_VERSION,
            coefficients: (0..fit.groups.len()).map(coefficient).collect(),
            in_sample: fit.in_sample(),
            leave_one_out: fit.leave_one_out(),
            leave_family_out: fit.leave_family_out(),
            root_mean_square: fit.root_mean_square(),
            kendall_tau: fit.kendall_tau,
            families: fit.families,
            rows: fit.rows.iter().map(row).collect(),
            measure_next: suggestions.iter().map(suggestion).collect(),
        }
    }
}

/// What `nas calibrate --json` prints for energies. Errors are relative.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PowersDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// Mean absolute error of all rows.
    pub in_sample: f64,
    /// Mean absolute error where each row is predicted from the others of its set.
    pub leave_one_out: f64,
    /// One entry per set of measurements.
    pub sets: Vec<PowerView>,
}

/// The active power of one set of measurements.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PowerView {
    /// Board, runtime, clock and supply.
    pub set: String,
    /// Number of measurements.
    pub rows: usize,
    /// Active power in milliwatts.
    pub active_mw: f64,
    /// Mean absolute error on the rows of the set.
    pub in_sample: f64,
    /// Mean absolute error where each row is predicted from the others.
    pub leave_one_out: f64,
}

impl PowersDocument {
    /// The document of fitted powers.
    pub fn new(powers: &[Power]) -> PowersDocument {
        let view = |power: &Power| PowerView {
            set: power.set.clone(),
            rows: power.rows,
            active_mw: power.active_mw,
            in_sample: mean_absolute(&power.errors),
            leave_one_out: mean_absolute(&power.errors_without_row),
        };
        let (errors, without) = Power::all_errors(powers);
        PowersDocument {
            schema_version: SCHEMA_VERSION,
            in_sample: mean_absolute(&errors),
            leave_one_out: mean_absolute(&without),
            sets: powers.iter().map(view).collect(),
        }
    }
}
