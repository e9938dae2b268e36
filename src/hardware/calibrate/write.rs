//! Writes a profile with new coefficients; everything else stays as it was.

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

use super::{Count, Fit, Measurements};
use crate::hardware::TargetError;

/// Least error of a coefficient that only one family of networks determines: no prediction tests it.
const UNTESTED_ERROR: f64 = 0.25;

/// The text of a profile with the coefficients of a fit, their errors and their sources.
///
/// `table` is the path of the table of measurements, relative to the profile.
///
/// # Errors
/// [`TargetError::Syntax`] where `profile` is not TOML.
pub fn calibrated_profile(
    profile: &str,
    name: &str,
    fit: &Fit,
    measurements: &Measurements,
    table: &str,
) -> Result<String, TargetError> {
    let mut document: DocumentMut =
        profile
            .parse()
            .map_err(|e: toml_edit::TomlError| TargetError::Syntax {
                file: "profile".to_string(),
                message: e.to_string(),
            })?;
    document["name"] = toml_edit::value(name);
    let cycles = &mut document["cpu"]["cycles"];
    let lfo_percent = 100.0 * fit.root_mean_square();
    let kind = match (measurements.count, measurements.is_estimated) {
        (Count::Cycles, false) => "measurements",
        (Count::Cycles, true) => "estimates of cycles",
        (Count::Instructions, _) => "instruction counts",
    };
    for (idx, group) in fit.groups.iter().enumerate() {
        let error = match fit.is_tested[idx] {
            true => fit.root_mean_square(),
            false => fit.root_mean_square().max(UNTESTED_ERROR),
        };
        let tested = match fit.is_tested[idx] {
            true => format!("root mean square of leave-family-out errors {lfo_percent:.1} %"),
            false => "one family of networks carries it, so its error is untested".to_string(),
        };
        let shared = match group.0.len() {
            1 => String::new(),
            _ => format!(", one coefficient for {group}"),
        };
        for term in &group.0 {
            let mut line = InlineTable::new();
            line.insert("value", round(fit.coefficients[idx], 4).into());
            line.insert("unit", term.unit().into());
            line.insert("error", round(error, 2).into());
            line.insert(
                "source",
                format!(
                    "fit to {} {kind} of {} families ({table}){shared}; {tested}",
                    fit.rows.len(),
                    fit.families
                )
                .into(),
            );
            cycles[term.key()] = Item::Value(Value::InlineTable(line));
        }
    }
    let mut calibration = Table::new();
    let mut put = |key: &str, value: Value| calibration.insert(key, Item::Value(value));
    put("table", table.into());
    put(
        "terms",
        Value::Array(
            fit.groups
                .iter()
                .map(|group| group.to_string())
                .collect::<Array>(),
        ),
    );
    put("rows", (fit.rows.len() as i64).into());
    put("families", (fit.families as i64).into());
    put("in_sample", round(fit.in_sample(), 3).into());
    put("leave_one_out", round(fit.leave_one_out(), 3).into());
    put("leave_family_out", round(fit.leave_family_out(), 3).into());
    put("kendall_tau", round(fit.kendall_tau, 3).into());
    calibration.decor_mut().set_prefix("\n");
    document["calibration"] = Item::Table(calibration);
    Ok(document.to_string())
}

/// Rounds to this many significant digits.
fn round(value: f64, digits: i32) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let text = format!("{value:.*e}", (digits - 1).max(0) as usize);
    text.parse().unwrap_or(value)
}
