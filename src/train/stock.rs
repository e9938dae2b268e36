//! The computations of the fused operators with burn's own operators: for other devices, and as the reference in
//! tests.

use burn::tensor::{
    Tensor, activation,
    module::{avg_pool2d, conv2d},
    ops::{AvgPoolOptions, ConvOptions},
};

use super::{
    fused::{Kernel, Loss, OUTLIER_ERROR},
    kernels::Geometry,
};
use crate::graph::{Shape, Window};

/// Turns `[batch, h * w * c]` into NCHW for burn's own operators.
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

/// An average pool with burn's own operators.
pub fn average_pool(x: Tensor<2>, window: Window, input: Shape, output: [usize; 2]) -> Tensor<2> {
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
pub fn operator(
    x: Tensor<2>,
    kernel: &Kernel,
    weight: Option<Tensor<2>>,
    output: Shape,
) -> Tensor<2> {
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

/// A loss with burn's own operators, `[1, 1]`.
pub fn loss(output: Tensor<2>, target: Tensor<2>, loss: Loss) -> Tensor<2> {
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
        Loss::Margin { kept, weight } => {
            let difference = output - target;
            let errors = (difference.clone() * difference).mean_dim(1);
            let all = errors.dims()[0];
            let missing = (errors.clone().slice(kept..all) * -1.0 + OUTLIER_ERROR).clamp_min(0.0);
            (errors.slice(0..kept).mean() + missing.mean() * weight).reshape([1, 1])
        }
    }
}
