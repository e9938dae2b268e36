//! What the detectors of a front hear of disturbed sound, kind by kind.

use super::grid;
use crate::{
    disturb::Kind,
    report::ScoredTrial,
    score::{Figure, Measure},
    stats::{kendall_interval, kendall_tau},
};

/// The kinds of disturbances as columns, detectors as rows.
#[derive(Debug, Clone, PartialEq)]
pub struct HeardTable {
    /// Titles of the columns.
    pub header: Vec<String>,
    /// A row per detector: its trial, then the strength from which it hears each kind.
    pub rows: Vec<Vec<String>>,
    /// For each detector and kind the share of disturbed clips that it hears over all strengths, 0 to 1.
    pub shares: Vec<Vec<f64>>,
    /// Sentences that explain it.
    pub notes: Vec<String>,
}

impl HeardTable {
    /// The table of some trials; `None` where nobody asked what they hear.
    pub fn new(members: &[&ScoredTrial]) -> Option<HeardTable> {
        let heard = || {
            members
                .iter()
                .filter_map(|trial| Some((trial, trial.hears.as_ref()?)))
        };
        let (_, first) = heard().next()?;
        let title = |name: &str| match name.parse::<Kind>() {
            Ok(kind) => kind.title().to_string(),
            Err(_) => name.to_string(),
        };
        let mut header = vec!["trial".to_string()];
        header.extend(first.kinds.iter().map(|one| title(&one.kind)));
        let mut table = HeardTable {
            header,
            rows: Vec::new(),
            shares: Vec::new(),
            notes: vec![
                format!("What it would hear: {}.", first.basis()),
                "dB are below the machine's own level, % are of its speed; all of it is the trial's own int8 model."
                    .to_string(),
            ],
        };
        for (trial, profile) in heard() {
            let mut row = vec![trial.trial.to_string()];
            row.extend(profile.kinds.iter().map(|one| one.cell()));
            table.rows.push(row);
            let share = |heard: &[[f64; 2]]| {
                heard.iter().map(|[_, share]| share).sum::<f64>() / heard.len().max(1) as f64
            };
            let shares = profile.kinds.iter().map(|one| share(&one.heard));
            table.shares.push(shares.collect());
        }
        Some(table)
    }

    /// The table as text.
    pub fn show(self) -> String {
        let header: Vec<&str> = self.header.iter().map(String::as_str).collect();
        let notes: String = self.notes.iter().map(|note| format!("{note}\n")).collect();
        format!("{}\n{notes}", grid(&header, self.rows))
    }
}

/// How far sensitivity ranks trials as labelled faults do, where there are any.
pub fn agreement(scored: &[ScoredTrial]) -> Option<String> {
    let both = |trial: &ScoredTrial| {
        let figures = &trial.figures;
        Some((
            figures.steering(Measure::Sensitivity)?,
            figures.get(Figure::test(Measure::Auc))?,
        ))
    };
    let (heard, found): (Vec<f64>, Vec<f64>) = scored.iter().filter_map(both).unzip();
    let tau = kendall_tau(&heard, &found)?;
    let interval = kendall_interval(tau, heard.len());
    let interval = interval.map_or(String::new(), |[low, high]| {
        format!(" ({low:.2} to {high:.2})")
    });
    Some(format!(
        "Sensitivity ranks {} trials as their AUC on labelled faults does with Kendall's tau {tau:.2}{interval}.",
        heard.len()
    ))
}
