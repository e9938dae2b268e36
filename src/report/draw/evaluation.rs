//! Draws the figure of an evaluation: confusion matrix, ROC, precision against recall, and training curves.

use plotters::{prelude::DrawingBackend, style::RGBColor};

use super::{
    WIDTH,
    canvas::*,
    labels::Rect,
    plot::{Plot, draw_grid, draw_title, fits_across},
};
use crate::{
    report::{
        ReportError,
        evaluation::{Examined, Merit},
        panel::Axis,
        words::shortened,
    },
    score::Arithmetic,
};

/// Width and height in pixels.
pub(super) const SIZE: [f64; 2] = [WIDTH, 1240.0];

/// The words above the panels.
#[derive(Debug, Clone, Copy)]
pub struct Heading<'a> {
    /// Name of the network.
    pub name: &'a str,
    /// Name of the data set.
    pub data: &'a str,
    /// Whether the data comes from the built-in generator.
    pub synthetic: bool,
}

pub(super) fn draw<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    heading: Heading<'_>,
    examined: &Examined,
) -> Result<(), ReportError> {
    let title = format!("{} on {}", heading.name, heading.data);
    draw_title(canvas, &shortened(&title, 72), heading.synthetic, 0.0)?;
    let soft = Lettering::plain(TEXT, SOFT_INK);
    let headline = shortened(&examined.headline(), 150);
    canvas.text(&headline, [WIDTH / 2.0, 74.0], soft.middle())?;
    let panel = |column: f64, row: f64| Rect {
        left: 110.0 + column * 800.0,
        top: 150.0 + row * 550.0,
        right: 710.0 + column * 800.0,
        bottom: 570.0 + row * 550.0,
    };
    draw_confusion(canvas, examined, panel(0.0, 0.0))?;
    draw_rates(canvas, examined, panel(1.0, 0.0), Rates::Roc)?;
    draw_rates(canvas, examined, panel(0.0, 1.0), Rates::PrecisionRecall)?;
    draw_training(canvas, examined, panel(1.0, 1.0))
}

const fn color(arithmetic: Arithmetic) -> RGBColor {
    match arithmetic {
        Arithmetic::Float => BLUE,
        Arithmetic::Int8 => VERMILLION,
    }
}

fn draw_heading<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    text: &str,
    area: Rect,
) -> Result<(), ReportError> {
    let lettering = Lettering::plain(AXIS_TITLE, INK).bold().middle();
    canvas.text(text, [area.center()[0], area.top - 24.0], lettering)
}

/// Draws the decisions of the int8 network, with those of the float network below. The shade of a cell is its share
/// of the row.
fn draw_confusion<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    examined: &Examined,
    area: Rect,
) -> Result<(), ReportError> {
    draw_heading(canvas, "confusion matrix, int8 (float below)", area)?;
    let rows = |arithmetic: Arithmetic| {
        let found = examined.confusion(arithmetic);
        [
            [found.true_negatives, found.false_positives],
            [found.false_negatives, found.true_positives],
        ]
    };
    let (int8, float) = (rows(Arithmetic::Int8), rows(Arithmetic::Float));
    let plain = Lettering::plain(TEXT, INK);
    let left = area.left + 90.0;
    let (width, height) = ((area.right - left) / 2.0, (area.height() - 40.0) / 2.0);
    for (row, truth) in ["normal", "anomalous"].into_iter().enumerate() {
        let middle = area.top + (row as f64 + 0.5) * height;
        canvas.text(truth, [left - 12.0, middle], plain.right())?;
        let all = int8[row].iter().sum::<usize>().max(1) as f64;
        for (column, decision) in ["called normal", "called anomalous"]
            .into_iter()
            .enumerate()
        {
            let share = int8[row][column] as f64 / all;
            let center = [left + (column as f64 + 0.5) * width, middle];
            let cell = Rect::around(center[0], center[1], width - 6.0, height - 6.0);
            let right = row == column;
            let shade = if right { BLUE } else { VERMILLION };
            canvas.rect(cell, Paint::faint(shade, 0.08 + 0.72 * share))?;
            let ink = if share > 0.6 { WHITE } else { INK };
            let count = format!("{}  ({:.1} %)", int8[row][column], 100.0 * share);
            let large = Lettering::plain(TITLE, ink).bold().middle();
            canvas.text(&count, [center[0], center[1] - 12.0], large)?;
            let small = Lettering::plain(TEXT, ink).middle();
            let below = format!("float {}", float[row][column]);
            canvas.text(&below, [center[0], center[1] + 24.0], small)?;
            if row == 1 {
                let at = [center[0], area.top + 2.0 * height + 18.0];
                canvas.text(decision, at, plain.middle())?;
            }
        }
    }
    Ok(())
}

/// Which rates are drawn against each other.
#[derive(Debug, Clone, Copy)]
enum Rates {
    Roc,
    PrecisionRecall,
}

fn draw_rates<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    examined: &Examined,
    area: Rect,
    rates: Rates,
) -> Result<(), ReportError> {
    let (heading, across, upwards, merit) = match rates {
        Rates::Roc => ("ROC", "false-positive rate", "recall", Merit::RocAuc),
        Rates::PrecisionRecall => (
            "precision against recall",
            "recall",
            "precision",
            Merit::AveragePrecision,
        ),
    };
    draw_heading(canvas, heading, area)?;
    let plot = Plot {
        x: Axis::linear(0.0, 1.0),
        y: Axis::linear(0.0, 1.015),
        area,
    };
    draw_axes(canvas, &plot, across, upwards)?;
    if let Rates::Roc = rates {
        canvas.dashed(plot.at([0.0, 0.0]), plot.at([1.0, 1.0]), RUG)?;
    }
    for (idx, arithmetic) in Arithmetic::BOTH.into_iter().enumerate() {
        let points = match rates {
            Rates::Roc => examined.roc(arithmetic),
            Rates::PrecisionRecall => examined.precision_recall(arithmetic),
        };
        // The first curve is wider: equal curves both show.
        let width = if idx == 0 { 4.5 } else { 2.2 };
        let corners: Vec<[f64; 2]> = points.into_iter().map(|point| plot.at(point)).collect();
        canvas.line(&corners, color(arithmetic), width)?;
        let value = match examined.merit(merit, arithmetic) {
            None => String::new(),
            Some(interval) => match interval.half_width {
                Some(half_width) => format!(" {:.3} ±{half_width:.3}", interval.mean),
                None => format!(" {:.3}", interval.mean),
            },
        };
        let label = format!("{}: {}{value}", arithmetic.name(), merit.name());
        let at = [area.right - 16.0, area.bottom - 58.0 + 26.0 * idx as f64];
        let lettering = Lettering::plain(TEXT, color(arithmetic)).bold();
        canvas.text(&label, at, lettering.right())?;
    }
    Ok(())
}

/// Draws the loss over epochs, a line per training: solid on training windows, faint on held-out ones.
fn draw_training<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    examined: &Examined,
    area: Rect,
) -> Result<(), ReportError> {
    draw_heading(canvas, "training", area)?;
    let histories = || examined.parts.iter().map(|part| &part.history);
    let losses = histories().flatten().flatten().copied();
    let highest = losses.filter(|loss| loss.is_finite()).fold(0.0, f32::max);
    let epochs = histories().map(Vec::len).max().unwrap_or(0);
    let plot = Plot {
        x: Axis::linear(1.0, epochs.max(2) as f64),
        y: Axis::from_zero(f64::from(highest)),
        area,
    };
    draw_axes(canvas, &plot, "epoch", "loss")?;
    for (idx, (name, color)) in [("training", BLUE), ("held-out clips", ORANGE)]
        .into_iter()
        .enumerate()
    {
        for history in histories() {
            let point = |(epoch, losses): (usize, &[f32; 2])| {
                plot.at([epoch as f64 + 1.0, f64::from(losses[idx])])
            };
            let corners: Vec<[f64; 2]> = history.iter().enumerate().map(point).collect();
            canvas.line(&corners, color, 1.8)?;
        }
        let at = [area.right - 16.0, area.top + 18.0 + 26.0 * idx as f64];
        let lettering = Lettering::plain(TEXT, color).bold();
        canvas.text(name, at, lettering.right())?;
    }
    Ok(())
}

fn draw_axes<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    plot: &Plot,
    across: &str,
    upwards: &str,
) -> Result<(), ReportError> {
    let area = plot.area;
    let x_ticks = plot
        .x
        .number_ticks(|ticks| fits_across(&plot.x, area.width(), ticks) && ticks.len() <= 8);
    let y_ticks = plot.y.number_ticks(|ticks| ticks.len() <= 8);
    draw_grid(canvas, plot, &x_ticks, &y_ticks)?;
    let axis = Lettering::plain(AXIS_TITLE, INK).middle();
    let [middle_x, middle_y] = area.center();
    canvas.text(across, [middle_x, area.bottom + 46.0], axis)?;
    canvas.text(upwards, [area.left - 72.0, middle_y], axis.upwards())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::evaluation::tests::example;

    #[test]
    fn every_panel_is_there() {
        let heading = Heading {
            name: "p2-mlp",
            data: "us8k-subset",
            synthetic: true,
        };
        let text = svg(SIZE, |canvas| draw(canvas, heading, &example())).unwrap();
        for part in [
            "p2-mlp on us8k-subset",
            "synthetic data",
            "official folds: trained 2 times, 8 test clips",
            "called anomalous",
            "ROC AUC 0.750",
            "average precision 0.833",
            "epoch",
        ] {
            assert!(text.contains(part), "no `{part}`");
        }
        // Nothing was examined: there are axes without curves.
        let nothing = Examined {
            split: String::new(),
            parts: Vec::new(),
        };
        svg(SIZE, |canvas| draw(canvas, heading, &nothing)).unwrap();
    }
}
