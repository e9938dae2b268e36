//! One trial.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{CostsView, MeasurementView, RescoredView};
use crate::{
    audio::{Feature, FrontEnd},
    report::Figures,
};

/// What `nas show RUN/TRIAL --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TrialDocument {
    pub schema_version: u32,
    pub run: String,
    pub data: String,
    pub synthetic: bool,
    pub trial: u64,
    /// `scored`, `rejected`, `failed`.
    pub state: &'static str,
    pub space: String,
    pub task: &'static str,
    pub seed: u64,
    /// The chosen value of every axis of the space.
    pub axes: BTreeMap<String, String>,
    pub front_end: FrontEndView,
    pub macs: u64,
    pub params: u64,
    /// Of the trial's own model.
    pub figures: Option<FiguresView>,
    pub rescored: Option<RescoredView>,
    /// Figures per machine, section and domain, on the clips that steer.
    pub groups: Vec<GroupView>,
    /// Per target.
    pub costs: BTreeMap<String, CostsView>,
    /// What was seen when the model ran as firmware, one per place.
    pub measurements: Vec<MeasurementView>,
    /// Share of each exceeded budget, such as 0.5 for half as much again; only where the trial was rejected.
    pub excess: BTreeMap<String, f64>,
    /// Only where the trial failed.
    pub error: Option<String>,
    /// The network, operator by operator.
    pub operators: Vec<OperatorView>,
    /// Files that belong to the trial, relative to the store's folder.
    pub files: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct FiguresView {
    pub auc_int8: Option<f64>,
    pub pauc_int8: Option<f64>,
    pub auc_float: Option<f64>,
    pub test_auc_int8: Option<f64>,
    pub test_pauc_int8: Option<f64>,
    pub accuracy_int8: Option<f64>,
    pub test_accuracy_int8: Option<f64>,
}

/// From sound to the windows that the network sees.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FrontEndView {
    pub sample_rate_hz: u32,
    pub n_fft: usize,
    pub hop_length: usize,
    pub n_mels: usize,
    /// Coefficients per frame where the features are MFCCs.
    pub mfcc: Option<usize>,
    pub frames: usize,
    pub frame_stride: usize,
}

impl From<FrontEnd> for FrontEndView {
    fn from(front_end: FrontEnd) -> FrontEndView {
        let spec = front_end.spec;
        FrontEndView {
            sample_rate_hz: spec.sample_rate_hz,
            n_fft: spec.n_fft,
            hop_length: spec.hop_length,
            n_mels: spec.n_mels,
            mfcc: match spec.feature {
                Feature::LogMel => None,
                Feature::Mfcc { coefficients } => Some(coefficients),
            },
            frames: front_end.frames,
            frame_stride: front_end.frame_stride,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct GroupView {
    pub machine: String,
    pub section: String,
    /// `source`, `target`, or null for the whole section.
    pub domain: Option<String>,
    pub auc_int8: Option<f64>,
    pub pauc_int8: Option<f64>,
    pub normals: usize,
    pub anomalies: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct OperatorView {
    /// TFLite's name.
    pub operator: String,
    /// Height, width, channels.
    pub output: [usize; 3],
    pub macs: u64,
    pub params: u64,
}

impl From<&Figures> for FiguresView {
    fn from(figures: &Figures) -> FiguresView {
        FiguresView {
            auc_int8: figures.auc_int8,
            pauc_int8: figures.pauc_int8,
            auc_float: figures.auc_float,
            test_auc_int8: figures.test_auc_int8,
            test_pauc_int8: figures.test_pauc_int8,
            accuracy_int8: figures.accuracy_int8,
            test_accuracy_int8: figures.test_accuracy_int8,
        }
    }
}
