//! Fits a profile's cycle coefficients to measurements.
//!
//! Cycles are linear in amounts of work, so a fit is a non-negative least-squares problem over relative errors: a
//! network of a thousand cycles counts as much as one of a billion. The quality of a fit shows on networks that it
//! has not seen, so every fit is repeated without each row and without each family of networks. Terms that the
//! measurements do not determine are refused.

mod power;
mod solve;
mod suggest;
mod table;
mod write;

use std::collections::BTreeSet;

pub use power::{EnergyRow, Power, fit_powers, mean_absolute, parse_energies};
pub use suggest::{Suggestion, next_to_measure};
pub use table::{Count, Measurement, Measurements, TableError};
pub use write::calibrated_profile;

use super::{Target, Term, Work};
use crate::stats::kendall_tau;

/// Terms that share one coefficient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group(pub Vec<Term>);

/// Fitted coefficients, and what is known about their quality.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The groups that were fitted.
    pub groups: Vec<Group>,
    /// Cycles per unit of work, one per group.
    pub coefficients: Vec<f64>,
    /// Relative standard errors of the coefficients.
    pub standard_errors: Vec<f64>,
    /// Whether a family other than the left-out one determines the group, so that its error was tested.
    pub is_tested: Vec<bool>,
    /// One row per measurement, in its order.
    pub rows: Vec<FitRow>,
    /// Number of families of networks.
    pub families: usize,
    /// Rank correlation of measurements and predictions from the other families, -1 to 1; NaN where there is none.
    pub kendall_tau: f64,
    /// Inverse of the normal matrix of the relative rows: covariance up to the variance of a row.
    inverse: Vec<Vec<f64>>,
    /// Coefficients that were not fitted, by term.
    held: Work,
}

/// One measurement and its predictions, in cycles.
#[derive(Debug, Clone, PartialEq)]
pub struct FitRow {
    /// Name of the network.
    pub name: String,
    /// Its family.
    pub family: String,
    /// The measured count.
    pub measured: f64,
    /// The prediction of the fit.
    pub predicted: f64,
    /// The prediction from the other rows; `None` where no other row determines one of its terms.
    pub without_row: Option<f64>,
    /// The prediction from the other families; `None` where no other family determines one of its terms.
    pub without_family: Option<f64>,
}

/// A fit that is not possible.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// A group names a term that networks do not have.
    #[error("`{term}` is not a term of a network; known terms are {known}")]
    UnknownTerm {
        /// The word that was given.
        term: String,
        /// All terms of networks, separated by commas.
        known: String,
    },
    /// Two groups name the same term.
    #[error("`{term}` is in two groups")]
    TwiceGiven {
        /// The key of the term.
        term: &'static str,
    },
    /// There are too few different networks for the number of coefficients.
    #[error(
        "{given} coefficients need measurements of at least {needed} different networks, but the table has {networks}; fit fewer terms or measure more"
    )]
    TooFewRows {
        /// Number of coefficients.
        given: usize,
        /// Number of different networks that they need.
        needed: usize,
        /// Number of different networks in the table.
        networks: usize,
    },
    /// The measurements do not determine a coefficient.
    #[error(
        "the measurements do not determine `{group}`: {reason}; leave it out to keep its present value, or join it with another term"
    )]
    NotCarried {
        /// The terms of the coefficient, joined by ` + `.
        group: String,
        /// Why it is not determined.
        reason: String,
    },
    /// The coefficients that are kept already explain all cycles of a measurement.
    #[error(
        "the terms that keep their values already cost {percent:.0} % of `{name}`; nothing is left to fit"
    )]
    HeldTooDear {
        /// Name of the network.
        name: String,
        /// The share of its cycles that they explain.
        percent: f64,
    },
    /// The search for the coefficients did not reach an optimum; it holds the way it ended.
    #[error("the fit did not settle ({0}); leave out terms that are rare in the measurements")]
    Unsettled(String),
}

/// A fit needs this many networks more than coefficients.
const SPARE_NETWORKS: usize = 2;

/// A row determines a group where the group makes up this share of its cycles.
const CARRIED_SHARE: f64 = 0.05;

/// Above this relative standard error a coefficient counts as not determined.
const MAX_STANDARD_ERROR: f64 = 0.5;

impl Group {
    /// Reads `conv_mac + pointwise_mac`.
    ///
    /// # Errors
    /// [`CalibrateError::UnknownTerm`].
    pub fn parse(text: &str) -> Result<Group, CalibrateError> {
        let term = |word: &str| {
            let known = || {
                let terms = Term::ALL.iter().copied();
                terms.filter(|term| !term.is_front_end())
            };
            known()
                .find(|term| term.key() == word.trim())
                .ok_or_else(|| CalibrateError::UnknownTerm {
                    term: word.trim().to_string(),
                    known: known().map(Term::key).collect::<Vec<_>>().join(", "),
                })
        };
        Ok(Group(text.split('+').map(term).collect::<Result<_, _>>()?))
    }

    fn amount(&self, work: &Work) -> f64 {
        self.0.iter().map(|&term| work[term as usize]).sum()
    }
}

impl std::fmt::Display for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys: Vec<&str> = self.0.iter().map(|term| term.key()).collect();
        f.write_str(&keys.join(" + "))
    }
}

/// Fits the groups to the measurements; every other term keeps the target's coefficient.
///
/// # Errors
/// [`CalibrateError`], except `UnknownTerm`.
pub fn calibrate(
    measurements: &[Measurement],
    groups: &[Group],
    target: &Target,
) -> Result<Fit, CalibrateError> {
    let mut seen = BTreeSet::new();
    for &term in groups.iter().flat_map(|group| &group.0) {
        if !seen.insert(term) {
            return Err(CalibrateError::TwiceGiven { term: term.key() });
        }
    }
    let mut held = [0.0; Term::COUNT];
    for (&term, coefficient) in &target.cpu.cycles {
        if !seen.contains(&term) && !term.is_front_end() {
            held[term as usize] = coefficient.value;
        }
    }
    let system = System::new(measurements, groups, &held)?;
    let all: Vec<usize> = (0..measurements.len()).collect();
    let inverse = system.inverse(groups)?;
    let coefficients = system.solve(&all)?;
    let standard_errors = system.standard_errors(&coefficients, &inverse);
    refuse_what_is_not_carried(groups, &coefficients, &standard_errors)?;

    let fold = |is_out: &dyn Fn(usize) -> bool| -> Result<(Vec<f64>, Vec<bool>), CalibrateError> {
        let kept: Vec<usize> = all.iter().copied().filter(|&row| !is_out(row)).collect();
        let carried = |column| {
            let share = |&row: &usize| system.share(row, column, &coefficients);
            kept.iter().any(|row| share(row) >= CARRIED_SHARE)
        };
        let carried = (0..groups.len()).map(carried).collect();
        Ok((system.solve(&kept)?, carried))
    };
    // A prediction of a fold; `None` where the fold does not determine a term that the row needs.
    let predict = |row: usize, (fitted, carried): &(Vec<f64>, Vec<bool>)| {
        let needs = |column: usize| system.share(row, column, &coefficients) >= CARRIED_SHARE;
        let is_blind = (0..groups.len()).any(|column| needs(column) && !carried[column]);
        (!is_blind).then(|| system.predict(row, fitted))
    };
    let families: BTreeSet<&str> = measurements.iter().map(|m| m.family.as_str()).collect();
    let mut is_tested = vec![true; groups.len()];
    let mut rows = Vec::with_capacity(measurements.len());
    for (row, measurement) in measurements.iter().enumerate() {
        rows.push(FitRow {
            name: measurement.name.clone(),
            family: measurement.family.clone(),
            measured: measurement.count,
            predicted: system.predict(row, &coefficients),
            without_row: predict(row, &fold(&|other| other == row)?),
            without_family: None,
        });
    }
    for &family in &families {
        let is_out = |row: usize| measurements[row].family == family;
        let fold = fold(&is_out)?;
        for (tested, &carried) in is_tested.iter_mut().zip(&fold.1) {
            *tested &= carried;
        }
        for row in all.iter().copied().filter(|&row| is_out(row)) {
            rows[row].without_family = predict(row, &fold);
        }
    }
    Ok(Fit {
        groups: groups.to_vec(),
        coefficients,
        standard_errors,
        is_tested,
        kendall_tau: rank_correlation(&rows),
        families: families.len(),
        rows,
        inverse,
        held,
    })
}

impl Fit {
    /// Mean absolute relative error of the fit.
    pub fn in_sample(&self) -> f64 {
        mean(self.errors(|row| Some(row.predicted)).map(f64::abs))
    }

    /// Mean absolute relative error where each row is predicted from the others.
    pub fn leave_one_out(&self) -> f64 {
        mean(self.errors(|row| row.without_row).map(f64::abs))
    }

    /// Mean absolute relative error where each row is predicted from the other families.
    pub fn leave_family_out(&self) -> f64 {
        mean(self.errors(|row| row.without_family).map(f64::abs))
    }

    /// Root mean square of the relative errors of predictions from the other families: the error of a profile.
    pub fn root_mean_square(&self) -> f64 {
        mean(
            self.errors(|row| row.without_family)
                .map(|error| error * error),
        )
        .sqrt()
    }

    /// Rows without a test: only their own family determines one of their terms.
    pub fn untested(&self) -> impl Iterator<Item = &FitRow> {
        self.rows.iter().filter(|row| row.without_family.is_none())
    }

    /// Cycles of a network.
    pub fn cycles(&self, work: &Work) -> f64 {
        let held = held_cycles(&self.held, work);
        let terms = self.groups.iter().zip(&self.coefficients);
        held + terms
            .map(|(group, coefficient)| group.amount(work) * coefficient)
            .sum::<f64>()
    }

    /// Relative errors of the predictions that exist.
    pub fn errors(&self, predicted: impl Fn(&FitRow) -> Option<f64>) -> impl Iterator<Item = f64> {
        let error = move |row: &FitRow| Some(predicted(row)? / row.measured - 1.0);
        self.rows
            .iter()
            .filter_map(error)
            .collect::<Vec<_>>()
            .into_iter()
    }
}

fn refuse_what_is_not_carried(
    groups: &[Group],
    coefficients: &[f64],
    standard_errors: &[f64],
) -> Result<(), CalibrateError> {
    for ((group, &coefficient), &error) in groups.iter().zip(coefficients).zip(standard_errors) {
        let reason = if coefficient == 0.0 {
            "the best fit puts it at zero".to_string()
        } else if error > MAX_STANDARD_ERROR {
            format!("its standard error is {:.0} %", 100.0 * error)
        } else {
            continue;
        };
        return Err(CalibrateError::NotCarried {
            group: group.to_string(),
            reason,
        });
    }
    Ok(())
}

/// The linear problem: row `r` says that `columns[r] . x` should be `targets[r]`; both are divided by the measured
/// count.
struct System {
    columns: Vec<Vec<f64>>,
    targets: Vec<f64>,
    counts: Vec<f64>,
}

impl System {
    fn new(
        measurements: &[Measurement],
        groups: &[Group],
        held: &Work,
    ) -> Result<System, CalibrateError> {
        let mut system = System {
            columns: Vec::new(),
            targets: Vec::new(),
            counts: Vec::new(),
        };
        let mut networks = Vec::new();
        for measurement in measurements {
            let share = held_cycles(held, &measurement.work) / measurement.count;
            if share >= 1.0 {
                return Err(CalibrateError::HeldTooDear {
                    name: measurement.name.clone(),
                    percent: 100.0 * share,
                });
            }
            let amounts: Vec<f64> = groups
                .iter()
                .map(|group| group.amount(&measurement.work))
                .collect();
            if !networks.contains(&amounts) {
                networks.push(amounts.clone());
            }
            system
                .columns
                .push(amounts.iter().map(|a| a / measurement.count).collect());
            system.targets.push(1.0 - share);
            system.counts.push(measurement.count);
        }
        let needed = groups.len() + SPARE_NETWORKS;
        if networks.len() < needed {
            return Err(CalibrateError::TooFewRows {
                given: groups.len(),
                needed,
                networks: networks.len(),
            });
        }
        Ok(system)
    }

    /// Non-negative coefficients of least relative squares over some rows.
    fn solve(&self, rows: &[usize]) -> Result<Vec<f64>, CalibrateError> {
        let columns: Vec<&[f64]> = rows.iter().map(|&row| &self.columns[row][..]).collect();
        let targets: Vec<f64> = rows.iter().map(|&row| self.targets[row]).collect();
        solve::non_negative_least_squares(&columns, &targets).map_err(CalibrateError::Unsettled)
    }

    /// Cycles of a row with these coefficients, and with those that are kept.
    fn predict(&self, row: usize, coefficients: &[f64]) -> f64 {
        (dot(&self.columns[row], coefficients) + 1.0 - self.targets[row]) * self.counts[row]
    }

    /// The share of a row's cycles that a group costs.
    fn share(&self, row: usize, column: usize, coefficients: &[f64]) -> f64 {
        self.columns[row][column] * coefficients[column]
    }

    fn inverse(&self, groups: &[Group]) -> Result<Vec<Vec<f64>>, CalibrateError> {
        let len = groups.len();
        let mut normal = vec![vec![0.0; len]; len];
        for row in &self.columns {
            for i in 0..len {
                for j in 0..len {
                    normal[i][j] += row[i] * row[j];
                }
            }
        }
        solve::inverse(&normal).map_err(|column| CalibrateError::NotCarried {
            group: groups[column].to_string(),
            reason: match normal[column][column] == 0.0 {
                true => "no row has any of it".to_string(),
                false => "it always comes in the same proportion as the others".to_string(),
            },
        })
    }

    fn standard_errors(&self, coefficients: &[f64], inverse: &[Vec<f64>]) -> Vec<f64> {
        let residual = |(row, target): (&Vec<f64>, &f64)| (dot(row, coefficients) - target).powi(2);
        let squares: f64 = self.columns.iter().zip(&self.targets).map(residual).sum();
        // There are more rows than coefficients, or `new` would have refused.
        let variance = squares / (self.columns.len() - coefficients.len()) as f64;
        let relative = |(idx, &coefficient): (usize, &f64)| {
            (variance * inverse[idx][idx]).sqrt() / coefficient.max(f64::MIN_POSITIVE)
        };
        coefficients.iter().enumerate().map(relative).collect()
    }
}

/// Rank correlation of measurements and predictions from the other families; NaN where there is none.
fn rank_correlation(rows: &[FitRow]) -> f64 {
    let tested = rows
        .iter()
        .filter_map(|row| Some((row.measured, row.without_family?)));
    let (measured, predicted): (Vec<f64>, Vec<f64>) = tested.unzip();
    kendall_tau(&measured, &predicted).unwrap_or(f64::NAN)
}

fn held_cycles(held: &Work, work: &Work) -> f64 {
    dot(held, work)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// NaN where there are no values.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
    sum / count
}

#[cfg(test)]
mod tests;
