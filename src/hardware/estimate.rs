//! Cost estimates before training: RAM, flash, latency and energy, each with a band.
//!
//! Coefficients of one fit err together, so errors of terms add up within the network, and within the front end.
//! Network, front end, NPU and the factor on whole networks err independently, so their squares add up. A relative
//! error `e` is a factor: the band is `value / (1 + e)` to `value * (1 + e)`. A measured `e` is a root mean square:
//! about two of three networks lie inside the band.

use nas_kernels::{
    blob,
    decision::{ClipRule, MOST_ENTRIES},
};

use super::{
    ArenaRule, Contents, Cost, CostSource, Target, Term, Work,
    ethos_u55::{self, LONGEST_DILATION, NpuCycles, NpuPlan},
    profile::Coefficient,
    tflm, work,
};
use crate::{
    audio::{Feature, FrontEnd, StatisticKind},
    graph::{Effort, Foreign, Graph, Op, OpKind, memory},
    space::{Candidate, Task, WeightMemory},
};

/// What one candidate costs on one target, per inference: one new window of features.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Peak RAM in bytes: arena, front end, stack and state of the runtime.
    pub ram_bytes: Cost,
    /// Flash in bytes: weights, tables and code.
    pub flash_bytes: Cost,
    /// Time in microseconds for the new frames of a window and for the network.
    pub latency_us: Cost,
    /// Energy in microjoules: active power times latency.
    pub energy_uj: Cost,
    /// Time from one window to the next in microseconds, which does not depend on the target; `None` without a front end.
    pub window_us: Option<f64>,
}

/// What one operator costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OpCost {
    /// Index into the operators of the graph.
    pub op_idx: usize,
    /// The unit that runs it.
    pub unit: Unit,
    /// Where it spends most of its time.
    pub bottleneck: Bottleneck,
    /// Cycles of the unit that runs it.
    pub cycles: f64,
    /// Its share of the latency in microseconds.
    pub latency_us: Cost,
}

/// The unit that runs an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// The microcontroller's core.
    Cpu,
    /// The Ethos-U55 beside it.
    Npu,
}

/// Where an operator spends most of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bottleneck {
    /// Arithmetic.
    Compute,
    /// Moving activations.
    Memory,
    /// Fetching weights.
    Weights,
    /// Calling the operator.
    Overhead,
}

impl Bottleneck {
    const ALL: [Bottleneck; 4] = [
        Bottleneck::Compute,
        Bottleneck::Memory,
        Bottleneck::Weights,
        Bottleneck::Overhead,
    ];
}

/// RAM in bytes, by use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RamParts {
    /// Activations, and what the runtime keeps beside them.
    pub arena: f64,
    /// Encoded weights, where an NPU reads them from RAM; else 0.
    pub weights: f64,
    /// Buffers of the front end: samples, scratch and feature frames.
    pub front_end: f64,
    /// The stack.
    pub stack: f64,
    /// Static data of the runtime that is neither arena nor front end.
    pub state: f64,
}

/// Flash in bytes, by use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FlashParts {
    /// int8 weights, or the NPU's encoded weights, biases and tables.
    pub weights: f64,
    /// int32 biases and requantisation constants.
    pub channels: f64,
    /// Headers of the model, its tensors and operators; with an NPU also its command stream.
    pub structure: f64,
    /// Tables of the front end.
    pub front_end: f64,
    /// Program code.
    pub code: f64,
}

/// Costs of a candidate: front end and network.
pub fn estimate(candidate: &Candidate, target: &Target) -> Estimate {
    let graph = &candidate.graph;
    let target = &*target.with_weights_in(candidate.weights_in);
    estimate_parts(
        Some(&candidate.front_end),
        &candidate.clip_rules,
        Points::of(candidate),
        graph,
        npu_plan(graph, None, target),
        target,
    )
}

/// What distances are measured from.
#[derive(Debug, Clone, Copy, Default)]
struct Points {
    count: usize,
    dimensions: usize,
}

impl Points {
    fn of(candidate: &Candidate) -> Points {
        match candidate.task {
            Task::Distance(how) => Points {
                count: how.most_points(),
                dimensions: candidate.graph.output_shape().len() / how.blocks(),
            },
            Task::Reconstruct | Task::Classify { .. } => Points::default(),
        }
    }

    /// Bytes in the blob.
    fn bytes(&self) -> usize {
        match self.count {
            0 => 0,
            count => blob::SECTION_BYTES + 8 + count * (blob::CENTRE_BYTES + 2 * self.dimensions),
        }
    }
}

/// Costs of a network without a front end, for example from a model file.
pub fn estimate_graph(graph: &Graph, target: &Target) -> Estimate {
    let plan = npu_plan(graph, None, target);
    estimate_parts(None, &[], Points::default(), graph, plan, target)
}

/// Everything that one network costs on one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Costs {
    /// The whole, per inference.
    pub estimate: Estimate,
    /// Every operator, without the front end.
    pub ops: Vec<OpCost>,
    /// RAM by use.
    pub ram: RamParts,
}

/// Costs of a network, with its front end where it is a candidate's.
///
/// An NPU reads compressed weights, so their values matter. `weights` are int8 in TFLite's layout, one entry per
/// operator; without them their size is that of weights nobody knows yet, with a wider band.
pub fn costs(
    graph: &Graph,
    candidate: Option<&Candidate>,
    weights: Option<&[Option<&[i8]>]>,
    target: &Target,
) -> Costs {
    let target = &*target.with_weights_in(candidate.and_then(|candidate| candidate.weights_in));
    let plan = npu_plan(graph, weights, target);
    let front_end = candidate.map(|candidate| &candidate.front_end);
    let clip_rules = candidate.map_or(&[][..], |candidate| &candidate.clip_rules);
    Costs {
        ops: op_costs_of(graph, &plan, target),
        ram: ram_parts_of(front_end, clip_rules, graph, &plan, target),
        estimate: estimate_parts(
            front_end,
            clip_rules,
            candidate.map_or(Points::default(), Points::of),
            graph,
            plan,
            target,
        ),
    }
}

/// Costs of a network with activations of 16 bits and weights of 8 (16x8), from those of one with 8.
///
/// Nothing here runs such a network: cycles grow by what Vela 5.2 says of single layers, and on a core by a factor that CMSIS-NN's
/// kernels suggest, in a wide band.
pub fn widened(
    graph: &Graph,
    mut estimate: Estimate,
    mut ops: Vec<OpCost>,
    mut ram: RamParts,
    target: &Target,
) -> (Estimate, Vec<OpCost>, RamParts) {
    let sum = |ops: &[OpCost]| ops.iter().map(|op| op.latency_us.value).sum::<f64>();
    let before = sum(&ops);
    for op in &mut ops {
        let (factor, error) = match (op.unit, &graph.ops[op.op_idx].kind) {
            (Unit::Cpu, _) => (2.0, 1.0),
            (Unit::Npu, OpKind::Conv2d(window)) if window.taps() == 1 => (1.45, 0.5),
            (Unit::Npu, OpKind::FullyConnected) => (1.48, 0.5),
            (Unit::Npu, _) => (1.96, 0.5),
        };
        op.cycles *= factor;
        op.latency_us = widened_cost(op.latency_us, factor, error);
    }
    let error = match ops.iter().any(|op| op.unit == Unit::Cpu) {
        true => 1.0,
        false => 0.5,
    };
    let factor = match before > 0.0 {
        true => sum(&ops) / before,
        false => 1.0,
    };
    estimate.latency_us = widened_cost(estimate.latency_us, factor, error);
    estimate.energy_uj = widened_cost(estimate.energy_uj, factor, error);
    let more = [
        ram.arena,
        graph
            .ops
            .iter()
            .map(|op| 4 * graph.op_bias_len(op))
            .sum::<usize>() as f64,
    ];
    ram.arena *= 2.0;
    // Biases have 64 bits, where no NPU packs them.
    let biases = if target.npu.is_some() { 0.0 } else { more[1] };
    let costs = [&mut estimate.ram_bytes, &mut estimate.flash_bytes];
    for (cost, more) in costs.into_iter().zip([more[0], biases]) {
        cost.value += more;
        cost.low += more;
        cost.high += more;
    }
    (estimate, ops, ram)
}

/// A cost that grows by a factor, which may be wrong by `1 + error`.
fn widened_cost(cost: Cost, factor: f64, error: f64) -> Cost {
    let relative = cost.high / cost.value.max(f64::MIN_POSITIVE) - 1.0;
    Cost::estimated(cost.value * factor, relative.hypot(error))
}

/// How a target's NPU runs a network; `None` on targets without one.
pub fn npu_plan(
    graph: &Graph,
    weights: Option<&[Option<&[i8]>]>,
    target: &Target,
) -> Option<NpuPlan> {
    let npu = target.npu.as_ref()?;
    let codings = weights.map(|weights| ethos_u55::codings(graph, weights, npu));
    Some(ethos_u55::plan(graph, npu, codings.as_deref()))
}

/// Costs of every operator, without the front end.
pub fn op_costs(graph: &Graph, target: &Target) -> Vec<OpCost> {
    op_costs_of(graph, &npu_plan(graph, None, target), target)
}

fn op_costs_of(graph: &Graph, plan: &Option<NpuPlan>, target: &Target) -> Vec<OpCost> {
    let empty = Time {
        encoding_error: encoding_error(plan, target),
        ..Time::new(graph, target)
    };
    let op_cost = |(op_idx, op)| {
        let mut time = empty;
        let (unit, bottleneck) = match time.add_op(graph, op, on_npu(plan, op_idx), target) {
            Some(bottleneck) => (Unit::Npu, bottleneck),
            None => (Unit::Cpu, time.bottleneck(op, target)),
        };
        let clock_mhz = match (unit, &target.npu) {
            (Unit::Npu, Some(npu)) => npu.clock.value,
            _ => target.cpu.clock.value,
        };
        let latency_us = time.latency_us(target);
        OpCost {
            op_idx,
            unit,
            bottleneck,
            cycles: latency_us.value * clock_mhz,
            latency_us,
        }
    };
    graph.ops.iter().enumerate().map(op_cost).collect()
}

/// CPU work of a network, by [`Term`]; operators count as if there were no NPU.
pub fn cpu_work(graph: &Graph, target: &Target) -> Work {
    let mut time = Time::new(graph, target);
    for op in &graph.ops {
        time.add_cpu_op(graph, op, target);
    }
    time.work
}

/// Latency of the front end alone in microseconds, for `frame_stride` new frames.
pub fn front_end_latency_us(front_end: &FrontEnd, target: &Target) -> Cost {
    let mut time = Time::default();
    time.add_front_end(front_end);
    time.latency_us(target)
}

/// RAM by use; `clip_rules` are those by which the scores of windows may become one.
pub fn ram_parts(
    front_end: Option<&FrontEnd>,
    clip_rules: &[ClipRule],
    graph: &Graph,
    target: &Target,
) -> RamParts {
    let plan = npu_plan(graph, None, target);
    ram_parts_of(front_end, clip_rules, graph, &plan, target)
}

/// Flash in bytes, by use, but for points that distances are measured from.
pub fn flash_parts(front_end: Option<&FrontEnd>, graph: &Graph, target: &Target) -> FlashParts {
    let plan = npu_plan(graph, None, target);
    flash_parts_of(front_end, Points::default(), graph, &plan, target)
}

/// Relative error of the size of weights as the NPU reads them: none where they were at hand.
fn encoding_error(plan: &Option<NpuPlan>, target: &Target) -> f64 {
    match (plan, &target.npu) {
        (Some(plan), Some(npu)) if !plan.are_weights_known => npu.weight_encoding.error,
        _ => 0.0,
    }
}

/// Cycles of an operator on the NPU; `None` where it runs on the CPU.
fn on_npu(plan: &Option<NpuPlan>, op_idx: usize) -> Option<NpuCycles> {
    plan.as_ref().and_then(|plan| plan.ops[op_idx])
}

fn ram_parts_of(
    front_end: Option<&FrontEnd>,
    clip_rules: &[ClipRule],
    graph: &Graph,
    npu_plan: &Option<NpuPlan>,
    target: &Target,
) -> RamParts {
    let arena = match npu_plan {
        Some(plan) => plan.sram_bytes,
        None => arena_bytes(graph, target),
    };
    let weights = match (npu_plan, &target.npu) {
        (Some(plan), Some(npu)) if npu.weights_in == WeightMemory::Sram => plan.constant_bytes,
        _ => 0,
    };
    RamParts {
        arena: arena as f64,
        weights: weights as f64,
        front_end: front_end.map_or(0, |front_end| {
            front_end_ram(front_end) + decision_ram(clip_rules)
        }) as f64,
        stack: target.runtime.stack(graph).value,
        state: target.runtime.state_bytes.value,
    }
}

/// Bytes of activations, and what the runtime keeps beside them.
fn arena_bytes(graph: &Graph, target: &Target) -> usize {
    match target.runtime.arena {
        ArenaRule::Plan => memory::plan(graph).arena_bytes,
        ArenaRule::Tflm => tflm::arena_bytes(graph),
    }
}

fn flash_parts_of(
    front_end: Option<&FrontEnd>,
    points: Points,
    graph: &Graph,
    npu_plan: &Option<NpuPlan>,
    target: &Target,
) -> FlashParts {
    let (mut weights, mut channels, mut structure) = (0.0, 0.0, 0.0);
    for (op_idx, op) in graph.ops.iter().enumerate() {
        if on_npu(npu_plan, op_idx).is_some() {
            continue;
        }
        let op = &*work::as_run(graph, op, target);
        let op_channels = graph.op_bias_len(op);
        weights += graph.op_weight_len(op) as f64;
        // Bias, multiplier and shift per channel; FULLY_CONNECTED has one multiplier.
        let scales = match op.kind {
            OpKind::FullyConnected => 1,
            _ => op_channels,
        };
        channels += (4 * op_channels + 5 * scales) as f64;
        structure += blob::OP_BYTES as f64;
    }
    if let (Some(plan), Some(npu)) = (npu_plan, &target.npu) {
        // Biases and scales are part of the encoded weights.
        weights += plan.constant_bytes as f64;
        structure += plan.command_bytes as f64 * npu.command_stream.value;
    }
    structure += (blob::HEADER_BYTES + blob::TENSOR_BYTES * graph.tensors.len()) as f64;
    weights += points.bytes() as f64;
    FlashParts {
        weights,
        channels,
        structure,
        front_end: front_end.map_or(0, front_end_tables) as f64,
        code: target.runtime.code_bytes.value,
    }
}

/// Relative error of the blob's structure: alignment, up to 18 bytes per operator, is not counted.
const BLOB_ERROR: f64 = 0.2;

/// Work of pooled statistics in multiply-accumulates of a DCT, by counting the instructions of the loops: of a band of a
/// new frame, of a kept value of a window's frames, of such a value and a doubling of their number where it is sorted, and
/// of a coordinate of a point.
const STEPS_PER_BAND: f64 = 4.0;
const STEPS_PER_VALUE: f64 = 3.0;
const STEPS_PER_RANK: f64 = 6.0;
const STEPS_PER_COORDINATE: f64 = 4.0;
/// The same of a feature that is companded.
const STEPS_PER_COMPANDED: f64 = 3.0;

/// Relative error of an NPU's SRAM: Vela's allocator leaves gaps that are not modelled (`docs/estimates.md`).
const NPU_ARENA_ERROR: f64 = 0.1;

fn estimate_parts(
    front_end: Option<&FrontEnd>,
    clip_rules: &[ClipRule],
    points: Points,
    graph: &Graph,
    npu_plan: Option<NpuPlan>,
    target: &Target,
) -> Estimate {
    let ram = ram_parts_of(front_end, clip_rules, graph, &npu_plan, target);
    let encoding_error = encoding_error(&npu_plan, target);
    let mut time = Time {
        encoding_error,
        ..Time::of_arena(ram.arena, target)
    };
    if let Some(front_end) = front_end {
        time.add_front_end(front_end);
    }
    time.work[Term::DctMac as usize] +=
        STEPS_PER_COORDINATE * (points.count * points.dimensions) as f64;
    for (op_idx, op) in graph.ops.iter().enumerate() {
        time.add_op(graph, op, on_npu(&npu_plan, op_idx), target);
    }
    if let Some(npu) = &target.npu {
        time.start_us += npu.start_cycles.value / target.cpu.clock.value;
    }
    let flash = flash_parts_of(front_end, points, graph, &npu_plan, target);
    Estimate {
        ram_bytes: ram_cost(
            &ram,
            arena_error_bytes(graph, target),
            encoding_error,
            target,
        ),
        flash_bytes: flash_cost(&flash, encoding_error, target),
        latency_us: time.latency_us(target),
        energy_uj: time.energy_uj(target),
        window_us: front_end.map(FrontEnd::window_us),
    }
}

/// Bytes by which the arena may be wrong.
fn arena_error_bytes(graph: &Graph, target: &Target) -> f64 {
    match target.runtime.arena {
        ArenaRule::Plan => 0.0,
        ArenaRule::Tflm => tflm::error_bytes(graph) as f64,
    }
}

fn ram_cost(
    parts: &RamParts,
    arena_error_bytes: f64,
    encoding_error: f64,
    target: &Target,
) -> Cost {
    let runtime = &target.runtime;
    let arena_error_bytes = match &target.npu {
        Some(_) => parts.arena * NPU_ARENA_ERROR,
        None => arena_error_bytes,
    };
    let error_bytes = (parts.stack * runtime.stack_bytes.error)
        .hypot(parts.state * runtime.state_bytes.error)
        .hypot(arena_error_bytes)
        .hypot(parts.weights * encoding_error);
    let value = parts.arena + parts.weights + parts.front_end + parts.stack + parts.state;
    // The exact parts are a lower bound.
    let low = (value - error_bytes).max(parts.arena - arena_error_bytes + parts.front_end);
    Cost {
        value,
        low,
        high: value + error_bytes,
        source: CostSource::Estimated,
    }
}

fn flash_cost(parts: &FlashParts, encoding_error: f64, target: &Target) -> Cost {
    let structure_error = match &target.npu {
        Some(npu) => npu.command_stream.error,
        None => BLOB_ERROR,
    };
    let error_bytes = (parts.weights * encoding_error)
        .hypot(parts.structure * structure_error)
        .hypot(parts.code * target.runtime.code_bytes.error);
    let value = parts.weights + parts.channels + parts.structure + parts.front_end + parts.code;
    Cost {
        value,
        low: (value - error_bytes).max(parts.channels + parts.front_end),
        high: value + error_bytes,
        source: CostSource::Estimated,
    }
}

/// Time of a computation, in parts that err independently.
#[derive(Debug, Clone, Copy)]
struct Time {
    /// Amounts of CPU work per [`Term`].
    work: Work,
    /// NPU time of operators bound by compute, by SRAM and by weight memory, in microseconds.
    npu_us: [f64; 3],
    /// Time to start the NPU, in microseconds.
    start_us: f64,
    /// Whether activations do not fit the target's largest memory.
    spills: bool,
    /// Relative error of the size of weights as the NPU reads them.
    encoding_error: f64,
    /// Error of operators of which too little is known, in microseconds; they err together.
    foreign_error_us: f64,
}

impl Default for Time {
    fn default() -> Time {
        Time {
            work: [0.0; Term::COUNT],
            npu_us: [0.0; 3],
            start_us: 0.0,
            spills: false,
            encoding_error: 0.0,
            foreign_error_us: 0.0,
        }
    }
}

impl Time {
    /// No work yet, for a network with `graph`'s activations.
    fn new(graph: &Graph, target: &Target) -> Time {
        match target.cpu.cycles.contains_key(&Term::SpilledOutput) {
            true => Time::of_arena(arena_bytes(graph, target) as f64, target),
            false => Time::default(),
        }
    }

    fn of_arena(arena_bytes: f64, target: &Target) -> Time {
        let largest = target.largest_memory(Contents::Ram);
        Time {
            spills: largest.is_some_and(|memory| arena_bytes > memory.bytes.value),
            ..Time::default()
        }
    }

    /// Adds one operator. Returns its bottleneck on the NPU; `None` where it runs on the CPU.
    fn add_op(
        &mut self,
        graph: &Graph,
        op: &Op,
        on_npu: Option<NpuCycles>,
        target: &Target,
    ) -> Option<Bottleneck> {
        let (Some(cycles), Some(npu)) = (on_npu, &target.npu) else {
            self.add_cpu_op(graph, op, target);
            return None;
        };
        let (bound, bottleneck) = if cycles.compute >= cycles.sram.max(cycles.flash) {
            (0, Bottleneck::Compute)
        } else if cycles.sram >= cycles.flash {
            (1, Bottleneck::Memory)
        } else {
            (2, Bottleneck::Weights)
        };
        let us = cycles.total * npu.cycles.value / npu.clock.value;
        self.npu_us[bound] += us;
        self.foreign_error_us += us * foreign_error(&op.kind, Unit::Npu);
        Some(bottleneck)
    }

    fn add_cpu_op(&mut self, graph: &Graph, op: &Op, target: &Target) {
        let error = foreign_error(&op.kind, Unit::Cpu);
        let before = match error > 0.0 {
            true => self.cpu_us(target).0,
            false => 0.0,
        };
        work::add_op(graph, op, target, &mut self.work);
        if error > 0.0 {
            self.foreign_error_us += (self.cpu_us(target).0 - before) * error;
        }
        if self.spills {
            self.work[Term::SpilledOutput as usize] += graph.op_output(op).len() as f64;
        }
    }

    /// The bottleneck of an operator, if all CPU time is its own.
    fn bottleneck(&self, op: &Op, target: &Target) -> Bottleneck {
        let mut cycles = [0.0; Bottleneck::ALL.len()];
        for (&term, coefficient) in &target.cpu.cycles {
            // Softmax counts as elements of ADD, and ADD is bound by memory.
            let bottleneck = match op.kind {
                OpKind::Softmax if term == Term::AddOutput => Bottleneck::Compute,
                _ => term.bottleneck(),
            };
            cycles[bottleneck as usize] += self.work[term as usize] * coefficient.value;
        }
        let all = Bottleneck::ALL.into_iter();
        all.max_by(|a, b| cycles[*a as usize].total_cmp(&cycles[*b as usize]))
            .unwrap_or(Bottleneck::Overhead)
    }

    /// Adds the features of `frame_stride` new frames; earlier frames of the window are kept.
    fn add_front_end(&mut self, front_end: &FrontEnd) {
        let spec = &front_end.spec;
        let frames = front_end.frame_stride.min(front_end.frames) as f64;
        let n_fft = spec.n_fft.max(1) as f64;
        let n_mels = spec.n_mels as f64;
        self.work[Term::FftPoint as usize] += frames * n_fft * n_fft.log2();
        self.work[Term::MelBin as usize] += frames * n_fft / 2.0;
        self.work[Term::LogBand as usize] += frames * n_mels;
        if let Feature::Mfcc { coefficients } = spec.feature {
            // The rows of the DCT are symmetric, so half the products are enough.
            let products = coefficients * spec.n_mels.div_ceil(2);
            self.work[Term::DctMac as usize] += frames * products as f64;
        }
        if front_end.companding.is_some() {
            self.work[Term::DctMac as usize] += frames * spec.bands() as f64 * STEPS_PER_COMPANDED;
        }
        let Some(which) = front_end.statistics else {
            return;
        };
        // The newest frame is rounded and averaged, and a decision looks at all frames of its window.
        let kept = (front_end.frames * which.groups) as f64;
        let mut steps = frames * spec.bands() as f64 * STEPS_PER_BAND + kept * STEPS_PER_VALUE;
        if which.has(StatisticKind::Ranked) {
            steps += kept * STEPS_PER_RANK * (front_end.frames as f64).log2();
        }
        if which.has(StatisticKind::Difference) {
            steps += kept * STEPS_PER_VALUE;
        }
        self.work[Term::DctMac as usize] += steps;
    }

    /// CPU time in microseconds, and the square of its absolute error.
    fn cpu_us(&self, target: &Target) -> (f64, f64) {
        let scale = &target.cpu.whole_network;
        let us_per_cycle = scale.value / target.cpu.clock.value;
        let (mut sum_us, mut network_error_us, mut front_end_error_us) = (0.0, 0.0, 0.0);
        for (&term, Coefficient { value, error, .. }) in &target.cpu.cycles {
            let us = self.work[term as usize] * value * us_per_cycle;
            sum_us += us;
            match term.is_front_end() {
                true => front_end_error_us += us * error,
                false => network_error_us += us * error,
            }
        }
        let errors = [network_error_us, front_end_error_us, sum_us * scale.error];
        (sum_us, errors.iter().map(|error| error * error).sum())
    }

    /// NPU time in microseconds with its start, and the square of its absolute error.
    fn npu_us(&self, target: &Target) -> (f64, f64) {
        let Some(npu) = &target.npu else {
            return (0.0, 0.0);
        };
        let sram_error = npu.sram.bandwidth.error;
        let flash_error = npu.flash.bandwidth.error.hypot(self.encoding_error);
        let [compute, sram, flash] = self.npu_us;
        let square = [
            compute * npu.cycles.error,
            sram * sram_error,
            flash * flash_error,
            self.start_us * npu.start_cycles.error,
        ]
        .map(|error| error * error)
        .iter()
        .sum();
        (compute + sram + flash + self.start_us, square)
    }

    fn latency_us(&self, target: &Target) -> Cost {
        let (cpu_us, cpu_square) = self.cpu_us(target);
        let (npu_us, npu_square) = self.npu_us(target);
        let value = cpu_us + npu_us;
        Cost::estimated(
            value,
            (cpu_square + npu_square)
                .sqrt()
                .hypot(self.foreign_error_us)
                / value.max(f64::MIN_POSITIVE),
        )
    }

    /// Active power times latency; the CPU stays awake while the NPU runs.
    fn energy_uj(&self, target: &Target) -> Cost {
        let latency = self.latency_us(target);
        let (npu_us, _) = self.npu_us(target);
        let cpu_power = &target.cpu.active_power;
        let cpu_uj = latency.value * cpu_power.value * 1e-3;
        let (npu_uj, npu_error) = match &target.npu {
            Some(npu) => (
                npu_us * npu.active_power.value * 1e-3,
                npu.active_power.error,
            ),
            None => (0.0, 0.0),
        };
        let value = cpu_uj + npu_uj;
        let power_error = (cpu_uj * cpu_power.error).hypot(npu_uj * npu_error);
        let latency_error = latency.high / latency.value.max(f64::MIN_POSITIVE) - 1.0;
        let error = (power_error / value.max(f64::MIN_POSITIVE)).hypot(latency_error);
        Cost::estimated(value, error)
    }
}

/// Relative error of an operator that is costed by its kind alone. Elsewhere the errors of the profile hold.
fn foreign_error(kind: &OpKind, unit: Unit) -> f64 {
    let dilation = match kind {
        OpKind::Conv2d(window) | OpKind::DepthwiseConv2d(window) => window.dilation,
        OpKind::Foreign(Foreign { name, effort, .. }) => {
            return match (effort, unit) {
                (Effort::None, _) => 0.0,
                // Several passes for Vela, of which one is modelled.
                (_, Unit::Npu) if *name == "PRELU" => 2.0,
                (
                    Effort::Shuffles | Effort::Macs(_) | Effort::Unknown | Effort::Grouped(..),
                    Unit::Npu,
                ) => 2.0,
                (_, Unit::Npu) => 0.5,
                (Effort::Unknown, Unit::Cpu) => 9.0,
                (_, Unit::Cpu) => 2.0,
            };
        }
        _ => return 0.0,
    };
    match unit {
        Unit::Npu if dilation.iter().any(|&step| step > LONGEST_DILATION) => 2.0,
        _ => 0.0,
    }
}

/// Exact bytes of a stream's buffers: samples of one frame, scratch of the transform, int8 frames of a window.
///
/// Samples that arrive while a frame is computed wait in the driver's buffer, which is not counted.
fn front_end_ram(front_end: &FrontEnd) -> usize {
    let spec = front_end.spec.on_device();
    nas_kernels::memory_bytes(&spec, front_end.frames, front_end.statistics.as_ref())
}

/// What the score of the latest windows takes in bytes, by the rule that takes most: which one a clip's score is by is not
/// known before training. How many windows there are depends on the clips, so that it is the most that a rule ever takes.
fn decision_ram(clip_rules: &[ClipRule]) -> usize {
    let words = clip_rules
        .iter()
        .map(|rule| rule.memory_words(MOST_ENTRIES));
    4 * words.max().unwrap_or(0)
}

/// The front end's part of the blob in bytes: tables, a gain and an offset per band or statistic, and sections with a
/// record each.
fn front_end_tables(front_end: &FrontEnd) -> usize {
    let lengths = front_end.spec.on_device().table_lengths();
    let floats = lengths.floats() + 2 * front_end.features();
    let records = blob::FRONT_END_BYTES + blob::DECISION_BYTES + 2 * blob::SECTION_BYTES;
    let statistics = match front_end.statistics {
        Some(_) => blob::STATISTICS_BYTES + blob::SECTION_BYTES,
        None => 0,
    };
    let companding = match front_end.companding {
        Some(_) => blob::COMPANDING_BYTES + blob::SECTION_BYTES,
        None => 0,
    };
    records + statistics + companding + 4 * floats + 2 * lengths.ends
}
