//! Writes and verifies the folder that a firmware engineer takes away: model, firmware, C interface, golden vectors,
//! manifest.
//!
//! [`write()`] makes the folder, [`verify`] runs it against its own golden vectors. The folder does not need this
//! program.
//!
//! This module knows no runs or stores, and not how a model was found: it gets plain parts.

mod interface;
mod manifest;
mod readme;
pub mod vela;
mod verify;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use schemars::{Schema, schema_for};
use sha2::{Digest, Sha256};

pub use interface::{Prefix, UnknownPrefix};
pub use manifest::{Golden, GoldenClip, Manifest};
pub use verify::{Check, EmulatedView, Verdict, VerdictDocument, verify};

use crate::{
    audio, disk,
    evaluate::{DecisionCard, Model},
    hardware::Core,
    measure::{self, BOARDS, BoardKind, Inputs, MeasureError},
    quant::Interpreter,
    report::json::{self, CostsView, Document, MeasurementView},
    units::Rng,
};

/// The JSON Schema of every document that a command prints or writes, by name.
pub fn schemas() -> Vec<(&'static str, Schema)> {
    let mut all = json::schemas();
    all.push((Manifest::NAME, schema_for!(Manifest)));
    all.push((VerdictDocument::NAME, schema_for!(VerdictDocument)));
    all
}

/// The parts that a bundle is made of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// `RUN/TRIAL`, the model's name in the bundle.
    pub name: String,
    /// The name of the data set that the model was trained on.
    pub data: String,
    /// The model: blob, TFLite file and card.
    pub model: &'a Model,
    /// The name of the target.
    pub target: String,
    /// The core that the firmware is for.
    pub core: Core,
    /// Estimated costs on the target, where they are known.
    pub costs: Option<CostsView>,
    /// What was seen when the model ran, one entry per place.
    pub measurements: Vec<MeasurementView>,
    /// What steered the search: `labels` or `disturbed` sound (`stand-ins` in older runs); `None` where that was not recorded.
    pub steered_by: Option<String>,
    /// The report page in HTML.
    pub report: String,
    /// The network as Vela compiled it, for targets with an NPU.
    pub vela: Option<vela::Compiled>,
    /// Clips that show what the model decides.
    pub clips: Vec<Clip>,
    /// What the names of the C interface begin with.
    pub prefix: Prefix,
    /// The decision that the model was given in place of its own; `None` for its own.
    pub decision: Option<DecisionCard>,
}

/// Sound for the exported program to judge.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// What the clip is: `normal` or `anomaly`.
    pub label: &'static str,
    /// 16-bit samples at the model's rate.
    pub samples: Vec<i16>,
}

/// Why a bundle could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The folder holds something already.
    #[error("{0} is not empty; name another folder")]
    NotEmpty(PathBuf),
    /// A file or folder could not be read or written, or a program not be started.
    #[error("cannot use {path}: {source}")]
    Io {
        /// The file, folder or program.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// `manifest.json` is not the manifest of a bundle.
    #[error("{path} is not a manifest: {source}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with its JSON.
        source: serde_json::Error,
    },
    /// The manifest has another version than this program.
    #[error(
        "{path} has schema version {found}; this program reads version {}",
        manifest::SCHEMA_VERSION
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that it has.
        found: u32,
    },
    /// The manifest names a file that may not be read.
    #[error("the manifest names {name:?}, and {fault}")]
    Path {
        /// The name in the manifest.
        name: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// The folder holds more files than a bundle has.
    #[error("{} holds more than {most} files; this is no bundle", folder.display())]
    TooMany {
        /// The folder.
        folder: PathBuf,
        /// The most files that are looked at.
        most: usize,
    },
    /// The golden vectors do not have the lengths that the manifest or the model say.
    #[error(
        "the golden vectors do not fit: {count} inputs of {input_bytes} bytes and outputs of {output_bytes} bytes are \
         listed; the model takes {} and gives {}",
        lengths.0,
        lengths.1
    )]
    Golden {
        /// Number of inputs that the manifest lists.
        count: usize,
        /// Bytes of an input by the manifest.
        input_bytes: usize,
        /// Bytes of an output by the manifest.
        output_bytes: usize,
        /// Bytes of the model's input and output.
        lengths: (usize, usize),
    },
    /// The interpreter refuses the model; holds the reason.
    #[error("the model cannot be run: {0}")]
    Model(String),
    /// Vela fails, or writes no summary; holds its message.
    #[error("Vela does not compile the network: {0}")]
    Vela(String),
    /// The golden sound could not be written as WAV or read back; holds the reason.
    #[error("the golden sound cannot be written or read: {0}")]
    Sound(String),
    /// The model could not be run, or firmware not be built.
    #[error(transparent)]
    Measure(#[from] MeasureError),
}

/// A file that lies in a folder as long as its export has not ended. Such a folder may be written again.
const UNFINISHED: &str = ".nas-export";

/// How many golden inputs a bundle has.
const GOLDEN_INPUTS: usize = 4;

/// Writes the bundle into a folder that is empty, does not exist, or holds an export that did not end.
///
/// Fails where the folder holds anything or cannot be written, or where the model cannot be run.
pub fn write(folder: &Path, parts: &Parts<'_>) -> Result<Manifest, BundleError> {
    // One that was killed before its mark had a name has left a file with a temporary one.
    let is_used = |folder: &Path| {
        folder.read_dir().is_ok_and(|mut entries| {
            entries.any(|entry| {
                let name = entry.map(|entry| entry.file_name());
                name.map_or(true, |name| !disk::is_temporary(&name))
            })
        })
    };
    let unfinished = folder.join(UNFINISHED);
    if is_used(folder) && !unfinished.exists() {
        return Err(BundleError::NotEmpty(folder.to_path_buf()));
    }
    let mut files = files(parts)?;
    let hashes = files
        .iter()
        .map(|(name, content)| (name.clone(), sha256(content)))
        .collect();
    let manifest = manifest::describe(parts, hashes)?;
    files.insert("manifest.json".to_string(), manifest.to_json());
    disk::write_synced(&unfinished, b"")
        .and_then(|()| disk::sweep(folder))
        .and_then(|()| disk::sync_folder(folder))
        .map_err(io_error(&unfinished))?;
    let mut folders = BTreeSet::new();
    for (name, content) in &files {
        let path = folder.join(name);
        disk::write_synced(&path, content).map_err(io_error(&path))?;
        folders.insert(path.parent().unwrap_or(folder).to_path_buf());
    }
    for folder in folders {
        disk::sync_folder(&folder).map_err(io_error(&folder))?;
    }
    fs::remove_file(&unfinished)
        .and_then(|()| disk::sync_folder(folder))
        .map_err(io_error(&unfinished))?;
    Ok(manifest)
}

/// Path and content of every file except the manifest.
fn files(parts: &Parts<'_>) -> Result<BTreeMap<String, Vec<u8>>, BundleError> {
    let model = parts.model;
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let is_for_boards = |(name, _): &&(&str, &[u8])| !name.starts_with("counter/");
    for (name, content) in measure::files().iter().filter(is_for_boards) {
        files.insert(format!("firmware/{name}"), content.to_vec());
    }
    files.extend(interface::files(&model.blob, parts)?);
    let golden = golden(&model.blob)?;
    let card = serde_json::to_vec_pretty(&model.card).expect("a card has only plain fields");
    files.insert("model.tflite".to_string(), model.tflite.clone());
    files.insert("model.json".to_string(), card);
    files.insert("firmware/model/model.nas".to_string(), model.blob.clone());
    files.insert(
        "firmware/model/input.bin".to_string(),
        golden.inputs.to_bytes(golden.hash),
    );
    files.insert("golden/inputs.bin".to_string(), golden.input_bytes);
    files.insert("golden/outputs.bin".to_string(), golden.outputs);
    if let Some(compiled) = &parts.vela {
        files.insert("model_vela.tflite".to_string(), compiled.tflite.clone());
        if let Ok(blob) = &compiled.blob {
            files.insert("firmware/model/npu.nas".to_string(), blob.clone());
        }
    }
    for clip in &parts.clips {
        let wav = audio::encode(&clip.samples, model.card.sample_rate_hz);
        let wav = wav.map_err(|error| BundleError::Sound(error.to_string()))?;
        files.insert(format!("golden/{}.wav", clip.label), wav);
    }
    files.insert("report.html".to_string(), parts.report.clone().into_bytes());
    files.insert("README.md".to_string(), readme::bundle(parts).into_bytes());
    files.insert(
        "firmware/README.md".to_string(),
        readme::firmware(parts).into_bytes(),
    );
    Ok(files)
}

/// Inputs of the network, and the outputs that the host computes.
struct GoldenVectors {
    inputs: Inputs,
    input_bytes: Vec<u8>,
    outputs: Vec<u8>,
    /// FNV-1a of the outputs.
    hash: u64,
}

fn golden(blob: &[u8]) -> Result<GoldenVectors, BundleError> {
    let mut interpreter =
        Interpreter::new(blob).map_err(|error| BundleError::Model(error.to_string()))?;
    let length = interpreter.lengths().0;
    let mut rng = Rng::new(1, 0);
    let values: Vec<i8> = (0..GOLDEN_INPUTS * length)
        .map(|_| rng.below(256) as u8 as i8)
        .collect();
    let mut outputs = Vec::new();
    for input in values.chunks_exact(length) {
        outputs.extend(interpreter.run(input).iter().map(|value| *value as u8));
    }
    Ok(GoldenVectors {
        input_bytes: values.iter().map(|value| *value as u8).collect(),
        inputs: Inputs::Tensors { length, values },
        hash: nas_kernels::blob::checksum(&outputs),
        outputs,
    })
}

/// What the detector decides about a clip; the class is the first one.
fn judge(blob: &[u8], clip: &Clip) -> Result<GoldenClip, BundleError> {
    let hops = measure::hops(blob, 0, &clip.samples).map_err(MeasureError::from)?;
    let last = hops.last();
    Ok(GoldenClip {
        file: format!("golden/{}.wav", clip.label),
        label: clip.label.to_string(),
        score: last.and_then(|hop| hop.score),
        anomaly: last.and_then(|hop| hop.anomaly),
    })
}

/// The boards that have a core; the emulated one comes first.
fn boards(core: Core) -> impl Iterator<Item = &'static BoardKind> {
    BOARDS.iter().filter(move |board| board.core == core)
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> BundleError {
    let path = path.to_path_buf();
    move |source| BundleError::Io { path, source }
}
