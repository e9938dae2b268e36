//! What is left of a detector where the microphone differs from that of its recordings.

use super::{
    Event, ListenError, Model, ModelCard, Rule, listen,
    tape::{Expected, Outcome, Tape, TapedClip},
};
use crate::{
    audio::{Audio, SoundStream, Strain},
    score::{auc, clip_score},
};
use std::convert::Infallible;

/// A clip at the model's rate, before anything happens to it.
#[derive(Debug, Clone, PartialEq)]
pub struct StressClip {
    /// The class that the sound should be of.
    pub class: usize,
    /// Whether something is wrong with the machine.
    pub is_fault: bool,
    /// Samples; full scale is 1.
    pub samples: Vec<f32>,
}

/// What is left of a detector behind one microphone.
#[derive(Debug, Clone, PartialEq)]
pub struct Strained {
    /// What the microphone does.
    pub strain: Strain,
    /// AUC over the clips, each heard from a start; `None` where one label is missing.
    pub auc: Option<f64>,
    /// What the rule for alarms makes of the clips one after the other.
    pub outcome: Outcome,
    /// Normal clips that were heard from a start.
    pub starts: usize,
    /// Those with an alarm.
    pub alarmed_starts: usize,
}

/// Hears every clip behind a microphone, by the device's code in int8 and the model's own rule.
///
/// # Errors
/// Where the model cannot be run.
pub fn strained(
    model: &Model,
    clips: &[StressClip],
    strain: Strain,
) -> Result<Strained, ListenError<Infallible>> {
    let card = &model.card;
    let rule = Rule {
        threshold: card.threshold.map(|threshold| threshold as f32),
        alarm: card.alarm_rule(),
    };
    let (mut normal, mut faulty) = (Vec::new(), Vec::new());
    let (mut starts, mut alarmed_starts) = (0, 0);
    let mut taped = Vec::with_capacity(clips.len());
    for clip in clips {
        let (scores, events) = heard(model, clip, strain, rule)?;
        let score = clip_score(card.clip_rule(), card.score_windows, &scores);
        match clip.is_fault {
            true => faulty.extend(score),
            false => {
                normal.extend(score);
                starts += 1;
                alarmed_starts += usize::from(!events.is_empty());
            }
        }
        taped.push(TapedClip {
            class: clip.class,
            is_fault: clip.is_fault,
            scores,
        });
    }
    let tape = Tape::new(card, &taped.iter().collect::<Vec<_>>());
    let threshold = rule.threshold.unwrap_or(f32::INFINITY);
    Ok(Strained {
        strain,
        auc: auc(&normal, &faulty),
        outcome: tape.outcome(threshold, rule.alarm),
        starts,
        alarmed_starts,
    })
}

/// Scores of the windows, and the alarms.
fn heard(
    model: &Model,
    clip: &StressClip,
    strain: Strain,
    rule: Rule,
) -> Result<(Vec<f32>, Vec<Event>), ListenError<Infallible>> {
    let rate_hz = model.card.sample_rate_hz;
    let audio = Audio {
        samples: strain.of(&clip.samples, rate_hz),
        sample_rate_hz: rate_hz,
    };
    let mut sound = SoundStream::of(audio, rate_hz)?.with_silence(model.card.silence_after());
    let mut scores = Vec::new();
    let listened = listen(model, clip.class, &mut sound, Some(rule), |moment| {
        scores.push(moment.window_score);
        Ok(())
    })?;
    Ok((scores, listened.events))
}

impl Strained {
    /// False alarms in a day; `None` where the model has no threshold, or nothing normal was heard.
    pub fn false_alarms_per_day(&self, card: &ModelCard) -> Option<Expected> {
        card.threshold?;
        self.outcome.false_alarms_per_day()
    }

    /// Share of normal sound in alarm; `None` where the model has no threshold, or nothing normal was heard.
    pub fn share_in_alarm(&self, card: &ModelCard) -> Option<f64> {
        card.threshold?;
        self.outcome.share_in_alarm()
    }

    /// Share of the faults with an alarm; `None` where the model has no threshold, or there are no faults.
    pub fn recall(&self, card: &ModelCard) -> Option<Expected> {
        card.threshold?;
        self.outcome.recall()
    }
}
