//! Decides whether weights are copied into SRAM before use, in how many slices, and at what cost.
//!
//! After `Scheduler::ProposeSlicedWeightBuffering` and `NetworkPerformance::EstimateFullOpPerformance` of Vela's
//! Regor core (`scheduler.cpp`, `network_performance.cpp`, Apache-2.0). It assumes a memory that is large enough for
//! the buffers; then nothing is cascaded.

use super::{
    cycles::{self, Place},
    encoding::Encoded,
    layer::Pass,
    mapped::Mapped,
    system::{System, cycles as transfer},
};

/// The cost of a pass, and what it leaves for the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PassCost {
    /// Cycles of the multipliers and the output stage, and of the copies that they wait for.
    pub compute: i64,
    /// Cycles of the SRAM port.
    pub sram: i64,
    /// Cycles of the weight memory.
    pub storage: i64,
    /// Cycles during which weights of the next pass can be copied.
    pub slack: i64,
    /// SRAM of its staged weights.
    pub buffer: Buffer,
    /// Bytes of encoded weights and biases.
    pub encoded: usize,
    /// Number of slices.
    pub slices: usize,
}

/// SRAM that staged weights take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Buffer {
    /// Two parts that take turns; the second is 0 where all weights come at once.
    pub parts: [usize; 2],
    /// Whether the first part is filled while the pass before it computes.
    pub is_early: bool,
}

/// Slices hold a multiple of this many output channels.
const SPLIT_DEPTH: usize = 16;

/// Vela ignores waits below this many cycles when it compares.
const SHORT_WAIT: i64 = 1000;

/// The cost of a pass after one that left `slack` cycles; `None` for the first pass. `is_repeated` where it is one of
/// several runs, a pixel each.
pub fn cost(
    pass: &Pass,
    mapped: &Mapped,
    encoded: &Encoded,
    slack: Option<i64>,
    is_repeated: bool,
    system: &System,
) -> PassCost {
    let compute = mapped.compute;
    let maps = mapped.map_bytes;
    let mut cost = PassCost {
        compute,
        sram: transfer(maps, system.sram.bandwidth),
        storage: 0,
        slack: compute,
        buffer: Buffer::default(),
        encoded: 0,
        slices: 1,
    };
    if !pass.layer.has_weights() {
        return cost;
    }
    let depth = pass.layer.output.channels;
    let fetches = mapped.weight_fetches;
    let slices = match system.staging {
        // Runs of one pixel each copy all weights anew.
        true if is_repeated => Some(Slices {
            ends: vec![depth],
            last_cycles: compute,
        }),
        true => slices(pass, mapped, encoded, slack, system),
        false => None,
    };
    let Some(Slices { ends, last_cycles }) = slices else {
        let bytes = fetches * encoded.range(depth).total();
        cost.encoded = encoded.range(depth).total();
        if system.staging {
            cost.storage = transfer(bytes, system.storage.bandwidth);
        } else {
            cost.sram = transfer(maps + bytes, system.sram.bandwidth);
        }
        return cost;
    };
    let (mut weights, mut biases, mut start) = (0, 0, 0);
    for (idx, &end) in ends.iter().enumerate() {
        let range = encoded.range(end - start);
        weights += range.weights;
        biases += range.biases;
        let part = &mut cost.buffer.parts[idx % 2];
        *part = range.total().max(*part);
        start = end;
    }
    cost.encoded = weights + biases;
    cost.slices = ends.len();
    cost.buffer.is_early = slack.is_some();
    cost.slack = last_cycles;
    let first = encoded.range(ends[0]).total();
    let slack = slack.unwrap_or(0);
    let copy_all = system.copy_cycles(encoded.range(depth).total());
    let wait = (system.copy_cycles(first) - slack).max(0);
    cost.compute = (copy_all - slack + last_cycles).max(compute + wait);
    let late = match cost.buffer.is_early {
        true => weights.saturating_sub(first),
        false => weights,
    };
    cost.sram = transfer(maps + late + fetches * weights, system.sram.bandwidth);
    cost.storage = transfer(late + fetches * biases, system.storage.bandwidth);
    cost
}

/// The output channels where slices end, and the cycles of the last slice.
struct Slices {
    ends: Vec<usize>,
    last_cycles: i64,
}

/// How the weights are staged; `None` where reading them in place is better.
fn slices(
    pass: &Pass,
    mapped: &Mapped,
    encoded: &Encoded,
    slack: Option<i64>,
    system: &System,
) -> Option<Slices> {
    let depth = pass.layer.output.channels;
    let fetches = mapped.weight_fetches as i64;
    let bytes = encoded.range(depth).total();
    let unmoved = read_cycles(bytes, system.storage) * fetches;
    let from_buffer = read_cycles(bytes, system.sram) * fetches;
    if from_buffer >= unmoved {
        return None;
    }
    let copy = system.copy_cycles(bytes);
    let is_first = slack.is_none();
    let slack = slack.unwrap_or(0);
    let smallest_copy = (copy as f64 * depth.min(SPLIT_DEPTH) as f64 / depth as f64) as i64;
    let at_start =
        is_first && fetches > 1 && (smallest_copy < unmoved / 10 || smallest_copy <= SHORT_WAIT);
    let worth_trying = at_start
        || from_buffer + (copy - slack).max(0) < unmoved
        || depth / mapped.block.output.channels > 2
        || (!is_first && smallest_copy < slack && fetches > 1);
    if !worth_trying {
        return None;
    }
    let is_compute_bound = mapped.compute > unmoved;
    let ends = slice_ends(pass, mapped, copy, slack, is_compute_bound, system)?;
    let usable_slack = match is_first {
        false => slack,
        true if at_start => SHORT_WAIT,
        true => 0,
    };
    let sliced = run(pass, mapped, encoded, &ends, usable_slack, system);
    let before = mapped.compute.max(unmoved).max(sliced.input_cycles);
    let mut after = (sliced.cycles + sliced.wait)
        .max(sliced.weight_cycles)
        .max(sliced.input_cycles);
    if is_compute_bound {
        let count = ends.len() as i64;
        if sliced.wait / count < SHORT_WAIT {
            after -= sliced.wait;
        }
        if count > 1 && sliced.cycles + sliced.wait == after && at_start {
            after -= count * SHORT_WAIT / 2;
        }
    }
    let read_once = fetches == 1 && copy + sliced.weight_cycles > before;
    if before < after || read_once {
        return None;
    }
    Some(Slices {
        ends,
        last_cycles: sliced.last_cycles,
    })
}

/// Slices such that the first is copied during the pass before, and each later one during the slice before it.
fn slice_ends(
    pass: &Pass,
    mapped: &Mapped,
    copy: i64,
    slack: i64,
    is_compute_bound: bool,
    system: &System,
) -> Option<Vec<usize>> {
    let depth = pass.layer.output.channels;
    let smallest = (SPLIT_DEPTH as f64 / depth as f64).min(1.0);
    let copied = (slack as f64 / copy as f64).min(1.0);
    let aligned = (copied / smallest).floor() * smallest;
    let mut first = if 1.0 - aligned < smallest / 2.0 {
        1.0
    } else {
        copied
    };
    if is_compute_bound && first > 0.5 && first < 1.0 {
        let half = (depth / 2).next_multiple_of(SPLIT_DEPTH) as f64 / depth as f64;
        first = half.clamp(0.5, 1.0);
    }
    first = first.max(smallest);
    if first >= 1.0 {
        return Some(vec![depth]);
    }
    let first = (depth as f64 * first) as usize;
    let first = (first / SPLIT_DEPTH * SPLIT_DEPTH).max(SPLIT_DEPTH);
    if first >= depth {
        return Some(vec![depth]);
    }
    let block = &mapped.block;
    let block_depth = block.output.channels;
    let place = Place {
        is_first: true,
        is_last: false,
    };
    let cycles = cycles::compute(&slice(pass, first), block, place, system);
    let step = ((depth as i64 * cycles / copy) as usize)
        .max(SPLIT_DEPTH)
        .next_multiple_of(block_depth);
    let unit = if step > block_depth {
        block_depth
    } else {
        SPLIT_DEPTH
    };
    let step = (step / unit * unit).max(SPLIT_DEPTH);
    let mut ends: Vec<usize> = (first..depth).step_by(step).collect();
    ends.push(depth);
    let share = step as f64 / step.next_multiple_of(block_depth) as f64;
    if ends.len() > 2 && share < 0.3 && is_compute_bound {
        return None;
    }
    Some(ends)
}

/// A pass that runs slice by slice.
struct Run {
    cycles: i64,
    /// Cycles of copies that no computation hides.
    wait: i64,
    last_cycles: i64,
    weight_cycles: i64,
    input_cycles: i64,
}

/// Runs the slices with copied weights, the first of them copied within `slack`.
fn run(
    pass: &Pass,
    mapped: &Mapped,
    encoded: &Encoded,
    ends: &[usize],
    slack: i64,
    system: &System,
) -> Run {
    let depth = pass.layer.output.channels;
    let fetches = mapped.weight_fetches;
    if ends.len() == 1 {
        let bytes = encoded.range(depth).total();
        return Run {
            cycles: mapped.compute,
            wait: (system.copy_cycles(bytes) - slack).max(0),
            last_cycles: mapped.compute,
            weight_cycles: read_cycles(bytes, system.sram) * fetches as i64,
            input_cycles: read_cycles(mapped.fetched_input, system.sram),
        };
    }
    let mut left = slack;
    let (mut cycles, mut wait, mut last_cycles, mut inputs, mut weights) = (0, 0, 0, 0, 0);
    let mut start = 0;
    for &end in ends {
        let pass = slice(pass, end - start);
        let place = Place {
            is_first: start == 0,
            is_last: end == depth,
        };
        let bytes = encoded.range(end - start).total();
        inputs += cycles::fetched_input(&pass.layer, &mapped.block, pass.input_format);
        weights += bytes * fetches;
        last_cycles = cycles::compute(&pass, &mapped.block, place, system);
        wait += (system.copy_cycles(bytes) - left).max(0);
        cycles += last_cycles;
        left = last_cycles;
        start = end;
    }
    let reads = fetches * ends.len();
    Run {
        cycles,
        wait,
        last_cycles,
        weight_cycles: read_cycles(weights / reads, system.sram) * reads as i64,
        input_cycles: read_cycles(inputs, system.sram),
    }
}

fn slice(pass: &Pass, channels: usize) -> Pass {
    Pass {
        layer: pass.layer.with_depth(channels),
        ..*pass
    }
}

fn read_cycles(bytes: usize, memory: super::system::Memory) -> i64 {
    (bytes as f64 / memory.bandwidth + memory.read_latency) as i64
}
