//! A graph as a burn module. Every tensor is `[batch, values]`, the values of one sample NHWC.

use std::sync::{Arc, Mutex};

use burn::{
    module::{Module, Param},
    tensor::{
        Device, Tensor, TensorData, activation,
        module::{avg_pool2d, conv2d},
        ops::{AvgPoolOptions, ConvOptions},
    },
};

use super::{
    fused::{
        self, EPSILON, Epilogue, Kernel, Moments, Node, Products, Workspace, lock,
        reciprocal_deviation,
    },
    kernels::Geometry,
};
use crate::{
    graph::{Activation, Graph, Op, OpKind, OpWeights, Shape, Weights, Window},
    units::Rng,
};

/// Trainable values of one operator. Convolutions are `[taps * in, out]`, depthwise `[taps, channels]`,
/// fully connected `[in, out]`.
#[derive(Module, Debug)]
pub struct Layer {
    weight: Param<Tensor<2>>,
    /// The factor of batch norm; `None` where there is no batch norm.
    scale: Option<Param<Tensor<1>>>,
    /// The offset of batch norm, or else the bias. A bias before a batch norm would be without effect.
    shift: Param<Tensor<1>>,
}

/// A network: one entry per operator, `None` for operators without weights.
#[derive(Module, Debug)]
pub struct Network {
    layers: Vec<Option<Layer>>,
    #[module(skip)]
    plan: Arc<Plan>,
}

/// What does not change while a network is trained.
#[derive(Debug)]
struct Plan {
    graph: Graph,
    /// How often each tensor is read; the output once more.
    readers: Vec<usize>,
    /// Of each operator's raw output in the last batch.
    moments: Vec<Moments>,
    workspace: Arc<Mutex<Workspace>>,
    fused: bool,
}

/// What a network is trained towards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// Mean squared error.
    SquaredError,
    /// Cross-entropy of the softmax of the output to target probabilities.
    CrossEntropy,
}

/// What a training pass does besides computing.
pub struct Pass<'a> {
    /// Draws the dropout masks; no dropout without it.
    pub dropout: Option<&'a mut Rng>,
    /// Whether the batch's moments are kept for [`Network::moments`]. The fused operators always do.
    pub record_moments: bool,
}

/// A tensor whose epilogue may still have to be applied by its reader.
#[derive(Clone)]
struct Value {
    tensor: Tensor<2>,
    /// The operator whose epilogue is missing.
    pending: Option<usize>,
}

impl Network {
    /// Initial weights: He normal before a rectifier (He et al. 2015), else Glorot uniform (Glorot and Bengio 2010).
    ///
    /// `products` are those of the fused operators; without them burn's own operators compute.
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

    /// A network for evaluation, with batch norm folded.
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
            return stock_loss(output.tensor, target, loss);
        }
        let kernel = match loss {
            Loss::SquaredError => Kernel::SquaredError,
            Loss::CrossEntropy => Kernel::CrossEntropy,
        };
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

    /// The weights with batch norm folded, for the given moments of every operator.
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
                let pooled = average_pool(self.finished(x).tensor, window, input, size);
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
            | OpKind::Softmax => {
                unreachable!("`train` takes no graph with operators that are only read from files")
            }
            OpKind::Upsample(factor) => {
                let input = [input.height, input.width, input.channels];
                Kernel::Upsample { input, factor }
            }
        };
        let layer = self.layers[idx].as_ref();
        if !self.plan.fused {
            let y = stock(x.tensor, &kernel, layer, output);
            return plain(self.stock_epilogue(idx, y, pass));
        }
        let record = layer.is_some_and(|layer| layer.scale.is_some());
        let record = record.then(|| (output.channels, self.plan.moments[idx].clone()));
        let weight = layer.map(|layer| layer.weight.val());
        let tensor = self.node(x, kernel, output.len(), record, weight);
        match layer {
            Some(_) => Value {
                tensor,
                pending: Some(idx),
            },
            None => plain(activated(tensor, op.activation)),
        }
    }

    /// One fused node, with the pending epilogue of its input.
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

/// Folds a batch norm that follows an operator into its weights and bias.
///
/// Output channels are the fastest dimension of `weight`. With
/// `factor = scale / sqrt(variance + epsilon)` the weights become `factor * weight` and the bias
/// `factor * (bias - mean) + shift`.
pub fn fold_batch_norm(
    weight: &mut [f32],
    bias: &mut [f32],
    scale: &[f32],
    shift: &[f32],
    [mean, variance]: &[Vec<f32>; 2],
) {
    let factor = scale
        .iter()
        .zip(variance)
        .map(|(s, v)| s * reciprocal_deviation(*v));
    let factor: Vec<f32> = factor.collect();
    for row in weight.chunks_exact_mut(factor.len()) {
        for (weight, factor) in row.iter_mut().zip(&factor) {
            *weight *= factor;
        }
    }
    for (channel, bias) in bias.iter_mut().enumerate() {
        *bias = factor[channel] * (*bias - mean[channel]) + shift[channel];
    }
}

/// Rows and columns of an operator's weights; output channels are columns.
fn weight_shape(graph: &Graph, op: &Op) -> Option<[usize; 2]> {
    let len = graph.op_weight_len(op);
    let channels = graph.op_output(op).channels;
    (len > 0).then(|| [len / channels, channels])
}

/// From `[in, out]` to TFLite's `[out, in]`; depthwise weights are equal in both.
fn to_tflite(op: &Op, [rows, columns]: [usize; 2], weight: &[f32]) -> Vec<f32> {
    match op.kind {
        OpKind::DepthwiseConv2d(_) => weight.to_vec(),
        _ => transposed(weight, rows, columns),
    }
}

fn from_tflite(op: &Op, [rows, columns]: [usize; 2], weight: &[f32]) -> Vec<f32> {
    match op.kind {
        OpKind::DepthwiseConv2d(_) => weight.to_vec(),
        _ => transposed(weight, columns, rows),
    }
}

fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let at = |idx| values[idx % rows * columns + idx / rows];
    (0..rows * columns).map(at).collect()
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
    }
}

fn activated(x: Tensor<2>, activation: Activation) -> Tensor<2> {
    match activation {
        Activation::None => x,
        Activation::Relu => activation::relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
    }
}

/// Drops a share of the values and scales the others, so that the expectation stays.
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

/// `[batch, h * w * c]` to NCHW, as burn's own operators want it.
fn channels_first(x: Tensor<2>, [height, width, channels]: [usize; 3]) -> Tensor<4> {
    let batch = x.dims()[0];
    x.reshape([batch, height, width, channels])
        .permute([0, 3, 1, 2])
}

fn channels_last(x: Tensor<4>) -> Tensor<2> {
    let [batch, channels, height, width] = x.dims();
    x.permute([0, 2, 3, 1])
        .reshape([batch, height * width * channels])
}

fn average_pool(x: Tensor<2>, window: Window, input: Shape, output: [usize; 2]) -> Tensor<2> {
    let batch = x.dims()[0];
    if output == [1, 1] && window.kernel == [input.height, input.width] {
        let pixels = x.reshape([batch, input.area(), input.channels]);
        return pixels.mean_dim(1).reshape([batch, input.channels]);
    }
    let options = AvgPoolOptions {
        kernel_size: window.kernel,
        stride: window.stride,
        padding: Geometry::new(window, input, output).padding(),
        count_include_pad: false,
        ceil_mode: false,
    };
    let x = channels_first(x, [input.height, input.width, input.channels]);
    channels_last(avg_pool2d(x, options))
}

/// A weighted operator or an upsampling with burn's own operators, without its epilogue.
fn stock(x: Tensor<2>, kernel: &Kernel, layer: Option<&Layer>, output: Shape) -> Tensor<2> {
    let weight = layer.map(|layer| layer.weight.val());
    let batch = x.dims()[0];
    match (kernel, weight) {
        (Kernel::Dense, Some(weight)) => x.matmul(weight),
        (Kernel::Convolution(geometry), Some(weight)) => {
            let [kh, kw] = geometry.kernel;
            let shape = [kh, kw, geometry.channels, output.channels];
            let weight = weight.reshape(shape).permute([3, 2, 0, 1]);
            let options =
                ConvOptions::new_with_padding(geometry.stride, geometry.padding(), [1, 1], 1);
            let x = channels_first(x, geometry.input_shape());
            channels_last(conv2d(x, weight, None, options))
        }
        (Kernel::Depthwise(geometry), Some(weight)) => {
            let [kh, kw] = geometry.kernel;
            let weight = weight
                .reshape([kh, kw, 1, output.channels])
                .permute([3, 2, 0, 1]);
            let groups = output.channels;
            let options =
                ConvOptions::new_with_padding(geometry.stride, geometry.padding(), [1, 1], groups);
            let x = channels_first(x, geometry.input_shape());
            channels_last(conv2d(x, weight, None, options))
        }
        (
            Kernel::Upsample {
                input: [height, width, channels],
                factor: [fy, fx],
            },
            _,
        ) => {
            let (height, width, channels) = (*height, *width, *channels);
            let pixels = x.reshape([batch, height, 1, width, 1, channels]);
            let copies = pixels.repeat_dim(2, *fy).repeat_dim(4, *fx);
            copies.reshape([batch, height * fy * width * fx * channels])
        }
        _ => unreachable!("every other kernel has a weight or belongs to the fused path"),
    }
}

fn stock_loss(output: Tensor<2>, target: Tensor<2>, loss: Loss) -> Tensor<2> {
    let batch = output.dims()[0] as f32;
    match loss {
        Loss::SquaredError => {
            let difference = output - target;
            (difference.clone() * difference).mean().reshape([1, 1])
        }
        Loss::CrossEntropy => {
            let terms = activation::log_softmax(output, 1) * target;
            (terms.sum() / -batch).reshape([1, 1])
        }
    }
}

#[cfg(test)]
impl Network {
    /// Gives scales and shifts values unlike their initial ones, so that mistakes with them show.
    pub fn disturb(&mut self, rng: &mut Rng) {
        self.for_each_vector(|value| value + (0.3 * rng.normal()) as f32);
    }

    fn for_each_vector(&mut self, mut change: impl FnMut(f32) -> f32) {
        for layer in self.layers.iter_mut().flatten() {
            for parameter in layer.scale.iter_mut().chain([&mut layer.shift]) {
                let old = parameter.val();
                let values: Vec<f32> = host(old.clone()).into_iter().map(&mut change).collect();
                *parameter = Param::from_tensor(tensor(values, old.dims(), &old.device()));
            }
        }
    }

    /// Adds to one value of a parameter, counted as in [`Network::gradients`].
    pub fn nudge(&mut self, parameter: usize, idx: usize, change: f32) {
        fn apply<const D: usize>(parameter: &mut Param<Tensor<D>>, idx: usize, change: f32) {
            let old = parameter.val();
            let mut values = host(old.clone());
            values[idx] += change;
            *parameter = Param::from_tensor(tensor(values, old.dims(), &old.device()));
        }
        let mut count = 0;
        for layer in self.layers.iter_mut().flatten() {
            if count == parameter {
                apply(&mut layer.weight, idx, change);
            }
            count += 1;
            for vector in layer.scale.iter_mut().chain([&mut layer.shift]) {
                if count == parameter {
                    apply(vector, idx, change);
                }
                count += 1;
            }
        }
    }

    /// Gradients of weight, scale and shift of every layer.
    pub fn gradients(&self, gradients: &burn::tensor::Gradients) -> Vec<Vec<f32>> {
        let mut all = Vec::new();
        for layer in self.layers.iter().flatten() {
            all.push(host(
                layer
                    .weight
                    .val()
                    .grad(gradients)
                    .expect("weights are trained"),
            ));
            for vector in layer.scale.iter().chain([&layer.shift]) {
                all.push(host(
                    vector
                        .val()
                        .grad(gradients)
                        .expect("scales and shifts are trained"),
                ));
            }
        }
        all
    }
}
