//! What one network costs, operator by operator: the tables and documents of `nas estimate` and `nas explain`.

use serde::Serialize;
use serde_json::{Value, json};

use super::{json::SCHEMA_VERSION, listing::grid, load::operator_name, table::UNKNOWN};
use crate::{
    graph::{Graph, Shape, plan},
    search::Change,
    space::{Axis, Candidate},
    target::{
        self, ArenaRule, Bottleneck, Budget, Cost, Estimate, Limited, Metric, RamParts, Target,
        Unit,
        energy::{EnergyError, Power},
    },
    units::{Bytes, Count, Micros, three_digits},
};

/// A network to be costed: that of a file, or a candidate with its front end.
#[derive(Debug, Clone, PartialEq)]
pub enum Network {
    File { name: String, graph: Graph },
    Trial { name: String, candidate: Candidate },
}

/// What a network costs on one target.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetCosts {
    pub target: String,
    /// Of the NPU where there is one, else of the CPU.
    pub cycles: Cost,
    pub estimate: Estimate,
    pub layers: Vec<Layer>,
    /// The probability that all budgets and memories hold, and the cost that is least likely to.
    pub fit: (f64, Option<Limited>),
    pub ram: RamParts,
    pub arena: ArenaRule,
    /// Where a duty cycle was asked for.
    pub power: Option<Result<Power, EnergyError>>,
}

/// One operator on one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    pub operator: String,
    pub output: Shape,
    pub macs: u64,
    pub weight_bytes: u64,
    /// Activations that are live while it runs.
    pub live_bytes: u64,
    pub unit: Unit,
    pub bottleneck: Bottleneck,
    pub cycles: Cost,
    pub latency_us: Cost,
}

impl Network {
    pub fn name(&self) -> &str {
        match self {
            Network::File { name, .. } | Network::Trial { name, .. } => name,
        }
    }

    pub fn graph(&self) -> &Graph {
        match self {
            Network::File { graph, .. } => graph,
            Network::Trial { candidate, .. } => &candidate.graph,
        }
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
    let front_end = candidate.map(|candidate| &candidate.front_end);
    let estimate = match candidate {
        Some(candidate) => target::estimate(candidate, target),
        None => target::estimate_graph(network.graph(), target),
    };
    let graph = network.graph();
    let live = plan::timeline(graph);
    let layer = |cost: target::OpCost| {
        let op = &graph.ops[cost.op_idx];
        let cycles_per_us = cost.cycles / cost.latency_us.value.max(f64::MIN_POSITIVE);
        Layer {
            operator: operator_name(&op.kind),
            output: graph.op_output(op),
            macs: graph.op_macs(op),
            weight_bytes: (graph.op_weight_len(op) + 4 * graph.op_bias_len(op)) as u64,
            live_bytes: live[cost.op_idx] as u64,
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
        layers: target::op_costs(graph, target)
            .into_iter()
            .map(layer)
            .collect(),
        fit: budget.fit(target, &estimate),
        ram: target::ram_parts(front_end, graph, target),
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

/// The costs on all targets as a table, and below it what people should know.
pub fn table(network: &Network, costs: &[TargetCosts]) -> String {
    let graph = network.graph();
    let what = match network {
        Network::File { .. } => "network alone",
        Network::Trial { .. } => "network and front end, per window",
    };
    let mut text = format!(
        "{}: {} operators, {} MACs, {} parameters; {what}\n\n",
        network.name(),
        graph.ops.len(),
        Count(graph.macs()),
        Count(graph.params())
    );
    let row = |costs: &TargetCosts| {
        let estimate = &costs.estimate;
        vec![
            costs.target.clone(),
            band(Metric::Latency, &estimate.latency_us),
            band(Metric::Energy, &estimate.energy_uj),
            band(Metric::Ram, &estimate.ram_bytes),
            band(Metric::Flash, &estimate.flash_bytes),
            count_band(&costs.cycles),
            fit_cell(costs.fit),
        ]
    };
    let header = [
        "target", "latency", "energy", "RAM", "flash", "cycles", "fits",
    ];
    text += &grid(&header, costs.iter().map(row).collect());
    let mut sources: Vec<&str> = costs
        .iter()
        .flat_map(|costs| Metric::COSTED.map(|metric| costs.estimate.get(metric)))
        .flatten()
        .map(|cost| cost.source.name())
        .collect();
    sources.sort_unstable();
    sources.dedup();
    text + &format!(
        "\n\nCosts: {}; `nas targets NAME` says from what. In brackets the band in which the true cost probably lies.\n",
        sources.join(", ")
    ) + &power_lines(costs)
}

/// Mean power and battery life per target, where a duty cycle was asked for.
fn power_lines(costs: &[TargetCosts]) -> String {
    let line = |costs: &TargetCosts| {
        let text = match costs.power.as_ref()? {
            Err(error) => error.to_string(),
            Ok(power) => {
                let mean = plain_band(&power.mean_mw);
                let days = power
                    .days
                    .map(|days| format!(", battery {} days", plain_band(&days)));
                format!("mean power {mean} mW{}", days.unwrap_or_default())
            }
        };
        Some(format!("{}: {text}\n", costs.target))
    };
    let lines: String = costs.iter().filter_map(line).collect();
    match lines.is_empty() {
        true => lines,
        false => format!(
            "\n{lines}Idle power counts for the rest of the period; regulator and self-discharge do not.\n"
        ),
    }
}

fn plain_band(cost: &Cost) -> String {
    let [value, low, high] = [cost.value, cost.low, cost.high].map(three_digits);
    format!("{value} ({low} to {high})")
}

/// Every operator on one target.
pub fn layer_table(costs: &TargetCosts) -> String {
    let total: f64 = costs
        .layers
        .iter()
        .map(|layer| layer.latency_us.value)
        .sum();
    let peak = costs.layers.iter().map(|layer| layer.live_bytes).max();
    let row = |(idx, layer): (usize, &Layer)| {
        let Shape {
            height,
            width,
            channels,
        } = layer.output;
        let share = 100.0 * layer.latency_us.value / total.max(f64::MIN_POSITIVE);
        let mark = if Some(layer.live_bytes) == peak {
            " ← peak"
        } else {
            ""
        };
        vec![
            idx.to_string(),
            layer.operator.clone(),
            format!("{height}x{width}x{channels}"),
            Count(layer.macs).to_string(),
            Bytes(layer.weight_bytes).to_string(),
            unit_name(layer.unit).to_string(),
            count(layer.cycles.value),
            Micros(layer.latency_us.value).to_string(),
            format!("{share:.1} %"),
            bottleneck_name(layer.bottleneck).to_string(),
            format!("{}{mark}", Bytes(layer.live_bytes)),
        ]
    };
    let header = [
        "op",
        "operator",
        "output",
        "MACs",
        "weights",
        "on",
        "cycles",
        "latency",
        "share",
        "bottleneck",
        "live RAM",
    ];
    let rows = costs.layers.iter().enumerate().map(row).collect();
    let arena = match costs.arena {
        ArenaRule::Plan => "our memory plan",
        ArenaRule::Tflm => "the rule of TFLite Micro's arena",
    };
    let bytes = |value: f64| Bytes(value.round() as u64);
    let RamParts {
        arena: arena_bytes,
        weights,
        front_end,
        stack,
        state,
    } = costs.ram;
    let weights = match weights > 0.0 {
        true => format!("weights {}, ", bytes(weights)),
        false => String::new(),
    };
    format!(
        "Operators on {}\n{}\nRAM: arena {} by {arena}, {weights}front end {}, stack {}, state {}\n",
        costs.target,
        grid(&header, rows),
        bytes(arena_bytes),
        bytes(front_end),
        bytes(stack),
        bytes(state),
    )
}

/// What `nas estimate --json` prints: one object per target.
pub fn document(costs: &[TargetCosts]) -> Value {
    let target = |costs: &TargetCosts| {
        let Estimate {
            ram_bytes,
            flash_bytes,
            latency_us,
            energy_uj,
        } = &costs.estimate;
        let mut document = json!({
            "target": costs.target,
            "cycles": CostDocument::from(&costs.cycles),
            "latency_us": CostDocument::from(latency_us),
            "energy_uj": CostDocument::from(energy_uj),
            "ram_bytes": CostDocument::from(ram_bytes),
            "flash_bytes": CostDocument::from(flash_bytes),
            "layers": costs.layers.iter().enumerate().map(layer_document).collect::<Vec<_>>(),
        });
        if let Some(power) = &costs.power {
            let known = power.as_ref().ok();
            document["mean_power_mw"] =
                json!(known.map(|power| CostDocument::from(&power.mean_mw)));
            let days = known.and_then(|power| power.days);
            document["battery_days"] = json!(days.map(|days| CostDocument::from(&days)));
        }
        document
    };
    costs.iter().map(target).collect()
}

fn layer_document((idx, layer): (usize, &Layer)) -> Value {
    json!({
        "op": idx,
        "operator": layer.operator,
        "output": [layer.output.height, layer.output.width, layer.output.channels],
        "macs": layer.macs,
        "weight_bytes": layer.weight_bytes,
        "live_bytes": layer.live_bytes,
        "unit": unit_name(layer.unit),
        "bottleneck": bottleneck_name(layer.bottleneck),
        "cycles": CostDocument::from(&layer.cycles),
        "latency_us": CostDocument::from(&layer.latency_us),
    })
}

/// A cost as documents have it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CostDocument {
    pub value: f64,
    pub low: f64,
    pub high: f64,
    pub source: &'static str,
}

impl From<&Cost> for CostDocument {
    fn from(cost: &Cost) -> CostDocument {
        CostDocument {
            value: cost.value,
            low: cost.low,
            high: cost.high,
            source: cost.source.name(),
        }
    }
}

/// Why a candidate does not fit a target, and the smallest changes after which it would.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    pub target: Target,
    pub before: Estimate,
    pub macs: u64,
    /// `None` where it fits.
    pub excess: Option<target::Excess>,
    pub fit: (f64, Option<Limited>),
    pub changes: Vec<(Change, Estimate)>,
}

/// An explanation as text.
pub fn explanation(trial: &str, budget: &Budget, explained: &Explanation) -> String {
    let name = &explained.target.name;
    let Some(excess) = &explained.excess else {
        return format!("{trial} fits {name} ({})\n", fit_cell(explained.fit));
    };
    let mut text = format!("{trial} does not fit {name}: {excess}\n");
    if explained.changes.is_empty() {
        text += "no change of one or two axes makes it fit\n";
        return text;
    }
    for (change, after) in &explained.changes {
        let axes = change.axes.iter().map(|(axis, from, to)| {
            let [from, to] = [from, to].map(|value| Axis::show(axis, *value));
            format!("{axis} {from} → {to}")
        });
        text += &format!("\n{}\n", axes.collect::<Vec<_>>().join(", "));
        let macs = change.candidate.graph.macs();
        let rows = Metric::ALL.into_iter().map(|metric| {
            let limit = budget.limit_on(&explained.target, metric);
            vec![
                metric.title().to_string(),
                metric.show(metric.value(&explained.before, explained.macs)),
                metric.show(metric.value(after, macs)),
                limit.map_or(UNKNOWN.to_string(), |limit| metric.show(limit)),
            ]
        });
        let power = budget.duty.and_then(|duty| {
            let mean_mw = |estimate| {
                let power = duty.power(estimate, &explained.target).ok();
                power.map_or(UNKNOWN.to_string(), |power| shown_mw(power.mean_mw.value))
            };
            Some(vec![
                "Mean power".to_string(),
                mean_mw(&explained.before),
                mean_mw(after),
                shown_mw(duty.limit_mw()?),
            ])
        });
        text += &grid(
            &["", "before", "after", "limit"],
            rows.chain(power).collect(),
        );
        text += &format!(
            "\nfits {}\n",
            fit_cell(budget.fit(&explained.target, after))
        );
    }
    text
}

/// What `nas explain --json` prints.
pub fn explanation_document(run: &str, trial: u64, budget: &Budget, all: &[Explanation]) -> Value {
    let costs = |estimate: &Estimate, macs: u64| {
        let mut object = serde_json::Map::new();
        for metric in Metric::COSTED {
            let cost = estimate.get(metric).map(|cost| CostDocument::from(&cost));
            object.insert(metric.key().to_string(), json!(cost));
        }
        object.insert("macs".to_string(), json!(macs));
        object
    };
    let change = |target: &Target, (change, after): &(Change, Estimate)| {
        let axis = |(axis, from, to): &(&str, f64, f64)| {
            // Numbers where the axis has numbers.
            let [from, to] = [from, to].map(|value| match Axis::show(axis, *value) {
                shown if shown == value.to_string() => json!(value),
                shown => json!(shown),
            });
            json!({ "axis": axis, "from": from, "to": to })
        };
        json!({
            "axes": change.axes.iter().map(axis).collect::<Vec<_>>(),
            "costs": costs(after, change.candidate.graph.macs()),
            "fit_probability": budget.fit(target, after).0,
        })
    };
    let target = |explained: &Explanation| {
        let changes = explained
            .changes
            .iter()
            .map(|pair| change(&explained.target, pair));
        json!({
            "target": explained.target.name,
            "fits": explained.excess.is_none(),
            "fit_probability": explained.fit.0,
            "excess": explained.excess.as_ref().map(ToString::to_string),
            "costs": costs(&explained.before, explained.macs),
            "changes": changes.collect::<Vec<_>>(),
        })
    };
    json!({
        "schema_version": SCHEMA_VERSION,
        "run": run,
        "trial": trial,
        "targets": all.iter().map(target).collect::<Vec<_>>(),
    })
}

/// `84 %, latency`: how likely, and what stands in the way.
fn fit_cell((probability, worst): (f64, Option<Limited>)) -> String {
    let percent = (100.0 * probability).round();
    match worst {
        Some(what) if percent < 100.0 => format!("{percent:.0} %, {what}"),
        _ => format!("{percent:.0} %"),
    }
}

fn shown_mw(mean_power_mw: f64) -> String {
    Limited::MeanPower.show(mean_power_mw)
}

fn band(metric: Metric, cost: &Cost) -> String {
    let [value, low, high] = [cost.value, cost.low, cost.high].map(|value| metric.show(value));
    match low == high {
        true => value,
        false => format!("{value} ({low} to {high})"),
    }
}

fn count_band(cost: &Cost) -> String {
    match cost.low == cost.high {
        true => count(cost.value),
        false => format!(
            "{} ({} to {})",
            count(cost.value),
            count(cost.low),
            count(cost.high)
        ),
    }
}

fn count(value: f64) -> String {
    Count(value.round() as u64).to_string()
}

const fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Cpu => "cpu",
        Unit::Npu => "npu",
    }
}

const fn bottleneck_name(bottleneck: Bottleneck) -> &'static str {
    match bottleneck {
        Bottleneck::Compute => "compute",
        Bottleneck::Memory => "memory",
        Bottleneck::Weights => "weights",
        Bottleneck::Overhead => "overhead",
    }
}
