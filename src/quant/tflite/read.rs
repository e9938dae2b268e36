//! Reads a full-integer file into our graph.
//!
//! Shapes lose their batch of one. Operators that only rename dimensions disappear or become RESHAPE. QUANTIZE and
//! DEQUANTIZE at the borders disappear, so the model takes and gives int8.

use nas_kernels::{Model, blob::BlobError};

use super::{
    ADD, AVERAGE_POOL_2D, Builtin, CONV_2D, DEPTHWISE_CONV_2D, DEQUANTIZE, EXPAND_DIMS,
    FULLY_CONNECTED, HARD_SWISH, INT8, LEAKY_RELU, LOGISTIC, MAX_POOL_2D, MEAN, MUL, PAD, QUANTIZE,
    RELU, RELU6, RESHAPE, RESIZE_NEAREST_NEIGHBOR, SOFTMAX, SQUEEZE, TANH, UINT8,
    error::{Problem, ReadError},
    file::{Code, File, FileTensor, MAX_ELEMENTS, Options, type_name},
};
use crate::{
    graph::{Activation, Function, Graph, Op, OpKind, Shape, Slope, TensorId, memory::ALIGNMENT},
    quant::{QuantParams, QuantizedModel, QuantizedOp, SOFTMAX_OUTPUT},
};

/// The model of a full-integer `.tflite` file; every number in it comes from the file.
///
/// Any bytes are safe to read: constants and the length of the file bound the work.
pub fn read(file: &[u8]) -> Result<QuantizedModel, ReadError> {
    let file = File::open(file)?;
    file.is_one_network()?;
    // What a network is as a whole says more than the first operator that does not fit.
    read_int8(&file).map_err(|error| match file.foreign_kind() {
        Some(kind) => ReadError::Kind(kind),
        None => error,
    })
}

fn read_int8(file: &File) -> Result<QuantizedModel, ReadError> {
    let mut reader = Reader::new(file)?;
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

/// The model read so far.
pub(super) struct Reader<'f, 'a> {
    /// The file.
    pub(super) file: &'f File<'a>,
    /// The graph's tensor for each tensor of the file that is written so far.
    pub(super) ids: Vec<Option<TensorId>>,
    /// The graph.
    pub(super) graph: Graph,
    /// Scale and zero point of each tensor of the graph.
    pub(super) params: Vec<QuantParams>,
    /// Weights of each operator of the graph.
    pub(super) ops: Vec<Option<QuantizedOp>>,
    /// The file's operator for each operator of the graph.
    pub(super) sources: Vec<(usize, String)>,
    /// Elements of all tensors of the graph, rounded up to whole alignments.
    pub(super) elements: usize,
    /// Weights of all operators in bytes.
    pub(super) weights: usize,
    /// The type of activations: int8, but for networks that are costed only.
    pub(super) activations: i8,
}

impl<'f, 'a> Reader<'f, 'a> {
    /// Nothing read yet.
    pub(super) fn empty(file: &'f File<'a>) -> Reader<'f, 'a> {
        Reader {
            file,
            ids: vec![None; file.tensors.len()],
            graph: Graph {
                tensors: Vec::new(),
                ops: Vec::new(),
                input: 0,
                output: 0,
                more_outputs: Vec::new(),
            },
            params: Vec::new(),
            ops: Vec::new(),
            sources: Vec::new(),
            elements: 0,
            weights: 0,
            activations: INT8,
        }
    }

    fn new(file: &'f File<'a>) -> Result<Reader<'f, 'a>, ReadError> {
        let mut reader = Reader::empty(file);
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
                .border_error(output, "is not written by any operator".into())
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

    /// Reads one operator. This match decides what each operator becomes.
    pub(super) fn operator(&mut self, index: usize, code: &Code) -> Result<(), Problem> {
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
            MUL => {
                // A product has no order: the tensor that is repeated comes second.
                let lengths = |input: &i32| self.known(*input).map(|id| self.shape(id).len());
                let mut inputs = inputs.clone();
                inputs.sort_by_key(|input| std::cmp::Reverse(lengths(input)));
                let op = self.plain(OpKind::Multiply, &inputs, output)?;
                self.check_product(&op)?;
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
                    return Err("does not have the output scale 1/256 with zero point -128".into());
                }
                // TFLM stops where a step of the input is less than a step of Q5.26.
                if self.params[op.inputs[0]].scale <= 1.0 / (1 << 26) as f32 {
                    return Err("has an input scale below 2^-26".into());
                }
                op
            }
            RELU | RELU6 | LOGISTIC | TANH | HARD_SWISH | LEAKY_RELU => {
                let function = match *builtin {
                    HARD_SWISH => Function::HardSwish,
                    LEAKY_RELU => Function::LeakyRelu(Slope::new(options.f32(0, 0.0)?)),
                    RELU => Function::Relu,
                    LOGISTIC => Function::Logistic,
                    TANH => Function::Tanh,
                    _ => Function::Relu6,
                };
                let op = self.plain(OpKind::Lookup(function), &inputs[..1], output)?;
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
                    return Err("changes the data, not only its shape".into());
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

    /// Adds an operator that reads all of `inputs` and writes `output`, without weights and activation.
    pub(super) fn plain(
        &mut self,
        kind: OpKind,
        inputs: &[i32],
        output: i32,
    ) -> Result<ReadOp, Problem> {
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

    /// A tensor of the file.
    pub(super) fn tensor(&self, index: i32) -> Result<&'f FileTensor<'a>, Problem> {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.file.tensors.get(index))
            .ok_or_else(|| format!("names tensor {index}, which does not exist").into())
    }

    /// The second input, which must be a constant.
    pub(super) fn second(&self, inputs: &[i32]) -> Result<&'f FileTensor<'a>, Problem> {
        match inputs.get(1) {
            Some(index) => self.tensor(*index),
            None => Err("has only one input".into()),
        }
    }

    /// Shape of a tensor of the graph.
    pub(super) fn shape(&self, id: TensorId) -> Shape {
        self.graph.tensors[id]
    }

    /// The graph's tensor for a tensor of the file; `None` where it is not written.
    pub(super) fn known(&self, index: i32) -> Option<TensorId> {
        *self.ids.get(usize::try_from(index).ok()?)?
    }

    /// The graph's tensor for a tensor that an operator reads.
    pub(super) fn input(&self, index: i32) -> Result<TensorId, Problem> {
        self.known(index).ok_or_else(|| self.unknown(index))
    }

    /// Why a tensor cannot be read.
    pub(super) fn unknown(&self, index: i32) -> Problem {
        match self.tensor(index) {
            Err(problem) => problem,
            Ok(tensor) if !tensor.data.is_empty() => {
                format!("takes the constant tensor {index}; only computed ones are supported")
                    .into()
            }
            Ok(tensor) if tensor.kind != INT8 => {
                let kind = type_name(tensor.kind);
                format!("reads {kind}, and only int8 is supported").into()
            }
            Ok(_) => format!("reads tensor {index} before it is written").into(),
        }
    }

    /// Shape, scale and zero point that the file gives a tensor.
    pub(super) fn declared(&self, index: i32) -> Result<(Shape, QuantParams), Problem> {
        let tensor = self.tensor(index)?;
        let described = |Problem(problem)| Problem(format!("has tensor {index}, which {problem}"));
        Ok((
            tensor.shape().map_err(described)?,
            tensor.params(self.activations).map_err(described)?,
        ))
    }

    /// A new tensor of the graph for a tensor that an operator writes.
    pub(super) fn write(&mut self, index: i32) -> Result<TensorId, Problem> {
        let (shape, params) = self.declared(index)?;
        self.add(index, shape, params)
    }

    /// A new tensor of the graph with this shape.
    pub(super) fn add(
        &mut self,
        index: i32,
        shape: Shape,
        params: QuantParams,
    ) -> Result<TensorId, Problem> {
        self.elements += shape.len().next_multiple_of(ALIGNMENT);
        if self.elements > 8 * MAX_ELEMENTS {
            return Err("makes the tensors larger than 128 MiB".into());
        }
        let id = self.graph.tensors.len();
        self.rename(index, Some(id))?;
        self.graph.tensors.push(shape);
        self.params.push(params);
        Ok(id)
    }

    /// Takes back an operator that failed: tensors from this one on, and what it wrote.
    pub(super) fn undo(&mut self, tensors: usize, outputs: &[i32]) {
        self.graph.tensors.truncate(tensors);
        self.params.truncate(tensors);
        for &output in outputs {
            let slot = usize::try_from(output)
                .ok()
                .and_then(|output| self.ids.get_mut(output));
            if let Some(slot) = slot
                && slot.is_some_and(|id| id >= tensors)
            {
                *slot = None;
            }
        }
    }

    /// Makes a tensor of the graph stand for a tensor of the file.
    pub(super) fn rename(&mut self, index: i32, id: Option<TensorId>) -> Result<(), Problem> {
        let slot = usize::try_from(index)
            .ok()
            .and_then(|i| self.ids.get_mut(i));
        match slot {
            Some(slot @ None) => *slot = id,
            _ => return Err(format!("writes tensor {index}, which is already written").into()),
        }
        Ok(())
    }
}

/// An operator of the file, with the graph's tensors.
pub(super) struct ReadOp {
    /// What it does.
    pub(super) kind: OpKind,
    /// The tensors that it reads.
    pub(super) inputs: Vec<TensorId>,
    /// The tensor that it writes.
    pub(super) output: TensorId,
    /// Its activation.
    pub(super) activation: Activation,
    /// Its weights; `None` where it has none.
    pub(super) weights: Option<QuantizedOp>,
}

pub(super) const SUPPORTED: [Builtin; 22] = [
    ADD,
    AVERAGE_POOL_2D,
    CONV_2D,
    DEPTHWISE_CONV_2D,
    DEQUANTIZE,
    EXPAND_DIMS,
    FULLY_CONNECTED,
    HARD_SWISH,
    LEAKY_RELU,
    LOGISTIC,
    MAX_POOL_2D,
    MEAN,
    MUL,
    PAD,
    QUANTIZE,
    RELU,
    RELU6,
    RESHAPE,
    RESIZE_NEAREST_NEIGHBOR,
    SOFTMAX,
    SQUEEZE,
    TANH,
];
