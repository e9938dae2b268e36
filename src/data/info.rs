//! What a data set holds, for `nas data info`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use rayon::prelude::*;

use super::{Clip, Dataset, Domain, Label, Layout, Source, Split, counted, mlperf, synthetic};

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
    /// Seconds of all clips that have a readable header.
    pub total_s: f64,
    /// Clips shorter than 1 s.
    pub short: Vec<String>,
    /// Clips whose header cannot be read: name and reason.
    pub unreadable: Vec<(String, String)>,
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
    /// WAV with whole numbers (PCM).
    WavInteger,
    /// WAV with floating-point numbers.
    WavFloat,
    /// FLAC.
    Flac,
    /// Ready features; the sample rate is that of the recording from which they were made.
    LogMelBin,
    /// Made when needed, as f32.
    Synthetic,
}

impl Encoding {
    /// The name for people and documents.
    pub const fn name(self) -> &'static str {
        match self {
            Encoding::WavInteger => "WAV, integer",
            Encoding::WavFloat => "WAV, float",
            Encoding::Flac => "FLAC",
            Encoding::LogMelBin => "log-mel features",
            Encoding::Synthetic => "synthetic",
        }
    }
}

/// Counts the clips and reads their headers, in parallel.
///
/// Whole files are compared only where their sizes and first bytes are the same.
pub fn describe(dataset: &Dataset) -> Info {
    let headers: Vec<Result<Header, String>> = dataset
        .clips
        .par_iter()
        .map(|clip| header(&clip.source))
        .collect();

    let mut formats: BTreeMap<(Encoding, u32, u32, u32), Vec<f64>> = BTreeMap::new();
    let mut short = Vec::new();
    let mut unreadable = Vec::new();
    let mut total_s = 0.0;
    for (clip, header) in dataset.clips.iter().zip(headers) {
        match header {
            Ok(header) => {
                let durations = formats.entry(header.format).or_default();
                durations.push(header.duration_s);
                total_s += header.duration_s;
                if header.duration_s < SHORT_S {
                    short.push(clip.name.clone());
                }
            }
            Err(reason) => unreadable.push((clip.name.clone(), reason)),
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

/// The length of a clip as its header states it; `None` where the header cannot be read.
pub(super) fn duration_s(source: &Source) -> Option<f64> {
    header(source).ok().map(|header| header.duration_s)
}

struct Header {
    /// Encoding, sample rate in Hz, channels, bits per sample.
    format: (Encoding, u32, u32, u32),
    duration_s: f64,
}

impl Header {
    fn new(format: (Encoding, u32, u32, u32), samples_per_channel: u64) -> Result<Header, String> {
        match format.1 {
            0 => Err("has a sample rate of 0 Hz".to_string()),
            sample_rate_hz => Ok(Header {
                format,
                duration_s: samples_per_channel as f64 / f64::from(sample_rate_hz),
            }),
        }
    }
}

fn header(source: &Source) -> Result<Header, String> {
    match source {
        Source::Audio(path) => audio_header(path),
        Source::LogMelBin(path) => features_header(path),
        Source::Synthetic(spec) => synthetic_header(spec),
        Source::StandIn(made) => header(&made.of),
    }
}

fn audio_header(path: &Path) -> Result<Header, String> {
    let file = BufReader::new(File::open(path).map_err(|error| error.to_string())?);
    if super::extension(path) == "flac" {
        flac_header(file)
    } else {
        wav_header(file)
    }
}

fn wav_header(file: impl Read) -> Result<Header, String> {
    let reader = hound::WavReader::new(file).map_err(|error| error.to_string())?;
    let spec = reader.spec();
    let encoding = match spec.sample_format {
        hound::SampleFormat::Int => Encoding::WavInteger,
        hound::SampleFormat::Float => Encoding::WavFloat,
    };
    let (channels, bits) = (u32::from(spec.channels), u32::from(spec.bits_per_sample));
    Header::new(
        (encoding, spec.sample_rate, channels, bits),
        u64::from(reader.duration()),
    )
}

fn flac_header(file: impl Read) -> Result<Header, String> {
    let options = claxon::FlacReaderOptions {
        metadata_only: true,
        read_vorbis_comment: false,
    };
    let reader = claxon::FlacReader::new_ext(file, options).map_err(|error| error.to_string())?;
    let info = reader.streaminfo();
    let samples = info.samples.ok_or("does not say its length")?;
    Header::new(
        (
            Encoding::Flac,
            info.sample_rate,
            info.channels,
            info.bits_per_sample,
        ),
        samples,
    )
}

fn features_header(path: &Path) -> Result<Header, String> {
    let metadata = path.metadata().map_err(|error| error.to_string())?;
    let frames = metadata.len() / mlperf::FRAME_BYTES;
    let spec = mlperf::FEATURES;
    let format = (Encoding::LogMelBin, spec.sample_rate_hz, 1, 32);
    Header::new(format, frames * spec.hop_length as u64)
}

fn synthetic_header(spec: &synthetic::ClipSpec) -> Result<Header, String> {
    let rate_hz = synthetic::SAMPLE_RATE_HZ;
    let samples = u64::from(spec.duration_ms) * u64::from(rate_hz) / 1000;
    Header::new((Encoding::Synthetic, rate_hz, 1, 32), samples)
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
                Source::Synthetic(_) | Source::StandIn(_) => None,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(spec: hound::WavSpec, samples: u32) -> Vec<u8> {
        let mut bytes = io::Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
        for _ in 0..samples * u32::from(spec.channels) {
            match spec.sample_format {
                hound::SampleFormat::Int => writer.write_sample(0i32).unwrap(),
                hound::SampleFormat::Float => writer.write_sample(0f32).unwrap(),
            }
        }
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    #[test]
    fn headers_are_read_without_the_samples() {
        fn check(channels: u16, sample_rate: u32, bits_per_sample: u16, float: bool) {
            let (sample_format, encoding) = if float {
                (hound::SampleFormat::Float, Encoding::WavFloat)
            } else {
                (hound::SampleFormat::Int, Encoding::WavInteger)
            };
            let spec = hound::WavSpec {
                channels,
                sample_rate,
                bits_per_sample,
                sample_format,
            };
            let header = wav_header(&wav(spec, 500)[..]).unwrap();
            let expected = (
                encoding,
                sample_rate,
                u32::from(channels),
                u32::from(bits_per_sample),
            );
            assert_eq!(header.format, expected);
            assert_eq!(header.duration_s, 500.0 / f64::from(sample_rate));
        }
        check(1, 16_000, 16, false);
        check(2, 44_100, 24, false);
        check(8, 16_000, 16, false);
        check(1, 8_000, 8, false);
        check(2, 96_000, 32, true);
    }

    #[test]
    fn any_bytes_are_a_header_or_an_error() {
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 16_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let valid = wav(spec, 8);
        let changes = proptest::collection::vec(proptest::prelude::any::<(u8, u8)>(), 0..20);
        proptest::proptest!(|(changes in changes, length in 0usize..256)| {
            let mut bytes = valid.clone();
            for (place, byte) in changes {
                bytes[usize::from(place) % valid.len()] = byte;
            }
            bytes.truncate(length);
            let _ = wav_header(&bytes[..]);
            bytes.splice(..bytes.len().min(4), *b"fLaC");
            let _ = flac_header(&bytes[..]);
        });
    }
}
