//! Searches on data sets that the tests make: ready features, and slices in folds.

use std::fs;

use serde_json::Value;

use crate::{cli::Tool, made};

tests! {
    autoencoders_and_classifiers_of_machine_ids_compete,
    a_tiny_set_is_searched_and_called_too_small,
    ready_features_are_refused_to_baselines_that_have_others,
    a_search_may_score_clips_otherwise,
    disturbed_sound_steers_and_scores_are_written_for_dcase,
    every_fold_tests_in_turn,
    a_search_starts_from_what_others_found,
}

fn autoencoders_and_classifiers_of_machine_ids_compete() {
    let tool = Tool::new();
    let path = made::features(&tool.folder.path().join("cars"), 3, 20, 8);
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
    // The third are the reference detectors.
    assert_eq!(tasks, 3);
}

fn a_tiny_set_is_searched_and_called_too_small() {
    let tool = Tool::new();
    let path = made::features(&tool.folder.path().join("cars"), 1, 4, 1);
    let output = tool.run(&format!(
        "search --data {} --trials 2 --epochs 1",
        path.display()
    ));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("too few"), "{errors}");
}

/// With other features than the published ones it would be another network under its name.
fn ready_features_are_refused_to_baselines_that_have_others() {
    let tool = Tool::new();
    let path = made::features(&tool.folder.path().join("cars"), 1, 4, 2);
    let output = tool.run(&format!("baseline mimii-ae --data {}", path.display()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("mimii-ae has 64 mel bands"), "{errors}");
}

/// A clip score that a search was begun with holds for its scores ever after, and on the device.
fn a_search_may_score_clips_otherwise() {
    let tool = Tool::new();
    let path = made::features(&tool.folder.path().join("cars"), 1, 60, 40);
    let path = path.display();
    let search = format!(
        "search --data {path} --space dense-ae --clip-score top10 --budget-ram 64k --trials 1 --epochs 1 --name top -q --json"
    );
    tool.json(&search);
    let best = network(&tool, "top");
    let score = format!("score top/{} --data {path} --test --json", best["trial"]);
    let auc = |how: &str| {
        tool.json(&format!("{score} {how}"))["auc_int8"]
            .as_f64()
            .unwrap()
    };
    assert_eq!(auc(""), auc("--clip-score top10"));
    assert_ne!(auc(""), auc("--clip-score mean"));
    let folder = tool.folder.path().join("bundle");
    let exported = tool.run(&format!(
        "export top/{} --to {}",
        best["trial"],
        folder.display()
    ));
    assert!(exported.status.success(), "{exported:?}");
    let blob = fs::read(folder.join("firmware/model/model.nas")).unwrap();
    let model = nas_kernels::Model::parse(&blob).unwrap();
    assert_eq!(model.decision().unwrap().rule.to_string(), "top10");
}

/// The first network that a run trained; its front may hold detectors that were only fitted.
fn network(tool: &Tool, run: &str) -> Value {
    let mut trials = (0..).map(|number| tool.json(&format!("show {run}/{number} --json")));
    let found = trials.find(|trial| trial["state"] == "scored" && trial["task"] == "reconstruct");
    found.unwrap()
}

/// A model that disturbed features chose is judged by real faults, rescored by other rules, and its scores are written as the
/// challenge asks.
fn disturbed_sound_steers_and_scores_are_written_for_dcase() {
    let tool = Tool::new();
    let path = made::features(&tool.folder.path().join("cars"), 1, 60, 40);
    let output = tool.run(&format!(
        "search --data {} --steer-by proxy --space dense-ae --budget-ram 64k --trials 2 --epochs 2 --name proxy",
        path.display()
    ));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(
        errors.contains("disturbed clips made of normal sound")
            && errors.contains("features are disturbed instead"),
        "{errors}"
    );
    let best = network(&tool, "proxy");
    // That the figure is there means that real faults judged. Two small epochs tell the loud ones; a guess gives 0.5 ± 0.09.
    let auc = best["figures"]["test_auc_int8"].as_f64().unwrap();
    assert!(auc > 0.65, "{best}");

    let score = format!(
        "score proxy/{} --data {} --test",
        best["trial"],
        path.display()
    );
    let folder = tool.folder.path().join("dcase");
    let document = tool.json(&format!("{score} --dcase {} --json", folder.display()));
    let scores = fs::read_to_string(folder.join("anomaly_score_car_id_01.csv")).unwrap();
    assert_eq!(scores.lines().count(), 80);
    let result = fs::read_to_string(folder.join("result.csv")).unwrap();
    assert!(result.starts_with("car\nid,AUC,pAUC\n01,"), "{result}");
    let again = tool.run(&format!("{score} --dcase {}", folder.display()));
    assert_eq!(again.status.code(), Some(2));
    let official = document["official_score"].as_f64().unwrap();
    let width = document["official_half_width"].as_f64().unwrap();
    assert!(
        official > 0.5 && width > 0.0 && width < 0.2,
        "{official} {width}"
    );

    let auc = |rule: &str| {
        tool.json(&format!("{score} {rule} --json"))["auc_int8"]
            .as_f64()
            .unwrap()
    };
    let plain = document["auc_int8"].as_f64().unwrap();
    for rule in ["--clip-score max", "--clip-score q90", "--by mahalanobis"] {
        let other = auc(rule);
        assert!(other > 0.5 && other != plain, "{rule}: {other}");
    }
    let refused = tool.run(&format!("{score} --by embedding"));
    assert_eq!(refused.status.code(), Some(1));

    let chosen = tool.json(&format!("{score} --min-recall 0.9 --every 10s --json"));
    let point = &chosen["operating_point"];
    assert!(point["recall"].as_f64().unwrap() >= 0.9, "{point}");
    let per_day = point["false_alarms_per_day"].as_f64().unwrap();
    // 8,640 decisions a day.
    assert!(
        (per_day - 8640.0 * point["false_alarm_rate"].as_f64().unwrap()).abs() < 1e-6,
        "{point}"
    );
}

/// A search over all folds, and its network judged by all of them.
fn every_fold_tests_in_turn() {
    let tool = Tool::new();
    let path = made::city(&tool.folder.path().join("city"), 6);
    let output = tool.run(&format!(
        "search --data {} --split each-fold --min-clip 0.992s --space mfcc-mlp --budget-macs 50k --trials 1 --epochs 1 \
         --name folds",
        path.display()
    ));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    for note in [
        "every fold tests in turn",
        "30 clips shorter than 0.992 s left out",
        "mfcc-mlp keeps 5.40 k of 10.8 k",
    ] {
        assert!(errors.contains(note), "{note}: {errors}");
    }
    let front = tool.json("front folds --json");
    let trial = &front["front"][0]["trial"];
    let judged = tool.json(&format!("judge folds/{trial} --json"));
    let part = |at: usize, key: &str| judged["examined"][at][key].as_u64().unwrap();
    assert_eq!([part(0, "trainings"), part(1, "trainings")], [5, 5]);
    assert_eq!(part(1, "clips"), 150);
    assert!((50..100).contains(&part(0, "clips")), "{judged}");
    // The mean over folds of the clips that steer and of those that do not, weighted by fold, is not that of all; but
    // what judges here is trained as the trial was.
    let auc = |at: usize| {
        judged["examined"][at]["int8"]["roc_auc"]["mean"]
            .as_f64()
            .unwrap()
    };
    let untouched = front["front"][0]["test_auc_int8"].as_f64().unwrap();
    assert!((auc(0) - untouched).abs() < 1e-9, "{judged} {front}");
}

/// From a run and from its table alike; resumed, it proposes the same, also when the other run is gone.
fn a_search_starts_from_what_others_found() {
    let tool = Tool::new();
    let search = "search --debug-formula --space ds-cnn --trials 24 --repeats 0 -q --json";
    tool.json(&format!("{search} --target m7 --name first"));
    let listed = tool.json("trials first --json");
    let csv = tool.text("trials first --csv");
    let table = tool.folder.path().join("first.csv");
    fs::write(&table, &csv).unwrap();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let trials = listed["trials"].as_array().unwrap();
    assert_eq!(rows.len(), trials.len());
    let shown = tool.text("trials first");
    for (row, trial) in rows.iter().zip(trials) {
        let cell = |name: &str| &row[header.iter().position(|one| one == name).unwrap()];
        assert_eq!(cell("state"), trial["state"]);
        for (axis, value) in trial["axes"].as_object().unwrap() {
            assert_eq!(cell(axis), value);
        }
        let auc = trial["figures"]["auc_int8"].as_f64();
        assert_eq!(cell("auc_int8").parse().ok(), auc);
        let line = format!("{} {}", cell("trial"), cell("space"));
        let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(auc.is_none() || words.contains(&line), "{line}: {shown}");
    }

    let genomes = |name: &str| {
        let listed = tool.json(&format!("trials {name} --json"));
        let trials = listed["trials"].as_array().unwrap().clone();
        let scored = trials
            .into_iter()
            .filter(|trial| trial["state"] == "scored");
        let axes = scored.map(|trial| (trial["space"].clone(), trial["axes"].clone()));
        axes.collect::<Vec<_>>()
    };
    let other = format!("{search} --target u55 --seed 1");
    tool.json(&format!("{other} --name cold"));
    tool.json(&format!("{other} --name run --warm-start first"));
    let from_table = format!("--warm-start {}", table.display());
    let begun = other.replace("--trials 24", "--trials 16");
    tool.json(&format!("{begun} --name table {from_table}"));
    fs::remove_file(&table).unwrap();
    tool.text("runs remove first");
    tool.json("search --debug-formula --resume table --trials 24 -q --json");
    assert_eq!(genomes("run"), genomes("table"));
    assert_ne!(genomes("run"), genomes("cold"));

    let check = |arguments: &str, code: i32, message: &str| {
        let output = tool.run(&format!("{search} {arguments}"));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains(message), "{errors}");
    };
    check(
        "--warm-start run --sampler random",
        2,
        "starts from nothing",
    );
    check(&from_table, 2, "No such file");
    let bad = |text: &str| fs::write(&table, text).unwrap();
    bad("space,width\na,1\n");
    check(&from_table, 2, "no column `auc_int8`");
    bad("space,auc_int8\nds-cnn,0.5\nds-cnn,95\n");
    check(&from_table, 2, "line 3: auc_int8 is `95`");
    bad("space,auc_int8\nds-cnn,0.5\n");
    check(&from_table, 1, "none of the 1 results");
}
