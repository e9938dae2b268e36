//! A network with a last layer that whitens what it has learnt to see, so that its score can be a distance.

use super::{Activation, Graph, Op, OpKind, OpWeights, Shape, TensorId, Weights, Window};

impl Graph {
    /// A classifier with as many outputs as its last layer has inputs: its embedding, whitened.
    ///
    /// `None` where it does not end in a dense layer.
    pub fn with_embedding_head(&self) -> Option<Graph> {
        let last = self.ops.last()?;
        let ends_dense = last.kind == OpKind::FullyConnected && last.output == self.output;
        ends_dense.then(|| {
            let mut graph = self.clone();
            graph.tensors[self.output] = Shape::vector(self.op_input(last).len());
            graph
        })
    }

    /// An autoencoder that gives the mean over a window's frames of what it leaves unexplained, per band, whitened.
    ///
    /// The input is frames by bands.
    pub fn with_residual_head(&self) -> Graph {
        let Shape { height, width, .. } = self.input_shape();
        let frames = Shape::new(height, 1, width);
        let bands = Shape::vector(width);
        let mut graph = self.clone();
        let seen = graph.append(OpKind::Reshape, vec![self.input], frames);
        let made = graph.append(OpKind::Reshape, vec![self.output], frames);
        let negative = OpKind::DepthwiseConv2d(Window::same(1, 1));
        let negative = graph.append(negative, vec![made], frames);
        let residual = graph.append(OpKind::Add, vec![seen, negative], frames);
        let mean = graph.append(OpKind::Mean, vec![residual], bands);
        graph.output = graph.append(OpKind::FullyConnected, vec![mean], bands);
        graph
    }

    /// The network without its last operator, whose input becomes the output.
    pub fn without_last(&self) -> Graph {
        let mut graph = self.clone();
        if let Some(last) = graph.ops.pop() {
            graph.output = last.inputs[0];
        }
        graph
    }

    fn append(&mut self, kind: OpKind, inputs: Vec<TensorId>, shape: Shape) -> TensorId {
        let output = self.tensors.len();
        self.tensors.push(shape);
        self.ops.push(Op {
            kind,
            inputs,
            output,
            activation: Activation::None,
            batch_norm: false,
            dropout: 0.0,
        });
        output
    }
}

impl Weights {
    /// The weights of a network with a head, but for its last layer, from those of the network without one.
    pub fn under_head(mut self, headed: &Graph) -> Weights {
        let known = headed.ops.len() - 1;
        self.0.truncate(known);
        for op in &headed.ops[self.0.len()..known] {
            // Of what a head adds only the change of sign has weights.
            let negative = op.kind.has_weights().then(|| OpWeights {
                weight: vec![-1.0; headed.op_weight_len(op)],
                bias: vec![0.0; headed.op_bias_len(op)],
            });
            self.0.push(negative);
        }
        self
    }
}
