//! Commands: the words of a stream, one by one.
//!
//! A command is one word, or two where bit 14 is set. Bits 0 to 9 are its code, bits 16 to 31 a parameter; the second
//! word is 32 bits of payload, to which the parameter gives the bits above. Most commands set a register that the
//! next operations read; what was set stays. Source: the register maps of Vela (`ethos_u55_regs.py`,
//! `ethos_u65_interface.hpp`, Apache-2.0) and of Mesa (`registers.xml`, MIT).

use core::fmt;

use crate::error::{Error, Problem};

/// One command and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    /// Byte of its first word in the stream.
    pub offset: usize,
    /// What it does.
    pub what: What,
}

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Sets a register: 16 bits, or 48 with the payload as the lower 32.
    Set(Register, u64),
    /// Starts something, or waits for it, with its parameter.
    Start(Opcode, u16),
}

macro_rules! opcodes {
    ($($code:literal, $name:ident, $text:literal, $doc:literal;)*) => {
        /// Commands that start something.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Opcode {
            $(#[doc = $doc] $name,)*
        }

        impl Opcode {
            fn of(code: u16) -> Option<Opcode> {
                match code {
                    $($code => Some(Opcode::$name),)*
                    _ => None,
                }
            }

            /// The code in bits 0 to 9.
            pub fn code(self) -> u16 {
                match self {
                    $(Opcode::$name => $code,)*
                }
            }

            /// The name in Arm's register map.
            pub fn name(self) -> &'static str {
                match self {
                    $(Opcode::$name => $text,)*
                }
            }
        }
    };
}

opcodes! {
    0x000, Stop, "NPU_OP_STOP", "Ends the stream.";
    0x001, Interrupt, "NPU_OP_IRQ", "Raises the interrupt and goes on.";
    0x002, Convolution, "NPU_OP_CONV", "Convolution or fully connected layer.";
    0x003, Depthwise, "NPU_OP_DEPTHWISE", "Depthwise convolution.";
    0x005, Pool, "NPU_OP_POOL", "Pooling, by the mode in the parameter.";
    0x006, Elementwise, "NPU_OP_ELEMENTWISE", "Element by element, by the mode in the parameter.";
    0x010, StartCopy, "NPU_OP_DMA_START", "Copies bytes.";
    0x011, WaitForCopies, "NPU_OP_DMA_WAIT", "Waits until so many copies at most are running.";
    0x012, WaitForKernels, "NPU_OP_KERNEL_WAIT", "Waits until so many kernels at most are running.";
    0x013, PmuMask, "NPU_OP_PMU_MASK", "Turns counters on or off.";
}

macro_rules! registers {
    ($($code:literal, $has_payload:literal, $name:ident, $text:literal;)*) => {
        /// Registers that commands set, by their names in Arm's register map.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Register {
            $(#[doc = concat!("`", $text, "`")] $name,)*
        }

        /// All registers, by their place in [`Register`].
        const REGISTERS: &[(u16, bool, Register, &str)] =
            &[$(($code, $has_payload, Register::$name, $text),)*];
    };
}

registers! {
    0x100, false, IfmPadTop, "NPU_SET_IFM_PAD_TOP";
    0x101, false, IfmPadLeft, "NPU_SET_IFM_PAD_LEFT";
    0x102, false, IfmPadRight, "NPU_SET_IFM_PAD_RIGHT";
    0x103, false, IfmPadBottom, "NPU_SET_IFM_PAD_BOTTOM";
    0x104, false, IfmDepthM1, "NPU_SET_IFM_DEPTH_M1";
    0x105, false, IfmPrecision, "NPU_SET_IFM_PRECISION";
    0x107, false, IfmUpscale, "NPU_SET_IFM_UPSCALE";
    0x109, false, IfmZeroPoint, "NPU_SET_IFM_ZERO_POINT";
    0x10A, false, IfmWidth0M1, "NPU_SET_IFM_WIDTH0_M1";
    0x10B, false, IfmHeight0M1, "NPU_SET_IFM_HEIGHT0_M1";
    0x10C, false, IfmHeight1M1, "NPU_SET_IFM_HEIGHT1_M1";
    0x10D, false, IfmIbEnd, "NPU_SET_IFM_IB_END";
    0x10F, false, IfmRegion, "NPU_SET_IFM_REGION";
    0x111, false, OfmWidthM1, "NPU_SET_OFM_WIDTH_M1";
    0x112, false, OfmHeightM1, "NPU_SET_OFM_HEIGHT_M1";
    0x113, false, OfmDepthM1, "NPU_SET_OFM_DEPTH_M1";
    0x114, false, OfmPrecision, "NPU_SET_OFM_PRECISION";
    0x115, false, OfmBlkWidthM1, "NPU_SET_OFM_BLK_WIDTH_M1";
    0x116, false, OfmBlkHeightM1, "NPU_SET_OFM_BLK_HEIGHT_M1";
    0x117, false, OfmBlkDepthM1, "NPU_SET_OFM_BLK_DEPTH_M1";
    0x118, false, OfmZeroPoint, "NPU_SET_OFM_ZERO_POINT";
    0x11A, false, OfmWidth0M1, "NPU_SET_OFM_WIDTH0_M1";
    0x11B, false, OfmHeight0M1, "NPU_SET_OFM_HEIGHT0_M1";
    0x11C, false, OfmHeight1M1, "NPU_SET_OFM_HEIGHT1_M1";
    0x11F, false, OfmRegion, "NPU_SET_OFM_REGION";
    0x120, false, KernelWidthM1, "NPU_SET_KERNEL_WIDTH_M1";
    0x121, false, KernelHeightM1, "NPU_SET_KERNEL_HEIGHT_M1";
    0x122, false, KernelStride, "NPU_SET_KERNEL_STRIDE";
    0x123, false, ParallelMode, "NPU_SET_PARALLEL_MODE";
    0x124, false, AccFormat, "NPU_SET_ACC_FORMAT";
    0x125, false, Activation, "NPU_SET_ACTIVATION";
    0x126, false, ActivationMin, "NPU_SET_ACTIVATION_MIN";
    0x127, false, ActivationMax, "NPU_SET_ACTIVATION_MAX";
    0x128, false, WeightRegion, "NPU_SET_WEIGHT_REGION";
    0x129, false, ScaleRegion, "NPU_SET_SCALE_REGION";
    0x12D, false, AbStart, "NPU_SET_AB_START";
    0x12F, false, Blockdep, "NPU_SET_BLOCKDEP";
    0x130, false, Dma0SrcRegion, "NPU_SET_DMA0_SRC_REGION";
    0x131, false, Dma0DstRegion, "NPU_SET_DMA0_DST_REGION";
    0x132, false, Dma0Size0, "NPU_SET_DMA0_SIZE0";
    0x133, false, Dma0Size1, "NPU_SET_DMA0_SIZE1";
    0x180, false, Ifm2Broadcast, "NPU_SET_IFM2_BROADCAST";
    0x181, false, Ifm2Scalar, "NPU_SET_IFM2_SCALAR";
    0x185, false, Ifm2Precision, "NPU_SET_IFM2_PRECISION";
    0x189, false, Ifm2ZeroPoint, "NPU_SET_IFM2_ZERO_POINT";
    0x18A, false, Ifm2Width0M1, "NPU_SET_IFM2_WIDTH0_M1";
    0x18B, false, Ifm2Height0M1, "NPU_SET_IFM2_HEIGHT0_M1";
    0x18C, false, Ifm2Height1M1, "NPU_SET_IFM2_HEIGHT1_M1";
    0x18D, false, Ifm2IbStart, "NPU_SET_IFM2_IB_START";
    0x18F, false, Ifm2Region, "NPU_SET_IFM2_REGION";
    0x000, true, IfmBase0, "NPU_SET_IFM_BASE0";
    0x001, true, IfmBase1, "NPU_SET_IFM_BASE1";
    0x002, true, IfmBase2, "NPU_SET_IFM_BASE2";
    0x003, true, IfmBase3, "NPU_SET_IFM_BASE3";
    0x004, true, IfmStrideX, "NPU_SET_IFM_STRIDE_X";
    0x005, true, IfmStrideY, "NPU_SET_IFM_STRIDE_Y";
    0x006, true, IfmStrideC, "NPU_SET_IFM_STRIDE_C";
    0x010, true, OfmBase0, "NPU_SET_OFM_BASE0";
    0x011, true, OfmBase1, "NPU_SET_OFM_BASE1";
    0x012, true, OfmBase2, "NPU_SET_OFM_BASE2";
    0x013, true, OfmBase3, "NPU_SET_OFM_BASE3";
    0x014, true, OfmStrideX, "NPU_SET_OFM_STRIDE_X";
    0x015, true, OfmStrideY, "NPU_SET_OFM_STRIDE_Y";
    0x016, true, OfmStrideC, "NPU_SET_OFM_STRIDE_C";
    0x020, true, WeightBase, "NPU_SET_WEIGHT_BASE";
    0x021, true, WeightLength, "NPU_SET_WEIGHT_LENGTH";
    0x022, true, ScaleBase, "NPU_SET_SCALE_BASE";
    0x023, true, ScaleLength, "NPU_SET_SCALE_LENGTH";
    0x024, true, OfmScale, "NPU_SET_OFM_SCALE";
    0x025, true, OpaScale, "NPU_SET_OPA_SCALE";
    0x026, true, OpbScale, "NPU_SET_OPB_SCALE";
    0x030, true, Dma0Src, "NPU_SET_DMA0_SRC";
    0x031, true, Dma0Dst, "NPU_SET_DMA0_DST";
    0x032, true, Dma0Len, "NPU_SET_DMA0_LEN";
    0x033, true, Dma0Skip0, "NPU_SET_DMA0_SKIP0";
    0x034, true, Dma0Skip1, "NPU_SET_DMA0_SKIP1";
    0x080, true, Ifm2Base0, "NPU_SET_IFM2_BASE0";
    0x081, true, Ifm2Base1, "NPU_SET_IFM2_BASE1";
    0x082, true, Ifm2Base2, "NPU_SET_IFM2_BASE2";
    0x083, true, Ifm2Base3, "NPU_SET_IFM2_BASE3";
    0x084, true, Ifm2StrideX, "NPU_SET_IFM2_STRIDE_X";
    0x085, true, Ifm2StrideY, "NPU_SET_IFM2_STRIDE_Y";
    0x086, true, Ifm2StrideC, "NPU_SET_IFM2_STRIDE_C";
    0x090, true, Weight1Base, "NPU_SET_WEIGHT1_BASE";
    0x091, true, Weight1Length, "NPU_SET_WEIGHT1_LENGTH";
    0x092, true, Scale1Base, "NPU_SET_SCALE1_BASE";
    0x093, true, Scale1Length, "NPU_SET_SCALE1_LENGTH";
}

impl Register {
    /// How many there are.
    pub const COUNT: usize = REGISTERS.len();

    fn of(code: u16, has_payload: bool) -> Option<Register> {
        let found = REGISTERS
            .iter()
            .find(|row| row.0 == code && row.1 == has_payload)?;
        Some(found.2)
    }

    /// The name of its command in Arm's register map.
    pub fn name(self) -> &'static str {
        REGISTERS[self as usize].3
    }

    /// The code of its command in bits 0 to 9.
    pub fn code(self) -> u16 {
        REGISTERS[self as usize].0
    }

    /// Whether its command has a second word.
    pub fn has_payload(self) -> bool {
        REGISTERS[self as usize].1
    }
}

const CODE_BITS: u32 = 0x3FF;
const RESERVED_BITS: u32 = 0x3C00;
const PAYLOAD_BIT: u32 = 1 << 14;
const LONG_BIT: u32 = 1 << 15;

/// Reads a whole stream, little-endian words.
///
/// A command that is not known, or a stream that ends within one, is an error; what stands behind a STOP is not read.
pub fn read(stream: &[u8]) -> Result<Vec<Command>, Error> {
    let (words, rest) = stream.as_chunks::<4>();
    let at = |offset: usize, problem: Problem| Error::new(0, offset, problem);
    if !rest.is_empty() {
        return Err(at(4 * words.len(), Problem::CutOff));
    }
    let mut words = words
        .iter()
        .enumerate()
        .map(|(idx, word)| (4 * idx, u32::from_le_bytes(*word)));
    let mut commands = Vec::new();
    while let Some((offset, word)) = words.next() {
        let code = (word & CODE_BITS) as u16;
        let parameter = (word >> 16) as u16;
        let has_payload = word & PAYLOAD_BIT != 0;
        let unknown = || at(offset, Problem::UnknownCommand { word });
        if word & (RESERVED_BITS | LONG_BIT) != 0 {
            return Err(unknown());
        }
        let what = if let Some(register) = Register::of(code, has_payload) {
            let mut value = u64::from(parameter);
            if has_payload {
                let Some((_, payload)) = words.next() else {
                    return Err(at(offset, Problem::CutOff));
                };
                value = value << 32 | u64::from(payload);
            }
            What::Set(register, value)
        } else {
            let opcode = Opcode::of(code).filter(|_| !has_payload);
            What::Start(opcode.ok_or_else(unknown)?, parameter)
        };
        commands.push(Command { offset, what });
        if matches!(what, What::Start(Opcode::Stop, _)) {
            break;
        }
    }
    Ok(commands)
}

/// Writes commands as words of a stream; where they stood does not matter.
pub fn write(commands: &[Command]) -> Vec<u8> {
    let mut stream = Vec::new();
    for command in commands {
        let (code, parameter, payload) = match command.what {
            What::Start(opcode, parameter) => (opcode.code(), u32::from(parameter), None),
            What::Set(register, value) if register.has_payload() => {
                let parameter = (value >> 32) as u32;
                (register.code(), parameter, Some(value as u32))
            }
            What::Set(register, value) => (register.code(), value as u32, None),
        };
        let payload_bit = if payload.is_some() { PAYLOAD_BIT } else { 0 };
        let word = u32::from(code) | payload_bit | parameter << 16;
        stream.extend(word.to_le_bytes());
        stream.extend(payload.into_iter().flat_map(u32::to_le_bytes));
    }
    stream
}

impl fmt::Display for Command {
    /// The name as in Arm's register map, and the value; fields of several parts are taken apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Start(opcode, parameter) => {
                write!(f, "{} {parameter}", opcode.name())?;
                match crate::fields::describe_mode(opcode, parameter) {
                    Some(mode) => write!(f, "  ; {mode}"),
                    None => Ok(()),
                }
            }
            What::Set(register, value) => {
                write!(f, "{} ", register.name())?;
                match register.has_payload() {
                    true => write!(f, "{value:#x}")?,
                    false => write!(f, "{value}")?,
                }
                match crate::fields::describe(register, value) {
                    Some(parts) => write!(f, "  ; {parts}"),
                    None => Ok(()),
                }
            }
        }
    }
}
