//! Introduces a search before it begins (its data, spaces and targets), and prints the result of a dry run.

use super::{Exit, Failure, Global, out};
use nas::{
    run::{DryRun, Setup},
    units::{Count, Span, three_digits},
};

/// Describes the search on stderr.
pub fn introduce(global: &Global, setup: &Setup) {
    if let Some(folds) = setup.folds() {
        let dataset = folds.last().dataset();
        let synthetic = if dataset.synthetic {
            " (synthetic)"
        } else {
            ""
        };
        global.note(&format!(
            "data: {}{synthetic}, {} clips",
            dataset.name,
            dataset.clips.len()
        ));
        for note in &setup.notes {
            global.note(&format!("note: {note}"));
        }
        if folds.all().count() > 1 {
            global.note(
                "note: every fold tests in turn; figures are means over the folds, and the model is the last fold's",
            );
        }
    }
    let names: Vec<String> = setup
        .spaces
        .spaces()
        .iter()
        .map(|space| format!("{} ({})", space.name, Count::from(space.size())))
        .collect();
    global.note(&format!("spaces: {}", names.join(", ")));
    for sentence in &setup.starts_from {
        global.note(sentence);
    }
    if let Some(left_out) = &setup.left_out {
        global.note(&format!("note: {left_out}"));
    }
    for (target, references) in setup.targets.iter().zip(&setup.references) {
        let parts: Vec<String> = setup
            .objectives
            .iter()
            .zip(references)
            .map(|(objective, value)| objective.show(*value))
            .collect();
        global.note(&format!(
            "target: {}; hypervolume reference: {}",
            target.name,
            parts.join(", ")
        ));
    }
}

/// Prints the result of a dry run.
///
/// # Errors
/// Where nothing fits the budget.
pub fn dry_run(found: &DryRun) -> Result<(), Failure> {
    out::print(format!(
        "size of the spaces: {} genomes\nshare that fits the budget: {:.1} % of {} drawn at random\n",
        Count::from(found.genomes),
        100.0 * found.share,
        found.drawn
    ))?;
    let Some(time) = &found.time else {
        return Err(Failure::new(
            Exit::NothingFits,
            anyhow::anyhow!("none of the drawn candidates fits the budget"),
        ));
    };
    let [fitted, trained] = time.seconds_each.map(three_digits);
    let mut lines = Vec::new();
    if time.timed[0] > 0 {
        lines.push(format!(
            "detectors in closed form: {}, {fitted} s each (mean of {} fitted now)",
            time.planned[0], time.timed[0]
        ));
    }
    if time.timed[1] > 0 {
        lines.push(format!(
            "trainings: {}, {trained} s each (mean of {} trained now; the search prefers quick ones)",
            time.planned[1], time.timed[1]
        ));
    }
    lines.push(format!(
        "estimated end: {} after the start, {} at a time\n",
        Span(time.end),
        time.jobs
    ));
    out::print(lines.join("\n"))
}
