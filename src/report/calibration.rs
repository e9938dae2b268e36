//! What a fit of a profile found: its rows, its coefficients and its errors.

use serde_json::{Value, json};

use super::{json::SCHEMA_VERSION, listing::grid};
use crate::target::calibrate::{Fit, FitRow, Power};

/// A fit for people, and what to measure next with the standard error of its prediction.
pub fn text(fit: &Fit, suggestions: &[(String, f64)]) -> String {
    let error = |row: &FitRow, predicted: Option<f64>| match predicted {
        Some(predicted) => format!("{:+.1} %", 100.0 * (predicted / row.measured - 1.0)),
        None => "–".to_string(),
    };
    let row = |row: &FitRow| {
        vec![
            row.name.clone(),
            row.family.clone(),
            format!("{:.0}", row.measured),
            error(row, Some(row.predicted)),
            error(row, row.without_row),
            error(row, row.without_family),
        ]
    };
    let rows = grid(
        &[
            "network",
            "family",
            "measured",
            "fit",
            "without it",
            "without its family",
        ],
        fit.rows.iter().map(row).collect(),
    );
    let coefficient = |idx: usize| {
        vec![
            fit.groups[idx].to_string(),
            format!("{:.4}", fit.coefficients[idx]),
            fit.groups[idx].0[0].unit().to_string(),
            format!("{:.1} %", 100.0 * fit.standard_errors[idx]),
        ]
    };
    let coefficients = grid(
        &["terms", "coefficient", "unit", "standard error"],
        (0..fit.groups.len()).map(coefficient).collect(),
    );
    let worst = fit
        .errors(|row| row.without_family)
        .fold(0.0, |worst: f64, e| worst.max(e.abs()));
    let untested: Vec<&str> = fit.untested().map(|row| row.name.as_str()).collect();
    let untested = match untested.is_empty() {
        true => String::new(),
        false => format!(
            "not tested, as only their family carries one of their terms: {}\n",
            untested.join(", ")
        ),
    };
    let suggestions: String = suggestions
        .iter()
        .map(|(name, error)| {
            let error = percent(*error);
            format!("measure {name}: the standard error of its prediction is {error}\n")
        })
        .collect();
    format!(
        "{rows}\n\n{coefficients}\n\n\
         {} rows of {} families; mean absolute error in sample {}, leave-one-out {}, \
         leave-family-out {} (root mean square {}, worst {}); Kendall's tau {:.3}\n{untested}{suggestions}",
        fit.rows.len(),
        fit.families,
        percent(fit.in_sample()),
        percent(fit.leave_one_out()),
        percent(fit.leave_family_out()),
        percent(fit.root_mean_square()),
        percent(worst),
        fit.kendall_tau,
    )
}

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

/// Powers for people.
pub fn powers(powers: &[Power]) -> String {
    let row = |power: &Power| {
        vec![
            power.set.clone(),
            power.rows.to_string(),
            format!("{:.1} mW", power.active_mw),
            percent(mean_absolute(&power.errors)),
            percent(mean_absolute(&power.errors_without_row)),
        ]
    };
    let table = grid(
        &["set", "rows", "active power", "fit", "without it"],
        powers.iter().map(row).collect(),
    );
    let (errors, without) = all_errors(powers);
    format!(
        "{table}\n\n{} rows of {} sets; mean absolute error of the energy given the latency {}, \
         leave-one-out {}\n",
        errors.len(),
        powers.len(),
        percent(mean_absolute(&errors)),
        percent(mean_absolute(&without)),
    )
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
    let (errors, without) = all_errors(powers);
    json!({
        "schema_version": SCHEMA_VERSION,
        "in_sample": mean_absolute(&errors),
        "leave_one_out": mean_absolute(&without),
        "sets": powers.iter().map(view).collect::<Vec<_>>(),
    })
}

fn all_errors(powers: &[Power]) -> (Vec<f64>, Vec<f64>) {
    let errors = powers.iter().flat_map(|power| power.errors.clone());
    let without = powers
        .iter()
        .flat_map(|power| power.errors_without_row.clone());
    (errors.collect(), without.collect())
}

/// Not a number where there is nothing.
fn mean_absolute(errors: &[f64]) -> f64 {
    errors.iter().map(|error| error.abs()).sum::<f64>() / errors.len() as f64
}

fn percent(value: f64) -> String {
    format!("{:.1} %", 100.0 * value)
}
