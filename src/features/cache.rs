//! The two kinds of files in the feature cache: features of a data set, and content hashes of clips.
//!
//! Each is rewritten whole, into a temporary file that then replaces the old one. A file that does not verify counts as
//! absent.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{Features, Matrix};
use crate::{audio::FeatureSpec, disk::replace};

/// Version of the cache; raise it when the layout below or any value that the front end computes changes.
pub(super) const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"nas-feat";

/// Writes features that belong to `key`.
///
/// The file holds: magic, version, key; the numbers of clips, bands and skipped clips; the frames of every clip; names
/// and reasons of skipped clips; the values; and a checksum over all that.
pub(super) fn write(path: &Path, key: &blake3::Hash, features: &Features) -> io::Result<()> {
    replace(path, |file| {
        let mut out = Checked::new(BufWriter::new(file));
        out.put(&MAGIC)?;
        out.put(&VERSION.to_le_bytes())?;
        out.put(key.as_bytes())?;
        out.put_length(features.clips.len())?;
        out.put_length(features.spec.bands())?;
        out.put_length(features.skipped.len())?;
        for clip in &features.clips {
            out.put_length(clip.frames())?;
        }
        for text in features.skipped.iter().flat_map(|(name, why)| [name, why]) {
            out.put_length(text.len())?;
            out.put(text.as_bytes())?;
        }
        let mut bytes = Vec::new();
        for clip in &features.clips {
            bytes.clear();
            bytes.extend(clip.values.iter().flat_map(|value| value.to_le_bytes()));
            out.put(&bytes)?;
        }
        let checksum = out.hasher.finalize();
        out.inner.write_all(checksum.as_bytes())?;
        out.inner.flush()
    })
}

/// Reads the features of `key`; `None` where the file is absent, cut or changed, or belongs to another key.
pub(super) fn read(
    path: &Path,
    key: &blake3::Hash,
    spec: &FeatureSpec,
    clips: usize,
) -> Option<Features> {
    let file = File::open(path).ok()?;
    let size = file.metadata().ok()?.len();
    let mut input = Checked::new(BufReader::new(file));
    let head_is_ours = input.take::<8>()? == MAGIC
        && input.take::<4>()? == VERSION.to_le_bytes()
        && input.take::<32>()? == *key.as_bytes()
        && input.take_length()? == clips as u64
        && input.take_length()? == spec.bands() as u64;
    // Every clip takes eight bytes, so a file cannot claim more clips than it has room for.
    if !head_is_ours || clips as u64 > size / 8 {
        return None;
    }
    let skipped_count = input.take_length()?;
    let frames = (0..clips)
        .map(|_| input.take_length())
        .collect::<Option<Vec<u64>>>()?;
    let mut skipped = Vec::new();
    for _ in 0..skipped_count {
        skipped.push((input.take_text(size)?, input.take_text(size)?));
    }
    let clips = frames
        .iter()
        .map(|frames| {
            let bytes = frames.checked_mul(4 * spec.bands() as u64)?;
            let bytes = input.take_vec(bytes, size)?;
            let values = bytes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b));
            Some(Matrix {
                bands: spec.bands(),
                values: values.collect(),
            })
        })
        .collect::<Option<Vec<Matrix>>>()?;
    let checksum = input.hasher.finalize();
    let stored = input.take::<32>()?;
    let at_end = input.inner.read(&mut [0]).ok()? == 0;
    if !at_end || stored != *checksum.as_bytes() {
        return None;
    }
    // The time of change says when a file was last used. Where it cannot be set, the file's age decides.
    let _ = input.inner.into_inner().set_modified(SystemTime::now());
    Some(Features {
        spec: *spec,
        clips,
        skipped,
    })
}

/// Removes the features in `folder` that were not used for the longest, until `limit` bytes are left. `kept` stays.
pub(super) fn prune(folder: &Path, kept: &Path, limit: u64) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "features")
            && path != kept
        {
            // Another process may prune at the same time.
            if let Ok(metadata) = path.metadata() {
                files.push((metadata.modified()?, metadata.len(), path));
            }
        }
    }
    files.sort();
    let mut total = files.iter().map(|(_, size, _)| size).sum::<u64>() + kept.metadata()?.len();
    for (_, size, path) in files {
        if total <= limit {
            break;
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => total -= size,
        }
    }
    Ok(())
}

/// Content hashes of files by path, size and time of change, so an unchanged file is read once.
#[derive(Debug, Default)]
pub(super) struct ContentHashes {
    known: HashMap<Stamp, blake3::Hash>,
}

/// A file keeps its stamp as long as nothing is written to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    path: PathBuf,
    size: u64,
    changed_ns: u128,
}

impl Stamp {
    /// `None` where the file cannot be looked at, where its path does not fit in a line of text, or where it has just
    /// been written: within one tick of the file system's clock it could change without a sign.
    pub fn of(path: &Path) -> Option<Stamp> {
        const SETTLED: Duration = Duration::from_secs(2);
        let path = path.canonicalize().ok()?;
        let metadata = path.metadata().ok()?;
        let changed = metadata.modified().ok()?;
        if SystemTime::now().duration_since(changed).ok()? < SETTLED {
            return None;
        }
        let changed = changed.duration_since(UNIX_EPOCH).ok()?;
        let fits_a_line = path
            .to_str()
            .is_some_and(|text| !text.contains(['\n', '\r']));
        fits_a_line.then_some(Stamp {
            path,
            size: metadata.len(),
            changed_ns: changed.as_nanos(),
        })
    }
}

impl ContentHashes {
    /// Reads lines of `hash size changed_ns path`; other lines are skipped.
    pub fn read(path: &Path) -> ContentHashes {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let entry = |line: &str| {
            let mut words = line.splitn(4, ' ');
            let hash = blake3::Hash::from_hex(words.next()?).ok()?;
            let stamp = Stamp {
                size: words.next()?.parse().ok()?,
                changed_ns: words.next()?.parse().ok()?,
                path: PathBuf::from(words.next()?),
            };
            Some((stamp, hash))
        };
        ContentHashes {
            known: text.lines().filter_map(entry).collect(),
        }
    }

    /// Writes the lines, sorted.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut lines: Vec<String> = self
            .known
            .iter()
            .filter_map(|(stamp, hash)| {
                let path = stamp.path.to_str()?;
                Some(format!(
                    "{hash} {} {} {path}\n",
                    stamp.size, stamp.changed_ns
                ))
            })
            .collect();
        lines.sort();
        replace(path, |file| file.write_all(lines.concat().as_bytes()))
    }

    /// The hash that belongs to a stamp.
    pub fn get(&self, stamp: &Stamp) -> Option<blake3::Hash> {
        self.known.get(stamp).copied()
    }

    /// Notes the hash of a file.
    pub fn insert(&mut self, stamp: Stamp, hash: blake3::Hash) {
        self.known.insert(stamp, hash);
    }
}

/// Hashes everything that is read or written through it.
struct Checked<T> {
    inner: T,
    hasher: blake3::Hasher,
}

impl<T> Checked<T> {
    fn new(inner: T) -> Self {
        Checked {
            inner,
            hasher: blake3::Hasher::new(),
        }
    }
}

impl<W: Write> Checked<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.inner.write_all(bytes)
    }

    fn put_length(&mut self, length: usize) -> io::Result<()> {
        self.put(&(length as u64).to_le_bytes())
    }
}

impl<R: Read> Checked<R> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes).ok()?;
        self.hasher.update(&bytes);
        Some(bytes)
    }

    fn take_length(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// `limit` is the size of the file, which cannot hold more, whatever it claims.
    fn take_vec(&mut self, length: u64, limit: u64) -> Option<Vec<u8>> {
        if length > limit {
            return None;
        }
        let mut bytes = vec![0; length as usize];
        self.inner.read_exact(&mut bytes).ok()?;
        self.hasher.update(&bytes);
        Some(bytes)
    }

    fn take_text(&mut self, limit: u64) -> Option<String> {
        let length = self.take_length()?;
        String::from_utf8(self.take_vec(length, limit)?).ok()
    }
}
