//! Documents for programs; `docs/json.md` describes them.
//!
//! These are view types: only what is here is promised. A change that breaks a reader raises [`SCHEMA_VERSION`].
//!
//! This module may not know how a fact is drawn or printed.

mod alarms;
mod baseline;
pub mod calibration;
pub mod lineup;
pub mod lists;
mod measured;
pub mod network;
pub mod npu;
mod rescored;
mod runs;
mod scores;
#[cfg(test)]
mod tests;
mod trial;
pub mod trials;

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, schema_for};
use serde::Serialize;

pub use self::{
    alarms::{DecideDocument, StrainView, StressDocument},
    baseline::{
        BaselineDocument, BaselinesDocument, DecisionsView, ExaminedView, JudgedDocument,
        ProtocolView, SectionView,
    },
    measured::{
        CyclesView, ImageView, MeasuredDocument, MeasuredView, MeasurementView, measurements_of,
    },
    rescored::{IntervalView, MeansView, RescoredView, TrainingView},
    runs::{RunView, RunsDocument},
    scores::{
        AlarmView, ClipView, EventView, EventsDocument, OperatingPointView, RecordingView,
        ScoresDocument,
    },
    trial::{FiguresView, FrontEndView, GroupView, OperatorView, TrialDocument},
};
use super::{Costs, RunInfo, ScoredTrial, TargetInfo, TrialCounts};
use crate::{
    hardware::{Budget, Cost, CostSource, Metric},
    score::{ClipIntervals, Figure, Profile},
    space::Task,
};

/// The version that every document carries.
pub const SCHEMA_VERSION: u32 = 1;

/// What `nas front RUN --json` prints, and `nas search --json` ends with.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FrontDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// Name of the run.
    pub run: String,
    /// Name of the data set.
    pub data: String,
    /// Whether the data comes from the built-in generator.
    pub synthetic: bool,
    /// What steered the search: `labels` or `disturbed` sound (`stand-ins` in older runs); null where that was not recorded.
    pub steered_by: Option<String>,
    /// Names of the targets; the first one steers the search.
    pub targets: Vec<String>,
    /// Numbers of trials.
    pub trials: TrialsView,
    /// Final hypervolume on the first target, which steers the search; 0 to 1.
    pub hypervolume: Option<f64>,
    /// Hypervolumes by name of the target.
    pub hypervolumes: BTreeMap<String, HypervolumeView>,
    /// By name of the target, the trials that are off its front because a cheaper one is as good within the noise of trainings.
    pub ties: BTreeMap<String, Vec<u64>>,
    /// Limits by name of the target.
    pub budgets: BTreeMap<String, LimitsView>,
    /// Trials on the front of at least one target: first the first target's front, from the best AUC down.
    pub front: Vec<FrontMember>,
    /// What a reader of the numbers must know, a sentence each.
    pub notes: Vec<String>,
}

/// Numbers of trials by their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TrialsView {
    /// Trained and scored.
    pub scored: u64,
    /// Detectors that were fitted in closed form instead of trained.
    pub fitted: u64,
    /// Over budget, never trained.
    pub rejected: u64,
    /// Could not be evaluated.
    pub failed: u64,
}

/// A hypervolume and the point from which it is counted.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct HypervolumeView {
    /// The hypervolume after the last trial, 0 to 1; null without scored trials.
    pub value: Option<f64>,
    /// The reference point, a value by name of the objective.
    pub reference: BTreeMap<String, f64>,
}

/// Limits on one target; null where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct LimitsView {
    /// Most bytes of RAM.
    pub ram_bytes: Option<u64>,
    /// Most bytes of flash.
    pub flash_bytes: Option<u64>,
    /// Longest inference in microseconds.
    pub latency_us: Option<f64>,
    /// Most energy of one inference in microjoules.
    pub energy_uj: Option<f64>,
    /// Most multiply-accumulates of one inference.
    pub macs: Option<u64>,
    /// Whether a window may take longer than the time to the next one.
    pub offline: bool,
    /// Time between inferences in microseconds; only with `--period`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period_us: Option<f64>,
    /// Energy of the battery in milliwatt-hours; only with `--period`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_mwh: Option<f64>,
    /// Least battery life in days; only with `--period`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_days: Option<f64>,
}

/// A trial on a front.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FrontMember {
    /// Number of the trial.
    pub trial: u64,
    /// Name of the search space.
    pub space: String,
    /// `reconstruct` (autoencoder) or `classify`.
    pub task: &'static str,
    /// Figures of merit.
    #[serde(flatten)]
    pub figures: FiguresView,
    /// 95 % intervals of figures over clips, and over seeds where there are some, by the key of the figure.
    pub intervals: BTreeMap<String, BoundsView>,
    /// What its model hears of disturbed sound, kind by kind; null where labels steered, and in older runs.
    pub hears: Option<Profile>,
    /// The further trainings; null without them, otherwise the figures above are their means.
    pub rescored: Option<RescoredView>,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Number of weights and biases.
    pub params: u64,
    /// The targets on whose front the trial is.
    pub on_front: Vec<String>,
    /// Costs by name of the target.
    pub costs: BTreeMap<String, CostsView>,
    /// Probability that the budget is kept, by target; only where the band of a cost crosses a limit.
    pub fit_probability: BTreeMap<String, f64>,
    /// What the model took when it ran as firmware, one entry per place.
    pub measurements: Vec<MeasurementView>,
}

/// An interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct BoundsView {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Intervals by the keys of their figures.
pub fn bounds_of(intervals: ClipIntervals) -> BTreeMap<String, BoundsView> {
    let view = |(figure, [low, high]): (Figure, [f64; 2])| (figure.key(), BoundsView { low, high });
    intervals.into_iter().map(view).collect()
}

/// The intervals of a trial's figures, over clips and seeds.
fn intervals_of(trial: &ScoredTrial) -> BTreeMap<String, BoundsView> {
    let known = Figure::documented();
    bounds_of(
        known
            .filter_map(|figure| Some((figure, trial.interval(figure)?)))
            .collect(),
    )
}

/// Costs on one target; null where they are unknown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct CostsView {
    /// RAM in bytes.
    pub ram_bytes: Option<CostView<u64>>,
    /// Flash in bytes.
    pub flash_bytes: Option<CostView<u64>>,
    /// Time of one inference in microseconds.
    pub latency_us: Option<CostView<f64>>,
    /// Energy of one inference in microjoules.
    pub energy_uj: Option<CostView<f64>>,
    /// Time of one inference as a share of the time between windows: above 1 the device falls behind the sound. Null
    /// in older runs.
    pub real_time_factor: Option<CostView<f64>>,
    /// Mean power in milliwatts; only where the run has a duty cycle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_power_mw: Option<CostView<f64>>,
    /// Days that the battery lasts; only where the run names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_days: Option<CostView<f64>>,
}

/// A cost with its error band.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct CostView<T> {
    /// The cost, in the unit that the key names.
    pub value: T,
    /// `estimated`, `emulated` or `measured`.
    pub source: &'static str,
    /// Lower end of the band.
    pub low: T,
    /// Upper end of the band.
    pub high: T,
}

impl FrontDocument {
    /// The document of one run.
    pub fn new(info: &RunInfo) -> FrontDocument {
        let mut on_fronts: Vec<(u64, String)> = Vec::new();
        for (target_idx, target) in info.targets.iter().enumerate() {
            let members = info.front(target_idx).into_iter();
            on_fronts.extend(members.map(|member| (member.trial, target.name.clone())));
        }
        let mut front: Vec<FrontMember> = Vec::new();
        for (number, _) in &on_fronts {
            let known = front.iter().any(|member| member.trial == *number);
            let trial = info.scored.iter().find(|trial| trial.trial == *number);
            let Some(trial) = trial.filter(|_| !known) else {
                continue;
            };
            let names = info.targets.iter().map(|target| target.name.clone());
            let costs = trial.costs.iter().map(CostsView::from);
            let own = on_fronts.iter().filter(|(trial, _)| trial == number);
            let fit = |(target_idx, target): (usize, &TargetInfo)| {
                let (probability, _) = info.fit(trial, target_idx)?;
                Some((target.name.clone(), probability))
            };
            front.push(FrontMember {
                trial: trial.trial,
                space: trial.space.clone(),
                task: task_name(trial.task),
                figures: FiguresView(trial.figures),
                intervals: intervals_of(trial),
                hears: trial.hears.clone(),
                rescored: trial.seeds.as_ref().map(RescoredView::from),
                macs: trial.macs,
                params: trial.params,
                on_front: own.map(|(_, target)| target.clone()).collect(),
                costs: names.zip(costs).collect(),
                fit_probability: info.targets.iter().enumerate().filter_map(fit).collect(),
                measurements: measurements_of(&info.measurements, *number, &info.budgets()),
            });
        }
        let by_target = || info.targets.iter().map(|target| target.name.clone());
        FrontDocument {
            schema_version: SCHEMA_VERSION,
            run: info.run.clone(),
            data: info.data.clone(),
            synthetic: info.synthetic,
            targets: by_target().collect(),
            trials: info.counts.into(),
            hypervolume: info.targets.first().and_then(TargetInfo::hypervolume),
            hypervolumes: by_target()
                .zip(info.targets.iter().map(HypervolumeView::from))
                .collect(),
            ties: by_target()
                .zip(info.targets.iter().map(|target| target.ties.clone()))
                .collect(),
            budgets: by_target()
                .zip(info.targets.iter().map(|t| LimitsView::from(&t.budget)))
                .collect(),
            front,
            steered_by: info.steered.clone(),
            notes: info.notes.clone(),
        }
    }
}

/// A document that a command with `--json` prints.
pub trait Document: Serialize + JsonSchema {
    /// The name of its schema in `docs/schema`.
    const NAME: &'static str;
}

/// Names all documents of this module, each with its schema.
macro_rules! documents {
    ($($name:literal: $document:ty),* $(,)?) => {
        $(impl Document for $document {
            const NAME: &'static str = $name;
        })*

        /// The JSON Schema of every document, by name.
        pub fn schemas() -> Vec<(&'static str, Schema)> {
            vec![$(($name, schema_for!($document))),*]
        }
    };
}

documents! {
    "baseline": BaselineDocument,
    "baselines": BaselinesDocument,
    "calibration": calibration::FitDocument,
    "calibration-energy": calibration::PowersDocument,
    "cache": lists::CacheDocument,
    "data-info": lists::DatasetDocument,
    "data-list": lists::KnownDatasetsDocument,
    "decide": DecideDocument,
    "events": EventsDocument,
    "estimate": network::EstimateDocument,
    "explain": network::ExplanationDocument,
    "front": FrontDocument,
    "judge": JudgedDocument,
    "lineup": lineup::LineupDocument,
    "measure": MeasuredDocument,
    "npu": npu::NpuDocument,
    "runs": RunsDocument,
    "scores": ScoresDocument,
    "spaces": lists::SpacesDocument,
    "stress": StressDocument,
    "targets": lists::TargetsDocument,
    "trial": TrialDocument,
    "trials": trials::TrialsDocument,
}

/// A document as text, indented, with a line break at its end. Numbers that JSON cannot say are null.
pub fn render<T: Document>(document: &T) -> String {
    let text = serde_json::to_string_pretty(document);
    // Only a map whose keys are not text would fail, and there is none.
    text.expect("documents have text keys") + "\n"
}

/// The task's name in documents.
pub const fn task_name(task: Task) -> &'static str {
    match task {
        Task::Reconstruct => "reconstruct",
        Task::Classify { .. } => "classify",
        Task::Distance(_) => "distance",
    }
}

impl From<TrialCounts> for TrialsView {
    fn from(counts: TrialCounts) -> TrialsView {
        TrialsView {
            scored: counts.scored,
            fitted: counts.fitted,
            rejected: counts.rejected,
            failed: counts.failed,
        }
    }
}

impl From<&TargetInfo> for HypervolumeView {
    fn from(target: &TargetInfo) -> HypervolumeView {
        let reference = target.reference.iter();
        HypervolumeView {
            value: target.hypervolume(),
            reference: reference
                .map(|(objective, value)| (objective.key(), *value))
                .collect(),
        }
    }
}

impl From<&Budget> for LimitsView {
    fn from(limits: &Budget) -> LimitsView {
        let whole = |cost: Metric| limits.limit(cost).map(|limit| limit.round() as u64);
        LimitsView {
            ram_bytes: whole(Metric::Ram),
            flash_bytes: whole(Metric::Flash),
            latency_us: limits.latency_us,
            energy_uj: limits.energy_uj,
            macs: whole(Metric::Macs),
            offline: limits.offline,
            period_us: limits.duty.map(|duty| duty.period_us),
            battery_mwh: limits.duty.and_then(|duty| duty.battery_mwh),
            battery_days: limits.duty.and_then(|duty| duty.least_days),
        }
    }
}

impl From<&Costs> for CostsView {
    fn from(costs: &Costs) -> CostsView {
        CostsView {
            ram_bytes: costs
                .ram_bytes
                .map(|q| view(q, |value| value.round() as u64)),
            flash_bytes: costs
                .flash_bytes
                .map(|q| view(q, |value| value.round() as u64)),
            latency_us: costs.latency_us.map(|q| view(q, |value| value)),
            energy_uj: costs.energy_uj.map(|q| view(q, |value| value)),
            real_time_factor: costs.real_time.map(|q| view(q, |value| value)),
            mean_power_mw: costs.power.map(|power| view(power.mean_mw, |value| value)),
            battery_days: costs
                .power
                .and_then(|power| power.days)
                .map(|q| view(q, |value| value)),
        }
    }
}

fn view<T>(quantity: Cost, number: impl Fn(f64) -> T) -> CostView<T> {
    CostView {
        value: number(quantity.value),
        source: CostSource::name(quantity.source),
        low: number(quantity.low),
        high: number(quantity.high),
    }
}
