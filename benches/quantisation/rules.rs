//! The rules that the present one is held against.

use nas::{
    graph::Weights,
    quant::{Calibration, Interpreter, QuantizedModel, Ranges, run_float, visit_tensors},
    space::Candidate,
};

/// Fixed ranges: the input by four factors, all tensors behind it by four.
pub fn grid() -> Vec<Ranges> {
    let factors = [1.0, 1.5, 2.0, 3.0];
    let pairs = factors
        .into_iter()
        .flat_map(|input| factors.map(|others| (input, others)));
    pairs
        .map(|(input, others)| Ranges {
            tail: 0.0,
            input,
            others,
        })
        .collect()
}

/// Ranges of normal sound alone: of three that leave out more or less at the ends, those whose int8 outputs are nearest
/// to the float network's on 64 calibration windows.
pub fn reproducing(candidate: &Candidate, weights: &Weights, windows: &[&[f32]]) -> QuantizedModel {
    let calibration =
        Calibration::observe(&candidate.graph, weights, windows).expect("finite values");
    let judged: Vec<&[f32]> = windows
        .iter()
        .step_by(windows.len().div_ceil(64))
        .copied()
        .collect();
    let expected = run_float(&candidate.graph, weights, &judged);
    let models = [0.0, 1e-4, 1e-3].map(|tail| {
        let model = calibration.model(Ranges {
            tail,
            input: 1.0,
            others: 1.0,
        });
        let blob = model.to_blob();
        let mut interpreter = Interpreter::new(&blob).expect("a network that runs");
        let mut error = 0.0;
        for (window, expected) in judged.iter().zip(&expected) {
            let pairs = interpreter.run_float(window).zip(expected);
            error += pairs
                .map(|(found, expected)| f64::from(found - expected).powi(2))
                .sum::<f64>();
        }
        (error, model)
    });
    let best = models.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
    best.expect("there are three").1
}

/// Moving averages of every window's smallest and largest value, per tensor.
pub fn averages(candidate: &Candidate, weights: &Weights, windows: &[&[f32]]) -> Vec<[f32; 2]> {
    /// ai-edge-quantizer's `smoothing_factor`.
    const KEPT: f32 = 0.95;
    let mut bounds: Vec<Option<[f32; 2]>> = vec![None; candidate.graph.tensors.len()];
    for window in windows {
        visit_tensors(&candidate.graph, weights, &[window], |tensor, values| {
            let min = values.iter().copied().fold(f32::INFINITY, f32::min);
            let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            bounds[tensor] = Some(match bounds[tensor] {
                None => [min, max],
                Some([low, high]) => [
                    KEPT * low + (1.0 - KEPT) * min,
                    KEPT * high + (1.0 - KEPT) * max,
                ],
            });
        });
    }
    bounds
        .into_iter()
        .map(|bounds| bounds.unwrap_or([0.0; 2]))
        .collect()
}
