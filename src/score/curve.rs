//! Figures that need no threshold: areas under curves.

use std::cmp::Ordering;

use super::{judged_anomalous, judged_normal};

/// DCASE's partial AUC ends at this share of false alarms.
pub const PAUC_MAX_FPR: f64 = 0.1;

/// The area under the ROC curve, 0 to 1. Ties count half. `None` where a class is empty.
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
    Some(mc_clish(area, max_fpr))
}

/// A partial area, standardised so that chance is 0.5 and the best is 1.
fn mc_clish(area: f64, max_fpr: f64) -> f64 {
    let chance = max_fpr * max_fpr / 2.0;
    0.5 * (1.0 + (area - chance) / (max_fpr - chance))
}

/// [`pauc`] without each normal and without each anomalous clip in turn; [`auc`] with a `max_fpr` of 1.
///
/// `None` where a class would be empty. Takes `n log n` steps for `n` clips.
pub(super) fn areas_without_each(
    normal: &[f64],
    anomaly: &[f64],
    max_fpr: f64,
) -> [Vec<Option<f64>>; 2] {
    let Some(counts) = cumulated(normal, anomaly) else {
        return [vec![None; normal.len()], vec![None; anomaly.len()]];
    };
    let counts: Vec<[f64; 2]> = counts.iter().map(|count| count.map(|n| n as f64)).collect();
    let steps = Steps::new(&counts);
    let [normals, anomalies] = [normal, anomaly].map(|scores| scores.len() as f64);
    let standardised = |area: f64| match max_fpr == 1.0 {
        true => area,
        false => mc_clish(area, max_fpr),
    };
    let places = steps.places(normal, anomaly);
    let [of_normal, of_anomaly] = places;
    let without_normal = |&place: &usize| {
        let area = steps.area_without_normal(place, max_fpr * (normals - 1.0));
        (normals > 1.0).then(|| standardised(area / (normals - 1.0) / anomalies))
    };
    let without_anomaly = |&place: &usize| {
        let area = steps.area_without_anomaly(place, max_fpr * normals);
        (anomalies > 1.0).then(|| standardised(area / normals / (anomalies - 1.0)))
    };
    [
        of_normal.iter().map(without_normal).collect(),
        of_anomaly.iter().map(without_anomaly).collect(),
    ]
}

/// An ROC curve in counts of clips. Every distinct score, from the highest on, is a step: a straight line.
struct Steps<'a> {
    /// `[normals, anomalies]` at or above each score; starts with `[0, 0]`.
    counts: &'a [[f64; 2]],
    /// Area below the curve up to each count.
    areas: Vec<f64>,
}

impl Steps<'_> {
    fn new(counts: &[[f64; 2]]) -> Steps<'_> {
        let mut areas = vec![0.0];
        for pair in counts.windows(2) {
            let ([x0, y0], [x1, y1]) = (pair[0], pair[1]);
            areas.push(areas[areas.len() - 1] + (x1 - x0) * (y0 + y1) / 2.0);
        }
        Steps { counts, areas }
    }

    /// The step of each normal and of each anomalous clip: step `k` leads from count `k` to the next.
    fn places(&self, normal: &[f64], anomaly: &[f64]) -> [Vec<usize>; 2] {
        let judged = [
            judged_normal(normal).collect::<Vec<f64>>(),
            judged_anomalous(anomaly).collect(),
        ];
        let mut distinct: Vec<f64> = judged.concat();
        distinct.sort_by(|a, b| b.partial_cmp(a).unwrap_or(Ordering::Equal));
        distinct.dedup();
        judged.map(|scores| {
            let place = |score: &f64| distinct.partition_point(|other| other > score);
            scores.iter().map(place).collect()
        })
    }

    /// Area up to so many normals.
    fn area(&self, x: f64) -> f64 {
        let next = self.counts.partition_point(|[normals, _]| *normals <= x);
        let Some([x1, y1]) = self.counts.get(next) else {
            return self.areas[self.areas.len() - 1];
        };
        let [x0, y0] = self.counts[next - 1];
        let part = x - x0;
        self.areas[next - 1] + part * (y0 + (y1 - y0) * part / (x1 - x0) / 2.0)
    }

    /// Area up to so many normals, after one normal clip of a step is left out.
    fn area_without_normal(&self, place: usize, x: f64) -> f64 {
        let ([x0, y0], [x1, y1]) = (self.counts[place], self.counts[place + 1]);
        let left = x1 - x0 - 1.0;
        if x <= x0 {
            return self.area(x);
        }
        if x <= x0 + left {
            let part = x - x0;
            return self.areas[place] + part * (y0 + (y1 - y0) * part / left / 2.0);
        }
        let step = left * (y0 + y1) / 2.0;
        self.areas[place] + step + self.area(x + 1.0) - self.areas[place + 1]
    }

    /// Area up to so many normals, after one anomalous clip of a step is left out.
    fn area_without_anomaly(&self, place: usize, x: f64) -> f64 {
        let ([x0, _], [x1, _]) = (self.counts[place], self.counts[place + 1]);
        // The clip adds one to every height behind its step, and rises with the step.
        let rise = (x.min(x1) - x0).max(0.0);
        let within = if rise > 0.0 {
            rise * rise / (x1 - x0) / 2.0
        } else {
            0.0
        };
        self.area(x) - (x - x1).max(0.0) - within
    }
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

/// Points `[recall, precision]`, one per distinct score from the highest on. The first point is the first score's
/// precision at recall 0. `None` where a class is empty.
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
    // No score is NaN here, and 0.0 and -0.0 must tie.
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
