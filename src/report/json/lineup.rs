//! The family of networks for a line of products.

use schemars::JsonSchema;
use serde::Serialize;

use super::SCHEMA_VERSION;
use crate::{
    hardware::Metric,
    report::lineup::{Lineup, OnDevice, Served},
    score::Figure,
};

/// What `nas lineup --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LineupDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// Name of the run.
    pub run: String,
    /// Whether the data comes from the built-in generator.
    pub synthetic: bool,
    /// What steered the search: `labels` or `stand-ins`; null where that was not recorded.
    pub steered_by: Option<String>,
    /// The score that counts, by its key.
    pub measure: String,
    /// The loss of score that a device may bear.
    pub within: f64,
    /// Numbers of the members, the fewest that serve all devices.
    pub members: Vec<u64>,
    /// How many members were trained once, so that luck is in their scores.
    pub trained_once: usize,
    /// How many different front ends the members have.
    pub front_ends: usize,
    /// The devices, in the order of the command.
    pub devices: Vec<DeviceView>,
}

/// One device of the line.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DeviceView {
    /// Name of the target.
    pub target: String,
    /// The most RAM for the network and its front end, in bytes.
    pub most_ram_bytes: f64,
    /// The member that serves it; null where nothing of the run fits.
    pub member: Option<ServingView>,
    /// The best network for this device alone; null where nothing of the run fits.
    pub best: Option<ServingView>,
}

/// A network on a device. Costs are estimated.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ServingView {
    /// Number of the trial.
    pub trial: u64,
    /// The score on the clips that steered; a mean where the trial was trained again.
    pub score: f64,
    /// The same score on clips that steered nothing; null where there are none.
    pub test_score: Option<f64>,
    /// Peak RAM in bytes.
    pub ram_bytes: f64,
    /// Flash in bytes.
    pub flash_bytes: f64,
    /// Latency of one inference in microseconds.
    pub latency_us: f64,
    /// Energy of one inference in microjoules.
    pub energy_uj: f64,
}

impl From<&Lineup> for LineupDocument {
    fn from(lineup: &Lineup) -> LineupDocument {
        LineupDocument {
            schema_version: SCHEMA_VERSION,
            run: lineup.run.clone(),
            synthetic: lineup.synthetic,
            steered_by: lineup.steered.clone(),
            measure: Figure::steering(lineup.measure).key(),
            within: lineup.within,
            members: lineup.members.clone(),
            trained_once: lineup.trained_once,
            front_ends: lineup.front_ends,
            devices: lineup.devices.iter().map(DeviceView::from).collect(),
        }
    }
}

impl From<&Served> for DeviceView {
    fn from(served: &Served) -> DeviceView {
        DeviceView {
            target: served.target.clone(),
            most_ram_bytes: served.ram_bytes,
            member: served.member.as_ref().map(ServingView::from),
            best: served.best.as_ref().map(ServingView::from),
        }
    }
}

impl From<&OnDevice> for ServingView {
    fn from(on: &OnDevice) -> ServingView {
        let cost = |metric: Metric| metric.value(&on.estimate, 0);
        ServingView {
            trial: on.trial,
            score: on.score,
            test_score: on.test,
            ram_bytes: cost(Metric::Ram),
            flash_bytes: cost(Metric::Flash),
            latency_us: cost(Metric::Latency),
            energy_uj: cost(Metric::Energy),
        }
    }
}
