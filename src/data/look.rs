//! Looks at the sound itself: what a file holds, and what about it would mislead a detector or its figures.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use super::{Clip, Dataset, Encoding, Label, Source, Split, counted, first_few, mlperf, synthetic};
use crate::audio::{self, Audio, Channel};

/// Beyond this many bytes of files, an even part of them is looked at before a search.
const LOOKED_AT_BYTES: u64 = 2 << 30;
/// A step of a 16-bit converter.
const STEP: f32 = 1.0 / 32768.0;
/// Sound that stays within so many steps of 16 bits is mostly rounding.
const FEW_STEPS: f32 = 16.0;
/// Zeros of this length are no sound: even the quietest converter has noise.
const SILENCE_S: f64 = 0.02;
/// Samples at the rails, as a share, from which a clip counts as clipped.
const CLIPPED_SHARE: f64 = 0.001;
/// A mean that far from zero comes from the converter, not from sound.
const OFFSET: f64 = 0.01;
/// A property of the files that tells labels apart so well is worth a word.
const TELLING_AUC: f64 = 0.9;
/// Fewer clips of either kind say nothing about a property.
const TELLING_CLIPS: usize = 5;

/// What a clip's file holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Facts {
    /// Encoding, sample rate in Hz, channels, bits per sample.
    pub format: (Encoding, u32, u32, u32),
    pub seconds: f64,
    /// `None` of ready features and of synthetic sound.
    sound: Option<Sound>,
}

/// What the used channel sounds like.
#[derive(Debug, Clone, PartialEq)]
struct Sound {
    /// The largest magnitude; full scale is 1.
    peak: f32,
    /// Root mean square, without the mean.
    rms: f64,
    mean: f64,
    /// Share of the samples at the rails of the converter.
    clipped: f64,
    /// Seconds in runs of exact zeros, each at least [`SILENCE_S`].
    silent_s: f64,
    /// Another channel sounds where this one does not.
    is_dead: bool,
    print: Print,
}

/// All clips of a data set, looked at.
#[derive(Debug)]
pub struct Look {
    /// By position in the data set: facts, or why there are none; missing where a clip was not looked at.
    pub(super) clips: Vec<Option<Result<Facts, String>>>,
}

/// Looks at every clip, in parallel.
pub(super) fn look_at_all(dataset: &Dataset) -> Look {
    let all = dataset.clips.par_iter();
    Look {
        clips: all.map(|clip| Some(facts(&clip.source))).collect(),
    }
}

/// Looks at the clips of a data set, or evenly at some where they are many.
pub fn look(dataset: &Dataset) -> Look {
    let size = |clip: &Clip| match &clip.source {
        Source::Audio(path) => path.metadata().map_or(0, |file| file.len()),
        _ => 0,
    };
    let total: u64 = dataset.clips.iter().map(size).sum();
    let every = 1 + (total / LOOKED_AT_BYTES) as usize;
    let clips = dataset.clips.par_iter().enumerate();
    let clips = clips.map(|(idx, clip)| {
        let is_sound = matches!(clip.source, Source::Audio(_)) && clip.disturbed().is_none();
        (is_sound && idx % every == 0).then(|| facts(&clip.source))
    });
    Look {
        clips: clips.collect(),
    }
}

/// The length of a clip in seconds; `None` where it cannot be read.
pub(super) fn duration_s(source: &Source) -> Option<f64> {
    facts(source).ok().map(|facts| facts.seconds)
}

fn facts(source: &Source) -> Result<Facts, String> {
    match source {
        Source::Audio(path) => {
            let read = |channel| audio::read_recording(path, channel);
            // The path is the clip's name already.
            let recording = read(Channel::default()).map_err(|error| error.reason().to_string())?;
            let form = recording.form;
            let rate_hz = recording.audio.sample_rate_hz;
            let mut sound = Sound::of(&recording.audio);
            if sound.peak < 2.0 * STEP {
                let mut others = (1..form.channels as usize).map(Channel::Index);
                sound.is_dead = others.any(|other| {
                    read(other).is_ok_and(|other| peak(&other.audio.samples) > FEW_STEPS * STEP)
                });
            }
            Ok(Facts {
                format: (
                    Encoding::Sound(form.encoding),
                    rate_hz,
                    form.channels,
                    form.bits,
                ),
                seconds: recording.audio.samples.len() as f64 / f64::from(rate_hz),
                sound: Some(sound),
            })
        }
        Source::LogMelBin(path) => {
            let metadata = path.metadata().map_err(|error| error.to_string())?;
            let (frames, spec) = (metadata.len() / mlperf::FRAME_BYTES, mlperf::FEATURES);
            let samples = frames * spec.hop_length as u64;
            Ok(Facts {
                format: (Encoding::LogMelBin, spec.sample_rate_hz, 1, 32),
                seconds: samples as f64 / f64::from(spec.sample_rate_hz),
                sound: None,
            })
        }
        Source::Synthetic(spec) => Ok(Facts {
            format: (Encoding::Synthetic, synthetic::SAMPLE_RATE_HZ, 1, 32),
            seconds: f64::from(spec.duration_ms) / 1000.0,
            sound: None,
        }),
        Source::Disturbed(made) => facts(&made.of),
    }
}

fn peak(samples: &[f32]) -> f32 {
    samples
        .iter()
        .fold(0.0, |max, sample| max.max(sample.abs()))
}

impl Sound {
    fn of(audio: &Audio) -> Sound {
        let samples = &audio.samples;
        let count = samples.len().max(1) as f64;
        let mean = samples.iter().map(|s| f64::from(*s)).sum::<f64>() / count;
        let power = samples.iter().map(|s| (f64::from(*s) - mean).powi(2));
        let rails = samples.iter().filter(|s| s.abs() >= 1.0 - 2.0 * STEP);
        let least = (SILENCE_S * f64::from(audio.sample_rate_hz)) as usize;
        let runs = samples.split(|sample| *sample != 0.0);
        let silent: usize = runs.map(<[f32]>::len).filter(|run| *run >= least).sum();
        Sound {
            peak: peak(samples),
            rms: (power.sum::<f64>() / count).sqrt(),
            mean,
            clipped: rails.count() as f64 / count,
            silent_s: silent as f64 / f64::from(audio.sample_rate_hz),
            is_dead: false,
            print: Print::of(samples),
        }
    }

    fn level_db(&self) -> f64 {
        20.0 * self.rms.max(1e-9).log10()
    }
}

impl Look {
    /// Numbers of clips by their sample rate in hertz.
    pub fn rates_hz(&self) -> BTreeMap<u32, usize> {
        let mut rates = BTreeMap::new();
        for facts in self.clips.iter().flatten().flatten() {
            *rates.entry(facts.format.1).or_default() += 1;
        }
        rates
    }

    /// The clips of which a converter of 16 bits gives zeros alone.
    pub fn inaudible<'a>(&'a self, dataset: &'a Dataset) -> impl Iterator<Item = &'a Clip> {
        let clips = dataset.clips.iter().zip(&self.clips);
        clips.filter_map(|(clip, found)| {
            let sound = found.as_ref()?.as_ref().ok()?.sound.as_ref()?;
            (sound.peak < STEP / 2.0).then_some(clip)
        })
    }

    /// Names and reasons of the clips that cannot be read.
    pub fn unreadable<'a>(
        &'a self,
        dataset: &'a Dataset,
    ) -> impl Iterator<Item = (&'a Clip, &'a str)> {
        let clips = dataset.clips.iter().zip(&self.clips);
        clips.filter_map(|(clip, found)| match found {
            Some(Err(reason)) => Some((clip, reason.as_str())),
            _ => None,
        })
    }

    /// A sentence that names the clips that cannot be read; `None` where all can.
    pub fn note_unreadable(&self, dataset: &Dataset) -> Option<String> {
        let gone: Vec<String> = self
            .unreadable(dataset)
            .map(|(clip, reason)| format!("{} ({reason})", clip.name))
            .collect();
        let few = first_few(&gone);
        (!gone.is_empty()).then(|| {
            format!(
                "{} left out, because they cannot be read: {few}",
                counted(gone.len(), "clip")
            )
        })
    }

    /// What a user should know about the sound, one sentence each. The data set must be the one that was looked at.
    pub fn notes(&self, dataset: &Dataset) -> Vec<String> {
        let clips = dataset.clips.iter().zip(&self.clips);
        let seen: Vec<(&Clip, &Facts)> = clips
            .filter(|(clip, _)| clip.disturbed().is_none())
            .filter_map(|(clip, found)| Some((clip, found.as_ref()?.as_ref().ok()?)))
            .collect();
        let mut notes = Vec::new();
        let sounds = dataset.clips.iter();
        let sounds = sounds
            .filter(|clip| matches!(clip.source, Source::Audio(_)))
            .count();
        let looked = self.clips.iter().flatten().count();
        if looked > 0 && looked < sounds {
            notes.push(format!(
                "the sound of {looked} of {sounds} clips was looked at; `nas data info` looks at all"
            ));
        }
        self.note_channels(&seen, &mut notes);
        note_sounds(&seen, &mut notes);
        notes.extend(telling(dataset, &seen));
        notes.extend(near_duplicates(&seen));
        notes
    }

    fn note_channels(&self, seen: &[(&Clip, &Facts)], notes: &mut Vec<String>) {
        let mut several: BTreeMap<u32, usize> = BTreeMap::new();
        for (_, facts) in seen {
            *several.entry(facts.format.2).or_default() += 1;
        }
        several.remove(&1);
        for (channels, clips) in several {
            notes.push(format!(
                "{} with {channels} channels: only the first is used",
                counted(clips, "clip")
            ));
        }
    }
}

/// Levels, rails and silence.
fn note_sounds(seen: &[(&Clip, &Facts)], notes: &mut Vec<String>) {
    let sounds: Vec<(&Clip, &Sound)> = seen
        .iter()
        .filter_map(|(clip, facts)| Some((*clip, facts.sound.as_ref()?)))
        .collect();
    let mut note = |is_so: &dyn Fn(&Sound) -> bool, words: &dyn Fn(&[&Sound]) -> String| {
        let found = sounds.iter().filter(|(_, sound)| is_so(sound));
        let (names, found): (Vec<&str>, Vec<&Sound>) = found
            .map(|(clip, sound)| (clip.name.as_str(), *sound))
            .unzip();
        if !found.is_empty() {
            let (count, few) = (counted(found.len(), "clip"), first_few(&names));
            notes.push(format!("{count} {}: {few}", words(&found)));
        }
    };
    let loudest = |found: &[&Sound]| found.iter().fold(0f32, |max, sound| max.max(sound.peak));
    note(&|sound| sound.is_dead, &|_| {
        "whose first channel, which is used, is silent while another sounds".to_string()
    });
    note(&|sound| sound.peak == 0.0 && !sound.is_dead, &|_| {
        "of digital silence: they neither train nor count".to_string()
    });
    note(&|sound| sound.peak > 1.0 + STEP, &|found| {
        let largest = loudest(found);
        format!("beyond full scale (up to {largest:.2}), which a device of 16 bits cuts off")
    });
    note(
        &|sound| sound.peak > 0.0 && sound.peak < FEW_STEPS * STEP,
        &|found| {
            let steps = loudest(found) / STEP;
            format!(
                "within {steps:.1} steps of 16 bits, so a device hears little but rounding; make them louder"
            )
        },
    );
    note(
        &|sound| sound.silent_s > 0.0 && sound.peak > 0.0,
        &|found| {
            let silent: f64 = found.iter().map(|sound| sound.silent_s).sum();
            format!(
                "with digital silence, {silent:.1} s in all: windows that touch it neither train nor count"
            )
        },
    );
    note(
        &|sound| sound.clipped > CLIPPED_SHARE && sound.peak <= 1.0 + STEP,
        &|_| {
            format!(
                "with more than {} % of the samples at the rails (clipping)",
                100.0 * CLIPPED_SHARE
            )
        },
    );
    note(&|sound| sound.mean.abs() > OFFSET, &|_| {
        format!(
            "with a constant offset above {} % of full scale",
            100.0 * OFFSET
        )
    });
}

/// Properties of files, not of machines, that tell labels or classes apart by themselves.
fn telling(dataset: &Dataset, seen: &[(&Clip, &Facts)]) -> Vec<String> {
    type Property = (&'static str, fn(&Facts) -> Option<f64>);
    const OF_FILES: [Property; 5] = [
        ("sample rate", |facts| Some(f64::from(facts.format.1))),
        ("number of channels", |facts| {
            Some(f64::from(facts.format.2))
        }),
        ("number of bits", |facts| Some(f64::from(facts.format.3))),
        ("coding", |facts| match facts.format.0 {
            Encoding::Sound(encoding) => Some(encoding as u8 as f64),
            _ => None,
        }),
        // To a tenth of a second: a few samples more or less are no property.
        ("length", |facts| Some((facts.seconds * 10.0).round())),
    ];
    const OF_SOUND: [Property; 2] = [
        ("level", |facts| {
            Some(facts.sound.as_ref()?.level_db().round())
        }),
        ("digital silence", |facts| {
            Some(f64::from(facts.sound.as_ref()?.silent_s > 0.0))
        }),
    ];
    let mut notes = Vec::new();
    let mut tell = |(what, property): Property, one: &[&Facts], rest: &[&Facts], words: &str| {
        if one.len() < TELLING_CLIPS || rest.len() < TELLING_CLIPS {
            return;
        }
        let values = |facts: &[&Facts]| -> Option<Vec<f64>> {
            facts.iter().map(|facts| property(facts)).collect()
        };
        let (Some(one), Some(rest)) = (values(one), values(rest)) else {
            return;
        };
        let auc = higher(&one, &rest);
        let auc = auc.max(1.0 - auc);
        if auc >= TELLING_AUC {
            notes.push(format!(
                "the {what} alone tells {words} with AUC {auc:.2}: a detector may learn that, and not the sound"
            ));
        }
    };
    let of = |label: Label, split: Option<Split>| -> Vec<&Facts> {
        let own = seen.iter().filter(|(clip, _)| {
            clip.label == Some(label) && split.is_none_or(|split| clip.split == split)
        });
        own.map(|(_, facts)| *facts).collect()
    };
    let (mut normal, mut anomaly) = (
        of(Label::Normal, Some(Split::Test)),
        of(Label::Anomaly, Some(Split::Test)),
    );
    if normal.len() < TELLING_CLIPS || anomaly.len() < TELLING_CLIPS {
        (normal, anomaly) = (of(Label::Normal, None), of(Label::Anomaly, None));
    }
    for property in OF_FILES.into_iter().chain(OF_SOUND) {
        tell(
            property,
            &normal,
            &anomaly,
            "normal clips from anomalous ones",
        );
    }
    let classes = dataset.classes();
    if anomaly.is_empty() && classes.names.len() > 1 {
        for property in OF_FILES {
            for (_, class) in &classes.names {
                let side = |own: bool| -> Vec<&Facts> {
                    let part = seen
                        .iter()
                        .filter(|(clip, _)| (clip.section == *class) == own);
                    part.map(|(_, facts)| *facts).collect()
                };
                tell(
                    property,
                    &side(true),
                    &side(false),
                    &format!("class {class} from the others"),
                );
            }
        }
    }
    notes
}

/// The share of pairs in which the second is higher, ties by halves.
fn higher(low: &[f64], high: &[f64]) -> f64 {
    let mut sorted = low.to_vec();
    sorted.sort_by(f64::total_cmp);
    let below = high.iter().map(|value| {
        let less = sorted.partition_point(|other| other < value);
        let not_more = sorted.partition_point(|other| other <= value);
        (less + not_more) as f64 / 2.0
    });
    below.sum::<f64>() / (low.len() * high.len()) as f64
}

/// What is left of a clip to find it again: hashes of short stretches, at places that the sound itself chooses, and the
/// course of its loudness.
#[derive(Debug, Clone, PartialEq)]
struct Print {
    /// The same stretch of samples has the same hash in whichever file and at whichever place.
    marks: Vec<u64>,
    /// Loudness over the clip in equal parts, with mean 0 and length 1; zeros where it does not vary.
    course: Vec<f32>,
}

/// Samples of 16 bits in one stretch.
const STRETCH: usize = 48;
/// One stretch in about this many is kept.
const EVERY: u64 = 2048;
/// Parts of the course of loudness.
const PARTS: usize = 256;
/// Courses of one recording are as alike as this even after compression; those of two recordings of one machine are not.
const SAME_COURSE: f32 = 0.98;
/// Correlation of two waves of one recording, after compression and resampling.
const SAME_WAVE: f64 = 0.9;
/// Stretches that two clips must share to be of one recording.
const SHARED_MARKS: usize = 3;

impl Print {
    fn of(samples: &[f32]) -> Print {
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let value = |sample: f32| ((sample * 32768.0).round() as i32 as u64).wrapping_add(0x1_0001);
        let leaving = (0..STRETCH).fold(1u64, |power, _| power.wrapping_mul(FACTOR));
        let (mut hash, mut marks) = (0u64, Vec::new());
        for (idx, sample) in samples.iter().enumerate() {
            hash = hash.wrapping_mul(FACTOR).wrapping_add(value(*sample));
            if idx < STRETCH {
                continue;
            }
            hash = hash.wrapping_sub(value(samples[idx - STRETCH]).wrapping_mul(leaving));
            let mixed = (hash ^ (hash >> 31)).wrapping_mul(FACTOR);
            // Silence, and sound of a step or two, is alike everywhere.
            if (mixed >> 32).is_multiple_of(EVERY)
                && peak(&samples[idx + 1 - STRETCH..=idx]) > FEW_STEPS * STEP
            {
                marks.push(mixed);
            }
        }
        marks.sort_unstable();
        marks.dedup();
        Print {
            marks,
            course: course(samples),
        }
    }
}

fn course(samples: &[f32]) -> Vec<f32> {
    let part = (samples.len() / PARTS).max(1);
    let parts = samples.chunks_exact(part).take(PARTS);
    let mut course: Vec<f32> = parts
        .map(|part| {
            let power = part.iter().map(|s| s * s).sum::<f32>() / part.len() as f32;
            (power + STEP * STEP).ln()
        })
        .collect();
    let mean = course.iter().sum::<f32>() / course.len().max(1) as f32;
    course.iter_mut().for_each(|value| *value -= mean);
    let length = course.iter().map(|value| value * value).sum::<f32>().sqrt();
    // A course that hardly varies says nothing: less than a tenth of a neper.
    let is_flat = length < 0.1 * (course.len() as f32).sqrt();
    let scale = if is_flat { 0.0 } else { 1.0 / length };
    course.iter_mut().for_each(|value| *value *= scale);
    course
}

/// Whether two recordings are one, at the same place and perhaps at another level: rhythm alone may be alike.
fn is_same_wave(one: &Clip, other: &Clip) -> bool {
    let read = |clip: &Clip| match &clip.source {
        Source::Audio(path) => audio::read(path, Channel::default()).ok(),
        _ => None,
    };
    let (Some(one), Some(other)) = (read(one), read(other)) else {
        return false;
    };
    let Ok(other) = other.resampled(one.sample_rate_hz) else {
        return false;
    };
    let product = |a: &[f32], b: &[f32]| -> f64 {
        let pairs = a.iter().zip(b);
        pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let (a, b) = (&one.samples, &other.samples);
    let likeness = product(a, b)
        / (product(a, a) * product(b, b))
            .sqrt()
            .max(f64::MIN_POSITIVE);
    likeness.abs() > SAME_WAVE
}

/// Clips of training and test that are of one recording, though not the same file.
fn near_duplicates(seen: &[(&Clip, &Facts)]) -> Option<String> {
    let of = |split: Split| -> Vec<(&Clip, &Print)> {
        let own = seen.iter().filter(|(clip, _)| clip.split == split);
        own.filter_map(|(clip, facts)| Some((*clip, &facts.sound.as_ref()?.print)))
            .collect()
    };
    let (train, test) = (of(Split::Train), of(Split::Test));
    let mut by_mark: HashMap<u64, Vec<usize>> = HashMap::new();
    for (idx, (_, print)) in train.iter().enumerate() {
        for mark in &print.marks {
            by_mark.entry(*mark).or_default().push(idx);
        }
    }
    let twin = |(clip, print): &(&Clip, &Print)| {
        let mut shared: HashMap<usize, usize> = HashMap::new();
        for idx in print
            .marks
            .iter()
            .filter_map(|mark| by_mark.get(mark))
            .flatten()
        {
            *shared.entry(*idx).or_default() += 1;
        }
        let by_marks = shared
            .into_iter()
            .filter(|(_, count)| *count >= SHARED_MARKS);
        let by_marks = by_marks.max_by_key(|(idx, count)| (*count, usize::MAX - idx));
        let alike = |other: &Print| -> bool {
            let same_length = other.course.len() == print.course.len();
            let product = other.course.iter().zip(&print.course).map(|(a, b)| a * b);
            same_length && product.sum::<f32>() > SAME_COURSE
        };
        let idx = match by_marks {
            Some((idx, _)) => Some(idx),
            None => (0..train.len())
                .find(|&idx| alike(train[idx].1) && is_same_wave(clip, train[idx].0)),
        };
        idx.map(|idx| format!("{} as {}", clip.name, train[idx].0.name))
    };
    let twins: Vec<String> = test.par_iter().filter_map(twin).collect();
    (!twins.is_empty()).then(|| {
        format!(
            "{} of the sound of training clips, the same or cut, scaled or coded otherwise: scores will be too good: {}",
            counted(twins.len(), "test clip"),
            first_few(&twins)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_by_halves() {
        for (low, high, expected) in [
            (&[1.0, 2.0][..], &[3.0][..], 1.0),
            (&[1.0, 2.0], &[2.0], 0.75),
            (&[2.0], &[1.0], 0.0),
        ] {
            assert_eq!(higher(low, high), expected);
        }
    }
}
