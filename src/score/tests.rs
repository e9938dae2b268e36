use std::cmp::Ordering;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::{data::Domain, stats::kendall_tau};

#[derive(Deserialize)]
struct Golden {
    binary: Vec<Binary>,
    multiclass: Vec<Multiclass>,
    mahalanobis: Vec<MahalanobisCase>,
}

#[derive(Deserialize)]
struct MahalanobisCase {
    bands: usize,
    frames: usize,
    residual: Vec<f32>,
    clip: Vec<f32>,
    score: f64,
}

#[derive(Deserialize)]
struct Binary {
    normal: Vec<f64>,
    anomaly: Vec<f64>,
    auc: f64,
    pauc_01: f64,
    pauc_05: f64,
    average_precision: f64,
    quantile_09: f64,
    accuracy: f64,
    precision: f64,
    recall: f64,
    f1: f64,
}

#[derive(Deserialize)]
struct Multiclass {
    classes: usize,
    truth: Vec<usize>,
    scores: Vec<Vec<f64>>,
    accuracy: f64,
    macro_f1: f64,
    mean_average_precision: f64,
}

/// Both sides add at most a few hundred doubles of size 1, so rounding stays far below 1e-12.
#[track_caller]
fn close(ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() < 1e-12, "{ours} is not {theirs}");
}

#[test]
fn figures_are_those_of_scikit_learn() {
    let golden: Golden =
        serde_json::from_str(include_str!("../../tests/golden/sklearn.json")).unwrap();
    for case in &golden.binary {
        let (normal, anomaly) = (&case.normal[..], &case.anomaly[..]);
        close(auc(normal, anomaly).unwrap(), case.auc);
        close(pauc(normal, anomaly, 0.1).unwrap(), case.pauc_01);
        close(pauc(normal, anomaly, 0.5).unwrap(), case.pauc_05);
        close(pauc(normal, anomaly, 1.0).unwrap(), case.auc);
        let precision = average_precision(normal, anomaly).unwrap();
        close(precision, case.average_precision);
        close(quantile(normal, 0.9).unwrap(), case.quantile_09);
        let confusion = Confusion::at_threshold(normal, anomaly, case.quantile_09);
        close(confusion.accuracy(), case.accuracy);
        close(confusion.precision(), case.precision);
        close(confusion.recall(), case.recall);
        close(confusion.f1(), case.f1);
        let calls = |scores: &[f64]| -> Vec<f64> {
            let call = |score: &f64| match *score > case.quantile_09 {
                true => [0.0, 1.0],
                false => [1.0, 0.0],
            };
            scores.iter().flat_map(call).collect()
        };
        let truth = [vec![0; normal.len()], vec![1; anomaly.len()]].concat();
        let both = [calls(normal), calls(anomaly)].concat();
        let two_classes = classification(&both, &truth, 2).unwrap();
        close(confusion.macro_f1(), two_classes.macro_f1);
    }
    for case in &golden.multiclass {
        let figures = classification(&case.scores.concat(), &case.truth, case.classes).unwrap();
        close(figures.accuracy, case.accuracy);
        close(figures.macro_f1, case.macro_f1);
        let precision = figures.mean_average_precision.unwrap();
        close(precision, case.mean_average_precision);
    }
    for case in &golden.mahalanobis {
        let mut sums = ResidualSums::new(case.bands);
        let windows = case.residual.chunks_exact(case.bands * case.frames);
        windows.for_each(|window| sums.add(window));
        let score = sums.mahalanobis().unwrap().score(&case.clip);
        // numpy inverts the covariance, whose condition is at most some 1e5 here.
        assert!((score / case.score - 1.0).abs() < 1e-9, "{score}");
    }
    let counts = [
        golden.binary.len(),
        golden.multiclass.len(),
        golden.mahalanobis.len(),
    ];
    assert_eq!(counts, [24, 6, 3]);
}

#[test]
fn too_few_residuals_make_no_detector() {
    let mut sums = ResidualSums::new(2);
    assert_eq!(sums.mahalanobis(), None);
    sums.add(&[1.0, 2.0]);
    sums.add(&[2.0, 4.0]);
    assert_eq!(sums.mahalanobis(), None);
    sums.add(&[2.0, f32::NAN]);
    assert_eq!(sums.mahalanobis(), None);
}

#[test]
fn a_missing_class_has_no_figure_and_a_broken_score_is_wrong() {
    fn check(normal: &[f64], anomaly: &[f64], expected: Option<f64>) {
        assert_eq!(auc(normal, anomaly), expected, "{normal:?} {anomaly:?}");
        let partial = pauc(normal, anomaly, PAUC_MAX_FPR);
        assert_eq!(partial.is_some(), expected.is_some());
    }
    let nan = f64::NAN;
    check(&[], &[1.0], None);
    check(&[1.0], &[], None);
    check(&[1.0], &[1.0], Some(0.5));
    check(&[0.0], &[-0.0], Some(0.5));
    check(&[1.0, 2.0], &[3.0, 4.0], Some(1.0));
    check(&[nan, 2.0], &[3.0, 4.0], Some(0.5));
    check(&[1.0, 2.0], &[3.0, nan], Some(0.5));
    check(&[nan, nan], &[nan], Some(0.0));
    check(&[f64::INFINITY], &[f64::INFINITY], Some(0.5));
    assert_eq!(pauc(&[0.0], &[1.0], 0.0), None);
    assert_eq!(pauc(&[0.0], &[1.0], nan), None);
    assert_eq!(quantile(&[nan], 0.5), None);
    assert_eq!(harmonic_mean(&[]), None);
    assert_eq!(harmonic_mean(&[0.5, 0.0]), Some(0.0));
    assert_eq!(classification(&[1.0], &[1], 1), None);
    assert_eq!(classification(&[], &[], 0), None);
}

#[test]
fn windows_make_a_clips_score() {
    fn check(rule: ClipRule, windows: &[f64], expected: Option<f64>) {
        assert_eq!(
            float_clip_score(rule, 1, windows),
            expected,
            "{rule} {windows:?}"
        );
        let windows: Vec<f32> = windows.iter().map(|score| *score as f32).collect();
        assert_eq!(
            clip_score(rule, 1, &windows),
            expected,
            "{rule} {windows:?}"
        );
    }
    let windows = [1.0, 5.0, 3.0, 2.0];
    check(ClipRule::Mean, &windows, Some(2.75));
    check(ClipRule::Max, &windows, Some(5.0));
    check(ClipRule::Quantile(50), &windows, Some(2.0));
    check(ClipRule::Quantile(51), &windows, Some(3.0));
    check(ClipRule::Top(50), &windows, Some(4.0));
    check(ClipRule::Top(1), &windows, Some(5.0));
    check(ClipRule::Ranked(50), &[1.0, 4.0], Some(3.0));
    check(ClipRule::Mean, &[], None);
    check(ClipRule::Top(10), &[], None);
    for rule in [ClipRule::Mean, ClipRule::Max, ClipRule::Quantile(10)] {
        assert!(
            float_clip_score(rule, 1, &[1.0, f64::NAN])
                .unwrap()
                .is_nan()
        );
    }
}

#[test]
fn windows_are_scored_as_the_baselines_do() {
    assert_eq!(
        reconstruction_error(&[1.0, 2.0, 4.0], &[1.0, 0.0, 5.0]),
        5.0 / 3.0
    );
    // Softmax of [0, ln 3] is [1/4, 3/4].
    let logits = [0.0, 3f32.ln()];
    // f32 holds ln 3 to 2^-24 relative.
    assert!((negative_log_odds(&logits, 0) - 3f64.ln()).abs() < 1e-7);
    assert!((negative_log_odds(&logits, 1) + 3f64.ln()).abs() < 1e-7);
    assert_eq!(negative_log_odds(&logits, 9), negative_log_odds(&logits, 1));
    // 1 - p underflows here; the log-odds must still order the clips.
    assert!((negative_log_odds(&[30.0, 0.0], 0) + 30.0).abs() < 1e-9);
    assert_eq!(negative_log_odds(&[1e6, 0.0], 1), -f64::EPSILON.ln());
    assert!(negative_log_odds(&[f32::NAN, 0.0], 1).is_nan());
}

fn clip(section: &str, domain: Domain, anomaly: bool, score: f64) -> ClipScore {
    ClipScore {
        machine: "fan".to_string(),
        section: section.to_string(),
        domain,
        anomaly,
        score,
    }
}

#[test]
fn groups_follow_the_rule_of_dcase() {
    use Domain::{Source, Target};
    let two_domains = [
        clip("00", Source, false, 1.0),
        clip("00", Source, false, 2.0),
        clip("00", Target, false, 3.5),
        clip("00", Source, true, 3.0),
        clip("00", Target, true, 4.0),
    ];
    let summary = summarise(&two_domains);
    let rows: Vec<_> = summary
        .groups
        .iter()
        .map(|g| (g.domain, g.auc, g.normals, g.anomalies))
        .collect();
    let expected = [
        (Some(Source), Some(1.0), 2, 2),
        (Some(Target), Some(0.5), 1, 2),
        (None, None, 3, 2),
    ];
    assert_eq!(rows, expected);
    assert_eq!(summary.auc, harmonic_mean(&[1.0, 0.5]));
    let all = pauc(&[1.0, 2.0, 3.5], &[3.0, 4.0], PAUC_MAX_FPR);
    assert_eq!(summary.pauc, all);
    assert_eq!(summary.notes, Vec::<String>::new());

    let one_domain = [
        clip("00", Source, false, 1.0),
        clip("00", Source, true, 2.0),
        clip("00", Source, true, 0.5),
        clip("01", Source, false, 2.0),
    ];
    let summary = summarise(&one_domain);
    assert_eq!(summary.auc, Some(0.5));
    let note = "fan 01: no anomalous clips, left out of the means";
    assert_eq!(summary.notes, [note]);
    assert_eq!(summarise(&[]).auc, None);
}

proptest! {
    #[test]
    fn auc_sees_only_the_order(
        normal in prop::collection::vec(-4i8..4, 1..20),
        anomaly in prop::collection::vec(-4i8..4, 1..20),
    ) {
        let map = |scores: &[i8], f: fn(f64) -> f64| -> Vec<f64> {
            scores.iter().map(|s| f(f64::from(*s))).collect()
        };
        let figures = |f: fn(f64) -> f64| {
            let (normal, anomaly) = (map(&normal, f), map(&anomaly, f));
            (auc(&normal, &anomaly), pauc(&normal, &anomaly, PAUC_MAX_FPR))
        };
        prop_assert_eq!(figures(|s| s), figures(|s| s.exp() * 7.0 - 3.0));
        let plain = auc(&map(&normal, |s| s), &map(&anomaly, |s| s)).unwrap();
        let swapped = auc(&map(&anomaly, |s| s), &map(&normal, |s| s)).unwrap();
        // Both are sums of at most 40 fractions.
        prop_assert!((plain + swapped - 1.0).abs() < 1e-12);
        // The definition: the share of pairs in the right order, ties half.
        let pairs = normal.iter().flat_map(|n| anomaly.iter().map(move |a| (n, a)));
        let right: f64 = pairs.map(|(n, a)| match a.cmp(n) {
            Ordering::Greater => 1.0,
            Ordering::Equal => 0.5,
            Ordering::Less => 0.0,
        }).sum();
        let count = (normal.len() * anomaly.len()) as f64;
        prop_assert!((plain - right / count).abs() < 1e-12);
    }
}

#[derive(Deserialize)]
struct DcaseGolden {
    cases: Vec<DcaseCase>,
    /// Probability, degrees of freedom, quantile.
    student: Vec<[f64; 3]>,
    kendall: Vec<Kendall>,
}

#[derive(Deserialize)]
struct Kendall {
    a: Vec<f64>,
    b: Vec<f64>,
    tau: f64,
}

#[derive(Deserialize)]
struct DcaseCase {
    threshold: f64,
    /// Machine, section, 1 for target, 1 for anomaly, score.
    clips: Vec<(String, String, u8, u8, f64)>,
    rows: Vec<std::collections::BTreeMap<String, serde_json::Value>>,
    official: f64,
    half_width: f64,
    evaluator_half_width: f64,
}

/// The bar for agreement with the evaluators is 1e-9; both sides add a few hundred doubles.
#[test]
fn dcase_tables_are_those_of_its_evaluator() {
    let golden: DcaseGolden =
        serde_json::from_str(include_str!("../../tests/golden/dcase.json")).unwrap();
    assert_eq!((golden.cases.len(), golden.student.len()), (3, 15));
    assert_eq!(golden.kendall.len(), 4);
    for case in &golden.kendall {
        close(kendall_tau(&case.a, &case.b).unwrap(), case.tau);
    }
    assert_eq!(kendall_tau(&[1.0, 1.0], &[1.0, 2.0]), None);
    assert_eq!(kendall_tau(&[1.0], &[]), None);
    for case in &golden.cases {
        let clips: Vec<ClipScore> = case
            .clips
            .iter()
            .map(|(machine, section, target, anomaly, score)| ClipScore {
                machine: machine.clone(),
                section: section.clone(),
                domain: [Domain::Source, Domain::Target][usize::from(*target)],
                anomaly: *anomaly == 1,
                score: *score,
            })
            .collect();
        let sections = dcase_sections(&clips, Against::All, &|_| case.threshold);
        let own = dcase_sections(&clips, Against::Own, &|_| case.threshold);
        assert_eq!(sections.len(), case.rows.len());
        for ((section, own), row) in sections.iter().zip(&own).zip(&case.rows) {
            let of = |key: &str| row[key].as_f64().unwrap();
            assert_eq!(row["machine"], section.machine);
            close(section.auc.unwrap(), of("auc"));
            close(section.pauc.unwrap(), of("pauc"));
            let domains = [
                (section.source, own.source),
                (section.target.unwrap(), own.target.unwrap()),
            ];
            for (idx, (figures, own)) in domains.iter().enumerate() {
                close(figures.auc.unwrap(), of(&format!("auc_{idx}")));
                close(own.auc.unwrap(), of(&format!("own_auc_{idx}")));
                close(own.pauc.unwrap(), of(&format!("own_pauc_{idx}")));
                close(figures.precision, of(&format!("precision_{idx}")));
                close(figures.recall, of(&format!("recall_{idx}")));
                close(figures.f1, of(&format!("f1_{idx}")));
            }
        }
        let official = official(&clips, Against::All).unwrap();
        close(official.score, case.official);
        // The quantile below enters them.
        assert!((official.half_width.unwrap() - case.half_width).abs() < 1e-9);
        let evaluator = official.evaluator_half_width.unwrap();
        assert!((evaluator - case.evaluator_half_width).abs() < 1e-9);
    }
    for [p, dof, expected] in golden.student {
        let found = crate::stats::student_quantile(p, dof);
        // scipy's own quantile of one degree of freedom is good to 1e-10 relative.
        assert!(
            (found / expected - 1.0).abs() < 1e-9,
            "{p} {dof}: {found} {expected}"
        );
    }
}

#[test]
fn a_threshold_is_chosen_by_recall() {
    fn check(normal: &[f64], anomaly: &[f64], min_recall: f64, expected: Option<(f64, f64, f64)>) {
        let point = at_recall(normal, anomaly, min_recall);
        let found = point.map(|p| (p.threshold, p.recall, p.false_alarm_rate));
        assert_eq!(found, expected, "{normal:?} {anomaly:?} {min_recall}");
    }
    let (normal, anomaly) = (&[1.0, 2.0, 3.0, 4.0], &[2.5, 3.5, 5.0, 6.0]);
    check(normal, anomaly, 1.0, Some((2.25, 1.0, 0.5)));
    check(normal, anomaly, 0.75, Some((3.25, 0.75, 0.25)));
    check(normal, anomaly, 0.6, Some((3.25, 0.75, 0.25)));
    check(normal, anomaly, 0.5, Some((4.5, 0.5, 0.0)));
    check(&[1.0], &[1.0, f64::NAN], 1.0, None);
    check(&[f64::NAN], &[1.0], 1.0, Some((1.0 - 1e-6, 1.0, 1.0)));
    check(&[], &[1.0], 1.0, None);
    check(&[1.0], &[], 1.0, None);
    let point = at_recall(normal, anomaly, 0.75).unwrap();
    assert_eq!(point.precision, 0.75);
    // A quarter of the decisions of a day, one every ten seconds.
    assert_eq!(point.false_alarms_per_day(10.0), 2160.0);
}

#[test]
fn a_mean_has_an_interval() {
    assert_eq!(super::interval(&[]), None);
    let one = super::interval(&[0.5]).unwrap();
    assert_eq!((one.mean, one.half_width), (0.5, None));
    // Student's t at 0.975 with four degrees of freedom, times the standard error of one to five.
    let five = super::interval(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    let expected = 2.776_445_105_197_7 * 0.5_f64.sqrt();
    assert_eq!(five.mean, 3.0);
    assert!((five.half_width.unwrap() - expected).abs() < 1e-9);
}
