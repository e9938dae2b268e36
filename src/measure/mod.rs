//! Runs a model as firmware, in an emulator or on a board, and says what was seen.
//!
//! A [`Bench`] builds the image of a [`Place`] once and then measures any number of models on it. A [`Measurement`]
//! holds what was seen, never an estimate, except for cycles that say so.
//!
//! This module knows no samplers, training or stores.

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

/// Where a model is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// QEMU's `mps2-an500`.
    QemuM7,
    /// QEMU's `mps3-an547`.
    QemuM55,
    /// A board behind a debug probe.
    Probe {
        /// The name of its chip, such as `STM32H743ZITx`.
        chip: String,
    },
}

/// What was seen when a model was run.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// The name of the place ([`Place::name`]).
    pub on: String,
    /// Whether the outputs were the host's, bit for bit.
    pub outputs_match: bool,
    /// Instructions of the slowest inference; only an emulator counts them.
    pub instructions: Option<u64>,
    /// Cycles of the slowest inference: measured on a board, or estimated from the instructions that an emulator
    /// executed.
    pub cycles: Option<(u64, CostSource)>,
    /// Instructions of the slowest hop: the front end, and an inference where a window is complete.
    pub hop_instructions: Option<u64>,
    /// Bytes of the arena up to the last byte that was written, in whole steps of 16.
    pub arena_bytes: u64,
    /// Bytes for samples, scratch and features of the front end; `None` where the model has none.
    pub front_end_bytes: Option<u64>,
    /// Most bytes of stack in use at once since the reset.
    pub stack_bytes: u64,
    /// Bytes of the linked image, without the model.
    pub image: Sections,
    /// Bytes of the blob: weights, tables, structure.
    pub model_bytes: u64,
}

/// Why a model could not be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// A program is not installed.
    #[error("{name} is not installed; {remedy}")]
    Missing {
        /// The program.
        name: &'static str,
        /// How to install it.
        remedy: &'static str,
    },
    /// No compiler on this machine builds for the core.
    #[error(
        "no Rust compiler on this machine builds for {target}; run `rustup target add {target}`, or on Debian \
         `apt-get install rustc-web rust-web-src lld-22`"
    )]
    NoToolchain {
        /// Rust's name of the instruction set.
        target: &'static str,
    },
    /// There is no firmware for the chip, or no emulator of the board.
    #[error("there is no firmware for the chip `{chip}`; there is firmware for {known}")]
    UnknownChip {
        /// The chip or board.
        chip: String,
        /// What there is firmware for, for the message.
        known: String,
    },
    /// A file could not be used, or a program not be started.
    #[error("cannot use {path}: {source}")]
    Io {
        /// The file, folder or program.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The firmware, or the plugin that counts, does not build.
    #[error("the firmware for {board} does not build:\n{log}")]
    Build {
        /// What was built.
        board: &'static str,
        /// What the compiler said.
        log: String,
    },
    /// A file is not what the measurement needs: an image or counts.
    #[error("{path} is not an image that can be run: {problem}")]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The host's interpreter refuses the model.
    #[error("the host cannot run the model: {0}")]
    Blob(#[from] BlobError),
    /// The firmware refuses the model or its inputs.
    #[error("the firmware refuses: {message} ({name})")]
    Refused {
        /// Short name of the refusal.
        name: String,
        /// The firmware's own words.
        message: String,
    },
    /// The place gave no result within the time limit.
    #[error("{on} gave no result within {seconds} s; allow more with `--timeout`")]
    Timeout {
        /// Where it ran.
        on: String,
        /// The time limit in seconds.
        seconds: u64,
    },
    /// The emulator reached the limit of guest instructions.
    #[error("{on} gave no result within {instructions} instructions; allow more with `--limit`")]
    Limit {
        /// Where it ran.
        on: String,
        /// The limit, in guest instructions.
        instructions: u64,
    },
    /// The place ended, and printed no result that can be read.
    #[error("{on} ended without a result: {said}")]
    NoResult {
        /// Where it ran.
        on: String,
        /// What it printed.
        said: String,
    },
    /// Cycles could not be estimated.
    #[error(transparent)]
    Cycles(#[from] CyclesError),
    /// The debug probe or its board does not work; holds the reason.
    #[error("{0}")]
    Probe(String),
}

/// A machine that runs an image: an emulator, a board behind a probe, or a stand-in for tests.
pub trait Board {
    /// Puts an image into memory, and bytes beside it at their addresses.
    fn load(&mut self, image: &Image, regions: &[Region<'_>]) -> Result<(), MeasureError>;
    /// Runs what was loaded until it ends, and reads what it printed.
    fn run(&mut self, limit: Limit) -> Result<String, MeasureError>;
}

/// When a run that has not ended is given up.
///
/// An emulator counts instructions, so that the same model passes or not however busy the machine is; a board behind a
/// probe runs in real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// In an emulator; the firmware looks once in about ten million instructions.
    pub instructions: u64,
    /// On a board.
    pub time: Duration,
}

/// Bytes for an address in the board's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region<'a> {
    /// The first byte's address.
    pub address: u32,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// An image and a board that runs it.
pub struct Bench {
    on: String,
    image: Image,
    board: Box<dyn Board>,
    tick: Option<Tick>,
    limit: Limit,
    /// The emulated board and the folder of its plugin, where cycles are to be estimated.
    counter: Option<(&'static BoardKind, PathBuf)>,
}

/// How an emulator counts: each instruction takes a fixed time, and SysTick measures it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// Frequency of SysTick in Hz.
    pub systick_hz: u64,
    /// Virtual time of one instruction in nanoseconds.
    pub instruction_ns: u64,
}

impl Place {
    /// The name in measurements and on the command line: `qemu-m7`, `qemu-m55` or the chip.
    pub fn name(&self) -> &str {
        match self {
            Place::QemuM7 => "qemu-m7",
            Place::QemuM55 => "qemu-m55",
            Place::Probe { chip } => chip,
        }
    }

    /// The place with this name; every unknown name is a chip.
    pub fn of(name: &str) -> Place {
        match name {
            "qemu-m7" => Place::QemuM7,
            "qemu-m55" => Place::QemuM55,
            chip => Place::Probe {
                chip: chip.to_string(),
            },
        }
    }

    /// The core at this place; `None` for a chip without firmware.
    pub fn core(&self) -> Option<Core> {
        Some(self.board().ok()?.core)
    }

    /// The board whose image runs here.
    ///
    /// Fails for a chip without firmware.
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
    /// Bytes in flash: code, constants, initial values, the model.
    pub fn flash_bytes(&self) -> u64 {
        self.image.text + self.image.rodata + self.image.data + self.model_bytes
    }

    /// Bytes in RAM: static data, arena, front end, stack.
    pub fn ram_bytes(&self) -> u64 {
        let front_end = self.front_end_bytes.unwrap_or(0);
        self.image.data + self.image.bss + self.arena_bytes + front_end + self.stack_bytes
    }
}

impl Bench {
    /// Builds the image where `folder` does not hold it yet, and prepares the board.
    ///
    /// `note` is told about steps that take long. Fails where the compiler, the emulator or the probe is missing.
    pub fn open(
        place: &Place,
        folder: &Path,
        limit: Limit,
        note: &dyn Fn(&str),
    ) -> Result<Bench, MeasureError> {
        let kind = place.board()?;
        let board: Box<dyn Board> = match place {
            Place::QemuM7 | Place::QemuM55 => Box::new(qemu::Qemu::new(kind)?),
            Place::Probe { chip } => probe::open(chip)?,
        };
        let image = build(kind, Kernels::OfCore, folder, note)?;
        let bench = Bench::with(place.name(), image, board, kind.tick(), limit);
        Ok(Bench {
            counter: kind.machine.map(|_| (kind, folder.to_path_buf())),
            ..bench
        })
    }

    /// An emulated board with an image that is built from the sources in a folder, and stays there.
    pub fn of_sources(
        kind: &'static BoardKind,
        sources: &Path,
        limit: Limit,
        note: &dyn Fn(&str),
    ) -> Result<Bench, MeasureError> {
        note(&format!("building the firmware for {}", kind.name));
        Bench::of_image(kind, firmware::build_in_place(kind, sources)?, limit)
    }

    /// An emulated board with an image that was already built for it.
    pub fn of_image(
        kind: &'static BoardKind,
        image: Image,
        limit: Limit,
    ) -> Result<Bench, MeasureError> {
        let board = Box::new(qemu::Qemu::new(kind)?);
        Ok(Bench::with(kind.name, image, board, kind.tick(), limit))
    }

    /// A bench from parts that were made elsewhere.
    pub fn with(
        on: &str,
        image: Image,
        board: Box<dyn Board>,
        tick: Option<Tick>,
        limit: Limit,
    ) -> Bench {
        Bench {
            on: on.to_string(),
            image,
            board,
            tick,
            limit,
            counter: None,
        }
    }

    /// Runs a model: its network on random tensors, and where it has a front end, also the whole detector on noise.
    ///
    /// Fails where the model cannot be run, or the board gives no result.
    pub fn measure(&mut self, blob: &[u8]) -> Result<Measurement, MeasureError> {
        let model = Model::parse(blob)?;
        let tensors = Inputs::random_tensors(TENSORS, model.input().len());
        let network = self.run(blob, &tensors, tensors.expected_hash(blob)?)?;
        let stream = match model.front_end() {
            None => None,
            Some(front_end) => {
                let spec = front_end.spec();
                // Enough for two windows and one more hop, after the frames that statistics leave out.
                let hops = (front_end.frames + front_end.frame_stride + 1) as usize;
                let hops = hops + spec.settling_frames();
                let noise = Inputs::noise(spec.n_fft + hops * spec.hop_length);
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

    /// Cycles that LLVM expects for the instructions of one inference; `None` on a board, or without LLVM.
    fn scheduled_cycles(&self, blob: &[u8]) -> Result<Option<(u64, CostSource)>, MeasureError> {
        let Some((kind, folder)) = &self.counter else {
            return Ok(None);
        };
        let counted = count(kind, &self.image, blob, folder, self.limit)?;
        match cycles(&self.image.path, kind.core, &counted.executed) {
            Ok(profile) => Ok(Some((profile.cycles.round() as u64, CostSource::Estimated))),
            Err(CyclesError::Missing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a model's outputs have the expected hash.
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
        let wraps = self.limit.wraps(self.tick);
        let mut regions = vec![
            self.image.region("__model_start", blob)?,
            self.image.region("__input_start", &input)?,
        ];
        // Images for chips, and those of older exports, look at no limit.
        if self.tick.is_some() {
            regions.extend(self.image.region("__limit", &wraps));
        }
        self.board.load(&self.image, &regions)?;
        let printed = self.board.run(self.limit)?;
        Report::read(&self.on, self.limit, &printed)
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

/// How many inputs every network is run on; the slowest counts.
const TENSORS: usize = 3;

impl Tick {
    /// Instructions in a number of SysTick periods, rounded; a period is shorter than an instruction or two.
    fn instructions(self, ticks: u64) -> u64 {
        let ns = u128::from(ticks) * 1_000_000_000 / u128::from(self.systick_hz);
        let per = u128::from(self.instruction_ns);
        ((ns + per / 2) / per) as u64
    }
}

/// Periods of SysTick between two of its interrupts, as `firmware/app` sets it.
const WRAP_TICKS: u128 = 1 << 24;

impl Limit {
    /// For an emulator alone.
    pub const fn instructions(instructions: u64) -> Limit {
        Limit {
            instructions,
            time: Duration::MAX,
        }
    }

    /// What the firmware compares: wraps of SysTick, rounded up and never 0, which would be no limit.
    fn wraps(self, tick: Option<Tick>) -> [u8; 4] {
        let wraps = tick.map_or(0, |tick| {
            let ns = u128::from(self.instructions) * u128::from(tick.instruction_ns);
            let ticks = ns * u128::from(tick.systick_hz) / 1_000_000_000;
            ticks.div_ceil(WRAP_TICKS).clamp(1, u128::from(u32::MAX)) as u32
        });
        wraps.to_le_bytes()
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
    fn read(on: &str, limit: Limit, printed: &str) -> Result<Report, MeasureError> {
        let no_result = || MeasureError::NoResult {
            on: on.to_string(),
            said: printed.trim().to_string(),
        };
        let is_json = |line: &&str| line.starts_with('{');
        let line = printed.lines().find(is_json).ok_or_else(no_result)?;
        if let Ok(Refusal { error, message }) = serde_json::from_str(line) {
            return Err(match error.as_str() {
                "limit" => MeasureError::Limit {
                    on: on.to_string(),
                    instructions: limit.instructions,
                },
                _ => MeasureError::Refused {
                    name: error,
                    message,
                },
            });
        }
        serde_json::from_str(line).map_err(|_| no_result())
    }
}

/// The line of JSON that the firmware prints when it refuses.
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
