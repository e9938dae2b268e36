//! The firmware's sources, which are part of this program, and the images that are built from them.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::{
    Image, MeasureError, Tick, io_error,
    toolchain::{Toolchain, target_of},
};
use crate::{disk, hardware::Core};

include!(concat!(env!("OUT_DIR"), "/firmware_files.rs"));

/// A board that there is firmware for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoardKind {
    /// Name of its linker script, and of the feature of `firmware/app` that chooses it.
    pub name: &'static str,
    /// Its core.
    pub core: Core,
    /// QEMU's name of the machine, and the frequency of its SysTick in Hz; `None` where QEMU does not emulate it.
    pub machine: Option<(&'static str, u64)>,
    /// The beginning of its chips' names, where a probe can program them.
    pub chip: Option<&'static str>,
}

/// All boards with firmware; of each core, the emulated one comes first.
pub const BOARDS: [BoardKind; 5] = [
    BoardKind {
        name: "mps2-an500",
        core: Core::CortexM7,
        machine: Some(("mps2-an500", 25_000_000)),
        chip: None,
    },
    BoardKind {
        name: "mps3-an547",
        core: Core::CortexM55,
        machine: Some(("mps3-an547", 32_000_000)),
        chip: None,
    },
    BoardKind {
        name: "stm32h743",
        core: Core::CortexM7,
        machine: None,
        chip: Some("STM32H743"),
    },
    // probe-rs has no flash algorithm for Alif's MRAM.
    BoardKind {
        name: "alif-e7-he",
        core: Core::CortexM55,
        machine: None,
        chip: None,
    },
    BoardKind {
        name: "alif-e7-hp",
        core: Core::CortexM55,
        machine: None,
        chip: None,
    },
];

/// An instruction takes two to this power nanoseconds of virtual time (QEMU's `-icount shift`).
pub const ICOUNT_SHIFT: u32 = 6;

impl BoardKind {
    /// Rust's name of the instruction set.
    pub fn target(&self) -> &'static str {
        target_of(self.core)
    }

    /// How the emulator of this board counts; `None` where there is none.
    pub fn tick(&self) -> Option<Tick> {
        let (_, systick_hz) = self.machine?;
        Some(Tick {
            systick_hz,
            instruction_ns: 1 << ICOUNT_SHIFT,
        })
    }
}

/// Path and content of every file of `firmware/`.
pub fn files() -> &'static [(&'static str, &'static [u8])] {
    FILES
}

/// Writes the firmware's sources into a folder.
pub fn unpack(folder: &Path) -> Result<(), MeasureError> {
    for (name, content) in FILES {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io_error(parent))?;
        }
        fs::write(&path, content).map_err(io_error(&path))?;
    }
    Ok(())
}

/// The kernels that are built into an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernels {
    /// Those of the core.
    OfCore,
    /// The portable ones, to compare with.
    Portable,
    /// Those of the core, and the driver of the Ethos-U55.
    WithNpu,
}

impl Kernels {
    /// The feature of `firmware/app` beside the board's.
    fn feature(self) -> Option<&'static str> {
        match self {
            Kernels::OfCore => None,
            Kernels::Portable => Some("portable"),
            Kernels::WithNpu => Some("u55"),
        }
    }
}

/// The image of a board. It is built where `folder` does not hold one from these sources by this compiler.
///
/// Fails where no compiler for the core is installed, or the sources do not build.
pub fn build(
    board: &'static BoardKind,
    kernels: Kernels,
    folder: &Path,
    note: &dyn Fn(&str),
) -> Result<Image, MeasureError> {
    let toolchain = Toolchain::of(board.core)?;
    let folder = std::path::absolute(folder).map_err(io_error(folder))?;
    let own = folder.join(key(&toolchain));
    fs::create_dir_all(&own).map_err(io_error(&own))?;
    let name = match kernels.feature() {
        None => board.name.to_string(),
        Some(feature) => format!("{}-{feature}", board.name),
    };
    let path = own.join(format!("{name}.elf"));
    // One build at a time, also between processes. The lock ends with the file.
    let lock = folder.join("lock");
    let lock = File::create(&lock)
        .and_then(|file| file.lock().map(|()| file))
        .map_err(io_error(&lock))?;
    if !path.exists() {
        note(&format!("building the firmware for {name}"));
        unpack(&own)?;
        let built = compile(board, kernels, &toolchain, &own, &folder.join("target"))?;
        disk::copy_synced(&built, &path).map_err(io_error(&path))?;
    }
    drop(lock);
    Image::read(&path)
}

/// The image of a board, built from the sources in a folder. Cargo's files stay in its `target`, or in
/// `CARGO_TARGET_DIR`.
pub fn build_in_place(board: &'static BoardKind, sources: &Path) -> Result<Image, MeasureError> {
    let toolchain = Toolchain::of(board.core)?;
    let sources = std::path::absolute(sources).map_err(io_error(sources))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(sources.join("target"), PathBuf::from);
    let target = std::path::absolute(&target).map_err(io_error(&target))?;
    let path = compile(board, Kernels::OfCore, &toolchain, &sources, &target)?;
    Image::read(&path)
}

fn compile(
    board: &'static BoardKind,
    kernels: Kernels,
    toolchain: &Toolchain,
    sources: &Path,
    target: &Path,
) -> Result<PathBuf, MeasureError> {
    let features = match kernels.feature() {
        None => board.name.to_string(),
        Some(feature) => format!("{},{feature}", board.name),
    };
    let output = toolchain
        .cargo(board.target())
        .args(["--quiet", "--package", "nas-app", "--features", &features])
        .arg("--target-dir")
        .arg(target)
        .current_dir(sources)
        .output()
        .map_err(io_error(Path::new("cargo")))?;
    if !output.status.success() {
        return Err(MeasureError::Build {
            board: board.name,
            log: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    Ok(target.join(board.target()).join("release/nas-app"))
}

/// A name for these sources and this compiler.
fn key(toolchain: &Toolchain) -> String {
    let text = format!("{} {}", toolchain.version, sources_key());
    blake3::hash(text.as_bytes()).to_hex()[..16].to_string()
}

/// A hash of the sources.
pub(super) fn sources_key() -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, content) in FILES {
        for part in [name.as_bytes(), content] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    hasher.finalize().to_hex()[..16].to_string()
}
