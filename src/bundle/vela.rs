//! Compiling a network for an Ethos-U55 by Arm's Vela, where it is installed.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Serialize;

use super::{BundleError, io_error};

/// What Vela made, and what it says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    pub tflite: Vec<u8>,
    pub figures: VelaView,
}

/// Vela's figures; they are estimates, and no NPU ran the network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VelaView {
    pub accelerator: String,
    /// `estimated by Vela`.
    pub source: &'static str,
    /// `not executed here`.
    pub npu: &'static str,
    /// Columns of Vela's summary with its own names and units.
    pub summary: BTreeMap<String, String>,
}

/// `None` where Vela is not installed.
pub fn compile(tflite: &[u8], macs_per_cycle: u32) -> Result<Option<Compiled>, BundleError> {
    let Some(program) = find() else {
        return Ok(None);
    };
    let folder = tempfile::tempdir().map_err(io_error(Path::new("the temporary folder")))?;
    let path = folder.path().join("model.tflite");
    fs::write(&path, tflite).map_err(io_error(&path))?;
    let accelerator = format!("ethos-u55-{macs_per_cycle}");
    let output = Command::new(&program)
        .arg(&path)
        .args(["--accelerator-config", &accelerator, "--output-dir"])
        .arg(folder.path())
        .output()
        .map_err(io_error(&program))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
        return Err(BundleError::Vela(said));
    }
    let path = folder.path().join("model_vela.tflite");
    let tflite = fs::read(&path).map_err(io_error(&path))?;
    let summary = summary(folder.path())
        .ok_or_else(|| BundleError::Vela("it wrote no summary".to_string()))?;
    Ok(Some(Compiled {
        tflite,
        figures: VelaView {
            accelerator,
            source: "estimated by Vela",
            npu: "not executed here",
            summary,
        },
    }))
}

/// The only row of `model_summary_*.csv`.
fn summary(folder: &Path) -> Option<BTreeMap<String, String>> {
    let files = folder.read_dir().ok()?.flatten();
    let mut paths = files.map(|entry| entry.path());
    let path = paths.find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("model_summary_")
    })?;
    let mut reader = csv::Reader::from_path(path).ok()?;
    let header = reader.headers().ok()?.clone();
    let row = reader.records().next()?.ok()?;
    let pairs = header.iter().zip(&row);
    Some(
        pairs
            .map(|(name, value)| (name.trim().to_string(), value.trim().to_string()))
            .collect(),
    )
}

/// On the path, or in the virtual environment of the working folder.
fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from(".venv/bin")])
        .map(|folder| folder.join("vela"))
        .find(|path| path.is_file())
}
