//! The blob: a model as one file. Numbers are little-endian; every offset counts from the first byte.
//!
//! | bytes | content |
//! |---|---|
//! | 0..8 | [`MAGIC`] |
//! | 8..12 | format version, [`VERSION`] |
//! | 12..16 | length of the whole blob |
//! | 16..24 | [`checksum`] of everything after it |
//! | 24..52 | tensor count, operator count, offset of tensors, offset of operators, arena bytes, input, output |
//! | 52..60 | offset of the table of sections, number of sections |
//! | 60..96 | zero |
//! | | tensors ([`Tensor`], 24 bytes each), operators ([`Op`], 64 bytes each) |
//! | | constants: weights (offsets are multiples of 16), biases and multipliers (int32, multiples of 4), shifts (int8) |
//! | | sections at multiples of 16, in any order; the table of them ([`Section`], 16 bytes each) |
//!
//! | section | content |
//! |---|---|
//! | `FRNT` | front end ([`FrontEndRecord`], 32 bytes); its tables (f32, at a multiple of 16): those of [`TableLengths`], gains and offsets of the bands; ends (u16) |
//! | `STAT` | pooled statistics ([`Statistics`], 16 bytes), where the network sees those instead of frames; gains and offsets of the front end are then of them |
//! | `COMP` | companding ([`Companding`], 16 bytes), where values of the input far from its mean count less |
//! | `DECI` | decision ([`Decision`], 48 bytes; 24 where every score above the threshold is an alarm, 16 where windows' scores are averaged, too) |
//! | `DIST` | points that sound is normal near ([`Centres`](crate::score::Centres)), where the score is a distance |
//!
//! A build skips a section with an unknown tag, unless it is marked as required. Version 2, which is still read, had no
//! sections: bytes 52..60 were the offsets of front end and decision, 0 where there was none.
//!
//! [`TableLengths`]: crate::front_end::TableLengths
//! [`Companding`]: crate::front_end::Companding

mod sections;

use core::fmt;

pub(crate) use sections::Sections;
pub use sections::{COMPANDING, DECISION, DISTANCE, FRONT_END, SECTION_BYTES, STATISTICS, Section};

use crate::{
    alarm::AlarmRule,
    decision::ClipRule,
    front_end::{Companding, Spec, Statistics},
    ops::{AddScales, Clamp, SoftmaxScale},
};

/// The first bytes of every blob.
pub const MAGIC: [u8; 8] = *b"NASMODEL";
/// The format version that is written.
pub const VERSION: u32 = 3;
/// The oldest format version that is read.
pub const OLDEST_VERSION: u32 = 2;
/// Bytes of the header.
pub const HEADER_BYTES: usize = 96;
/// First byte that the checksum covers.
pub const CHECKED_FROM: usize = 24;
/// Place in the header of the offset of the table of sections; their number follows it.
pub const SECTIONS_AT: usize = 52;
/// Bytes of a [`Tensor`].
pub const TENSOR_BYTES: usize = 24;
/// Bytes of an [`Op`].
pub const OP_BYTES: usize = 64;
/// Bytes of a [`FrontEndRecord`].
pub const FRONT_END_BYTES: usize = 32;
/// Bytes of a [`Decision`].
pub const DECISION_BYTES: usize = 48;
/// Bytes of a decision without a rule for alarms, which means [`AlarmRule::IMMEDIATE`].
pub const PLAIN_DECISION_BYTES: usize = 24;
/// Bytes of a decision that names no rule for windows' scores, which means their mean.
pub const LEAST_DECISION_BYTES: usize = 16;
/// Bytes of [`Statistics`].
pub const STATISTICS_BYTES: usize = 16;
/// Bytes of a [`Companding`].
pub const COMPANDING_BYTES: usize = 16;
/// Bytes of a [`Centre`] without its coordinates.
pub const CENTRE_BYTES: usize = 16;
/// Largest factor of [`Kind::Upsample`]. Up to 40, TFLite's float arithmetic finds the same source pixel as whole
/// division.
pub const MAX_UPSAMPLE: u16 = 16;

/// The numbers of the header after the checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Number of tensors.
    pub tensor_count: u32,
    /// Number of operators.
    pub op_count: u32,
    /// Place of the first tensor in the blob.
    pub tensors_offset: u32,
    /// Place of the first operator in the blob.
    pub ops_offset: u32,
    /// Bytes of the arena.
    pub arena_bytes: u32,
    /// Index of the network's input tensor.
    pub input: u32,
    /// Index of the network's output tensor.
    pub output: u32,
    /// Where front end and decision lie.
    pub parts: Parts,
}

/// How a blob holds front end and decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// In sections, listed by a table; 0 sections where there is neither.
    Sections {
        /// Place of the table in the blob.
        offset: u32,
        /// Number of sections.
        count: u32,
    },
    /// At fixed places, in version 2; 0 where there is none.
    Fixed {
        /// Place of the front end in the blob.
        front_end: u32,
        /// Place of the decision in the blob.
        decision: u32,
    },
}

/// An activation tensor and its place in the arena.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tensor {
    /// First byte in the arena.
    pub offset: u32,
    /// Height, width, channels.
    pub shape: [u32; 3],
    /// Real value of one step: `real = scale * (int8 - zero_point)`.
    pub scale: f32,
    /// The int8 value of a real zero, -128 to 127.
    pub zero_point: i32,
}

/// One operator; it names tensors by index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Op {
    /// What it computes.
    pub kind: Kind,
    /// Index of its first input tensor.
    pub input: u32,
    /// Index of its output tensor.
    pub output: u32,
    /// The range of its outputs.
    pub clamp: Clamp,
}

/// What an operator computes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `CONV_2D`.
    Conv2d(Window, Constants),
    /// `DEPTHWISE_CONV_2D` with depth multiplier 1.
    DepthwiseConv2d(Window, Constants),
    /// `FULLY_CONNECTED`.
    FullyConnected(Constants),
    /// `AVERAGE_POOL_2D`.
    AveragePool2d(Window),
    /// `MAX_POOL_2D`.
    MaxPool2d(Window),
    /// `MEAN` over height and width.
    Mean {
        /// Scale of the sum; includes one over the number of pixels.
        multiplier: i32,
        /// Shift after the multiplication, in `-31..=30`.
        shift: i32,
    },
    /// `ADD`. The output may lie exactly on either input.
    Add {
        /// Index of the second input.
        input: u32,
        /// Multipliers and shifts of inputs and sum.
        scales: AddMultipliers,
    },
    /// `MUL`; a second input of one pixel is there for every pixel of the first.
    Multiply {
        /// Index of the second input.
        input: u32,
        /// Multiplier of the product.
        multiplier: i32,
        /// Shift after the multiplication, in `-31..=`[`crate::ops::MAX_PRODUCT_SHIFT`].
        shift: i32,
    },
    /// `RESIZE_NEAREST_NEIGHBOR` by whole factors of height and width, at most [`MAX_UPSAMPLE`].
    Upsample([u16; 2]),
    /// `PAD`: zeros before the data along height, width and channels. The zeros behind it follow from the shapes.
    Pad([u16; 3]),
    /// Any function of one element, by a table.
    Lookup {
        /// Place of the table in the blob: 256 int8 values for the elements from -128 on.
        table_offset: u32,
    },
    /// `SOFTMAX` over the channels of every pixel.
    Softmax(SoftmaxScale),
    /// `RESHAPE`: a copy, or nothing where input and output lie on the same bytes.
    Reshape,
}

/// Kernel, stride, and padding before the first row and column; height first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Height and width in pixels.
    pub kernel: [u16; 2],
    /// Pixels from one window to the next.
    pub stride: [u16; 2],
    /// Pixels of padding before the first row and column.
    pub pad: [u16; 2],
}

/// The places of an operator's constants in the blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Constants {
    /// Place of the weights in the blob.
    pub weights_offset: u32,
    /// One bias per output channel, with `-input_zero_point * sum(weights)` already added.
    pub biases_offset: u32,
    /// Place of the multipliers in the blob.
    pub multipliers_offset: u32,
    /// Place of the shifts in the blob.
    pub shifts_offset: u32,
    /// Number of multipliers and of shifts: one per output channel, or one for all.
    pub scale_count: u32,
}

/// Multipliers and shifts of `ADD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddMultipliers {
    /// Multipliers of the two inputs.
    pub multipliers: [i32; 2],
    /// Shifts of the two inputs, each in `-31..=0`.
    pub shifts: [i32; 2],
    /// Multiplier of the sum.
    pub output_multiplier: i32,
    /// Shift of the sum, in `-31..=0`.
    pub output_shift: i32,
}

/// The audio front end, and how its frames form the network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrontEndRecord {
    /// Sample rate in hertz.
    pub sample_rate_hz: u32,
    /// Samples of a frame.
    pub n_fft: u32,
    /// Samples from one frame to the next.
    pub hop_length: u32,
    /// Number of mel bands.
    pub n_mels: u32,
    /// Number of MFCC coefficients of a frame; 0 for log-mel.
    pub coefficients: u32,
    /// Frames that the network sees at once; its input has one row per frame.
    pub frames: u32,
    /// Frames from one window to the next.
    pub frame_stride: u32,
    /// Place of the tables in the blob.
    pub tables_offset: u32,
}

/// How outputs become a score, and where an anomaly begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// What the network was trained to do.
    pub task: Task,
    /// Number of windows that the score covers.
    pub windows: u32,
    /// How the scores of windows become one score.
    pub rule: ClipRule,
    /// A sound with a higher score is an anomaly.
    pub threshold: Threshold,
    /// When the score of a continuing sound is an alarm.
    pub alarm: AlarmRule,
}

/// What the network was trained to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// To give back its input; the score is the mean squared error.
    Reconstruct,
    /// To name a class; the score is the log-odds against the known one.
    Classify,
    /// To whiten its input; the score is a distance from normal sound, see [`Centres`](crate::score::Centres).
    Distance,
}

/// A point near which sound is normal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Centre {
    /// The class for which it is normal.
    pub class: u32,
    /// Index of the part of the network's output that lies near it; a part has the length of a point.
    pub block: u32,
    /// Factor of squared distances from it.
    pub weight: f32,
    /// Number that is added to them.
    pub offset: f32,
}

/// A score above it is an anomaly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// No threshold: nothing is called an anomaly.
    None,
    /// A quantile of the gamma distribution that fits the scores of normal training sound.
    Gamma(f32),
    /// A quantile of those scores.
    Quantile(f32),
    /// Zero, where a classifier gives both classes even odds.
    EvenOdds,
}

/// Why bytes are not a model that this build can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobError {
    /// The bytes do not start with [`MAGIC`], or are shorter than a header.
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
    /// Some bytes have changed.
    Checksum {
        /// Checksum by its header.
        claimed: u64,
        /// Checksum of its bytes.
        found: u64,
    },
    /// The header is wrong; holds the problem.
    Header(&'static str),
    /// A tensor is wrong.
    Tensor {
        /// Its index.
        index: u32,
        /// The problem, in words.
        problem: &'static str,
    },
    /// An operator is wrong.
    Op {
        /// Its index.
        index: u32,
        /// The problem, in words.
        problem: &'static str,
    },
    /// An operator is of a kind that this build does not have.
    UnknownOperator {
        /// Its index.
        index: u32,
        /// The number of its kind.
        kind: u32,
    },
    /// The front end is wrong; holds the problem.
    FrontEnd(&'static str),
    /// The decision is wrong; holds the problem.
    Decision(&'static str),
    /// The statistics are wrong; holds the problem.
    Statistics(&'static str),
    /// The centres of distances are wrong; holds the problem.
    Distance(&'static str),
    /// A section is wrong, or is required and unknown.
    Section {
        /// Its tag, four ASCII letters.
        tag: [u8; 4],
        /// The problem, in words.
        problem: &'static str,
    },
    /// The arena is shorter than the model needs.
    ArenaTooSmall {
        /// Bytes that it needs.
        needed: usize,
        /// Bytes that there are.
        found: usize,
    },
    /// The memory of the front end is shorter than it needs.
    MemoryTooSmall {
        /// Bytes that it needs.
        needed: usize,
        /// Bytes that there are.
        found: usize,
    },
    /// A [`crate::Stream`] needs a front end and a decision, and the model has none.
    NoFrontEnd,
    /// A [`crate::Stream`] needs a blob at a multiple of 4, and this one lies elsewhere.
    NotAligned,
}

impl fmt::Display for BlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlobError::NotAModel => write!(
                f,
                "these bytes are not a model: they do not start with `NASMODEL`"
            ),
            BlobError::OtherVersion { found } => {
                write!(
                    f,
                    "the model has format version {found} and this build reads versions {OLDEST_VERSION} to {VERSION}"
                )
            }
            BlobError::Length { claimed, found } => {
                write!(
                    f,
                    "the model is corrupt: it should have {claimed} bytes and has {found}"
                )
            }
            BlobError::Checksum { claimed, found } => write!(
                f,
                "the model is corrupt: its checksum should be {claimed:016x} and is {found:016x}"
            ),
            BlobError::Header(problem) => write!(f, "the model's header is wrong: {problem}"),
            BlobError::Tensor { index, problem } => {
                write!(f, "tensor {index} of the model is wrong: {problem}")
            }
            BlobError::Op { index, problem } => {
                write!(f, "operator {index} of the model is wrong: {problem}")
            }
            BlobError::UnknownOperator { index, kind } => {
                write!(
                    f,
                    "operator {index} of the model is of kind {kind}, which this build does not have"
                )
            }
            BlobError::FrontEnd(problem) => {
                write!(f, "the front end of the model is wrong: {problem}")
            }
            BlobError::Decision(problem) => {
                write!(f, "the decision of the model is wrong: {problem}")
            }
            BlobError::Statistics(problem) => {
                write!(f, "the statistics of the model are wrong: {problem}")
            }
            BlobError::Distance(problem) => {
                write!(f, "the distance of the model is wrong: {problem}")
            }
            BlobError::Section { tag, problem } => {
                let tag = core::str::from_utf8(tag).unwrap_or("????");
                write!(f, "section {tag:?} of the model is wrong: {problem}")
            }
            BlobError::ArenaTooSmall { needed, found } => {
                write!(
                    f,
                    "the model is too large: it needs an arena of {needed} bytes and has {found}"
                )
            }
            BlobError::MemoryTooSmall { needed, found } => {
                write!(
                    f,
                    "the front end is too large: it needs {needed} bytes and has {found}"
                )
            }
            BlobError::NoFrontEnd => {
                write!(
                    f,
                    "the model has no front end and decision, so it cannot hear"
                )
            }
            BlobError::NotAligned => {
                write!(
                    f,
                    "the model lies at an address that is not a multiple of 4"
                )
            }
        }
    }
}

impl core::error::Error for BlobError {}

/// FNV-1a, 64 bits.
pub fn checksum(bytes: &[u8]) -> u64 {
    checksum_from(CHECKSUM_START, bytes.iter().copied())
}

/// The checksum of no bytes.
pub const CHECKSUM_START: u64 = 0xcbf2_9ce4_8422_2325;

/// Continues a checksum over more bytes.
pub fn checksum_from(checksum: u64, bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(checksum, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

impl Header {
    /// The first [`HEADER_BYTES`] of a blob without length and checksum, which [`seal`] fills in.
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let (version, parts) = match self.parts {
            Parts::Sections { offset, count } => (VERSION, [offset, count]),
            Parts::Fixed {
                front_end,
                decision,
            } => (OLDEST_VERSION, [front_end, decision]),
        };
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&version.to_le_bytes());
        let words = [
            self.tensor_count,
            self.op_count,
            self.tensors_offset,
            self.ops_offset,
            self.arena_bytes,
            self.input,
            self.output,
            parts[0],
            parts[1],
        ];
        for (bytes, word) in bytes[CHECKED_FROM..]
            .as_chunks_mut::<4>()
            .0
            .iter_mut()
            .zip(words)
        {
            *bytes = word.to_le_bytes();
        }
        bytes
    }

    /// Checks the blob as a whole, and reads its header.
    pub fn read(blob: &[u8]) -> Result<Header, BlobError> {
        let Some((header, _)) = blob.split_first_chunk::<HEADER_BYTES>() else {
            return Err(BlobError::NotAModel);
        };
        let words: [u32; HEADER_BYTES / 4] =
            core::array::from_fn(|idx| u32::from_le_bytes(header.as_chunks().0[idx]));
        if header[..8] != MAGIC {
            return Err(BlobError::NotAModel);
        }
        if !(OLDEST_VERSION..=VERSION).contains(&words[2]) {
            return Err(BlobError::OtherVersion { found: words[2] });
        }
        if words[3] as usize != blob.len() {
            return Err(BlobError::Length {
                claimed: words[3],
                found: blob.len(),
            });
        }
        let claimed = u64::from(words[4]) | u64::from(words[5]) << 32;
        let found = checksum(&blob[CHECKED_FROM..]);
        if claimed != found {
            return Err(BlobError::Checksum { claimed, found });
        }
        Ok(Header {
            tensor_count: words[6],
            op_count: words[7],
            tensors_offset: words[8],
            ops_offset: words[9],
            arena_bytes: words[10],
            input: words[11],
            output: words[12],
            parts: match words[2] {
                OLDEST_VERSION => Parts::Fixed {
                    front_end: words[13],
                    decision: words[14],
                },
                _ => Parts::Sections {
                    offset: words[13],
                    count: words[14],
                },
            },
        })
    }
}

/// Writes length and checksum into the header of an otherwise complete blob.
///
/// # Panics
/// Where the blob has no header, or 4 GiB or more.
pub fn seal(blob: &mut [u8]) {
    let length = u32::try_from(blob.len()).expect("a blob is smaller than 4 GiB");
    blob[12..16].copy_from_slice(&length.to_le_bytes());
    let checksum = checksum(&blob[CHECKED_FROM..]);
    blob[16..24].copy_from_slice(&checksum.to_le_bytes());
}

impl Tensor {
    /// The tensor as it is in a blob.
    pub fn to_bytes(&self) -> [u8; TENSOR_BYTES] {
        let [height, width, channels] = self.shape;
        let words = [
            self.offset,
            height,
            width,
            channels,
            self.scale.to_bits(),
            self.zero_point as u32,
        ];
        to_bytes(words)
    }

    /// Reads a tensor of a blob.
    pub fn from_bytes(bytes: &[u8; TENSOR_BYTES]) -> Tensor {
        let [offset, height, width, channels, scale, zero_point] = from_bytes(bytes);
        Tensor {
            offset,
            shape: [height, width, channels],
            scale: f32::from_bits(scale),
            zero_point: zero_point as i32,
        }
    }
}

const CONV_2D: u32 = 1;
const DEPTHWISE_CONV_2D: u32 = 2;
const FULLY_CONNECTED: u32 = 3;
const AVERAGE_POOL_2D: u32 = 4;
const ADD: u32 = 5;
const UPSAMPLE: u32 = 6;
const RESHAPE: u32 = 7;
const MAX_POOL_2D: u32 = 8;
const MEAN: u32 = 9;
const PAD: u32 = 10;
const LOOKUP: u32 = 11;
const SOFTMAX: u32 = 12;
const MUL: u32 = 13;

impl Op {
    /// The operator as it is in a blob.
    pub fn to_bytes(&self) -> [u8; OP_BYTES] {
        let window = |window: &Window| [pack(window.kernel), pack(window.stride), pack(window.pad)];
        let constants = |constants: &Constants| {
            [
                constants.weights_offset,
                constants.biases_offset,
                constants.multipliers_offset,
                constants.shifts_offset,
                constants.scale_count,
            ]
        };
        let mut words = [0; OP_BYTES / 4];
        words[1] = self.input;
        words[2] = self.output;
        words[3] = i32::from(self.clamp.min) as u32;
        words[4] = i32::from(self.clamp.max) as u32;
        match &self.kind {
            Kind::Conv2d(sliding, constant) => {
                words[0] = CONV_2D;
                words[5..8].copy_from_slice(&window(sliding));
                words[8..13].copy_from_slice(&constants(constant));
            }
            Kind::DepthwiseConv2d(sliding, constant) => {
                words[0] = DEPTHWISE_CONV_2D;
                words[5..8].copy_from_slice(&window(sliding));
                words[8..13].copy_from_slice(&constants(constant));
            }
            Kind::FullyConnected(constant) => {
                words[0] = FULLY_CONNECTED;
                words[8..13].copy_from_slice(&constants(constant));
            }
            Kind::AveragePool2d(sliding) => {
                words[0] = AVERAGE_POOL_2D;
                words[5..8].copy_from_slice(&window(sliding));
            }
            Kind::Add { input, scales } => {
                words[0] = ADD;
                words[5] = *input;
                let numbers = [
                    scales.multipliers[0],
                    scales.multipliers[1],
                    scales.shifts[0],
                    scales.shifts[1],
                    scales.output_multiplier,
                    scales.output_shift,
                ];
                words[6..12].copy_from_slice(&numbers.map(|number| number as u32));
            }
            Kind::Multiply {
                input,
                multiplier,
                shift,
            } => {
                words[0] = MUL;
                words[5..8].copy_from_slice(&[*input, *multiplier as u32, *shift as u32]);
            }
            Kind::Upsample(factor) => {
                words[0] = UPSAMPLE;
                words[5] = pack(*factor);
            }
            Kind::Reshape => words[0] = RESHAPE,
            Kind::MaxPool2d(sliding) => {
                words[0] = MAX_POOL_2D;
                words[5..8].copy_from_slice(&window(sliding));
            }
            Kind::Mean { multiplier, shift } => {
                words[0] = MEAN;
                words[5..7].copy_from_slice(&[*multiplier as u32, *shift as u32]);
            }
            Kind::Pad([height, width, channels]) => {
                words[0] = PAD;
                words[5..7].copy_from_slice(&[pack([*height, *width]), u32::from(*channels)]);
            }
            Kind::Lookup { table_offset } => {
                words[0] = LOOKUP;
                words[8] = *table_offset;
            }
            Kind::Softmax(scale) => {
                words[0] = SOFTMAX;
                let numbers = [scale.multiplier, scale.left_shift, scale.diff_min];
                words[5..8].copy_from_slice(&numbers.map(|number| number as u32));
            }
        }
        to_bytes(words)
    }

    /// Reads an operator; only the error uses `index`.
    pub fn from_bytes(bytes: &[u8; OP_BYTES], index: u32) -> Result<Op, BlobError> {
        let words: [u32; OP_BYTES / 4] = from_bytes(bytes);
        let window = Window {
            kernel: unpack(words[5]),
            stride: unpack(words[6]),
            pad: unpack(words[7]),
        };
        let constants = Constants {
            weights_offset: words[8],
            biases_offset: words[9],
            multipliers_offset: words[10],
            shifts_offset: words[11],
            scale_count: words[12],
        };
        let kind = match words[0] {
            CONV_2D => Kind::Conv2d(window, constants),
            DEPTHWISE_CONV_2D => Kind::DepthwiseConv2d(window, constants),
            FULLY_CONNECTED => Kind::FullyConnected(constants),
            AVERAGE_POOL_2D => Kind::AveragePool2d(window),
            ADD => Kind::Add {
                input: words[5],
                scales: AddMultipliers {
                    multipliers: [words[6] as i32, words[7] as i32],
                    shifts: [words[8] as i32, words[9] as i32],
                    output_multiplier: words[10] as i32,
                    output_shift: words[11] as i32,
                },
            },
            MUL => Kind::Multiply {
                input: words[5],
                multiplier: words[6] as i32,
                shift: words[7] as i32,
            },
            UPSAMPLE => Kind::Upsample(unpack(words[5])),
            RESHAPE => Kind::Reshape,
            MAX_POOL_2D => Kind::MaxPool2d(window),
            MEAN => Kind::Mean {
                multiplier: words[5] as i32,
                shift: words[6] as i32,
            },
            PAD => {
                let [height, width] = unpack(words[5]);
                Kind::Pad([height, width, words[6] as u16])
            }
            LOOKUP => Kind::Lookup {
                table_offset: words[8],
            },
            SOFTMAX => Kind::Softmax(SoftmaxScale {
                multiplier: words[5] as i32,
                left_shift: words[6] as i32,
                diff_min: words[7] as i32,
            }),
            kind => return Err(BlobError::UnknownOperator { index, kind }),
        };
        let clamp = |word: u32| i8::try_from(word as i32);
        let (Ok(min), Ok(max)) = (clamp(words[3]), clamp(words[4])) else {
            return Err(BlobError::Op {
                index,
                problem: "its clamp is not within -128..=127",
            });
        };
        Ok(Op {
            kind,
            input: words[1],
            output: words[2],
            clamp: Clamp { min, max },
        })
    }
}

impl AddMultipliers {
    /// Adds the zero points and the clamp that the kernel needs.
    pub fn with(&self, zero_points: [i32; 2], output_zero_point: i32, clamp: Clamp) -> AddScales {
        AddScales {
            zero_points,
            multipliers: self.multipliers,
            shifts: self.shifts,
            output_zero_point,
            output_multiplier: self.output_multiplier,
            output_shift: self.output_shift,
            clamp,
        }
    }
}

impl FrontEndRecord {
    /// The front end as it is in a blob.
    pub fn to_bytes(&self) -> [u8; FRONT_END_BYTES] {
        to_bytes([
            self.sample_rate_hz,
            self.n_fft,
            self.hop_length,
            self.n_mels,
            self.coefficients,
            self.frames,
            self.frame_stride,
            self.tables_offset,
        ])
    }

    /// Reads the first bytes of the front end's section.
    pub fn from_bytes(section: &[u8]) -> Result<FrontEndRecord, BlobError> {
        let record = section.first_chunk::<FRONT_END_BYTES>();
        let record = record.ok_or(BlobError::FrontEnd("it is too short"))?;
        let words: [u32; FRONT_END_BYTES / 4] = from_bytes(record);
        Ok(FrontEndRecord {
            sample_rate_hz: words[0],
            n_fft: words[1],
            hop_length: words[2],
            n_mels: words[3],
            coefficients: words[4],
            frames: words[5],
            frame_stride: words[6],
            tables_offset: words[7],
        })
    }

    /// How the front end makes features.
    pub fn spec(&self) -> Spec {
        Spec {
            sample_rate_hz: self.sample_rate_hz as usize,
            n_fft: self.n_fft as usize,
            hop_length: self.hop_length as usize,
            n_mels: self.n_mels as usize,
            coefficients: self.coefficients as usize,
        }
    }
}

impl Decision {
    /// The decision as it is in a blob.
    pub fn to_bytes(&self) -> [u8; DECISION_BYTES] {
        let task = match self.task {
            Task::Reconstruct => 1,
            Task::Classify => 2,
            Task::Distance => 3,
        };
        let (rule, threshold) = match self.threshold {
            Threshold::None => (0, 0.0),
            Threshold::Gamma(threshold) => (1, threshold),
            Threshold::Quantile(threshold) => (2, threshold),
            Threshold::EvenOdds => (3, 0.0),
        };
        let (of_windows, percent) = match self.rule {
            ClipRule::Mean => (0, 0),
            ClipRule::Max => (1, 0),
            ClipRule::Quantile(percent) => (2, percent),
            ClipRule::Top(percent) => (3, percent),
            ClipRule::Ranked(percent) => (4, percent),
        };
        let threshold = threshold.to_bits();
        to_bytes([
            task,
            self.windows,
            rule,
            threshold,
            of_windows,
            percent.into(),
            self.alarm.settle,
            self.alarm.ready,
            self.alarm.release.to_bits(),
            self.alarm.needed,
            self.alarm.of,
            self.alarm.hold,
        ])
    }

    /// Number of 32-bit words of memory that the score of the latest windows needs.
    pub const fn memory_words(&self) -> usize {
        self.rule.memory_words(self.windows)
    }

    /// Reads the first bytes of the decision's section; fails where it has no windows, or an unknown task or threshold.
    pub fn from_bytes(section: &[u8]) -> Result<Decision, BlobError> {
        let record = section.first_chunk::<LEAST_DECISION_BYTES>();
        let record = record.ok_or(BlobError::Decision("it is too short"))?;
        let [task, windows, rule, threshold] = from_bytes(record);
        let [of_windows, percent] = match section.get(LEAST_DECISION_BYTES..PLAIN_DECISION_BYTES) {
            Some(further) => from_bytes(further),
            None => [0; 2],
        };
        let alarm = match section.get(PLAIN_DECISION_BYTES..DECISION_BYTES) {
            Some(further) => alarm_of(from_bytes(further)),
            None => AlarmRule::IMMEDIATE,
        };
        if let Some(fault) = alarm.fault() {
            return Err(BlobError::Decision(fault));
        }
        let threshold = f32::from_bits(threshold);
        if windows == 0 {
            return Err(BlobError::Decision("its score is of no windows"));
        }
        if !threshold.is_finite() {
            return Err(BlobError::Decision("its threshold is not a number"));
        }
        Ok(Decision {
            alarm,
            task: match task {
                1 => Task::Reconstruct,
                2 => Task::Classify,
                3 => Task::Distance,
                _ => return Err(BlobError::Decision("its task is unknown")),
            },
            windows,
            rule: rule_of(of_windows, percent).ok_or(BlobError::Decision(
                "its rule for windows' scores is unknown",
            ))?,
            threshold: match rule {
                0 => Threshold::None,
                1 => Threshold::Gamma(threshold),
                2 => Threshold::Quantile(threshold),
                3 => Threshold::EvenOdds,
                _ => return Err(BlobError::Decision("its threshold is of an unknown kind")),
            },
        })
    }
}

fn alarm_of([settle, ready, release, needed, of, hold]: [u32; 6]) -> AlarmRule {
    AlarmRule {
        settle,
        ready,
        release: f32::from_bits(release),
        needed,
        of,
        hold,
    }
}

fn rule_of(kind: u32, percent: u32) -> Option<ClipRule> {
    let percent = u8::try_from(percent).ok()?;
    let rule = match kind {
        0 => ClipRule::Mean,
        1 => ClipRule::Max,
        2 => ClipRule::Quantile(percent),
        3 => ClipRule::Top(percent),
        4 => ClipRule::Ranked(percent),
        _ => return None,
    };
    rule.is_sound().then_some(rule)
}

impl Statistics {
    /// The statistics as they are in a blob.
    pub fn to_bytes(&self) -> [u8; STATISTICS_BYTES] {
        to_bytes([self.groups as u32, self.kinds, self.ranking, 0])
    }

    /// Reads the first bytes of the statistics' section.
    pub fn from_bytes(section: &[u8]) -> Result<Statistics, BlobError> {
        let record = section.first_chunk::<STATISTICS_BYTES>();
        let record = record.ok_or(BlobError::Statistics("they are too short"))?;
        let [groups, kinds, ranking, _] = from_bytes(record);
        Ok(Statistics {
            groups: groups as usize,
            kinds,
            ranking,
        })
    }
}

impl Companding {
    /// The companding as it is in a blob.
    pub fn to_bytes(&self) -> [u8; COMPANDING_BYTES] {
        let Companding { low, high, slope } = *self;
        to_bytes([low.to_bits(), high.to_bits(), slope.to_bits(), 0])
    }

    /// Reads the first bytes of the companding's section; fails where its numbers cannot be used.
    pub fn from_bytes(section: &[u8]) -> Result<Companding, BlobError> {
        let record = section.first_chunk::<COMPANDING_BYTES>();
        let record = record.ok_or(BlobError::FrontEnd("its companding is too short"))?;
        let [low, high, slope, _] = from_bytes(record).map(f32::from_bits);
        let companding = Companding { low, high, slope };
        match companding.fault() {
            None => Ok(companding),
            Some(fault) => Err(BlobError::FrontEnd(fault)),
        }
    }
}

impl Centre {
    /// The point as it is in a blob, without its coordinates.
    pub fn to_bytes(&self) -> [u8; CENTRE_BYTES] {
        let Centre {
            class,
            block,
            weight,
            offset,
        } = *self;
        to_bytes([class, block, weight.to_bits(), offset.to_bits()])
    }

    /// Reads a point of a blob, without its coordinates.
    pub fn from_bytes(bytes: &[u8; CENTRE_BYTES]) -> Centre {
        let [class, block, weight, offset] = from_bytes(bytes);
        Centre {
            class,
            block,
            weight: f32::from_bits(weight),
            offset: f32::from_bits(offset),
        }
    }
}

fn pack([high, low]: [u16; 2]) -> u32 {
    u32::from(high) | u32::from(low) << 16
}

fn unpack(word: u32) -> [u16; 2] {
    [word as u16, (word >> 16) as u16]
}

fn to_bytes<const WORDS: usize, const BYTES: usize>(words: [u32; WORDS]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    for (bytes, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    bytes
}

fn from_bytes<const WORDS: usize>(bytes: &[u8]) -> [u32; WORDS] {
    core::array::from_fn(|idx| u32::from_le_bytes(bytes.as_chunks().0[idx]))
}
