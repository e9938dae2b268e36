//! Makes an int8 detector of a fit in closed form: chooses the ranges of its whitening layer, and says what is notable.

use crate::{
    fit::{FitError, Fitted, MOSTLY_GUESSED, Point, Samples, fit},
    graph::{Graph, GraphBuilder, OpWeights, Shape, Style, Weights},
    quant::{QuantizeError, QuantizedModel, Ranges, quantize_within},
    space::Fit,
};

/// A detector that was fitted and quantised.
#[derive(Debug)]
pub(super) struct ClosedForm {
    /// Weights of the whitening layer.
    pub weights: Weights,
    /// The points near which normal sound lies.
    pub points: Vec<Point>,
    /// The int8 network.
    pub quantized: QuantizedModel,
    /// Factors by which the ranges reach further than normal sound.
    pub ranges: Ranges,
    /// Scores of the fitted clips, each by a fit without it.
    pub out_of_sample: Vec<f64>,
    /// What a reader must know, a sentence each.
    pub notes: Vec<String>,
}

/// A fit that did not become a detector.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClosedFormError {
    #[error(transparent)]
    Fit(#[from] FitError),
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
}

/// Share of a normal score that rounding the input to int8 may add.
const INPUT_NOISE: f64 = 0.01;
/// Times the range that adds so much, from which on rounding is remarked on: it adds a tenth.
const COARSE: f64 = 3.2;
/// The input's range reaches so many times as far as normal sound does.
const HEADROOM: f64 = 1.5;
/// The input's range in standard deviations, where rounding allows: beyond it all is equally unusual.
const WIDE: f64 = 12.0;
/// The output's range in standard deviations of normal sound out of sample: what is rounded off is a four-hundredth of
/// its variance, and an anomaly of one direction alone is not cut off before it is beyond doubt.
const REACH: f64 = 24.0;

/// Fits and quantises a detector of a graph with one layer.
pub(super) fn closed_form(
    how: &Fit,
    graph: &Graph,
    samples: &Samples<'_>,
) -> Result<ClosedForm, ClosedFormError> {
    let Fitted {
        weights,
        points,
        out_of_sample,
        shrinkage,
    } = fit(how, graph, samples)?;
    let scores: Vec<f64> = out_of_sample.iter().map(|(_, score)| *score).collect();
    let usual = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
    // Few clips tell little of what is usual; a whitened vector has a mean square of one.
    let reach = (REACH * usual.max(1.0).sqrt()) as f32;
    let farthest = farthest(samples);
    let allowed = allowed_input(&weights, points[0].coordinates.len());
    let wanted = HEADROOM * farthest;
    let input = wanted.max(allowed.min(WIDE)) as f32;
    let ranges: Vec<[f32; 2]> = (0..graph.tensors.len())
        .map(|tensor| match tensor == graph.output {
            true => [-reach, reach],
            false => [-input, input],
        })
        .collect();
    let quantized = quantize_within(graph, &weights, &ranges)?;
    let mut notes = Vec::new();
    if shrinkage >= MOSTLY_GUESSED {
        notes.push(format!(
            "{} windows of normal sound are few for a covariance of {} statistics: {:.0} % of it is guessed",
            samples.vectors.len(),
            samples.std.len(),
            100.0 * shrinkage
        ));
    }
    if wanted > allowed * COARSE {
        notes.push(
            "eight bits are coarse for its input: some statistics hardly vary apart from each other; fewer groups of \
             bands, or a covariance that is shrunk more, lose less"
                .to_string(),
        );
    }
    Ok(ClosedForm {
        ranges: Ranges {
            input: input / farthest as f32,
            others: REACH as f32,
            tail: 0.0,
        },
        weights,
        points,
        quantized,
        out_of_sample: scores,
        notes,
    })
}

/// A layer that whitens what a network has learnt to see, and the points that normal sound lies near.
#[derive(Debug)]
pub(super) struct HeadLayer {
    /// Weights of the whitening layer.
    pub layer: OpWeights,
    /// The points near which normal sound lies.
    pub points: Vec<Point>,
    /// How far the layer's output reaches where it is not cut off.
    pub reach: f32,
}

/// Fits the layer to vectors that the network gives for windows of normal sound, one class each.
pub(super) fn head_layer(
    how: &Fit,
    vectors: &[Vec<f32>],
    classes: Vec<u32>,
    clips: Vec<u32>,
) -> Result<HeadLayer, FitError> {
    let size = vectors.first().map_or(0, Vec::len);
    let deviation: Vec<f32> = (0..size).map(|idx| deviation(vectors, idx)).collect();
    let scaled: Vec<Vec<f32>> = vectors
        .iter()
        .map(|vector| vector.iter().zip(&deviation).map(|(v, d)| v / d).collect())
        .collect();
    let samples = Samples {
        vectors: scaled.iter().map(Vec::as_slice).collect(),
        domains: vec![0; classes.len()],
        classes,
        clips,
        std: &vec![1.0; size],
    };
    let mut net = GraphBuilder::new(Shape::vector(size));
    let whitened = net.dense(0, size, Style::LINEAR);
    let Fitted {
        weights,
        points,
        out_of_sample,
        ..
    } = fit(how, &net.finish(whitened), &samples)?;
    let layer = weights.0.into_iter().flatten().next();
    let mut layer = layer.expect("a dense layer has weights");
    for row in layer.weight.chunks_exact_mut(size) {
        row.iter_mut().zip(&deviation).for_each(|(w, d)| *w /= d);
    }
    let usual = out_of_sample.iter().map(|(_, score)| score).sum::<f64>();
    let usual = usual / out_of_sample.len().max(1) as f64;
    Ok(HeadLayer {
        layer,
        points,
        reach: (REACH * usual.max(1.0).sqrt()) as f32,
    })
}

/// The standard deviation of a number over vectors; 1 where it does not vary, as the embedding of a dead unit.
fn deviation(vectors: &[Vec<f32>], idx: usize) -> f32 {
    let count = vectors.len().max(1) as f64;
    let mean = vectors.iter().map(|v| f64::from(v[idx])).sum::<f64>() / count;
    let square = |vector: &Vec<f32>| (f64::from(vector[idx]) - mean).powi(2);
    let deviation = (vectors.iter().map(square).sum::<f64>() / count).sqrt();
    match deviation > 1e-6 {
        true => deviation as f32,
        false => 1.0,
    }
}

/// The largest standardised value.
fn farthest(samples: &Samples<'_>) -> f64 {
    let values = samples.vectors.iter().flat_map(|vector| vector.iter());
    f64::from(values.fold(1.0f32, |largest, value| largest.max(value.abs())))
}

/// The range within which rounding the input to 255 steps adds no more than [`INPUT_NOISE`] to a score of one.
fn allowed_input(weights: &Weights, outputs: usize) -> f64 {
    let layer = weights.0.iter().flatten().next();
    let largest = layer.map_or(0.0, |layer| {
        let blocks = layer.bias.len() / outputs.max(1);
        let length = layer.weight.len() / blocks.max(1);
        let gain = |block: &[f32]| block.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>();
        layer
            .weight
            .chunks(length.max(1))
            .map(gain)
            .fold(0.0, f64::max)
    });
    // A step of `s` has a variance of s^2 / 12; the score is a mean over the outputs.
    let step = (12.0 * INPUT_NOISE * outputs as f64 / largest.max(f64::MIN_POSITIVE)).sqrt();
    step * 255.0 / 2.0
}
