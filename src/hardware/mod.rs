//! Targets: hardware profiles, cost estimates with error bands, and budgets.
//!
//! A [`Target`] is data (`hardware_profiles/*.toml`): one chip with one runtime, every number with its unit and
//! source. [`estimate()`] turns a candidate and a target into an [`Estimate`], and a [`Budget`] says whether that
//! fits.
//!
//! This module may not know trained weights, training or accuracy.

mod budget;
pub mod calibrate;
pub mod energy;
mod estimate;
mod ethos_u55;
mod fit;
mod metric;
mod profile;
mod term;
pub mod tflm;
mod work;

use std::sync::OnceLock;

pub use budget::{Budget, Excess, Limited, Metric, Over, WINDOW_KEY};
pub use estimate::{
    Bottleneck, Costs, Estimate, FlashParts, OpCost, RamParts, Unit, costs, cpu_work, estimate,
    estimate_graph, flash_parts, front_end_latency_us, npu_plan, op_costs, ram_parts, widened,
};
pub use ethos_u55::{NpuCycles, NpuPlan};
pub use fit::fit_probability;
pub use profile::{
    ArenaRule, Calibration, Coefficient, Contents, Core, Cpu, Fact, KernelSet, Memory, Npu, Port,
    Runtime, Target,
};
pub use term::Term;
pub use work::Work;

/// A cost and its band, in the unit that the field or function names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// The best estimate.
    pub value: f64,
    /// Lower end of the band.
    pub low: f64,
    /// Upper end of the band.
    pub high: f64,
    /// Where the value comes from.
    pub source: CostSource,
}

/// Where a cost comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CostSource {
    /// Computed by a model.
    Estimated,
    /// Seen in an emulator: memory and instruction counts are exact.
    Emulated,
    /// Seen on a board.
    Measured,
}

/// A target that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// No target has this name or alias.
    #[error("there is no target `{name}`{}; known targets are {known}, or give the path of a profile (`./mine.toml`)", hint(.suggestion))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The most similar known name.
        suggestion: Option<String>,
        /// All known aliases and names, separated by commas.
        known: String,
    },
    /// The profile cannot be read.
    #[error("cannot read the profile {file}: {source}")]
    Read {
        /// Path of the profile.
        file: String,
        /// The error of the file system.
        source: std::io::Error,
    },
    /// The profile is not TOML with the expected keys.
    #[error("the profile {file} is not valid: {message}")]
    Syntax {
        /// File name of the profile.
        file: String,
        /// The parser's message, with the nearest allowed key.
        message: String,
    },
    /// The profile has values that make no sense.
    #[error("the profile {file} is not valid: {}", .problems.join("; "))]
    Invalid {
        /// File name of the profile.
        file: String,
        /// One sentence per problem, each with its key.
        problems: Vec<String>,
    },
}

impl Cost {
    /// A number without error.
    pub const fn exact(value: f64, source: CostSource) -> Cost {
        Cost {
            value,
            low: value,
            high: value,
            source,
        }
    }

    /// An estimate that may be wrong by a factor of `1 + error` either way.
    pub fn estimated(value: f64, error: f64) -> Cost {
        Cost {
            value,
            low: value / (1.0 + error),
            high: value * (1.0 + error),
            source: CostSource::Estimated,
        }
    }
}

impl CostSource {
    /// The word in documents: `estimated`, `emulated` or `measured`.
    pub fn name(self) -> &'static str {
        match self {
            CostSource::Estimated => "estimated",
            CostSource::Emulated => "emulated",
            CostSource::Measured => "measured",
        }
    }
}

/// File name and text of a profile of this folder.
macro_rules! profiles {
    ($($name:literal),* $(,)?) => {
        [$((
            concat!($name, ".toml"),
            include_str!(concat!("../../hardware_profiles/", $name, ".toml")),
        )),*]
    };
}

/// File name and text of every profile that comes with the tool.
const PROFILES: [(&str, &str); 21] = profiles![
    "stm32h743-nas",
    "stm32h743-tflm-cmsis-nn",
    "stm32h7a3-xcubeai-7",
    "stm32h747-xcubeai-8",
    "stm32h7a3-xcubeai-9",
    "stm32h747-xcubeai-10",
    "alif-e7-hp-nas",
    "alif-e7-he-nas",
    "alif-e7-hp",
    "alif-e7-he",
    "apollo510",
    "alif-e7-he-u55",
    "alif-e7-he-u55-sram",
    "alif-e7-hp-u55",
    "alif-e7-hp-u55-sram",
    "corstone-300",
    "ra8p1",
    "ethos-u55-32",
    "ethos-u55-64",
    "ethos-u55-128",
    "ethos-u55-256",
];

/// Short names, each with its profile.
pub const ALIASES: [(&str, &str); 8] = [
    ("m7", "stm32h743-nas"),
    ("m55", "alif-e7-hp-nas"),
    ("u55", "alif-e7-he-u55"),
    ("u55-256", "alif-e7-hp-u55"),
    ("m55-he", "alif-e7-he-nas"),
    ("m7-xcubeai", "stm32h7a3-xcubeai-7"),
    ("m55-cmsis-nn", "alif-e7-hp"),
    ("m55-he-cmsis-nn", "alif-e7-he"),
];

/// All targets that come with the tool.
pub fn builtin() -> &'static [Target] {
    static TARGETS: OnceLock<Vec<Target>> = OnceLock::new();
    TARGETS.get_or_init(|| {
        let parse = |(file, text): &(&str, &str)| Target::parse(text, file);
        let targets: Result<Vec<Target>, TargetError> = PROFILES.iter().map(parse).collect();
        targets.expect("a test loads every profile that is shipped")
    })
}

/// The target with a name or alias, or from the path of a profile (anything with a `/`, or ending in `.toml`).
///
/// # Errors
/// [`TargetError`] where there is no such target, or its profile cannot be read or is not valid.
pub fn find(name_or_path: &str) -> Result<Target, TargetError> {
    if name_or_path.contains('/') || name_or_path.ends_with(".toml") {
        let text = std::fs::read_to_string(name_or_path).map_err(|source| TargetError::Read {
            file: name_or_path.to_string(),
            source,
        })?;
        return Target::parse(&text, name_or_path);
    }
    let named = |name: &str| builtin().iter().find(|target| target.name == name);
    if let Some(target) = named(name_or_path) {
        return Ok(target.clone());
    }
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name_or_path);
    if let Some(target) = alias.and_then(|(_, name)| named(name)) {
        return Ok(target.renamed(name_or_path));
    }
    let names = || {
        let aliases = ALIASES.iter().map(|(alias, _)| *alias);
        aliases.chain(builtin().iter().map(|target| target.name.as_str()))
    };
    Err(TargetError::Unknown {
        name: name_or_path.to_string(),
        suggestion: profile::nearest(name_or_path, names()).map(str::to_string),
        known: names().collect::<Vec<_>>().join(", "),
    })
}

fn hint(suggestion: &Option<String>) -> String {
    match suggestion {
        Some(name) => format!(" (did you mean `{name}`?)"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
