//! Hears a sound of any length as a device does: from the first sample to the last, in fixed memory, by the device's code.

use nas_kernels::{Stream, alarm::AlarmRule};

use super::{Model, ModelFault};
use crate::{
    audio::{self, Audio, AudioError, Channel, SoundStream},
    data::{self, Source},
};

/// Threshold and rule by which a score over time becomes an alarm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// A score above it is a vote for an alarm; `None` where there is no threshold.
    pub threshold: Option<f32>,
    /// What votes become.
    pub alarm: AlarmRule,
}

/// What a device decided about a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Listened {
    /// Length of the recording.
    pub seconds: f64,
    /// When the first verdict came; `None` for a recording that is too short.
    pub first_verdict_s: Option<f64>,
    /// Seconds in alarm.
    pub alarm_s: f64,
    /// The highest score over time; `None` without a verdict.
    pub peak: Option<f32>,
    /// The alarms, in their order.
    pub events: Vec<Event>,
}

/// An alarm, in seconds of the recording.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    /// When the device raised it. What caused it began before: the score covers the latest windows.
    pub begin_s: f64,
    /// When the device ended it, or when the recording ended.
    pub end_s: f64,
    /// The highest score over time while it lasted.
    pub peak: f32,
    /// When the score was that high.
    pub peak_s: f64,
}

/// What a device knows after one more frame that completed a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// Seconds since the first sample.
    pub seconds: f64,
    /// Score of the window that is complete now.
    pub window_score: f32,
    /// Score over time; `None` before there are enough windows.
    pub score: Option<f32>,
    /// Whether there is an alarm; `None` before there are enough windows, and without a threshold.
    pub alarm: Option<bool>,
}

/// Why a recording could not be heard.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError<E: std::error::Error + 'static> {
    /// The sound could not be read.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The model could not be run.
    #[error(transparent)]
    Model(#[from] ModelFault),
    /// The receiver of moments gave up.
    #[error(transparent)]
    Receiver(E),
}

/// A whole clip at a model's rate; `None` for clips that are features.
///
/// # Errors
/// Where the file cannot be read.
pub fn audio_of(source: &Source, sample_rate_hz: u32) -> Result<Option<Audio>, AudioError> {
    let audio = match source {
        Source::Audio(path) => audio::read(path, Channel::default())?,
        Source::Synthetic(spec) => data::synthetic::render(spec),
        // Disturbed sound steers a search; it is no sound to hear.
        Source::LogMelBin(_) | Source::Disturbed(_) => return Ok(None),
    };
    audio.resampled(sample_rate_hz).map(Some)
}

/// The sound of a clip at a model's rate, block by block; `None` for clips that are features.
///
/// # Errors
/// Where the file cannot be read.
pub fn sound_of(source: &Source, sample_rate_hz: u32) -> Result<Option<SoundStream>, AudioError> {
    match source {
        Source::Audio(path) => {
            SoundStream::open(path, Channel::default(), sample_rate_hz).map(Some)
        }
        Source::Synthetic(spec) => {
            SoundStream::of(data::synthetic::render(spec), sample_rate_hz).map(Some)
        }
        Source::LogMelBin(_) | Source::Disturbed(_) => Ok(None),
    }
}

/// Hears a sound by the model's own rule, or by another one, and hands over what is known after every window.
///
/// # Errors
/// Where the sound cannot be read or the model not be run, and where `each` fails.
pub fn listen<E: std::error::Error + 'static>(
    model: &Model,
    class: usize,
    sound: &mut SoundStream,
    rule: Option<Rule>,
    mut each: impl FnMut(Moment) -> Result<(), E>,
) -> Result<Listened, ListenError<E>> {
    let blob = nas_kernels::Model::parse(&model.blob).map_err(ModelFault::from)?;
    let mut arena = vec![0; blob.arena_bytes()];
    let mut memory = vec![0; blob.stream_bytes() / 4];
    let stream = Stream::new(&blob, class, &mut arena, &mut memory);
    let mut stream = stream.map_err(ModelFault::from)?;
    if let Some(rule) = rule {
        let followed = stream.follow(rule.threshold, rule.alarm);
        followed.map_err(ModelFault::Alarm)?;
        // What a start leaves out is the rule's, too.
        stream.reset();
    }
    let rate_hz = f64::from(model.card.sample_rate_hz);
    let mut heard = Alarms::default();
    let mut samples = 0;
    while let Some(block) = sound.next_block()? {
        samples += block.len();
        let mut rest = &block[..];
        while let Some(hop) = stream.next(&mut rest) {
            let seconds = (samples - rest.len()) as f64 / rate_hz;
            if let Some(window_score) = hop.window_score {
                let moment = Moment {
                    seconds,
                    window_score,
                    score: hop.score,
                    alarm: hop.anomaly,
                };
                heard.take(moment);
                each(moment).map_err(ListenError::Receiver)?;
            }
        }
    }
    Ok(heard.end(samples as f64 / rate_hz))
}

/// Makes events of moments.
#[derive(Debug, Default)]
struct Alarms {
    first_verdict_s: Option<f64>,
    peak: Option<f32>,
    running: Option<Event>,
    events: Vec<Event>,
}

impl Alarms {
    fn take(&mut self, moment: Moment) {
        let Some(score) = moment.score else {
            return;
        };
        self.first_verdict_s.get_or_insert(moment.seconds);
        self.peak = Some(self.peak.map_or(score, |peak| peak.max(score)));
        match (moment.alarm == Some(true), &mut self.running) {
            (true, Some(event)) if score > event.peak => {
                (event.peak, event.peak_s) = (score, moment.seconds);
            }
            (true, Some(_)) | (false, None) => {}
            (true, None) => {
                self.running = Some(Event {
                    begin_s: moment.seconds,
                    end_s: moment.seconds,
                    peak: score,
                    peak_s: moment.seconds,
                });
            }
            (false, Some(_)) => self.close(moment.seconds),
        }
    }

    fn close(&mut self, end_s: f64) {
        let ended = self.running.take().map(|event| Event { end_s, ..event });
        self.events.extend(ended);
    }

    fn end(mut self, seconds: f64) -> Listened {
        self.close(seconds);
        Listened {
            seconds,
            first_verdict_s: self.first_verdict_s,
            alarm_s: self
                .events
                .iter()
                .map(|event| event.end_s - event.begin_s)
                .sum(),
            peak: self.peak,
            events: self.events,
        }
    }
}
