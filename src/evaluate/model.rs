//! A finished detector: front end, standardisation, int8 network and decision, as one thing that scores clips.

use std::{fs, io::Write, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    audio::{Feature, FeatureSpec, FrontEnd},
    data::Clip,
    features::{Matrix, Standardiser, Windows},
    quant::Interpreter,
    score::{Pooling, negative_log_odds, reconstruction_error},
    space::Task,
};

/// What a detector needs beside its network; written as `model.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    pub format_version: u32,
    /// `reconstruct` or `classify`.
    pub task: String,
    pub sample_rate_hz: u32,
    pub n_fft: usize,
    pub hop_length: usize,
    pub n_mels: usize,
    /// Number of MFCC coefficients; absent for log-mel.
    pub n_mfcc: Option<usize>,
    pub frames: usize,
    pub frame_stride: usize,
    /// Mean of each band over the training clips, dB. The int8 input is `(feature - mean) / std`, quantised.
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
    /// The classes of a classifier in the order of its outputs; empty for autoencoders.
    pub classes: Vec<Class>,
    /// 90th percentile of the int8 clip scores of training normals: a clip above it is called anomalous.
    pub threshold: Option<f64>,
    /// Trained on sound of the built-in generator.
    pub synthetic: bool,
}

/// One class of a classifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    pub machine: String,
    pub section: String,
}

/// A detector as it is stored and exported.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub card: ModelCard,
    /// Full-integer int8 TFLite.
    pub tflite: Vec<u8>,
    /// The same network for `nas-kernels`.
    pub blob: Vec<u8>,
}

/// A stored model that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("cannot read {path}: {source}")]
    Read {
        path: String,
        source: std::io::Error,
    },
    #[error("cannot write {path}: {source}")]
    Write {
        path: String,
        source: std::io::Error,
    },
    #[error("{path} is not a model card: {source}")]
    Card {
        path: String,
        source: serde_json::Error,
    },
    #[error("{path} has format version {found}; this program reads version {FORMAT_VERSION}")]
    Version { path: String, found: u32 },
    #[error("{path}: {fault}")]
    Network { path: String, fault: String },
}

pub const FORMAT_VERSION: u32 = 1;

impl ModelCard {
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

    pub fn task(&self) -> Task {
        match self.classes.len() {
            0 => Task::Reconstruct,
            classes => Task::Classify { classes },
        }
    }

    pub fn standardiser(&self) -> Standardiser {
        Standardiser {
            mean: self.mean.clone(),
            std: self.std.clone(),
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

/// Scores clips with a model's int8 network; one per thread.
#[derive(Debug)]
pub struct Scorer<'a> {
    card: &'a ModelCard,
    interpreter: Interpreter<'a>,
}

impl<'a> Scorer<'a> {
    /// The blob's fault where it cannot be run.
    pub fn new(model: &'a Model) -> Result<Scorer<'a>, String> {
        let interpreter = Interpreter::new(&model.blob).map_err(|error| error.to_string())?;
        Ok(Scorer {
            card: &model.card,
            interpreter,
        })
    }

    /// The int8 network's output for one standardised window, dequantised.
    pub fn output(&mut self, window: &[f32]) -> Vec<f32> {
        self.interpreter.run_float(window).collect()
    }

    /// What the int8 network gives for each window of a clip of standardised features, dequantised.
    pub fn outputs(&mut self, clip: &Matrix) -> Vec<Vec<f32>> {
        let windows = self.windows(clip);
        (0..windows.len())
            .map(|idx| self.output(windows.window(idx)))
            .collect()
    }

    /// What an autoencoder leaves unexplained of each window: its int8 input less its output, dequantised.
    pub fn residuals(&mut self, clip: &Matrix) -> Vec<Vec<f32>> {
        let windows = self.windows(clip);
        let input = self.interpreter.input();
        let residual = |idx: usize| {
            let window = windows.window(idx);
            let output = self.output(window);
            let seen = window
                .iter()
                .map(|&value| input.dequantize(input.quantize(value)));
            seen.zip(output)
                .map(|(seen, output)| seen - output)
                .collect()
        };
        (0..windows.len()).map(residual).collect()
    }

    fn windows<'b>(&self, clip: &'b Matrix) -> Windows<'b> {
        let card = self.card;
        Windows::new(vec![clip], Vec::new(), card.frames, card.frame_stride)
    }

    /// Anomaly scores of all windows of a clip of standardised features; higher is more anomalous.
    pub fn window_scores(&mut self, clip: &Matrix, class: usize) -> Vec<f64> {
        let windows = self.windows(clip);
        let task = self.card.task();
        let input = self.interpreter.input();
        (0..windows.len())
            .map(|idx| {
                let window = windows.window(idx);
                let output = self.output(window);
                match task {
                    // The error is taken against the int8 input, which is all that a device has.
                    Task::Reconstruct => {
                        let seen: Vec<f32> = window
                            .iter()
                            .map(|&value| input.dequantize(input.quantize(value)))
                            .collect();
                        reconstruction_error(&seen, &output)
                    }
                    Task::Classify { .. } => negative_log_odds(&output, class),
                }
            })
            .collect()
    }

    /// The clip's anomaly score: the mean over its windows. `None` where it is shorter than one window.
    pub fn clip_score(&mut self, clip: &Matrix, class: usize) -> Option<f64> {
        Pooling::Mean.pool(&self.window_scores(clip, class))
    }
}
