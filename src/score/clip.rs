//! Makes the score of a clip from the scores of its windows, by the code that a device runs.

use nas_kernels::decision::RunningScore;
pub use nas_kernels::decision::{ClipRule, UnknownClipRule};

use super::statistics::mean;

/// The score of a clip from the scores of its windows, as on a device. The device's score covers the latest `horizon`
/// windows, or all windows of the clip where there are more. `None` without windows.
pub fn clip_score(rule: ClipRule, horizon: u32, windows: &[f32]) -> Option<f64> {
    let count = u32::try_from(windows.len())
        .unwrap_or(u32::MAX)
        .max(horizon);
    let mut memory = vec![0; rule.memory_words(count)];
    let mut running = RunningScore::new(rule, count, &mut memory)?;
    for score in windows {
        running.push(*score);
    }
    running.score().map(f64::from)
}

/// The same from a float network's scores, with a mean in 64 bits. Not a number where a window's score is not a number.
pub fn float_clip_score(rule: ClipRule, horizon: u32, windows: &[f64]) -> Option<f64> {
    if windows.iter().any(|score| score.is_nan()) {
        return Some(f64::NAN);
    }
    if rule == ClipRule::Mean {
        return (!windows.is_empty()).then(|| mean(windows));
    }
    let windows: Vec<f32> = windows.iter().map(|score| *score as f32).collect();
    clip_score(rule, horizon, &windows)
}
