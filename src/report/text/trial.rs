//! One trial: axes, scores, costs, operators.

use super::grid;
use crate::{
    report::json::{CostView, IntervalView, MeasurementView, RescoredView, TrialDocument},
    units::{Bytes, Count, Microjoules, Micros},
};

/// All that is known of one trial.
pub fn trial(trial: &TrialDocument) -> String {
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
    if let Some(figures) = &trial.figures {
        let show = |auc: Option<f64>| auc.map_or("–".to_string(), |auc| format!("{auc:.4}"));
        text += &format!(
            "AUC int8 {}, pAUC int8 {}, accuracy int8 {}, AUC float {}; untouched clips: AUC int8 {}, accuracy int8 {}\
             {synthetic}\n",
            show(figures.auc_int8),
            show(figures.pauc_int8),
            show(figures.accuracy_int8),
            show(figures.auc_float),
            show(figures.test_auc_int8),
            show(figures.test_accuracy_int8)
        );
    }
    if let Some(rescored) = &trial.rescored {
        text += &further_seeds(rescored);
    }
    for group in &trial.groups {
        let domain = group.domain.as_deref().unwrap_or("");
        let auc = group
            .auc_int8
            .map_or("–".to_string(), |auc| format!("{auc:.4}"));
        text += &format!(
            "  {} {} {domain}: AUC {auc}\n",
            group.machine, group.section
        );
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
        ]
    });
    text += &grid(
        &["target", "RAM", "flash", "latency", "energy"],
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
    text += &grid(&["operator", "output", "MACs", "params"], rows.collect());
    text += "\n";
    for file in &trial.files {
        text += &format!("file: {file}\n");
    }
    text
}

/// What was seen at one place.
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
    let show = |interval: Option<IntervalView>| {
        interval.map_or("–".to_string(), |interval| match interval.half_width {
            Some(half_width) => format!("{:.4} ± {half_width:.4}", interval.mean),
            None => format!("{:.4}", interval.mean),
        })
    };
    let each = rescored.trainings.iter().map(|training| {
        let auc = training.figures.and_then(|figures| figures.auc_int8);
        auc.map_or("failed".to_string(), |auc| format!("{auc:.4}"))
    });
    format!(
        "{} further seeds: AUC int8 {}, accuracy int8 {}, AUC float {}; untouched clips: AUC int8 {}, accuracy int8 {} \
         (means ± half of their 95 % interval)\n  AUC int8 of each: {}\n",
        rescored.trainings.len(),
        show(rescored.auc_int8),
        show(rescored.accuracy_int8),
        show(rescored.auc_float),
        show(rescored.test_auc_int8),
        show(rescored.test_accuracy_int8),
        each.collect::<Vec<String>>().join(", ")
    )
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
