//! Budgets on the command line.

use nas::{
    hardware::{Budget, energy::Duty},
    units::{Bytes, Count, DAY_S, Microjoules, Micros, MilliwattHours, Span},
};

// The group has a name of its own, because the arguments of every command are called `Args`.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(id = "budget")]
pub struct Args {
    /// Most RAM, for example 256k
    #[arg(long, value_name = "BYTES")]
    pub budget_ram: Option<Bytes>,
    /// Most flash, for example 1M
    #[arg(long, value_name = "BYTES")]
    pub budget_flash: Option<Bytes>,
    /// Longest time of one inference with its front end, for example 20ms
    #[arg(long, value_name = "TIME")]
    pub budget_latency: Option<Micros>,
    /// Most energy of one inference with its front end, for example 300uJ
    #[arg(long, value_name = "ENERGY")]
    pub budget_energy: Option<Microjoules>,
    /// Most multiply-accumulates of one inference, for example 3M
    #[arg(long, value_name = "COUNT")]
    pub budget_macs: Option<Count>,
    /// Days that the battery must last, for example 365d
    #[arg(long, value_name = "SPAN")]
    pub budget_life: Option<Span>,
    /// Time between inferences, for example 1s; the device idles in between
    #[arg(long, value_name = "TIME")]
    pub period: Option<Micros>,
    /// Accept networks that take longer for a window than the time to the next one: recordings are judged later
    #[arg(long)]
    pub offline: bool,
    /// Energy of the battery, for example 1000mWh
    #[arg(long, value_name = "ENERGY")]
    pub battery: Option<MilliwattHours>,
}

/// Options that have no meaning without each other.
#[derive(Debug, thiserror::Error)]
#[error("{given} needs {missing} too")]
pub struct Incomplete {
    given: &'static str,
    missing: &'static str,
}

impl Args {
    /// Whether some limit is given.
    pub fn has_limit(&self) -> bool {
        self.budget_ram.is_some()
            || self.budget_flash.is_some()
            || self.budget_latency.is_some()
            || self.budget_energy.is_some()
            || self.budget_macs.is_some()
            || self.budget_life.is_some()
    }

    /// The budget; limits that are not given come from `other`.
    pub fn or(&self, other: &Budget) -> Result<Budget, Incomplete> {
        Ok(Budget {
            ram_bytes: self
                .budget_ram
                .map(|bytes| bytes.0 as f64)
                .or(other.ram_bytes),
            flash_bytes: self
                .budget_flash
                .map(|bytes| bytes.0 as f64)
                .or(other.flash_bytes),
            latency_us: self.budget_latency.map(|time| time.0).or(other.latency_us),
            energy_uj: self
                .budget_energy
                .map(|energy| energy.0)
                .or(other.energy_uj),
            macs: self.budget_macs.map(|count| count.0).or(other.macs),
            duty: self.duty(other.duty)?,
            offline: self.offline || other.offline,
        })
    }

    fn duty(&self, other: Option<Duty>) -> Result<Option<Duty>, Incomplete> {
        let period_us = self.period.map(|period| period.0);
        let battery_mwh = self.battery.map(|battery| battery.0);
        let least_days = self.budget_life.map(|life| life.0.as_secs_f64() / DAY_S);
        let battery_mwh = battery_mwh.or(other.and_then(|duty| duty.battery_mwh));
        if least_days.is_some() && battery_mwh.is_none() {
            return Err(Incomplete {
                given: "--budget-life",
                missing: "--battery, such as 1000mWh,",
            });
        }
        match period_us.or(other.map(|duty| duty.period_us)) {
            Some(period_us) => Ok(Some(Duty {
                period_us,
                battery_mwh,
                least_days: least_days.or(other.and_then(|duty| duty.least_days)),
            })),
            None if battery_mwh.is_some() => Err(Incomplete {
                given: "--battery",
                missing: "--period, such as 1s,",
            }),
            None => Ok(None),
        }
    }
}
