//! The float network in batches, for calibration and for float scores.

use gemm::Parallelism;

use crate::graph::{
    Activation, Function, Graph, Op, OpKind, OpWeights, Shape, TensorId, Weights, Window,
};

/// The network's output for every input, on the calling thread.
///
/// # Panics
/// Where an input is not as long as the network's, or weights do not belong to the graph.
pub fn run_float(graph: &Graph, weights: &Weights, inputs: &[&[f32]]) -> Vec<Vec<f32>> {
    let length = graph.output_shape().len();
    let mut outputs = Vec::with_capacity(inputs.len());
    visit_tensors(graph, weights, inputs, |tensor, values| {
        if tensor == graph.output {
            outputs.extend(values.chunks_exact(length).map(<[f32]>::to_vec));
        }
    });
    outputs
}

/// Runs the network and shows the values of every tensor, those of several inputs one after another.
///
/// # Panics
/// Where an input is not as long as the network's, or weights do not belong to the graph.
pub fn visit_tensors(
    graph: &Graph,
    weights: &Weights,
    inputs: &[&[f32]],
    mut visit: impl FnMut(TensorId, &[f32]),
) {
    if graph.is_dilated() {
        let filled = graph.filled_weights(weights);
        return visit_tensors(&graph.filled(), &filled, inputs, visit);
    }
    let largest = graph.tensors.iter().map(Shape::len).max().unwrap_or(1);
    let batch = (BATCH_FLOATS / largest).clamp(1, 256);
    let mut tensors: Vec<Vec<f32>> = vec![Vec::new(); graph.tensors.len()];
    let mut patches = Vec::new();
    for inputs in inputs.chunks(batch) {
        let input = &mut tensors[graph.input];
        input.clear();
        for values in inputs {
            assert_eq!(
                values.len(),
                graph.input_shape().len(),
                "inputs fit the network"
            );
            input.extend_from_slice(values);
        }
        visit(graph.input, input);
        for (op, weights) in graph.ops.iter().zip(&weights.0) {
            let mut output = std::mem::take(&mut tensors[op.output]);
            output.resize(graph.op_output(op).len() * inputs.len(), 0.0);
            run_op(
                graph,
                op,
                weights.as_ref(),
                &tensors,
                &mut patches,
                &mut output,
            );
            activate(op.activation, &mut output);
            visit(op.output, &output);
            tensors[op.output] = output;
        }
    }
}

/// Values of the largest tensor in one batch: 1 MiB, which stays in a core's second-level cache.
const BATCH_FLOATS: usize = 1 << 18;
/// Values of gathered windows in one product.
const PATCH_FLOATS: usize = 1 << 16;

fn run_op(
    graph: &Graph,
    op: &Op,
    weights: Option<&OpWeights>,
    tensors: &[Vec<f32>],
    patches: &mut Vec<f32>,
    output: &mut [f32],
) {
    let (from, to) = (graph.op_input(op), graph.op_output(op));
    let input = &tensors[op.inputs[0]];
    let weights = || weights.expect("operators with weights have them");
    match &op.kind {
        OpKind::FullyConnected => product(input, weights(), output),
        OpKind::Conv2d(window) if window.kernel == [1, 1] && window.stride == [1, 1] => {
            product(input, weights(), output);
        }
        OpKind::Conv2d(window) => convolve(input, window, from, to, weights(), patches, output),
        OpKind::DepthwiseConv2d(window) => depthwise(input, window, from, to, weights(), output),
        OpKind::AveragePool2d(window) => average(input, window, from, to, output),
        OpKind::Add => {
            let right = &tensors[op.inputs[1]];
            for ((output, left), right) in output.iter_mut().zip(input).zip(right) {
                *output = left + right;
            }
        }
        OpKind::Multiply => {
            // One pixel of each image stands for all of its pixels.
            let (right, one) = (&tensors[op.inputs[1]], graph.tensors[op.inputs[1]].len());
            let images = output
                .chunks_exact_mut(to.len())
                .zip(input.chunks_exact(from.len()));
            for ((output, left), right) in images.zip(right.chunks_exact(one)) {
                let pairs = left.iter().zip(right.iter().cycle());
                for (output, (left, right)) in output.iter_mut().zip(pairs) {
                    *output = left * right;
                }
            }
        }
        OpKind::MaxPool2d(window) => largest(input, window, from, to, output),
        OpKind::Mean => {
            let images = input.chunks_exact(from.len());
            for (image, output) in images.zip(output.chunks_exact_mut(to.len())) {
                output.fill(0.0);
                for pixel in image.chunks_exact(from.channels) {
                    for (output, value) in output.iter_mut().zip(pixel) {
                        *output += value / from.area() as f32;
                    }
                }
            }
        }
        OpKind::Pad { before, .. } => pad(input, *before, from, to, output),
        OpKind::Lookup(function) => {
            output.copy_from_slice(input);
            match function {
                Function::Identity => {}
                Function::Relu => activate(Activation::Relu, output),
                Function::Relu6 => activate(Activation::Relu6, output),
                Function::Logistic => output
                    .iter_mut()
                    .for_each(|value| *value = 1.0 / (1.0 + (-*value).exp())),
                Function::Tanh => output.iter_mut().for_each(|value| *value = value.tanh()),
                Function::HardSwish => output
                    .iter_mut()
                    .for_each(|value| *value *= (*value + 3.0).clamp(0.0, 6.0) / 6.0),
                Function::LeakyRelu(slope) => output
                    .iter_mut()
                    .filter(|value| **value < 0.0)
                    .for_each(|value| *value *= slope.value()),
            }
        }
        OpKind::Softmax => {
            let rows = input.chunks_exact(from.channels);
            for (row, output) in rows.zip(output.chunks_exact_mut(from.channels)) {
                let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let sum: f32 = row.iter().map(|value| (value - largest).exp()).sum();
                for (output, value) in output.iter_mut().zip(row) {
                    *output = (value - largest).exp() / sum;
                }
            }
        }
        OpKind::Upsample(factor) => upsample(input, *factor, from, to, output),
        OpKind::Reshape => output.copy_from_slice(input),
        OpKind::Foreign(foreign) => unreachable!("nothing runs {}", foreign.name),
    }
}

fn activate(activation: Activation, values: &mut [f32]) {
    match activation {
        Activation::None => {}
        Activation::Relu => values.iter_mut().for_each(|value| *value = value.max(0.0)),
        Activation::Relu6 => values
            .iter_mut()
            .for_each(|value| *value = value.clamp(0.0, 6.0)),
        Activation::ReluN1To1 => values
            .iter_mut()
            .for_each(|value| *value = value.clamp(-1.0, 1.0)),
    }
}

/// `output[rows, channels] = input[rows, taps] * weight[channels, taps]^T + bias`.
#[expect(
    unsafe_code,
    reason = "gemm takes pointers; the lengths are checked right before"
)]
fn product(input: &[f32], weights: &OpWeights, output: &mut [f32]) {
    let channels = weights.bias.len();
    let taps = weights.weight.len() / channels;
    let rows = output.len() / channels;
    assert_eq!(
        [input.len(), weights.weight.len(), output.len()],
        [rows * taps, channels * taps, rows * channels],
        "matrices fit each other"
    );
    for row in output.chunks_exact_mut(channels) {
        row.copy_from_slice(&weights.bias);
    }
    // SAFETY: the three slices hold rows * channels, rows * taps and channels * taps values, and the strides
    // stay inside them.
    unsafe {
        gemm::gemm(
            rows,
            channels,
            taps,
            output.as_mut_ptr(),
            1,
            channels as isize,
            true,
            input.as_ptr(),
            1,
            taps as isize,
            weights.weight.as_ptr(),
            taps as isize,
            1,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

fn convolve(
    input: &[f32],
    window: &Window,
    from: Shape,
    to: Shape,
    weights: &OpWeights,
    patches: &mut Vec<f32>,
    output: &mut [f32],
) {
    let taps = window.taps() * from.channels;
    let pixels_at_once = (PATCH_FLOATS / taps).max(1);
    let row_taps = window.kernel[1] * from.channels;
    for (piece, output) in output.chunks_mut(pixels_at_once * to.channels).enumerate() {
        let pixels = output.len() / to.channels;
        patches.clear();
        patches.resize(pixels * taps, 0.0);
        for (idx, patch) in patches.chunks_exact_mut(taps).enumerate() {
            let pixel = piece * pixels_at_once + idx;
            let (image, pixel) = (pixel / to.area(), pixel % to.area());
            let input = &input[image * from.len()..][..from.len()];
            let [rows, columns] = [pixel / to.width, pixel % to.width];
            let (rows, columns) = (
                Overlap::new(window, from, 0, rows),
                Overlap::new(window, from, 1, columns),
            );
            let length = columns.count * from.channels;
            for row in 0..rows.count {
                let source = ((rows.image + row) * from.width + columns.image) * from.channels;
                let target = (rows.kernel + row) * row_taps + columns.kernel * from.channels;
                patch[target..target + length].copy_from_slice(&input[source..source + length]);
            }
        }
        product(patches, weights, output);
    }
}

fn depthwise(
    input: &[f32],
    window: &Window,
    from: Shape,
    to: Shape,
    weights: &OpWeights,
    output: &mut [f32],
) {
    let channels = from.channels;
    for_each_window(
        input,
        window,
        from,
        to,
        output,
        |input, rows, columns, output| {
            output.copy_from_slice(&weights.bias);
            for row in 0..rows.count {
                for column in 0..columns.count {
                    let source = (rows.image + row) * from.width + columns.image + column;
                    let tap = (rows.kernel + row) * window.kernel[1] + columns.kernel + column;
                    let source = &input[source * channels..][..channels];
                    let tap = &weights.weight[tap * channels..][..channels];
                    for ((output, value), weight) in output.iter_mut().zip(source).zip(tap) {
                        *output += value * weight;
                    }
                }
            }
        },
    );
}

fn average(input: &[f32], window: &Window, from: Shape, to: Shape, output: &mut [f32]) {
    let channels = from.channels;
    for_each_window(
        input,
        window,
        from,
        to,
        output,
        |input, rows, columns, output| {
            output.fill(0.0);
            for row in 0..rows.count {
                for column in 0..columns.count {
                    let source = (rows.image + row) * from.width + columns.image + column;
                    let source = &input[source * channels..][..channels];
                    for (output, value) in output.iter_mut().zip(source) {
                        *output += value;
                    }
                }
            }
            let count = (rows.count * columns.count) as f32;
            output.iter_mut().for_each(|output| *output /= count);
        },
    );
}

fn largest(input: &[f32], window: &Window, from: Shape, to: Shape, output: &mut [f32]) {
    let channels = from.channels;
    for_each_window(
        input,
        window,
        from,
        to,
        output,
        |input, rows, columns, output| {
            output.fill(f32::NEG_INFINITY);
            for row in 0..rows.count {
                for column in 0..columns.count {
                    let source = (rows.image + row) * from.width + columns.image + column;
                    let source = &input[source * channels..][..channels];
                    for (output, value) in output.iter_mut().zip(source) {
                        *output = output.max(*value);
                    }
                }
            }
        },
    );
}

fn pad(input: &[f32], before: [usize; 3], from: Shape, to: Shape, output: &mut [f32]) {
    output.fill(0.0);
    let images = input.chunks_exact(from.len());
    for (image, output) in images.zip(output.chunks_exact_mut(to.len())) {
        for (idx, pixel) in image.chunks_exact(from.channels).enumerate() {
            let (row, column) = (idx / from.width + before[0], idx % from.width + before[1]);
            let start = (row * to.width + column) * to.channels + before[2];
            output[start..start + from.channels].copy_from_slice(pixel);
        }
    }
}

fn upsample(input: &[f32], factor: [usize; 2], from: Shape, to: Shape, output: &mut [f32]) {
    let channels = from.channels;
    for (row, output) in output.chunks_exact_mut(to.width * channels).enumerate() {
        let (image, row) = (row / to.height, row % to.height);
        let source = (image * from.height + row / factor[0]) * from.width;
        for (column, output) in output.chunks_exact_mut(channels).enumerate() {
            let source = source + column / factor[1];
            output.copy_from_slice(&input[source * channels..][..channels]);
        }
    }
}

/// The part of a window that covers the image, along one axis.
#[derive(Debug, Clone, Copy)]
struct Overlap {
    /// First row or column of the image.
    image: usize,
    /// First row or column of the kernel.
    kernel: usize,
    count: usize,
}

impl Overlap {
    fn new(window: &Window, from: Shape, axis: usize, output: usize) -> Overlap {
        let length = [from.height, from.width][axis];
        let start = output * window.stride[axis];
        let pad = window.pad_before(from)[axis];
        let kernel = pad.saturating_sub(start);
        let image = start.saturating_sub(pad);
        let end = (start + window.kernel[axis])
            .saturating_sub(pad)
            .min(length);
        Overlap {
            image,
            kernel,
            count: end.saturating_sub(image),
        }
    }
}

/// Calls `each` with the image, both overlaps and the channels of every output pixel of every image.
fn for_each_window(
    input: &[f32],
    window: &Window,
    from: Shape,
    to: Shape,
    output: &mut [f32],
    mut each: impl FnMut(&[f32], Overlap, Overlap, &mut [f32]),
) {
    let columns: Vec<Overlap> = (0..to.width)
        .map(|column| Overlap::new(window, from, 1, column))
        .collect();
    let images = input.chunks_exact(from.len());
    for (input, output) in images.zip(output.chunks_exact_mut(to.len())) {
        let rows = output.chunks_exact_mut(to.width * to.channels);
        for (row, output) in rows.enumerate() {
            let row = Overlap::new(window, from, 0, row);
            let pixels = output.chunks_exact_mut(to.channels);
            for (output, column) in pixels.zip(&columns) {
                each(input, row, *column, output);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        graph::{GraphBuilder, OpWeights, Shape, Style, Window},
        units::Rng,
    };

    #[test]
    fn networks_side_by_side_give_the_mean_of_their_outputs() {
        let mut net = GraphBuilder::new(Shape::new(6, 5, 1));
        let x = net.conv(0, 4, Window::same(3, 2), Style::BATCH_NORM_RELU);
        let x = net.global_average_pool(x);
        let x = net.dense(x, 3, Style::LINEAR);
        let member = net.finish(x);
        let mut rng = Rng::new(1, 0);
        let mut drawn = |len: usize| (0..len).map(|_| rng.normal() as f32).collect::<Vec<f32>>();
        let input = drawn(30);
        for count in 1..=4 {
            let weights = |_| {
                let mut of_op = |op| OpWeights {
                    weight: drawn(member.op_weight_len(op)),
                    bias: drawn(member.op_bias_len(op)),
                };
                let ops = member.ops.iter();
                Weights(
                    ops.map(|op| op.kind.has_weights().then(|| of_op(op)))
                        .collect(),
                )
            };
            let each: Vec<Weights> = (0..count).map(weights).collect();
            let outputs: Vec<Vec<f32>> = each
                .iter()
                .map(|weights| run_float(&member, weights, &[&input]).remove(0))
                .collect();
            let all = member.side_by_side(count);
            assert_eq!(all.inputs(), [all.input]);
            assert_eq!(all.params(), count as u64 * member.params());
            let weights = Weights::side_by_side(&member, each);
            let mean = run_float(&all, &weights, &[&input]).remove(0);
            for (idx, mean) in mean.into_iter().enumerate() {
                let sum: f32 = outputs.iter().map(|output| output[idx]).sum();
                // Sums of a few products in another order.
                assert!((mean - sum / count as f32).abs() < 1e-5);
            }
        }
    }
}
