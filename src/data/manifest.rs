//! The manifest: a csv file that lists recordings, for data in no known layout.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Component, Path, PathBuf},
};

use super::{
    Clip, DataError, Dataset, Domain, Kind, Label, Layout, LeftOut, Source, Split, files::Home,
    first_few, kind, table,
};

/// The columns of a manifest, as messages show them.
pub(super) const COLUMNS: &str = "file,split,label,machine,section,domain";

/// What is wrong in a manifest's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// A required column is missing.
    #[error(
        "line 1 has no column `{column}`; it should name the columns, separated by commas: {} \
         (all but file and split may be left out)",
        COLUMNS
    )]
    NoColumn {
        /// The column's name.
        column: &'static str,
    },
    /// A column's name stands twice in line 1.
    #[error("line 1 names the column `{column}` twice")]
    ColumnTwice {
        /// The column's name.
        column: String,
    },
    /// A line is not UTF-8.
    #[error("line {line} is not UTF-8 text")]
    NotText {
        /// The line, from 1 on.
        line: u64,
    },
    /// A line has more or fewer columns than line 1.
    #[error("line {line} has {found} columns where line 1 names {expected}")]
    WrongWidth {
        /// The line, from 1 on.
        line: u64,
        /// How many columns the line has.
        found: usize,
        /// How many columns line 1 names.
        expected: usize,
    },
    /// A value is not one of those allowed.
    #[error("line {line}, column {column}: `{value}` should be {expected}")]
    Value {
        /// The line, from 1 on.
        line: u64,
        /// The column's name.
        column: &'static str,
        /// The value, shortened.
        value: String,
        /// The allowed values, as messages show them.
        expected: &'static str,
    },
    /// A file is listed twice.
    #[error("line {line}, column file: `{file}` is already in line {first_line}")]
    FileTwice {
        /// The second line, from 1 on.
        line: u64,
        /// The first line, from 1 on.
        first_line: u64,
        /// The file's path, shortened.
        file: String,
    },
    /// There is no line after the first.
    #[error("it lists no files: line 1 only names the columns")]
    NoRows,
}

/// One line of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// Line in the file, from 1 on.
    pub line: u64,
    /// Path inside the manifest's folder, without `.` and `..`.
    pub file: String,
    /// Whether the clip trains or tests.
    pub split: Split,
    /// `None` where the column is empty.
    pub label: Option<Label>,
    /// `default` where the column is empty.
    pub machine: String,
    /// `default` where the column is empty.
    pub section: String,
    /// The source domain where the column is empty.
    pub domain: Domain,
    /// Names and values of all further columns that are not empty.
    pub attributes: Vec<(String, String)>,
}

impl Row {
    pub(super) fn clip(self, source: Source) -> Clip {
        Clip {
            name: self.file,
            source,
            split: self.split,
            label: self.label,
            machine: self.machine,
            section: self.section,
            domain: self.domain,
            attributes: self.attributes,
        }
    }
}

/// Reads a manifest and looks for its files, whose paths start at its folder.
///
/// Files that are missing, empty or of a wrong size are left out, and the notes name them.
pub(super) fn open(path: &Path, name: String) -> Result<Dataset, DataError> {
    let text = fs::read(path).map_err(|source| DataError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    let rows = parse(&text).map_err(|problem| DataError::Manifest {
        path: path.to_path_buf(),
        problem,
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let home = Home::new(folder);
    let mut clips = Vec::with_capacity(rows.len());
    let mut left_out = Vec::new();
    for row in rows {
        let path = folder.join(&row.file);
        let located = locate(&path).map_err(|reason| format!("it {reason}"));
        match located.and_then(|source| home.refuses(&path).map_or(Ok(source), Err)) {
            Ok(source) => clips.push(row.clip(source)),
            Err(reason) => {
                let name = format!("{} (line {})", row.file, row.line);
                left_out.push(LeftOut::clip(&name, reason));
            }
        }
    }
    if clips.is_empty() {
        return Err(DataError::NoneUsable {
            path: path.to_path_buf(),
            examples: first_few(&LeftOut::sentences(&left_out)),
        });
    }
    table(name, Layout::Manifest, clips, Vec::new(), left_out)
}

/// Reads the text of a manifest; it opens no other file.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Row>, ManifestError> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text);
    let mut records = reader.records();
    let Some(header) = records.next() else {
        return Err(ManifestError::NoColumn { column: "file" });
    };
    let header = header.map_err(not_text)?;
    let columns = Columns::read(&header)?;

    let mut rows = Vec::new();
    let mut lines = HashMap::new();
    for record in records {
        let record = record.map_err(not_text)?;
        let row = columns.row(&record)?;
        if let Some(first_line) = lines.insert(row.file.clone(), row.line) {
            return Err(ManifestError::FileTwice {
                line: row.line,
                first_line,
                file: shortened(&row.file),
            });
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(ManifestError::NoRows);
    }
    Ok(rows)
}

/// The place of each column in a line.
struct Columns {
    count: usize,
    file: usize,
    split: usize,
    label: Option<usize>,
    machine: Option<usize>,
    section: Option<usize>,
    domain: Option<usize>,
    /// Every further column: place and name.
    attributes: Vec<(usize, String)>,
}

impl Columns {
    fn read(header: &csv::StringRecord) -> Result<Columns, ManifestError> {
        let mut seen = HashSet::new();
        for column in header.iter().filter(|column| !column.is_empty()) {
            if !seen.insert(column) {
                let column = shortened(column);
                return Err(ManifestError::ColumnTwice { column });
            }
        }
        let place = |name: &str| header.iter().position(|column| column == name);
        let required =
            |column: &'static str| place(column).ok_or(ManifestError::NoColumn { column });
        let is_known = |column: &str| COLUMNS.split(',').any(|known| known == column);
        let is_attribute = |(_, column): &(usize, &str)| !column.is_empty() && !is_known(column);
        Ok(Columns {
            count: header.len(),
            file: required("file")?,
            split: required("split")?,
            label: place("label"),
            machine: place("machine"),
            section: place("section"),
            domain: place("domain"),
            attributes: header
                .iter()
                .enumerate()
                .filter(is_attribute)
                .map(|(idx, column)| (idx, column.to_string()))
                .collect(),
        })
    }

    fn row(&self, record: &csv::StringRecord) -> Result<Row, ManifestError> {
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != self.count {
            return Err(ManifestError::WrongWidth {
                line,
                found: record.len(),
                expected: self.count,
            });
        }
        let wrong = |column, value: &str, expected| ManifestError::Value {
            line,
            column,
            value: shortened(value),
            expected,
        };
        let optional = |place: Option<usize>| place.map_or("", |idx| &record[idx]);
        let named = |place| match optional(place) {
            "" => "default".to_string(),
            name => name.to_string(),
        };

        let file = &record[self.file];
        let file = match normalised(file) {
            Some(path) if is_clip(&path) => path,
            _ => {
                return Err(wrong(
                    "file",
                    file,
                    "the path of a .wav, .flac, .ogg, .mp3 or .bin file inside the manifest's folder",
                ));
            }
        };
        let split = match &record[self.split] {
            "train" => Split::Train,
            "test" => Split::Test,
            other => return Err(wrong("split", other, "`train` or `test`")),
        };
        let label = match optional(self.label) {
            "" => None,
            "normal" => Some(Label::Normal),
            "anomaly" => Some(Label::Anomaly),
            other => return Err(wrong("label", other, "`normal`, `anomaly` or empty")),
        };
        let domain = match optional(self.domain) {
            "" | "source" => Domain::Source,
            "target" => Domain::Target,
            other => return Err(wrong("domain", other, "`source`, `target` or empty")),
        };
        Ok(Row {
            line,
            file,
            split,
            label,
            machine: named(self.machine),
            section: named(self.section),
            domain,
            attributes: self
                .attributes
                .iter()
                .map(|(idx, name)| (name.clone(), record[*idx].to_string()))
                .filter(|(_, value)| !value.is_empty())
                .collect(),
        })
    }
}

fn not_text(error: csv::Error) -> ManifestError {
    let line = error.position().map_or(0, csv::Position::line);
    ManifestError::NotText { line }
}

fn is_clip(file: &str) -> bool {
    let extension = super::extension(Path::new(file));
    extension == "bin" || super::SOUNDS.contains(&extension.as_str())
}

/// The file as a clip's source, or the reason why it cannot be one.
fn locate(path: &Path) -> Result<Source, String> {
    let metadata = fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "is missing".to_string(),
        _ => format!("cannot be read: {error}"),
    })?;
    if metadata.is_dir() {
        return Err("is a folder".to_string());
    }
    match kind(path, metadata.len()) {
        Kind::Usable(source) => Ok(source),
        Kind::Unusable(reason) => Err(reason),
        Kind::Unknown => Err("is not a .wav, .flac, .ogg, .mp3 or .bin file".to_string()),
    }
}

/// The path without `.` and `a/..`, so each file has one name; `None` where nothing is left, or where it leads out of the
/// manifest's folder: a manifest may come from anyone.
fn normalised(file: &str) -> Option<String> {
    let mut path = PathBuf::new();
    for component in Path::new(file).components() {
        let ends_in_name = matches!(path.components().next_back(), Some(Component::Normal(_)));
        match component {
            Component::CurDir => {}
            Component::ParentDir if ends_in_name => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    let text = path.to_str()?;
    (!text.is_empty()).then(|| text.to_string())
}

/// A value for a message: at most 60 characters.
fn shortened(value: &str) -> String {
    const SHOWN: usize = 60;
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_string(),
    }
}
