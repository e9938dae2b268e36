//! A network that Vela compiled for an Ethos-U55, and the driver that runs it.
//!
//! [`NpuModel`] is the blob, [`run`] the driver: it sees the NPU through [`Registers`], so that a host can play the
//! NPU. No NPU has executed it: it was only run against such a stand-in.

mod blob;
mod driver;

pub use blob::{HEADER_BYTES, MAGIC, NpuModel, VERSION, write_header};
pub use driver::{Addresses, MemoryPorts, Registers, register, run, status};

use core::fmt;

/// Why an NPU does not run a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NpuError {
    NotAModel,
    OtherVersion {
        found: u32,
    },
    Length {
        claimed: u32,
        found: usize,
    },
    Checksum,
    /// A part of the blob.
    Part(&'static str),
    /// Vela's list of actions for a driver.
    Payload(&'static str),
    /// The register `ID` reads as nothing.
    NoNpu,
    /// Compiled for another architecture: major versions.
    OtherArchitecture {
        expected: u32,
        found: u32,
    },
    /// Compiled for another configuration: MACs per cycle and KiB of shared memory.
    OtherConfiguration {
        expected: [u32; 2],
        found: [u32; 2],
    },
    /// An address that the NPU cannot use.
    Address(&'static str),
    ResetTimeout,
    /// The NPU is not in the security state that it was reset to.
    Protected,
    /// An error of the bus, at this byte of the commands.
    BusFault {
        read: u32,
    },
    CommandFault {
        read: u32,
    },
    Watchdog {
        read: u32,
    },
    EccFault {
        read: u32,
    },
    Timeout {
        read: u32,
    },
    /// It stopped before the end of the commands.
    Unfinished {
        read: u32,
        length: u32,
    },
}

impl NpuError {
    /// A fixed name for programs.
    pub fn name(&self) -> &'static str {
        match self {
            NpuError::NotAModel => "not-a-model",
            NpuError::OtherVersion { .. } => "other-version",
            NpuError::Length { .. }
            | NpuError::Checksum
            | NpuError::Part(_)
            | NpuError::Payload(_) => "corrupt",
            NpuError::NoNpu => "no-npu",
            NpuError::OtherArchitecture { .. } | NpuError::OtherConfiguration { .. } => "other-npu",
            NpuError::Address(_) => "npu-address",
            NpuError::ResetTimeout | NpuError::Timeout { .. } => "npu-timeout",
            NpuError::Protected => "npu-protected",
            NpuError::BusFault { .. } => "npu-bus-fault",
            NpuError::CommandFault { .. } => "npu-command-fault",
            NpuError::Watchdog { .. } => "npu-watchdog",
            NpuError::EccFault { .. } => "npu-ecc-fault",
            NpuError::Unfinished { .. } => "npu-unfinished",
        }
    }
}

impl fmt::Display for NpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NpuError::NotAModel => {
                f.write_str("this is not a model for an NPU: it should start with `NASNPU55`")
            }
            NpuError::OtherVersion { found } => write!(
                f,
                "the model has format version {found} and this build reads version {VERSION}"
            ),
            NpuError::Length { claimed, found } => write!(
                f,
                "the model is corrupt: it should have {claimed} bytes and has {found}"
            ),
            NpuError::Checksum => f.write_str("the model is corrupt: its checksum does not fit"),
            NpuError::Part(problem) => write!(f, "the model is corrupt: {problem}"),
            NpuError::Payload(problem) => {
                write!(f, "the commands for the NPU are corrupt: {problem}")
            }
            NpuError::NoNpu => f.write_str("there is no Ethos-U55, or it has no clock"),
            NpuError::OtherArchitecture { expected, found } => write!(
                f,
                "the commands are for architecture {expected} and the NPU has {found}"
            ),
            NpuError::OtherConfiguration { expected, found } => write!(
                f,
                "the commands are for {} MACs per cycle with {} KiB and the NPU has {} with {} KiB",
                expected[0], expected[1], found[0], found[1]
            ),
            NpuError::Address(problem) => write!(f, "the NPU cannot use {problem}"),
            NpuError::ResetTimeout => f.write_str("the NPU did not end its reset"),
            NpuError::Protected => f.write_str("the NPU did not take the privileged secure state"),
            NpuError::BusFault { read } => {
                write!(f, "the NPU met a bus error, at byte {read} of its commands")
            }
            NpuError::CommandFault { read } => {
                write!(f, "the NPU cannot read its commands, at byte {read}")
            }
            NpuError::Watchdog { read } => write!(
                f,
                "the watchdog of the NPU ended, at byte {read} of its commands"
            ),
            NpuError::EccFault { read } => write!(
                f,
                "the NPU met a memory error, at byte {read} of its commands"
            ),
            NpuError::Timeout { read } => write!(
                f,
                "the NPU did not end in time, at byte {read} of its commands"
            ),
            NpuError::Unfinished { read, length } => write!(
                f,
                "the NPU stopped at byte {read} of {length} of its commands"
            ),
        }
    }
}

impl core::error::Error for NpuError {}
