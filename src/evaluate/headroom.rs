//! Chooses the int8 ranges that detection needs, by how well int8 scores follow float scores on sound outside of
//! training.
//!
//! Ranges that reproduce normal sound best end where normal sound ends, but a detector must see what lies beyond.
//! Ranges are therefore judged by held-out normal windows, by the same windows made louder, with short events, and with
//! both, and by known outliers or claims of another class. Test clips are never used.

use nas_kernels::score::window_score;

use super::EvaluateError;
use super::model::task_of;
use crate::{
    audio::Feature,
    features::{ReadError, Standardiser, Windows},
    graph::Weights,
    quant::{Calibration, Interpreter, QuantizeError, QuantizedModel, Ranges, run_float},
    score::{negative_log_odds, reconstruction_error},
    space::{Candidate, Task},
    units::Rng,
};

/// Number of held-out normal windows that judge, evenly spread.
const ORDINARY: usize = 10;
/// How much louder the louder windows are, dB: a microphone's gain may differ by that between laboratory and field.
const LOUDER_DB: f32 = 6.0;
/// Most that a band becomes louder, in its standard deviations: where a band hardly varies, 6 dB are too much.
const LOUDEST: f32 = 6.0;
/// How much events add at their strongest place, in standard deviations; windows take turns.
const EVENTS: [f32; 3] = [3.0, 6.0, 9.0];
/// Share of the bands that an event covers.
const EVENT_BANDS: f64 = 0.25;
/// Number of frames that an event covers.
const EVENT_FRAMES: usize = 2;
/// Other ranges must keep so much more than the present ones: the luck of a few windows must not choose.
const MARGIN: f64 = 0.001;

/// The values that one part of the ranges may take, and how it is set.
type Stage = (&'static [f64], fn(&mut Ranges, f64));

/// The values to try beside the default, a line after the other, each from the best so far: the factor of the input,
/// the factor of all other tensors, and the share of values that is left out.
const STAGES: [Stage; 3] = [
    (&[1.0, 1.5, 3.0, 4.0], |ranges, factor| {
        ranges.input = factor as f32
    }),
    (&[1.0, 2.0, 3.0], |ranges, factor| {
        ranges.others = factor as f32
    }),
    (&[1e-4, 1e-3], |ranges, share| ranges.tail = share),
];

/// The chosen ranges, and how well int8 scores follow float scores with them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The ranges that the int8 network has.
    pub ranges: Ranges,
    /// Share of what float scores tell apart that int8 scores tell apart, 0 to 1; `None` where nothing could judge.
    pub kept: Option<f64>,
}

/// The sound that judges ranges.
#[derive(Debug)]
pub struct Sound<'a> {
    /// Normal windows that the network was not fitted to.
    pub held_out: &'a Windows<'a>,
    /// Windows of known anomalies among the training clips.
    pub outliers: &'a Windows<'a>,
    /// What the windows were standardised by.
    pub standardiser: &'a Standardiser,
}

/// The int8 network with the ranges that detection needs; [`Ranges::DEFAULT`] where nothing can judge them.
pub fn quantize_for_detection(
    candidate: &Candidate,
    weights: &Weights,
    calibration: &[&[f32]],
    sound: &Sound<'_>,
) -> Result<(QuantizedModel, Choice), EvaluateError> {
    let calibration =
        Calibration::observe(&candidate.graph, weights, calibration).map_err(failed)?;
    let judge = Judge::new(candidate, weights, sound)?;
    let attempt = |ranges| -> Result<(QuantizedModel, Choice), EvaluateError> {
        let model = calibration.model(ranges);
        let kept = judge.as_ref().map(|judge| judge.kept(&model));
        let kept = kept.transpose().map_err(failed)?;
        Ok((model, Choice { ranges, kept }))
    };
    let mut best = attempt(Ranges::DEFAULT)?;
    let Some(mut kept) = best.1.kept else {
        return Ok(best);
    };
    for (values, set) in STAGES {
        let from = best.1.ranges;
        for value in values {
            let mut ranges = from;
            set(&mut ranges, *value);
            let tried = attempt(ranges)?;
            if let Some(better) = tried.1.kept.filter(|tried| *tried > kept + MARGIN) {
                (best, kept) = (tried, better);
            }
        }
    }
    Ok(best)
}

/// The int8 networks with these ranges, each judged as [`quantize_for_detection`] judges.
pub fn quantize_with(
    candidate: &Candidate,
    weights: &Weights,
    calibration: &[&[f32]],
    sound: &Sound<'_>,
    ranges: &[Ranges],
) -> Result<Vec<(QuantizedModel, Choice)>, EvaluateError> {
    let calibration =
        Calibration::observe(&candidate.graph, weights, calibration).map_err(failed)?;
    let judge = Judge::new(candidate, weights, sound)?;
    let judged = ranges.iter().map(|&ranges| {
        let model = calibration.model(ranges);
        let kept = judge.as_ref().map(|judge| judge.kept(&model));
        let kept = kept.transpose().map_err(failed)?;
        Ok((model, Choice { ranges, kept }))
    });
    judged.collect()
}

/// A network that cannot be quantised is its candidate's fault.
fn failed(error: QuantizeError) -> EvaluateError {
    EvaluateError::Failed(error.to_string())
}

/// A window, and the class that its sound claims.
type Probe = (Vec<f32>, usize);

/// Windows of one kind, and their scores by the float network.
#[derive(Debug)]
struct Kind {
    probes: Vec<Probe>,
    float: Vec<f64>,
}

/// Scores of the float network on all kinds of windows; the first kind is ordinary.
#[derive(Debug)]
struct Judge {
    task: Task,
    ordinary: Kind,
    unusual: Vec<Kind>,
}

impl Judge {
    /// Scores all windows by the float network; `None` where there are too few windows, or their scores do not differ.
    fn new(
        candidate: &Candidate,
        weights: &Weights,
        sound: &Sound<'_>,
    ) -> Result<Option<Judge>, ReadError> {
        // Statistics have no frames that events could stand in, and a distance is not known before it is quantised.
        let is_distance = matches!(candidate.task, Task::Distance(_));
        if is_distance || candidate.front_end.statistics.is_some() {
            return Ok(None);
        }
        let ordinary = spread(sound.held_out)?;
        let bands = candidate.front_end.spec.bands();
        let companding = candidate.front_end.companding;
        // Sound changes before it is companded.
        let changed = |change: &dyn Fn(usize, &mut [f32])| -> Vec<Probe> {
            let mut probes = ordinary.clone();
            for (idx, (window, _)) in probes.iter_mut().enumerate() {
                if let Some(companding) = companding {
                    window
                        .iter_mut()
                        .for_each(|value| *value = companding.expand(*value));
                }
                change(idx, window);
                if let Some(companding) = companding {
                    window
                        .iter_mut()
                        .for_each(|value| *value = companding.compress(*value));
                }
            }
            probes
        };
        let louder = louder(candidate, sound.standardiser);
        let make_louder = |_: usize, window: &mut [f32]| {
            for frame in window.chunks_exact_mut(bands) {
                frame
                    .iter_mut()
                    .zip(&louder)
                    .for_each(|(value, by)| *value += by);
            }
        };
        let events: Vec<Vec<f32>> = (0..ordinary.len())
            .map(|idx| event(candidate, sound.standardiser, idx))
            .collect();
        let add_event = |idx: usize, window: &mut [f32]| {
            let frames = window.len() / bands;
            let first = idx % frames.saturating_sub(EVENT_FRAMES - 1).max(1);
            let frames = window
                .chunks_exact_mut(bands)
                .skip(first)
                .take(EVENT_FRAMES);
            for frame in frames {
                frame
                    .iter_mut()
                    .zip(&events[idx])
                    .for_each(|(value, by)| *value += by);
            }
        };
        let mut unusual = vec![
            changed(&make_louder),
            changed(&add_event),
            changed(&|idx, window| {
                add_event(idx, window);
                make_louder(idx, window);
            }),
            spread(sound.outliers)?,
        ];
        if let Task::Classify { classes } = candidate.task {
            let other = |(window, class): &Probe| (window.clone(), (class + 1) % classes.max(1));
            unusual.push(ordinary.iter().map(other).collect());
        }
        let kind = |probes: Vec<Probe>| Kind {
            float: float_scores(candidate, weights, &probes),
            probes,
        };
        let judge = Judge {
            task: candidate.task,
            ordinary: kind(ordinary),
            unusual: unusual
                .into_iter()
                .filter(|probes| !probes.is_empty())
                .map(kind)
                .collect(),
        };
        Ok((deviation(&judge.ordinary.float) > 0.0).then_some(judge))
    }

    /// Share of what float scores tell apart that int8 scores tell apart, too. It is the correlation of both on
    /// ordinary windows, times the part of the unusual windows' scores that int8 gives as float does, on the scale of
    /// ordinary windows.
    fn kept(&self, model: &QuantizedModel) -> Result<f64, QuantizeError> {
        let blob = model.to_blob();
        let mut interpreter = Interpreter::new(&blob)?;
        let mut scores = |kind: &Kind| int8_scores(&mut interpreter, self.task, &kind.probes);
        let line = Line::fit(&self.ordinary.float, &scores(&self.ordinary));
        let spread = deviation(&self.ordinary.float);
        let centre = mean(&self.ordinary.float);
        let lost = self.unusual.iter().map(|kind| {
            let found = scores(kind);
            let error = kind
                .float
                .iter()
                .zip(&found)
                .map(|(float, int8)| (line.inverse(*int8) - float).abs());
            let rise = kind.float.iter().map(|float| (float - centre).abs());
            (error.sum::<f64>() / (rise.sum::<f64>() + spread * found.len() as f64)).min(1.0)
        });
        let lost = lost.sum::<f64>() / self.unusual.len().max(1) as f64;
        let kept = line.correlation * (1.0 - lost);
        Ok(if kept.is_finite() { kept.max(0.0) } else { 0.0 })
    }
}

/// Windows evenly spread, with their classes.
fn spread(windows: &Windows<'_>) -> Result<Vec<Probe>, ReadError> {
    let count = windows.len().min(ORDINARY);
    let place = |idx: usize| (2 * idx + 1) * windows.len() / (2 * count);
    let probe = |idx: usize| {
        let window = windows.window(idx)?.into_owned();
        Ok((window, windows.class(idx) as usize))
    };
    (0..count).map(place).map(probe).collect()
}

/// The change of a standardised frame where the sound is [`LOUDER_DB`] louder.
fn louder(candidate: &Candidate, standardiser: &Standardiser) -> Vec<f32> {
    let mels = vec![LOUDER_DB; candidate.front_end.spec.n_mels];
    let louder = standardised(candidate, standardiser, &mels);
    louder.into_iter().map(|by| by.min(LOUDEST)).collect()
}

/// The change of a standardised frame by a short event in some neighbouring mel bands; every number has another place.
fn event(candidate: &Candidate, standardiser: &Standardiser, number: usize) -> Vec<f32> {
    let n_mels = candidate.front_end.spec.n_mels;
    let width = ((EVENT_BANDS * n_mels as f64) as usize).max(1);
    let first = Rng::new(number as u64, 0x6576_656e_7473).below(n_mels - width + 1);
    let mels: Vec<f32> = (0..n_mels)
        .map(|mel| {
            if (first..first + width).contains(&mel) {
                1.0
            } else {
                0.0
            }
        })
        .collect();
    let mut frame = standardised(candidate, standardiser, &mels);
    let strongest = frame
        .iter()
        .fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
    let strength = EVENTS[number % EVENTS.len()] / strongest;
    frame.iter_mut().for_each(|value| *value *= strength);
    frame
}

/// The change of a standardised frame by a change of the mel bands in dB.
fn standardised(candidate: &Candidate, standardiser: &Standardiser, mels: &[f32]) -> Vec<f32> {
    let features: Vec<f32> = match candidate.front_end.spec.feature {
        Feature::LogMel => mels.to_vec(),
        Feature::Mfcc { coefficients } => (0..coefficients).map(|k| cosine(mels, k)).collect(),
    };
    features
        .iter()
        .zip(&standardiser.std)
        .map(|(change, std)| change / std)
        .collect()
}

/// A coefficient of the orthonormal DCT-II.
fn cosine(values: &[f32], k: usize) -> f32 {
    let count = values.len() as f64;
    let term = |(idx, value): (usize, &f32)| {
        f64::from(*value) * (std::f64::consts::PI * k as f64 * (idx as f64 + 0.5) / count).cos()
    };
    let scale = if k == 0 { 1.0 } else { 2.0 };
    let sum: f64 = values.iter().enumerate().map(term).sum();
    (sum * (scale / count).sqrt()) as f32
}

fn float_scores(candidate: &Candidate, weights: &Weights, probes: &[Probe]) -> Vec<f64> {
    let windows: Vec<&[f32]> = probes.iter().map(|(window, _)| window.as_slice()).collect();
    let outputs = run_float(&candidate.graph, weights, &windows);
    let score = |((window, class), output): (&Probe, &Vec<f32>)| match candidate.task {
        Task::Reconstruct => reconstruction_error(window, output),
        Task::Classify { .. } => negative_log_odds(output, *class),
        // No judge is made for it.
        Task::Distance(_) => 0.0,
    };
    probes.iter().zip(&outputs).map(score).collect()
}

fn int8_scores(interpreter: &mut Interpreter<'_>, task: Task, probes: &[Probe]) -> Vec<f64> {
    let [input, output] = interpreter.ends();
    let quantizer = interpreter.input();
    let score = |(window, class): &Probe| {
        let window: Vec<i8> = window
            .iter()
            .map(|value| quantizer.quantize(*value))
            .collect();
        let result = interpreter.run(&window);
        f64::from(window_score(
            task_of(task),
            *class,
            None,
            [&window, &[]],
            &input,
            result,
            &output,
        ))
    };
    probes.iter().map(score).collect()
}

/// The straight line that fits int8 scores to float scores best.
#[derive(Debug, Clone, Copy)]
struct Line {
    slope: f64,
    offset: f64,
    correlation: f64,
}

impl Line {
    fn fit(float: &[f64], int8: &[f64]) -> Line {
        let (x, y) = (mean(float), mean(int8));
        let product: f64 = float.iter().zip(int8).map(|(a, b)| (a - x) * (b - y)).sum();
        let (sx, sy) = (deviation(float), deviation(int8));
        let covariance = product / float.len() as f64;
        let slope = covariance / (sx * sx);
        Line {
            slope,
            offset: y - slope * x,
            correlation: covariance / (sx * sy),
        }
    }

    /// The float score that an int8 score stands for.
    fn inverse(&self, int8: f64) -> f64 {
        (int8 - self.offset) / self.slope
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The root mean square distance from the mean; 0 for fewer than two values.
fn deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let mean = mean(values);
    let squares = values.iter().map(|value| (value - mean).powi(2));
    (squares.sum::<f64>() / values.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Spaces, builtin};

    #[test]
    fn a_change_of_all_bands_is_one_of_the_first_coefficient() {
        let all = [2.0f32; 40];
        let first = cosine(&all, 0);
        // The orthonormal transform keeps the length of a vector; sums of 40 products round in the seventh digit.
        assert!((first - 2.0 * 40f32.sqrt()).abs() < 1e-5, "{first}");
        for k in 1..13 {
            assert!(cosine(&all, k).abs() < 1e-5, "{k}");
        }
        let one: Vec<f32> = (0..40)
            .map(|mel| if mel == 7 { 1.0 } else { 0.0 })
            .collect();
        let squares: f32 = (0..40).map(|k| cosine(&one, k).powi(2)).sum();
        assert!((squares - 1.0).abs() < 1e-5, "{squares}");
    }

    #[test]
    fn a_line_takes_scores_back() {
        let float = [1.0, 2.0, 4.0];
        let int8 = float.map(|score| 3.0 * score - 1.0);
        let line = Line::fit(&float, &int8);
        assert!((line.correlation - 1.0).abs() < 1e-12);
        assert!((line.inverse(29.0) - 10.0).abs() < 1e-9);
    }

    /// Without held-out windows the default is used. With some, a network that int8 hardly changes keeps its scores.
    #[test]
    fn the_default_stands_where_nothing_judges() {
        let spaces = Spaces::new(builtin(), 1).trained();
        let mut rng = Rng::new(4, 0);
        let candidate = loop {
            let candidate = spaces.decode(&spaces.random(&mut rng));
            if candidate.graph.macs() < 60_000 {
                break candidate;
            }
        };
        let graph = &candidate.graph;
        let random = |count: usize, rng: &mut Rng| -> Vec<f32> {
            (0..count)
                .map(|_| rng.normal() as f32 / (count as f32).sqrt())
                .collect()
        };
        let ops = graph.ops.iter().map(|op| {
            let [weights, biases] = [graph.op_weight_len(op), graph.op_bias_len(op)];
            let weight = random(weights, &mut rng);
            (biases > 0).then(|| crate::graph::OpWeights {
                weight,
                bias: vec![0.0; biases],
            })
        });
        let weights = Weights(ops.collect());
        let bands = candidate.front_end.spec.bands();
        let clip = crate::features::Matrix {
            bands,
            values: (0..bands * 200).map(|_| rng.normal() as f32).collect(),
        };
        let frames = candidate.front_end.frames;
        let all = Windows::new(vec![&clip], vec![0], frames, 1);
        let none = Windows::new(Vec::new(), Vec::new(), frames, 1);
        let windows = all.gather(0..all.len()).unwrap();
        let calibration: Vec<&[f32]> = windows.iter().map(|window| &**window).collect();
        let standardiser = Standardiser {
            mean: vec![0.0; bands],
            std: vec![1.0; bands],
        };
        let choose = |held_out| {
            let sound = Sound {
                held_out,
                outliers: &none,
                standardiser: &standardiser,
            };
            quantize_for_detection(&candidate, &weights, &calibration, &sound)
                .unwrap()
                .1
        };
        assert_eq!(
            choose(&none),
            Choice {
                ranges: Ranges::DEFAULT,
                kept: None
            }
        );
        let kept = choose(&all).kept.unwrap();
        assert!(kept > 0.8, "{kept}");
    }
}
