//! Draws the figure of ranks: the members of all fronts in order of latency on every target.

use plotters::prelude::DrawingBackend;

use super::{
    MAX_TARGETS, WIDTH,
    canvas::{Canvas, GRID, INK, LABEL, Lettering, Paint, SOFT_INK, TEXT, WHITE},
    labels::Rect,
    pareto::{draw_marker, task_color},
    plot::draw_title,
};
use crate::{
    hardware::Metric,
    report::{ReportError, RunInfo, ranks::Ranks, words::wrapped},
};

/// More lines could not be told apart; the members with the highest AUC are shown.
const MAX_TRIALS: usize = 40;
const ROW: f64 = 24.0;
const TOP: f64 = 150.0;
const SENTENCE: f64 = 24.0;

/// Width and height in pixels.
pub(super) fn size(info: &RunInfo, ranks: &Ranks) -> [f64; 2] {
    let rows = ranks.trials.len().min(MAX_TRIALS) as f64;
    let sentences = sentences(info, ranks).len() as f64;
    [WIDTH, TOP + rows * ROW + 40.0 + sentences * SENTENCE + 20.0]
}

pub(super) fn draw<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    info: &RunInfo,
    ranks: &Ranks,
) -> Result<(), ReportError> {
    let title = format!("Front members of {} by latency", info.run);
    draw_title(canvas, &title, info.synthetic, 0.0)?;
    let soft = Lettering::plain(TEXT, SOFT_INK);
    let facts = "fastest at the top; number: trial; circle: autoencoder, triangle: classifier";
    canvas.text(facts, [WIDTH / 2.0, 74.0], soft.middle())?;

    let shown = ranks.trials.len().min(MAX_TRIALS);
    let targets = info.targets.len().min(MAX_TARGETS);
    let column = |target: usize| 260.0 + (WIDTH - 520.0) * target as f64 / (targets - 1) as f64;
    let places: Vec<Vec<usize>> = ranks.ranks[..targets]
        .iter()
        .map(|ranks| places(&ranks[..shown]))
        .collect();
    let at = |target: usize, trial: usize| {
        let y = TOP + (places[target][trial] as f64 + 0.5) * ROW;
        [column(target), y]
    };
    for target in 0..targets {
        let x = column(target);
        let name = Lettering::plain(TEXT, INK).bold().middle();
        canvas.text(&info.targets[target].name, [x, TOP - 22.0], name)?;
        canvas.line(&[[x, TOP], [x, TOP + shown as f64 * ROW]], GRID, 2.0)?;
    }
    for (idx, trial) in ranks.trials[..shown].iter().enumerate() {
        let color = task_color(trial.task);
        for target in 1..targets {
            canvas.line(&[at(target - 1, idx), at(target, idx)], color, 1.6)?;
        }
    }
    for (idx, trial) in ranks.trials[..shown].iter().enumerate() {
        for target in 0..targets {
            let [x, y] = at(target, idx);
            draw_marker(canvas, trial.task, true, [x, y])?;
            let latency = Metric::Latency.show(ranks.latency_us[target][idx]);
            let text = format!("{}: {latency}", trial.trial);
            let lettering = Lettering::plain(LABEL, INK);
            let (anchor, lettering) = match target {
                0 => ([x - 18.0, y], lettering.right()),
                _ => ([x + 18.0, y], lettering),
            };
            if target > 0 && target + 1 < targets {
                let width = super::canvas::text_width(&text, lettering);
                let plate = Rect::around(x + 18.0 + width / 2.0, y, width + 4.0, 16.0);
                canvas.rect(plate, Paint::faint(WHITE, 0.75))?;
            }
            canvas.text(&text, anchor, lettering)?;
        }
    }
    let mut y = TOP + shown as f64 * ROW + 40.0;
    for line in sentences(info, ranks) {
        canvas.text(&line, [WIDTH / 2.0, y], soft.middle())?;
        y += SENTENCE;
    }
    Ok(())
}

fn sentences(info: &RunInfo, ranks: &Ranks) -> Vec<String> {
    let text = ranks.show(info);
    let lines = text.lines().take(MAX_TARGETS);
    lines.flat_map(|line| wrapped(line, 170)).collect()
}

/// Ranks among the shown members.
fn places(ranks: &[usize]) -> Vec<usize> {
    let place = |rank: &usize| ranks.iter().filter(|other| *other < rank).count();
    ranks.iter().map(place).collect()
}
