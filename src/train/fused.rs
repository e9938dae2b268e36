//! Fused operators for burn's `flex` back end, each one node of the autodiff graph with its own backward pass.
//!
//! The idea: batch norm and activation of an operator (its [`Epilogue`]) are not computed by that operator
//! but by the one that reads its output, block by block while the block is in the cache. Between two
//! operators only the raw products are stored, once, and the statistics of a product are summed while it
//! is still in the cache.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::{
    backend::{
        Autodiff, Dispatch, Flex,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        tensor::FloatTensor,
    },
    tensor::{Bytes, DType, Shape as TensorShape, Tensor},
};
use burn_flex::{FlexTensor, Layout};

use super::kernels::{self, Geometry, Operand, folded, matrix_product, tiled};

/// Added to the variance in batch norm, as Keras does.
pub const EPSILON: f64 = 1e-3;

/// Values of the larger side of an operator that are worked on at once: half of a common L2 cache.
const BLOCK_LEN: usize = 64 * 1024;

/// Mean and biased variance per channel of an operator's raw output in the present batch.
pub type Moments = Arc<Mutex<[Vec<f32>; 2]>>;

/// What an operator does with its raw output: batch norm or bias, then the activation's bounds.
#[derive(Debug, Clone)]
pub struct Epilogue {
    pub channels: usize,
    /// Set where a batch norm stands here.
    pub moments: Option<Moments>,
    pub bounds: [f32; 2],
}

/// What a fused node computes from its input, once the input's epilogue has been applied.
#[derive(Debug, Clone)]
pub enum Kernel {
    /// Nothing: only the epilogue.
    Identity,
    /// Convolution as a product with a `[taps * channels, out]` matrix.
    Convolution(Geometry),
    /// Depthwise convolution with `[taps, channels]` weights.
    Depthwise(Geometry),
    /// Product with a `[in, out]` matrix.
    Dense,
    /// Nearest neighbour by whole factors; `input` is `[height, width, channels]`.
    Upsample {
        input: [usize; 3],
        factor: [usize; 2],
    },
    /// Mean squared difference to the target, which stands in the weight's place.
    SquaredError,
    /// Mean cross-entropy of the softmax to target probabilities in the weight's place.
    CrossEntropy,
}

/// One fused node.
#[derive(Debug)]
pub struct Node {
    pub kernel: Kernel,
    /// Of the input; `None` where the input is a plain tensor.
    pub epilogue: Option<Epilogue>,
    /// Values per sample.
    pub output_len: usize,
    /// Where to leave the moments of the output, and its channels.
    pub record: Option<(usize, Moments)>,
    pub workspace: Arc<Mutex<Workspace>>,
}

/// Buffers that live as long as the training, so that no step allocates or touches fresh pages.
#[derive(Debug, Default)]
pub struct Workspace {
    /// Outputs and gradients; one can be reused when nobody else holds it.
    tensors: Vec<FlexTensor>,
    input: Vec<f32>,
    image: Vec<f32>,
    image_gradient: Vec<f32>,
    columns: Vec<f32>,
    column_gradient: Vec<f32>,
}

impl Workspace {
    /// A tensor with arbitrary content that nobody else holds.
    fn take(&mut self, shape: [usize; 2]) -> FlexTensor {
        let len = shape[0] * shape[1];
        let free = |t: &FlexTensor| t.is_unique() && t.layout().shape().num_elements() == len;
        match self.tensors.iter().position(free) {
            Some(idx) => {
                let layout = Layout::contiguous(TensorShape::from(shape));
                self.tensors.swap_remove(idx).with_layout(layout)
            }
            None => flex(vec![0.0; len], shape),
        }
    }

    /// Gives a tensor away and remembers it for later.
    fn share(&mut self, tensor: FlexTensor) -> FlexTensor {
        self.tensors.push(tensor.clone());
        tensor
    }
}

#[backend_extension(Autodiff, Flex)]
pub trait Fused: burn::backend::Backend {
    /// `x`: `[batch, in]`; `scale` and `shift` of its epilogue: `[channels]`, or anything where it has none.
    fn fused(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        node: Arc<Node>,
    ) -> FloatTensor<Self>;
}

/// Applies one fused node; the output is `[batch, out]`, or `[1, 1]` for a loss.
pub fn fused(
    x: Tensor<2>,
    scale: Tensor<1>,
    shift: Tensor<1>,
    weight: Tensor<2>,
    node: Node,
) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as Fused>::fused(
        x.into_dispatch(),
        scale.into_dispatch(),
        shift.into_dispatch(),
        weight.into_dispatch(),
        Arc::new(node),
    ))
}

impl Fused for Flex {
    fn fused(
        x: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        weight: FlexTensor,
        node: Arc<Node>,
    ) -> FlexTensor {
        forward(&contiguous(x), &scale, &shift, &contiguous(weight), &node).output
    }
}

impl<C: CheckpointStrategy> Fused for Autodiff<Flex, C> {
    fn fused(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        node: Arc<Node>,
    ) -> FloatTensor<Self> {
        let parents = [x.node(), scale.node(), shift.node(), weight.node()];
        let (x, weight) = (
            contiguous(x.into_primitive()),
            contiguous(weight.into_primitive()),
        );
        let (scale, shift) = (scale.into_primitive(), shift.into_primitive());
        let Forward {
            output,
            affine,
            saved,
        } = forward(&x, &scale, &shift, &weight, &node);
        match FusedBackward
            .prepare::<C>(parents)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => prepared.finish((x, weight, affine, saved, node), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

#[derive(Debug)]
struct FusedBackward;

impl Backward<Flex, 4> for FusedBackward {
    type State = (
        FlexTensor,
        FlexTensor,
        Option<Affine>,
        Option<FlexTensor>,
        Arc<Node>,
    );

    fn backward(
        self,
        ops: Ops<Self::State, 4>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let given = contiguous(gradients.consume::<Flex>(&ops.node));
        let (x, weight, affine, saved, node) = ops.state;
        let [x_node, scale_node, shift_node, weight_node] = ops.parents;
        let wanted = x_node.is_some() || scale_node.is_some() || shift_node.is_some();
        let tensors = Tensors {
            x: &x,
            weight: &weight,
            saved: saved.as_ref(),
        };
        let result = backward(&given, tensors, affine.as_ref(), &node, wanted);
        if let (Some(node), Some(x)) = (x_node, result.x) {
            gradients.register::<Flex>(node.id, x);
        }
        if let Some((scale, shift)) = result.affine {
            if let Some(node) = scale_node {
                gradients.register::<Flex>(node.id, vector(scale));
            }
            if let Some(node) = shift_node {
                gradients.register::<Flex>(node.id, vector(shift));
            }
        }
        if let Some(node) = weight_node {
            let shape = weight.layout().shape();
            let shape = [shape[0], shape[1]];
            gradients.register::<Flex>(node.id, flex(result.weight, shape));
        }
    }
}

/// An epilogue as numbers: `clamp(x * scale + shift)`, tiled patterns.
#[derive(Debug, Clone)]
struct Affine {
    scale: Vec<f32>,
    shift: Vec<f32>,
    bounds: [f32; 2],
    channels: usize,
    /// Mean and reciprocal standard deviation, where there is a batch norm.
    normal: Option<[Vec<f32>; 2]>,
}

impl Affine {
    fn new(epilogue: &Epilogue, scale: &FlexTensor, shift: &FlexTensor) -> Affine {
        let shift = values(shift);
        let (scale, shift, normal) = match &epilogue.moments {
            None => (vec![1.0; epilogue.channels], shift.to_vec(), None),
            Some(moments) => {
                let [mean, variance] = lock(moments).clone();
                let inverse: Vec<f32> = variance.iter().map(|v| reciprocal_deviation(*v)).collect();
                let scale: Vec<f32> = values(scale)
                    .iter()
                    .zip(&inverse)
                    .map(|(scale, inverse)| scale * inverse)
                    .collect();
                let shift = shift.iter().zip(&mean).zip(&scale);
                let shift = shift
                    .map(|((shift, mean), scale)| shift - mean * scale)
                    .collect();
                (scale, shift, Some([mean, inverse]))
            }
        };
        Affine {
            scale: tiled(&scale),
            shift: tiled(&shift),
            bounds: epilogue.bounds,
            channels: epilogue.channels,
            normal,
        }
    }

    /// Whether it only adds a bias.
    fn is_offset(&self) -> bool {
        self.normal.is_none() && self.bounds == [f32::NEG_INFINITY, f32::INFINITY]
    }

    fn apply(&self, x: &[f32], out: &mut [f32]) {
        kernels::affine(x, &self.scale, &self.shift, self.bounds, out);
    }
}

/// `1 / sqrt(variance + EPSILON)`.
pub fn reciprocal_deviation(variance: f32) -> f32 {
    (1.0 / (f64::from(variance) + EPSILON).sqrt()) as f32
}

/// Samples that are worked on at once.
fn samples_per_block(node: &Node, input_len: usize, batch: usize) -> usize {
    (BLOCK_LEN / input_len.max(node.output_len)).clamp(1, batch)
}

struct Forward {
    output: FlexTensor,
    affine: Option<Affine>,
    /// What the backward pass would otherwise compute again: the input of a dense product with its
    /// epilogue applied, or a loss's gradient.
    saved: Option<FlexTensor>,
}

fn forward(
    x: &FlexTensor,
    scale: &FlexTensor,
    shift: &FlexTensor,
    weight: &FlexTensor,
    node: &Node,
) -> Forward {
    let epilogue = node.epilogue.as_ref();
    let affine = epilogue.map(|epilogue| Affine::new(epilogue, scale, shift));
    let shape = x.layout().shape();
    let (batch, input_len, output_len) = (shape[0], shape[1], node.output_len);
    let workspace = &mut *lock(&node.workspace);
    if matches!(node.kernel, Kernel::SquaredError | Kernel::CrossEntropy) {
        let mut gradient = workspace.take([batch, input_len]);
        let loss = loss(
            node,
            workspace,
            affine.as_ref(),
            x,
            weight,
            gradient.storage_mut(),
        );
        let saved = Some(workspace.share(gradient));
        let output = flex(vec![loss], [1, 1]);
        return Forward {
            output,
            affine,
            saved,
        };
    }
    let mut output = workspace.take([batch, output_len]);
    let out = output.storage_mut::<f32>();
    let mut saved = None;
    let record = node.record.as_ref();
    let mut sums = record.map(|(channels, _)| ColumnSums::new(*channels));
    if matches!(node.kernel, Kernel::Dense) {
        // A matrix product wants many rows, because it packs its operands anew for every block.
        let y = match &affine {
            None => x.clone(),
            Some(affine) => {
                let mut y = workspace.take([batch, input_len]);
                affine.apply(values(x), y.storage_mut());
                workspace.share(y)
            }
        };
        product(values(&y), input_len, values(weight), out);
        saved = Some(y);
        if let Some(sums) = &mut sums {
            sums.add(out);
        }
    } else {
        let step = samples_per_block(node, input_len, batch);
        let blocks = values(x).chunks(step * input_len);
        for (x, out) in blocks.zip(out.chunks_mut(step * output_len)) {
            let count = x.len() / input_len;
            forward_block(
                node,
                workspace,
                affine.as_ref(),
                x,
                values(weight),
                count,
                out,
            );
            if let Some(sums) = &mut sums {
                sums.add(out);
            }
        }
    }
    if let (Some(sums), Some((_, moments))) = (sums, record) {
        *lock(moments) = sums.moments();
    }
    let output = workspace.share(output);
    Forward {
        output,
        affine,
        saved,
    }
}

/// The loss, and its gradient to the output with the epilogue applied.
fn loss(
    node: &Node,
    workspace: &mut Workspace,
    affine: Option<&Affine>,
    x: &FlexTensor,
    target: &FlexTensor,
    gradient: &mut [f32],
) -> f32 {
    let shape = x.layout().shape();
    let (batch, len) = (shape[0], shape[1]);
    let mut sum = 0.0;
    let terms = match node.kernel {
        Kernel::SquaredError => batch * len,
        _ => batch,
    };
    let factor = 1.0 / terms as f32;
    let none = tiled(&[0.0]);
    let step = samples_per_block(node, len, batch) * len;
    let blocks = values(x).chunks(step).zip(values(target).chunks(step));
    for ((x, target), gradient) in blocks.zip(gradient.chunks_mut(step)) {
        match (&node.kernel, affine) {
            (Kernel::SquaredError, Some(affine)) if affine.is_offset() => {
                kernels::squared_error(x, &affine.shift, target, 2.0 * factor, gradient, &mut sum);
            }
            (Kernel::SquaredError, _) => {
                let y = apply(affine, x, &mut workspace.input);
                kernels::squared_error(y, &none, target, 2.0 * factor, gradient, &mut sum);
            }
            _ => {
                let y = apply(affine, x, &mut workspace.input);
                sum += cross_entropy(y, target, len, factor, gradient);
            }
        }
    }
    (sum / terms as f64) as f32
}

fn forward_block(
    node: &Node,
    workspace: &mut Workspace,
    affine: Option<&Affine>,
    x: &[f32],
    weight: &[f32],
    count: usize,
    out: &mut [f32],
) {
    let Workspace {
        input,
        image,
        columns,
        ..
    } = workspace;
    let (input_len, output_len) = (x.len() / count, out.len() / count);
    match &node.kernel {
        Kernel::Identity => match affine {
            Some(affine) => affine.apply(x, out),
            None => out.copy_from_slice(x),
        },
        Kernel::Convolution(geometry) if geometry.is_pointwise() => {
            product(apply(affine, x, input), geometry.channels, weight, out);
        }
        Kernel::Convolution(geometry) => {
            let y = apply(affine, x, input);
            windows(geometry, y, input_len, image, columns);
            let row_len = geometry.kernel[0] * geometry.kernel[1] * geometry.channels;
            product(columns, row_len, weight, out);
        }
        Kernel::Depthwise(geometry) => {
            clear(image, geometry.padded_len());
            for (x, out) in x
                .chunks_exact(input_len)
                .zip(out.chunks_exact_mut(output_len))
            {
                pad(geometry, affine, x, image);
                kernels::depthwise(geometry, image, weight, out);
            }
        }
        Kernel::Upsample {
            input: shape,
            factor,
        } => {
            let y = apply(affine, x, input);
            for (y, out) in y
                .chunks_exact(input_len)
                .zip(out.chunks_exact_mut(output_len))
            {
                upsample(*shape, *factor, y, out);
            }
        }
        Kernel::Dense | Kernel::SquaredError | Kernel::CrossEntropy => {
            unreachable!("these work on the whole batch")
        }
    }
}

struct BackwardResult {
    x: Option<FlexTensor>,
    /// Gradients of scale (empty without batch norm) and shift.
    affine: Option<(Vec<f32>, Vec<f32>)>,
    weight: Vec<f32>,
}

/// What the forward pass left behind.
struct Tensors<'a> {
    x: &'a FlexTensor,
    weight: &'a FlexTensor,
    saved: Option<&'a FlexTensor>,
}

/// `wanted`: whether the gradient to the input or its epilogue is.
fn backward(
    given: &FlexTensor,
    tensors: Tensors,
    affine: Option<&Affine>,
    node: &Node,
    wanted: bool,
) -> BackwardResult {
    let shape = tensors.x.layout().shape();
    let (batch, input_len, output_len) = (shape[0], shape[1], node.output_len);
    let (x, given, weight) = (values(tensors.x), values(given), values(tensors.weight));
    let workspace = &mut *lock(&node.workspace);
    let mut sums = EpilogueSums::new(affine);
    let is_loss = matches!(node.kernel, Kernel::SquaredError | Kernel::CrossEntropy);
    if let (true, Some(saved), 1.0, true) = (
        is_loss,
        tensors.saved,
        given[0],
        affine.is_none_or(Affine::is_offset),
    ) {
        // The common end of an autoencoder: the gradient is ready, only a bias may want its sum.
        if affine.is_some() {
            kernels::column_sums(values(saved), &mut sums.sums, &mut sums.products);
        }
        let affine = affine.map(|affine| (Vec::new(), folded(&sums.sums, affine.channels)));
        let x = wanted.then(|| saved.clone());
        return BackwardResult {
            x,
            affine,
            weight: Vec::new(),
        };
    }
    let mut x_gradient = wanted.then(|| workspace.take([batch, input_len]));
    let mut target = x_gradient
        .as_mut()
        .map(|gradient| gradient.storage_mut::<f32>());
    let mut weight_gradient = match node.kernel {
        Kernel::Convolution(_) | Kernel::Depthwise(_) | Kernel::Dense => vec![0.0; weight.len()],
        _ => Vec::new(),
    };
    match (&node.kernel, tensors.saved) {
        (Kernel::SquaredError | Kernel::CrossEntropy, Some(saved)) => {
            for (target, saved) in target
                .iter_mut()
                .flat_map(|t| t.iter_mut())
                .zip(values(saved))
            {
                *target = given[0] * saved;
            }
            sums.add(x, target);
        }
        (Kernel::Dense, Some(y)) => {
            let y = values(y);
            let target_again = target.as_deref_mut();
            product_backward(
                y,
                input_len,
                weight,
                given,
                &mut weight_gradient,
                target_again,
            );
            sums.add(x, target);
        }
        _ => {
            let step = samples_per_block(node, input_len, batch);
            let blocks = x
                .chunks(step * input_len)
                .zip(given.chunks(step * output_len));
            for (idx, (x, given)) in blocks.enumerate() {
                let mut target = target
                    .as_deref_mut()
                    .map(|gradient| &mut gradient[idx * step * input_len..][..x.len()]);
                let (count, weights) = (x.len() / input_len, (weight, &mut weight_gradient[..]));
                let again = target.as_deref_mut();
                backward_block(node, workspace, affine, x, count, given, weights, again);
                sums.add(x, target);
            }
        }
    }
    let gradient = x_gradient
        .as_mut()
        .map(|gradient| gradient.storage_mut::<f32>());
    let affine = sums.finish(x, gradient);
    BackwardResult {
        x: x_gradient.map(|gradient| workspace.share(gradient)),
        affine,
        weight: weight_gradient,
    }
}

/// Backward of an epilogue, in two passes: sums over the batch, then the gradient through batch statistics.
struct EpilogueSums<'a> {
    affine: Option<&'a Affine>,
    /// Of the gradient, and of the gradient times the raw value; tiled patterns.
    sums: Vec<f32>,
    products: Vec<f32>,
}

impl<'a> EpilogueSums<'a> {
    fn new(affine: Option<&'a Affine>) -> Self {
        let width = affine.map_or(0, |affine| affine.scale.len());
        EpilogueSums {
            affine,
            sums: vec![0.0; width],
            products: vec![0.0; width],
        }
    }

    /// Takes a block's gradient through the activation, and sums it.
    fn add(&mut self, x: &[f32], gradient: Option<&mut [f32]>) {
        if let (Some(affine), Some(gradient)) = (self.affine, gradient) {
            let (sums, products) = (&mut self.sums, &mut self.products);
            let (scale, shift) = (&affine.scale, &affine.shift);
            kernels::affine_backward(x, scale, shift, affine.bounds, gradient, sums, products);
        }
    }

    /// Takes the whole gradient through the batch norm; gradients of scale and shift.
    fn finish(self, x: &[f32], gradient: Option<&mut [f32]>) -> Option<(Vec<f32>, Vec<f32>)> {
        let affine = self.affine?;
        let channels = affine.channels;
        let shift = folded(&self.sums, channels);
        let Some([mean, inverse]) = &affine.normal else {
            return Some((Vec::new(), shift));
        };
        // With n = (x - mean) * inverse: d scale = sum(g n), and
        // d x = scale * (g - mean(g) - n * mean(g n)), written as scale * g - slope * x - offset.
        let rows = (x.len() / channels) as f32;
        let mut scale = folded(&self.products, channels);
        let (mut slope, mut offset) = (vec![0.0; channels], vec![0.0; channels]);
        for channel in 0..channels {
            let factor = affine.scale[channel] / rows;
            scale[channel] = (scale[channel] - mean[channel] * shift[channel]) * inverse[channel];
            slope[channel] = factor * inverse[channel] * scale[channel];
            offset[channel] = factor * shift[channel] - slope[channel] * mean[channel];
        }
        if let Some(gradient) = gradient {
            let (slope, offset) = (tiled(&slope), tiled(&offset));
            kernels::normalise_backward(x, &affine.scale, &slope, &offset, gradient);
        }
        Some((scale, shift))
    }
}

#[allow(clippy::too_many_arguments)]
fn backward_block(
    node: &Node,
    workspace: &mut Workspace,
    affine: Option<&Affine>,
    x: &[f32],
    count: usize,
    given: &[f32],
    (weight, weight_gradient): (&[f32], &mut [f32]),
    x_gradient: Option<&mut [f32]>,
) {
    let Workspace {
        input,
        image,
        image_gradient,
        columns,
        column_gradient,
        ..
    } = workspace;
    let (input_len, output_len) = (x.len() / count, given.len() / count);
    match &node.kernel {
        Kernel::Identity => {
            if let Some(x_gradient) = x_gradient {
                x_gradient.copy_from_slice(given);
            }
        }
        Kernel::Convolution(geometry) if geometry.is_pointwise() => {
            let y = apply(affine, x, input);
            product_backward(
                y,
                geometry.channels,
                weight,
                given,
                weight_gradient,
                x_gradient,
            );
        }
        Kernel::Convolution(geometry) => {
            let y = apply(affine, x, input);
            windows(geometry, y, input_len, image, columns);
            let row_len = geometry.kernel[0] * geometry.kernel[1] * geometry.channels;
            let Some(x_gradient) = x_gradient else {
                return product_backward(columns, row_len, weight, given, weight_gradient, None);
            };
            column_gradient.resize(columns.len(), 0.0);
            let target = Some(&mut column_gradient[..]);
            product_backward(columns, row_len, weight, given, weight_gradient, target);
            let samples = column_gradient.chunks_exact(columns.len() / count);
            for (columns, x_gradient) in samples.zip(x_gradient.chunks_exact_mut(input_len)) {
                clear(image_gradient, geometry.padded_len());
                kernels::columns_to_image(geometry, columns, image_gradient);
                crop(geometry, image_gradient, x_gradient);
            }
        }
        Kernel::Depthwise(geometry) => {
            clear(image, geometry.padded_len());
            let mut x_gradients = x_gradient.map(|gradient| gradient.chunks_exact_mut(input_len));
            for (x, given) in x
                .chunks_exact(input_len)
                .zip(given.chunks_exact(output_len))
            {
                pad(geometry, affine, x, image);
                clear(image_gradient, geometry.padded_len());
                kernels::depthwise_backward(
                    geometry,
                    image,
                    weight,
                    given,
                    image_gradient,
                    weight_gradient,
                );
                if let Some(target) = x_gradients.as_mut().and_then(Iterator::next) {
                    crop(geometry, image_gradient, target);
                }
            }
        }
        Kernel::Upsample {
            input: shape,
            factor,
        } => {
            let Some(x_gradient) = x_gradient else { return };
            let samples = x_gradient.chunks_exact_mut(input_len);
            for (x_gradient, given) in samples.zip(given.chunks_exact(output_len)) {
                upsample_backward(*shape, *factor, given, x_gradient);
            }
        }
        Kernel::Dense | Kernel::SquaredError | Kernel::CrossEntropy => {
            unreachable!("these work on the whole batch")
        }
    }
}

/// The input with its epilogue applied: `x` itself where there is none.
fn apply<'a>(affine: Option<&Affine>, x: &'a [f32], buffer: &'a mut Vec<f32>) -> &'a [f32] {
    match affine {
        None => x,
        Some(affine) => {
            buffer.resize(x.len(), 0.0);
            affine.apply(x, buffer);
            buffer
        }
    }
}

/// `out = y weight`, with `y` of `width` columns.
fn product(y: &[f32], width: usize, weight: &[f32], out: &mut [f32]) {
    let y = Operand::new(y, y.len() / width, width);
    matrix_product(
        y,
        Operand::new(weight, width, weight.len() / width),
        out,
        false,
    );
}

fn product_backward(
    y: &[f32],
    width: usize,
    weight: &[f32],
    given: &[f32],
    weight_gradient: &mut [f32],
    y_gradient: Option<&mut [f32]>,
) {
    let rows = y.len() / width;
    let weight = Operand::new(weight, width, weight.len() / width);
    let given = Operand::new(given, rows, given.len() / rows);
    matrix_product(
        Operand::new(y, rows, width).transposed(),
        given,
        weight_gradient,
        true,
    );
    if let Some(y_gradient) = y_gradient {
        matrix_product(given, weight.transposed(), y_gradient, false);
    }
}

/// The windows of every image as rows of a matrix.
fn windows(
    geometry: &Geometry,
    y: &[f32],
    input_len: usize,
    image: &mut Vec<f32>,
    columns: &mut Vec<f32>,
) {
    let [height, width] = geometry.output;
    let len = height * width * geometry.kernel[0] * geometry.kernel[1] * geometry.channels;
    clear(image, geometry.padded_len());
    columns.resize(y.len() / input_len * len, 0.0);
    for (y, columns) in y.chunks_exact(input_len).zip(columns.chunks_exact_mut(len)) {
        pad(geometry, None, y, image);
        kernels::image_to_columns(geometry, image, columns);
    }
}

/// Puts one image into its padded place, with its epilogue applied. The border is left alone.
fn pad(geometry: &Geometry, affine: Option<&Affine>, x: &[f32], image: &mut [f32]) {
    for (y, row) in x.chunks_exact(geometry.row_len()).enumerate() {
        let target = &mut image[geometry.row_start(y)..][..row.len()];
        match affine {
            Some(affine) => affine.apply(row, target),
            None => target.copy_from_slice(row),
        }
    }
}

/// Takes one image out of its padded place.
fn crop(geometry: &Geometry, image: &[f32], x: &mut [f32]) {
    for (y, row) in x.chunks_exact_mut(geometry.row_len()).enumerate() {
        row.copy_from_slice(&image[geometry.row_start(y)..][..geometry.row_len()]);
    }
}

fn upsample([_, width, channels]: [usize; 3], [fy, fx]: [usize; 2], y: &[f32], out: &mut [f32]) {
    let out_row = width * fx * channels;
    for (row, rows) in y
        .chunks_exact(width * channels)
        .zip(out.chunks_exact_mut(fy * out_row))
    {
        let (first, others) = rows.split_at_mut(out_row);
        for (pixel, copies) in row
            .chunks_exact(channels)
            .zip(first.chunks_exact_mut(fx * channels))
        {
            for copy in copies.chunks_exact_mut(channels) {
                copy.copy_from_slice(pixel);
            }
        }
        for other in others.chunks_exact_mut(out_row) {
            other.copy_from_slice(first);
        }
    }
}

fn upsample_backward(
    [_, width, channels]: [usize; 3],
    [fy, fx]: [usize; 2],
    given: &[f32],
    gradient: &mut [f32],
) {
    gradient.fill(0.0);
    let out_row = width * fx * channels;
    let rows = gradient.chunks_exact_mut(width * channels);
    for (row, given_rows) in rows.zip(given.chunks_exact(fy * out_row)) {
        for given_row in given_rows.chunks_exact(out_row) {
            let pixels = row.chunks_exact_mut(channels);
            for (pixel, copies) in pixels.zip(given_row.chunks_exact(fx * channels)) {
                for copy in copies.chunks_exact(channels) {
                    for (sum, value) in pixel.iter_mut().zip(copy) {
                        *sum += value;
                    }
                }
            }
        }
    }
}

/// Sum over samples of the cross-entropy of `softmax(logits)` to target probabilities, and `factor` times its gradient.
fn cross_entropy(
    logits: &[f32],
    target: &[f32],
    classes: usize,
    factor: f32,
    gradient: &mut [f32],
) -> f64 {
    let samples = logits
        .chunks_exact(classes)
        .zip(target.chunks_exact(classes));
    let mut sum = 0.0;
    for ((logits, target), gradient) in samples.zip(gradient.chunks_exact_mut(classes)) {
        let log_sum = log_sum_exp(logits);
        for ((gradient, logit), target) in gradient.iter_mut().zip(logits).zip(target) {
            sum += f64::from(target * (log_sum - logit));
            *gradient = factor * ((logit - log_sum).exp() - target);
        }
    }
    sum
}

fn log_sum_exp(logits: &[f32]) -> f32 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    largest + sum.ln()
}

/// Sums for the moments of an output: f32 within a block, f64 over blocks.
struct ColumnSums {
    channels: usize,
    rows: usize,
    totals: [Vec<f64>; 2],
    tiles: [Vec<f32>; 2],
}

impl ColumnSums {
    fn new(channels: usize) -> ColumnSums {
        let tiles = tiled(&vec![0.0; channels]);
        ColumnSums {
            channels,
            rows: 0,
            totals: [vec![0.0; channels], vec![0.0; channels]],
            tiles: [tiles.clone(), tiles],
        }
    }

    fn add(&mut self, block: &[f32]) {
        self.rows += block.len() / self.channels;
        let [sums, squares] = &mut self.tiles;
        sums.fill(0.0);
        squares.fill(0.0);
        kernels::column_sums(block, sums, squares);
        for (totals, tiles) in self.totals.iter_mut().zip(&self.tiles) {
            for tile in tiles.chunks_exact(self.channels) {
                for (total, value) in totals.iter_mut().zip(tile) {
                    *total += f64::from(*value);
                }
            }
        }
    }

    /// Mean and biased variance per channel.
    fn moments(&self) -> [Vec<f32>; 2] {
        let [sums, squares] = &self.totals;
        let rows = self.rows as f64;
        let mean = sums.iter().map(|sum| (sum / rows) as f32).collect();
        let variance = sums.iter().zip(squares).map(|(sum, square)| {
            let mean = sum / rows;
            (square / rows - mean * mean).max(0.0) as f32
        });
        [mean, variance.collect()]
    }
}

fn clear(buffer: &mut Vec<f32>, len: usize) {
    buffer.clear();
    buffer.resize(len, 0.0);
}

fn flex(values: Vec<f32>, shape: [usize; 2]) -> FlexTensor {
    let layout = Layout::contiguous(TensorShape::from(shape));
    FlexTensor::new(Bytes::from_elems(values), layout, DType::F32)
}

fn vector(values: Vec<f32>) -> FlexTensor {
    let layout = Layout::contiguous(TensorShape::from([values.len()]));
    FlexTensor::new(Bytes::from_elems(values), layout, DType::F32)
}

fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() && tensor.layout().start_offset() == 0 {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

fn values(tensor: &FlexTensor) -> &[f32] {
    tensor
        .as_slice()
        .expect("tensors of a network are contiguous f32")
}

/// Locks; a panic elsewhere cannot leave these values half written in a way that matters here.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
