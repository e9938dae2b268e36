//! The front as a table for a terminal and as CSV.

use std::collections::BTreeSet;

use comfy_table::{CellAlignment, ContentArrangement, Table};

use super::{
    STYLE, UNKNOWN,
    heard::{self, HeardTable},
    measured::MeasuredTable,
};
use crate::{
    hardware::{Cost, CostSource, Metric},
    report::{
        RunInfo, ScoredTrial, TargetInfo, approach,
        baselines::gains,
        ranks::Ranks,
        seeds::Seeds,
        words::{capitalised, csv_text, wrapped},
    },
    score::{Figure, Figures, Measure, Part},
    units::three_digits,
};

/// The front of every target, one table each, in at most `width` columns of text; then how differently the targets
/// order its members.
pub fn front_tables(info: &RunInfo, width: usize) -> String {
    let targets = 0..info.targets.len();
    let mut parts: Vec<String> = targets.map(|idx| front_table(info, idx, width)).collect();
    parts.extend(Ranks::new(info).map(|ranks| ranks.show(info)));
    parts.extend(MeasuredTable::new(info).map(MeasuredTable::show));
    parts.join("\n")
}

/// The front of one target: a headline, the table, and a caption that explains its numbers.
///
/// Where the table is wider than `width`, the least useful columns are left out and named in the caption. The trial,
/// its AUC and the costs on the target always stay: no table is narrower than about 60 columns.
pub fn front_table(info: &RunInfo, target_idx: usize, width: usize) -> String {
    let Some(target) = info.targets.get(target_idx) else {
        return String::new();
    };
    let members = info.front(target_idx);
    let mut text = format!("Front of {} on {}", printable(&info.run), target.name);
    if let Some(hypervolume) = target.hypervolume() {
        let plural = if members.len() == 1 {
            "trial"
        } else {
            "trials"
        };
        text += &format!(": {} {plural}, hypervolume {hypervolume:.4}", members.len());
    }
    text += "\n";
    if members.is_empty() {
        text += "No trained candidate is on the front.\n";
        return text + &caption(info, &members, target_idx, &[]);
    }
    let (table, left_out) = fitted(&members, target_idx, width, &Column::of(info));
    text += &table;
    text += "\n";
    text += &caption(info, &members, target_idx, &left_out);
    text.extend(HeardTable::new(&members).map(|heard| heard.show()));
    text + &baseline_table(info, target_idx, width)
}

/// Every trained network on every target, on a front or not: a table per target.
pub fn trained_tables(info: &RunInfo, width: usize) -> String {
    let trained: Vec<&ScoredTrial> = info.scored.iter().collect();
    let on_target = |(idx, target): (usize, &TargetInfo)| {
        let (table, left_out) = fitted(&trained, idx, width, &Column::of(info));
        let caption = caption(info, &trained, idx, &left_out);
        format!(
            "{} on {}\n{table}\n{caption}",
            printable(&info.run),
            target.name
        )
    };
    let mut parts: Vec<String> = info.targets.iter().enumerate().map(on_target).collect();
    parts.extend(Ranks::new(info).map(|ranks| ranks.show(info)));
    parts.join("\n")
}

/// Published networks and reference detectors on the same data, and the gains of the front over them; empty where there
/// are none.
fn baseline_table(info: &RunInfo, target_idx: usize, width: usize) -> String {
    if info.baselines.is_empty() {
        return String::new();
    }
    let baselines: Vec<&ScoredTrial> = info.baselines.iter().collect();
    // Their numbers are trial numbers of other runs.
    let (table, _) = fitted(&baselines, target_idx, width, &Column::of(info)[1..]);
    let gains: Vec<String> = gains(info, target_idx)
        .iter()
        .flat_map(|sentence| wrapped(sentence, width))
        .collect();
    let gains = gains.join("\n");
    format!("Published networks and reference detectors on the same data\n{table}\n{gains}\n")
}

/// The front of every target as CSV: plain numbers, units in the column names, empty where unknown.
pub fn front_csv(info: &RunInfo) -> String {
    let mut header: Vec<String> = [
        "run",
        "synthetic",
        "target",
        "trial",
        "approach",
        "space",
        "further_trainings",
    ]
    .map(String::from)
    .to_vec();
    header.extend(value_headers());
    let mut records = vec![header];
    for (target_idx, target) in info.targets.iter().enumerate() {
        for trial in info.front(target_idx) {
            let mut record = vec![
                info.run.clone(),
                info.synthetic.to_string(),
                target.name.clone(),
                trial.trial.to_string(),
                approach(trial.task).to_string(),
                trial.space.clone(),
                trial.seeds.as_ref().map_or(0, Seeds::count).to_string(),
            ];
            record.extend(values(&trial.figures, trial.macs, trial.params, |cost| {
                trial.cost(target_idx, cost)
            }));
            records.push(record);
        }
    }
    csv_text(records.iter())
}

/// The headers of figures, sizes and costs in a csv file.
pub(super) fn value_headers() -> Vec<String> {
    let figures = Figure::documented().map(Figure::key);
    let sizes = ["macs", "params"].map(String::from);
    let costs = TARGET_METRICS.into_iter().flat_map(|cost| {
        let part = |part: &str| format!("{}{part}", cost.key());
        ["", "_low", "_high", "_source"].map(part)
    });
    figures.chain(sizes).chain(costs).collect()
}

/// The cells below [`value_headers`].
pub(super) fn values(
    figures: &Figures,
    macs: u64,
    params: u64,
    cost: impl Fn(Metric) -> Option<Cost>,
) -> Vec<String> {
    let number = |value: Option<f64>| match value {
        Some(value) if value.is_finite() => value.to_string(),
        _ => String::new(),
    };
    let figures = Figure::documented().map(|figure| number(figures.get(figure)));
    let sizes = [macs.to_string(), params.to_string()];
    let costs = TARGET_METRICS.into_iter().flat_map(|metric| {
        let cost = cost(metric);
        [
            number(cost.map(|cost| cost.value)),
            number(cost.map(|cost| cost.low)),
            number(cost.map(|cost| cost.high)),
            cost.map_or("", |cost| cost.source.name()).to_string(),
        ]
    });
    figures.chain(sizes).chain(costs).collect()
}

/// The costs that belong to a target.
const TARGET_METRICS: [Metric; 4] = [Metric::Ram, Metric::Flash, Metric::Latency, Metric::Energy];

// Padding between columns; the table adds one blank to it.
const WIDE_GAP: u16 = 1;
const NARROW_GAP: u16 = 0;

/// Longer names of spaces are cut to so many characters.
const SPACE_CHARACTERS: usize = 17;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Column {
    Trial,
    Approach,
    Space,
    /// How many trainings are behind the figures.
    Trained,
    Figure(Figure),
    Metric(Metric),
    /// Days that the battery lasts.
    Battery,
    Params,
}

impl Column {
    /// The columns of a run. Unusual figures are among them where they steer the run.
    pub(in crate::report) fn of(info: &RunInfo) -> Vec<Column> {
        let figures = Figure::columns(&info.steered_by());
        let mut columns = vec![Column::Trial, Column::Approach, Column::Space];
        // Where nothing was trained again, every row would say the same.
        if info.scored.iter().any(|trial| trial.seeds.is_some()) {
            columns.push(Column::Trained);
        }
        // Where no label steers, real faults may judge, or there are none.
        let is_known = |figure: &Figure| {
            figure.measure == Measure::Sensitivity
                || !info.steered_by().contains(&Measure::Sensitivity)
                || info
                    .scored
                    .iter()
                    .any(|trial| trial.figures.get(*figure).is_some())
        };
        columns.extend(figures.into_iter().filter(is_known).map(Column::Figure));
        columns.extend(TARGET_METRICS.map(Column::Metric));
        columns.extend([
            Column::Battery,
            Column::Metric(Metric::Macs),
            Column::Params,
        ]);
        columns
    }

    /// The columns that a narrow terminal may lose, the most useful first. Test columns of unusual figures come before
    /// them.
    const OPTIONAL: [Column; 7] = [
        Column::Trained,
        Column::Space,
        Column::Metric(Metric::Macs),
        Column::Figure(Figure::steering(Measure::Pauc)),
        Column::Approach,
        Column::Figure(Figure::AUC_FLOAT),
        Column::Params,
    ];

    /// Which of `columns` a narrow terminal may lose, the most useful first.
    fn optional(columns: &[Column]) -> Vec<Column> {
        let is_unusual_test = |column: &Column| match column {
            Column::Figure(figure) => figure.part == Part::Test && !figure.measure.is_usual(),
            _ => false,
        };
        let tests = columns.iter().copied().filter(is_unusual_test);
        tests.chain(Column::OPTIONAL).collect()
    }

    pub(in crate::report) fn header(self) -> String {
        let word = match self {
            Column::Figure(figure) => return figure.header(),
            Column::Trial => "trial",
            Column::Approach => "approach",
            Column::Space => "space",
            Column::Trained => "trained",
            Column::Metric(Metric::Ram) => "RAM",
            Column::Metric(Metric::Flash) => "flash",
            Column::Metric(Metric::Latency) => "latency",
            Column::Metric(Metric::Energy) => "energy",
            Column::Metric(Metric::Macs) => "MACs",
            Column::Battery => "battery",
            Column::Params => "params",
        };
        word.to_string()
    }

    /// The header in one line, for captions.
    pub(in crate::report) fn name(self) -> String {
        self.header().replace('\n', " ")
    }

    pub(in crate::report) fn is_text(self) -> bool {
        matches!(self, Column::Approach | Column::Space | Column::Trained)
    }

    pub(in crate::report) fn cell(self, trial: &ScoredTrial, target_idx: usize) -> String {
        let share = |value: Option<f64>| match value {
            Some(value) if value.is_finite() => format!("{value:.3}"),
            _ => UNKNOWN.to_string(),
        };
        // Columns that may be lost have no room for an interval.
        let half_width = |figure: Figure| match Column::OPTIONAL.contains(&self) {
            true => None,
            false => trial.half_width(figure),
        };
        match self {
            Column::Trial => trial.trial.to_string(),
            Column::Approach => approach(trial.task).to_string(),
            Column::Space => short(&trial.space),
            Column::Trained => match (&trial.seeds, trial.is_fitted) {
                (Some(seeds), _) => format!("{} more", seeds.count()),
                (None, true) => "fitted".to_string(),
                (None, false) => "once".to_string(),
            },
            Column::Figure(figure) => sure(share(trial.figures.get(figure)), half_width(figure)),
            Column::Metric(Metric::Macs) => Metric::Macs.show(trial.macs as f64),
            Column::Metric(cost) => match trial.cost(target_idx, cost) {
                Some(quantity) if quantity.value.is_finite() => shown(cost, &quantity),
                _ => UNKNOWN.to_string(),
            },
            Column::Battery => match trial.battery_days(target_idx) {
                Some(days) => format!("{} d", three_digits(days.value)),
                None => UNKNOWN.to_string(),
            },
            Column::Params => Metric::Macs.show(trial.params as f64),
        }
    }
}

/// A figure with the half width of its interval.
fn sure(figure: String, half_width: Option<f64>) -> String {
    match half_width {
        // Without the zero before the point, which would cost a column.
        Some(half_width) if half_width.is_finite() => {
            let half_width = format!("{half_width:.3}");
            format!("{figure} ±{}", half_width.trim_start_matches('0'))
        }
        _ => figure,
    }
}

/// A cost. A number that is better than an estimate has a mark, which the caption explains.
fn shown(cost: Metric, quantity: &Cost) -> String {
    format!("{}{}", cost.show(quantity.value), mark(quantity.source))
}

const fn mark(source: CostSource) -> &'static str {
    match source {
        CostSource::Estimated => "",
        CostSource::Emulated => "°",
        CostSource::Measured => "*",
    }
}

/// The name without control characters, which would act on a terminal.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).collect()
}

fn short(name: &str) -> String {
    let printable = printable(name);
    if printable.chars().count() <= SPACE_CHARACTERS {
        return printable;
    }
    let start: String = printable.chars().take(SPACE_CHARACTERS - 1).collect();
    format!("{start}…")
}

/// The widest table that fits, and the columns that it leaves out.
fn fitted(
    members: &[&ScoredTrial],
    target_idx: usize,
    width: usize,
    columns: &[Column],
) -> (String, Vec<Column>) {
    let mut columns = columns.to_vec();
    // A column without a single figure says nothing.
    columns.retain(|column| {
        members
            .iter()
            .any(|m| column.cell(m, target_idx) != UNKNOWN)
    });
    for gap in [WIDE_GAP, NARROW_GAP] {
        let table = rendered(members, target_idx, &columns, gap);
        if widest_line(&table) <= width {
            return (table, Vec::new());
        }
    }
    let optional = Column::optional(&columns);
    let (mut left_out, mut chosen): (Vec<Column>, Vec<Column>) =
        columns.iter().partition(|column| optional.contains(column));
    let mut table = rendered(members, target_idx, &chosen, NARROW_GAP);
    for candidate in optional {
        let is_taken = |c: &&Column| **c == candidate || chosen.contains(c);
        let more: Vec<Column> = columns.iter().filter(is_taken).copied().collect();
        let wider = rendered(members, target_idx, &more, NARROW_GAP);
        if columns.contains(&candidate) && widest_line(&wider) <= width {
            left_out.retain(|column| *column != candidate);
            (table, chosen) = (wider, more);
        }
    }
    (table, left_out)
}

fn rendered(members: &[&ScoredTrial], target_idx: usize, columns: &[Column], gap: u16) -> String {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(columns.iter().map(|column| column.header()));
    for member in members {
        table.add_row(columns.iter().map(|column| column.cell(member, target_idx)));
    }
    for (idx, (column, shape)) in columns.iter().zip(table.column_iter_mut()).enumerate() {
        let last = idx + 1 == columns.len();
        shape.set_padding((0, if last { 0 } else { gap }));
        if !column.is_text() {
            shape.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_string())
        .collect();
    lines.join("\n")
}

fn widest_line(text: &str) -> usize {
    let widths = text.lines().map(|line| line.chars().count());
    widths.max().unwrap_or(0)
}

/// Sentences that explain the numbers of a table.
pub(in crate::report) fn caption(
    info: &RunInfo,
    members: &[&ScoredTrial],
    target_idx: usize,
    left_out: &[Column],
) -> String {
    let sources: BTreeSet<CostSource> = members
        .iter()
        .flat_map(|trial| TARGET_METRICS.map(|cost| trial.cost(target_idx, cost)))
        .flatten()
        .map(|quantity| quantity.source)
        .collect();
    let mut lines = Vec::new();
    if info.synthetic {
        lines.push("Synthetic data: the scores say nothing about real machines.".to_string());
    }
    if !members.is_empty() {
        let merits: Vec<&str> = info
            .steered_by()
            .iter()
            .map(|measure| measure.title())
            .collect();
        lines.push(match merits.is_empty() {
            true => "No score steered the search.".to_string(),
            false => capitalised(&format!(
                "{} int8 steered the search; test columns are from clips it never saw.",
                merits.join(" and ")
            )),
        });
        lines.extend(steered_without_labels(info.steered.as_deref()).map(str::to_string));
        lines.extend(heard::agreement(&info.scored));
    }
    let has_intervals = members.iter().any(|member| !member.intervals.is_empty());
    if has_intervals {
        lines.push(
            "± is half of the 95 % interval over the clips of a column, and over seeds where there are several."
                .to_string(),
        );
    }
    lines.extend(rescored(members, has_intervals));
    let ties = info.targets.get(target_idx).map(|target| &target.ties[..]);
    lines.extend(tied(ties.unwrap_or_default()));
    let words: Vec<String> = sources
        .iter()
        .map(|source| match mark(*source) {
            "" => source.name().to_string(),
            mark => format!("{mark} {}", source.name()),
        })
        .collect();
    if !words.is_empty() {
        lines.push(format!("Costs: {}.", words.join(", ")));
    }
    lines.extend(uncertain(info, members, target_idx));
    if !left_out.is_empty() {
        let names: Vec<String> = left_out.iter().map(|column| column.name()).collect();
        lines.push(format!("Left out for width: {}.", names.join(", ")));
    }
    lines.extend(info.notes.iter().cloned());
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A warning where no label steered.
pub fn steered_without_labels(steered: Option<&str>) -> Option<&'static str> {
    match steered {
        Some("disturbed") => Some(
            "Disturbed normal sound steered the search: sensitivity says how well that stands out, and nothing about real \
             faults (docs/unlabelled.md).",
        ),
        Some("stand-ins") => Some(
            "Stand-ins for anomalies, made of normal sound, steered the search: its scores say how well those are \
             noticed, and nothing about real faults.",
        ),
        _ => None,
    }
}

/// A sentence about the trials that are off the front for a cheaper one.
fn tied(ties: &[u64]) -> Option<String> {
    let numbers: Vec<String> = ties.iter().map(u64::to_string).collect();
    let [trials, are] = match ties {
        [] => return None,
        [_] => ["Trial", "is"],
        _ => ["Trials", "are"],
    };
    Some(format!(
        "{trials} {} {are} left out: a cheaper network is as good within the noise of trainings.",
        numbers.join(", ")
    ))
}

/// A sentence about the members that were trained again: their figures are means.
fn rescored(members: &[&ScoredTrial], is_explained: bool) -> Option<String> {
    let counts: BTreeSet<usize> = members
        .iter()
        .filter_map(|member| Some(member.seeds.as_ref()?.count()))
        .collect();
    let (least, most) = (counts.first()?, counts.last()?);
    let count = match least == most {
        true => least.to_string(),
        false => format!("{least} to {most}"),
    };
    let once = members
        .iter()
        .filter(|member| member.seeds.is_none() && !member.is_fitted)
        .count();
    let who = match once {
        0 => String::new(),
        _ => format!("; {once} of {} were trained once", members.len()),
    };
    let interval = match is_explained {
        true => "",
        false => ", ± half of their 95 % interval",
    };
    Some(format!(
        "Figures are means over {count} seeds{interval}{who}."
    ))
}

/// A sentence about the members whose bands cross a budget, with the probability that each keeps to it.
fn uncertain(info: &RunInfo, members: &[&ScoredTrial], target_idx: usize) -> Option<String> {
    let crossing: Vec<String> = members
        .iter()
        .filter_map(|member| {
            let (probability, metric) = info.fit(member, target_idx)?;
            let percent = (100.0 * probability).round();
            Some(format!(
                "{} fits with {percent:.0} % ({metric})",
                member.trial
            ))
        })
        .collect();
    (!crossing.is_empty()).then(|| format!("Bands that cross the budget: {}.", crossing.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{Fake, fake_run, small_run};

    #[test]
    fn a_table_says_what_its_numbers_are() {
        let expected = "\
Front of brave-fan on m7: 1 trial, hypervolume 0.5000
trial  approach    space           AUC    AUC   pAUC       RAM     flash   latency    MACs  params
                                  int8  float   int8
──────────────────────────────────────────────────────────────────────────────────────────────────
    4  classifier  ds-cnn  0.875 ±.125  0.900  0.625  64.0 KiB  87.9 KiB  40.0 ms*  1.50 M  52.0 k
Synthetic data: the scores say nothing about real machines.
AUC int8 steered the search; test columns are from clips it never saw.
± is half of the 95 % interval over the clips of a column, and over seeds where there are several.
Costs: estimated, * measured.
too few clips
";
        assert_eq!(front_table(&small_run(), 1, 120), expected);
    }

    #[test]
    fn a_table_is_as_wide_as_the_terminal() {
        fn check(width: usize, left_out: &str) {
            let table = front_table(&fake_run(&Fake::COMMON), 0, width);
            assert!(widest_line(&table) <= width, "{width}:\n{table}");
            let caption = table.lines().find(|line| line.starts_with("Left out"));
            assert_eq!(caption.unwrap_or(""), left_out, "{width}");
        }
        check(120, "");
        check(
            80,
            "Left out for width: approach, AUC float, pAUC int8, params.",
        );
        let near = small_run();
        let mut tight = near.clone();
        tight.targets[1].budget.latency_us = Some(40000.0);
        let table = front_table(&tight, 1, 120);
        assert!(
            table.contains("Bands that cross the budget: 4 fits with 50 % (latency)."),
            "{table}"
        );
        let empty = Fake {
            trained: 0,
            ..Fake::COMMON
        };
        let table = front_table(&fake_run(&empty), 0, 80);
        assert!(table.contains("No trained candidate is on the front."));
        let hostile = Fake {
            hostile: true,
            ..Fake::COMMON
        };
        assert!(!front_tables(&fake_run(&hostile), 80).contains('\u{1}'));
    }

    #[test]
    fn csv_reads_back() {
        let text = front_csv(&small_run());
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let cell = |row: usize, name: &str| {
            let column = header.iter().position(|h| h == name).unwrap();
            rows[row][column].to_string()
        };
        assert_eq!(rows.len(), 3);
        assert_eq!(cell(0, "trial"), "4");
        assert_eq!(cell(1, "approach"), "autoencoder");
        assert_eq!(cell(1, "test_auc_int8"), "");
        assert_eq!(cell(2, "target"), "m7");
        assert_eq!(cell(2, "latency_us_high"), "50000");
        assert_eq!(cell(2, "latency_us_source"), "measured");
        assert_eq!(cell(2, "energy_uj"), "");
    }
}
