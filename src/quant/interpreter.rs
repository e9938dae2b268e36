use std::collections::BTreeSet;

use nas_kernels::{
    Model,
    blob::{BlobError, Kind, Op, Tensor},
};

use super::QuantParams;

/// Runs a blob on the host by the code that the firmware runs.
///
/// A model that was read from a file may have several inputs; they are given behind one another.
#[derive(Debug)]
pub struct Interpreter<'a> {
    model: Model<'a>,
    arena: Vec<i8>,
    inputs: Vec<Tensor>,
}

impl<'a> Interpreter<'a> {
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

    /// Of the first input.
    pub fn input(&self) -> QuantParams {
        params(self.model.input())
    }

    pub fn output(&self) -> QuantParams {
        params(self.model.output())
    }

    /// Input and output as the blob describes them.
    pub fn ends(&self) -> [Tensor; 2] {
        [self.model.input(), self.model.output()]
    }

    /// Elements of all inputs together and of the output.
    pub fn lengths(&self) -> (usize, usize) {
        (
            self.inputs.iter().map(Tensor::len).sum(),
            self.model.output().len(),
        )
    }

    pub fn arena_bytes(&self) -> usize {
        self.model.arena_bytes()
    }

    /// One inference on an input that is int8 already.
    ///
    /// # Panics
    /// Where the input is not as long as the model's.
    pub fn run(&mut self, input: &[i8]) -> &[i8] {
        self.run_with(input, |slot, values, _| slot.copy_from_slice(values))
    }

    /// One inference on a standardised window, quantised by the input's scale; the output is dequantised.
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

/// The model's input, and behind it the tensors that are read and never written.
fn inputs(model: &Model<'_>) -> Vec<Tensor> {
    let reads = |op: &Op| match op.kind {
        Kind::Add { input, .. } => vec![op.input, input],
        _ => vec![op.input],
    };
    let written: BTreeSet<u32> = model.ops().map(|op| op.output).collect();
    let read: BTreeSet<u32> = model.ops().flat_map(|op| reads(&op)).collect();
    let input = model.input();
    // All of them live from the start, so no two lie at one place.
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
