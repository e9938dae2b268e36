//! Amounts of CPU work of operators, by [`Term`]; a profile's cycles are linear in them.
//!
//! Other people's kernels are counted by layer ([`layers`]): multiply-accumulates, outputs, taps. This project's
//! kernels are counted by their loops: passes of the innermost loop with their tails, rows of weights, groups of
//! pixels, windows that touch a border. [`dsp`] and [`mve`] mirror the loops of the two cores, [`portable`] those
//! that both share.

mod dsp;
mod layers;
mod mve;
mod portable;

use std::{borrow::Cow, ops::Range};

use super::{Core, KernelSet, Target, Term};
use crate::graph::{Graph, Op, OpKind, Shape, Window};

/// Amounts of CPU work, by [`Term`].
pub type Work = [f64; Term::COUNT];

/// Adds the work of one operator.
pub fn add_op(graph: &Graph, op: &Op, target: &Target, work: &mut Work) {
    work[Term::Op as usize] += 1.0;
    work[Term::WeightByte as usize] += graph.op_weight_len(op) as f64;
    let mut add = |term: Term, amount: usize| work[term as usize] += amount as f64;
    let op = &*as_run(graph, op, target);
    match (target.runtime.kernels, target.cpu.core) {
        (KernelSet::Others, _) => layers::add_op(graph, op, &mut add),
        (KernelSet::Nas, Core::CortexM7) => dsp::add_op(graph, op, &mut add),
        (KernelSet::Nas, Core::CortexM55) => mve::add_op(graph, op, &mut add),
    }
}

/// The operator as kernels run it: rows of a matrix are pixels, and kernels of this project know no dilation.
pub fn as_run<'a>(graph: &Graph, op: &'a Op, target: &Target) -> Cow<'a, Op> {
    let kind = match (op.kind, target.runtime.kernels) {
        (OpKind::FullyConnected, _) if graph.op_output(op).area() > 1 => {
            OpKind::Conv2d(Window::same(1, 1))
        }
        (kind, KernelSet::Nas) => kind.filled(),
        (kind, KernelSet::Others) => kind,
    };
    match kind == op.kind {
        true => Cow::Borrowed(op),
        false => Cow::Owned(Op { kind, ..op.clone() }),
    }
}

/// A window that slides over an image, as the kernels see it.
#[derive(Debug, Clone, Copy)]
struct Sliding {
    window: Window,
    input: Shape,
    output: Shape,
    pad: [usize; 2],
}

/// Neighbouring output rows or columns whose windows cover the image with the same part `taps` of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    count: usize,
    taps: Range<usize>,
}

impl Sliding {
    fn new(graph: &Graph, op: &Op, window: Window) -> Sliding {
        let input = graph.op_input(op);
        Sliding {
            window,
            input,
            output: graph.op_output(op),
            pad: window.pad_before(input),
        }
    }

    /// The part of the kernel that covers the image, for an output row (axis 0) or column (axis 1).
    fn taps(&self, axis: usize, output: usize) -> Range<usize> {
        let length = [self.input.height, self.input.width][axis];
        let start = output * self.window.stride[axis];
        let first = self.pad[axis].saturating_sub(start);
        let last = (length + self.pad[axis]).saturating_sub(start);
        first..last.min(self.window.kernel[axis]).max(first)
    }

    /// All runs along an axis, in order.
    fn runs(&self, axis: usize) -> Vec<Run> {
        let length = [self.output.height, self.output.width][axis];
        let mut runs: Vec<Run> = Vec::new();
        for output in 0..length {
            let taps = self.taps(axis, output);
            match runs.last_mut() {
                Some(run) if run.taps == taps => run.count += 1,
                _ => runs.push(Run { count: 1, taps }),
            }
        }
        runs
    }

    /// Whether the convolution is a product with one vector: one output pixel, and a window that is the whole image.
    fn is_fully_connected(&self) -> bool {
        self.output.area() == 1
            && self.window.kernel == [self.input.height, self.input.width]
            && self.pad == [0, 0]
    }
}

/// Lengths of the pieces of `length` when each holds at most `most`.
fn pieces(length: usize, most: usize) -> impl Iterator<Item = usize> + Clone {
    (0..length)
        .step_by(most)
        .map(move |start| most.min(length - start))
}
