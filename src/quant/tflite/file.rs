//! The contents of a file before they are understood: tables, tensors, options, all bounded.

use super::{
    FLOAT16, FLOAT32, IDENTIFIER, INT4, INT8, INT16, INT32, SCHEMA_VERSION, UINT8,
    error::{Problem, ReadError},
    names::operator_name,
    slots::{self, Damaged, Elements, Table},
};
use crate::{
    graph::{Activation, Padding, Shape, Window},
    quant::QuantParams,
};

/// More operators than any network for a microcontroller has; the time of the memory plan grows with their square.
pub(super) const MAX_OPERATORS: usize = 1024;
/// More tensors than any network for a microcontroller has.
pub(super) const MAX_TENSORS: usize = 1 << 14;
/// More inputs or outputs than any network has, states among them.
const MOST_BORDERS: usize = 256;
/// Most elements of one tensor, and of all tensors together.
pub(super) const MAX_ELEMENTS: usize = 1 << 24;
/// Most weights of all operators together; several may share one buffer of the file.
pub(super) const MAX_WEIGHTS: usize = 1 << 26;

/// The tables of a file.
pub(super) struct File<'a> {
    /// Operator codes.
    pub(super) codes: Vec<Table<'a>>,
    /// Tensors of the first subgraph.
    pub(super) tensors: Vec<FileTensor<'a>>,
    /// Operators of the first subgraph, in execution order.
    pub(super) operators: Vec<Table<'a>>,
    /// Indices of the input tensors, at least one.
    pub(super) inputs: Vec<i32>,
    /// Indices of the output tensors, at least one.
    pub(super) outputs: Vec<i32>,
    /// Number of subgraphs.
    pub(super) subgraphs: usize,
}

/// One tensor of a file.
pub(super) struct FileTensor<'a> {
    /// Its name, any bytes.
    pub(super) name: &'a [u8],
    /// Its element type, by `TensorType` of the schema.
    pub(super) kind: i8,
    /// At most eight.
    pub(super) dims: Vec<i32>,
    /// Empty where the tensor is not constant.
    pub(super) data: &'a [u8],
    /// Scales, one or one per channel.
    pub(super) scales: Elements<'a>,
    /// Zero points.
    pub(super) zero_points: Elements<'a>,
    /// The dimension that scales belong to.
    pub(super) axis: i32,
    /// Whether the constant is stored sparsely.
    pub(super) is_sparse: bool,
}

/// The kind of an operator.
pub(super) struct Code {
    /// Its code in `BuiltinOperator`.
    pub(super) builtin: i32,
    /// Its name, for messages.
    pub(super) name: String,
}

impl<'a> File<'a> {
    /// Reads the tables of a file.
    pub(super) fn open(bytes: &'a [u8]) -> Result<File<'a>, ReadError> {
        let (model, identifier) = slots::root(bytes).map_err(|_| match bytes.get(4..8) {
            Some(letters) if letters == IDENTIFIER.as_bytes() => ReadError::Damaged("root"),
            _ => ReadError::Identifier,
        })?;
        if identifier != IDENTIFIER.as_bytes() {
            return Err(ReadError::Identifier);
        }
        let damaged = |what| move |_: Damaged| ReadError::Damaged(what);
        let found = model.i32(0, 0).map_err(damaged("version"))?;
        if found != SCHEMA_VERSION as i32 {
            return Err(ReadError::Version { found });
        }
        let subgraphs = model.tables(2).map_err(damaged("subgraphs"))?;
        let subgraph = subgraphs.first().ok_or(ReadError::Count {
            what: "subgraphs",
            found: 0,
            expected: "one",
        })?;
        let buffers = model.tables(4).map_err(damaged("buffers"))?;
        let tensors = subgraph.tables(0).map_err(damaged("tensors"))?;
        let operators = subgraph.tables(3).map_err(damaged("operators"))?;
        let limits = [
            ("tensors", tensors.len(), MAX_TENSORS, "at most 16384"),
            ("operators", operators.len(), MAX_OPERATORS, "at most 1024"),
        ];
        for (what, found, most, expected) in limits {
            if found > most {
                return Err(ReadError::Count {
                    what,
                    found,
                    expected,
                });
            }
        }
        let tensors = tensors
            .iter()
            .enumerate()
            .map(|(index, tensor)| {
                FileTensor::open(tensor, &buffers).map_err(|problem| ReadError::Tensor {
                    index,
                    name: text(tensor.bytes(3).unwrap_or_default()),
                    problem: problem.0,
                })
            })
            .collect::<Result<_, _>>()?;
        let border = |field, what, most, expected| -> Result<Vec<i32>, ReadError> {
            let border = subgraph.elements(field, 4).map_err(damaged(what))?;
            match border.len {
                found if (1..=most).contains(&found) => Ok(border.i32s().collect()),
                found => Err(ReadError::Count {
                    what,
                    found,
                    expected,
                }),
            }
        };
        Ok(File {
            codes: model.tables(1).map_err(damaged("operator codes"))?,
            tensors,
            operators,
            inputs: border(1, "inputs", MOST_BORDERS, "one to 256")?,
            outputs: border(2, "outputs", MOST_BORDERS, "one to 256")?,
            subgraphs: subgraphs.len(),
        })
    }

    /// Checks that there are as many subgraphs, inputs and outputs as can be run.
    pub(super) fn is_one_network(&self) -> Result<(), ReadError> {
        let counts = [
            (
                "subgraphs",
                self.subgraphs,
                1,
                "one without variables and control flow",
            ),
            ("inputs", self.inputs.len(), 4, "one to four"),
            ("outputs", self.outputs.len(), 1, "one"),
        ];
        for (what, found, most, expected) in counts {
            if found > most {
                return Err(ReadError::Count {
                    what,
                    found,
                    expected,
                });
            }
        }
        Ok(())
    }

    /// The kind of an operator.
    pub(super) fn code(&self, operator: usize) -> Result<Code, ReadError> {
        let damaged = |_| ReadError::Damaged("operator codes");
        let index = self.operators[operator].i32(0, 0).map_err(damaged)?;
        let code = usize::try_from(index)
            .ok()
            .and_then(|index| self.codes.get(index))
            .ok_or(ReadError::Damaged("operator codes"))?;
        // The first field held the code while there were at most 127 operators.
        let old = i32::from(code.i8(0, 0).map_err(damaged)?);
        let builtin = old.max(code.i32(3, 0).map_err(damaged)?);
        let custom = code.bytes(1).map_err(damaged)?;
        let name = if custom.is_empty() {
            operator_name(builtin)
        } else {
            format!("custom `{}`", text(custom))
        };
        Ok(Code { builtin, name })
    }
}

/// What a network of 16-bit activations is, and what to do about it.
pub(super) const IS_16X8: &str = "its weights are int8 and its activations int16 (16x8), and only int8 activations are supported: \
                 convert it again with TFLITE_BUILTINS_INT8";

impl File<'_> {
    /// Whether its activations are int16 and its weights int8.
    pub(super) fn is_16x8(&self) -> bool {
        let any = |is_constant: bool, kind: i8| {
            let mut tensors = self.tensors.iter();
            tensors.any(|tensor| tensor.kind == kind && is_constant != tensor.data.is_empty())
        };
        any(false, INT16) && any(true, INT8) && !any(false, INT8) && !any(true, FLOAT16)
    }

    /// What a network is that is not int8 in full, and what to do about it; `None` where nothing says so.
    pub(super) fn foreign_kind(&self) -> Option<&'static str> {
        let is_border = |index: usize| {
            let borders = self.inputs.iter().chain(&self.outputs);
            borders
                .copied()
                .any(|border| usize::try_from(border) == Ok(index))
        };
        let any = |is_constant: bool, kind: i8| {
            let mut tensors = self.tensors.iter().enumerate();
            tensors.any(|(index, tensor)| {
                tensor.kind == kind
                    && is_constant != tensor.data.is_empty()
                    && (is_constant || !is_border(index))
            })
        };
        let (constant, computed) = (|kind| any(true, kind), |kind| any(false, kind));
        let inputs = self.inputs.iter();
        let mut inputs = inputs.filter_map(|index| self.tensors.get(usize::try_from(*index).ok()?));
        let is_batch = inputs.any(|input| input.dims.len() == 4 && input.dims[0] != 1);
        if constant(FLOAT16) {
            Some(
                "its weights are float16 and it computes in float: convert it again with int8 weights and activations \
                 and a representative dataset",
            )
        } else if constant(INT4) {
            Some("its weights are int4, which is not supported: convert it again with int8 weights")
        } else if computed(INT16) {
            Some(IS_16X8)
        } else if computed(UINT8) {
            Some(
                "it is quantised to uint8, the older scheme, and only int8 is supported: convert it again from float \
                 with TFLITE_BUILTINS_INT8",
            )
        } else if computed(FLOAT32) && !computed(INT8) {
            match constant(INT8) {
                true => Some(
                    "only its weights are int8 and its activations are float (dynamic range): convert it again with a \
                     representative dataset, which gives int8 activations",
                ),
                false => Some(
                    "it is a float network: convert it with int8 weights and activations and a representative dataset",
                ),
            }
        } else if is_batch {
            Some(
                "it is made for a batch of inputs, and a device gets one at a time: convert it again with a fixed \
                 batch of one",
            )
        } else {
            None
        }
    }

    /// Why a tensor cannot be the input or the output.
    pub(super) fn border_error(&self, index: i32, Problem(problem): Problem) -> ReadError {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        ReadError::Tensor {
            index,
            name: self
                .tensors
                .get(index)
                .map_or_else(String::new, |tensor| text(tensor.name)),
            problem,
        }
    }
}

impl<'a> FileTensor<'a> {
    /// Reads one tensor.
    pub(super) fn open(
        tensor: &Table<'a>,
        buffers: &[Table<'a>],
    ) -> Result<FileTensor<'a>, Problem> {
        let dims = tensor.elements(0, 4)?;
        if dims.len > 8 {
            return Err(format!("has {} dimensions", dims.len).into());
        }
        let buffer = tensor.i32(2, 0)?;
        let data = match usize::try_from(buffer).ok().map(|idx| buffers.get(idx)) {
            Some(Some(buffer)) => buffer.bytes(0)?,
            // Files without constants may leave out the buffers altogether.
            Some(None) if buffer == 0 => &[],
            _ => return Err(format!("is in buffer {buffer}, which does not exist").into()),
        };
        let quantization = tensor.table(4)?;
        let empty = Elements::EMPTY;
        let (scales, zero_points, axis) = match quantization {
            Some(table) => (
                table.elements(2, 4)?,
                table.elements(3, 8)?,
                table.i32(6, 0)?,
            ),
            None => (empty, empty, 0),
        };
        Ok(FileTensor {
            name: tensor.bytes(3)?,
            kind: tensor.i8(1, 0)?,
            dims: dims.i32s().collect(),
            data,
            scales,
            zero_points,
            axis,
            is_sparse: tensor.table(6)?.is_some(),
        })
    }

    /// Height, width and channels; missing dimensions are one, and the batch must be one.
    pub(super) fn shape(&self) -> Result<Shape, Problem> {
        let mut lengths = [1; 4];
        let refused = || Problem(format!("has the shape {:?}", self.dims));
        for (idx, dim) in self.dims.iter().rev().enumerate() {
            let length = usize::try_from(*dim)
                .ok()
                .filter(|dim| (1..=MAX_ELEMENTS).contains(dim));
            match (length, lengths.iter_mut().rev().nth(idx)) {
                (Some(length), Some(slot)) => *slot = length,
                (Some(1), None) => {}
                _ => return Err(refused()),
            }
        }
        let [batch, height, width, channels] = lengths;
        // A product of three lengths of 2^24 does not fit 64 bits.
        let area = height * width;
        if batch != 1 || area > MAX_ELEMENTS || area * channels > MAX_ELEMENTS {
            return Err(refused());
        }
        Ok(Shape::new(height, width, channels))
    }

    /// The single scale and zero point of an activation, which must be of this type.
    pub(super) fn params(&self, kind: i8) -> Result<QuantParams, Problem> {
        if self.kind != kind {
            let kind = type_name(self.kind);
            return Err(format!("is {kind}, and only int8 is supported: quantise it").into());
        }
        match (self.scales.len, self.zero_points.len) {
            (1, 1) => {
                let scale = self.scales.f32s().next().unwrap_or_default();
                let zero_point = self.zero_points.i64s().next().unwrap_or_default();
                if !(scale.is_normal() && scale > 0.0 && (-128..=127).contains(&zero_point)) {
                    return Err(format!("has scale {scale} and zero point {zero_point}").into());
                }
                Ok(QuantParams {
                    scale,
                    zero_point: zero_point as i32,
                })
            }
            (scales, _) => Err(format!("has {scales} scales, but must have one").into()),
        }
    }

    /// The integers of a constant, for example a shape.
    pub(super) fn integers(&self) -> Result<Vec<i32>, Problem> {
        if self.kind != INT32 || self.data.is_empty() || self.data.len() > 64 {
            return Err("has no constant shape, size or axes of int32".into());
        }
        let words = self.data.as_chunks().0.iter();
        Ok(words.map(|word| i32::from_le_bytes(*word)).collect())
    }
}

/// The options of an operator; each has its default where the table is missing.
pub(super) struct Options<'a>(pub Option<Table<'a>>);

impl Options<'_> {
    /// An int8 option; `default` where it is missing.
    pub(super) fn i8(&self, field: usize, default: i8) -> Result<i8, Damaged> {
        self.0.map_or(Ok(default), |table| table.i8(field, default))
    }

    /// An int32 option; `default` where it is missing.
    pub(super) fn i32(&self, field: usize, default: i32) -> Result<i32, Damaged> {
        self.0
            .map_or(Ok(default), |table| table.i32(field, default))
    }

    /// A float option; `default` where it is missing.
    pub(super) fn f32(&self, field: usize, default: f32) -> Result<f32, Damaged> {
        self.0
            .map_or(Ok(default), |table| table.f32(field, default))
    }

    /// Padding and stride are the first three options of every sliding operator.
    pub(super) fn window(&self, kernel: [i32; 2]) -> Result<Window, Problem> {
        let stride = [self.i32(2, 0)?, self.i32(1, 0)?];
        let lengths = [kernel, stride]
            .map(|pair| pair.map(|length| u16::try_from(length).map_or(0, usize::from)));
        if lengths.iter().flatten().any(|length| *length == 0) {
            return Err(format!("has the kernel {kernel:?} and the stride {stride:?}").into());
        }
        Ok(Window {
            kernel: lengths[0],
            stride: lengths[1],
            padding: match self.i8(0, 0)? {
                0 => Padding::Same,
                1 => Padding::Valid,
                other => return Err(format!("has the padding {other}").into()),
            },
            dilation: [1, 1],
        })
    }

    /// Steps between taps, from the fields of width and height.
    pub(super) fn dilation(&self, [width, height]: [usize; 2]) -> Result<[usize; 2], Problem> {
        let dilation = [self.i32(height, 1)?, self.i32(width, 1)?];
        let lengths = dilation.map(|length| u16::try_from(length).map_or(0, usize::from));
        match lengths.contains(&0) {
            true => Err(format!("has the dilation {dilation:?}").into()),
            false => Ok(lengths),
        }
    }

    /// The activation, from this field.
    pub(super) fn activation(&self, field: usize) -> Result<Activation, Problem> {
        match self.i8(field, 0)? {
            0 => Ok(Activation::None),
            1 => Ok(Activation::Relu),
            2 => Ok(Activation::ReluN1To1),
            3 => Ok(Activation::Relu6),
            other => Err(format!(
                "has activation {other}: only RELU, RELU_N1_TO_1 and RELU6 are supported"
            )
            .into()),
        }
    }
}

/// The name of an element type, for messages.
pub(super) fn type_name(kind: i8) -> String {
    match kind {
        0 => "float32".to_string(),
        1 => "float16".to_string(),
        2 => "int32".to_string(),
        3 => "uint8".to_string(),
        4 => "int64".to_string(),
        7 => "int16".to_string(),
        9 => "int8".to_string(),
        17 => "int4".to_string(),
        other => format!("type {other}"),
    }
}

/// Bytes as readable text, at most a line.
pub(super) fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
    text.chars().filter(|c| !c.is_control()).collect()
}
