//! Shows a run: plain facts about it, and their figures, tables and documents.
//!
//! [`load()`] reads a [`RunInfo`] from the store; figures, tables and documents are functions of it.
//!
//! This module may not know how a trial was made.

pub mod baselines;
pub mod dcase_csv;
pub mod draw;
pub mod evaluation;
pub mod files;
#[cfg(test)]
mod fixture;
pub mod html;
pub mod json;
pub mod lineup;
mod load;
pub mod memory;
pub mod network;
pub mod npu;
pub mod panel;
pub mod quantised;
pub mod ranks;
mod seeds;
mod stored;
pub mod text;
mod trial;
pub mod trials;
mod words;

use std::{fmt, path::PathBuf};

pub use load::{load, load_runs};
pub use seeds::{Seeds, Training};
pub use trial::load_trial;
pub use words::{csv_text, harmless};

use crate::{
    hardware::{
        Budget, Cost, CostSource, Estimate, Limited, Metric, Target, energy::Power, fit_probability,
    },
    run::Objective,
    score::{ClipIntervals, Figure, Figures, Measure, Profile},
    space::Task,
    store::MeasurementRow,
};

/// A report that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// The settings of the run could not be read.
    #[error(transparent)]
    Settings(#[from] crate::run::SettingsError),
    /// A stored genome does not suit the spaces of its run.
    #[error("the genome of trial {trial} suits no space of its run")]
    Genome {
        /// Number of the trial.
        trial: i64,
    },
    /// The drawing library failed; holds its message.
    #[error("the figure could not be drawn: {0}")]
    Draw(String),
    /// The pixels could not be encoded.
    #[error("the figure could not be encoded as PNG")]
    Png(#[from] png::EncodingError),
    /// A file of the report could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

/// What a candidate costs on one target; `None` where a cost is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Costs {
    /// RAM in bytes.
    pub ram_bytes: Option<Cost>,
    /// Flash in bytes.
    pub flash_bytes: Option<Cost>,
    /// Time of one inference in microseconds.
    pub latency_us: Option<Cost>,
    /// Energy of one inference in microjoules.
    pub energy_uj: Option<Cost>,
    /// Time for a window as a share of the time to the next one; `None` where the latter was not recorded.
    pub real_time: Option<Cost>,
    /// Mean power and battery life; `None` without a duty cycle, or where the network cannot keep it.
    pub power: Option<Power>,
}

/// Numbers of trials by their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrialCounts {
    /// Networks that were trained.
    pub scored: u64,
    /// Detectors that were fitted in closed form.
    pub fitted: u64,
    /// Over budget, never trained.
    pub rejected: u64,
    /// Could not be evaluated.
    pub failed: u64,
}

/// Everything about a run that figures, tables and documents show.
#[derive(Debug, Clone, PartialEq)]
pub struct RunInfo {
    /// Name of the run.
    pub run: String,
    /// The data set's name.
    pub data: String,
    /// Whether the built-in generator made the data; every figure says so.
    pub synthetic: bool,
    /// What steered the search: `labels` or `disturbed` sound (`stand-ins` in older runs); `None` where that was not recorded.
    pub steered: Option<String>,
    /// Whether all its networks are published ones, which have names.
    pub published: bool,
    /// Numbers of its trials by their end.
    pub counts: TrialCounts,
    /// Its targets; the first one steers the search.
    pub targets: Vec<TargetInfo>,
    /// Trained and scored trials, in the order of their numbers.
    pub scored: Vec<ScoredTrial>,
    /// Published networks on the same data, and the run's own reference detectors; `space` is their name.
    pub baselines: Vec<ScoredTrial>,
    /// The trials over budget that figures show.
    pub rejected: Vec<RejectedTrial>,
    /// What its models took when they ran as firmware, by trial and place.
    pub measurements: Vec<MeasurementRow>,
    /// What a reader must know, a sentence each: for example, there are too few clips.
    pub notes: Vec<String>,
}

/// One target of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetInfo {
    /// Name of the target.
    pub name: String,
    /// The limits on this target.
    pub budget: Budget,
    /// Numbers of the trials on this target's front.
    pub front: Vec<u64>,
    /// Numbers of those that would be on it, were not a cheaper network as good within the noise of trainings.
    pub ties: Vec<u64>,
    /// Number of scored trials and the hypervolume after them, 0 to 1. At least every change is there; the last entry
    /// is the final hypervolume.
    pub hypervolumes: Vec<(u64, f64)>,
    /// The reference point of the hypervolume, a value per objective.
    pub reference: Vec<(Objective, f64)>,
}

/// A trial that was trained and scored.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredTrial {
    /// Number of the trial.
    pub trial: u64,
    /// Name of the search space.
    pub space: String,
    /// Autoencoder or classifier.
    pub task: Task,
    /// Whether it was fitted in closed form instead of trained.
    pub is_fitted: bool,
    /// Figures of merit; means over the further seeds where there are some.
    pub figures: Figures,
    /// How far its AUCs may be off because there are only so many clips.
    pub intervals: ClipIntervals,
    /// What its own model hears of disturbed sound; `None` where labels steered, and in older runs.
    pub hears: Option<Profile>,
    /// The further trainings; `None` where the trial was trained once.
    pub seeds: Option<Seeds>,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Number of weights and biases.
    pub params: u64,
    /// One per target of the run, in their order.
    pub costs: Vec<Costs>,
}

/// A trial that was over budget.
#[derive(Debug, Clone, PartialEq)]
pub struct RejectedTrial {
    /// Number of the trial.
    pub trial: u64,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// One per target of the run, in their order.
    pub costs: Vec<Costs>,
}

impl Costs {
    /// One cost; `None` for MACs, which belong to the network and not to a target.
    pub const fn get(&self, cost: Metric) -> Option<Cost> {
        match cost {
            Metric::Ram => self.ram_bytes,
            Metric::Flash => self.flash_bytes,
            Metric::Latency => self.latency_us,
            Metric::Energy => self.energy_uj,
            Metric::Macs => None,
        }
    }
}

impl TargetInfo {
    /// The hypervolume after the last trial.
    pub fn hypervolume(&self) -> Option<f64> {
        self.hypervolumes.last().map(|(_, value)| *value)
    }

    /// The reference point as text: `1 − AUC 0.500, Latency 20.0 ms`.
    pub fn show_reference(&self) -> String {
        let parts: Vec<String> = self
            .reference
            .iter()
            .map(|(objective, value)| objective.show(*value))
            .collect();
        parts.join(", ")
    }
}

impl ScoredTrial {
    /// The 95 % interval of a figure, `[low, high]`: over its clips, and over seeds where there are some. `None` where
    /// neither is known.
    pub fn interval(&self, figure: Figure) -> Option<[f64; 2]> {
        let value = self.figures.get(figure)?;
        let of_seeds = self.seeds.as_ref();
        let of_seeds = of_seeds.and_then(|seeds| seeds.interval(figure)?.half_width);
        let of_clips = self.intervals.get(&figure);
        if of_seeds.is_none() && of_clips.is_none() {
            return None;
        }
        // The two have nothing to do with each other, so that their squares add up. That of the clips is the trial's own.
        let own = self
            .seeds
            .as_ref()
            .map_or(Some(value), |seeds| seeds.own.get(figure));
        let reach = |side: usize| {
            let of_clips = of_clips
                .zip(own)
                .map_or(0.0, |(bounds, own)| bounds[side] - own);
            of_clips.hypot(of_seeds.unwrap_or(0.0))
        };
        Some([(value - reach(0)).max(0.0), (value + reach(1)).min(1.0)])
    }

    /// Half the width of [`ScoredTrial::interval`].
    pub fn half_width(&self, figure: Figure) -> Option<f64> {
        let [low, high] = self.interval(figure)?;
        Some((high - low) / 2.0)
    }

    /// One cost on the run's target number `target_idx`. MACs are exact; their source says nothing.
    pub fn cost(&self, target_idx: usize, cost: Metric) -> Option<Cost> {
        cost_of(self.macs, &self.costs, target_idx, cost)
    }

    /// How long the run's battery lasts on target number `target_idx`.
    pub fn battery_days(&self, target_idx: usize) -> Option<Cost> {
        self.costs.get(target_idx)?.power?.days
    }
}

impl RejectedTrial {
    /// As [`ScoredTrial::cost`].
    pub fn cost(&self, target_idx: usize, cost: Metric) -> Option<Cost> {
        cost_of(self.macs, &self.costs, target_idx, cost)
    }
}

fn cost_of(macs: u64, costs: &[Costs], target_idx: usize, cost: Metric) -> Option<Cost> {
    match cost {
        Metric::Macs => Some(Cost::exact(macs as f64, CostSource::Estimated)),
        _ => costs.get(target_idx)?.get(cost),
    }
}

impl RunInfo {
    /// The probability that a trial keeps to the budget of target number `target_idx`, and the cost that is least
    /// likely to. `None` where no band crosses a limit.
    pub fn fit(&self, trial: &ScoredTrial, target_idx: usize) -> Option<(f64, Limited)> {
        let budget = self.targets.get(target_idx)?.budget;
        let crossing = Metric::COSTED.into_iter().filter_map(|metric| {
            let (limit, cost) = (budget.limit(metric)?, trial.cost(target_idx, metric)?);
            Some((uncertain_fit(&cost, limit)?, metric.into()))
        });
        let of_duty = || {
            let power = trial.costs.get(target_idx)?.power?;
            let fits = uncertain_fit(&power.mean_mw, budget.duty?.limit_mw()?)?;
            Some((fits, Limited::MeanPower))
        };
        let crossing: Vec<(f64, Limited)> = crossing.chain(of_duty()).collect();
        let worst = crossing.iter().min_by(|a, b| a.0.total_cmp(&b.0))?.1;
        let all = crossing.iter().map(|(probability, _)| probability);
        Some((all.product(), worst))
    }

    /// The scores that steered the search.
    pub fn steered_by(&self) -> Vec<Measure> {
        Objective::measures(&self.objectives()).collect()
    }

    /// The score by which networks are shown beside their costs: the first that steered.
    pub fn merit(&self) -> Measure {
        Objective::leading(&self.objectives())
    }

    fn objectives(&self) -> Vec<Objective> {
        let reference = self.targets.first().map(|target| &target.reference);
        let reference = reference.into_iter().flatten();
        reference.map(|(objective, _)| *objective).collect()
    }

    /// The trials on the front of target number `target_idx`, best score first.
    pub fn front(&self, target_idx: usize) -> Vec<&ScoredTrial> {
        let numbers = self
            .targets
            .get(target_idx)
            .map_or(&[][..], |target| &target.front);
        let mut members: Vec<&ScoredTrial> = self
            .scored
            .iter()
            .filter(|trial| numbers.contains(&trial.trial))
            .collect();
        let merit = self.merit();
        let score =
            |trial: &ScoredTrial| trial.figures.steering(merit).unwrap_or(f64::NEG_INFINITY);
        members.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a.trial.cmp(&b.trial)));
        members
    }
}

impl fmt::Display for TrialCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TrialCounts {
            scored,
            fitted,
            rejected,
            failed,
        } = self;
        write!(f, "{scored} trained, ")?;
        if *fitted > 0 {
            write!(f, "{fitted} fitted, ")?;
        }
        write!(f, "{rejected} over budget, {failed} failed")
    }
}

/// The probability that a cost stays within a limit; `None` where its band does not cross it.
fn uncertain_fit(cost: &Cost, limit: f64) -> Option<f64> {
    let crosses = cost.low < limit && limit < cost.high;
    crosses.then(|| fit_probability(cost, limit))
}

/// The name of a task's networks in figures and tables.
pub const fn approach(task: Task) -> &'static str {
    match task {
        Task::Reconstruct => "autoencoder",
        Task::Classify { .. } => "classifier",
        Task::Distance(_) => "distance",
    }
}

fn costs_of(estimate: Estimate, target: &Target, budget: &Budget) -> Costs {
    Costs {
        power: budget
            .duty
            .and_then(|duty| duty.power(&estimate, target).ok()),
        ram_bytes: Some(estimate.ram_bytes),
        flash_bytes: Some(estimate.flash_bytes),
        latency_us: Some(estimate.latency_us),
        energy_uj: Some(estimate.energy_uj),
        real_time: estimate.real_time(),
    }
}
