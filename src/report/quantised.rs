//! What int8 costs, in words: where it costs more than noise, where eight bits are few, and which networks were quantised
//! by an older pipeline.

use crate::{
    evaluate::{Int8, PIPELINE_VERSION},
    run::Details,
};

/// Sentences about the scored trials of a run, given as number and details.
///
/// `details` are those of trials that have a model.
pub fn notes(details: &[(u64, Details)]) -> Vec<String> {
    let count = details.len();
    let mut notes = Vec::new();
    let int8 = || {
        details
            .iter()
            .filter_map(|(trial, one)| Some((*trial, one.int8.as_ref()?)))
    };
    let costly: Vec<(u64, &Int8)> = int8().filter(|(_, int8)| int8.is_costly()).collect();
    let worst = costly
        .iter()
        .max_by(|a, b| a.1.lost().total_cmp(&b.1.lost()));
    if let Some((trial, worst)) = worst {
        notes.push(format!(
            "int8 costs more {} than chance explains in {} of {count} networks, most in trial {trial}: {:.3} (docs/quantisation.md)",
            worst.lost_of(),
            costly.len(),
            worst.lost()
        ));
    }
    let coarse = int8().filter(|(_, int8)| int8.is_coarse()).count();
    if coarse > 0 {
        notes.push(format!(
            "eight bits are few for {coarse} of {count} networks: int8 scores follow float scores badly on disturbed sound \
             (docs/quantisation.md)"
        ));
    }
    let older = details.iter().filter(|(_, one)| is_older(one)).count();
    if older > 0 {
        notes.push(format!(
            "{older} of {count} networks were quantised by an older pipeline than version {PIPELINE_VERSION}, and would score \
             otherwise now; `nas requantise` makes their int8 models anew where float weights were kept"
        ));
    }
    notes
}

/// Whether a network was quantised by an older pipeline than that of this program.
pub fn is_older(details: &Details) -> bool {
    details
        .int8
        .as_ref()
        .is_none_or(|int8| int8.pipeline < PIPELINE_VERSION)
}

/// One line on how an int8 network came out of its float network.
pub fn line(int8: &Int8) -> String {
    let percent = |share: f64| match 100.0 * share {
        share if share < 0.0005 => "0 %".to_string(),
        share => format!("{share:.2} %"),
    };
    let clipped = |share: Option<f64>| share.map_or("–".to_string(), percent);
    let noise = int8
        .auc_lost_error
        .map_or(String::new(), |error| format!(" ± {error:.4}"));
    let costly = if int8.is_costly() {
        ", more than chance explains"
    } else {
        ""
    };
    let kept = int8.kept.map_or(String::new(), |kept| {
        format!(
            "; keeps {:.1} % of what float tells apart on disturbed sound",
            100.0 * kept
        )
    });
    let few = if int8.is_coarse() {
        ", for which eight bits are few"
    } else {
        ""
    };
    format!(
        "int8 costs {:.4}{noise} of {}{costly}; the input reaches {} times as far as normal sound{kept}{few}; cut off of the \
         input: {} in normal, {} in anomalous test clips",
        int8.lost(),
        int8.lost_of(),
        // Two places are enough, and 2 is said as 2.
        (100.0 * int8.input_headroom).round() / 100.0,
        clipped(int8.clipped_normal),
        clipped(int8.clipped_anomaly)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(auc_lost: f64, kept: f64, pipeline: Option<u32>) -> Details {
        let int8 = |pipeline| Int8 {
            pipeline,
            input_headroom: 2.0,
            other_headroom: 1.5,
            tail: 0.0,
            kept: Some(kept),
            auc_lost: Some(auc_lost),
            auc_lost_error: Some(0.004),
            sensitivity_lost: None,
            clipped_normal: Some(0.0),
            clipped_anomaly: Some(0.0123),
        };
        Details {
            epochs: 1,
            groups: Vec::new(),
            intervals: Default::default(),
            notes: Vec::new(),
            model_hash: None,
            clip_score: None,
            int8: pipeline.map(int8),
            hears: None,
        }
    }

    #[test]
    fn what_is_odd_is_said() {
        let now = Some(PIPELINE_VERSION);
        let check = |trials: &[Details], expected: &[&str]| {
            let numbered: Vec<(u64, Details)> = trials
                .iter()
                .enumerate()
                .map(|(idx, one)| {
                    let Details { epochs, int8, .. } = one;
                    let (groups, notes) = (Vec::new(), Vec::new());
                    let (epochs, int8) = (*epochs, int8.clone());
                    (
                        idx as u64,
                        Details {
                            epochs,
                            groups,
                            intervals: Default::default(),
                            notes,
                            model_hash: None,
                            clip_score: None,
                            int8,
                            hears: None,
                        },
                    )
                })
                .collect();
            let found = notes(&numbered);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.contains(expected), "{found}");
            }
        };
        check(&[], &[]);
        // Within two standard errors, and a loss that nobody minds.
        check(&[details(0.007, 0.95, now), details(-0.1, 0.95, now)], &[]);
        check(
            &[details(0.02, 0.95, now), details(0.06, 0.5, now)],
            &[
                "in 2 of 2 networks, most in trial 1: 0.060",
                "eight bits are few for 1 of 2",
            ],
        );
        check(
            &[
                details(0.0, 1.0, now),
                details(0.0, 1.0, None),
                details(0.0, 1.0, Some(PIPELINE_VERSION - 1)),
            ],
            &["2 of 3 networks were quantised by an older pipeline"],
        );
        let line = line(&details(0.02, 0.5, now).int8.unwrap());
        for part in [
            "0.0200 ± 0.0040",
            "more than chance",
            "2 times",
            "50.0 %",
            "0 % in normal",
            "1.23 % in anomalous",
        ] {
            assert!(line.contains(part), "{line}");
        }
    }
}
