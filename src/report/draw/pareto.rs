//! Draws the Pareto figure: a block per target shows a score against every cost.

use plotters::{prelude::DrawingBackend, style::RGBColor};

use super::{
    MAX_TARGETS, WIDTH,
    canvas::*,
    labels::{Anchor, Rect, place_labels},
    plot::{Plot, draw_grid, draw_title, fits_across},
};
use crate::{
    report::{
        Metric, ReportError, RunInfo, ScoredTrial, TargetInfo, approach,
        panel::{Panel, Point, tick_label},
        words::{capitalised, shortened, wrapped},
    },
    score::{Figure, Measure},
    space::Task,
};

const COLUMNS: usize = 3;
const HEADER_HEIGHT: f64 = 108.0;
const PANEL_HEIGHT: f64 = 410.0;
/// From one sign of the legend to the next, and from one line of its sentences.
const SIGN_ROW: f64 = 25.0;
const LINE: f64 = 21.0;

const MARKER_RADIUS: f64 = 7.0;

/// Width and height in pixels.
pub(super) fn size(info: &RunInfo) -> [f64; 2] {
    let blocks = info.targets.len().clamp(1, MAX_TARGETS) as f64;
    [WIDTH, blocks * (HEADER_HEIGHT + 2.0 * PANEL_HEIGHT) + 12.0]
}

pub(super) fn draw<DB: DrawingBackend>(
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

pub(super) fn task_color(task: Task) -> RGBColor {
    match task {
        Task::Reconstruct => BLUE,
        Task::Classify { .. } => VERMILLION,
        Task::Distance(_) => PURPLE,
    }
}

/// Draws two lines over a block: what is shown, and how many there are.
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
    let what = match info.published {
        true => "Networks",
        false => "Pareto front",
    };
    let title = shortened(&format!("{what} of {}{on}", info.run), 72);
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
        let words = capitalised(&format!("{} of the int8 network", panel.merit.title()));
        canvas.text(&words, at, title.bold().upwards())?;
    }
    draw_rejected(canvas, panel, &plot)?;
    if panel.points.is_empty() {
        let none = match panel.cost {
            Metric::Macs => "no trained candidate",
            _ => "no trained candidate with this cost",
        };
        return canvas.text(none, middle, Lettering::plain(TEXT, SOFT_INK).middle());
    }
    draw_chance(canvas, panel, &plot)?;
    draw_staircase(canvas, panel, &plot)?;
    let bands = draw_bands(canvas, panel, &plot)?;
    for point in &panel.points {
        if let Some(untouched) = point.untouched.filter(|_| point.prominent) {
            draw_untouched(canvas, point.task, plot.at([point.cost, untouched]))?;
        }
        let at = plot.at([point.cost, point.score]);
        draw_marker(canvas, point.task, point.prominent, at)?;
    }
    draw_landmarks(canvas, panel, &plot)?;
    draw_labels(canvas, panel, &plot, bands)
}

/// Draws candidates over budget as short strokes along the cost axis: they have no AUC.
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
    // More strokes on one pixel would only make the file larger.
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
    match stair_corners(panel, plot) {
        corners if corners.is_empty() => Ok(()),
        corners => canvas.line(&corners, STAIRS, 1.6),
    }
}

/// Corners of the line from the cost axis up, over every step, to the limit or the edge; empty without steps.
fn stair_corners(panel: &Panel, plot: &Plot) -> Vec<[f64; 2]> {
    let (Some(first), Some(last)) = (panel.staircase.first(), panel.staircase.last()) else {
        return Vec::new();
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
    // Beyond the limit there is nothing to choose.
    let end = panel
        .limit
        .map_or(plot.area.right, |limit| plot.at([limit, 0.0])[0]);
    corners.push([end.max(last_x), last_y]);
    corners
}

/// Draws the error bands of the front's members; returns their boxes.
fn draw_bands<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    panel: &Panel,
    plot: &Plot,
) -> Result<Vec<Rect>, ReportError> {
    let mut bands = Vec::new();
    for point in panel.points.iter().filter(|point| point.prominent) {
        let color = task_color(point.task);
        let [low, high] = point.interval;
        if low < high {
            let [x, top] = plot.at([point.cost, high]);
            let [_, bottom] = plot.at([point.cost, low]);
            canvas.line(&[[x, top], [x, bottom]], color, 1.8)?;
            for y in [top, bottom] {
                canvas.line(&[[x - 4.0, y], [x + 4.0, y]], color, 1.8)?;
            }
        }
        let [left, y] = plot.at([point.low, point.score]);
        let [right, _] = plot.at([point.high, point.score]);
        if right - left < 1.0 {
            continue;
        }
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

/// Draws a circle for an autoencoder, a triangle for a classifier and a square for a distance; solid on the front,
/// otherwise faint.
pub(super) fn draw_marker<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    task: Task,
    prominent: bool,
    at: [f64; 2],
) -> Result<(), ReportError> {
    let color = task_color(task);
    let shape = |radius: f64, paint: Paint| match task {
        Task::Reconstruct => canvas.circle(at, radius, paint),
        Task::Classify { .. } => canvas.triangle(at, radius * 1.25, paint),
        Task::Distance(_) => canvas.square(at, radius * 0.9, paint),
    };
    if prominent {
        shape(MARKER_RADIUS + 1.8, Paint::solid(WHITE))?;
        shape(MARKER_RADIUS, Paint::solid(color))
    } else {
        shape(4.5, Paint::faint(color, 0.30))
    }
}

/// Draws a ring: the score of a member of the front on the clips by which nothing was chosen.
fn draw_untouched<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    task: Task,
    at: [f64; 2],
) -> Result<(), ReportError> {
    canvas.circle(at, 5.0, Paint::solid(task_color(task)))?;
    canvas.circle(at, 3.2, Paint::solid(WHITE))
}

/// Draws a line at what a guess gets, where the axis reaches that far.
fn draw_chance<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    panel: &Panel,
    plot: &Plot,
) -> Result<(), ReportError> {
    let has_chance = panel.merit.is_usual() || panel.merit == Measure::Sensitivity;
    if !has_chance || !panel.y.contains(Measure::CHANCE) {
        return Ok(());
    }
    let [_, y] = plot.at([panel.x.low, Measure::CHANCE]);
    let area = plot.area;
    canvas.dashed([area.left, y], [area.right, y], SOFT_INK)?;
    let at = [area.left + 6.0, y + 11.0];
    canvas.text("a guess", at, Lettering::plain(LABEL, SOFT_INK))
}

/// Draws published networks as diamonds with their names.
fn draw_landmarks<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    panel: &Panel,
    plot: &Plot,
) -> Result<(), ReportError> {
    for landmark in &panel.landmarks {
        let [x, y] = plot.at([landmark.cost, landmark.score]);
        canvas.diamond([x, y], MARKER_RADIUS + 1.0, Paint::solid(GREEN))?;
        let lettering = Lettering::plain(LABEL, GREEN).bold();
        let width = text_width(&landmark.name, lettering);
        // On the side where there is room.
        match x + width + 14.0 < plot.area.right {
            true => canvas.text(&landmark.name, [x + 12.0, y], lettering)?,
            false => canvas.text(&landmark.name, [x - 12.0, y], lettering.right())?,
        }
    }
    Ok(())
}

/// Writes numbers or names beside the prominent networks, the best first, as many as there is room for.
fn draw_labels<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    panel: &Panel,
    plot: &Plot,
    mut obstacles: Vec<Rect>,
) -> Result<(), ReportError> {
    let mut members: Vec<&Point> = panel
        .points
        .iter()
        .filter(|point| point.prominent)
        .collect();
    members.sort_by(|a, b| b.score.total_cmp(&a.score));
    let lettering = Lettering::plain(LABEL, INK).bold().middle();
    // Markers on the same spot share a label.
    let mut spots: Vec<([f64; 2], Vec<&str>)> = Vec::new();
    // The lowest probability of a spot.
    let mut fits: Vec<Option<f64>> = Vec::new();
    for member in members {
        let [x, y] = plot.at([member.cost, member.score]);
        let near = |spot: &([f64; 2], Vec<&str>)| (spot.0[0] - x).hypot(spot.0[1] - y) < 3.0;
        match spots.iter().position(near) {
            Some(idx) => {
                spots[idx].1.push(&member.label);
                fits[idx] = [fits[idx], member.fits]
                    .into_iter()
                    .flatten()
                    .reduce(f64::min);
            }
            None => {
                spots.push(([x, y], vec![&*member.label]));
                fits.push(member.fits);
            }
        }
    }
    let text = |((_, trials), fits): (&([f64; 2], Vec<&str>), &Option<f64>)| match fits {
        Some(fits) => format!("{} ({:.0} %)", few(trials), 100.0 * fits),
        None => few(trials),
    };
    let texts: Vec<String> = spots.iter().zip(&fits).map(text).collect();
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
    let others = panel.points.iter().filter(|point| !point.prominent);
    obstacles.extend(others.map(|point| {
        let [x, y] = plot.at([point.cost, point.score]);
        Rect::around(x, y, 6.0, 6.0)
    }));
    let corners = stair_corners(panel, plot);
    let steps = corners.windows(2).map(|ends| Rect {
        left: ends[0][0].min(ends[1][0]) - 1.0,
        top: ends[0][1].min(ends[1][1]) - 1.0,
        right: ends[0][0].max(ends[1][0]) + 1.0,
        bottom: ends[0][1].max(ends[1][1]) + 1.0,
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
        // A line ties a distant label to its marker.
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

/// A few labels as one: `3`, `3, 17`, `3, 17 + 58`.
fn few(labels: &[&str]) -> String {
    match labels {
        [first, second, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second} + {}", rest.len())
        }
        labels => labels.join(", "),
    }
}

/// Draws the meaning of the signs, and the numbers of the whole block.
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
    let mut y = cell.top + 16.0;
    let mut tasks = vec![Task::Reconstruct, Task::Classify { classes: 2 }];
    let mut fitted = info.scored.iter().map(|trial| trial.task);
    tasks.extend(fitted.find(|task| matches!(task, Task::Distance(_))));
    for task in tasks.iter().copied() {
        let name = approach(task);
        draw_marker(canvas, task, true, [sign, y])?;
        let words = match info.published {
            true => name.to_string(),
            false => format!("{name} on the front (number: trial)"),
        };
        canvas.text(&words, [text, y], lettering)?;
        y += SIGN_ROW;
    }
    if !info.published {
        for (idx, task) in tasks.into_iter().enumerate() {
            let x = sign - 8.0 + 16.0 * idx as f64;
            draw_marker(canvas, task, false, [x, y])?;
        }
        canvas.text("other trained candidates", [text, y], lettering)?;
        y += SIGN_ROW;
    }
    let members = info.front(target_idx);
    let untouched = Figure::test(info.merit());
    let has_untouched = |member: &&ScoredTrial| member.figures.get(untouched).is_some();
    if let Some(member) = members.iter().copied().find(has_untouched) {
        draw_untouched(canvas, member.task, [sign, y])?;
        canvas.text(
            "the same on clips by which nothing was chosen",
            [text, y],
            lettering,
        )?;
        y += SIGN_ROW;
    }
    if !info.baselines.is_empty() {
        canvas.diamond([sign, y], MARKER_RADIUS + 1.0, Paint::solid(GREEN))?;
        canvas.text(
            "published or reference detector, same data",
            [text, y],
            lettering,
        )?;
        y += SIGN_ROW;
    }
    let stairs = [
        [sign - 16.0, y + 6.0],
        [sign, y + 6.0],
        [sign, y - 6.0],
        [sign + 16.0, y - 6.0],
    ];
    canvas.line(&stairs, STAIRS, 1.6)?;
    let merit = info.merit().title();
    canvas.text(&format!("best {merit} within a cost"), [text, y], lettering)?;
    y += SIGN_ROW;
    let ends = [sign - 14.0, sign + 14.0];
    canvas.line(&[[ends[0], y], [ends[1], y]], BLUE, 1.8)?;
    for x in ends {
        canvas.line(&[[x, y - 4.0], [x, y + 4.0]], BLUE, 1.8)?;
    }
    canvas.text(
        "error band of a cost (how likely it fits)",
        [text, y],
        lettering,
    )?;
    y += SIGN_ROW;
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
        y += SIGN_ROW;
    }
    if !info.rejected.is_empty() {
        for x in [-12.0, -7.0, -1.0, 3.0, 11.0] {
            let stroke = [[sign + x, y - 5.0], [sign + x, y + 5.0]];
            canvas.line(&stroke, RUG, 1.0)?;
        }
        canvas.text("cost of a rejected candidate", [text, y], lettering)?;
        y += SIGN_ROW;
    }
    y += 10.0;
    let mut lines = vec![
        "Better is up and to the left.".to_string(),
        capitalised(&format!(
            "{merit} is computed on the clips that steer the search."
        )),
    ];
    let sources = [
        (
            "clips",
            members.iter().any(|member| !member.intervals.is_empty()),
        ),
        ("seeds", members.iter().any(|member| member.seeds.is_some())),
    ];
    let sources = sources.into_iter().filter(|(_, is_there)| *is_there);
    let sources: Vec<&str> = sources.map(|(name, _)| name).collect();
    if !sources.is_empty() {
        lines.push(format!(
            "Vertical lines: 95 % interval over {}.",
            sources.join(" and ")
        ));
    }
    if let Some(target) = target.filter(|target| !target.reference.is_empty()) {
        lines.push("Hypervolume is counted from the point".to_string());
        lines.push(target.show_reference());
    }
    lines.extend(info.notes.iter().cloned());
    let soft = Lettering::plain(TEXT, SOFT_INK);
    for sentence in &lines {
        let rows = wrapped(sentence, 52);
        // What has no room is in the tables; half a sentence would say something else.
        if y + (rows.len() as f64 - 1.0) * LINE > cell.bottom - 12.0 {
            break;
        }
        for row in rows {
            canvas.text(&row, [left, y], soft)?;
            y += LINE;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::few;

    #[test]
    fn labels_are_short() {
        assert_eq!(few(&["3"]), "3");
        assert_eq!(few(&["3", "17"]), "3, 17");
        assert_eq!(few(&["3", "17", "20", "21"]), "3, 17 + 2");
    }
}
