//! Work by layer, as tables of other people's measurements count it: multiply-accumulates, outputs, taps.

use super::Term;
use crate::graph::{Effort, Graph, Op, OpKind};

/// One element of SOFTMAX costs as much as this many of ADD: 235 and 15 cycles on a Cortex-M55 with CMSIS-NN.
const SOFTMAX_ADDS: usize = 16;

/// One element of an operator of which nothing is known counts as this many of ADD.
pub const UNKNOWN_ADDS: usize = 4;

/// Adds the work of one operator.
pub fn add_op(graph: &Graph, op: &Op, add: &mut impl FnMut(Term, usize)) {
    let output = graph.op_output(op);
    let outputs = output.len();
    let macs = graph.op_macs(op) as usize;
    match op.kind {
        OpKind::Conv2d(window) if window.taps() > 1 => {
            add(Term::ConvMac, macs);
            add(Term::ConvOutput, outputs);
            add(Term::ConvTap, window.taps() * output.area());
        }
        OpKind::Conv2d(_) => {
            add(Term::PointwiseMac, macs);
            add(Term::PointwiseOutput, outputs);
        }
        OpKind::DepthwiseConv2d(_) => {
            add(Term::DepthwiseMac, macs);
            add(Term::DepthwiseOutput, outputs);
        }
        OpKind::FullyConnected => {
            add(Term::FullyConnectedMac, macs);
            add(Term::FullyConnectedOutput, outputs);
        }
        OpKind::AveragePool2d(window) | OpKind::MaxPool2d(window) => {
            add(Term::PoolInput, outputs * window.taps());
        }
        OpKind::Mean => add(Term::PoolInput, graph.op_input(op).len()),
        OpKind::Softmax => add(Term::AddOutput, SOFTMAX_ADDS * outputs),
        OpKind::Add | OpKind::Multiply => add(Term::AddOutput, outputs),
        OpKind::Upsample(_) | OpKind::Pad { .. } | OpKind::Lookup(_) => {
            add(Term::UpsampleOutput, outputs);
        }
        OpKind::Reshape => {}
        OpKind::Foreign(foreign) => match foreign.effort {
            Effort::None => {}
            Effort::Sums | Effort::Products | Effort::Comparisons => add(Term::AddOutput, outputs),
            Effort::Table | Effort::Copies | Effort::Shuffles => {
                add(Term::UpsampleOutput, outputs);
            }
            Effort::Grouped(..) | Effort::Transposed(_) | Effort::Macs(_) => {
                add(Term::ConvMac, macs);
                add(Term::ConvOutput, outputs);
            }
            Effort::Means(_) => add(Term::PoolInput, graph.op_input(op).len()),
            Effort::Unknown => {
                let elements = graph.op_input(op).len().max(outputs);
                add(Term::AddOutput, UNKNOWN_ADDS * elements);
            }
        },
    }
}
