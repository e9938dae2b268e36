//! The settings of a run as the store keeps them: enough to begin it again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{EarlierResults, Further, Objective, PLAN_VERSION, UnknownObjective};
use crate::{
    audio::{Feature, FeatureSpec},
    data::{SplitBy, SteerBy, UnknownSplit, UnknownSteering},
    disturb::{self, Kind, UnknownSound},
    hardware::{Budget, Target, TargetError},
    score::{ClipRule, ThresholdRule, UnknownClipRule, UnknownRule},
    search::{SamplerKind, UnknownSampler},
    space::{SearchSpace, SpaceError, Spaces},
    train::{Backend, UnknownBackend},
    units::Count,
};

/// The settings of a run. Spaces and targets are stored as texts, because files change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Version of this layout, 1 or 2.
    pub settings_version: u32,
    /// Version of the rules by which the run plans its trials.
    #[serde(default = "first_plan")]
    pub plan_version: u32,
    /// `synthetic:fan`, or an absolute path.
    pub data: String,
    /// The split into training and test clips, as [`crate::data::SplitBy`] reads it.
    #[serde(default = "official")]
    pub split: String,
    /// Shorter clips are dropped; in seconds.
    #[serde(default)]
    pub min_clip_s: Option<f64>,
    /// `labels` or `proxy`; absent where the data decides.
    #[serde(default)]
    pub steer_by: Option<String>,
    /// Kinds of disturbances or faults that the user listens for, where no label steers; empty for all kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listen_for: Vec<String>,
    /// Whether the run may begin although a tenth of the labelled clips cannot be used.
    #[serde(default)]
    pub allow_skipped: bool,
    /// What steered: `labels`, or `disturbed` sound (`stand-ins` in older runs); absent where a formula did, and in older runs.
    #[serde(default)]
    pub steered: Option<String>,
    /// What the best constant answer gets on the clips that steer, by the name of each measure of decisions.
    #[serde(default)]
    pub constant: BTreeMap<String, f64>,
    /// What a user should know about the data, a sentence each; reports repeat it.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The facts about the data that decide which spaces suit it.
    pub facts: DataFacts,
    /// The search spaces.
    pub spaces: Vec<NamedText>,
    /// The targets' profiles; the sampler sees only the first.
    pub targets: Vec<NamedText>,
    /// Limits of a candidate's costs.
    pub budget: Budget,
    /// Names of the objectives, as [`Objective`] reads them.
    pub objectives: Vec<String>,
    /// Name of the sampler.
    pub sampler: String,
    /// What other searches found, from which this one starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warm_start: Vec<EarlierResults>,
    /// Decides every proposal and every training.
    pub seed: u64,
    /// Epochs of every training; absent where each space decides.
    pub epochs: Option<usize>,
    /// The device of trainings: `cpu`, `cpu-bf16`, `wgpu` or `cuda`.
    pub device: String,
    /// The rule for decision thresholds, as [`ThresholdRule`] reads it.
    #[serde(default = "gamma")]
    pub threshold: String,
    /// How the scores of a clip's windows become its score, as [`ClipRule`] reads it; absent where spaces say.
    #[serde(default = "mean", rename = "pool")]
    pub clip_score: Option<String>,
    /// Trainings in all, further ones of the best included; resuming may raise it.
    pub trials: usize,
    /// Further trainings, with other seeds, of each network on the front or near it; none in runs that do not say.
    #[serde(default)]
    pub repeats: u64,
}

/// Runs that say nothing of it were begun before there was another.
fn first_plan() -> u32 {
    1
}

/// Runs that say nothing of it were begun before there was another.
fn mean() -> Option<String> {
    Some(ClipRule::Mean.to_string())
}

/// Runs without a rule were begun when there was only this one.
fn gamma() -> String {
    ThresholdRule::Gamma.name().to_string()
}

/// The facts about a data set that decide which spaces suit it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFacts {
    /// Number of sections that a classifier can tell apart.
    pub classes: usize,
    /// Nine of ten clips are at least this long in seconds, from the centre of the first frame to that of the last.
    /// In settings of version 1 it is a hop longer.
    pub shortest_clip_s: f64,
    /// Whether classes are told apart, which only classifiers do.
    #[serde(default)]
    pub tells_classes: bool,
    /// The front end of ready log-mel features; absent where the clips are sounds.
    pub log_mel: Option<LogMelFacts>,
}

impl DataFacts {
    /// The facts that the formula pretends.
    pub const FORMULA: DataFacts = DataFacts {
        classes: 3,
        shortest_clip_s: 10.0,
        tells_classes: false,
        log_mel: None,
    };
}

/// The front end of ready log-mel features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogMelFacts {
    /// Sample rate in hertz.
    pub sample_rate_hz: u32,
    /// Samples of a Fourier transform.
    pub n_fft: usize,
    /// Samples between two frames.
    pub hop_length: usize,
    /// Number of mel bands.
    pub n_mels: usize,
}

/// A TOML file by its name and text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedText {
    /// The name, for messages.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// Settings that this program cannot use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The text is not JSON with the expected keys.
    #[error("the run's settings cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// The layout has a version that this program does not know.
    #[error("the run's settings have version {0}; this program reads versions 1 to {VERSION}")]
    Version(u32),
    /// No space suits the data.
    #[error(
        "none of the search spaces suits this data: classifiers need two sections, \
         ready features need a space of log-mel, and windows must fit the clips"
    )]
    NoSpace,
    /// A stored space is not valid.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// A stored target is not valid.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A word names neither a kind of disturbance nor a fault.
    #[error(transparent)]
    Sound(#[from] UnknownSound),
    /// An objective has an unknown name.
    #[error(transparent)]
    Objective(#[from] UnknownObjective),
    /// The sampler has an unknown name.
    #[error(transparent)]
    Sampler(#[from] UnknownSampler),
    /// The split has an unknown name.
    #[error(transparent)]
    Split(#[from] UnknownSplit),
    /// The steering has an unknown name.
    #[error(transparent)]
    Steering(#[from] UnknownSteering),
    /// The device is unknown, or this machine does not have it.
    #[error(transparent)]
    Backend(#[from] UnknownBackend),
    /// The threshold rule has an unknown name.
    #[error(transparent)]
    Threshold(#[from] UnknownRule),
    /// The pooling has an unknown name.
    #[error(transparent)]
    ClipScore(#[from] UnknownClipRule),
}

const VERSION: u32 = 2;
/// Runs of this version searched only windows that fit the clips at the longest hop of their space.
const LONGEST_HOP_VERSION: u32 = 1;

/// Runs without a split were begun when there was only this one.
fn official() -> String {
    SplitBy::Official.to_string()
}

impl Settings {
    /// Trainings unless the user chooses otherwise: some minutes on two cores.
    pub const DEFAULT_TRIALS: usize = 72;
    /// Further trainings of each network on the front unless the user chooses otherwise.
    pub const DEFAULT_REPEATS: u64 = 3;
    /// A search with fewer trainings has no front worth to be trained again.
    const LEAST_TO_REPEAT: usize = 24;

    /// A search with the defaults of `nas search`: no budget, its sampler, seed 0.
    pub fn new(data: &str, spaces: &[SearchSpace], targets: &[Target]) -> Settings {
        let named = |name: &str, text: &str| NamedText {
            name: name.to_string(),
            text: text.to_string(),
        };
        Settings {
            settings_version: VERSION,
            plan_version: PLAN_VERSION,
            data: data.to_string(),
            split: official(),
            min_clip_s: None,
            steer_by: None,
            listen_for: Vec::new(),
            allow_skipped: false,
            steered: None,
            constant: BTreeMap::new(),
            notes: Vec::new(),
            facts: DataFacts::FORMULA,
            spaces: spaces
                .iter()
                .map(|space| named(&space.name, &space.text))
                .collect(),
            targets: targets
                .iter()
                .map(|target| named(&target.name, &target.text))
                .collect(),
            budget: Budget::default(),
            objectives: Objective::names(Objective::DEFAULT),
            sampler: SamplerKind::Bayes.name().to_string(),
            warm_start: Vec::new(),
            seed: 0,
            epochs: None,
            device: Backend::usual().name().to_string(),
            threshold: ThresholdRule::default().name().to_string(),
            clip_score: None,
            trials: Settings::DEFAULT_TRIALS,
            repeats: Settings::DEFAULT_REPEATS,
        }
    }

    /// The trainings, at most, that go to the best networks for a second time and more: a third of all.
    ///
    /// Of 72 networks the last third widened the front by little, and a front of single trainings is off by more
    /// (docs/search.md).
    pub fn further_trainings(&self) -> Further {
        let is_repeated = self.repeats > 0 && self.trials >= Settings::LEAST_TO_REPEAT;
        let most = if is_repeated { self.trials / 3 } else { 0 };
        let each = self.repeats;
        Further { most, each }
    }

    /// Reads the settings of a stored run. Data that is merely called `synthetic` is the valve, which was the default machine then.
    ///
    /// # Errors
    /// [`SettingsError::Json`] and [`SettingsError::Version`].
    pub fn from_json(text: &str) -> Result<Settings, SettingsError> {
        let mut settings: Settings = serde_json::from_str(text)?;
        // New runs name the machine.
        if settings.data == "synthetic" {
            settings.data = "synthetic:valve".to_string();
        }
        match settings.settings_version {
            LONGEST_HOP_VERSION..=VERSION => Ok(settings),
            other => Err(SettingsError::Version(other)),
        }
    }

    /// The settings as JSON for the store.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("settings have only plain fields")
    }

    /// The spaces that suit the data: their front ends can use it, and their windows fit its clips.
    ///
    /// # Errors
    /// [`SettingsError::NoSpace`], or a stored space is not valid.
    pub fn spaces(&self) -> Result<Spaces, SettingsError> {
        let fitted = self.fitted()?.into_iter().filter_map(|(_, fitted)| fitted);
        let spaces = Spaces::new(fitted.collect(), self.facts.classes);
        match spaces.is_empty() {
            true => Err(SettingsError::NoSpace),
            false => Ok(spaces),
        }
    }

    /// A sentence about the parts of spaces whose windows are longer than the clips; `None` where there are none.
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
                "a tenth of the clips last at most about {:.2} s, so longer windows are left out: {}",
                self.facts.shortest_clip_s,
                narrowed.join(", ")
            )
        }))
    }

    /// Each space whose front end can use the data, and the part of it that fits the clips.
    fn fitted(&self) -> Result<Vec<(SearchSpace, Option<SearchSpace>)>, SettingsError> {
        let parse = |file: &NamedText| crate::space::parse(&file.name, &file.text);
        let spaces: Vec<SearchSpace> = self.spaces.iter().map(parse).collect::<Result<_, _>>()?;
        let suits = |space: &SearchSpace| space.family.needs_classes() || !self.facts.tells_classes;
        let spaces = spaces.into_iter().filter(suits);
        let log_mel = self.facts.log_mel.map(|log_mel| FeatureSpec {
            sample_rate_hz: log_mel.sample_rate_hz,
            n_fft: log_mel.n_fft,
            hop_length: log_mel.hop_length,
            n_mels: log_mel.n_mels,
            feature: Feature::LogMel,
        });
        let fed = spaces.filter_map(|space| match &log_mel {
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

    /// The targets, in the order of the settings.
    pub fn targets(&self) -> Result<Vec<Target>, SettingsError> {
        let parse = |file: &NamedText| Target::parse(&file.text, &file.name);
        Ok(self.targets.iter().map(parse).collect::<Result<_, _>>()?)
    }

    /// The kinds of disturbances that steer where no label does.
    ///
    /// # Errors
    /// [`SettingsError`] where a word names neither a kind nor a fault.
    pub fn kinds(&self) -> Result<Vec<Kind>, SettingsError> {
        if self.listen_for.is_empty() {
            return Ok(Kind::ALL.to_vec());
        }
        Ok(disturb::listened_for(
            self.listen_for.iter().map(String::as_str),
        )?)
    }

    /// The objectives, in the order of the settings.
    pub fn objectives(&self) -> Result<Vec<Objective>, SettingsError> {
        Ok(self
            .objectives
            .iter()
            .map(|name| name.parse())
            .collect::<Result<_, _>>()?)
    }

    /// The sampler.
    pub fn sampler(&self) -> Result<SamplerKind, SettingsError> {
        Ok(self.sampler.parse()?)
    }

    /// The split into training and test clips.
    pub fn split_by(&self) -> Result<SplitBy, SettingsError> {
        Ok(self.split.parse()?)
    }

    /// The clips that steer the search; `None` where the data decides.
    pub fn steering(&self) -> Result<Option<SteerBy>, SettingsError> {
        let steering = self.steer_by.as_deref().map(str::parse);
        Ok(steering.transpose()?)
    }

    /// The device of trainings.
    pub fn backend(&self) -> Result<Backend, SettingsError> {
        Ok(self.device.parse()?)
    }

    /// The rule for decision thresholds.
    pub fn threshold_rule(&self) -> Result<ThresholdRule, SettingsError> {
        Ok(self.threshold.parse()?)
    }

    /// How the scores of a clip's windows become its score; `None` where spaces say.
    pub fn clip_rule(&self) -> Result<Option<ClipRule>, SettingsError> {
        Ok(self.clip_score.as_deref().map(str::parse).transpose()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: &str = include_str!("../../search_spaces/ds-cnn.toml");

    /// A search of one space on clips of this many seconds.
    fn settings(shortest_clip_s: f64, text: &str) -> Settings {
        Settings {
            plan_version: 1,
            facts: DataFacts {
                classes: 2,
                shortest_clip_s,
                tells_classes: false,
                log_mel: None,
            },
            spaces: vec![NamedText {
                name: "ds-cnn".to_string(),
                text: text.to_string(),
            }],
            threshold: gamma(),
            clip_score: mean(),
            trials: 8,
            ..Settings::new("somewhere", &[], &[])
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
        // 16 frames of hop 512 have 15 hops between the first and the last: 0.48 s.
        let short = "a tenth of the clips last at most about 0.48 s, so longer windows are left out: \
                     ds-cnn keeps";
        let one = format!("{short} 249 k of 1.99 M");
        check(settings(0.48, SPACE), &[("16", "512")], &one);
        let both_hops = [("16", "512"), ("16", "1024"), ("32", "512")];
        let note = one.replace("0.48", "0.99").replace("249 k", "746 k");
        check(settings(0.992, SPACE), &both_hops, &note);
        let none = format!("{short} 0 of 1.99 M").replace("0.48", "0.47");
        check(settings(0.47, SPACE), &[], &none);
        // Runs that were begun by the older rule keep it.
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
