//! What one network costs, operator by operator, and why it does not fit.

use crate::{
    graph::{Function, Graph, OpKind, Shape, memory},
    hardware::{
        self, ArenaRule, Bottleneck, Budget, Cost, Estimate, Limited, RamParts, Target, Unit,
        energy::{EnergyError, Power},
    },
    quant::{Outline, QuantizedModel, Unrun},
    search::Change,
    space::Candidate,
};

/// A network whose costs are asked for: a file, or a candidate with its front end.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one network is shown at a time")]
pub enum Network {
    /// A network without front end, read from a file.
    File {
        /// Path of the file.
        name: String,
        /// The network with its weights.
        outline: Outline,
    },
    /// A trial of a run.
    Trial {
        /// The trial as `RUN/NUMBER`.
        name: String,
        /// The network with its front end.
        candidate: Candidate,
        /// What training made of it; `None` where nothing was trained or kept.
        model: Option<QuantizedModel>,
    },
}

/// What a network costs on one target.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetCosts {
    /// Name of the target.
    pub target: String,
    /// Cycles of one inference: of the NPU where there is one, otherwise of the CPU.
    pub cycles: Cost,
    /// RAM, flash, latency and energy of one inference.
    pub estimate: Estimate,
    /// The operators in execution order.
    pub layers: Vec<Layer>,
    /// The probability that all budgets and memories hold, and the cost that is least likely to.
    pub fit: (f64, Option<Limited>),
    /// The exceeded limits; `None` where it fits.
    pub excess: Option<hardware::Excess>,
    /// Whether an NPU runs some of it.
    pub has_npu: bool,
    /// RAM in bytes, by use.
    pub ram: RamParts,
    /// How the size of the arena was found.
    pub arena: ArenaRule,
    /// Mean power and battery life; `None` where no duty cycle was asked for.
    pub power: Option<Result<Power, EnergyError>>,
}

/// One operator on one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// TFLite's name with the window, where there is one.
    pub operator: String,
    /// Shape of its output.
    pub output: Shape,
    /// Its multiply-accumulates.
    pub macs: u64,
    /// Bytes of its weights and biases.
    pub weight_bytes: u64,
    /// Bytes of activations that are live while it runs.
    pub live_bytes: u64,
    /// What runs it.
    pub unit: Unit,
    /// What limits its speed.
    pub bottleneck: Bottleneck,
    /// Its cycles on that unit.
    pub cycles: Cost,
    /// Its time in microseconds.
    pub latency_us: Cost,
}

impl Network {
    /// Path of the file, or the trial as `RUN/NUMBER`.
    pub fn name(&self) -> &str {
        match self {
            Network::File { name, .. } | Network::Trial { name, .. } => name,
        }
    }

    /// The operators and tensors.
    pub fn graph(&self) -> &Graph {
        match self {
            Network::File { outline, .. } => &outline.graph,
            Network::Trial { candidate, .. } => &candidate.graph,
        }
    }

    /// Whether its activations have 16 bits.
    pub fn is_wide(&self) -> bool {
        matches!(self, Network::File { outline, .. } if outline.is_wide)
    }

    /// Operators that are costed by their kind alone, since nothing here runs them.
    pub fn unrun(&self) -> &[Unrun] {
        match self {
            Network::File { outline, .. } => &outline.unrun,
            Network::Trial { .. } => &[],
        }
    }

    /// int8 weights of every operator in TFLite's layout; `None` where they are not known.
    pub fn weights(&self) -> Option<Vec<Option<&[i8]>>> {
        let model = match self {
            Network::File { outline, .. } => {
                return Some(outline.weights.iter().map(Option::as_deref).collect());
            }
            Network::Trial { model, .. } => model.as_ref()?,
        };
        // A file may lack operators that only rename dimensions, so weights are matched in their order.
        let mut given = model.ops.iter().flatten().map(|op| op.weight.as_slice());
        let graph = self.graph();
        let weights = graph.ops.iter().map(|op| match graph.op_weight_len(op) {
            0 => Some(None),
            length => given
                .next()
                .filter(|weight| weight.len() == length)
                .map(Some),
        });
        weights.collect()
    }
}

/// What a network costs on a target.
pub fn target_costs(network: &Network, target: &Target, budget: &Budget) -> TargetCosts {
    let candidate = match network {
        Network::File { .. } => None,
        Network::Trial { candidate, .. } => Some(candidate),
    };
    let placed = target.with_weights_in(candidate.and_then(|candidate| candidate.weights_in));
    let target = &*placed;
    let graph = network.graph();
    let weights = network.weights();
    let hardware::Costs { estimate, ops, ram } =
        hardware::costs(graph, candidate, weights.as_deref(), target);
    let is_wide = network.is_wide();
    let (estimate, ops, ram) = match is_wide {
        true => hardware::widened(graph, estimate, ops, ram, target),
        false => (estimate, ops, ram),
    };
    let live = memory::timeline(graph);
    let layer = |cost: hardware::OpCost| {
        let op = &graph.ops[cost.op_idx];
        let cycles_per_us = cost.cycles / cost.latency_us.value.max(f64::MIN_POSITIVE);
        Layer {
            operator: operator_name(&op.kind),
            output: graph.op_output(op),
            macs: graph.op_macs(op),
            weight_bytes: (graph.op_weight_len(op) + 4 * graph.op_bias_len(op)) as u64,
            live_bytes: (live[cost.op_idx] * if is_wide { 2 } else { 1 }) as u64,
            unit: cost.unit,
            bottleneck: cost.bottleneck,
            cycles: scaled(cost.latency_us, cycles_per_us),
            latency_us: cost.latency_us,
        }
    };
    let clock_mhz = target
        .npu
        .as_ref()
        .map_or(target.cpu.clock.value, |npu| npu.clock.value);
    TargetCosts {
        target: target.name.clone(),
        cycles: scaled(estimate.latency_us, clock_mhz),
        layers: ops.into_iter().map(layer).collect(),
        fit: budget.fit(target, &estimate),
        excess: budget.excess(target, &estimate, graph.macs()),
        has_npu: target.npu.is_some(),
        ram,
        arena: target.runtime.arena,
        power: budget.duty.map(|duty| duty.power(&estimate, target)),
        estimate,
    }
}

fn scaled(cost: Cost, factor: f64) -> Cost {
    Cost {
        value: cost.value * factor,
        low: cost.low * factor,
        high: cost.high * factor,
        source: cost.source,
    }
}

/// Why a candidate does not fit a target, and the smallest changes that would make it fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The target that it was compared with.
    pub target: Target,
    /// Costs as the trial is.
    pub before: Estimate,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// The exceeded limits; `None` where it fits.
    pub excess: Option<hardware::Excess>,
    /// The probability that all budgets and memories hold, and the cost that is least likely to.
    pub fit: (f64, Option<Limited>),
    /// Changes after which it would fit, the smallest first, each with the costs afterwards.
    pub changes: Vec<(Change, Estimate)>,
}

/// TFLite's name of an operator, with its window and stride where it has them.
pub fn operator_name(kind: &OpKind) -> String {
    match kind {
        OpKind::Conv2d(w) => format!(
            "CONV_2D {}x{} / {}x{}",
            w.kernel[0], w.kernel[1], w.stride[0], w.stride[1]
        ),
        OpKind::DepthwiseConv2d(w) => {
            format!(
                "DEPTHWISE_CONV_2D {}x{} / {}x{}",
                w.kernel[0], w.kernel[1], w.stride[0], w.stride[1]
            )
        }
        OpKind::FullyConnected => "FULLY_CONNECTED".to_string(),
        OpKind::AveragePool2d(w) => format!("AVERAGE_POOL_2D {}x{}", w.kernel[0], w.kernel[1]),
        OpKind::MaxPool2d(w) => format!("MAX_POOL_2D {}x{}", w.kernel[0], w.kernel[1]),
        OpKind::Mean => "MEAN".to_string(),
        OpKind::Add => "ADD".to_string(),
        OpKind::Multiply => "MUL".to_string(),
        OpKind::Upsample(factor) => format!("RESIZE_NEAREST_NEIGHBOR {}x{}", factor[0], factor[1]),
        OpKind::Pad { .. } => "PAD".to_string(),
        OpKind::Lookup(function) => match function {
            Function::Identity => "QUANTIZE".to_string(),
            Function::Relu => "RELU".to_string(),
            Function::Relu6 => "RELU6".to_string(),
            Function::Logistic => "LOGISTIC".to_string(),
            Function::Tanh => "TANH".to_string(),
            Function::HardSwish => "HARD_SWISH".to_string(),
            Function::LeakyRelu(_) => "LEAKY_RELU".to_string(),
        },
        OpKind::Softmax => "SOFTMAX".to_string(),
        OpKind::Reshape => "RESHAPE".to_string(),
        OpKind::Foreign(foreign) => foreign.name.to_string(),
    }
}

/// `known` where the values of the weights are at hand, else `guessed`.
pub fn weights_word(network: &Network) -> &'static str {
    match network.weights() {
        Some(_) => "known",
        None => "guessed",
    }
}

/// `cpu` or `npu`.
pub const fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Cpu => "cpu",
        Unit::Npu => "npu",
    }
}

/// `compute`, `memory`, `weights` or `overhead`.
pub const fn bottleneck_name(bottleneck: Bottleneck) -> &'static str {
    match bottleneck {
        Bottleneck::Compute => "compute",
        Bottleneck::Memory => "memory",
        Bottleneck::Weights => "weights",
        Bottleneck::Overhead => "overhead",
    }
}
