//! The whole report as one HTML file that needs no other file.

use super::{
    ReportError, RunInfo,
    baselines::gains,
    draw::{hypervolume_svg, pareto_svg, ranks_svg},
    text::{
        front::{Column, caption},
        heard::HeardTable,
        measured::MeasuredTable,
    },
};

/// Figures and tables of a run as one self-contained page.
pub fn report(info: &RunInfo) -> Result<String, ReportError> {
    let run = escaped(&info.run);
    let stamp = match info.synthetic {
        true => " <span class=\"stamp\">synthetic data</span>",
        false => "",
    };
    let mut tables = String::new();
    for (target_idx, target) in info.targets.iter().enumerate() {
        tables += &format!("<h2>Front on {}</h2>\n", escaped(&target.name));
        tables += &table(info, target_idx);
    }
    if let Some(measured) = MeasuredTable::new(info) {
        tables += &measured_table(&measured);
    }
    let (pareto, hypervolume) = (pareto_svg(info)?, hypervolume_svg(info)?);
    let ranks = match ranks_svg(info)? {
        Some(svg) => {
            format!("<h2>Order by latency on every target</h2>\n<figure>\n{svg}</figure>\n")
        }
        None => String::new(),
    };
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{run}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{run}{stamp}</h1>\n<p>data {}, {}</p>\n\
         <figure>\n{pareto}</figure>\n{tables}{ranks}<h2>Hypervolume</h2>\n<figure>\n{hypervolume}</figure>\n\
         </body>\n</html>\n",
        escaped(&info.data),
        info.counts,
    ))
}

const STYLE: &str = "
body { font: 16px/1.5 'DejaVu Sans', Verdana, sans-serif; color: #222; max-width: 1600px; margin: 2em auto; padding: 0 1em; }
svg { width: 100%; height: auto; } figure { margin: 0; }
table { border-collapse: collapse; } th { border-bottom: 2px solid #222; }
td, th { padding: .25em .8em; text-align: right; white-space: nowrap; } .text { text-align: left; }
tr:nth-child(even) td { background: #f6f6f6; } .note { color: #5f5f5f; }
.stamp { background: #d55e00; color: #fff; font-size: 50%; padding: .3em .8em; vertical-align: middle; }
";

fn table(info: &RunInfo, target_idx: usize) -> String {
    let (members, columns) = (info.front(target_idx), Column::of(info));
    let row = |tag: &str, cell: &dyn Fn(Column) -> String| {
        let cells = columns.iter().map(|&column| {
            let class = if column.is_text() {
                " class=\"text\""
            } else {
                ""
            };
            format!("<{tag}{class}>{}</{tag}>", escaped(&cell(column)))
        });
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let mut text = "<table>\n".to_string() + &row("th", &|column| column.name());
    for member in &members {
        text += &row("td", &|column| column.cell(member, target_idx));
    }
    text += "</table>\n";
    let gains = gains(info, target_idx);
    let caption = caption(info, &members, target_idx, &[]);
    for line in caption.lines().chain(gains.iter().map(String::as_str)) {
        text += &format!("<p class=\"note\">{}</p>\n", escaped(line));
    }
    if let Some(heard) = HeardTable::new(&members) {
        text += &heard_table(&heard);
    }
    text
}

/// What each detector hears; a strength from which it hears less than the others is paler.
fn heard_table(heard: &HeardTable) -> String {
    let row = |cells: &[String]| {
        let cells = cells
            .iter()
            .map(|cell| format!("<th>{}</th>", escaped(cell)));
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let mut text = "<h3>What it would hear</h3>\n<table>\n".to_string() + &row(&heard.header);
    for (cells, shares) in heard.rows.iter().zip(&heard.shares) {
        text += "<tr>";
        for (idx, cell) in cells.iter().enumerate() {
            let share = idx
                .checked_sub(1)
                .and_then(|kind| shares.get(kind))
                .copied();
            // The more of the strengths are heard, the darker.
            let shade = share.map_or(String::new(), |share| {
                format!(
                    " style=\"background: rgba(0, 114, 178, {:.2})\"",
                    0.6 * share
                )
            });
            text += &format!("<td{shade}>{}</td>", escaped(cell));
        }
        text += "</tr>\n";
    }
    text += "</table>\n";
    for note in &heard.notes {
        text += &format!("<p class=\"note\">{}</p>\n", escaped(note));
    }
    text
}

fn measured_table(measured: &MeasuredTable) -> String {
    let row = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell)));
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let mut text = "<h2>Measured</h2>\n<table>\n".to_string();
    text += &row("th", &mut measured.header.into_iter());
    for cells in &measured.rows {
        text += &row("td", &mut cells.iter().map(String::as_str));
    }
    text += "</table>\n";
    for note in &measured.notes {
        text += &format!("<p class=\"note\">{}</p>\n", escaped(note));
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
