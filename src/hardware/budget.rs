//! Budgets, and how far a candidate exceeds them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Contents, Cost, Estimate, Target,
    energy::{Duty, EnergyError},
};

/// Upper limits of one candidate; `None` means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// RAM in bytes.
    pub ram_bytes: Option<f64>,
    /// Flash in bytes.
    pub flash_bytes: Option<f64>,
    /// Latency of one inference in microseconds.
    pub latency_us: Option<f64>,
    /// Energy of one inference in microjoules.
    pub energy_uj: Option<f64>,
    /// Multiply-accumulates of one inference.
    pub macs: Option<u64>,
    /// Limits of a duty cycle: an inference ends within the period, and the battery lasts long enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duty: Option<Duty>,
    /// Whether a window may take longer than the time to the next one, as where recordings are judged later. Runs of older
    /// programs did not ask.
    #[serde(default = "did_not_ask")]
    pub offline: bool,
}

fn did_not_ask() -> bool {
    true
}

/// Name of the time between windows in stores, where costs have theirs.
pub const WINDOW_KEY: &str = "window_us";

/// One kind of cost of an inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// Peak RAM, in bytes.
    Ram,
    /// Flash, in bytes.
    Flash,
    /// Time of one inference, in microseconds.
    Latency,
    /// Energy of one inference, in microjoules.
    Energy,
    /// Multiply-accumulates of one inference; they do not depend on the target.
    Macs,
}

/// A quantity that a budget can limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// A cost of one inference.
    Cost(Metric),
    /// Mean power of the duty cycle, in milliwatts; it decides how long a battery lasts.
    MeanPower,
    /// Time for a window as a share of the time to the next one: above 1 a device falls behind the sound.
    RealTime,
}

/// One budget that a candidate exceeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Over {
    /// The quantity that is over its limit.
    pub what: Limited,
    /// The candidate's value, in the unit of `what`.
    pub value: f64,
    /// The limit, in the unit of `what`.
    pub limit: f64,
    /// The target's memory that sets the limit; `None` where the user set it.
    pub memory: Option<String>,
}

/// All budgets that a candidate exceeds; never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Excess(pub Vec<Over>);

impl Budget {
    /// How far a candidate is over its budget or over the target's memories; `None` where it fits.
    ///
    /// Compares the estimates, not their bands. Where the user and the target both limit a memory, the smaller limit
    /// counts.
    pub fn excess(&self, target: &Target, estimate: &Estimate, macs: u64) -> Option<Excess> {
        let (ram, flash) = (estimate.ram_bytes.value, estimate.flash_bytes.value);
        let (latency, energy) = (estimate.latency_us.value, estimate.energy_uj.value);
        let macs_limit = self.macs.map(|macs| macs as f64);
        let duty_limit = self
            .duty
            .and_then(|duty| duty_cost(&duty, target, estimate));
        let overs: Vec<Over> = [
            self.memory_over(target, Metric::Ram, ram),
            self.memory_over(target, Metric::Flash, flash),
            over(Metric::Latency, latency, self.latency_us, None),
            over(Metric::Energy, energy, self.energy_uj, None),
            over(Metric::Macs, macs as f64, macs_limit, None),
            duty_limit.and_then(|(what, cost, limit)| over(what, cost.value, Some(limit), None)),
            self.real_time(estimate)
                .and_then(|factor| over(Limited::RealTime, factor.value, Some(1.0), None)),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!overs.is_empty()).then_some(Excess(overs))
    }

    /// The real-time factor that has to stay within 1; `None` where nothing is heard as it comes: offline, with a period
    /// of the user's own between inferences, and without a front end.
    pub(super) fn real_time(&self, estimate: &Estimate) -> Option<Cost> {
        let as_it_comes = !self.offline && self.duty.is_none();
        estimate.real_time().filter(|_| as_it_comes)
    }

    /// Like [`Budget::excess`], for the memory that a linked image takes.
    pub fn memory_excess(
        &self,
        target: &Target,
        ram_bytes: u64,
        flash_bytes: u64,
    ) -> Option<Excess> {
        let overs: Vec<Over> = [
            self.memory_over(target, Metric::Ram, ram_bytes as f64),
            self.memory_over(target, Metric::Flash, flash_bytes as f64),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!overs.is_empty()).then_some(Excess(overs))
    }

    /// Compares one memory; `metric` is `Ram` or `Flash`.
    fn memory_over(&self, target: &Target, metric: Metric, value: f64) -> Option<Over> {
        let (contents, user_limit) = match metric {
            Metric::Flash => (Contents::Flash, self.flash_bytes),
            _ => (Contents::Ram, self.ram_bytes),
        };
        let memory = target.largest_memory(contents);
        let chip_limit = memory.map(|memory| (memory.bytes.value, memory.name.as_str()));
        over(metric, value, user_limit, chip_limit)
    }
}

/// The quantity that a duty cycle limits, its value and its limit; `None` without a limit.
///
/// A target without idle power is refused before anything is costed on it.
pub(super) fn duty_cost(
    duty: &Duty,
    target: &Target,
    estimate: &Estimate,
) -> Option<(Limited, Cost, f64)> {
    match duty.power(estimate, target) {
        Ok(power) => Some((Limited::MeanPower, power.mean_mw, duty.limit_mw()?)),
        Err(EnergyError::TooSlow { .. }) => {
            Some((Metric::Latency.into(), estimate.latency_us, duty.period_us))
        }
        Err(EnergyError::NoIdlePower { .. }) => None,
    }
}

/// The overshoot; `None` where the value is within the smaller of the two limits.
fn over(
    what: impl Into<Limited>,
    value: f64,
    user_limit: Option<f64>,
    chip_limit: Option<(f64, &str)>,
) -> Option<Over> {
    let user_limit = user_limit.map(|limit| (limit, None));
    let chip_limit = chip_limit.map(|(limit, name)| (limit, Some(name)));
    let (limit, memory) = match (user_limit, chip_limit) {
        (Some(user), Some(chip)) if chip.0 < user.0 => Some(chip),
        (user, chip) => user.or(chip),
    }?;
    (value > limit).then(|| Over {
        what: what.into(),
        value,
        limit,
        memory: memory.map(str::to_string),
    })
}

impl Over {
    /// The overshoot as a share of the limit: 0.5 is 50 % over.
    pub fn relative(&self) -> f64 {
        (self.value - self.limit) / self.limit.max(f64::MIN_POSITIVE)
    }
}

impl Excess {
    /// The sum of all relative overshoots.
    pub fn total(&self) -> f64 {
        self.0.iter().map(Over::relative).sum()
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, over) in self.0.iter().enumerate() {
            let separator = if idx == 0 { "" } else { "; " };
            write!(f, "{separator}{over}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = (100.0 * self.relative()).ceil();
        let (value, limit) = (self.what.show(self.value), self.what.show(self.limit));
        write!(f, "{} {value} is {percent:.0} % over {limit}", self.what)?;
        match &self.memory {
            Some(memory) => write!(f, " of the target's {memory}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limited::Cost(metric) => metric.fmt(f),
            Limited::MeanPower => f.write_str("mean power"),
            Limited::RealTime => f.write_str("real-time factor"),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Metric::Ram => "RAM",
            Metric::Flash => "flash",
            Metric::Latency => "latency",
            Metric::Energy => "energy",
            Metric::Macs => "MACs",
        })
    }
}
