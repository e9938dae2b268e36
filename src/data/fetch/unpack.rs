//! Unpacks archives and trusts none of them: no path may leave the folder, and no size may grow beyond reason.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Component, Path, PathBuf},
};

use super::{EXPANSION_ALLOWANCE, FetchError, MAX_EXPANSION, require_space};
use crate::disk;

/// The most entries in an archive, far above any data set; DCASE 2020 has 54,000 clips in all.
const MAX_ENTRIES: usize = 500_000;

/// Whether [`unpack`] unpacks the file instead of copying it.
pub(super) fn is_archive(file: &str) -> bool {
    file.ends_with(".zip") || file.ends_with(".tar.gz")
}

/// Unpacks a `.zip` or `.tar.gz` into a folder, or copies any other file there. Existing files are replaced.
///
/// An archive is unpacked into `beside`, on the same disk, and moved when it is whole.
pub(super) fn unpack(
    path: &Path,
    file: &str,
    beside: &Path,
    into: &Path,
) -> Result<(), FetchError> {
    let write_error = |source| FetchError::Write {
        path: into.to_path_buf(),
        source,
    };
    if !is_archive(file) {
        return unpack_here(path, file, into);
    }
    // What an earlier call left there is not whole.
    if beside.exists() {
        fs::remove_dir_all(beside).map_err(write_error)?;
    }
    let unpacked = unpack_here(path, file, beside);
    if unpacked.is_ok() {
        disk::sync_tree(beside)
            .and_then(|()| move_into(beside, into))
            .map_err(write_error)?;
    }
    fs::remove_dir_all(beside).map_err(write_error)?;
    unpacked
}

/// Moves all that a folder holds into another one, whose names are then on the disk; files there are replaced, folders
/// joined.
fn move_into(from: &Path, into: &Path) -> io::Result<()> {
    fs::create_dir_all(into)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = into.join(entry.file_name());
        match entry.file_type()?.is_dir() && target.is_dir() && !target.is_symlink() {
            true => move_into(&entry.path(), &target)?,
            false => {
                // A link in this place is replaced, not followed.
                if target.is_symlink() {
                    fs::remove_file(&target)?;
                }
                fs::rename(entry.path(), &target)?;
            }
        }
    }
    disk::sync_folder(into)
}

fn unpack_here(path: &Path, file: &str, into: &Path) -> Result<(), FetchError> {
    let fail = |problem: String| FetchError::Archive {
        file: file.to_string(),
        problem,
    };
    let bytes = path
        .metadata()
        .map_err(|error| fail(error.to_string()))?
        .len();
    let limit = bytes
        .saturating_mul(MAX_EXPANSION)
        .saturating_add(EXPANSION_ALLOWANCE);
    fs::create_dir_all(into).map_err(|source| FetchError::Write {
        path: into.to_path_buf(),
        source,
    })?;
    if file.ends_with(".zip") {
        let archive = File::open(path).map_err(|error| fail(error.to_string()))?;
        let mut archive = zip::ZipArchive::new(archive).map_err(|error| fail(error.to_string()))?;
        let claimed = claimed_bytes(&mut archive).map_err(&fail)?;
        if claimed > limit {
            return Err(fail(too_large(claimed, limit)));
        }
        require_space(into, claimed, file)?;
        unzip(&mut archive, into, limit).map_err(fail)
    } else if file.ends_with(".tar.gz") {
        let archive = File::open(path).map_err(|error| fail(error.to_string()))?;
        untar(
            flate2::read::GzDecoder::new(io::BufReader::new(archive)),
            into,
            limit,
        )
        .map_err(fail)
    } else {
        let target = into.join(file);
        match target == path {
            true => Ok(()),
            false => fs::copy(path, &target)
                .and_then(|_| File::open(&target)?.sync_all())
                .map_err(|e| fail(e.to_string())),
        }
    }
}

fn claimed_bytes(archive: &mut zip::ZipArchive<File>) -> Result<u64, String> {
    if archive.len() > MAX_ENTRIES {
        return Err(format!("it has more than {MAX_ENTRIES} entries"));
    }
    let mut total: u64 = 0;
    for idx in 0..archive.len() {
        let entry = archive
            .by_index_raw(idx)
            .map_err(|error| error.to_string())?;
        total = total.saturating_add(entry.size());
    }
    Ok(total)
}

fn unzip(archive: &mut zip::ZipArchive<File>, into: &Path, limit: u64) -> Result<(), String> {
    let mut left = limit;
    for idx in 0..archive.len() {
        let mut entry = archive.by_index(idx).map_err(|error| error.to_string())?;
        let name = entry.name().to_string();
        let path = inside(&name)?;
        if entry.is_dir() {
            fs::create_dir_all(into.join(path)).map_err(|error| error.to_string())?;
        } else if entry.is_symlink() {
            return Err(format!("`{name}` is a link"));
        } else {
            write_entry(&mut entry, &into.join(path), &mut left, limit)?;
        }
    }
    Ok(())
}

fn untar(archive: impl Read, into: &Path, limit: u64) -> Result<(), String> {
    // The stream itself is limited too, since headers and padding pack well.
    let mut archive = tar::Archive::new(archive.take(limit.saturating_mul(2)));
    let mut left = limit;
    for (idx, entry) in archive
        .entries()
        .map_err(|error| error.to_string())?
        .enumerate()
    {
        if idx >= MAX_ENTRIES {
            return Err(format!("it has more than {MAX_ENTRIES} entries"));
        }
        let mut entry = entry.map_err(|error| error.to_string())?;
        let name = entry.path().map_err(|error| error.to_string())?;
        let name = name.to_string_lossy().into_owned();
        match entry.header().entry_type() {
            tar::EntryType::Directory => {
                let path = into.join(inside(&name)?);
                fs::create_dir_all(path).map_err(|error| error.to_string())?;
            }
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                write_entry(&mut entry, &into.join(inside(&name)?), &mut left, limit)?;
            }
            tar::EntryType::XGlobalHeader | tar::EntryType::XHeader => {}
            _ => return Err(format!("`{name}` is neither a file nor a folder")),
        }
    }
    Ok(())
}

/// The path of an entry, if it stays below the folder that is unpacked into.
fn inside(name: &str) -> Result<PathBuf, String> {
    let mut path = PathBuf::new();
    for component in Path::new(&name.replace('\\', "/")).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => return Err(format!("`{name}` leads out of the folder")),
        }
    }
    Ok(path)
}

/// Writes one file. Its real size counts, not the size it claims.
fn write_entry(
    entry: &mut impl Read,
    path: &Path,
    left: &mut u64,
    limit: u64,
) -> Result<(), String> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    }
    // A link in this place is replaced, not followed.
    if path.is_symlink() {
        fs::remove_file(path).map_err(|error| error.to_string())?;
    }
    let mut file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let copied = io::copy(&mut entry.take(*left + 1), &mut file).map_err(|e| e.to_string())?;
    if copied > *left {
        return Err(too_large(limit + 1, limit));
    }
    *left -= copied;
    file.flush().map_err(|error| error.to_string())
}

fn too_large(bytes: u64, limit: u64) -> String {
    format!(
        "it unpacks to {bytes} bytes or more; the limit is {limit}, {MAX_EXPANSION} times its size, enough for sound"
    )
}
