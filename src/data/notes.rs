//! Says what a clip table lacks for a search and for meaningful scores.

use std::collections::BTreeMap;

use super::{Clip, Label, Learns, Split, counted, first_few, section_name};

/// A section's score means nothing where guesses have an AUC with a standard deviation above this: four normals and
/// four anomalies.
const MEANINGLESS_DEVIATION: f64 = 0.2;

/// A section's score says little above this deviation: 0.2 between two models may be chance.
const WEAK_DEVIATION: f64 = 0.1;

/// Fewer training clips say little about how a machine sounds: ten of 10 s are under two minutes.
const MIN_TRAIN_CLIPS: usize = 10;

#[derive(Default)]
struct Counts {
    train: usize,
    train_anomalies: usize,
    test: usize,
    normals: usize,
    anomalies: usize,
}

/// Writes the sentences for [`super::Dataset::notes`].
pub(super) fn notes(clips: &[Clip], learns: Learns) -> Vec<String> {
    let mut sections: BTreeMap<(&str, &str), Counts> = BTreeMap::new();
    for clip in clips {
        let counts = sections.entry((&clip.machine, &clip.section)).or_default();
        match (clip.split, clip.label) {
            (Split::Train, Some(Label::Anomaly)) => counts.train_anomalies += 1,
            (Split::Train, _) => counts.train += 1,
            (Split::Test, label) => {
                counts.test += 1;
                counts.normals += usize::from(label == Some(Label::Normal));
                counts.anomalies += usize::from(label == Some(Label::Anomaly));
            }
        }
    }
    let of = |keep: &dyn Fn(&Counts) -> bool| -> Vec<String> {
        let kept = sections.iter().filter(|(_, counts)| keep(counts));
        kept.map(|((machine, section), _)| section_name(machine, section))
            .collect()
    };
    let total = |count: fn(&Counts) -> usize| sections.values().map(count).sum::<usize>();

    let mut notes = Vec::new();
    if total(|counts| counts.train) == 0 {
        notes.push("no training clips: you can score a model here, but not search for one".into());
    } else {
        let none = of(&|counts| counts.train == 0);
        note(
            &mut notes,
            "no training clips, so no class for a classifier",
            &none,
        );
        let few = of(&|counts| (1..MIN_TRAIN_CLIPS).contains(&counts.train));
        note(
            &mut notes,
            "too few training clips to learn what is normal",
            &few,
        );
    }
    let n_train_anomalies = total(|counts| counts.train_anomalies);
    if n_train_anomalies > 0 && learns == Learns::Sections {
        let count = counted(n_train_anomalies, "training clip");
        notes.push(format!(
            "{count} labelled anomalous: autoencoders are trained to fail on them, classifiers of sections and distances \
             leave them out; `:labels` behind the path learns to tell them from normal clips"
        ));
    }
    if total(|counts| counts.test) == 0 {
        notes.push("no test clips: nothing can be scored".into());
        return notes;
    }
    if total(|counts| counts.normals + counts.anomalies) == 0 {
        notes.push("no test clip has a label: clips get scores, but there is no AUC".into());
        return notes;
    }

    note(&mut notes, "no test clips", &of(&|counts| counts.test == 0));
    if learns == Learns::Classes {
        return notes;
    }
    let lacks = |normals: bool, anomalies: bool| {
        of(&|counts| {
            counts.test > 0 && (counts.normals > 0, counts.anomalies > 0) == (normals, anomalies)
        })
    };
    note(
        &mut notes,
        "test clips without labels, so no AUC",
        &lacks(false, false),
    );
    note(
        &mut notes,
        "no normal test clips, so no AUC",
        &lacks(false, true),
    );
    note(
        &mut notes,
        "no anomalous test clips, so no AUC",
        &lacks(true, false),
    );

    let mut meaningless = Vec::new();
    let mut weak = Vec::new();
    for ((machine, section), counts) in &sections {
        let (normals, anomalies) = (counts.normals, counts.anomalies);
        let deviation = chance_auc_deviation(normals, anomalies);
        let shown = format!(
            "{} ({normals} normal, {anomalies} anomalous; a guess has AUC 0.50 ± {deviation:.2})",
            section_name(machine, section)
        );
        // The deviation is not finite where a class is missing; another note says so.
        match deviation {
            d if !d.is_finite() || d <= WEAK_DEVIATION => {}
            d if d <= MEANINGLESS_DEVIATION => weak.push(shown),
            _ => meaningless.push(shown),
        }
    }
    note(
        &mut notes,
        "too few test clips for scores to mean anything",
        &meaningless,
    );
    note(&mut notes, "few test clips, so scores say little", &weak);
    notes
}

fn note(notes: &mut Vec<String>, what: &str, sections: &[String]) {
    if !sections.is_empty() {
        notes.push(format!("{what}: {}", first_few(sections)));
    }
}

/// Standard deviation of the AUC of a guess: that of the Mann-Whitney U statistic, divided by `normals * anomalies`.
fn chance_auc_deviation(normals: usize, anomalies: usize) -> f64 {
    let (normals, anomalies) = (normals as f64, anomalies as f64);
    ((normals + anomalies + 1.0) / (12.0 * normals * anomalies)).sqrt()
}
