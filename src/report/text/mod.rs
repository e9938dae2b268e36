//! Tables and lines for a terminal.
//!
//! This module may not know the terminal: it makes text of facts, at most so many columns wide.

pub mod alarms;
pub mod calibration;
pub mod evaluation;
pub mod front;
pub mod heard;
pub mod lineup;
pub mod lists;
pub mod measured;
pub mod network;
pub mod npu;
pub mod trial;
pub mod trials;

use comfy_table::{
    ColumnConstraint, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle,
};

/// A plain table, as wide as its content.
fn grid(header: &[&str], rows: Vec<Vec<String>>) -> String {
    drawn(&filled(header, rows))
}

/// A plain table of at most `width` columns. Where its content is wider, the last cell of a row takes several lines.
fn grid_within(width: usize, header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut grid = filled(header, rows);
    grid.set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width.try_into().unwrap_or(u16::MAX));
    for column in grid.column_iter_mut().take(header.len() - 1) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    drawn(&grid)
}

fn filled(header: &[&str], rows: Vec<Vec<String>>) -> Table {
    let mut grid = Table::new();
    grid.load_style(STYLE).set_header(header.iter().copied());
    for row in rows {
        grid.add_row(row);
    }
    grid
}

fn drawn(grid: &Table) -> String {
    let lines: Vec<String> = grid
        .to_string()
        .lines()
        .map(|line| line.trim_end().to_string())
        .collect();
    lines.join("\n")
}

fn first_few(names: &[String]) -> String {
    let shown = names[..names.len().min(5)].join(", ");
    if names.len() > 5 {
        format!("{shown}, …")
    } else {
        shown
    }
}

/// A cell without a figure.
pub(super) const UNKNOWN: &str = "–";

/// No borders, and one line under the header.
pub(super) const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none())
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .content_lines(ContentLineStyle::none());
