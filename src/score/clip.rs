//! From the scores of a clip's windows to the score of the clip, by the code that a device runs.

use nas_kernels::decision::RunningScore;
pub use nas_kernels::decision::{ClipRule, UnknownClipRule};

use super::statistics::mean;

/// The score of a clip from the scores of its windows, as a device gives it that looks back at `horizon` windows, or at
/// all of the clip's where those are more; `None` without windows.
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

/// The same from a float network's scores, whose mean is of 64 bits; not a number where one window's score is not.
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
