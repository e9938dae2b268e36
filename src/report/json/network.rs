//! What one network costs: the documents of `nas estimate` and `nas explain`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::SCHEMA_VERSION;
use crate::{
    hardware::{Budget, Cost, Estimate, Metric},
    quant::Unrun,
    report::network::{
        Explanation, Layer, Network, TargetCosts, bottleneck_name, unit_name, weights_word,
    },
    space::Axis,
};

/// What `nas estimate --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct EstimateDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// The file, or the trial as `RUN/NUMBER`.
    pub network: String,
    /// `known` where the values of the weights were at hand, else `guessed`; what an NPU costs depends on them.
    pub weights: &'static str,
    /// `int8`, or `int16` where a file has activations of 16 bits, which nothing here runs.
    pub activations: &'static str,
    /// Operators of the file that nothing here runs: costed by their kind alone, in a wide band.
    pub not_run: Vec<UnrunView>,
    /// One entry per target.
    pub targets: Vec<TargetCostsView>,
}

/// An operator of a file that is costed by its kind alone.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct UnrunView {
    /// Its place in the file, from 0.
    pub op: usize,
    /// TFLite's name of the operator, or that of a custom one.
    pub operator: String,
    /// Why it is not run, to follow its name.
    pub why: String,
}

/// What a network costs on one target.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TargetCostsView {
    /// Name of the target.
    pub target: String,
    /// Cycles of one inference: of the NPU where there is one, otherwise of the CPU.
    pub cycles: CostDocument,
    /// Time of one inference in microseconds.
    pub latency_us: CostDocument,
    /// Energy of one inference in microjoules.
    pub energy_uj: CostDocument,
    /// Time of one inference as a share of the time between windows, with its front end; null for a file without one.
    pub real_time_factor: Option<CostDocument>,
    /// RAM in bytes.
    pub ram_bytes: CostDocument,
    /// Flash in bytes.
    pub flash_bytes: CostDocument,
    /// Mean power in milliwatts; only with `--period`, null where the network does not keep it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_power_mw: Option<Option<CostDocument>>,
    /// Battery life in days; only with `--period`, null without a battery or where the period is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_days: Option<Option<CostDocument>>,
    /// Whether all costs keep to the budget and the chip's memories.
    pub fits: bool,
    /// Probability that all limits hold, given the bands of the costs.
    pub fit_probability: f64,
    /// The exceeded limits and by how much, in words; null where the network fits.
    pub excess: Option<String>,
    /// The operators in execution order.
    pub layers: Vec<LayerView>,
}

/// What one operator costs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LayerView {
    /// Its place in execution order, from 0.
    pub op: usize,
    /// TFLite's name of the operator, with its window.
    pub operator: String,
    /// Shape of its output: height, width, channels.
    pub output: [usize; 3],
    /// Its multiply-accumulates.
    pub macs: u64,
    /// Bytes of its weights and biases.
    pub weight_bytes: u64,
    /// Bytes of activations that are live while it runs.
    pub live_bytes: u64,
    /// `cpu` or `npu`.
    pub unit: &'static str,
    /// `compute`, `memory`, `weights` or `overhead`.
    pub bottleneck: &'static str,
    /// Its cycles on that unit.
    pub cycles: CostDocument,
    /// Its time in microseconds.
    pub latency_us: CostDocument,
}

/// A cost with its band.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct CostDocument {
    /// The cost, in the unit that the key names.
    pub value: f64,
    /// Lower end of the band.
    pub low: f64,
    /// Upper end of the band.
    pub high: f64,
    /// `estimated`, `emulated` or `measured`.
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

impl EstimateDocument {
    /// `costs` has one entry per target.
    pub fn new(network: &Network, costs: &[TargetCosts]) -> EstimateDocument {
        EstimateDocument {
            schema_version: SCHEMA_VERSION,
            network: network.name().to_string(),
            weights: weights_word(network),
            activations: match network.is_wide() {
                true => "int16",
                false => "int8",
            },
            not_run: network.unrun().iter().map(UnrunView::from).collect(),
            targets: costs.iter().map(TargetCostsView::from).collect(),
        }
    }
}

impl From<&Unrun> for UnrunView {
    fn from(unrun: &Unrun) -> UnrunView {
        UnrunView {
            op: unrun.index,
            operator: unrun.operator.clone(),
            why: unrun.problem.clone(),
        }
    }
}

impl From<&TargetCosts> for TargetCostsView {
    fn from(costs: &TargetCosts) -> TargetCostsView {
        let estimate = &costs.estimate;
        let power = costs.power.as_ref().map(|power| power.as_ref().ok());
        TargetCostsView {
            target: costs.target.clone(),
            cycles: (&costs.cycles).into(),
            latency_us: (&estimate.latency_us).into(),
            real_time_factor: estimate.real_time().as_ref().map(CostDocument::from),
            energy_uj: (&estimate.energy_uj).into(),
            ram_bytes: (&estimate.ram_bytes).into(),
            flash_bytes: (&estimate.flash_bytes).into(),
            mean_power_mw: power.map(|power| Some((&power?.mean_mw).into())),
            battery_days: power.map(|power| Some((&power?.days?).into())),
            fits: costs.excess.is_none(),
            fit_probability: costs.fit.0,
            excess: costs.excess.as_ref().map(ToString::to_string),
            layers: costs.layers.iter().enumerate().map(layer).collect(),
        }
    }
}

fn layer((op, layer): (usize, &Layer)) -> LayerView {
    LayerView {
        op,
        operator: layer.operator.clone(),
        output: [
            layer.output.height,
            layer.output.width,
            layer.output.channels,
        ],
        macs: layer.macs,
        weight_bytes: layer.weight_bytes,
        live_bytes: layer.live_bytes,
        unit: unit_name(layer.unit),
        bottleneck: bottleneck_name(layer.bottleneck),
        cycles: (&layer.cycles).into(),
        latency_us: (&layer.latency_us).into(),
    }
}

/// What `nas explain --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ExplanationDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// Name of the run.
    pub run: String,
    /// Number of the trial.
    pub trial: u64,
    /// One entry per target.
    pub targets: Vec<ExplainedView>,
}

/// Why a trial does not fit one target.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ExplainedView {
    /// Name of the target.
    pub target: String,
    /// Whether all costs keep to the budget and the chip's memories.
    pub fits: bool,
    /// Probability that all limits hold, given the bands of the costs.
    pub fit_probability: f64,
    /// The exceeded limits and by how much, in words; null where the trial fits.
    pub excess: Option<String>,
    /// Costs by key of the metric.
    pub costs: BTreeMap<&'static str, Option<MetricView>>,
    /// The smallest changes after which the trial fits.
    pub changes: Vec<ChangeView>,
}

/// MACs are exact; any other cost has a band.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum MetricView {
    /// Multiply-accumulates of one inference.
    Macs(u64),
    /// Any other cost.
    Cost(CostDocument),
}

/// One change of a genome.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ChangeView {
    /// The axes that change.
    pub axes: Vec<AxisChangeView>,
    /// Costs after the change, by key of the metric.
    pub costs: BTreeMap<&'static str, Option<MetricView>>,
    /// Probability that all limits hold after the change.
    pub fit_probability: f64,
}

/// The change of one axis.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AxisChangeView {
    /// Name of the axis.
    pub axis: &'static str,
    /// The value before the change: a number where the axis has numbers, otherwise a name.
    pub from: Value,
    /// The value after the change, written as `from`.
    pub to: Value,
}

impl ExplanationDocument {
    /// `all` has one explanation per target; `budget` says the limits that they were made for.
    pub fn new(run: &str, trial: u64, budget: &Budget, all: &[Explanation]) -> ExplanationDocument {
        let targets = all.iter().map(|explained| ExplainedView {
            target: explained.target.name.clone(),
            fits: explained.excess.is_none(),
            fit_probability: explained.fit.0,
            excess: explained.excess.as_ref().map(ToString::to_string),
            costs: costs(&explained.before, explained.macs),
            changes: changes(explained, budget),
        });
        ExplanationDocument {
            schema_version: SCHEMA_VERSION,
            run: run.to_string(),
            trial,
            targets: targets.collect(),
        }
    }
}

fn costs(estimate: &Estimate, macs: u64) -> BTreeMap<&'static str, Option<MetricView>> {
    let costed = Metric::COSTED.into_iter().map(|metric| {
        let cost = estimate.get(metric);
        (
            metric.key(),
            cost.map(|cost| MetricView::Cost((&cost).into())),
        )
    });
    let macs = (Metric::Macs.key(), Some(MetricView::Macs(macs)));
    costed.chain([macs]).collect()
}

fn changes(explained: &Explanation, budget: &Budget) -> Vec<ChangeView> {
    let axis = |(axis, from, to): &(&'static str, f64, f64)| {
        let [from, to] = [from, to].map(|value| match Axis::show(axis, *value) {
            shown if shown == value.to_string() => json!(value),
            shown => json!(shown),
        });
        AxisChangeView { axis, from, to }
    };
    let changes = explained.changes.iter().map(|(change, after)| ChangeView {
        axes: change.axes.iter().map(axis).collect(),
        costs: costs(after, change.candidate.graph.macs()),
        fit_probability: budget.fit(&explained.target, after).0,
    });
    changes.collect()
}
