//! A finished detector: front end, standardisation, int8 network and decision, as one thing that scores clips.

use std::{fs, io::Write, path::Path};

use nas_kernels::{
    blob::{self, Decision, FrontEndRecord, Threshold},
    front_end::Quantizer,
    score::{MeanScore, window_score},
};
use serde::{Deserialize, Serialize};

use crate::{
    audio::{Feature, FeatureSpec, FrontEnd},
    data::Clip,
    features::Matrix,
    quant::{Interpreter, QuantParams, append_front_end},
    score::{Pooling, ThresholdRule},
    space::Task,
};

/// What a detector needs beside its network; written as `model.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// [`FORMAT_VERSION`] of the program that wrote the card.
    pub format_version: u32,
    /// `reconstruct` or `classify`.
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
    /// Feature frames in one window.
    pub frames: usize,
    /// Frames from one window to the next.
    pub frame_stride: usize,
    /// What the int8 network was scored on: `samples`, from which the device's code computed features, or `log-mel`,
    /// ready features that the data set came with.
    pub scored_on: String,
    /// Mean of each band over the training clips, dB. The int8 input is `(feature - mean) / std`, quantised.
    pub mean: Vec<f32>,
    /// Standard deviation of each band over the training clips, dB.
    pub std: Vec<f32>,
    /// The classes of a classifier in the order of its outputs; empty for autoencoders.
    pub classes: Vec<Class>,
    /// A clip with a higher int8 score is called anomalous: one of the two below.
    pub threshold: Option<f64>,
    /// `gamma`, `quantile` or `even-odds`; absent without a threshold.
    pub threshold_rule: Option<String>,
    /// 90th percentile of the gamma distribution that fits the int8 scores of held-out normal training clips.
    pub threshold_gamma: Option<f64>,
    /// 90th percentile of those scores.
    pub threshold_quantile: Option<f64>,
    /// Windows that a device's score is a mean over: those of a clip.
    pub score_windows: u32,
    /// How the scores of a clip's windows became its score, as [`Pooling`] reads it; absent for the mean, which is all
    /// that a device computes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<String>,
    /// Trained on sound of the built-in generator.
    pub synthetic: bool,
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
        fault: String,
    },
}

/// Version of the card; raised when an older program could not read it.
pub const FORMAT_VERSION: u32 = 2;

impl ModelCard {
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
        }
    }

    /// An autoencoder without classes, otherwise a classifier.
    pub fn task(&self) -> Task {
        match self.classes.len() {
            0 => Task::Reconstruct,
            classes => Task::Classify { classes },
        }
    }

    /// How the scores of a clip's windows become its score; the mean where the card names none that is known.
    pub fn pooling(&self) -> Pooling {
        let named = self.pooling.as_deref().and_then(|name| name.parse().ok());
        named.unwrap_or(Pooling::Mean)
    }

    /// Gain and offset per band that take a feature in dB to the network's int8 input: standardisation and scale in one.
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

    fn decision(&self) -> Decision {
        let task = match self.task() {
            Task::Reconstruct => blob::Task::Reconstruct,
            Task::Classify { .. } => blob::Task::Classify,
        };
        let rule = self.threshold_rule.as_deref();
        let rule = rule.and_then(|name| name.parse::<ThresholdRule>().ok());
        Decision {
            task,
            windows: self.score_windows.max(1),
            threshold: match self.threshold.map(|threshold| threshold as f32) {
                // A threshold for pooled scores is none for the mean that a device computes.
                _ if self.pooling() != Pooling::Mean => Threshold::None,
                Some(threshold) if !threshold.is_finite() => Threshold::None,
                Some(_) if rule == Some(ThresholdRule::EvenOdds) => Threshold::EvenOdds,
                Some(threshold) if rule == Some(ThresholdRule::Gamma) => {
                    Threshold::Gamma(threshold)
                }
                Some(threshold) => Threshold::Quantile(threshold),
                None => Threshold::None,
            },
        }
    }

    /// The class that a clip claims to be of; the last one where it is of none, as the DCASE baseline does. A classifier
    /// of labels has the classes `anomaly` and, last, `normal`, which every clip claims to be.
    pub fn class_of(&self, clip: &Clip) -> usize {
        let same = |class: &Class| class.machine == clip.machine && class.section == clip.section;
        let last = self.classes.len().saturating_sub(1);
        self.classes.iter().position(same).unwrap_or(last)
    }
}

impl Model {
    /// A detector out of a network: `blob` holds the network alone, and gets front end and decision as the card says.
    pub fn new(card: ModelCard, tflite: Vec<u8>, mut blob: Vec<u8>) -> Result<Model, String> {
        let front_end = card.front_end();
        let spec = front_end.spec;
        let tables = spec.device_tables().map_err(|error| error.to_string())?;
        let input = Interpreter::new(&blob)
            .map_err(|error| error.to_string())?
            .input();
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
        append_front_end(&mut blob, record, &floats, &tables.ends, &card.decision());
        let model = Model { card, tflite, blob };
        model.check()?;
        Ok(model)
    }

    /// Writes `model.tflite`, `model.nas` and `model.json` into a folder; each appears whole or not at all.
    pub fn write(&self, folder: &Path) -> Result<(), ModelError> {
        let card = serde_json::to_vec_pretty(&self.card).expect("a card has only plain fields");
        let fail = |source| ModelError::Write {
            path: folder.display().to_string(),
            source,
        };
        fs::create_dir_all(folder).map_err(fail)?;
        for (name, bytes) in [
            ("model.tflite", &self.tflite),
            ("model.nas", &self.blob),
            ("model.json", &card),
        ] {
            let write = || -> std::io::Result<()> {
                let mut file = tempfile::NamedTempFile::new_in(folder)?;
                file.write_all(bytes)?;
                file.as_file().sync_all()?;
                file.persist(folder.join(name))?;
                Ok(())
            };
            write().map_err(fail)?;
        }
        Ok(())
    }

    /// Reads what [`Model::write`] wrote.
    pub fn read(folder: &Path) -> Result<Model, ModelError> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(|source| ModelError::Read {
                path: path.display().to_string(),
                source,
            })
        };
        let path = folder.join("model.json").display().to_string();
        let card: ModelCard =
            serde_json::from_slice(&read("model.json")?).map_err(|source| ModelError::Card {
                path: path.clone(),
                source,
            })?;
        if card.format_version != FORMAT_VERSION {
            return Err(ModelError::Version {
                path,
                found: card.format_version,
            });
        }
        let model = Model {
            card,
            tflite: read("model.tflite")?,
            blob: read("model.nas")?,
        };
        model
            .check()
            .map_err(|fault| ModelError::Network { path, fault })?;
        Ok(model)
    }

    /// Whether card and network fit together.
    fn check(&self) -> Result<(), String> {
        if let Some(name) = &self.card.pooling {
            let known = name.parse::<Pooling>();
            known.map_err(|error| error.to_string())?;
        }
        let front_end = self.card.front_end();
        let bands = front_end.spec.bands();
        if self.card.mean.len() != bands || self.card.std.len() != bands {
            return Err(format!("the card's mean and std must have {bands} values"));
        }
        let scorer = Scorer::new(self)?;
        let (inputs, outputs) = scorer.interpreter.lengths();
        let expected = match self.card.task() {
            Task::Reconstruct => inputs,
            Task::Classify { classes } => classes,
        };
        if front_end.frames.checked_mul(bands) != Some(inputs)
            || outputs != expected
            || front_end.frame_stride == 0
        {
            return Err("the network does not have the shape that the card says".to_string());
        }
        Ok(())
    }
}

/// Scores clips with a model's int8 network, by the code that a device runs; one per thread.
#[derive(Debug)]
pub struct Scorer<'a> {
    card: &'a ModelCard,
    interpreter: Interpreter<'a>,
    gains: Vec<f32>,
    offsets: Vec<f32>,
}

impl<'a> Scorer<'a> {
    /// The blob's fault where it cannot be run.
    pub fn new(model: &'a Model) -> Result<Scorer<'a>, String> {
        Scorer::with(&model.card, &model.blob)
    }

    /// The same for a network that has no front end yet.
    pub fn with(card: &'a ModelCard, blob: &'a [u8]) -> Result<Scorer<'a>, String> {
        let interpreter = Interpreter::new(blob).map_err(|error| error.to_string())?;
        let (gains, offsets) = card.gains(interpreter.input());
        Ok(Scorer {
            card,
            interpreter,
            gains,
            offsets,
        })
    }

    /// The class that a clip should belong to, as [`ModelCard::class_of`].
    pub fn class_of(&self, clip: &Clip) -> usize {
        self.card.class_of(clip)
    }

    /// The frames of a clip as the network takes them, from features in dB.
    pub fn quantize(&self, clip: &Matrix) -> Vec<i8> {
        let quantizer = Quantizer {
            gains: &self.gains,
            offsets: &self.offsets,
        };
        let mut frames = vec![0; clip.values.len()];
        let rows = frames.chunks_exact_mut(clip.bands);
        for (row, features) in rows.zip(clip.values.chunks_exact(clip.bands)) {
            quantizer.quantize(features, row);
        }
        frames
    }

    /// The windows that the device would see in quantised frames.
    pub fn windows<'f>(
        &self,
        frames: &'f [i8],
    ) -> impl ExactSizeIterator<Item = &'f [i8]> + use<'f> {
        let bands = self.gains.len();
        let length = self.card.frames * bands;
        let starts = (frames.len() + bands).saturating_sub(length) / bands;
        (0..starts)
            .step_by(self.card.frame_stride.max(1))
            .map(move |first| &frames[first * bands..][..length])
    }

    /// The network's output for one window.
    pub fn output(&mut self, window: &[i8]) -> &[i8] {
        self.interpreter.run(window)
    }

    /// What the int8 network gives for each window of a clip, dequantised.
    pub fn outputs(&mut self, clip: &Matrix) -> Vec<Vec<f32>> {
        let params = self.interpreter.output();
        let frames = self.quantize(clip);
        let dequantize = |output: &[i8]| output.iter().map(|q| params.dequantize(*q)).collect();
        self.windows(&frames)
            .map(|window| dequantize(self.interpreter.run(window)))
            .collect()
    }

    /// What an autoencoder leaves unexplained of each window: its int8 input less its output, dequantised.
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

    /// Anomaly scores of all windows of a clip of the device's features in dB; higher is more anomalous.
    pub fn window_scores(&mut self, clip: &Matrix, class: usize) -> Vec<f32> {
        let task = self.card.decision().task;
        let [input, output] = self.interpreter.ends();
        let frames = self.quantize(clip);
        self.windows(&frames)
            .map(|window| {
                let result = self.interpreter.run(window);
                window_score(task, class, [window, &[]], &input, result, &output)
            })
            .collect()
    }

    /// The clip's anomaly score: the mean over its windows by the device's own sum, or as the card says. `None` where it
    /// is shorter than one window.
    pub fn clip_score(&mut self, clip: &Matrix, class: usize) -> Option<f64> {
        let scores = self.window_scores(clip, class);
        let pooling = self.card.pooling();
        if pooling != Pooling::Mean {
            let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
            return pooling.pool(&scores);
        }
        let mut mean = MeanScore::new(scores.len() as u32);
        scores.iter().for_each(|score| mean.push(*score));
        mean.mean().map(f64::from)
    }
}
