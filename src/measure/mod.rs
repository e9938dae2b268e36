//! Runs a model as firmware, in an emulator or on a board, and says what was seen.
//!
//! A [`Bench`] builds the image of a [`Place`] once and then measures any number of models on it. A
//! [`Measurement`] is what was seen, never an estimate. Nothing here knows samplers, training or stores.

mod counter;
mod cycles;
mod elf;
mod firmware;
mod input;
mod probe;
mod qemu;
mod toolchain;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use nas_kernels::Model;
use serde::Deserialize;

pub use counter::{Counted, build_plugin, count, read_counts};
pub use cycles::{CyclesError, FunctionCost, Profile, cycles};
pub use elf::{Image, Sections};
pub use firmware::{BOARDS, BoardKind, Kernels, build, files, unpack};
pub use input::{Inputs, hops};
pub use toolchain::{Toolchain, find_program};

use crate::{
    hardware::{Core, CostSource},
    quant::BlobError,
};

/// Where a model runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// QEMU's `mps2-an500`.
    QemuM7,
    /// QEMU's `mps3-an547`.
    QemuM55,
    /// A board behind a debug probe, by the name of its chip.
    Probe { chip: String },
}

/// What was seen when a model ran.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    pub on: String,
    /// Whether the outputs were those of the host, bit for bit.
    pub outputs_match: bool,
    /// Of the slowest inference; only an emulator counts them.
    pub instructions: Option<u64>,
    /// Cycles of the slowest inference: measured on a board, estimated from what an emulator executed.
    pub cycles: Option<(u64, CostSource)>,
    /// Instructions of the slowest hop: front end, and the inference where a window is complete.
    pub hop_instructions: Option<u64>,
    /// Bytes of the arena up to the last one that was written, in whole steps of 16.
    pub arena_bytes: u64,
    /// Samples, scratch and features of the front end, where the model has one.
    pub front_end_bytes: Option<u64>,
    /// Most bytes of stack in use at once, from the reset on.
    pub stack_bytes: u64,
    pub image: Sections,
    /// Bytes of the blob: weights, tables, structure.
    pub model_bytes: u64,
}

/// A model that could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    #[error("{name} is not installed; {remedy}")]
    Missing {
        name: &'static str,
        remedy: &'static str,
    },
    #[error(
        "no Rust compiler of this machine builds for {target}; run `rustup target add {target}`, or on Debian \
         `apt-get install rustc-web rust-web-src lld-22`"
    )]
    NoToolchain { target: &'static str },
    #[error("there is no firmware for the chip `{chip}`; there is for {known}")]
    UnknownChip { chip: String, known: String },
    #[error("cannot use {path}: {source}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the firmware for {board} does not build:\n{log}")]
    Build { board: &'static str, log: String },
    #[error("{path} is not an image that can be run: {problem}")]
    Image {
        path: PathBuf,
        problem: &'static str,
    },
    #[error("the host cannot run the model: {0}")]
    Blob(#[from] BlobError),
    #[error("the firmware refuses: {message} ({name})")]
    Refused { name: String, message: String },
    #[error("{on} gave no result within {seconds} s")]
    Timeout { on: String, seconds: u64 },
    #[error("{on} ended without a result: {said}")]
    NoResult { on: String, said: String },
    #[error(transparent)]
    Cycles(#[from] CyclesError),
    #[error("{0}")]
    Probe(String),
}

/// A machine that runs an image: an emulator, a board behind a probe, or a stand-in for tests.
pub trait Board {
    /// Puts an image into memory, and bytes beside it at their addresses.
    fn load(&mut self, image: &Image, regions: &[Region<'_>]) -> Result<(), MeasureError>;
    /// Runs what was loaded until it ends, and reads what it printed.
    fn run(&mut self, timeout: Duration) -> Result<String, MeasureError>;
}

/// Bytes at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region<'a> {
    pub address: u32,
    pub bytes: &'a [u8],
}

/// An image and a board that runs it.
pub struct Bench {
    on: String,
    image: Image,
    board: Box<dyn Board>,
    tick: Option<Tick>,
    timeout: Duration,
    /// The emulated board and the folder of its plugin, where cycles are to be estimated.
    counter: Option<(&'static BoardKind, PathBuf)>,
}

/// How an emulator counts: instructions take a fixed time, and SysTick measures it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    pub systick_hz: u64,
    pub instruction_ns: u64,
}

impl Place {
    /// What measurements call it.
    pub fn name(&self) -> &str {
        match self {
            Place::QemuM7 => "qemu-m7",
            Place::QemuM55 => "qemu-m55",
            Place::Probe { chip } => chip,
        }
    }

    /// The place of a measurement's name.
    pub fn of(name: &str) -> Place {
        match name {
            "qemu-m7" => Place::QemuM7,
            "qemu-m55" => Place::QemuM55,
            chip => Place::Probe {
                chip: chip.to_string(),
            },
        }
    }

    /// `None` for a chip that there is no firmware for.
    pub fn core(&self) -> Option<Core> {
        Some(self.board().ok()?.core)
    }

    /// The board whose image runs here.
    pub fn board(&self) -> Result<&'static BoardKind, MeasureError> {
        let named = |name| BOARDS.iter().find(|board| board.name == name);
        let found = match self {
            Place::QemuM7 => named("mps2-an500"),
            Place::QemuM55 => named("mps3-an547"),
            Place::Probe { chip } => BOARDS
                .iter()
                .find(|board| board.chip.is_some_and(|prefix| chip.starts_with(prefix))),
        };
        found.ok_or_else(|| MeasureError::UnknownChip {
            chip: self.name().to_string(),
            known: BOARDS
                .iter()
                .filter_map(|board| board.chip)
                .collect::<Vec<_>>()
                .join(", "),
        })
    }
}

impl Measurement {
    /// All that lies in flash: code, constants, initial values, the model.
    pub fn flash_bytes(&self) -> u64 {
        self.image.text + self.image.rodata + self.image.data + self.model_bytes
    }

    /// All that lies in RAM: static data, arena, front end, stack.
    pub fn ram_bytes(&self) -> u64 {
        let front_end = self.front_end_bytes.unwrap_or(0);
        self.image.data + self.image.bss + self.arena_bytes + front_end + self.stack_bytes
    }
}

impl Bench {
    /// Builds the image where `folder` does not hold it yet, and makes the board ready.
    ///
    /// `note` is told what takes long.
    pub fn open(
        place: &Place,
        folder: &Path,
        timeout: Duration,
        note: &dyn Fn(&str),
    ) -> Result<Bench, MeasureError> {
        let kind = place.board()?;
        let board: Box<dyn Board> = match place {
            Place::QemuM7 | Place::QemuM55 => Box::new(qemu::Qemu::new(kind)?),
            Place::Probe { chip } => probe::open(chip)?,
        };
        let image = build(kind, Kernels::OfCore, folder, note)?;
        let bench = Bench::with(place.name(), image, board, kind.tick(), timeout);
        Ok(Bench {
            counter: kind.machine.map(|_| (kind, folder.to_path_buf())),
            ..bench
        })
    }

    /// An emulated board with an image that is built of sources in a folder, and stays there.
    pub fn of_sources(
        kind: &'static BoardKind,
        sources: &Path,
        timeout: Duration,
        note: &dyn Fn(&str),
    ) -> Result<Bench, MeasureError> {
        note(&format!("building the firmware for {}", kind.name));
        Bench::of_image(kind, firmware::build_in_place(kind, sources)?, timeout)
    }

    /// An emulated board with an image that was built for it.
    pub fn of_image(
        kind: &'static BoardKind,
        image: Image,
        timeout: Duration,
    ) -> Result<Bench, MeasureError> {
        let board = Box::new(qemu::Qemu::new(kind)?);
        Ok(Bench::with(kind.name, image, board, kind.tick(), timeout))
    }

    /// A bench of parts that were made elsewhere.
    pub fn with(
        on: &str,
        image: Image,
        board: Box<dyn Board>,
        tick: Option<Tick>,
        timeout: Duration,
    ) -> Bench {
        Bench {
            on: on.to_string(),
            image,
            board,
            tick,
            timeout,
            counter: None,
        }
    }

    /// Runs a model: its network on tensors that reach every corner, and where it has a front end also the whole
    /// detector on noise.
    pub fn measure(&mut self, blob: &[u8]) -> Result<Measurement, MeasureError> {
        let model = Model::parse(blob)?;
        let tensors = Inputs::random_tensors(TENSORS, model.input().len());
        let network = self.run(blob, &tensors, tensors.expected_hash(blob)?)?;
        let stream = match model.front_end() {
            None => None,
            Some(front_end) => {
                // Two windows and a hop.
                let hops = front_end.frames + front_end.frame_stride + 1;
                let spec = front_end.spec();
                let noise = Inputs::noise(spec.n_fft + hops as usize * spec.hop_length);
                Some(self.run(blob, &noise, noise.expected_hash(blob)?)?)
            }
        };
        let (instructions, cycles) = self.counts(&network);
        let stack_of_stream = stream.as_ref().map_or(0, |stream| stream.stack_bytes);
        Ok(Measurement {
            on: self.on.clone(),
            outputs_match: std::iter::once(&network)
                .chain(&stream)
                .all(|run| run.outputs_match == Some(true)),
            instructions,
            cycles: match cycles {
                Some(cycles) => Some((cycles, CostSource::Measured)),
                None => self.scheduled_cycles(blob)?,
            },
            hop_instructions: stream.as_ref().and_then(|stream| self.counts(stream).0),
            arena_bytes: network.arena_bytes,
            front_end_bytes: stream.as_ref().and_then(|stream| stream.front_end_bytes),
            stack_bytes: network.stack_bytes.max(stack_of_stream),
            image: self.image.sections,
            model_bytes: blob.len() as u64,
        })
    }

    /// Cycles that LLVM expects of the instructions of one inference; `None` on a board, and without LLVM.
    fn scheduled_cycles(&self, blob: &[u8]) -> Result<Option<(u64, CostSource)>, MeasureError> {
        let Some((kind, folder)) = &self.counter else {
            return Ok(None);
        };
        let counted = count(kind, &self.image, blob, folder, self.timeout)?;
        match cycles(&self.image.path, kind.core, &counted.executed) {
            Ok(profile) => Ok(Some((profile.cycles.round() as u64, CostSource::Estimated))),
            Err(CyclesError::Missing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a model makes of inputs what is expected.
    pub fn reproduces(
        &mut self,
        blob: &[u8],
        inputs: &Inputs,
        expected_hash: u64,
    ) -> Result<bool, MeasureError> {
        let report = self.run(blob, inputs, expected_hash)?;
        Ok(report.outputs_match == Some(true))
    }

    fn run(
        &mut self,
        blob: &[u8],
        inputs: &Inputs,
        expected_hash: u64,
    ) -> Result<Report, MeasureError> {
        let input = inputs.to_bytes(expected_hash);
        let regions = [
            self.image.region("__model_start", blob)?,
            self.image.region("__input_start", &input)?,
        ];
        self.board.load(&self.image, &regions)?;
        let printed = self.board.run(self.timeout)?;
        Report::read(&self.on, &printed)
    }

    /// Instructions or cycles of the slowest inference or hop.
    fn counts(&self, report: &Report) -> (Option<u64>, Option<u64>) {
        match (report.clock.as_str(), self.tick) {
            ("systick", Some(tick)) => (Some(tick.instructions(report.ticks)), None),
            ("cycles", _) => (None, Some(report.ticks)),
            _ => (None, None),
        }
    }
}

/// Inputs that every network is run on; the slowest counts.
const TENSORS: usize = 3;

impl Tick {
    /// Instructions in so many periods of SysTick, rounded: a period is shorter than an instruction or two.
    fn instructions(self, ticks: u64) -> u64 {
        let ns = u128::from(ticks) * 1_000_000_000 / u128::from(self.systick_hz);
        let per = u128::from(self.instruction_ns);
        ((ns + per / 2) / per) as u64
    }
}

/// The line that the firmware prints.
#[derive(Debug, Deserialize)]
struct Report {
    outputs_match: Option<bool>,
    clock: String,
    ticks: u64,
    stack_bytes: u64,
    arena_bytes: u64,
    front_end_bytes: Option<u64>,
}

impl Report {
    fn read(on: &str, printed: &str) -> Result<Report, MeasureError> {
        let no_result = || MeasureError::NoResult {
            on: on.to_string(),
            said: printed.trim().to_string(),
        };
        let is_json = |line: &&str| line.starts_with('{');
        let line = printed.lines().find(is_json).ok_or_else(no_result)?;
        if let Ok(Refusal { error, message }) = serde_json::from_str(line) {
            return Err(MeasureError::Refused {
                name: error,
                message,
            });
        }
        serde_json::from_str(line).map_err(|_| no_result())
    }
}

/// The line that it prints where it will not run.
#[derive(Debug, Deserialize)]
struct Refusal {
    error: String,
    message: String,
}

fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> MeasureError {
    let path = path.to_path_buf();
    move |source| MeasureError::Io { path, source }
}

#[cfg(test)]
mod tests;
