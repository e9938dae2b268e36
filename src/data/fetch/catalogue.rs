//! The public data sets that `nas` reads, and the files that can be fetched. `catalogue.csv` pins each file by record,
//! name and, where it is known, MD5 sum.

use std::{path::Path, sync::LazyLock};

use super::{FetchError, Options, http::Client};

/// A public data set, and the built-in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownDataset {
    /// The name that its makers use.
    pub name: &'static str,
    /// Machines or classes, and what is recorded of them.
    pub holds: &'static str,
    /// Where to get it.
    pub address: &'static str,
    /// The licence of the recordings.
    pub licence: &'static str,
    /// Approximate size, unpacked unless it says packed.
    pub size: &'static str,
    /// How `nas data fetch` gets it; `None` where it cannot.
    pub fetch: Option<Fetchable>,
}

/// How a data set is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetchable {
    /// The name for `nas data fetch` and in `catalogue.csv`.
    pub name: &'static str,
    /// The part that is fetched when the user names none.
    pub default_part: &'static str,
    /// What its makers ask for in addition to the licence.
    pub terms: &'static str,
}

impl KnownDataset {
    /// The data sets that can be fetched, and how.
    pub fn fetchable() -> impl Iterator<Item = (&'static KnownDataset, Fetchable)> {
        let known = KNOWN_DATASETS.iter();
        known.filter_map(|known| Some((known, known.fetch?)))
    }
}

/// The built-in set, then the public ones by year.
///
/// The MD5 sums in `catalogue.csv` were published with the records; soundata and mila-iqia/datasets collected them. For
/// sets of 16 kHz, 16-bit mono, the size is computed from number and length of the clips.
pub const KNOWN_DATASETS: &[KnownDataset] = &[
    KnownDataset {
        name: "synthetic",
        holds: "machine sounds made by the built-in generator in the manner of DCASE 2022; scores on it say \
                nothing about real machines",
        address: "built in: --data synthetic, or nas data synth --to DIR",
        licence: "the project's own",
        size: "none; made on demand",
        fetch: None,
    },
    KnownDataset {
        name: "MIMII",
        holds: "fan, pump, slide rail, valve: 4 units each at -6, 0 and 6 dB; 26,092 normal and 6,065 anomalous \
                recordings of 10 s per noise level, 8 channels, 16 kHz",
        address: "Zenodo 3384388 (doi:10.5281/zenodo.3384388)",
        licence: "CC BY-SA 4.0",
        size: "about 100 GB",
        fetch: Some(Fetchable {
            name: "mimii",
            default_part: "0_dB",
            terms: "made by Hitachi, cite Purohit et al. 2019",
        }),
    },
    KnownDataset {
        name: "ToyADMOS",
        holds: "toy car, toy conveyor, toy train: 48 kHz from 4 microphones, of which the first is taken; many faults",
        address: "Zenodo 3351307 (doi:10.5281/zenodo.3351307), split 7z archives",
        licence: "NTT's evaluation licence",
        size: "197 GB packed",
        fetch: None,
    },
    KnownDataset {
        name: "DCASE 2020 Task 2",
        holds: "ToyCar, ToyConveyor, fan, pump, slider, valve: 3 or 4 machine IDs each, 10 or 11 s clips, 16 kHz mono",
        address: "Zenodo 3678171 (development), 3727685 (additional training), 3841772 (evaluation)",
        licence: "CC BY-NC-SA 4.0",
        size: "about 19 GB",
        fetch: Some(Fetchable {
            name: "dcase2020",
            default_part: "dev",
            terms: "no commercial use; made by NTT and Hitachi, cite Koizumi et al. 2020",
        }),
    },
    KnownDataset {
        name: "UrbanSound8K",
        holds: "8,732 slices of up to 4 s of ten city sounds in ten folds, any rate and sample format; events against \
                background",
        address: "Zenodo 1203745 (doi:10.5281/zenodo.1203745)",
        licence: "CC BY-NC",
        size: "6 GB packed",
        fetch: Some(Fetchable {
            name: "urbansound8k",
            default_part: "all",
            terms: "no commercial use; cite Salamon, Jacoby and Bello 2014",
        }),
    },
    KnownDataset {
        name: "ESC-50",
        holds: "2,000 clips of 5 s of fifty environmental sounds in five folds, 44.1 kHz; no anomalies, so \
                disturbed sound steers",
        address: "GitHub karolpiczak/ESC-50",
        licence: "CC BY-NC 3.0, the ESC-10 subset CC BY",
        size: "600 MB packed",
        fetch: Some(Fetchable {
            name: "esc50",
            default_part: "all",
            terms: "no commercial use; cite Piczak 2015",
        }),
    },
    KnownDataset {
        name: "MLPerf Tiny anomaly detection",
        holds: "log-mel features of DCASE 2020's ToyCar: 200 frames of 128 bands in *_hist_librosa.bin",
        address: "made from Zenodo 3678171 and 3727685 by the benchmark's scripts",
        licence: "CC BY-NC-SA 4.0, as the recordings",
        size: "102,400 bytes per clip; 25 MB for the 248 clips of the official test",
        fetch: None,
    },
    KnownDataset {
        name: "DCASE 2021 Task 2",
        holds: "fan, gearbox, pump, slider, valve, ToyCar, ToyTrain: 6 sections each, source and target domain in \
                source_test and target_test",
        address: "Zenodo 4562016 (development), 4660992 (additional training), 4884786 (evaluation)",
        licence: "CC BY 4.0",
        size: "about 19 GB",
        fetch: Some(Fetchable {
            name: "dcase2021",
            default_part: "dev",
            terms: "made by Hitachi and NTT, cite Kawaguchi et al. 2021",
        }),
    },
    KnownDataset {
        name: "DCASE 2022 Task 2",
        holds: "bearing, fan, gearbox, slider, valve, ToyCar, ToyTrain: 6 sections each; per section 990 source and \
                10 target clips for training, 200 for test; attributes",
        address: "Zenodo 6355122 (development), 6462969 (additional training), 6586456 (evaluation)",
        licence: "CC BY 4.0",
        size: "about 16 GB",
        fetch: Some(Fetchable {
            name: "dcase2022",
            default_part: "dev",
            terms: "made by Hitachi and NTT, cite Dohi et al. 2022",
        }),
    },
    KnownDataset {
        name: "DCASE 2023 Task 2",
        holds: "the machines of 2022 and bandsaw, grinder, shaker, ToyDrone, ToyNscale, ToyTank, Vacuum: one section each",
        address: "Zenodo 7882613 (development), 7830345 (additional training), 7860847 (evaluation)",
        licence: "CC BY 4.0",
        size: "about 5 GB",
        fetch: Some(Fetchable {
            name: "dcase2023",
            default_part: "dev",
            terms: "made by Hitachi and NTT, cite Dohi et al. 2023",
        }),
    },
    KnownDataset {
        name: "DCASE 2024 Task 2",
        holds: "the machines of 2022 and nine new ones, one section each; some attributes withheld",
        address: "Zenodo 10902294 (development), 11259435 (additional training), 11363076 (evaluation)",
        licence: "CC BY 4.0",
        size: "about 6 GB",
        fetch: Some(Fetchable {
            name: "dcase2024",
            default_part: "dev",
            terms: "made by Hitachi and NTT, cite Nishida et al. 2024",
        }),
    },
    KnownDataset {
        name: "DCASE 2025 Task 2",
        holds: "the machines of 2022 and eight new ones, one section each; supplemental recordings of the clean machine or \
                of noise alone, which are left out; some attributes withheld",
        address: "Zenodo 15097779 (development), 15392814 (additional training), 15519362 (evaluation)",
        licence: "see the records",
        size: "not published here; the record says it",
        fetch: Some(Fetchable {
            name: "dcase2025",
            default_part: "dev",
            terms: "see the record for licence and citation",
        }),
    },
    KnownDataset {
        name: "DCASE 2026 Task 2",
        holds: "ToyCar, ToyCarEmu, bearingEmu, fan, gearboxEmu, sliderEmu, valveEmu: two channels, near and far, of which \
                the near one is used; clips of 6, 10 or 16 s",
        address: "Zenodo 19336329 (development), 20151556 (additional training), 20437238 (evaluation)",
        licence: "see the records",
        size: "not published here; the record says it",
        fetch: Some(Fetchable {
            name: "dcase2026",
            default_part: "dev",
            terms: "see the record for licence and citation",
        }),
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
    /// Size of the file in bytes.
    pub bytes: Option<u64>,
    /// MD5 sum in lower-case hexadecimal digits.
    pub md5: Option<String>,
}

impl Archive {
    /// What tells it from all other archives: data set, record and file.
    pub(super) fn mark(&self) -> String {
        match &self.source {
            Source::Zenodo(record) => format!("{}-{record}-{}", self.set, self.file),
            Source::Url(_) => format!("{}-{}", self.set, self.file),
        }
    }

    /// Whether no other archive has a file of this name.
    pub(super) fn has_name_of_its_own(&self) -> bool {
        CATALOGUE
            .iter()
            .filter(|other| other.file == self.file)
            .count()
            == 1
    }
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
) -> Result<(&'static KnownDataset, Fetchable, Vec<&'static Archive>), FetchError> {
    let wanted = set.to_ascii_lowercase();
    let named = |(_, set): &(&KnownDataset, Fetchable)| set.name == wanted;
    let Some((dataset, known)) = KnownDataset::fetchable().find(named) else {
        let mut names: Vec<&str> = KnownDataset::fetchable().map(|(_, set)| set.name).collect();
        names.sort_unstable();
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
    Ok((dataset, known, chosen.collect()))
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
        if !KnownDataset::fetchable().any(|(_, known)| known.name == set) {
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
