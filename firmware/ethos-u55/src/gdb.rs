//! Playing the NPU for a program in an emulator without one, through the emulator's debugger interface.
//!
//! QEMU and others speak GDB's remote protocol. Watchpoints on the NPU's registers stop the program at each access;
//! the instruction is decoded, the [`Device`] answers, and the program goes on. The image needs no change. Source of
//! the protocol: GDB's manual, appendix "GDB Remote Serial Protocol".

use std::io::{self, Read, Write};

use crate::device::{Bus, Device};

/// What went wrong between emulator and model.
#[derive(Debug)]
pub enum GdbError {
    /// The connection.
    Io(io::Error),
    /// An answer that was not expected.
    Answer {
        /// What was asked.
        asked: String,
        /// What was answered.
        answer: String,
    },
    /// The program stopped for something else than a register of the NPU.
    Stopped(String),
    /// An access by an instruction that is not known.
    Instruction {
        /// Where it is.
        address: u32,
        /// Its two halves.
        halves: [u16; 2],
    },
}

/// A connection to an emulator.
#[derive(Debug)]
pub struct Gdb<S> {
    stream: S,
    received: Vec<u8>,
}

/// Why the program stands still.
enum Stop {
    /// It accesses an address that is watched.
    At(u32),
    /// It has ended.
    Ended,
}

/// Bytes that are read or written at once; QEMU takes packets of 4 KiB, two digits per byte.
const PACKET: usize = 0x700;

/// Registers that a driver uses: from the first, bytes.
const WATCHED: [(usize, usize); 4] = [(0x00, 0x2C), (0x3C, 0x14), (0x80, 0x40), (0x180, 0x28)];

/// The program counter among the core's registers.
const PC: usize = 15;

impl<S: Read + Write> Gdb<S> {
    /// Takes over a connection to an emulator whose program has not begun.
    pub fn new(stream: S) -> Gdb<S> {
        Gdb {
            stream,
            received: Vec::new(),
        }
    }

    fn send(&mut self, packet: &str) -> Result<(), GdbError> {
        let sum = packet.bytes().fold(0_u8, u8::wrapping_add);
        let framed = format!("${packet}#{sum:02x}");
        self.stream
            .write_all(framed.as_bytes())
            .map_err(GdbError::Io)
    }

    /// The next packet, decoded; empty where the connection has ended.
    fn receive(&mut self) -> Result<String, GdbError> {
        loop {
            let start = self.received.iter().position(|byte| *byte == b'$');
            let end = self.received.iter().position(|byte| *byte == b'#');
            if let (Some(start), Some(end)) = (start, end)
                && self.received.len() >= end + 3
            {
                let packet: Vec<u8> = self.received.drain(..end + 3).collect();
                // The other side may have gone already.
                let _ = self.stream.write_all(b"+");
                return Ok(expand(packet.get(start + 1..end).unwrap_or(&[])));
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Ok(String::new()),
                Ok(count) => self.received.extend(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Ok(String::new());
                }
                Err(error) => return Err(GdbError::Io(error)),
            }
        }
    }

    fn ask(&mut self, packet: &str) -> Result<String, GdbError> {
        self.send(packet)?;
        self.receive()
    }

    fn expect_ok(&mut self, packet: &str) -> Result<(), GdbError> {
        match self.ask(packet)? {
            answer if answer == "OK" => Ok(()),
            answer => Err(unexpected(packet, answer)),
        }
    }

    /// Reads memory of the program.
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), GdbError> {
        for (idx, part) in bytes.chunks_mut(PACKET).enumerate() {
            let at = address + (idx * PACKET) as u64;
            let asked = format!("m{at:x},{:x}", part.len());
            let answer = self.ask(&asked)?;
            let read = bytes_of(&answer).filter(|read| read.len() == part.len());
            match read {
                Some(read) => part.copy_from_slice(&read),
                None => return Err(unexpected(&asked, answer)),
            }
        }
        Ok(())
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), GdbError> {
        for (idx, part) in bytes.chunks(PACKET).enumerate() {
            let at = address + (idx * PACKET) as u64;
            let digits: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
            self.expect_ok(&format!("M{at:x},{:x}:{digits}", part.len()))?;
        }
        Ok(())
    }

    /// The sixteen registers of the core.
    fn registers(&mut self) -> Result<[u32; 16], GdbError> {
        let answer = self.ask("g")?;
        let bytes = bytes_of(&answer).unwrap_or_default();
        let words = bytes.as_chunks::<4>().0;
        match words.first_chunk::<16>() {
            Some(words) => Ok(words.map(u32::from_le_bytes)),
            None => Err(unexpected("g", answer)),
        }
    }

    fn set_register(&mut self, register: usize, value: u32) -> Result<(), GdbError> {
        let digits = value.swap_bytes();
        self.expect_ok(&format!("P{register:x}={digits:08x}"))
    }

    /// Lets the program go on until it stops.
    fn resume(&mut self) -> Result<Stop, GdbError> {
        self.send("c")?;
        let answer = self.receive()?;
        if answer.is_empty() || answer.starts_with(['W', 'X']) {
            return Ok(Stop::Ended);
        }
        let pairs = answer.get(3..).unwrap_or("").split(';');
        let watched = pairs
            .filter_map(|pair| pair.split_once(':'))
            .find(|(key, _)| ["awatch", "watch", "rwatch"].contains(key));
        let address = watched.and_then(|(_, address)| u32::from_str_radix(address, 16).ok());
        address.map(Stop::At).ok_or(GdbError::Stopped(answer))
    }
}

impl<S: Read + Write> Bus for Gdb<S> {
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> bool {
        Gdb::read(self, address, bytes).is_ok()
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> bool {
        Gdb::write(self, address, bytes).is_ok()
    }
}

/// What a program has asked of the NPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Played {
    /// Accesses of registers.
    pub accesses: usize,
    /// Jobs that were started.
    pub jobs: usize,
}

/// Plays the NPU, whose registers start at `base`, until the program ends.
pub fn play<S: Read + Write>(device: &mut Device<Gdb<S>>, base: u32) -> Result<Played, GdbError> {
    let gdb = device.bus();
    gdb.ask("qSupported:swbreak+;hwbreak+")?;
    // Without its description QEMU sends other registers than the sixteen of the core.
    gdb.ask("qXfer:features:read:target.xml:0,ffb")?;
    for (first, bytes) in WATCHED {
        for offset in (first..first + bytes).step_by(4) {
            gdb.expect_ok(&format!("Z4,{:x},4", base as usize + offset))?;
        }
    }
    let mut played = Played::default();
    while let Stop::At(address) = device.bus().resume()? {
        let offset = address.wrapping_sub(base) as usize;
        let registers = device.bus().registers()?;
        let access = access(device.bus(), address, &registers)?;
        played.accesses += 1;
        if access.is_load {
            let value = device.read(offset);
            device.bus().set_register(access.register, value)?;
        } else {
            let value = registers[access.register];
            // CMD with RUN.
            played.jobs += usize::from(offset == 8 && value & 1 == 1);
            device.write(offset, value);
        }
        if let Some(next) = access.next {
            device.bus().set_register(PC, next)?;
        }
    }
    Ok(played)
}

/// A load or store of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Access {
    is_load: bool,
    register: usize,
    /// The instruction behind it, where the program stands before it.
    next: Option<u32>,
}

/// The access that the program is at, or has just made.
fn access<S: Read + Write>(
    gdb: &mut Gdb<S>,
    address: u32,
    registers: &[u32; 16],
) -> Result<Access, GdbError> {
    let pc = registers[PC];
    let mut bytes = [0; 8];
    gdb.read(u64::from(pc.wrapping_sub(4)), &mut bytes)?;
    let halves: [u16; 4] = [0, 2, 4, 6].map(|at| u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    if let Some(found) = Instruction::decode([halves[2], halves[3]], registers)
        && found.address == address
    {
        return Ok(found.access(Some(pc.wrapping_add(found.bytes))));
    }
    let behind = [[halves[0], halves[1]], [halves[1], 0]];
    let behind = behind.into_iter().find_map(|halves| {
        let found = Instruction::decode(halves, registers)?;
        // A load may have overwritten the register that its address came from.
        let is_it = found.address == address || found.is_load && found.register == found.base;
        is_it.then_some(found.access(None))
    });
    behind.ok_or(GdbError::Instruction {
        address: pc,
        halves: [halves[2], halves[3]],
    })
}

/// A load or store of a word.
struct Instruction {
    bytes: u32,
    is_load: bool,
    register: usize,
    base: usize,
    address: u32,
}

impl Instruction {
    /// Thumb instructions that compilers use for a word: offset by a constant or by a register.
    fn decode([first, second]: [u16; 2], registers: &[u32; 16]) -> Option<Instruction> {
        let field =
            |half: u16, shift: u32, bits: u32| usize::from(half >> shift) & ((1 << bits) - 1);
        let long = |offset: u32| Instruction {
            bytes: 4,
            is_load: field(first, 4, 1) == 1,
            register: field(second, 12, 4),
            base: field(first, 0, 4),
            address: registers[field(first, 0, 4)].wrapping_add(offset),
        };
        let short = |is_load: bool, offset: u32| Instruction {
            bytes: 2,
            is_load,
            register: field(first, 0, 3),
            base: field(first, 3, 3),
            address: registers[field(first, 3, 3)].wrapping_add(offset),
        };
        // LDR.W and STR.W with twelve bits, with a shifted register, with eight bits up or down.
        if first & 0xFFE0 == 0xF8C0 {
            return Some(long(u32::from(second & 0xFFF)));
        }
        if first & 0xFFE0 == 0xF840 {
            if second & 0xFC0 == 0 {
                let index = registers[field(second, 0, 4)];
                return Some(long(index << field(second, 4, 2)));
            }
            if second & 0xD00 == 0xC00 {
                let offset = u32::from(second & 0xFF);
                let is_up = field(second, 9, 1) == 1;
                return Some(long(if is_up { offset } else { offset.wrapping_neg() }));
            }
        }
        // LDR and STR with five bits, and with a register.
        if first >> 12 == 6 {
            return Some(short(
                field(first, 11, 1) == 1,
                4 * field(first, 6, 5) as u32,
            ));
        }
        if first & 0xF600 == 0x5000 {
            return Some(short(
                field(first, 11, 1) == 1,
                registers[field(first, 6, 3)],
            ));
        }
        None
    }

    fn access(&self, next: Option<u32>) -> Access {
        Access {
            is_load: self.is_load,
            register: self.register,
            next,
        }
    }
}

/// A packet's text: `*` repeats, and `}` stands before what would end a packet.
fn expand(packet: &[u8]) -> String {
    let mut text: Vec<u8> = Vec::new();
    let mut bytes = packet.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'}' => text.extend(bytes.next().map(|escaped| escaped ^ 0x20)),
            b'*' => {
                let count = usize::from(bytes.next().unwrap_or(29).saturating_sub(29));
                let last = text.last().copied().unwrap_or(b'0');
                text.resize(text.len() + count, last);
            }
            byte => text.push(byte),
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok();
    match pairs {
        (pairs, []) => pairs.iter().map(byte).collect(),
        _ => None,
    }
}

fn unexpected(asked: &str, answer: String) -> GdbError {
    GdbError::Answer {
        asked: asked.chars().take(40).collect(),
        answer,
    }
}

impl core::fmt::Display for GdbError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            GdbError::Io(error) => write!(f, "the emulator does not answer: {error}"),
            GdbError::Answer { asked, answer } => {
                write!(f, "the emulator answers `{answer}` to `{asked}`")
            }
            GdbError::Stopped(why) => {
                write!(f, "the program stopped for no register of the NPU: {why}")
            }
            GdbError::Instruction {
                address,
                halves: [first, second],
            } => write!(
                f,
                "the instruction {first:04x} {second:04x} at {address:#x} accesses the NPU in a way that is not known"
            ),
        }
    }
}

impl core::error::Error for GdbError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            GdbError::Io(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(halves: [u16; 2], expected: Option<(bool, usize, u32)>) {
        let registers = core::array::from_fn(|idx| 0x1000 * idx as u32);
        let found = Instruction::decode(halves, &registers);
        let found = found.map(|found| (found.is_load, found.register, found.address));
        assert_eq!(found, expected, "{halves:04x?}");
    }

    #[test]
    fn loads_and_stores_are_decoded() {
        check([0x6848, 0], Some((true, 0, 0x1004))); // ldr r0, [r1, #4]
        check([0x6048, 0], Some((false, 0, 0x1004))); // str r0, [r1, #4]
        check([0x58D1, 0], Some((true, 1, 0x5000))); // ldr r1, [r2, r3]
        check([0xF8D3, 0x2080], Some((true, 2, 0x3080))); // ldr.w r2, [r3, #128]
        check([0xF8C3, 0xC018], Some((false, 12, 0x3018))); // str.w r12, [r3, #24]
        check([0xF853, 0x1C04], Some((true, 1, 0x2FFC))); // ldr r1, [r3, #-4]
        check([0xF840, 0x1022], Some((false, 1, 0x8000))); // str.w r1, [r0, r2, lsl #2]
        check([0x4770, 0], None); // bx lr
    }

    #[test]
    fn packets_expand() {
        assert_eq!(expand(b"0* "), "0000");
        assert_eq!(expand(b"a}\x03b"), "a#b");
        assert_eq!(bytes_of("00ff"), Some(vec![0, 255]));
        assert_eq!(bytes_of("0"), None);
    }
}
