//! Folders of recordings whose names and places say what they are: DCASE, MIMII, MLPerf Tiny, or nothing at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    Clip, DataError, Dataset, Domain, Kind, Label, Source, Split, counted, dcase, first_few,
    folder_name, kind, mlperf, table,
};

/// Folders below the opened one that are looked into: `raw/<machine>/train/` is three.
const MAX_DEPTH: usize = 6;

/// Files and folders: far above any data set (DCASE 2020 has 54,000 clips); guards against opening a whole disk.
const MAX_ENTRIES: usize = 1_000_000;

/// The part of every section's normal clips that train where nothing else divides them, in percent.
const TRAIN_PERCENT: usize = 80;

/// Reads a folder without a manifest.
pub(super) fn open(root: &Path) -> Result<Dataset, DataError> {
    let name = folder_name(root);
    let read_error = |source| DataError::Read {
        path: root.to_path_buf(),
        source,
    };
    // The names of the folders above `root` count too: `root` may be <machine>/test.
    let canonical_root = root.canonicalize().map_err(read_error)?;
    let files = files_below(root)?;
    if files.is_empty() {
        let path = root.to_path_buf();
        return Err(DataError::Empty { path });
    }

    let mut found = Found::default();
    for file in &files {
        let place = Place::of(&canonical_root, &file.name);
        found.add(file, &place)?;
    }
    if found.rows.is_empty() && found.unusable.is_empty() {
        found.rows = unlabelled(&files, &name);
        if found.rows.is_empty() {
            let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
            return Err(DataError::Unrecognised {
                path: root.to_path_buf(),
                count: files.len(),
                examples: first_few(&names),
            });
        }
        let count = counted(found.rows.len(), "file");
        found.notes.push(format!(
            "no name says split, label or section: {count} taken as test clips without a label"
        ));
        return table(name, found.clips(), found.notes);
    }
    if found.rows.is_empty() {
        return Err(DataError::NoneUsable {
            path: root.to_path_buf(),
            examples: first_few(&found.unusable),
        });
    }

    found.prefer_renamed();
    found.add_attributes(root);
    found.divide_undivided();
    found.note_left_out();
    table(name, found.clips(), found.notes)
}

/// Reads a single recording: a test clip without a label.
pub(super) fn open_clip(path: &Path, size: u64) -> Result<Dataset, DataError> {
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let source = match kind(path, size) {
        Kind::Usable(source) => source,
        Kind::Unusable(reason) => {
            return Err(DataError::NoneUsable {
                path: path.to_path_buf(),
                examples: format!("{file_name} {reason}"),
            });
        }
        Kind::Unknown => {
            let path = path.to_path_buf();
            return Err(DataError::UnknownFile { path });
        }
    };
    let clip = unlabelled_clip(file_name.to_string(), source, "default");
    table(file_name.into_owned(), vec![clip], Vec::new())
}

/// A file below the opened folder.
struct File {
    path: PathBuf,
    /// Path from the opened folder, with `/`.
    name: String,
    size: u64,
}

/// What the folders above a file say.
struct Place {
    machine: String,
    /// The folder that is the machine's.
    machine_folder: PathBuf,
    split: Option<Split>,
    domain: Option<Domain>,
    /// MIMII only, where the folders say what elsewhere the file name says.
    section_and_label: Option<(String, Label)>,
}

impl Place {
    fn of(canonical_root: &Path, file_name: &str) -> Place {
        let path = canonical_root.join(file_name);
        let folder = path.parent().unwrap_or(canonical_root);
        let parent = folder.parent().unwrap_or(folder);
        let name = last_name(folder);
        let at = |machine_folder: &Path| Place {
            machine: last_name(machine_folder),
            machine_folder: machine_folder.to_path_buf(),
            split: None,
            domain: None,
            section_and_label: None,
        };
        let mimii_label = match name.as_str() {
            "normal" => Some(Label::Normal),
            "abnormal" => Some(Label::Anomaly),
            _ => None,
        };
        let section = last_name(parent);
        match (dcase::parse_folder(&name), mimii_label) {
            (Some((split, domain)), _) => Place {
                split: Some(split),
                domain,
                ..at(parent)
            },
            (None, Some(label)) if section.starts_with("id_") => Place {
                section_and_label: Some((section, label)),
                ..at(parent.parent().unwrap_or(parent))
            },
            _ => at(folder),
        }
    }
}

/// A clip of which the split may still be open.
struct Row {
    clip: Clip,
    split: Option<Split>,
}

/// Everything that one walk over the folder has found.
#[derive(Default)]
struct Found {
    rows: Vec<Row>,
    machine_folders: BTreeMap<String, PathBuf>,
    attribute_tables: Vec<PathBuf>,
    unusable: Vec<String>,
    unmatched: Vec<String>,
    contradictory: Vec<String>,
    notes: Vec<String>,
}

impl Found {
    fn add(&mut self, file: &File, place: &Place) -> Result<(), DataError> {
        let stem = file.path.file_stem().unwrap_or_default().to_string_lossy();
        if stem.starts_with("attributes_") && super::extension(&file.path) == "csv" {
            self.attribute_tables.push(file.path.clone());
            return Ok(());
        }
        let recording = match &place.section_and_label {
            Some((section, label)) => Some(dcase::Recording {
                section: section.clone(),
                domain: None,
                split: None,
                label: Some(*label),
                attributes: Vec::new(),
            }),
            None => dcase::parse_name(mlperf::recording(&stem)),
        };
        let (source, recording) = match (kind(&file.path, file.size), recording) {
            (Kind::Usable(source), Some(recording)) => (source, recording),
            (Kind::Unusable(reason), Some(_)) => {
                self.unusable.push(format!("{} {reason}", file.name));
                return Ok(());
            }
            _ => {
                self.unmatched.push(file.name.clone());
                return Ok(());
            }
        };
        if let (Some(said), Some(lies)) = (recording.split, place.split)
            && said != lies
        {
            self.contradictory.push(file.name.clone());
        }
        let split = place.split.or(recording.split);
        // A bare folder of the benchmark's features is called anything but the machine's name.
        let is_bare_features = matches!(source, Source::LogMelBin(_)) && place.split.is_none();
        let machine = if is_bare_features {
            mlperf::MACHINE.to_string()
        } else {
            place.machine.clone()
        };
        let folder = self
            .machine_folders
            .entry(machine.clone())
            .or_insert_with(|| place.machine_folder.clone());
        if *folder != place.machine_folder {
            return Err(DataError::TwoFolders {
                machine,
                first: folder.clone(),
                second: place.machine_folder.clone(),
            });
        }
        self.rows.push(Row {
            split,
            clip: Clip {
                name: file.name.clone(),
                source,
                split: split.unwrap_or(Split::Test),
                label: recording.label,
                machine,
                section: recording.section,
                domain: recording.domain.or(place.domain).unwrap_or(Domain::Source),
                attributes: recording.attributes,
            },
        });
        Ok(())
    }

    /// Drops a machine's evaluation files where their labelled copies stand in `test_rename` beside them.
    fn prefer_renamed(&mut self) {
        let is_in = |clip: &Clip, folder: &str| {
            let folders = clip
                .name
                .rsplit_once('/')
                .map_or("", |(folders, _)| folders);
            folders.rsplit('/').next() == Some(folder)
        };
        let renamed: BTreeSet<String> = self
            .rows
            .iter()
            .filter(|row| is_in(&row.clip, dcase::RENAMED_FOLDER))
            .map(|row| row.clip.machine.clone())
            .collect();
        let n_before = self.rows.len();
        self.rows.retain(|row| {
            row.clip.label.is_some()
                || !is_in(&row.clip, "test")
                || !renamed.contains(&row.clip.machine)
        });
        let n_dropped = n_before - self.rows.len();
        if n_dropped > 0 {
            self.notes.push(format!(
                "{} without a label left out, as test_rename holds labelled copies",
                counted(n_dropped, "test clip")
            ));
        }
    }

    /// Merges the attribute tables into the clips of their machine; a table knows more than a file name.
    fn add_attributes(&mut self, root: &Path) {
        for table_path in &self.attribute_tables {
            let shown = table_path.strip_prefix(root).unwrap_or(table_path);
            let parsed = fs::read(table_path)
                .map_err(|error| error.to_string())
                .and_then(|text| dcase::parse_attributes(&text));
            let attributes = match parsed {
                Ok(attributes) => attributes,
                Err(problem) => {
                    let shown = shown.display();
                    self.notes
                        .push(format!("attributes of `{shown}` left out: {problem}"));
                    continue;
                }
            };
            let folder = table_path.parent().unwrap_or(root);
            for row in &mut self.rows {
                let is_near = match &row.clip.source {
                    Source::Audio(path) | Source::LogMelBin(path) => path.starts_with(folder),
                    Source::Synthetic(_) => false,
                };
                if let Some(known) = attributes.get(row.clip.file_name())
                    && is_near
                {
                    merge(&mut row.clip.attributes, known);
                }
            }
        }
    }

    /// Divides the clips of which neither folder nor name says the split, and says so.
    fn divide_undivided(&mut self) {
        let mut sections: BTreeMap<(String, String), Vec<&mut Row>> = BTreeMap::new();
        for row in self.rows.iter_mut().filter(|row| row.split.is_none()) {
            if row.clip.label == Some(Label::Normal) {
                let key = (row.clip.machine.clone(), row.clip.section.clone());
                sections.entry(key).or_default().push(row);
            }
        }
        let is_divided = !sections.is_empty();
        for rows in sections.values_mut() {
            let n_train = rows.len() * TRAIN_PERCENT / 100;
            rows.sort_by(|a, b| a.clip.name.cmp(&b.clip.name));
            for row in &mut rows[..n_train] {
                row.clip.split = Split::Train;
            }
        }
        if is_divided {
            self.notes.push(format!(
                "neither folders nor names say what is for training: the first {TRAIN_PERCENT} % (by name) of every \
                 section's normal clips train, all others test; a split.csv there would say otherwise"
            ));
        }
    }

    fn note_left_out(&mut self) {
        let mut note = |names: &[String], what: &str| {
            if !names.is_empty() {
                let (count, few) = (counted(names.len(), "file"), first_few(names));
                self.notes.push(format!("{count} {what}: {few}"));
            }
        };
        note(&self.unmatched, "left out, named as in no known layout");
        note(&self.unusable, "left out, without usable content");
        note(
            &self.contradictory,
            "named for another split than their folder's; the folder counts",
        );
    }

    fn clips(&mut self) -> Vec<Clip> {
        self.rows.drain(..).map(|row| row.clip).collect()
    }
}

/// Adds what `known` says to the attributes of a file name, and lets it win.
fn merge(attributes: &mut Vec<(String, String)>, known: &[(String, String)]) {
    for (name, value) in known {
        match attributes.iter_mut().find(|(present, _)| present == name) {
            Some((_, present)) => present.clone_from(value),
            None => attributes.push((name.clone(), value.clone())),
        }
    }
}

/// All recordings directly in the folder, where no name means anything.
fn unlabelled(files: &[File], machine: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for file in files.iter().filter(|file| !file.name.contains('/')) {
        if let Kind::Usable(source) = kind(&file.path, file.size) {
            rows.push(Row {
                clip: unlabelled_clip(file.name.clone(), source, machine),
                split: Some(Split::Test),
            });
        }
    }
    rows
}

fn unlabelled_clip(name: String, source: Source, machine: &str) -> Clip {
    Clip {
        name,
        source,
        split: Split::Test,
        label: None,
        machine: machine.to_string(),
        section: "default".to_string(),
        domain: Domain::Source,
        attributes: Vec::new(),
    }
}

/// All files below `root` in the order of their names, without hidden ones and those that are not UTF-8.
fn files_below(root: &Path) -> Result<Vec<File>, DataError> {
    let mut files = Vec::new();
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
            let Some(file_name) = file_name.to_str().filter(|name| !name.starts_with('.')) else {
                continue;
            };
            let name = format!("{prefix}{file_name}");
            let path = entry.path();
            // A link to nowhere is no file.
            let Ok(metadata) = fs::metadata(&path) else {
                continue;
            };
            if metadata.is_dir() {
                if depth < MAX_DEPTH {
                    folders.push((path, format!("{name}/"), depth + 1));
                }
            } else {
                let size = metadata.len();
                files.push(File { path, name, size });
            }
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn last_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
