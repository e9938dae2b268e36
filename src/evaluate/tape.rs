//! Scores over time of clips that are joined to sound that goes on, and what a rule for alarms makes of them.

use std::convert::Infallible;

use nas_kernels::{
    alarm::{Alarm, AlarmRule},
    decision::RunningScore,
};

use super::{ListenError, Model, ModelCard, Rule, listen};
use crate::{
    audio::SoundStream,
    score::{poisson_interval, quantile},
    stats::beta_quantile,
    units::DAY_S,
};

/// The windows' scores of one clip, as a device gives them.
#[derive(Debug, Clone, PartialEq)]
pub struct TapedClip {
    /// The class that the sound should be of.
    pub class: usize,
    /// Whether something is wrong with the machine.
    pub is_fault: bool,
    /// Scores of the windows, in their order.
    pub scores: Vec<f32>,
}

/// Scores over time: of normal sound that goes on, and of faults that begin in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tape {
    /// Seconds from one window to the next.
    pub window_s: f64,
    /// One series per class: its normal clips one after the other.
    normal: Vec<Vec<f32>>,
    /// Every fault with the normal sound of its class before it.
    faults: Vec<Fault>,
    /// Windows that a score over time covers.
    windows: u32,
}

#[derive(Debug, Clone, PartialEq)]
struct Fault {
    before: Vec<f32>,
    during: Vec<f32>,
}

/// What a rule makes of a tape.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Seconds of normal sound with a verdict.
    pub normal_s: f64,
    /// Alarms that it raised there.
    pub false_alarms: usize,
    /// Seconds of it in alarm.
    pub alarm_s: f64,
    /// Faults on the tape.
    pub faults: usize,
    /// Seconds from the beginning of a fault to its alarm, of those that were found, ascending.
    pub delays_s: Vec<f64>,
}

/// An estimate and its 95 % interval.
#[derive(
    Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The estimate.
    pub value: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

/// Hears a clip for a tape: every window of it, but for those with the edge at its beginning. Where a window is the whole
/// clip, there is no other.
///
/// # Errors
/// Where the sound cannot be read or the model not be run.
pub fn tape_clip(
    model: &Model,
    class: usize,
    is_fault: bool,
    sound: SoundStream,
) -> Result<TapedClip, ListenError<Infallible>> {
    let spec = model.card.front_end().spec;
    let rule = Rule {
        threshold: None,
        alarm: AlarmRule {
            settle: match model.card.hears_whole_clips() {
                true => 0,
                false => (spec.n_fft / 2).div_ceil(spec.hop_length) as u32,
            },
            ..AlarmRule::IMMEDIATE
        },
    };
    let mut sound = sound.with_silence(model.card.silence_after());
    let mut scores = Vec::new();
    listen(model, class, &mut sound, Some(rule), |moment| {
        scores.push(moment.window_score);
        Ok(())
    })?;
    Ok(TapedClip {
        class,
        is_fault,
        scores,
    })
}

impl Tape {
    /// Joins clips as a model of this card hears them.
    pub fn new(card: &ModelCard, clips: &[&TapedClip]) -> Tape {
        let windows = card.score_windows.max(1);
        let over_time = |scores: &mut dyn Iterator<Item = f32>| -> Vec<f32> {
            let rule = card.clip_rule();
            let mut memory = vec![0; rule.memory_words(windows)];
            let Some(mut running) = RunningScore::new(rule, windows, &mut memory) else {
                return Vec::new();
            };
            let next = |score| {
                running.push(score);
                running.score().unwrap_or(0.0)
            };
            scores.map(next).collect()
        };
        let classes = clips.iter().map(|clip| clip.class + 1).max().unwrap_or(0);
        let joined: Vec<Vec<f32>> = (0..classes)
            .map(|class| {
                let own = clips
                    .iter()
                    .filter(|clip| clip.class == class && !clip.is_fault);
                own.flat_map(|clip| clip.scores.iter().copied()).collect()
            })
            .collect();
        let lead = 2 * windows as usize;
        let faults = clips.iter().filter(|clip| clip.is_fault).enumerate();
        let faults = faults.map(|(idx, clip)| {
            let normal = &joined[clip.class];
            // Every fault begins after other normal sound.
            let from = match normal.len() > lead {
                true => idx * lead % (normal.len() - lead),
                false => 0,
            };
            let before = &normal[from..normal.len().min(from + lead)];
            let mut scores = before.iter().chain(&clip.scores).copied();
            let mut before = over_time(&mut scores);
            let during = before.split_off(before.len() - clip.scores.len());
            Fault { before, during }
        });
        Tape {
            window_s: card.front_end().window_us() / 1e6,
            faults: faults.collect(),
            normal: joined
                .iter()
                .map(|scores| over_time(&mut scores.iter().copied()))
                .collect(),
            windows,
        }
    }

    /// What a rule makes of the tape.
    pub fn outcome(&self, threshold: f32, rule: AlarmRule) -> Outcome {
        let mut outcome = Outcome {
            normal_s: 0.0,
            false_alarms: 0,
            alarm_s: 0.0,
            faults: self.faults.len(),
            delays_s: Vec::new(),
        };
        for scores in &self.normal {
            let mut alarm = Alarm::new(rule, Some(threshold));
            let mut was_on = false;
            for score in scores {
                alarm.push(*score);
                let is_on = alarm.verdict() == Some(true);
                outcome.false_alarms += usize::from(is_on && !was_on);
                outcome.alarm_s += f64::from(u8::from(is_on)) * self.window_s;
                outcome.normal_s += f64::from(u8::from(alarm.is_ready())) * self.window_s;
                was_on = is_on;
            }
        }
        for fault in &self.faults {
            let mut alarm = Alarm::new(rule, Some(threshold));
            // What was heard before counts as windows, not as votes: a false alarm finds no fault.
            for score in &fault.before {
                alarm.push(*score);
            }
            alarm.follow(rule, Some(threshold));
            let found = fault.during.iter().position(|score| {
                alarm.push(*score);
                alarm.verdict() == Some(true)
            });
            let delay_s = found.map(|windows| (windows + 1) as f64 * self.window_s);
            outcome.delays_s.extend(delay_s);
        }
        outcome.delays_s.sort_by(f64::total_cmp);
        outcome
    }

    /// The highest level that `needed` of the latest `of` scores exceed, after every window: an alarm of that rule is a
    /// level above the threshold.
    fn levels(scores: &[f32], needed: u32, of: u32) -> Vec<f32> {
        let (needed, of) = (needed as usize, of as usize);
        let mut latest = Vec::with_capacity(of);
        let level = |end: usize| {
            latest.clear();
            latest.extend_from_slice(&scores[(end + 1).saturating_sub(of)..=end]);
            latest.sort_by(|a, b| b.total_cmp(a));
            latest.get(needed - 1).copied().unwrap_or(f32::MIN)
        };
        (0..scores.len()).map(level).collect()
    }

    /// The highest level in every stretch of normal sound that is as long as a score covers.
    pub fn normal_peaks(&self, needed: u32, of: u32) -> Vec<f64> {
        let peaks = |scores: &Vec<f32>| {
            let levels = Tape::levels(scores, needed, of);
            // The first scores are of few windows.
            let settled = levels.get(self.windows as usize..).unwrap_or(&[]);
            let peak = |part: &[f32]| part.iter().copied().fold(f32::MIN, f32::max);
            let parts = settled.chunks_exact(self.windows as usize);
            parts
                .map(|part| f64::from(peak(part)))
                .collect::<Vec<f64>>()
        };
        self.normal.iter().flat_map(peaks).collect()
    }

    /// The highest level in every fault.
    pub fn fault_peaks(&self, needed: u32, of: u32) -> Vec<f64> {
        let peak = |fault: &Fault| {
            let levels = Tape::levels(&fault.during, needed, of);
            f64::from(levels.into_iter().fold(f32::MIN, f32::max))
        };
        self.faults.iter().map(peak).collect()
    }

    /// The median score over time of normal sound; `None` without any.
    pub fn normal_median(&self) -> Option<f64> {
        let scores = self.normal.iter().flatten();
        let scores: Vec<f64> = scores.map(|score| f64::from(*score)).collect();
        quantile(&scores, 0.5)
    }

    /// Seconds that a score over time covers.
    pub fn horizon_s(&self) -> f64 {
        f64::from(self.windows) * self.window_s
    }
}

impl Outcome {
    /// False alarms in a day of normal sound, with the exact interval of a count; `None` without normal sound.
    pub fn false_alarms_per_day(&self) -> Option<Expected> {
        let [low, high] = poisson_interval(self.false_alarms);
        let per_day = |count: f64| count * DAY_S / self.normal_s;
        (self.normal_s > 0.0).then(|| Expected {
            value: per_day(self.false_alarms as f64),
            low: per_day(low),
            high: per_day(high),
        })
    }

    /// The share of normal sound in alarm; `None` without normal sound.
    pub fn share_in_alarm(&self) -> Option<f64> {
        (self.normal_s > 0.0).then(|| self.alarm_s / self.normal_s)
    }

    /// The share of faults that were found, with its exact interval (Clopper and Pearson); `None` without faults.
    pub fn recall(&self) -> Option<Expected> {
        let (found, all) = (self.delays_s.len() as f64, self.faults as f64);
        (self.faults > 0).then(|| Expected {
            value: found / all,
            low: match self.delays_s.len() {
                0 => 0.0,
                _ => beta_quantile(0.025, found, all - found + 1.0),
            },
            high: match self.delays_s.len() == self.faults {
                true => 1.0,
                false => beta_quantile(0.975, found + 1.0, all - found),
            },
        })
    }

    /// The median of the delays in seconds, with an interval by their ranks; `None` where nothing was found.
    pub fn delay_s(&self) -> Option<Expected> {
        let count = self.delays_s.len();
        let at = |rank: f64| {
            let rank = rank.clamp(0.0, count as f64 - 1.0) as usize;
            self.delays_s.get(rank).copied()
        };
        // Ranks of the median's interval: binomial, by its normal limit.
        let (middle, spread) = (count as f64 / 2.0, 0.98 * (count as f64).sqrt());
        Some(Expected {
            value: quantile(&self.delays_s, 0.5)?,
            low: at((middle - spread).floor())?,
            high: at((middle + spread).ceil())?,
        })
    }
}
