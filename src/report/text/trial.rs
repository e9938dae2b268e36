//! One trial: axes, scores, costs, operators.

use std::path::Path;

use super::{front, grid};
use crate::{
    report::{
        json::{
            CostView, FrontEndView, IntervalView, MeasurementView, RescoredView, TrialDocument,
        },
        quantised,
    },
    score::{Figure, Measure, Part},
    units::{Bytes, Count, Microjoules, Micros},
};

/// How much sound a decision is about, and how often there is one.
fn hearing(front_end: &FrontEndView) -> String {
    let hop_s = front_end.hop_length as f64 / f64::from(front_end.sample_rate_hz);
    let [window, delay] = [front_end.frames, front_end.frame_stride].map(|n| n as f64 * hop_s);
    let seen = match &front_end.statistics {
        None => String::new(),
        Some(which) => format!(
            ", seen as {} of {} groups of bands",
            which.kinds, which.groups
        ),
    };
    let companded = match front_end.companding {
        None => String::new(),
        Some(knee) => format!(", features beyond {knee} deviations count a quarter"),
    };
    format!("hears {window:.2} s at a time, decides every {delay:.2} s{seen}{companded}\n")
}

/// All that is known about one trial, as text. Its files are below `folder`.
pub fn trial(trial: &TrialDocument, folder: &Path) -> String {
    let synthetic = if trial.synthetic { " (synthetic)" } else { "" };
    let mut text = format!(
        "{}/{}: {} of space {}, {}, on {}{synthetic}\n",
        trial.run, trial.trial, trial.task, trial.space, trial.state, trial.data
    );
    let axes: Vec<String> = trial
        .axes
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    text += &format!("axes: {}\n", axes.join(", "));
    text += &format!(
        "{} MACs, {} parameters\n",
        Count(trial.macs),
        Count(trial.params)
    );
    text += &hearing(&trial.front_end);
    if let Some(figures) = &trial.figures {
        let told = told(|figure| Some(format!("{:.4}", figures.0.get(figure)?)));
        text += &format!("{told}{synthetic}\n");
    }
    if let Some(warning) = front::steered_without_labels(trial.steered_by.as_deref()) {
        text += &format!("{warning}\n");
    }
    if let Some(rule) = &trial.clip_score {
        text += &format!("a clip's score is the {rule} of its windows' scores\n");
    }
    if let Some(int8) = &trial.int8 {
        text += &format!("{}\n", quantised::line(int8));
    }
    if let Some(hears) = &trial.hears {
        let (sentence, intervals) = (hears.sentence(), hears.intervals());
        text += &format!("{sentence}\n  ({intervals};\n  {})\n", hears.basis());
    }
    if trial.older_pipeline {
        text += "quantised by an older pipeline: it would score otherwise now (`nas requantise`)\n";
    }
    if let Some(rescored) = &trial.rescored {
        text += &further_seeds(rescored);
    }
    for group in &trial.groups {
        // A section with clips of only one label has no figure.
        if let Some(auc) = group.auc_int8 {
            let domain = group
                .domain
                .as_deref()
                .map_or(String::new(), |domain| format!(" {domain}"));
            text += &format!(
                "  {} {}{domain}: AUC {auc:.4}\n",
                group.machine, group.section
            );
        }
    }
    for (budget, share) in &trial.excess {
        text += &format!("over budget: {budget} by {:.0} %\n", 100.0 * share);
    }
    if let Some(error) = &trial.error {
        text += &format!("failed: {error}\n");
    }
    text += "\n";
    let rows = trial.costs.iter().map(|(target, costs)| {
        let bytes = |view: Option<CostView<u64>>| band(view, |value| Bytes(value).to_string());
        vec![
            target.clone(),
            bytes(costs.ram_bytes),
            bytes(costs.flash_bytes),
            band(costs.latency_us, |value| Micros(value).to_string()),
            band(costs.energy_uj, |value| Microjoules(value).to_string()),
            band(costs.real_time_factor, |value| format!("{value:.3}")),
        ]
    });
    text += &grid(
        &[
            "target",
            "RAM",
            "flash",
            "latency",
            "energy",
            "of real time",
        ],
        rows.collect(),
    );
    text += "\n\n";
    for seen in &trial.measurements {
        text += &measurement(seen);
    }
    let rows = trial.operators.iter().map(|operator| {
        let [height, width, channels] = operator.output;
        vec![
            operator.operator.clone(),
            format!("{height}x{width}x{channels}"),
            operator.macs.to_string(),
            operator.params.to_string(),
        ]
    });
    let members = trial
        .axes
        .get("members")
        .and_then(|members| members.parse().ok());
    let members = members.unwrap_or(1);
    text += &grid(
        &["operator", "output", "MACs", "params"],
        grouped(members, rows.collect()),
    );
    text += "\n";
    for file in &trial.files {
        text += &format!("file: {}\n", folder.join(file).display());
    }
    text
}

/// Rows of operators with the members of an ensemble shown once, because all have one shape.
///
/// After the second and every further member comes an operator that adds up the outputs so far.
fn grouped(members: usize, rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let length = (rows.len() + 1) / members.max(1) - 1;
    if members < 2 || rows.len() + 1 != members * (length + 1) {
        return rows;
    }
    let heading = |text: String| {
        let mut row = vec![String::new(); rows[0].len()];
        row[0] = text;
        row
    };
    let indented = |row: &Vec<String>| {
        let mut row = row.clone();
        row[0] = format!("  {}", row[0]);
        row
    };
    let mut shown = vec![heading(format!("{members} members, each:"))];
    shown.extend(rows[..length].iter().map(indented));
    shown.push(heading(format!("{} sums:", members - 1)));
    shown.extend(rows.last().map(indented));
    shown
}

/// The measurement at one place, as text.
fn measurement(seen: &MeasurementView) -> String {
    let outputs = match seen.outputs_match {
        true => "outputs as on the host",
        false => "outputs DIFFERENT from the host's",
    };
    let count = |what: &str, count: Option<u64>| {
        count.map_or(String::new(), |count| format!(", {} {what}", Count(count)))
    };
    let cycles = seen.cycles.as_ref().map_or(String::new(), |cycles| {
        format!(", {} cycles {}", Count(cycles.value), cycles.source)
    });
    let fits = seen.fits.iter().map(|(target, fits)| match fits {
        true => format!(", fits {target}"),
        false => format!(", does NOT fit {target}"),
    });
    let fits: String = fits.collect();
    format!(
        "{} on {}: {outputs}{}{cycles}{}; RAM {} (arena {}, stack {}), flash {}{fits}\n",
        seen.source,
        seen.on,
        count("instructions", seen.instructions),
        count("instructions per hop", seen.hop_instructions),
        Bytes(seen.ram_bytes),
        Bytes(seen.arena_bytes),
        Bytes(seen.stack_bytes),
        Bytes(seen.flash_bytes)
    )
}

fn further_seeds(rescored: &RescoredView) -> String {
    let show = |interval: IntervalView| match interval.half_width {
        Some(half_width) => format!("{:.4} ± {half_width:.4}", interval.mean),
        None => format!("{:.4}", interval.mean),
    };
    let each = rescored.trainings.iter().map(|training| {
        let auc = training
            .figures
            .and_then(|figures| figures.0.steering(figures.0.headline()));
        auc.map_or("failed".to_string(), |auc| format!("{auc:.4}"))
    });
    let means = told(|figure| {
        // The sentence is long enough without the interval.
        let mean = rescored.means.get(figure);
        mean.filter(|_| figure.measure != Measure::Pauc).map(show)
    });
    format!(
        "{} further seeds: {means} (means ± half of their 95 % interval)\n  AUC int8 of each: {}\n",
        rescored.trainings.len(),
        each.collect::<Vec<String>>().join(", ")
    )
}

/// The figures of a trial in words: first those on the clips that steer. `show` gives the text of a value; `None`
/// leaves the figure out.
fn told(show: impl Fn(Figure) -> Option<String>) -> String {
    let [steering, untouched] = Part::ALL.map(|part| {
        let own = Figure::TOLD
            .into_iter()
            .filter(|figure| figure.part == part);
        let told = own.filter_map(|figure| Some(format!("{} {}", figure.title(), show(figure)?)));
        told.collect::<Vec<String>>().join(", ")
    });
    match untouched.is_empty() {
        true => steering,
        false => format!("{steering}; untouched clips: {untouched}"),
    }
}

/// A value, its band and its source.
fn band<T: Copy + PartialEq>(view: Option<CostView<T>>, show: impl Fn(T) -> String) -> String {
    match view {
        None => "–".to_string(),
        Some(view) if view.low == view.high => format!("{} {}", show(view.value), view.source),
        Some(view) => {
            format!(
                "{} ({} to {}) {}",
                show(view.value),
                show(view.low),
                show(view.high),
                view.source
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_an_ensemble_stand_once() {
        let check = |members: usize, names: &str, expected: &str| {
            let row = |name: char| vec![name.to_string()];
            let shown: Vec<String> = grouped(members, names.chars().map(row).collect())
                .into_iter()
                .map(|row| row[0].clone())
                .collect();
            assert_eq!(shown.join("|"), expected);
        };
        check(3, "abcabc+abc+", "3 members, each:|  a|  b|  c|2 sums:|  +");
        check(2, "aa+", "2 members, each:|  a|1 sums:|  +");
        check(1, "abc", "a|b|c");
        check(2, "ab", "a|b");
        check(1, "", "");
    }
}
