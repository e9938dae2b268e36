//! What one network costs, as text: the tables of `nas estimate` and `nas explain`.

use super::{UNKNOWN, grid};
use crate::{
    graph::Shape,
    hardware::{ArenaRule, Budget, Cost, Limited, Metric, RamParts},
    report::network::{
        Explanation, Layer, Network, TargetCosts, bottleneck_name, unit_name, weights_word,
    },
    space::Axis,
    units::{Bytes, Count, Micros, three_digits},
};

/// The costs on all targets as a table, and notes below it.
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
            match estimate.real_time() {
                Some(factor) => format!("{:.3}", factor.value),
                None => String::new(),
            },
            fit_cell(costs.fit),
        ]
    };
    let header = [
        "target",
        "latency",
        "energy",
        "RAM",
        "flash",
        "cycles",
        "of real time",
        "P(fits)",
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
    let weights = match costs.iter().any(|costs| costs.has_npu) {
        true => format!(
            "Sizes of weights on an NPU: {}.\n",
            match weights_word(network) {
                "known" => "known, from their values",
                _ => "guessed, since nothing is trained yet",
            }
        ),
        false => String::new(),
    };
    text + &format!(
        "\n\nCosts: {}; `nas targets NAME` says how. The true cost probably lies in the band in brackets.\n",
        sources.join(", ")
    ) + &weights
        + match network.is_wide() {
            true => WIDE,
            false => "",
        }
        + &unrun_lines(network)
        + &power_lines(costs)
}

/// What is costed by its kind alone, one line per operator and reason.
fn unrun_lines(network: &Network) -> String {
    let mut lines: Vec<(String, Vec<usize>)> = Vec::new();
    for unrun in network.unrun() {
        let text = format!("{} {}", unrun.operator, unrun.problem);
        match lines.iter_mut().find(|(known, _)| *known == text) {
            Some((_, places)) => places.push(unrun.index),
            None => lines.push((text, vec![unrun.index])),
        }
    }
    if lines.is_empty() {
        return String::new();
    }
    let line = |(text, places): &(String, Vec<usize>)| {
        let shown: Vec<String> = places
            .iter()
            .take(MOST_PLACES)
            .map(usize::to_string)
            .collect();
        let more = if places.len() > MOST_PLACES {
            ", ..."
        } else {
            ""
        };
        let word = if places.len() > 1 {
            "operators"
        } else {
            "operator"
        };
        format!("  {word} {}{more}: {text}\n", shown.join(", "))
    };
    let all: String = lines.iter().map(line).collect();
    format!(
        "\nNothing here runs these operators. They are costed by their kind, which widens the bands (`--strict` refuses):\n{all}"
    )
}

/// Of networks with activations of 16 bits.
const WIDE: &str = "Activations are int16 (16x8): costed from those of int8 by factors, in wide bands; nothing here runs such a network.\n";

/// Places of equal operators that are named.
const MOST_PLACES: usize = 6;

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
    // What is live in the table is of the graph as it stands; each runtime lays it out in its own way.
    let arena = match (costs.has_npu, costs.arena) {
        (true, _) => "the model of Vela's allocation, with staged weights and fused operators",
        (false, ArenaRule::Plan) => "our memory plan",
        (false, ArenaRule::Tflm) => "the rule of TFLite Micro's arena, with its scratch buffers",
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

/// An explanation as text.
pub fn explanation(trial: &str, budget: &Budget, explained: &Explanation) -> String {
    let name = &explained.target.name;
    let Some(excess) = &explained.excess else {
        return format!("{trial} fits {name}: P(fits) {}\n", fit_cell(explained.fit));
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
            "\nP(fits) {}\n",
            fit_cell(budget.fit(&explained.target, after))
        );
    }
    text
}

/// `84 %, latency`: the probability, and the cost that is least likely to fit.
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
