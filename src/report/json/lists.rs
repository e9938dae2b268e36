//! Lists of search spaces, targets and data sets.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::SCHEMA_VERSION;
use crate::{
    data::{Info, KnownDataset, Label},
    hardware::Target,
    space::SearchSpace,
};

/// What `nas spaces --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SpacesDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// All spaces that were read.
    pub spaces: Vec<SpaceView>,
}

/// A search space.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SpaceView {
    /// Name of the space.
    pub name: String,
    /// Number of genomes.
    pub genomes: f64,
    /// The space's TOML file, as JSON.
    pub file: Value,
}

impl SpacesDocument {
    /// The document of these spaces.
    pub fn new(spaces: &[SearchSpace]) -> SpacesDocument {
        let view = |space: &SearchSpace| SpaceView {
            name: space.name.clone(),
            genomes: space.size() as f64,
            file: toml_as_json(&space.text),
        };
        SpacesDocument {
            schema_version: SCHEMA_VERSION,
            spaces: spaces.iter().map(view).collect(),
        }
    }
}

/// What `nas cache size --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CacheDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// Bytes of features on disk.
    pub features_bytes: u64,
    /// Bytes of firmware images.
    pub firmware_bytes: u64,
}

/// What `nas targets --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TargetsDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// The TOML files of the targets, as JSON.
    pub targets: Vec<Value>,
}

impl TargetsDocument {
    /// The document of these targets.
    pub fn new(targets: &[Target]) -> TargetsDocument {
        let files = targets.iter().map(|target| toml_as_json(&target.text));
        TargetsDocument {
            schema_version: SCHEMA_VERSION,
            targets: files.collect(),
        }
    }
}

fn toml_as_json(text: &str) -> Value {
    toml::from_str(text).expect("the text was read as TOML before")
}

/// What `nas data list --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct KnownDatasetsDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// All data sets that the program knows.
    pub datasets: Vec<KnownDatasetView>,
}

/// A public data set.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct KnownDatasetView {
    /// The name by which commands take it.
    pub name: &'static str,
    /// What is in it, in words.
    pub holds: &'static str,
    /// Address of the publisher's description.
    pub address: &'static str,
    /// Its licence, in words.
    pub licence: &'static str,
    /// The size of its download, in words.
    pub size: &'static str,
}

impl KnownDatasetsDocument {
    /// The document of these data sets.
    pub fn new(known: &[KnownDataset]) -> KnownDatasetsDocument {
        let view = |known: &KnownDataset| KnownDatasetView {
            name: known.name,
            holds: known.holds,
            address: known.address,
            licence: known.licence,
            size: known.size,
        };
        KnownDatasetsDocument {
            schema_version: SCHEMA_VERSION,
            datasets: known.iter().map(view).collect(),
        }
    }
}

/// What `nas data info --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DatasetDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// Name of the data set.
    pub name: String,
    /// The layout that was recognised.
    pub layout: &'static str,
    /// Whether it comes from the built-in generator.
    pub synthetic: bool,
    /// Numbers of clips by machine, section, split, domain and label.
    pub counts: Vec<ClipCountView>,
    /// Numbers of clips by format.
    pub formats: Vec<FormatView>,
    /// All clips together, in seconds.
    pub total_s: f64,
    /// Names of clips that are shorter than a second.
    pub short: Vec<String>,
    /// Clips that cannot be read: name and reason.
    pub unreadable: Vec<(String, String)>,
    /// Files that are no clips, although they may have been meant to be: name and reason.
    pub left_out: Vec<(String, String)>,
    /// Groups of clips with the same bytes.
    pub duplicates: Vec<Vec<String>>,
    /// What a user should know, a sentence each.
    pub notes: Vec<String>,
}

/// Clips of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ClipCountView {
    /// Name of the machine.
    pub machine: String,
    /// Name of the section.
    pub section: String,
    /// `train` or `test`.
    pub split: &'static str,
    /// `source`, `target` or empty.
    pub domain: &'static str,
    /// `normal`, `anomaly`, or null without a label.
    pub label: Option<&'static str>,
    /// Number of clips.
    pub clips: usize,
}

/// Clips of one format.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FormatView {
    /// Encoding of the samples.
    pub encoding: &'static str,
    /// Sample rate in hertz.
    pub sample_rate_hz: u32,
    /// Number of channels.
    pub channels: u32,
    /// Bits per sample.
    pub bits: u32,
    /// Number of clips.
    pub clips: usize,
    /// Length of the shortest clip in seconds.
    pub shortest_s: f64,
    /// Length of the longest clip in seconds.
    pub longest_s: f64,
}

impl DatasetDocument {
    /// The document of one data set.
    pub fn new(info: &Info) -> DatasetDocument {
        let counts = info.counts.iter().map(|count| ClipCountView {
            machine: count.machine.clone(),
            section: count.section.clone(),
            split: count.split.name(),
            domain: count.domain.name(),
            label: count.label.map(Label::name),
            clips: count.clips,
        });
        let formats = info.formats.iter().map(|format| FormatView {
            encoding: format.encoding.name(),
            sample_rate_hz: format.sample_rate_hz,
            channels: format.channels,
            bits: format.bits,
            clips: format.clips,
            shortest_s: format.shortest_s,
            longest_s: format.longest_s,
        });
        DatasetDocument {
            schema_version: SCHEMA_VERSION,
            name: info.name.clone(),
            layout: info.layout.name(),
            synthetic: info.synthetic,
            counts: counts.collect(),
            formats: formats.collect(),
            total_s: info.total_s,
            short: info.short.clone(),
            unreadable: info.unreadable.clone(),
            left_out: info
                .left_out
                .iter()
                .map(|file| (file.name.clone(), file.reason.clone()))
                .collect(),
            duplicates: info.duplicates.clone(),
            notes: info.notes.clone(),
        }
    }
}
