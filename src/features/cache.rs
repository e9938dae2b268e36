//! The two kinds of files in the feature cache: features of a data set, and content hashes of clips.
//!
//! Each is written whole, into a temporary file that then gets its name. A file that does not verify counts as absent.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    packed::Layout,
    rows::{ClipPlace, Place, Rows},
};
use crate::{audio::FeatureSpec, disk};

/// Version of the cache; raise it when the layout below or any value that the front end computes changes.
pub(super) const VERSION: u32 = 3;

const MAGIC: [u8; 8] = *b"nas-feat";
/// Bytes before the first clip: magic, version and key.
const HEAD: u64 = 44;
/// Bytes at the end: where the index begins, and the checksum.
const TAIL: u64 = 8 + CHECKSUM;
const CHECKSUM: u64 = 32;

/// A file of features that is being written, clip after clip.
pub(super) struct Writer<'f> {
    out: BufWriter<&'f mut File>,
    hasher: blake3::Hasher,
    clips: Vec<ClipPlace>,
    written: u64,
}

/// Writes features that belong to `key`; `fill` adds all clips, and returns names and reasons of skipped ones.
///
/// The file holds: magic, version, key; the clips, packed; the index, which is the number of clips, start and frames of
/// each, the number of skipped clips, their names and reasons; where the index begins; and a checksum over all that.
pub(super) fn write(
    path: &Path,
    key: &blake3::Hash,
    fill: impl FnOnce(&mut Writer<'_>) -> io::Result<Vec<(String, String)>>,
) -> io::Result<()> {
    disk::replace(path, |file| {
        let mut writer = Writer {
            out: BufWriter::with_capacity(1 << 20, file),
            hasher: blake3::Hasher::new(),
            clips: Vec::new(),
            written: 0,
        };
        writer.put(&MAGIC)?;
        writer.put(&VERSION.to_le_bytes())?;
        writer.put(key.as_bytes())?;
        let skipped = fill(&mut writer)?;
        let index = writer.written;
        let clips = std::mem::take(&mut writer.clips);
        writer.put_length(clips.len() as u64)?;
        for ClipPlace { start, frames } in clips {
            writer.put_length(start)?;
            writer.put_length(frames as u64)?;
        }
        writer.put_length(skipped.len() as u64)?;
        for text in skipped.iter().flat_map(|(name, why)| [name, why]) {
            writer.put_length(text.len() as u64)?;
            writer.put(text.as_bytes())?;
        }
        writer.put_length(index)?;
        let checksum = writer.hasher.finalize();
        writer.out.write_all(checksum.as_bytes())?;
        writer.out.flush()
    })
}

impl Writer<'_> {
    /// Adds the next clip, packed.
    pub fn add(&mut self, frames: usize, bytes: &[u8]) -> io::Result<()> {
        let start = self.written;
        self.clips.push(ClipPlace { start, frames });
        self.put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.written += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn put_length(&mut self, length: u64) -> io::Result<()> {
        self.put(&length.to_le_bytes())
    }
}

/// Opens the features of `key`; `None` where the file is absent, cut or changed, or belongs to another key.
///
/// All of it is read once, in blocks, to verify it.
pub(super) fn open(
    path: &Path,
    key: &blake3::Hash,
    spec: &FeatureSpec,
    layout: Layout,
    clips: usize,
) -> Option<Rows> {
    let mut file = File::open(path).ok()?;
    let metadata = file.metadata().ok()?;
    let size = metadata.len();
    if !metadata.is_file() || size < HEAD + TAIL {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader((&file).take(size - CHECKSUM)).ok()?;
    let mut checksum = [0; CHECKSUM as usize];
    file.read_exact(&mut checksum).ok()?;
    let mut head = [0; HEAD as usize];
    disk::read_at(&file, &mut head, 0).ok()?;
    let expected = [&MAGIC[..], &VERSION.to_le_bytes(), key.as_bytes()].concat();
    if head[..] != expected[..] || checksum != *hasher.finalize().as_bytes() {
        return None;
    }
    let mut start = [0; 8];
    disk::read_at(&file, &mut start, size - TAIL).ok()?;
    let start = u64::from_le_bytes(start);
    let length = (size - TAIL).checked_sub(start)?;
    file.seek(io::SeekFrom::Start(start)).ok()?;
    let mut index = Vec::new();
    (&file).take(length).read_to_end(&mut index).ok()?;
    let mut index = Index(&index);
    if index.length()? != clips as u64 {
        return None;
    }
    let place = |index: &mut Index<'_>| -> Option<ClipPlace> {
        let (place, frames) = (index.length()?, index.length()?);
        // A frame takes a byte at least, so a file cannot claim more than it has room for.
        let fits = place <= start && frames <= start - place;
        fits.then_some(ClipPlace {
            start: place,
            frames: frames as usize,
        })
    };
    let clips: Vec<ClipPlace> = (0..clips)
        .map(|_| place(&mut index))
        .collect::<Option<_>>()?;
    let mut skipped = Vec::new();
    for _ in 0..index.length()? {
        skipped.push((index.text()?, index.text()?));
    }
    // The time of change says when a file was last used. Where it cannot be set, the file's age decides.
    let _ = file.set_modified(SystemTime::now());
    Some(Rows {
        spec: *spec,
        skipped,
        place: Place::File {
            file,
            path: path.to_path_buf(),
            layout,
            clips,
        },
    })
}

/// What is left of an index.
struct Index<'b>(&'b [u8]);

impl Index<'_> {
    fn length(&mut self) -> Option<u64> {
        let (length, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*length))
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.length()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }
}

/// Removes the features in `folder` that were not used for the longest, until `limit` bytes are left. `kept` stays.
pub(super) fn prune(folder: &Path, kept: Option<&Path>, limit: u64) -> io::Result<()> {
    /// An extraction writes all the time.
    const IDLE: Duration = Duration::from_secs(3600);
    disk::sweep_idle(folder, IDLE)?;
    let mut files = files(folder)?;
    files.sort();
    let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
    for (_, size, path) in files {
        if total <= limit {
            break;
        }
        if Some(path.as_path()) == kept {
            continue;
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => total -= size,
        }
    }
    Ok(())
}

/// When every file of features was last used, its size in bytes, and its path.
pub(super) fn files(folder: &Path) -> io::Result<Vec<(SystemTime, u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_ours = path
            .extension()
            .is_some_and(|extension| extension == "features");
        // Another process may prune at the same time.
        if let Ok(metadata) = path.metadata()
            && is_ours
        {
            found.push((metadata.modified()?, metadata.len(), path));
        }
    }
    Ok(found)
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
        disk::replace(path, |file| file.write_all(lines.concat().as_bytes()))
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
