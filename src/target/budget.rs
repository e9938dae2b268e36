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
        let memory = |contents| {
            let memory = target.largest_memory(contents)?;
            Some((memory.bytes.value, memory.name.as_str()))
        };
        let rows = [
            (
                Metric::Ram,
                estimate.ram_bytes.value,
                self.ram_bytes,
                memory(Contents::Ram),
            ),
            (
                Metric::Flash,
                estimate.flash_bytes.value,
                self.flash_bytes,
                memory(Contents::Flash),
            ),
            (
                Metric::Latency,
                estimate.latency_us.value,
                self.latency_us,
                None,
            ),
            (
                Metric::Energy,
                estimate.energy_uj.value,
                self.energy_uj,
                None,
            ),
            (
                Metric::Macs,
                macs as f64,
                self.macs.map(|macs| macs as f64),
                None,
            ),
        ];
        let mut overs = Vec::new();
        for (metric, value, user_limit, chip_limit) in rows {
            let user_limit = user_limit.map(|limit| (limit, None));
            let chip_limit = chip_limit.map(|(limit, name)| (limit, Some(name)));
            let limit = match (user_limit, chip_limit) {
                (Some(user), Some(chip)) if chip.0 < user.0 => Some(chip),
                (user, chip) => user.or(chip),
            };
            if let Some((limit, memory)) = limit
                && value > limit
            {
                overs.push(Over {
                    metric,
                    value,
                    limit,
                    memory: memory.map(str::to_string),
                });
            }
        }
        (!overs.is_empty()).then_some(Excess(overs))
    }
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
