//! The lock of a run: one coordinator at a time.

use std::{
    fs::{File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::Path,
    thread,
    time::Duration,
};

use super::StoreError;
use crate::disk;

/// The right to add trials to a run, held until dropped.
///
/// It is an advisory lock of the operating system on `<run folder>/lock`. It ends with the process, even if that is
/// killed. The file stays, and holds the process id of the latest holder.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Takes the lock of the run whose folder is `dir` (made if missing), without waiting.
    pub fn acquire(dir: &Path) -> Result<RunLock, StoreError> {
        let path = dir.join("lock");
        let io = |source| StoreError::Io {
            path: path.clone(),
            source,
        };
        disk::make_folder(dir).map_err(io)?;
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io)?;
        match try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                // The holder may be between locking and writing, or the platform may forbid reading.
                let mut text = String::new();
                let _ = file.take(20).read_to_string(&mut text);
                return Err(StoreError::RunLocked {
                    run: dir
                        .file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned(),
                    pid: text.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        file.set_len(0).map_err(io)?;
        file.rewind().map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        disk::sweep(dir).map_err(io)?;
        Ok(RunLock { _file: file })
    }

    /// Whether a process holds the lock of the run whose folder is `dir`.
    pub fn is_held(dir: &Path) -> bool {
        let file = File::open(dir.join("lock"));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

/// Takes the lock. Who only asks whether it is held, holds it for a moment, and is waited for.
fn try_lock(file: &File) -> Result<(), TryLockError> {
    const ATTEMPTS: u32 = 5;
    const PAUSE: Duration = Duration::from_millis(10);
    for _ in 1..ATTEMPTS {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            result => return result,
        }
    }
    file.try_lock()
}
