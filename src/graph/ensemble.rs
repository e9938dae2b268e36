//! Makes one network of several that have the same shape: they read the same input, and their outputs are averaged.

use std::cmp::Ordering;

use super::{Activation, Graph, Op, OpKind, OpWeights, Weights};

impl Graph {
    /// `count` copies of this network, one after the other on the same input, and the sum of their outputs.
    ///
    /// Every sum follows its second summand, so at most two outputs are kept.
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
    /// Weights for [`Graph::side_by_side`] with which the sum is the mean of the networks' outputs.
    ///
    /// `member` is the graph of each network. Its last operator has weights and no activation.
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
