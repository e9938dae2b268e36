//! The int8 interpreter and the float executor against slow and obvious references, and hostile blobs.

use nas::{
    graph::{Activation, Graph, Op, OpKind, OpWeights, Shape, Weights, Window},
    quant::{
        Interpreter, QuantParams, QuantizedModel, quantize, quantize_multiplier, visit_tensors,
    },
    units::Rng,
};
use nas_kernels::{
    Model,
    blob::{self, BlobError},
};
use proptest::prelude::*;

use crate::networks::{random_graph, random_weights};

tests! {
    interpreter_equals_the_reference,
    float_executor_equals_the_reference,
    any_bytes_are_refused,
    damaged_blobs_never_panic,
    errors_name_what_is_wrong,
    blobs_run_at_any_address,
    degenerate_networks_are_quantised,
    int8_outputs_stay_near_float,
    inputs_are_quantised_with_scale_and_zero_point,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    fn interpreter_equals_the_reference(seed in 0u64..1 << 40) {
        let (model, windows) = random_model(seed);
        let blob = model.to_blob();
        let mut interpreter = Interpreter::new(&blob).expect("our own blob is accepted");
        for window in windows {
            let input: Vec<i8> = window.iter().map(|value| model.input().quantize(*value)).collect();
            prop_assert_eq!(interpreter.run(&input), reference_int8(&model, &input));
        }
    }

    fn float_executor_equals_the_reference(seed in 0u64..1 << 40) {
        let graph = random_graph(seed);
        let weights = random_weights(&graph, &mut Rng::new(seed, 1));
        let windows = random_windows(&graph, seed);
        let expected: Vec<Vec<Vec<f64>>> =
            windows.iter().map(|window| reference_float(&graph, &weights, window)).collect();
        let mut seen = vec![0; graph.tensors.len()];
        visit_tensors(&graph, &weights, &slices(&windows), |tensor, values| {
            let length = graph.tensors[tensor].len();
            for values in values.chunks_exact(length) {
                let expected = &expected[seen[tensor]][tensor];
                seen[tensor] += 1;
                let largest = expected.iter().fold(1.0, |a: f64, b| a.max(b.abs()));
                for (value, expected) in values.iter().zip(expected) {
                    // Sums of up to 2,000 products in 32 bits, several layers deep.
                    assert!((f64::from(*value) - expected).abs() <= 1e-4 * largest, "tensor {tensor}");
                }
            }
        });
        prop_assert!(seen.iter().all(|count| *count == windows.len()));
    }

    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Model::parse(&bytes).is_err());
    }

    /// Bytes that differ and a checksum that fits: the blob is refused, or it runs.
    fn damaged_blobs_never_panic(
        seed in 0u64..200,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (model, _) = random_model(seed);
        let mut blob = model.to_blob();
        let operators_end = blob::HEADER_BYTES
            + model.graph.tensors.len() * blob::TENSOR_BYTES
            + model.graph.ops.len() * blob::OP_BYTES;
        for (at, value) in damage {
            blob[at.index(operators_end)] = value;
        }
        blob::seal(&mut blob);
        if let Ok(model) = Model::parse(&blob) {
            // A huge arena is legal, and slow.
            if model.arena_bytes() < 1 << 16 {
                let mut arena = vec![0; model.arena_bytes()];
                model.session(&mut arena).expect("the arena is large enough").run();
            }
        }
    }
}

fn errors_name_what_is_wrong() {
    let (model, _) = random_model(1);
    let good = model.to_blob();
    let check = |change: &dyn Fn(&mut Vec<u8>), expected: &str| {
        let mut blob = good.clone();
        change(&mut blob);
        let message = Model::parse(&blob).expect_err(expected).to_string();
        assert!(message.contains(expected), "{message}");
    };
    let first_operator = blob::HEADER_BYTES + model.graph.tensors.len() * blob::TENSOR_BYTES;
    check(&|blob| blob.clear(), "not a model");
    check(&|blob| blob[0] = b'X', "not a model");
    check(&|blob| blob[8] = 99, "format version 99");
    check(
        &|blob| blob.truncate(blob.len() - 1),
        "corrupt: it should have",
    );
    check(
        &|blob| *blob.last_mut().unwrap() ^= 1,
        "corrupt: its checksum",
    );
    check(
        &|blob| {
            blob[first_operator] = 99;
            blob::seal(blob);
        },
        "operator 0 of the model is of kind 99",
    );
    let parsed = Model::parse(&good).expect("our own blob is accepted");
    let mut arena = vec![0; parsed.arena_bytes() - 1];
    let error = parsed
        .session(&mut arena)
        .expect_err("the arena is too small");
    assert!(matches!(error, BlobError::ArenaTooSmall { .. }));
}

fn blobs_run_at_any_address() {
    let (model, windows) = random_model(5);
    let input: Vec<i8> = windows[0]
        .iter()
        .map(|value| model.input().quantize(*value))
        .collect();
    let expected = reference_int8(&model, &input);
    for shift in 0..4 {
        let mut bytes = vec![0; shift];
        bytes.extend(model.to_blob());
        let mut interpreter = Interpreter::new(&bytes[shift..]).expect("our own blob is accepted");
        assert_eq!(interpreter.run(&input), expected, "at {shift}");
    }
}

/// Networks and windows without any spread still become models that run.
fn degenerate_networks_are_quantised() {
    for (scale, bias_scale) in [
        (0.0, 0.0),
        (0.0, 1.0),
        (1e-12, 1.0),
        (1e6, 1e9),
        (1.0, 1e12),
        (1e-30, 0.0),
    ] {
        for window_scale in [0.0, 1e-20, 1.0, 1e6] {
            for seed in 0..20 {
                let graph = random_graph(seed);
                let mut weights = random_weights(&graph, &mut Rng::new(seed, 1));
                for weights in weights.0.iter_mut().flatten() {
                    weights
                        .weight
                        .iter_mut()
                        .for_each(|weight| *weight *= scale);
                    weights.bias.iter_mut().for_each(|bias| *bias *= bias_scale);
                }
                let mut windows = random_windows(&graph, seed);
                windows
                    .iter_mut()
                    .flatten()
                    .for_each(|value| *value *= window_scale);
                let model = match quantize(&graph, &weights, &slices(&windows)) {
                    Ok(model) => model,
                    // Values beyond 32-bit floats are named.
                    Err(nas::quant::QuantizeError::NotFinite { .. }) => continue,
                    Err(error) => panic!("{scale} {bias_scale} {window_scale} {seed}: {error}"),
                };
                let input = vec![-128; graph.input_shape().len()];
                let blob = model.to_blob();
                let mut interpreter = Interpreter::new(&blob).expect("our own blob is accepted");
                assert_eq!(interpreter.run(&input), reference_int8(&model, &input));
            }
        }
    }
}

fn int8_outputs_stay_near_float() {
    let mut relative = Vec::new();
    for seed in 0..60 {
        let graph = random_graph(seed);
        let weights = random_weights(&graph, &mut Rng::new(seed, 1));
        let windows = random_windows(&graph, seed);
        let model = quantize(&graph, &weights, &slices(&windows)).expect("it is quantised");
        let blob = model.to_blob();
        let mut interpreter = Interpreter::new(&blob).expect("our own blob is accepted");
        let expected = nas::quant::run_float(&graph, &weights, &slices(&windows));
        let (mut error, mut power) = (0.0, 0.0);
        for (window, expected) in windows.iter().zip(&expected) {
            for (found, expected) in interpreter.run_float(window).zip(expected) {
                error += f64::from(found - expected).powi(2);
                power += f64::from(*expected).powi(2);
            }
        }
        relative.push((error / power.max(1e-12)).sqrt());
    }
    relative.sort_by(f64::total_cmp);
    // Each layer adds about one step in 255; random networks are up to ten layers deep.
    assert!(relative[30] < 0.05, "median {}", relative[30]);
}

fn inputs_are_quantised_with_scale_and_zero_point() {
    let check = |min, max, real, expected: i8| {
        let params = QuantParams::from_range(min, max);
        assert_eq!(params.quantize(real), expected, "{real} in {min}..={max}");
    };
    // Decibels: a cast without scale and zero point would saturate or wrap.
    check(-80.0, 0.0, -80.0, -128);
    check(-80.0, 0.0, -20.0, 63);
    check(-80.0, 0.0, 0.0, 127);
    check(-80.0, 0.0, 50.0, 127);
    check(-80.0, 0.0, -1e9, -128);
    check(0.0, 2.55, 0.0, -128);
    check(0.0, 2.55, 1.0, -28);
    // A range always contains zero, and zero is exact.
    check(10.0, 20.0, 0.0, -128);
    check(-1.0, 1.0, 0.0, -1);
    check(0.0, 0.0, 0.0, -128);
    let params = QuantParams {
        scale: 0.5,
        zero_point: 3,
    };
    assert_eq!(
        [0.25, -0.25, 0.75, -0.75].map(|real| params.quantize(real)),
        [4, 2, 5, 1]
    );
    assert_eq!(params.dequantize(5), 1.0);
}

fn random_model(seed: u64) -> (QuantizedModel, Vec<Vec<f32>>) {
    let graph = random_graph(seed);
    let weights = random_weights(&graph, &mut Rng::new(seed, 1));
    let windows = random_windows(&graph, seed);
    let model = quantize(&graph, &weights, &slices(&windows)).expect("the network is quantised");
    (model, windows)
}

fn random_windows(graph: &Graph, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = Rng::new(seed, 2);
    let length = graph.input_shape().len();
    (0..3)
        .map(|_| (0..length).map(|_| rng.normal() as f32).collect())
        .collect()
}

fn slices(windows: &[Vec<f32>]) -> Vec<&[f32]> {
    windows.iter().map(Vec::as_slice).collect()
}

/// Calls `tap(input index, weight tap)` for every tap of a window that lies on the image.
fn for_taps(window: &Window, from: Shape, at: [usize; 2], mut tap: impl FnMut(usize, usize)) {
    let pad = window.pad_before(from);
    for ky in 0..window.kernel[0] {
        for kx in 0..window.kernel[1] {
            let y = (at[0] * window.stride[0] + ky).wrapping_sub(pad[0]);
            let x = (at[1] * window.stride[1] + kx).wrapping_sub(pad[1]);
            if y < from.height && x < from.width {
                tap(
                    (y * from.width + x) * from.channels,
                    ky * window.kernel[1] + kx,
                );
            }
        }
    }
}

/// Every output element of an operator: its row, column, channel.
fn positions(to: Shape) -> impl Iterator<Item = ([usize; 2], usize)> {
    (0..to.len()).map(move |idx| {
        let pixel = idx / to.channels;
        ([pixel / to.width, pixel % to.width], idx % to.channels)
    })
}

/// One weighted operator, element by element: `input(index)` times weight, plus bias.
fn weighted<T: Copy + std::ops::AddAssign + std::ops::Mul<Output = T>>(
    graph: &Graph,
    op: &Op,
    input: &dyn Fn(usize) -> T,
    weight: &dyn Fn(usize) -> T,
    bias: &dyn Fn(usize) -> T,
) -> Vec<T> {
    let (from, to) = (graph.op_input(op), graph.op_output(op));
    let mut outputs = Vec::new();
    for (at, channel) in positions(to) {
        let mut sum = bias(channel);
        match op.kind {
            OpKind::Conv2d(window) => for_taps(&window, from, at, |pixel, tap| {
                for c in 0..from.channels {
                    let weight_idx = (channel * window.taps() + tap) * from.channels + c;
                    sum += input(pixel + c) * weight(weight_idx);
                }
            }),
            OpKind::DepthwiseConv2d(window) => for_taps(&window, from, at, |pixel, tap| {
                sum += input(pixel + channel) * weight(tap * to.channels + channel);
            }),
            OpKind::FullyConnected => {
                for idx in 0..from.len() {
                    sum += input(idx) * weight(channel * from.len() + idx);
                }
            }
            _ => unreachable!("only operators with weights come here"),
        }
        outputs.push(sum);
    }
    outputs
}

/// The network in 64 bits, every tensor.
fn reference_float(graph: &Graph, weights: &Weights, input: &[f32]) -> Vec<Vec<f64>> {
    let mut tensors = vec![Vec::new(); graph.tensors.len()];
    tensors[graph.input] = input.iter().map(|value| f64::from(*value)).collect();
    for (op, weights) in graph.ops.iter().zip(&weights.0) {
        let (from, to) = (graph.op_input(op), graph.op_output(op));
        let input: &Vec<f64> = &tensors[op.inputs[0]];
        let mut output = match (op.kind, weights) {
            (_, Some(OpWeights { weight, bias })) => weighted(
                graph,
                op,
                &|idx| input[idx],
                &|idx| f64::from(weight[idx]),
                &|channel| f64::from(bias[channel]),
            ),
            (OpKind::AveragePool2d(window), _) => positions(to)
                .map(|(at, channel)| {
                    let (mut sum, mut count) = (0.0, 0.0);
                    for_taps(&window, from, at, |pixel, _| {
                        sum += input[pixel + channel];
                        count += 1.0;
                    });
                    sum / count
                })
                .collect(),
            (OpKind::Add, _) => input
                .iter()
                .zip(&tensors[op.inputs[1]])
                .map(|(left, right)| left + right)
                .collect(),
            (OpKind::Upsample(factor), _) => enlarged(input, from, to, factor),
            _ => input.clone(),
        };
        for value in &mut output {
            *value = match op.activation {
                Activation::None => *value,
                Activation::Relu => value.max(0.0),
                Activation::Relu6 => value.clamp(0.0, 6.0),
                Activation::ReluN1To1 => value.clamp(-1.0, 1.0),
            };
        }
        tensors[op.output] = output;
    }
    tensors
}

fn enlarged<T: Copy>(input: &[T], from: Shape, to: Shape, factor: [usize; 2]) -> Vec<T> {
    positions(to)
        .map(|([y, x], channel)| {
            input[(y / factor[0] * from.width + x / factor[1]) * from.channels + channel]
        })
        .collect()
}

/// The int8 network as TFLite's documentation and TFLM's reference kernels describe it, in 64 bits, from the
/// quantised model and not from the blob.
fn reference_int8(model: &QuantizedModel, input: &[i8]) -> Vec<i8> {
    let graph = &model.graph;
    let mut tensors = vec![Vec::new(); graph.tensors.len()];
    tensors[graph.input] = input.iter().map(|value| i64::from(*value)).collect();
    for (op, weights) in graph.ops.iter().zip(&model.ops) {
        let (from, to) = (graph.op_input(op), graph.op_output(op));
        let (input_params, params) = (model.tensors[op.inputs[0]], model.tensors[op.output]);
        let input: &Vec<i64> = &tensors[op.inputs[0]];
        let zero_point = i64::from(params.zero_point);
        let mut output: Vec<i64> = match (op.kind, weights) {
            (_, Some(weights)) => {
                let sums = weighted(
                    graph,
                    op,
                    &|idx| input[idx] - i64::from(input_params.zero_point),
                    &|idx| i64::from(weights.weight[idx]),
                    &|channel| i64::from(weights.bias[channel]),
                );
                let scale = |channel: usize| match op.kind {
                    OpKind::FullyConnected => {
                        f64::from(input_params.scale * weights.weight_scales[0])
                    }
                    _ => f64::from(input_params.scale) * f64::from(weights.weight_scales[channel]),
                };
                sums.iter()
                    .zip(positions(to))
                    .map(|(sum, (_, channel))| {
                        scaled(*sum, scale(channel) / f64::from(params.scale)) + zero_point
                    })
                    .collect()
            }
            (OpKind::AveragePool2d(window), _) => positions(to)
                .map(|(at, channel)| {
                    let (mut sum, mut count) = (0, 0);
                    for_taps(&window, from, at, |pixel, _| {
                        sum += input[pixel + channel];
                        count += 1;
                    });
                    let half = if sum > 0 { count / 2 } else { -(count / 2) };
                    (sum + half) / count
                })
                .collect(),
            (OpKind::Add, _) => {
                let right_params = model.tensors[op.inputs[1]];
                let twice = 2.0 * f64::from(input_params.scale.max(right_params.scale));
                let raised = |value: i64, params: QuantParams| {
                    scaled(
                        (value - i64::from(params.zero_point)) << 20,
                        f64::from(params.scale) / twice,
                    )
                };
                let right = &tensors[op.inputs[1]];
                let sums = input.iter().zip(right).map(|(left, right)| {
                    raised(*left, input_params) + raised(*right, right_params)
                });
                let back = twice / ((1 << 20) as f64 * f64::from(params.scale));
                sums.map(|sum| scaled(sum, back) + zero_point).collect()
            }
            (OpKind::Upsample(factor), _) => enlarged(input, from, to, factor),
            _ => input.clone(),
        };
        // TFLite divides in 32 bits here, which decides ties: 6 / (12 / 255) is 127.5 and rounds up.
        let at = |real: f32| zero_point + (real / params.scale).round() as i64;
        for value in &mut output {
            let (min, max) = match op.activation {
                Activation::None => (-128, 127),
                Activation::Relu => (at(0.0).max(-128), 127),
                Activation::Relu6 => (at(0.0).max(-128), at(6.0).min(127)),
                Activation::ReluN1To1 => (at(-1.0).max(-128), at(1.0).min(127)),
            };
            *value = (*value).max(min).min(max);
        }
        tensors[op.output] = output;
    }
    tensors[graph.output]
        .iter()
        .map(|value| *value as i8)
        .collect()
}

/// Two roundings: of the product, up; of the shift, away from zero.
fn scaled(x: i64, real: f64) -> i64 {
    let factor = quantize_multiplier(real);
    let shifted = x << factor.shift.max(0);
    let high = (shifted * i64::from(factor.multiplier) + (1 << 30)).div_euclid(1 << 31);
    let by = (-factor.shift).max(0);
    let half = (1i64 << by) / 2;
    if high >= 0 {
        (high + half) >> by
    } else {
        -((-high + half) >> by)
    }
}
