use nas_kernels::{
    Model,
    blob::{BlobError, Tensor},
};

use super::QuantParams;

/// Runs a blob on the host by the code that the firmware runs.
#[derive(Debug)]
pub struct Interpreter<'a> {
    model: Model<'a>,
    arena: Vec<i8>,
}

impl<'a> Interpreter<'a> {
    pub fn new(blob: &'a [u8]) -> Result<Interpreter<'a>, BlobError> {
        let model = Model::parse(blob)?;
        let arena = vec![0; model.arena_bytes()];
        Ok(Interpreter { model, arena })
    }

    pub fn input(&self) -> QuantParams {
        params(self.model.input())
    }

    pub fn output(&self) -> QuantParams {
        params(self.model.output())
    }

    /// Elements of the input and of the output.
    pub fn lengths(&self) -> (usize, usize) {
        (
            self.model.input().range().len(),
            self.model.output().range().len(),
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
        self.run_with(|slot| slot.copy_from_slice(input))
    }

    /// One inference on a standardised window, quantised by the input's scale; the output is dequantised.
    ///
    /// # Panics
    /// Where the input is not as long as the model's.
    pub fn run_float(&mut self, input: &[f32]) -> impl Iterator<Item = f32> + '_ {
        let (quantize, dequantize) = (self.input(), self.output());
        let output = self.run_with(|slot| {
            assert_eq!(slot.len(), input.len(), "the window fits the model's input");
            for (slot, value) in slot.iter_mut().zip(input) {
                *slot = quantize.quantize(*value);
            }
        });
        output.iter().map(move |q| dequantize.dequantize(*q))
    }

    fn run_with(&mut self, fill: impl FnOnce(&mut [i8])) -> &[i8] {
        let mut session = self
            .model
            .session(&mut self.arena)
            .expect("the arena was made for this model");
        fill(session.input_mut());
        session.run();
        &self.arena[self.model.output().range()]
    }
}

fn params(tensor: Tensor) -> QuantParams {
    QuantParams {
        scale: tensor.scale,
        zero_point: tensor.zero_point,
    }
}
