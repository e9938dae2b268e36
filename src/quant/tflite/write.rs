//! Writes a quantised model.

use flatbuffers::{
    FlatBufferBuilder, ForwardsUOffset, Push, TableFinishedWIPOffset, UnionWIPOffset, Vector,
    WIPOffset,
};

use super::{
    ADD, AVERAGE_POOL_2D, Builtin, CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, HARD_SWISH,
    IDENTIFIER, INT8, INT32, LEAKY_RELU, LOGISTIC, MAX_POOL_2D, MEAN, MUL, PAD, QUANTIZE, RELU,
    RELU6, RESHAPE, RESIZE_NEAREST_NEIGHBOR, SCHEMA_VERSION, SOFTMAX, TANH,
};
use crate::{
    graph::{Activation, Function, Op, OpKind, Padding, Shape, TensorId, Window},
    quant::{QuantParams, QuantizedModel, QuantizedOp},
};

/// The file's bytes.
pub fn write(model: &QuantizedModel) -> Vec<u8> {
    let mut writer = Writer::new();
    let ranks = ranks(model);
    let names = names(model);
    let tensors: Vec<i32> = (0..model.graph.tensors.len())
        .map(|tensor| {
            let dims = dims(model.graph.tensors[tensor], ranks[tensor]);
            let params = model.tensors[tensor];
            writer.activation(&names[tensor], &dims, params)
        })
        .collect();
    for (idx, op) in model.graph.ops.iter().enumerate() {
        let inputs: Vec<i32> = op
            .inputs
            .iter()
            .map(|input| {
                if ranks[*input] == input_rank(op, ranks[*input], ranks[op.output]) {
                    return tensors[*input];
                }
                let name = format!("{}/image", names[*input]);
                let dims = dims(model.graph.tensors[*input], Rank::Image);
                let image = writer.activation(&name, &dims, model.tensors[*input]);
                writer.reshape(tensors[*input], image, &name, &dims);
                image
            })
            .collect();
        let name = op_name(op, idx);
        let weights = model.ops[idx].as_ref();
        let output_dims = dims(model.graph.tensors[op.output], ranks[op.output]);
        writer.operator(
            model,
            op,
            weights,
            &name,
            &inputs,
            tensors[op.output],
            &output_dims,
        );
    }
    let inputs = model.graph.inputs().into_iter().map(|input| tensors[input]);
    writer.finish(&inputs.collect::<Vec<_>>(), tensors[model.graph.output])
}

/// Whether a tensor is `[1, n]` or `[1, height, width, channels]` in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    Vector,
    Image,
}

/// The rank of each tensor: operators on images need four dimensions, FULLY_CONNECTED gives two, copies and sums keep
/// theirs.
fn ranks(model: &QuantizedModel) -> Vec<Rank> {
    let graph = &model.graph;
    let by_shape = |tensor: TensorId| {
        let shape = graph.tensors[tensor];
        if shape == Shape::vector(shape.channels) {
            Rank::Vector
        } else {
            Rank::Image
        }
    };
    let mut ranks = vec![Rank::Image; graph.tensors.len()];
    for input in graph.inputs() {
        ranks[input] = by_shape(input);
    }
    for op in &graph.ops {
        ranks[op.output] = match op.kind {
            OpKind::FullyConnected => by_shape(op.output),
            OpKind::Reshape => by_shape(op.output),
            OpKind::Lookup(_) | OpKind::Softmax => ranks[op.inputs[0]],
            OpKind::Add | OpKind::Multiply
                if op.inputs.iter().all(|input| ranks[*input] == Rank::Vector) =>
            {
                Rank::Vector
            }
            _ => Rank::Image,
        };
    }
    ranks
}

/// The rank of an operator's input.
fn input_rank(op: &Op, given: Rank, output: Rank) -> Rank {
    match op.kind {
        OpKind::FullyConnected => match output {
            Rank::Vector => given,
            Rank::Image => Rank::Image,
        },
        OpKind::Reshape | OpKind::Lookup(_) | OpKind::Softmax => given,
        OpKind::Add | OpKind::Multiply => output,
        OpKind::Conv2d(_)
        | OpKind::DepthwiseConv2d(_)
        | OpKind::AveragePool2d(_)
        | OpKind::MaxPool2d(_)
        | OpKind::Mean
        | OpKind::Pad { .. }
        | OpKind::Upsample(_)
        | OpKind::Foreign(_) => Rank::Image,
    }
}

fn dims(shape: Shape, rank: Rank) -> Vec<i32> {
    match rank {
        Rank::Vector => vec![1, shape.len() as i32],
        Rank::Image => vec![
            1,
            shape.height as i32,
            shape.width as i32,
            shape.channels as i32,
        ],
    }
}

fn names(model: &QuantizedModel) -> Vec<String> {
    let graph = &model.graph;
    let mut names = vec![String::new(); graph.tensors.len()];
    for (idx, op) in graph.ops.iter().enumerate() {
        names[op.output] = op_name(op, idx);
    }
    for (idx, input) in graph.inputs().into_iter().enumerate() {
        names[input] = match idx {
            0 => "input".to_string(),
            _ => format!("input_{idx}"),
        };
    }
    names
}

fn op_name(op: &Op, idx: usize) -> String {
    let kind = match op.kind {
        OpKind::Conv2d(_) => "conv2d",
        OpKind::DepthwiseConv2d(_) => "depthwise_conv2d",
        OpKind::FullyConnected => "fully_connected",
        OpKind::AveragePool2d(_) => "average_pool2d",
        OpKind::MaxPool2d(_) => "max_pool2d",
        OpKind::Mean => "mean",
        OpKind::Pad { .. } => "pad",
        OpKind::Lookup(Function::Identity) => "quantize",
        OpKind::Lookup(Function::Relu) => "relu",
        OpKind::Lookup(Function::Relu6) => "relu6",
        OpKind::Lookup(Function::Logistic) => "logistic",
        OpKind::Lookup(Function::Tanh) => "tanh",
        OpKind::Lookup(Function::HardSwish) => "hard_swish",
        OpKind::Lookup(Function::LeakyRelu(_)) => "leaky_relu",
        OpKind::Softmax => "softmax",
        OpKind::Add => "add",
        OpKind::Multiply => "mul",
        OpKind::Upsample(_) => "upsample",
        OpKind::Reshape => "reshape",
        OpKind::Foreign(foreign) => unreachable!("nothing writes {}", foreign.name),
    };
    format!("{kind}_{idx}")
}

type Builder = FlatBufferBuilder<'static>;
type Table = WIPOffset<TableFinishedWIPOffset>;

struct Writer {
    builder: Builder,
    buffers: Vec<Table>,
    tensors: Vec<Table>,
    operators: Vec<Table>,
    codes: Vec<Builtin>,
}

impl Writer {
    fn new() -> Writer {
        let mut writer = Writer {
            builder: FlatBufferBuilder::new(),
            buffers: Vec::new(),
            tensors: Vec::new(),
            operators: Vec::new(),
            codes: Vec::new(),
        };
        // Buffer 0 is empty by definition; it belongs to tensors without constants.
        let empty = table(&mut writer.builder, |_| {});
        writer.buffers.push(empty);
        writer
    }

    /// Adds an activation tensor; returns its index.
    fn activation(&mut self, name: &str, dims: &[i32], params: QuantParams) -> i32 {
        self.tensor(name, dims, INT8, 0, &[params.scale], params.zero_point, 0)
    }

    /// Adds a constant tensor; returns its index.
    fn constant(
        &mut self,
        name: &str,
        dims: &[i32],
        kind: i8,
        data: &[u8],
        scales: &[f32],
        axis: i32,
    ) -> i32 {
        let data = aligned(&mut self.builder, data);
        let buffer = table(&mut self.builder, |builder| field(builder, 0, data));
        self.buffers.push(buffer);
        let buffer = (self.buffers.len() - 1) as u32;
        self.tensor(name, dims, kind, buffer, scales, 0, axis)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the fields of the schema's Tensor"
    )]
    fn tensor(
        &mut self,
        name: &str,
        dims: &[i32],
        kind: i8,
        buffer: u32,
        scales: &[f32],
        zero_point: i32,
        axis: i32,
    ) -> i32 {
        let builder = &mut self.builder;
        let name = builder.create_string(name);
        let dims = builder.create_vector(dims);
        let quantization = (!scales.is_empty()).then(|| {
            let zero_points = vec![i64::from(zero_point); scales.len()];
            let scales = builder.create_vector(scales);
            let zero_points = builder.create_vector(&zero_points);
            table(builder, |builder| {
                field(builder, 2, scales);
                field(builder, 3, zero_points);
                field(builder, 6, axis);
            })
        });
        let tensor = table(builder, |builder| {
            field(builder, 0, dims);
            field(builder, 1, kind);
            field(builder, 2, buffer);
            field(builder, 3, name);
            if let Some(quantization) = quantization {
                field(builder, 4, quantization);
            }
        });
        self.tensors.push(tensor);
        (self.tensors.len() - 1) as i32
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what an operator consists of in the file"
    )]
    fn operator(
        &mut self,
        model: &QuantizedModel,
        op: &Op,
        weights: Option<&QuantizedOp>,
        name: &str,
        inputs: &[i32],
        output: i32,
        output_dims: &[i32],
    ) {
        let activation = activation_code(op.activation);
        let (from, to) = (model.graph.op_input(op), model.graph.op_output(op));
        let mut inputs = inputs.to_vec();
        let layout = match op.kind {
            OpKind::Conv2d(window) => Some((
                vec![
                    to.channels,
                    window.kernel[0],
                    window.kernel[1],
                    from.channels,
                ],
                0,
            )),
            OpKind::DepthwiseConv2d(window) => {
                Some((vec![1, window.kernel[0], window.kernel[1], to.channels], 3))
            }
            OpKind::FullyConnected => Some((vec![to.channels, from.len() / to.area()], 0)),
            _ => None,
        };
        if let (Some((dims, axis)), Some(weights)) = (layout, weights) {
            let input_scale = model.tensors[op.inputs[0]].scale;
            inputs.extend(self.weights(name, &dims, axis, weights, input_scale));
        }
        match op.kind {
            OpKind::Conv2d(window) => self.push(CONV_2D, &inputs, output, |builder| {
                window_fields(builder, &window);
                field(builder, 3, activation);
                field(builder, 4, window.dilation[1] as i32);
                field(builder, 5, window.dilation[0] as i32);
            }),
            OpKind::DepthwiseConv2d(window) => {
                self.push(DEPTHWISE_CONV_2D, &inputs, output, |builder| {
                    window_fields(builder, &window);
                    field(builder, 3, 1i32);
                    field(builder, 4, activation);
                    field(builder, 5, window.dilation[1] as i32);
                    field(builder, 6, window.dilation[0] as i32);
                });
            }
            OpKind::FullyConnected => self.push(FULLY_CONNECTED, &inputs, output, |builder| {
                field(builder, 0, activation);
                if to.area() > 1 {
                    field(builder, 2, true);
                }
            }),
            OpKind::AveragePool2d(window) | OpKind::MaxPool2d(window) => {
                let pool = match op.kind {
                    OpKind::MaxPool2d(_) => MAX_POOL_2D,
                    _ => AVERAGE_POOL_2D,
                };
                self.push(pool, &inputs, output, |builder| {
                    window_fields(builder, &window);
                    field(builder, 3, window.kernel[1] as i32);
                    field(builder, 4, window.kernel[0] as i32);
                    field(builder, 5, activation);
                });
            }
            OpKind::Add => self.push(ADD, &inputs, output, |builder| {
                field(builder, 0, activation);
            }),
            OpKind::Multiply => self.push(MUL, &inputs, output, |builder| {
                field(builder, 0, activation);
            }),
            OpKind::Upsample(_) => {
                let size = [to.height as i32, to.width as i32];
                let size = self.integers(&format!("{name}/size"), &[2], &size);
                inputs.push(size);
                self.push(RESIZE_NEAREST_NEIGHBOR, &inputs, output, |builder| {
                    field(builder, 0, false);
                    field(builder, 1, false);
                });
            }
            OpKind::Mean => {
                inputs.push(self.integers(&format!("{name}/axes"), &[2], &[1, 2]));
                self.push(MEAN, &inputs, output, |builder| field(builder, 0, true));
            }
            OpKind::Pad { before, after } => {
                let pairs = before.iter().zip(&after);
                let pairs = pairs.flat_map(|(before, after)| [*before as i32, *after as i32]);
                let paddings: Vec<i32> = [0, 0].into_iter().chain(pairs).collect();
                inputs.push(self.integers(&format!("{name}/paddings"), &[4, 2], &paddings));
                self.push(PAD, &inputs, output, |_| {});
            }
            OpKind::Lookup(function) => {
                let builtin = match function {
                    Function::Identity => QUANTIZE,
                    Function::Relu => RELU,
                    Function::Relu6 => RELU6,
                    Function::Logistic => LOGISTIC,
                    Function::Tanh => TANH,
                    Function::HardSwish => HARD_SWISH,
                    Function::LeakyRelu(_) => LEAKY_RELU,
                };
                self.push(builtin, &inputs, output, |builder| {
                    if let Function::LeakyRelu(slope) = function {
                        field(builder, 0, slope.value());
                    }
                });
            }
            OpKind::Softmax => {
                self.push(SOFTMAX, &inputs, output, |builder| field(builder, 0, 1f32));
            }
            OpKind::Reshape => self.reshape(inputs[0], output, name, output_dims),
            OpKind::Foreign(foreign) => unreachable!("nothing writes {}", foreign.name),
        }
    }

    /// Adds the weight and bias tensors of an operator.
    fn weights(
        &mut self,
        name: &str,
        dims: &[usize],
        axis: i32,
        weights: &QuantizedOp,
        input_scale: f32,
    ) -> [i32; 2] {
        let dims: Vec<i32> = dims.iter().map(|length| *length as i32).collect();
        let data: Vec<u8> = weights.weight.iter().map(|weight| *weight as u8).collect();
        let scales = &weights.weight_scales;
        let weight = self.constant(&format!("{name}/weights"), &dims, INT8, &data, scales, axis);
        let data: Vec<u8> = weights
            .bias
            .iter()
            .flat_map(|bias| bias.to_le_bytes())
            .collect();
        let dims = [weights.bias.len() as i32];
        let scales: Vec<f32> = scales.iter().map(|scale| input_scale * scale).collect();
        let bias = self.constant(&format!("{name}/bias"), &dims, INT32, &data, &scales, 0);
        [weight, bias]
    }

    fn reshape(&mut self, input: i32, output: i32, name: &str, dims: &[i32]) {
        let shape = self.integers(&format!("{name}/shape"), &[dims.len() as i32], dims);
        let dims = self.builder.create_vector(dims);
        self.push(RESHAPE, &[input, shape], output, |builder| {
            field(builder, 0, dims)
        });
    }

    fn integers(&mut self, name: &str, dims: &[i32], values: &[i32]) -> i32 {
        let data: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        self.constant(name, dims, INT32, &data, &[], 0)
    }

    fn push(
        &mut self,
        builtin: Builtin,
        inputs: &[i32],
        output: i32,
        options: impl FnOnce(&mut Builder),
    ) {
        let known = self.codes.iter().position(|code| *code == builtin);
        let code = known.unwrap_or_else(|| {
            self.codes.push(builtin);
            self.codes.len() - 1
        });
        let builder = &mut self.builder;
        let inputs = builder.create_vector(inputs);
        let outputs = builder.create_vector(&[output]);
        let options = (builtin.options != 0).then(|| table(builder, options));
        let operator = table(builder, |builder| {
            field(builder, 0, code as u32);
            field(builder, 1, inputs);
            field(builder, 2, outputs);
            if let Some(options) = options {
                field(builder, 3, builtin.options);
                let options = WIPOffset::<UnionWIPOffset>::new(options.value());
                field(builder, 4, options);
            }
        });
        self.operators.push(operator);
    }

    fn finish(mut self, inputs: &[i32], output: i32) -> Vec<u8> {
        // Readers find the oldest runtime with all operators in a buffer of 16 bytes.
        let mut runtime = [0; 16];
        runtime[..6].copy_from_slice(b"2.10.0");
        let builder = &mut self.builder;
        let data = aligned(builder, &runtime);
        let buffer = table(builder, |builder| field(builder, 0, data));
        self.buffers.push(buffer);
        let name = builder.create_string("min_runtime_version");
        let metadata_buffer = (self.buffers.len() - 1) as u32;
        let metadata = table(builder, |builder| {
            field(builder, 0, name);
            field(builder, 1, metadata_buffer);
        });

        let codes: Vec<Table> = self
            .codes
            .iter()
            .map(|builtin| {
                table(builder, |builder| {
                    field(builder, 0, builtin.code.min(127) as i8);
                    field(builder, 2, builtin.version);
                    field(builder, 3, builtin.code);
                })
            })
            .collect();
        let tensors = tables(builder, &self.tensors);
        let operators = tables(builder, &self.operators);
        let inputs = builder.create_vector(inputs);
        let outputs = builder.create_vector(&[output]);
        let name = builder.create_string("main");
        let subgraph = table(builder, |builder| {
            field(builder, 0, tensors);
            field(builder, 1, inputs);
            field(builder, 2, outputs);
            field(builder, 3, operators);
            field(builder, 4, name);
        });

        let codes = tables(builder, &codes);
        let subgraphs = tables(builder, &[subgraph]);
        let description = builder.create_string("int8 network written by nas");
        let buffers = tables(builder, &self.buffers);
        let metadata = tables(builder, &[metadata]);
        let model = table(builder, |builder| {
            field(builder, 0, SCHEMA_VERSION);
            field(builder, 1, codes);
            field(builder, 2, subgraphs);
            field(builder, 3, description);
            field(builder, 4, buffers);
            field(builder, 6, metadata);
        });
        // Constants are aligned to 16 bytes from the end of the file, because it is built backwards. With a length
        // that is a multiple of 16 they are aligned from the start too. Root offset and identifier are the 8 bytes
        // that still follow.
        builder.push(0u64);
        while !(builder.unfinished_data().len() + 8).is_multiple_of(16) {
            builder.push(0u8);
        }
        builder.finish(model, Some(IDENTIFIER));
        builder.finished_data().to_vec()
    }
}

fn activation_code(activation: Activation) -> i8 {
    match activation {
        Activation::None => 0,
        Activation::Relu => 1,
        Activation::Relu6 => 3,
        Activation::ReluN1To1 => 2,
    }
}

/// Writes the first three options of every sliding operator.
fn window_fields(builder: &mut Builder, window: &Window) {
    let padding = match window.padding {
        Padding::Same => 0i8,
        Padding::Valid => 1,
    };
    field(builder, 0, padding);
    field(builder, 1, window.stride[1] as i32);
    field(builder, 2, window.stride[0] as i32);
}

fn table(builder: &mut Builder, fields: impl FnOnce(&mut Builder)) -> Table {
    let start = builder.start_table();
    fields(builder);
    builder.end_table(start)
}

/// Writes field number `idx` of the current table, even where it has its default.
fn field<T: Push>(builder: &mut Builder, idx: u16, value: T) {
    builder.push_slot_always(4 + 2 * idx, value);
}

fn tables(
    builder: &mut Builder,
    tables: &[Table],
) -> WIPOffset<Vector<'static, ForwardsUOffset<TableFinishedWIPOffset>>> {
    builder.create_vector(tables)
}

/// A vector of bytes that starts at a multiple of 16 from the end of the file.
fn aligned(builder: &mut Builder, data: &[u8]) -> WIPOffset<Vector<'static, u8>> {
    while !(builder.unfinished_data().len() + data.len()).is_multiple_of(16) {
        builder.push(0u8);
    }
    builder.create_vector(data)
}
