//! Where to put the threshold when misses and false alarms cost differently.

use super::{judged_anomalous, judged_normal};
use crate::units::DAY_S;

/// A threshold and what it does to labelled clips.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OperatingPoint {
    /// A clip with a higher score is called anomalous.
    pub threshold: f64,
    /// Share of anomalies that are found.
    pub recall: f64,
    /// Share of normal clips that raise an alarm.
    pub false_alarm_rate: f64,
    /// Share of the alarms that are anomalies; 0 without alarms.
    pub precision: f64,
}

impl OperatingPoint {
    /// Number of false alarms in a day of normal sound, with one decision every `cadence_s` seconds.
    pub fn false_alarms_per_day(&self, cadence_s: f64) -> f64 {
        self.false_alarm_rate * DAY_S / cadence_s
    }
}

/// What a threshold does; `None` where a class is empty.
pub fn operating_point(normal: &[f64], anomaly: &[f64], threshold: f64) -> Option<OperatingPoint> {
    if normal.is_empty() || anomaly.is_empty() {
        return None;
    }
    let false_alarms = judged_normal(normal).filter(|s| *s > threshold).count();
    let found = judged_anomalous(anomaly).filter(|s| *s > threshold).count();
    let alarms = false_alarms + found;
    Some(OperatingPoint {
        threshold,
        recall: found as f64 / anomaly.len() as f64,
        false_alarm_rate: false_alarms as f64 / normal.len() as f64,
        precision: if alarms == 0 {
            0.0
        } else {
            found as f64 / alarms as f64
        },
    })
}

/// The point with the fewest false alarms that still finds this share of the anomalies.
///
/// Its threshold lies midway between the last anomaly that must be found and the next lower score: it does not hang
/// on one clip. `None` where a class is empty, and where no threshold finds so many because scores are infinite or
/// not numbers.
pub fn at_recall(normal: &[f64], anomaly: &[f64], min_recall: f64) -> Option<OperatingPoint> {
    let mut found: Vec<f64> = judged_anomalous(anomaly).collect();
    found.sort_by(|a, b| b.total_cmp(a));
    let wanted = (min_recall * found.len() as f64).ceil() as usize;
    let last = *found.get(wanted.clamp(1, found.len().max(1)) - 1)?;
    let below = judged_normal(normal)
        .chain(found.iter().copied())
        .filter(|score| *score < last && score.is_finite())
        .fold(f64::NEG_INFINITY, f64::max);
    let threshold = match below.is_finite() {
        true => below + (last - below) / 2.0,
        // Nothing scores lower: any threshold below will do.
        false => last - last.abs().max(1.0) * 1e-6,
    };
    let point = operating_point(normal, anomaly, threshold)?;
    (point.recall >= min_recall).then_some(point)
}
