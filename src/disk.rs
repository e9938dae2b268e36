//! Files that appear whole or not at all.
//!
//! This module knows no formats.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

/// Writes a file beside `path` and then gives it that name, so that a reader never sees half a file. The folder is made
/// where it is missing.
///
/// After a power cut the file may be missing or empty; [`write_synced`] is for files that must not.
pub fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let folder = folder_of(path);
    make_folder(folder)?;
    let mut file = builder().tempfile_in(folder)?;
    write(file.as_file_mut())?;
    file.persist(path)?;
    Ok(())
}

/// Makes a folder where it is missing, and those around it. Their names are on the disk when this returns.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let around = folder_of(folder);
    make_folder(around)?;
    match fs::create_dir(folder) {
        // Another process was faster.
        Err(_) if folder.is_dir() => Ok(()),
        result => result.and_then(|()| sync_folder(around)),
    }
}

/// Copies a file whole, to the disk.
pub fn copy_synced(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = File::open(from)?;
    replace(to, |file| {
        io::copy(&mut from, file)?;
        file.sync_all()
    })
}

/// As [`replace`], for bytes that are to be on the disk before this returns. Their name is, after [`sync_folder`].
pub fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, |file| {
        file.write_all(bytes)?;
        file.sync_all()
    })
}

/// Removes what a killed process left of [`replace`] in a folder and in the folders below it. Only its owner may call this.
pub fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        match entry.file_type()? {
            kind if kind.is_dir() => sweep(&entry.path())?,
            kind if kind.is_file() && is_temporary(&name) => {
                fs::remove_file(entry.path())?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes what killed processes left of [`replace`] in a folder, not below it, where nobody wrote to it for so long.
pub fn sweep_idle(folder: &Path, idle: Duration) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let is_left = metadata.is_file() && is_temporary(&entry.file_name());
        // A clock that was set back makes files of the future, which are left alone.
        if is_left && metadata.modified()?.elapsed().is_ok_and(|age| age >= idle) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes a folder with all that is in it, except some folders below it. Links are removed, not followed.
pub fn remove_all_but(folder: &Path, kept: &[PathBuf]) -> io::Result<()> {
    if !kept.iter().any(|kept| kept.starts_with(folder)) {
        return fs::remove_dir_all(folder);
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        match entry.file_type()?.is_dir() {
            _ if kept.contains(&path) => {}
            true => remove_all_but(&path, kept)?,
            false => fs::remove_file(path)?,
        }
    }
    Ok(())
}

/// The beginning of a temporary file's name.
const PREFIX: &str = ".tmp-nas-";

/// Whether a file was left by a killed process, or is being written.
pub fn is_temporary(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with(PREFIX)
}

/// Brings a folder's names to the disk, once after all its files. Windows has no such call, and needs none.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Brings all files in a folder and below, and the names of all folders, to the disk.
pub fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => sync_tree(&entry.path())?,
            kind if kind.is_file() => File::open(entry.path())?.sync_all()?,
            _ => {}
        }
    }
    sync_folder(folder)
}

/// Fills a buffer from a place in a file, whatever other threads read of it.
pub fn read_at(file: &File, bytes: &mut [u8], start: u64) -> io::Result<()> {
    #[cfg(unix)]
    {
        std::os::unix::fs::FileExt::read_exact_at(file, bytes, start)
    }
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < bytes.len() {
            let read = std::os::windows::fs::FileExt::seek_read(
                file,
                &mut bytes[done..],
                start + done as u64,
            )?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            done += read;
        }
        Ok(())
    }
}

/// Bytes that may be written where a folder is or will be made; `None` where the system does not say.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let folder = std::path::absolute(folder).ok()?;
    let there = folder.ancestors().find(|folder| folder.exists())?;
    fs4::available_space(there).ok()
}

/// Bytes of memory that this process may use: the machine's, or those of its container; `None` where nothing says.
pub fn memory_bytes() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    });
    let container = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(container).min()
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Temporary files are their owner's alone by default. These become files like all others, and the umask decides.
fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/here.bin");
        write_synced(&path, b"first").unwrap();
        let fails = |file: &mut File| {
            file.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        };
        assert!(replace(&path, fails).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"first");
        let names = fs::read_dir(path.parent().unwrap()).unwrap();
        assert_eq!(names.count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_a_killed_process_left_goes() {
        let folder = tempfile::tempdir().unwrap();
        let [left, kept] =
            ["17/.tmp-nas-AbCd", "17/model.nas"].map(|name| folder.path().join(name));
        for path in [&left, &kept] {
            write_synced(path, b"").unwrap();
        }
        sweep(folder.path()).unwrap();
        assert_eq!((left.exists(), kept.exists()), (false, true));
        // Of others it goes when nobody writes to it.
        write_synced(&left, b"").unwrap();
        let idle = |seconds| sweep_idle(left.parent().unwrap(), Duration::from_secs(seconds));
        idle(3600).unwrap();
        assert!(left.exists());
        idle(0).unwrap();
        assert_eq!((left.exists(), kept.exists()), (false, true));
    }

    #[cfg(unix)]
    #[test]
    fn it_has_the_mode_of_other_files() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let [ours, plain] = ["ours", "plain"].map(|name| folder.path().join(name));
        write_synced(&ours, b"").unwrap();
        fs::write(&plain, b"").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }
}
