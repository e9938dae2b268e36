//! Draws what is left of a detector behind other microphones: AUC, starts in alarm and recall, a row per microphone.

use plotters::prelude::{DrawingBackend, RGBColor};

use super::{
    WIDTH,
    canvas::{
        BLUE, Canvas, GREEN, GRID, INK, LABEL, Lettering, Paint, SOFT_INK, TEXT, TICK, VERMILLION,
        WHITE,
    },
    labels::Rect,
    plot::draw_title,
};
use crate::{
    evaluate::{ModelCard, Strained},
    report::{ReportError, words::shortened},
};

const TOP: f64 = 140.0;
const ROW: f64 = 30.0;
const NAMES: f64 = 230.0;
const GAP: f64 = 60.0;
/// Every tenth of a scale from 0 to 1.
const TENTHS: usize = 10;

/// Width and height in pixels.
pub(super) fn size(rows: &[Strained]) -> [f64; 2] {
    [WIDTH, TOP + rows.len() as f64 * ROW + 70.0]
}

/// A figure and its interval.
type Dot = (f64, Option<[f64; 2]>);

/// A figure of every row on a scale from 0 to 1.
struct Dots<'a> {
    area: Rect,
    title: &'a str,
    color: RGBColor,
}

pub(super) fn draw<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    (model, synthetic): (&str, bool),
    card: &ModelCard,
    rows: &[Strained],
) -> Result<(), ReportError> {
    let title = format!("{model} behind other microphones");
    draw_title(canvas, &shortened(&title, 72), synthetic, 0.0)?;
    let soft = Lettering::plain(TEXT, SOFT_INK).middle();
    let facts = "int8, by the device's code and its rule for alarms; whiskers: 95 % over the clips; line: as recorded";
    canvas.text(facts, [WIDTH / 2.0, 74.0], soft)?;
    let bottom = TOP + rows.len() as f64 * ROW;
    let width = (WIDTH - NAMES - 2.0 * GAP - 40.0) / 3.0;
    let area = |column: usize| {
        let left = NAMES + column as f64 * (width + GAP);
        Rect {
            left,
            top: TOP,
            right: left + width,
            bottom,
        }
    };
    for (idx, one) in rows.iter().enumerate() {
        let y = TOP + (idx as f64 + 0.5) * ROW;
        let name = one.strain.to_string();
        canvas.text(
            &name,
            [NAMES - 20.0, y],
            Lettering::plain(LABEL, INK).right(),
        )?;
    }
    let columns = [
        Dots {
            area: area(0),
            title: "AUC",
            color: BLUE,
        },
        Dots {
            area: area(1),
            title: "starts on normal sound in alarm, %",
            color: VERMILLION,
        },
        Dots {
            area: area(2),
            title: "recall, %",
            color: GREEN,
        },
    ];
    let values = |column: usize, row: &Strained| match column {
        0 => Some((row.auc?, None)),
        1 => {
            card.threshold?;
            let share = row.alarmed_starts as f64 / row.starts as f64;
            (row.starts > 0).then_some((share, None))
        }
        _ => {
            let recall = row.recall(card)?;
            Some((recall.value, Some([recall.low, recall.high])))
        }
    };
    for (column, dots) in columns.iter().enumerate() {
        let percent = if column == 0 { 1.0 } else { 100.0 };
        dots.frame(canvas, percent)?;
        let all: Vec<_> = rows.iter().map(|one| values(column, one)).collect();
        dots.draw(canvas, &all)?;
    }
    Ok(())
}

impl Dots<'_> {
    fn x(&self, value: f64) -> f64 {
        self.area.left + value.clamp(0.0, 1.0) * self.area.width()
    }

    fn frame<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        of_whole: f64,
    ) -> Result<(), ReportError> {
        let Rect { top, bottom, .. } = self.area;
        let middle = self.x(0.5);
        let title = Lettering::plain(TEXT, INK).bold().middle();
        canvas.text(self.title, [middle, top - 20.0], title)?;
        for tenth in (0..=TENTHS).step_by(2) {
            let share = tenth as f64 / TENTHS as f64;
            let x = self.x(share);
            canvas.line(&[[x, top], [x, bottom]], GRID, 1.0)?;
            let text = format!("{}", of_whole * share);
            let tick = Lettering::plain(TICK, SOFT_INK).middle();
            canvas.text(&text, [x, bottom + 18.0], tick)?;
        }
        Ok(())
    }

    /// A dot with whiskers per row; nothing where a figure is unknown.
    fn draw<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        rows: &[Option<Dot>],
    ) -> Result<(), ReportError> {
        let Rect { top, bottom, .. } = self.area;
        if let Some((value, _)) = rows.first().copied().flatten() {
            let x = self.x(value);
            canvas.dashed([x, top], [x, bottom], SOFT_INK)?;
        }
        for (idx, row) in rows.iter().enumerate() {
            let Some((value, interval)) = row else {
                continue;
            };
            let y = top + (idx as f64 + 0.5) * ROW;
            if let Some([low, high]) = interval {
                canvas.line(&[[self.x(*low), y], [self.x(*high), y]], self.color, 2.0)?;
            }
            canvas.circle([self.x(*value), y], 7.0, Paint::solid(WHITE))?;
            canvas.circle([self.x(*value), y], 5.5, Paint::solid(self.color))?;
        }
        Ok(())
    }
}
