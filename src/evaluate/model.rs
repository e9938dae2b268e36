//! A finished detector that scores clips: front end, standardisation, int8 network and decision.

use std::{fs, path::Path};

use nas_kernels::{
    alarm::AlarmRule,
    blob::{self, Decision, FrontEndRecord, Threshold},
    front_end::{self, Quantizer},
    score::{CENTRE_STEPS, Centres, window_score},
};
use serde::{Deserialize, Serialize};

use super::{AlarmCard, DecisionCard};
use crate::{
    audio::{AudioError, Companding, Feature, FeatureSpec, FrontEnd, Recipe, Statistics},
    data::Clip,
    disk,
    features::Matrix,
    fit::Point,
    graph::{Weights, WeightsError},
    quant::{
        BlobError, Hearing, Interpreter, QuantParams, QuantizedModel, ReadError, append_front_end,
    },
    score::{
        ClipRule, FalseAlarms, Profile, ThresholdRule, UnknownClipRule, UnknownRule, clip_score,
    },
    space::Task,
};

/// What a detector needs beside its network; written as `model.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// [`FORMAT_VERSION`] of the program that wrote the card.
    pub format_version: u32,
    /// `reconstruct`, `classify` or `distance`.
    pub task: String,
    /// Sample rate of the sound, in hertz.
    pub sample_rate_hz: u32,
    /// Length of a frame in samples.
    pub n_fft: usize,
    /// Samples from one frame to the next.
    pub hop_length: usize,
    /// Number of mel bands.
    pub n_mels: usize,
    /// Number of MFCC coefficients; absent for log-mel.
    pub n_mfcc: Option<usize>,
    /// Every further choice of the front end; absent in cards of older programs, which made the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Recipe>,
    /// Step and zero point of the network's int8 input; absent in cards of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Steps>,
    /// Step and zero point of the network's int8 output; absent in cards of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Steps>,
    /// Feature frames in one window.
    pub frames: usize,
    /// Frames from one window to the next.
    pub frame_stride: usize,
    /// The statistics of a window's frames that the network sees; absent where it sees the frames.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<StatisticsCard>,
    /// Deviations from the mean beyond which a standardised feature counts a quarter; absent where all count alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub companding: Option<u8>,
    /// What the int8 network was scored on: `samples` (the device's code made features of them) or `log-mel` (the data
    /// set came with features).
    pub scored_on: String,
    /// Mean of each band, or of each statistic, over the training clips, dB. The int8 input is `(feature - mean) / std`, quantised.
    pub mean: Vec<f32>,
    /// Standard deviation of each band over the training clips, dB.
    pub std: Vec<f32>,
    /// The classes of a classifier in the order of its outputs, or the sections that a distance knows; empty for
    /// autoencoders.
    pub classes: Vec<Class>,
    /// Whether it answers which class a clip is of, instead of how anomalous it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tells_classes: bool,
    /// A clip with a higher int8 score is called anomalous; absent where there is no threshold.
    pub threshold: Option<f64>,
    /// `gamma`, `quantile` or `even-odds`; absent without a threshold.
    pub threshold_rule: Option<String>,
    /// 90th percentile of the gamma distribution that fits the int8 scores of held-out normal training clips.
    pub threshold_gamma: Option<f64>,
    /// 90th percentile of those scores.
    pub threshold_quantile: Option<f64>,
    /// How often normal clips that the detector was not made from score above the threshold; absent without such clips.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_alarms: Option<FalseAlarms>,
    /// Number of windows that a device's score covers: those of a usual clip.
    pub score_windows: u32,
    /// How the scores of a clip's windows become its score, as [`ClipRule`] reads it; absent for the mean.
    #[serde(default, alias = "pooling", skip_serializing_if = "Option::is_none")]
    pub clip_score: Option<String>,
    /// When a device raises an alarm; absent in cards of older programs, for which every score above the threshold is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<AlarmCard>,
    /// How the int8 network differs from the float network; absent in cards of older pipelines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub int8: Option<Int8>,
    /// What it hears of disturbed sound; absent where labels steered, and in cards of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hears: Option<Profile>,
    /// Whether it was trained on sound of the built-in generator.
    pub synthetic: bool,
    /// The points from which the score is a distance; absent for other scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<Distance>,
}

/// The steps of an int8 tensor: a real value is `scale * (q - zero_point)`, and `q` is rounded to the nearest, -128 to 127.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steps {
    /// Real step between two neighbouring values.
    pub scale: f32,
    /// The stored value that stands for zero.
    pub zero_point: i32,
}

impl From<QuantParams> for Steps {
    fn from(params: QuantParams) -> Steps {
        Steps {
            scale: params.scale,
            zero_point: params.zero_point,
        }
    }
}

/// Pooled statistics, one row of `groups` numbers per kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatisticsCard {
    /// Number of groups of neighbouring bands, each averaged in dB.
    pub groups: usize,
    /// The sum of what is computed, in this order: 1 mean, 2 deviation, 4 maximum, 8 ranking-weighted mean, 16 mean
    /// difference.
    pub kinds: u32,
    /// Weight of a rank relative to the next louder one, in 2^-15.
    pub ranking: u32,
}

/// The points from which a distance is measured; the nearest point of the section counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distance {
    /// Length of a point.
    pub dimensions: usize,
    /// The points near which normal sound lies.
    pub points: Vec<DistancePoint>,
}

/// A point near which sound is normal. Its distance is the mean squared difference from the output times its weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistancePoint {
    /// The section for which it is normal: an index of the card's classes.
    pub class: u32,
    /// Index of the part of the output that lies near it; a part has the length of a point.
    pub block: u32,
    /// Factor of mean squared differences from it.
    pub weight: f32,
    /// Coordinates in 64ths of a step of the output, from its zero point.
    pub coordinates: Vec<i16>,
}

/// What a stored network computes; this decides how it scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// It gives back its input.
    Reconstruct,
    /// It gives a number for each class.
    Classify {
        /// Number of classes.
        classes: usize,
    },
    /// It whitens its input.
    Distance,
}

/// How an int8 network was made of a float network, and what that cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Int8 {
    /// Version of the pipeline that quantised it.
    pub pipeline: u32,
    /// Factor by which the input's range reaches further than normal training sound.
    pub input_headroom: f32,
    /// The same factor for all tensors behind the input.
    pub other_headroom: f32,
    /// Share of the values of normal sound that the ranges leave out at either end, before the factors.
    pub tail: f64,
    /// Share of what float scores tell apart that int8 scores tell apart, 0 to 1, on sound outside of training and
    /// test. Absent where nothing could judge; the headroom is then the usual one.
    pub kept: Option<f64>,
    /// AUC of the float network less the AUC of the int8 network, on the clips that steer; absent where no label steers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auc_lost: Option<f64>,
    /// Standard error of that difference; absent where a section lacks clips of one kind.
    pub auc_lost_error: Option<f64>,
    /// The same difference of sensitivities; absent where labels steer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitivity_lost: Option<f64>,
    /// Share of input values that the ends of int8 cut off, over all normal test clips, 0 to 1.
    pub clipped_normal: Option<f64>,
    /// The same share over all anomalous test clips.
    pub clipped_anomaly: Option<f64>,
}

impl Int8 {
    /// A smaller loss of AUC does not matter.
    const LEAST_LOSS: f64 = 0.005;
    /// Where int8 scores keep less than this share, eight bits are few.
    const LEAST_KEPT: f64 = 0.9;

    /// What int8 costs of AUC, or of sensitivity where no label steers.
    pub fn lost(&self) -> f64 {
        let lost = self.auc_lost.or(self.sensitivity_lost);
        lost.unwrap_or(f64::NAN)
    }

    /// What [`Int8::lost`] is about.
    pub fn lost_of(&self) -> &'static str {
        match self.sensitivity_lost {
            Some(_) => "sensitivity",
            None => "AUC",
        }
    }

    /// Whether int8 costs more AUC than chance explains: more than two standard errors.
    pub fn is_costly(&self) -> bool {
        let noise = self
            .auc_lost_error
            .map_or(f64::INFINITY, |error| 2.0 * error);
        self.lost() > noise.max(Self::LEAST_LOSS)
    }

    /// Whether int8 scores follow float scores badly on disturbed sound.
    pub fn is_coarse(&self) -> bool {
        self.kept.is_some_and(|kept| kept < Self::LEAST_KEPT)
    }
}

/// The class that a clip sounds like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// Index into the card's classes.
    pub class: usize,
    /// How much better it fits than the next class: the difference of their log-odds, not negative.
    pub margin: f64,
}

impl Answer {
    /// The answer by a score against every class, of which the lowest fits best; `None` without classes, or where a score
    /// is not a number.
    pub fn of(scores: &[f64]) -> Option<Answer> {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        let first = *order.first()?;
        let next = order.get(1).map_or(f64::INFINITY, |idx| scores[*idx]);
        let are_numbers = !scores.iter().any(|score| score.is_nan());
        are_numbers.then_some(Answer {
            class: first,
            margin: next - scores[first],
        })
    }
}

/// One class of a classifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// Name of the machine, or `anomaly` and `normal` where labels are learnt.
    pub machine: String,
    /// Name of the section; may be empty.
    pub section: String,
}

/// A detector as it is stored and exported.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Everything that a detector needs beside its network.
    pub card: ModelCard,
    /// Full-integer int8 TFLite.
    pub tflite: Vec<u8>,
    /// The same network for `nas-kernels`.
    pub blob: Vec<u8>,
    /// The float network from which it was made; `None` where that was not kept.
    pub weights: Option<Weights>,
}

/// A stored model that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file of the model could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file of the model could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The folder of the model.
        path: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The files are those of another model than the store recorded.
    #[error(
        "{path} holds another model than the one whose scores are stored: files were replaced; the search, resumed \
         or begun anew, trains it again"
    )]
    Other {
        /// The folder.
        path: String,
    },
    /// `model.json` is not JSON, or a key is missing, unknown or of the wrong type.
    #[error("{path} is not a model card: {source}")]
    Card {
        /// The file.
        path: String,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// The card was written in another format version.
    #[error("{path} has format version {found}; this program reads version {FORMAT_VERSION}")]
    Version {
        /// The file.
        path: String,
        /// The version that the card names.
        found: u32,
    },
    /// The network is damaged, or does not suit its card.
    #[error("{path}: {fault}")]
    Network {
        /// The file of the card.
        path: String,
        /// What is wrong.
        fault: ModelFault,
    },
}

/// Why a card and a network make no detector.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelFault {
    /// The front end cannot be computed.
    #[error(transparent)]
    FrontEnd(#[from] AudioError),
    /// The statistics stage does not suit the front end.
    #[error("{0}")]
    Statistics(&'static str),
    /// The network, or the points of a distance, cannot be read or run.
    #[error(transparent)]
    Network(#[from] BlobError),
    /// The network's file is not full-integer int8 TFLite with known operators.
    #[error(transparent)]
    Tflite(#[from] ReadError),
    /// The float network that lies beside it is damaged.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// No program version knows this name of a clip's score.
    #[error(transparent)]
    ClipScore(#[from] UnknownClipRule),
    /// No program version knows this name of a threshold's rule.
    #[error(transparent)]
    ThresholdRule(#[from] UnknownRule),
    /// The rule for alarms cannot be followed; holds the problem.
    #[error("the rule for alarms is wrong: {0}")]
    Alarm(&'static str),
    /// The card standardises another number of features than its front end makes.
    #[error("the card's mean and std must have {features} values")]
    Standardisation {
        /// Number of features per frame.
        features: usize,
    },
    /// Inputs or outputs of the network differ from what the card says.
    #[error("the network does not have the shape that the card says")]
    Shape,
    /// The blob decides by another rule than the card, since an older program made it.
    #[error(
        "its score is the {0} of its windows, and the program that made it did not know that rule; \
         `nas requantise` makes its int8 model anew"
    )]
    OlderRule(ClipRule),
}

/// Version of the card; raised when an older program could not read it.
pub const FORMAT_VERSION: u32 = 2;
/// Name of the file with a model's float weights, see [`Weights::to_bytes`].
const WEIGHTS_FILE: &str = "weights.f32";

fn hash_of(parts: [&[u8]; 3]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().to_hex().to_string()
}

fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    fs::read(path).map_err(|source| ModelError::Read {
        path: path.display().to_string(),
        source,
    })
}

impl ModelCard {
    /// Reads a `model.json`.
    fn read(path: &Path) -> Result<ModelCard, ModelError> {
        let bytes = read(path)?;
        let path = path.display().to_string();
        let card: ModelCard = match serde_json::from_slice(&bytes) {
            Ok(card) => card,
            Err(source) => return Err(ModelError::Card { path, source }),
        };
        match card.format_version {
            FORMAT_VERSION => Ok(card),
            found => Err(ModelError::Version { path, found }),
        }
    }

    /// How sound becomes the windows that the network sees.
    pub fn front_end(&self) -> FrontEnd {
        let feature = match self.n_mfcc {
            Some(coefficients) => Feature::Mfcc { coefficients },
            None => Feature::LogMel,
        };
        FrontEnd {
            spec: FeatureSpec {
                sample_rate_hz: self.sample_rate_hz,
                n_fft: self.n_fft,
                hop_length: self.hop_length,
                n_mels: self.n_mels,
                feature,
            },
            frames: self.frames,
            frame_stride: self.frame_stride,
            statistics: self.statistics.map(|card| Statistics {
                groups: card.groups,
                kinds: card.kinds,
                ranking: card.ranking,
            }),
            companding: self.companding.and_then(Companding::beyond),
        }
    }

    /// What the network computes.
    pub fn aim(&self) -> Aim {
        match (&self.distance, self.classes.len()) {
            (Some(_), _) => Aim::Distance,
            (None, 0) => Aim::Reconstruct,
            (None, classes) => Aim::Classify { classes },
        }
    }

    /// The section of the blob with the points from which distances are measured.
    fn centres(&self) -> Option<Vec<u8>> {
        let Distance { dimensions, points } = self.distance.as_ref()?;
        let mut section = Vec::new();
        section.extend((*dimensions as u32).to_le_bytes());
        section.extend((points.len() as u32).to_le_bytes());
        for point in points {
            let centre = blob::Centre {
                class: point.class,
                block: point.block,
                weight: point.weight,
                offset: 0.0,
            };
            section.extend(centre.to_bytes());
        }
        let coordinates = points.iter().flat_map(|point| &point.coordinates);
        section.extend(coordinates.flat_map(|value| value.to_le_bytes()));
        Some(section)
    }

    /// Whether one window is a usual clip.
    pub fn hears_whole_clips(&self) -> bool {
        self.score_windows <= 1
    }

    /// Zeros that a clip by itself needs after it, in samples: without them a window that is the whole clip lacks its last frames.
    pub fn silence_after(&self) -> usize {
        match self.hears_whole_clips() {
            true => self.front_end().spec.n_fft / 2,
            false => 0,
        }
    }

    /// How the scores of a clip's windows become its score; the mean where the card names no known rule.
    pub fn clip_rule(&self) -> ClipRule {
        let named = self
            .clip_score
            .as_deref()
            .and_then(|name| name.parse().ok());
        named.unwrap_or(ClipRule::Mean)
    }

    /// Gain and offset per band. They take a feature in dB to the network's int8 input: standardisation and scale.
    fn gains(&self, input: QuantParams) -> (Vec<f32>, Vec<f32>) {
        let gain = |std: &f32| 1.0 / (f64::from(*std) * f64::from(input.scale));
        let offset =
            |(mean, std): (&f32, &f32)| f64::from(input.zero_point) - f64::from(*mean) * gain(std);
        (
            self.std.iter().map(|std| gain(std) as f32).collect(),
            self.mean
                .iter()
                .zip(&self.std)
                .map(|pair| offset(pair) as f32)
                .collect(),
        )
    }

    /// The companding in steps of the network's int8 input.
    fn companding_on_device(&self, input: QuantParams) -> Option<front_end::Companding> {
        let companding = self.front_end().companding?;
        Some(companding.on_device(input.scale, input.zero_point))
    }

    fn decision(&self) -> Decision {
        let task = match self.aim() {
            Aim::Reconstruct => blob::Task::Reconstruct,
            Aim::Classify { .. } => blob::Task::Classify,
            Aim::Distance => blob::Task::Distance,
        };
        let rule = self.threshold_rule.as_deref();
        let rule = rule.and_then(|name| name.parse::<ThresholdRule>().ok());
        Decision {
            task,
            windows: self.score_windows.max(1),
            rule: self.clip_rule(),
            threshold: match self.threshold.map(|threshold| threshold as f32) {
                Some(threshold) if !threshold.is_finite() => Threshold::None,
                Some(_) if rule == Some(ThresholdRule::EvenOdds) => Threshold::EvenOdds,
                Some(threshold) if rule == Some(ThresholdRule::Gamma) => {
                    Threshold::Gamma(threshold)
                }
                Some(threshold) => Threshold::Quantile(threshold),
                None => Threshold::None,
            },
            alarm: self.alarm_rule(),
        }
    }

    /// Samples from a start to the first verdict of a device, at the model's rate.
    pub fn verdict_samples(&self) -> usize {
        let front_end = self.front_end();
        let spec = front_end.spec.on_device();
        let settling = front_end.statistics.map_or(0, |_| spec.settling_frames());
        let rule = self.alarm_rule();
        let further = (rule.ready.max(1) - 1) as usize * front_end.frame_stride;
        let frames = settling + rule.settle as usize + front_end.frames + further;
        // Frames are centred: the first is complete after half of one.
        spec.n_fft / 2 + frames.saturating_sub(1) * spec.hop_length
    }

    /// When a device raises an alarm.
    pub fn alarm_rule(&self) -> AlarmRule {
        self.alarm
            .map_or(AlarmRule::IMMEDIATE, |alarm| alarm.rule())
    }

    /// The class that a clip claims; the last one where it claims none, as in the DCASE baseline. A classifier of
    /// labels has the classes `anomaly` and, last, `normal`: every clip claims to be normal.
    pub fn class_of(&self, clip: &Clip) -> usize {
        let same = |class: &Class| class.machine == clip.machine && class.section == clip.section;
        let last = self.classes.len().saturating_sub(1);
        self.classes.iter().position(same).unwrap_or(last)
    }
}

/// The task by the kernels' name.
pub(super) fn task_of(task: Task) -> blob::Task {
    match task {
        Task::Reconstruct => blob::Task::Reconstruct,
        Task::Classify { .. } => blob::Task::Classify,
        Task::Distance(_) => blob::Task::Distance,
    }
}

impl Model {
    /// Makes a detector of a network. `blob` holds the network alone; front end and decision are added from the card.
    ///
    /// # Errors
    /// Where the blob cannot be read, or card and network do not fit together.
    pub fn new(card: ModelCard, tflite: Vec<u8>, mut blob: Vec<u8>) -> Result<Model, ModelFault> {
        let front_end = card.front_end();
        let spec = front_end.spec;
        let tables = spec.device_tables()?;
        let input = Interpreter::new(&blob)?.input();
        let (gains, offsets) = card.gains(input);
        let record = FrontEndRecord {
            sample_rate_hz: spec.sample_rate_hz,
            n_fft: spec.n_fft as u32,
            hop_length: spec.hop_length as u32,
            n_mels: spec.n_mels as u32,
            coefficients: spec.on_device().coefficients as u32,
            frames: front_end.frames as u32,
            frame_stride: front_end.frame_stride as u32,
            tables_offset: 0,
        };
        let floats = [tables.floats, gains, offsets].concat();
        let centres = card.centres();
        let hearing = Hearing {
            front_end: record,
            floats: &floats,
            ends: &tables.ends,
            statistics: front_end.statistics,
            companding: card.companding_on_device(input),
            decision: card.decision(),
            centres: centres.as_deref(),
        };
        append_front_end(&mut blob, &hearing);
        let model = Model {
            card,
            tflite,
            blob,
            weights: None,
        };
        model.check()?;
        Ok(model)
    }

    /// Refuses a model whose firmware would score sounds by another rule than its card says. Older programs knew only
    /// the mean.
    pub fn deploys_its_rule(&self) -> Result<(), ModelFault> {
        let rule = self.card.clip_rule();
        let blob = nas_kernels::Model::parse(&self.blob)?;
        match blob
            .decision()
            .is_some_and(|decision| decision.rule == rule)
        {
            true => Ok(()),
            false => Err(ModelFault::OlderRule(rule)),
        }
    }

    /// The same network with another threshold and rule for alarms.
    ///
    /// # Errors
    /// Where the rule cannot be followed.
    pub fn with_decision(&self, decision: &DecisionCard) -> Result<Model, ModelFault> {
        let card = ModelCard {
            threshold: Some(decision.threshold),
            // The number as it stands, whatever gave the one before.
            threshold_rule: None,
            false_alarms: None,
            alarm: Some(decision.alarm),
            ..self.card.clone()
        };
        let network = QuantizedModel::from_tflite(&self.tflite)?;
        let model = Model::new(card, self.tflite.clone(), network.to_blob())?;
        Ok(Model {
            weights: self.weights.clone(),
            ..model
        })
    }

    /// The same model with the float network from which it was made.
    pub fn with_weights(self, weights: Weights) -> Model {
        Model {
            weights: Some(weights),
            ..self
        }
    }

    /// Writes `model.tflite`, `model.nas`, `model.json` and, where they are known, the float network's `weights.f32` into
    /// a folder. Each file appears whole or not at all.
    pub fn write(&self, folder: &Path) -> Result<(), ModelError> {
        let card = serde_json::to_vec_pretty(&self.card).expect("a card has only plain fields");
        let fail = |source| ModelError::Write {
            path: folder.display().to_string(),
            source,
        };
        let weights = self.weights.as_ref().map(Weights::to_bytes);
        let files = [
            ("model.tflite", Some(&self.tflite)),
            ("model.nas", Some(&self.blob)),
            ("model.json", Some(&card)),
            (WEIGHTS_FILE, weights.as_ref()),
        ];
        for (name, bytes) in files
            .into_iter()
            .filter_map(|(name, bytes)| Some((name, bytes?)))
        {
            disk::write_synced(&folder.join(name), bytes).map_err(fail)?;
        }
        disk::sync_folder(folder).map_err(fail)
    }

    /// BLAKE3 of the files that [`Model::write`] writes, but for the float weights, in hex: two models with the same hash
    /// decide alike.
    pub fn content_hash(&self) -> String {
        let card = serde_json::to_vec_pretty(&self.card).expect("a card has only plain fields");
        hash_of([&self.tflite, &self.blob, &card])
    }

    /// Reads what [`Model::write`] wrote, and refuses another model than the one with this hash.
    pub fn read_exactly(folder: &Path, hash: Option<&str>) -> Result<Model, ModelError> {
        let model = Model::read(folder)?;
        let card = fs::read(folder.join("model.json")).unwrap_or_default();
        match hash {
            // The file, and not the card again: a number may be written otherwise than it was read.
            Some(hash) if hash != hash_of([&model.tflite, &model.blob, &card]) => {
                Err(ModelError::Other {
                    path: folder.display().to_string(),
                })
            }
            _ => Ok(model),
        }
    }

    /// Makes a detector of any full-integer int8 `.tflite` file and a card that says how sound becomes its input.
    ///
    /// # Errors
    /// [`ModelError`] where a file cannot be read, or where the two do not fit together.
    pub fn of_files(tflite: &Path, card: &Path) -> Result<Model, ModelError> {
        let network = |fault: ModelFault| ModelError::Network {
            path: tflite.display().to_string(),
            fault,
        };
        let bytes = read(tflite)?;
        let quantized =
            QuantizedModel::from_tflite(&bytes).map_err(|fault| network(fault.into()))?;
        Model::new(ModelCard::read(card)?, bytes, quantized.to_blob()).map_err(network)
    }

    /// Reads what [`Model::write`] wrote.
    pub fn read(folder: &Path) -> Result<Model, ModelError> {
        let path = folder.join("model.json");
        let card = ModelCard::read(&path)?;
        let path = path.display().to_string();
        let weights = match fs::read(folder.join(WEIGHTS_FILE)) {
            Ok(bytes) => {
                Some(
                    Weights::from_bytes(&bytes).map_err(|fault| ModelError::Network {
                        path: folder.join(WEIGHTS_FILE).display().to_string(),
                        fault: fault.into(),
                    })?,
                )
            }
            // Older programs kept no float weights.
            Err(_) => None,
        };
        let model = Model {
            card,
            tflite: read(&folder.join("model.tflite"))?,
            blob: read(&folder.join("model.nas"))?,
            weights,
        };
        model
            .check()
            .map_err(|fault| ModelError::Network { path, fault })?;
        Ok(model)
    }

    /// Fails where card and network do not fit together.
    fn check(&self) -> Result<(), ModelFault> {
        if let Some(name) = &self.card.clip_score {
            name.parse::<ClipRule>()?;
        }
        if let Some(name) = &self.card.threshold_rule {
            name.parse::<ThresholdRule>()?;
        }
        if let Some(fault) = self.card.alarm_rule().fault() {
            return Err(ModelFault::Alarm(fault));
        }
        let front_end = self.card.front_end();
        let features = front_end.features();
        if self.card.mean.len() != features || self.card.std.len() != features {
            return Err(ModelFault::Standardisation { features });
        }
        let bands = front_end.spec.bands();
        let fault = front_end
            .statistics
            .and_then(|which| which.fault(bands, front_end.frames));
        if let Some(fault) = fault {
            return Err(ModelFault::Statistics(fault));
        }
        let scorer = Scorer::new(self)?;
        let (inputs, outputs) = scorer.interpreter.lengths();
        let expected = match self.card.aim() {
            Aim::Reconstruct => inputs,
            Aim::Classify { classes } => classes,
            // The reader of the blob has checked it.
            Aim::Distance => outputs,
        };
        let [rows, columns] = front_end.window();
        if rows.checked_mul(columns) != Some(inputs)
            || outputs != expected
            || front_end.frame_stride == 0
        {
            return Err(ModelFault::Shape);
        }
        Ok(())
    }
}

/// Scores clips with a model's int8 network, by the code that a device runs. Every thread has its own.
#[derive(Debug)]
pub struct Scorer<'a> {
    card: &'a ModelCard,
    interpreter: Interpreter<'a>,
    front_end: FrontEnd,
    gains: Vec<f32>,
    offsets: Vec<f32>,
    companding: Option<front_end::Companding>,
    /// The points from which distances are measured, as a section of the blob.
    centres: Option<Vec<u8>>,
}

impl<'a> Scorer<'a> {
    /// A scorer of the model's clips.
    ///
    /// # Errors
    /// Where the network cannot be run.
    pub fn new(model: &'a Model) -> Result<Scorer<'a>, ModelFault> {
        Scorer::with(&model.card, &model.blob)
    }

    /// As [`Scorer::new`], for a network that has no front end yet.
    pub fn with(card: &'a ModelCard, blob: &'a [u8]) -> Result<Scorer<'a>, ModelFault> {
        let interpreter = Interpreter::new(blob)?;
        let input = interpreter.input();
        let (gains, offsets) = card.gains(input);
        let scorer = Scorer {
            card,
            front_end: card.front_end(),
            interpreter,
            gains,
            offsets,
            companding: card.companding_on_device(input),
            centres: card.centres(),
        };
        scorer.read_centres()?;
        Ok(scorer)
    }

    fn read_centres(&self) -> Result<Option<Centres<'_>>, BlobError> {
        let (_, outputs) = self.interpreter.lengths();
        match &self.centres {
            Some(section) => Centres::read(section, outputs).map(Some),
            None => Ok(None),
        }
    }

    /// The class that a clip should belong to, as [`ModelCard::class_of`].
    pub fn class_of(&self, clip: &Clip) -> usize {
        self.card.class_of(clip)
    }

    /// Makes the network's int8 frames of a clip's features in dB; with statistics, those of each window.
    pub fn quantize(&self, clip: &Matrix) -> Vec<i8> {
        self.quantize_rows(&self.front_end.rows(clip))
    }

    /// The same of rows that [`FrontEnd::rows`] has made.
    fn quantize_rows(&self, clip: &Matrix) -> Vec<i8> {
        let quantizer = self.quantizer();
        let mut frames = vec![0; clip.values.len()];
        let rows = frames.chunks_exact_mut(clip.bands);
        for (row, features) in rows.zip(clip.values.chunks_exact(clip.bands)) {
            quantizer.quantize(features, row);
        }
        frames
    }

    /// The windows that a device would see in these quantised frames.
    pub fn windows<'f>(
        &self,
        frames: &'f [i8],
    ) -> impl ExactSizeIterator<Item = &'f [i8]> + use<'f> {
        let bands = self.gains.len();
        let [rows, stride] = self.front_end.rows_per_window();
        let length = rows * bands;
        let starts = (frames.len() + bands).saturating_sub(length) / bands;
        (0..starts)
            .step_by(stride.max(1))
            .map(move |first| &frames[first * bands..][..length])
    }

    /// The network's output for one window.
    pub fn output(&mut self, window: &[i8]) -> &[i8] {
        self.interpreter.run(window)
    }

    /// Outputs of the int8 network, dequantised, one per window of a clip.
    pub fn outputs(&mut self, clip: &Matrix) -> Vec<Vec<f32>> {
        let params = self.interpreter.output();
        let frames = self.quantize(clip);
        let dequantize = |output: &[i8]| output.iter().map(|q| params.dequantize(*q)).collect();
        self.windows(&frames)
            .map(|window| dequantize(self.interpreter.run(window)))
            .collect()
    }

    /// Residuals of an autoencoder, one per window: its int8 input less its output, dequantised.
    pub fn residuals(&mut self, clip: &Matrix) -> Vec<Vec<f32>> {
        let (input, output) = (self.interpreter.input(), self.interpreter.output());
        let frames = self.quantize(clip);
        let residual =
            |(seen, made): (&i8, &i8)| input.dequantize(*seen) - output.dequantize(*made);
        self.windows(&frames)
            .map(|window| {
                window
                    .iter()
                    .zip(self.interpreter.run(window))
                    .map(residual)
                    .collect()
            })
            .collect()
    }

    /// Anomaly scores of a clip's windows, from the device's features in dB; higher is more anomalous.
    pub fn window_scores(&mut self, clip: &Matrix, class: usize) -> Vec<f32> {
        self.row_scores(&self.front_end.rows(clip), class)
    }

    /// The same of rows that [`FrontEnd::rows`] has made.
    pub fn row_scores(&mut self, rows: &Matrix, class: usize) -> Vec<f32> {
        self.class_scores(rows, &[class]).pop().unwrap_or_default()
    }

    /// The same against each of some classes; the network runs once for all.
    pub fn class_scores(&mut self, rows: &Matrix, classes: &[usize]) -> Vec<Vec<f32>> {
        let task = self.card.decision().task;
        let [input, output] = self.interpreter.ends();
        let frames = self.quantize_rows(rows);
        let outputs = self.interpreter.lengths().1;
        let section = self.centres.take();
        let centres = section
            .as_deref()
            .and_then(|section| Centres::read(section, outputs).ok());
        let mut scores = vec![Vec::new(); classes.len()];
        for window in self.windows(&frames) {
            let result = self.interpreter.run(window);
            for (scores, class) in scores.iter_mut().zip(classes) {
                scores.push(window_score(
                    task,
                    *class,
                    centres.as_ref(),
                    [window, &[]],
                    &input,
                    result,
                    &output,
                ));
            }
        }
        self.centres = section;
        scores
    }

    /// The class that a clip sounds like, of a model that tells classes apart; `None` where the clip is shorter than one
    /// window.
    pub fn answer(&mut self, clip: &Matrix) -> Option<Answer> {
        let classes: Vec<usize> = (0..self.card.classes.len()).collect();
        let (rule, horizon) = (self.card.clip_rule(), self.card.score_windows);
        let rows = self.front_end.rows(clip).into_owned();
        let scores = self.class_scores(&rows, &classes);
        let scores: Option<Vec<f64>> = scores
            .iter()
            .map(|scores| clip_score(rule, horizon, scores))
            .collect();
        Answer::of(&scores?)
    }

    /// The clip's anomaly score, by the card's rule and the device's own code; `None` where the clip is shorter than one
    /// window.
    pub fn clip_score(&mut self, clip: &Matrix, class: usize) -> Option<f64> {
        let scores = self.window_scores(clip, class);
        clip_score(self.card.clip_rule(), self.card.score_windows, &scores)
    }

    /// How many input values the ends of int8 cut off, and how many there are, in rows that [`FrontEnd::rows`] made.
    pub fn clipped(&self, clip: &Matrix) -> [usize; 2] {
        let quantizer = self.quantizer();
        let mut row = vec![0; clip.bands];
        let frames = clip.values.chunks_exact(clip.bands);
        let clipped = frames.map(|features| quantizer.quantize(features, &mut row) as usize);
        [clipped.sum(), clip.values.len()]
    }

    /// Number of latest windows in a device's score.
    pub fn horizon(&self) -> u32 {
        self.card.score_windows
    }

    fn quantizer(&self) -> Quantizer<'_> {
        Quantizer {
            gains: &self.gains,
            offsets: &self.offsets,
            companding: self.companding,
        }
    }
}

impl Distance {
    /// Points in steps of the output of a quantised layer.
    pub fn quantized(points: &[Point], output: QuantParams) -> Distance {
        let step = f64::from(output.scale) / f64::from(CENTRE_STEPS);
        let coordinate = |value: &f32| {
            let steps = (f64::from(*value) / step).round();
            steps.clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
        };
        let point = |point: &Point| DistancePoint {
            class: point.class,
            block: point.block,
            weight: point.weight,
            coordinates: point.coordinates.iter().map(coordinate).collect(),
        };
        Distance {
            dimensions: points.first().map_or(0, |point| point.coordinates.len()),
            points: points.iter().map(point).collect(),
        }
    }
}
