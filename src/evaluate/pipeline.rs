//! The real evaluation: features, training, quantisation, int8 scoring.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    AlarmCard, Class, Distance, EvaluateError, Evaluation, Evaluator, Examination, Int8, Model,
    ModelCard, Scorer, StatisticsCard,
    closed_form::{ClosedForm, HeadLayer, closed_form, head_layer},
    examination::both,
    headroom::{Choice, Sound, quantize_for_detection, quantize_with},
    model::FORMAT_VERSION,
    window_scores::WindowScores,
    workload::Workload,
};
use crate::{
    audio::{Feature, FeatureSpec, FrontEnd, Recipe},
    data::{
        Classes, Clip, Dataset, Domain, Label, Layout, Learns, Split, TestDivision, TrainDivision,
        divide_test, divide_train,
    },
    features::{
        Arithmetic, FeatureError, FeatureStore, Features, Matrix, Prepared, ReadError, Rows,
        Standardiser, Windows,
    },
    fit::{self, Point, Samples},
    graph::Weights,
    identity::Canonical,
    quant::{QuantParams, QuantizedModel, Ranges, run_float},
    score::{
        ClipRule, FalseAlarms, Measure, THRESHOLD_QUANTILE, ThresholdRule, Thresholds, clip_score,
        negative_log_odds, reconstruction_error,
    },
    space::{Candidate, Fit, Task, Training},
    train::{Backend, Lessons, TrainError, TrainOptions, Trained, train},
};

/// Raised whenever the same inputs would give other results. Stored evaluations of two versions are never mixed.
pub const PIPELINE_VERSION: u32 = 5;
/// Share of the normal training clips that is held out for early stopping.
const VALIDATION_SHARE: f64 = 0.15;
/// Number of windows that calibrate the int8 ranges, spread evenly over the training clips.
const CALIBRATION_WINDOWS: usize = 256;
/// Number of windows that the float network scores at a time.
const FLOAT_BATCH: usize = 128;
/// What the user can choose about evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Number of epochs for every candidate; `None` for what its space says.
    pub epochs: Option<usize>,
    /// The device on which candidates are trained.
    pub backend: Backend,
    /// How the threshold follows from the scores of normal clips.
    pub threshold: ThresholdRule,
}

/// Trains and scores candidates on one data set.
#[derive(Debug)]
pub struct Pipeline {
    pub(super) dataset: Dataset,
    data_hash: String,
    store: Arc<FeatureStore>,
    options: Options,
    /// How the scores of a clip's windows become its score; `None` where every candidate has its own rules.
    clip_rule: Option<ClipRule>,
    classes: Classes,
    train: TrainDivision,
    /// Known anomalies that autoencoders learn to fail on.
    outliers: Vec<usize>,
    pub(super) test: TestDivision,
    /// Number of labelled test clips.
    labelled_tests: usize,
    /// Length of the clip in the middle, once somebody asked for it.
    clip_s: OnceLock<f64>,
}

/// The rows of one front end from which windows are cut: features, or statistics of features.
#[derive(Debug)]
struct FrontEndFeatures(Prepared);

impl FrontEndFeatures {
    /// What a device computes of a clip, in dB.
    fn device(&self, clip: usize) -> Result<Cow<'_, Matrix>, ReadError> {
        self.0.rows.clip(Arithmetic::Device, clip)
    }

    fn standardiser(&self) -> &Standardiser {
        &self.0.standardiser
    }
}

/// A detector before it is scored.
struct Made {
    weights: Weights,
    /// Training and validation loss per epoch; none where nothing was trained.
    history: Vec<[f32; 2]>,
    /// The points from which the score is a distance; `None` for other scores.
    points: Vec<Point>,
    /// How far a head's output must reach.
    reach: Option<f32>,
    /// The results of a fit in closed form; `None` where the network was trained.
    closed_form: Option<Fitted>,
}

/// The results of a fit in closed form, beside weights and points.
struct Fitted {
    quantized: QuantizedModel,
    ranges: Ranges,
    /// Scores of the fitted clips, each by a fit without it.
    out_of_sample: Vec<f64>,
    notes: Vec<String>,
}

/// A data set that cannot steer a search.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// No normal training clips are left to fit to; holds the name of the data set.
    #[error("{0} has no normal training clips: there is nothing to learn from")]
    NoTraining(String),
    /// The clips that steer lack normal or anomalous ones; holds the name of the data set.
    #[error(
        "{0} has no labelled test clips of both kinds: there is nothing to steer the search by; \
         label some normal and some anomalous clips as `test`, or let --steer-by proxy disturb normal ones"
    )]
    NoLabels(String),
    /// The clips that steer are not of two classes that also train; holds the name of the data set.
    #[error(
        "{0} has no test clips of at least two classes that train, too: there is nothing to steer the search by"
    )]
    NoClasses(String),
    /// The features could not be computed.
    #[error(transparent)]
    Features(#[from] FeatureError),
}

impl Pipeline {
    /// Splits the data set into clips that train, validate, steer and test.
    pub fn new(
        dataset: Dataset,
        store: impl Into<Arc<FeatureStore>>,
        options: Options,
    ) -> Result<Pipeline, PrepareError> {
        let store = store.into();
        let data_hash = store.dataset_hash(&dataset);
        let train = divide_train(&dataset, VALIDATION_SHARE);
        if train.fit.is_empty() {
            return Err(PrepareError::NoTraining(dataset.name));
        }
        let mut test = divide_test(&dataset);
        let has = |label| {
            test.steer
                .iter()
                .any(|&idx| dataset.clips[idx].label == Some(label))
        };
        let has_both = has(Label::Normal) && has(Label::Anomaly);
        let classes = dataset.classes();
        if dataset.learns == Learns::Classes {
            // A class that nobody learns cannot be answered.
            let is_known = |idx: &usize| classes.class_of(&dataset.clips[*idx]).is_some();
            test.steer.retain(is_known);
            test.shown.retain(is_known);
            let steer = test
                .steer
                .iter()
                .filter_map(|&idx| classes.class_of(&dataset.clips[idx]));
            if steer.collect::<BTreeSet<u32>>().len() < 2 {
                return Err(PrepareError::NoClasses(dataset.name));
            }
        } else if !has_both {
            return Err(PrepareError::NoLabels(dataset.name));
        }
        let outliers = dataset
            .known_anomalies()
            .filter(|idx| !train.validation.contains(idx))
            .collect();
        let is_labelled_test = |clip: &&Clip| clip.split == Split::Test && clip.label.is_some();
        let labelled_tests = dataset.clips.iter().filter(is_labelled_test).count();
        Ok(Pipeline {
            dataset,
            data_hash,
            store,
            options,
            clip_rule: None,
            classes,
            train,
            outliers,
            test,
            labelled_tests,
            clip_s: OnceLock::new(),
        })
    }

    /// The same pipeline with one rule for the clips of all candidates.
    pub fn scored_by(self, rule: ClipRule) -> Pipeline {
        Pipeline {
            clip_rule: Some(rule),
            ..self
        }
    }

    /// The rules by which a candidate's clips may be scored. The first one is used unless another is better.
    fn clip_rules(&self, candidate: &Candidate) -> Vec<ClipRule> {
        match self.clip_rule {
            Some(rule) => vec![rule],
            None => candidate.clip_rules.clone(),
        }
    }

    /// The data set that candidates are trained on.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// Hash of the data set's clips, in hex.
    pub fn data_hash(&self) -> &str {
        &self.data_hash
    }

    /// The answers that are asked of a network for one clip: one score, or one for each class.
    pub(super) fn answers(&self) -> usize {
        match self.dataset.learns {
            Learns::Classes => self.classes(),
            Learns::Sections | Learns::Labels => 1,
        }
    }

    /// The classes against which a clip is scored.
    fn claims(&self, scorer: &Scorer<'_>, idx: usize) -> Vec<usize> {
        match self.dataset.learns {
            Learns::Classes => (0..self.classes()).collect(),
            Learns::Sections | Learns::Labels => vec![scorer.class_of(&self.dataset.clips[idx])],
        }
    }

    /// The names of the classes, in the order of a classifier's outputs.
    pub(super) fn class_names(&self) -> Vec<String> {
        self.classes
            .names
            .iter()
            .map(|(_, name)| name.clone())
            .collect()
    }

    /// The number of sections that a classifier can tell apart.
    pub fn classes(&self) -> usize {
        self.classes.names.len()
    }

    /// What a user should know about the division of the test clips, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        self.test.note.iter().cloned().collect()
    }

    /// The features of all clips as they are extracted, which also say which clips cannot be used.
    pub fn extracted(&self, spec: &FeatureSpec) -> Result<Arc<Rows>, FeatureError> {
        self.store.rows(&self.dataset, spec)
    }

    /// Number of frames that nine of ten clips have. The few shorter ones do not decide which windows there are.
    ///
    /// A clip that is shorter than a window neither trains nor counts.
    pub fn shortest_clip_frames(&self, spec: &FeatureSpec) -> Result<usize, FeatureError> {
        let mut frames = self.clip_frames(spec)?;
        frames.retain(|&frames| frames > 0);
        frames.sort_unstable();
        Ok(frames.get(frames.len() / 10).copied().unwrap_or(0))
    }

    /// Number of frames of the longest clip.
    pub fn longest_clip_frames(&self, spec: &FeatureSpec) -> Result<usize, FeatureError> {
        Ok(self.clip_frames(spec)?.into_iter().max().unwrap_or(0))
    }

    fn clip_frames(&self, spec: &FeatureSpec) -> Result<Vec<usize>, FeatureError> {
        let rows = self.store.rows(&self.dataset, spec)?;
        Ok((0..rows.clips()).map(|idx| rows.frames(idx)).collect())
    }

    /// The features for a front end.
    fn features(&self, front_end: &FrontEnd) -> Result<FrontEndFeatures, EvaluateError> {
        let error = |error: FeatureError| match error {
            FeatureError::Lost { .. } | FeatureError::Read(_) => {
                EvaluateError::Lost(error.to_string())
            }
            _ => EvaluateError::Failed(error.to_string()),
        };
        let (store, dataset, spec) = (&self.store, &self.dataset, &front_end.spec);
        if front_end.statistics.is_some() {
            let device = store.device_rows(dataset, spec).map_err(error)?;
            return Ok(self.statistics(front_end, &device)?);
        }
        let prepared = store.standardised(dataset, spec, &self.train.fit);
        Ok(FrontEndFeatures(Prepared {
            companding: front_end.companding,
            ..(*prepared.map_err(error)?).clone()
        }))
    }

    /// Statistics are those of a device for all purposes: they are whole numbers, and its features are a few millionths
    /// of a dB off.
    fn statistics(
        &self,
        front_end: &FrontEnd,
        device: &Rows,
    ) -> Result<FrontEndFeatures, ReadError> {
        let pooled = |idx: usize| {
            let clip = device.clip(Arithmetic::Device, idx)?;
            Ok(front_end.rows(&clip).into_owned())
        };
        let rows = Rows::in_memory(Features {
            spec: front_end.spec,
            clips: (0..device.clips()).map(pooled).collect::<Result<_, _>>()?,
            skipped: device.skipped.clone(),
        });
        let clip = |idx: usize| rows.clip(Arithmetic::Device, self.train.fit[idx]);
        let least = Standardiser::LEAST_STD_OF_STATISTICS;
        let standardiser = Standardiser::fit_each(self.train.fit.len(), least, clip)?;
        Ok(FrontEndFeatures(Prepared {
            rows: Arc::new(rows),
            standardiser,
            companding: None,
        }))
    }

    /// The class that a clip is trained as.
    pub(super) fn class_of(&self, clip_idx: usize) -> usize {
        let class = self.classes.class_of(&self.dataset.clips[clip_idx]);
        // A clip of no known class counts as the last one, as the DCASE baseline does.
        class.map_or(self.classes().saturating_sub(1), |class| class as usize)
    }

    /// The clips among `indices` that are not labelled anomalous.
    fn normals(&self, indices: &[usize]) -> Vec<usize> {
        let is_normal = |idx: &usize| self.dataset.clips[*idx].label != Some(Label::Anomaly);
        indices.iter().copied().filter(is_normal).collect()
    }

    fn windows<'a>(
        &self,
        features: &'a FrontEndFeatures,
        indices: &[usize],
        frames: usize,
        stride: usize,
    ) -> Windows<'a> {
        let classes = indices.iter().map(|&idx| self.class_of(idx) as u32);
        let classes = classes.collect();
        Windows::prepared(&features.0, indices.to_vec(), classes, frames, stride)
    }

    fn train_options(&self, candidate: &Candidate, training: &Training) -> TrainOptions {
        let (member, _) = candidate.members();
        let affordable = training.macs_per_epoch / member.macs().max(1) as f64;
        let affordable = (affordable as usize).max(training.batch_size);
        TrainOptions {
            epochs: self.options.epochs.unwrap_or(training.epochs),
            batch_size: training.batch_size,
            learning_rate: training.learning_rate,
            windows_per_epoch: training.windows_per_epoch.min(affordable),
            patience: training.patience,
            recipe: training.recipe,
            backend: self.options.backend,
        }
    }

    /// How much there is to do for a candidate, as far as shapes tell.
    fn workload(&self, candidate: &Candidate, training: &Training) -> Workload {
        let options = self.train_options(candidate, training);
        let (member, members) = candidate.members();
        let [rows, stride] = candidate.front_end.rows_per_window();
        let rows_of_clip = match candidate.front_end.statistics {
            Some(_) => rows,
            None => {
                let spec = candidate.front_end.spec;
                let hops = self.clip_s() * f64::from(spec.sample_rate_hz) / spec.hop_length as f64;
                1 + hops as usize
            }
        };
        let windows_of_clip = match rows_of_clip.checked_sub(rows) {
            Some(further) => 1 + further / stride,
            None => 0,
        };
        let available = windows_of_clip * self.train.fit.len();
        Workload {
            trained_windows: members * options.epochs * options.windows_per_epoch.min(available),
            scored_windows: windows_of_clip * self.labelled_tests,
            member_macs: member.macs(),
            macs: candidate.graph.macs(),
            member_values: member.tensors.iter().map(|tensor| tensor.len()).sum(),
        }
    }

    /// Length of the clip in the middle, in seconds, from the centre of the first frame to that of the last; ten where it
    /// cannot be read.
    fn clip_s(&self) -> f64 {
        *self.clip_s.get_or_init(|| {
            let probe = self.dataset.fixed_features.unwrap_or(FeatureSpec::DCASE);
            let Ok(mut frames) = self.clip_frames(&probe) else {
                return 10.0;
            };
            frames.sort_unstable();
            let hops = frames
                .get(frames.len() / 2)
                .map_or(0, |frames| frames.saturating_sub(1));
            (hops * probe.hop_length) as f64 / f64::from(probe.sample_rate_hz)
        })
    }

    fn card_of(&self, candidate: &Candidate, features: &FrontEndFeatures) -> ModelCard {
        let front_end = candidate.front_end;
        let standardiser = features.standardiser();
        let spec = front_end.spec;
        let n_mfcc = match spec.feature {
            Feature::LogMel => None,
            Feature::Mfcc { coefficients } => Some(coefficients),
        };
        let classes = match candidate.task {
            Task::Reconstruct => Vec::new(),
            Task::Classify { .. } | Task::Distance(_) => {
                let class = |(machine, section): &(String, String)| Class {
                    machine: machine.clone(),
                    section: section.clone(),
                };
                self.classes.names.iter().map(class).collect()
            }
        };
        let score_windows = self.usual_windows(front_end, &features.0.rows);
        ModelCard {
            format_version: FORMAT_VERSION,
            task: candidate.task.name().to_string(),
            sample_rate_hz: spec.sample_rate_hz,
            n_fft: spec.n_fft,
            hop_length: spec.hop_length,
            n_mels: spec.n_mels,
            n_mfcc,
            features: Some(Recipe::of(&spec)),
            input: None,
            output: None,
            frames: front_end.frames,
            frame_stride: front_end.frame_stride,
            statistics: front_end.statistics.map(|statistics| StatisticsCard {
                groups: statistics.groups,
                kinds: statistics.kinds,
                ranking: statistics.ranking,
            }),
            companding: front_end.companding.map(|companding| companding.knee),
            scored_on: match self.dataset.fixed_features {
                Some(_) => "log-mel".to_string(),
                None => "samples".to_string(),
            },
            mean: standardiser.mean.clone(),
            std: standardiser.std.clone(),
            classes,
            tells_classes: self.dataset.learns == Learns::Classes,
            threshold: None,
            threshold_rule: None,
            threshold_gamma: None,
            threshold_quantile: None,
            false_alarms: None,
            clip_score: None,
            int8: None,
            hears: None,
            alarm: Some(AlarmCard::usual(&front_end, score_windows)),
            score_windows,
            synthetic: self.dataset.synthetic,
            distance: None,
        }
    }

    /// Number of windows of the training clip of median length.
    fn usual_windows(&self, front_end: FrontEnd, features: &Rows) -> u32 {
        let [rows, stride] = front_end.rows_per_window();
        let windows = |&idx: &usize| {
            let further = features.frames(idx).checked_sub(rows)?;
            Some(1 + further / stride)
        };
        let mut counts: Vec<usize> = self.train.fit.iter().filter_map(windows).collect();
        counts.sort_unstable();
        counts
            .get(counts.len() / 2)
            .map_or(1, |count| *count as u32)
    }

    /// Trains a candidate as [`Evaluator::evaluate`] does, and scores all labelled test clips with it.
    pub fn examine(
        &self,
        candidate: &Candidate,
        training: &Training,
        seed: u64,
        stop: &AtomicBool,
    ) -> Result<Examination, EvaluateError> {
        Ok(self.work(candidate, training, seed, stop, true)?.1)
    }
}

impl Evaluator for Pipeline {
    fn content_key(&self, candidate: &Candidate, training: &Training, seed: u64) -> String {
        key_of(&self.content_text(PIPELINE_VERSION, candidate, training, seed))
    }

    fn expected_seconds(&self, candidate: &Candidate, training: &Training) -> f64 {
        self.workload(candidate, training).seconds()
    }

    fn evaluate(
        &self,
        candidate: &Candidate,
        training: &Training,
        seed: u64,
        stop: &AtomicBool,
    ) -> Result<Evaluation, EvaluateError> {
        Ok(self.work(candidate, training, seed, stop, false)?.0)
    }
}

impl Pipeline {
    /// All that decides how a candidate scores, as text.
    fn content_text(
        &self,
        version: u32,
        candidate: &Candidate,
        training: &Training,
        seed: u64,
    ) -> String {
        let options = self.train_options(candidate, training);
        let rules = self.clip_rules(candidate);
        let rules: String = match rules[..] {
            [] | [ClipRule::Mean] => String::new(),
            _ => rules.iter().map(|rule| format!(" {rule}")).collect(),
        };
        // Written only where it is asked for: what is learnt once followed from the layout.
        let learnt = match (self.dataset.learns, self.dataset.layout) {
            (Learns::Sections, _) | (Learns::Labels, Layout::UrbanSound8k) => "",
            (Learns::Labels, _) => " labels",
            (Learns::Classes, _) => " classes",
        };
        format!(
            "{version} {} {} {} {} {seed}{rules}{learnt}",
            candidate.network_key(),
            self.data_hash,
            options.canonical(),
            self.options.threshold.name()
        )
    }

    /// Evaluates a candidate step by step: features, training, quantisation, scores of clips, threshold.
    ///
    /// The float network scores the clips that steer, or all labelled test clips with `thoroughly`.
    fn work(
        &self,
        candidate: &Candidate,
        training: &Training,
        seed: u64,
        stop: &AtomicBool,
        thoroughly: bool,
    ) -> Result<(Evaluation, Examination), EvaluateError> {
        let features = &self.features(&candidate.front_end)?;
        let made = match candidate.task {
            Task::Distance(how) if candidate.head.is_none() => {
                self.fit(features, candidate, &how)?
            }
            _ => {
                let body = candidate.without_head();
                let trained = self.train_on(features, &body, training, seed, stop)?;
                self.finished(features, candidate, trained)?
            }
        };
        self.assess(features, candidate, made, stop, thoroughly)
    }

    /// A trained network, with its head where it gets one.
    fn finished(
        &self,
        features: &FrontEndFeatures,
        candidate: &Candidate,
        trained: Trained,
    ) -> Result<Made, EvaluateError> {
        let Trained { weights, history } = trained;
        let (weights, points, reach) = match candidate.task {
            Task::Distance(how) => {
                let (weights, head) = self.headed(features, candidate, &how, weights)?;
                (weights, head.points, Some(head.reach))
            }
            Task::Reconstruct | Task::Classify { .. } => (weights, Vec::new(), None),
        };
        Ok(Made {
            weights,
            history,
            points,
            reach,
            closed_form: None,
        })
    }

    /// Weights with those of a last layer that is fitted to what the network sees in normal training windows, and that
    /// layer.
    fn headed(
        &self,
        features: &FrontEndFeatures,
        candidate: &Candidate,
        how: &Fit,
        weights: Weights,
    ) -> Result<(Weights, HeadLayer), EvaluateError> {
        let mut weights = weights.under_head(&candidate.graph);
        let [rows, stride] = candidate.front_end.rows_per_window();
        let normals = self.normals(&self.train.fit);
        // Two windows that share more than half of their frames say little more than one.
        let windows = self.windows(features, &normals, rows, stride.max(rows / 2));
        let body = candidate.graph.without_last();
        let mut seen = Vec::with_capacity(windows.len());
        for inputs in batches(&windows) {
            seen.extend(run_float(&body, &weights, &borrowed(&inputs?)));
        }
        let classes = (0..windows.len()).map(|idx| windows.class(idx)).collect();
        let clips = windows.index.iter().map(|(clip, _)| *clip).collect();
        let head = head_layer(how, &seen, classes, clips)
            .map_err(|error| EvaluateError::Failed(error.to_string()))?;
        weights.0.push(Some(head.layer.clone()));
        Ok((weights, head))
    }

    /// Fits a detector in closed form to all normal training clips, those held out from training too: scores out of
    /// sample need no clips of their own.
    fn fit(
        &self,
        features: &FrontEndFeatures,
        candidate: &Candidate,
        how: &Fit,
    ) -> Result<Made, EvaluateError> {
        let mut indices = self.normals(&[&self.train.fit[..], &self.train.validation].concat());
        indices.sort_unstable();
        indices.dedup();
        let front_end = candidate.front_end;
        // Two windows that share more than half of their frames say little more than one.
        let step = (front_end.frames / 2)
            .div_ceil(front_end.frame_stride)
            .max(1);
        let clips = indices
            .iter()
            .map(|&idx| features.0.frames(idx, 0..features.0.rows.frames(idx)))
            .collect::<Result<Vec<Vec<f32>>, _>>()?;
        let bands = features.standardiser().std.len();
        let mut samples = Samples {
            vectors: Vec::new(),
            classes: Vec::new(),
            domains: Vec::new(),
            clips: Vec::new(),
            std: &features.standardiser().std,
        };
        for (idx, clip) in indices.into_iter().zip(&clips) {
            for row in clip.chunks_exact(bands).step_by(step) {
                samples.vectors.push(row);
                samples.classes.push(self.class_of(idx) as u32);
                let is_target = self.dataset.clips[idx].domain == Domain::Target;
                samples.domains.push(u32::from(is_target));
                samples.clips.push(idx as u32);
            }
        }
        let made = closed_form(how, &candidate.graph, &samples);
        let ClosedForm {
            weights,
            points,
            quantized,
            ranges,
            out_of_sample,
            notes,
        } = made.map_err(|error| EvaluateError::Failed(error.to_string()))?;
        Ok(Made {
            weights,
            history: Vec::new(),
            points,
            reach: None,
            closed_form: Some(Fitted {
                quantized,
                ranges,
                out_of_sample,
                notes,
            }),
        })
    }

    /// All that follows training.
    fn assess(
        &self,
        features: &FrontEndFeatures,
        candidate: &Candidate,
        made: Made,
        stop: &AtomicBool,
        thoroughly: bool,
    ) -> Result<(Evaluation, Examination), EvaluateError> {
        let (quantized, choice) = match &made.closed_form {
            None => self.quantize_on(features, candidate, &made.weights)?,
            Some(fitted) => {
                let (ranges, kept) = (fitted.ranges, None);
                (fitted.quantized.clone(), Choice { ranges, kept })
            }
        };
        let quantized = reaching(quantized, made.reach);
        let distance = (!made.points.is_empty())
            .then(|| Distance::quantized(&made.points, quantized.output()));
        let card = ModelCard {
            distance,
            input: Some(quantized.input().into()),
            output: Some(quantized.output().into()),
            ..self.card_of(candidate, features)
        };
        let blob = quantized.to_blob();
        let mut scorer = Scorer::with(&card, &blob)?;
        let windows = self.window_scores(candidate, &made, &mut scorer, features, thoroughly)?;
        if stop.load(Ordering::Relaxed) {
            return Err(EvaluateError::Interrupted);
        }
        let rule = self.best_rule(&self.clip_rules(candidate), &windows);
        let scores = windows.of_clips(rule);
        let normal = match &made.closed_form {
            Some(fitted) => fitted.out_of_sample.clone(),
            None => self.held_out_scores(&mut scorer, rule, features)?,
        };
        let mut card = self.with_threshold(card.clone(), candidate.task, &normal);
        card.clip_score = (rule != ClipRule::Mean).then(|| rule.to_string());
        let mut figures = self.scores(&scores, card.threshold, made.history.len())?;
        figures.clip_rule = rule;
        if let Some(fitted) = made.closed_form {
            figures.notes.extend(fitted.notes);
        }
        figures.int8 = Some(Int8 {
            pipeline: PIPELINE_VERSION,
            input_headroom: choice.ranges.input,
            other_headroom: choice.ranges.others,
            tail: choice.ranges.tail,
            kept: choice.kept,
            auc_lost: self.lost(&figures, Measure::Auc),
            auc_lost_error: self.auc_lost_error(&scores),
            sensitivity_lost: self.lost(&figures, Measure::Sensitivity),
            clipped_normal: self.clipped(&scorer, features, Label::Normal)?,
            clipped_anomaly: self.clipped(&scorer, features, Label::Anomaly)?,
        });
        card.int8 = figures.int8.clone();
        card.hears = figures.hears.clone();
        let model = Model::new(card, quantized.to_tflite(), blob.clone());
        let model = model?.with_weights(made.weights);
        let threshold = model.card.threshold;
        let evaluation = Evaluation {
            scores: figures,
            model: Some(model),
        };
        let mut examination = self.examination(&scores, threshold, made.history);
        examination.int8 = evaluation.scores.int8.clone();
        Ok((evaluation, examination))
    }

    /// Trains a candidate as [`Evaluator::evaluate`] does.
    pub fn train(
        &self,
        candidate: &Candidate,
        training: &Training,
        seed: u64,
        stop: &AtomicBool,
    ) -> Result<Trained, EvaluateError> {
        let features = &self.features(&candidate.front_end)?;
        self.train_on(features, candidate, training, seed, stop)
    }

    /// The int8 network of float weights, with the ranges that detection needs.
    pub fn quantize(
        &self,
        candidate: &Candidate,
        weights: &Weights,
    ) -> Result<(QuantizedModel, Choice), EvaluateError> {
        let features = &self.features(&candidate.front_end)?;
        self.quantize_on(features, candidate, weights)
    }

    /// The int8 networks of float weights with these ranges, and how well their scores follow float scores.
    pub fn quantize_with(
        &self,
        candidate: &Candidate,
        weights: &Weights,
        ranges: &[Ranges],
    ) -> Result<Vec<(QuantizedModel, Choice)>, EvaluateError> {
        let features = &self.features(&candidate.front_end)?;
        let windows = self.lessons(features, candidate);
        let calibration = calibration_windows(&windows.fit)?;
        let sound = windows.sound(features.standardiser());
        quantize_with(candidate, weights, &borrowed(&calibration), &sound, ranges)
    }

    /// Quantises and scores float weights as [`Evaluator::evaluate`] does after training; the number of epochs is
    /// unknown.
    pub fn evaluate_weights(
        &self,
        candidate: &Candidate,
        weights: Weights,
        stop: &AtomicBool,
    ) -> Result<Evaluation, EvaluateError> {
        let trained = Trained {
            weights,
            history: Vec::new(),
        };
        let features = &self.features(&candidate.front_end)?;
        let made = match candidate.task {
            // Fitted anew: the weights alone do not say what normal sound lies near.
            Task::Distance(how) if candidate.head.is_none() => {
                self.fit(features, candidate, &how)?
            }
            _ => self.finished(features, candidate, trained)?,
        };
        Ok(self.assess(features, candidate, made, stop, false)?.0)
    }

    /// Calls `show` with the standardised training windows that calibrate int8 ranges.
    pub fn calibration<T>(
        &self,
        candidate: &Candidate,
        show: impl FnOnce(&[&[f32]]) -> T,
    ) -> Result<T, EvaluateError> {
        let features = &self.features(&candidate.front_end)?;
        let fit = self.lessons(features, candidate).fit;
        Ok(show(&borrowed(&calibration_windows(&fit)?)))
    }

    /// All that a detector of this candidate needs beside its network; there is no threshold yet.
    pub fn card(&self, candidate: &Candidate) -> Result<ModelCard, EvaluateError> {
        let features = self.features(&candidate.front_end)?;
        Ok(self.card_of(candidate, &features))
    }

    /// Trains on the windows of the training clips.
    fn train_on(
        &self,
        features: &FrontEndFeatures,
        candidate: &Candidate,
        training: &Training,
        seed: u64,
        stop: &AtomicBool,
    ) -> Result<Trained, EvaluateError> {
        let own = self.lessons(features, candidate);
        let lessons = Lessons {
            fit: &own.fit,
            validation: &own.validation,
            outliers: Some(&own.outliers),
        };
        let options = self.train_options(candidate, training);
        train_all(candidate, &lessons, &options, seed, stop).map_err(|error| match error {
            TrainError::Interrupted => EvaluateError::Interrupted,
            TrainError::Read(error) => error.into(),
            error => EvaluateError::Failed(error.to_string()),
        })
    }

    /// The windows that a candidate learns from.
    fn lessons<'a>(&self, features: &'a FrontEndFeatures, candidate: &Candidate) -> OwnLessons<'a> {
        let [rows, stride] = candidate.front_end.rows_per_window();
        let chosen = |indices| self.learnt_from(candidate.task, indices);
        let validation = chosen(&self.train.validation);
        OwnLessons {
            fit: self.windows(features, &chosen(&self.train.fit), rows, 1),
            validation: self.windows(features, &validation, rows, stride),
            outliers: self.windows(features, &self.outliers, rows, 1),
        }
    }

    /// The training clips that a network of this task learns from. Autoencoders learn normal sound only, even where
    /// classifiers learn labels.
    fn learnt_from(&self, task: Task, indices: &[usize]) -> Vec<usize> {
        match task {
            Task::Reconstruct | Task::Distance(_) => self.normals(indices),
            Task::Classify { .. } => indices.to_vec(),
        }
    }

    /// Quantises the network: windows of the training clips give the ranges, held-out clips their headroom.
    fn quantize_on(
        &self,
        features: &FrontEndFeatures,
        candidate: &Candidate,
        weights: &Weights,
    ) -> Result<(QuantizedModel, Choice), EvaluateError> {
        let windows = self.lessons(features, candidate);
        let sound = windows.sound(features.standardiser());
        let calibration = calibration_windows(&windows.fit)?;
        quantize_for_detection(candidate, weights, &borrowed(&calibration), &sound)
    }

    /// Scores the windows of labelled test clips with the int8 network, and some of them with the float network.
    fn window_scores(
        &self,
        candidate: &Candidate,
        made: &Made,
        scorer: &mut Scorer<'_>,
        features: &FrontEndFeatures,
        thoroughly: bool,
    ) -> Result<WindowScores, ReadError> {
        let clips = features.0.rows.clips();
        let mut scores = WindowScores {
            float: vec![Vec::new(); clips * self.answers()],
            int8: vec![Vec::new(); clips * self.answers()],
            horizon: scorer.horizon(),
        };
        let TestDivision { steer, shown, .. } = &self.test;
        for idx in both(steer, shown) {
            let claims = self.claims(scorer, idx);
            let found = scorer.class_scores(&*features.device(idx)?, &claims);
            let first = idx * self.answers();
            scores.int8[first..first + found.len()].clone_from_slice(&found);
        }
        let [rows, stride] = candidate.front_end.rows_per_window();
        for idx in both(steer, if thoroughly { shown } else { &[] }) {
            let windows = self.windows(features, &[idx], rows, stride);
            let claims = self.claims(scorer, idx);
            let found = float_scores(candidate, made, &windows, &claims)?;
            let first = idx * self.answers();
            scores.float[first..first + found.len()].clone_from_slice(&found);
        }
        Ok(scores)
    }

    /// Share of the input values that the ends of int8 cut off, over test clips with this label; `None` without clips.
    fn clipped(
        &self,
        scorer: &Scorer<'_>,
        features: &FrontEndFeatures,
        label: Label,
    ) -> Result<Option<f64>, ReadError> {
        let (mut clipped, mut all) = (0, 0);
        for idx in both(&self.test.steer, &self.test.shown) {
            if self.dataset.clips[idx].label == Some(label) {
                let [own, values] = scorer.clipped(&*features.device(idx)?);
                (clipped, all) = (clipped + own, all + values);
            }
        }
        Ok((all > 0).then(|| clipped as f64 / all as f64))
    }

    /// Scores of the normal clips that neither train nor test.
    fn held_out_scores(
        &self,
        scorer: &mut Scorer<'_>,
        rule: ClipRule,
        features: &FrontEndFeatures,
    ) -> Result<Vec<f64>, ReadError> {
        let mut scores = Vec::new();
        for idx in self.normals(&self.train.validation) {
            let class = scorer.class_of(&self.dataset.clips[idx]);
            let windows = scorer.row_scores(&*features.device(idx)?, class);
            scores.extend(clip_score(rule, scorer.horizon(), &windows));
        }
        Ok(scores)
    }

    /// The card with the threshold that the chosen rule draws from the scores of normal clips, the others beside it, and what
    /// false alarms to expect.
    fn with_threshold(&self, card: ModelCard, task: Task, normal: &[f64]) -> ModelCard {
        let thresholds = Thresholds::of(normal, THRESHOLD_QUANTILE);
        let classifies = matches!(task, Task::Classify { .. });
        if self.dataset.learns == Learns::Classes {
            return card;
        }
        let learns_labels = classifies && self.dataset.learns == Learns::Labels;
        let chosen = thresholds.choose(self.options.threshold.resolved(learns_labels));
        ModelCard {
            threshold: chosen.map(|(_, threshold)| threshold),
            threshold_rule: chosen.map(|(rule, _)| rule.name().to_string()),
            false_alarms: chosen.and_then(|(_, threshold)| FalseAlarms::of(normal, threshold)),
            threshold_gamma: thresholds.gamma,
            threshold_quantile: thresholds.quantile,
            ..card
        }
    }
}

/// The same network with an output that reaches so far: normal windows do not show how far anomalies lie.
fn reaching(mut quantized: QuantizedModel, reach: Option<f32>) -> QuantizedModel {
    let wide = reach.map(|reach| QuantParams::from_range(-reach, reach));
    let output = &mut quantized.tensors[quantized.graph.output];
    *output = match wide {
        Some(wide) if wide.scale > output.scale => wide,
        _ => *output,
    };
    quantized
}

/// The key of an evaluation in stores.
fn key_of(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..32].to_string()
}

/// Trains the network, or every member of an ensemble with its own seed. Losses are means over the members.
fn train_all(
    candidate: &Candidate,
    lessons: &Lessons<'_>,
    options: &TrainOptions,
    seed: u64,
    stop: &AtomicBool,
) -> Result<Trained, TrainError> {
    // Far apart: no member may get the seed that another run gives to its own members.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let (member, members) = candidate.members();
    let seeds = (0..members as u64).map(|idx| seed.wrapping_add(idx.wrapping_mul(STEP)));
    let trained = seeds.map(|seed| train(member, candidate.task, lessons, options, seed, stop));
    let mut trained: Vec<Trained> = trained.collect::<Result<_, _>>()?;
    if members == 1 {
        return Ok(trained.remove(0));
    }
    let epochs = trained.iter().map(|one| one.history.len()).min();
    let mean = |epoch: usize, column: usize| {
        let losses = trained.iter().map(|one| one.history[epoch][column]);
        losses.sum::<f32>() / members as f32
    };
    let epochs = 0..epochs.unwrap_or(0);
    let history = epochs.map(|epoch| [mean(epoch, 0), mean(epoch, 1)]);
    Ok(Trained {
        history: history.collect(),
        weights: Weights::side_by_side(
            member,
            trained.into_iter().map(|one| one.weights).collect(),
        ),
    })
}

/// Windows that a candidate learns from.
#[derive(Debug)]
struct OwnLessons<'a> {
    fit: Windows<'a>,
    validation: Windows<'a>,
    outliers: Windows<'a>,
}

impl OwnLessons<'_> {
    /// What judges int8 ranges: normal sound that was held out, and known outliers.
    fn sound<'s>(&'s self, standardiser: &'s Standardiser) -> Sound<'s> {
        Sound {
            held_out: &self.validation,
            outliers: &self.outliers,
            standardiser,
        }
    }
}

/// Windows that show the values of tensors, evenly spread.
fn calibration_windows<'a>(fit: &Windows<'a>) -> Result<Vec<Cow<'a, [f32]>>, ReadError> {
    let step = fit.len().div_ceil(CALIBRATION_WINDOWS).max(1);
    fit.gather((0..fit.len()).step_by(step))
}

/// All windows, those of a batch at a time.
fn batches<'a>(
    windows: &Windows<'a>,
) -> impl Iterator<Item = Result<Vec<Cow<'a, [f32]>>, ReadError>> {
    let starts = (0..windows.len()).step_by(FLOAT_BATCH);
    starts.map(|start| windows.gather(start..windows.len().min(start + FLOAT_BATCH)))
}

fn borrowed<'w>(windows: &'w [Cow<'_, [f32]>]) -> Vec<&'w [f32]> {
    windows.iter().map(|window| &**window).collect()
}

/// Scores of the float network for all windows, against each of some classes.
fn float_scores(
    candidate: &Candidate,
    made: &Made,
    windows: &Windows<'_>,
    claimed: &[usize],
) -> Result<Vec<Vec<f64>>, ReadError> {
    let mut scores = vec![Vec::with_capacity(windows.len()); claimed.len()];
    for batch in batches(windows) {
        let batch = batch?;
        let outputs = run_float(&candidate.graph, &made.weights, &borrowed(&batch));
        for (input, output) in batch.iter().zip(&outputs) {
            for (scores, class) in scores.iter_mut().zip(claimed) {
                scores.push(match candidate.task {
                    Task::Reconstruct => reconstruction_error(input, output),
                    Task::Classify { .. } => negative_log_odds(output, *class),
                    Task::Distance(_) => fit::distance(&made.points, *class, output),
                });
            }
        }
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data::synthetic,
        space::{self, Spaces},
        units::Rng,
    };

    /// Spaces and keys of evaluations by version 3 of the pipeline, from before the key's text was written down.
    ///
    /// The keys of a later version differ only because of its number.
    const GOLDEN: &str = include_str!("../../tests/golden/evaluation_keys.txt");

    #[test]
    fn keys_are_what_they_were() {
        let dataset = synthetic::dataset(synthetic::Machine::Valve);
        let mut found = String::new();
        let mut line = |space: &str, options: Options, rule: ClipRule| {
            let store = FeatureStore::new(None);
            let pipeline = Pipeline::new(dataset.clone(), store, options).unwrap();
            let pipeline = pipeline.scored_by(rule);
            let spaces = Spaces::new(vec![space::load(space).unwrap()], 3);
            let genome = spaces.random(&mut Rng::new(2, 0));
            let training = spaces.space_of(&genome).training;
            let candidate = spaces.decode(&genome);
            let text = |version| pipeline.content_text(version, &candidate, &training, 7);
            let key = pipeline.content_key(&candidate, &training, 7);
            assert_eq!(key, key_of(&text(PIPELINE_VERSION)));
            found += &format!("{space} {}\n", key_of(&text(3)));
        };
        let options = Options {
            epochs: None,
            backend: Backend::Flex,
            threshold: ThresholdRule::default(),
        };
        for space in ["dense-ae", "conv-ae", "mobilenet-v2", "ds-cnn", "mfcc-mlp"] {
            line(space, options, ClipRule::Mean);
        }
        let epochs = Some(3);
        line("dense-ae", Options { epochs, ..options }, ClipRule::Mean);
        for backend in [Backend::FlexBf16, Backend::FlexStock] {
            line("dense-ae", Options { backend, ..options }, ClipRule::Mean);
        }
        for rule in ["gamma", "quantile", "even-odds"] {
            let threshold = rule.parse().unwrap();
            line(
                "ds-cnn",
                Options {
                    threshold,
                    ..options
                },
                ClipRule::Mean,
            );
        }
        for rule in ["max", "q95", "top10"] {
            line("dense-ae", options, rule.parse().unwrap());
        }
        assert_eq!(found, GOLDEN);
    }
}
