//! Reads a dense network in float; some are published beside their int8 form.

use super::{
    FLOAT32, FULLY_CONNECTED, RESHAPE,
    error::{Problem, ReadError},
    file::{File, FileTensor, MAX_WEIGHTS, Options, type_name},
};
use crate::graph::{Graph, Op, OpKind, OpWeights, Shape, TensorId, Weights};

/// The network of a float `.tflite` file: dense layers one after another.
///
/// Any bytes are safe to read: constants and the length of the file bound the work.
pub fn read_float(file: &[u8]) -> Result<(Graph, Weights), ReadError> {
    let file = File::open(file)?;
    file.is_one_network()?;
    let input = file.inputs[0];
    let shape = shape_of(&file, input).map_err(|problem| file.border_error(input, problem))?;
    let mut network = Network {
        graph: Graph {
            tensors: vec![shape],
            ops: Vec::new(),
            input: 0,
            output: 0,
            more_outputs: Vec::new(),
        },
        weights: Vec::new(),
        last: (input, 0),
        held: 0,
    };
    for index in 0..file.operators.len() {
        let code = file.code(index)?;
        network
            .operator(&file, index, code.builtin)
            .map_err(|problem| {
                let operator = code.name.clone();
                ReadError::Operator {
                    index,
                    operator,
                    problem: problem.0,
                }
            })?;
    }
    let (last, id) = network.last;
    let output = file.outputs[0];
    if last != output {
        return Err(file.border_error(output, "is not what the last operator writes".into()));
    }
    network.graph.output = id;
    Ok((network.graph, Weights(network.weights)))
}

/// The network read so far.
struct Network {
    graph: Graph,
    weights: Vec<Option<OpWeights>>,
    /// The last written tensor, in the file and in the graph.
    last: (i32, TensorId),
    /// Weights so far; several operators may share one buffer of the file.
    held: usize,
}

impl Network {
    fn operator(&mut self, file: &File<'_>, index: usize, builtin: i32) -> Result<(), Problem> {
        let operator = file.operators[index];
        let (inputs, outputs) = (operator.elements(1, 4)?, operator.elements(2, 4)?);
        if !(1..=3).contains(&inputs.len) || outputs.len != 1 {
            let (inputs, outputs) = (inputs.len, outputs.len);
            return Err(format!("has {inputs} inputs and {outputs} outputs").into());
        }
        let inputs: Vec<i32> = inputs.i32s().collect();
        let output = outputs.i32s().next().unwrap_or(-1);
        let (last, input) = self.last;
        if inputs[0] != last {
            return Err("does not follow the operator before it".into());
        }
        let shape = shape_of(file, output)?;
        let from = self.graph.tensors[input];
        if builtin == RESHAPE.code && shape.len() == from.len() {
            self.last = (output, input);
            return Ok(());
        }
        if builtin != FULLY_CONNECTED.code {
            return Err("is not supported in float".into());
        }
        let Some(weight) = inputs.get(1) else {
            return Err("has no weights".into());
        };
        let weight = floats(file, *weight, shape.channels.checked_mul(from.len()))?;
        let bias = match inputs.get(2) {
            Some(bias) if *bias >= 0 => floats(file, *bias, Some(shape.channels))?,
            _ => vec![0.0; shape.channels],
        };
        self.held += weight.len();
        if self.held > MAX_WEIGHTS || shape.len() != shape.channels {
            return Err(format!("has the output {shape:?}").into());
        }
        let id = self.graph.tensors.len();
        self.graph.tensors.push(shape);
        self.graph.ops.push(Op {
            kind: OpKind::FullyConnected,
            inputs: vec![input],
            output: id,
            activation: Options(operator.table(4)?).activation(0)?,
            batch_norm: false,
            dropout: 0.0,
        });
        self.weights.push(Some(OpWeights { weight, bias }));
        self.last = (output, id);
        Ok(())
    }
}

fn tensor<'f, 'a>(file: &'f File<'a>, index: i32) -> Result<&'f FileTensor<'a>, Problem> {
    let found = usize::try_from(index)
        .ok()
        .and_then(|index| file.tensors.get(index));
    let tensor =
        found.ok_or_else(|| Problem(format!("names tensor {index}, which does not exist")))?;
    match tensor.kind {
        FLOAT32 => Ok(tensor),
        kind => Err(format!("has tensor {index} of {}, not of float", type_name(kind)).into()),
    }
}

fn shape_of(file: &File<'_>, index: i32) -> Result<Shape, Problem> {
    tensor(file, index)?.shape()
}

/// The values of a constant; `count` is the required number.
fn floats(file: &File<'_>, index: i32, count: Option<usize>) -> Result<Vec<f32>, Problem> {
    let (words, rest) = tensor(file, index)?.data.as_chunks();
    if !rest.is_empty() || Some(words.len()) != count {
        return Err(format!("has a constant of {} values in tensor {index}", words.len()).into());
    }
    Ok(words.iter().map(|word| f32::from_le_bytes(*word)).collect())
}
