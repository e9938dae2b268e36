//! Names and values of the costs.

use super::{Budget, Cost, Estimate, Limited, Metric};
use crate::units::{Bytes, Count, Microjoules, Micros, three_digits};

impl Metric {
    /// All costs, in the order of tables.
    pub const ALL: [Metric; 5] = [
        Metric::Ram,
        Metric::Flash,
        Metric::Latency,
        Metric::Energy,
        Metric::Macs,
    ];
    /// The costs that depend on the target.
    pub const COSTED: [Metric; 4] = [Metric::Ram, Metric::Flash, Metric::Latency, Metric::Energy];

    /// The word on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Metric::Ram => "ram",
            Metric::Flash => "flash",
            Metric::Latency => "latency",
            Metric::Energy => "energy",
            Metric::Macs => "macs",
        }
    }

    /// The key in documents and tables, with its unit at the end.
    pub const fn key(self) -> &'static str {
        match self {
            Metric::Ram => "ram_bytes",
            Metric::Flash => "flash_bytes",
            Metric::Latency => "latency_us",
            Metric::Energy => "energy_uj",
            Metric::Macs => "macs",
        }
    }

    /// The name for readers.
    pub const fn title(self) -> &'static str {
        match self {
            Metric::Ram => "RAM",
            Metric::Flash => "Flash",
            Metric::Latency => "Latency",
            Metric::Energy => "Energy",
            Metric::Macs => "MACs",
        }
    }

    /// A value with its unit, to three digits.
    pub fn show(self, value: f64) -> String {
        match self {
            Metric::Ram | Metric::Flash => Bytes(value.round() as u64).to_string(),
            Metric::Latency => Micros(value).to_string(),
            Metric::Energy => Microjoules(value).to_string(),
            Metric::Macs => Count(value.round() as u64).to_string(),
        }
    }

    /// The value for one candidate.
    pub fn value(self, estimate: &Estimate, macs: u64) -> f64 {
        estimate.get(self).map_or(macs as f64, |cost| cost.value)
    }
}

impl Limited {
    /// The key in documents and tables, with its unit at the end.
    pub const fn key(self) -> &'static str {
        match self {
            Limited::Cost(metric) => metric.key(),
            Limited::MeanPower => "mean_power_mw",
            Limited::RealTime => "real_time_factor",
        }
    }

    /// A value with its unit, to three digits.
    pub fn show(self, value: f64) -> String {
        match self {
            Limited::Cost(metric) => metric.show(value),
            Limited::MeanPower => format!("{} mW", three_digits(value)),
            Limited::RealTime => three_digits(value),
        }
    }
}

impl From<Metric> for Limited {
    fn from(metric: Metric) -> Limited {
        Limited::Cost(metric)
    }
}

impl Estimate {
    /// The real-time factor: the time for a window, front end and network, as a share of the time to the next window.
    /// `None` without a front end.
    pub fn real_time(&self) -> Option<Cost> {
        let window_us = self.window_us.filter(|window_us| *window_us > 0.0)?;
        let share = |us: f64| us / window_us;
        Some(Cost {
            value: share(self.latency_us.value),
            low: share(self.latency_us.low),
            high: share(self.latency_us.high),
            source: self.latency_us.source,
        })
    }

    /// One cost; `None` for MACs, which depend on the network and not on the target.
    pub const fn get(&self, metric: Metric) -> Option<Cost> {
        match metric {
            Metric::Ram => Some(self.ram_bytes),
            Metric::Flash => Some(self.flash_bytes),
            Metric::Latency => Some(self.latency_us),
            Metric::Energy => Some(self.energy_uj),
            Metric::Macs => None,
        }
    }
}

impl Budget {
    /// The limit of one cost, in its unit; `None` means no limit.
    pub fn limit(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Ram => self.ram_bytes,
            Metric::Flash => self.flash_bytes,
            Metric::Latency => self.latency_us,
            Metric::Energy => self.energy_uj,
            Metric::Macs => self.macs.map(|macs| macs as f64),
        }
    }
}
