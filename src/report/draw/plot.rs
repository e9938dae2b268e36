//! The axes of a plot: from data to pixels, grid and ticks.

use plotters::prelude::DrawingBackend;

use super::{
    WIDTH,
    canvas::{
        Canvas, GRID, INK, Lettering, Paint, SOFT_INK, TEXT, TICK, TITLE, VERMILLION, WHITE,
        text_width,
    },
    labels::Rect,
};
use crate::report::{
    ReportError,
    panel::{Axis, Tick},
};

/// Turns data into pixels.
pub(super) struct Plot {
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) area: Rect,
}

impl Plot {
    pub(super) fn at(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [
            self.area.left + self.x.position(x) * self.area.width(),
            self.area.bottom - self.y.position(y) * self.area.height(),
        ]
    }
}

/// Draws a title in the middle, followed by a label where the data is synthetic.
pub(super) fn draw_title<DB: DrawingBackend>(
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

/// Grid lines, frame and tick labels.
pub(super) fn draw_grid<DB: DrawingBackend>(
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

/// Whether there is room between tick labels side by side.
pub(super) fn fits_across(axis: &Axis, width: f64, ticks: &[Tick]) -> bool {
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
