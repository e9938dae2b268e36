//! Work of loops that both cores share: operators with only a portable build, or whose outer loops it keeps.

use super::{Sliding, Term, layers::UNKNOWN_ADDS};
use crate::graph::{Effort, Graph, Op, OpKind, Window};

/// Channels computed together.
const BLOCK: usize = 16;

/// Operators that are neither convolutions nor fully connected.
pub fn add_op(graph: &Graph, op: &Op, add: &mut impl FnMut(Term, usize)) {
    let (input, output) = (graph.op_input(op), graph.op_output(op));
    match op.kind {
        OpKind::Conv2d(_) | OpKind::DepthwiseConv2d(_) | OpKind::FullyConnected => {
            add(Term::PortableMac, graph.op_macs(op) as usize);
            add(Term::PortableOutput, output.len());
        }
        OpKind::AveragePool2d(window) => add_pool(&Sliding::new(graph, op, window), add),
        OpKind::Mean => {
            let whole = [input.height, input.width];
            let window = Window {
                kernel: whole,
                stride: whole,
                padding: crate::graph::Padding::Valid,
                dilation: [1, 1],
            };
            add_pool(&Sliding::new(graph, op, window), add);
        }
        OpKind::MaxPool2d(window) => {
            let taps = taps_on_image(&Sliding::new(graph, op, window));
            add(Term::MaxPoolTap, taps * output.channels.div_ceil(BLOCK));
        }
        OpKind::Softmax => add(Term::SoftmaxOutput, output.len()),
        OpKind::Add | OpKind::Multiply => add(Term::AddOutput, output.len()),
        OpKind::Upsample([up, across]) => {
            let row_bytes = input.width * across * input.channels;
            let (in_row, rows) = (input.area() * across, input.height * (up - 1));
            add(Term::UpsamplePixel, input.area());
            add(Term::UpsampleCopy, in_row + rows);
            add(
                Term::UpsampleStep,
                in_row * input.channels.div_ceil(BLOCK) + rows * row_bytes.div_ceil(BLOCK),
            );
        }
        // Rows of pixels are copied, as in UPSAMPLE.
        OpKind::Pad { .. } => {
            add(Term::UpsampleCopy, input.area());
            add(
                Term::UpsampleStep,
                input.area() * input.channels.div_ceil(BLOCK),
            );
        }
        OpKind::Lookup(_) => add(Term::LookupOutput, output.len()),
        OpKind::Reshape => {}
        // No kernel runs these; the loops would be like those of operators that have one.
        OpKind::Foreign(foreign) => match foreign.effort {
            Effort::None => {}
            Effort::Sums | Effort::Products | Effort::Comparisons => {
                add(Term::AddOutput, output.len())
            }
            Effort::Table | Effort::Shuffles => add(Term::LookupOutput, output.len()),
            Effort::Copies => {
                add(Term::UpsampleCopy, output.area());
                let row = output.channels.div_ceil(BLOCK);
                add(Term::UpsampleStep, output.area() * row);
            }
            Effort::Grouped(..) | Effort::Transposed(_) | Effort::Macs(_) => {
                add(Term::PortableMac, graph.op_macs(op) as usize);
                add(Term::PortableOutput, output.len());
            }
            Effort::Means(window) => add_pool(&Sliding::new(graph, op, window), add),
            Effort::Unknown => {
                let elements = input.len().max(output.len());
                add(Term::AddOutput, UNKNOWN_ADDS * elements);
            }
        },
    }
}

/// Adds an average pool: rows of each window are added up in blocks of channels.
fn add_pool(sliding: &Sliding, add: &mut impl FnMut(Term, usize)) {
    let channels = sliding.output.channels;
    let blocks = channels.div_ceil(BLOCK);
    let taps = taps_on_image(sliding);
    // Rows as long as the image lie next to each other.
    let mut rows = 0;
    for run in sliding.runs(1) {
        rows += match run.taps.len() == sliding.input.width {
            true => run.count * sliding.output.height,
            false => {
                run.count
                    * sliding
                        .runs(0)
                        .iter()
                        .map(|r| r.count * r.taps.len())
                        .sum::<usize>()
            }
        };
    }
    match channels < BLOCK {
        true => {
            add(Term::PoolTap, taps);
            add(Term::PoolInput, taps * channels);
        }
        false => add(Term::PoolStep, taps * blocks),
    }
    add(Term::PoolRow, rows * blocks);
    add(
        Term::PoolOutput,
        sliding.output.area() * blocks * channels.min(BLOCK),
    );
    add(Term::PoolPixel, sliding.output.area());
}

/// Taps on the image over all output pixels.
fn taps_on_image(sliding: &Sliding) -> usize {
    let sum = |axis| -> usize {
        let runs = sliding.runs(axis);
        runs.iter().map(|run| run.count * run.taps.len()).sum()
    };
    sum(0) * sum(1)
}
