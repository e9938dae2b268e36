//! What a data set holds, for `nas data info`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use rayon::prelude::*;

use super::{Clip, Dataset, Domain, Label, Source, Split, mlperf};

/// A clip shorter than this gives few windows or none.
const SHORT_S: f64 = 1.0;

/// A data set in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Info {
    pub name: String,
    pub synthetic: bool,
    /// Sorted by machine, section, split, domain and label.
    pub counts: Vec<ClipCount>,
    /// Sorted; synthetic clips have no format.
    pub formats: Vec<FormatCount>,
    /// Seconds of all clips that have a readable header.
    pub total_s: f64,
    /// Clips shorter than 1 s.
    pub short: Vec<String>,
    /// Clips whose header cannot be read: name and reason.
    pub unreadable: Vec<(String, String)>,
    /// Groups of clips with the same bytes; a recording in both training and test makes scores too good.
    pub duplicates: Vec<Vec<String>>,
    /// Names of attributes, each with its number of distinct values.
    pub attributes: Vec<(String, usize)>,
    pub notes: Vec<String>,
}

/// Clips of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClipCount {
    pub machine: String,
    pub section: String,
    pub split: Split,
    pub domain: Domain,
    pub label: Option<Label>,
    pub clips: usize,
}

/// Clips of one recording format.
#[derive(Debug, Clone, PartialEq)]
pub struct FormatCount {
    pub encoding: Encoding,
    pub sample_rate_hz: u32,
    pub channels: u32,
    pub bits: u32,
    pub clips: usize,
    pub shortest_s: f64,
    pub longest_s: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    WavInteger,
    WavFloat,
    Flac,
    /// Ready features: the sample rate is that of the recording they were made of.
    LogMelBin,
}

/// Counts the clips and reads their headers, in parallel.
///
/// Whole files are compared only where their sizes and first bytes agree.
pub fn describe(dataset: &Dataset) -> Info {
    let headers: Vec<Option<Result<Header, String>>> = dataset
        .clips
        .par_iter()
        .map(|clip| match &clip.source {
            Source::Audio(path) => Some(audio_header(path)),
            Source::LogMelBin(path) => Some(features_header(path)),
            Source::Synthetic(_) => None,
        })
        .collect();

    let mut formats: BTreeMap<(Encoding, u32, u32, u32), Vec<f64>> = BTreeMap::new();
    let mut short = Vec::new();
    let mut unreadable = Vec::new();
    let mut total_s = 0.0;
    for (clip, header) in dataset.clips.iter().zip(headers) {
        match header {
            Some(Ok(header)) => {
                let durations = formats.entry(header.format).or_default();
                durations.push(header.duration_s);
                total_s += header.duration_s;
                if header.duration_s < SHORT_S {
                    short.push(clip.name.clone());
                }
            }
            Some(Err(reason)) => unreadable.push((clip.name.clone(), reason)),
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
    Info {
        name: dataset.name.clone(),
        synthetic: dataset.synthetic,
        counts: counts(&dataset.clips),
        formats,
        total_s,
        short,
        unreadable,
        duplicates: duplicates(&dataset.clips),
        attributes: attributes(&dataset.clips),
        notes: dataset.notes.clone(),
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

struct Header {
    /// Encoding, sample rate in Hz, channels, bits per sample.
    format: (Encoding, u32, u32, u32),
    duration_s: f64,
}

fn audio_header(path: &Path) -> Result<Header, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let (format, samples_per_channel) = if super::extension(path) == "flac" {
        let reader = claxon::FlacReader::new(file).map_err(|error| error.to_string())?;
        let info = reader.streaminfo();
        let format = (
            Encoding::Flac,
            info.sample_rate,
            info.channels,
            info.bits_per_sample,
        );
        (format, info.samples.ok_or("does not say its length")?)
    } else {
        let reader =
            hound::WavReader::new(BufReader::new(file)).map_err(|error| error.to_string())?;
        let spec = reader.spec();
        let encoding = match spec.sample_format {
            hound::SampleFormat::Int => Encoding::WavInteger,
            hound::SampleFormat::Float => Encoding::WavFloat,
        };
        let channels = u32::from(spec.channels);
        let bits = u32::from(spec.bits_per_sample);
        (
            (encoding, spec.sample_rate, channels, bits),
            u64::from(reader.duration()),
        )
    };
    if format.1 == 0 {
        return Err("has a sample rate of 0 Hz".to_string());
    }
    Ok(Header {
        format,
        duration_s: samples_per_channel as f64 / f64::from(format.1),
    })
}

fn features_header(path: &Path) -> Result<Header, String> {
    let metadata = path.metadata().map_err(|error| error.to_string())?;
    let frames = metadata.len() / mlperf::FRAME_BYTES;
    let spec = mlperf::FEATURES;
    Ok(Header {
        format: (Encoding::LogMelBin, spec.sample_rate_hz, 1, 32),
        duration_s: frames as f64 * spec.hop_us() * 1e-6,
    })
}

/// Groups of clips with the same bytes, in the clips' order. Files that cannot be read are alike to none.
fn duplicates(clips: &[Clip]) -> Vec<Vec<String>> {
    /// Behind the headers, and enough for recordings to differ.
    const FIRST_BYTES: u64 = 16 * 1024;
    let all: Vec<usize> = (0..clips.len()).collect();
    let same_size = alike(clips, vec![all], |path| {
        Ok(path.metadata()?.len().to_le_bytes().to_vec())
    });
    let same_start = alike(clips, same_size, |path| hash(path, FIRST_BYTES));
    let same = alike(clips, same_start, |path| hash(path, u64::MAX));
    let name = |idx: usize| clips[idx].name.clone();
    same.into_iter()
        .map(|group| group.into_iter().map(name).collect())
        .collect()
}

/// Splits groups by a key of the clips' files, and keeps the parts of at least two.
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
                Source::Synthetic(_) => None,
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
