//! A network that Vela compiled for an Ethos-U55, and the driver that runs it.
//!
//! [`NpuModel`] is the blob, [`run`] the driver. It reaches the NPU only through [`Registers`], and a host can stand in
//! for the NPU. No NPU has executed it: it was only run against such a stand-in.

mod blob;
mod driver;

pub use blob::{HEADER_BYTES, MAGIC, NpuModel, VERSION, write_header};
pub use driver::{Addresses, MemoryPorts, Registers, register, run, status};

use core::fmt;

/// Why an NPU does not run a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NpuError {
    /// The blob does not start with [`MAGIC`].
    NotAModel,
    /// The blob has another format version.
    OtherVersion {
        /// The version that it names.
        found: u32,
    },
    /// The blob is cut off or too long.
    Length {
        /// Bytes by its header.
        claimed: u32,
        /// Bytes that there are.
        found: usize,
    },
    /// Some bytes of the blob have changed.
    Checksum,
    /// A part of the blob is wrong; holds the problem.
    Part(&'static str),
    /// Vela's list of actions for the driver is wrong; holds the problem.
    Payload(&'static str),
    /// There is no NPU: the register `ID` has no sensible value.
    NoNpu,
    /// The commands are for another architecture; holds major versions.
    OtherArchitecture {
        /// Version of the commands.
        expected: u32,
        /// Version of the NPU.
        found: u32,
    },
    /// The commands are for another configuration; holds MACs per cycle and KiB of shared memory.
    OtherConfiguration {
        /// Configuration of the commands.
        expected: [u32; 2],
        /// Configuration of the NPU.
        found: [u32; 2],
    },
    /// The NPU cannot use an address; holds which one and why.
    Address(&'static str),
    /// The NPU did not end its reset in time.
    ResetTimeout,
    /// The NPU is not in the security state that it was reset to.
    Protected,
    /// The NPU met a bus error.
    BusFault {
        /// Bytes of the commands that were read.
        read: u32,
    },
    /// The NPU could not read a command.
    CommandFault {
        /// Bytes of the commands that were read.
        read: u32,
    },
    /// The watchdog timer of the NPU ended.
    Watchdog {
        /// Bytes of the commands that were read.
        read: u32,
    },
    /// The NPU met a memory error.
    EccFault {
        /// Bytes of the commands that were read.
        read: u32,
    },
    /// The NPU did not end in time.
    Timeout {
        /// Bytes of the commands that were read.
        read: u32,
    },
    /// The NPU stopped before the end of the commands.
    Unfinished {
        /// Bytes of the commands that were read.
        read: u32,
        /// Bytes of all commands.
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
