//! Everything that a run was begun with, as it is kept in the store: enough to begin it again.

use serde::{Deserialize, Serialize};

use super::{Objective, UnknownObjective};
use crate::{
    audio::{Feature, FeatureSpec},
    data::{SplitBy, SteerBy, UnknownSplit, UnknownSteering},
    hardware::{Budget, Target, TargetError},
    score::{Pooling, ThresholdRule, UnknownPooling, UnknownRule},
    search::{SamplerKind, UnknownSampler},
    space::{SearchSpace, SpaceError, Spaces},
    train::{Backend, UnknownBackend},
    units::Count,
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
    /// Shorter clips are left out.
    #[serde(default)]
    pub min_clip_s: Option<f64>,
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
    /// How decision thresholds are taken, as [`ThresholdRule`] reads it.
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
    /// What nine of ten clips have at least, from the first frame's centre to the last one's; in runs of settings
    /// version 1 a hop more.
    pub shortest_clip_s: f64,
    /// Where the clips are ready log-mel features.
    pub log_mel: Option<LogMelFacts>,
}

impl DataFacts {
    /// What the formula pretends of its data.
    pub const FORMULA: DataFacts = DataFacts {
        classes: 3,
        shortest_clip_s: 10.0,
        log_mel: None,
    };
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
    #[error("the run's settings have version {0}; this program reads versions 1 to {VERSION}")]
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
    #[error(transparent)]
    Split(#[from] UnknownSplit),
    #[error(transparent)]
    Steering(#[from] UnknownSteering),
    #[error(transparent)]
    Backend(#[from] UnknownBackend),
    #[error(transparent)]
    Threshold(#[from] UnknownRule),
    #[error(transparent)]
    Pooling(#[from] UnknownPooling),
}

const VERSION: u32 = 2;
/// Runs of this version searched only windows that fit the clips at the longest hop of their space.
const LONGEST_HOP_VERSION: u32 = 1;

/// The split of runs that were begun before there was a choice.
fn official() -> String {
    SplitBy::Official.to_string()
}

impl Settings {
    /// The version that new runs are stored with.
    pub const VERSION: u32 = VERSION;
    /// Networks that are trained unless the user says otherwise: some minutes on two cores.
    pub const DEFAULT_TRIALS: usize = 72;

    pub fn from_json(text: &str) -> Result<Settings, SettingsError> {
        let settings: Settings = serde_json::from_str(text)?;
        match settings.settings_version {
            LONGEST_HOP_VERSION..=VERSION => Ok(settings),
            other => Err(SettingsError::Version(other)),
        }
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("settings have only plain fields")
    }

    /// The spaces that the data allows: front ends that it can feed, windows that fit its clips.
    pub fn spaces(&self) -> Result<Spaces, SettingsError> {
        let fitted = self.fitted()?.into_iter().filter_map(|(_, fitted)| fitted);
        let spaces = Spaces::new(fitted.collect(), self.facts.classes);
        match spaces.is_empty() {
            true => Err(SettingsError::NoSpace),
            false => Ok(spaces),
        }
    }

    /// What of the spaces is left out because its windows are longer than the clips; `None` where nothing is.
    pub fn left_out(&self) -> Result<Option<String>, SettingsError> {
        let words = |(whole, fitted): (SearchSpace, Option<SearchSpace>)| {
            let (all, left) = (whole.size(), fitted.map_or(0, |fitted| fitted.size()));
            let [kept, of] = [left, all].map(Count::from);
            let words = format!("{} keeps {kept} of {of}", whole.name);
            (left < all && whole.suits(self.facts.classes)).then_some(words)
        };
        let narrowed: Vec<String> = self.fitted()?.into_iter().filter_map(words).collect();
        Ok((!narrowed.is_empty()).then(|| {
            format!(
                "a tenth of the clips is hardly longer than {:.2} s, and longer windows are left out: {}",
                self.facts.shortest_clip_s,
                narrowed.join(", ")
            )
        }))
    }

    /// Each space that the data can feed, whole, and what of it fits the clips.
    fn fitted(&self) -> Result<Vec<(SearchSpace, Option<SearchSpace>)>, SettingsError> {
        let parse = |file: &NamedText| crate::space::parse(&file.name, &file.text);
        let spaces: Vec<SearchSpace> = self.spaces.iter().map(parse).collect::<Result<_, _>>()?;
        let log_mel = self.facts.log_mel.map(|log_mel| FeatureSpec {
            sample_rate_hz: log_mel.sample_rate_hz,
            n_fft: log_mel.n_fft,
            hop_length: log_mel.hop_length,
            n_mels: log_mel.n_mels,
            feature: Feature::LogMel,
        });
        let fed = spaces.into_iter().filter_map(|space| match &log_mel {
            Some(spec) => space.with_fixed_features(spec),
            None => Some(space),
        });
        let fit = |space: SearchSpace| {
            let samples = self.facts.shortest_clip_s * f64::from(space.sample_rate_hz);
            let fitted = match self.settings_version {
                LONGEST_HOP_VERSION => {
                    let frames_at = |hop_length| samples as usize / hop_length;
                    space.clone().with_clip_frames(frames_at)
                }
                _ => space.clone().for_clips(samples.round() as usize),
            };
            (space, fitted)
        };
        Ok(fed.map(fit).collect())
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

    /// What trains and what tests in a set of folds.
    pub fn split_by(&self) -> Result<SplitBy, SettingsError> {
        Ok(self.split.parse()?)
    }

    /// What steers; `None` where the data decides.
    pub fn steering(&self) -> Result<Option<SteerBy>, SettingsError> {
        let steering = self.steer_by.as_deref().map(str::parse);
        Ok(steering.transpose()?)
    }

    /// Where candidates are trained.
    pub fn backend(&self) -> Result<Backend, SettingsError> {
        Ok(self.device.parse()?)
    }

    /// How decision thresholds are taken.
    pub fn threshold_rule(&self) -> Result<ThresholdRule, SettingsError> {
        Ok(self.threshold.parse()?)
    }

    /// How the scores of a clip's windows become its score.
    pub fn pooling(&self) -> Result<Pooling, SettingsError> {
        Ok(self.pool.parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: &str = include_str!("../../search_spaces/ds-cnn.toml");

    /// A search of one space on clips of so many seconds.
    fn settings(shortest_clip_s: f64, text: &str) -> Settings {
        Settings {
            settings_version: VERSION,
            data: "somewhere".to_string(),
            split: official(),
            min_clip_s: None,
            steer_by: None,
            facts: DataFacts {
                classes: 2,
                shortest_clip_s,
                log_mel: None,
            },
            spaces: vec![NamedText {
                name: "ds-cnn".to_string(),
                text: text.to_string(),
            }],
            targets: Vec::new(),
            budget: Budget::default(),
            objectives: Vec::new(),
            sampler: "bayes".to_string(),
            seed: 0,
            epochs: None,
            device: "cpu".to_string(),
            threshold: gamma(),
            pool: mean(),
            trials: 8,
        }
    }

    #[test]
    fn short_clips_narrow_a_space() {
        let check = |settings: Settings, windows: &[(&str, &str)], note: &str| {
            let spaces = settings.spaces().map(|spaces| {
                let mut rng = crate::units::Rng::new(1, 0);
                let mut found = std::collections::BTreeSet::new();
                let mut genome = spaces.random(&mut rng);
                for _ in 0..500 {
                    let other = spaces.crossover(&spaces.random(&mut rng), &genome, &mut rng);
                    genome = spaces.mutate(&other, &mut rng);
                    let named = spaces.explain(&genome);
                    let value = |axis| named.iter().find(|(name, _)| *name == axis).unwrap();
                    let (frames, hop) = (value("frames").1.clone(), value("hop_length").1.clone());
                    found.insert((frames, hop));
                }
                found
            });
            let expected = windows.iter().map(|(f, h)| (f.to_string(), h.to_string()));
            assert_eq!(spaces.unwrap_or_default(), expected.collect());
            let left_out = settings.left_out().unwrap();
            assert_eq!(left_out.unwrap_or_default(), note);
        };
        // 16 frames of hop 512 are 15 hops between the first and the last: 0.48 s.
        let short = "a tenth of the clips is hardly longer than 0.48 s, and longer windows are left out: \
                     ds-cnn keeps";
        let one = format!("{short} 249 k of 1.99 M");
        check(settings(0.48, SPACE), &[("16", "512")], &one);
        let both_hops = [("16", "512"), ("16", "1024"), ("32", "512")];
        let note = one.replace("0.48", "0.99").replace("249 k", "746 k");
        check(settings(0.992, SPACE), &both_hops, &note);
        let none = format!("{short} 0 of 1.99 M").replace("0.48", "0.47");
        check(settings(0.47, SPACE), &[], &none);
        // Runs that were begun by the older rule go on by it.
        let older = Settings {
            settings_version: LONGEST_HOP_VERSION,
            ..settings(1.024, SPACE)
        };
        let windows = [("16", "512"), ("16", "1024")];
        let note = one.replace("0.48", "1.02").replace("249 k", "498 k");
        check(older, &windows, &note);
    }

    #[test]
    fn sizes_count_what_can_be_drawn() {
        let small = SPACE.lines().map(|line| match line.split_once(" = ") {
            Some((name @ ("channels" | "blocks" | "dropout" | "members"), _)) => {
                format!("{name} = [0]")
            }
            _ => line.to_string(),
        });
        let small = small.collect::<Vec<_>>().join("\n");
        let small = small.replace("channels = [0]", "channels = [8]");
        let small = small.replace("blocks = [0]", "blocks = [1]");
        let small = small.replace("members = [0]", "members = [1]");
        let spaces = settings(0.992, &small).spaces().unwrap();
        let mut rng = crate::units::Rng::new(2, 0);
        let drawn: std::collections::BTreeSet<Vec<u8>> = (0..60_000)
            .map(|_| spaces.encode(&spaces.random(&mut rng)))
            .collect();
        assert_eq!(drawn.len() as u128, spaces.size());
    }
}
