//! The NPU as a driver sees it: registers, and memory on a bus.
//!
//! A write of RUN to CMD runs the whole command stream before it returns, so STATUS is never seen as running. Offsets
//! and bits are those of Vela's register map (`ethos_u55_regs.py`) and of Linux (`ethosu_device.h`).

use crate::{
    Accelerator,
    cycles::{System, Timeline},
    error::{Error, Problem},
    execute::Npu,
    memory::Memory,
    stream::Stream,
};

/// An NPU with its registers, on a bus.
#[derive(Debug)]
pub struct Device<B> {
    npu: Npu,
    bus: B,
    registers: [u32; WORDS],
    system: Option<System>,
    /// Why the last job has ended early.
    fault: Option<Fault>,
}

/// What the NPU reaches memory by.
pub trait Bus {
    /// Fills bytes from an address; whether all of them are memory.
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> bool;
    /// Writes bytes to an address; whether all of them are memory.
    fn write(&mut self, address: u64, bytes: &[u8]) -> bool;
}

/// Memories that are slices.
#[derive(Debug, Default)]
pub struct Slices<'a> {
    blocks: Vec<(u64, &'a mut [u8])>,
}

impl<'a> Slices<'a> {
    /// No memory.
    pub fn new() -> Slices<'a> {
        Slices::default()
    }

    /// Puts memory at an address.
    pub fn with(mut self, address: u64, bytes: &'a mut [u8]) -> Slices<'a> {
        self.blocks.push((address, bytes));
        self
    }

    fn place(&mut self, address: u64, length: usize) -> Option<&mut [u8]> {
        self.blocks.iter_mut().find_map(|(first, bytes)| {
            let start = usize::try_from(address.checked_sub(*first)?).ok()?;
            bytes.get_mut(start..start.checked_add(length)?)
        })
    }
}

impl Bus for Slices<'_> {
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> bool {
        let place = self.place(address, bytes.len());
        place.map(|place| bytes.copy_from_slice(place)).is_some()
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> bool {
        let place = self.place(address, bytes.len());
        place.map(|place| place.copy_from_slice(bytes)).is_some()
    }
}

/// Why a job has ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The stream.
    Stream(Error),
    /// Bytes that are in no memory.
    Bus {
        /// What they are.
        what: &'static str,
        /// Address of the first.
        address: u64,
        /// How many.
        bytes: u64,
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

impl<B: Bus> Device<B> {
    /// An NPU out of reset.
    pub fn new(accelerator: Accelerator, bus: B) -> Device<B> {
        let mut device = Device {
            npu: Npu::new(accelerator),
            bus,
            registers: [0; WORDS],
            system: None,
            fault: None,
        };
        device.reset(0);
        device
    }

    /// The bus.
    pub fn bus(&mut self) -> &mut B {
        &mut self.bus
    }

    /// Lets the counter of cycles count, by these memories.
    pub fn with_cycles(mut self, system: System) -> Device<B> {
        self.system = Some(system);
        self
    }

    /// Why the last job has ended early; STATUS says no more than that it has.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
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
        let bytes = self.read(register::QSIZE);
        let address = self.pair(register::QBASE);
        let queue = self.fetch("the queue of commands", address, u64::from(bytes))?;
        let stream = Stream::read(&queue).map_err(Fault::Stream)?;
        let areas = self.areas(&stream);
        let mut contents = Vec::new();
        for area in &areas {
            contents.push(self.fetch("a region", area.address, area.bytes)?);
        }
        let before = contents.clone();
        let mut memory = Memory::bus(contents.iter_mut().map(Vec::as_mut_slice));
        for (idx, area) in areas.iter().enumerate() {
            for &(region, start) in &area.regions {
                memory = memory.at(region, idx, start);
            }
        }
        let run = self.npu.run(&stream, &mut memory);
        for ((area, before), after) in areas.iter().zip(&before).zip(&contents) {
            self.store(area.address, before, after)?;
        }
        run.map_err(Fault::Stream)?;
        self.count(&stream);
        Ok(bytes as usize)
    }

    /// The memory that a stream reaches by its regions; regions that overlap are one area.
    fn areas(&self, stream: &Stream) -> Vec<Area> {
        let mut regions: Vec<(u64, u64, u8)> = (0_u8..)
            .zip(stream.extents())
            .filter(|(_, bytes)| *bytes > 0)
            .map(|(region, bytes)| {
                let base = self.pair(register::BASEP + 8 * usize::from(region));
                (base, bytes, region)
            })
            .collect();
        regions.sort_unstable();
        let mut areas: Vec<Area> = Vec::new();
        for (base, bytes, region) in regions {
            match areas.last_mut() {
                Some(area) if base - area.address < area.bytes => {
                    let start = base - area.address;
                    area.bytes = area.bytes.max(start.saturating_add(bytes));
                    area.regions.push((region, start as usize));
                }
                _ => areas.push(Area {
                    address: base,
                    bytes,
                    regions: vec![(region, 0)],
                }),
            }
        }
        areas
    }

    fn fetch(&mut self, what: &'static str, address: u64, bytes: u64) -> Result<Vec<u8>, Fault> {
        let fault = Fault::Bus {
            what,
            address,
            bytes,
        };
        if bytes > MOST_BYTES {
            return Err(fault);
        }
        let mut content = vec![0; bytes as usize];
        match self.bus.read(address, &mut content) {
            true => Ok(content),
            false => Err(fault),
        }
    }

    /// Writes what has changed.
    fn store(&mut self, address: u64, before: &[u8], after: &[u8]) -> Result<(), Fault> {
        let differs = |(before, after): (&u8, &u8)| before != after;
        let pairs = || before.iter().zip(after);
        let Some(first) = pairs().position(differs) else {
            return Ok(());
        };
        let last = pairs().rposition(differs).unwrap_or(first);
        let (address, changed) = (address + first as u64, &after[first..=last]);
        match self.bus.write(address, changed) {
            true => Ok(()),
            false => Err(Fault::Bus {
                what: "outputs",
                address,
                bytes: changed.len() as u64,
            }),
        }
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

/// Memory that some regions lie in.
struct Area {
    address: u64,
    bytes: u64,
    /// Regions, and where they start in it.
    regions: Vec<(u8, usize)>,
}

/// No microcontroller has more memory.
const MOST_BYTES: u64 = 1 << 30;

impl Fault {
    /// Byte of the queue at which the job has ended.
    fn offset(&self) -> usize {
        match self {
            Fault::Stream(error) => error.offset,
            Fault::Bus { .. } => 0,
        }
    }

    fn status(&self) -> u32 {
        match self {
            Fault::Bus { .. } => STATUS_BUS_FAULT,
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
            Fault::Bus {
                what,
                address,
                bytes,
            } => write!(
                f,
                "{what}, {bytes} bytes at {address:#x}, where no memory is"
            ),
        }
    }
}

impl core::error::Error for Fault {}
