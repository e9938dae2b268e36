//! Runs a bundle against its own golden vectors.
//!
//! A bundle may come from anyone. So files are compared first, with the manifest and with this program's own firmware, and
//! nothing is built where something differs. What is built then are this program's sources; the folder gives model, golden
//! vectors and sounds alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    BundleError, boards,
    manifest::{Golden, SCHEMA_VERSION, core_name},
    sha256,
};
use crate::{
    audio::{self, Channel},
    hardware::Core,
    measure::{self, Inputs, Kernels, Limit, MeasureError},
    quant::Interpreter,
    report::json::{self, Document},
};

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Files that are missing or differ from the manifest.
    pub changed_files: Vec<String>,
    /// Files and links in the folder that the manifest does not list.
    pub unlisted_files: Vec<String>,
    /// Sources of firmware that differ from those of this program.
    pub foreign_sources: Vec<String>,
    /// Whether the host computes the golden outputs, and decides about the golden clips as before.
    pub host: bool,
    /// Whether the firmware does the same, for the emulated core; the error says why it did not run. Empty where nothing
    /// was to be emulated.
    pub emulated: Vec<(String, Result<bool, String>)>,
}

impl Verdict {
    /// Whether nothing has changed and everything that should run gave the golden outputs.
    pub fn is_good(&self) -> bool {
        let ran = |(_, result): &(String, Result<bool, String>)| *result == Ok(true);
        let is_ours = self.foreign_sources.is_empty() || !self.emulated.is_empty();
        self.is_as_listed() && is_ours && self.host && self.emulated.iter().all(ran)
    }

    /// Whether the folder holds what its manifest lists, and nothing else.
    fn is_as_listed(&self) -> bool {
        self.changed_files.is_empty() && self.unlisted_files.is_empty()
    }
}

/// The document that `nas verify --json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct VerdictDocument {
    /// The version of this format.
    pub schema_version: u32,
    /// Whether the bundle is as exported, as far as it was run.
    pub good: bool,
    /// Files that are missing or differ from the manifest.
    pub changed_files: Vec<String>,
    /// Files and links in the folder that the manifest does not list.
    pub unlisted_files: Vec<String>,
    /// Sources of firmware that differ from those of this program.
    pub foreign_sources: Vec<String>,
    /// Whether the host computes the golden outputs and decides about the golden clips as before.
    pub host_outputs_match: bool,
    /// The same for the firmware, for each emulated core.
    pub emulated: Vec<EmulatedView>,
}

/// What an emulated core computed from the golden vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EmulatedView {
    /// `cortex-m7` or `cortex-m55`.
    pub core: String,
    /// Whether the outputs are the golden ones; null where it did not run.
    pub outputs_match: Option<bool>,
    /// Why it did not run; null where it did.
    pub error: Option<String>,
}

impl Document for VerdictDocument {
    const NAME: &'static str = "verify";
}

impl VerdictDocument {
    /// The document of a verdict.
    pub fn new(verdict: &Verdict) -> VerdictDocument {
        let emulated = verdict.emulated.iter().map(|(core, result)| EmulatedView {
            core: core.clone(),
            outputs_match: result.as_ref().ok().copied(),
            error: result.as_ref().err().cloned(),
        });
        VerdictDocument {
            schema_version: json::SCHEMA_VERSION,
            good: verdict.is_good(),
            changed_files: verdict.changed_files.clone(),
            unlisted_files: verdict.unlisted_files.clone(),
            foreign_sources: verdict.foreign_sources.clone(),
            host_outputs_match: verdict.host,
            emulated: emulated.collect(),
        }
    }
}

/// The part of the manifest that a verification needs.
#[derive(Debug, Deserialize)]
struct Index {
    schema_version: u32,
    core: String,
    golden: Golden,
    files: BTreeMap<String, String>,
}

/// How a bundle is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Also run the firmware in QEMU. Its images are built in this folder; `None` stays on the host.
    pub images: Option<PathBuf>,
    /// Build the folder's own firmware where it differs from this program's. That runs its build scripts.
    pub build_foreign: bool,
    /// The most instructions of a run in QEMU.
    pub instructions: u64,
}

/// Compares the files, then runs the golden vectors on the host and, with `check.images`, in QEMU.
///
/// `note` is told about steps that take long.
///
/// # Errors
/// Where the manifest cannot be read, names a path that is not inside the folder or is no ordinary file, gives sizes that
/// do not fit the model, or where the model cannot be run.
pub fn verify(folder: &Path, check: &Check, note: &dyn Fn(&str)) -> Result<Verdict, BundleError> {
    let index = read(folder)?;
    let mut changed_files = Vec::new();
    let mut foreign_sources = Vec::new();
    for (name, hash) in &index.files {
        let content = content(folder, name)?;
        if content
            .as_deref()
            .is_none_or(|content| sha256(content) != *hash)
        {
            changed_files.push(name.clone());
        }
        if content.is_some_and(|content| is_foreign(name, &content)) {
            foreign_sources.push(name.clone());
        }
    }
    let (blob, golden, host) = on_host(folder, &index)?;
    let mut verdict = Verdict {
        unlisted_files: unlisted(folder, &index)?,
        changed_files,
        foreign_sources,
        host,
        emulated: Vec::new(),
    };
    let core = [Core::CortexM7, Core::CortexM55]
        .into_iter()
        .find(|core| core_name(*core) == index.core);
    if let (Some(images), Some(core)) = (&check.images, core) {
        let ran = match may_build(&verdict, check.build_foreign) {
            Ok(()) => {
                let own = (!verdict.foreign_sources.is_empty()).then(|| folder.join("firmware"));
                run(
                    core,
                    own.as_deref(),
                    images,
                    &blob,
                    &golden,
                    check.instructions,
                    note,
                )
                .map_err(|error| error.to_string())
            }
            Err(why) => Err(why.to_string()),
        };
        verdict.emulated.push((index.core, ran));
    }
    Ok(verdict)
}

/// Why nothing is built.
fn may_build(verdict: &Verdict, build_foreign: bool) -> Result<(), &'static str> {
    match verdict.foreign_sources.is_empty() {
        _ if !verdict.is_as_listed() => Err("the folder is not as exported, so nothing is built"),
        false if !build_foreign => Err(
            "its firmware is not that of this program, so nothing is built; --build-foreign builds it, which runs its \
             build scripts on this machine",
        ),
        _ => Ok(()),
    }
}

/// The model, its golden inputs with the hashes of their outputs, and whether the host computes what was exported.
type OnHost = (Vec<u8>, Vec<(Inputs, u64)>, bool);

fn on_host(folder: &Path, index: &Index) -> Result<OnHost, BundleError> {
    let listed = |name: &str| {
        let found = match index.files.contains_key(name) {
            true => content(folder, name)?,
            false => return Err(path_error(name, "its list of files does not have it")),
        };
        found.ok_or_else(|| path_error(name, "it is missing"))
    };
    let blob = listed(MODEL)?;
    let lengths = Interpreter::new(&blob)
        .map_err(|error| BundleError::Model(error.to_string()))?
        .lengths();
    let (values, outputs) = (
        listed(&index.golden.inputs)?,
        listed(&index.golden.outputs)?,
    );
    let Golden {
        count,
        input_bytes,
        output_bytes,
        ..
    } = index.golden;
    let whole = |bytes: usize| count.checked_mul(bytes);
    if lengths != (input_bytes, output_bytes)
        || whole(input_bytes) != Some(values.len())
        || count == 0
    {
        return Err(BundleError::Golden {
            count,
            input_bytes,
            output_bytes,
            lengths,
        });
    }
    let inputs = Inputs::Tensors {
        length: input_bytes,
        values: values.iter().map(|value| *value as i8).collect(),
    };
    let hash = inputs.expected_hash(&blob).map_err(MeasureError::from)?;
    let golden_outputs = nas_kernels::blob::checksum(&outputs);
    let mut host = hash == golden_outputs && format!("{hash:016x}") == index.golden.outputs_hash;
    let mut golden = vec![(inputs, golden_outputs)];
    for clip in &index.golden.clips {
        let samples = samples(&listed(&clip.file)?)?;
        let hops = measure::hops(&blob, 0, &samples).map_err(MeasureError::from)?;
        let last = hops.last();
        host &= last.and_then(|hop| hop.score) == clip.score;
        host &= last.and_then(|hop| hop.anomaly) == clip.anomaly;
        let inputs = Inputs::Samples { class: 0, samples };
        let hash = inputs.expected_hash(&blob).map_err(MeasureError::from)?;
        golden.push((inputs, hash));
    }
    Ok((blob, golden, host))
}

/// Runs the golden inputs on an emulated core. `sources` are foreign ones to build; without them this program's are.
fn run(
    core: Core,
    sources: Option<&Path>,
    images: &Path,
    blob: &[u8],
    golden: &[(Inputs, u64)],
    instructions: u64,
    note: &dyn Fn(&str),
) -> Result<bool, MeasureError> {
    let board = boards(core).find(|board| board.machine.is_some());
    let board = board.expect("every core has an emulated board");
    let limit = Limit::instructions(instructions);
    let mut bench = match sources {
        Some(sources) => measure::Bench::of_sources(board, sources, limit, note)?,
        None => {
            let image = measure::build(board, Kernels::OfCore, images, note)?;
            measure::Bench::of_image(board, image, limit)?
        }
    };
    for (inputs, expected_hash) in golden {
        if !bench.reproduces(blob, inputs, *expected_hash)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The file that lists all others.
const MANIFEST: &str = "manifest.json";
/// Path of the model in a bundle.
const MODEL: &str = "firmware/model/model.nas";
/// What a build of the bundle's firmware leaves, beside the sources.
const BUILT: &str = "firmware/target";
/// Larger files are in no bundle.
const MOST_BYTES: u64 = 256 << 20;
/// More files than this are in no bundle, beside what was built.
const MOST_FILES: usize = 10_000;

/// Whether a file of the firmware differs from this program's. The header, the model and the text are the bundle's own.
fn is_foreign(name: &str, content: &[u8]) -> bool {
    let Some(source) = name.strip_prefix("firmware/") else {
        return false;
    };
    if matches!(source, "README.md")
        || (source.starts_with("c/") && source.ends_with("_model.h"))
        || source.starts_with("model/")
    {
        return false;
    }
    let own = measure::files().iter().find(|(own, _)| *own == source);
    own.is_none_or(|(_, own)| *own != content)
}

/// Content of a file that the manifest names; `None` where there is none.
///
/// # Errors
/// Where the name leads out of the folder or is not plain, where a link or something else than an ordinary file has the
/// name, and where the file is too large.
fn content(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, BundleError> {
    let is_plain = !name.contains(['\\', ':'])
        && !name.chars().any(char::is_control)
        && Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        && !name.split('/').any(|part| matches!(part, "" | "." | ".."));
    if !is_plain {
        return Err(path_error(name, "it is not a plain path inside the folder"));
    }
    let mut path = folder.to_path_buf();
    let mut parts = name.split('/').peekable();
    while let Some(part) = parts.next() {
        path.push(part);
        let kind = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(super::io_error(&path)(error)),
        };
        let is_expected = match parts.peek() {
            Some(_) => kind.is_dir(),
            None => kind.is_file(),
        };
        if !is_expected {
            return Err(path_error(name, "it is no ordinary file"));
        }
        if kind.is_file() && kind.len() > MOST_BYTES {
            return Err(path_error(name, "it is larger than any file of a bundle"));
        }
    }
    fs::read(&path).map(Some).map_err(super::io_error(&path))
}

/// Names of everything in the folder but directories, the manifest, what the manifest lists, and what was built.
fn unlisted(folder: &Path, index: &Index) -> Result<Vec<String>, BundleError> {
    let mut found = BTreeSet::new();
    let mut folders = vec![String::new()];
    while let Some(prefix) = folders.pop() {
        let path = folder.join(&prefix);
        let entries = fs::read_dir(&path).map_err(super::io_error(&path))?;
        for entry in entries {
            let entry = entry.map_err(super::io_error(&path))?;
            let kind = entry.file_type().map_err(super::io_error(&path))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            match kind.is_dir() {
                true if name != BUILT => folders.push(name + "/"),
                true => {}
                false => _ = found.insert(name),
            }
        }
        if found.len() + folders.len() > MOST_FILES {
            return Err(BundleError::TooMany {
                folder: folder.to_path_buf(),
                most: MOST_FILES,
            });
        }
    }
    found.retain(|name| name != MANIFEST && !index.files.contains_key(name));
    Ok(found.into_iter().collect())
}

fn path_error(name: &str, fault: &'static str) -> BundleError {
    BundleError::Path {
        name: name.to_string(),
        fault,
    }
}

/// The samples of a WAV file of [`super::write`], as they were.
fn samples(wav: &[u8]) -> Result<Vec<i16>, BundleError> {
    let sound = audio::decode(wav, Channel::default());
    let sound = sound.map_err(|error| BundleError::Sound(error.to_string()))?;
    let whole = |sample: &f32| (sample * 32768.0) as i16;
    Ok(sound.samples.iter().map(whole).collect())
}

fn read(folder: &Path) -> Result<Index, BundleError> {
    let path = folder.join(MANIFEST);
    let missing = || super::io_error(&path)(std::io::ErrorKind::NotFound.into());
    let bytes = content(folder, MANIFEST)?.ok_or_else(missing)?;
    let index: Index = serde_json::from_slice(&bytes).map_err(|source| BundleError::Manifest {
        path: path.clone(),
        source,
    })?;
    match index.schema_version {
        SCHEMA_VERSION => Ok(index),
        found => Err(BundleError::Version { path, found }),
    }
}
