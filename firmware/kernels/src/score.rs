//! Scores of a window from a network's output.

mod centres;

pub use centres::{Centres, STEPS as CENTRE_STEPS};

use crate::{
    blob::{Task, Tensor},
    front_end::log::{exp, ln},
};

/// Bounds of [`log_odds_against`]: the logarithm of the machine epsilon of f64, as in the DCASE baselines.
const LARGEST_LOG_ODDS: f32 = 36.043_65;

/// The anomaly score of one window; higher is more anomalous. `class` is the class that the sound should have.
///
/// `window` is the network's input, possibly in two pieces. Distances are measured from `centres`.
pub fn window_score(
    task: Task,
    class: usize,
    centres: Option<&Centres<'_>>,
    window: [&[i8]; 2],
    input: &Tensor,
    result: &[i8],
    output: &Tensor,
) -> f32 {
    match task {
        Task::Reconstruct => reconstruction_error(window, input, result, output),
        Task::Classify => log_odds_against(result, output, class),
        // A model of this task has centres, or it is refused.
        Task::Distance => centres.map_or(0.0, |centres| centres.distance(class, result, output)),
    }
}

/// The mean squared difference of a window and its reconstruction, both dequantised.
///
/// Sums of products are exact, and three of them are joined in 64 bits: the order of additions does not matter.
pub fn reconstruction_error(
    window: [&[i8]; 2],
    input: &Tensor,
    result: &[i8],
    output: &Tensor,
) -> f32 {
    let (first, second) = result.split_at(window[0].len().min(result.len()));
    let zero_points = [input.zero_point, output.zero_point];
    let mut sums = [0; 3];
    for (window, result) in [(window[0], first), (window[1], second)] {
        add_products(&mut sums, window, result, zero_points);
    }
    let [seen, both, made] = sums.map(|sum| sum as f64);
    let (input, output) = (f64::from(input.scale), f64::from(output.scale));
    let sum = seen * (input * input) - both * (2.0 * input * output) + made * (output * output);
    // Rounding can leave a little less than zero.
    (sum.max(0.0) / result.len() as f64) as f32
}

/// Adds the products `x x`, `x y` and `y y`.
fn add_products(sums: &mut [i64; 3], left: &[i8], right: &[i8], [left_zero, right_zero]: [i32; 2]) {
    // A product is at most 2^16, so a piece of 2^14 fits 32 bits.
    const PIECE: usize = 1 << 14;
    for (left, right) in left.chunks(PIECE).zip(right.chunks(PIECE)) {
        let mut piece = [0i32; 3];
        for (left, right) in left.iter().zip(right) {
            let x = i32::from(*left) - left_zero;
            let y = i32::from(*right) - right_zero;
            piece[0] += x * x;
            piece[1] += x * y;
            piece[2] += y * y;
        }
        for (sum, piece) in sums.iter_mut().zip(piece) {
            *sum += i64::from(piece);
        }
    }
}

/// The log-odds against a class, `ln((1 - p) / p)` with `p` its softmax; within ±36, which is `ln` of f64's epsilon.
///
/// A class beyond the last counts as the last.
pub fn log_odds_against(logits: &[i8], output: &Tensor, class: usize) -> f32 {
    let class = class.min(logits.len().saturating_sub(1));
    let others = || logits.iter().enumerate().filter(|(idx, _)| *idx != class);
    let Some(largest) = others().map(|(_, logit)| *logit).max() else {
        return -LARGEST_LOG_ODDS;
    };
    let distance = |from: i8, to: i8| (i32::from(to) - i32::from(from)) as f32 * output.scale;
    let mut sum = 0.0;
    for (_, logit) in others() {
        sum += exp(distance(largest, *logit));
    }
    let log_odds = distance(logits[class], largest) + ln(sum);
    log_odds.clamp(-LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: Tensor = Tensor {
        offset: 0,
        shape: [1, 1, 3],
        scale: 0.125,
        zero_point: -3,
    };

    #[test]
    fn window_scores_are_those_of_64_bits() {
        let input = Tensor {
            scale: 0.05,
            zero_point: 7,
            ..OUTPUT
        };
        let value = |tensor: &Tensor, q: i8| {
            f64::from(tensor.scale) * f64::from(i32::from(q) - tensor.zero_point)
        };
        let check = |window: &[i8], result: &[i8]| {
            let differences = window.iter().zip(result);
            let squares =
                differences.map(|(x, y)| (value(&input, *x) - value(&OUTPUT, *y)).powi(2));
            let expected = (squares.sum::<f64>() / window.len() as f64) as f32;
            for cut in 0..=window.len() {
                let (first, second) = window.split_at(cut);
                let found = reconstruction_error([first, second], &input, result, &OUTPUT);
                // The sums are exact; the product of the scales is rounded in 64 bits.
                let allowed = 1e-6 * expected;
                assert!((found - expected).abs() <= allowed, "{found} {expected}");
            }
        };
        check(&[-128, 127, 0], &[127, -128, 5]);
        check(&[1, 2, 3, 100], &[0, 1, 2, 40]);

        let check = |logits: &[i8], class: usize| {
            let exp = |idx: usize| value(&OUTPUT, logits[idx]).exp();
            let own = class.min(logits.len() - 1);
            let others: f64 = (0..logits.len()).filter(|idx| *idx != own).map(exp).sum();
            let expected = (others / exp(own)).ln() as f32;
            let found = log_odds_against(logits, &OUTPUT, class);
            // Half a dozen roundings of numbers up to 36.
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        };
        check(&[-128, 127, 0], 1);
        check(&[-128, 127, 0], 2);
        check(&[5, 5, 5], 9);
        assert_eq!(log_odds_against(&[1], &OUTPUT, 0), -LARGEST_LOG_ODDS);
        let wide = Tensor {
            scale: 9.0,
            ..OUTPUT
        };
        assert_eq!(log_odds_against(&[100, -100], &wide, 1), LARGEST_LOG_ODDS);
    }
}
