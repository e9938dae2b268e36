//! Everything that a run was begun with, as it is kept in the store: enough to begin it again.

use serde::{Deserialize, Serialize};

use super::{Objective, UnknownObjective};
use crate::{
    audio::{Feature, FeatureSpec},
    score::{Pooling, ThresholdRule},
    search::{SamplerKind, UnknownSampler},
    space::{SearchSpace, SpaceError, Spaces},
    target::{Budget, Target, TargetError},
};

/// What a run was begun with. Spaces and targets are kept as texts, since files change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub settings_version: u32,
    /// `synthetic:fan` or an absolute path.
    pub data: String,
    /// How clips in folds are split, as [`crate::data::SplitBy`] reads it.
    #[serde(default = "official")]
    pub split: String,
    /// `labels`, `proxy`, or absent where the data decides.
    #[serde(default)]
    pub steer_by: Option<String>,
    pub facts: DataFacts,
    pub spaces: Vec<NamedText>,
    pub targets: Vec<NamedText>,
    pub budget: Budget,
    pub objectives: Vec<String>,
    pub sampler: String,
    pub seed: u64,
    pub epochs: Option<usize>,
    /// Where candidates are trained: `cpu`, `cpu-bf16`, `wgpu` or `cuda`.
    pub device: String,
    /// How decision thresholds are taken: `gamma` or `quantile`.
    #[serde(default = "gamma")]
    pub threshold: String,
    /// How the scores of a clip's windows become its score, as [`crate::score::Pooling`] reads it.
    #[serde(default = "mean")]
    pub pool: String,
    /// Trials to train in all; resuming may raise it.
    pub trials: usize,
}

/// Runs that name no pooling were begun before there was another.
fn mean() -> String {
    Pooling::Mean.to_string()
}

/// Runs that name no rule were begun before there was another.
fn gamma() -> String {
    ThresholdRule::Gamma.name().to_string()
}

/// What of the data set decides which spaces suit it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFacts {
    /// Sections that a classifier can tell apart.
    pub classes: usize,
    pub shortest_clip_s: f64,
    /// Where the clips are ready log-mel features.
    pub log_mel: Option<LogMelFacts>,
}

/// The one front end of ready log-mel features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogMelFacts {
    pub sample_rate_hz: u32,
    pub n_fft: usize,
    pub hop_length: usize,
    pub n_mels: usize,
}

/// A TOML file by its name and text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedText {
    pub name: String,
    pub text: String,
}

/// Settings that this program cannot use.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("the run's settings cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the run's settings have version {0}; this program reads version {VERSION}")]
    Version(u32),
    #[error(
        "none of the search spaces suits this data: classifiers need two sections, \
         ready features need a space of log-mel, and windows must fit the clips"
    )]
    NoSpace,
    #[error(transparent)]
    Space(#[from] SpaceError),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Objective(#[from] UnknownObjective),
    #[error(transparent)]
    Sampler(#[from] UnknownSampler),
}

const VERSION: u32 = 1;

/// The split of runs that were begun before there was a choice.
fn official() -> String {
    crate::data::SplitBy::Official.to_string()
}

impl Settings {
    pub const VERSION: u32 = VERSION;

    pub fn from_json(text: &str) -> Result<Settings, SettingsError> {
        let settings: Settings = serde_json::from_str(text)?;
        match settings.settings_version {
            VERSION => Ok(settings),
            other => Err(SettingsError::Version(other)),
        }
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("settings have only plain fields")
    }

    /// The spaces that the data allows: front ends that it can feed, windows that fit its clips.
    pub fn spaces(&self) -> Result<Spaces, SettingsError> {
        let parse = |file: &NamedText| crate::space::parse(&file.name, &file.text);
        let spaces: Vec<SearchSpace> = self.spaces.iter().map(parse).collect::<Result<_, _>>()?;
        let facts = &self.facts;
        let log_mel = facts.log_mel.map(|log_mel| FeatureSpec {
            sample_rate_hz: log_mel.sample_rate_hz,
            n_fft: log_mel.n_fft,
            hop_length: log_mel.hop_length,
            n_mels: log_mel.n_mels,
            feature: Feature::LogMel,
        });
        let suited = spaces
            .into_iter()
            .filter_map(|space| match &log_mel {
                Some(spec) => space.with_fixed_features(spec),
                None => Some(space),
            })
            .filter_map(|space| {
                let samples = facts.shortest_clip_s * f64::from(space.sample_rate_hz);
                space.with_clip_frames(|hop_length| samples as usize / hop_length)
            });
        let spaces = Spaces::new(suited.collect(), facts.classes);
        match spaces.is_empty() {
            true => Err(SettingsError::NoSpace),
            false => Ok(spaces),
        }
    }

    pub fn targets(&self) -> Result<Vec<Target>, SettingsError> {
        let parse = |file: &NamedText| Target::parse(&file.text, &file.name);
        Ok(self.targets.iter().map(parse).collect::<Result<_, _>>()?)
    }

    pub fn objectives(&self) -> Result<Vec<Objective>, SettingsError> {
        Ok(self
            .objectives
            .iter()
            .map(|name| name.parse())
            .collect::<Result<_, _>>()?)
    }

    pub fn sampler(&self) -> Result<SamplerKind, SettingsError> {
        Ok(self.sampler.parse()?)
    }
}
