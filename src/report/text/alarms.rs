//! What is left of a detector behind other microphones, as a table.

use super::grid;
use crate::evaluate::{Expected, ModelCard, Strained};

/// One row per microphone.
pub fn microphones(rows: &[Strained], card: &ModelCard) -> String {
    let short = |expected: Option<Expected>, digits: usize| match expected {
        Some(Expected { value, low, high }) => {
            format!("{value:.digits$} ({low:.digits$} to {high:.digits$})")
        }
        None => "-".to_string(),
    };
    let cells = rows.iter().map(|row| {
        vec![
            row.strain.to_string(),
            row.auc.map_or("-".to_string(), |auc| format!("{auc:.3}")),
            short(row.false_alarms_per_day(card), 0),
            row.share_in_alarm(card)
                .map_or("-".to_string(), |share| format!("{:.0} %", 100.0 * share)),
            short(row.recall(card), 2),
            format!("{} of {}", row.alarmed_starts, row.starts),
        ]
    });
    let header = [
        "microphone",
        "AUC",
        "false alarms a day",
        "in alarm",
        "recall",
        "starts in alarm",
    ];
    grid(&header, cells.collect())
        + "\n\nint8, by the device's code. In brackets the 95 % intervals of the counts: clips one after the other; a start is a \
           normal clip by itself.\n"
}
