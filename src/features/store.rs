//! The store of features: extracted once per front end, and then read from the disk as they are needed.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::{
    Arithmetic, Features, Matrix, Prepared, ReadError, Rows, Standardiser,
    cache::{self, ContentHashes, Stamp},
    disturbed::disturb_log_mel,
    heard,
    lru::{Lru, lock},
    packed::Layout,
    rows::Place,
};
use crate::{
    audio::{self, Audio, AudioError, Channel, DeviceExtractor, Extractor, FeatureSpec},
    data::{
        Clip, Dataset, Disturbed, Source,
        synthetic::{self, ClipSpec},
    },
    disk,
    identity::Canonical,
};

/// Called from several threads, with the number of clips done and the number of all clips.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Finds the features of data sets in the cache on disk, and extracts those that are not there. With a folder for the cache,
/// no features stay in memory: they are read as they are needed.
///
/// The store assumes that files do not change while it lives. Between runs, a file's size and time of change tell
/// whether its content must be hashed again.
#[derive(Debug)]
pub struct FeatureStore {
    /// The channel of a recording that is used.
    pub channel: Channel,
    /// Most bytes of features in memory, which are those without a file. Beyond this, features that were not asked for the
    /// longest are dropped; those asked for last always stay.
    pub memory_bytes: u64,
    /// Most bytes of synthetic sound in memory. It is kept because making it takes thirty times as long as its
    /// features.
    pub sound_bytes: u64,
    /// Most bytes of features on disk. Beyond this, those that were not asked for the longest are removed.
    pub disk_bytes: u64,
    /// Number of threads that extract. They belong to no pool, so callers may run in one.
    pub threads: usize,
    cache_dir: Option<PathBuf>,
    state: Mutex<State>,
    kept: Lru<Key, Arc<Prepared>>,
    sounds: Mutex<Sounds>,
}

/// How much memory and disk features and sound may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of features and sound in memory.
    pub memory_bytes: u64,
    /// Most bytes of features on disk.
    pub cache_bytes: u64,
}

impl Limits {
    /// Limits that suit this machine: a sixteenth of its memory, 128 MiB to 1 GiB, and a quarter of what is free where the
    /// cache lies or is taken by it, at most 8 GiB.
    pub fn of_machine(cache_dir: &Path) -> Limits {
        const UNKNOWN: u64 = 8 << 30;
        let free = disk::free_bytes(cache_dir).unwrap_or(UNKNOWN);
        let memory = disk::memory_bytes().unwrap_or(UNKNOWN);
        Limits {
            memory_bytes: (memory / 16).clamp(128 << 20, 1 << 30),
            cache_bytes: ((free + cached_bytes(cache_dir)) / 4).min(1 << 30),
        }
    }
}

/// Bytes of the features in a cache; none where there is no cache.
pub fn cached_bytes(cache_dir: &Path) -> u64 {
    let files = cache::files(cache_dir).unwrap_or_default();
    files.iter().map(|(_, size, _)| size).sum()
}

/// Removes all features of a cache, and what is known of the content of clips.
///
/// # Errors
/// Where a file cannot be removed.
pub fn clear_cache(cache_dir: &Path) -> std::io::Result<()> {
    match cache_dir.is_dir() {
        true => disk::sweep_idle(cache_dir, Duration::ZERO)?,
        false => return Ok(()),
    }
    cache::prune(cache_dir, None, 0)?;
    match std::fs::remove_file(cache_dir.join(CONTENTS)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The file that remembers the content of clips.
const CONTENTS: &str = "contents.txt";

/// Why features cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FeatureError {
    /// The front end is impossible.
    #[error("front end of {spec}: {error}")]
    Spec {
        /// The front end.
        spec: FeatureSpec,
        /// What is wrong with it.
        error: AudioError,
    },
    /// The data set holds ready features of another front end.
    #[error(
        "data set `{dataset}` holds ready features ({fixed}), so others ({wanted}) cannot be made"
    )]
    Fixed {
        /// The data set.
        dataset: String,
        /// The front end of its features.
        fixed: FeatureSpec,
        /// The front end that was asked for.
        wanted: FeatureSpec,
    },
    /// The data set holds ready features, and nothing says which front end made them; holds its name.
    #[error("nothing says which front end made the ready features of data set `{0}`")]
    FrontEndUnknown(String),
    /// The data set has no clips; holds its name.
    #[error("data set `{0}` has no clips")]
    NoClips(String),
    /// Not the fault of a front end: the file was there when the data set was opened.
    #[error("clip `{clip}` of data set `{dataset}` cannot be read any more: {reason}")]
    Lost {
        /// Name of the data set.
        dataset: String,
        /// Name of the clip.
        clip: String,
        /// Why it cannot be read.
        reason: String,
    },
    /// Features that were extracted cannot be read any more.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No clip of the data set can be read.
    #[error("none of the {clips} clips of data set `{dataset}` can be used; one of them: {reason}")]
    NoneReadable {
        /// The data set.
        dataset: String,
        /// How many clips it has.
        clips: usize,
        /// Why the first cannot be read.
        reason: String,
    },
}

#[derive(Debug, Default)]
struct State {
    tables: Vec<Table>,
    problem: Option<String>,
}

/// A data set whose features were asked for; its position is its name here.
#[derive(Debug)]
struct Table {
    dataset: Dataset,
    content: Option<Content>,
}

/// What the clips of a data set were found to hold.
#[derive(Debug, Clone)]
struct Content {
    hash: blake3::Hash,
    /// Clips whose files could not be read then, by position.
    unread: Arc<BTreeSet<usize>>,
}

/// Rendered clips, by data set and position in the data set.
#[derive(Debug, Default)]
struct Sounds {
    clips: HashMap<(usize, usize), Arc<Audio>>,
    bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    table: usize,
    spec: FeatureSpec,
    holds: Holds,
    channel: Channel,
    /// Clips whose mean and deviation standardise all; `None` where the features are as extracted.
    standardised_on: Option<Arc<[usize]>>,
}

/// Which features of a clip are kept together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Ready ones, for all purposes.
    Ready,
    /// Those of a device.
    Device,
    /// Exact ones and those of a device, of sound that is read once.
    Both,
}

impl Holds {
    /// The word in the keys of cache files.
    fn name(self) -> &'static str {
        match self {
            Holds::Ready => "ready",
            Holds::Device => "device",
            Holds::Both => "both",
        }
    }

    fn layout(self, spec: &FeatureSpec) -> Layout {
        Layout::new(spec.bands(), self == Holds::Both)
    }
}

/// The extractors that a clip goes through.
struct Extractors {
    exact: Option<Extractor>,
    device: Option<DeviceExtractor>,
}

impl Extractors {
    fn new(spec: &FeatureSpec, holds: Holds) -> Result<Extractors, AudioError> {
        let [exact, device] = match holds {
            // Even those of ready features are made: a front end that is impossible is refused.
            Holds::Ready => [true, false],
            Holds::Device => [false, true],
            Holds::Both => [true, true],
        };
        Ok(Extractors {
            exact: exact.then(|| Extractor::new(spec)).transpose()?,
            device: device.then(|| DeviceExtractor::new(spec)).transpose()?,
        })
    }

    /// Features of a clip, and what a device computes beside exact ones.
    fn extract(&self, audio: &Audio) -> Result<Extracted, AudioError> {
        let exact = self.exact.as_ref().map(|exact| exact.extract(audio));
        let device = self.device.as_ref().map(|device| device.extract(audio));
        let (first, second) = match (exact.transpose()?, device.transpose()?) {
            (Some(exact), device) => (exact, device),
            (None, Some(device)) => (device, None),
            (None, None) => return Err(AudioError::UnknownFormat),
        };
        let of_exact = self.exact.as_ref().map(Extractor::spec);
        let spec = of_exact.or(self.device.as_ref().map(DeviceExtractor::spec));
        let spec = spec.ok_or(AudioError::UnknownFormat)?;
        // Where both are made, what the device hears decides: they stay equally long.
        match heard::part(second.as_ref().unwrap_or(&first), spec) {
            None => Ok((first, second)),
            Some(part) if part.is_empty() => Err(AudioError::Silent),
            Some(part) => Ok((
                heard::cut(&first, part.clone()),
                second.map(|clip| heard::cut(&clip, part)),
            )),
        }
    }
}

/// Features for all purposes, or exact ones and those of a device.
type Extracted = (Matrix, Option<Matrix>);

/// Why an extraction ended early.
enum Stopped {
    Features(FeatureError),
    Cache(std::io::Error),
}

impl FeatureStore {
    /// The usual [`FeatureStore::memory_bytes`]: 2 GiB.
    pub const MEMORY_BYTES: u64 = 2 << 30;
    /// The usual [`FeatureStore::sound_bytes`]: 512 MiB.
    pub const SOUND_BYTES: u64 = 512 << 20;
    /// The usual [`FeatureStore::disk_bytes`]: 8 GiB.
    pub const DISK_BYTES: u64 = 8 << 30;

    /// A store with the usual limits. Without a folder for the cache, features live as long as the store.
    pub fn new(cache_dir: Option<PathBuf>) -> FeatureStore {
        FeatureStore {
            channel: Channel::default(),
            memory_bytes: FeatureStore::MEMORY_BYTES,
            sound_bytes: FeatureStore::SOUND_BYTES,
            disk_bytes: FeatureStore::DISK_BYTES,
            threads: thread::available_parallelism().map_or(1, usize::from),
            cache_dir,
            state: Mutex::default(),
            kept: Lru::default(),
            sounds: Mutex::default(),
        }
    }

    /// The same store within these limits: half of the memory for synthetic sound, half for features without a file.
    pub fn within(self, limits: Limits) -> FeatureStore {
        FeatureStore {
            memory_bytes: limits.memory_bytes / 2,
            sound_bytes: limits.memory_bytes / 2,
            disk_bytes: limits.cache_bytes,
            ..self
        }
    }

    /// Exact features for `spec`, all in memory. They are extracted once.
    ///
    /// Fails where the front end is impossible or does not fit the data set, or no clip can be read.
    pub fn get(
        &self,
        dataset: &Dataset,
        spec: &FeatureSpec,
    ) -> Result<Arc<Features>, FeatureError> {
        self.get_with_progress(dataset, spec, &|_, _| {})
    }

    /// As [`FeatureStore::get`], but computed as a device does. Ready features stay as they are, since there is no
    /// sound to compute from.
    pub fn get_device(
        &self,
        dataset: &Dataset,
        spec: &FeatureSpec,
    ) -> Result<Arc<Features>, FeatureError> {
        let rows = self.device_rows(dataset, spec)?;
        Ok(Arc::new(rows.features(Arithmetic::Device)?))
    }

    /// As [`FeatureStore::get`]; `progress` is told about every clip that is extracted, and never about clips that are
    /// ready.
    pub fn get_with_progress(
        &self,
        dataset: &Dataset,
        spec: &FeatureSpec,
        progress: Progress,
    ) -> Result<Arc<Features>, FeatureError> {
        let rows = self.find(dataset, spec, Holds::Both, progress)?;
        Ok(Arc::new(rows.features(Arithmetic::Exact)?))
    }

    /// Exact features and those of a device, where they lie.
    pub fn rows(&self, dataset: &Dataset, spec: &FeatureSpec) -> Result<Arc<Rows>, FeatureError> {
        self.find(dataset, spec, Holds::Both, &|_, _| {})
    }

    /// Features of a device, where they lie.
    pub fn device_rows(
        &self,
        dataset: &Dataset,
        spec: &FeatureSpec,
    ) -> Result<Arc<Rows>, FeatureError> {
        self.find(dataset, spec, Holds::Device, &|_, _| {})
    }

    /// The same as [`FeatureStore::rows`], with what standardises exact features by the mean and deviation of some clips.
    pub fn standardised(
        &self,
        dataset: &Dataset,
        spec: &FeatureSpec,
        on: &[usize],
    ) -> Result<Arc<Prepared>, FeatureError> {
        let key = Key {
            standardised_on: Some(on.into()),
            ..self.key(dataset, spec, Holds::Both)?
        };
        self.kept.get(&key, self.memory_bytes, || {
            let rows = self.rows(dataset, spec)?;
            let clip = |idx: usize| rows.clip(Arithmetic::Exact, on[idx]);
            let standardiser = Standardiser::fit_each(on.len(), Standardiser::LEAST_STD, clip)?;
            let bytes = rows.bytes();
            let prepared = Prepared {
                rows: rows.clone(),
                standardiser,
                companding: None,
            };
            Ok((Arc::new(prepared), bytes))
        })
    }

    fn find(
        &self,
        dataset: &Dataset,
        spec: &FeatureSpec,
        holds: Holds,
        progress: Progress,
    ) -> Result<Arc<Rows>, FeatureError> {
        let key = self.key(dataset, spec, holds)?;
        let both = Key {
            holds: Holds::Both,
            ..key.clone()
        };
        // Whoever has both has those of a device.
        if let (Holds::Device, Some(both)) = (holds, self.kept.held(&both)) {
            return Ok(both.rows.clone());
        }
        let prepared = self.kept.get(&key, self.memory_bytes, || {
            let rows = self.load(dataset, &key, progress)?;
            let bytes = rows.bytes();
            let prepared = Prepared {
                rows: Arc::new(rows),
                standardiser: Standardiser::none(spec.bands()),
                companding: None,
            };
            Ok::<_, FeatureError>((Arc::new(prepared), bytes))
        })?;
        Ok(prepared.rows.clone())
    }

    /// What some features are kept under, as extracted; refuses those that the data set cannot have.
    fn key(
        &self,
        dataset: &Dataset,
        spec: &FeatureSpec,
        holds: Holds,
    ) -> Result<Key, FeatureError> {
        if let Some(fixed) = dataset.fixed_features.filter(|fixed| fixed != spec) {
            return Err(FeatureError::Fixed {
                dataset: dataset.name.clone(),
                fixed,
                wanted: *spec,
            });
        }
        if dataset.clips.is_empty() {
            return Err(FeatureError::NoClips(dataset.name.clone()));
        }
        Ok(Key {
            table: self.table(dataset),
            spec: *spec,
            holds: match dataset.fixed_features {
                Some(_) => Holds::Ready,
                None => holds,
            },
            channel: self.channel,
            standardised_on: None,
        })
    }

    /// A hash of the data set: of the content of its clips and every column of its table.
    ///
    /// A clip that cannot be read counts with its error.
    pub fn dataset_hash(&self, dataset: &Dataset) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.content(dataset, self.table(dataset)).hash.as_bytes());
        for clip in &dataset.clips {
            let columns = (
                (clip.split, clip.label, &clip.machine),
                (&clip.section, clip.domain, &clip.attributes),
            );
            hasher.update(columns.canonical().as_bytes());
        }
        hasher.finalize().to_string()
    }

    /// Why the cache on disk could not be written, where that happened. The features are right all the same, but must
    /// be extracted again.
    pub fn cache_problem(&self) -> Option<String> {
        lock(&self.state).problem.clone()
    }

    fn load(&self, dataset: &Dataset, key: &Key, progress: Progress) -> Result<Rows, FeatureError> {
        let Some(cache_dir) = &self.cache_dir else {
            return self.load_into_memory(dataset, key, progress);
        };
        let clips = dataset.clips.len();
        let content = self.content(dataset, key.table).hash;
        let file = |holds: Holds| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(content.as_bytes());
            let way = (self.channel, cache::VERSION);
            hasher.update(
                format!(
                    "{} {} {}",
                    key.spec.canonical(),
                    way.canonical(),
                    holds.name()
                )
                .as_bytes(),
            );
            let key = hasher.finalize();
            let path = cache_dir.join(format!("{}.features", &key.to_hex()[..32]));
            (path, key)
        };
        let open = |holds: Holds| {
            let (path, hash) = file(holds);
            cache::open(&path, &hash, &key.spec, holds.layout(&key.spec), clips)
        };
        let both = || {
            (key.holds == Holds::Device)
                .then(|| open(Holds::Both))
                .flatten()
        };
        if let Some(rows) = open(key.holds).or_else(both) {
            return Ok(rows);
        }
        let layout = key.holds.layout(&key.spec);
        let form = |(exact, device): Extracted| {
            let frames = exact.frames();
            (frames, layout.pack(&exact, device.as_ref()))
        };
        let (path, hash) = file(key.holds);
        let mut stopped = None;
        let written = cache::write(&path, &hash, |writer| {
            let add = &mut |(frames, bytes): (usize, Vec<u8>)| writer.add(frames, &bytes);
            self.extract(dataset, key, progress, form, add)
                .map_err(|why| match why {
                    Stopped::Cache(error) => error,
                    Stopped::Features(error) => {
                        let told = std::io::Error::other(error.to_string());
                        stopped = Some(error);
                        told
                    }
                })
        });
        if let Some(error) = stopped {
            return Err(error);
        }
        let written = written.and_then(|()| cache::prune(cache_dir, Some(&path), self.disk_bytes));
        self.note_problem(&path, written);
        match open(key.holds) {
            Some(rows) => Ok(rows),
            None => self.load_into_memory(dataset, key, progress),
        }
    }

    fn load_into_memory(
        &self,
        dataset: &Dataset,
        key: &Key,
        progress: Progress,
    ) -> Result<Rows, FeatureError> {
        let (mut all_exact, mut all_device) = (Vec::new(), Vec::new());
        let add = &mut |(exact, device): Extracted| {
            all_exact.push(exact);
            all_device.extend(device);
            Ok(())
        };
        let skipped = self
            .extract(dataset, key, progress, |extracted| extracted, add)
            .map_err(|why| match why {
                Stopped::Features(error) => error,
                Stopped::Cache(error) => FeatureError::Read(ReadError {
                    path: PathBuf::new(),
                    reason: error.to_string(),
                }),
            })?;
        Ok(Rows {
            spec: key.spec,
            skipped,
            place: Place::Memory {
                device: (key.holds == Holds::Both).then_some(all_device),
                exact: all_exact,
            },
        })
    }

    /// Extracts all clips, brings each into a form on the thread that extracts it, and hands them on in their order. Returns
    /// names and reasons of those that cannot be read.
    fn extract<T: Send>(
        &self,
        dataset: &Dataset,
        &Key {
            table, spec, holds, ..
        }: &Key,
        progress: Progress,
        form: impl Fn(Extracted) -> T + Sync,
        add: &mut dyn FnMut(T) -> std::io::Result<()>,
    ) -> Result<Vec<(String, String)>, Stopped> {
        /// Clips per thread that are in memory at a time.
        const AT_A_TIME: usize = 16;
        let extractors = Extractors::new(&spec, holds)
            .map_err(|error| Stopped::Features(FeatureError::Spec { spec, error }))?;
        let ready = |clip: &Clip| matches!(clip.source, Source::LogMelBin(_));
        if dataset.fixed_features.is_none() && dataset.clips.iter().any(ready) {
            let error = FeatureError::FrontEndUnknown(dataset.name.clone());
            return Err(Stopped::Features(error));
        }
        let none = || {
            let empty = || Matrix {
                bands: spec.bands(),
                values: Vec::new(),
            };
            (empty(), (holds == Holds::Both).then(empty))
        };
        let content = lock(&self.state).tables[table].content.clone();
        let (done, total) = (AtomicUsize::new(0), dataset.clips.len());
        let mut skipped = Vec::new();
        let mut first = 0;
        for clips in dataset.clips.chunks(AT_A_TIME * self.threads.max(1)) {
            let results = parallel_map(clips, self.threads, |idx, clip| {
                let extracted = self.extract_clip((table, first + idx), clip, &spec, &extractors);
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
                extracted.map(&form)
            });
            for ((idx, clip), result) in clips.iter().enumerate().zip(results) {
                let formed = match result {
                    Ok(formed) => formed,
                    Err(error) => {
                        let was_read = |content: &Content| !content.unread.contains(&(first + idx));
                        if error.is_of_machine() && content.as_ref().is_some_and(was_read) {
                            return Err(Stopped::Features(FeatureError::Lost {
                                dataset: dataset.name.clone(),
                                clip: clip.name.clone(),
                                reason: error.to_string(),
                            }));
                        }
                        skipped.push((clip.name.clone(), error.to_string()));
                        form(none())
                    }
                };
                add(formed).map_err(Stopped::Cache)?;
            }
            first += clips.len();
        }
        match skipped.first() {
            Some((_, reason)) if skipped.len() == total => {
                Err(Stopped::Features(FeatureError::NoneReadable {
                    dataset: dataset.name.clone(),
                    clips: total,
                    reason: reason.clone(),
                }))
            }
            _ => Ok(skipped),
        }
    }

    fn extract_clip(
        &self,
        place: (usize, usize),
        clip: &Clip,
        spec: &FeatureSpec,
        extractors: &Extractors,
    ) -> Result<Extracted, AudioError> {
        match &clip.source {
            Source::LogMelBin(path) => Ok((audio::read_log_mel(path, spec.bands())?, None)),
            Source::Synthetic(clip) => extractors.extract(&self.sound(place, clip)),
            source @ Source::Disturbed(made) => match &made.of {
                Source::LogMelBin(path) => {
                    let of = audio::read_log_mel(path, spec.bands())?;
                    Ok((disturb_log_mel(of, &made.by, spec), None))
                }
                _ => extractors.extract(&self.audio(source)?),
            },
            source => extractors.extract(&self.audio(source)?),
        }
    }

    /// The samples of a clip. Ready features have none, which is an error.
    fn audio(&self, source: &Source) -> Result<Audio, AudioError> {
        match source {
            Source::Audio(path) => audio::read(path, self.channel),
            Source::Synthetic(spec) => Ok(synthetic::render(spec)),
            Source::LogMelBin(_) => Err(AudioError::UnknownFormat),
            Source::Disturbed(made) => {
                let mut audio = self.audio(&made.of)?;
                audio.samples = made.by.of(&audio.samples, audio.sample_rate_hz);
                Ok(audio)
            }
        }
    }

    /// A synthetic clip, which is made when it is first used.
    fn sound(&self, place: (usize, usize), spec: &ClipSpec) -> Arc<Audio> {
        if let Some(sound) = lock(&self.sounds).clips.get(&place) {
            return sound.clone();
        }
        let sound = Arc::new(synthetic::render(spec));
        let mut sounds = lock(&self.sounds);
        let bytes = sounds.bytes + 4 * sound.samples.len() as u64;
        if bytes <= self.sound_bytes {
            sounds.bytes = bytes;
            sounds.clips.insert(place, sound.clone());
        }
        sound
    }

    /// One hash over all that features come from: names and content of the clips, in their order.
    fn content(&self, dataset: &Dataset, table: usize) -> Content {
        if let Some(content) = &lock(&self.state).tables[table].content {
            return content.clone();
        }
        let list = self.cache_dir.as_ref().map(|dir| dir.join(CONTENTS));
        let mut known = list.as_deref().map(ContentHashes::read).unwrap_or_default();
        let hashes = parallel_map(&dataset.clips, self.threads, |_, clip| match &clip.source {
            Source::Audio(path) | Source::LogMelBin(path) => hash_file(path, &known),
            Source::Synthetic(spec) => Hashed::of_text(&spec.canonical()),
            Source::Disturbed(made) => hash_disturbed(made, &known),
        });
        let mut hasher = blake3::Hasher::new();
        hasher.update(dataset.fixed_features.canonical().as_bytes());
        let (mut changed, mut unread) = (false, BTreeSet::new());
        for ((idx, clip), found) in dataset.clips.iter().enumerate().zip(hashes) {
            hasher.update(clip.name.canonical().as_bytes());
            hasher.update(found.hash.as_bytes());
            unread.extend((!found.is_read).then_some(idx));
            if let Some(stamp) = found.fresh {
                known.insert(stamp, found.hash);
                changed = true;
            }
        }
        if let Some(list) = list.filter(|_| changed) {
            self.note_problem(&list, known.write(&list));
        }
        let content = Content {
            hash: hasher.finalize(),
            unread: Arc::new(unread),
        };
        lock(&self.state).tables[table].content = Some(content.clone());
        content
    }

    fn table(&self, dataset: &Dataset) -> usize {
        let mut state = lock(&self.state);
        let known = state
            .tables
            .iter()
            .position(|table| table.dataset == *dataset);
        known.unwrap_or_else(|| {
            state.tables.push(Table {
                dataset: dataset.clone(),
                content: None,
            });
            state.tables.len() - 1
        })
    }

    fn note_problem(&self, path: &Path, result: std::io::Result<()>) {
        if let Err(error) = result {
            let problem = format!("cannot write feature cache {}: {error}", path.display());
            lock(&self.state).problem = Some(problem);
        }
    }
}

/// The hash of what a clip comes from.
struct Hashed {
    hash: blake3::Hash,
    /// The file's stamp, where the hash is worth remembering.
    fresh: Option<Stamp>,
    /// Whether all files could be read; where not, the hash is that of the error.
    is_read: bool,
}

impl Hashed {
    fn of_text(text: &str) -> Hashed {
        Hashed {
            hash: blake3::hash(text.as_bytes()),
            fresh: None,
            is_read: true,
        }
    }
}

/// The hash of what is done and of the content it is done to. Paths are no content: the same data elsewhere has the same
/// hash.
fn hash_disturbed(made: &Disturbed, known: &ContentHashes) -> Hashed {
    let of = match &made.of {
        Source::Audio(path) | Source::LogMelBin(path) => hash_file(path, known),
        other => Hashed::of_text(&other.canonical()),
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(of.hash.as_bytes());
    hasher.update(made.by.canonical().as_bytes());
    Hashed {
        hash: hasher.finalize(),
        fresh: None,
        is_read: of.is_read,
    }
}

/// The hash of a file's content, and its stamp where that is worth remembering.
fn hash_file(path: &Path, known: &ContentHashes) -> Hashed {
    let stamp = Stamp::of(path);
    let found = |hash, fresh, is_read| Hashed {
        hash,
        fresh,
        is_read,
    };
    if let Some(hash) = stamp.as_ref().and_then(|stamp| known.get(stamp)) {
        return found(hash, None, true);
    }
    let mut hasher = blake3::Hasher::new();
    let result = path
        .metadata()
        .and_then(|metadata| match metadata.is_file() {
            true => std::fs::File::open(path),
            false => Err(std::io::Error::other("not a file")),
        })
        .and_then(|file| hasher.update_reader(file).map(|hasher| hasher.finalize()));
    match result {
        Ok(hash) => found(hash, stamp, true),
        Err(error) => found(blake3::hash(error.to_string().as_bytes()), None, false),
    }
}

/// Calls `f` for every item on new threads; results keep the order of the items.
///
/// This does not use rayon. A thread of a pool that waits here would take up other work of its pool, and that work
/// could wait for the features that are being extracted.
fn parallel_map<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    f: impl Fn(usize, &T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut results = Vec::new();
        while let idx = next.fetch_add(1, Ordering::Relaxed)
            && idx < items.len()
        {
            results.push((idx, f(idx, &items[idx])));
        }
        results
    };
    let mut results: Vec<(usize, R)> = thread::scope(|scope| {
        // A machine that has no further threads has at least this one.
        let spawn = |_| thread::Builder::new().spawn_scoped(scope, work).ok();
        let helpers = 1..threads.clamp(1, items.len().max(1));
        let helpers: Vec<_> = helpers.filter_map(spawn).collect();
        let mut results = work();
        for helper in helpers {
            let joined = helper.join();
            results.extend(joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        results
    });
    results.sort_by_key(|(idx, _)| *idx);
    results.into_iter().map(|(_, result)| result).collect()
}
