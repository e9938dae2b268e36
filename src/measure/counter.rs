//! Counts the executed instructions at every address, with a plugin of QEMU.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use nas_kernels::Model;

use super::{
    Board, BoardKind, Image, Inputs, Limit, MeasureError, Report, firmware, io_error, qemu::Qemu,
    toolchain,
};
use crate::disk;

/// What one inference did on an emulated core.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// How often the instruction at each address ran.
    pub executed: BTreeMap<u32, u64>,
    /// Whether the outputs were the host's, bit for bit.
    pub outputs_match: bool,
    /// Bytes of the arena up to the last byte that was written.
    pub arena_bytes: u64,
    /// Most bytes of stack in use at once.
    pub stack_bytes: u64,
}

impl Counted {
    /// All executed instructions.
    pub fn instructions(&self) -> u64 {
        self.executed.values().sum()
    }
}

/// Runs one inference of a model under the plugin; the plugin is built where `folder` does not hold it yet.
///
/// Fails where QEMU or the compiler is missing, or QEMU gives no result.
pub fn count(
    board: &BoardKind,
    image: &Image,
    blob: &[u8],
    folder: &Path,
    limit: Limit,
) -> Result<Counted, MeasureError> {
    let plugin = build_plugin(folder)?;
    let inputs = Inputs::random_tensors(1, Model::parse(blob)?.input().len());
    let input = inputs.to_bytes(inputs.expected_hash(blob)?);
    let wraps = limit.wraps(board.tick());
    let mut regions = vec![
        image.region("__model_start", blob)?,
        image.region("__input_start", &input)?,
    ];
    regions.extend(image.region("__limit", &wraps));
    let mut qemu = Qemu::new(board)?;
    qemu.load(image, &regions)?;
    let out = qemu.folder().join("counts");
    let [start, stop] = ["__inference_start", "__inference_end"]
        .map(|symbol| image.region(symbol, &[]).map(|region| region.address));
    let argument = format!(
        "{},start={:#x},stop={:#x},out={}",
        plugin.display(),
        start?,
        stop?,
        out.display()
    );
    let printed = qemu.run_with(&["-plugin".into(), argument.into()])?;
    let report = Report::read(board.name, limit, &printed)?;
    Ok(Counted {
        executed: read_counts(&out)?,
        outputs_match: report.outputs_match == Some(true),
        arena_bytes: report.arena_bytes,
        stack_bytes: report.stack_bytes,
    })
}

/// Reads the file that the plugin wrote: lines `address count`, the address in hexadecimal, the count in decimal.
pub fn read_counts(path: &Path) -> Result<BTreeMap<u32, u64>, MeasureError> {
    let text = fs::read_to_string(path).map_err(io_error(path))?;
    let line = |line: &str| {
        let (address, count) = line.split_once(' ')?;
        Some((u32::from_str_radix(address, 16).ok()?, count.parse().ok()?))
    };
    text.lines()
        .map(line)
        .collect::<Option<_>>()
        .ok_or(MeasureError::Image {
            path: path.to_path_buf(),
            problem: "a line of the counts is not an address and a number",
        })
}

/// The path of the plugin for this machine. It is built where `folder` does not hold one from the sources in this
/// program.
pub fn build_plugin(folder: &Path) -> Result<PathBuf, MeasureError> {
    let folder = std::path::absolute(folder)
        .map_err(io_error(folder))?
        .join("counter");
    fs::create_dir_all(&folder).map_err(io_error(&folder))?;
    let path = folder.join(format!("libnas_counter-{}.so", firmware::sources_key()));
    // One build at a time, also between processes. The lock ends with the file.
    let lock = folder.join("lock");
    let lock = File::create(&lock)
        .and_then(|file| file.lock().map(|()| file))
        .map_err(io_error(&lock))?;
    if !path.exists() {
        firmware::unpack(&folder)?;
        let built = compile(&folder)?;
        disk::copy_synced(&built, &path).map_err(io_error(&path))?;
    }
    drop(lock);
    Ok(path)
}

fn compile(folder: &Path) -> Result<PathBuf, MeasureError> {
    let mut command = Command::new("cargo");
    for variable in toolchain::INHERITED {
        command.env_remove(variable);
    }
    let output = command
        .args(["build", "--quiet", "--release", "--locked", "--target-dir"])
        .arg(folder.join("target"))
        .current_dir(folder.join("counter"))
        .output()
        .map_err(io_error(Path::new("cargo")))?;
    if !output.status.success() {
        return Err(MeasureError::Build {
            board: "QEMU's plugin",
            log: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    Ok(folder.join("target/release/libnas_counter.so"))
}
