//! Disturbed clips: normal sound that is disturbed in known ways, where nobody has recorded a fault.
//!
//! They steer a search, and say what a detector would hear. `docs/unlabelled.md` has what that is worth.

use std::{collections::BTreeMap, str::FromStr};

use super::{Clip, Dataset, Domain, Label, Learns, Source, Split, counted, divide};
use crate::{
    disturb::{Disturbance, Kind},
    identity::{self, Canonical},
};

/// Sound made from a normal recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Disturbed {
    /// The normal recording.
    pub of: Source,
    /// What is done to it.
    pub by: Disturbance,
}

impl Canonical for Disturbed {
    fn write_canonical(&self, text: &mut String) {
        let Disturbed { of, by } = self;
        let by = by.canonical();
        let fields: [(&str, &dyn Canonical); 2] = [("of", of), ("by", &by)];
        identity::record(text, "Disturbed", &fields);
    }
}

impl Canonical for Disturbance {
    fn write_canonical(&self, text: &mut String) {
        let Disturbance {
            kind,
            strength,
            place,
        } = self;
        let kind = kind.name().to_string();
        let fields: [(&str, &dyn Canonical); 3] =
            [("kind", &kind), ("strength", strength), ("place", place)];
        identity::record(text, "Disturbance", &fields);
    }
}

/// What a search is steered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SteerBy {
    /// Labelled anomalies.
    Labels,
    /// Disturbed normal sound.
    Proxy,
}

impl SteerBy {
    /// `labels` or `proxy`.
    pub fn name(self) -> &'static str {
        match self {
            SteerBy::Labels => "labels",
            SteerBy::Proxy => "proxy",
        }
    }
}

/// An unknown way to steer a search.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot steer a search; use labels or proxy")]
pub struct UnknownSteering(String);

impl FromStr for SteerBy {
    type Err = UnknownSteering;

    fn from_str(text: &str) -> Result<SteerBy, UnknownSteering> {
        match text {
            "labels" => Ok(SteerBy::Labels),
            "proxy" => Ok(SteerBy::Proxy),
            _ => Err(UnknownSteering(text.to_string())),
        }
    }
}

/// How a disturbed clip is marked: its kind, its strength, the normal clip that it was made of, and its part.
const MARKS: [&str; 4] = ["disturbed", "strength", "of", "part"];

/// Normal clips of a data set that are disturbed to steer, and others that are to say what is heard.
const CLIPS_PER_PART: [usize; 2] = [12, 16];

/// Where no normal clip tests, one in this many is held out of training.
const HELD_OUT_SHARE: usize = 4;

/// Fewer of a section say nothing about it, even where there are many sections.
const LEAST_PER_SECTION: usize = 4;

/// What a disturbed clip is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Made<'a> {
    /// What was done.
    pub kind: Kind,
    /// How strongly, in the unit of the kind.
    pub strength: f64,
    /// The name of the normal clip that it was made of.
    pub of: &'a str,
    /// Whether it steers the search; otherwise it only says what is heard.
    pub steers: bool,
}

impl Clip {
    /// What it was made of and how; `None` for clips that are as they were recorded.
    pub fn disturbed(&self) -> Option<Made<'_>> {
        let [kind, strength, of, part] = MARKS.map(|mark| self.attribute(mark));
        Some(Made {
            kind: kind?.parse().ok()?,
            strength: strength?.parse().ok()?,
            of: of?,
            steers: part? == "steer",
        })
    }
}

impl Dataset {
    /// The data set with what steers a search. By default, labels steer where there are labelled anomalies, and
    /// disturbed clips of some kinds where there are none.
    pub fn steered_by(self, steering: Option<SteerBy>, kinds: &[Kind]) -> Dataset {
        let by_default = match self.has_labelled_anomalies() {
            true => SteerBy::Labels,
            false => SteerBy::Proxy,
        };
        if self.learns == Learns::Classes {
            return self;
        }
        match steering.unwrap_or(by_default) {
            SteerBy::Labels => self,
            SteerBy::Proxy => self.with_disturbed(kinds),
        }
    }

    /// Whether there are labelled test clips of both kinds, normal and anomalous.
    pub fn has_labelled_anomalies(&self) -> bool {
        [Label::Normal, Label::Anomaly]
            .iter()
            .all(|label| self.select(Split::Test, Some(*label)).next().is_some())
    }

    /// Whether clips are disturbed, which then steer.
    pub fn has_disturbed(&self) -> bool {
        self.clips.iter().any(|clip| clip.disturbed().is_some())
    }

    /// The data set with disturbed clips among its test clips; the same for the same data set.
    ///
    /// Those of `kinds` steer; all kinds say what a detector hears, made of clips that do not steer. Sections without normal
    /// test clips hold a quarter of their training clips out for this. Labelled anomalies stay, and [`super::divide_test`]
    /// keeps them from steering.
    pub fn with_disturbed(mut self, kinds: &[Kind]) -> Dataset {
        let held_out = self.hold_out_normals();
        let mut normals: BTreeMap<(&str, &str, Domain), Vec<usize>> = BTreeMap::new();
        for idx in self.select(Split::Test, Some(Label::Normal)) {
            let clip = &self.clips[idx];
            let group = (clip.machine.as_str(), clip.section.as_str(), clip.domain);
            normals.entry(group).or_default().push(idx);
        }
        let groups = normals.len().max(1);
        let most = CLIPS_PER_PART.map(|clips| (clips / groups).max(LEAST_PER_SECTION));
        let mut made = Vec::new();
        for clips in normals.into_values() {
            let [steer, shown] = divide::halves(&self, clips);
            let parts = [("steer", steer, kinds), ("shown", shown, &Kind::ALL)];
            for ((part, clips, kinds), most) in parts.into_iter().zip(most) {
                let each = clips.len().div_ceil(most).max(1);
                for (n, &idx) in clips.iter().step_by(each).enumerate() {
                    for (k, &kind) in kinds.iter().enumerate() {
                        // Of every two clips one gets the first, third and fifth strength, the other those between.
                        let strengths = kind.strengths().into_iter().skip((n + k) % 2).step_by(2);
                        for strength in strengths {
                            let clip = &self.clips[idx];
                            made.push(clip.disturbed_by(kind, strength, part, made.len()));
                        }
                    }
                }
            }
        }
        self.notes.push(format!(
            "no label steers: {} made of normal sound do, and scores say how well networks hear these, not real faults",
            counted(made.len(), "disturbed clip")
        ));
        if held_out > 0 {
            self.notes.push(format!(
                "{} held out of training, because no normal clip was for test",
                counted(held_out, "normal clip")
            ));
        }
        if self.fixed_features.is_some() && !made.is_empty() {
            self.notes.push(
                "there is no sound to disturb: features are disturbed instead, as far as sound would change them"
                    .to_string(),
            );
        }
        self.clips.extend(made);
        self.clips
            .sort_by(|a, b| (a.split, &a.name).cmp(&(b.split, &b.name)));
        self
    }

    /// In every section without a normal test clip, turns some training clips into test clips; returns how many.
    fn hold_out_normals(&mut self) -> usize {
        type Group = (String, String, Domain);
        let group = |clip: &Clip| (clip.machine.clone(), clip.section.clone(), clip.domain);
        let mut training: BTreeMap<Group, Vec<usize>> = BTreeMap::new();
        for (idx, clip) in self.clips.iter().enumerate() {
            if clip.split == Split::Train && clip.label != Some(Label::Anomaly) {
                training.entry(group(clip)).or_default().push(idx);
            }
        }
        let tested: Vec<(String, String)> = self
            .select(Split::Test, Some(Label::Normal))
            .map(|idx| {
                (
                    self.clips[idx].machine.clone(),
                    self.clips[idx].section.clone(),
                )
            })
            .collect();
        let mut held_out = 0;
        for ((machine, section, _), clips) in training {
            if tested.contains(&(machine, section)) {
                continue;
            }
            let count = clips.len() / HELD_OUT_SHARE;
            let clips = ordered(self, &clips);
            for &idx in &clips[..count] {
                self.clips[idx].split = Split::Test;
                self.clips[idx].label = Some(Label::Normal);
            }
            held_out += count;
        }
        held_out
    }
}

impl Clip {
    /// The clip with a disturbance; `count` numbers those of a data set.
    fn disturbed_by(&self, kind: Kind, strength: f64, part: &str, count: usize) -> Clip {
        let by = Disturbance {
            kind,
            strength,
            // Steps by the golden ratio are even, and never fall in step with the other cycles.
            place: (count as f64 * 0.618_033_988_75).fract(),
        };
        let marks = [
            kind.name().to_string(),
            strength.to_string(),
            self.name.clone(),
            part.to_string(),
        ];
        let marks = MARKS.map(str::to_string).into_iter().zip(marks);
        Clip {
            name: format!("{}~{part}~{kind}{strength}", self.name),
            source: Source::Disturbed(Box::new(Disturbed {
                of: self.source.clone(),
                by,
            })),
            label: Some(Label::Anomaly),
            attributes: marks.collect(),
            ..self.clone()
        }
    }
}

/// The clips in the order of their names' hashes.
fn ordered(dataset: &Dataset, clips: &[usize]) -> Vec<usize> {
    let mut clips = clips.to_vec();
    clips.sort_by_cached_key(|&idx| *blake3::hash(dataset.clips[idx].name.as_bytes()).as_bytes());
    clips
}
