//! All trials of a run: a table for a terminal, and CSV with a column per axis.

use std::collections::BTreeSet;

use super::{
    UNKNOWN,
    front::{steered_without_labels, value_headers, values},
    grid,
};
use crate::{
    hardware::Metric,
    report::{
        trials::{Listed, TrialList},
        words::csv_text,
    },
    score::Figures,
    units::Count,
};

/// What was scored or failed, with its costs on the first target; how many were over budget is said below.
pub fn table(list: &TrialList) -> String {
    let row = |trial: &Listed| {
        let score = trial
            .figures
            .and_then(|figures| figures.steering(list.merit));
        let cost = |metric: Metric| {
            let costs = trial.costs.first();
            let cost = costs.and_then(|costs| costs.get(metric));
            cost.map_or(UNKNOWN.to_string(), |cost| metric.show(cost.value))
        };
        let known = |value: Option<String>| value.unwrap_or(UNKNOWN.to_string());
        vec![
            trial.trial.to_string(),
            trial.space.clone(),
            known(score.map(|score| format!("{score:.3}"))),
            trial.further_trainings.to_string(),
            cost(Metric::Ram),
            cost(Metric::Flash),
            cost(Metric::Latency),
            format!("{:.1} s", trial.seconds),
            match trial.on_front.is_empty() {
                true => String::new(),
                false => "yes".to_string(),
            },
        ]
    };
    let is_shown = |trial: &&Listed| trial.state != "rejected";
    let shown: Vec<&Listed> = list.trials.iter().filter(is_shown).collect();
    let header = [
        "trial",
        "space",
        list.merit.title(),
        "further",
        "RAM",
        "flash",
        "latency",
        "took",
        "on front",
    ];
    let mut text = grid(&header, shown.iter().map(|trial| row(trial)).collect());
    if let Some(target) = list.targets.first() {
        text += &format!(
            "\nCosts are estimated, on {target}. `further` counts trainings with other seeds; scores are their means.\n"
        );
    }
    if list.synthetic {
        text += "The sounds are synthetic.\n";
    }
    let warning = steered_without_labels(list.steered.as_deref());
    text.extend(warning.map(|warning| format!("{warning}\n")));
    for failed in list.trials.iter().filter(|trial| trial.state == "failed") {
        let reason = failed.reason.as_deref().unwrap_or_default();
        text += &format!("Trial {} failed: {reason}\n", failed.trial);
    }
    let over = list.trials.len() - shown.len();
    if over > 0 {
        let over = Count::from(over as u128);
        text += &format!(
            "{over} were over budget and not trained; --csv and --json list them too, and every axis.\n"
        );
    }
    text
}

/// A line per trial and target, with a column for every axis of every space, empty where a space has no such axis.
pub fn csv(list: &TrialList) -> String {
    let mut names: Vec<&str> = Vec::new();
    let mut known = BTreeSet::new();
    for (name, _) in list.trials.iter().flat_map(|trial| &trial.axes) {
        if known.insert(name.as_str()) {
            names.push(name);
        }
    }
    let mut header: Vec<String> = [
        "run",
        "synthetic",
        "steered_by",
        "target",
        "trial",
        "state",
        "on_front",
        "task",
        "space",
    ]
    .map(String::from)
    .to_vec();
    header.extend(names.iter().map(|name| name.to_string()));
    header.push("further_trainings".to_string());
    header.extend(value_headers());
    header.extend(["seconds", "reason"].map(String::from));
    let mut records = vec![header];
    for trial in &list.trials {
        for (target, costs) in list.targets.iter().zip(&trial.costs) {
            let mut record = vec![
                list.run.clone(),
                list.synthetic.to_string(),
                list.steered.clone().unwrap_or_default(),
                target.clone(),
                trial.trial.to_string(),
                trial.state.to_string(),
                trial.on_front.contains(target).to_string(),
                trial.task.clone(),
                trial.space.clone(),
            ];
            record.extend(names.iter().map(|name| {
                let axis = trial.axes.iter().find(|(axis, _)| axis == name);
                axis.map_or(String::new(), |(_, value)| value.clone())
            }));
            record.push(trial.further_trainings.to_string());
            let figures = trial.figures.unwrap_or(Figures::default());
            record.extend(values(&figures, trial.macs, trial.params, |cost| {
                costs.get(cost)
            }));
            record.push(trial.seconds.to_string());
            record.push(trial.reason.clone().unwrap_or_default());
            records.push(record);
        }
    }
    csv_text(records.iter())
}
