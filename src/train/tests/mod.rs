//! Compares the network with burn's own operators, finite differences and a plain executor.

mod products;
mod training;

use std::collections::BTreeSet;

use burn::tensor::{Device, Tensor, TensorData};

use super::{
    fold::fold_batch_norm,
    fused::{BLOCK_LEN, Loss, Products},
    network::{Network, Pass},
};
use crate::{
    graph::{Activation, Graph, GraphBuilder, OpKind, Padding, Shape, Style, Weights, Window},
    units::Rng,
};

const RELU6: Style = Style {
    activation: Activation::Relu6,
    ..Style::BATCH_NORM
};
const BIAS_RELU: Style = Style {
    batch_norm: false,
    ..Style::BATCH_NORM_RELU
};

fn valid(kernel: [usize; 2], stride: [usize; 2]) -> Window {
    Window {
        kernel,
        stride,
        padding: Padding::Valid,
        dilation: [1, 1],
    }
}

/// One graph per operator and per property of the intermediate representation.
fn graphs() -> Vec<(&'static str, Graph, Loss)> {
    let build = |input, body: &dyn Fn(&mut GraphBuilder) -> usize| {
        let mut builder = GraphBuilder::new(input);
        let output = body(&mut builder);
        builder.finish(output)
    };
    let image = Shape::new(7, 6, 3);
    vec![
        (
            "dense",
            build(Shape::vector(20), &|b| {
                let x = b.dense(0, 13, Style::BATCH_NORM_RELU);
                let x = b.dense(x, 5, BIAS_RELU);
                b.dense(x, 20, Style::LINEAR)
            }),
            Loss::SquaredError,
        ),
        (
            "convolution, same, stride 2, pooled classifier",
            build(image, &|b| {
                let x = b.conv(0, 10, Window::same(3, 2), Style::BATCH_NORM_RELU);
                let x = b.conv(x, 12, Window::same(1, 1), RELU6);
                let x = b.global_average_pool(x);
                b.dense(x, 4, Style::LINEAR)
            }),
            Loss::CrossEntropy,
        ),
        (
            "convolution, valid, odd kernel and stride, flattened",
            build(image, &|b| {
                let x = b.conv(0, 5, valid([4, 2], [2, 3]), BIAS_RELU);
                let x = b.conv(x, 4, Window::same(2, 1), Style::BATCH_NORM_RELU);
                b.dense(x, 3, Style::LINEAR)
            }),
            Loss::CrossEntropy,
        ),
        (
            "convolution, 1 x 1, stride 2",
            build(image, &|b| {
                let x = b.conv(0, 8, Window::same(3, 1), Style::BATCH_NORM_RELU);
                let x = b.conv(x, 4, Window::same(1, 2), Style::BATCH_NORM);
                b.dense(x, 3, Style::LINEAR)
            }),
            Loss::CrossEntropy,
        ),
        (
            "depthwise, 27 channels, stride 2",
            build(image, &|b| {
                let x = b.conv(0, 27, Window::same(1, 1), Style::BATCH_NORM_RELU);
                let x = b.depthwise(x, Window::same(3, 2), Style::BATCH_NORM_RELU);
                b.dense(x, 3, Style::LINEAR)
            }),
            Loss::CrossEntropy,
        ),
        (
            "depthwise, 5 x 5 and 3 x 2, valid",
            build(Shape::new(9, 8, 16), &|b| {
                let x = b.depthwise(0, Window::same(5, 1), RELU6);
                let x = b.depthwise(x, valid([3, 2], [2, 1]), Style::BATCH_NORM_RELU);
                b.dense(x, 3, Style::LINEAR)
            }),
            Loss::CrossEntropy,
        ),
        (
            "residual block",
            build(image, &|b| {
                let stem = b.conv(0, 8, Window::same(3, 1), Style::BATCH_NORM);
                let x = b.conv(stem, 16, Window::same(1, 1), Style::BATCH_NORM_RELU);
                let x = b.depthwise(x, Window::same(3, 1), Style::BATCH_NORM_RELU);
                let x = b.conv(x, 8, Window::same(1, 1), Style::BATCH_NORM);
                let x = b.add(x, stem);
                let x = b.global_average_pool(x);
                b.dense(x, 4, Style::LINEAR)
            }),
            Loss::CrossEntropy,
        ),
        (
            "convolutional autoencoder",
            build(Shape::new(8, 4, 1), &|b| {
                let x = b.conv(0, 6, Window::same(3, 2), Style::BATCH_NORM_RELU);
                let x = b.upsample(x, [2, 2]);
                let x = b.depthwise(x, Window::same(3, 1), Style::BATCH_NORM_RELU);
                b.conv(x, 1, Window::same(3, 1), Style::LINEAR)
            }),
            Loss::SquaredError,
        ),
        (
            "autoencoder with outliers",
            build(Shape::vector(20), &|b| {
                let x = b.dense(0, 6, Style::BATCH_NORM_RELU);
                b.dense(x, 20, Style::LINEAR)
            }),
            Loss::Margin {
                kept: 3,
                weight: 0.5,
            },
        ),
    ]
}

const BATCH: usize = 6;

fn random(shape: [usize; 2], rng: &mut Rng, device: &Device) -> Tensor<2> {
    let values: Vec<f32> = (0..shape[0] * shape[1])
        .map(|_| rng.normal() as f32)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Input and target for one batch.
fn batch(graph: &Graph, loss: Loss, size: usize, device: &Device) -> (Tensor<2>, Tensor<2>) {
    let mut rng = Rng::new(5, 5);
    let x = random([size, graph.input_shape().len()], &mut rng, device);
    let target = match loss {
        Loss::SquaredError => x.clone(),
        // Near enough to the outputs that some outliers are inside the margin.
        Loss::Margin { .. } => x.clone() * 0.3,
        Loss::CrossEntropy => {
            let logits = random([size, graph.output_shape().len()], &mut rng, device);
            burn::tensor::activation::softmax(logits, 1)
        }
    };
    (x, target)
}

fn pass() -> Pass<'static> {
    Pass {
        dropout: None,
        record_moments: true,
    }
}

/// Checks that values differ by no more than f32 sums of few values in different orders do.
fn close(ours: &[f32], theirs: &[f32], what: &str) {
    close_to(2e-4, ours, theirs, what);
}

/// Checks that values differ by no more than a share of the largest one.
fn close_to(tolerance: f32, ours: &[f32], theirs: &[f32], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let scale = theirs
        .iter()
        .fold(1e-2f32, |most, value| most.max(value.abs()));
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert!(
            (ours - theirs).abs() <= tolerance * scale,
            "{what}: {ours} is not {theirs}"
        );
    }
}

/// Samples of which even the smallest operator's output fills two blocks of the fused operators and begins a third.
fn several_blocks(graph: &Graph) -> usize {
    let outputs = graph.ops.iter().map(|op| graph.op_output(op).len());
    2 * BLOCK_LEN / outputs.min().unwrap_or(1) + 1
}

#[test]
fn fused_operators_agree_with_burns_own() {
    for (name, graph, loss) in graphs() {
        agrees(name, &graph, loss, BATCH, 2e-4);
    }
}

/// Sums across blocks are compared on three of the graphs: dense, convolution, depthwise convolution.
#[test]
fn fused_operators_agree_with_burns_own_over_several_blocks() {
    let is_compared =
        |name: &str| ["dense", "residual block", "convolutional autoencoder"].contains(&name);
    for (name, graph, loss) in graphs() {
        if is_compared(name) {
            // A sum of a million values of either sign is good to some 1e-3 in 32 bits, in any order.
            agrees(name, &graph, loss, several_blocks(&graph), 5e-3);
        }
    }
}

fn agrees(name: &str, graph: &Graph, loss: Loss, size: usize, tolerance: f32) {
    let close = |ours: &[f32], theirs: &[f32], what: &str| close_to(tolerance, ours, theirs, what);
    let device = Device::flex().autodiff();
    let run = |products| {
        let mut network = Network::new(graph, products, &mut Rng::new(3, 0), &device);
        network.disturb(&mut Rng::new(4, 0));
        let (x, target) = batch(graph, loss, size, &device);
        let output = network.forward(x.clone(), &mut pass());
        let value = network.loss(x, target, loss, &mut pass());
        let gradients = network.gradients(&value.backward());
        (
            output.into_data().try_into_vec::<f32>().unwrap(),
            value.into_scalar::<f32>(),
            gradients,
            network.moments(),
        )
    };
    let (fused, stock) = (run(Some(Products::Single)), run(None));
    close(&fused.0, &stock.0, &format!("{name}: output"));
    close(&[fused.1], &[stock.1], &format!("{name}: loss"));
    assert_eq!(fused.2.len(), stock.2.len());
    for (idx, (fused, stock)) in fused.2.iter().zip(&stock.2).enumerate() {
        close(fused, stock, &format!("{name}: gradient {idx}"));
    }
    for (idx, (fused, stock)) in fused.3.iter().zip(&stock.3).enumerate() {
        close(&fused[0], &stock[0], &format!("{name}: mean {idx}"));
        close(&fused[1], &stock[1], &format!("{name}: variance {idx}"));
    }
}

#[test]
fn gradients_agree_with_finite_differences() {
    let device = Device::flex().autodiff();
    for (wanted, graph, loss) in graphs() {
        let mut network =
            Network::new(&graph, Some(Products::Single), &mut Rng::new(3, 0), &device);
        network.disturb(&mut Rng::new(4, 0));
        let (x, target) = batch(&graph, loss, BATCH, &device);
        let value = network.loss(x.clone(), target.clone(), loss, &mut pass());
        let gradients = network.gradients(&value.backward());
        let mut at = |parameter, idx, change| {
            network.nudge(parameter, idx, change);
            let value = network.loss(x.clone(), target.clone(), loss, &mut pass());
            network.nudge(parameter, idx, -change);
            f64::from(value.into_scalar::<f32>())
        };
        for (parameter, gradient) in gradients.iter().enumerate() {
            let last = gradient.len() - 1;
            let probed = BTreeSet::from([0, last / 3, last / 2, last]);
            let step = 1e-3;
            let slopes = probed.iter().map(|&idx| {
                let slope = at(parameter, idx, step) - at(parameter, idx, -step);
                (slope / (2.0 * f64::from(step)), f64::from(gradient[idx]))
            });
            let slopes: Vec<(f64, f64)> = slopes.collect();
            // The loss is near 1 and carries 1e-7 of rounding, which the step turns into 1e-4. A step that passes a kink of a
            // rectifier spoils a slope; a wrong derivative spoils most.
            let is_right = |(slope, gradient): &&(f64, f64)| {
                (slope - gradient).abs() < 2e-3 + 0.05 * slope.abs()
            };
            let right = slopes.iter().filter(is_right).count();
            assert!(
                2 * right >= slopes.len(),
                "{wanted}, {parameter}: {slopes:?}"
            );
        }
    }
}

#[test]
fn a_bias_before_batch_norm_is_honoured() {
    let (mut weight, mut bias) = (vec![1.0, 2.0, -3.0, 4.0], vec![0.5, -0.25]);
    let moments = [vec![0.1, 0.2], vec![4.0 - 1e-3, 0.25 - 1e-3]];
    fold_batch_norm(&mut weight, &mut bias, &[3.0, 0.5], &[0.7, -0.7], &moments);
    close(&weight, &[1.5, 2.0, -4.5, 4.0], "weight");
    close(&bias, &[1.5 * 0.4 + 0.7, -0.45 - 0.7], "bias");
}

#[test]
fn folded_weights_compute_what_was_trained() {
    let device = Device::flex();
    for (name, graph, loss) in graphs() {
        let mut network =
            Network::new(&graph, Some(Products::Single), &mut Rng::new(3, 0), &device);
        network.disturb(&mut Rng::new(4, 0));
        let (x, _) = batch(&graph, loss, BATCH, &device);
        let trained = network
            .forward(x.clone(), &mut pass())
            .into_data()
            .try_into_vec::<f32>()
            .unwrap();
        let weights = network.folded(&network.moments());
        let x = x.into_data().try_into_vec::<f32>().unwrap();
        let plain = x
            .chunks_exact(graph.input_shape().len())
            .flat_map(|x| execute(&graph, &weights, x));
        close(&plain.collect::<Vec<_>>(), &trained, name);
    }
}

/// The simplest executor of a graph with folded weights.
fn execute(graph: &Graph, weights: &Weights, x: &[f32]) -> Vec<f32> {
    let mut tensors: Vec<Vec<f32>> = graph
        .tensors
        .iter()
        .map(|shape| vec![0.0; shape.len()])
        .collect();
    tensors[graph.input] = x.to_vec();
    for (op, weights) in graph.ops.iter().zip(&weights.0) {
        let (input, output) = (graph.op_input(op), graph.op_output(op));
        let x = &tensors[op.inputs[0]];
        let value = |y: usize, x_at: usize, c: usize| match op.kind {
            OpKind::MaxPool2d(_)
            | OpKind::Mean
            | OpKind::Pad { .. }
            | OpKind::Lookup(_)
            | OpKind::Softmax
            | OpKind::Multiply
            | OpKind::Foreign(_) => unreachable!("nothing trains it"),
            OpKind::Reshape => x[(y * output.width + x_at) * output.channels + c],
            OpKind::Add => {
                let at = (y * output.width + x_at) * output.channels + c;
                x[at] + tensors[op.inputs[1]][at]
            }
            OpKind::Upsample([fy, fx]) => {
                x[(y / fy * input.width + x_at / fx) * input.channels + c]
            }
            OpKind::FullyConnected => {
                let weights = weights.as_ref().unwrap();
                let row = &weights.weight[c * x.len()..][..x.len()];
                weights.bias[c] + row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>()
            }
            OpKind::Conv2d(window)
            | OpKind::DepthwiseConv2d(window)
            | OpKind::AveragePool2d(window) => {
                let before = window.pad_before(input);
                let (mut sum, mut count) = (0.0, 0);
                for ky in 0..window.kernel[0] {
                    for kx in 0..window.kernel[1] {
                        let Some(iy) = (y * window.stride[0] + ky).checked_sub(before[0]) else {
                            continue;
                        };
                        let Some(ix) = (x_at * window.stride[1] + kx).checked_sub(before[1]) else {
                            continue;
                        };
                        if iy >= input.height || ix >= input.width {
                            continue;
                        }
                        count += 1;
                        let pixel =
                            &x[(iy * input.width + ix) * input.channels..][..input.channels];
                        let tap = ky * window.kernel[1] + kx;
                        sum += match op.kind {
                            OpKind::AveragePool2d(_) => pixel[c],
                            OpKind::DepthwiseConv2d(_) => {
                                pixel[c]
                                    * weights.as_ref().unwrap().weight[tap * input.channels + c]
                            }
                            _ => {
                                let at = (c * window.taps() + tap) * input.channels;
                                let row = &weights.as_ref().unwrap().weight[at..];
                                pixel.iter().zip(row).map(|(x, w)| x * w).sum::<f32>()
                            }
                        };
                    }
                }
                match weights {
                    Some(weights) => sum + weights.bias[c],
                    None => sum / count as f32,
                }
            }
        };
        let mut result = Vec::new();
        for y in 0..output.height {
            for x in 0..output.width {
                for c in 0..output.channels {
                    result.push(match op.activation {
                        Activation::None => value(y, x, c),
                        Activation::Relu => value(y, x, c).max(0.0),
                        Activation::Relu6 => value(y, x, c).clamp(0.0, 6.0),
                        Activation::ReluN1To1 => value(y, x, c).clamp(-1.0, 1.0),
                    });
                }
            }
        }
        tensors[op.output] = result;
    }
    tensors.swap_remove(graph.output)
}
