//! Energy of a device that wakes up, infers and sleeps.
//!
//! Power is nearly constant while a chip computes: over 107 rows of MLPerf Tiny one power per board and
//! runtime gives the energy of every network within 3.1 % on average (`nas calibrate --power`).

use serde::{Deserialize, Serialize};

use super::{Coefficient, Cost, Estimate, Target};

/// How often a device infers, from what battery it lives, and how long that has to last.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Duty {
    pub period_us: f64,
    pub battery_mwh: Option<f64>,
    /// A limit; without a battery it says nothing.
    pub least_days: Option<f64>,
}

/// Mean power of a duty cycle, and the days that the battery lasts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Power {
    pub mean_mw: Cost,
    pub days: Option<Cost>,
}

impl Duty {
    /// Idle power counts for the rest of the period.
    pub fn power(&self, estimate: &Estimate, target: &Target) -> Result<Power, EnergyError> {
        let energy = period_energy_uj(estimate, target, self.period_us)?;
        let mean_mw = mean_power_mw(&energy, self.period_us);
        let days = |battery_mwh| battery_days(battery_mwh, &mean_mw);
        Ok(Power {
            mean_mw,
            days: self.battery_mwh.map(days),
        })
    }

    /// The mean power that empties the battery on its last day, in milliwatts.
    pub fn limit_mw(&self) -> Option<f64> {
        Some(self.battery_mwh? / (24.0 * self.least_days?))
    }
}

/// A duty cycle that cannot be kept.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EnergyError {
    #[error(
        "an inference takes {latency_ms:.3} ms, longer than the period of {period_ms:.3} ms; choose a longer period or a smaller network"
    )]
    TooSlow { latency_ms: f64, period_ms: f64 },
    #[error("the profile `{target}` says nothing about idle power (`cpu.idle_power`)")]
    NoIdlePower { target: String },
}

impl Target {
    /// What it draws between inferences, in milliwatts.
    pub fn idle_power(&self) -> Result<&Coefficient, EnergyError> {
        let idle = self.cpu.idle_power.as_ref();
        idle.ok_or_else(|| EnergyError::NoIdlePower {
            target: self.name.clone(),
        })
    }
}

/// Energy of one period in microjoules: active while the inference runs, idle for the rest.
pub fn period_energy_uj(
    estimate: &Estimate,
    target: &Target,
    period_us: f64,
) -> Result<Cost, EnergyError> {
    let latency_us = estimate.latency_us.value;
    // Not a number is no period either.
    if latency_us.is_nan() || period_us.is_nan() || latency_us > period_us {
        return Err(EnergyError::TooSlow {
            latency_ms: latency_us * 1e-3,
            period_ms: period_us * 1e-3,
        });
    }
    let idle = target.idle_power()?;
    let idle_uj = microjoules(idle.value, period_us - latency_us);
    let active = estimate.energy_uj;
    let value = active.value + idle_uj;
    let active_error = active.high / active.value.max(f64::MIN_POSITIVE) - 1.0;
    let error_uj = (active.value * active_error).hypot(idle_uj * idle.error);
    Ok(Cost {
        source: active.source,
        ..Cost::estimated(value, error_uj / value.max(f64::MIN_POSITIVE))
    })
}

/// Mean power of a duty cycle in milliwatts.
pub fn mean_power_mw(period_energy_uj: &Cost, period_us: f64) -> Cost {
    let per_us = |uj: f64| uj / period_us * 1e3;
    Cost {
        value: per_us(period_energy_uj.value),
        low: per_us(period_energy_uj.low),
        high: per_us(period_energy_uj.high),
        source: period_energy_uj.source,
    }
}

/// Days that a battery lasts at a mean power, without its self-discharge and the losses of a regulator.
pub fn battery_days(battery_mwh: f64, mean_power_mw: &Cost) -> Cost {
    let days = |mw: f64| battery_mwh / mw.max(f64::MIN_POSITIVE) / 24.0;
    Cost {
        value: days(mean_power_mw.value),
        low: days(mean_power_mw.high),
        high: days(mean_power_mw.low),
        source: mean_power_mw.source,
    }
}

/// Power in mW for a time in microseconds.
pub fn microjoules(power_mw: f64, time_us: f64) -> f64 {
    power_mw * time_us * 1e-3
}
