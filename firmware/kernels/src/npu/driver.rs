//! The driver: registers in, one inference out.
//!
//! Sources: the register map that Vela carries along (`ethos_u55_regs.py`, architecture 1.0.6), and the sequence of
//! Arm's core driver (`ethosu_driver.c`, `ethosu_device.c`).

use super::{NpuError, NpuModel, blob::ALIGNMENT};

/// The NPU's registers: its APB interface, or what plays it.
pub trait Registers {
    /// The word at one of the offsets of [`register`].
    fn read(&mut self, offset: usize) -> u32;
    fn write(&mut self, offset: usize, value: u32);
}

/// Offsets of the registers.
pub mod register {
    pub const ID: usize = 0x00;
    pub const STATUS: usize = 0x04;
    pub const CMD: usize = 0x08;
    pub const RESET: usize = 0x0C;
    pub const QBASE0: usize = 0x10;
    pub const QBASE1: usize = 0x14;
    pub const QREAD: usize = 0x18;
    pub const QCONFIG: usize = 0x1C;
    pub const QSIZE: usize = 0x20;
    pub const PROT: usize = 0x24;
    pub const CONFIG: usize = 0x28;
    pub const REGIONCFG: usize = 0x3C;
    /// The first of four.
    pub const AXI_LIMIT0: usize = 0x40;
    /// The first of eight pairs of words, the lower half of an address first.
    pub const BASEP0: usize = 0x80;
}

/// Bits of `STATUS`.
pub mod status {
    pub const RUNNING: u32 = 1 << 0;
    pub const BUS_FAULT: u32 = 1 << 2;
    pub const IN_RESET: u32 = 1 << 3;
    pub const COMMAND_FAULT: u32 = 1 << 4;
    pub const COMMANDS_ENDED: u32 = 1 << 5;
    pub const WATCHDOG: u32 = 1 << 7;
    pub const ECC_FAULT: u32 = 1 << 8;
}

/// Bits of `CMD`; with neither of the two requests of low power, the NPU stays on.
const RUN: u32 = 1 << 0;
const CLEAR_INTERRUPT: u32 = 1 << 1;
/// Of `RESET` and `PROT`: privileged and, by a zero, secure.
const PRIVILEGED: u32 = 1 << 0;
/// The part of `CONFIG` that commands depend on: MACs per cycle, command stream version, shared memory.
const CONFIG_MASK: u32 = 0xFFFF;

/// Regions that Vela's addresses count from: weights, arena, and the fast part of it, which is the same memory.
const REGIONS: usize = 3;

/// Which of its two AXI ports the NPU takes for what: values of `QCONFIG` and `REGIONCFG`, 0 and 1 the first port,
/// 2 and 3 the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryPorts {
    pub commands: u32,
    pub weights: u32,
    pub arena: u32,
    /// The memory type of all requests, see `AXI_LIMIT`.
    pub memory_type: u32,
}

/// Where the NPU finds what it reads, and what it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    pub commands: u32,
    pub weights: u32,
    pub arena: u32,
}

/// Runs one inference and waits for its end by at most `polls` readings of `STATUS`.
///
/// The input lies in the arena, and memory has what caches had; the same holds for the output afterwards.
pub fn run(
    npu: &mut impl Registers,
    model: &NpuModel<'_>,
    addresses: &Addresses,
    ports: MemoryPorts,
    polls: u32,
) -> Result<(), NpuError> {
    check(npu, model, addresses)?;
    reset(npu, polls)?;
    set_ports(npu, ports);
    let length = model.commands.len() as u32;
    npu.write(register::QBASE0, addresses.commands);
    npu.write(register::QBASE1, 0);
    npu.write(register::QSIZE, length);
    let regions: [u32; REGIONS] = [addresses.weights, addresses.arena, addresses.arena];
    for (idx, address) in regions.into_iter().enumerate() {
        npu.write(register::BASEP0 + 8 * idx, address);
        npu.write(register::BASEP0 + 8 * idx + 4, 0);
    }
    npu.write(register::CMD, RUN);
    let ended = wait(npu, polls);
    npu.write(register::CMD, CLEAR_INTERRUPT);
    ended?;
    match npu.read(register::QREAD) {
        read if read == length => Ok(()),
        read => Err(NpuError::Unfinished { read, length }),
    }
}

/// Whether there is an NPU, and the one that the commands are for.
fn check(
    npu: &mut impl Registers,
    model: &NpuModel<'_>,
    addresses: &Addresses,
) -> Result<(), NpuError> {
    let all = [
        (
            addresses.commands,
            "commands that are not at a multiple of 16",
        ),
        (
            addresses.weights,
            "weights that are not at a multiple of 16",
        ),
        (addresses.arena, "an arena that is not at a multiple of 16"),
    ];
    for (address, problem) in all {
        if !(address as usize).is_multiple_of(ALIGNMENT) {
            return Err(NpuError::Address(problem));
        }
    }
    let id = npu.read(register::ID);
    // Nothing, or a bus that answers for what is not there.
    if id == 0 || id == u32::MAX {
        return Err(NpuError::NoNpu);
    }
    let (expected, found) = (model.architecture, id >> 28);
    if expected != found {
        return Err(NpuError::OtherArchitecture { expected, found });
    }
    let found = npu.read(register::CONFIG);
    if (found ^ model.config) & CONFIG_MASK != 0 {
        let named = |config: u32| [1 << (config & 0xF), config >> 8 & 0xFF];
        return Err(NpuError::OtherConfiguration {
            expected: named(model.config),
            found: named(found),
        });
    }
    Ok(())
}

/// Resets the NPU into the privileged secure state, in which a core leaves its own reset.
fn reset(npu: &mut impl Registers, polls: u32) -> Result<(), NpuError> {
    npu.write(register::RESET, PRIVILEGED);
    let is_over = (0..polls).any(|_| npu.read(register::STATUS) & status::IN_RESET == 0);
    if !is_over {
        return Err(NpuError::ResetTimeout);
    }
    if npu.read(register::PROT) != PRIVILEGED {
        return Err(NpuError::Protected);
    }
    npu.write(register::CMD, 0);
    Ok(())
}

fn set_ports(npu: &mut impl Registers, ports: MemoryPorts) {
    npu.write(register::QCONFIG, ports.commands);
    let regions = [ports.weights, ports.arena, ports.arena];
    let config = (0..)
        .zip(regions)
        .fold(0, |all, (idx, port)| all | port << (2 * idx));
    npu.write(register::REGIONCFG, config);
    // Bursts of 64 bytes, 32 reads and 16 writes at once: the defaults of Arm's driver.
    let limit = ports.memory_type << 4 | 31 << 16 | 15 << 24;
    for idx in 0..4 {
        npu.write(register::AXI_LIMIT0 + 4 * idx, limit);
    }
}

/// Waits until the commands have ended or failed.
fn wait(npu: &mut impl Registers, polls: u32) -> Result<(), NpuError> {
    for _ in 0..polls {
        let now = npu.read(register::STATUS);
        let is = |bit: u32| now & bit != 0;
        let fault: fn(u32) -> NpuError = if is(status::BUS_FAULT) {
            |read| NpuError::BusFault { read }
        } else if is(status::COMMAND_FAULT) {
            |read| NpuError::CommandFault { read }
        } else if is(status::WATCHDOG) {
            |read| NpuError::Watchdog { read }
        } else if is(status::ECC_FAULT) {
            |read| NpuError::EccFault { read }
        } else if is(status::COMMANDS_ENDED) && !is(status::RUNNING) {
            return Ok(());
        } else {
            continue;
        };
        return Err(fault(npu.read(register::QREAD)));
    }
    Err(NpuError::Timeout {
        read: npu.read(register::QREAD),
    })
}
