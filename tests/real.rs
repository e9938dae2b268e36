//! Searches on real recordings. They need the shared test data, which is not part of the project.

use std::path::{Path, PathBuf};

use crate::cli::Tool;

/// A file of the shared test data; `None`, and a line that says so, where it is missing.
pub fn shared(relative: &str) -> Option<PathBuf> {
    let folder = match std::env::var_os("NAS_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
    };
    let path = folder.join(relative);
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var_os("NAS_REQUIRE_TOOLS").is_none(),
        "{} is missing",
        path.display()
    );
    println!("skipped: {} is missing", path.display());
    None
}

#[test]
fn toycar_gives_a_small_good_autoencoder() {
    let Some(path) = shared("data/audio/toycar-ad01/split.csv") else {
        return;
    };
    let tool = Tool::new();
    let search = format!(
        "search --data {} --space dense-ae --budget-ram 64k --target m7 --trials 4 --epochs 3 --name real -q --json",
        path.display()
    );
    let document = tool.json(&search);
    assert_eq!(document["synthetic"], false);
    let best = &document["front"][0];
    let number = |key: &str| best[key].as_f64().unwrap();
    // Twenty full trainings gave 0.90 to 0.97; three epochs of four small networks come close.
    assert!(number("auc_int8") > 0.85, "{best}");
    assert!(
        (number("auc_int8") - number("auc_float")).abs() < 0.02,
        "{best}"
    );
    assert!(number("test_auc_int8") > 0.85, "{best}");

    // The stored model gives the clips the scores that it was judged by.
    let trial = &best["trial"];
    let scores = tool.json(&format!(
        "score real/{trial} --data {} --test --json",
        path.display()
    ));
    assert_eq!(scores["clips"].as_array().unwrap().len(), 186);
    let (steer, test, all) = (
        number("auc_int8"),
        number("test_auc_int8"),
        scores["auc_int8"].as_f64().unwrap(),
    );
    assert!(
        (all - (steer + test) / 2.0).abs() < 0.03,
        "{steer} and {test} make {all}"
    );
}

/// The other cars' sound, as known anomalies, tells this car's faults better than its own sound alone.
#[test]
fn one_car_is_watched_and_the_others_are_outliers() {
    let Some(path) = shared("data/audio/toycar-ad01/split_all_ids.csv") else {
        return;
    };
    let tool = Tool::new();
    let document = tool.json(&format!(
        "search --data {}:id_04 --space dense-ae --budget-ram 64k --target m7 --trials 2 --epochs 5 --name one -q --json",
        path.display()
    ));
    let best = &document["front"][0];
    let auc = best["auc_int8"].as_f64().unwrap();
    // Without outliers the same trainings of a small network give 0.95, with them 0.99.
    assert!(auc > 0.96, "{best}");
    let scores = tool.json(&format!(
        "score one/{} --data {}:ToyCar/id_04 --test --json",
        best["trial"],
        path.display()
    ));
    assert_eq!(scores["clips"].as_array().unwrap().len(), 186);
}

#[test]
fn autoencoders_and_classifiers_of_machine_ids_compete() {
    let Some(path) = shared("data/audio/toycar-ad01/split_all_ids.csv") else {
        return;
    };
    let tool = Tool::new();
    let search = format!(
        "search --data {} --space dense-ae --space ds-cnn --budget-macs 1M --target u55 --trials 8 --epochs 1 --name ids -q --json",
        path.display()
    );
    tool.json(&search);
    let connection = rusqlite::Connection::open(tool.store()).unwrap();
    let tasks: i64 = connection
        .query_row(
            "SELECT count(DISTINCT task) FROM trials WHERE outcome = 'scored'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(tasks, 2);
}

#[test]
fn a_tiny_set_is_searched_and_called_too_small() {
    let Some(path) = shared("data/audio/dcase23-dev-28/dev_data/valve") else {
        return;
    };
    let tool = Tool::new();
    let output = tool.run(&format!(
        "search --data {} --trials 2 --epochs 1",
        path.display()
    ));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("too few"), "{errors}");
}

/// The task of a published detector: every official fold tests in turn, and beside it the random split that it was published
/// with, which puts slices of one recording on both sides.
#[test]
fn the_published_perceptron_is_judged_by_folds_and_at_random() {
    let Some(path) = shared("data/audio/us8k-subset") else {
        return;
    };
    let tool = Tool::new();
    let baseline = format!(
        "baseline p2-mlp --data {} --target m7 --report -q --json",
        path.display()
    );
    let document = tool.json(&baseline);
    let [folds, random] = &document["examined"].as_array().unwrap()[..] else {
        panic!("{document}");
    };
    assert_eq!(folds["split"], "official folds");
    assert_eq!(
        (&folds["trainings"], &random["trainings"]),
        (&5.into(), &1.into())
    );
    let accuracy = |split: &serde_json::Value, network: &str| {
        split[network]["accuracy"]["mean"].as_f64().unwrap()
    };
    for network in ["float", "int8"] {
        // scikit-learn's perceptron on librosa's features of the same 658 slices: 0.756 by folds (0.54 to 0.86, three
        // seeds), 0.904 ± 0.015 at random (six splits). One split of 135 test clips has a standard error of 0.03.
        let (by_folds, at_random) = (accuracy(folds, network), accuracy(random, network));
        assert!((by_folds - 0.756).abs() < 0.05, "{network}: {by_folds}");
        assert!((at_random - 0.904).abs() < 0.06, "{network}: {at_random}");
    }
    let run = std::fs::read_dir(tool.folder.path())
        .unwrap()
        .find_map(|entry| {
            let path = entry.unwrap().path();
            path.join("evaluation-official-folds.svg")
                .exists()
                .then_some(path)
        });
    assert!(run.unwrap().join("evaluation-random-split.png").exists());
}

/// With other features than the published ones it would be another network under its name.
#[test]
fn ready_features_are_refused_to_baselines_that_have_others() {
    let Some(path) = shared("data/audio/toycar-ad01/split.csv") else {
        return;
    };
    let output = Tool::new().run(&format!("baseline mimii-ae --data {}", path.display()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("mimii-ae has 64 mel bands"), "{errors}");
}

/// A pooling that a search was begun with holds for its scores ever after; firmware knows the mean only.
#[test]
fn a_search_may_pool_otherwise() {
    let Some(path) = shared("data/audio/toycar-ad01/split.csv") else {
        return;
    };
    let tool = Tool::new();
    let path = path.display();
    let search = format!(
        "search --data {path} --space dense-ae --pool top10 --budget-ram 64k --trials 1 --epochs 1 --name top -q --json"
    );
    let best = tool.json(&search)["front"][0].clone();
    let score = format!("score top/{} --data {path} --test --json", best["trial"]);
    let auc = |how: &str| {
        tool.json(&format!("{score} {how}"))["auc_int8"]
            .as_f64()
            .unwrap()
    };
    assert_eq!(auc(""), auc("--pool top10"));
    assert_ne!(auc(""), auc("--pool mean"));
    let folder = tool.folder.path().join("bundle");
    let refused = tool.run(&format!(
        "export top/{} --to {}",
        best["trial"],
        folder.display()
    ));
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(errors.contains("can only pool by the mean"), "{errors}");
}
