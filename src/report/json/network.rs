//! What one network costs: the documents of `nas estimate` and `nas explain`.

use serde::Serialize;
use serde_json::{Value, json};

use super::SCHEMA_VERSION;
use crate::{
    hardware::{Budget, Cost, Estimate, Metric, Target},
    report::network::{Explanation, Layer, TargetCosts, bottleneck_name, unit_name},
    search::Change,
    space::Axis,
};

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
