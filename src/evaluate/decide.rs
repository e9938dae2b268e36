//! Finds the threshold and the rule by which a detector raises alarms.

use std::path::Path;

use nas_kernels::alarm::{AlarmRule, LARGEST, MOST_WINDOWS};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    AlarmCard, ModelCard,
    tape::{Expected, Outcome, Tape, TapedClip},
};
use crate::{
    disk,
    score::{Gamma, quantile},
    units::DAY_S,
};

/// What the rule is chosen for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// The most faults at so many false alarms a day at most.
    MaxAlarms(f64),
    /// The fewest false alarms with this share of the faults found, 0 to 1.
    MinRecall(f64),
    /// The least cost of misses and false alarms, counted on the clips that choose.
    Costs {
        /// Cost of a fault that is not found.
        miss: f64,
        /// Cost of a false alarm.
        alarm: f64,
    },
}

/// A rule that was chosen, and what to expect of it; written beside the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionCard {
    /// Its number beside the model, from 1.
    pub version: u32,
    /// A score above it is a vote for an alarm.
    pub threshold: f64,
    /// What votes become.
    pub alarm: AlarmCard,
    /// What was asked for, in words.
    pub goal: String,
    /// The data that it was chosen on.
    pub data: String,
    /// What to expect, on clips that chose nothing.
    pub expected: Promise,
}

/// What to expect of a rule, counted on clips that did not choose it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Promise {
    /// Seconds of normal sound that false alarms were counted on.
    pub normal_s: f64,
    /// False alarms that were counted.
    pub false_alarms: usize,
    /// False alarms in a day of normal sound; null without normal sound.
    pub false_alarms_per_day: Option<Expected>,
    /// Faults that were listened to.
    pub faults: usize,
    /// Share of the faults that raise an alarm; null without faults.
    pub recall: Option<Expected>,
    /// Median of the seconds from the beginning of a fault to its alarm; null where none was found.
    pub delay_s: Option<Expected>,
}

/// Why no rule could be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecideError {
    /// There is too little normal sound.
    #[error(
        "{0} stretches of normal sound, each as long as a score covers, are not enough to choose and to judge on; at \
         least {LEAST_STRETCHES} are, in each half of the clips"
    )]
    Normal(usize),
    /// Faults are needed.
    #[error(
        "a recall or a cost of misses needs sound that is labelled as a fault, at least 4 clips"
    )]
    Faults,
}

/// Fewest stretches of normal sound.
const LEAST_STRETCHES: usize = 5;
/// Votes that are tried: needed, of.
const VOTES: [[u32; 2]; 6] = [[1, 1], [2, 3], [4, 8], [8, 8], [16, 16], [32, 32]];
/// Share of the way from the threshold to usual normal scores at which votes end.
const RELEASE: f64 = 0.25;

/// The halves of the clips: every other one of each class and label chooses, the others only judge.
pub fn halves(clips: &[TapedClip]) -> [Vec<&TapedClip>; 2] {
    let mut halves = [Vec::new(), Vec::new()];
    let mut seen = std::collections::BTreeMap::new();
    for clip in clips {
        let count: &mut usize = seen.entry((clip.class, clip.is_fault)).or_default();
        halves[*count % 2].push(clip);
        *count += 1;
    }
    halves
}

/// A rule that is being weighed.
#[derive(Debug, Clone)]
struct Candidate {
    threshold: f64,
    rule: AlarmRule,
    outcome: Outcome,
}

/// Chooses the rule on one half of the clips, and counts on the other what to expect.
///
/// # Errors
/// Where there is too little sound of a kind that the goal needs.
pub fn decide(
    card: &ModelCard,
    clips: &[TapedClip],
    goal: Goal,
) -> Result<(f64, AlarmRule, Promise), DecideError> {
    let [choosing, judging] = halves(clips).map(|half| Tape::new(card, &half));
    let stretches = [&choosing, &judging].map(|tape| tape.normal_peaks(1, 1).len());
    let least = stretches[0].min(stretches[1]);
    if least < LEAST_STRETCHES {
        return Err(DecideError::Normal(least));
    }
    let (threshold, rule) = choose(card, &choosing, goal)?;
    let outcome = judging.outcome(threshold as f32, rule);
    Ok((threshold, rule, promise(&outcome)))
}

/// What counts say about times to come.
pub fn promise(outcome: &Outcome) -> Promise {
    Promise {
        normal_s: outcome.normal_s,
        false_alarms: outcome.false_alarms,
        false_alarms_per_day: outcome.false_alarms_per_day(),
        faults: outcome.faults,
        recall: outcome.recall(),
        delay_s: outcome.delay_s(),
    }
}

fn choose(card: &ModelCard, tape: &Tape, goal: Goal) -> Result<(f64, AlarmRule), DecideError> {
    let faults = tape.fault_peaks(1, 1).len();
    if faults < 2 && !matches!(goal, Goal::MaxAlarms(_)) {
        return Err(DecideError::Faults);
    }
    let candidates = VOTES.into_iter().flat_map(|[needed, of]| {
        let normal = tape.normal_peaks(needed, of);
        let faulty = tape.fault_peaks(needed, of);
        let thresholds = match goal {
            Goal::MaxAlarms(per_day) => {
                let share = per_day * tape.horizon_s() / DAY_S;
                above_normal(&normal, &faulty, share).into_iter().collect()
            }
            Goal::MinRecall(recall) => below_faults(&normal, &faulty, recall).into_iter().collect(),
            Goal::Costs { .. } => between_all(&normal, &faulty),
        };
        let weighed = thresholds.into_iter().map(move |threshold| {
            let rule = rule_of(card, tape, threshold, needed, of);
            let outcome = tape.outcome(threshold as f32, rule);
            Candidate {
                threshold,
                rule,
                outcome,
            }
        });
        weighed.collect::<Vec<Candidate>>()
    });
    let weight = |candidate: &Candidate| -> [f64; 3] {
        let Outcome {
            false_alarms,
            faults,
            ref delays_s,
            ..
        } = candidate.outcome;
        let missed = (faults - delays_s.len()) as f64;
        let alarms = false_alarms as f64;
        let delay_s = quantile(delays_s, 0.5).unwrap_or(0.0);
        match goal {
            Goal::MaxAlarms(_) => [missed, alarms, delay_s],
            Goal::MinRecall(_) => [alarms, missed, delay_s],
            Goal::Costs { miss, alarm } => [miss * missed + alarm * alarms, missed, delay_s],
        }
    };
    // Of equal ones the first, which needs the fewest votes.
    let best = candidates.reduce(|best, other| {
        let is_less = weight(&other)
            .partial_cmp(&weight(&best))
            .is_some_and(|order| order.is_lt());
        if is_less { other } else { best }
    });
    let best = best.ok_or(DecideError::Faults)?;
    Ok((best.threshold, best.rule))
}

/// The rule with hysteresis and a hold: an alarm ends well below the threshold, and lasts as long as a score covers.
fn rule_of(card: &ModelCard, tape: &Tape, threshold: f64, needed: u32, of: u32) -> AlarmRule {
    let usual = tape.normal_median().unwrap_or(threshold);
    let release = (RELEASE * (threshold - usual)).clamp(0.0, f64::from(LARGEST));
    AlarmRule {
        release: release as f32,
        needed,
        of,
        hold: card.score_windows.min(MOST_WINDOWS),
        ..card.alarm_rule()
    }
}

/// The threshold that so small a share of the stretches of normal sound exceeds. Beyond what was heard, the tail of the
/// gamma distribution that fits their peaks says where. Where every fault lies above, the threshold moves halfway to them.
fn above_normal(normal: &[f64], faulty: &[f64], share: f64) -> Option<f64> {
    let share = share.clamp(1e-12, 1.0);
    let observed = quantile(normal, 1.0 - share)?;
    let tail = Gamma::fit(normal).map_or(observed, |gamma| gamma.quantile(1.0 - share));
    let threshold = observed.max(tail);
    let least = faulty.iter().copied().fold(f64::INFINITY, f64::min);
    Some(match least.is_finite() && least > threshold {
        true => threshold + (least - threshold) / 2.0,
        false => threshold,
    })
}

/// The highest threshold that this share of the faults exceeds: halfway to what lies next below.
fn below_faults(normal: &[f64], faulty: &[f64], recall: f64) -> Option<f64> {
    let mut peaks = faulty.to_vec();
    peaks.sort_by(|a, b| b.total_cmp(a));
    let wanted = (recall * peaks.len() as f64).ceil() as usize;
    let last = *peaks.get(wanted.clamp(1, peaks.len().max(1)) - 1)?;
    let below = normal.iter().chain(&peaks).copied();
    let below = below.filter(|peak| *peak < last);
    let below = below.fold(f64::NEG_INFINITY, f64::max);
    Some(match below.is_finite() {
        true => below + (last - below) / 2.0,
        false => last - last.abs().max(1.0) * 1e-6,
    })
}

/// Thresholds between all neighbouring peaks, and above all.
fn between_all(normal: &[f64], faulty: &[f64]) -> Vec<f64> {
    let mut peaks: Vec<f64> = normal.iter().chain(faulty).copied().collect();
    peaks.sort_by(f64::total_cmp);
    peaks.dedup();
    let highest = peaks.last().map(|last| last + last.abs().max(1.0) * 1e-3);
    let between = peaks.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
    between.chain(highest).collect()
}

impl DecisionCard {
    /// Writes it beside a model under the next free number, which it gets.
    ///
    /// # Errors
    /// Where the folder cannot be read or written.
    pub fn write_next(mut self, folder: &Path) -> std::io::Result<DecisionCard> {
        self.version = DecisionCard::versions(folder)?
            .last()
            .map_or(1, |last| last + 1);
        let text = serde_json::to_vec_pretty(&self).map_err(std::io::Error::other)?;
        disk::write_synced(&folder.join(file_name(self.version)), &text)?;
        Ok(self)
    }

    /// The decision of this number beside a model, or the last one; `None` where there is none.
    ///
    /// # Errors
    /// Where it cannot be read, or is no decision.
    pub fn read(folder: &Path, version: Option<u32>) -> std::io::Result<Option<DecisionCard>> {
        let versions = DecisionCard::versions(folder)?;
        let found = match version {
            Some(version) => versions.contains(&version).then_some(version),
            None => versions.last().copied(),
        };
        let Some(found) = found else {
            return Ok(None);
        };
        let text = std::fs::read(folder.join(file_name(found)))?;
        let card = serde_json::from_slice(&text).map_err(std::io::Error::other)?;
        Ok(Some(card))
    }

    /// Numbers of the decisions beside a model, ascending.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn versions(folder: &Path) -> std::io::Result<Vec<u32>> {
        let mut versions = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let name = entry?.file_name();
            let number = name.to_string_lossy();
            let number = number.strip_prefix("decision-");
            let number = number.and_then(|rest| rest.strip_suffix(".json"));
            versions.extend(number.and_then(|number| number.parse::<u32>().ok()));
        }
        versions.sort_unstable();
        Ok(versions)
    }
}

fn file_name(version: u32) -> String {
    format!("decision-{version}.json")
}
