//! Recordings in no known layout: only the names of folders tell something.

use std::path::Path;

use super::{
    Clip, Domain, Kind, Label, Layout, LeftOut, Source, Split, counted,
    files::{File, Row},
    first_few, kind,
};

/// What the folders say about some files.
pub(super) struct Guess {
    /// How the folders are understood.
    pub layout: Layout,
    /// One row per recording.
    pub rows: Vec<Row>,
    /// Sentences for [`super::Dataset::notes`].
    pub notes: Vec<String>,
    /// Files that are no clips.
    pub left_out: Vec<LeftOut>,
}

/// Takes `normal` and `anomalous` folders as labels, other folders as classes, and loose files as unlabelled clips.
///
/// Folders `train` and `test` above or below them give the split. Loose files beside folders are left out, unless most
/// recordings are loose. The guess has no rows where no file is a recording.
pub(super) fn guess(root: &Path, files: &[File], name: &str) -> Guess {
    let mut found: Vec<(&File, Source, Hints)> = Vec::new();
    let mut left_out = Vec::new();
    for file in files {
        match kind(&file.path, file.size) {
            Kind::Usable(source) => {
                let hints = Hints::of(root, &file.name);
                match &hints.validation {
                    None => found.push((file, source, hints)),
                    Some(folder) => left_out.push(LeftOut::meant(
                        &file.name,
                        format!(
                            "a folder `{folder}` is neither `train` nor `test`: validation clips are drawn from those \
                             that train; a split.csv can use these"
                        ),
                    )),
                }
            }
            Kind::Unusable(reason) => {
                left_out.push(LeftOut::clip(&file.name, format!("it {reason}")));
            }
            Kind::Unknown => left_out.push(LeftOut::other_kind(&file.name)),
        }
    }
    let has_label = found.iter().any(|(_, _, hints)| hints.label.is_some());
    let loose = found.iter().filter(|(_, _, hints)| hints.folder.is_none());
    let layout = match (has_label, 2 * loose.count() < found.len()) {
        (true, _) => Layout::LabelledFolders,
        (false, true) => Layout::ClassFolders,
        (false, false) => Layout::Unlabelled,
    };
    let mut leave = |file: &File, reason: &str| left_out.push(LeftOut::clip(&file.name, reason));
    let mut folders: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    for (file, source, hints) in found {
        let (machine, section, label) = match layout {
            Layout::LabelledFolders => {
                let machine = hints.folder.clone().unwrap_or_else(|| name.to_string());
                (machine, "default".to_string(), hints.label)
            }
            Layout::ClassFolders => {
                let Some(class) = hints.folder.clone() else {
                    leave(
                        file,
                        "it lies beside the folders of classes, in none of them",
                    );
                    continue;
                };
                (name.to_string(), class, Some(Label::Normal))
            }
            _ if file.name.contains('/') && hints.split.is_none() => {
                leave(file, "it lies in a folder, and most recordings in none");
                continue;
            }
            _ => (name.to_string(), "default".to_string(), None),
        };
        if layout == Layout::LabelledFolders && label.is_none() && hints.split.is_none() {
            leave(
                file,
                "its folder is called neither `normal` nor `anomalous`",
            );
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
            "no known layout: every folder is taken as a class of normal sound (`:classes` behind the path tells them apart): {}",
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
    Guess {
        layout,
        rows,
        notes: vec![note],
        left_out,
    }
}

/// What the folders above a file say.
struct Hints {
    split: Option<Split>,
    label: Option<Label>,
    /// The innermost folder that is neither a label nor a split.
    folder: Option<String>,
    /// A folder of validation clips.
    validation: Option<String>,
}

impl Hints {
    fn of(root: &Path, name: &str) -> Hints {
        let mut hints = Hints {
            split: None,
            label: None,
            folder: None,
            validation: None,
        };
        // The opened folder may itself be `normal/`.
        let root = root.file_name().unwrap_or_default().to_string_lossy();
        let mut folders: Vec<&str> = name.split('/').collect();
        folders.pop();
        for folder in folders.iter().rev() {
            match (label(folder), split(folder)) {
                (Some(label), _) => hints.label = hints.label.or(Some(label)),
                (None, Some(split)) => hints.split = hints.split.or(Some(split)),
                (None, None) if is_validation(folder) => {
                    hints.validation = Some((*folder).to_string());
                }
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

fn is_validation(folder: &str) -> bool {
    let folder = folder.to_ascii_lowercase();
    ["val", "valid", "validation"].contains(&folder.as_str())
}

fn split(folder: &str) -> Option<Split> {
    match folder.to_ascii_lowercase().as_str() {
        "train" | "training" | "train_cut" => Some(Split::Train),
        "test" | "testing" | "test_cut" => Some(Split::Test),
        _ => None,
    }
}
