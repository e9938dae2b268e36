//! Computes figures of merit from anomaly scores.
//!
//! A higher score means more anomalous. A score that is not a number is always judged wrong: it counts as positive
//! infinity on a normal clip, and as negative infinity on an anomalous one. A broken network cannot look good.
//!
//! This module may not know networks, features, hardware or files.

mod clip;
mod curve;
mod dcase;
mod decision;
mod figures;
mod gamma;
mod hearing;
mod mahalanobis;
mod operating;
mod paired;
mod poisson;
mod statistics;
mod summary;
#[cfg(test)]
mod tests;
mod threshold;
mod uncertainty;
mod window;

pub use clip::{ClipRule, UnknownClipRule, clip_score, float_clip_score};
pub use curve::{PAUC_MAX_FPR, auc, average_precision, pauc, precision_recall_curve, roc_curve};
pub use dcase::{
    Against, DomainFigures, Official, SectionFigures, against, dcase_sections, official,
};
pub use decision::{Classification, Confusion, classification};
pub use figures::{Arithmetic, Figure, Figures, Measure, Part};
pub use gamma::Gamma;
pub use hearing::{
    DisturbedScore, FALSE_ALARM_RATE, Hears, NormalScore, Profile, Sensitivity, profile,
    sensitivity,
};
pub use mahalanobis::{Mahalanobis, ResidualSums};
pub use operating::{OperatingPoint, at_recall, operating_point};
pub use paired::auc_difference_error;
pub use poisson::poisson_interval;
pub use statistics::{Interval, harmonic_mean, interval, quantile};
pub use summary::{ClipScore, GroupScore, Summary, summarise};
pub use threshold::{FalseAlarms, THRESHOLD_QUANTILE, ThresholdRule, Thresholds, UnknownRule};
pub use uncertainty::{ClipIntervals, auc_interval, mean_of_parts};
pub use window::{negative_log_odds, reconstruction_error};

fn judged_normal(scores: &[f64]) -> impl Iterator<Item = f64> {
    let judge = |s: &f64| if s.is_nan() { f64::INFINITY } else { *s };
    scores.iter().map(judge)
}

fn judged_anomalous(scores: &[f64]) -> impl Iterator<Item = f64> {
    let judge = |s: &f64| if s.is_nan() { f64::NEG_INFINITY } else { *s };
    scores.iter().map(judge)
}
