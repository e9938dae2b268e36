//! Budgets, and by how much a candidate exceeds them.

use std::fmt;

use super::{Contents, Estimate, Target};
use crate::units::{Bytes, Count, Microjoules, Micros};

/// Upper limits; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Budget {
    pub ram_bytes: Option<f64>,
    pub flash_bytes: Option<f64>,
    pub latency_us: Option<f64>,
    pub energy_uj: Option<f64>,
    pub macs: Option<u64>,
}

/// What can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    Ram,
    Flash,
    Latency,
    Energy,
    Macs,
}

/// One budget that a candidate exceeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Over {
    pub metric: Metric,
    pub value: f64,
    pub limit: f64,
    /// The memory of the target that sets the limit, where it is not the user's.
    pub memory: Option<String>,
}

/// All budgets that a candidate exceeds; never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Excess(pub Vec<Over>);

impl Budget {
    /// By how much a candidate is over its budget or over the target's own memories; `None` where it fits.
    ///
    /// The estimates themselves are compared, not their bands. Where both the user and the target
    /// limit a memory, the smaller limit counts.
    pub fn excess(&self, target: &Target, estimate: &Estimate, macs: u64) -> Option<Excess> {
        let (ram, flash) = (estimate.ram_bytes.value, estimate.flash_bytes.value);
        let (latency, energy) = (estimate.latency_us.value, estimate.energy_uj.value);
        let macs_limit = self.macs.map(|macs| macs as f64);
        let overs: Vec<Over> = [
            self.memory_over(target, Metric::Ram, ram),
            self.memory_over(target, Metric::Flash, flash),
            over(Metric::Latency, latency, self.latency_us, None),
            over(Metric::Energy, energy, self.energy_uj, None),
            over(Metric::Macs, macs as f64, macs_limit, None),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!overs.is_empty()).then_some(Excess(overs))
    }

    /// The same for the memory that a linked image was seen to take.
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

    /// `metric` is one of the two memories.
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

/// `None` where the value is within the smaller of the two limits.
fn over(
    metric: Metric,
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
        metric,
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
    /// The overshoots of all budgets, added up.
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
        let show = |value: f64| match self.metric {
            Metric::Ram | Metric::Flash => Bytes(value.ceil() as u64).to_string(),
            Metric::Latency => Micros(value).to_string(),
            Metric::Energy => Microjoules(value).to_string(),
            Metric::Macs => Count(value as u64).to_string(),
        };
        let percent = (100.0 * self.relative()).ceil();
        let (value, limit) = (show(self.value), show(self.limit));
        write!(f, "{} {value} is {percent:.0} % over {limit}", self.metric)?;
        match &self.memory {
            Some(memory) => write!(f, " of the target's {memory}"),
            None => Ok(()),
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
