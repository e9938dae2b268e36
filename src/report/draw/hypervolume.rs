//! Draws the hypervolume figure: one curve per target over the trials.

use plotters::{prelude::DrawingBackend, style::RGBColor};

use super::{
    MAX_TARGETS, WIDTH,
    canvas::*,
    labels::Rect,
    plot::{Plot, draw_grid, draw_title, fits_across},
};
use crate::report::{ReportError, RunInfo, panel::Axis, words::shortened};

/// Width and height in pixels.
pub(super) fn size(info: &RunInfo) -> [f64; 2] {
    let lines = info.targets.len().clamp(1, MAX_TARGETS) as f64;
    [WIDTH, 700.0 + 24.0 * lines]
}

pub(super) fn draw<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    info: &RunInfo,
) -> Result<(), ReportError> {
    let title = shortened(
        &format!("Hypervolume of {} over its trained networks", info.run),
        72,
    );
    draw_title(canvas, &title, info.synthetic, 0.0)?;
    let facts = shortened(&format!("data {}  ·  {}", info.data, info.counts), 150);
    let soft = Lettering::plain(TEXT, SOFT_INK);
    canvas.text(&facts, [WIDTH / 2.0, 74.0], soft.middle())?;
    let targets = &info.targets[..info.targets.len().min(MAX_TARGETS)];
    let colors = [BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, INK, SOFT_INK];
    for (idx, target) in targets.iter().enumerate() {
        let reference = match target.reference.is_empty() {
            true => format!("{}: no reference point", target.name),
            false => format!(
                "{}: reference point {}",
                target.name,
                target.show_reference()
            ),
        };
        let at = [WIDTH / 2.0, 102.0 + 24.0 * idx as f64];
        canvas.text(&shortened(&reference, 150), at, soft.middle())?;
    }
    let curves: Vec<Vec<(u64, f64)>> = targets
        .iter()
        .map(|target| {
            let finite = |(_, value): &&(u64, f64)| value.is_finite();
            target.hypervolumes.iter().filter(finite).copied().collect()
        })
        .collect();
    let all = || curves.iter().flatten();
    let highest = all().map(|(_, value)| *value).fold(0.0, f64::max);
    let counts = info.counts;
    // Rejected candidates take no time, and hundreds of them would push everything else aside.
    let trials = counts.scored;
    let last = all().map(|(trial, _)| *trial).fold(trials, u64::max);
    let lines = targets.len().max(1) as f64;
    let [_, height] = size(info);
    let plot = Plot {
        x: Axis::linear(0.0, last.max(1) as f64 * 1.01),
        y: Axis::from_zero(highest),
        area: Rect {
            left: 110.0,
            top: 96.0 + 24.0 * lines,
            right: WIDTH - 190.0,
            bottom: height - 74.0,
        },
    };
    let area = plot.area;
    // Trials are whole numbers, and so are their ticks.
    let x_ticks = plot.x.number_ticks(|ticks| {
        fits_across(&plot.x, area.width(), ticks) && ticks.iter().all(|t| t.value.fract() == 0.0)
    });
    let y_ticks = plot.y.number_ticks(|ticks| ticks.len() <= 8);
    draw_grid(canvas, &plot, &x_ticks, &y_ticks)?;
    let axis = Lettering::plain(AXIS_TITLE, INK).bold().middle();
    let [middle_x, middle_y] = area.center();
    canvas.text("trained networks", [middle_x, area.bottom + 48.0], axis)?;
    canvas.text("hypervolume", [32.0, middle_y], axis.upwards())?;
    if curves.iter().all(Vec::is_empty) {
        let none = "no trained candidate yet";
        return canvas.text(none, [middle_x, middle_y], soft.middle());
    }
    let mut ends = Vec::new();
    for ((curve, target), color) in curves.iter().zip(targets).zip(colors) {
        let Some((_, end)) = curve.last() else {
            continue;
        };
        // The first curve is wider where there are others: equal curves both show.
        let width = if curves.len() > 1 && ends.is_empty() {
            5.0
        } else {
            2.4
        };
        draw_curve(canvas, &plot, curve, color, width)?;
        let label = format!("{} {end:.4}", shortened(&target.name, 10));
        ends.push((plot.at([0.0, *end])[1], label, color));
    }
    // Labels at the ends have the order of their curves, and are pushed apart where curves end together.
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut lowest = f64::NEG_INFINITY;
    for (y, label, color) in ends {
        lowest = y.max(lowest + 22.0);
        let lettering = Lettering::plain(TEXT, color).bold();
        canvas.text(&label, [area.right + 12.0, lowest], lettering)?;
    }
    Ok(())
}

/// Draws steps: a hypervolume holds until the next trial improves it. A dot marks every improvement.
fn draw_curve<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    plot: &Plot,
    curve: &[(u64, f64)],
    color: RGBColor,
    width: f64,
) -> Result<(), ReportError> {
    let zero = plot.at([0.0, 0.0]);
    let mut corners = vec![zero];
    let mut improvements = Vec::new();
    let mut before = 0.0;
    for (trial, value) in curve {
        let [x, y] = plot.at([*trial as f64, *value]);
        corners.push([x, corners[corners.len() - 1][1]]);
        corners.push([x, y]);
        if *value > before {
            improvements.push([x, y]);
        }
        before = *value;
    }
    corners.push([plot.area.right, corners[corners.len() - 1][1]]);
    canvas.line(&corners, color, width)?;
    for at in improvements {
        canvas.circle(at, 2.5 + width, Paint::solid(color))?;
    }
    Ok(())
}
