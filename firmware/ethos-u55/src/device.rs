//! The NPU as a driver sees it: registers, and memory on a bus.
//!
//! A write of RUN to CMD runs the whole command stream before it returns, so STATUS is never seen as running. Offsets
//! and bits are those of Vela's register map (`ethos_u55_regs.py`) and of Linux (`ethosu_device.h`).

use crate::{
    Accelerator,
    cycles::{System, Timeline},
    error::{Error, Problem},
    execute::Npu,
    memory::{Memory, REGIONS},
    stream::Stream,
};

/// An NPU with its registers, and the memories that its bus reaches.
#[derive(Debug)]
pub struct Device<'a> {
    npu: Npu,
    blocks: Vec<Block<'a>>,
    registers: [u32; WORDS],
    system: Option<System>,
    /// Why the last job has ended early.
    fault: Option<Fault>,
}

/// Memory on the bus.
#[derive(Debug)]
struct Block<'a> {
    address: u64,
    bytes: &'a mut [u8],
}

/// Why a job has ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The stream.
    Stream(Error),
    /// The queue of commands lies in no memory.
    Queue {
        /// Address of its first byte.
        address: u64,
        /// Bytes.
        bytes: usize,
    },
}

/// Offsets of registers that this model knows; all others up to 0x1000 keep what is written.
mod register {
    pub const ID: usize = 0x00;
    pub const STATUS: usize = 0x04;
    pub const CMD: usize = 0x08;
    pub const RESET: usize = 0x0C;
    pub const QBASE: usize = 0x10;
    pub const QREAD: usize = 0x18;
    pub const QSIZE: usize = 0x20;
    pub const PROT: usize = 0x24;
    pub const CONFIG: usize = 0x28;
    pub const BASEP: usize = 0x80;
    pub const PMCR: usize = 0x180;
    pub const PMCNTENSET: usize = 0x184;
    pub const PMCNTENCLR: usize = 0x188;
    pub const PMCCNTR: usize = 0x1A0;
}

const WORDS: usize = 0x1000 / 4;

/// Architecture 1.0.6, as Vela 5.2 asks for it.
const ID: u32 = 0x1006_6001;

const STATUS_INTERRUPT: u32 = 1 << 1;
const STATUS_BUS_FAULT: u32 = 1 << 2;
const STATUS_PARSE_ERROR: u32 = 1 << 4;
const STATUS_END: u32 = 1 << 5;
const CMD_RUN: u32 = 1 << 0;
const CMD_CLEAR_INTERRUPT: u32 = 1 << 1;
/// Of RESET and PROT: privilege and security.
const PROTECTION: u32 = 3;
/// Of PMCR: counting, and resets of both kinds of counters.
const COUNTS: u32 = 1 << 0;
const RESETS_CYCLES: u32 = 1 << 2;
/// Four events are counted besides the cycles.
const EVENT_COUNTERS: u32 = 4 << 11;
/// Of PMCNTENSET: the counter of cycles.
const CYCLE_COUNTER: u32 = 1 << 31;

impl<'a> Device<'a> {
    /// An NPU out of reset, on a bus without memory.
    pub fn new(accelerator: Accelerator) -> Device<'a> {
        let mut device = Device {
            npu: Npu::new(accelerator),
            blocks: Vec::new(),
            registers: [0; WORDS],
            system: None,
            fault: None,
        };
        device.reset(0);
        device
    }

    /// Puts memory on the bus.
    pub fn with_memory(mut self, address: u64, bytes: &'a mut [u8]) -> Device<'a> {
        self.blocks.push(Block { address, bytes });
        self
    }

    /// Lets the counter of cycles count, by these memories.
    pub fn with_cycles(mut self, system: System) -> Device<'a> {
        self.system = Some(system);
        self
    }

    /// Why the last job has ended early; STATUS says no more than that it has.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Bytes of a block of memory, by the address that it was put at.
    pub fn memory(&mut self, address: u64) -> Option<&mut [u8]> {
        let block = self.blocks.iter_mut();
        let block = block.into_iter().find(|block| block.address == address)?;
        Some(block.bytes)
    }

    /// The word of a register; zero where there is none.
    pub fn read(&self, offset: usize) -> u32 {
        let word = self.registers.get(offset / 4).copied();
        word.filter(|_| offset.is_multiple_of(4)).unwrap_or(0)
    }

    /// Writes a register, with what follows from it.
    pub fn write(&mut self, offset: usize, value: u32) {
        match offset {
            register::ID
            | register::STATUS
            | register::QREAD
            | register::PROT
            | register::CONFIG => {}
            register::RESET => self.reset(value),
            register::CMD => self.command(value),
            register::PMCR => {
                if value & RESETS_CYCLES != 0 {
                    self.set_cycles(0);
                }
                self.set(offset, value & COUNTS | EVENT_COUNTERS);
            }
            register::PMCNTENSET => self.set(offset, self.read(offset) | value),
            register::PMCNTENCLR => {
                let enabled = self.read(register::PMCNTENSET) & !value;
                self.set(register::PMCNTENSET, enabled);
            }
            _ => self.set(offset, value),
        }
    }

    fn set(&mut self, offset: usize, value: u32) {
        if let Some(word) = self.registers.get_mut(offset / 4) {
            *word = value;
        }
    }

    fn pair(&self, offset: usize) -> u64 {
        u64::from(self.read(offset + 4)) << 32 | u64::from(self.read(offset))
    }

    fn set_cycles(&mut self, cycles: u64) {
        self.set(register::PMCCNTR, cycles as u32);
        self.set(register::PMCCNTR + 4, (cycles >> 32) as u32 & 0xFFFF);
    }

    /// All registers as after a reset, in the state that was asked for.
    fn reset(&mut self, protection: u32) {
        self.registers = [0; WORDS];
        self.fault = None;
        self.set(register::ID, ID);
        self.set(register::CONFIG, self.npu.accelerator().config());
        self.set(register::PROT, protection & PROTECTION);
        self.set(register::PMCR, EVENT_COUNTERS);
    }

    fn command(&mut self, value: u32) {
        if value & CMD_CLEAR_INTERRUPT != 0 {
            let status = self.read(register::STATUS) & !STATUS_INTERRUPT;
            self.set(register::STATUS, status);
        }
        self.set(register::CMD, value & !(CMD_RUN | CMD_CLEAR_INTERRUPT));
        if value & CMD_RUN != 0 {
            self.fault = None;
            let (read, status) = match self.job() {
                Ok(read) => (read, STATUS_END),
                Err(fault) => {
                    let ended = (fault.offset(), fault.status());
                    self.fault = Some(fault);
                    ended
                }
            };
            self.set(register::QREAD, read as u32);
            self.set(register::STATUS, status | STATUS_INTERRUPT);
        }
    }

    /// Runs the queue; bytes of it that were read.
    fn job(&mut self) -> Result<usize, Fault> {
        let (address, bytes) = (
            self.pair(register::QBASE),
            self.read(register::QSIZE) as usize,
        );
        let queue = self
            .place(address)
            .and_then(|(block, start)| self.blocks[block].bytes.get(start..start + bytes))
            .ok_or(Fault::Queue { address, bytes })?;
        let stream = Stream::read(queue).map_err(Fault::Stream)?;
        let places: Vec<_> = (0..REGIONS)
            .map(|region| self.place(self.pair(register::BASEP + 8 * region)))
            .collect();
        let mut memory = Memory::bus(self.blocks.iter_mut().map(|block| &mut *block.bytes));
        for (region, place) in places.into_iter().enumerate() {
            if let Some((block, start)) = place {
                memory = memory.at(region as u8, block, start);
            }
        }
        let run = self.npu.run(&stream, &mut memory);
        run.map_err(Fault::Stream)?;
        self.count(&stream);
        Ok(bytes)
    }

    /// The block of memory that holds an address, and the byte in it.
    fn place(&self, address: u64) -> Option<(usize, usize)> {
        self.blocks.iter().enumerate().find_map(|(idx, block)| {
            let start = usize::try_from(address.checked_sub(block.address)?).ok()?;
            (start < block.bytes.len()).then_some((idx, start))
        })
    }

    fn count(&mut self, stream: &Stream) {
        let counts = self.read(register::PMCR) & COUNTS != 0
            && self.read(register::PMCNTENSET) & CYCLE_COUNTER != 0;
        if let Some(system) = self.system.as_ref().filter(|_| counts) {
            let cycles = Timeline::of(stream, self.npu.accelerator(), system).total;
            self.set_cycles(self.pair(register::PMCCNTR) + cycles as u64);
        }
    }
}

impl Fault {
    /// Byte of the queue at which the job has ended.
    fn offset(&self) -> usize {
        match self {
            Fault::Stream(error) => error.offset,
            Fault::Queue { .. } => 0,
        }
    }

    fn status(&self) -> u32 {
        match self {
            Fault::Queue { .. } => STATUS_BUS_FAULT,
            Fault::Stream(error) => match error.problem {
                Problem::OutOfBounds(_) | Problem::NoMemory { .. } | Problem::ReadOnly { .. } => {
                    STATUS_BUS_FAULT
                }
                _ => STATUS_PARSE_ERROR,
            },
        }
    }
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Fault::Stream(error) => error.fmt(f),
            Fault::Queue { address, bytes } => {
                write!(
                    f,
                    "{bytes} bytes of commands at {address:#x}, where no memory is"
                )
            }
        }
    }
}

impl core::error::Error for Fault {}
