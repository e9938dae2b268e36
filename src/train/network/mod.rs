//! A graph as a burn module. Every tensor is `[batch, values]`; the values of one sample are NHWC.

#[cfg(test)]
mod probe;

use std::sync::{Arc, Mutex};

use burn::{
    module::{Module, Param},
    tensor::{Device, Tensor, TensorData, activation},
};

use super::{
    fold::{fold_batch_norm, from_tflite, to_tflite, weight_shape},
    fused::{self, EPSILON, Epilogue, Kernel, Loss, Moments, Node, Products, Workspace, lock},
    kernels::Geometry,
    stock,
};
use crate::{
    graph::{Activation, Graph, Op, OpKind, OpWeights, Weights},
    units::Rng,
};

/// Trainable values of one operator. Convolutions are `[taps * in, out]`, depthwise `[taps, channels]`,
/// fully connected `[in, out]`.
#[derive(Module, Debug)]
pub struct Layer {
    weight: Param<Tensor<2>>,
    /// The factor of batch norm; `None` where there is no batch norm.
    scale: Option<Param<Tensor<1>>>,
    /// The offset of batch norm, or the bias without one. A bias before a batch norm would have no effect.
    shift: Param<Tensor<1>>,
}

/// A network: one entry per operator, `None` for operators without weights.
#[derive(Module, Debug)]
pub struct Network {
    layers: Vec<Option<Layer>>,
    #[module(skip)]
    plan: Arc<Plan>,
}

/// The parts of a network that do not change in training.
#[derive(Debug)]
struct Plan {
    graph: Graph,
    /// How often each tensor is read; the output counts once more.
    readers: Vec<usize>,
    /// Moments of each operator's raw output in the last batch.
    moments: Vec<Moments>,
    workspace: Arc<Mutex<Workspace>>,
    fused: bool,
}

/// What a training pass does beside computing.
pub struct Pass<'a> {
    /// Draws the dropout masks; no dropout without it.
    pub dropout: Option<&'a mut Rng>,
    /// Whether to keep the batch's moments for [`Network::moments`]. The fused operators always do.
    pub record_moments: bool,
}

/// A tensor whose epilogue its reader may still have to apply.
#[derive(Clone)]
struct Value {
    tensor: Tensor<2>,
    /// The operator whose epilogue is missing.
    pending: Option<usize>,
}

impl Network {
    /// Initial weights: He normal before a rectifier (He et al. 2015), else Glorot uniform (Glorot and Bengio 2010).
    ///
    /// `products` are the fused operators' products; with `None` burn's own operators compute.
    pub fn new(
        graph: &Graph,
        products: Option<Products>,
        rng: &mut Rng,
        device: &Device,
    ) -> Network {
        let layer = |op: &Op| {
            let [rows, columns] = weight_shape(graph, op)?;
            let len = rows * columns;
            let fan_out = match op.kind {
                OpKind::DepthwiseConv2d(_) => rows,
                OpKind::Conv2d(window) => columns * window.taps(),
                _ => columns,
            };
            let values: Vec<f32> = if op.activation == Activation::None {
                let limit = (6.0 / (rows + fan_out) as f64).sqrt();
                (0..len).map(|_| rng.range(-limit, limit) as f32).collect()
            } else {
                let deviation = (2.0 / rows as f64).sqrt();
                (0..len)
                    .map(|_| (deviation * rng.normal()) as f32)
                    .collect()
            };
            let channels = graph.op_output(op).channels;
            let weight = tensor(values, [rows, columns], device);
            let scale = op
                .batch_norm
                .then(|| tensor(vec![1.0; channels], [channels], device));
            let shift = tensor(vec![0.0; channels], [channels], device);
            Some(Layer {
                weight: Param::from_tensor(weight),
                scale: scale.map(Param::from_tensor),
                shift: Param::from_tensor(shift),
            })
        };
        Network {
            layers: graph.ops.iter().map(layer).collect(),
            plan: Arc::new(Plan::new(graph, products)),
        }
    }

    /// A network with folded batch norm.
    pub fn from_weights(graph: &Graph, weights: &Weights, fused: bool, device: &Device) -> Network {
        let layer = |(op, weights): (&Op, &Option<OpWeights>)| {
            let (shape, weights) = (weight_shape(graph, op)?, weights.as_ref()?);
            let weight = from_tflite(op, shape, &weights.weight);
            let shift = tensor(weights.bias.clone(), [weights.bias.len()], device);
            Some(Layer {
                weight: Param::from_tensor(tensor(weight, shape, device)),
                scale: None,
                shift: Param::from_tensor(shift),
            })
        };
        Network {
            layers: graph.ops.iter().zip(&weights.0).map(layer).collect(),
            plan: Arc::new(Plan::new(graph, fused.then(Products::default))),
        }
    }

    /// The output for a batch, every epilogue applied.
    pub fn forward(&self, x: Tensor<2>, pass: &mut Pass) -> Tensor<2> {
        let output = self.run(x, pass);
        self.finished(output).tensor
    }

    /// The loss for a batch, `[1, 1]`.
    pub fn loss(&self, x: Tensor<2>, target: Tensor<2>, loss: Loss, pass: &mut Pass) -> Tensor<2> {
        let output = self.run(x, pass);
        if !self.plan.fused {
            return stock::loss(output.tensor, target, loss);
        }
        let kernel = Kernel::Loss(loss);
        self.node(output, kernel, 1, None, Some(target))
    }

    /// Mean and biased variance of every operator's raw output in the last batch.
    pub fn moments(&self) -> Vec<[Vec<f32>; 2]> {
        self.plan
            .moments
            .iter()
            .map(|moments| lock(moments).clone())
            .collect()
    }

    /// The weights with batch norm folded, for these moments of every operator.
    pub fn folded(&self, moments: &[[Vec<f32>; 2]]) -> Weights {
        let graph = &self.plan.graph;
        let fold = |((op, layer), moments): ((&Op, &Option<Layer>), &[Vec<f32>; 2])| {
            let (shape, layer) = (weight_shape(graph, op)?, layer.as_ref()?);
            let mut weight = host(layer.weight.val());
            let mut bias = host(layer.shift.val());
            if let Some(scale) = &layer.scale {
                let shift = std::mem::replace(&mut bias, vec![0.0; shape[1]]);
                fold_batch_norm(&mut weight, &mut bias, &host(scale.val()), &shift, moments);
            }
            let weight = to_tflite(op, shape, &weight);
            Some(OpWeights { weight, bias })
        };
        Weights(
            graph
                .ops
                .iter()
                .zip(&self.layers)
                .zip(moments)
                .map(fold)
                .collect(),
        )
    }

    fn run(&self, x: Tensor<2>, pass: &mut Pass) -> Value {
        let graph = &self.plan.graph;
        let mut values: Vec<Option<Value>> = vec![None; graph.tensors.len()];
        let mut unread = self.plan.readers.clone();
        values[graph.input] = Some(Value {
            tensor: x,
            pending: None,
        });
        for (idx, op) in graph.ops.iter().enumerate() {
            let inputs = op.inputs.iter().map(|&tensor| {
                unread[tensor] -= 1;
                let value = if unread[tensor] == 0 {
                    values[tensor].take()
                } else {
                    values[tensor].clone()
                };
                value.expect("operators stand in execution order")
            });
            let inputs: Vec<Value> = inputs.collect();
            let value = self.apply(idx, op, inputs, pass);
            let must_finish = op.dropout > 0.0 || self.plan.readers[op.output] > 1;
            let value = if must_finish {
                self.finished(value)
            } else {
                value
            };
            values[op.output] = Some(dropped(value, op.dropout, pass));
        }
        values[graph.output]
            .take()
            .expect("the last operator makes the output")
    }

    fn apply(&self, idx: usize, op: &Op, mut inputs: Vec<Value>, pass: &mut Pass) -> Value {
        let graph = &self.plan.graph;
        let (input, output) = (graph.op_input(op), graph.op_output(op));
        let size = [output.height, output.width];
        let x = inputs.swap_remove(0);
        let plain = |tensor| Value {
            tensor,
            pending: None,
        };
        let kernel = match op.kind {
            OpKind::Reshape => return x,
            OpKind::Add => {
                let other = self.finished(inputs.swap_remove(0)).tensor;
                let sum = self.finished(x).tensor + other;
                return plain(activated(sum, op.activation));
            }
            OpKind::AveragePool2d(window) => {
                let pooled = stock::average_pool(self.finished(x).tensor, window, input, size);
                return plain(activated(pooled, op.activation));
            }
            OpKind::Conv2d(window) => Kernel::Convolution(Geometry::new(window, input, size)),
            OpKind::DepthwiseConv2d(window) => {
                Kernel::Depthwise(Geometry::new(window, input, size))
            }
            OpKind::FullyConnected => Kernel::Dense,
            OpKind::MaxPool2d(_)
            | OpKind::Mean
            | OpKind::Pad { .. }
            | OpKind::Lookup(_)
            | OpKind::Softmax
            | OpKind::Multiply
            | OpKind::Foreign(_) => {
                unreachable!("`train` takes no graph with operators that are only read from files")
            }
            OpKind::Upsample(factor) => {
                let input = [input.height, input.width, input.channels];
                Kernel::Upsample { input, factor }
            }
        };
        let layer = self.layers[idx].as_ref();
        let weight = layer.map(|layer| layer.weight.val());
        if !self.plan.fused {
            let y = stock::operator(x.tensor, &kernel, weight, output);
            return plain(self.stock_epilogue(idx, y, pass));
        }
        let record = layer.is_some_and(|layer| layer.scale.is_some());
        let record = record.then(|| (output.channels, self.plan.moments[idx].clone()));
        let tensor = self.node(x, kernel, output.len(), record, weight);
        match layer {
            Some(_) => Value {
                tensor,
                pending: Some(idx),
            },
            None => plain(activated(tensor, op.activation)),
        }
    }

    /// Adds one fused node, with the pending epilogue of its input.
    fn node(
        &self,
        x: Value,
        kernel: Kernel,
        output_len: usize,
        record: Option<(usize, Moments)>,
        weight: Option<Tensor<2>>,
    ) -> Tensor<2> {
        let device = x.tensor.device();
        let layer = x.pending.and_then(|idx| self.layers[idx].as_ref());
        let epilogue = x.pending.map(|idx| {
            let op = &self.plan.graph.ops[idx];
            let normalised = layer.is_some_and(|layer| layer.scale.is_some());
            Epilogue {
                channels: self.plan.graph.op_output(op).channels,
                moments: normalised.then(|| self.plan.moments[idx].clone()),
                bounds: bounds(op.activation),
            }
        });
        let none = || Tensor::zeros([1], &device);
        let scale = layer
            .and_then(|layer| layer.scale.as_ref())
            .map_or_else(none, Param::val);
        let shift = layer.map_or_else(none, |layer| layer.shift.val());
        let weight = weight.unwrap_or_else(|| Tensor::zeros([1, 1], &device));
        let workspace = self.plan.workspace.clone();
        let node = Node {
            kernel,
            epilogue,
            output_len,
            record,
            workspace,
        };
        fused::fused(x.tensor, scale, shift, weight, node)
    }

    /// The value with its pending epilogue applied.
    fn finished(&self, value: Value) -> Value {
        if value.pending.is_none() {
            return value;
        }
        let len = value.tensor.dims()[1];
        let tensor = self.node(value, Kernel::Identity, len, None, None);
        Value {
            tensor,
            pending: None,
        }
    }

    fn stock_epilogue(&self, idx: usize, z: Tensor<2>, pass: &Pass) -> Tensor<2> {
        let op = &self.plan.graph.ops[idx];
        let [batch, len] = z.dims();
        let channels = self.plan.graph.op_output(op).channels;
        let mut rows = z.reshape([batch * len / channels, channels]);
        if let Some(layer) = &self.layers[idx] {
            if let Some(scale) = &layer.scale {
                let mean = rows.clone().mean_dim(0);
                let centred = rows - mean.clone();
                let variance = (centred.clone() * centred.clone()).mean_dim(0);
                if pass.record_moments {
                    let [mean, variance] =
                        [mean, variance.clone()].map(|t| host(t.reshape([channels])));
                    *lock(&self.plan.moments[idx]) = [mean, variance];
                }
                rows = centred / (variance + EPSILON).sqrt() * scale.val().unsqueeze();
            }
            rows = rows + layer.shift.val().unsqueeze();
        }
        activated(rows.reshape([batch, len]), op.activation)
    }
}

impl Plan {
    fn new(graph: &Graph, products: Option<Products>) -> Plan {
        let mut readers = vec![0; graph.tensors.len()];
        readers[graph.output] += 1;
        for tensor in graph.ops.iter().flat_map(|op| &op.inputs) {
            readers[*tensor] += 1;
        }
        Plan {
            graph: graph.clone(),
            readers,
            moments: graph.ops.iter().map(|_| Moments::default()).collect(),
            fused: products.is_some(),
            workspace: Arc::new(Mutex::new(Workspace::new(products.unwrap_or_default()))),
        }
    }
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .into_data()
        .try_into_vec()
        .expect("parameters are f32")
}

fn bounds(activation: Activation) -> [f32; 2] {
    match activation {
        Activation::None => [f32::NEG_INFINITY, f32::INFINITY],
        Activation::Relu => [0.0, f32::INFINITY],
        Activation::Relu6 => [0.0, 6.0],
        Activation::ReluN1To1 => [-1.0, 1.0],
    }
}

fn activated(x: Tensor<2>, activation: Activation) -> Tensor<2> {
    match activation {
        Activation::None => x,
        Activation::Relu => activation::relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::ReluN1To1 => x.clamp(-1.0, 1.0),
    }
}

/// Drops a share of the values and scales the others, so that the mean stays.
fn dropped(value: Value, share: f32, pass: &mut Pass) -> Value {
    let Some(rng) = pass.dropout.as_mut().filter(|_| share > 0.0) else {
        return value;
    };
    let [batch, len] = value.tensor.dims();
    let kept = 1.0 / (1.0 - share);
    let draw = |_| {
        if rng.uniform() < f64::from(share) {
            0.0
        } else {
            kept
        }
    };
    let mask = tensor(
        (0..batch * len).map(draw).collect(),
        [batch, len],
        &value.tensor.device(),
    );
    Value {
        tensor: value.tensor * mask,
        pending: None,
    }
}
