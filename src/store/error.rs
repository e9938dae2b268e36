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
    /// The name means no file to SQLite.
    #[error(
        "`{}` is no file: models lie beside a store, so it must be one; give a path such as runs/nas.sqlite", path.display()
    )]
    NoFile {
        /// What was given.
        path: PathBuf,
    },
    /// Another program kept the store locked for too long.
    #[error("the store `{path}` is locked by another program; wait for it to end, then try again")]
    Locked {
        /// The file of the store.
        path: PathBuf,
    },
    /// Another process is continuing the run.
    #[error("the run `{run}` is being continued by {}; wait for it to end or stop it", holder(*pid))]
    RunLocked {
        /// Name of the run.
        run: String,
        /// Its process id, where the lock says it.
        pid: Option<u32>,
    },
    /// The file is no sound SQLite database.
    #[error(
        "the store `{path}` is damaged ({reason}); restore a copy of it, or move it away and begin anew"
    )]
    Damaged {
        /// The file of the store.
        path: PathBuf,
        /// SQLite's words, or ours.
        reason: String,
    },
    /// The file is a SQLite database of another program.
    #[error("`{path}` is the database of another program; name another store")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of this program wrote the store.
    #[error(
        "the store `{path}` has version {found}, this program knows versions up to {known}; use a newer nas"
    )]
    NewerVersion {
        /// The file of the store.
        path: PathBuf,
        /// The schema version of the store.
        found: i64,
        /// The newest schema version that this program knows.
        known: i64,
    },
    /// A store of an older schema was opened for reading only.
    #[error(
        "the store `{path}` has the old version {found}, this program reads version {known}; open it for writing once"
    )]
    OlderVersion {
        /// The file of the store.
        path: PathBuf,
        /// The schema version of the store.
        found: i64,
        /// The schema version that this program needs.
        known: i64,
    },
    /// The disk was full when a row was written.
    #[error(
        "no space is left for the store `{path}`; everything recorded before is safe, make space and resume"
    )]
    DiskFull {
        /// The file of the store.
        path: PathBuf,
    },
    /// The store was opened for reading, and there is no file.
    #[error("there is no store at `{path}` yet; a search makes one")]
    Missing {
        /// Where the store would be.
        path: PathBuf,
    },
    /// The system refuses to open or write the file.
    #[error(
        "cannot open or write the store `{path}` ({reason}); check the permissions of the file and of its folder"
    )]
    Inaccessible {
        /// The file of the store.
        path: PathBuf,
        /// SQLite's words.
        reason: String,
    },
    /// A file or folder beside the store could not be used.
    #[error("cannot use `{path}`")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// No run has the name that was given.
    #[error("no run is called `{selector}`; {}", existing(runs))]
    UnknownRun {
        /// What the user wrote.
        selector: String,
        /// Names of the existing runs, newest first.
        runs: Vec<String>,
    },
    /// Several runs begin with what was given.
    #[error(
        "`{selector}` may be any of the runs {}; write more of its name",
        list(runs)
    )]
    AmbiguousRun {
        /// What the user wrote.
        selector: String,
        /// Names of the runs that begin so, newest first.
        runs: Vec<String>,
    },
    /// A new run got the name of an old one.
    #[error("a run called `{name}` exists already; choose another name or resume it")]
    RunExists {
        /// Name of the run.
        name: String,
    },
    /// The name of a new run has other characters or lengths than are allowed.
    #[error(
        "`{name}` cannot name a run; use 1 to 100 letters, digits, `-`, `_` and `.`, beginning with a letter or digit, and not `latest`, `cache` or `nas.sqlite`"
    )]
    BadRunName {
        /// The name that was given.
        name: String,
    },
    /// The trial has a row already.
    #[error("trial {number} is recorded already")]
    AlreadyRecorded {
        /// Number of the trial.
        number: i64,
    },
    /// A value to be recorded is NaN, which SQLite cannot keep.
    #[error("the {what} of trial {number} is not a number")]
    NotANumber {
        /// Number of the trial.
        number: i64,
        /// Name of the value.
        what: String,
    },
    /// A row broke a rule of the schema.
    #[error("the store `{path}` refuses a row ({reason})")]
    Refused {
        /// The file of the store.
        path: PathBuf,
        /// SQLite's words.
        reason: String,
    },
}

impl StoreError {
    /// Whether the store or the run is in use, or its file cannot be used; otherwise the request is at fault.
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
            // One of them is "no such table": the fixed queries meet it only in a damaged schema.
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

/// The first few names; a message must stay short.
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
