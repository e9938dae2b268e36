//! Compiles a network for an Ethos-U55 with Arm's Vela, where it is installed, and builds the firmware that runs it.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use schemars::JsonSchema;
use serde::Serialize;

use super::{BundleError, io_error};
use crate::{
    measure::{self, BOARDS, BoardKind, Kernels, MeasureError},
    quant::npu_blob,
    report::json::ImageView,
};

/// The network as Vela compiled it, and Vela's figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// The TFLite file that Vela wrote.
    pub tflite: Vec<u8>,
    /// The same network for the firmware; the error says why the NPU cannot run all of it.
    pub blob: Result<Vec<u8>, String>,
    /// The board whose NPU it is for.
    pub board: &'static BoardKind,
    /// What Vela says about the network.
    pub figures: VelaView,
}

/// Vela's figures. They are estimates: no NPU ran the network.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct VelaView {
    /// Vela's name of the NPU, such as `ethos-u55-128`.
    pub accelerator: String,
    /// Always `estimated by Vela`.
    pub source: &'static str,
    /// Always `not executed here`.
    pub npu: &'static str,
    /// Columns of Vela's summary, with its own names and units.
    pub summary: BTreeMap<String, String>,
    /// The board for which firmware with the NPU's driver was linked; null where none was linked.
    pub board: Option<&'static str>,
    /// Sizes of that firmware and of the network for it. The firmware was not run.
    pub image: Option<ImageView>,
}

/// Vela's name as a program.
pub const PROGRAM: &str = "vela";

/// Compiles a network for an Ethos-U55 with `macs_per_cycle` by the program `vela`.
///
/// # Errors
/// Where the program cannot be started, or refuses the network.
pub fn compile(vela: &Path, tflite: &[u8], macs_per_cycle: u32) -> Result<Compiled, BundleError> {
    let folder = tempfile::tempdir().map_err(io_error(Path::new("the temporary folder")))?;
    let path = folder.path().join("model.tflite");
    fs::write(&path, tflite).map_err(io_error(&path))?;
    let accelerator = format!("ethos-u55-{macs_per_cycle}");
    let output = Command::new(vela)
        .arg(&path)
        .args(["--accelerator-config", &accelerator, "--output-dir"])
        .arg(folder.path())
        .output()
        .map_err(io_error(vela))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
        return Err(BundleError::Vela(said));
    }
    let path = folder.path().join("model_vela.tflite");
    let tflite = fs::read(&path).map_err(io_error(&path))?;
    let summary = summary(folder.path())
        .ok_or_else(|| BundleError::Vela("it wrote no summary".to_string()))?;
    Ok(Compiled {
        blob: npu_blob(&tflite).map_err(|error| error.to_string()),
        board: board(macs_per_cycle),
        tflite,
        figures: VelaView {
            accelerator,
            source: "estimated by Vela",
            npu: "not executed here",
            summary,
            board: None,
            image: None,
        },
    })
}

impl Compiled {
    /// Links the firmware with the NPU's driver and notes its size. It does nothing where the NPU cannot run the
    /// network.
    pub fn link(&mut self, folder: &Path, note: &dyn Fn(&str)) -> Result<(), MeasureError> {
        if let Ok(blob) = &self.blob {
            let image = measure::build(self.board, Kernels::WithNpu, folder, note)?;
            self.figures.board = Some(self.board.name);
            self.figures.image = Some(ImageView {
                text_bytes: image.sections.text,
                rodata_bytes: image.sections.rodata,
                data_bytes: image.sections.data,
                bss_bytes: image.sections.bss,
                model_bytes: blob.len() as u64,
            });
        }
        Ok(())
    }
}

/// The board with an Ethos-U55 of this size: one of Alif's Ensemble E7, or Corstone-300, which has all sizes.
fn board(macs_per_cycle: u32) -> &'static BoardKind {
    let name = match macs_per_cycle {
        128 => "alif-e7-he",
        256 => "alif-e7-hp",
        _ => "mps3-an547",
    };
    let found = BOARDS.iter().find(|board| board.name == name);
    found.expect("the names are those of boards")
}

/// Reads the only row of `model_summary_*.csv`.
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
