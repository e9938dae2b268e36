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
mod memory;
mod report;

use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, entry, exception};
use nas_kernels::{
    Model, Session,
    blob::{self, BlobError},
};

use crate::{
    clock::Clock,
    input::{Input, InputError},
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
    let loading = clock.now();
    let model = parse(memory.model)?;
    let load_ticks = clock.since(loading);

    let length = model.input().len();
    if input.length() != length {
        return Err(Failure::InputLength {
            expected: length,
            found: input.length(),
        });
    }
    let arena = ram.arena(model.arena_bytes()).map_err(Failure::Model)?;
    let mut hash = blob::CHECKSUM_START;
    let mut ticks = 0;
    {
        let mut session = model.session(arena).map_err(Failure::Model)?;
        for bytes in input.tensors() {
            let started = infer(&mut session, bytes, clock);
            ticks = clock.since(started).max(ticks);
            hash = blob::checksum_from(hash, session.output().iter().map(|value| *value as u8));
        }
    }
    let stack_bytes = ram.peak_stack(model.arena_bytes()).ok_or(Failure::Stack)?;
    Ok(Report {
        inputs: input.count(),
        expected: input.expected_hash,
        hash,
        ticks,
        load_ticks,
        stack_bytes,
        arena_bytes: touched(&model, &input, &mut ram)?,
    })
}

/// The blob without what follows it in its region, checked.
fn parse(region: &'static [u8]) -> Result<Model<'static>, Failure> {
    let claimed = match region.get(12..16) {
        Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]) as usize,
        _ => 0,
    };
    let length = claimed.clamp(blob::HEADER_BYTES, region.len());
    Model::parse(&region[..length]).map_err(|error| match error {
        BlobError::Length { .. } if claimed > region.len() => Failure::ModelTooLarge {
            needed: claimed,
            found: region.len(),
        },
        error => Failure::Model(error),
    })
}

/// One inference; the result is when it started.
#[inline(never)]
fn infer(session: &mut Session<'_, '_>, input: &[u8], clock: &Clock) -> u64 {
    for (slot, byte) in session.input_mut().iter_mut().zip(input) {
        *slot = *byte as i8;
    }
    let started = clock.now();
    session.run();
    started
}

/// Bytes of the arena up to the last one that an inference writes, in whole steps of its alignment.
///
/// A byte that is written has the same value in both passes, so it cannot look untouched in both.
fn touched(model: &Model<'_>, input: &Input, ram: &mut Ram) -> Result<usize, Failure> {
    let Some(bytes) = input.tensors().next() else {
        return Ok(0);
    };
    let mut end = 0;
    for fill in [0x55, -0x56] {
        let arena = ram.arena(model.arena_bytes()).map_err(Failure::Model)?;
        arena.fill(fill);
        let mut session = model.session(arena).map_err(Failure::Model)?;
        for (slot, byte) in session.input_mut().iter_mut().zip(bytes) {
            *slot = *byte as i8;
        }
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
