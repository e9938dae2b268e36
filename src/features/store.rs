//! The store of features: in memory for the front ends used last, on disk for all.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    Arithmetic, Features, Matrix,
    cache::{self, ContentHashes, Stamp},
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

/// Called with the number of clips done and of all clips, from several threads.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Sync);

/// Loads features of data sets, from memory or the cache on disk where they are.
///
/// A file is taken to stay as it is while the store lives; between runs, its size and time of change
/// tell whether its content must be hashed again.
#[derive(Debug)]
pub struct FeatureStore {
    /// Which channel of a recording is heard.
    pub channel: Channel,
    /// Features beyond this are dropped from memory, those not asked for the longest first; those
    /// asked for last always stay.
    pub memory_bytes: u64,
    /// Synthetic sound is kept up to this, since making it takes thirty times as long as its features.
    pub sound_bytes: u64,
    /// Of the features on disk, those not asked for the longest are removed beyond this.
    pub disk_bytes: u64,
    /// Threads that extract; they are no part of any pool, so that callers may be.
    pub threads: usize,
    cache_dir: Option<PathBuf>,
    state: Mutex<State>,
    sounds: Mutex<Sounds>,
}

/// Features that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeatureError {
    #[error("front end of {spec}: {error}")]
    Spec {
        spec: FeatureSpec,
        error: AudioError,
    },
    #[error(
        "data set `{dataset}` holds ready features ({fixed}), so no others ({wanted}) can be made"
    )]
    Fixed {
        dataset: String,
        fixed: FeatureSpec,
        wanted: FeatureSpec,
    },
    #[error("nothing says which front end made the ready features of data set `{0}`")]
    FrontEndUnknown(String),
    #[error("data set `{0}` has no clips")]
    NoClips(String),
    #[error("none of the {clips} clips of data set `{dataset}` can be used; the first: {reason}")]
    NoneReadable {
        dataset: String,
        clips: usize,
        reason: String,
    },
}

#[derive(Debug, Default)]
struct State {
    /// Least recently used first.
    slots: Vec<Slot>,
    tables: Vec<Table>,
    problem: Option<String>,
}

/// A data set that features were asked for; it is named by its position.
#[derive(Debug)]
struct Table {
    dataset: Dataset,
    content: Option<blake3::Hash>,
}

/// Rendered clips, by data set and position in it.
#[derive(Debug, Default)]
struct Sounds {
    clips: HashMap<(usize, usize), Arc<Audio>>,
    bytes: u64,
}

#[derive(Debug)]
struct Slot {
    key: Key,
    /// Locked while being extracted: whoever asks meanwhile waits for the result.
    features: Arc<Mutex<Option<Arc<Features>>>>,
    bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    table: usize,
    spec: FeatureSpec,
    arithmetic: Arithmetic,
    channel: Channel,
}

/// One of the two ways to features.
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
    pub const MEMORY_BYTES: u64 = 2 << 30;
    pub const SOUND_BYTES: u64 = 512 << 20;
    pub const DISK_BYTES: u64 = 16 << 30;

    /// Without a folder for the cache, features live as long as the store.
    pub fn new(cache_dir: Option<PathBuf>) -> FeatureStore {
        FeatureStore {
            channel: Channel::default(),
            memory_bytes: FeatureStore::MEMORY_BYTES,
            sound_bytes: FeatureStore::SOUND_BYTES,
            disk_bytes: FeatureStore::DISK_BYTES,
            threads: thread::available_parallelism().map_or(1, usize::from),
            cache_dir,
            state: Mutex::default(),
            sounds: Mutex::default(),
        }
    }

    /// Features for `spec`; extracted at the first call, shared afterwards.
    pub fn get(
        &self,
        dataset: &Dataset,
        spec: &FeatureSpec,
    ) -> Result<Arc<Features>, FeatureError> {
        self.get_with_progress(dataset, spec, &|_, _| {})
    }

    /// As [`FeatureStore::get`], computed as a device does. Ready features have no sound to compute from: they are what
    /// they are.
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

    /// As [`FeatureStore::get`]; `progress` hears of every clip extracted, and of none found ready.
    pub fn get_with_progress(
        &self,
        dataset: &Dataset,
        spec: &FeatureSpec,
        progress: Progress,
    ) -> Result<Arc<Features>, FeatureError> {
        self.get_any(dataset, spec, Arithmetic::Exact, progress)
    }

    fn get_any(
        &self,
        dataset: &Dataset,
        spec: &FeatureSpec,
        arithmetic: Arithmetic,
        progress: Progress,
    ) -> Result<Arc<Features>, FeatureError> {
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
        let key = Key {
            table: self.table(dataset),
            spec: *spec,
            arithmetic,
            channel: self.channel,
        };
        let slot = lock(&self.state).slot(key);
        let mut in_slot = lock(&slot);
        if let Some(features) = &*in_slot {
            return Ok(features.clone());
        }
        let features = Arc::new(self.load(dataset, spec, &key, progress)?);
        *in_slot = Some(features.clone());
        drop(in_slot);
        lock(&self.state).account(key, size_bytes(&features), self.memory_bytes);
        Ok(features)
    }

    /// What a data set is: the content of its clips, and every column of its table.
    ///
    /// A clip that cannot be read counts with its error.
    pub fn dataset_hash(&self, dataset: &Dataset) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.content_hash(dataset, self.table(dataset)).as_bytes());
        for clip in &dataset.clips {
            let columns = (
                (clip.split, clip.label, &clip.machine),
                (&clip.section, clip.domain, &clip.attributes),
            );
            hasher.update(columns.canonical().as_bytes());
        }
        hasher.finalize().to_string()
    }

    /// Why the cache on disk could not be written, where that happened: slower, but not wrong.
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
        hasher.update(self.content_hash(dataset, key.table).as_bytes());
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

    /// The samples of a clip that has some.
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

    /// The ready features of a stand-in.
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

    /// A synthetic clip, made at its first use.
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
    fn content_hash(&self, dataset: &Dataset, table: usize) -> blake3::Hash {
        if let Some(hash) = lock(&self.state).tables[table].content {
            return hash;
        }
        let list = self.cache_dir.as_ref().map(|dir| dir.join("contents.txt"));
        let mut known = list.as_deref().map(ContentHashes::read).unwrap_or_default();
        let hashes = parallel_map(&dataset.clips, self.threads, |_, clip| match &clip.source {
            Source::Audio(path) | Source::LogMelBin(path) => hash_file(path, &known),
            Source::Synthetic(spec) => (None, blake3::hash(spec.canonical().as_bytes())),
            Source::StandIn(made) => (None, hash_stand_in(made, &known)),
        });
        let mut hasher = blake3::Hasher::new();
        hasher.update(dataset.fixed_features.canonical().as_bytes());
        let mut changed = false;
        for ((fresh, hash), clip) in hashes.into_iter().zip(&dataset.clips) {
            hasher.update(clip.name.canonical().as_bytes());
            hasher.update(hash.as_bytes());
            if let Some(stamp) = fresh {
                known.insert(stamp, hash);
                changed = true;
            }
        }
        if let Some(list) = list.filter(|_| changed) {
            self.note_problem(&list, known.write(&list));
        }
        let hash = hasher.finalize();
        lock(&self.state).tables[table].content = Some(hash);
        hash
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

impl State {
    /// The slot of `key`, made the most recently used one.
    fn slot(&mut self, key: Key) -> Arc<Mutex<Option<Arc<Features>>>> {
        let slot = match self.slots.iter().position(|slot| slot.key == key) {
            Some(idx) => self.slots.remove(idx),
            None => Slot {
                key,
                features: Arc::default(),
                bytes: 0,
            },
        };
        let features = slot.features.clone();
        self.slots.push(slot);
        features
    }

    /// Notes the size of what a slot now holds, and drops others until all fit.
    fn account(&mut self, key: Key, bytes: u64, limit: u64) {
        for slot in self.slots.iter_mut().filter(|slot| slot.key == key) {
            slot.bytes = bytes;
        }
        let mut total: u64 = self.slots.iter().map(|slot| slot.bytes).sum();
        self.slots.retain(|slot| {
            // Nothing is gained by dropping a slot that is still being filled.
            let dropped = total > limit && slot.key != key && slot.bytes > 0;
            total -= if dropped { slot.bytes } else { 0 };
            !dropped
        });
    }
}

/// The hash of what is done and of the content it is done to.
fn hash_stand_in(made: &StandIn, known: &ContentHashes) -> blake3::Hash {
    let content = |source: &Source| match source {
        Source::Audio(path) | Source::LogMelBin(path) => hash_file(path, known).1,
        other => blake3::hash(other.canonical().as_bytes()),
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(content(&made.of).as_bytes());
    // Paths are no content: the same data elsewhere has the same hash.
    let change = match &made.change {
        Change::Mix { with, level_db } => {
            hasher.update(content(with).as_bytes());
            format!("mix {level_db}")
        }
        change => change.canonical(),
    };
    hasher.update(change.as_bytes());
    hasher.finalize()
}

/// The hash of a file's content, and its stamp where that is worth remembering.
fn hash_file(path: &Path, known: &ContentHashes) -> (Option<Stamp>, blake3::Hash) {
    let stamp = Stamp::of(path);
    if let Some(hash) = stamp.as_ref().and_then(|stamp| known.get(stamp)) {
        return (None, hash);
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
        Ok(hash) => (stamp, hash),
        Err(error) => (None, blake3::hash(error.to_string().as_bytes())),
    }
}

/// Calls `f` for every item, on threads of its own; results keep the order of the items.
///
/// Not rayon: a thread of a pool that waits here would take up other work of its pool, and that work
/// could wait for the very features that are being extracted.
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
        let workers: Vec<_> = (0..threads.clamp(1, items.len().max(1)))
            .map(|_| scope.spawn(work))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    results.sort_by_key(|(idx, _)| *idx);
    results.into_iter().map(|(_, result)| result).collect()
}

fn size_bytes(features: &Features) -> u64 {
    let values: usize = features.clips.iter().map(|clip| clip.values.len()).sum();
    4 * values as u64 + 64 * features.clips.len() as u64
}

/// A thread that panicked while holding a lock left the state as good as it was.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
