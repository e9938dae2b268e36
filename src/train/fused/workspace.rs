//! Buffers, and tensors of burn's `flex` back end as slices.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::{Bytes, DType, Shape as TensorShape};
use burn_flex::{FlexTensor, Layout};

#[cfg(target_arch = "x86_64")]
use crate::train::bf16;
use crate::train::kernels::{self, Operand};

/// How matrix products are computed.
#[derive(Debug, Clone, Default)]
pub enum Products {
    #[default]
    Single,
    /// Operands rounded to bfloat16, sums in single precision.
    #[cfg(target_arch = "x86_64")]
    Brain(bf16::Packed),
}

impl Products {
    /// Products with bfloat16; `None` where the processor has no instructions for it.
    pub fn brain() -> Option<Products> {
        #[cfg(target_arch = "x86_64")]
        if bf16::is_supported() {
            return Some(Products::Brain(bf16::Packed::default()));
        }
        None
    }

    /// `out = a b`, or `out += a b` where `accumulate`; one thread.
    pub fn compute(&mut self, a: Operand, b: Operand, out: &mut [f32], accumulate: bool) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Products::Brain(packed) if bf16::pays(&a, &b) => {
                bf16::matrix_product(a, b, out, accumulate, packed)
            }
            _ => kernels::matrix_product(a, b, out, accumulate),
        }
    }
}

/// Buffers that live as long as the training, so no step allocates or touches fresh pages.
#[derive(Debug, Default)]
pub struct Workspace {
    /// Outputs and gradients; one can be reused when nobody else holds it.
    tensors: Vec<FlexTensor>,
    /// How matrix products are computed.
    pub products: Products,
    /// Inputs with their epilogue applied.
    pub input: Vec<f32>,
    /// A padded image.
    pub image: Vec<f32>,
    /// The gradient of a padded image.
    pub image_gradient: Vec<f32>,
    /// Windows as rows of a matrix.
    pub columns: Vec<f32>,
    /// The gradient of `columns`.
    pub column_gradient: Vec<f32>,
}

impl Workspace {
    /// Empty buffers.
    pub fn new(products: Products) -> Workspace {
        Workspace {
            products,
            ..Workspace::default()
        }
    }

    /// A tensor with arbitrary content that nobody else holds.
    pub fn take(&mut self, shape: [usize; 2]) -> FlexTensor {
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

    /// Gives a tensor away, and remembers it for reuse.
    pub fn share(&mut self, tensor: FlexTensor) -> FlexTensor {
        self.tensors.push(tensor.clone());
        tensor
    }
}

/// Sets a buffer to `len` zeros.
pub fn clear(buffer: &mut Vec<f32>, len: usize) {
    buffer.clear();
    buffer.resize(len, 0.0);
}

/// A tensor of values with two dimensions.
pub fn flex(values: Vec<f32>, shape: [usize; 2]) -> FlexTensor {
    let layout = Layout::contiguous(TensorShape::from(shape));
    FlexTensor::new(Bytes::from_elems(values), layout, DType::F32)
}

/// A tensor of values with one dimension.
pub fn vector(values: Vec<f32>) -> FlexTensor {
    let layout = Layout::contiguous(TensorShape::from([values.len()]));
    FlexTensor::new(Bytes::from_elems(values), layout, DType::F32)
}

/// The tensor with its values in row-major order.
pub fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() && tensor.layout().start_offset() == 0 {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

/// The values of a contiguous tensor.
pub fn values(tensor: &FlexTensor) -> &[f32] {
    tensor
        .as_slice()
        .expect("tensors of a network are contiguous f32")
}

/// Locks. A panic elsewhere cannot leave these values half written in a way that matters here.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
