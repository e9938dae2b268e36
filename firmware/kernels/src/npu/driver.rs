//! The driver: runs one inference through the NPU's registers.
//!
//! Sources: the register map in Vela (`ethos_u55_regs.py`, architecture 1.0.6), and the sequence of Arm's core driver
//! (`ethosu_driver.c`, `ethosu_device.c`).

use super::{NpuError, NpuModel, blob::ALIGNMENT};

/// The NPU's registers: its APB interface, or a stand-in for it.
pub trait Registers {
    /// Reads the word at one of the offsets of [`register`].
    fn read(&mut self, offset: usize) -> u32;
    /// Writes a word at one of the offsets of [`register`].
    fn write(&mut self, offset: usize, value: u32);
}

/// Offsets of the registers.
pub mod register {
    /// Product and version; read only.
    pub const ID: usize = 0x00;
    /// State of the NPU, see [`super::status`]; read only.
    pub const STATUS: usize = 0x04;
    /// Starts the NPU and clears its interrupt.
    pub const CMD: usize = 0x08;
    /// Resets the NPU into a security state.
    pub const RESET: usize = 0x0C;
    /// Address of the commands, lower half.
    pub const QBASE0: usize = 0x10;
    /// Address of the commands, upper half.
    pub const QBASE1: usize = 0x14;
    /// Bytes of the commands that were read; read only.
    pub const QREAD: usize = 0x18;
    /// The port for the commands.
    pub const QCONFIG: usize = 0x1C;
    /// Bytes of the commands.
    pub const QSIZE: usize = 0x20;
    /// The security state after a reset; read only.
    pub const PROT: usize = 0x24;
    /// The configuration of the NPU; read only.
    pub const CONFIG: usize = 0x28;
    /// The port of each region.
    pub const REGIONCFG: usize = 0x3C;
    /// Limits of an AXI port; the first of four registers.
    pub const AXI_LIMIT0: usize = 0x40;
    /// Addresses of the regions; the first of eight pairs of words, each with the lower half first.
    pub const BASEP0: usize = 0x80;
}

/// Bits of `STATUS`.
pub mod status {
    /// Commands are being executed.
    pub const RUNNING: u32 = 1 << 0;
    /// A bus error stopped the NPU.
    pub const BUS_FAULT: u32 = 1 << 2;
    /// A reset has not ended.
    pub const IN_RESET: u32 = 1 << 3;
    /// A command could not be read.
    pub const COMMAND_FAULT: u32 = 1 << 4;
    /// All commands were executed.
    pub const COMMANDS_ENDED: u32 = 1 << 5;
    /// The watchdog timer ended.
    pub const WATCHDOG: u32 = 1 << 7;
    /// A memory error was found.
    pub const ECC_FAULT: u32 = 1 << 8;
}

/// Bits of `CMD`. Without the two requests of low power, the NPU stays on.
const RUN: u32 = 1 << 0;
const CLEAR_INTERRUPT: u32 = 1 << 1;
/// Bits of `RESET` and `PROT`: privileged, and secure by a zero.
const PRIVILEGED: u32 = 1 << 0;
/// The part of `CONFIG` that commands depend on: MACs per cycle, command stream version, shared memory.
const CONFIG_MASK: u32 = 0xFFFF;

/// Number of regions in Vela's addresses: weights, arena, and the fast part of the arena, which is the same memory.
const REGIONS: usize = 3;

/// Which of its two AXI ports the NPU uses for each memory. These are values of `QCONFIG` and `REGIONCFG`: 0 and 1
/// are the first port, 2 and 3 the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryPorts {
    /// Port of the commands.
    pub commands: u32,
    /// Port of the weights.
    pub weights: u32,
    /// Port of the arena.
    pub arena: u32,
    /// The memory type of all requests, see `AXI_LIMIT`.
    pub memory_type: u32,
}

/// The addresses of what the NPU reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// Address of the commands, a multiple of 16.
    pub commands: u32,
    /// Address of the weights, a multiple of 16.
    pub weights: u32,
    /// Address of the arena, a multiple of 16.
    pub arena: u32,
}

/// Runs one inference, and reads `STATUS` at most `polls` times until it ends.
///
/// The input must lie in the arena, and caches must be written back to memory. Afterwards the output lies there, and
/// caches must be emptied before it is read.
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

/// Fails where there is no NPU, or another one than the commands are for.
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
    // There is nothing, or a bus that answers for a missing device.
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

/// Resets the NPU into the privileged secure state. A core is in the same state after its own reset.
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
    // Bursts of 64 bytes, with 32 reads and 16 writes at once, are the defaults of Arm's driver.
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
