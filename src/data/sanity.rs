//! What a clip table lacks for a search and for meaningful scores.

use std::collections::BTreeMap;

use super::{Clip, Label, Split, counted, first_few};

/// Fewer labelled test clips of either class than this, and a section's AUC means nothing:
/// with ten and ten its standard error is 0.13 by chance alone.
const MIN_TEST_CLIPS: usize = 10;

/// Fewer training clips than this show little of how a machine sounds: ten of 10 s are under two minutes.
const MIN_TRAIN_CLIPS: usize = 10;

#[derive(Default)]
struct Counts {
    train: usize,
    train_anomalies: usize,
    test: usize,
    normals: usize,
    anomalies: usize,
}

/// Sentences for [`super::Dataset::notes`].
pub(super) fn notes(clips: &[Clip]) -> Vec<String> {
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
        kept.map(|((machine, section), _)| format!("{machine} {section}"))
            .collect()
    };
    let total = |count: fn(&Counts) -> usize| sections.values().map(count).sum::<usize>();

    let mut notes = Vec::new();
    let mut note = |sections: &[String], what: &str| {
        if !sections.is_empty() {
            notes.push(format!("{}: {what}", first_few(sections)));
        }
    };
    if total(|counts| counts.train) == 0 {
        notes.push("no training clips: a found model can be scored here, but none searched".into());
    } else {
        note(
            &of(&|counts| counts.train == 0),
            "no training clips; a classifier cannot know this section",
        );
        note(
            &of(&|counts| (1..MIN_TRAIN_CLIPS).contains(&counts.train)),
            "fewer than 10 training clips, too few to learn what is normal",
        );
    }
    let n_train_anomalies = total(|counts| counts.train_anomalies);
    if n_train_anomalies > 0 {
        let count = counted(n_train_anomalies, "training clip");
        notes.push(format!(
            "{count} labelled anomalous: never trained on, as models learn normal sound only"
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
    for ((machine, section), counts) in &sections {
        let place = format!("{machine} {section}");
        match (counts.normals, counts.anomalies) {
            (0, 0) if counts.test == 0 => notes.push(format!("{place}: no test clips")),
            (0, 0) => notes.push(format!("{place}: no test clip has a label, so no AUC")),
            (0, _) => notes.push(format!("{place}: no normal test clips, so no AUC")),
            (_, 0) => notes.push(format!("{place}: no anomalous test clips, so no AUC")),
            (normals, anomalies) if normals.min(anomalies) < MIN_TEST_CLIPS => {
                let anomalies_counted = counted(anomalies, "anomalous test clip");
                let deviation = chance_auc_deviation(normals, anomalies);
                notes.push(format!(
                    "{place} has {normals} normal and {anomalies_counted}: scores mean nothing with so few \
                     (the AUC of pure chance varies by ±{deviation:.2})"
                ));
            }
            _ => {}
        }
    }
    notes
}

/// Standard deviation of the AUC of a detector that guesses: that of the Mann-Whitney U statistic over `normals * anomalies`.
fn chance_auc_deviation(normals: usize, anomalies: usize) -> f64 {
    let (normals, anomalies) = (normals as f64, anomalies as f64);
    ((normals + anomalies + 1.0) / (12.0 * normals * anomalies)).sqrt()
}
