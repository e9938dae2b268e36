//! Clip tables. A data set is rows; every layout on disk and the synthetic generator end in the same rows.

pub mod synthetic;

use std::path::PathBuf;

use crate::audio::FeatureSpec;

/// A table of clips.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// What to call it: the folder's or file's name, or `synthetic:fan`.
    pub name: String,
    /// Made by the built-in generator: every score on it is labelled so.
    pub synthetic: bool,
    /// Ordered by split and name, so that the same folder gives the same rows everywhere.
    pub clips: Vec<Clip>,
    /// Set where the clips are ready features: the only front end that can be used.
    pub fixed_features: Option<FeatureSpec>,
    /// Odd things a user should know: skipped files and why, missing classes.
    pub notes: Vec<String>,
}

/// One recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// Unique in its data set; a path relative to the data set's root.
    pub name: String,
    pub source: Source,
    pub split: Split,
    /// `None` where nobody says.
    pub label: Option<Label>,
    pub machine: String,
    /// Section, machine ID or class: what a classifier tells apart.
    pub section: String,
    pub domain: Domain,
    /// Further columns, such as speed or noise level.
    pub attributes: Vec<(String, String)>,
}

/// Where a clip's content comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A WAV or FLAC file.
    Audio(PathBuf),
    /// Ready log-mel features in dB: f32 little-endian, frame-major (MLPerf Tiny's `*_hist_librosa.bin`).
    LogMelBin(PathBuf),
    /// Made on demand by the generator.
    Synthetic(synthetic::ClipSpec),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Split {
    Train,
    Test,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Label {
    Normal,
    Anomaly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Domain {
    Source,
    Target,
}
