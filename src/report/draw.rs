//! Figures: Pareto fronts and hypervolume, as SVG and PNG from the same strokes.
//!
//! plotters lives here and nowhere else. It draws strokes and letters; where they go is worked out here and in
//! [`super::figure`], because its charts neither place labels nor choose ticks in bytes.

use std::{path::Path, path::PathBuf, sync::OnceLock};

use plotters::{
    coord::Shift,
    drawing::{DrawingArea, IntoDrawingArea},
    element::{Circle, PathElement, Polygon, Rectangle, Text},
    prelude::{BitMapBackend, DrawingBackend, SVGBackend},
    style::{
        Color, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor, ShapeStyle, register_font,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::{
    Metric, ReportError, RunInfo, TargetInfo,
    figure::{Anchor, Axis, Panel, Point, Rect, Tick, place_labels, tick_label},
};
use crate::space::Task;

/// The Pareto figure: per target a block with AUC against every cost.
pub fn pareto_svg(info: &RunInfo) -> Result<String, ReportError> {
    svg(pareto_size(info), |canvas| draw_pareto(canvas, info))
}

/// [`pareto_svg`] as PNG.
pub fn pareto_png(info: &RunInfo) -> Result<Vec<u8>, ReportError> {
    png(pareto_size(info), |canvas| draw_pareto(canvas, info))
}

/// The hypervolume figure: one curve per target over the trials.
pub fn hypervolume_svg(info: &RunInfo) -> Result<String, ReportError> {
    let size = hypervolume_size(info);
    svg(size, |canvas| draw_hypervolume(canvas, info))
}

/// [`hypervolume_svg`] as PNG.
pub fn hypervolume_png(info: &RunInfo) -> Result<Vec<u8>, ReportError> {
    let size = hypervolume_size(info);
    png(size, |canvas| draw_hypervolume(canvas, info))
}

/// Writes `pareto.svg`, `pareto.png`, `hypervolume.svg` and `hypervolume.png` into a folder and returns their paths.
pub fn write_figures(info: &RunInfo, folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let files = [
        ("pareto.svg", pareto_svg(info)?.into_bytes()),
        ("pareto.png", pareto_png(info)?),
        ("hypervolume.svg", hypervolume_svg(info)?.into_bytes()),
        ("hypervolume.png", hypervolume_png(info)?),
    ];
    let mut paths = Vec::new();
    for (name, content) in files {
        let path = folder.join(name);
        std::fs::write(&path, content).map_err(|source| ReportError::Write {
            path: path.clone(),
            source,
        })?;
        paths.push(path);
    }
    Ok(paths)
}

/// Width of every figure in pixels.
const WIDTH: f64 = 1600.0;
const COLUMNS: usize = 3;
const HEADER_HEIGHT: f64 = 108.0;
const PANEL_HEIGHT: f64 = 410.0;
/// A store may name many targets; a figure shows the first ones.
const MAX_TARGETS: usize = 8;

/// Sizes of letters in pixels.
const TITLE: f64 = 26.0;
const TEXT: f64 = 16.0;
const AXIS_TITLE: f64 = 17.0;
const TICK: f64 = 14.5;
const LABEL: f64 = 14.0;

// Okabe and Ito's palette, which every kind of colour vision tells apart.
const BLUE: RGBColor = RGBColor(0, 114, 178);
const VERMILLION: RGBColor = RGBColor(213, 94, 0);
const GREEN: RGBColor = RGBColor(0, 158, 115);
const PURPLE: RGBColor = RGBColor(204, 121, 167);
const ORANGE: RGBColor = RGBColor(230, 159, 0);
const SKY: RGBColor = RGBColor(86, 180, 233);

const INK: RGBColor = RGBColor(34, 34, 34);
const SOFT_INK: RGBColor = RGBColor(95, 95, 95);
const GRID: RGBColor = RGBColor(226, 226, 226);
const STAIRS: RGBColor = RGBColor(115, 115, 115);
const RUG: RGBColor = RGBColor(160, 160, 160);
const OVER_BUDGET: RGBColor = RGBColor(240, 236, 230);
const WHITE: RGBColor = RGBColor(255, 255, 255);

fn pareto_size(info: &RunInfo) -> [f64; 2] {
    let blocks = info.targets.len().clamp(1, MAX_TARGETS) as f64;
    [WIDTH, blocks * (HEADER_HEIGHT + 2.0 * PANEL_HEIGHT) + 12.0]
}

fn hypervolume_size(info: &RunInfo) -> [f64; 2] {
    let lines = info.targets.len().clamp(1, MAX_TARGETS) as f64;
    [WIDTH, 700.0 + 24.0 * lines]
}

fn task_color(task: Task) -> RGBColor {
    match task {
        Task::Reconstruct => BLUE,
        Task::Classify { .. } => VERMILLION,
    }
}

fn draw_pareto<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    info: &RunInfo,
) -> Result<(), ReportError> {
    let block_height = HEADER_HEIGHT + 2.0 * PANEL_HEIGHT;
    for target_idx in 0..info.targets.len().clamp(1, MAX_TARGETS) {
        let top = target_idx as f64 * block_height;
        draw_header(canvas, info, target_idx, top)?;
        let cell = |idx: usize| {
            let width = WIDTH / COLUMNS as f64;
            let left = (idx % COLUMNS) as f64 * width;
            let top = top + HEADER_HEIGHT + (idx / COLUMNS) as f64 * PANEL_HEIGHT;
            Rect {
                left,
                top,
                right: left + width,
                bottom: top + PANEL_HEIGHT,
            }
        };
        for (idx, cost) in Metric::ALL.into_iter().enumerate() {
            let panel = Panel::new(info, target_idx, cost);
            draw_panel(canvas, &panel, cell(idx), idx % COLUMNS == 0)?;
        }
        draw_legend(canvas, info, target_idx, cell(Metric::ALL.len()))?;
    }
    Ok(())
}

/// Two lines over a block: what is shown, and how much of it.
fn draw_header<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    info: &RunInfo,
    target_idx: usize,
    top: f64,
) -> Result<(), ReportError> {
    let target = info.targets.get(target_idx);
    if target_idx > 0 {
        canvas.line(&[[24.0, top], [WIDTH - 24.0, top]], GRID, 2.0)?;
    }
    let on = target.map_or(String::new(), |target| format!(" on {}", target.name));
    let title = shortened(&format!("Pareto front of {}{on}", info.run), 72);
    draw_title(canvas, &title, info.synthetic, top)?;
    let mut facts = vec![format!("data {}", info.data), info.counts.to_string()];
    if let Some(target) = target {
        facts.push(format!("{} on the front", target.front.len()));
    }
    if let Some(value) = target.and_then(TargetInfo::hypervolume) {
        facts.push(format!("hypervolume {value:.4}"));
    }
    let facts = shortened(&facts.join("  ·  "), 150);
    let at = [WIDTH / 2.0, top + 74.0];
    canvas.text(&facts, at, Lettering::plain(TEXT, SOFT_INK).middle())
}

/// A title in the middle, followed by a label where the data is synthetic.
fn draw_title<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    title: &str,
    synthetic: bool,
    top: f64,
) -> Result<(), ReportError> {
    let lettering = Lettering::plain(TITLE, INK).bold();
    let stamp = if synthetic { "synthetic data" } else { "" };
    let stamp_lettering = Lettering::plain(TEXT, WHITE).bold();
    let title_width = text_width(title, lettering);
    let stamp_width = match stamp {
        "" => 0.0,
        _ => text_width(stamp, stamp_lettering) + 40.0,
    };
    let y = top + 40.0;
    let left = (WIDTH - title_width - stamp_width) / 2.0;
    let middle = left + title_width / 2.0;
    canvas.text(title, [middle, y], lettering.middle())?;
    if synthetic {
        let center = left + title_width + 16.0 + (stamp_width - 16.0) / 2.0;
        let badge = Rect::around(center, y, stamp_width - 16.0, 28.0);
        canvas.rect(badge, Paint::solid(VERMILLION))?;
        canvas.text(stamp, [center, y], stamp_lettering.middle())?;
    }
    Ok(())
}

fn draw_panel<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    panel: &Panel,
    cell: Rect,
    leftmost: bool,
) -> Result<(), ReportError> {
    let plot = Plot {
        x: panel.x,
        y: panel.y,
        area: Rect {
            left: cell.left + 88.0,
            top: cell.top + 10.0,
            right: cell.right - 24.0,
            bottom: cell.bottom - 72.0,
        },
    };
    let area = plot.area;
    let middle = area.center();
    if let Some(limit) = panel.limit {
        let left = plot.at([limit, 0.0])[0];
        canvas.rect(Rect { left, ..area }, Paint::solid(OVER_BUDGET))?;
    }
    let x_ticks = match panel.is_empty() {
        true => Vec::new(),
        false => panel.x.cost_ticks(panel.cost, |ticks| {
            fits_across(&panel.x, area.width(), ticks)
        }),
    };
    let y_ticks = panel.y.number_ticks(|ticks| ticks.len() <= 6);
    draw_grid(canvas, &plot, &x_ticks, &y_ticks)?;
    if let Some(limit) = panel.limit {
        let x = plot.at([limit, 0.0])[0];
        canvas.dashed([x, area.top], [x, area.bottom], SOFT_INK)?;
        let over = format!("over {}", tick_label(panel.cost, limit));
        let lettering = Lettering::plain(LABEL, SOFT_INK).middle().upwards();
        canvas.text(&over, [x + 11.0, middle[1]], lettering)?;
    }
    let title = Lettering::plain(AXIS_TITLE, INK).middle();
    let words = panel.title();
    let wide = text_width(&words, title.bold()) > area.width();
    let x_title = match wide {
        true => Lettering::plain(TICK, INK).middle(),
        false => title,
    };
    let below = [middle[0], area.bottom + 48.0];
    canvas.text(&words, below, x_title.bold())?;
    if leftmost {
        let at = [cell.left + 22.0, middle[1]];
        canvas.text("AUC of the int8 network", at, title.bold().upwards())?;
    }
    draw_rejected(canvas, panel, &plot)?;
    if panel.points.is_empty() {
        let none = match panel.cost {
            Metric::Macs => "no trained candidate",
            _ => "no trained candidate with this cost",
        };
        return canvas.text(none, middle, Lettering::plain(TEXT, SOFT_INK).middle());
    }
    draw_staircase(canvas, panel, &plot)?;
    let bands = draw_bands(canvas, panel, &plot)?;
    for point in &panel.points {
        let at = plot.at([point.cost, point.auc]);
        draw_marker(canvas, point.task, point.on_front, at)?;
    }
    draw_trial_numbers(canvas, panel, &plot, bands)
}

/// Grid lines, frame and tick labels.
fn draw_grid<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    plot: &Plot,
    x_ticks: &[Tick],
    y_ticks: &[Tick],
) -> Result<(), ReportError> {
    let area = plot.area;
    let lettering = Lettering::plain(TICK, INK);
    for tick in x_ticks {
        let x = plot.at([tick.value, 0.0])[0];
        canvas.line(&[[x, area.top], [x, area.bottom + 5.0]], GRID, 1.0)?;
        let below = [x, area.bottom + 18.0];
        canvas.text(&tick.label, below, lettering.middle())?;
    }
    for tick in y_ticks {
        let y = plot.at([0.0, tick.value])[1];
        canvas.line(&[[area.left - 5.0, y], [area.right, y]], GRID, 1.0)?;
        canvas.text(&tick.label, [area.left - 10.0, y], lettering.right())?;
    }
    let corners = [
        [area.left, area.top],
        [area.left, area.bottom],
        [area.right, area.bottom],
    ];
    canvas.line(&corners, SOFT_INK, 1.5)
}

/// Candidates over budget have no AUC; they are short strokes along the cost axis.
fn draw_rejected<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    panel: &Panel,
    plot: &Plot,
) -> Result<(), ReportError> {
    let mut columns: Vec<i64> = Vec::new();
    for value in &panel.rejected {
        columns.push(plot.at([*value, 0.0])[0].round() as i64);
    }
    columns.sort_unstable();
    // Strokes on the same pixel would only make the file larger.
    columns.dedup();
    let bottom = plot.area.bottom;
    for x in columns {
        let x = x as f64;
        let stroke = [[x, bottom - 11.0], [x, bottom - 1.0]];
        canvas.line(&stroke, RUG, 1.0)?;
    }
    if panel.rejected_beyond > 0 {
        let text = format!("+{} →", panel.rejected_beyond);
        let lettering = Lettering::plain(LABEL, SOFT_INK).right();
        canvas.text(&text, [plot.area.right - 4.0, bottom - 23.0], lettering)?;
    }
    Ok(())
}

fn draw_staircase<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    panel: &Panel,
    plot: &Plot,
) -> Result<(), ReportError> {
    let (Some(first), Some(last)) = (panel.staircase.first(), panel.staircase.last()) else {
        return Ok(());
    };
    let mut corners = vec![[plot.at(*first)[0], plot.area.bottom]];
    for step in &panel.staircase {
        let [x, y] = plot.at(*step);
        let before = corners[corners.len() - 1][1];
        if corners.len() > 1 {
            corners.push([x, before]);
        }
        corners.push([x, y]);
    }
    let [last_x, last_y] = plot.at(*last);
    // What is over budget cannot be had.
    let end = panel
        .limit
        .map_or(plot.area.right, |limit| plot.at([limit, 0.0])[0]);
    corners.push([end.max(last_x), last_y]);
    canvas.line(&corners, STAIRS, 1.6)
}

/// Error bands of the front's members; returns where they are.
fn draw_bands<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    panel: &Panel,
    plot: &Plot,
) -> Result<Vec<Rect>, ReportError> {
    let mut bands = Vec::new();
    for point in panel.points.iter().filter(|point| point.on_front) {
        let [left, y] = plot.at([point.low, point.auc]);
        let [right, _] = plot.at([point.high, point.auc]);
        if right - left < 1.0 {
            continue;
        }
        let color = task_color(point.task);
        canvas.line(&[[left, y], [right, y]], color, 1.8)?;
        for x in [left, right] {
            canvas.line(&[[x, y - 4.0], [x, y + 4.0]], color, 1.8)?;
        }
        bands.push(Rect {
            left,
            top: y - 4.0,
            right,
            bottom: y + 4.0,
        });
    }
    Ok(bands)
}

const MARKER_RADIUS: f64 = 7.0;

/// Circles are autoencoders, triangles are classifiers; members of the front are solid, others faint.
fn draw_marker<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    task: Task,
    on_front: bool,
    at: [f64; 2],
) -> Result<(), ReportError> {
    let color = task_color(task);
    let shape = |radius: f64, paint: Paint| match task {
        Task::Reconstruct => canvas.circle(at, radius, paint),
        Task::Classify { .. } => canvas.triangle(at, radius * 1.25, paint),
    };
    if on_front {
        shape(MARKER_RADIUS + 1.8, Paint::solid(WHITE))?;
        shape(MARKER_RADIUS, Paint::solid(color))
    } else {
        shape(4.5, Paint::faint(color, 0.30))
    }
}

/// Numbers beside the members of the front, as many as there is room for, the best first.
fn draw_trial_numbers<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    panel: &Panel,
    plot: &Plot,
    mut obstacles: Vec<Rect>,
) -> Result<(), ReportError> {
    let mut members: Vec<&Point> = panel.points.iter().filter(|point| point.on_front).collect();
    members.sort_by(|a, b| b.auc.total_cmp(&a.auc));
    let lettering = Lettering::plain(LABEL, INK).bold().middle();
    // Markers on the same spot share a label.
    let mut spots: Vec<([f64; 2], Vec<u64>)> = Vec::new();
    for member in members {
        let [x, y] = plot.at([member.cost, member.auc]);
        let near = |spot: &&mut ([f64; 2], Vec<u64>)| (spot.0[0] - x).hypot(spot.0[1] - y) < 3.0;
        match spots.iter_mut().find(near) {
            Some((_, trials)) => trials.push(member.trial),
            None => spots.push(([x, y], vec![member.trial])),
        }
    }
    let texts: Vec<String> = spots.iter().map(|(_, trials)| numbers(trials)).collect();
    let anchors: Vec<Anchor> = spots
        .iter()
        .zip(&texts)
        .map(|(([x, y], _), text)| Anchor {
            x: *x,
            y: *y,
            radius: MARKER_RADIUS,
            width: text_width(text, lettering) + 2.0,
            height: LABEL,
        })
        .collect();
    let others = panel.points.iter().filter(|point| !point.on_front);
    obstacles.extend(others.map(|point| {
        let [x, y] = plot.at([point.cost, point.auc]);
        Rect::around(x, y, 6.0, 6.0)
    }));
    let steps = panel.staircase.windows(2).flat_map(|pair| {
        let ([x0, y0], [x1, y1]) = (plot.at(pair[0]), plot.at(pair[1]));
        let across = Rect {
            left: x0,
            top: y0 - 1.0,
            right: x1,
            bottom: y0 + 1.0,
        };
        let up = Rect {
            left: x1 - 1.0,
            top: y1,
            right: x1 + 1.0,
            bottom: y0,
        };
        [across, up]
    });
    obstacles.extend(steps);
    let places = place_labels(&anchors, &plot.area, &obstacles);
    for ((text, anchor), place) in texts.iter().zip(&anchors).zip(places) {
        let Some(place) = place else {
            continue;
        };
        let center = place.center();
        let [dx, dy] = [center[0] - anchor.x, center[1] - anchor.y];
        let distance = dx.hypot(dy);
        // A label that stands apart is tied to its marker.
        if distance > anchor.radius + anchor.width.hypot(anchor.height) / 2.0 + 8.0 {
            let towards = |share: f64| [anchor.x + dx * share, anchor.y + dy * share];
            let start = towards((anchor.radius + 1.0) / distance);
            let end = towards(1.0 - anchor.height * 0.7 / distance);
            canvas.line(&[start, end], SOFT_INK, 1.0)?;
        }
        canvas.rect(place, Paint::faint(WHITE, 0.7))?;
        canvas.text(text, center, lettering)?;
    }
    Ok(())
}

/// Trial numbers in few letters: `3`, `3, 17`, `3, 17 + 58`.
fn numbers(trials: &[u64]) -> String {
    let first: Vec<String> = trials.iter().take(2).map(u64::to_string).collect();
    match trials.len() {
        0..=2 => first.join(", "),
        more => format!("{} + {}", first.join(", "), more - 2),
    }
}

/// What the signs mean, and the numbers that belong to the whole block.
fn draw_legend<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    info: &RunInfo,
    target_idx: usize,
    cell: Rect,
) -> Result<(), ReportError> {
    let left = cell.left + 60.0;
    let sign = left + 22.0;
    let text = left + 56.0;
    let lettering = Lettering::plain(TEXT, INK);
    let mut y = cell.top + 26.0;
    let tasks = [
        (Task::Reconstruct, "autoencoder"),
        (Task::Classify { classes: 2 }, "classifier"),
    ];
    for (task, name) in tasks {
        draw_marker(canvas, task, true, [sign, y])?;
        let words = format!("{name} on the front (number: trial)");
        canvas.text(&words, [text, y], lettering)?;
        y += 28.0;
    }
    for (idx, (task, _)) in tasks.into_iter().enumerate() {
        let x = sign - 8.0 + 16.0 * idx as f64;
        draw_marker(canvas, task, false, [x, y])?;
    }
    canvas.text("other trained candidates", [text, y], lettering)?;
    y += 28.0;
    let stairs = [
        [sign - 16.0, y + 6.0],
        [sign, y + 6.0],
        [sign, y - 6.0],
        [sign + 16.0, y - 6.0],
    ];
    canvas.line(&stairs, STAIRS, 1.6)?;
    canvas.text("best AUC on the front within a cost", [text, y], lettering)?;
    y += 28.0;
    let ends = [sign - 14.0, sign + 14.0];
    canvas.line(&[[ends[0], y], [ends[1], y]], BLUE, 1.8)?;
    for x in ends {
        canvas.line(&[[x, y - 4.0], [x, y + 4.0]], BLUE, 1.8)?;
    }
    canvas.text("error band of a cost", [text, y], lettering)?;
    y += 28.0;
    let target = info.targets.get(target_idx);
    if target.is_some_and(|target| {
        Metric::ALL
            .iter()
            .any(|c| target.budget.limit(*c).is_some())
    }) {
        canvas.rect(Rect::around(sign, y, 32.0, 18.0), Paint::solid(OVER_BUDGET))?;
        let edge = sign - 16.0;
        canvas.dashed([edge, y - 9.0], [edge, y + 9.0], SOFT_INK)?;
        canvas.text("over budget", [text, y], lettering)?;
        y += 28.0;
    }
    if !info.rejected.is_empty() {
        for x in [-12.0, -7.0, -1.0, 3.0, 11.0] {
            let stroke = [[sign + x, y - 5.0], [sign + x, y + 5.0]];
            canvas.line(&stroke, RUG, 1.0)?;
        }
        canvas.text("cost of a rejected candidate", [text, y], lettering)?;
        y += 28.0;
    }
    y += 10.0;
    let mut lines = vec![
        "Better is up and to the left.".to_string(),
        "AUC is that of the clips that steer the search.".to_string(),
    ];
    if let Some(target) = target.filter(|target| !target.reference.is_empty()) {
        lines.push("Hypervolume is counted from the point".to_string());
        lines.push(target.show_reference());
    }
    lines.extend(info.notes.iter().cloned());
    let soft = Lettering::plain(TEXT, SOFT_INK);
    for line in lines.iter().flat_map(|line| wrapped(line, 52)) {
        if y > cell.bottom - 12.0 {
            break;
        }
        canvas.text(&line, [left, y], soft)?;
        y += 23.0;
    }
    Ok(())
}

fn draw_hypervolume<DB: DrawingBackend>(
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
    // Rejected candidates cost nothing, and hundreds of them would push everything else aside.
    let trials = counts.scored;
    let last = all().map(|(trial, _)| *trial).fold(trials, u64::max);
    let lines = targets.len().max(1) as f64;
    let [_, height] = hypervolume_size(info);
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
        // The first curve is wider where there are others, so that equal curves both show.
        let width = if curves.len() > 1 && ends.is_empty() {
            5.0
        } else {
            2.4
        };
        draw_curve(canvas, &plot, curve, color, width)?;
        let label = format!("{} {end:.4}", shortened(&target.name, 10));
        ends.push((plot.at([0.0, *end])[1], label, color));
    }
    // End labels in the order of their curves, pushed apart where curves end together.
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut lowest = f64::NEG_INFINITY;
    for (y, label, color) in ends {
        lowest = y.max(lowest + 22.0);
        let lettering = Lettering::plain(TEXT, color).bold();
        canvas.text(&label, [area.right + 12.0, lowest], lettering)?;
    }
    Ok(())
}

/// Steps to the right: a hypervolume holds until the next trial improves it. A dot marks every improvement.
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

/// Data to pixels.
struct Plot {
    x: Axis,
    y: Axis,
    area: Rect,
}

impl Plot {
    fn at(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [
            self.area.left + self.x.position(x) * self.area.width(),
            self.area.bottom - self.y.position(y) * self.area.height(),
        ]
    }
}

/// Whether tick labels side by side leave air between them.
fn fits_across(axis: &Axis, width: f64, ticks: &[Tick]) -> bool {
    let lettering = Lettering::plain(TICK, INK);
    let span = |tick: &Tick| {
        let center = axis.position(tick.value) * width;
        let half = text_width(&tick.label, lettering) / 2.0 + 8.0;
        [center - half, center + half]
    };
    ticks
        .windows(2)
        .all(|pair| span(&pair[0])[1] <= span(&pair[1])[0])
}

/// The text itself, or its start and an ellipsis.
fn shortened(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_string();
    }
    let start: String = text.chars().take(characters.saturating_sub(1)).collect();
    format!("{start}…")
}

/// Lines of at most so many characters; a longer word is cut.
fn wrapped(text: &str, characters: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = shortened(word, characters);
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= characters => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// A colour and how much of it.
#[derive(Debug, Clone, Copy)]
struct Paint {
    color: RGBColor,
    opacity: f64,
}

impl Paint {
    fn solid(color: RGBColor) -> Paint {
        Paint::faint(color, 1.0)
    }

    fn faint(color: RGBColor, opacity: f64) -> Paint {
        Paint { color, opacity }
    }

    fn filled(self) -> ShapeStyle {
        self.color.mix(self.opacity).filled()
    }
}

/// How a text looks and how it hangs on its point; vertically it is always centred.
#[derive(Debug, Clone, Copy)]
struct Lettering {
    pixels: f64,
    color: RGBColor,
    bold: bool,
    hang: Hang,
    upwards: bool,
}

#[derive(Debug, Clone, Copy)]
enum Hang {
    Left,
    Middle,
    Right,
}

impl Lettering {
    fn plain(pixels: f64, color: RGBColor) -> Lettering {
        Lettering {
            pixels,
            color,
            bold: false,
            hang: Hang::Left,
            upwards: false,
        }
    }

    fn bold(self) -> Lettering {
        let bold = true;
        Lettering { bold, ..self }
    }

    fn middle(self) -> Lettering {
        let hang = Hang::Middle;
        Lettering { hang, ..self }
    }

    fn right(self) -> Lettering {
        let hang = Hang::Right;
        Lettering { hang, ..self }
    }

    fn upwards(self) -> Lettering {
        let upwards = true;
        Lettering { upwards, ..self }
    }

    fn font(self, scale: f64) -> FontDesc<'static> {
        let style = match self.bold {
            true => FontStyle::Bold,
            false => FontStyle::Normal,
        };
        let size = self.pixels * scale * PLOTTERS_SIZE_PER_PIXEL;
        FontDesc::new(FontFamily::Name(FONT), size, style)
    }
}

/// Verdana has the same widths as DejaVu, whose widths the layout uses.
const FONT: &str = "DejaVu Sans, Verdana, sans-serif";

/// plotters divides every font size by this before it writes SVG.
const PLOTTERS_SIZE_PER_PIXEL: f64 = 1.24;

/// Gives plotters its letters, once per process.
fn register_fonts() -> Result<(), ReportError> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = REGISTERED.get_or_init(|| {
        let faces = [
            (FontStyle::Normal, dejavu::sans::regular()),
            (FontStyle::Bold, dejavu::sans::bold()),
        ];
        faces
            .into_iter()
            .all(|(style, face)| register_font(FONT, style, face).is_ok())
    });
    match registered {
        true => Ok(()),
        false => Err(ReportError::Draw("the built-in font is damaged".into())),
    }
}

/// The width of a text in pixels.
fn text_width(text: &str, lettering: Lettering) -> f64 {
    let measured = lettering.font(1.0).box_size(text);
    // Only a missing font fails, and `register_fonts` ran before; DejaVu's letters are 0.6 wide on average.
    let guess = 0.6 * lettering.pixels * text.chars().count() as f64;
    measured.map_or(guess, |(width, _)| f64::from(width))
}

/// A plotters drawing area in layout pixels, each of which is `scale` pixels of the back end.
struct Canvas<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    scale: f64,
    /// How much too high the back end centres letters, as a share of their size.
    letters_too_high: f64,
}

impl<DB: DrawingBackend> Canvas<'_, DB> {
    fn pixel(&self, [x, y]: [f64; 2]) -> (i32, i32) {
        let scaled = |value: f64| (value * self.scale).round() as i32;
        (scaled(x), scaled(y))
    }

    /// Draws corner to corner; upright and level strokes meet in square corners.
    ///
    /// Each stroke stands alone, because plotters bends the corners of wide lines in bitmaps.
    fn line(&self, corners: &[[f64; 2]], color: RGBColor, width: f64) -> Result<(), ReportError> {
        let style = ShapeStyle {
            stroke_width: (width * self.scale).round().max(1.0) as u32,
            ..color.filled()
        };
        let last = corners.len().saturating_sub(2);
        for (idx, pair) in corners.windows(2).enumerate() {
            let ([x0, y0], [x1, y1]) = (pair[0], pair[1]);
            let along = [(x1 - x0).signum(), (y1 - y0).signum()];
            let cap = match x0 == x1 || y0 == y1 {
                true => width / 2.0,
                false => 0.0,
            };
            let reach = |[x, y]: [f64; 2], by: f64| {
                let step = |from: f64, to: f64, sign: f64| match from == to {
                    true => 0.0,
                    false => sign * by,
                };
                [x + step(x0, x1, along[0]), y + step(y0, y1, along[1])]
            };
            let start = reach(pair[0], if idx > 0 { -cap } else { 0.0 });
            let end = reach(pair[1], if idx < last { cap } else { 0.0 });
            let ends = vec![self.pixel(start), self.pixel(end)];
            drawn(self.area.draw(&PathElement::new(ends, style)))?;
        }
        Ok(())
    }

    fn dashed(&self, from: [f64; 2], to: [f64; 2], color: RGBColor) -> Result<(), ReportError> {
        const DASH: f64 = 6.0;
        let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
        let length = dx.hypot(dy);
        let at = |along: f64| {
            let share = along.min(length) / length;
            [from[0] + dx * share, from[1] + dy * share]
        };
        let mut start = 0.0;
        while start < length {
            self.line(&[at(start), at(start + DASH)], color, 1.2)?;
            start += 1.7 * DASH;
        }
        Ok(())
    }

    fn rect(&self, rect: Rect, paint: Paint) -> Result<(), ReportError> {
        let corners = [
            self.pixel([rect.left, rect.top]),
            self.pixel([rect.right, rect.bottom]),
        ];
        drawn(self.area.draw(&Rectangle::new(corners, paint.filled())))
    }

    fn circle(&self, center: [f64; 2], radius: f64, paint: Paint) -> Result<(), ReportError> {
        let radius = (radius * self.scale).round() as i32;
        let circle = Circle::new(self.pixel(center), radius, paint.filled());
        drawn(self.area.draw(&circle))
    }

    /// Equilateral, with its centroid at `center`.
    fn triangle(
        &self,
        [x, y]: [f64; 2],
        circumradius: f64,
        paint: Paint,
    ) -> Result<(), ReportError> {
        let (half, below) = (circumradius * 0.75f64.sqrt(), circumradius / 2.0);
        let corners = [
            [x, y - circumradius],
            [x + half, y + below],
            [x - half, y + below],
        ];
        let corners = corners.map(|corner| self.pixel(corner)).to_vec();
        drawn(self.area.draw(&Polygon::new(corners, paint.filled())))
    }

    fn text(&self, text: &str, at: [f64; 2], lettering: Lettering) -> Result<(), ReportError> {
        // XML has no room for control characters, and a name may hold them.
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        let hang = match lettering.hang {
            Hang::Left => HPos::Left,
            Hang::Middle => HPos::Center,
            Hang::Right => HPos::Right,
        };
        let style = lettering.font(self.scale).color(&lettering.color);
        let style = style.pos(Pos::new(hang, VPos::Center));
        let lower = self.letters_too_high * lettering.pixels;
        let (style, at) = if lettering.upwards {
            let style = style.transform(FontTransform::Rotate270);
            (style, [at[0] + lower, at[1]])
        } else {
            (style, [at[0], at[1] + lower])
        };
        drawn(self.area.draw(&Text::new(text, self.pixel(at), style)))
    }
}

fn drawn<T, E: std::error::Error>(result: Result<T, E>) -> Result<T, ReportError> {
    result.map_err(|error| ReportError::Draw(error.to_string()))
}

fn svg(
    size: [f64; 2],
    draw: impl FnOnce(&Canvas<'_, SVGBackend<'_>>) -> Result<(), ReportError>,
) -> Result<String, ReportError> {
    register_fonts()?;
    let mut text = String::new();
    {
        let [width, height] = size.map(|pixels| pixels as u32);
        let area = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
        drawn(area.fill(&WHITE))?;
        draw(&Canvas {
            area: &area,
            scale: 1.0,
            // The baseline is half an x-height below the point, digits are 0.73 of the size high.
            letters_too_high: 0.09,
        })?;
        drawn(area.present())?;
    }
    Ok(text)
}

/// Draws at twice the size and averages, because plotters draws bitmaps without smoothing.
fn png(
    size: [f64; 2],
    draw: impl FnOnce(&Canvas<'_, BitMapBackend<'_>>) -> Result<(), ReportError>,
) -> Result<Vec<u8>, ReportError> {
    const SCALE: usize = 2;
    register_fonts()?;
    let [width, height] = size.map(|pixels| pixels as usize);
    let mut large = vec![255; SCALE * width * SCALE * height * 3];
    {
        let large_size = ((SCALE * width) as u32, (SCALE * height) as u32);
        let area = BitMapBackend::with_buffer(&mut large, large_size).into_drawing_area();
        draw(&Canvas {
            area: &area,
            scale: SCALE as f64,
            // The baseline is only 0.12 of the size below the point.
            letters_too_high: 0.25,
        })?;
        drawn(area.present())?;
    }
    let pixels = averaged(&large, width, height, SCALE);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(file)
}

/// The mean of every `scale x scale` block of RGB pixels.
fn averaged(large: &[u8], width: usize, height: usize, scale: usize) -> Vec<u8> {
    let mut pixels = vec![0; width * height * 3];
    let mut sums = vec![0u32; width * 3];
    let area = (scale * scale) as u32;
    let large_rows = large.chunks_exact(scale * width * 3);
    for (y, row) in large_rows.enumerate() {
        for (x, pixel) in row.chunks_exact(3).enumerate() {
            for (channel, value) in pixel.iter().enumerate() {
                sums[x / scale * 3 + channel] += u32::from(*value);
            }
        }
        if y % scale == scale - 1 {
            let out = &mut pixels[y / scale * width * 3..][..width * 3];
            for (out, sum) in out.iter_mut().zip(&mut sums) {
                *out = (*sum / area) as u8;
                *sum = 0;
            }
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{
        fixture::{Fake, fake_run},
        html,
    };

    /// Draws all figures and looks for texts in the SVG. `NAS_FIGURES=folder` keeps them, to be looked at.
    #[track_caller]
    fn check(name: &str, fake: Fake, expected: &[&str]) {
        let info = fake_run(&fake);
        let text = pareto_svg(&info).unwrap() + &hypervolume_svg(&info).unwrap();
        for text_part in expected {
            assert!(text.contains(text_part), "{name}: no `{text_part}`");
        }
        for png in [pareto_png(&info).unwrap(), hypervolume_png(&info).unwrap()] {
            let decoder = png::Decoder::new(std::io::Cursor::new(png));
            let mut reader = decoder.read_info().unwrap();
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut pixels).unwrap();
            assert!(pixels.iter().any(|value| *value < 100), "{name}: blank");
        }
        let page = html::report(&info).unwrap();
        assert_eq!(page.matches("<svg").count(), 2, "{name}");
        assert_eq!(page.matches("<table").count(), info.targets.len(), "{name}");
        assert!(!page.contains("<b>"), "{name}: not escaped");
        if let Ok(folder) = std::env::var("NAS_FIGURES") {
            let folder = Path::new(&folder).join(name);
            std::fs::create_dir_all(&folder).unwrap();
            write_figures(&info, &folder).unwrap();
            std::fs::write(folder.join("report.html"), page).unwrap();
        }
    }

    #[test]
    fn every_kind_of_run_can_be_drawn() {
        let common = Fake::COMMON;
        let labels = [
            "RAM, estimated",
            "MACs per inference",
            "over 256 KiB",
            "AUC of",
        ];
        check("common", common, &labels);
        let synthetic = Fake {
            synthetic: true,
            ..common
        };
        check("synthetic", synthetic, &["synthetic data"]);
        let empty = Fake {
            trained: 0,
            ..common
        };
        check("empty", empty, &["no trained candidate"]);
        let nothing = Fake {
            trained: 0,
            rejected: 0,
            targets: 0,
            ..common
        };
        check("nothing", nothing, &["no trained candidate"]);
        let one = Fake {
            trained: 1,
            rejected: 0,
            ..common
        };
        check("one", one, &["1 on the front"]);
        let two_targets = Fake {
            targets: 2,
            ..common
        };
        check("two_targets", two_targets, &["on u55", "on m7"]);
        let equal = Fake {
            equal: true,
            ..common
        };
        check("equal", equal, &["RAM, estimated"]);
        let huge = Fake {
            spread: 8.0,
            trained: 200,
            limits: false,
            ..common
        };
        check("huge", huge, &["RAM, estimated"]);
        let narrow = Fake {
            spread: 0.4,
            ..common
        };
        check("narrow", narrow, &["RAM, estimated"]);
        let hostile = Fake {
            hostile: true,
            ..common
        };
        check(
            "hostile",
            hostile,
            &["&lt;b&gt;", "estimated / emulated / measured"],
        );
    }

    #[test]
    fn trial_numbers_are_short() {
        assert_eq!(numbers(&[3]), "3");
        assert_eq!(numbers(&[3, 17]), "3, 17");
        assert_eq!(numbers(&[3, 17, 20, 21]), "3, 17 + 2");
    }

    #[test]
    fn text_is_cut_and_wrapped() {
        assert_eq!(shortened("abcdef", 4), "abc…");
        assert_eq!(shortened("abcd", 4), "abcd");
        assert_eq!(wrapped("aa bb cccccc", 5), ["aa bb", "cccc…"]);
    }
}
