//! Turns the operators of a graph into passes of the NPU, and plans the SRAM of their feature maps.

use super::{
    LONGEST_STRIDE,
    cycles::stored,
    layer::{Format, Kind, Layer, Pass},
    staging::Buffer,
    supports,
};
use crate::graph::{
    Activation, Effort, Foreign, Function, Graph, Op, OpKind, Padding, Shape, TensorId, Window,
};

/// The passes of a network in execution order, and the feature maps between them.
pub struct Passes {
    /// The passes, in execution order.
    pub list: Vec<Scheduled>,
    maps: Vec<Map>,
    outputs: Vec<usize>,
}

/// A pass with its place in memory.
pub struct Scheduled {
    /// The pass, or an operator without one.
    pub step: Step,
    /// Set when the weights are staged.
    pub buffer: Buffer,
    inputs: [Option<usize>; 2],
    output: usize,
}

/// One step of the schedule: a pass, or an operator without one (on the CPU, or SOFTMAX).
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Index into the operators of the graph.
    pub op_idx: usize,
    /// The pass; `None` for an operator without one.
    pub pass: Option<Pass>,
    /// How often it runs: once, or once per pixel of the output.
    pub repeats: usize,
    /// With how many different weights.
    pub sets: usize,
}

/// One feature map in memory. Tensors with only a RESHAPE between them share one map.
#[derive(Clone, Copy)]
struct Map {
    shape: Shape,
    format: Format,
    readers: usize,
    is_written: bool,
    /// The map whose memory it takes over, or its own index.
    place: usize,
}

/// The map of a tensor that no operator has used yet.
const NO_MAP: usize = usize::MAX;

/// Feature maps lie at multiples of this many bytes.
const ALIGNMENT: usize = 16;

impl Passes {
    /// The passes of a graph.
    pub fn of(graph: &Graph) -> Passes {
        let mut passes = Passes {
            list: Vec::with_capacity(graph.ops.len() + 4),
            maps: Vec::with_capacity(graph.tensors.len() + 4),
            outputs: Vec::new(),
        };
        // The map of every tensor; it is made when the tensor is written, or first read.
        let mut map_of = vec![NO_MAP; graph.tensors.len()];
        let fusions = Fusions::of(graph);
        for (op_idx, op) in graph.ops.iter().enumerate() {
            for &tensor in &op.inputs {
                if map_of[tensor] == NO_MAP {
                    map_of[tensor] = passes.map(graph.tensors[tensor], Format::Linear);
                }
            }
            let input = map_of[op.inputs[0]];
            let is_copy = op.inputs[0] == graph.input && op.output == graph.output;
            if op.kind == OpKind::Reshape && !is_copy || fusions.is_fused(graph, op) {
                map_of[op.output] = input;
                if is_table(op.kind) {
                    passes.look_up(fusions.writer[op.inputs[0]]);
                }
                if is_output(graph, op.output) {
                    passes.maps[input].format = Format::Linear;
                }
                continue;
            }
            let output = graph.op_output(op);
            map_of[op.output] =
                passes.lower(graph, op_idx, &fusions, |tensor| map_of[tensor], output);
            if is_output(graph, op.output) {
                passes.maps[map_of[op.output]].format = Format::Linear;
            }
        }
        let outputs = graph.more_outputs.iter().chain([&graph.output]);
        passes.outputs = outputs.map(|&output| map_of[output]).collect();
        passes.outputs.retain(|&map| map != NO_MAP);
        passes.set_formats();
        passes.share_places();
        passes
    }

    /// The most bytes that maps and staged weights need at any time.
    pub fn peak_bytes(&self) -> usize {
        // Step `i` is at time `2 i + 1`; weights are staged early in the gap before it.
        let end = 2 * self.list.len() + 1;
        let mut usage = vec![0; end + 1];
        let mut spans: Vec<(usize, usize)> = vec![(usize::MAX, 0); self.maps.len()];
        let mut mark = |map: usize, time: usize| {
            let (first, last) = &mut spans[self.maps[map].place];
            *first = time.min(*first);
            *last = time.max(*last);
        };
        for (idx, step) in self.list.iter().enumerate() {
            let time = 2 * idx + 1;
            for &input in step.inputs.iter().flatten() {
                // A map that no pass writes exists from the start.
                mark(input, if self.maps[input].is_written { time } else { 0 });
                mark(input, time);
            }
            mark(
                step.output,
                if self.outputs.contains(&step.output) {
                    end
                } else {
                    time
                },
            );
            mark(step.output, time);
            usage[time] += step.buffer.parts.iter().sum::<usize>();
            if step.buffer.is_early {
                usage[time - 1] += step.buffer.parts[0];
            }
        }
        for (map, &(first, last)) in self.maps.iter().zip(&spans) {
            if first <= last {
                let bytes = stored(map.shape, map.format).next_multiple_of(ALIGNMENT);
                usage[first..=last]
                    .iter_mut()
                    .for_each(|used| *used += bytes);
            }
        }
        usage.into_iter().max().unwrap_or(0)
    }

    fn map(&mut self, shape: Shape, format: Format) -> usize {
        let place = self.maps.len();
        self.maps.push(Map {
            shape,
            format,
            readers: 0,
            is_written: false,
            place,
        });
        place
    }

    /// Adds the passes of one operator and returns the map of its output.
    fn lower(
        &mut self,
        graph: &Graph,
        op_idx: usize,
        fusions: &Fusions,
        map_of: impl Fn(TensorId) -> usize,
        output: Shape,
    ) -> usize {
        let op = &graph.ops[op_idx];
        let input = fusions.unpadded(graph, op.inputs[0]);
        let from = map_of(op.inputs[0]);
        if !supports(graph, op) || !has_passes(op.kind) {
            let to = self.map(output, Format::Linear);
            for &tensor in &op.inputs {
                self.maps[map_of(tensor)].format = Format::Linear;
            }
            let second = op.inputs.get(1).map(|&tensor| map_of(tensor));
            self.push(op_idx, None, 1, [Some(from), second], to);
            return to;
        }
        let layer = |kind, input, window: Window| Layer {
            kind,
            input,
            output,
            kernel: window.kernel,
            stride: window.stride,
            dilation: window.dilation,
            upscale: 1,
            has_table: is_table(op.kind),
        };
        let unit = Window::same(1, 1);
        let layer = match op.kind {
            OpKind::Conv2d(window) => layer(Kind::Convolution, input, window),
            OpKind::DepthwiseConv2d(window) => layer(Kind::Depthwise, input, window),
            OpKind::FullyConnected if output.area() > 1 => layer(Kind::Convolution, input, unit),
            OpKind::FullyConnected => layer(Kind::Dense, Shape::vector(input.len()), unit),
            OpKind::AveragePool2d(window) | OpKind::MaxPool2d(window) => {
                // The stride of a single window has no meaning, and Vela drops it.
                let stride = if output.area() == 1 {
                    [1, 1]
                } else {
                    window.stride
                };
                layer(Kind::Pooling, input, Window { stride, ..window })
            }
            // A depthwise convolution with ones.
            OpKind::Mean => {
                let window = Window {
                    kernel: [input.height, input.width],
                    ..unit
                };
                layer(Kind::Depthwise, input, window)
            }
            OpKind::Add => layer(Kind::Addition, input, unit),
            OpKind::Multiply => layer(Kind::Product, output, unit),
            OpKind::Upsample(_) if input.area() == 1 => layer(Kind::Addition, output, unit),
            OpKind::Upsample(factor) => return self.upsample(op_idx, from, input, factor),
            // A copy without arithmetic. SOFTMAX was handled above.
            OpKind::Pad { .. } | OpKind::Lookup(_) | OpKind::Softmax | OpKind::Reshape => {
                layer(Kind::Pooling, output, unit)
            }
            OpKind::Foreign(foreign) => match foreign.effort {
                // Every channel is copied as often as it is read, which takes two copies, and each copy has a kernel.
                Effort::Grouped(window, groups) if groups == input.channels => {
                    let (wide, to) = (
                        self.map(output, Format::Linear),
                        self.map(output, Format::Brick),
                    );
                    let copy = layer(Kind::Pooling, output, unit);
                    self.push(op_idx, Some(copy), 2, [Some(from), None], wide);
                    let kernels = layer(Kind::Depthwise, output, window);
                    self.push(op_idx, Some(kernels), 1, [Some(wide), None], to);
                    return to;
                }
                Effort::Grouped(window, groups) => {
                    let layer = of_group(layer(Kind::Convolution, input, window), groups);
                    let to = self.map(output, Format::Brick);
                    self.push(op_idx, Some(layer), groups, [Some(from), None], to);
                    if let Some(last) = self.list.last_mut() {
                        last.step.sets = groups;
                    }
                    return to;
                }
                Effort::Transposed(window) => Layer {
                    stride: [1, 1],
                    upscale: window.stride[0].max(window.stride[1]),
                    ..layer(Kind::Convolution, input, window)
                },
                Effort::Means(window) => {
                    let stride = [1, 1];
                    layer(Kind::Depthwise, input, Window { stride, ..window })
                }
                Effort::Sums => layer(Kind::Addition, output, unit),
                Effort::Products => layer(Kind::Product, output, unit),
                Effort::Comparisons => layer(Kind::Comparison, output, unit),
                _ if op.inputs.len() > 1 => return self.join(graph, op_idx, fusions, map_of),
                _ => layer(Kind::Pooling, output, unit),
            },
        };
        let to = self.map(output, Format::Brick);
        let second = match op.kind {
            OpKind::Add | OpKind::Multiply | OpKind::Foreign(_) => {
                op.inputs.get(1).map(|&tensor| map_of(tensor))
            }
            _ => None,
        };
        let (layer, repeats) = by_pixel(layer);
        let (layer, repeats) = by_phase(layer, repeats);
        self.push(op_idx, Some(layer), repeats, [Some(from), second], to);
        to
    }

    /// The outputs of an operator's passes go through a table.
    fn look_up(&mut self, writer: Option<usize>) {
        for scheduled in &mut self.list {
            if let Some(pass) = &mut scheduled.step.pass
                && Some(scheduled.step.op_idx) == writer
            {
                pass.layer.has_table = true;
            }
        }
    }

    /// Puts tensors side by side: a copy of each that does not come from a pass which can write there itself.
    fn join(
        &mut self,
        graph: &Graph,
        op_idx: usize,
        fusions: &Fusions,
        map_of: impl Fn(TensorId) -> usize,
    ) -> usize {
        let op = &graph.ops[op_idx];
        let to = self.map(graph.op_output(op), Format::Brick);
        for &tensor in &op.inputs {
            let from = map_of(tensor);
            if fusions.is_made_in_place(graph, tensor) {
                self.maps[from].place = to;
                continue;
            }
            let shape = graph.tensors[tensor];
            let layer = Layer {
                kind: Kind::Pooling,
                input: shape,
                output: shape,
                kernel: [1, 1],
                stride: [1, 1],
                dilation: [1, 1],
                upscale: 1,
                has_table: false,
            };
            self.push(op_idx, Some(layer), 1, [Some(from), None], to);
        }
        self.maps[to].is_written = true;
        to
    }

    /// Adds one pass per doubling: a pooling of single pixels that reads each pixel twice.
    fn upsample(&mut self, op_idx: usize, from: usize, input: Shape, factor: [usize; 2]) -> usize {
        let (mut from, mut input) = (from, input);
        let [down, across] = factor.map(|factor| if factor > 1 { 2 } else { 1 });
        for _ in 0..factor[0].max(factor[1]).ilog2() {
            let output = Shape::new(down * input.height, across * input.width, input.channels);
            let to = self.map(output, Format::Brick);
            let layer = Layer {
                kind: Kind::Pooling,
                input,
                output,
                kernel: [1, 1],
                stride: [1, 1],
                dilation: [1, 1],
                upscale: 2,
                has_table: false,
            };
            self.push(op_idx, Some(layer), 1, [Some(from), None], to);
            (from, input) = (to, output);
        }
        from
    }

    fn push(
        &mut self,
        op_idx: usize,
        layer: Option<Layer>,
        repeats: usize,
        inputs: [Option<usize>; 2],
        output: usize,
    ) {
        for &input in inputs.iter().flatten() {
            self.maps[input].readers += 1;
        }
        self.maps[output].is_written = true;
        // Formats are set when every reader is known.
        let pass = layer.map(|layer| Pass {
            layer,
            input_format: Format::Linear,
            output_format: Format::Linear,
        });
        self.list.push(Scheduled {
            step: Step {
                op_idx,
                pass,
                repeats,
                sets: 1,
            },
            buffer: Buffer::default(),
            inputs,
            output,
        });
    }

    /// Stores a map in bricks where every reader sees the width and the channels that were written.
    fn set_formats(&mut self) {
        for step in &self.list {
            let (Some(pass), Some(input)) = (step.step.pass, step.inputs[0]) else {
                continue;
            };
            let (read, written) = (pass.layer.input, self.maps[input].shape);
            if (read.width, read.channels) != (written.width, written.channels) {
                self.maps[input].format = Format::Linear;
            }
        }
        for step in &mut self.list {
            if let (Some(pass), Some(input)) = (&mut step.step.pass, step.inputs[0]) {
                pass.input_format = self.maps[input].format;
                pass.output_format = self.maps[step.output].format;
            }
        }
    }

    /// Lets a pass write its output over an input that it reads element by element and
    /// that nothing else reads.
    fn share_places(&mut self) {
        for step in &self.list {
            let is_in_place = step.step.pass.is_some_and(|pass| pass.layer.is_in_place());
            if !is_in_place {
                continue;
            }
            let output = self.maps[step.output];
            let reused = step.inputs.iter().flatten().find(|&&input| {
                let map = self.maps[input];
                map.readers == 1
                    && map.format == output.format
                    && map.shape.len() == output.shape.len()
                    && !self.outputs.contains(&input)
            });
            if let Some(&input) = reused {
                self.maps[step.output].place = self.maps[input].place;
            }
        }
    }
}

/// A window that steps further than the NPU can is computed pixel by pixel: the layer of one pixel, and their number.
fn by_pixel(layer: Layer) -> (Layer, usize) {
    let is_far = layer.stride.iter().any(|&stride| stride > LONGEST_STRIDE);
    if !is_far || layer.output.area() == 1 {
        return (layer, 1);
    }
    let [height, width] = layer.kernel;
    let pixel = Layer {
        input: Shape::new(height, width, layer.input.channels),
        output: Shape::new(1, 1, layer.output.channels),
        stride: [1, 1],
        ..layer
    };
    (pixel, layer.output.area())
}

/// Taps that lie further apart than the NPU can reach: rows or columns that meet each other become a layer of their own. The
/// layer of one, and the number of all.
fn by_phase(layer: Layer, repeats: usize) -> (Layer, usize) {
    let (mut layer, mut repeats) = (layer, repeats);
    for axis in [0, 1] {
        let phases = layer.dilation[axis];
        if phases <= LONGEST_DILATION {
            continue;
        }
        let shorten = |shape: &mut Shape| {
            let length = [&mut shape.height, &mut shape.width].into_iter().nth(axis);
            if let Some(length) = length {
                *length = length.div_ceil(phases);
            }
        };
        shorten(&mut layer.input);
        shorten(&mut layer.output);
        layer.dilation[axis] = 1;
        repeats *= phases;
    }
    (layer, repeats)
}

/// One group of a convolution: its layer.
fn of_group(layer: Layer, groups: usize) -> Layer {
    let share = |shape: Shape| Shape {
        channels: (shape.channels / groups).max(1),
        ..shape
    };
    Layer {
        input: share(layer.input),
        output: share(layer.output),
        ..layer
    }
}

/// Whether an operator looks its outputs up in a table.
pub fn is_table(kind: OpKind) -> bool {
    match kind {
        OpKind::Lookup(function) => match function {
            Function::Identity | Function::Relu | Function::Relu6 => false,
            Function::Logistic | Function::Tanh | Function::HardSwish | Function::LeakyRelu(_) => {
                true
            }
        },
        OpKind::Foreign(foreign) => foreign.effort == Effort::Table,
        _ => false,
    }
}

/// The longest step between taps that the NPU makes by itself.
pub const LONGEST_DILATION: usize = 2;

/// Whether an operator on the NPU is made of passes that are modelled one by one.
pub fn has_passes(kind: OpKind) -> bool {
    match kind {
        OpKind::Softmax => false,
        OpKind::Foreign(foreign) => matches!(
            foreign.effort,
            Effort::Sums
                | Effort::Products
                | Effort::Comparisons
                | Effort::Table
                | Effort::Copies
                | Effort::Grouped(..)
                | Effort::Transposed(_)
                | Effort::Means(_)
        ),
        _ => true,
    }
}

fn is_output(graph: &Graph, tensor: TensorId) -> bool {
    tensor == graph.output || graph.more_outputs.contains(&tensor)
}

/// Operators that become part of another one's pass.
struct Fusions {
    /// How often each tensor is read.
    readers: Vec<usize>,
    /// The operator that writes each tensor.
    writer: Vec<Option<usize>>,
    /// The only operator that reads each tensor.
    reader: Vec<Option<usize>>,
}

impl Fusions {
    fn of(graph: &Graph) -> Fusions {
        let count = graph.tensors.len();
        let mut fusions = Fusions {
            readers: vec![0; count],
            writer: vec![None; count],
            reader: vec![None; count],
        };
        for &output in graph.more_outputs.iter().chain([&graph.output]) {
            fusions.readers[output] += 1;
        }
        for (idx, op) in graph.ops.iter().enumerate() {
            fusions.writer[op.output] = Some(idx);
            for &tensor in &op.inputs {
                fusions.readers[tensor] += 1;
                fusions.reader[tensor] = Some(idx);
            }
        }
        fusions
    }

    /// Whether an operator has no pass of its own.
    fn is_fused(&self, graph: &Graph, op: &Op) -> bool {
        match op.kind {
            OpKind::Pad { before, after } => self.is_window_pad(graph, op.output, before, after),
            OpKind::Lookup(Function::Identity) => false,
            OpKind::Lookup(_) => self.is_activation(graph, op),
            OpKind::Foreign(Foreign {
                effort: Effort::Table,
                ..
            }) => self.is_activation(graph, op),
            OpKind::Foreign(Foreign {
                effort: Effort::Copies,
                ..
            }) => self.is_view(graph, op),
            OpKind::Foreign(Foreign {
                effort: Effort::None,
                ..
            }) => graph.op_input(op).len() == graph.op_output(op).len(),
            _ => false,
        }
    }

    /// A lone activation is part of the pass before it, where nothing else reads that. (Vela gives a RELU that changes
    /// the scale a pass of its own; a graph has no scales.)
    fn is_activation(&self, graph: &Graph, op: &Op) -> bool {
        let input = op.inputs[0];
        let Some(writer) = self.writer[input].map(|idx| &graph.ops[idx]) else {
            return false;
        };
        let computes = matches!(
            writer.kind,
            OpKind::Conv2d(_)
                | OpKind::DepthwiseConv2d(_)
                | OpKind::FullyConnected
                | OpKind::Add
                | OpKind::Multiply
                | OpKind::AveragePool2d(_)
                | OpKind::MaxPool2d(_)
        );
        let is_free = writer.activation == Activation::None && self.readers[input] == 1;
        computes && is_free && supports(graph, writer)
    }

    /// A part of a tensor is read where it lies, where only passes read it and a pass has written the whole.
    fn is_view(&self, graph: &Graph, op: &Op) -> bool {
        let reads = |tensor: TensorId| {
            let all = graph.ops.iter().filter(|op| op.inputs.contains(&tensor));
            all.clone().count() > 0
                && all
                    .clone()
                    .all(|op| supports(graph, op) && has_passes(op.kind))
        };
        let is_written = self.writer[op.inputs[0]]
            .map(|idx| &graph.ops[idx])
            .is_some_and(|writer| supports(graph, writer) && has_passes(writer.kind));
        op.inputs.len() == 1
            && graph.op_output(op).len() < graph.op_input(op).len()
            && (is_written && !is_output(graph, op.output) && reads(op.output))
    }

    /// Whether a pass writes a tensor that only one operator reads, so that it may write it into that one's output.
    fn is_made_in_place(&self, graph: &Graph, tensor: TensorId) -> bool {
        let writer = self.writer[tensor].map(|idx| &graph.ops[idx]);
        self.readers[tensor] == 1
            && writer.is_some_and(|op| {
                supports(graph, op) && has_passes(op.kind) && !self.is_fused(graph, op)
            })
    }

    /// Padding of pixels is part of the window that reads it, where nothing else does.
    fn is_window_pad(
        &self,
        graph: &Graph,
        output: TensorId,
        before: [usize; 3],
        after: [usize; 3],
    ) -> bool {
        let Some(reader) = self.reader[output].map(|idx| &graph.ops[idx]) else {
            return false;
        };
        let (OpKind::Conv2d(window) | OpKind::DepthwiseConv2d(window)) = reader.kind else {
            return false;
        };
        let within = |axis: usize| before[axis].max(after[axis]) < window.kernel[axis];
        let is_near = window.stride.iter().all(|&stride| stride <= LONGEST_STRIDE);
        self.readers[output] == 1
            && window.padding == Padding::Valid
            && (within(0) && within(1) && before[2] == 0 && after[2] == 0)
            && (is_near && supports(graph, reader))
    }

    /// The shape of a tensor, without a padding that is fused into what reads it.
    fn unpadded(&self, graph: &Graph, tensor: TensorId) -> Shape {
        let writer = self.writer[tensor].map(|idx| &graph.ops[idx]);
        match writer {
            Some(op) if matches!(op.kind, OpKind::Pad { .. }) && self.is_fused(graph, op) => {
                graph.op_input(op)
            }
            _ => graph.tensors[tensor],
        }
    }
}
