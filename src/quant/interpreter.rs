//! Runs blobs on the host.

use std::collections::BTreeSet;

use nas_kernels::{
    Model,
    blob::{BlobError, Kind, Op, Tensor},
};

use super::QuantParams;

/// Runs a blob on the host, with the code that the firmware runs.
///
/// A model from a file may have several inputs; they are given one after another.
#[derive(Debug)]
pub struct Interpreter<'a> {
    model: Model<'a>,
    arena: Vec<i8>,
    inputs: Vec<Tensor>,
}

impl<'a> Interpreter<'a> {
    /// An interpreter with its own arena.
    ///
    /// # Errors
    /// [`BlobError`] where the blob is damaged, or its accumulators do not fit 32 bits.
    pub fn new(blob: &'a [u8]) -> Result<Interpreter<'a>, BlobError> {
        let model = Model::parse(blob)?;
        let arena = vec![0; model.arena_bytes()];
        let inputs = inputs(&model);
        Ok(Interpreter {
            model,
            arena,
            inputs,
        })
    }

    /// Scale and zero point of the first input.
    pub fn input(&self) -> QuantParams {
        params(self.model.input())
    }

    /// Scale and zero point of the output.
    pub fn output(&self) -> QuantParams {
        params(self.model.output())
    }

    /// The first input and the output, as the blob describes them.
    pub fn ends(&self) -> [Tensor; 2] {
        [self.model.input(), self.model.output()]
    }

    /// Number of elements of all inputs together, and of the output.
    pub fn lengths(&self) -> (usize, usize) {
        (
            self.inputs.iter().map(Tensor::len).sum(),
            self.model.output().len(),
        )
    }

    /// Bytes of the arena.
    pub fn arena_bytes(&self) -> usize {
        self.model.arena_bytes()
    }

    /// Runs one inference on int8 input.
    ///
    /// # Panics
    /// Where the input is not as long as the model's.
    pub fn run(&mut self, input: &[i8]) -> &[i8] {
        self.run_with(input, |slot, values, _| slot.copy_from_slice(values))
    }

    /// Runs one inference on a standardised window; quantises the input and dequantises the output.
    ///
    /// # Panics
    /// Where the input is not as long as the model's.
    pub fn run_float(&mut self, input: &[f32]) -> impl Iterator<Item = f32> + '_ {
        let dequantize = self.output();
        let output = self.run_with(input, |slot, values, quantize| {
            for (slot, value) in slot.iter_mut().zip(values) {
                *slot = quantize.quantize(*value);
            }
        });
        output.iter().map(move |q| dequantize.dequantize(*q))
    }

    fn run_with<T>(&mut self, input: &[T], fill: impl Fn(&mut [i8], &[T], QuantParams)) -> &[i8] {
        assert_eq!(input.len(), self.lengths().0, "the input fits the model's");
        let mut rest = input;
        for tensor in &self.inputs {
            let (values, behind) = rest.split_at(tensor.len());
            fill(&mut self.arena[tensor.range()], values, params(*tensor));
            rest = behind;
        }
        let mut session = self
            .model
            .session(&mut self.arena)
            .expect("the arena was made for this model");
        session.run();
        &self.arena[self.model.output().range()]
    }
}

/// The model's input, then the tensors that are read and never written.
fn inputs(model: &Model<'_>) -> Vec<Tensor> {
    let reads = |op: &Op| match op.kind {
        Kind::Add { input, .. } | Kind::Multiply { input, .. } => vec![op.input, input],
        _ => vec![op.input],
    };
    let written: BTreeSet<u32> = model.ops().map(|op| op.output).collect();
    let read: BTreeSet<u32> = model.ops().flat_map(|op| reads(&op)).collect();
    let input = model.input();
    // All of them live from the start, so no two share a place.
    let others = read
        .difference(&written)
        .filter_map(|idx| model.tensor(*idx))
        .filter(|tensor| tensor.offset != input.offset);
    std::iter::once(input).chain(others).collect()
}

fn params(tensor: Tensor) -> QuantParams {
    QuantParams {
        scale: tensor.scale,
        zero_point: tensor.zero_point,
    }
}
