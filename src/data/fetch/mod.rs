//! Downloads public data sets: pinned files, resumed transfers, checked sums, safe unpacking.
//!
//! This module knows no clips: it brings files into a folder, which [`super::open`] can then read.

mod catalogue;
mod http;
#[cfg(test)]
mod tests;
mod unpack;

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use md5::{Digest, Md5};

use crate::disk;

pub use catalogue::{Archive, Fetchable, KNOWN_DATASETS, KnownDataset, Source, select};

/// How files are downloaded and kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// A server to use instead of `https://zenodo.org`, for example `http://localhost:8000`.
    pub mirror: Option<String>,
    /// Use only archives that are already in the folder.
    pub offline: bool,
    /// Keep the archives in the folder after unpacking.
    pub keep_archives: bool,
    /// How long a server may send nothing before the transfer counts as broken.
    pub stall: Duration,
    /// Pause before the second attempt; it doubles before each further attempt.
    pub first_pause: Duration,
}

impl Options {
    /// The usual [`Options::stall`]: 30 s.
    pub const STALL: Duration = Duration::from_secs(30);
    /// The usual [`Options::first_pause`]: 1 s.
    pub const FIRST_PAUSE: Duration = Duration::from_secs(1);
}

/// How many attempts without progress are made before a file is given up.
const ATTEMPTS: u32 = 5;

/// How many times its own size an archive may unpack to, besides a small allowance. Sound packs to a half or more.
const MAX_EXPANSION: u64 = 20;
const EXPANSION_ALLOWANCE: u64 = 64 << 20;

/// What a download reports while it runs; each event names the file first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// Bytes that have arrived, and the size of the file where it is known.
    Downloading(&'a str, u64, Option<u64>),
    /// A transfer broke off and is tried again; holds the reason.
    Retrying(&'a str, &'a str),
    /// The file's MD5 sum is being computed.
    Checking(&'a str),
    /// The archive is being unpacked.
    Unpacking(&'a str),
    /// An earlier call has fetched the file.
    Present(&'a str),
}

/// Why a data set could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No data set has this name.
    #[error("there is no data set `{name}` to fetch; there are {known}")]
    UnknownSet {
        /// The name that was given.
        name: String,
        /// All names, for the message.
        known: String,
    },
    /// The data set has no such machine in the chosen parts.
    #[error("{set} has no machine `{machine}` in {parts}; there are {known}")]
    UnknownMachine {
        /// The data set.
        set: &'static str,
        /// The machine that was given.
        machine: String,
        /// The chosen parts, for the message.
        parts: String,
        /// The machines of these parts, for the message.
        known: String,
    },
    /// The data set has no such part.
    #[error("{set} has no part `{part}`; there are {known}")]
    UnknownPart {
        /// The data set.
        set: &'static str,
        /// The part that was given.
        part: String,
        /// All parts, for the message.
        known: String,
    },
    /// The server does not answer, or nothing of the file has arrived after all attempts.
    #[error(
        "cannot reach {address}: {cause}; without a network, put {file} from {address} into {} and run this again \
         with --offline",
        to.display()
    )]
    Unreachable {
        /// The address that was tried.
        address: String,
        /// Why it failed.
        cause: String,
        /// The file.
        file: String,
        /// The folder where the file should lie.
        to: PathBuf,
    },
    /// Nothing may be downloaded, and archives are missing.
    #[error("offline, but {} lacks {files}; get them from {addresses}", to.display())]
    Offline {
        /// The folder where they should lie.
        to: PathBuf,
        /// The missing files.
        files: String,
        /// Where to get them.
        addresses: String,
    },
    /// The server refuses the file.
    #[error("{address} answers {status}; {hint}")]
    Refused {
        /// The address that was tried.
        address: String,
        /// The HTTP status.
        status: u16,
        /// What the status means, for the message.
        hint: &'static str,
    },
    /// A transfer broke off again and again; its first part is kept.
    #[error(
        "{file} broke off {ATTEMPTS} times without progress, last with: {cause}; what arrived is kept, run this again"
    )]
    BrokenOff {
        /// The file.
        file: String,
        /// Why the last attempt broke off.
        cause: String,
    },
    /// The file has the wrong content.
    #[error("{file} has the MD5 sum {found} instead of {expected}{hint}")]
    Sum {
        /// The file.
        file: String,
        /// The MD5 sum of the content.
        found: String,
        /// The MD5 sum that it should have.
        expected: String,
        /// What to do, for the message.
        hint: &'static str,
    },
    /// The record and the catalogue give different sums for a file.
    #[error(
        "the record says that {file} has the MD5 sum {published}, but this program expects {pinned}"
    )]
    SumsDisagree {
        /// The file.
        file: String,
        /// The MD5 sum in the record.
        published: String,
        /// The MD5 sum in the catalogue.
        pinned: &'static str,
    },
    /// The disk is too full.
    #[error("{} has {free} bytes free, and {what} needs {needed}", to.display())]
    NoSpace {
        /// The folder to write to.
        to: PathBuf,
        /// Free bytes.
        free: u64,
        /// The file or archive that needs the space.
        what: String,
        /// Bytes that it needs.
        needed: u64,
    },
    /// The archive is damaged or not safe to unpack.
    #[error("{file} cannot be unpacked: {problem}")]
    Archive {
        /// The archive.
        file: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file could not be written, or not be read back.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// The folder of marks in a folder that data sets are fetched into.
const MARKS: &str = ".fetched";
/// The end of a mark's name while its archive is being unpacked.
const UNFINISHED: &str = ".unfinished";

/// The archive of which only a part may lie in `path` or in a folder around it, by the name of its mark.
pub(super) fn unfinished(path: &Path) -> Option<String> {
    // No archive is unpacked deeper than this below the folder with the marks.
    const DEPTH: usize = 4;
    let folders = path.ancestors().take(DEPTH);
    let marks = folders.filter_map(|folder| folder.join(MARKS).read_dir().ok());
    let mut names = marks.flatten().flatten().map(|entry| entry.file_name());
    names.find_map(|name| Some(name.to_str()?.strip_suffix(UNFINISHED)?.to_string()))
}

/// Fetches, checks and unpacks archives into a folder. Work that an earlier call has done is skipped.
pub fn fetch(
    archives: &[&Archive],
    to: &Path,
    options: &Options,
    notify: &mut dyn FnMut(Event),
) -> Result<(), FetchError> {
    let write_error = |path: &Path| {
        let path = path.to_path_buf();
        move |source| FetchError::Write { path, source }
    };
    let marks = to.join(MARKS);
    fs::create_dir_all(&marks).map_err(write_error(&marks))?;
    let is_done = |archive: &Archive| {
        // Older programs named the file alone, which several years of a data set may share.
        marks.join(archive.mark()).exists()
            || (archive.has_name_of_its_own() && marks.join(&archive.file).exists())
    };
    let mut wanted = Vec::new();
    for archive in archives {
        match is_done(archive) {
            true => notify(Event::Present(&archive.file)),
            false => wanted.push(*archive),
        }
    }
    if options.offline {
        check_offline(&wanted, to, options)?;
    }
    for archive in wanted {
        let path = to.join(&archive.file);
        if !path.exists() {
            download(archive, &path, options, notify)?;
        } else {
            check_present(archive, &path, notify)?;
        }
        notify(Event::Unpacking(&archive.file));
        let target = to.join(&archive.into);
        // Readers refuse the folder as long as the second mark is there. Each mark is on the disk before what comes next.
        let mark = marks.join(archive.mark());
        let unfinished = marks.join(archive.mark() + UNFINISHED);
        let set =
            |mark: &Path| disk::write_synced(mark, b"").and_then(|()| disk::sync_folder(&marks));
        set(&unfinished).map_err(write_error(&unfinished))?;
        unpack::unpack(&path, &archive.file, &marks.join("unpacked"), &target)?;
        set(&mark).map_err(write_error(&mark))?;
        fs::remove_file(&unfinished).map_err(write_error(&unfinished))?;
        let is_result = path.parent() == Some(target.as_path());
        if !options.keep_archives && (!is_result || unpack::is_archive(&archive.file)) {
            fs::remove_file(&path).map_err(write_error(&path))?;
        }
    }
    Ok(())
}

fn check_offline(wanted: &[&Archive], to: &Path, options: &Options) -> Result<(), FetchError> {
    let missing: Vec<&&Archive> = wanted
        .iter()
        .filter(|archive| !to.join(&archive.file).exists())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let joined = |text: fn(&Archive, &Options) -> String| {
        let texts: Vec<String> = missing
            .iter()
            .map(|archive| text(archive, options))
            .collect();
        texts.join(", ")
    };
    Err(FetchError::Offline {
        to: to.to_path_buf(),
        files: joined(|archive, _| archive.file.clone()),
        addresses: joined(|archive, options| archive.address(options.mirror.as_deref())),
    })
}

/// Checks an archive that the user put into the folder; it can be checked only where a sum is pinned.
fn check_present(
    archive: &Archive,
    path: &Path,
    notify: &mut dyn FnMut(Event),
) -> Result<(), FetchError> {
    let Some(expected) = archive.md5 else {
        return Ok(());
    };
    notify(Event::Checking(&archive.file));
    let found = md5_of(path).map_err(|source| FetchError::Write {
        path: path.to_path_buf(),
        source,
    })?;
    match found == expected {
        true => Ok(()),
        false => Err(FetchError::Sum {
            file: archive.file.clone(),
            found,
            expected: expected.to_string(),
            hint: "; remove the file to download it again",
        }),
    }
}

/// Downloads a file to `path`, whole and with the right sum. What arrives before a break stays in `<path>.part`.
fn download(
    archive: &Archive,
    path: &Path,
    options: &Options,
    notify: &mut dyn FnMut(Event),
) -> Result<(), FetchError> {
    let client = http::Client::new(options);
    let address = archive.address(options.mirror.as_deref());
    let published = archive.published(&client, options, path)?;
    let sum = match (archive.md5, published.md5) {
        (Some(pinned), Some(published)) if pinned != published => {
            return Err(FetchError::SumsDisagree {
                file: archive.file.clone(),
                published,
                pinned,
            });
        }
        (Some(pinned), _) => Some(pinned.to_string()),
        (None, published) => published,
    };
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    if let Some(bytes) = published.bytes {
        let present = part.metadata().map_or(0, |metadata| metadata.len());
        let folder = path.parent().unwrap_or(Path::new("."));
        require_space(folder, bytes.saturating_sub(present), &archive.file)?;
    }
    let write_error = |source| FetchError::Write {
        path: part.clone(),
        source,
    };
    // A sum that is wrong twice is not the transfer's fault.
    for is_last in [false, true] {
        http::transfer(
            &client,
            archive,
            &address,
            &part,
            published.bytes,
            options,
            notify,
        )?;
        notify(Event::Checking(&archive.file));
        let found = md5_of(&part).map_err(write_error)?;
        match &sum {
            Some(expected) if *expected != found => {
                fs::remove_file(&part).map_err(write_error)?;
                if is_last {
                    return Err(FetchError::Sum {
                        file: archive.file.clone(),
                        found,
                        expected: expected.clone(),
                        hint: ", twice; the file at the source has changed, or something changes it on the way",
                    });
                }
                notify(Event::Retrying(&archive.file, "wrong MD5 sum"));
            }
            _ => break,
        }
    }
    // A name promises the whole content, also after a power cut.
    File::open(&part)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&part, path))
        .map_err(write_error)
}

/// Fails where the disk has less free space than is needed.
fn require_space(folder: &Path, needed: u64, what: &str) -> Result<(), FetchError> {
    // Where the free space is unknown, writing will show.
    let Some(free) = disk::free_bytes(folder) else {
        return Ok(());
    };
    match free >= needed {
        true => Ok(()),
        false => Err(FetchError::NoSpace {
            to: folder.to_path_buf(),
            free,
            what: what.to_string(),
            needed,
        }),
    }
}

/// The MD5 sum of a file in lower-case hexadecimal digits. Archives of data sets publish this sum.
fn md5_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Md5::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    let digits = hasher.finalize();
    Ok(digits.iter().map(|byte| format!("{byte:02x}")).collect())
}
