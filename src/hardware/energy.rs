//! Energy of a device that wakes up, infers and sleeps.
//!
//! Power is nearly constant while a chip computes. On 107 rows of MLPerf Tiny, one power per board and runtime
//! predicts the energy of every network within 3.1 % on average (`nas calibrate --power`).

use serde::{Deserialize, Serialize};

use super::{Coefficient, Cost, Estimate, Target};

/// A duty cycle: how often a device infers, its battery, and how long that battery must last.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Duty {
    /// Time between the starts of two inferences, in microseconds.
    pub period_us: f64,
    /// Energy of the battery in milliwatt hours; `None` without a battery.
    pub battery_mwh: Option<f64>,
    /// The battery must last at least this many days; ignored without a battery.
    pub least_days: Option<f64>,
}

/// Mean power of a duty cycle, and how long the battery lasts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Power {
    /// Mean power over a period, in milliwatts.
    pub mean_mw: Cost,
    /// Days that the battery lasts; `None` without a battery.
    pub days: Option<Cost>,
}

impl Duty {
    /// Mean power and battery life; the chip idles for the rest of each period.
    ///
    /// # Errors
    /// [`EnergyError`] where the inference is longer than the period, or the profile has no idle power.
    pub fn power(&self, estimate: &Estimate, target: &Target) -> Result<Power, EnergyError> {
        let energy = period_energy_uj(estimate, target, self.period_us)?;
        let mean_mw = mean_power_mw(&energy, self.period_us);
        let days = |battery_mwh| battery_days(battery_mwh, &mean_mw);
        Ok(Power {
            mean_mw,
            days: self.battery_mwh.map(days),
        })
    }

    /// The highest mean power with which the battery lasts long enough, in milliwatts; `None` without such a limit.
    pub fn limit_mw(&self) -> Option<f64> {
        Some(self.battery_mwh? / (24.0 * self.least_days?))
    }
}

/// A duty cycle that cannot be kept.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EnergyError {
    /// The inference takes longer than the period.
    #[error(
        "an inference takes {latency_ms:.3} ms, longer than the period of {period_ms:.3} ms; choose a longer period or a smaller network"
    )]
    TooSlow {
        /// Latency of one inference in milliseconds.
        latency_ms: f64,
        /// Period of the duty cycle in milliseconds.
        period_ms: f64,
    },
    /// The target's profile has no idle power.
    #[error("the profile `{target}` has no idle power (`cpu.idle_power`)")]
    NoIdlePower {
        /// Name of the target.
        target: String,
    },
}

impl Target {
    /// The chip's power between inferences, in milliwatts.
    ///
    /// # Errors
    /// [`EnergyError::NoIdlePower`] where the profile has none.
    pub fn idle_power(&self) -> Result<&Coefficient, EnergyError> {
        let idle = self.cpu.idle_power.as_ref();
        idle.ok_or_else(|| EnergyError::NoIdlePower {
            target: self.name.clone(),
        })
    }
}

/// Energy of one period in microjoules: active while the inference runs, idle for the rest.
///
/// # Errors
/// As [`Duty::power`].
pub fn period_energy_uj(
    estimate: &Estimate,
    target: &Target,
    period_us: f64,
) -> Result<Cost, EnergyError> {
    let latency_us = estimate.latency_us.value;
    // NaN is not a period either.
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

/// Days that a battery lasts at a mean power; self-discharge and regulator losses are not counted.
pub fn battery_days(battery_mwh: f64, mean_power_mw: &Cost) -> Cost {
    let days = |mw: f64| battery_mwh / mw.max(f64::MIN_POSITIVE) / 24.0;
    Cost {
        value: days(mean_power_mw.value),
        low: days(mean_power_mw.high),
        high: days(mean_power_mw.low),
        source: mean_power_mw.source,
    }
}

/// Energy in microjoules of a power in milliwatts over a time in microseconds.
pub fn microjoules(power_mw: f64, time_us: f64) -> f64 {
    power_mw * time_us * 1e-3
}
