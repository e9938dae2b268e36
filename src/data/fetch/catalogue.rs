//! The files that can be fetched. `catalogue.csv` pins each by record, name and, where it is known, MD5 sum.

use std::{path::Path, sync::LazyLock};

use super::{FetchError, Options, http::Client};

/// A data set that can be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetchable {
    /// The name on the command line.
    pub name: &'static str,
    /// The licence of the recordings.
    pub licence: &'static str,
    /// The part that is fetched when the user names none.
    pub default_part: &'static str,
    /// What its makers ask for in addition to the licence.
    pub terms: &'static str,
}

/// All data sets that can be fetched. The MD5 sums were published with the records; soundata and mila-iqia/datasets
/// collected them.
pub const FETCHABLE: &[Fetchable] = &[
    Fetchable {
        name: "dcase2020",
        licence: "CC BY-NC-SA 4.0",
        default_part: "dev",
        terms: "no commercial use; made by NTT and Hitachi, cite Koizumi et al. 2020",
    },
    Fetchable {
        name: "dcase2021",
        licence: "CC BY 4.0",
        default_part: "dev",
        terms: "made by Hitachi and NTT, cite Kawaguchi et al. 2021",
    },
    Fetchable {
        name: "dcase2022",
        licence: "CC BY 4.0",
        default_part: "dev",
        terms: "made by Hitachi and NTT, cite Dohi et al. 2022",
    },
    Fetchable {
        name: "dcase2023",
        licence: "CC BY 4.0",
        default_part: "dev",
        terms: "made by Hitachi and NTT, cite Dohi et al. 2023",
    },
    Fetchable {
        name: "dcase2024",
        licence: "CC BY 4.0",
        default_part: "dev",
        terms: "made by Hitachi and NTT, cite Nishida et al. 2024",
    },
    Fetchable {
        name: "mimii",
        licence: "CC BY-SA 4.0",
        default_part: "0_dB",
        terms: "made by Hitachi, cite Purohit et al. 2019",
    },
    Fetchable {
        name: "urbansound8k",
        licence: "CC BY-NC",
        default_part: "all",
        terms: "no commercial use; cite Salamon, Jacoby and Bello 2014",
    },
    Fetchable {
        name: "esc50",
        licence: "CC BY-NC 3.0, the ESC-10 subset CC BY",
        default_part: "all",
        terms: "no commercial use; cite Piczak 2015",
    },
];

/// One file of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// The data set that it belongs to.
    pub set: &'static str,
    /// The part of the set, such as `dev`.
    pub part: String,
    /// The machine that it belongs to; empty where it belongs to none.
    pub machine: String,
    /// Where it lies.
    pub source: Source,
    /// The file's name.
    pub file: String,
    /// MD5 sum in lower-case hexadecimal digits; `None` where the record is asked for it.
    pub md5: Option<&'static str>,
    /// The folder that it is unpacked into, relative to the user's folder.
    pub into: String,
}

/// Where a file lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The number of a record of Zenodo; a published record never changes.
    Zenodo(u64),
    /// An address on another server.
    Url(String),
}

/// What a record says about a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Published {
    pub bytes: Option<u64>,
    pub md5: Option<String>,
}

static CATALOGUE: LazyLock<Vec<Archive>> =
    LazyLock::new(|| parse(include_str!("catalogue.csv")).expect("the shipped catalogue is valid"));

/// The files of some machines and parts of a data set. No machine means all machines; no part means the default part,
/// and `all` means all parts.
///
/// Fails where set, machine or part is unknown.
pub fn select(
    set: &str,
    machines: &[String],
    parts: &[String],
) -> Result<(Fetchable, Vec<&'static Archive>), FetchError> {
    let wanted = set.to_ascii_lowercase();
    let Some(known) = FETCHABLE.iter().find(|known| known.name == wanted) else {
        let names: Vec<&str> = FETCHABLE.iter().map(|known| known.name).collect();
        return Err(FetchError::UnknownSet {
            name: set.to_string(),
            known: names.join(", "),
        });
    };
    let files: Vec<&Archive> = CATALOGUE.iter().filter(|a| a.set == known.name).collect();
    let default = [known.default_part.to_string()];
    let parts = if parts.is_empty() { &default } else { parts };
    let all_parts = distinct(files.iter().map(|archive| archive.part.as_str()));
    if let Some(part) = parts
        .iter()
        .find(|part| *part != "all" && !all_parts.contains(&part.as_str()))
    {
        return Err(FetchError::UnknownPart {
            set: known.name,
            part: part.clone(),
            known: all_parts.join(", "),
        });
    }
    let is_part = |archive: &&&Archive| parts.iter().any(|p| p == "all" || *p == archive.part);
    let of_parts: Vec<&Archive> = files.iter().filter(is_part).copied().collect();
    let names = distinct(of_parts.iter().map(|archive| archive.machine.as_str()));
    if let Some(machine) = machines.iter().find(|m| !names.contains(&m.as_str())) {
        return Err(FetchError::UnknownMachine {
            set: known.name,
            machine: machine.clone(),
            parts: parts.join(", "),
            known: names.join(", "),
        });
    }
    let chosen = of_parts.into_iter().filter(|archive| {
        machines.is_empty() || archive.machine.is_empty() || machines.contains(&archive.machine)
    });
    Ok((*known, chosen.collect()))
}

impl Archive {
    /// The address that the file is downloaded from.
    pub fn address(&self, mirror: Option<&str>) -> String {
        match &self.source {
            Source::Zenodo(record) => {
                let host = mirror.unwrap_or("https://zenodo.org");
                format!("{host}/records/{record}/files/{}?download=1", self.file)
            }
            Source::Url(url) => match mirror {
                Some(host) => format!("{host}/{}", self.file),
                None => url.clone(),
            },
        }
    }

    /// Asks the record for size and sum. Where the sum is pinned, a record that does not answer is no error.
    pub(super) fn published(
        &self,
        client: &Client,
        options: &Options,
        path: &Path,
    ) -> Result<Published, FetchError> {
        let Source::Zenodo(record) = &self.source else {
            return Ok(Published::default());
        };
        let host = options.mirror.as_deref().unwrap_or("https://zenodo.org");
        let address = format!("{host}/api/records/{record}");
        match client.text(&address) {
            Ok(text) => Ok(read_record(&text, &self.file)),
            Err(_) if self.md5.is_some() => Ok(Published::default()),
            Err(cause) => Err(FetchError::Unreachable {
                address,
                cause,
                file: self.file.clone(),
                to: path.parent().unwrap_or(path).to_path_buf(),
            }),
        }
    }
}

/// Finds a file in the description of a record: `{"files": [{"key", "size", "checksum": "md5:…"}]}`.
pub(super) fn read_record(text: &str, file: &str) -> Published {
    let document: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let files = document["files"].as_array();
    let found = files
        .into_iter()
        .flatten()
        .find(|entry| entry["key"] == file);
    let Some(entry) = found else {
        return Published::default();
    };
    let sum = entry["checksum"]
        .as_str()
        .and_then(|sum| sum.strip_prefix("md5:"));
    Published {
        bytes: entry["size"].as_u64(),
        md5: sum.filter(|sum| is_md5(sum)).map(str::to_string),
    }
}

/// Reads the catalogue. The error names the line that is wrong.
pub(super) fn parse(text: &'static str) -> Result<Vec<Archive>, String> {
    let mut archives = Vec::new();
    for (idx, line) in text.lines().enumerate().skip(1) {
        let wrong = |what: &str| format!("line {}: {what}", idx + 1);
        let columns: Vec<&'static str> = line.split(',').collect();
        let [set, part, machine, source, file, md5, into] = columns[..] else {
            return Err(wrong("needs seven columns"));
        };
        if !FETCHABLE.iter().any(|known| known.name == set) {
            return Err(wrong("names an unknown set"));
        }
        if !(md5.is_empty() || is_md5(md5)) {
            return Err(wrong("has a sum that is not MD5"));
        }
        let source = match source.parse() {
            Ok(record) => Source::Zenodo(record),
            Err(_) if source.starts_with("https://") => Source::Url(source.to_string()),
            Err(_) => return Err(wrong("has a source that is neither a record nor https")),
        };
        archives.push(Archive {
            set,
            part: part.to_string(),
            machine: machine.to_string(),
            source,
            file: file.to_string(),
            md5: (!md5.is_empty()).then_some(md5),
            into: into.to_string(),
        });
    }
    Ok(archives)
}

fn is_md5(text: &str) -> bool {
    text.len() == 32
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct = Vec::new();
    for name in names.filter(|name| !name.is_empty()) {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}
