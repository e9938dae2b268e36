//! Draws the memory timeline: the place of every tensor in the arena while each operator runs.

use plotters::prelude::DrawingBackend;

use super::{
    WIDTH,
    canvas::{
        AXIS_TITLE, BLUE, Canvas, GREEN, INK, LABEL, Lettering, ORANGE, PURPLE, Paint, SKY,
        SOFT_INK, TEXT, TICK, VERMILLION, WHITE, text_width,
    },
    labels::Rect,
    plot::{Plot, draw_grid, draw_title, fits_across},
};
use crate::{
    hardware::Metric,
    report::{
        ReportError,
        memory::MemoryMap,
        panel::{Axis, Tick},
        words::shortened,
    },
    units::Bytes,
};

/// Width and height in pixels.
pub(super) const SIZE: [f64; 2] = [WIDTH, 900.0];

pub(super) fn draw<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    map: &MemoryMap,
) -> Result<(), ReportError> {
    let title = format!("Memory of {}", map.name);
    draw_title(canvas, &shortened(&title, 72), false, 0.0)?;
    let facts = format!(
        "arena {} of int8 activations, our memory plan  ·  most live at once {}, at operator {} ({})",
        Bytes(map.arena_bytes as u64),
        Bytes(map.peak_bytes as u64),
        map.peak_op,
        map.operators.get(map.peak_op).map_or("–", String::as_str),
    );
    let soft = Lettering::plain(TEXT, SOFT_INK).middle();
    canvas.text(&shortened(&facts, 150), [WIDTH / 2.0, 74.0], soft)?;

    let steps = map.operators.len().max(1) as f64;
    let plot = Plot {
        x: Axis::linear(0.0, steps),
        y: Axis::from_zero(map.arena_bytes as f64),
        area: Rect {
            left: 130.0,
            top: 110.0,
            right: WIDTH - 40.0,
            bottom: SIZE[1] - 235.0,
        },
    };
    let area = plot.area;
    let peak = Rect {
        left: plot.at([map.peak_op as f64, 0.0])[0],
        right: plot.at([map.peak_op as f64 + 1.0, 0.0])[0],
        ..area
    };
    canvas.rect(peak, Paint::faint(VERMILLION, 0.13))?;
    let y_ticks = plot.y.cost_ticks(Metric::Ram, |ticks| ticks.len() <= 9);
    draw_grid(canvas, &plot, &[], &y_ticks)?;
    let colors = [BLUE, ORANGE, GREEN, PURPLE, SKY];
    for (idx, block) in map.blocks.iter().enumerate() {
        let [left, bottom] = plot.at([block.first as f64, block.offset as f64]);
        let [right, top] = plot.at([block.last as f64 + 1.0, (block.offset + block.bytes) as f64]);
        // A white rim keeps neighbours apart.
        let outer = Rect {
            left,
            top,
            right,
            bottom,
        };
        let inner = Rect {
            left: left + 1.0,
            top: top + 1.0,
            right: right - 1.0,
            bottom: bottom - 1.0,
        };
        canvas.rect(outer, Paint::solid(WHITE))?;
        if inner.height() > 0.0 && inner.width() > 0.0 {
            canvas.rect(inner, Paint::faint(colors[idx % colors.len()], 0.75))?;
        }
        let lettering = Lettering::plain(LABEL, INK).middle();
        for label in [&block.label, &block.short] {
            if outer.height() > 17.0 && text_width(label, lettering) + 8.0 < outer.width() {
                canvas.text(label, outer.center(), lettering)?;
                break;
            }
        }
    }
    let peak_line = plot.at([0.0, map.peak_bytes as f64])[1];
    canvas.dashed([area.left, peak_line], [area.right, peak_line], VERMILLION)?;
    let most = format!("most live at once, {}", Bytes(map.peak_bytes as u64));
    let above = [area.right - 6.0, peak_line - 12.0];
    canvas.text(&most, above, Lettering::plain(LABEL, VERMILLION).right())?;

    draw_operators(canvas, map, &plot)?;
    let below = [area.center()[0], SIZE[1] - 18.0];
    let title = Lettering::plain(AXIS_TITLE, INK).bold().middle();
    canvas.text("operators in execution order", below, title)?;
    let beside = [28.0, area.center()[1]];
    canvas.text("place in the arena", beside, title.upwards())
}

/// Writes names of operators below the axis, vertically; only numbers where there are too many.
fn draw_operators<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    map: &MemoryMap,
    plot: &Plot,
) -> Result<(), ReportError> {
    let area = plot.area;
    let column = area.width() / map.operators.len().max(1) as f64;
    let middle = |idx: usize| area.left + (idx as f64 + 0.5) * column;
    if column >= 20.0 {
        for (idx, name) in map.operators.iter().enumerate() {
            let color = if idx == map.peak_op { VERMILLION } else { INK };
            let lettering = Lettering::plain(LABEL, color).upwards().right();
            let text = shortened(&format!("{idx} {name}"), 17);
            canvas.text(&text, [middle(idx), area.bottom + 10.0], lettering)?;
        }
        return Ok(());
    }
    let tick = |idx: usize| Tick {
        value: idx as f64 + 0.5,
        label: idx.to_string(),
    };
    let every =
        |step: usize| -> Vec<Tick> { (0..map.operators.len()).step_by(step).map(tick).collect() };
    let step = [1, 2, 5, 10, 20, 50, 100, 200, 500]
        .into_iter()
        .find(|step| fits_across(&plot.x, area.width(), &every(*step)));
    for tick in every(step.unwrap_or(1000)) {
        let at = [plot.at([tick.value, 0.0])[0], area.bottom + 18.0];
        canvas.text(&tick.label, at, Lettering::plain(TICK, INK).middle())?;
    }
    Ok(())
}
