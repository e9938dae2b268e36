//! Fused operators for burn's `flex` back end. Each is one node of the autodiff graph with its own backward pass.
//!
//! An operator's batch norm and activation (its [`Epilogue`]) are computed by the operator that reads its output,
//! block by block while the block is in the cache. Between two operators only the raw products are stored, once. The
//! statistics of a product are summed while it is still in the cache.

mod epilogue;
mod images;
mod loss;
mod workspace;

use std::sync::{Arc, Mutex};

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
    tensor::Tensor,
};
use burn_flex::FlexTensor;

pub use epilogue::{EPSILON, Epilogue, Moments, reciprocal_deviation};
pub use loss::{Loss, OUTLIER_ERROR};
pub use workspace::{Products, Workspace, lock};

use self::{
    epilogue::{Affine, ColumnSums, EpilogueSums},
    images::{crop, pad, upsample, upsample_backward, windows},
    loss::loss,
    workspace::{clear, contiguous, flex, values, vector},
};
use super::kernels::{self, Geometry, Operand, folded};

/// Values of an operator's larger side in one block: half of a common L2 cache.
pub(super) const BLOCK_LEN: usize = 64 * 1024;

/// What a fused node computes from its input after the input's epilogue.
#[derive(Debug, Clone)]
pub enum Kernel {
    /// Only the epilogue.
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
    /// A loss; the target takes the weight's place.
    Loss(Loss),
}

/// One fused node.
#[derive(Debug)]
pub struct Node {
    /// The computation.
    pub kernel: Kernel,
    /// The input's epilogue; `None` where the input is a plain tensor.
    pub epilogue: Option<Epilogue>,
    /// Values per sample.
    pub output_len: usize,
    /// Where to store the moments of the output, and its number of channels.
    pub record: Option<(usize, Moments)>,
    /// The buffers of the training.
    pub workspace: Arc<Mutex<Workspace>>,
}

/// The fused operators of a back end.
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

/// Samples in one block.
fn samples_per_block(node: &Node, input_len: usize, batch: usize) -> usize {
    (BLOCK_LEN / input_len.max(node.output_len)).clamp(1, batch)
}

struct Forward {
    output: FlexTensor,
    affine: Option<Affine>,
    /// What the backward pass would otherwise compute again: the input of a dense product with its epilogue applied,
    /// or a loss's gradient.
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
    if let Kernel::Loss(kind) = node.kernel {
        let mut gradient = workspace.take([batch, input_len]);
        let loss = loss(
            kind,
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
        // A matrix product needs many rows, because it packs its operands again for every block.
        let y = match &affine {
            None => x.clone(),
            Some(affine) => {
                let mut y = workspace.take([batch, input_len]);
                affine.apply(values(x), y.storage_mut());
                workspace.share(y)
            }
        };
        product(
            &mut workspace.products,
            values(&y),
            input_len,
            values(weight),
            out,
        );
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
        products,
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
            let y = apply(affine, x, input);
            product(products, y, geometry.channels, weight, out);
        }
        Kernel::Convolution(geometry) => {
            let y = apply(affine, x, input);
            windows(geometry, y, input_len, image, columns);
            let row_len = geometry.kernel[0] * geometry.kernel[1] * geometry.channels;
            product(products, columns, row_len, weight, out);
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
        Kernel::Dense | Kernel::Loss(_) => {
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

/// The values that the forward pass kept.
struct Tensors<'a> {
    x: &'a FlexTensor,
    weight: &'a FlexTensor,
    saved: Option<&'a FlexTensor>,
}

/// The backward pass; `wanted` says whether the gradient of the input or its epilogue is needed.
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
    let is_loss = matches!(node.kernel, Kernel::Loss(_));
    if let (true, Some(saved), 1.0, true) = (
        is_loss,
        tensors.saved,
        given[0],
        affine.is_none_or(Affine::is_offset),
    ) {
        // The usual end of an autoencoder: the gradient is ready, only a bias may need its sum.
        if affine.is_some() {
            let zeros = vec![0.0; sums.sums.len()];
            kernels::column_sums(values(saved), &zeros, &mut sums.sums, &mut sums.products);
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
        (Kernel::Loss(_), Some(saved)) => {
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
                &mut workspace.products,
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
        products,
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
                products,
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
                return product_backward(
                    products,
                    columns,
                    row_len,
                    weight,
                    given,
                    weight_gradient,
                    None,
                );
            };
            column_gradient.resize(columns.len(), 0.0);
            product_backward(
                products,
                columns,
                row_len,
                weight,
                given,
                weight_gradient,
                Some(column_gradient),
            );
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
        Kernel::Dense | Kernel::Loss(_) => {
            unreachable!("these work on the whole batch")
        }
    }
}

/// The input with its epilogue applied; `x` itself where there is none.
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
fn product(products: &mut Products, y: &[f32], width: usize, weight: &[f32], out: &mut [f32]) {
    let y = Operand::new(y, y.len() / width, width);
    let weight = Operand::new(weight, width, weight.len() / width);
    products.compute(y, weight, out, false);
}

fn product_backward(
    products: &mut Products,
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
    let y = Operand::new(y, rows, width).transposed();
    products.compute(y, given, weight_gradient, true);
    if let Some(y_gradient) = y_gradient {
        products.compute(given, weight.transposed(), y_gradient, false);
    }
}
