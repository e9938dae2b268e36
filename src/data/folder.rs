//! Folders of recordings whose names and places say what they are: DCASE, MIMII, ToyADMOS, MLPerf Tiny.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::{
    Clip, DataError, Dataset, Domain, Kind, Label, Layout, LeftOut, Source, Split, SplitBy,
    counted, dcase_names,
    files::{File, Row, files_below, last_name},
    first_few, folder_name, generic, kind, label_lists, mlperf, slices, table,
};

/// The part of every section's normal clips that train, in percent, where nothing else divides them.
const TRAIN_PERCENT: usize = 80;

/// The folder of DCASE 2025 with recordings of the clean machine or of noise alone.
const SUPPLEMENTAL: &str = "supplemental";

/// Reads a folder without a manifest.
pub(super) fn open(root: &Path, by: SplitBy) -> Result<Dataset, DataError> {
    let name = folder_name(root);
    let read_error = |source| DataError::Read {
        path: root.to_path_buf(),
        source,
    };
    // The folders above `root` count too, since `root` may be <machine>/test.
    let canonical_root = root.canonicalize().map_err(read_error)?;
    let (files, odd) = files_below(root)?;
    if files.is_empty() {
        let path = root.to_path_buf();
        return Err(DataError::Empty { path });
    }

    if let Some(dataset) = slices::open(root, &files, &odd, by) {
        return dataset;
    }

    let mut found = Found {
        left_out: odd,
        ..Found::default()
    };
    for file in &files {
        let place = Place::of(&canonical_root, &file.name);
        found.add(file, &place)?;
    }
    if found.rows.is_empty() && found.unusable.is_empty() {
        let guess = generic::guess(&canonical_root, &files, &name);
        if guess.rows.is_empty() {
            let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
            return Err(DataError::Unrecognised {
                path: root.to_path_buf(),
                count: files.len(),
                examples: first_few(&names),
            });
        }
        found.rows = guess.rows;
        found.notes = guess.notes;
        found.left_out.extend(guess.left_out);
        found.divide_undivided();
        return table(
            name,
            guess.layout,
            found.clips(),
            found.notes,
            found.left_out,
        );
    }
    if found.rows.is_empty() {
        return Err(DataError::NoneUsable {
            path: root.to_path_buf(),
            examples: first_few(&LeftOut::sentences(&found.unusable)),
        });
    }

    found.prefer_renamed();
    found.add_truth(root);
    found.add_attributes(root);
    found.apply_test_list();
    found.divide_undivided();
    found.note_left_out();
    let layout = found.layout();
    table(name, layout, found.clips(), found.notes, found.left_out)
}

/// Reads the features that MLPerf Tiny's `y_labels.csv` lists, from its folder and the folders below.
pub(super) fn open_test_list(path: &Path) -> Result<Dataset, DataError> {
    let canonical = path.canonicalize().map_err(|source| DataError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    open(canonical.parent().unwrap_or(path), SplitBy::Official)
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
    table(
        file_name.into_owned(),
        Layout::Unlabelled,
        vec![clip],
        Vec::new(),
        Vec::new(),
    )
}

/// What the folders above a file say.
struct Place {
    machine: String,
    /// The folder of the machine.
    machine_folder: PathBuf,
    split: Option<Split>,
    domain: Option<Domain>,
    /// Set in MIMII and ToyADMOS, whose folders say what file names say elsewhere.
    section_and_label: Option<(String, Label)>,
    layout: Option<Layout>,
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
            layout: None,
        };
        let toy_label = match name.as_str() {
            "NormalSound_IND" => Some(Label::Normal),
            "AnomalousSound_IND" => Some(Label::Anomaly),
            _ => None,
        };
        let mimii_label = match name.as_str() {
            "normal" => Some(Label::Normal),
            "abnormal" => Some(Label::Anomaly),
            _ => None,
        };
        let section = last_name(parent);
        match (dcase_names::parse_folder(&name), mimii_label, toy_label) {
            (Some((split, domain)), ..) => Place {
                split: Some(split),
                domain,
                ..at(parent)
            },
            (None, Some(label), _) if section.starts_with("id_") => Place {
                section_and_label: Some((section, label)),
                layout: Some(Layout::Mimii),
                ..at(parent.parent().unwrap_or(parent))
            },
            (None, None, Some(label)) if section.starts_with("case") => Place {
                section_and_label: Some((section, label)),
                layout: Some(Layout::ToyAdmos),
                ..at(parent.parent().unwrap_or(parent))
            },
            _ => at(folder),
        }
    }
}

impl Place {
    /// MIMII's signal-to-noise ratio (`-6_dB_fan/fan/id_00/normal`), or ToyADMOS's condition (`…_case1_ab01_IND_ch1_…`).
    fn attributes(&self, stem: &str) -> Vec<(String, String)> {
        let pair = |name: &str, value: &str| vec![(name.to_string(), value.to_string())];
        match self.layout {
            Some(Layout::Mimii) => {
                let above = self.machine_folder.parent().map(last_name);
                let snr = above.as_deref().and_then(|name| name.split_once("_dB"));
                snr.map_or(Vec::new(), |(snr, _)| pair("snr_db", snr))
            }
            Some(Layout::ToyAdmos) => {
                let condition = stem.split('_').nth(3).filter(|word| *word != "normal");
                condition.map_or(Vec::new(), |condition| pair("condition", condition))
            }
            _ => Vec::new(),
        }
    }
}

/// Clips that must lie in one folder.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    machine: String,
    section: String,
    split: Option<Split>,
}

/// Everything that one walk over the folder finds.
#[derive(Default)]
struct Found {
    rows: Vec<Row>,
    /// The folder of each machine, section and split.
    folders: BTreeMap<Group, PathBuf>,
    layouts: BTreeMap<&'static str, (usize, Layout)>,
    attribute_tables: Vec<PathBuf>,
    truth_lists: Vec<PathBuf>,
    test_list: Option<PathBuf>,
    /// Recordings of ToyADMOS's microphones 2 to 4.
    other_microphones: usize,
    unusable: Vec<LeftOut>,
    unmatched: Vec<LeftOut>,
    contradictory: Vec<String>,
    notes: Vec<String>,
    left_out: Vec<LeftOut>,
}

impl Found {
    fn add(&mut self, file: &File, place: &Place) -> Result<(), DataError> {
        let stem = file.path.file_stem().unwrap_or_default().to_string_lossy();
        if stem.starts_with("attributes_") && super::extension(&file.path) == "csv" {
            self.attribute_tables.push(file.path.clone());
            return Ok(());
        }
        if is_truth_list(&file.path) {
            self.truth_lists.push(file.path.clone());
            return Ok(());
        }
        if file
            .path
            .file_name()
            .is_some_and(|name| name == mlperf::TEST_LIST)
        {
            self.test_list = Some(file.path.clone());
            return Ok(());
        }
        if file
            .path
            .parent()
            .is_some_and(|folder| last_name(folder) == SUPPLEMENTAL)
        {
            let reason = "supplemental recordings, of the clean machine or of noise alone, neither train nor test";
            self.left_out.push(LeftOut::meant(&file.name, reason));
            return Ok(());
        }
        if place.layout == Some(Layout::ToyAdmos) && !stem.split('_').any(|word| word == "ch1") {
            self.other_microphones += 1;
            return Ok(());
        }
        let recording = match &place.section_and_label {
            Some((section, label)) => Some(dcase_names::Recording {
                section: section.clone(),
                domain: None,
                split: None,
                label: Some(*label),
                attributes: place.attributes(&stem),
            }),
            None => dcase_names::parse_name(mlperf::recording(&stem)),
        };
        let (source, recording) = match (kind(&file.path, file.size), recording) {
            (Kind::Usable(source), Some(recording)) => (source, recording),
            (Kind::Unusable(reason), Some(_)) => {
                let file = LeftOut::clip(&file.name, format!("it {reason}"));
                self.unusable.push(file);
                return Ok(());
            }
            (Kind::Unknown, _) => {
                self.unmatched.push(LeftOut::other_kind(&file.name));
                return Ok(());
            }
            (Kind::Usable(_) | Kind::Unusable(_), _) => {
                let reason = "no known layout has such names";
                self.unmatched.push(LeftOut::clip(&file.name, reason));
                return Ok(());
            }
        };
        if let (Some(said), Some(lies)) = (recording.split, place.split)
            && said != lies
        {
            self.contradictory.push(file.name.clone());
        }
        let split = place.split.or(recording.split);
        // A bare folder of the benchmark's features may have any name, and not the machine's.
        let is_bare_features = matches!(source, Source::LogMelBin(_)) && place.split.is_none();
        let machine = if is_bare_features {
            mlperf::MACHINE.to_string()
        } else {
            place.machine.clone()
        };
        let layout = match (place.layout, &source) {
            (Some(layout), _) => layout,
            (None, Source::LogMelBin(_)) => Layout::MlperfTiny,
            (None, _) if recording.section.starts_with("id_") => Layout::Dcase2020,
            (None, _) if place.domain.is_some() => Layout::Dcase2021,
            (None, _) => Layout::Dcase2022,
        };
        self.layouts.entry(layout.name()).or_insert((0, layout)).0 += 1;
        // Development and additional training sets share no section, so both may be opened at once.
        let is_2020 = |section: &str| section.starts_with("id_");
        let clashes = |other: &Group, folder: &Path| {
            other.machine == machine
                && folder != place.machine_folder
                && ((&other.section, other.split) == (&recording.section, split)
                    || is_2020(&other.section) != is_2020(&recording.section))
        };
        let clash = self
            .folders
            .iter()
            .find(|(other, folder)| clashes(other, folder));
        if let Some((_, first)) = clash {
            return Err(DataError::TwoFolders {
                machine,
                first: first.clone(),
                second: place.machine_folder.clone(),
            });
        }
        let group = Group {
            machine: machine.clone(),
            section: recording.section.clone(),
            split,
        };
        self.folders
            .entry(group)
            .or_insert_with(|| place.machine_folder.clone());
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

    /// Drops a machine's evaluation files where `test_rename` beside them holds labelled copies.
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
            .filter(|row| is_in(&row.clip, dcase_names::RENAMED_FOLDER))
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
                "{} without a label left out: test_rename holds labelled copies",
                counted(n_dropped, "test clip")
            ));
        }
    }

    /// Adds labels, domains and attributes from lists beside the data, for test clips whose names do not say them.
    fn add_truth(&mut self, root: &Path) {
        let mut lists = std::mem::take(&mut self.truth_lists);
        if let Some(beside) = root.canonicalize().ok().as_deref().and_then(Path::parent) {
            let entries = fs::read_dir(beside).into_iter().flatten().flatten();
            let mut more: Vec<PathBuf> = entries
                .map(|entry| entry.path())
                .filter(|path| is_truth_list(path))
                .collect();
            more.sort();
            lists.extend(more);
        }
        if lists.is_empty() {
            return;
        }
        let mut truth = label_lists::Truth::default();
        for list in &lists {
            let stem = list.file_stem().unwrap_or_default().to_string_lossy();
            let is_domain = list
                .parent()
                .is_some_and(|folder| last_name(folder) == "ground_truth_domain");
            let read = fs::read(list).map_err(|error| error.to_string());
            let added = read.and_then(|text| match stem.starts_with("ground_truth_") {
                true => truth.add_ground_truth(&stem, is_domain, &text),
                false => truth.add_list(&text),
            });
            if let Err(problem) = added {
                let shown = list.strip_prefix(root).unwrap_or(list).display();
                self.notes
                    .push(format!("list `{shown}` left out: {problem}"));
            }
        }
        let mut n_labelled = 0;
        for row in self.rows.iter_mut().filter(|row| row.clip.label.is_none()) {
            let clip = &mut row.clip;
            let key = (clip.machine.clone(), clip.file_name().to_string());
            if let Some(known) = truth.recordings.get(&key) {
                clip.label = known.label;
                clip.domain = known.domain.unwrap_or(clip.domain);
                merge(&mut clip.attributes, &known.attributes);
            }
            clip.label = truth.labels.get(&key).copied().or(clip.label);
            if let Some(is_target) = truth.targets.get(&key) {
                clip.domain = match is_target {
                    true => Domain::Target,
                    false => Domain::Source,
                };
            }
            n_labelled += usize::from(clip.label.is_some());
        }
        let count = counted(n_labelled, "test clip");
        self.notes
            .push(format!("labels of {count} come from lists beside the data"));
    }

    /// Makes the clips of MLPerf Tiny's official list the test clips; other normal clips train.
    fn apply_test_list(&mut self) {
        let Some(path) = &self.test_list else { return };
        let parsed = fs::read(path)
            .map_err(|error| error.to_string())
            .and_then(|text| label_lists::parse_y_labels(&text));
        let labels = match parsed {
            Ok(labels) => labels,
            Err(problem) => {
                self.notes
                    .push(format!("{} left out: {problem}", mlperf::TEST_LIST));
                return;
            }
        };
        let n_before = self.rows.len();
        self.rows.retain(|row| {
            labels.contains_key(row.clip.file_name()) || row.clip.label == Some(Label::Normal)
        });
        let mut n_tests = 0;
        for row in &mut self.rows {
            let listed = labels.get(row.clip.file_name());
            let split = if listed.is_some() {
                Split::Test
            } else {
                Split::Train
            };
            row.clip.label = listed.copied().or(row.clip.label);
            row.clip.split = split;
            row.split = Some(split);
            n_tests += usize::from(listed.is_some());
        }
        self.notes.push(format!(
            "{}: {n_tests} of its {} clips are here and test, other normal clips train, {} left out",
            mlperf::TEST_LIST,
            labels.len(),
            counted(n_before - self.rows.len(), "unlisted anomalous clip")
        ));
    }

    /// The layout of most clips.
    fn layout(&self) -> Layout {
        let most = self.layouts.values().max_by_key(|(count, _)| *count);
        most.map_or(Layout::Unlabelled, |(_, layout)| *layout)
    }

    /// Merges the attribute tables into the clips of their machine. A table knows more than a file name.
    fn add_attributes(&mut self, root: &Path) {
        for table_path in &self.attribute_tables {
            let shown = table_path.strip_prefix(root).unwrap_or(table_path);
            let parsed = fs::read(table_path)
                .map_err(|error| error.to_string())
                .and_then(|text| dcase_names::parse_attributes(&text));
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
                    Source::Synthetic(_) | Source::Disturbed(_) => false,
                };
                if let Some(known) = attributes.get(row.clip.file_name())
                    && is_near
                {
                    merge(&mut row.clip.attributes, known);
                }
            }
        }
    }

    /// Divides clips whose folder and name do not say the split, and adds a note.
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
                "folders and names do not say which clips train: the first {TRAIN_PERCENT} % (by name) of every \
                 section's normal clips train, all others test; a split.csv in that folder can say otherwise"
            ));
        }
    }

    fn note_left_out(&mut self) {
        if self.other_microphones > 0 {
            self.notes.push(format!(
                "{} of microphones 2 to 4 left out: they heard the same as the first",
                counted(self.other_microphones, "recording")
            ));
        }
        if !self.contradictory.is_empty() {
            let (count, few) = (
                counted(self.contradictory.len(), "file"),
                first_few(&self.contradictory),
            );
            self.notes.push(format!(
                "{count} whose name and folder say different splits; the folder counts: {few}"
            ));
        }
        self.left_out.append(&mut self.unmatched);
        self.left_out.append(&mut self.unusable);
    }

    fn clips(&mut self) -> Vec<Clip> {
        self.rows.drain(..).map(|row| row.clip).collect()
    }
}

/// Adds the values in `known` to the attributes of a file name, replacing those already there.
fn merge(attributes: &mut Vec<(String, String)>, known: &[(String, String)]) {
    for (name, value) in known {
        match attributes.iter_mut().find(|(present, _)| present == name) {
            Some((_, present)) => present.clone_from(value),
            None => attributes.push((name.clone(), value.clone())),
        }
    }
}

/// Whether a file is a list of DCASE that says what the clips of an evaluation set are.
fn is_truth_list(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let is_named_so = stem.starts_with("eval_data_list") || stem.starts_with("ground_truth_");
    is_named_so && super::extension(path) == "csv"
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
