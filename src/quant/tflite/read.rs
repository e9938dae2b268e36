//! Reads a full-integer file into our graph.
//!
//! Shapes lose their batch of one, operators that only rename dimensions become nothing or RESHAPE, and QUANTIZE
//! and DEQUANTIZE at the borders fall away: the model that comes out takes and gives int8.

use nas_kernels::{
    Model,
    blob::{BlobError, MAX_UPSAMPLE},
};

use super::{
    ADD, AVERAGE_POOL_2D, Builtin, CONV_2D, DEPTHWISE_CONV_2D, DEQUANTIZE, EXPAND_DIMS, FLOAT32,
    FULLY_CONNECTED, IDENTIFIER, INT8, INT32, MAX_POOL_2D, MEAN, PAD, QUANTIZE, RELU, RELU6,
    RESHAPE, RESIZE_NEAREST_NEIGHBOR, SCHEMA_VERSION, SOFTMAX, SQUEEZE, UINT8,
    names::operator_name,
    slots::{self, Damaged, Elements, Table},
};
use crate::{
    graph::{
        Activation, Function, Graph, Op, OpKind, Padding, Shape, TensorId, Window, plan::ALIGNMENT,
    },
    quant::{QuantParams, QuantizedModel, QuantizedOp, SOFTMAX_OUTPUT, multiplier},
};

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReadError {
    #[error("this is not a .tflite file: the letters `{IDENTIFIER}` are missing")]
    Identifier,
    #[error("the .tflite file is damaged: it ends within its {0}, or points outside itself")]
    Damaged(&'static str),
    #[error("the .tflite file has schema version {found}, and version {SCHEMA_VERSION} is needed")]
    Version { found: i32 },
    #[error("the .tflite file has {found} {what}, and {expected} is expected")]
    Count {
        what: &'static str,
        found: usize,
        expected: &'static str,
    },
    #[error("tensor {index} `{name}` {problem}")]
    Tensor {
        index: usize,
        name: String,
        problem: String,
    },
    #[error("operator {index} ({operator}) {problem}")]
    Operator {
        index: usize,
        operator: String,
        problem: String,
    },
    #[error("the network does not run: {0}")]
    Blob(#[from] BlobError),
}

/// The model of a full-integer `.tflite` file; every number in it comes from the file.
///
/// Any bytes may be given: what is read is bounded by constants and by the length of the file.
pub fn read(file: &[u8]) -> Result<QuantizedModel, ReadError> {
    let file = File::open(file)?;
    let mut reader = Reader::new(&file)?;
    for index in 0..file.operators.len() {
        let code = file.code(index)?;
        reader.operator(index, &code).map_err(|problem| {
            let operator = code.name.clone();
            ReadError::Operator {
                index,
                operator,
                problem: problem.0,
            }
        })?;
    }
    reader.finish()
}

/// More operators than any network for a microcontroller has; the memory plan takes time with the square of them.
const MAX_OPERATORS: usize = 1024;
const MAX_TENSORS: usize = 1 << 14;
/// Elements of one tensor, and of all tensors together.
const MAX_ELEMENTS: usize = 1 << 24;
/// Weights of all operators together; several may share one buffer of the file.
const MAX_WEIGHTS: usize = 1 << 26;

/// What an operator or a tensor does that is not supported, to stand after its name.
struct Problem(String);

impl From<String> for Problem {
    fn from(text: String) -> Problem {
        Problem(text)
    }
}

impl From<&str> for Problem {
    fn from(text: &str) -> Problem {
        Problem(text.to_string())
    }
}

impl From<Damaged> for Problem {
    fn from(_: Damaged) -> Problem {
        "is damaged: the file ends within it, or it points outside the file".into()
    }
}

/// The tables of a file.
struct File<'a> {
    codes: Vec<Table<'a>>,
    tensors: Vec<FileTensor<'a>>,
    operators: Vec<Table<'a>>,
    inputs: Vec<i32>,
    outputs: Vec<i32>,
}

struct FileTensor<'a> {
    name: &'a [u8],
    kind: i8,
    /// At most eight.
    dims: Vec<i32>,
    /// Empty where the tensor is not constant.
    data: &'a [u8],
    scales: Elements<'a>,
    zero_points: Elements<'a>,
    axis: i32,
    is_sparse: bool,
}

/// What an operator is.
struct Code {
    builtin: i32,
    name: String,
}

impl<'a> File<'a> {
    fn open(bytes: &'a [u8]) -> Result<File<'a>, ReadError> {
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
        let [subgraph] = subgraphs.as_slice() else {
            return Err(ReadError::Count {
                what: "subgraphs",
                found: subgraphs.len(),
                expected: "one",
            });
        };
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
            inputs: border(1, "inputs", 4, "one to four")?,
            outputs: border(2, "outputs", 1, "one")?,
        })
    }

    fn code(&self, operator: usize) -> Result<Code, ReadError> {
        let damaged = |_| ReadError::Damaged("operator codes");
        let index = self.operators[operator].i32(0, 0).map_err(damaged)?;
        let code = usize::try_from(index)
            .ok()
            .and_then(|index| self.codes.get(index))
            .ok_or(ReadError::Damaged("operator codes"))?;
        // The first field is what the code was before there were more than 127 operators.
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

impl File<'_> {
    /// What is wrong with the tensor that is the input or the output.
    fn border_error(&self, index: i32, Problem(problem): Problem) -> ReadError {
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
    fn open(tensor: &Table<'a>, buffers: &[Table<'a>]) -> Result<FileTensor<'a>, Problem> {
        let dims = tensor.elements(0, 4)?;
        if dims.len > 8 {
            return Err(format!("has {} dimensions", dims.len).into());
        }
        let buffer = tensor.i32(2, 0)?;
        let data = match usize::try_from(buffer).ok().map(|idx| buffers.get(idx)) {
            Some(Some(buffer)) => buffer.bytes(0)?,
            // Files whose tensors have no constants may leave out the buffers altogether.
            Some(None) if buffer == 0 => &[],
            _ => return Err(format!("lies in buffer {buffer}, which is not there").into()),
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

    /// Height, width and channels; lengths that are not there are one, and so must the batch be.
    fn shape(&self) -> Result<Shape, Problem> {
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
        // Three lengths of 2^24 do not fit 64 bits.
        let area = height * width;
        if batch != 1 || area > MAX_ELEMENTS || area * channels > MAX_ELEMENTS {
            return Err(refused());
        }
        Ok(Shape::new(height, width, channels))
    }

    /// The one scale and zero point of an int8 activation.
    fn params(&self) -> Result<QuantParams, Problem> {
        if self.kind != INT8 {
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
            (scales, _) => Err(format!("has {scales} scales, and one is needed").into()),
        }
    }

    /// The integers of a constant such as a shape.
    fn integers(&self) -> Result<Vec<i32>, Problem> {
        if self.kind != INT32 || self.data.is_empty() || self.data.len() > 64 {
            return Err("has no constant shape, size or axes of int32".into());
        }
        let words = self.data.as_chunks().0.iter();
        Ok(words.map(|word| i32::from_le_bytes(*word)).collect())
    }
}

/// The model as far as it was read.
struct Reader<'f, 'a> {
    file: &'f File<'a>,
    /// Our tensor of every tensor of the file that was written so far.
    ids: Vec<Option<TensorId>>,
    graph: Graph,
    params: Vec<QuantParams>,
    ops: Vec<Option<QuantizedOp>>,
    /// The file's operator of every operator of the graph.
    sources: Vec<(usize, String)>,
    elements: usize,
    weights: usize,
}

impl<'f, 'a> Reader<'f, 'a> {
    fn new(file: &'f File<'a>) -> Result<Reader<'f, 'a>, ReadError> {
        let mut reader = Reader {
            file,
            ids: vec![None; file.tensors.len()],
            graph: Graph {
                tensors: Vec::new(),
                ops: Vec::new(),
                input: 0,
                output: 0,
            },
            params: Vec::new(),
            ops: Vec::new(),
            sources: Vec::new(),
            elements: 0,
            weights: 0,
        };
        for input in &file.inputs {
            let wrap = |problem: Problem| file.border_error(*input, problem);
            // A single input of another type becomes int8 by the QUANTIZE that reads it.
            if file.inputs.len() > 1 || reader.tensor(*input).map_err(wrap)?.kind == INT8 {
                reader.write(*input).map_err(wrap)?;
            }
        }
        Ok(reader)
    }

    fn finish(mut self) -> Result<QuantizedModel, ReadError> {
        let output = self.file.outputs[0];
        let id = usize::try_from(output)
            .ok()
            .and_then(|index| *self.ids.get(index)?);
        self.graph.output = id.ok_or_else(|| {
            self.file
                .border_error(output, "is written by no operator".into())
        })?;
        let model = QuantizedModel {
            graph: self.graph,
            tensors: self.params,
            ops: self.ops,
        };
        match Model::parse(&model.to_blob()) {
            Ok(_) => Ok(model),
            Err(BlobError::Op { index, problem }) => {
                let (index, operator) = self.sources[index as usize].clone();
                Err(ReadError::Operator {
                    index,
                    operator,
                    problem: format!("does not run: {problem}"),
                })
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Reads one operator. Everything that decides what it becomes is in this match.
    fn operator(&mut self, index: usize, code: &Code) -> Result<(), Problem> {
        let operator = self.file.operators[index];
        let (inputs, outputs) = (operator.elements(1, 4)?, operator.elements(2, 4)?);
        let is = |builtin: &Builtin| builtin.code == code.builtin;
        let Some(builtin) = SUPPORTED.iter().find(|builtin| is(builtin)) else {
            return Err("is not supported".into());
        };
        if !(1..=4).contains(&inputs.len) || outputs.len != 1 {
            let (inputs, outputs) = (inputs.len, outputs.len);
            return Err(format!("has {inputs} inputs and {outputs} outputs").into());
        }
        let inputs: Vec<i32> = inputs.i32s().collect();
        let output = outputs.i32s().next().unwrap_or(-1);
        let options = Options(operator.table(4)?);
        if options.0.is_some() && operator.i8(3, 0)? as u8 != builtin.options {
            return Err("has the options of another operator".into());
        }
        let op = match *builtin {
            CONV_2D => self.convolution(&inputs, output, &options)?,
            DEPTHWISE_CONV_2D => self.depthwise(&inputs, output, &options)?,
            FULLY_CONNECTED => self.fully_connected(&inputs, output, &options)?,
            AVERAGE_POOL_2D | MAX_POOL_2D => {
                let window = options.window([options.i32(4, 0)?, options.i32(3, 0)?])?;
                let kind = match *builtin {
                    MAX_POOL_2D => OpKind::MaxPool2d(window),
                    _ => OpKind::AveragePool2d(window),
                };
                let op = self.plain(kind, &inputs[..1], output)?;
                self.check_window(&window, &op)?;
                self.same_scale(&op)?;
                ReadOp {
                    activation: options.activation(5)?,
                    ..op
                }
            }
            ADD => {
                let op = self.plain(OpKind::Add, &inputs, output)?;
                let shapes = [op.inputs[0], op.inputs[op.inputs.len() - 1], op.output];
                if inputs.len() != 2
                    || shapes
                        .iter()
                        .any(|t| self.shape(*t) != self.shape(shapes[0]))
                {
                    return Err("adds tensors of different shapes".into());
                }
                ReadOp {
                    activation: options.activation(0)?,
                    ..op
                }
            }
            MEAN => {
                let op = self.plain(OpKind::Mean, &inputs[..1], output)?;
                self.check_axes(&inputs, &op)?;
                op
            }
            PAD => self.pad(&inputs, output)?,
            RESIZE_NEAREST_NEIGHBOR => self.resize(&inputs, output, &options)?,
            SOFTMAX => {
                let op = self.plain(OpKind::Softmax, &inputs, output)?;
                let beta = options.f32(0, 0.0)?;
                if beta != 1.0 {
                    return Err(format!("has a beta of {beta}, and only 1 is supported").into());
                }
                if self.params[op.output] != SOFTMAX_OUTPUT {
                    return Err("has not the output scale 1/256 with zero point -128".into());
                }
                // TFLM stops where a step of the input is less than a step of Q5.26.
                if self.params[op.inputs[0]].scale <= 1.0 / (1 << 26) as f32 {
                    return Err("has an input scale below 2^-26".into());
                }
                op
            }
            RELU | RELU6 => {
                let function = match *builtin {
                    RELU => Function::Relu,
                    _ => Function::Relu6,
                };
                let op = self.plain(OpKind::Lookup(function), &inputs, output)?;
                self.check_lookup(function, &op)?;
                op
            }
            QUANTIZE if self.known(inputs[0]).is_some() => {
                if self.tensor(output)?.kind == UINT8 && output == self.file.outputs[0] {
                    self.reinterpret(output, inputs[0])?;
                    let id = self.known(inputs[0]);
                    return self.rename(output, id);
                }
                let op = self.plain(OpKind::Lookup(Function::Identity), &inputs, output)?;
                self.check_lookup(Function::Identity, &op)?;
                op
            }
            QUANTIZE => return self.border_quantize(inputs[0], output),
            DEQUANTIZE => {
                if output != self.file.outputs[0] {
                    return Err("goes to float within the network".into());
                }
                let id = Some(self.input(inputs[0])?);
                return self.rename(output, id);
            }
            RESHAPE | SQUEEZE | EXPAND_DIMS => {
                let input = self.input(inputs[0])?;
                let (shape, params) = self.declared(output)?;
                if params != self.params[input] || shape.len() != self.shape(input).len() {
                    return Err("changes the data, and not only their shape".into());
                }
                if shape == self.shape(input) {
                    return self.rename(output, Some(input));
                }
                self.plain(OpKind::Reshape, &inputs[..1], output)?
            }
            _ => return Err("is not supported".into()),
        };
        self.sources.push((index, code.name.clone()));
        self.ops.push(op.weights);
        self.graph.ops.push(Op {
            kind: op.kind,
            inputs: op.inputs,
            output: op.output,
            activation: op.activation,
            batch_norm: false,
            dropout: 0.0,
        });
        Ok(())
    }

    fn convolution(
        &mut self,
        inputs: &[i32],
        output: i32,
        options: &Options,
    ) -> Result<ReadOp, Problem> {
        let from = self.shape(self.input(inputs[0])?);
        let dims = self.weight_dims(inputs)?;
        if dims[3] != from.channels {
            return Err(format!(
                "is grouped: its kernels have {} channels and its input has {}",
                dims[3], from.channels
            )
            .into());
        }
        let window = options.window([dims[1] as i32, dims[2] as i32])?;
        options.no_dilation([4, 5])?;
        let weights = self.weights(inputs, dims[0], 0)?;
        let op = self.plain(OpKind::Conv2d(window), &inputs[..1], output)?;
        self.check_window(&window, &op)?;
        self.check_channels(&op, dims[0])?;
        Ok(ReadOp {
            activation: options.activation(3)?,
            weights: Some(weights),
            ..op
        })
    }

    /// Kernels for one input channel are those of a convolution in another order.
    fn depthwise(
        &mut self,
        inputs: &[i32],
        output: i32,
        options: &Options,
    ) -> Result<ReadOp, Problem> {
        let from = self.shape(self.input(inputs[0])?);
        let dims = self.weight_dims(inputs)?;
        let (channels, multiplier) = (dims[3], options.i32(3, 0)?);
        let fits = usize::try_from(multiplier).ok().map(|m| m * from.channels) == Some(channels);
        if dims[0] != 1 || !fits {
            return Err(format!("has kernels of the shape {dims:?}").into());
        }
        let window = options.window([dims[1] as i32, dims[2] as i32])?;
        options.no_dilation([5, 6])?;
        let mut weights = self.weights(inputs, channels, 3)?;
        let kind = match (from.channels, multiplier) {
            (_, 1) => OpKind::DepthwiseConv2d(window),
            (1, _) => {
                let taps = window.taps();
                let at = |idx: usize| weights.weight[idx % taps * channels + idx / taps];
                weights.weight = (0..taps * channels).map(at).collect();
                OpKind::Conv2d(window)
            }
            _ => {
                return Err(format!(
                    "has a depth multiplier of {multiplier} over {} channels, and only 1 is supported",
                    from.channels
                )
                .into());
            }
        };
        let op = self.plain(kind, &inputs[..1], output)?;
        self.check_window(&window, &op)?;
        self.check_channels(&op, channels)?;
        Ok(ReadOp {
            activation: options.activation(4)?,
            weights: Some(weights),
            ..op
        })
    }

    fn fully_connected(
        &mut self,
        inputs: &[i32],
        output: i32,
        options: &Options,
    ) -> Result<ReadOp, Problem> {
        let from = self.shape(self.input(inputs[0])?);
        let dims = self.weight_dims(inputs)?;
        let [1, 1, features, length] = dims else {
            return Err(format!("has weights of the shape {dims:?}").into());
        };
        if length != from.len() {
            return Err(format!(
                "has weights for {length} inputs, and its input has {} elements: batches are not supported",
                from.len()
            )
            .into());
        }
        if options.i8(1, 0)? != 0 {
            return Err("has shuffled weights".into());
        }
        let weights = self.weights(inputs, features, 0)?;
        let op = self.plain(OpKind::FullyConnected, &inputs[..1], output)?;
        if self.shape(op.output) != Shape::vector(features) {
            return Err("has an output of another length than its weights".into());
        }
        Ok(ReadOp {
            activation: options.activation(0)?,
            weights: Some(weights),
            ..op
        })
    }

    fn pad(&mut self, inputs: &[i32], output: i32) -> Result<ReadOp, Problem> {
        let input = self.input(inputs[0])?;
        let paddings = self.second(inputs)?.integers()?;
        let from = self.shape(input);
        let mut pairs = [[0; 2]; 4];
        let given = paddings.as_chunks::<2>().0;
        if given.len() > 4 || given.len() != self.tensor(inputs[0])?.dims.len() {
            return Err(format!("has paddings for {} dimensions", given.len()).into());
        }
        for (slot, pair) in pairs.iter_mut().rev().zip(given.iter().rev()) {
            let length = |n: i32| {
                usize::try_from(n)
                    .ok()
                    .filter(|n| *n <= usize::from(u16::MAX))
            };
            let [Some(before), Some(after)] = pair.map(length) else {
                return Err(format!("has the padding {pair:?}").into());
            };
            *slot = [before, after];
        }
        let [batch, height, width, channels] = pairs;
        let sum = |length: usize, [before, after]: [usize; 2]| before + length + after;
        let kind = OpKind::Pad {
            before: [height[0], width[0], channels[0]],
            after: [height[1], width[1], channels[1]],
        };
        let op = self.plain(kind, &inputs[..1], output)?;
        let expected = Shape::new(
            sum(from.height, height),
            sum(from.width, width),
            sum(from.channels, channels),
        );
        if batch != [0, 0] || self.shape(op.output) != expected {
            return Err("has an output that does not fit its paddings".into());
        }
        self.same_scale(&op)?;
        Ok(op)
    }

    fn resize(
        &mut self,
        inputs: &[i32],
        output: i32,
        options: &Options,
    ) -> Result<ReadOp, Problem> {
        let from = self.shape(self.input(inputs[0])?);
        let (to, _) = self.declared(output)?;
        // Centred pixels change nothing where factors are whole.
        if options.i8(0, 0)? != 0 {
            return Err("aligns corners, which is not supported".into());
        }
        let size = self.second(inputs)?.integers()?;
        let factor = [to.height / from.height, to.width / from.width];
        let whole = Shape::new(
            from.height * factor[0],
            from.width * factor[1],
            from.channels,
        );
        let largest = usize::from(MAX_UPSAMPLE);
        if to != whole
            || size != [to.height as i32, to.width as i32]
            || factor.iter().any(|factor| !(1..=largest).contains(factor))
        {
            return Err(format!(
                "goes from {}x{} to {}x{}, and only whole factors up to {largest} are supported",
                from.height, from.width, to.height, to.width
            )
            .into());
        }
        let op = self.plain(OpKind::Upsample(factor), &inputs[..1], output)?;
        self.same_scale(&op)?;
        Ok(op)
    }

    /// QUANTIZE of an input that is not int8: what comes out is the input of the model.
    fn border_quantize(&mut self, input: i32, output: i32) -> Result<(), Problem> {
        let is_input = input == self.file.inputs[0];
        match self.tensor(input)?.kind {
            FLOAT32 if is_input => {}
            UINT8 if is_input => self.reinterpret(input, output)?,
            _ => return Err(self.unknown(input)),
        }
        if self.graph.tensors.is_empty() {
            self.write(output)?;
            return Ok(());
        }
        let (shape, params) = self.declared(output)?;
        if (shape, params) != (self.shape(0), self.params[0]) {
            return Err("quantises the input in another way than the QUANTIZE before it".into());
        }
        self.rename(output, Some(0))
    }

    /// Whether a uint8 tensor is an int8 tensor plus 128.
    fn reinterpret(&self, uint8: i32, int8: i32) -> Result<(), Problem> {
        let outer = self.tensor(uint8)?;
        let inner = self.tensor(int8)?.params()?;
        let zero_points: Vec<i64> = outer.zero_points.i64s().take(2).collect();
        let scales: Vec<f32> = outer.scales.f32s().take(2).collect();
        if scales != [inner.scale] || zero_points != [i64::from(inner.zero_point) + 128] {
            return Err("changes the scale between uint8 and int8, which is not supported".into());
        }
        Ok(())
    }

    /// An operator that reads all of `inputs` and writes `output`, without weights and activation.
    fn plain(&mut self, kind: OpKind, inputs: &[i32], output: i32) -> Result<ReadOp, Problem> {
        let inputs = inputs
            .iter()
            .map(|input| self.input(*input))
            .collect::<Result<_, _>>()?;
        Ok(ReadOp {
            kind,
            inputs,
            output: self.write(output)?,
            activation: Activation::None,
            weights: None,
        })
    }

    fn check_window(&self, window: &Window, op: &ReadOp) -> Result<(), Problem> {
        let (from, to) = (self.shape(op.inputs[0]), self.shape(op.output));
        if window.output(from) != Some([to.height, to.width]) {
            return Err("has an output of another size than its window gives".into());
        }
        Ok(())
    }

    fn check_channels(&self, op: &ReadOp, channels: usize) -> Result<(), Problem> {
        let found = self.shape(op.output).channels;
        if found != channels {
            return Err(format!("has {channels} kernels and {found} output channels").into());
        }
        Ok(())
    }

    fn same_scale(&self, op: &ReadOp) -> Result<(), Problem> {
        let (from, to) = (self.params[op.inputs[0]], self.params[op.output]);
        if from != to {
            return Err("scales its output otherwise than its input".into());
        }
        if self.shape(op.output).channels != self.shape(op.inputs[0]).channels
            && !matches!(op.kind, OpKind::Pad { .. })
        {
            return Err("has not as many output channels as input channels".into());
        }
        Ok(())
    }

    fn check_lookup(&self, function: Function, op: &ReadOp) -> Result<(), Problem> {
        let (from, to) = (self.params[op.inputs[0]], self.params[op.output]);
        if function == Function::Relu6 && from != to {
            return Err("scales its output otherwise than its input, which TFLM ignores".into());
        }
        if self.shape(op.inputs[0]) != self.shape(op.output) {
            return Err("has an output of another shape than its input".into());
        }
        let ratio = f64::from(from.scale) / f64::from(to.scale);
        if ratio >= f64::from(1 << multiplier::MAX_LEFT_SHIFT) {
            return Err(format!("enlarges its input {ratio} times").into());
        }
        Ok(())
    }

    /// MEAN must go over all pixels.
    fn check_axes(&self, inputs: &[i32], op: &ReadOp) -> Result<(), Problem> {
        let axes = self.second(inputs)?.integers()?;
        let rank = self.tensor(inputs[0])?.dims.len() as i64;
        let from = self.shape(op.inputs[0]);
        let mut over = [false, from.height == 1, from.width == 1, false];
        for axis in &axes {
            let axis = i64::from(*axis);
            let axis = if axis < 0 { axis + rank } else { axis } + 4 - rank;
            match usize::try_from(axis)
                .ok()
                .and_then(|axis| over.get_mut(axis))
            {
                Some(over) => *over = true,
                None => return Err(format!("has the axes {axes:?}").into()),
            }
        }
        if over != [false, true, true, false]
            || self.shape(op.output) != Shape::vector(from.channels)
        {
            return Err(format!("goes over the axes {axes:?}, and not over all pixels").into());
        }
        Ok(())
    }

    /// The shape of the weights, with leading ones to four lengths.
    fn weight_dims(&self, inputs: &[i32]) -> Result<[usize; 4], Problem> {
        let weights = self.second(inputs)?;
        let mut dims = [1; 4];
        if weights.dims.len() > 4 {
            return Err(format!("has weights of the shape {:?}", weights.dims).into());
        }
        for (slot, dim) in dims.iter_mut().rev().zip(weights.dims.iter().rev()) {
            *slot = usize::try_from(*dim)
                .ok()
                .filter(|dim| (1..=MAX_ELEMENTS).contains(dim))
                .ok_or_else(|| format!("has weights of the shape {:?}", weights.dims))?;
        }
        let count = dims.iter().try_fold(1usize, |n, dim| n.checked_mul(*dim));
        if count != Some(weights.data.len()) {
            return Err("has weights that are not constant, or not as long as their shape".into());
        }
        Ok(dims)
    }

    /// Weights and biases of an operator; `axis` is that of the output channels.
    fn weights(
        &mut self,
        inputs: &[i32],
        channels: usize,
        axis: i32,
    ) -> Result<QuantizedOp, Problem> {
        let weights = self.second(inputs)?;
        if weights.kind != INT8 || weights.is_sparse {
            let kind = type_name(weights.kind);
            return Err(format!("has weights of {kind}, and dense int8 is supported").into());
        }
        self.weights += weights.data.len();
        if self.weights > MAX_WEIGHTS {
            return Err(format!("brings the weights over {MAX_WEIGHTS} bytes").into());
        }
        if weights.zero_points.i64s().any(|zero_point| zero_point != 0) {
            return Err(
                "has weights with a zero point, and only symmetric ones are supported".into(),
            );
        }
        let count = weights.scales.len;
        if count != 1 && (count != channels || weights.axis != axis) {
            return Err(format!("has {count} weight scales for {channels} channels").into());
        }
        let weight_scales: Vec<f32> = weights.scales.f32s().collect();
        if !weight_scales
            .iter()
            .all(|scale| scale.is_finite() && *scale >= 0.0)
        {
            return Err("has a weight scale that is not a number".into());
        }
        let bias = match inputs.get(2) {
            None | Some(-1) => vec![0; channels],
            Some(bias) => {
                let bias = self.tensor(*bias)?;
                if bias.kind != INT32 || bias.data.len() != 4 * channels {
                    return Err(format!("has not {channels} constant biases of int32").into());
                }
                let words = bias.data.as_chunks().0.iter();
                words.map(|word| i32::from_le_bytes(*word)).collect()
            }
        };
        Ok(QuantizedOp {
            weight: weights.data.iter().map(|byte| *byte as i8).collect(),
            weight_scales,
            bias,
        })
    }

    fn tensor(&self, index: i32) -> Result<&'f FileTensor<'a>, Problem> {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.file.tensors.get(index))
            .ok_or_else(|| format!("names tensor {index}, which is not there").into())
    }

    /// The constant that stands second.
    fn second(&self, inputs: &[i32]) -> Result<&'f FileTensor<'a>, Problem> {
        match inputs.get(1) {
            Some(index) => self.tensor(*index),
            None => Err("has only one input".into()),
        }
    }

    fn shape(&self, id: TensorId) -> Shape {
        self.graph.tensors[id]
    }

    fn known(&self, index: i32) -> Option<TensorId> {
        *self.ids.get(usize::try_from(index).ok()?)?
    }

    /// Our tensor of one that an operator reads.
    fn input(&self, index: i32) -> Result<TensorId, Problem> {
        self.known(index).ok_or_else(|| self.unknown(index))
    }

    /// Why a tensor cannot be read.
    fn unknown(&self, index: i32) -> Problem {
        match self.tensor(index) {
            Err(problem) => problem,
            Ok(tensor) if !tensor.data.is_empty() => {
                format!("takes the constant tensor {index} where a computed one is supported")
                    .into()
            }
            Ok(tensor) if tensor.kind != INT8 => {
                let kind = type_name(tensor.kind);
                format!("reads {kind}, and only int8 is supported: quantise the network first")
                    .into()
            }
            Ok(_) => format!("reads tensor {index}, which was not written before").into(),
        }
    }

    fn declared(&self, index: i32) -> Result<(Shape, QuantParams), Problem> {
        let tensor = self.tensor(index)?;
        let described = |Problem(problem)| Problem(format!("has tensor {index}, which {problem}"));
        Ok((
            tensor.shape().map_err(described)?,
            tensor.params().map_err(described)?,
        ))
    }

    /// A new tensor of ours for one that an operator writes.
    fn write(&mut self, index: i32) -> Result<TensorId, Problem> {
        let (shape, params) = self.declared(index)?;
        self.elements += shape.len().next_multiple_of(ALIGNMENT);
        if self.elements > 8 * MAX_ELEMENTS {
            return Err("brings the tensors over 128 MiB".into());
        }
        let id = self.graph.tensors.len();
        self.rename(index, Some(id))?;
        self.graph.tensors.push(shape);
        self.params.push(params);
        Ok(id)
    }

    fn rename(&mut self, index: i32, id: Option<TensorId>) -> Result<(), Problem> {
        let slot = usize::try_from(index)
            .ok()
            .and_then(|i| self.ids.get_mut(i));
        match slot {
            Some(slot @ None) => *slot = id,
            _ => return Err(format!("writes tensor {index}, which is written already").into()),
        }
        Ok(())
    }
}

/// An operator that was read.
struct ReadOp {
    kind: OpKind,
    inputs: Vec<TensorId>,
    output: TensorId,
    activation: Activation,
    weights: Option<QuantizedOp>,
}

/// The options of an operator; all have their defaults where the table is left out.
struct Options<'a>(Option<Table<'a>>);

impl Options<'_> {
    fn i8(&self, field: usize, default: i8) -> Result<i8, Damaged> {
        self.0.map_or(Ok(default), |table| table.i8(field, default))
    }

    fn i32(&self, field: usize, default: i32) -> Result<i32, Damaged> {
        self.0
            .map_or(Ok(default), |table| table.i32(field, default))
    }

    fn f32(&self, field: usize, default: f32) -> Result<f32, Damaged> {
        self.0
            .map_or(Ok(default), |table| table.f32(field, default))
    }

    /// Padding and stride are the first three options of every sliding operator.
    fn window(&self, kernel: [i32; 2]) -> Result<Window, Problem> {
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
        })
    }

    fn no_dilation(&self, fields: [usize; 2]) -> Result<(), Problem> {
        let dilation = [self.i32(fields[1], 1)?, self.i32(fields[0], 1)?];
        if dilation != [1, 1] {
            return Err(format!("is dilated by {dilation:?}, which is not supported").into());
        }
        Ok(())
    }

    fn activation(&self, field: usize) -> Result<Activation, Problem> {
        match self.i8(field, 0)? {
            0 => Ok(Activation::None),
            1 => Ok(Activation::Relu),
            3 => Ok(Activation::Relu6),
            other => {
                Err(format!("has activation {other}: only RELU and RELU6 are supported").into())
            }
        }
    }
}

const SUPPORTED: [Builtin; 17] = [
    ADD,
    AVERAGE_POOL_2D,
    CONV_2D,
    DEPTHWISE_CONV_2D,
    DEQUANTIZE,
    EXPAND_DIMS,
    FULLY_CONNECTED,
    MAX_POOL_2D,
    MEAN,
    PAD,
    QUANTIZE,
    RELU,
    RELU6,
    RESHAPE,
    RESIZE_NEAREST_NEIGHBOR,
    SOFTMAX,
    SQUEEZE,
];

fn type_name(kind: i8) -> String {
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

/// Bytes as people can read them, at most a line.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
    text.chars().filter(|c| !c.is_control()).collect()
}
