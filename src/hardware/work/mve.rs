//! Work of the kernels for Cortex-M55, `firmware/kernels/src/ops/mve`.

use std::ops::Range;

use super::{Sliding, Term, pieces, portable};
use crate::graph::{Activation, Graph, Op, OpKind};

/// Neighbouring pixels that share the loads of weights, and channels whose sums are on the stack at once.
const PIXELS: usize = 3;
const CHANNELS: usize = 64;

/// Bytes of a vector, and of the longest part of a window that is gathered.
const VECTOR: usize = 16;
const PATCH: usize = 768;

/// Fully connected: outputs at once, and blocks of them whose sums are on the stack.
const ROWS: usize = 4;
const BLOCKS: usize = 16;

/// Most taps of a depthwise window.
const DEPTHWISE_TAPS: usize = 64;

/// Adds the work of one operator.
pub fn add_op(graph: &Graph, op: &Op, add: &mut impl FnMut(Term, usize)) {
    let (input, output) = (graph.op_input(op), graph.op_output(op));
    // A ReLU leaves nothing below the zero point, where halves would round the other way.
    let rounds_away = op.activation == Activation::None;
    match op.kind {
        OpKind::FullyConnected if output.len() >= ROWS => {
            fully_connected(input.len(), output.len(), rounds_away, add);
        }
        OpKind::Conv2d(window) if window.kernel[1] * input.channels <= PATCH => {
            let sliding = Sliding::new(graph, op, window);
            match sliding.is_fully_connected() {
                true if output.len() >= ROWS => {
                    fully_connected(input.len(), output.len(), rounds_away, add);
                }
                true => portable::add_op(graph, op, add),
                false => convolution(&sliding, rounds_away, add),
            }
        }
        OpKind::DepthwiseConv2d(window) if window.taps() <= DEPTHWISE_TAPS => {
            depthwise(&Sliding::new(graph, op, window), rounds_away, add);
        }
        _ => portable::add_op(graph, op, add),
    }
}

fn fully_connected(
    inputs: usize,
    outputs: usize,
    rounds_away: bool,
    add: &mut impl FnMut(Term, usize),
) {
    // The last rows are computed twice where the outputs are not a multiple.
    let rows = outputs.div_ceil(ROWS);
    let blocks = (outputs / ROWS).div_ceil(BLOCKS) + usize::from(!outputs.is_multiple_of(ROWS));
    add(Term::FullyConnectedLayer, 1);
    add(Term::FullyConnectedStep, rows * inputs.div_ceil(VECTOR));
    add(Term::FullyConnectedRow, rows);
    add(Term::FullyConnectedBlock, blocks);
    if rounds_away {
        add(Term::RoundedAway, rows);
    }
}

fn convolution(sliding: &Sliding, rounds_away: bool, add: &mut impl FnMut(Term, usize)) {
    let [kernel_height, kernel_width] = sliding.window.kernel;
    let [height, width, channels] = [
        sliding.output.height,
        sliding.output.width,
        sliding.output.channels,
    ];
    let row_taps = kernel_width * sliding.input.channels;
    // Kernel rows that are gathered and multiplied together.
    let rows = (PATCH / row_taps).min(kernel_height);
    let groups = (height * width).div_ceil(PIXELS);
    let blocks = channels.div_ceil(CHANNELS);
    let pairs: usize = pieces(channels, CHANNELS).map(|c| c.div_ceil(2)).sum();
    let scaled: usize = pieces(channels, CHANNELS).map(|c| c.div_ceil(4)).sum();
    let parts = pieces(kernel_height, rows);
    let steps: usize = parts
        .clone()
        .map(|rows| (rows * row_taps).div_ceil(VECTOR))
        .sum();
    add(Term::ConvLayer, 1);
    add(Term::Channel, channels);
    add(Term::ConvStep, groups * pairs * steps);
    add(Term::ConvGroup, groups * blocks * parts.count());
    add(Term::ConvScale, groups * scaled);
    if rounds_away {
        add(Term::RoundedAway, groups * scaled);
    }
    let gathered = Gathered::of(sliding, rows);
    add(Term::ConvWindow, blocks * gathered.windows);
    add(Term::ConvWindowRow, blocks * gathered.rows);
    add(Term::ConvWindowStep, blocks * gathered.steps);
}

/// The steps to gather the windows of a layer, `rows` kernel rows at a time.
#[derive(Debug, Clone, Copy, Default)]
struct Gathered {
    /// Windows gathered one by one: at borders, at the ends of rows, at the end.
    windows: usize,
    rows: usize,
    steps: usize,
}

impl Gathered {
    fn of(sliding: &Sliding, rows: usize) -> Gathered {
        let columns: Vec<Range<usize>> = (0..sliding.output.width)
            .map(|column| sliding.taps(1, column))
            .collect();
        let mut all = Gathered::default();
        // Rows are alike that have the same taps and begin at the same place of a group.
        let mut known: Vec<(Range<usize>, usize, Gathered)> = Vec::new();
        // Pixels of a row that belong to the last group of the row before.
        let mut offset = 0;
        for row in 0..sliding.output.height {
            let on_image = sliding.taps(0, row);
            let of_row = known
                .iter()
                .find(|(taps, begin, _)| (taps, *begin) == (&on_image, offset))
                .map(|(_, _, gathered)| *gathered)
                .unwrap_or_else(|| {
                    let gathered = Gathered::of_row(sliding, &on_image, offset, rows, &columns);
                    known.push((on_image, offset, gathered));
                    gathered
                });
            all.windows += of_row.windows;
            all.rows += of_row.rows;
            all.steps += of_row.steps;
            offset = (offset + PIXELS * columns.len() - columns.len()) % PIXELS;
        }
        all
    }

    fn of_row(
        sliding: &Sliding,
        on_image: &Range<usize>,
        offset: usize,
        rows: usize,
        columns: &[Range<usize>],
    ) -> Gathered {
        let [kernel_height, kernel_width] = sliding.window.kernel;
        let depth = sliding.input.channels;
        let is_whole = |taps: &Range<usize>| *taps == (0..kernel_width);
        let mut gathered = Gathered::default();
        for first in (0..kernel_height).step_by(rows) {
            let part = first..(first + rows).min(kernel_height);
            let inside = on_image.start.max(part.start)..on_image.end.min(part.end);
            let mut column = 0;
            while column < columns.len() {
                let begins_group = column >= offset && (column - offset).is_multiple_of(PIXELS);
                let group = columns.get(column..column + PIXELS);
                if begins_group && inside == part && group.is_some_and(|g| g.iter().all(is_whole)) {
                    // Windows of one row are used where they lie.
                    if part.len() > 1 {
                        gathered.add_copies(PIXELS * part.len(), kernel_width * depth);
                    }
                    column += PIXELS;
                    continue;
                }
                gathered.windows += 1;
                if inside != part || !is_whole(&columns[column]) {
                    gathered.steps += (part.len() * kernel_width * depth).div_ceil(VECTOR);
                }
                gathered.add_copies(inside.len(), columns[column].len() * depth);
                column += 1;
            }
        }
        gathered
    }

    /// Adds copies of so many rows of a window.
    fn add_copies(&mut self, rows: usize, bytes: usize) {
        self.rows += rows;
        self.steps += rows * bytes.div_ceil(VECTOR);
    }
}

fn depthwise(sliding: &Sliding, rounds_away: bool, add: &mut impl FnMut(Term, usize)) {
    let channels = sliding.output.channels;
    let blocks = channels.div_ceil(VECTOR);
    add(Term::DepthwiseLayer, 1);
    add(Term::Channel, channels);
    let columns = sliding.runs(1);
    for row in sliding.runs(0) {
        for column in &columns {
            let taps = row.taps.len() * column.taps.len();
            let pixels = row.count * column.count;
            add(Term::DepthwiseBorder, blocks);
            add(Term::DepthwiseTap, blocks * taps);
            add(
                Term::DepthwisePadding,
                blocks * (sliding.window.taps() - taps),
            );
            // Along the longer side.
            add(Term::DepthwiseRow, blocks * row.count.min(column.count));
            add(Term::DepthwisePixel, blocks * pixels);
            add(Term::DepthwiseStep, blocks * pixels * taps);
            if rounds_away {
                add(Term::DepthwiseRoundedAway, blocks * pixels);
            }
            if !channels.is_multiple_of(VECTOR) {
                // Predicates of a block that is not whole.
                add(Term::DepthwisePartial, pixels * (1 + taps));
            }
        }
    }
}
