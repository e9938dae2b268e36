//! What can go wrong with a store.

use std::{
    io,
    path::{Path, PathBuf},
};

use rusqlite::{Error as Sqlite, ErrorCode};

/// A store that cannot do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("the store `{path}` is locked by another program; wait for it to end, then try again")]
    Locked { path: PathBuf },
    #[error("the run `{run}` is being continued by {}; wait for it to end or stop it", holder(*pid))]
    RunLocked { run: String, pid: Option<u32> },
    #[error(
        "the store `{path}` is damaged ({reason}); restore a copy of it, or move it away and begin anew"
    )]
    Damaged { path: PathBuf, reason: String },
    #[error("`{path}` is the database of another program; name another store")]
    Foreign { path: PathBuf },
    #[error(
        "the store `{path}` has version {found}, this program knows versions up to {known}; use a newer nas"
    )]
    NewerVersion {
        path: PathBuf,
        found: i64,
        known: i64,
    },
    #[error(
        "the store `{path}` has the old version {found}, and only writing to it brings it to {known}; open it writable once"
    )]
    OlderVersion {
        path: PathBuf,
        found: i64,
        known: i64,
    },
    #[error(
        "no space is left for the store `{path}`; everything recorded before is safe, make space and resume"
    )]
    DiskFull { path: PathBuf },
    #[error("there is no store at `{path}` yet; a search makes one")]
    Missing { path: PathBuf },
    #[error(
        "cannot open or write the store `{path}` ({reason}); check the permissions of the file and of its folder"
    )]
    Inaccessible { path: PathBuf, reason: String },
    #[error("cannot use `{path}`")]
    Io { path: PathBuf, source: io::Error },
    #[error("no run is called `{selector}`; {}", existing(runs))]
    UnknownRun {
        selector: String,
        /// Names of the existing runs, newest first.
        runs: Vec<String>,
    },
    #[error(
        "`{selector}` may be any of the runs {}; write more of its name",
        list(runs)
    )]
    AmbiguousRun {
        selector: String,
        /// Names of the runs that begin so, newest first.
        runs: Vec<String>,
    },
    #[error("a run called `{name}` exists already; choose another name or resume it")]
    RunExists { name: String },
    #[error(
        "`{name}` cannot name a run; use 1 to 100 letters, digits, `-`, `_` and `.`, beginning with a letter or digit, and not `latest`"
    )]
    BadRunName { name: String },
    #[error("trial {number} is recorded already")]
    AlreadyRecorded { number: i64 },
    #[error("the {what} of trial {number} is not a number")]
    NotANumber { number: i64, what: String },
    #[error("the store `{path}` refuses a row ({reason})")]
    Refused { path: PathBuf, reason: String },
}

impl StoreError {
    /// Is the store (or the run) in use, or its file unusable, rather than the request wrong?
    pub fn is_locked_or_damaged(&self) -> bool {
        matches!(
            self,
            StoreError::Locked { .. }
                | StoreError::RunLocked { .. }
                | StoreError::Damaged { .. }
                | StoreError::Foreign { .. }
        )
    }

    /// What SQLite's error means for the store at `path`.
    pub(super) fn from_sqlite(path: &Path, error: Sqlite) -> StoreError {
        let reason = error.to_string();
        let path = path.to_path_buf();
        let failure = match error {
            Sqlite::SqliteFailure(failure, _) => failure,
            Sqlite::NulError(_) | Sqlite::InvalidPath(_) => {
                return StoreError::Inaccessible { path, reason };
            }
            // All queries are fixed, so rows of an unexpected shape can only come from the file.
            _ => return StoreError::Damaged { path, reason },
        };
        match failure.code {
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Locked { path },
            ErrorCode::DiskFull => StoreError::DiskFull { path },
            ErrorCode::ConstraintViolation => StoreError::Refused { path, reason },
            ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::SystemIoFailure
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed => StoreError::Inaccessible { path, reason },
            // Among them "no such table", which the fixed queries meet only in a damaged schema.
            _ => StoreError::Damaged { path, reason },
        }
    }
}

fn holder(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_string(),
    }
}

fn existing(runs: &[String]) -> String {
    match runs {
        [] => "the store has no runs yet".to_string(),
        _ => format!("there are {}", list(runs)),
    }
}

/// The first few names, so that a message stays a message.
fn list(runs: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = runs
        .iter()
        .take(SHOWN)
        .map(|run| format!("`{run}`"))
        .collect();
    match runs.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
