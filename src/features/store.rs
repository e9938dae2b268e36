//! The store of features: the latest front ends are in memory, all of them on disk.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    Arithmetic, Features, Matrix, Standardiser,
    cache::{self, ContentHashes, Stamp},
    lru::{Lru, lock},
    stand_in::{change_audio, change_log_mel},
};
use crate::{
    audio::{self, Audio, AudioError, Channel, DeviceExtractor, Extractor, FeatureSpec},
    data::{
        Change, Clip, Dataset, Source, StandIn,
        synthetic::{self, ClipSpec},
    },
    identity::Canonical,
};

/// Called from several threads, with the number of clips done and the number of all clips.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Loads the features of data sets from memory or from the cache on disk, and extracts those that are in neither.
///
/// The store assumes that files do not change while it lives. Between runs, a file's size and time of change tell
/// whether its content must be hashed again.
#[derive(Debug)]
pub struct FeatureStore {
    /// The channel of a recording that is used.
    pub channel: Channel,
    /// Most bytes of features in memory. Beyond this, features that were not asked for the longest are dropped; those
    /// asked for last always stay.
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

/// Features, and what they were standardised by.
#[derive(Debug)]
pub struct Prepared {
    /// One matrix per clip of the data set.
    pub features: Arc<Features>,
    /// [`Standardiser::none`] where the features are as extracted.
    pub standardiser: Standardiser,
}

/// Features that cannot be had.
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
    /// No clip of the data set can be read.
    #[error("none of the {clips} clips of data set `{dataset}` can be used; the first: {reason}")]
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
    arithmetic: Arithmetic,
    channel: Channel,
    /// Clips whose mean and deviation standardise all; `None` where the features are as extracted.
    standardised_on: Option<Arc<[usize]>>,
}

/// One of the two extractors.
enum AnyExtractor {
    Exact(Extractor),
    Device(DeviceExtractor),
}

impl AnyExtractor {
    fn new(spec: &FeatureSpec, arithmetic: Arithmetic) -> Result<AnyExtractor, AudioError> {
        Ok(match arithmetic {
            Arithmetic::Exact => AnyExtractor::Exact(Extractor::new(spec)?),
            Arithmetic::Device => AnyExtractor::Device(DeviceExtractor::new(spec)?),
        })
    }

    fn extract(&self, audio: &Audio) -> Result<Matrix, AudioError> {
        match self {
            AnyExtractor::Exact(extractor) => extractor.extract(audio),
            AnyExtractor::Device(extractor) => extractor.extract(audio),
        }
    }
}

impl FeatureStore {
    /// The usual [`FeatureStore::memory_bytes`]: 2 GiB.
    pub const MEMORY_BYTES: u64 = 2 << 30;
    /// The usual [`FeatureStore::sound_bytes`]: 512 MiB.
    pub const SOUND_BYTES: u64 = 512 << 20;
    /// The usual [`FeatureStore::disk_bytes`]: 16 GiB.
    pub const DISK_BYTES: u64 = 16 << 30;

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

    /// Features for `spec`. The first call extracts them, later calls share them.
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
        let arithmetic = match dataset.fixed_features {
            Some(_) => Arithmetic::Exact,
            None => Arithmetic::Device,
        };
        self.get_any(dataset, spec, arithmetic, &|_, _| {})
    }

    /// As [`FeatureStore::get`]; `progress` is told about every clip that is extracted, and never about clips that are
    /// ready.
    pub fn get_with_progress(
        &self,
        dataset: &Dataset,
        spec: &FeatureSpec,
        progress: Progress,
    ) -> Result<Arc<Features>, FeatureError> {
        self.get_any(dataset, spec, Arithmetic::Exact, progress)
    }

    /// Exact features, standardised by the mean and deviation of some clips.
    pub fn get_standardised(
        &self,
        dataset: &Dataset,
        spec: &FeatureSpec,
        on: &[usize],
    ) -> Result<Arc<Prepared>, FeatureError> {
        let key = Key {
            standardised_on: Some(on.into()),
            ..self.key(dataset, spec, Arithmetic::Exact)?
        };
        self.kept.get(&key, self.memory_bytes, || {
            let raw = self.get(dataset, spec)?;
            let own: Vec<&Matrix> = on.iter().map(|&idx| &raw.clips[idx]).collect();
            let standardiser = Standardiser::fit(&own);
            let clips = raw.clips.iter().map(|clip| standardiser.apply(clip));
            let features = Features {
                spec: raw.spec,
                clips: clips.collect(),
                skipped: raw.skipped.clone(),
            };
            let bytes = size_bytes(&features);
            let prepared = Prepared {
                features: Arc::new(features),
                standardiser,
            };
            Ok((Arc::new(prepared), bytes))
        })
    }

    fn get_any(
        &self,
        dataset: &Dataset,
        spec: &FeatureSpec,
        arithmetic: Arithmetic,
        progress: Progress,
    ) -> Result<Arc<Features>, FeatureError> {
        let key = self.key(dataset, spec, arithmetic)?;
        let prepared = self.kept.get(&key, self.memory_bytes, || {
            let features = self.load(dataset, spec, &key, progress)?;
            let bytes = size_bytes(&features);
            let prepared = Prepared {
                features: Arc::new(features),
                standardiser: Standardiser::none(spec.bands()),
            };
            Ok((Arc::new(prepared), bytes))
        })?;
        Ok(prepared.features.clone())
    }

    /// What some features are kept under, as extracted; refuses those that the data set cannot have.
    fn key(
        &self,
        dataset: &Dataset,
        spec: &FeatureSpec,
        arithmetic: Arithmetic,
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
            arithmetic,
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

    fn load(
        &self,
        dataset: &Dataset,
        spec: &FeatureSpec,
        key: &Key,
        progress: Progress,
    ) -> Result<Features, FeatureError> {
        let extractor = AnyExtractor::new(spec, key.arithmetic)
            .map_err(|error| FeatureError::Spec { spec: *spec, error })?;
        let Some(cache_dir) = &self.cache_dir else {
            return self.extract(dataset, key, &extractor, progress);
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.content(dataset, key.table).hash.as_bytes());
        let way = (self.channel, cache::VERSION, key.arithmetic);
        hasher.update(format!("{} {}", spec.canonical(), way.canonical()).as_bytes());
        let content_key = hasher.finalize();
        let path = cache_dir.join(format!("{}.features", &content_key.to_hex()[..32]));
        if let Some(features) = cache::read(&path, &content_key, spec, dataset.clips.len()) {
            return Ok(features);
        }
        let features = self.extract(dataset, key, &extractor, progress)?;
        let written = cache::write(&path, &content_key, &features)
            .and_then(|()| cache::prune(cache_dir, &path, self.disk_bytes));
        self.note_problem(&path, written);
        Ok(features)
    }

    fn extract(
        &self,
        dataset: &Dataset,
        &Key { table, spec, .. }: &Key,
        extractor: &AnyExtractor,
        progress: Progress,
    ) -> Result<Features, FeatureError> {
        let ready = |clip: &Clip| matches!(clip.source, Source::LogMelBin(_));
        if dataset.fixed_features.is_none() && dataset.clips.iter().any(ready) {
            return Err(FeatureError::FrontEndUnknown(dataset.name.clone()));
        }
        let (done, total) = (AtomicUsize::new(0), dataset.clips.len());
        let results = parallel_map(&dataset.clips, self.threads, |idx, clip| {
            let matrix = match &clip.source {
                Source::LogMelBin(path) => audio::read_log_mel(path, spec.bands()),
                Source::Synthetic(clip) => extractor.extract(&self.sound((table, idx), clip)),
                Source::StandIn(made) if dataset.fixed_features.is_some() => {
                    self.changed_log_mel(made, &spec)
                }
                source => self
                    .audio(source)
                    .and_then(|audio| extractor.extract(&audio)),
            };
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            matrix
        });
        let content = lock(&self.state).tables[table].content.clone();
        for ((idx, clip), result) in dataset.clips.iter().enumerate().zip(&results) {
            let was_read = content.as_ref().is_some_and(|c| !c.unread.contains(&idx));
            if let (true, Err(error)) = (was_read, result)
                && error.is_of_machine()
            {
                return Err(FeatureError::Lost {
                    dataset: dataset.name.clone(),
                    clip: clip.name.clone(),
                    reason: error.to_string(),
                });
            }
        }
        let mut skipped = Vec::new();
        let clips = results
            .into_iter()
            .zip(&dataset.clips)
            .map(|(result, clip)| {
                result.unwrap_or_else(|error| {
                    skipped.push((clip.name.clone(), error.to_string()));
                    Matrix {
                        bands: spec.bands(),
                        values: Vec::new(),
                    }
                })
            })
            .collect();
        match skipped.first() {
            Some((_, reason)) if skipped.len() == total => Err(FeatureError::NoneReadable {
                dataset: dataset.name.clone(),
                clips: total,
                reason: reason.clone(),
            }),
            _ => Ok(Features {
                spec,
                clips,
                skipped,
            }),
        }
    }

    /// The samples of a clip. Ready features have none, which is an error.
    fn audio(&self, source: &Source) -> Result<Audio, AudioError> {
        match source {
            Source::Audio(path) => audio::read(path, self.channel),
            Source::Synthetic(spec) => Ok(synthetic::render(spec)),
            Source::LogMelBin(_) => Err(AudioError::UnknownFormat),
            Source::StandIn(made) => {
                let with = match &made.change {
                    Change::Mix { with, .. } => Some(self.audio(with)?),
                    _ => None,
                };
                let audio = self.audio(&made.of)?;
                Ok(change_audio(audio, with.as_ref(), &made.change))
            }
        }
    }

    /// The features of a stand-in that is made from ready features.
    fn changed_log_mel(&self, made: &StandIn, spec: &FeatureSpec) -> Result<Matrix, AudioError> {
        let read = |source: &Source| match source {
            Source::LogMelBin(path) => audio::read_log_mel(path, spec.bands()),
            _ => Err(AudioError::UnknownFormat),
        };
        let with = match &made.change {
            Change::Mix { with, .. } => Some(read(with)?),
            _ => None,
        };
        let frames_per_s = f64::from(spec.sample_rate_hz) / spec.hop_length as f64;
        let of = read(&made.of)?;
        Ok(change_log_mel(
            of,
            with.as_ref(),
            &made.change,
            frames_per_s,
        ))
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
        let list = self.cache_dir.as_ref().map(|dir| dir.join("contents.txt"));
        let mut known = list.as_deref().map(ContentHashes::read).unwrap_or_default();
        let hashes = parallel_map(&dataset.clips, self.threads, |_, clip| match &clip.source {
            Source::Audio(path) | Source::LogMelBin(path) => hash_file(path, &known),
            Source::Synthetic(spec) => Hashed::of_text(&spec.canonical()),
            Source::StandIn(made) => hash_stand_in(made, &known),
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

/// The hash of what is done and of the content it is done to.
fn hash_stand_in(made: &StandIn, known: &ContentHashes) -> Hashed {
    let content = |source: &Source| match source {
        Source::Audio(path) | Source::LogMelBin(path) => hash_file(path, known),
        other => Hashed::of_text(&other.canonical()),
    };
    let mut hasher = blake3::Hasher::new();
    let of = content(&made.of);
    hasher.update(of.hash.as_bytes());
    let mut is_read = of.is_read;
    // Paths are no content: the same data elsewhere has the same hash.
    let change = match &made.change {
        Change::Mix { with, level_db } => {
            let with = content(with);
            hasher.update(with.hash.as_bytes());
            is_read &= with.is_read;
            format!("mix {level_db}")
        }
        change => change.canonical(),
    };
    hasher.update(change.as_bytes());
    Hashed {
        hash: hasher.finalize(),
        fresh: None,
        is_read,
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

fn size_bytes(features: &Features) -> u64 {
    let values: usize = features.clips.iter().map(|clip| clip.values.len()).sum();
    4 * values as u64 + 64 * features.clips.len() as u64
}
