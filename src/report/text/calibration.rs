//! The fit of a profile as text: its rows, its coefficients and its errors.

use super::grid;
use crate::hardware::calibrate::{Fit, FitRow, Power, mean_absolute};

/// A fit as text, and the trials to measure next with the standard errors of their predictions.
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
            "not tested, because no other family has one of their terms: {}\n",
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

/// Fitted powers as text.
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
    let (errors, without) = Power::all_errors(powers);
    format!(
        "{table}\n\n{} rows of {} sets; mean absolute error of the energy given the latency {}, \
         leave-one-out {}\n",
        errors.len(),
        powers.len(),
        percent(mean_absolute(&errors)),
        percent(mean_absolute(&without)),
    )
}

fn percent(value: f64) -> String {
    format!("{:.1} %", 100.0 * value)
}
