//! Energy of a device that wakes up, infers and sleeps.
//!
//! Power is nearly constant while a chip computes: over 107 rows of MLPerf Tiny one power per board and
//! runtime gives the energy of every network within 3.1 % on average (`nas calibrate --power`).

use super::{Cost, Estimate, Target};

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
    let idle = target.cpu.idle_power.as_ref();
    let idle = idle.ok_or_else(|| EnergyError::NoIdlePower {
        target: target.name.clone(),
    })?;
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
