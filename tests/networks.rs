//! Random networks with random weights, for tests.

use nas::{
    graph::{
        Activation, Function, Graph, GraphBuilder, OpKind, OpWeights, Padding, Shape, Slope, Style,
        TensorId, Weights, Window,
    },
    units::Rng,
};

/// Weights as an initialisation draws them, with some dead channels.
pub fn random_weights(graph: &Graph, rng: &mut Rng) -> Weights {
    let weights = graph.ops.iter().map(|op| {
        let count = graph.op_weight_len(op);
        let biases = graph.op_bias_len(op);
        if count == 0 {
            return None;
        }
        let taps = match op.kind {
            OpKind::DepthwiseConv2d(window) => window.taps(),
            _ => count / biases,
        };
        let spread = (2.0 / taps as f64).sqrt();
        let mut weight: Vec<f32> = (0..count).map(|_| (rng.normal() * spread) as f32).collect();
        if rng.below(8) == 0 && !matches!(op.kind, OpKind::DepthwiseConv2d(_)) {
            weight[..taps].fill(0.0);
        }
        let bias = (0..biases).map(|_| (rng.normal() * 0.3) as f32).collect();
        Some(OpWeights { weight, bias })
    });
    Weights(weights.collect())
}

/// A network of up to eight operators that uses odd sizes, strides, both paddings and every activation.
pub fn random_graph(seed: u64) -> Graph {
    let mut rng = Rng::new(seed, 0);
    let channels = [1, 1, 2, 3, 8, 20][rng.below(6)];
    let input = Shape::new(1 + rng.below(24), 1 + rng.below(24), channels);
    let mut builder = GraphBuilder::new(input);
    let mut x: TensorId = 0;
    let mut pools = Vec::new();
    for _ in 0..1 + rng.below(6) {
        x = random_operator(&mut builder, x, &mut pools, &mut rng);
    }
    if rng.below(2) == 0 {
        if rng.below(2) == 0 {
            x = builder.global_average_pool(x);
        }
        for _ in 0..1 + rng.below(3) {
            let features = 1 + rng.below(70);
            let style = random_style(&mut rng);
            x = builder.dense(x, features, style);
        }
        if rng.below(3) == 0 {
            let features = builder.shape(x).len();
            let other = builder.dense(x, features, random_style(&mut rng));
            x = builder.add(x, other);
        }
    }
    let mut graph = builder.finish(x);
    for op in &mut graph.ops {
        if let (OpKind::DepthwiseConv2d(window), true) = (op.kind, pools.contains(&op.output)) {
            op.kind = OpKind::AveragePool2d(window);
        }
        if matches!(op.kind, OpKind::Add | OpKind::AveragePool2d(_)) {
            op.activation = random_style(&mut rng).activation;
        }
    }
    graph
}

/// Outputs in `pools` are to become average pools, which the builder makes only over whole images.
fn random_operator(
    builder: &mut GraphBuilder,
    x: TensorId,
    pools: &mut Vec<TensorId>,
    rng: &mut Rng,
) -> TensorId {
    let shape = builder.shape(x);
    let style = random_style(rng);
    let channels = [1, 3, 4, 8, 16, 17, 24, 40, 72][rng.below(9)];
    match rng.below(8) {
        0 => builder.conv(x, channels, Window::same(1, 1), style),
        1 | 2 => {
            let window = random_window(shape, rng);
            builder.conv(x, channels, window, style)
        }
        3 | 4 => {
            let window = random_window(shape, rng);
            builder.depthwise(x, window, style)
        }
        5 => {
            let other = builder.conv(x, shape.channels, Window::same(3, 1), style);
            builder.add(x, other)
        }
        6 if shape.area() <= 300 => builder.upsample(x, [1 + rng.below(3), 1 + rng.below(3)]),
        6 => builder.add(x, x),
        _ if shape.area() > 1 => {
            let kernel = [
                1 + rng.below(shape.height.min(5)),
                1 + rng.below(shape.width.min(5)),
            ];
            let padding = [Padding::Same, Padding::Valid][rng.below(2)];
            let stride = [1 + rng.below(2), 1 + rng.below(2)];
            let window = Window {
                kernel,
                stride,
                padding,
                dilation: [1, 1],
            };
            pools.push(builder.depthwise(x, window, Style::LINEAR));
            pools[pools.len() - 1]
        }
        _ => builder.reshape(x, Shape::vector(shape.len())),
    }
}

/// A network with the operators that only files bring: pools, means, paddings, lone activations, softmax.
pub fn random_file_graph(seed: u64) -> Graph {
    let mut rng = Rng::new(seed, 2);
    let input = Shape::new(1 + rng.below(16), 1 + rng.below(16), 1 + rng.below(20));
    let mut builder = GraphBuilder::new(input);
    let mut x = builder.conv(0, 1 + rng.below(40), Window::same(3, 1), Style::LINEAR);
    for _ in 0..1 + rng.below(5) {
        let shape = builder.shape(x);
        let functions = [
            Function::Identity,
            Function::Relu,
            Function::Relu6,
            Function::Logistic,
            Function::Tanh,
            Function::HardSwish,
            Function::LeakyRelu(Slope::new([0.1, 0.3, 0.0, 1.5][rng.below(4)])),
        ];
        x = match rng.below(10) {
            0 | 1 => {
                let window = random_window(shape, &mut rng);
                builder.max_pool(x, window, random_style(&mut rng).activation)
            }
            2 | 3 => builder.lookup(x, functions[rng.below(7)]),
            4 => {
                let mut some = || [0, 1, 2, 3].map(|_| rng.below(3))[..3].try_into().unwrap();
                let (before, after) = (some(), some());
                builder.pad(x, before, after)
            }
            5 => builder.mean(x),
            8 => {
                let other = match rng.below(2) {
                    0 => builder.mean(x),
                    _ => builder.conv(x, shape.channels, Window::same(1, 1), Style::LINEAR),
                };
                builder.multiply(x, other)
            }
            6 => {
                let window = Window {
                    kernel: [1 + rng.below(3), 1 + rng.below(3)],
                    dilation: [1 + rng.below(4), 1 + rng.below(3)],
                    ..Window::same(3, 1)
                };
                let style = random_style(&mut rng);
                match rng.below(2) {
                    0 => builder.conv(x, 1 + rng.below(20), window, style),
                    _ => builder.depthwise(x, window, style),
                }
            }
            7 => builder.rows(x, 1 + rng.below(40), random_style(&mut rng)),
            _ => {
                let style = random_style(&mut rng);
                builder.depthwise(x, Window::same(3, 1), style)
            }
        };
    }
    if rng.below(2) == 0 {
        x = builder.dense(x, 1 + rng.below(600), Style::LINEAR);
    }
    if rng.below(2) == 0 {
        x = builder.softmax(x);
    }
    builder.finish(x)
}

fn random_window(input: Shape, rng: &mut Rng) -> Window {
    let kernel = [1 + rng.below(5), 1 + rng.below(5)];
    let fits = kernel[0] <= input.height && kernel[1] <= input.width;
    let padding = if fits && rng.below(2) == 0 {
        Padding::Valid
    } else {
        Padding::Same
    };
    let stride = 1 + rng.below(3);
    Window {
        kernel,
        stride: if rng.below(3) == 0 {
            [stride, 1]
        } else {
            [stride; 2]
        },
        padding,
        dilation: [1, 1],
    }
}

fn random_style(rng: &mut Rng) -> Style {
    let activations = [
        Activation::None,
        Activation::Relu,
        Activation::Relu6,
        Activation::ReluN1To1,
    ];
    let activation = activations[rng.below(4)];
    Style {
        activation,
        ..Style::LINEAR
    }
}
