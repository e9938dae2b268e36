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
