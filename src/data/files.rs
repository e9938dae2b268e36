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

/// A data set's folder, whose links may lead anywhere within it: the folder may come from anyone.
pub(super) struct Home(Option<PathBuf>);

impl Home {
    /// The folder, which may be a link itself; an empty path is the working directory.
    pub fn new(root: &Path) -> Home {
        let is_here = root.as_os_str().is_empty();
        let root = if is_here { Path::new(".") } else { root };
        Home(root.canonicalize().ok())
    }

    /// Why a file or folder is not opened, as it follows "because", where it is a link that leads out.
    pub fn refuses(&self, path: &Path) -> Option<String> {
        let leads_to = path.canonicalize().ok()?;
        let leads_out = !self
            .0
            .as_ref()
            .is_some_and(|home| leads_to.starts_with(home));
        leads_out.then(|| {
            format!(
                "it is a link out of the data set's folder, to {}; name that folder as data instead, or copy it",
                leads_to.display()
            )
        })
    }
}

/// All files below `root`, sorted by name, and what is none that can be read. Hidden files are not mentioned.
pub(super) fn files_below(root: &Path) -> Result<(Vec<File>, Vec<LeftOut>), DataError> {
    let (mut files, mut left_out) = (Vec::new(), Vec::new());
    let home = Home::new(root);
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
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            if let Some(reason) = is_link.then(|| home.refuses(&path)).flatten() {
                left_out.push(LeftOut::clip(&name, reason));
            } else if metadata.is_dir() {
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
