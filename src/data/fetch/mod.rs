//! Downloading public data sets: pinned files, resumed transfers, checked sums, safe unpacking.

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

pub use catalogue::{Archive, Fetchable, KNOWN_DATASETS, KnownDataset, Source, select};

/// How files are fetched.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Takes the place of `https://zenodo.org`, as `http://localhost:8000`.
    pub mirror: Option<String>,
    /// Uses only archives that lie in the folder already.
    pub offline: bool,
    /// Leaves the archives in the folder after unpacking them.
    pub keep_archives: bool,
    /// A server that sends nothing for so long is given up.
    pub stall: Duration,
    /// Before the second attempt; doubled before each further one.
    pub first_pause: Duration,
}

impl Options {
    pub const STALL: Duration = Duration::from_secs(30);
    pub const FIRST_PAUSE: Duration = Duration::from_secs(1);
}

/// Attempts that bring nothing new before a file is given up.
const ATTEMPTS: u32 = 5;

/// An archive is unpacked to at most so many times its size, besides a small allowance. Sound packs to a half or more.
const MAX_EXPANSION: u64 = 20;
const EXPANSION_ALLOWANCE: u64 = 64 << 20;

/// What a download says of itself while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// Bytes there, of how many where that is known.
    Downloading(&'a str, u64, Option<u64>),
    /// A transfer broke off and goes on.
    Retrying(&'a str, &'a str),
    Checking(&'a str),
    Unpacking(&'a str),
    /// Fetched by an earlier call.
    Present(&'a str),
}

/// Why a data set could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("there is no data set `{name}` to fetch; there are {known}")]
    UnknownSet { name: String, known: String },
    #[error("{set} has no machine `{machine}` in {parts}; there are {known}")]
    UnknownMachine {
        set: &'static str,
        machine: String,
        parts: String,
        known: String,
    },
    #[error("{set} has no part `{part}`; there are {known}")]
    UnknownPart {
        set: &'static str,
        part: String,
        known: String,
    },
    #[error(
        "cannot reach {address}: {cause}; without a network, put {file} from {address} into {} and call this again \
         with --offline",
        to.display()
    )]
    Unreachable {
        address: String,
        cause: String,
        file: String,
        to: PathBuf,
    },
    #[error("offline, and {} lacks {files}; get them from {addresses}", to.display())]
    Offline {
        to: PathBuf,
        files: String,
        addresses: String,
    },
    #[error("{address} answers {status}; {hint}")]
    Refused {
        address: String,
        status: u16,
        hint: &'static str,
    },
    #[error(
        "{file} broke off {ATTEMPTS} times without progress, at last: {cause}; what arrived is kept, call this again to go on"
    )]
    BrokenOff { file: String, cause: String },
    #[error("{file} has the MD5 sum {found} instead of {expected}{hint}")]
    Sum {
        file: String,
        found: String,
        expected: String,
        hint: &'static str,
    },
    #[error("record and program disagree on the MD5 sum of {file}: {published} and {pinned}")]
    SumsDisagree {
        file: String,
        published: String,
        pinned: &'static str,
    },
    #[error("{} has {free} bytes free, and {what} needs {needed}", to.display())]
    NoSpace {
        to: PathBuf,
        free: u64,
        what: String,
        needed: u64,
    },
    #[error("{file} cannot be unpacked: {problem}")]
    Archive { file: String, problem: String },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Fetches, checks and unpacks the archives into a folder. What an earlier call has done is not done again.
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
    let done_folder = to.join(".fetched");
    fs::create_dir_all(&done_folder).map_err(write_error(&done_folder))?;
    let done_mark = |archive: &Archive| done_folder.join(&archive.file);
    let mut wanted = Vec::new();
    for archive in archives {
        match done_mark(archive).exists() {
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
        unpack::unpack(&path, &archive.file, &target)?;
        let mark = done_mark(archive);
        fs::write(&mark, b"").map_err(write_error(&mark))?;
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

/// An archive that the user put into the folder; only a pinned sum can be checked.
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
            hint: "; remove the file to download it anew",
        }),
    }
}

/// Brings a file to `path`, whole and with the right sum; what arrives before a break stays in `<path>.part`.
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
    // A sum that is wrong twice is not the fault of a transfer.
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
                        hint: ", twice; the file at the source has changed, or something alters it on the way",
                    });
                }
                notify(Event::Retrying(&archive.file, "wrong MD5 sum"));
            }
            _ => break,
        }
    }
    fs::rename(&part, path).map_err(write_error)
}

/// Refuses to fill a disk.
fn require_space(folder: &Path, needed: u64, what: &str) -> Result<(), FetchError> {
    // Where the free space is unknown, writing will tell.
    let Ok(free) = fs4::available_space(folder) else {
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

/// The MD5 sum of a file in lower-case hexadecimal digits: the sum that the archives of data sets publish.
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
