//! The one intermediate representation of a network: operators and tensors, NHWC, batch 1, in execution order.
//!
//! This module knows no training, hardware or files.

mod ensemble;
mod head;
pub mod memory;
pub mod text;
mod weights;

pub use weights::WeightsError;

use crate::identity::{self, Canonical};

/// The shape of one tensor without its batch dimension, NHWC.
///
/// A spectrogram window has `height` = frames, `width` = mel bands and `channels` = 1. A plain vector is `1 x 1 x n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Rows; for sound, frames.
    pub height: usize,
    /// Columns; for sound, mel bands.
    pub width: usize,
    /// Values per pixel.
    pub channels: usize,
}

impl Shape {
    /// A shape of these sizes.
    pub const fn new(height: usize, width: usize, channels: usize) -> Self {
        Shape {
            height,
            width,
            channels,
        }
    }

    /// A plain vector of `n` features.
    pub const fn vector(n: usize) -> Self {
        Shape::new(1, 1, n)
    }

    /// The number of elements, which is also the int8 size in bytes.
    #[expect(clippy::len_without_is_empty, reason = "a shape is never empty")]
    pub const fn len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// The number of pixels.
    pub const fn area(&self) -> usize {
        self.height * self.width
    }
}

/// Index of a tensor in [`Graph::tensors`].
pub type TensorId = usize;

/// How a sliding window treats the border, as TensorFlow defines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Padding {
    /// The output has `ceil(input / stride)` elements. Where padding is odd, the extra element goes after the data
    /// (bottom, right).
    Same,
    /// No padding.
    Valid,
}

/// The activation that is fused into an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// No activation: the result stays as it is.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `min(max(x, -1), 1)`.
    ReluN1To1,
}

/// Kernel, stride and padding of an operator whose window slides over its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Size of the window, `[height, width]`.
    pub kernel: [usize; 2],
    /// Steps from one window to the next, `[height, width]`.
    pub stride: [usize; 2],
    /// How the border is treated.
    pub padding: Padding,
    /// Steps from one tap to the next, `[height, width]`; only convolutions may have others than one.
    pub dilation: [usize; 2],
}

impl Window {
    /// A square `kernel x kernel` window with SAME padding.
    pub const fn same(kernel: usize, stride: usize) -> Self {
        Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: Padding::Same,
            dilation: [1; 2],
        }
    }

    /// Rows and columns from the first to the last tap.
    pub fn extent(&self) -> [usize; 2] {
        [0, 1].map(|axis| (self.kernel[axis] - 1) * self.dilation[axis] + 1)
    }

    /// Whether its taps lie apart.
    pub fn is_dilated(&self) -> bool {
        self.extent() != self.kernel
    }

    /// Output height and width for an input; `None` where a VALID window is larger than the input.
    pub fn output(&self, input: Shape) -> Option<[usize; 2]> {
        let one = |len: usize, kernel: usize, stride: usize| match self.padding {
            Padding::Same => Some(len.div_ceil(stride)),
            Padding::Valid => len.checked_sub(kernel).map(|rest| rest / stride + 1),
        };
        let extent = self.extent();
        Some([
            one(input.height, extent[0], self.stride[0])?,
            one(input.width, extent[1], self.stride[1])?,
        ])
    }

    /// Padding before the first row and column, as TensorFlow computes it for SAME.
    pub fn pad_before(&self, input: Shape) -> [usize; 2] {
        let one = |len: usize, kernel: usize, stride: usize| match self.padding {
            Padding::Same => ((len.div_ceil(stride) - 1) * stride + kernel).saturating_sub(len) / 2,
            Padding::Valid => 0,
        };
        let extent = self.extent();
        [
            one(input.height, extent[0], self.stride[0]),
            one(input.width, extent[1], self.stride[1]),
        ]
    }

    /// Pixels in one window.
    pub const fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }
}

/// What an operator computes; the names are TFLite's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpKind {
    /// Convolution over all channels.
    Conv2d(Window),
    /// Convolution of each channel on its own, with depth multiplier 1.
    DepthwiseConv2d(Window),
    /// Every output sums all inputs, each with a weight of its own; where the output has pixels, those of its pixel.
    FullyConnected,
    /// Mean of each channel in each window; only the pixels inside the image count.
    AveragePool2d(Window),
    /// Maximum of each channel in each window.
    MaxPool2d(Window),
    /// Mean of each channel over all pixels, as a vector. Unlike a pool's output, the result has a scale of its own.
    Mean,
    /// Sum of two tensors of one shape, element by element.
    Add,
    /// Product of two tensors (`MUL`), element by element; the second may be one pixel, for all pixels of the first.
    Multiply,
    /// `RESIZE_NEAREST_NEIGHBOR` by whole factors `[height, width]`.
    Upsample([usize; 2]),
    /// Adds zeros around the data.
    Pad {
        /// Zeros before the data: `[height, width, channels]`.
        before: [usize; 3],
        /// Zeros after the data: `[height, width, channels]`.
        after: [usize; 3],
    },
    /// Applies a function to each element.
    Lookup(Function),
    /// Softmax over the channels of every pixel, with a beta of one.
    Softmax,
    /// Another shape for the same data.
    Reshape,
    /// An operator of a file that is costed and that nothing here runs.
    Foreign(Foreign),
}

/// What the costs of an operator depend on that nothing here runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Foreign {
    /// TFLite's name of it.
    pub name: &'static str,
    /// How it gets from its inputs to its output.
    pub effort: Effort,
    /// Bytes of its constants: weights, biases, the other side of a sum.
    pub constant_bytes: usize,
}

/// How much an operator does that nothing here runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effort {
    /// Nothing that counts.
    None,
    /// A sum or a difference for every element of the output.
    Sums,
    /// A product for every element of the output.
    Products,
    /// A comparison for every element of the output.
    Comparisons,
    /// A value of a table for every element.
    Table,
    /// A copy of every element of the output, in the order of the input.
    Copies,
    /// A copy of every element in another order.
    Shuffles,
    /// A convolution whose channels fall into so many groups, each with its own weights.
    Grouped(Window, usize),
    /// A convolution of an input between whose pixels lie zeros, as far apart as the stride.
    Transposed(Window),
    /// The mean over each window.
    Means(Window),
    /// So many multiply-accumulates.
    Macs(usize),
    /// Some steps for every element of the input or of the output.
    Unknown,
}

/// The function that [`OpKind::Lookup`] applies to each element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// Only scale and zero point change (`QUANTIZE`).
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `1 / (1 + exp(-x))`.
    Logistic,
    /// The hyperbolic tangent.
    Tanh,
    /// `x * min(max(x + 3, 0), 6) / 6`.
    HardSwish,
    /// `x`, or below zero `x` times a slope.
    LeakyRelu(Slope),
}

/// A factor, kept by its bits so that equal ones are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slope {
    bits: u32,
}

impl Slope {
    /// This factor.
    pub const fn new(factor: f32) -> Slope {
        Slope {
            bits: factor.to_bits(),
        }
    }

    /// The factor.
    pub const fn value(self) -> f32 {
        f32::from_bits(self.bits)
    }
}

impl OpKind {
    /// Whether the operator has weights and biases.
    pub const fn has_weights(&self) -> bool {
        match self {
            OpKind::Conv2d(_) | OpKind::DepthwiseConv2d(_) | OpKind::FullyConnected => true,
            OpKind::AveragePool2d(_)
            | OpKind::MaxPool2d(_)
            | OpKind::Mean
            | OpKind::Add
            | OpKind::Multiply
            | OpKind::Upsample(_)
            | OpKind::Pad { .. }
            | OpKind::Lookup(_)
            | OpKind::Softmax
            | OpKind::Reshape
            | OpKind::Foreign(_) => false,
        }
    }

    /// The operator with zeros between the taps of a dilated window, which computes the same.
    pub fn filled(self) -> OpKind {
        let fill = |window: Window| Window {
            kernel: window.extent(),
            dilation: [1; 2],
            ..window
        };
        match self {
            OpKind::Conv2d(window) => OpKind::Conv2d(fill(window)),
            OpKind::DepthwiseConv2d(window) => OpKind::DepthwiseConv2d(fill(window)),
            other => other,
        }
    }
}

/// One operator of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Op {
    /// What it computes.
    pub kind: OpKind,
    /// Tensors that it reads: two for [`OpKind::Add`] and [`OpKind::Multiply`], one or more for [`OpKind::Foreign`], one for all others.
    pub inputs: Vec<TensorId>,
    /// The tensor that it writes.
    pub output: TensorId,
    /// The activation after it.
    pub activation: Activation,
    /// In training, a batch norm stands between the operator and its activation; it is then folded into the weights.
    pub batch_norm: bool,
    /// In training, this share (0 to 1) of the outputs is dropped after the activation.
    pub dropout: f32,
}

/// A network: tensors and operators in execution order.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// Shapes of all tensors; a [`TensorId`] is an index into them.
    pub tensors: Vec<Shape>,
    /// The operators, in execution order.
    pub ops: Vec<Op>,
    /// The tensor that holds the input.
    pub input: TensorId,
    /// The tensor that holds the output.
    pub output: TensorId,
    /// Further outputs, which only networks of files have.
    pub more_outputs: Vec<TensorId>,
}

/// Float weights of one operator, with batch norm folded in.
///
/// The layouts are TFLite's. Convolution: `[out, kh, kw, in]`. Depthwise: `[kh, kw, channels]`. Fully connected: `[out,
/// in]`. Each output channel has one bias.
#[derive(Debug, Clone, PartialEq)]
pub struct OpWeights {
    /// The weights, row-major.
    pub weight: Vec<f32>,
    /// One bias per output channel.
    pub bias: Vec<f32>,
}

/// Weights of a network: one entry per operator, `None` where the operator has no weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights(pub Vec<Option<OpWeights>>);

impl Graph {
    /// Shape of the network's input.
    pub fn input_shape(&self) -> Shape {
        self.tensors[self.input]
    }

    /// Shape of the network's output.
    pub fn output_shape(&self) -> Shape {
        self.tensors[self.output]
    }

    /// All tensors that come from outside: first the input, then others that operators read and none writes; a file may
    /// have several.
    pub fn inputs(&self) -> Vec<TensorId> {
        let mut inputs = vec![self.input];
        let mut outer = vec![true; self.tensors.len()];
        for op in &self.ops {
            outer[op.output] = false;
        }
        let mut read: Vec<TensorId> = self.ops.iter().flat_map(|op| op.inputs.clone()).collect();
        read.sort_unstable();
        read.dedup();
        inputs.extend(read.into_iter().filter(|&id| outer[id] && id != self.input));
        inputs
    }

    /// Whether some window is dilated.
    pub fn is_dilated(&self) -> bool {
        self.ops.iter().any(|op| op.kind.filled() != op.kind)
    }

    /// The graph with zeros between the taps of dilated windows, as kernels run it that know none.
    pub fn filled(&self) -> Graph {
        let mut graph = self.clone();
        for op in &mut graph.ops {
            op.kind = op.kind.filled();
        }
        graph
    }

    /// Weights for [`Graph::filled`].
    pub fn filled_weights(&self, weights: &Weights) -> Weights {
        let filled = self.ops.iter().zip(&weights.0).map(|(op, weights)| {
            let weights = weights.as_ref()?;
            Some(OpWeights {
                weight: self.fill(op, &weights.weight),
                bias: weights.bias.clone(),
            })
        });
        Weights(filled.collect())
    }

    /// The weights of an operator with zeros between the taps of its window.
    pub fn fill<T: Copy + Default>(&self, op: &Op, weights: &[T]) -> Vec<T> {
        let (window, depth) = match op.kind {
            OpKind::Conv2d(window) => (window, self.op_input(op).channels),
            OpKind::DepthwiseConv2d(window) => (window, self.op_output(op).channels),
            _ => return weights.to_vec(),
        };
        let [height, width] = window.extent();
        let mut filled = Vec::with_capacity(height * width * weights.len() / window.taps().max(1));
        for kernel in weights.chunks_exact(window.taps() * depth) {
            for y in 0..height {
                for x in 0..width {
                    let is_tap = y % window.dilation[0] == 0 && x % window.dilation[1] == 0;
                    let tap = y / window.dilation[0] * window.kernel[1] + x / window.dilation[1];
                    let values = kernel[tap * depth..].iter().take(depth).copied();
                    filled.extend(values.map(|value| if is_tap { value } else { T::default() }));
                }
            }
        }
        filled
    }

    /// Shape of an operator's first input.
    pub fn op_input(&self, op: &Op) -> Shape {
        self.tensors[op.inputs[0]]
    }

    /// Shape of an operator's output.
    pub fn op_output(&self, op: &Op) -> Shape {
        self.tensors[op.output]
    }

    /// Multiply-accumulates of one operator.
    pub fn op_macs(&self, op: &Op) -> u64 {
        let (input, output) = (self.op_input(op), self.op_output(op));
        let macs = match op.kind {
            OpKind::Conv2d(window) => output.len() * window.taps() * input.channels,
            OpKind::DepthwiseConv2d(window) => output.len() * window.taps(),
            OpKind::FullyConnected => input.len() * output.channels,
            OpKind::Foreign(foreign) => match foreign.effort {
                Effort::Grouped(window, groups) => {
                    output.len() * window.taps() * (input.channels / groups)
                }
                Effort::Transposed(window) => input.len() * window.taps() * output.channels,
                Effort::Macs(macs) => macs,
                _ => 0,
            },
            _ => 0,
        };
        macs as u64
    }

    /// Number of weights of one operator, without bias.
    pub fn op_weight_len(&self, op: &Op) -> usize {
        let (input, output) = (self.op_input(op), self.op_output(op));
        match op.kind {
            OpKind::Conv2d(window) => window.taps() * input.channels * output.channels,
            OpKind::DepthwiseConv2d(window) => window.taps() * output.channels,
            OpKind::FullyConnected => input.len() / output.area() * output.channels,
            OpKind::Foreign(foreign) => foreign.constant_bytes,
            _ => 0,
        }
    }

    /// Number of biases of one operator.
    pub fn op_bias_len(&self, op: &Op) -> usize {
        if op.kind.has_weights() {
            self.op_output(op).channels
        } else {
            0
        }
    }

    /// Multiply-accumulates of one inference.
    pub fn macs(&self) -> u64 {
        self.ops.iter().map(|op| self.op_macs(op)).sum()
    }

    /// Number of parameters of the deployed network: weights and biases, with batch norm folded in.
    pub fn params(&self) -> u64 {
        let count = |op| (self.op_weight_len(op) + self.op_bias_len(op)) as u64;
        self.ops.iter().map(count).sum()
    }

    /// Bytes of int8 weights and int32 biases.
    pub fn weight_bytes(&self) -> u64 {
        let bytes = |op| (self.op_weight_len(op) + 4 * self.op_bias_len(op)) as u64;
        self.ops.iter().map(bytes).sum()
    }
}

impl Canonical for Shape {
    fn write_canonical(&self, text: &mut String) {
        let Shape {
            height,
            width,
            channels,
        } = self;
        let fields: [(&str, &dyn Canonical); 3] =
            [("height", height), ("width", width), ("channels", channels)];
        identity::record(text, "Shape", &fields);
    }
}

impl Canonical for Padding {
    fn write_canonical(&self, text: &mut String) {
        text.push_str(match self {
            Padding::Same => "Same",
            Padding::Valid => "Valid",
        });
    }
}

impl Canonical for Activation {
    fn write_canonical(&self, text: &mut String) {
        text.push_str(match self {
            Activation::None => "None",
            Activation::Relu => "Relu",
            Activation::Relu6 => "Relu6",
            Activation::ReluN1To1 => "ReluN1To1",
        });
    }
}

impl Canonical for Function {
    fn write_canonical(&self, text: &mut String) {
        text.push_str(match self {
            Function::Identity => "Identity",
            Function::Relu => "Relu",
            Function::Relu6 => "Relu6",
            Function::Logistic => "Logistic",
            Function::Tanh => "Tanh",
            Function::HardSwish => "HardSwish",
            Function::LeakyRelu(slope) => {
                let slope = format!("LeakyRelu({:08x})", slope.bits);
                text.push_str(&slope);
                return;
            }
        });
    }
}

impl Canonical for Window {
    fn write_canonical(&self, text: &mut String) {
        let Window {
            kernel,
            stride,
            padding,
            dilation,
        } = self;
        let mut fields: Vec<(&str, &dyn Canonical)> =
            vec![("kernel", kernel), ("stride", stride), ("padding", padding)];
        if *dilation != [1, 1] {
            fields.push(("dilation", dilation));
        }
        identity::record(text, "Window", &fields);
    }
}

impl Canonical for OpKind {
    fn write_canonical(&self, text: &mut String) {
        match self {
            OpKind::Conv2d(window) => identity::tuple(text, "Conv2d", &[window]),
            OpKind::DepthwiseConv2d(window) => identity::tuple(text, "DepthwiseConv2d", &[window]),
            OpKind::FullyConnected => text.push_str("FullyConnected"),
            OpKind::AveragePool2d(window) => identity::tuple(text, "AveragePool2d", &[window]),
            OpKind::MaxPool2d(window) => identity::tuple(text, "MaxPool2d", &[window]),
            OpKind::Mean => text.push_str("Mean"),
            OpKind::Add => text.push_str("Add"),
            OpKind::Multiply => text.push_str("Multiply"),
            OpKind::Upsample(factors) => identity::tuple(text, "Upsample", &[factors]),
            OpKind::Pad { before, after } => {
                identity::record(text, "Pad", &[("before", before), ("after", after)]);
            }
            OpKind::Lookup(function) => identity::tuple(text, "Lookup", &[function]),
            OpKind::Softmax => text.push_str("Softmax"),
            OpKind::Reshape => text.push_str("Reshape"),
            OpKind::Foreign(foreign) => text.push_str(&format!("{foreign:?}")),
        }
    }
}

impl Canonical for Op {
    fn write_canonical(&self, text: &mut String) {
        let Op {
            kind,
            inputs,
            output,
            activation,
            batch_norm,
            dropout,
        } = self;
        let fields: [(&str, &dyn Canonical); 6] = [
            ("kind", kind),
            ("inputs", inputs),
            ("output", output),
            ("activation", activation),
            ("batch_norm", batch_norm),
            ("dropout", dropout),
        ];
        identity::record(text, "Op", &fields);
    }
}

/// The text also covers what matters only in training.
impl Canonical for Graph {
    fn write_canonical(&self, text: &mut String) {
        let Graph {
            tensors,
            ops,
            input,
            output,
            more_outputs,
        } = self;
        let mut fields: Vec<(&str, &dyn Canonical)> = vec![
            ("tensors", tensors),
            ("ops", ops),
            ("input", input),
            ("output", output),
        ];
        if !more_outputs.is_empty() {
            fields.push(("more_outputs", more_outputs));
        }
        identity::record(text, "Graph", &fields);
    }
}

/// Builds a graph operator by operator; every method returns the new tensor.
#[derive(Debug)]
pub struct GraphBuilder {
    graph: Graph,
}

/// What a builder sets on every operator with weights.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// The fused activation.
    pub activation: Activation,
    /// Whether a batch norm follows in training.
    pub batch_norm: bool,
    /// Share of outputs dropped in training, 0 to 1.
    pub dropout: f32,
}

impl Style {
    /// No activation, no batch norm: for output layers.
    pub const LINEAR: Style = Style {
        activation: Activation::None,
        batch_norm: false,
        dropout: 0.0,
    };
    /// Batch norm alone: for the projection of an inverted residual.
    pub const BATCH_NORM: Style = Style {
        activation: Activation::None,
        batch_norm: true,
        dropout: 0.0,
    };
    /// Batch norm and ReLU: for hidden layers.
    pub const BATCH_NORM_RELU: Style = Style {
        activation: Activation::Relu,
        batch_norm: true,
        dropout: 0.0,
    };
}

impl GraphBuilder {
    /// A graph with only an input of this shape.
    pub fn new(input: Shape) -> Self {
        let graph = Graph {
            tensors: vec![input],
            ops: Vec::new(),
            input: 0,
            output: 0,
            more_outputs: Vec::new(),
        };
        GraphBuilder { graph }
    }

    /// Shape of a tensor.
    pub fn shape(&self, tensor: TensorId) -> Shape {
        self.graph.tensors[tensor]
    }

    /// Convolution with `channels` outputs per pixel.
    ///
    /// # Panics
    ///
    /// Where a VALID window is larger than its input.
    pub fn conv(&mut self, x: TensorId, channels: usize, window: Window, style: Style) -> TensorId {
        let [height, width] = window
            .output(self.shape(x))
            .expect("families build windows that fit");
        let shape = Shape::new(height, width, channels);
        self.push(OpKind::Conv2d(window), vec![x], shape, style)
    }

    /// Depthwise convolution.
    ///
    /// # Panics
    ///
    /// Where a VALID window is larger than its input.
    pub fn depthwise(&mut self, x: TensorId, window: Window, style: Style) -> TensorId {
        let input = self.shape(x);
        let [height, width] = window
            .output(input)
            .expect("families build windows that fit");
        let shape = Shape::new(height, width, input.channels);
        self.push(OpKind::DepthwiseConv2d(window), vec![x], shape, style)
    }

    /// Fully connected over the whole tensor; a tensor that is not a vector is reshaped first.
    pub fn dense(&mut self, x: TensorId, features: usize, style: Style) -> TensorId {
        let x = self.reshape(x, Shape::vector(self.shape(x).len()));
        self.push(
            OpKind::FullyConnected,
            vec![x],
            Shape::vector(features),
            style,
        )
    }

    /// Fully connected over the channels of every pixel, with the same weights.
    pub fn rows(&mut self, x: TensorId, features: usize, style: Style) -> TensorId {
        let Shape { height, width, .. } = self.shape(x);
        let shape = Shape::new(height, width, features);
        self.push(OpKind::FullyConnected, vec![x], shape, style)
    }

    /// Average over all pixels, to a vector.
    pub fn global_average_pool(&mut self, x: TensorId) -> TensorId {
        let input = self.shape(x);
        let window = Window {
            kernel: [input.height, input.width],
            stride: [input.height, input.width],
            padding: Padding::Valid,
            dilation: [1, 1],
        };
        let shape = Shape::vector(input.channels);
        self.push(OpKind::AveragePool2d(window), vec![x], shape, Style::LINEAR)
    }

    /// Maximum of each window.
    ///
    /// # Panics
    ///
    /// Where a VALID window is larger than its input.
    pub fn max_pool(&mut self, x: TensorId, window: Window, activation: Activation) -> TensorId {
        self.pool(OpKind::MaxPool2d(window), x, window, activation)
    }

    /// Mean of each window.
    ///
    /// # Panics
    ///
    /// Where a VALID window is larger than its input.
    pub fn average_pool(
        &mut self,
        x: TensorId,
        window: Window,
        activation: Activation,
    ) -> TensorId {
        self.pool(OpKind::AveragePool2d(window), x, window, activation)
    }

    /// Mean over all pixels, to a vector.
    pub fn mean(&mut self, x: TensorId) -> TensorId {
        let shape = Shape::vector(self.shape(x).channels);
        self.push(OpKind::Mean, vec![x], shape, Style::LINEAR)
    }

    /// Zeros before and after the data, `[height, width, channels]` each.
    pub fn pad(&mut self, x: TensorId, before: [usize; 3], after: [usize; 3]) -> TensorId {
        let input = self.shape(x);
        let shape = Shape::new(
            before[0] + input.height + after[0],
            before[1] + input.width + after[1],
            before[2] + input.channels + after[2],
        );
        self.push(OpKind::Pad { before, after }, vec![x], shape, Style::LINEAR)
    }

    /// A function of each element alone.
    pub fn lookup(&mut self, x: TensorId, function: Function) -> TensorId {
        self.push(
            OpKind::Lookup(function),
            vec![x],
            self.shape(x),
            Style::LINEAR,
        )
    }

    /// Softmax over the channels of every pixel.
    pub fn softmax(&mut self, x: TensorId) -> TensorId {
        self.push(OpKind::Softmax, vec![x], self.shape(x), Style::LINEAR)
    }

    /// Sum of two tensors.
    ///
    /// # Panics
    ///
    /// Where their shapes differ.
    pub fn add(&mut self, a: TensorId, b: TensorId) -> TensorId {
        assert_eq!(self.shape(a), self.shape(b), "ADD needs equal shapes");
        self.push(OpKind::Add, vec![a, b], self.shape(a), Style::LINEAR)
    }

    /// Product of two tensors; the second may be one pixel.
    pub fn multiply(&mut self, a: TensorId, b: TensorId) -> TensorId {
        self.push(OpKind::Multiply, vec![a, b], self.shape(a), Style::LINEAR)
    }

    /// Repeats rows and columns by the factors `[height, width]`.
    pub fn upsample(&mut self, x: TensorId, factor: [usize; 2]) -> TensorId {
        let input = self.shape(x);
        let shape = Shape::new(
            input.height * factor[0],
            input.width * factor[1],
            input.channels,
        );
        self.push(OpKind::Upsample(factor), vec![x], shape, Style::LINEAR)
    }

    /// Changes the shape and keeps the data; adds no operator where nothing changes.
    ///
    /// # Panics
    ///
    /// Where the number of elements would change.
    pub fn reshape(&mut self, x: TensorId, shape: Shape) -> TensorId {
        assert_eq!(self.shape(x).len(), shape.len(), "RESHAPE keeps the length");
        if self.shape(x) == shape {
            return x;
        }
        self.push(OpKind::Reshape, vec![x], shape, Style::LINEAR)
    }

    /// The finished graph; `output` is its output.
    pub fn finish(mut self, output: TensorId) -> Graph {
        self.graph.output = output;
        self.graph
    }

    fn pool(
        &mut self,
        kind: OpKind,
        x: TensorId,
        window: Window,
        activation: Activation,
    ) -> TensorId {
        let input = self.shape(x);
        let [height, width] = window.output(input).expect("the window fits");
        let shape = Shape::new(height, width, input.channels);
        let style = Style {
            activation,
            ..Style::LINEAR
        };
        self.push(kind, vec![x], shape, style)
    }

    /// Fuses an activation into the last operator.
    fn activate(&mut self, activation: Activation) {
        if let Some(op) = self.graph.ops.last_mut() {
            op.activation = activation;
        }
    }

    fn push(
        &mut self,
        kind: OpKind,
        inputs: Vec<TensorId>,
        shape: Shape,
        style: Style,
    ) -> TensorId {
        let output = self.graph.tensors.len();
        self.graph.tensors.push(shape);
        self.graph.ops.push(Op {
            kind,
            inputs,
            output,
            activation: style.activation,
            batch_norm: style.batch_norm,
            dropout: style.dropout,
        });
        output
    }
}
