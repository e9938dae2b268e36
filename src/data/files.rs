//! Lists the files of a folder that may become clips.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Clip, DataError, LeftOut, Split};

/// How many levels of folders are searched; `raw/<machine>/train/` is three.
const MAX_DEPTH: usize = 6;

/// The most files and folders that are listed. It is far above any data set (DCASE 2020 has 54,000 clips), and keeps
/// `nas` from reading a whole disk.
const MAX_ENTRIES: usize = 1_000_000;

/// A file below the opened folder.
pub(super) struct File {
    /// Path of the file, for reading it.
    pub path: PathBuf,
    /// Path from the opened folder, with `/`.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
}

/// A clip whose split may still be undecided.
pub(super) struct Row {
    /// The clip; its own split holds only where `split` is set.
    pub clip: Clip,
    /// `None` where nothing says the split.
    pub split: Option<Split>,
}

/// All files below `root`, sorted by name, and what is none that can be read. Hidden files are not mentioned.
pub(super) fn files_below(root: &Path) -> Result<(Vec<File>, Vec<LeftOut>), DataError> {
    let (mut files, mut left_out) = (Vec::new(), Vec::new());
    let mut n_entries = 0;
    let mut folders = vec![(root.to_path_buf(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = folders.pop() {
        let read_error = |source: io::Error| DataError::Read {
            path: folder.clone(),
            source,
        };
        for entry in fs::read_dir(&folder).map_err(read_error)? {
            let entry = entry.map_err(read_error)?;
            n_entries += 1;
            if n_entries > MAX_ENTRIES {
                return Err(DataError::TooManyFiles {
                    path: root.to_path_buf(),
                    limit: MAX_ENTRIES,
                });
            }
            let file_name = entry.file_name();
            let name = format!("{prefix}{}", file_name.to_string_lossy());
            let Some(file_name) = file_name.to_str() else {
                left_out.push(LeftOut::clip(&name, "its name is not UTF-8"));
                continue;
            };
            if file_name.starts_with('.') {
                continue;
            }
            let path = entry.path();
            let Ok(metadata) = fs::metadata(&path) else {
                left_out.push(LeftOut::clip(&name, "it is a link to nowhere"));
                continue;
            };
            if metadata.is_dir() {
                match depth < MAX_DEPTH {
                    true => folders.push((path, format!("{name}/"), depth + 1)),
                    false => left_out.push(LeftOut::clip(
                        &name,
                        "it lies too deep below the opened folder",
                    )),
                }
            } else {
                let size = metadata.len();
                files.push(File { path, name, size });
            }
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    left_out.sort();
    Ok((files, left_out))
}

/// The last part of a path.
pub(super) fn last_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
