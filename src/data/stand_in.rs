//! Stand-ins for anomalies: they steer a search where nobody has recorded a fault.
//!
//! Normal sound of other sections and machines pretends to be of this section. Or normal sound is changed by a tone, by
//! clicks, by another speed, or by mixing in sound of another section. `benches/proxy.rs` measures how well such scores
//! rank networks.

use std::{collections::BTreeMap, str::FromStr};

use super::{Clip, Dataset, Domain, Label, Learns, Source, Split, counted};
use crate::identity::{self, Canonical};

/// Sound made from a normal recording.
#[derive(Debug, Clone, PartialEq)]
pub struct StandIn {
    /// The normal recording.
    pub of: Source,
    /// What is done to it.
    pub change: Change,
}

/// How normal sound is changed. Levels are relative to the recording's own power.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Another recording is added.
    Mix {
        /// The recording that is added.
        with: Source,
        /// Its level in dB.
        level_db: f64,
    },
    /// A steady tone is added.
    Tone {
        /// The tone's place on the mel scale: 0 is 0 Hz, 1 the highest frequency.
        place: f64,
        /// Its level in dB.
        level_db: f64,
    },
    /// Short broad-band bursts are added.
    Clicks {
        /// Bursts per second.
        per_s: f64,
        /// The level of all bursts together in dB.
        level_db: f64,
    },
    /// All frequencies change, as in a machine that runs at another speed.
    Speed {
        /// The factor by which all frequencies are multiplied.
        factor: f64,
    },
}

impl Canonical for StandIn {
    fn write_canonical(&self, text: &mut String) {
        let StandIn { of, change } = self;
        let fields: [(&str, &dyn Canonical); 2] = [("of", of), ("change", change)];
        identity::record(text, "StandIn", &fields);
    }
}

impl Canonical for Change {
    fn write_canonical(&self, text: &mut String) {
        let mut write = |name: &str, fields: &[(&str, &dyn Canonical)]| {
            identity::record(text, name, fields);
        };
        match self {
            Change::Mix { with, level_db } => {
                write("Mix", &[("with", with), ("level_db", level_db)]);
            }
            Change::Tone { place, level_db } => {
                write("Tone", &[("place", place), ("level_db", level_db)]);
            }
            Change::Clicks { per_s, level_db } => {
                write("Clicks", &[("per_s", per_s), ("level_db", level_db)]);
            }
            Change::Speed { factor } => write("Speed", &[("factor", factor)]),
        }
    }
}

/// What a search is steered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SteerBy {
    /// Labelled anomalies.
    Labels,
    /// Stand-ins for anomalies.
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

/// The attribute that marks a stand-in and names its kind.
pub(super) const STAND_IN: &str = "stand_in";

/// Stand-ins per section; more of them do not separate networks better.
const MAX_PER_SECTION: usize = 60;

/// Where no normal clip tests, one in this many is held out of training.
const HELD_OUT_SHARE: usize = 4;

/// Levels from weak to as loud as the machine, which separate bad from good networks.
const LEVELS_DB: [f64; 4] = [-12.0, -8.0, -4.0, 0.0];

impl Clip {
    /// Whether the clip is a stand-in for an anomaly.
    pub fn is_stand_in(&self) -> bool {
        self.attribute(STAND_IN).is_some()
    }
}

impl Dataset {
    /// The data set with what steers a search. By default, labels steer where there are labelled anomalies, and
    /// stand-ins where there are none.
    pub fn steered_by(self, steering: Option<SteerBy>) -> Dataset {
        let by_default = match self.has_labelled_anomalies() {
            true => SteerBy::Labels,
            false => SteerBy::Proxy,
        };
        if self.learns == Learns::Classes {
            return self;
        }
        match steering.unwrap_or(by_default) {
            SteerBy::Labels => self,
            SteerBy::Proxy => self.with_stand_ins(),
        }
    }

    /// Whether there are labelled test clips of both kinds, normal and anomalous.
    pub fn has_labelled_anomalies(&self) -> bool {
        [Label::Normal, Label::Anomaly]
            .iter()
            .all(|label| self.select(Split::Test, Some(*label)).next().is_some())
    }

    /// The data set with stand-ins for anomalies among its test clips; the same for the same data set.
    ///
    /// Sections without normal test clips hold a quarter of their training clips out for this. Labelled anomalies stay,
    /// and [`super::divide_test`] keeps them from steering.
    pub fn with_stand_ins(mut self) -> Dataset {
        let held_out = self.hold_out_normals();
        let mut normals: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
        for idx in self.select(Split::Test, Some(Label::Normal)) {
            let clip = &self.clips[idx];
            let key = (clip.machine.clone(), clip.section.clone());
            normals.entry(key).or_default().push(idx);
        }
        let mut stand_ins = Vec::new();
        for (section, own) in &normals {
            let others: Vec<usize> = normals
                .iter()
                .filter(|(other, _)| *other != section)
                .flat_map(|(_, clips)| clips.iter().copied())
                .collect();
            let others = ordered(&self, &others);
            let own = ordered(&self, own);
            for (n, &idx) in own.iter().take(MAX_PER_SECTION).enumerate() {
                // Neighbours in hash order come from any section.
                let other = others.get((n * 7 + 3) % others.len().max(1)).copied();
                stand_ins.push(stand_in(&self, idx, other, n));
            }
        }
        let count = counted(stand_ins.len(), "stand-in");
        self.clips.extend(stand_ins);
        self.clips
            .sort_by(|a, b| (a.split, &a.name).cmp(&(b.split, &b.name)));
        self.notes.push(format!(
            "{count} for anomalies made of normal sound: scores say how well networks notice these, not real faults"
        ));
        if held_out > 0 {
            self.notes.push(format!(
                "{} held out of training, because no normal clip was for test",
                counted(held_out, "normal clip")
            ));
        }
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

/// The `n`th stand-in of a section, made of its own clip and, where there is one, of a clip of another section.
fn stand_in(dataset: &Dataset, own: usize, other: Option<usize>, n: usize) -> Clip {
    let clip = &dataset.clips[own];
    let level_db = LEVELS_DB[n / 5 % LEVELS_DB.len()];
    // Steps by the golden ratio are even, and never fall in step with the other cycles.
    let place = (n as f64 * 0.618_033_988_75).fract();
    let (kind, source) = match (n % 5, other) {
        (0, Some(other)) => ("other section", dataset.clips[other].source.clone()),
        (1, Some(other)) => {
            let with = dataset.clips[other].source.clone();
            ("mixed", changed(clip, Change::Mix { with, level_db }))
        }
        (0 | 2, _) => ("tone", changed(clip, Change::Tone { place, level_db })),
        (1 | 3, _) => {
            let per_s = 1.0 + 9.0 * place;
            ("clicks", changed(clip, Change::Clicks { per_s, level_db }))
        }
        _ => {
            let step = 0.03 + 0.09 * place;
            let factor = if n.is_multiple_of(2) {
                1.0 + step
            } else {
                1.0 / (1.0 + step)
            };
            ("speed", changed(clip, Change::Speed { factor }))
        }
    };
    Clip {
        name: format!("{}~{}", clip.name, kind.replace(' ', "-")),
        source,
        label: Some(Label::Anomaly),
        attributes: vec![(STAND_IN.to_string(), kind.to_string())],
        ..clip.clone()
    }
}

fn changed(clip: &Clip, change: Change) -> Source {
    Source::StandIn(Box::new(StandIn {
        of: clip.source.clone(),
        change,
    }))
}

/// The clips in the order of their names' hashes.
fn ordered(dataset: &Dataset, clips: &[usize]) -> Vec<usize> {
    let mut clips = clips.to_vec();
    clips.sort_by_cached_key(|&idx| *blake3::hash(dataset.clips[idx].name.as_bytes()).as_bytes());
    clips
}
