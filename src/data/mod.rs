//! Clip tables. A data set is rows; every layout on disk and the synthetic generator end in the same rows.

mod dcase_names;
mod divide;
pub mod fetch;
mod files;
mod folder;
mod folds;
mod generic;
mod info;
mod label_lists;
mod manifest;
mod mlperf;
mod named;
mod notes;
mod one_machine;
mod slices;
mod stand_in;
pub mod synthetic;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use crate::{
    audio::FeatureSpec,
    identity::{self, Canonical},
};

pub use divide::{Classes, TestDivision, TrainDivision, divide_test, divide_train};
pub use fetch::{KNOWN_DATASETS, KnownDataset};
pub use folds::{SplitBy, UnknownSplit};
pub use info::{ClipCount, Encoding, FormatCount, Info, describe};
pub use manifest::ManifestError;
pub use named::{lasting_name, named, named_clips, named_split};
pub use stand_in::{Change, StandIn, SteerBy, UnknownSteering};

/// A table of clips.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// What to call it: the folder's or file's name, or `synthetic:fan`.
    pub name: String,
    /// Made by the built-in generator: every score on it is labelled so.
    pub synthetic: bool,
    /// What was recognised.
    pub layout: Layout,
    /// Classifiers learn to tell normal from anomalous training clips, instead of sections of normal sound.
    pub supervised: bool,
    /// Ordered by split and name, so that the same folder gives the same rows everywhere.
    pub clips: Vec<Clip>,
    /// Set where the clips are ready features: the only front end that can be used.
    pub fixed_features: Option<FeatureSpec>,
    /// Odd things a user should know: skipped files and why, missing classes.
    pub notes: Vec<String>,
}

/// How a data set lies on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    Dcase2020,
    Dcase2021,
    /// 2022 to 2024: sections, domains in one `test` folder.
    Dcase2022,
    Mimii,
    ToyAdmos,
    MlperfTiny,
    UrbanSound8k,
    Esc50,
    Manifest,
    /// Folders called `normal`, `anomalous` and the like.
    LabelledFolders,
    ClassFolders,
    Unlabelled,
    Synthetic,
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
    /// Section (`00`), machine ID (`id_04`) or class: what a classifier tells apart.
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
    /// Normal sound, disturbed on demand.
    StandIn(Box<StandIn>),
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

impl Layout {
    pub fn name(self) -> &'static str {
        match self {
            Layout::Dcase2020 => "DCASE 2020 Task 2",
            Layout::Dcase2021 => "DCASE 2021 Task 2",
            Layout::Dcase2022 => "DCASE 2022 to 2024 Task 2",
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
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Test => "test",
        }
    }
}

impl Label {
    pub fn name(self) -> &'static str {
        match self {
            Label::Normal => "normal",
            Label::Anomaly => "anomaly",
        }
    }
}

impl Domain {
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
            Source::StandIn(made) => identity::tuple(text, "StandIn", &[made.as_ref()]),
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
pub enum DataError {
    #[error(
        "`{}` does not exist; give a folder in a DCASE layout, a folder of MLPerf Tiny features, or a csv manifest", path.display()
    )]
    Missing { path: PathBuf },
    #[error(
        "there is no synthetic machine `{name}`; there are {}",
        synthetic::Machine::ALL.map(synthetic::Machine::name).join(", ")
    )]
    NoSyntheticMachine { name: String },
    #[error("`{}` cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "`{}` is neither a folder, a csv manifest, nor a .wav, .flac or .bin file", path.display()
    )]
    UnknownFile { path: PathBuf },
    #[error("`{}` holds no files; the recordings should lie in <machine>/train and <machine>/test", path.display())]
    Empty { path: PathBuf },
    #[error("`{}` holds more than {limit} files; open the folder of one data set", path.display())]
    TooManyFiles { path: PathBuf, limit: usize },
    #[error(
        "`{}` holds {count} files, but none that a known layout names ({examples}); \
         list them in a split.csv there, with the columns {}", path.display(), manifest::COLUMNS
    )]
    Unrecognised {
        path: PathBuf,
        count: usize,
        examples: String,
    },
    #[error("nothing in `{}` can be used: {examples}", path.display())]
    NoneUsable { path: PathBuf, examples: String },
    #[error(
        "two folders hold machine `{machine}`: `{}` and `{}`; open one of them", first.display(), second.display()
    )]
    TwoFolders {
        machine: String,
        first: PathBuf,
        second: PathBuf,
    },
    #[error(
        "`{name}` has no folds, so it is not split by folds or recordings; folders, names or a split.csv say what trains"
    )]
    NoFolds { name: String },
    #[error(
        "`{name}` has no clips of ESC-10; they are named in the column `esc10` of ESC-50's meta/esc50.csv"
    )]
    NoEsc10 { name: String },
    #[error("there is no fold {wanted} to test on; there are folds {folds}")]
    NoSuchFold { wanted: u32, folds: String },
    #[error("there is no machine or section `{wanted}` to watch; there are {known}")]
    NoSuchSection { wanted: String, known: String },
    #[error("list `{}`: {problem}", path.display())]
    List { path: PathBuf, problem: String },
    #[error(
        "`{audio}` is a recording and `{features}` holds ready features; a data set must be all of one kind"
    )]
    Mixed { audio: String, features: String },
    #[error("manifest `{}`: {problem}", path.display())]
    Manifest {
        path: PathBuf,
        problem: ManifestError,
    },
    #[error(
        "`{name}` has no training clips, which a search needs: normal recordings under <machine>/train, \
         or `train` in the column `split` of a manifest"
    )]
    NoTraining { name: String },
}

/// Reads the clip table of what lies at `path`.
///
/// A folder is a manifest where it holds `split.csv`; otherwise it is one machine of DCASE 2020 to 2024 or several,
/// a folder of MLPerf Tiny features, of MIMII, ToyADMOS, UrbanSound8K or ESC-50, or of any recordings, whose folders
/// may then be labels or classes. A file is a csv manifest, the `y_labels.csv` of MLPerf Tiny, or a single clip. The
/// content of recordings is not looked at, but for its size. Behind the path of ESC-50, `:esc10` stands for the ten
/// classes that are published as ESC-10; behind any other, `:SECTION` is [`Dataset::watching`].
pub fn open(path: &Path) -> Result<Dataset, DataError> {
    open_split(path, SplitBy::default())
}

/// As [`open`], with a choice of what trains and what tests in a set that comes in folds.
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

/// The path of ESC-50 where a path that does not exist itself asks for ESC-10.
fn whole_of_esc10(path: &Path) -> Option<&Path> {
    let whole = path.to_str()?.strip_suffix(":esc10")?;
    (!path.exists()).then_some(Path::new(whole))
}

/// The path of a data set, and what to watch of it, where a path that does not exist itself says both.
pub fn watched(path: &Path) -> Option<(&Path, &str)> {
    let (whole, section) = path.to_str()?.rsplit_once(':')?;
    let whole = Path::new(whole);
    (!path.exists() && whole.exists()).then_some((whole, section))
}

fn read(path: &Path, by: SplitBy) -> Result<Dataset, DataError> {
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
    /// Indices of the clips to train on: the training clips that are not labelled anomalous; all where the labels are
    /// what is learnt.
    pub fn train_clips(&self) -> Vec<usize> {
        let trains = |clip: &Clip| self.supervised || clip.label != Some(Label::Anomaly);
        self.indices(|clip| clip.split == Split::Train && trains(clip))
            .collect()
    }

    /// Indices of the clips of one split with exactly this label.
    pub fn select(&self, split: Split, label: Option<Label>) -> impl Iterator<Item = usize> {
        self.indices(move |clip| clip.split == split && clip.label == label)
    }

    /// The official folds that its clips are in, ascending; empty where it comes in none.
    pub fn folds(&self) -> Vec<u32> {
        let fold = |clip: &Clip| clip.attribute(folds::FOLD)?.parse().ok();
        let folds: BTreeSet<u32> = self.clips.iter().filter_map(fold).collect();
        folds.into_iter().collect()
    }

    /// The same set without clips that last less than so many seconds, and a note on how many those are.
    ///
    /// A clip whose header cannot be read stays, to be named with all others that cannot be used.
    pub fn at_least(mut self, seconds: f64) -> Dataset {
        let before = self.clips.len();
        self.clips
            .retain(|clip| info::duration_s(&clip.source).is_none_or(|lasts| lasts >= seconds));
        let gone = before - self.clips.len();
        if gone > 0 {
            self.notes.push(format!(
                "{} shorter than {seconds} s left out",
                counted(gone, "clip")
            ));
        }
        self
    }

    /// Machine types, sorted.
    pub fn machines(&self) -> Vec<&str> {
        let machines: BTreeSet<&str> = self.clips.iter().map(|c| c.machine.as_str()).collect();
        machines.into_iter().collect()
    }

    /// The classes that a classifier is trained to tell apart.
    pub fn classes(&self) -> Classes {
        Classes::new(self)
    }

    /// Refuses a data set that nothing can be trained on.
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
    /// The attribute that names the recording which a clip was cut from; clips of one recording sound alike, and
    /// divisions keep them together. A column of this name in a manifest sets it.
    pub const RECORDING: &str = "recording";

    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// What the clip was cut from: its own file name where nothing says otherwise.
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

/// Puts read clips in order, checks that they are of one kind, and adds notes on what is missing.
fn table(
    name: String,
    layout: Layout,
    mut clips: Vec<Clip>,
    mut notes: Vec<String>,
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
    let supervised = layout == Layout::UrbanSound8k;
    notes.extend(notes::notes(&clips, supervised));
    Ok(Dataset {
        name,
        synthetic: false,
        layout,
        supervised,
        clips,
        fixed_features,
        notes,
    })
}

/// A file as a clip's source, by its extension and size.
enum Kind {
    Usable(Source),
    /// Recognised, but empty or of a wrong size: the reason.
    Unusable(String),
    Unknown,
}

fn kind(path: &Path, size: u64) -> Kind {
    let extension = extension(path);
    match (extension.as_str(), size) {
        ("wav" | "flac" | "bin", 0) => Kind::Unusable("is empty".to_string()),
        ("wav" | "flac", _) => Kind::Usable(Source::Audio(path.to_path_buf())),
        ("bin", size) if size % mlperf::FRAME_BYTES == 0 => {
            Kind::Usable(Source::LogMelBin(path.to_path_buf()))
        }
        ("bin", size) => Kind::Unusable(format!(
            "has {}, which is no multiple of {} (128 bands of f32)",
            counted(size as usize, "byte"),
            mlperf::FRAME_BYTES
        )),
        _ => Kind::Unknown,
    }
}

/// The extension in lower case; empty where there is none.
fn extension(path: &Path) -> String {
    let extension = path.extension().unwrap_or_default();
    extension.to_string_lossy().to_ascii_lowercase()
}

/// The last name of a folder's path, also for `.`.
fn folder_name(path: &Path) -> String {
    let canonical = path.canonicalize();
    let path = canonical.as_deref().unwrap_or(path);
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// The first three of many names, as prose.
fn first_few<T: AsRef<str>>(names: &[T]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A section as messages name it: `fan section 00`, `fan id_04`.
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
