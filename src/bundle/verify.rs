//! Runs a bundle against its own golden vectors.

use std::{collections::BTreeMap, fs, path::Path};

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
    measure::{self, Inputs, Limit, MeasureError},
    report::json::{self, Document},
};

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Files that are missing or differ from the manifest.
    pub changed_files: Vec<String>,
    /// Whether the host computes the golden outputs, and decides about the golden clips as before.
    pub host: bool,
    /// Whether the firmware does the same, for each emulated core; the error says why it did not run.
    pub emulated: Vec<(String, Result<bool, String>)>,
}

impl Verdict {
    /// Whether nothing has changed and everything that should run gave the golden outputs.
    pub fn is_good(&self) -> bool {
        let ran = |(_, result): &(String, Result<bool, String>)| *result == Ok(true);
        self.changed_files.is_empty() && self.host && self.emulated.iter().all(ran)
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

/// Checks hashes, runs the golden vectors on the host, and with `emulate` also in QEMU, on firmware built from the
/// bundle's own sources.
///
/// Each run in QEMU may take `instructions`. `note` is told about steps that take long. Fails where the bundle cannot be read or its model cannot be run.
pub fn verify(
    folder: &Path,
    emulate: bool,
    instructions: u64,
    note: &dyn Fn(&str),
) -> Result<Verdict, BundleError> {
    let index = read(folder)?;
    let is_changed = |(name, hash): &(&String, &String)| {
        let content = fs::read(folder.join(name));
        content.map_or(true, |content| sha256(&content) != **hash)
    };
    let changed = index.files.iter().filter(is_changed);
    let changed_files: Vec<String> = changed.map(|(name, _)| name.clone()).collect();
    let content = |name: &str| {
        let path = folder.join(name);
        fs::read(&path).map_err(super::io_error(&path))
    };
    let blob = content("firmware/model/model.nas")?;
    let values = content(&index.golden.inputs)?;
    let inputs = Inputs::Tensors {
        length: index.golden.input_bytes,
        values: values.iter().map(|value| *value as i8).collect(),
    };
    let hash = inputs.expected_hash(&blob).map_err(MeasureError::from)?;
    let golden_outputs = nas_kernels::blob::checksum(&content(&index.golden.outputs)?);
    let mut host = hash == golden_outputs && format!("{hash:016x}") == index.golden.outputs_hash;
    let mut golden = vec![(inputs, golden_outputs)];
    for clip in &index.golden.clips {
        let samples = samples(&content(&clip.file)?)?;
        let hops = measure::hops(&blob, 0, &samples).map_err(MeasureError::from)?;
        let last = hops.last();
        host &= last.and_then(|hop| hop.score) == clip.score;
        host &= last.and_then(|hop| hop.anomaly) == clip.anomaly;
        let inputs = Inputs::Samples { class: 0, samples };
        let hash = inputs.expected_hash(&blob).map_err(MeasureError::from)?;
        golden.push((inputs, hash));
    }
    let mut emulated = Vec::new();
    for core in [Core::CortexM7, Core::CortexM55] {
        if emulate && core_name(core) == index.core {
            let result = run(folder, core, &blob, &golden, instructions, note);
            let result = result.map_err(|error| error.to_string());
            emulated.push((core_name(core).to_string(), result));
        }
    }
    Ok(Verdict {
        changed_files,
        host,
        emulated,
    })
}

fn run(
    folder: &Path,
    core: Core,
    blob: &[u8],
    golden: &[(Inputs, u64)],
    instructions: u64,
    note: &dyn Fn(&str),
) -> Result<bool, MeasureError> {
    let board = boards(core).find(|board| board.machine.is_some());
    let board = board.expect("every core has an emulated board");
    let limit = Limit::instructions(instructions);
    let mut bench = measure::Bench::of_sources(board, &folder.join("firmware"), limit, note)?;
    for (inputs, expected_hash) in golden {
        if !bench.reproduces(blob, inputs, *expected_hash)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The samples of a WAV file of [`super::write`], as they were.
fn samples(wav: &[u8]) -> Result<Vec<i16>, BundleError> {
    let sound = audio::decode(wav, Channel::default());
    let sound = sound.map_err(|error| BundleError::Sound(error.to_string()))?;
    let whole = |sample: &f32| (sample * 32768.0) as i16;
    Ok(sound.samples.iter().map(whole).collect())
}

fn read(folder: &Path) -> Result<Index, BundleError> {
    let path = folder.join("manifest.json");
    let bytes = fs::read(&path).map_err(super::io_error(&path))?;
    let index: Index = serde_json::from_slice(&bytes).map_err(|source| BundleError::Manifest {
        path: path.clone(),
        source,
    })?;
    match index.schema_version {
        SCHEMA_VERSION => Ok(index),
        found => Err(BundleError::Version { path, found }),
    }
}
