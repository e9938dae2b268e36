//! Reads a file as far as its costs need it: what nothing here runs is kept by its kind.

use std::collections::HashMap;

use super::{
    INT8, INT16,
    error::{Problem, ReadError},
    file::{Code, File, FileTensor, IS_16X8, MAX_ELEMENTS, Options},
    names::{known_name, static_name},
    read::{Reader, SUPPORTED},
};
use crate::{
    graph::{Activation, Effort, Foreign, Graph, Op, OpKind, Padding, Shape, TensorId, Window},
    quant::{QuantParams, QuantizedModel},
};

/// A network of a file as far as its costs need it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Operators and tensors; those of another type than int8 count by their bytes, as further channels.
    pub graph: Graph,
    /// int8 weights of each operator in TFLite's layout; `None` for operators without weights.
    pub weights: Vec<Option<Vec<i8>>>,
    /// Operators of the file that nothing here runs, in their order.
    pub unrun: Vec<Unrun>,
    /// Whether activations have 16 bits (16x8), for which nothing here runs at all.
    pub is_wide: bool,
}

/// An operator of a file that is costed and not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrun {
    /// Its place in the file.
    pub index: usize,
    /// TFLite's name of it, or that of a custom operator.
    pub operator: String,
    /// Why it is not run, to follow the name.
    pub problem: String,
}

impl Outline {
    /// Reads a full-integer `.tflite` file.
    ///
    /// # Errors
    /// [`ReadError`] where the file is damaged or of another kind, or where its costs depend on what it is fed with.
    pub fn read(bytes: &[u8]) -> Result<Outline, ReadError> {
        let file = File::open(bytes)?;
        // What a network is as a whole says more than the first operator that does not fit.
        let kind = |error| file.foreign_kind().map_or(error, ReadError::Kind);
        if file.is_one_network().is_ok()
            && let Ok(model) = QuantizedModel::from_tflite(bytes)
        {
            return Ok(model.into());
        }
        if let Some(kind) = file.foreign_kind()
            && !file.is_16x8()
        {
            return Err(ReadError::Kind(kind));
        }
        Sketch::new(&file).and_then(Sketch::read).map_err(kind)
    }

    /// The error of the first thing that nothing here runs.
    pub fn first_unrun(&self) -> Option<ReadError> {
        if self.is_wide {
            return Some(ReadError::Kind(IS_16X8));
        }
        let first = self.unrun.first()?;
        Some(ReadError::Operator {
            index: first.index,
            operator: first.operator.clone(),
            problem: first.problem.clone(),
        })
    }
}

impl From<QuantizedModel> for Outline {
    fn from(model: QuantizedModel) -> Outline {
        let weights = model.ops.into_iter().map(|op| Some(op?.weight));
        Outline {
            graph: model.graph,
            weights: weights.collect(),
            unrun: Vec::new(),
            is_wide: false,
        }
    }
}

/// A network that is read operator by operator.
struct Sketch<'f, 'a> {
    reader: Reader<'f, 'a>,
    /// int8 weights of operators that are not run.
    foreign_weights: HashMap<usize, Vec<i8>>,
    unrun: Vec<Unrun>,
    /// The name of the variable behind each handle.
    handles: HashMap<i32, String>,
    /// What a variable holds before the network runs.
    states: HashMap<String, TensorId>,
}

impl<'f, 'a> Sketch<'f, 'a> {
    fn new(file: &'f File<'a>) -> Result<Self, ReadError> {
        let mut sketch = Sketch {
            reader: Reader::empty(file),
            foreign_weights: HashMap::new(),
            unrun: Vec::new(),
            handles: HashMap::new(),
            states: HashMap::new(),
        };
        if file.is_16x8() {
            sketch.reader.activations = INT16;
        }
        let activations = sketch.reader.activations;
        for input in &file.inputs {
            let wrap = |problem: Problem| file.border_error(*input, problem);
            let is_float = sketch.reader.tensor(*input).map_err(wrap)?.kind != activations;
            // An input of another type becomes int8 by the QUANTIZE that reads it.
            if !is_float || file.inputs.len() > 1 {
                sketch.write(*input).map_err(wrap)?;
            }
        }
        Ok(sketch)
    }

    fn read(mut self) -> Result<Outline, ReadError> {
        let file = self.reader.file;
        for index in 0..file.operators.len() {
            let code = file.code(index)?;
            self.operator(index, &code)
                .map_err(|Problem(problem)| ReadError::Operator {
                    index,
                    operator: code.name.clone(),
                    problem,
                })?;
        }
        let known = file
            .outputs
            .iter()
            .filter_map(|&output| self.reader.known(output));
        let mut outputs: Vec<TensorId> = known.collect();
        let Some(output) = outputs.pop() else {
            let missing = file.outputs.first().copied().unwrap_or(-1);
            return Err(file.border_error(missing, "is not written by any operator".into()));
        };
        let Reader { mut graph, ops, .. } = self.reader;
        graph.output = output;
        graph.more_outputs.extend(outputs);
        let weights = ops
            .into_iter()
            .enumerate()
            .map(|(idx, op)| match op {
                Some(op) => Some(op.weight),
                None => self.foreign_weights.remove(&idx),
            })
            .collect();
        Ok(Outline {
            graph,
            weights,
            unrun: self.unrun,
            is_wide: file.is_16x8(),
        })
    }

    /// Reads one operator: as the kernels would run it, or else by its kind.
    fn operator(&mut self, index: usize, code: &Code) -> Result<(), Problem> {
        let operator = self.reader.file.operators[index];
        let outputs: Vec<i32> = operator.elements(2, 4)?.i32s().collect();
        let tensors = self.reader.graph.tensors.len();
        let Err(Problem(problem)) = self.reader.operator(index, code) else {
            return Ok(());
        };
        self.reader.undo(tensors, &outputs);
        let inputs: Vec<i32> = operator.elements(1, 4)?.i32s().collect();
        let options = Options(operator.table(4)?);
        match code.name.as_str() {
            "IF" | "WHILE" | "CALL" => {
                return Err(
                    "runs other parts of the network by its data, so that costs depend on it"
                        .into(),
                );
            }
            "custom `ethos-u`" => {
                return Err(
                    "is a network that Vela has compiled: give the file that Vela was given".into(),
                );
            }
            // These happen before the first inference.
            "CALL_ONCE" => return Ok(()),
            "VAR_HANDLE" => {
                let name = match options.0 {
                    Some(table) => table.bytes(1)?,
                    None => &[],
                };
                let name = String::from_utf8_lossy(name).into_owned();
                self.handles
                    .extend(outputs.first().map(|&handle| (handle, name)));
                return Ok(());
            }
            _ => {}
        }
        self.unrun.push(Unrun {
            index,
            operator: code.name.clone(),
            problem,
        });
        let name = static_name(code.builtin);
        match code.name.as_str() {
            "READ_VARIABLE" => self.read_variable(name, &inputs, &outputs),
            "ASSIGN_VARIABLE" => self.assign_variable(name, &inputs),
            _ => self.foreign(name, &inputs, &outputs, &options),
        }
    }

    /// An operator by its kind; one for each of its outputs.
    fn foreign(
        &mut self,
        name: &'static str,
        inputs: &[i32],
        outputs: &[i32],
        options: &Options,
    ) -> Result<(), Problem> {
        let mut computed = Vec::new();
        let mut constants = Vec::new();
        for &input in inputs.iter().filter(|&&input| input >= 0) {
            let tensor = self.reader.tensor(input)?;
            match self.reader.known(input) {
                Some(id) => computed.push(id),
                None if tensor.data.len() > SMALL_CONSTANT || tensor.kind == INT8 => {
                    constants.push(tensor);
                }
                None => {}
            }
        }
        let constant_bytes = constants.iter().map(|constant| constant.data.len()).sum();
        for (place, &output) in outputs.iter().enumerate() {
            if !SIZED_TYPES.contains(&self.reader.tensor(output)?.kind) {
                continue;
            }
            let id = self.write(output)?;
            if computed.is_empty() {
                // It depends on constants alone, and is there like an input.
                continue;
            }
            let (from, to) = (self.reader.shape(computed[0]), self.reader.shape(id));
            let effort = effort(name, from, to, &constants, options);
            // Constants are there once.
            let constant_bytes = if place == 0 { constant_bytes } else { 0 };
            let kind = OpKind::Foreign(Foreign {
                name,
                effort,
                constant_bytes,
            });
            let has_weights = matches!(
                effort,
                Effort::Grouped(..) | Effort::Transposed(_) | Effort::Macs(_)
            );
            if let (Some(weights), true) = (constants.first(), has_weights) {
                let weights = weights.data.iter().map(|byte| *byte as i8).collect();
                self.foreign_weights
                    .insert(self.reader.graph.ops.len(), weights);
            }
            self.push(kind, computed.clone(), id);
        }
        Ok(())
    }

    /// What a variable holds becomes a tensor, as a copy.
    fn read_variable(
        &mut self,
        name: &'static str,
        inputs: &[i32],
        outputs: &[i32],
    ) -> Result<(), Problem> {
        let (variable, output) = (
            self.variable(inputs)?,
            outputs.first().copied().unwrap_or(-1),
        );
        let copy = self.write(output)?;
        let shape = self.reader.graph.tensors[copy];
        let state = *self.states.entry(variable).or_insert_with(|| {
            self.reader.params.push(UNKNOWN);
            self.reader.graph.tensors.push(shape);
            self.reader.graph.tensors.len() - 1
        });
        self.push(copies(name), vec![state], copy);
        Ok(())
    }

    /// A copy of a tensor becomes what a variable holds, and outlives the inference.
    fn assign_variable(&mut self, name: &'static str, inputs: &[i32]) -> Result<(), Problem> {
        let variable = self.variable(inputs)?;
        let value = self.reader.input(inputs.get(1).copied().unwrap_or(-1))?;
        let graph = &mut self.reader.graph;
        let held = graph.tensors.len();
        graph.tensors.push(graph.tensors[value]);
        graph.more_outputs.push(held);
        self.reader.params.push(UNKNOWN);
        let before = self.states.get(&variable).copied();
        self.push(
            copies(name),
            [value].into_iter().chain(before).collect(),
            held,
        );
        Ok(())
    }

    fn variable(&self, inputs: &[i32]) -> Result<String, Problem> {
        let handle = inputs.first().copied().unwrap_or(-1);
        let name = self.handles.get(&handle).cloned();
        name.ok_or_else(|| "names a variable that does not exist".into())
    }

    fn push(&mut self, kind: OpKind, inputs: Vec<TensorId>, output: TensorId) {
        self.reader.ops.push(None);
        self.reader.graph.ops.push(Op {
            kind,
            inputs,
            output,
            activation: Activation::None,
            batch_norm: false,
            dropout: 0.0,
        });
    }

    /// A new tensor of the graph for any tensor of the file, by its bytes where it is not int8.
    fn write(&mut self, index: i32) -> Result<TensorId, Problem> {
        if self.reader.declared(index).is_ok() {
            return self.reader.write(index);
        }
        let tensor = self.reader.tensor(index)?;
        let unknown = || Problem(format!("has tensor {index} of the shape {:?}", tensor.dims));
        let bytes = element_bytes(tensor.kind).ok_or_else(unknown)?;
        let mut lengths = [1, 1, bytes];
        for (place, dim) in tensor.dims.iter().rev().enumerate() {
            let length = usize::try_from(*dim)
                .ok()
                .filter(|dim| (1..=MAX_ELEMENTS).contains(dim));
            let slot = &mut lengths[2usize.saturating_sub(place)];
            *slot = slot
                .checked_mul(length.ok_or_else(unknown)?)
                .ok_or_else(unknown)?;
        }
        let shape = Shape::new(lengths[0], lengths[1], lengths[2]);
        let count = lengths
            .iter()
            .try_fold(1usize, |count, length| count.checked_mul(*length));
        if count.is_none_or(|count| count > MAX_ELEMENTS) {
            return Err(unknown());
        }
        self.reader.add(index, shape, UNKNOWN)
    }
}

/// Constants of up to so many bytes that are not int8 are axes and sizes, which compilers take out.
const SMALL_CONSTANT: usize = 64;

/// Stands for the scale of a tensor that nothing computes with.
const UNKNOWN: QuantParams = QuantParams {
    scale: 1.0,
    zero_point: 0,
};

/// Bytes of an element, by `TensorType` of the schema; `None` for resources, strings and the like.
fn element_bytes(kind: i8) -> Option<usize> {
    match kind {
        3 | 6 | 9 | 17 => Some(1),
        1 | 7 | 16 => Some(2),
        0 | 2 | 15 => Some(4),
        4 | 10 | 12 => Some(8),
        _ => None,
    }
}

const SIZED_TYPES: [i8; 13] = [0, 1, 2, 3, 4, 6, 7, 9, 10, 12, 15, 16, 17];

fn copies(name: &'static str) -> OpKind {
    OpKind::Foreign(Foreign {
        name,
        effort: Effort::Copies,
        constant_bytes: 0,
    })
}

/// An operator of TFLite, and what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operator {
    /// TFLite's name.
    pub name: &'static str,
    /// Whether host and firmware run it, in the forms that `docs/operators.md` names.
    pub is_run: bool,
    /// How much it counts as where it is not run.
    pub effort: Effort,
}

/// Every operator of TFLite that a quantised network may have.
pub fn operators() -> Vec<Operator> {
    let (any, options) = (Shape::vector(1), Options(None));
    let codes = (0..).map_while(known_name).enumerate();
    let quantised =
        codes.filter(|(_, name)| !NO_OPERATORS.iter().any(|start| name.starts_with(start)));
    let operator = |(code, name)| Operator {
        name,
        is_run: SUPPORTED.iter().any(|builtin| builtin.code == code as i32),
        effort: effort(name, any, any, &[], &options),
    };
    quantised.map(operator).collect()
}

/// How the names begin of operators that are no part of an int8 network.
const NO_OPERATORS: [&str; 14] = [
    "STABLEHLO",
    "PLACEHOLDER",
    "CUSTOM",
    "DELEGATE",
    "HASHTABLE",
    "LSH_",
    "EMBEDDING",
    "CONCAT_EMBEDDINGS",
    "SKIP_GRAM",
    "IF",
    "WHILE",
    "CALL",
    "VAR_HANDLE",
    "FAKE_QUANT",
];

/// How much an operator does, by its name.
fn effort(
    name: &str,
    from: Shape,
    to: Shape,
    constants: &[&FileTensor],
    options: &Options,
) -> Effort {
    let heaviest = constants.iter().max_by_key(|constant| constant.data.len());
    let dims = |constant: &FileTensor| -> Vec<usize> {
        let lengths = constant
            .dims
            .iter()
            .map(|&dim| usize::try_from(dim).unwrap_or(1));
        lengths.collect()
    };
    let taps = |places: &[usize]| -> usize {
        let Some(dims) = heaviest.map(|constant| dims(constant)) else {
            return 1;
        };
        places.iter().filter_map(|&place| dims.get(place)).product()
    };
    // Every row of inputs meets all weights.
    let rows = || {
        let row = heaviest.and_then(|constant| dims(constant).last().copied());
        let held: usize = constants.iter().map(|constant| constant.data.len()).sum();
        held.saturating_mul((from.len() / row.unwrap_or(1).max(1)).max(1))
    };
    let window = |dilation: Option<[usize; 2]>| {
        let kernel = [taps(&[1]), taps(&[2])];
        let given = options.window(kernel.map(|length| length as i32)).ok()?;
        let dilation = dilation?;
        Some(Window { dilation, ..given })
    };
    // Weights must be as many as their shape says, and give the output's channels.
    let gives = |place: usize| {
        let weights = heaviest.map(|constant| (dims(constant), constant.data.len()));
        weights.is_some_and(|(dims, length)| {
            let count = dims
                .iter()
                .try_fold(1usize, |count, dim| count.checked_mul(*dim));
            dims.len() == 4 && count == Some(length) && dims[place] == to.channels
        })
    };
    match name {
        "RESHAPE" | "SQUEEZE" | "EXPAND_DIMS" | "SHAPE" | "RANK" => Effort::None,
        "ADD" | "SUB" | "ADD_N" => Effort::Sums,
        "MUL" | "PRELU" => Effort::Products,
        "MAXIMUM" | "MINIMUM" | "ABS" | "NEG" => Effort::Comparisons,
        "RELU" | "RELU6" | "LOGISTIC" | "TANH" | "HARD_SWISH" | "LEAKY_RELU" | "ELU" | "EXP"
        | "GELU" | "LOG" | "RSQRT" | "SQRT" | "SQUARE" | "SIN" | "COS" | "QUANTIZE" => {
            Effort::Table
        }
        "RELU_0_TO_1"
        | "RELU_N1_TO_1"
        | "CONCATENATION"
        | "SPLIT"
        | "SPLIT_V"
        | "STRIDED_SLICE"
        | "SLICE"
        | "PACK"
        | "UNPACK"
        | "GATHER"
        | "PAD"
        | "PADV2"
        | "MIRROR_PAD"
        | "TILE"
        | "BROADCAST_TO"
        | "FILL"
        | "RESIZE_NEAREST_NEIGHBOR"
        | "CAST" => Effort::Copies,
        "TRANSPOSE" | "SPACE_TO_DEPTH" | "DEPTH_TO_SPACE" | "SPACE_TO_BATCH_ND"
        | "BATCH_TO_SPACE_ND" | "REVERSE_V2" => Effort::Shuffles,
        "CONV_2D" => {
            let (depth, whole) = (taps(&[3]).max(1), taps(&[1, 2, 3]));
            let groups = from.channels / depth;
            let is_even = groups > 0
                && from.channels.is_multiple_of(depth)
                && to.channels.is_multiple_of(groups);
            match window(options.dilation([4, 5]).ok()).filter(|_| is_even && gives(0)) {
                Some(window) => Effort::Grouped(window, groups),
                None => Effort::Macs(to.len().saturating_mul(whole)),
            }
        }
        "DEPTHWISE_CONV_2D" => match window(options.dilation([5, 6]).ok())
            .filter(|_| gives(3) && to.channels.is_multiple_of(from.channels))
        {
            Some(window) => Effort::Grouped(window, from.channels),
            None => Effort::Macs(to.len().saturating_mul(taps(&[1, 2]))),
        },
        "TRANSPOSE_CONV" => match window(Some([1, 1])).filter(|_| gives(0)) {
            Some(window) => Effort::Transposed(window),
            None => Effort::Macs(from.len().saturating_mul(taps(&[0, 1, 2]))),
        },
        "MEAN" if from.channels == to.channels => {
            let lengths = [from.height / to.height, from.width / to.width];
            let kernel = lengths.map(|length| length.max(1));
            Effort::Means(Window {
                kernel,
                stride: kernel,
                padding: Padding::Valid,
                dilation: [1, 1],
            })
        }
        "BATCH_MATMUL" => Effort::Macs(to.len().saturating_mul(from.channels)),
        "FULLY_CONNECTED"
        | "SVDF"
        | "RNN"
        | "LSTM"
        | "UNIDIRECTIONAL_SEQUENCE_LSTM"
        | "UNIDIRECTIONAL_SEQUENCE_RNN"
        | "BIDIRECTIONAL_SEQUENCE_LSTM" => Effort::Macs(rows()),
        _ => Effort::Unknown,
    }
}
