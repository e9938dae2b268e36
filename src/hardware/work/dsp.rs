//! Work of the kernels for Cortex-M7, `firmware/kernels/src/ops/dsp`.

use super::{Run, Sliding, Term, pieces, portable};
use crate::graph::{Graph, Op, OpKind};

/// Pixels that share the loads of weights, and channels whose sums wait on the stack.
const PIXELS: usize = 4;
const CHANNELS: usize = 32;

/// Taps of a window, and inputs of a vector, that are unpacked at once.
const TAPS: usize = 320;
const INPUTS: usize = 768;

/// Depthwise: channels at once, taps per pass, most taps.
const LANES: usize = 4;
const GROUP: usize = 3;
const DEPTHWISE_TAPS: usize = 66;

/// Adds the work of one operator.
pub fn add_op(graph: &Graph, op: &Op, add: &mut impl FnMut(Term, usize)) {
    let (input, output) = (graph.op_input(op), graph.op_output(op));
    match op.kind {
        OpKind::FullyConnected => fully_connected(input.len(), output.len(), add),
        OpKind::Conv2d(window) => {
            let sliding = Sliding::new(graph, op, window);
            match sliding.is_fully_connected() {
                true => fully_connected(input.len(), output.len(), add),
                false => convolution(&sliding, add),
            }
        }
        OpKind::DepthwiseConv2d(window)
            if window.taps() <= DEPTHWISE_TAPS && output.channels >= LANES =>
        {
            depthwise(&Sliding::new(graph, op, window), add);
        }
        _ => portable::add_op(graph, op, add),
    }
}

fn fully_connected(inputs: usize, outputs: usize, add: &mut impl FnMut(Term, usize)) {
    let rows: usize = pieces(outputs, CHANNELS).map(|rows| rows.div_ceil(2)).sum();
    let blocks = outputs.div_ceil(CHANNELS);
    let chunks = inputs.div_ceil(INPUTS);
    // An input in several pieces is unpacked again for every block.
    let unpacked = if chunks > 1 { blocks } else { 1 };
    let eights: usize = pieces(inputs, INPUTS).map(|length| length / 8).sum();
    add(Term::FullyConnectedLayer, 1);
    add(Term::FullyConnectedStep, rows * eights);
    if !inputs.is_multiple_of(4) {
        add(Term::FullyConnectedUnaligned, rows * eights);
    }
    add(Term::FullyConnectedRow, rows * chunks);
    add(Term::FullyConnectedRest, outputs * (inputs % 8));
    add(Term::FullyConnectedInput, unpacked * inputs.div_ceil(4));
    add(Term::FullyConnectedBlock, blocks * chunks);
}

fn convolution(sliding: &Sliding, add: &mut impl FnMut(Term, usize)) {
    let channels = sliding.output.channels;
    let row_taps = sliding.window.kernel[1] * sliding.input.channels;
    let taps = sliding.window.kernel[0] * row_taps;
    // Whole kernel rows, where they are short enough.
    let chunk = match TAPS / row_taps {
        0 => TAPS,
        rows => rows * row_taps,
    };
    let groups = sliding.output.area().div_ceil(PIXELS);
    let blocks = channels.div_ceil(CHANNELS);
    let chunks = taps.div_ceil(chunk);
    let fours: usize = pieces(taps, chunk).map(|length| length.div_ceil(4)).sum();
    add(Term::ConvLayer, 1);
    add(Term::Channel, channels);
    add(Term::ConvStep, groups * channels * fours);
    add(Term::ConvScale, groups * channels);
    add(Term::ConvGroup, groups * blocks * chunks);

    // A window in several pieces is unpacked again for every block of channels.
    let unpacked = if chunks > 1 { blocks } else { 1 };
    let (rows, columns) = (sliding.runs(0), sliding.runs(1));
    let is_whole = |run: &Run, axis: usize| run.taps == (0..sliding.window.kernel[axis]);
    let mut last = (groups * PIXELS - sliding.output.area()) * unpacked;
    // Starts at the last pixel, which also stands for the missing pixels of the last group.
    for row in rows.iter().rev() {
        for column in columns.iter().rev() {
            let windows = row.count * column.count * unpacked + std::mem::take(&mut last);
            add(Term::ConvWindow, windows * chunks);
            if is_whole(row, 0)
                && is_whole(column, 1)
                && row_taps.is_multiple_of(4)
                && row_taps <= TAPS
            {
                add(Term::ConvWindowStep, windows * taps / 4);
                continue;
            }
            let unpacked = Unpacked::of(sliding, row, column, row_taps, chunk);
            add(Term::ConvWindowRow, windows * unpacked.rows);
            add(Term::ConvWindowStep, windows * unpacked.fours);
            add(Term::ConvWindowByte, windows * unpacked.bytes);
        }
    }
}

/// The steps to unpack a window that touches a border, or whose rows are not a multiple of four taps.
#[derive(Debug, Clone, Copy, Default)]
struct Unpacked {
    rows: usize,
    fours: usize,
    bytes: usize,
}

impl Unpacked {
    fn of(sliding: &Sliding, row: &Run, column: &Run, row_taps: usize, chunk: usize) -> Unpacked {
        let depth = sliding.input.channels;
        let taps = sliding.window.kernel[0] * row_taps;
        let mut unpacked = Unpacked::default();
        let mut start = 0;
        for length in pieces(taps, chunk) {
            let mut done = 0;
            while done < length {
                let (ky, from) = ((start + done) / row_taps, (start + done) % row_taps);
                let to = row_taps.min(from + length - done);
                let inside = match row.taps.contains(&ky) {
                    true => {
                        [column.taps.start, column.taps.end].map(|x| (x * depth).clamp(from, to))
                    }
                    false => [to, to],
                };
                unpacked.rows += 1;
                // Padding, taps on the image, padding.
                for part in [inside[0] - from, inside[1] - inside[0], to - inside[1]] {
                    match done % 4 == 0 && part % 4 == 0 {
                        true => unpacked.fours += part / 4,
                        false => unpacked.bytes += part,
                    }
                    done += part;
                }
            }
            unpacked.bytes += length.wrapping_neg() % 4;
            start += length;
        }
        unpacked
    }
}

fn depthwise(sliding: &Sliding, add: &mut impl FnMut(Term, usize)) {
    let blocks = sliding.output.channels.div_ceil(LANES);
    add(Term::DepthwiseLayer, 1);
    add(Term::Channel, sliding.output.channels);
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
            add(Term::DepthwiseRow, blocks * row.count);
            add(Term::DepthwisePixel, blocks * pixels);
            add(Term::DepthwiseStep, blocks * pixels * taps.div_ceil(GROUP));
        }
    }
}
