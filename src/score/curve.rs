//! Figures that need no threshold: areas under curves.

use std::cmp::Ordering;

use super::{judged_anomalous, judged_normal};

/// The share of false alarms up to which DCASE's partial AUC looks.
pub const PAUC_MAX_FPR: f64 = 0.1;

/// The area under the ROC curve, ties counting half; `None` where a class is empty.
pub fn auc(normal: &[f64], anomaly: &[f64]) -> Option<f64> {
    let curve = roc_curve(normal, anomaly)?;
    let area = curve
        .windows(2)
        .map(|pair| (pair[1][0] - pair[0][0]) * (pair[0][1] + pair[1][1]) / 2.0);
    Some(area.sum())
}

/// The area under the ROC curve up to a false-positive rate, standardised so that chance is 0.5 (McClish 1989).
///
/// Equals scikit-learn's `roc_auc_score(max_fpr=…)`, which interpolates the curve linearly at `max_fpr`. `None` where a
/// class is empty or `max_fpr` is not in `(0, 1]`. May be below 0.5: at `max_fpr` 0.1 the least is 0.474.
pub fn pauc(normal: &[f64], anomaly: &[f64], max_fpr: f64) -> Option<f64> {
    if !(max_fpr > 0.0 && max_fpr <= 1.0) {
        return None;
    }
    if max_fpr == 1.0 {
        return auc(normal, anomaly);
    }
    let curve = roc_curve(normal, anomaly)?;
    let mut area = 0.0;
    for pair in curve.windows(2) {
        let ([x0, y0], [x1, y1]) = (pair[0], pair[1]);
        if x0 >= max_fpr {
            break;
        }
        let end = x1.min(max_fpr);
        let y_end = if x1 > max_fpr {
            y0 + (y1 - y0) * (max_fpr - x0) / (x1 - x0)
        } else {
            y1
        };
        area += (end - x0) * (y0 + y_end) / 2.0;
    }
    let chance = max_fpr * max_fpr / 2.0;
    Some(0.5 * (1.0 + (area - chance) / (max_fpr - chance)))
}

/// Points `[false-positive rate, true-positive rate]` from `[0, 0]` to `[1, 1]`, one per distinct score.
///
/// `None` where a class is empty.
pub fn roc_curve(normal: &[f64], anomaly: &[f64]) -> Option<Vec<[f64; 2]>> {
    let point = |counts: &[usize; 2]| {
        [
            counts[0] as f64 / normal.len() as f64,
            counts[1] as f64 / anomaly.len() as f64,
        ]
    };
    Some(cumulated(normal, anomaly)?.iter().map(point).collect())
}

/// The mean precision over the recall steps of descending scores, without interpolation; `None` where a class is empty.
pub fn average_precision(normal: &[f64], anomaly: &[f64]) -> Option<f64> {
    let counts = cumulated(normal, anomaly)?;
    let steps = counts.windows(2).map(|pair| {
        let [false_alarms, found] = pair[1];
        let step = (found - pair[0][1]) as f64 / anomaly.len() as f64;
        step * found as f64 / (found + false_alarms) as f64
    });
    Some(steps.sum())
}

/// Points `[recall, precision]`, one per distinct score from the highest on; starts with the first score's precision at
/// recall 0. `None` where a class is empty.
pub fn precision_recall_curve(normal: &[f64], anomaly: &[f64]) -> Option<Vec<[f64; 2]>> {
    let counts = cumulated(normal, anomaly)?;
    let point = |[false_alarms, found]: &[usize; 2]| {
        let precision = *found as f64 / (found + false_alarms) as f64;
        [*found as f64 / anomaly.len() as f64, precision]
    };
    let mut points: Vec<[f64; 2]> = counts[1..].iter().map(point).collect();
    points.insert(0, [0.0, points[0][1]]);
    Some(points)
}

/// Running counts `[normals, anomalies]` at or above each distinct score, from the highest; starts with `[0, 0]`.
fn cumulated(normal: &[f64], anomaly: &[f64]) -> Option<Vec<[usize; 2]>> {
    if normal.is_empty() || anomaly.is_empty() {
        return None;
    }
    let mut clips: Vec<(f64, usize)> = judged_normal(normal).map(|score| (score, 0)).collect();
    clips.extend(judged_anomalous(anomaly).map(|score| (score, 1)));
    // No score is NaN any more, and 0.0 and -0.0 must tie.
    clips.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal));
    let mut counts = vec![[0, 0]];
    let mut count = [0, 0];
    for (idx, (score, class)) in clips.iter().enumerate() {
        count[*class] += 1;
        if clips.get(idx + 1).is_none_or(|next| next.0 != *score) {
            counts.push(count);
        }
    }
    Some(counts)
}
