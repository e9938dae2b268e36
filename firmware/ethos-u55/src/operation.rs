//! Operations: what the registers mean at the moment when something starts.

use core::fmt;

use crate::{
    accelerator::Accelerator,
    command::{Command, Opcode, Register, What},
    error::{Error, Problem},
    feature_map::FeatureMap,
    scale::{Rounding, Scale},
    shape::Shape,
    weights::{Order, Traversal},
};

/// One step of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Number of the operation, from 0; a wait has that of the operation after it.
    pub number: usize,
    /// Byte of its command in the stream.
    pub offset: usize,
    /// What is done.
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Computes a feature map.
    Kernel(Box<Kernel>),
    /// Copies bytes.
    Transfer(Transfer),
    /// Goes on when so many copies at most are running.
    WaitForCopies(u16),
    /// Goes on when so many kernels at most are running.
    WaitForKernels(u16),
    /// Raises the interrupt.
    Interrupt,
    /// Ends the stream.
    Stop,
}

/// A copy of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Where from.
    pub from: Place,
    /// Where to.
    pub to: Place,
    /// Bytes.
    pub bytes: usize,
}

/// An address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The region, `None` for the shared memory inside of the NPU.
    pub region: Option<u8>,
    /// Bytes from its start.
    pub start: i64,
}

/// Bytes in a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The region, 0 to 7.
    pub region: u8,
    /// First byte.
    pub start: i64,
    /// Bytes.
    pub bytes: usize,
}

/// All that one operation on feature maps depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Kernel {
    /// What it computes.
    pub kind: Kind,
    /// The input, or the first of two; its shape is what lies in memory.
    pub ifm: FeatureMap,
    /// The output.
    pub ofm: FeatureMap,
    /// Numbers around the output stage.
    pub output: Output,
    /// Outputs that are computed at a time.
    pub block: Shape,
    /// How the shared memory is divided.
    pub shared: SharedMemory,
    /// How many blocks of this operation may run beside the last ones of the operation before, 0 to 3.
    pub block_dependency: u8,
}

/// What a kernel computes.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Convolution; a fully connected layer is one with a kernel of 1x1.
    Convolution(Window, Constants, Traversal),
    /// Depthwise convolution.
    Depthwise(Window, Constants),
    /// Pooling.
    Pool(Window, PoolMode, Scale),
    /// Element by element.
    Elementwise(Elementwise),
}

/// Weights and the scales of output channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Constants {
    /// The encoded weights.
    pub weights: Span,
    /// Ten bytes per output channel: bias, scale and shift.
    pub scales: Span,
}

/// What of the input an output depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Taps, rows then columns.
    pub size: [usize; 2],
    /// Distance of outputs in the input.
    pub stride: [usize; 2],
    /// Distance of taps.
    pub dilation: [usize; 2],
    /// Rows above, columns to the left.
    pub before: [usize; 2],
    /// Rows below, columns to the right.
    pub after: [usize; 2],
    /// How the input is enlarged before.
    pub upscale: Upscale,
    /// Rows and columns of the enlarged input.
    pub enlarged: [usize; 2],
}

/// How an input is enlarged to twice its height and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upscale {
    /// Not at all.
    None,
    /// Each element four times.
    Nearest,
    /// Zeros between elements.
    Zeros,
}

/// How values are pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// The largest of a window.
    Max,
    /// The mean of a window.
    Average,
    /// The sum over all channels.
    ReduceSum,
}

/// An operation on elements.
#[derive(Debug, Clone, PartialEq)]
pub struct Elementwise {
    /// What is done.
    pub mode: ElementwiseMode,
    /// The second operand, where there is one.
    pub second: Option<Second>,
    /// Operand A is the second input.
    pub is_swapped: bool,
    /// How the operands of ADD and SUB are scaled.
    pub scaling: OperandScaling,
    /// The scale of the result; one where the mode has none.
    pub scale: Scale,
}

/// The second operand.
#[derive(Debug, Clone, PartialEq)]
pub enum Second {
    /// One number for all elements, its zero point taken off.
    Scalar(i32),
    /// A feature map, a dimension of 1 where it is repeated.
    Map(FeatureMap),
}

/// How the operands of ADD and SUB are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperandScaling {
    /// No scaling; 32-bit operands.
    None,
    /// Each by a factor of 16 bits.
    Both([u32; 2]),
    /// One by a factor of 32 bits, the other by a power of two.
    One {
        /// Whether it is operand A.
        is_a: bool,
        /// By how much.
        scale: Scale,
        /// How it is rounded.
        rounding: Rounding,
    },
}

/// Operations on elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementwiseMode {
    /// Product.
    Mul,
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// The smaller.
    Min,
    /// The larger.
    Max,
    /// Negative values times a factor.
    LeakyRelu,
    /// Magnitude.
    Abs,
    /// Number of leading zeros.
    LeadingZeros,
    /// Shift to the right by the second operand.
    ShiftRight,
    /// Shift to the left by the second operand.
    ShiftLeft,
}

/// The output stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// How scaled values are rounded.
    pub rounding: Rounding,
    /// Smallest and largest value, zero point added; `None` without limits.
    pub clamp: Option<[i64; 2]>,
    /// Slot of the table that is looked up last.
    pub table: Option<Table>,
}

/// A table in shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Slot of 256 bytes, 0 to 7.
    pub slot: usize,
    /// Bytes of an entry: 1 or 4.
    pub entry_bytes: usize,
    /// Whether indices start at -128.
    pub is_signed: bool,
}

impl Table {
    /// Bytes of all 256 entries.
    pub fn bytes(&self) -> usize {
        256 * self.entry_bytes
    }
}

/// How the shared memory is divided, in banks of 1 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedMemory {
    /// End of the inputs.
    pub input_end: u8,
    /// Start of the second input, for elementwise operations with two.
    pub second_start: Option<u8>,
    /// Start of the accumulators.
    pub accumulator_start: u8,
    /// Bits of an accumulator, 32 or 40.
    pub accumulator_bits: u8,
}

/// Reads all steps of a stream; the registers are empty before its first command.
pub fn read(commands: &[Command]) -> Result<Vec<Step>, Error> {
    let mut registers = Registers {
        values: [None; Register::COUNT],
    };
    let mut steps = Vec::new();
    let mut number = 0;
    for &Command { offset, what } in commands {
        let (opcode, parameter) = match what {
            What::Set(register, value) => {
                registers.values[register as usize] = Some(value);
                continue;
            }
            What::Start(opcode, parameter) => (opcode, parameter),
        };
        let action = match opcode {
            Opcode::Stop => Some(Action::Stop),
            Opcode::Interrupt => Some(Action::Interrupt),
            Opcode::PmuMask => None,
            Opcode::WaitForCopies => Some(Action::WaitForCopies(parameter)),
            Opcode::WaitForKernels => Some(Action::WaitForKernels(parameter)),
            Opcode::StartCopy => Some(
                registers
                    .transfer()
                    .map(Action::Transfer)
                    .map_err(|problem| Error::new(number, offset, problem))?,
            ),
            _ => {
                let kernel = registers.kernel(opcode, parameter);
                let kernel = kernel.map_err(|problem| Error::new(number, offset, problem))?;
                Some(Action::Kernel(Box::new(kernel)))
            }
        };
        let Some(action) = action else { continue };
        let is_operation = matches!(action, Action::Kernel(_) | Action::Transfer(_));
        steps.push(Step {
            number,
            offset,
            action,
        });
        number += usize::from(is_operation);
    }
    Ok(steps)
}

/// What commands have set.
struct Registers {
    values: [Option<u64>; Register::COUNT],
}

/// The registers of one of the three feature maps.
struct MapRegisters {
    what: &'static str,
    precision: Register,
    zero_point: Register,
    width0: Register,
    height0: Register,
    height1: Register,
    region: Register,
    base: [Register; 4],
    /// Rows, columns, bricks.
    stride: [Register; 3],
}

const IFM: MapRegisters = MapRegisters {
    what: "the input",
    precision: Register::IfmPrecision,
    zero_point: Register::IfmZeroPoint,
    width0: Register::IfmWidth0M1,
    height0: Register::IfmHeight0M1,
    height1: Register::IfmHeight1M1,
    region: Register::IfmRegion,
    base: [
        Register::IfmBase0,
        Register::IfmBase1,
        Register::IfmBase2,
        Register::IfmBase3,
    ],
    stride: [
        Register::IfmStrideY,
        Register::IfmStrideX,
        Register::IfmStrideC,
    ],
};

const IFM2: MapRegisters = MapRegisters {
    what: "the second input",
    precision: Register::Ifm2Precision,
    zero_point: Register::Ifm2ZeroPoint,
    width0: Register::Ifm2Width0M1,
    height0: Register::Ifm2Height0M1,
    height1: Register::Ifm2Height1M1,
    region: Register::Ifm2Region,
    base: [
        Register::Ifm2Base0,
        Register::Ifm2Base1,
        Register::Ifm2Base2,
        Register::Ifm2Base3,
    ],
    stride: [
        Register::Ifm2StrideY,
        Register::Ifm2StrideX,
        Register::Ifm2StrideC,
    ],
};

const OFM: MapRegisters = MapRegisters {
    what: "the output",
    precision: Register::OfmPrecision,
    zero_point: Register::OfmZeroPoint,
    width0: Register::OfmWidth0M1,
    height0: Register::OfmHeight0M1,
    height1: Register::OfmHeight1M1,
    region: Register::OfmRegion,
    base: [
        Register::OfmBase0,
        Register::OfmBase1,
        Register::OfmBase2,
        Register::OfmBase3,
    ],
    stride: [
        Register::OfmStrideY,
        Register::OfmStrideX,
        Register::OfmStrideC,
    ],
};

const FORTY_BITS: u64 = (1 << 40) - 1;

impl Registers {
    fn get(&self, register: Register) -> Result<u64, Problem> {
        self.values[register as usize].ok_or(Problem::Unset(register))
    }

    fn size(&self, register: Register) -> Result<usize, Problem> {
        Ok(self.get(register)? as usize)
    }

    /// A number that the register holds less one.
    fn count(&self, register: Register) -> Result<usize, Problem> {
        Ok(self.size(register)? + 1)
    }

    fn address(&self, register: Register) -> Result<i64, Problem> {
        Ok((self.get(register)? & FORTY_BITS) as i64)
    }

    fn length(&self, register: Register) -> Result<usize, Problem> {
        Ok(self.get(register)? as u32 as usize)
    }

    fn region(&self, register: Register) -> Result<u8, Problem> {
        let value = self.get(register)?;
        if value > 7 {
            return Err(field(register, value, "a region, 0 to 7"));
        }
        Ok(value as u8)
    }

    /// A value of 16 bits, with or without a sign.
    fn short(&self, register: Register, is_signed: bool) -> Result<i32, Problem> {
        let value = self.get(register)? as u16;
        Ok(if is_signed {
            i32::from(value as i16)
        } else {
            i32::from(value)
        })
    }

    fn scale(&self, register: Register) -> Result<Scale, Problem> {
        let value = self.get(register)?;
        Ok(Scale {
            factor: value as u32,
            shift: (value >> 32 & 0x3F) as u32,
        })
    }

    fn rounding(&self, register: Register) -> Result<Rounding, Problem> {
        let value = self.get(register)?;
        match value >> 14 & 3 {
            0 => Ok(Rounding::Double),
            1 => Ok(Rounding::Truncating),
            2 => Ok(Rounding::Natural),
            _ => Err(field(
                register,
                value,
                "rounding 0, 1 or 2 in bits 14 and 15",
            )),
        }
    }

    fn map(&self, map: &MapRegisters, shape: Shape) -> Result<FeatureMap, Problem> {
        let precision = self.get(map.precision)?;
        let width_bit = if matches!(map.precision, Register::OfmPrecision) {
            1
        } else {
            2
        };
        let bytes = match precision >> width_bit & 3 {
            0 => 1,
            1 => 2,
            2 => 4,
            _ => return Err(field(map.precision, precision, "8, 16 or 32 bits")),
        };
        let is_brick = match precision >> 6 & 3 {
            0 => false,
            1 => true,
            _ => {
                let expected = "layout 0 (NHWC) or 1 (NHCWB16) in bits 6 and 7";
                return Err(field(map.precision, precision, expected));
            }
        };
        let is_signed = precision & 1 == 1;
        let mut base = [0; 4];
        for (base, register) in base.iter_mut().zip(map.base) {
            *base = self.address(register)?;
        }
        let mut stride = [0; 3];
        for (stride, register) in stride.iter_mut().zip(map.stride) {
            // Strides count both ways: their lower 32 bits are signed.
            *stride = i64::from(self.get(register)? as u32 as i32);
        }
        let zero_point = self.short(map.zero_point, is_signed)?;
        let range = if is_signed { -128..128 } else { 0..256 };
        if bytes == 1 && !range.contains(&zero_point) {
            let value = self.get(map.zero_point)?;
            return Err(field(map.zero_point, value, "a zero point of eight bits"));
        }
        Ok(FeatureMap {
            what: map.what,
            shape,
            region: self.region(map.region)?,
            bytes,
            is_signed,
            is_brick,
            zero_point,
            base,
            stride,
            width0: self.count(map.width0)?,
            height0: self.count(map.height0)?,
            height1: self.count(map.height1)?,
        })
    }

    fn transfer(&self) -> Result<Transfer, Problem> {
        let place = |region: Register, address: Register| {
            let value = self.get(region)?;
            if value >> 9 & 3 != 0 {
                return Err(Problem::Unsupported("a copy of two or three dimensions"));
            }
            let is_shared = value >> 8 & 1 == 1;
            Ok(Place {
                region: (!is_shared).then_some((value & 7) as u8),
                start: self.address(address)?,
            })
        };
        let bytes = self.get(Register::Dma0Len)? & FORTY_BITS;
        Ok(Transfer {
            from: place(Register::Dma0SrcRegion, Register::Dma0Src)?,
            to: place(Register::Dma0DstRegion, Register::Dma0Dst)?,
            bytes: bytes as usize,
        })
    }

    fn kernel(&self, opcode: Opcode, parameter: u16) -> Result<Kernel, Problem> {
        if let Some(mode @ 1..) = self.values[Register::ParallelMode as usize] {
            return Err(field(Register::ParallelMode, mode, "0: one core"));
        }
        let shape = Shape::new(
            self.count(Register::OfmHeightM1)?,
            self.count(Register::OfmWidthM1)?,
            self.count(Register::OfmDepthM1)?,
        );
        let ofm = self.map(&OFM, shape)?;
        let ifm_depth = self.count(Register::IfmDepthM1)?;
        let is_elementwise = opcode == Opcode::Elementwise;
        let (ifm, kind) = if is_elementwise {
            self.elementwise(parameter, shape, ifm_depth)?
        } else {
            self.windowed(opcode, parameter, shape, ifm_depth)?
        };
        let has_second =
            matches!(&kind, Kind::Elementwise(elementwise) if elementwise.second.is_some());
        Ok(Kernel {
            output: self.output(&ofm)?,
            block: Shape::new(
                self.count(Register::OfmBlkHeightM1)?,
                self.count(Register::OfmBlkWidthM1)?,
                self.count(Register::OfmBlkDepthM1)?,
            ),
            shared: self.shared(has_second)?,
            block_dependency: self.get(Register::Blockdep)? as u8 & 3,
            kind,
            ifm,
            ofm,
        })
    }

    fn windowed(
        &self,
        opcode: Opcode,
        parameter: u16,
        ofm: Shape,
        ifm_depth: usize,
    ) -> Result<(FeatureMap, Kind), Problem> {
        let window = self.window(ofm)?;
        let [height, width] = match window.upscale {
            Upscale::None => window.enlarged,
            _ => window.enlarged.map(|side| side.div_ceil(2)),
        };
        let ifm = self.map(&IFM, Shape::new(height, width, ifm_depth))?;
        let is_per_channel = self.get(Register::OfmPrecision)? >> 8 & 1 == 0;
        let kind = match opcode {
            Opcode::Convolution | Opcode::Depthwise => {
                if !is_per_channel {
                    return Err(Problem::Unsupported("a convolution with one scale for all"));
                }
                if ifm.bytes > 2 {
                    return Err(Problem::Unsupported("a convolution of 32-bit values"));
                }
                let constants = self.constants(ofm.depth)?;
                let is_part_kernel = self.get(Register::KernelStride)? >> 2 & 1 == 1;
                if opcode == Opcode::Convolution {
                    let traversal = if is_part_kernel {
                        Traversal::PartKernelFirst
                    } else {
                        Traversal::DepthFirst
                    };
                    Kind::Convolution(window, constants, traversal)
                } else {
                    equal_depths(ifm_depth, ofm.depth)?;
                    Kind::Depthwise(window, constants)
                }
            }
            _ => {
                let mode = match parameter {
                    0 => PoolMode::Max,
                    1 => PoolMode::Average,
                    2 => PoolMode::ReduceSum,
                    _ => return Err(Problem::Unsupported("a mode of pooling above 2")),
                };
                match mode {
                    PoolMode::ReduceSum if ofm.depth != 1 => {
                        return Err(Problem::Contradiction(
                            "a sum over channels has one channel",
                        ));
                    }
                    PoolMode::ReduceSum if window.size != [1, 1] => {
                        return Err(Problem::Unsupported("a sum over channels and a window"));
                    }
                    PoolMode::ReduceSum => {}
                    _ => equal_depths(ifm_depth, ofm.depth)?,
                }
                if is_per_channel {
                    return Err(Problem::Unsupported("pooling with scales per channel"));
                }
                let scale = self.scale(Register::OfmScale)?;
                if mode == PoolMode::Average && window.has_padding() && scale != Scale::ONE {
                    let what = "average pooling with padding and a scale";
                    return Err(Problem::Unsupported(what));
                }
                Kind::Pool(window, mode, scale)
            }
        };
        Ok((ifm, kind))
    }

    fn window(&self, ofm: Shape) -> Result<Window, Problem> {
        let kernel = self.get(Register::KernelStride)?;
        let bit = |bit: u32| (kernel >> bit & 1) as usize;
        if bit(5) == 1 {
            return Err(Problem::Unsupported("kernels in parts of 4x4"));
        }
        let stride = [1 + bit(1) + 2 * bit(9), 1 + bit(0) + 2 * bit(6)];
        let dilation = [1 + bit(4), 1 + bit(3)];
        let dilated = [
            self.count(Register::KernelHeightM1)?,
            self.count(Register::KernelWidthM1)?,
        ];
        let before = [
            self.size(Register::IfmPadTop)?,
            self.size(Register::IfmPadLeft)?,
        ];
        let after = [
            self.size(Register::IfmPadBottom)?,
            self.size(Register::IfmPadRight)?,
        ];
        let upscale = match self.get(Register::IfmUpscale)? {
            0 => Upscale::None,
            1 => Upscale::Nearest,
            2 => Upscale::Zeros,
            value => return Err(field(Register::IfmUpscale, value, "0, 1 or 2")),
        };
        let outputs = [ofm.height, ofm.width];
        let mut enlarged = [0; 2];
        for axis in 0..2 {
            let padded = (outputs[axis] - 1) * stride[axis] + dilated[axis];
            let inside = padded.checked_sub(before[axis] + after[axis]);
            enlarged[axis] = inside
                .filter(|&side| side > 0)
                .ok_or(Problem::Contradiction("more padding than input"))?;
        }
        Ok(Window {
            size: [0, 1].map(|axis| (dilated[axis] - 1) / dilation[axis] + 1),
            stride,
            dilation,
            before,
            after,
            upscale,
            enlarged,
        })
    }

    fn constants(&self, channels: usize) -> Result<Constants, Problem> {
        let span = |region, base, length| {
            Ok(Span {
                region: self.region(region)?,
                start: self.address(base)?,
                bytes: self.length(length)?,
            })
        };
        let weights = span(
            Register::WeightRegion,
            Register::WeightBase,
            Register::WeightLength,
        )?;
        let scales = span(
            Register::ScaleRegion,
            Register::ScaleBase,
            Register::ScaleLength,
        )?;
        if scales.bytes < crate::scale::CHANNEL_BYTES * channels {
            let what = "SCALE_LENGTH is less than ten bytes per channel";
            return Err(Problem::Contradiction(what));
        }
        Ok(Constants { weights, scales })
    }

    fn elementwise(
        &self,
        parameter: u16,
        shape: Shape,
        ifm_depth: usize,
    ) -> Result<(FeatureMap, Kind), Problem> {
        use ElementwiseMode::*;
        const MODES: [ElementwiseMode; 10] = [
            Mul,
            Add,
            Sub,
            Min,
            Max,
            LeakyRelu,
            Abs,
            LeadingZeros,
            ShiftRight,
            ShiftLeft,
        ];
        let mode = *MODES
            .get(usize::from(parameter))
            .ok_or(Problem::Unsupported("an elementwise mode above 9"))?;
        equal_depths(ifm_depth, shape.depth)?;
        if let Some(value @ 1..) = self.values[Register::IfmUpscale as usize] {
            let expected = "0 before an elementwise operation";
            return Err(field(Register::IfmUpscale, value, expected));
        }
        let ifm = self.map(&IFM, shape)?;
        let is_wide = matches!(mode, LeadingZeros | ShiftRight | ShiftLeft);
        if is_wide && ifm.bytes != 4 {
            return Err(Problem::Unsupported(
                "shifts of values of less than 32 bits",
            ));
        }
        let has_second = !matches!(mode, LeakyRelu | Abs | LeadingZeros);
        let (second, is_swapped) = if has_second {
            let (second, is_swapped) = self.second(&ifm)?;
            (Some(second), is_swapped)
        } else {
            (None, false)
        };
        let scale = match mode {
            Mul | Add | Sub | LeakyRelu | Abs => self.scale(Register::OfmScale)?,
            _ => Scale::ONE,
        };
        let scaling = match mode {
            Add | Sub if ifm.bytes < 4 => self.operand_scaling()?,
            _ => OperandScaling::None,
        };
        let elementwise = Elementwise {
            mode,
            second,
            is_swapped,
            scaling,
            scale,
        };
        Ok((ifm, Kind::Elementwise(elementwise)))
    }

    /// The second operand, and whether it is operand A.
    fn second(&self, ifm: &FeatureMap) -> Result<(Second, bool), Problem> {
        let broadcast = self.get(Register::Ifm2Broadcast)?;
        let bit = |bit: u32| broadcast >> bit & 1 == 1;
        let second = if bit(7) {
            let is_signed = self.get(Register::Ifm2Precision)? & 1 == 1;
            let value = self.short(Register::Ifm2Scalar, is_signed)?;
            Second::Scalar(value - self.short(Register::Ifm2ZeroPoint, is_signed)?)
        } else {
            let side = |is_repeated: bool, side: usize| if is_repeated { 1 } else { side };
            let shape = Shape::new(
                side(bit(0), ifm.shape.height),
                side(bit(1), ifm.shape.width),
                side(bit(2), ifm.shape.depth),
            );
            let map = self.map(&IFM2, shape)?;
            if map.bytes != ifm.bytes {
                return Err(Problem::Contradiction("two inputs of different precision"));
            }
            Second::Map(map)
        };
        Ok((second, bit(6)))
    }

    fn operand_scaling(&self) -> Result<OperandScaling, Problem> {
        let precision = self.get(Register::IfmPrecision)?;
        let [a, b] = [Register::OpaScale, Register::OpbScale];
        let is_a = match precision >> 8 & 3 {
            0 => {
                let factors = [self.scale(a)?.factor, self.scale(b)?.factor];
                return Ok(OperandScaling::Both(factors));
            }
            1 => true,
            2 => false,
            _ => {
                let expected = "a scale mode of 0, 1 or 2 in bits 8 and 9";
                return Err(field(Register::IfmPrecision, precision, expected));
            }
        };
        Ok(OperandScaling::One {
            is_a,
            scale: self.scale(a)?,
            rounding: self.rounding(Register::IfmPrecision)?,
        })
    }

    fn output(&self, ofm: &FeatureMap) -> Result<Output, Problem> {
        let activation = self.get(Register::Activation)?;
        let range = activation >> 12 & 7;
        let is_signed = match range {
            0 => ofm.is_signed,
            2 => false,
            3 | 5 => true,
            _ => {
                let expected = "a clip range of 0, 2, 3 or 5 in bits 12 to 14";
                return Err(field(Register::Activation, activation, expected));
            }
        };
        let is_wide = ofm.bytes == 4;
        let limit = |register| self.short(register, is_signed || is_wide).map(i64::from);
        let clamp = [
            limit(Register::ActivationMin)?,
            limit(Register::ActivationMax)?,
        ];
        if clamp[0] > clamp[1] {
            let what = "ACTIVATION_MIN lies above ACTIVATION_MAX";
            return Err(Problem::Contradiction(what));
        }
        let table = match activation & 31 {
            0 => None,
            3 => return Err(Problem::Unsupported("the built-in tanh of 16 bits")),
            4 => return Err(Problem::Unsupported("the built-in sigmoid of 16 bits")),
            _ if ofm.bytes == 2 => return Err(Problem::Unsupported("a table of 16-bit values")),
            slot @ 16..=23 => Some(Table {
                slot: slot as usize - 16,
                entry_bytes: ofm.bytes,
                is_signed,
            }),
            _ => {
                let expected = "0, 3, 4 or 16 to 23 in bits 0 to 4";
                return Err(field(Register::Activation, activation, expected));
            }
        };
        Ok(Output {
            rounding: self.rounding(Register::OfmPrecision)?,
            // 32-bit outputs have limits only where a range is forced.
            clamp: (!is_wide || range != 0).then_some(clamp),
            table,
        })
    }

    fn shared(&self, has_second: bool) -> Result<SharedMemory, Problem> {
        let format = self.get(Register::AccFormat)?;
        Ok(SharedMemory {
            input_end: self.get(Register::IfmIbEnd)? as u8,
            second_start: match has_second {
                true => Some(self.get(Register::Ifm2IbStart)? as u8),
                false => None,
            },
            accumulator_start: self.get(Register::AbStart)? as u8,
            accumulator_bits: match format {
                0 => 32,
                1 => 40,
                2 => return Err(Problem::Unsupported("accumulators of 16 bits")),
                _ => return Err(field(Register::AccFormat, format, "0, 1 or 2")),
            },
        })
    }
}

fn field(register: Register, value: u64, expected: &'static str) -> Problem {
    Problem::Field {
        register,
        value,
        expected,
    }
}

fn equal_depths(ifm: usize, ofm: usize) -> Result<(), Problem> {
    if ifm == ofm {
        return Ok(());
    }
    let what = "input and output have different numbers of channels";
    Err(Problem::Contradiction(what))
}

impl Window {
    /// Whether some of it may lie outside of the input.
    pub fn has_padding(&self) -> bool {
        self.before != [0, 0] || self.after != [0, 0]
    }

    /// Rows and columns from the first to the last tap.
    pub fn dilated(&self) -> [usize; 2] {
        [0, 1].map(|axis| (self.size[axis] - 1) * self.dilation[axis] + 1)
    }
}

impl Kernel {
    /// The window, of all but elementwise operations.
    pub fn window(&self) -> Option<&Window> {
        match &self.kind {
            Kind::Convolution(window, ..) | Kind::Depthwise(window, _) | Kind::Pool(window, ..) => {
                Some(window)
            }
            Kind::Elementwise(_) => None,
        }
    }

    /// Weights and scales, of convolutions.
    pub fn constants(&self) -> Option<&Constants> {
        match &self.kind {
            Kind::Convolution(_, constants, _) | Kind::Depthwise(_, constants) => Some(constants),
            _ => None,
        }
    }

    /// All its feature maps: the inputs, then the output.
    pub fn maps(&self) -> impl Iterator<Item = &FeatureMap> {
        let maps = [Some(&self.ifm), self.second(), Some(&self.ofm)];
        maps.into_iter().flatten()
    }

    /// The second feature map, where there is one.
    pub fn second(&self) -> Option<&FeatureMap> {
        match &self.kind {
            Kind::Elementwise(Elementwise {
                second: Some(Second::Map(map)),
                ..
            }) => Some(map),
            _ => None,
        }
    }

    /// The feature map that is operand A, or the only one.
    pub fn operand_a(&self) -> &FeatureMap {
        match (&self.kind, self.second()) {
            (Kind::Elementwise(elementwise), Some(second)) if elementwise.is_swapped => second,
            _ => &self.ifm,
        }
    }

    /// The order of its weights in their stream, of convolutions.
    pub fn order(&self, accelerator: &Accelerator) -> Option<Order> {
        match &self.kind {
            Kind::Convolution(window, _, traversal) => {
                Some(self.weight_order(window, *traversal, accelerator))
            }
            Kind::Depthwise(window, _) => {
                Some(self.weight_order(window, Traversal::Depthwise, accelerator))
            }
            _ => None,
        }
    }

    fn weight_order(
        &self,
        window: &Window,
        traversal: Traversal,
        accelerator: &Accelerator,
    ) -> Order {
        Order {
            traversal,
            kernel: window.size,
            dilation: window.dilation,
            inputs: self.ifm.shape.depth,
            outputs: self.ofm.shape.depth,
            block_outputs: self.block.depth,
            micro_outputs: accelerator.micro_block.depth,
            has_wide_inputs: self.ifm.bytes == 2,
        }
    }

    /// Multiplications of a weight with an input, padding included.
    pub fn macs(&self) -> u64 {
        let outputs = self.ofm.shape.elements() as u64;
        let taps = |window: &Window| (window.size[0] * window.size[1]) as u64;
        match &self.kind {
            Kind::Convolution(window, ..) => {
                let per_output = taps(window).saturating_mul(self.ifm.shape.depth as u64);
                outputs.saturating_mul(per_output)
            }
            Kind::Depthwise(window, _) => outputs.saturating_mul(taps(window)),
            _ => 0,
        }
    }
}

impl Kind {
    /// One word, in capitals as TFLite and Arm write operations.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Convolution(..) => "CONV",
            Kind::Depthwise(..) => "DEPTHWISE",
            Kind::Pool(_, PoolMode::Max, _) => "MAX_POOL",
            Kind::Pool(_, PoolMode::Average, _) => "AVERAGE_POOL",
            Kind::Pool(_, PoolMode::ReduceSum, _) => "REDUCE_SUM",
            Kind::Elementwise(elementwise) => match elementwise.mode {
                ElementwiseMode::Mul => "MUL",
                ElementwiseMode::Add => "ADD",
                ElementwiseMode::Sub => "SUB",
                ElementwiseMode::Min => "MIN",
                ElementwiseMode::Max => "MAX",
                ElementwiseMode::LeakyRelu => "LRELU",
                ElementwiseMode::Abs => "ABS",
                ElementwiseMode::LeadingZeros => "CLZ",
                ElementwiseMode::ShiftRight => "SHR",
                ElementwiseMode::ShiftLeft => "SHL",
            },
        }
    }
}

impl fmt::Display for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes from {} to {}", self.bytes, self.from, self.to)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.region {
            Some(region) => write!(f, "region {region} at {}", self.start),
            None => write!(f, "the shared memory at {}", self.start),
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.ifm)?;
        if let Some(second) = self.second() {
            write!(f, ", {second}")?;
        }
        write!(f, " -> {}", self.ofm)?;
        if let Some(window) = self.window() {
            let [[height, width], [down, right]] = [window.size, window.stride];
            write!(f, ", window {height}x{width} stride {down}x{right}")?;
            if window.dilation != [1, 1] {
                let [down, right] = window.dilation;
                write!(f, " dilation {down}x{right}")?;
            }
        }
        if let Kind::Convolution(_, _, traversal) = &self.kind {
            let order = match traversal {
                Traversal::PartKernelFirst => "part kernel first",
                _ => "depth first",
            };
            write!(f, ", {order}")?;
        }
        write!(f, ", block {}", self.block)?;
        if let Some(table) = self.output.table {
            write!(f, ", table {}", table.slot)?;
        }
        Ok(())
    }
}
