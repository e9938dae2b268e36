//! A data set is a table of clips. Every layout on disk and the synthetic generator end in the same rows.
//!
//! This module computes no features, and it knows no models, scores or hardware.

mod dcase_names;
mod disturbed;
mod divide;
pub mod fetch;
mod files;
mod folder;
mod folds;
mod generic;
mod info;
mod label_lists;
mod learns;
mod left_out;
mod look;
mod manifest;
mod mlperf;
mod named;
mod notes;
mod one_machine;
mod slices;
pub mod synthetic;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use crate::{
    audio::FeatureSpec,
    identity::{self, Canonical},
};

pub use disturbed::{Disturbed, Made, SteerBy, UnknownSteering};
pub use divide::{Classes, TestDivision, TrainDivision, divide_test, divide_train};
pub use fetch::{KNOWN_DATASETS, KnownDataset};
pub use folds::{SplitBy, UnknownSplit};
pub use info::{ClipCount, Encoding, FormatCount, Info, describe, repeated};
pub use learns::Learns;
pub use left_out::LeftOut;
pub use look::{Look, look};
pub use manifest::ManifestError;
pub use named::{lasting_name, named, named_clips, named_split};

/// A table of clips.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The name that people see: the folder's or file's name, or `synthetic:fan`.
    pub name: String,
    /// Made by the built-in generator; every score on it is labelled as synthetic.
    pub synthetic: bool,
    /// The layout that was recognised.
    pub layout: Layout,
    /// What classifiers learn to tell apart.
    pub learns: Learns,
    /// Ordered by split and name, so the same folder gives the same rows everywhere.
    pub clips: Vec<Clip>,
    /// The only front end that can be used, where the clips are ready features.
    pub fixed_features: Option<FeatureSpec>,
    /// What a user should know: skipped files and why, missing classes.
    pub notes: Vec<String>,
    /// Files that are no clips; notes say the same in words.
    pub left_out: Vec<LeftOut>,
}

/// How a data set lies on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// DCASE 2020 Task 2: machine IDs (`id_00`) in `train` and `test` folders.
    Dcase2020,
    /// DCASE 2021 Task 2: sections, with `source_test` and `target_test` folders.
    Dcase2021,
    /// 2022 to 2026: sections, domains in one `test` folder.
    Dcase2022,
    /// MIMII: `id_00/normal` and `id_00/abnormal`.
    Mimii,
    /// ToyADMOS: `case1/NormalSound_IND` and `case1/AnomalousSound_IND`.
    ToyAdmos,
    /// MLPerf Tiny's ready features of ToyCar.
    MlperfTiny,
    /// UrbanSound8K: slices in folders `fold1` to `fold10`.
    UrbanSound8k,
    /// ESC-50: slices whose names begin with their fold.
    Esc50,
    /// A csv file that lists the recordings.
    Manifest,
    /// Folders called `normal`, `anomalous` and the like.
    LabelledFolders,
    /// Folders that each hold one class of normal sound.
    ClassFolders,
    /// Recordings without any label.
    Unlabelled,
    /// The built-in generator; nothing lies on disk.
    Synthetic,
}

/// One recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// Unique in its data set; a path relative to the data set's root.
    pub name: String,
    /// Where its content comes from.
    pub source: Source,
    /// Whether the clip trains or tests.
    pub split: Split,
    /// `None` where nothing says it.
    pub label: Option<Label>,
    /// The machine type, such as `fan`.
    pub machine: String,
    /// What a classifier tells apart: a section (`00`), a machine ID (`id_04`) or a class.
    pub section: String,
    /// The operating condition.
    pub domain: Domain,
    /// Further columns as name and value, such as speed or noise level.
    pub attributes: Vec<(String, String)>,
}

/// Where a clip's content comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A file of sound.
    Audio(PathBuf),
    /// Ready log-mel features in dB: f32 little-endian, frame-major (MLPerf Tiny's `*_hist_librosa.bin`).
    LogMelBin(PathBuf),
    /// Made by the generator when it is needed.
    Synthetic(synthetic::ClipSpec),
    /// Normal sound that is disturbed when it is needed.
    Disturbed(Box<Disturbed>),
}

/// Whether a clip trains or tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Split {
    /// Networks are trained on it, or checked while they train.
    Train,
    /// Networks are scored on it.
    Test,
}

/// Whether a clip is normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Label {
    /// The machine sounds as it should.
    Normal,
    /// Something is wrong with the machine.
    Anomaly,
}

/// The operating conditions of a recording, as DCASE names them from 2021 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Domain {
    /// The conditions of most training clips.
    Source,
    /// Changed conditions, of which there are few training clips.
    Target,
}

impl Layout {
    /// The layout's name for people.
    pub fn name(self) -> &'static str {
        match self {
            Layout::Dcase2020 => "DCASE 2020 Task 2",
            Layout::Dcase2021 => "DCASE 2021 Task 2",
            Layout::Dcase2022 => "DCASE 2022 to 2026 Task 2",
            Layout::Mimii => "MIMII",
            Layout::ToyAdmos => "ToyADMOS",
            Layout::MlperfTiny => "MLPerf Tiny anomaly detection",
            Layout::UrbanSound8k => "UrbanSound8K",
            Layout::Esc50 => "ESC-50",
            Layout::Manifest => "manifest",
            Layout::LabelledFolders => "folders of normal and anomalous sound",
            Layout::ClassFolders => "folders of classes",
            Layout::Unlabelled => "unlabelled recordings",
            Layout::Synthetic => "built-in generator",
        }
    }
}

impl Split {
    /// `train` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Test => "test",
        }
    }
}

impl Label {
    /// `normal` or `anomaly`.
    pub fn name(self) -> &'static str {
        match self {
            Label::Normal => "normal",
            Label::Anomaly => "anomaly",
        }
    }
}

impl Domain {
    /// `source` or `target`.
    pub fn name(self) -> &'static str {
        match self {
            Domain::Source => "source",
            Domain::Target => "target",
        }
    }
}

impl Canonical for Source {
    fn write_canonical(&self, text: &mut String) {
        match self {
            Source::Audio(path) => identity::tuple(text, "Audio", &[path]),
            Source::LogMelBin(path) => identity::tuple(text, "LogMelBin", &[path]),
            Source::Synthetic(spec) => identity::tuple(text, "Synthetic", &[spec]),
            Source::Disturbed(made) => identity::tuple(text, "Disturbed", &[made.as_ref()]),
        }
    }
}

impl Canonical for Split {
    fn write_canonical(&self, text: &mut String) {
        text.push_str(match self {
            Split::Train => "Train",
            Split::Test => "Test",
        });
    }
}

impl Canonical for Label {
    fn write_canonical(&self, text: &mut String) {
        text.push_str(match self {
            Label::Normal => "Normal",
            Label::Anomaly => "Anomaly",
        });
    }
}

impl Canonical for Domain {
    fn write_canonical(&self, text: &mut String) {
        text.push_str(match self {
            Domain::Source => "Source",
            Domain::Target => "Target",
        });
    }
}

/// Why a data set cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// An archive was not unpacked to its end.
    #[error(
        "{} may lack clips: {archive} was not unpacked to its end; run `nas data fetch` again",
        path.display()
    )]
    Unfinished {
        /// The folder.
        path: PathBuf,
        /// Data set, record and file of the archive.
        archive: String,
    },
    /// Nothing lies at the path.
    #[error(
        "`{}` does not exist; give a folder in a DCASE layout, a folder of MLPerf Tiny features, or a csv manifest", path.display()
    )]
    Missing {
        /// The path that was given.
        path: PathBuf,
    },
    /// The generator has no machine of this name.
    #[error(
        "there is no synthetic machine `{name}`; there are {}",
        synthetic::Machine::ALL.map(synthetic::Machine::name).join(", ")
    )]
    NoSyntheticMachine {
        /// The name that was given.
        name: String,
    },
    /// The operating system refuses to read a file or folder.
    #[error("`{}` cannot be read: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is of no kind that can be a data set.
    #[error(
        "`{}` is neither a folder, a csv manifest, nor a .wav, .flac, .ogg, .mp3 or .bin file", path.display()
    )]
    UnknownFile {
        /// The file.
        path: PathBuf,
    },
    /// The folder has no files.
    #[error("`{}` holds no files; the recordings should lie in <machine>/train and <machine>/test", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// The folder has so many files that it is probably not one data set.
    #[error("`{}` holds more than {limit} files; open the folder of one data set", path.display())]
    TooManyFiles {
        /// The folder.
        path: PathBuf,
        /// The most files and folders that are looked at.
        limit: usize,
    },
    /// No file has a name of a known layout.
    #[error(
        "`{}` holds {count} files, but no name fits a known layout ({examples}); \
         list them in a split.csv in that folder, with the columns {}", path.display(), manifest::COLUMNS
    )]
    Unrecognised {
        /// The folder.
        path: PathBuf,
        /// How many files it holds.
        count: usize,
        /// The first names.
        examples: String,
    },
    /// All files or rows are missing, empty or of a wrong size.
    #[error("nothing in `{}` can be used: {examples}", path.display())]
    NoneUsable {
        /// The folder, manifest or file.
        path: PathBuf,
        /// The first names, each with its reason.
        examples: String,
    },
    /// Two folders below the opened one hold clips of one machine that belong into one folder.
    #[error(
        "two folders hold machine `{machine}`: `{}` and `{}`; open one of them", first.display(), second.display()
    )]
    TwoFolders {
        /// The machine.
        machine: String,
        /// One folder.
        first: PathBuf,
        /// The other folder.
        second: PathBuf,
    },
    /// A split by folds or recordings was asked for, and the data set has no folds.
    #[error(
        "`{name}` has no folds, so folds and recordings cannot split it; folders, names or a split.csv say what trains"
    )]
    NoFolds {
        /// The data set.
        name: String,
    },
    /// ESC-10 was asked for, and no clip belongs to it.
    #[error(
        "`{name}` has no clips of ESC-10; they are named in the column `esc10` of ESC-50's meta/esc50.csv"
    )]
    NoEsc10 {
        /// The data set.
        name: String,
    },
    /// The fold that should test does not exist.
    #[error("there is no fold {wanted} to test on; there are folds {folds}")]
    NoSuchFold {
        /// The fold that was asked for.
        wanted: u32,
        /// All folds, for the message.
        folds: String,
    },
    /// The machine or section to watch does not exist.
    #[error("there is no machine or section `{wanted}` to watch; there are {known}")]
    NoSuchSection {
        /// The name that was asked for.
        wanted: String,
        /// All names, for the message.
        known: String,
    },
    /// A list of clips cannot be used; no reader returns this today.
    #[error("list `{}`: {problem}", path.display())]
    List {
        /// The list.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The data set mixes recordings and ready features.
    #[error(
        "`{audio}` is a recording and `{features}` holds ready features; a data set must be all of one kind"
    )]
    Mixed {
        /// The first recording.
        audio: String,
        /// The first clip of ready features.
        features: String,
    },
    /// The csv manifest is wrong.
    #[error("manifest `{}`: {problem}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        problem: ManifestError,
    },
    /// Labels should be learnt, and there are none of both kinds.
    #[error(
        "`{name}` has no labels to learn: that needs normal clips and at least two anomalous ones"
    )]
    NoLabels {
        /// The data set.
        name: String,
    },
    /// Classes should be told apart, and there is at most one.
    #[error(
        "`{name}` has no classes to tell apart: that needs folders of classes, a column `class`, or several sections"
    )]
    NoClasses {
        /// The data set.
        name: String,
    },
    /// There is nothing to train on.
    #[error(
        "`{name}` has no training clips, and a search needs some: normal recordings under <machine>/train, \
         or `train` in the column `split` of a manifest"
    )]
    NoTraining {
        /// The data set.
        name: String,
    },
}

/// Reads the clip table of the folder or file at `path`.
///
/// A folder with `split.csv` is a manifest. Any other folder may be: one or several machines of DCASE 2020 to 2024;
/// features of MLPerf Tiny; MIMII, ToyADMOS, UrbanSound8K or ESC-50; or any recordings, whose folders may then be
/// labels or classes. A file is a csv manifest, the `y_labels.csv` of MLPerf Tiny, or a single clip. Recordings are not
/// opened; only their size is looked at.
///
/// Behind the path of ESC-50, `:esc10` means the ten classes that are published as ESC-10. Behind any other path,
/// `:SECTION` means [`Dataset::watching`].
pub fn open(path: &Path) -> Result<Dataset, DataError> {
    open_split(path, SplitBy::default())
}

/// As [`open`], for a set of folds with a choice of which clips train and which test.
pub fn open_split(path: &Path, by: SplitBy) -> Result<Dataset, DataError> {
    let dataset = match (whole_of_esc10(path), watched(path)) {
        (Some(whole), _) => slices::esc10(read(whole, by)?, by)?,
        (None, Some((whole, section))) => read(whole, by)?.watching(section)?,
        (None, None) => read(path, by)?,
    };
    let has_folds = matches!(dataset.layout, Layout::UrbanSound8k | Layout::Esc50);
    if by != SplitBy::Official && !has_folds {
        return Err(DataError::NoFolds { name: dataset.name });
    }
    Ok(dataset)
}

/// The path of ESC-50, where `path` does not exist and asks for ESC-10.
fn whole_of_esc10(path: &Path) -> Option<&Path> {
    let whole = path.to_str()?.strip_suffix(":esc10")?;
    (!path.exists()).then_some(Path::new(whole))
}

/// The path of a data set and the section to watch, where `path` does not exist and names both.
pub fn watched(path: &Path) -> Option<(&Path, &str)> {
    let (whole, section) = path.to_str()?.rsplit_once(':')?;
    let whole = Path::new(whole);
    (!path.exists() && whole.exists()).then_some((whole, section))
}

fn read(path: &Path, by: SplitBy) -> Result<Dataset, DataError> {
    if let Some(archive) = fetch::unfinished(path) {
        return Err(DataError::Unfinished {
            path: path.to_path_buf(),
            archive,
        });
    }
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let path = path.to_path_buf();
            return Err(DataError::Missing { path });
        }
        Err(source) => {
            let path = path.to_path_buf();
            return Err(DataError::Read { path, source });
        }
    };
    if metadata.is_dir() {
        let split_csv = path.join("split.csv");
        if split_csv.is_file() {
            manifest::open(&split_csv, folder_name(path))
        } else {
            folder::open(path, by)
        }
    } else if path
        .file_name()
        .is_some_and(|name| name == mlperf::TEST_LIST)
    {
        folder::open_test_list(path)
    } else if extension(path) == "csv" {
        let canonical = path.canonicalize().ok();
        let folder = canonical.as_deref().and_then(Path::parent);
        let name = match (path.file_stem(), folder) {
            (Some(stem), Some(folder)) if stem == "split" => folder_name(folder),
            (stem, _) => stem.unwrap_or_default().to_string_lossy().into_owned(),
        };
        manifest::open(path, name)
    } else {
        folder::open_clip(path, metadata.len())
    }
}

impl Dataset {
    /// Indices of the clips to train on: the training clips that are not labelled anomalous. Where labels are learnt,
    /// all training clips.
    pub fn train_clips(&self) -> Vec<usize> {
        let learns_labels = self.learns == Learns::Labels;
        let trains = |clip: &Clip| learns_labels || clip.label != Some(Label::Anomaly);
        self.indices(|clip| clip.split == Split::Train && trains(clip))
            .collect()
    }

    /// Indices of the clips of one split with exactly this label.
    pub fn select(&self, split: Split, label: Option<Label>) -> impl Iterator<Item = usize> {
        self.indices(move |clip| clip.split == split && clip.label == label)
    }

    /// The official folds of the clips, ascending; empty where there are none.
    pub fn folds(&self) -> Vec<u32> {
        let fold = |clip: &Clip| clip.attribute(folds::FOLD)?.parse().ok();
        let folds: BTreeSet<u32> = self.clips.iter().filter_map(fold).collect();
        folds.into_iter().collect()
    }

    /// The same set without clips shorter than `seconds`; a note says how many were left out.
    ///
    /// A clip whose header cannot be read stays, so it is reported with all others that cannot be used.
    pub fn at_least(mut self, seconds: f64) -> Dataset {
        let clips = self
            .clips
            .into_par_iter()
            .partition(|clip| look::duration_s(&clip.source).is_none_or(|lasts| lasts >= seconds));
        let short: Vec<Clip>;
        (self.clips, short) = clips;
        let names: Vec<&str> = short.iter().map(|clip| clip.name.as_str()).collect();
        if !names.is_empty() {
            let (count, few) = (counted(names.len(), "clip"), first_few(&names));
            self.notes
                .push(format!("{count} shorter than {seconds} s left out: {few}"));
        }
        self
    }

    /// Sentences about the files that are no clips.
    pub fn left_out_notes(&self) -> Vec<String> {
        left_out::notes(&self.left_out)
    }

    /// Machine types, sorted.
    pub fn machines(&self) -> Vec<&str> {
        let machines: BTreeSet<&str> = self.clips.iter().map(|c| c.machine.as_str()).collect();
        machines.into_iter().collect()
    }

    /// The classes that a classifier learns to tell apart.
    pub fn classes(&self) -> Classes {
        Classes::new(self)
    }

    /// Fails where there is nothing to train on.
    pub fn check_trainable(&self) -> Result<(), DataError> {
        if self.train_clips().is_empty() {
            let name = self.name.clone();
            return Err(DataError::NoTraining { name });
        }
        Ok(())
    }

    fn indices(&self, keep: impl Fn(&Clip) -> bool) -> impl Iterator<Item = usize> {
        self.clips
            .iter()
            .enumerate()
            .filter(move |(_, clip)| keep(clip))
            .map(|(idx, _)| idx)
    }
}

impl Clip {
    /// The attribute that names the recording from which a clip was cut. Clips of one recording sound alike, and
    /// divisions keep them together. A manifest sets it with a column of this name.
    pub const RECORDING: &str = "recording";

    /// The value of an attribute, where the clip has it.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The recording that the clip was cut from; without an attribute that says so, the clip's own file name.
    pub fn recording(&self) -> &str {
        self.attribute(Clip::RECORDING)
            .unwrap_or_else(|| self.file_name())
    }

    /// The name without its folders.
    pub fn file_name(&self) -> &str {
        self.name
            .rsplit_once('/')
            .map_or(&self.name, |(_, name)| name)
    }
}

/// Sorts clips, checks that they are of one kind, and adds notes on what is missing.
fn table(
    name: String,
    layout: Layout,
    mut clips: Vec<Clip>,
    mut notes: Vec<String>,
    left_out: Vec<LeftOut>,
) -> Result<Dataset, DataError> {
    clips.sort_by(|a, b| (a.split, &a.name).cmp(&(b.split, &b.name)));
    let is_features = |clip: &&Clip| matches!(clip.source, Source::LogMelBin(_));
    let features = clips.iter().find(is_features);
    let audio = clips.iter().find(|clip| !is_features(clip));
    if let (Some(features), Some(audio)) = (features, audio) {
        return Err(DataError::Mixed {
            audio: audio.name.clone(),
            features: features.name.clone(),
        });
    }
    let fixed_features = features.map(|_| mlperf::FEATURES);
    let learns = match layout {
        Layout::UrbanSound8k => Learns::Labels,
        _ => Learns::Sections,
    };
    notes.extend(left_out::notes(&left_out));
    notes.extend(notes::notes(&clips, learns));
    Ok(Dataset {
        name,
        synthetic: false,
        layout,
        learns,
        clips,
        fixed_features,
        notes,
        left_out,
    })
}

/// What a file is as a clip's source, by its extension and size.
enum Kind {
    Usable(Source),
    /// Recognised, but empty or of a wrong size; holds the reason.
    Unusable(String),
    Unknown,
}

fn kind(path: &Path, size: u64) -> Kind {
    let extension = extension(path);
    let is_sound = SOUNDS.contains(&extension.as_str());
    match (extension.as_str(), size) {
        (_, 0) if is_sound || extension == "bin" => Kind::Unusable("is empty".to_string()),
        ("bin", size) if size % mlperf::FRAME_BYTES == 0 => {
            Kind::Usable(Source::LogMelBin(path.to_path_buf()))
        }
        ("bin", size) => Kind::Unusable(format!(
            "has {}, which is not a multiple of {} (128 bands of f32)",
            counted(size as usize, "byte"),
            mlperf::FRAME_BYTES
        )),
        // What the file holds decides, so a FLAC called .wav is read, and so is sound without an extension.
        _ if is_sound || crate::audio::is_sound(path) => {
            Kind::Usable(Source::Audio(path.to_path_buf()))
        }
        _ => Kind::Unknown,
    }
}

/// Extensions of the formats that can be read.
const SOUNDS: [&str; 9] = [
    "wav", "wave", "flac", "ogg", "oga", "mp3", "w64", "rf64", "bwf",
];

/// The extension in lower case; empty where there is none.
fn extension(path: &Path) -> String {
    let extension = path.extension().unwrap_or_default();
    extension.to_string_lossy().to_ascii_lowercase()
}

/// The last name of a folder's path; also works for `.`.
fn folder_name(path: &Path) -> String {
    let canonical = path.canonicalize();
    let path = canonical.as_deref().unwrap_or(path);
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// The first three of many names, for a sentence.
fn first_few<T: AsRef<str>>(names: &[T]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A section's name in messages: `fan section 00`, `fan id_04`.
fn section_name(machine: &str, section: &str) -> String {
    let is_number = section.bytes().all(|byte| byte.is_ascii_digit());
    let word = if is_number { "section " } else { "" };
    format!("{machine} {word}{section}")
}

/// `1 file`, `2 files`.
fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
