//! Recordings in no known layout: only the names of folders tell something.

use std::path::Path;

use super::{
    Clip, Domain, Kind, Label, Layout, Source, Split, counted,
    files::{File, Row},
    first_few, kind,
};

/// What the folders say about some files.
pub(super) struct Guess {
    /// How the folders are understood.
    pub layout: Layout,
    /// One row per recording.
    pub rows: Vec<Row>,
    /// A sentence for [`super::Dataset::notes`].
    pub note: String,
}

/// Takes `normal` and `anomalous` folders as labels, other folders as classes, and loose files as unlabelled clips.
///
/// Folders `train` and `test` above or below them give the split. Where loose files lie beside such folders, only the
/// loose files count. The guess has no rows where no file is a recording.
pub(super) fn guess(root: &Path, files: &[File], name: &str) -> Guess {
    let mut found: Vec<(&File, Source, Hints)> = Vec::new();
    for file in files {
        if let Kind::Usable(source) = kind(&file.path, file.size) {
            found.push((file, source, Hints::of(root, &file.name)));
        }
    }
    let has_label = found.iter().any(|(_, _, hints)| hints.label.is_some());
    let has_loose = found.iter().any(|(_, _, hints)| hints.folder.is_none());
    let layout = match (has_label, has_loose) {
        (true, _) => Layout::LabelledFolders,
        (false, false) => Layout::ClassFolders,
        (false, true) => Layout::Unlabelled,
    };
    let mut folders: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    for (file, source, hints) in found {
        let (machine, section, label) = match layout {
            Layout::LabelledFolders => {
                let machine = hints.folder.clone().unwrap_or_else(|| name.to_string());
                (machine, "default".to_string(), hints.label)
            }
            Layout::ClassFolders => {
                let class = hints.folder.clone().unwrap_or_default();
                (name.to_string(), class, Some(Label::Normal))
            }
            _ if file.name.contains('/') && hints.split.is_none() => continue,
            _ => (name.to_string(), "default".to_string(), None),
        };
        if layout == Layout::LabelledFolders && label.is_none() && hints.split.is_none() {
            continue;
        }
        if let Some(folder) = hints.folder
            && !folders.contains(&folder)
        {
            folders.push(folder);
        }
        let split = match layout {
            Layout::Unlabelled => Some(hints.split.unwrap_or(Split::Test)),
            _ => hints.split,
        };
        rows.push(Row {
            split,
            clip: Clip {
                name: file.name.clone(),
                source,
                split: split.unwrap_or(Split::Test),
                label,
                machine,
                section,
                domain: Domain::Source,
                attributes: Vec::new(),
            },
        });
    }
    let count = counted(rows.len(), "file");
    let note = match layout {
        Layout::ClassFolders => format!(
            "no known layout: every folder is taken as a class of normal sound: {}",
            first_few(&folders)
        ),
        Layout::LabelledFolders => {
            format!("no known layout: folders say which of {count} are normal and which are not")
        }
        _ => {
            format!(
                "no name says split, label or section: {count} taken as test clips without a label"
            )
        }
    };
    Guess { layout, rows, note }
}

/// What the folders above a file say.
struct Hints {
    split: Option<Split>,
    label: Option<Label>,
    /// The innermost folder that is neither a label nor a split.
    folder: Option<String>,
}

impl Hints {
    fn of(root: &Path, name: &str) -> Hints {
        let mut hints = Hints {
            split: None,
            label: None,
            folder: None,
        };
        // The opened folder may itself be `normal/`.
        let root = root.file_name().unwrap_or_default().to_string_lossy();
        let mut folders: Vec<&str> = name.split('/').collect();
        folders.pop();
        for folder in folders.iter().rev() {
            match (label(folder), split(folder)) {
                (Some(label), _) => hints.label = hints.label.or(Some(label)),
                (None, Some(split)) => hints.split = hints.split.or(Some(split)),
                (None, None) => {
                    hints.folder = hints.folder.or(Some((*folder).to_string()));
                }
            }
        }
        hints.label = hints.label.or(label(&root));
        hints.split = hints.split.or(split(&root));
        hints
    }
}

/// The label that a folder's name means, in upper or lower case.
fn label(folder: &str) -> Option<Label> {
    match folder.to_ascii_lowercase().as_str() {
        "normal" | "normals" => Some(Label::Normal),
        "anomaly" | "anomalies" | "anomalous" | "abnormal" => Some(Label::Anomaly),
        _ => None,
    }
}

fn split(folder: &str) -> Option<Split> {
    match folder.to_ascii_lowercase().as_str() {
        "train" | "training" => Some(Split::Train),
        "test" | "testing" => Some(Split::Test),
        _ => None,
    }
}
