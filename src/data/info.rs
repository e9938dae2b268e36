//! What a data set holds, for `nas data info`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read},
    path::Path,
};

use rayon::prelude::*;

use super::{
    Clip, Dataset, Domain, Label, Layout, LeftOut, Source, Split, counted, look::look_at_all,
};
use crate::{audio, identity::Canonical};

/// Clips shorter than this give few windows or none.
const SHORT_S: f64 = 1.0;

/// A data set in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    /// The data set's name.
    pub name: String,
    /// Made by the built-in generator.
    pub synthetic: bool,
    /// How it lies on disk.
    pub layout: Layout,
    /// Sorted by machine, section, split, domain and label.
    pub counts: Vec<ClipCount>,
    /// Sorted by encoding, sample rate, channels and bits.
    pub formats: Vec<FormatCount>,
    /// Seconds of all clips that can be read.
    pub total_s: f64,
    /// Clips shorter than 1 s.
    pub short: Vec<String>,
    /// Clips that cannot be read: name and reason.
    pub unreadable: Vec<(String, String)>,
    /// Files that are no clips, although they may have been meant to be.
    pub left_out: Vec<LeftOut>,
    /// Groups of clips with the same bytes.
    pub duplicates: Vec<Vec<String>>,
    /// Names of attributes, each with the number of its distinct values.
    pub attributes: Vec<(String, usize)>,
    /// What a user should know, one sentence each.
    pub notes: Vec<String>,
}

/// How many clips share machine, section, split, domain and label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClipCount {
    /// The machine type.
    pub machine: String,
    /// The section, machine ID or class.
    pub section: String,
    /// Whether the clips train or test.
    pub split: Split,
    /// The operating conditions.
    pub domain: Domain,
    /// `None` where nothing says it.
    pub label: Option<Label>,
    /// How many clips there are.
    pub clips: usize,
}

/// The clips of one recording format.
#[derive(Debug, Clone, PartialEq)]
pub struct FormatCount {
    /// How they are stored.
    pub encoding: Encoding,
    /// Samples per second.
    pub sample_rate_hz: u32,
    /// Channels of each recording.
    pub channels: u32,
    /// Bits per sample of one channel.
    pub bits: u32,
    /// How many clips there are.
    pub clips: usize,
    /// Length of the shortest clip in seconds.
    pub shortest_s: f64,
    /// Length of the longest clip in seconds.
    pub longest_s: f64,
}

/// How clips are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Encoding {
    /// Sound in a file.
    Sound(audio::Encoding),
    /// Ready features; the sample rate is that of the recording from which they were made.
    LogMelBin,
    /// Made when needed, as f32.
    Synthetic,
}

impl Encoding {
    /// The name for people and documents.
    pub const fn name(self) -> &'static str {
        match self {
            Encoding::Sound(encoding) => encoding.name(),
            Encoding::LogMelBin => "log-mel features",
            Encoding::Synthetic => "synthetic",
        }
    }
}

/// Counts the clips, reads all of them and looks at their sound, in parallel.
///
/// Whole files are compared only where their sizes and first bytes are the same.
pub fn describe(dataset: &Dataset) -> Info {
    let look = look_at_all(dataset);

    let mut formats: BTreeMap<(Encoding, u32, u32, u32), Vec<f64>> = BTreeMap::new();
    let mut short = Vec::new();
    let mut unreadable = Vec::new();
    let mut total_s = 0.0;
    for (clip, facts) in dataset.clips.iter().zip(&look.clips) {
        match facts {
            Some(Ok(facts)) => {
                formats.entry(facts.format).or_default().push(facts.seconds);
                total_s += facts.seconds;
                if facts.seconds < SHORT_S {
                    short.push(clip.name.clone());
                }
            }
            Some(Err(reason)) => unreadable.push((clip.name.clone(), reason.clone())),
            None => {}
        }
    }
    let formats = formats
        .into_iter()
        .map(
            |((encoding, sample_rate_hz, channels, bits), durations)| FormatCount {
                encoding,
                sample_rate_hz,
                channels,
                bits,
                clips: durations.len(),
                shortest_s: durations.iter().copied().fold(f64::INFINITY, f64::min),
                longest_s: durations.iter().copied().fold(0.0, f64::max),
            },
        )
        .collect();
    let duplicates = duplicates(&dataset.clips);
    let mut notes = dataset.notes.clone();
    notes.extend(look.notes(dataset));
    let is_leak = |group: &&Vec<usize>| {
        let in_split = |split| group.iter().any(|&idx| dataset.clips[idx].split == split);
        in_split(Split::Train) && in_split(Split::Test)
    };
    let n_leaks = duplicates.iter().filter(is_leak).count();
    if n_leaks > 0 {
        let count = counted(n_leaks, "recording");
        notes.push(format!(
            "{count} in both training and test: scores will be too good"
        ));
    }
    let name = |&idx: &usize| dataset.clips[idx].name.clone();
    Info {
        name: dataset.name.clone(),
        synthetic: dataset.synthetic,
        layout: dataset.layout,
        counts: counts(&dataset.clips),
        formats,
        total_s,
        short,
        unreadable,
        left_out: dataset.left_out.clone(),
        duplicates: duplicates
            .iter()
            .map(|group| group.iter().map(name).collect())
            .collect(),
        attributes: attributes(&dataset.clips),
        notes,
    }
}

fn counts(clips: &[Clip]) -> Vec<ClipCount> {
    let mut counts = BTreeMap::new();
    for clip in clips {
        let key = (
            &clip.machine,
            &clip.section,
            clip.split,
            clip.domain,
            clip.label,
        );
        *counts.entry(key).or_insert(0) += 1;
    }
    counts
        .into_iter()
        .map(
            |((machine, section, split, domain, label), clips)| ClipCount {
                machine: machine.clone(),
                section: section.clone(),
                split,
                domain,
                label,
                clips,
            },
        )
        .collect()
}

fn attributes(clips: &[Clip]) -> Vec<(String, usize)> {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in clips.iter().flat_map(|clip| &clip.attributes) {
        values.entry(name).or_default().insert(value);
    }
    let count = |(name, values): (&str, BTreeSet<&str>)| (name.to_string(), values.len());
    values.into_iter().map(count).collect()
}

/// Groups of clips with the same bytes, in the clips' order. A file that cannot be read is in no group.
fn duplicates(clips: &[Clip]) -> Vec<Vec<usize>> {
    /// This is more than the headers, and enough for two recordings to differ.
    const FIRST_BYTES: u64 = 16 * 1024;
    let all: Vec<usize> = (0..clips.len()).collect();
    let same_size = alike(clips, vec![all], |path| {
        Ok(path.metadata()?.len().to_le_bytes().to_vec())
    });
    let same_start = alike(clips, same_size, |path| hash(path, FIRST_BYTES));
    alike(clips, same_start, |path| hash(path, u64::MAX))
}

/// The clips of a data set whose content is that of a clip in a list, whatever their names: indices, ascending.
pub fn repeated(dataset: &Dataset, among: &[&Clip]) -> Vec<usize> {
    let content = |source: &Source| -> Option<Vec<u8>> {
        match source {
            Source::Audio(path) | Source::LogMelBin(path) => hash(path, u64::MAX).ok(),
            other => Some(other.canonical().into_bytes()),
        }
    };
    let known: BTreeSet<Vec<u8>> = among
        .par_iter()
        .filter_map(|clip| content(&clip.source))
        .collect();
    let clips = dataset.clips.par_iter().enumerate();
    let same = clips.filter(|(_, clip)| content(&clip.source).is_some_and(|c| known.contains(&c)));
    same.map(|(idx, _)| idx).collect()
}

/// Splits groups by a key of the clips' files. Parts of a single clip are dropped.
fn alike(
    clips: &[Clip],
    groups: Vec<Vec<usize>>,
    key: impl Fn(&Path) -> io::Result<Vec<u8>> + Sync,
) -> Vec<Vec<usize>> {
    let mut parts: BTreeMap<(usize, Vec<u8>), Vec<usize>> = BTreeMap::new();
    for (group_idx, group) in groups.iter().enumerate() {
        let keys: Vec<Option<Vec<u8>>> = group
            .par_iter()
            .map(|&idx| match &clips[idx].source {
                Source::Audio(path) | Source::LogMelBin(path) => key(path).ok(),
                Source::Synthetic(_) | Source::Disturbed(_) => None,
            })
            .collect();
        for (&idx, key) in group.iter().zip(keys) {
            if let Some(key) = key {
                parts.entry((group_idx, key)).or_default().push(idx);
            }
        }
    }
    let mut parts: Vec<Vec<usize>> = parts.into_values().filter(|part| part.len() > 1).collect();
    parts.sort_unstable();
    parts
}

/// BLAKE3 hash of the first `limit` bytes.
fn hash(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut file.take(limit), &mut hasher)?;
    Ok(hasher.finalize().as_bytes().to_vec())
}
