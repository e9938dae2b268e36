//! The fit of a profile.

use serde_json::{Value, json};

use super::SCHEMA_VERSION;
use crate::hardware::calibrate::{Fit, FitRow, Power, mean_absolute};

/// A fit as JSON.
pub fn document(fit: &Fit, suggestions: &[(String, f64)]) -> Value {
    let row = |row: &FitRow| {
        json!({
            "name": row.name,
            "family": row.family,
            "measured": row.measured,
            "predicted": row.predicted,
            "without_row": row.without_row,
            "without_family": row.without_family,
        })
    };
    let suggestion =
        |(name, error): &(String, f64)| json!({ "trial": name, "standard_error": error });
    let coefficient = |idx: usize| {
        json!({
            "terms": fit.groups[idx].0.iter().map(|term| term.key()).collect::<Vec<_>>(),
            "value": fit.coefficients[idx],
            "unit": fit.groups[idx].0[0].unit(),
            "standard_error": fit.standard_errors[idx],
            "tested": fit.is_tested[idx],
        })
    };
    json!({
        "schema_version": SCHEMA_VERSION,
        "coefficients": (0..fit.groups.len()).map(coefficient).collect::<Vec<_>>(),
        "in_sample": fit.in_sample(),
        "leave_one_out": fit.leave_one_out(),
        "leave_family_out": fit.leave_family_out(),
        "root_mean_square": fit.root_mean_square(),
        "kendall_tau": fit.kendall_tau,
        "families": fit.families,
        "rows": fit.rows.iter().map(row).collect::<Vec<_>>(),
        "measure_next": suggestions.iter().map(suggestion).collect::<Vec<_>>(),
    })
}

/// Powers as JSON.
pub fn powers_document(powers: &[Power]) -> Value {
    let view = |power: &Power| {
        json!({
            "set": power.set,
            "rows": power.rows,
            "active_mw": power.active_mw,
            "in_sample": mean_absolute(&power.errors),
            "leave_one_out": mean_absolute(&power.errors_without_row),
        })
    };
    let (errors, without) = Power::all_errors(powers);
    json!({
        "schema_version": SCHEMA_VERSION,
        "in_sample": mean_absolute(&errors),
        "leave_one_out": mean_absolute(&without),
        "sets": powers.iter().map(view).collect::<Vec<_>>(),
    })
}
