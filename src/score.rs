//! From anomaly scores to figures of merit.
//!
//! A higher score means more anomalous. A score that is not a number is always judged wrong: on a normal clip it counts
//! as positive infinity, on an anomalous one as negative infinity, so that a broken network cannot look good.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::data::Domain;

/// The share of false alarms up to which DCASE's partial AUC looks.
pub const PAUC_MAX_FPR: f64 = 0.1;

/// How the scores of a clip's windows become the score of the clip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pooling {
    /// The DCASE baselines' choice.
    Mean,
    Max,
    /// A quantile in `[0, 1]`, interpolated linearly; less nervous than the maximum.
    Quantile(f64),
    /// The mean of the highest share of the windows, in `(0, 1]`; at least one window.
    TopMean(f64),
}

impl Pooling {
    /// The score of a clip; `None` without windows, not a number where one window's score is not.
    pub fn pool(self, windows: &[f64]) -> Option<f64> {
        if windows.is_empty() {
            return None;
        }
        if windows.iter().any(|score| score.is_nan()) {
            return Some(f64::NAN);
        }
        match self {
            Pooling::Mean => Some(mean(windows)),
            Pooling::Max => windows.iter().copied().max_by(f64::total_cmp),
            Pooling::Quantile(q) => quantile(windows, q),
            Pooling::TopMean(share) => {
                let count = (share * windows.len() as f64).ceil() as usize;
                let mut sorted = windows.to_vec();
                sorted.sort_by(|a, b| b.total_cmp(a));
                Some(mean(&sorted[..count.clamp(1, windows.len())]))
            }
        }
    }
}

/// The mean squared difference of a window and its reconstruction.
pub fn reconstruction_error(x: &[f32], y: &[f32]) -> f64 {
    debug_assert_eq!(x.len(), y.len());
    // Eight sums side by side, so that the additions do not wait for each other.
    let mut sums = [0.0; 8];
    for (idx, (x, y)) in x.iter().zip(y).enumerate() {
        let difference = f64::from(*x) - f64::from(*y);
        sums[idx % 8] += difference * difference;
    }
    sums.iter().sum::<f64>() / x.len() as f64
}

/// The log-odds against the class a clip should belong to: `ln(max(1 - p, e)) - ln(max(p, e))`, `p` its softmax.
///
/// `e` is the double's machine epsilon and a class beyond the last counts as the last, both as in the MobileNetV2
/// baseline of DCASE 2022. Computed from logits without forming `1 - p`, so it keeps its precision near 0 and 1.
pub fn negative_log_odds(logits: &[f32], class: usize) -> f64 {
    let Some(last) = logits.len().checked_sub(1) else {
        return f64::NAN;
    };
    let class = class.min(last);
    let all = log_sum_exp(logits.iter().copied());
    let others = log_sum_exp(
        logits
            .iter()
            .enumerate()
            .filter_map(|(idx, logit)| (idx != class).then_some(*logit)),
    );
    let floor = f64::EPSILON.ln();
    // `f64::max` would hide a logit that is not a number.
    let floored = |log: f64| if log < floor { floor } else { log };
    floored(others - all) - floored(f64::from(logits[class]) - all)
}

/// Adds up the residuals (input minus reconstruction) of training windows, for [`Mahalanobis`].
#[derive(Debug, Clone, PartialEq)]
pub struct ResidualSums {
    bands: usize,
    windows: usize,
    frames: usize,
    sum: Vec<f64>,
    /// `bands x bands`; only the lower triangle is filled.
    products: Vec<f64>,
}

impl ResidualSums {
    /// `bands` must not be zero.
    pub fn new(bands: usize) -> ResidualSums {
        ResidualSums {
            bands,
            windows: 0,
            frames: 0,
            sum: vec![0.0; bands],
            products: vec![0.0; bands * bands],
        }
    }

    /// Adds one window: whole frames of `bands` residuals.
    pub fn add(&mut self, residual: &[f32]) {
        self.windows += 1;
        for frame in residual.chunks_exact(self.bands) {
            self.frames += 1;
            for (row, value) in frame.iter().enumerate() {
                let value = f64::from(*value);
                self.sum[row] += value;
                let products = &mut self.products[row * self.bands..][..=row];
                for (product, other) in products.iter_mut().zip(frame) {
                    *product += value * f64::from(*other);
                }
            }
        }
    }

    /// The detector of these windows; `None` where they are too few for a covariance of full rank.
    pub fn mahalanobis(&self) -> Option<Mahalanobis> {
        let bands = self.bands;
        // Cholesky's factorisation of the covariance, row by row.
        let mut factor = vec![0.0; bands * bands];
        for row in 0..bands {
            for column in 0..=row {
                let centred = self.products[row * bands + column]
                    - self.sum[row] * self.sum[column] / self.frames as f64;
                let covariance = centred / (self.windows as f64 - 1.0);
                let known: f64 = (0..column)
                    .map(|k| factor[row * bands + k] * factor[column * bands + k])
                    .sum();
                let rest = covariance - known;
                factor[row * bands + column] = if row > column {
                    rest / factor[column * bands + column]
                } else if rest > 1e-12 * covariance && rest.is_finite() {
                    rest.sqrt()
                } else {
                    return None;
                };
            }
        }
        Some(Mahalanobis { bands, factor })
    }
}

/// Scores a clip by the Mahalanobis length of its mean residual, as the selective mode of the DCASE 2023 baseline.
///
/// The baseline divides the covariance by the windows and not by their frames, less one, and takes the smaller of the
/// scores with the covariances of the source and of the target domain.
#[derive(Debug, Clone, PartialEq)]
pub struct Mahalanobis {
    bands: usize,
    /// Lower triangular `L` with `L L^T` the covariance, `bands x bands`.
    factor: Vec<f64>,
}

impl Mahalanobis {
    /// The squared length of the mean residual of a clip's windows; whole frames of `bands` residuals.
    pub fn score(&self, residual: &[f32]) -> f64 {
        let bands = self.bands;
        let mut mean = vec![0.0; bands];
        for frame in residual.chunks_exact(bands) {
            for (mean, value) in mean.iter_mut().zip(frame) {
                *mean += f64::from(*value);
            }
        }
        let frames = (residual.len() / bands) as f64;
        let mut whitened: Vec<f64> = Vec::with_capacity(bands);
        for (row, sum) in mean.iter().enumerate() {
            let factor = &self.factor[row * bands..][..=row];
            let known: f64 = factor.iter().zip(&whitened).map(|(f, w)| f * w).sum();
            whitened.push((sum / frames - known) / factor[row]);
        }
        whitened.iter().map(|value| value * value).sum()
    }
}

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

/// The `q` quantile with linear interpolation, as numpy's default; `None` without values, for a `q` outside `[0, 1]`
/// and where a value is not a number.
///
/// The quantile of the normal training scores is the threshold of a detector: 0.9 accepts one false alarm in ten.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    if values.is_empty() || !(0.0..=1.0).contains(&q) || values.iter().any(|v| v.is_nan()) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = q * (sorted.len() - 1) as f64;
    let below = sorted[position.floor() as usize];
    let above = sorted[position.ceil() as usize];
    if below == above {
        return Some(below);
    }
    Some(below + (above - below) * position.fract())
}

/// The harmonic mean of non-negative values, 0 where one of them is 0; `None` without values.
pub fn harmonic_mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let reciprocals: f64 = values.iter().map(|value| value.recip()).sum();
    Some(values.len() as f64 / reciprocals)
}

/// Decisions of a detector, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confusion {
    pub true_positives: usize,
    pub false_positives: usize,
    pub true_negatives: usize,
    pub false_negatives: usize,
}

impl Confusion {
    /// Calls every clip anomalous whose score is above the threshold.
    pub fn at_threshold(normal: &[f64], anomaly: &[f64], threshold: f64) -> Confusion {
        let false_positives = judged_normal(normal).filter(|s| *s > threshold).count();
        let true_positives = judged_anomalous(anomaly).filter(|s| *s > threshold).count();
        Confusion {
            true_positives,
            false_positives,
            true_negatives: normal.len() - false_positives,
            false_negatives: anomaly.len() - true_positives,
        }
    }

    /// The share of right decisions; 0 without clips.
    pub fn accuracy(&self) -> f64 {
        let right = self.true_positives + self.true_negatives;
        ratio(right, right + self.false_positives + self.false_negatives)
    }

    /// The share of alarms that were anomalies; 0 without alarms.
    pub fn precision(&self) -> f64 {
        let alarms = self.true_positives + self.false_positives;
        ratio(self.true_positives, alarms)
    }

    /// The share of anomalies that were found; 0 without anomalies.
    pub fn recall(&self) -> f64 {
        let anomalies = self.true_positives + self.false_negatives;
        ratio(self.true_positives, anomalies)
    }

    /// The harmonic mean of precision and recall; 0 without anomalies and alarms.
    pub fn f1(&self) -> f64 {
        let missed = self.false_positives + self.false_negatives;
        ratio(2 * self.true_positives, 2 * self.true_positives + missed)
    }
}

/// How well clips are told apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Classification {
    pub accuracy: f64,
    /// Unweighted mean of F1 over the classes that occur in the truth or in the predictions.
    pub macro_f1: f64,
    /// Unweighted mean of one-against-rest average precision over the classes that some clips have and some have not.
    /// `None` where there are no such classes.
    pub mean_average_precision: Option<f64>,
}

/// Compares class scores with the truth: one row of `classes` scores (logits or probabilities) per clip.
///
/// The first highest score of a row is its prediction; a row with a score that is not a number predicts nothing. `None` without clips or classes, or where lengths disagree or a
/// true class is not below `classes`.
pub fn classification(scores: &[f64], truth: &[usize], classes: usize) -> Option<Classification> {
    let fits = scores.len() == truth.len().checked_mul(classes)?;
    if scores.is_empty() || !fits || truth.iter().any(|class| *class >= classes) {
        return None;
    }
    let predicted: Vec<Option<usize>> = scores.chunks_exact(classes).map(argmax).collect();
    let truth: Vec<Option<usize>> = truth.iter().copied().map(Some).collect();
    let right = predicted.iter().zip(&truth).filter(|(p, t)| p == t).count();
    let mut f1 = Vec::new();
    let mut precision = Vec::new();
    for class in 0..classes {
        let is_class = |label: &&Option<usize>| **label == Some(class);
        let mentions = [&predicted, &truth]
            .map(|labels| labels.iter().filter(is_class).count())
            .iter()
            .sum();
        if mentions > 0 {
            let both = |(p, t): &(&Option<usize>, &Option<usize>)| is_class(p) && p == t;
            let hits = predicted.iter().zip(&truth).filter(both).count();
            f1.push(ratio(2 * hits, mentions));
        }
        let (mut own, mut rest) = (Vec::new(), Vec::new());
        for (row, label) in scores.chunks_exact(classes).zip(&truth) {
            let side = if is_class(&label) {
                &mut own
            } else {
                &mut rest
            };
            side.push(row[class]);
        }
        precision.extend(average_precision(&rest, &own));
    }
    Some(Classification {
        accuracy: ratio(right, truth.len()),
        macro_f1: mean(&f1),
        mean_average_precision: (!precision.is_empty()).then(|| mean(&precision)),
    })
}

/// The score of one labelled clip.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipScore {
    pub machine: String,
    pub section: String,
    pub domain: Domain,
    pub anomaly: bool,
    pub score: f64,
}

/// Figures of one group of clips.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupScore {
    pub machine: String,
    pub section: String,
    /// `None` for the whole section.
    pub domain: Option<Domain>,
    /// `None` on the row of a whole section that has a row per domain, and where a class is missing.
    pub auc: Option<f64>,
    /// `None` on the row of one domain, and where a class is missing.
    pub pauc: Option<f64>,
    pub normals: usize,
    pub anomalies: usize,
}

/// The figures of a scored set of clips.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub groups: Vec<GroupScore>,
    /// Harmonic mean of the groups' AUCs: the plain AUC where there is one section with one domain.
    pub auc: Option<f64>,
    /// Harmonic mean of the groups' partial AUCs.
    pub pauc: Option<f64>,
    /// Harmonic mean of all AUCs and partial AUCs: DCASE's official score.
    pub official: Option<f64>,
    /// Groups that have no figures, and why; clips whose score is not a number.
    pub notes: Vec<String>,
}

/// Figures per machine and section, by the rule of DCASE 2022.
///
/// A section with both domains has one AUC per domain, the domain's normal clips against *all* anomalies of the section,
/// and one partial AUC over all its clips. A section with one domain has both figures over all its clips. Groups with
/// a missing class carry no figures, are left out of the means and are named in the notes.
pub fn summarise(clips: &[ClipScore]) -> Summary {
    let mut sections: BTreeMap<(&str, &str), Vec<&ClipScore>> = BTreeMap::new();
    for clip in clips {
        let key = (clip.machine.as_str(), clip.section.as_str());
        sections.entry(key).or_default().push(clip);
    }
    let mut groups = Vec::new();
    for ((machine, section), clips) in sections {
        let domains: BTreeSet<Domain> = clips.iter().map(|clip| clip.domain).collect();
        let scores_of = |anomaly: bool, domain: Option<Domain>| -> Vec<f64> {
            let chosen = |clip: &&&ClipScore| {
                clip.anomaly == anomaly && domain.is_none_or(|domain| clip.domain == domain)
            };
            clips.iter().filter(chosen).map(|clip| clip.score).collect()
        };
        let anomaly = scores_of(true, None);
        let group = |domain: Option<Domain>, normals: usize| GroupScore {
            machine: machine.to_string(),
            section: section.to_string(),
            domain,
            auc: None,
            pauc: None,
            normals,
            anomalies: anomaly.len(),
        };
        let normal = scores_of(false, None);
        let whole = GroupScore {
            pauc: pauc(&normal, &anomaly, PAUC_MAX_FPR),
            ..group(None, normal.len())
        };
        if domains.len() < 2 {
            let auc = auc(&normal, &anomaly);
            groups.push(GroupScore { auc, ..whole });
            continue;
        }
        for domain in domains {
            let normal = scores_of(false, Some(domain));
            groups.push(GroupScore {
                auc: auc(&normal, &anomaly),
                ..group(Some(domain), normal.len())
            });
        }
        groups.push(whole);
    }
    let aucs: Vec<f64> = groups.iter().filter_map(|group| group.auc).collect();
    let paucs: Vec<f64> = groups.iter().filter_map(|group| group.pauc).collect();
    Summary {
        auc: harmonic_mean(&aucs),
        pauc: harmonic_mean(&paucs),
        official: harmonic_mean(&[aucs, paucs].concat()),
        notes: notes(clips, &groups),
        groups,
    }
}

impl fmt::Display for GroupScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.machine, self.section)?;
        match self.domain {
            Some(Domain::Source) => write!(f, " (source)"),
            Some(Domain::Target) => write!(f, " (target)"),
            None => Ok(()),
        }
    }
}

fn notes(clips: &[ClipScore], groups: &[GroupScore]) -> Vec<String> {
    let mut notes = Vec::new();
    for group in groups {
        let missing = match (group.normals, group.anomalies) {
            (0, 0) => "labelled clips",
            (0, _) => "normal clips",
            (_, 0) => "anomalous clips",
            _ => continue,
        };
        notes.push(format!("{group}: no {missing}, left out of the means"));
    }
    let broken = clips.iter().filter(|clip| clip.score.is_nan()).count();
    if broken > 0 {
        let plural = if broken == 1 { "clip" } else { "clips" };
        notes.push(format!(
            "{broken} {plural} scored not a number, judged wrong"
        ));
    }
    notes
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

fn judged_normal(scores: &[f64]) -> impl Iterator<Item = f64> {
    let judge = |s: &f64| if s.is_nan() { f64::INFINITY } else { *s };
    scores.iter().map(judge)
}

fn judged_anomalous(scores: &[f64]) -> impl Iterator<Item = f64> {
    let judge = |s: &f64| if s.is_nan() { f64::NEG_INFINITY } else { *s };
    scores.iter().map(judge)
}

fn log_sum_exp(logits: impl Iterator<Item = f32> + Clone) -> f64 {
    let highest = logits
        .clone()
        .fold(f64::NEG_INFINITY, |max, logit| max.max(f64::from(logit)));
    if highest == f64::NEG_INFINITY {
        return highest;
    }
    let sum: f64 = logits.map(|logit| (f64::from(logit) - highest).exp()).sum();
    highest + sum.ln()
}

fn argmax(row: &[f64]) -> Option<usize> {
    if row.iter().any(|score| score.is_nan()) {
        return None;
    }
    // `max_by` takes the last of equals, and the first is wanted.
    (0..row.len())
        .rev()
        .max_by(|a, b| row[*a].total_cmp(&row[*b]))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Golden {
        binary: Vec<Binary>,
        multiclass: Vec<Multiclass>,
        mahalanobis: Vec<MahalanobisCase>,
    }

    #[derive(Deserialize)]
    struct MahalanobisCase {
        bands: usize,
        frames: usize,
        residual: Vec<f32>,
        clip: Vec<f32>,
        score: f64,
    }

    #[derive(Deserialize)]
    struct Binary {
        normal: Vec<f64>,
        anomaly: Vec<f64>,
        auc: f64,
        pauc_01: f64,
        pauc_05: f64,
        average_precision: f64,
        quantile_09: f64,
        accuracy: f64,
        precision: f64,
        recall: f64,
        f1: f64,
    }

    #[derive(Deserialize)]
    struct Multiclass {
        classes: usize,
        truth: Vec<usize>,
        scores: Vec<Vec<f64>>,
        accuracy: f64,
        macro_f1: f64,
        mean_average_precision: f64,
    }

    /// Both sides add at most a few hundred doubles of size 1, so rounding stays far below 1e-12.
    #[track_caller]
    fn close(ours: f64, theirs: f64) {
        assert!((ours - theirs).abs() < 1e-12, "{ours} is not {theirs}");
    }

    #[test]
    fn figures_are_those_of_scikit_learn() {
        let golden: Golden =
            serde_json::from_str(include_str!("../tests/golden/sklearn.json")).unwrap();
        for case in &golden.binary {
            let (normal, anomaly) = (&case.normal[..], &case.anomaly[..]);
            close(auc(normal, anomaly).unwrap(), case.auc);
            close(pauc(normal, anomaly, 0.1).unwrap(), case.pauc_01);
            close(pauc(normal, anomaly, 0.5).unwrap(), case.pauc_05);
            close(pauc(normal, anomaly, 1.0).unwrap(), case.auc);
            let precision = average_precision(normal, anomaly).unwrap();
            close(precision, case.average_precision);
            close(quantile(normal, 0.9).unwrap(), case.quantile_09);
            let confusion = Confusion::at_threshold(normal, anomaly, case.quantile_09);
            close(confusion.accuracy(), case.accuracy);
            close(confusion.precision(), case.precision);
            close(confusion.recall(), case.recall);
            close(confusion.f1(), case.f1);
        }
        for case in &golden.multiclass {
            let figures = classification(&case.scores.concat(), &case.truth, case.classes).unwrap();
            close(figures.accuracy, case.accuracy);
            close(figures.macro_f1, case.macro_f1);
            let precision = figures.mean_average_precision.unwrap();
            close(precision, case.mean_average_precision);
        }
        for case in &golden.mahalanobis {
            let mut sums = ResidualSums::new(case.bands);
            let windows = case.residual.chunks_exact(case.bands * case.frames);
            windows.for_each(|window| sums.add(window));
            let score = sums.mahalanobis().unwrap().score(&case.clip);
            // numpy inverts the covariance, whose condition is at most some 1e5 here.
            assert!((score / case.score - 1.0).abs() < 1e-9, "{score}");
        }
        let counts = [
            golden.binary.len(),
            golden.multiclass.len(),
            golden.mahalanobis.len(),
        ];
        assert_eq!(counts, [24, 6, 3]);
    }

    #[test]
    fn too_few_residuals_make_no_detector() {
        let mut sums = ResidualSums::new(2);
        assert_eq!(sums.mahalanobis(), None);
        sums.add(&[1.0, 2.0]);
        sums.add(&[2.0, 4.0]);
        assert_eq!(sums.mahalanobis(), None);
        sums.add(&[2.0, f32::NAN]);
        assert_eq!(sums.mahalanobis(), None);
    }

    #[test]
    fn a_missing_class_has_no_figure_and_a_broken_score_is_wrong() {
        fn check(normal: &[f64], anomaly: &[f64], expected: Option<f64>) {
            assert_eq!(auc(normal, anomaly), expected, "{normal:?} {anomaly:?}");
            let partial = pauc(normal, anomaly, PAUC_MAX_FPR);
            assert_eq!(partial.is_some(), expected.is_some());
        }
        let nan = f64::NAN;
        check(&[], &[1.0], None);
        check(&[1.0], &[], None);
        check(&[1.0], &[1.0], Some(0.5));
        check(&[0.0], &[-0.0], Some(0.5));
        check(&[1.0, 2.0], &[3.0, 4.0], Some(1.0));
        check(&[nan, 2.0], &[3.0, 4.0], Some(0.5));
        check(&[1.0, 2.0], &[3.0, nan], Some(0.5));
        check(&[nan, nan], &[nan], Some(0.0));
        check(&[f64::INFINITY], &[f64::INFINITY], Some(0.5));
        assert_eq!(pauc(&[0.0], &[1.0], 0.0), None);
        assert_eq!(pauc(&[0.0], &[1.0], nan), None);
        assert_eq!(quantile(&[nan], 0.5), None);
        assert_eq!(harmonic_mean(&[]), None);
        assert_eq!(harmonic_mean(&[0.5, 0.0]), Some(0.0));
        assert_eq!(classification(&[1.0], &[1], 1), None);
        assert_eq!(classification(&[], &[], 0), None);
    }

    #[test]
    fn windows_pool_to_a_clip() {
        fn check(pooling: Pooling, windows: &[f64], expected: Option<f64>) {
            assert_eq!(pooling.pool(windows), expected, "{pooling:?} {windows:?}");
        }
        let windows = [1.0, 5.0, 3.0, 2.0];
        check(Pooling::Mean, &windows, Some(2.75));
        check(Pooling::Max, &windows, Some(5.0));
        check(Pooling::Quantile(0.5), &windows, Some(2.5));
        check(Pooling::TopMean(0.5), &windows, Some(4.0));
        check(Pooling::TopMean(0.01), &windows, Some(5.0));
        check(Pooling::Mean, &[], None);
        for pooling in [Pooling::Mean, Pooling::Max, Pooling::Quantile(0.1)] {
            assert!(pooling.pool(&[1.0, f64::NAN]).unwrap().is_nan());
        }
    }

    #[test]
    fn windows_are_scored_as_the_baselines_do() {
        assert_eq!(
            reconstruction_error(&[1.0, 2.0, 4.0], &[1.0, 0.0, 5.0]),
            5.0 / 3.0
        );
        // Softmax of [0, ln 3] is [1/4, 3/4].
        let logits = [0.0, 3f32.ln()];
        // f32 holds ln 3 to 2^-24 relative.
        assert!((negative_log_odds(&logits, 0) - 3f64.ln()).abs() < 1e-7);
        assert!((negative_log_odds(&logits, 1) + 3f64.ln()).abs() < 1e-7);
        assert_eq!(negative_log_odds(&logits, 9), negative_log_odds(&logits, 1));
        // 1 - p underflows here; the log-odds must still order the clips.
        assert!((negative_log_odds(&[30.0, 0.0], 0) + 30.0).abs() < 1e-9);
        assert_eq!(negative_log_odds(&[1e6, 0.0], 1), -f64::EPSILON.ln());
        assert!(negative_log_odds(&[f32::NAN, 0.0], 1).is_nan());
    }

    fn clip(section: &str, domain: Domain, anomaly: bool, score: f64) -> ClipScore {
        ClipScore {
            machine: "fan".to_string(),
            section: section.to_string(),
            domain,
            anomaly,
            score,
        }
    }

    #[test]
    fn groups_follow_the_rule_of_dcase() {
        use Domain::{Source, Target};
        let two_domains = [
            clip("00", Source, false, 1.0),
            clip("00", Source, false, 2.0),
            clip("00", Target, false, 3.5),
            clip("00", Source, true, 3.0),
            clip("00", Target, true, 4.0),
        ];
        let summary = summarise(&two_domains);
        let rows: Vec<_> = summary
            .groups
            .iter()
            .map(|g| (g.domain, g.auc, g.normals, g.anomalies))
            .collect();
        let expected = [
            (Some(Source), Some(1.0), 2, 2),
            (Some(Target), Some(0.5), 1, 2),
            (None, None, 3, 2),
        ];
        assert_eq!(rows, expected);
        assert_eq!(summary.auc, harmonic_mean(&[1.0, 0.5]));
        let all = pauc(&[1.0, 2.0, 3.5], &[3.0, 4.0], PAUC_MAX_FPR);
        assert_eq!(summary.pauc, all);
        assert_eq!(summary.notes, Vec::<String>::new());

        let one_domain = [
            clip("00", Source, false, 1.0),
            clip("00", Source, true, 2.0),
            clip("00", Source, true, 0.5),
            clip("01", Source, false, 2.0),
        ];
        let summary = summarise(&one_domain);
        assert_eq!(summary.auc, Some(0.5));
        let note = "fan 01: no anomalous clips, left out of the means";
        assert_eq!(summary.notes, [note]);
        assert_eq!(summarise(&[]).auc, None);
    }

    proptest! {
        #[test]
        fn auc_sees_only_the_order(
            normal in prop::collection::vec(-4i8..4, 1..20),
            anomaly in prop::collection::vec(-4i8..4, 1..20),
        ) {
            let map = |scores: &[i8], f: fn(f64) -> f64| -> Vec<f64> {
                scores.iter().map(|s| f(f64::from(*s))).collect()
            };
            let figures = |f: fn(f64) -> f64| {
                let (normal, anomaly) = (map(&normal, f), map(&anomaly, f));
                (auc(&normal, &anomaly), pauc(&normal, &anomaly, PAUC_MAX_FPR))
            };
            prop_assert_eq!(figures(|s| s), figures(|s| s.exp() * 7.0 - 3.0));
            let plain = auc(&map(&normal, |s| s), &map(&anomaly, |s| s)).unwrap();
            let swapped = auc(&map(&anomaly, |s| s), &map(&normal, |s| s)).unwrap();
            // Both are sums of at most 40 fractions.
            prop_assert!((plain + swapped - 1.0).abs() < 1e-12);
            // The definition: the share of pairs in the right order, ties half.
            let pairs = normal.iter().flat_map(|n| anomaly.iter().map(move |a| (n, a)));
            let right: f64 = pairs.map(|(n, a)| match a.cmp(n) {
                Ordering::Greater => 1.0,
                Ordering::Equal => 0.5,
                Ordering::Less => 0.0,
            }).sum();
            let count = (normal.len() * anomaly.len()) as f64;
            prop_assert!((plain - right / count).abs() < 1e-12);
        }
    }
}
