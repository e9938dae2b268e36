//! Sets of slices in official folds: UrbanSound8K and ESC-50.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::{
    Clip, DataError, Dataset, Domain, Kind, Label, Layout, LeftOut, Source, Split, SplitBy,
    files::File, first_few, folds, kind, table,
};

/// UrbanSound8K's classes by number, and whether each is an event to notice.
///
/// A published detector for sensor networks divides background and events in this way; the division gives the counts of
/// clips in that paper.
const URBAN_CLASSES: [(&str, Label); 10] = [
    ("air_conditioner", Label::Normal),
    ("car_horn", Label::Anomaly),
    ("children_playing", Label::Normal),
    ("dog_bark", Label::Anomaly),
    ("drilling", Label::Anomaly),
    ("engine_idling", Label::Normal),
    ("gun_shot", Label::Anomaly),
    ("jackhammer", Label::Anomaly),
    ("siren", Label::Anomaly),
    ("street_music", Label::Normal),
];

/// Reads a folder of UrbanSound8K or ESC-50; `None` where the files are neither.
pub(super) fn open(
    root: &Path,
    files: &[File],
    odd: &[LeftOut],
    by: SplitBy,
) -> Option<Result<Dataset, DataError>> {
    let of = |read: fn(&File) -> Option<Slice>| -> Vec<(&File, Slice)> {
        let read = |file| Some((file, read(file)?));
        files.iter().filter_map(read).collect()
    };
    let urban = of(urban_slice);
    let (layout, slices) = match urban.is_empty() {
        false => (Layout::UrbanSound8k, urban),
        true => (Layout::Esc50, of(esc_slice)),
    };
    (!slices.is_empty()).then(|| read(root, files, odd, slices, layout, by))
}

/// Keeps the part of ESC-50 that is published as ESC-10.
pub(super) fn esc10(dataset: Dataset, by: SplitBy) -> Result<Dataset, DataError> {
    let is_in = |clip: &Clip| clip.attribute(ESC10) == Some("True");
    let mut clips: Vec<Clip> = dataset.clips.into_iter().filter(is_in).collect();
    if clips.is_empty() {
        return Err(DataError::NoEsc10 { name: dataset.name });
    }
    let mut notes = Vec::new();
    folds::split(&mut clips, by, &mut notes)?;
    table(
        "ESC-10".to_string(),
        dataset.layout,
        clips,
        notes,
        dataset.left_out,
    )
}

/// The column that says which clips are ESC-10.
const ESC10: &str = "esc10";

/// What the path and name of a slice say.
struct Slice {
    fold: u32,
    recording: String,
    class: Class,
}

enum Class {
    Urban(usize),
    /// A class of ESC-50 by number; its table gives the name.
    Esc(u32),
}

/// Reads `fold3/<fsID>-<classID>-<occurrence>-<slice>.wav`.
fn urban_slice(file: &File) -> Option<Slice> {
    let (folders, name) = file.name.rsplit_once('/')?;
    let fold = folders.rsplit('/').next()?.strip_prefix("fold")?;
    let parts: Vec<&str> = stem(name)?.split('-').collect();
    let [recording, class, occurrence, slice] = parts[..] else {
        return None;
    };
    let numbers = [recording, class, occurrence, slice];
    if !numbers.iter().all(|part| is_number(part)) {
        return None;
    }
    let class = class.parse().ok().filter(|c| *c < URBAN_CLASSES.len())?;
    Some(Slice {
        fold: fold.parse().ok()?,
        recording: recording.to_string(),
        class: Class::Urban(class),
    })
}

/// Reads `<fold>-<clipID>-<take>-<target>.wav`. The takes A, B, … were cut from one clip.
fn esc_slice(file: &File) -> Option<Slice> {
    let name = file.name.rsplit('/').next()?;
    let parts: Vec<&str> = stem(name)?.split('-').collect();
    let [fold, recording, take, target] = parts[..] else {
        return None;
    };
    let is_take = take.len() == 1 && take.bytes().all(|byte| byte.is_ascii_uppercase());
    if !is_take || !is_number(recording) {
        return None;
    }
    Some(Slice {
        fold: fold.parse().ok().filter(|fold| (1..=5).contains(fold))?,
        recording: recording.to_string(),
        class: Class::Esc(target.parse().ok().filter(|target| *target < 50)?),
    })
}

fn read(
    root: &Path,
    files: &[File],
    odd: &[LeftOut],
    slices: Vec<(&File, Slice)>,
    layout: Layout,
    by: SplitBy,
) -> Result<Dataset, DataError> {
    let mut notes = Vec::new();
    let rows = metadata(files, layout, &mut notes);
    let mut clips = Vec::with_capacity(slices.len());
    let mut left_out = odd.to_vec();
    let own: BTreeSet<&str> = slices.iter().map(|(file, _)| file.name.as_str()).collect();
    let others = files
        .iter()
        .filter(|file| !own.contains(file.name.as_str()));
    left_out.extend(others.filter_map(|file| match kind(&file.path, file.size) {
        Kind::Usable(_) | Kind::Unusable(_) => {
            let reason = format!("{} has no such names", layout.name());
            Some(LeftOut::clip(&file.name, reason))
        }
        // Tables and licences belong to the set.
        Kind::Unknown => Some(LeftOut::other_kind(&file.name)).filter(|file| file.is_clip),
    }));
    for (file, slice) in slices {
        match kind(&file.path, file.size) {
            Kind::Usable(source) => {
                let row = rows.get(file.name.rsplit('/').next().unwrap_or_default());
                clips.push(clip(file, source, &slice, row, layout));
            }
            Kind::Unusable(reason) => {
                left_out.push(LeftOut::clip(&file.name, format!("it {reason}")));
            }
            Kind::Unknown => {}
        }
    }
    if clips.is_empty() {
        return Err(DataError::NoneUsable {
            path: root.to_path_buf(),
            examples: first_few(&LeftOut::sentences(&left_out)),
        });
    }
    if rows.len() > clips.len() {
        let (there, listed) = (clips.len(), rows.len());
        notes.push(format!(
            "{there} of the {listed} slices in the set's table are here"
        ));
    }
    folds::split(&mut clips, by, &mut notes)?;
    table(super::folder_name(root), layout, clips, notes, left_out)
}

fn clip(file: &File, source: Source, slice: &Slice, row: Option<&Row>, layout: Layout) -> Clip {
    let (class, section, label) = match slice.class {
        Class::Urban(class) => {
            let (name, label) = URBAN_CLASSES[class];
            (name.to_string(), "default".to_string(), label)
        }
        Class::Esc(target) => {
            let listed = row.and_then(|row| row.get("category"));
            let name = listed.map_or(format!("class_{target:02}"), Clone::clone);
            (name.clone(), name, Label::Normal)
        }
    };
    let mut attributes = vec![
        (folds::FOLD.to_string(), slice.fold.to_string()),
        (folds::CLASS.to_string(), class),
        (Clip::RECORDING.to_string(), slice.recording.clone()),
    ];
    for column in ["salience", ESC10] {
        if let Some(value) = row.and_then(|row| row.get(column)) {
            attributes.push((column.to_string(), value.clone()));
        }
    }
    Clip {
        name: file.name.clone(),
        source,
        split: Split::Train,
        label: Some(label),
        machine: layout.name().to_string(),
        section,
        domain: Domain::Source,
        attributes,
    }
}

/// The columns of one line of a set's table.
type Row = BTreeMap<String, String>;

/// The lines of `UrbanSound8K.csv` or `esc50.csv` by file name. Where the table is missing or broken there are none,
/// and a note says so.
fn metadata(files: &[File], layout: Layout, notes: &mut Vec<String>) -> BTreeMap<String, Row> {
    let (table_name, file_column) = match layout {
        Layout::UrbanSound8k => ("UrbanSound8K.csv", "slice_file_name"),
        _ => ("esc50.csv", "filename"),
    };
    let is_table = |file: &&File| file.name.rsplit('/').next() == Some(table_name);
    let Some(file) = files.iter().find(is_table) else {
        notes.push(format!(
            "{table_name} is missing; names and folders are used instead"
        ));
        return BTreeMap::new();
    };
    let parsed = fs::read(&file.path)
        .map_err(|error| error.to_string())
        .and_then(|text| parse_metadata(&text, file_column));
    parsed.unwrap_or_else(|problem| {
        notes.push(format!("{} left out: {problem}", file.name));
        BTreeMap::new()
    })
}

pub(super) fn parse_metadata(
    text: &[u8],
    file_column: &str,
) -> Result<BTreeMap<String, Row>, String> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text);
    let headers = reader
        .headers()
        .map_err(|_| "line 1 is not text".to_string())?
        .clone();
    let file_idx = headers
        .iter()
        .position(|header| header == file_column)
        .ok_or_else(|| format!("line 1 has no column `{file_column}`"))?;
    let mut rows = BTreeMap::new();
    for (row_idx, record) in reader.records().enumerate() {
        let record = record.map_err(|_| format!("row {} is not text", row_idx + 1))?;
        let Some(file) = record.get(file_idx) else {
            continue;
        };
        let columns = headers.iter().zip(record.iter());
        let columns = columns.map(|(name, value)| (name.to_string(), value.to_string()));
        rows.insert(file.to_string(), columns.collect());
    }
    Ok(rows)
}

fn stem(name: &str) -> Option<&str> {
    let (stem, extension) = name.rsplit_once('.')?;
    let is_sound = super::SOUNDS
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known));
    is_sound.then_some(stem)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
