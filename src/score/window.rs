//! Scores of one window: how far a network's output is from normal.

/// The mean squared difference of a window and its reconstruction.
pub fn reconstruction_error(x: &[f32], y: &[f32]) -> f64 {
    debug_assert_eq!(x.len(), y.len());
    // Eight sums side by side: the additions need not wait for each other.
    let mut sums = [0.0; 8];
    for (idx, (x, y)) in x.iter().zip(y).enumerate() {
        let difference = f64::from(*x) - f64::from(*y);
        sums[idx % 8] += difference * difference;
    }
    sums.iter().sum::<f64>() / x.len() as f64
}

/// The log-odds against the class that a clip should belong to: `ln(max(1 - p, e)) - ln(max(p, e))`, with `p` its
/// softmax.
///
/// `e` is the double's machine epsilon, and a class beyond the last counts as the last; both are as in the MobileNetV2
/// baseline of DCASE 2022. It is computed from logits without `1 - p`, and keeps its precision near 0 and 1.
pub fn negative_log_odds(logits: &[f32], class: usize) -> f64 {
    let Some(last) = logits.len().checked_sub(1) else {
        return f64::NAN;
    };
    let class = class.min(last);
    let all = log_sum_exp(logits.iter().copied());
    let others = log_sum_exp(
        logits
            .iter()
            .enumerate()
            .filter_map(|(idx, logit)| (idx != class).then_some(*logit)),
    );
    let floor = f64::EPSILON.ln();
    // `f64::max` would hide a logit that is not a number.
    let floored = |log: f64| if log < floor { floor } else { log };
    floored(others - all) - floored(f64::from(logits[class]) - all)
}

fn log_sum_exp(logits: impl Iterator<Item = f32> + Clone) -> f64 {
    let highest = logits
        .clone()
        .fold(f64::NEG_INFINITY, |max, logit| max.max(f64::from(logit)));
    if highest == f64::NEG_INFINITY {
        return highest;
    }
    let sum: f64 = logits.map(|logit| (f64::from(logit) - highest).exp()).sum();
    highest + sum.ln()
}
