//! Networks as Vela writes them: `.tflite` files with operators `ethos-u`.
//!
//! Such an operator has as inputs its payload, constants, the arena, the fast part of the arena, and then its feature
//! maps. Where these lie in the arena is in the metadata `OfflineMemoryAllocation`. Only what is needed of the file is
//! read; sources are the schema of TFLite and `tflite_writer.py` of Vela, both Apache-2.0.

use core::fmt;

use crate::{
    Accelerator, Error, Memory, Npu, Stream,
    payload::{Payload, PayloadError},
};

/// A network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model<'a> {
    /// Its operators in their order.
    pub operators: Vec<Operator<'a>>,
    /// What it is given.
    pub inputs: Vec<Tensor<'a>>,
    /// What it gives.
    pub outputs: Vec<Tensor<'a>>,
}

/// An operator of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator<'a> {
    /// Runs on the NPU.
    Npu(Job<'a>),
    /// Runs on the core.
    Core {
        /// Its number in TFLite's list of operators.
        builtin: i32,
    },
}

/// What the NPU runs at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job<'a> {
    /// The NPU that it was compiled for.
    pub payload: Payload,
    /// The command stream.
    pub commands: &'a [u8],
    /// Region 0.
    pub constants: &'a [u8],
    /// Bytes of region 1.
    pub arena_bytes: usize,
    /// Bytes of region 2, `None` where it is the same memory as region 1.
    pub fast_bytes: Option<usize>,
    /// Feature maps that it reads.
    pub inputs: Vec<Tensor<'a>>,
    /// Feature maps that it writes.
    pub outputs: Vec<Tensor<'a>>,
}

/// A feature map of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Bytes of an element.
    pub element_bytes: usize,
    /// First byte in the arena of a job.
    pub offset: usize,
}

/// Why a file is no such network, or does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VelaError {
    /// Not a TFLite file.
    NotTflite,
    /// The file refers to something outside of itself.
    Damaged(&'static str),
    /// The file has what is not known.
    Unsupported(&'static str),
    /// No operator runs on the NPU.
    NoJob,
    /// The payload of an operator.
    Payload(PayloadError),
    /// The configuration of the payload is none of an Ethos-U55.
    Configuration(u32),
    /// An input of another length.
    Input {
        /// Its name.
        name: String,
        /// Bytes that it has.
        expected: usize,
        /// Bytes that were given.
        found: usize,
    },
    /// The command stream.
    Stream(Error),
}

impl Tensor<'_> {
    /// Bytes of all elements.
    pub fn bytes(&self) -> usize {
        let elements = self
            .shape
            .iter()
            .fold(1, |all: usize, &side| all.saturating_mul(side));
        elements.saturating_mul(self.element_bytes)
    }
}

/// Larger arenas are a damaged file.
const MOST_ARENA_BYTES: usize = 1 << 28;

/// Number of TFLite's operator for custom ones.
const CUSTOM: i32 = 32;

impl<'a> Model<'a> {
    /// Reads a file.
    pub fn read(file: &'a [u8]) -> Result<Model<'a>, VelaError> {
        let root = Table::root(file)?;
        let codes = root.tables(1)?;
        let buffers = root.tables(4)?;
        let graphs = root.tables(2)?;
        let [graph] = graphs.as_slice() else {
            return Err(VelaError::Unsupported("more or less than one subgraph"));
        };
        let tensors = graph.tables(0)?;
        let offsets = offsets(&root, &buffers)?;
        let reader = Reader {
            tensors,
            buffers,
            offsets,
        };
        let mut operators = Vec::new();
        for operator in graph.tables(3)? {
            let code = codes
                .get(operator.u32(0)? as usize)
                .ok_or(VelaError::Damaged("an operator without a code"))?;
            let builtin = (code.u32(3)? as i32).max(i32::from(code.u8(0)? as i8));
            let is_npu = builtin == CUSTOM && code.bytes(1)? == Some(b"ethos-u");
            operators.push(match is_npu {
                true => Operator::Npu(reader.job(&operator)?),
                false => Operator::Core { builtin },
            });
        }
        if !operators.iter().any(|one| matches!(one, Operator::Npu(_))) {
            return Err(VelaError::NoJob);
        }
        Ok(Model {
            operators,
            inputs: reader.list(&graph.ints(1)?, 0)?,
            outputs: reader.list(&graph.ints(2)?, 0)?,
        })
    }

    /// The only operator, where it runs on the NPU.
    pub fn job(&self) -> Option<&Job<'a>> {
        match self.operators.as_slice() {
            [Operator::Npu(job)] => Some(job),
            _ => None,
        }
    }
}

impl Job<'_> {
    /// The NPU that it was compiled for.
    pub fn accelerator(&self) -> Result<Accelerator, VelaError> {
        let config = self.payload.config;
        Accelerator::of_config(config).ok_or(VelaError::Configuration(config))
    }

    /// Memory of its own for the arena and its fast part, of which the second is empty where both are one.
    pub fn arenas(&self) -> [Vec<u8>; 2] {
        [self.arena_bytes, self.fast_bytes.unwrap_or(0)].map(|bytes| vec![0; bytes])
    }

    /// Constants and arenas as the regions that the commands mean.
    pub fn memory<'m>(&'m self, [arena, fast]: &'m mut [Vec<u8>; 2]) -> Memory<'m> {
        let memory = Memory::new().constant(0, self.constants);
        match self.fast_bytes {
            None => memory.writable(&[1, 2], arena),
            Some(_) => memory.writable(&[1], arena).writable(&[2], fast),
        }
    }

    /// Puts inputs into the arena, in their order.
    pub fn put(&self, inputs: &[&[u8]], arena: &mut [u8]) -> Result<(), VelaError> {
        for (idx, tensor) in self.inputs.iter().enumerate() {
            let (expected, input) = (tensor.bytes(), inputs.get(idx).copied().unwrap_or(&[]));
            let end = tensor.offset.saturating_add(expected);
            let place = arena.get_mut(tensor.offset..end);
            let place = place.ok_or(VelaError::Damaged("an input outside of the arena"))?;
            if input.len() != expected {
                return Err(VelaError::Input {
                    name: tensor.name.to_string(),
                    expected,
                    found: input.len(),
                });
            }
            place.copy_from_slice(input);
        }
        Ok(())
    }

    /// Takes outputs from the arena, in their order.
    pub fn take(&self, arena: &[u8]) -> Result<Vec<Vec<u8>>, VelaError> {
        let take = |tensor: &Tensor| {
            let end = tensor.offset.saturating_add(tensor.bytes());
            let bytes = arena.get(tensor.offset..end).map(<[u8]>::to_vec);
            bytes.ok_or(VelaError::Damaged("an output outside of the arena"))
        };
        self.outputs.iter().map(take).collect()
    }

    /// What runs it, as often as wanted.
    pub fn runner(&self) -> Result<Runner<'_>, VelaError> {
        Ok(Runner {
            job: self,
            npu: Npu::new(self.accelerator()?),
            stream: Stream::read(self.commands).map_err(VelaError::Stream)?,
            arenas: self.arenas(),
        })
    }

    /// Runs it once: bytes of inputs in, bytes of outputs out.
    pub fn run(&self, inputs: &[&[u8]]) -> Result<Vec<Vec<u8>>, VelaError> {
        self.runner()?.run(inputs)
    }
}

/// A job with an NPU and memory for it.
#[derive(Debug)]
pub struct Runner<'a> {
    job: &'a Job<'a>,
    npu: Npu,
    stream: Stream,
    arenas: [Vec<u8>; 2],
}

impl Runner<'_> {
    /// Runs the job: bytes of inputs in, bytes of outputs out.
    pub fn run(&mut self, inputs: &[&[u8]]) -> Result<Vec<Vec<u8>>, VelaError> {
        self.job.put(inputs, &mut self.arenas[0])?;
        let mut memory = self.job.memory(&mut self.arenas);
        let run = self.npu.run(&self.stream, &mut memory);
        run.map_err(VelaError::Stream)?;
        self.job.take(&self.arenas[0])
    }
}

/// Offsets of tensors in their arenas, by their number; empty where there are none.
fn offsets(root: &Table, buffers: &[Table]) -> Result<Vec<i32>, VelaError> {
    for metadata in root.tables(6)? {
        if metadata.bytes(0)? != Some(b"OfflineMemoryAllocation") {
            continue;
        }
        let buffer = buffers.get(metadata.u32(1)? as usize);
        let words = buffer.map(|buffer| buffer.bytes(0)).transpose()?.flatten();
        let words = words.unwrap_or(&[]).as_chunks().0;
        // Version, number of the subgraph and number of tensors come before.
        let words = words.iter().skip(3);
        return Ok(words.map(|word| i32::from_le_bytes(*word)).collect());
    }
    Ok(Vec::new())
}

/// Tensors and what they refer to.
struct Reader<'a> {
    tensors: Vec<Table<'a>>,
    buffers: Vec<Table<'a>>,
    offsets: Vec<i32>,
}

impl<'a> Reader<'a> {
    fn job(&self, operator: &Table) -> Result<Job<'a>, VelaError> {
        let inputs = operator.ints(1)?;
        let [payload, constants, arena, fast, maps @ ..] = inputs.as_slice() else {
            return Err(VelaError::Damaged("an operator `ethos-u` of few inputs"));
        };
        let bytes = self.content(*payload)?;
        let payload = Payload::read(bytes).map_err(VelaError::Payload)?;
        let length = |tensor: i32| Ok(self.tensor(tensor, 0)?.bytes());
        let origin = self.offset(*arena);
        let arena_bytes = length(*arena)?;
        let fast_bytes = match fast == arena {
            true => None,
            false => Some(length(*fast)?),
        };
        if arena_bytes.max(fast_bytes.unwrap_or(0)) > MOST_ARENA_BYTES {
            return Err(VelaError::Unsupported("an arena of more than 256 MiB"));
        }
        Ok(Job {
            commands: &bytes[payload.commands.clone()],
            payload,
            constants: self.content(*constants)?,
            arena_bytes,
            fast_bytes,
            inputs: self.list(maps, origin)?,
            outputs: self.list(&operator.ints(2)?, origin)?,
        })
    }

    fn list(&self, tensors: &[i32], origin: i32) -> Result<Vec<Tensor<'a>>, VelaError> {
        let all = tensors.iter();
        all.map(|&tensor| self.tensor(tensor, origin)).collect()
    }

    fn table(&self, tensor: i32) -> Result<&Table<'a>, VelaError> {
        let table = usize::try_from(tensor).ok();
        table
            .and_then(|idx| self.tensors.get(idx))
            .ok_or(VelaError::Damaged("a tensor that is not there"))
    }

    fn offset(&self, tensor: i32) -> i32 {
        let idx = usize::try_from(tensor).unwrap_or(usize::MAX);
        self.offsets.get(idx).copied().unwrap_or(0)
    }

    fn tensor(&self, tensor: i32, origin: i32) -> Result<Tensor<'a>, VelaError> {
        let table = self.table(tensor)?;
        let sides = table.ints(0)?.into_iter().map(usize::try_from);
        let shape = sides.collect::<Result<_, _>>();
        // Float, int32, uint8, int64, int16 and int8 in TFLite's list.
        let element_bytes = match table.u8(1)? {
            0 | 2 => 4,
            3 | 9 => 1,
            4 => 8,
            7 => 2,
            _ => return Err(VelaError::Unsupported("a type of tensors")),
        };
        let offset = i64::from(self.offset(tensor)) - i64::from(origin);
        Ok(Tensor {
            name: core::str::from_utf8(table.bytes(3)?.unwrap_or(b"")).unwrap_or("?"),
            shape: shape.map_err(|_| VelaError::Damaged("a tensor of negative size"))?,
            element_bytes,
            offset: usize::try_from(offset).unwrap_or(usize::MAX),
        })
    }

    /// The constant bytes of a tensor; empty where it has none.
    fn content(&self, tensor: i32) -> Result<&'a [u8], VelaError> {
        let buffer = self.table(tensor)?.u32(2)? as usize;
        let buffer = self.buffers.get(buffer);
        let buffer = buffer.ok_or(VelaError::Damaged("a tensor without a buffer"))?;
        Ok(buffer.bytes(0)?.unwrap_or(&[]))
    }
}

/// A table of a flatbuffer: offsets of its fields stand in another table in front of or behind it.
#[derive(Clone, Copy)]
struct Table<'a> {
    file: &'a [u8],
    start: usize,
}

impl<'a> Table<'a> {
    fn root(file: &'a [u8]) -> Result<Table<'a>, VelaError> {
        if file.get(4..8) != Some(b"TFL3") {
            return Err(VelaError::NotTflite);
        }
        let start = word(file, 0)? as usize;
        Ok(Table { file, start })
    }

    /// Where a field stands, `None` where it has its default.
    fn field(&self, slot: usize) -> Result<Option<usize>, VelaError> {
        let back = word(self.file, self.start)? as i32;
        let fields = self.start as i64 - i64::from(back);
        let fields = usize::try_from(fields).map_err(|_| OUTSIDE)?;
        let at = 4 + 2 * slot;
        if at + 2 > usize::from(half(self.file, fields)?) {
            return Ok(None);
        }
        match half(self.file, fields + at)? {
            0 => Ok(None),
            offset => Ok(Some(self.start + usize::from(offset))),
        }
    }

    fn u8(&self, slot: usize) -> Result<u8, VelaError> {
        match self.field(slot)? {
            None => Ok(0),
            Some(at) => self.file.get(at).copied().ok_or(OUTSIDE),
        }
    }

    fn u32(&self, slot: usize) -> Result<u32, VelaError> {
        match self.field(slot)? {
            None => Ok(0),
            Some(at) => word(self.file, at),
        }
    }

    /// First element and number of elements of a list.
    fn list(&self, slot: usize) -> Result<Option<(usize, usize)>, VelaError> {
        let Some(at) = self.field(slot)? else {
            return Ok(None);
        };
        let start = at + word(self.file, at)? as usize;
        Ok(Some((start + 4, word(self.file, start)? as usize)))
    }

    fn bytes(&self, slot: usize) -> Result<Option<&'a [u8]>, VelaError> {
        let Some((start, length)) = self.list(slot)? else {
            return Ok(None);
        };
        let bytes = self.file.get(start..start + length);
        bytes.map(Some).ok_or(OUTSIDE)
    }

    fn ints(&self, slot: usize) -> Result<Vec<i32>, VelaError> {
        let Some((start, length)) = self.list(slot)? else {
            return Ok(Vec::new());
        };
        let bytes = self.file.get(start..start + 4 * length).ok_or(OUTSIDE)?;
        let words = bytes.as_chunks().0.iter();
        Ok(words.map(|word| i32::from_le_bytes(*word)).collect())
    }

    fn tables(&self, slot: usize) -> Result<Vec<Table<'a>>, VelaError> {
        let Some((start, length)) = self.list(slot)? else {
            return Ok(Vec::new());
        };
        self.file.get(start..start + 4 * length).ok_or(OUTSIDE)?;
        let places = (0..length).map(|idx| start + 4 * idx);
        places
            .map(|at| {
                Ok(Table {
                    file: self.file,
                    start: at + word(self.file, at)? as usize,
                })
            })
            .collect()
    }
}

const OUTSIDE: VelaError = VelaError::Damaged("an offset outside of the file");

fn word(file: &[u8], at: usize) -> Result<u32, VelaError> {
    let bytes = file.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map(|bytes| u32::from_le_bytes(*bytes)).ok_or(OUTSIDE)
}

fn half(file: &[u8], at: usize) -> Result<u16, VelaError> {
    let bytes = file.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map(|bytes| u16::from_le_bytes(*bytes)).ok_or(OUTSIDE)
}

impl fmt::Display for VelaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VelaError::NotTflite => f.write_str("not a .tflite file"),
            VelaError::Damaged(what) => write!(f, "damaged .tflite file: {what}"),
            VelaError::Unsupported(what) => write!(f, "a .tflite file with {what}"),
            VelaError::NoJob => f.write_str("no operator runs on the NPU; compile it with Vela"),
            VelaError::Payload(error) => write!(f, "driver payload: {error}"),
            VelaError::Configuration(config) => {
                write!(f, "compiled for no Ethos-U55: configuration {config:#x}")
            }
            VelaError::Input {
                name,
                expected,
                found,
            } => write!(f, "input `{name}` has {expected} bytes, given were {found}"),
            VelaError::Stream(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for VelaError {}
