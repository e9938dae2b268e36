//! Several networks of one shape as one network: side by side on the same input, their outputs averaged.

use std::cmp::Ordering;

use super::{Activation, Graph, Op, OpKind, OpWeights, Weights};

impl Graph {
    /// `count` copies of this network that read the same input, one after the other, and the sum of their outputs.
    ///
    /// Every sum follows its summand, so that no more than two outputs are kept.
    pub fn side_by_side(&self, count: usize) -> Graph {
        let mut all = self.clone();
        for _ in 1..count {
            let offset = all.tensors.len();
            let shifted = |tensor: usize| match tensor.cmp(&self.input) {
                Ordering::Less => offset + tensor,
                Ordering::Equal => self.input,
                Ordering::Greater => offset + tensor - 1,
            };
            all.tensors.extend_from_slice(&self.tensors[..self.input]);
            all.tensors
                .extend_from_slice(&self.tensors[self.input + 1..]);
            all.ops.extend(self.ops.iter().map(|op| Op {
                inputs: op.inputs.iter().copied().map(shifted).collect(),
                output: shifted(op.output),
                ..op.clone()
            }));
            let sum = all.tensors.len();
            all.tensors.push(self.output_shape());
            all.ops.push(Op {
                kind: OpKind::Add,
                inputs: vec![all.output, shifted(self.output)],
                output: sum,
                activation: Activation::None,
                batch_norm: false,
                dropout: 0.0,
            });
            all.output = sum;
        }
        all
    }
}

impl Weights {
    /// The weights of [`Graph::side_by_side`] by which it gives the mean of the outputs of networks of these weights.
    ///
    /// `member` is the graph of each; its last operator has weights and no activation.
    pub fn side_by_side(member: &Graph, each: Vec<Weights>) -> Weights {
        let share = 1.0 / each.len() as f32;
        let last = member.ops.len() - 1;
        let mut all = Vec::new();
        for (idx, Weights(mut own)) in each.into_iter().enumerate() {
            let Some(OpWeights { weight, bias }) = &mut own[last] else {
                unreachable!("families that make ensembles end in a dense layer");
            };
            weight
                .iter_mut()
                .chain(bias)
                .for_each(|value| *value *= share);
            all.extend(own);
            if idx > 0 {
                all.push(None);
            }
        }
        Weights(all)
    }
}
