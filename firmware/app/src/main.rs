//! Runs a model blob on a microcontroller and reports what it saw as one line of JSON.
//!
//! The image knows no model: the blob lies in the region `MODEL` of the board's linker script, the inputs in
//! `INPUT` (layout: [`input`]), whether they were loaded beside the image or are part of it (feature `embed`).
//! Whatever is wrong with them ends in a named error and an exit code, never in a fault.
#![no_std]
#![no_main]

mod board;
mod clock;
mod input;
mod marks;
mod memory;
#[cfg(feature = "u55")]
mod npu;
mod report;

use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, entry, exception};
use nas_kernels::{
    Hop, Model, Session, Stream,
    blob::{self, BlobError},
};

use crate::{
    clock::Clock,
    input::{Input, InputError, Kind, Tensors},
    memory::{Memory, Ram},
    report::{ExitCode, Report},
};

/// Why there is no result.
pub enum Failure {
    Model(BlobError),
    /// The blob is longer than its region.
    ModelTooLarge {
        needed: usize,
        found: usize,
    },
    Input(InputError),
    InputLength {
        expected: usize,
        found: usize,
    },
    /// The stack came down into the arena's place.
    Stack,
    #[cfg(feature = "u55")]
    Npu(nas_kernels::npu::NpuError),
}

#[entry]
fn main() -> ! {
    let (memory, ram) = memory::take();
    let clock = Clock::start();
    match run(&memory, ram, &clock) {
        Ok(report) => {
            let code = match report.matches() {
                Some(false) => ExitCode::OutputsDiffer,
                _ => ExitCode::Ok,
            };
            report::finish(code, format_args!("{report}"))
        }
        Err(failure) => report::fail(&failure),
    }
}

#[inline(never)]
fn run(memory: &Memory, mut ram: Ram, clock: &Clock) -> Result<Report, Failure> {
    let input = Input::read(memory.input).map_err(Failure::Input)?;
    let mut report = run_model(memory.model, input.kind, &mut ram, clock)?;
    report.expected = input.expected_hash;
    Ok(report)
}

/// On the core, or on the NPU where the model was compiled for one.
fn run_model(
    region: &'static [u8],
    inputs: Kind,
    ram: &mut Ram,
    clock: &Clock,
) -> Result<Report, Failure> {
    #[cfg(feature = "u55")]
    if let Kind::Tensors(tensors) = inputs
        && npu::is_for(region)
    {
        return npu::run_network(region, tensors, ram, clock);
    }
    let started = clock.now();
    let model = parse(region)?;
    let load_ticks = clock.since(started);
    let mut report = match inputs {
        Kind::Tensors(tensors) => run_network(&model, tensors, ram, clock)?,
        Kind::Samples { samples, class } => run_stream(&model, samples, class, ram, clock)?,
    };
    report.load_ticks = load_ticks;
    Ok(report)
}

/// The blob without what follows it in its region, checked.
fn parse(region: &'static [u8]) -> Result<Model<'static>, Failure> {
    let claimed = claimed_length(region);
    let length = claimed.clamp(blob::HEADER_BYTES, region.len());
    Model::parse(&region[..length]).map_err(|error| match error {
        BlobError::Length { .. } if claimed > region.len() => Failure::ModelTooLarge {
            needed: claimed,
            found: region.len(),
        },
        error => Failure::Model(error),
    })
}

/// The length that a blob says it has.
fn claimed_length(region: &[u8]) -> usize {
    match region.get(12..16) {
        Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]) as usize,
        _ => 0,
    }
}

/// Inference on every tensor.
#[inline(never)]
fn run_network(
    model: &Model<'_>,
    tensors: Tensors,
    ram: &mut Ram,
    clock: &Clock,
) -> Result<Report, Failure> {
    let (expected, found) = (model.input().len(), tensors.length);
    if expected != found {
        return Err(Failure::InputLength { expected, found });
    }
    let mut report = Report::new(tensors.iter().len());
    let (arena, _) = ram.split(model.arena_bytes(), 0).map_err(Failure::Model)?;
    let mut session = model.session(arena).map_err(Failure::Model)?;
    for bytes in tensors.iter() {
        put(&mut session, bytes);
        let started = clock.now();
        marks::__inference_start();
        session.run();
        marks::__inference_end();
        report.ticks = clock.since(started).max(report.ticks);
        let outputs = session.output().iter().map(|value| *value as u8);
        report.hash = blob::checksum_from(report.hash, outputs);
    }
    let stack = ram.peak_stack(model.arena_bytes(), 0);
    report.stack_bytes = stack.ok_or(Failure::Stack)?;
    report.arena_bytes = touched(model, tensors, ram)?;
    Ok(report)
}

/// The whole detector, from samples.
#[inline(never)]
fn run_stream(
    model: &Model<'_>,
    samples: &[[u8; 2]],
    class: usize,
    ram: &mut Ram,
    clock: &Clock,
) -> Result<Report, Failure> {
    let more = model.stream_bytes();
    let (arena, memory) = ram
        .split(model.arena_bytes(), more)
        .map_err(Failure::Model)?;
    let mut stream = Stream::new(model, class, arena, memory).map_err(Failure::Model)?;
    let mut report = Report::new(0);
    // As a driver would, from a buffer of its own.
    const PIECE: usize = 64;
    for bytes in samples.chunks(PIECE) {
        let mut piece = [0; PIECE];
        for (sample, bytes) in piece.iter_mut().zip(bytes) {
            *sample = i16::from_le_bytes(*bytes);
        }
        let mut heard = &piece[..bytes.len()];
        loop {
            let started = clock.now();
            let Some(hop) = stream.next(&mut heard) else {
                break;
            };
            report.ticks = clock.since(started).max(report.ticks);
            report.count += 1;
            report.last = Some(hop);
            report.hash = blob::checksum_from(report.hash, outputs(&hop));
        }
    }
    let stack = ram.peak_stack(model.arena_bytes(), more);
    report.stack_bytes = stack.ok_or(Failure::Stack)?;
    report.arena_bytes = model.arena_bytes();
    report.front_end_bytes = Some(more);
    Ok(report)
}

/// What of a hop is compared with the host's.
fn outputs(hop: &Hop) -> impl Iterator<Item = u8> {
    let anomaly = hop.anomaly.map_or(2, u8::from);
    let score = hop.score.map(|score| score.to_bits().to_le_bytes());
    let outputs = score.map(|[a, b, c, d]| [a, b, c, d, anomaly]);
    outputs.into_iter().flatten()
}

fn put(session: &mut Session<'_, '_>, input: &[u8]) {
    for (slot, byte) in session.input_mut().iter_mut().zip(input) {
        *slot = *byte as i8;
    }
}

/// Bytes of the arena up to the last one that an inference writes, in whole steps of its alignment.
///
/// A byte that is written has the same value in both passes, so it cannot look untouched in both.
fn touched(model: &Model<'_>, tensors: Tensors, ram: &mut Ram) -> Result<usize, Failure> {
    let Some(bytes) = tensors.iter().next() else {
        return Ok(0);
    };
    let mut end = 0;
    for fill in [0x55, -0x56] {
        let (arena, _) = ram.split(model.arena_bytes(), 0).map_err(Failure::Model)?;
        arena.fill(fill);
        let mut session = model.session(arena).map_err(Failure::Model)?;
        put(&mut session, bytes);
        session.run();
        let last = arena.iter().rposition(|value| *value != fill);
        end = last.map_or(0, |last| last + 1).max(end);
    }
    Ok(end.next_multiple_of(memory::ARENA_ALIGNMENT))
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    report::finish(
        ExitCode::Fault,
        format_args!(
            r#"{{"error":"fault","message":"a fault at {:#010x}"}}"#,
            frame.pc()
        ),
    )
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    let (file, line) = info
        .location()
        .map_or(("", 0), |location| (location.file(), location.line()));
    report::finish(
        ExitCode::Panic,
        format_args!(r#"{{"error":"panic","message":"a panic at {file}:{line}"}}"#),
    )
}
