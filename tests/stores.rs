//! Stores of every version that there ever was: they open, report, export, and say by which plan they were begun.
//!
//! `tests/golden/stores/version_N.sql` holds one run of ten trials, scored by the formula, as the schema of that version
//! keeps it. Version 4 was written by the program that had it; the others are its rows in the older schemas, with the
//! settings of their time.

use std::{fs, path::Path};

use rusqlite::Connection;
use serde_json::Value;

use crate::cli::Tool;

tests! {
    stores_of_version_1_open,
    stores_of_version_2_open,
    stores_of_version_3_open,
    stores_of_version_4_open,
}

/// The fronts as the program of version 4 reported them: before and after the members were trained again.
const EARLY: &str =
    "6 0.841891596 0.670945798, 9 0.836913338 0.668456669, 5 0.818906630 0.659453315";
const RESCORED: &str =
    "6 0.833264145 0.666632072, 5 0.816749768 0.658374884, 9 0.813580005 0.656790002";

/// A tool with a store of an older version.
fn tool(version: usize) -> Tool {
    let tool = Tool::new();
    let file = format!("tests/golden/stores/version_{version}.sql");
    let sql = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let connection = Connection::open(tool.store()).unwrap();
    connection.execute_batch(&sql).unwrap();
    tool
}

/// Number, AUC and pAUC of the front's members, to nine digits.
fn front(document: &Value) -> String {
    let member = |member: &Value| {
        let figure = |name: &str| member[name].as_f64().unwrap();
        let (auc, pauc) = (figure("auc_int8"), figure("pauc_int8"));
        format!("{} {auc:.9} {pauc:.9}", member["trial"])
    };
    let members = document["front"].as_array().unwrap().iter().map(member);
    members.collect::<Vec<_>>().join(", ")
}

fn check(version: usize, expected: &str, on_fronts: i64) {
    let tool = tool(version);
    assert_eq!(front(&tool.json("front old --json")), expected, "{version}");
    let runs = tool.json("runs --json");
    assert_eq!(runs["runs"][0]["trials"]["scored"], 9, "{version}");
    let shown = tool.text("show old/5");
    assert!(shown.contains("AUC int8 0."), "{version}: {shown}");
    tool.text("report old");
    let of_view: i64 = Connection::open(tool.store())
        .unwrap()
        .query_row(
            "SELECT count(*) FROM front WHERE auc_int8 > 0.5",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(of_view, on_fronts, "{version}");
    // Its trials were planned by rules that this program no longer has.
    let before = fs::read(tool.store()).unwrap();
    let refused = tool.run("search --resume old --debug-formula --trials 20 -q");
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{message}");
    assert!(message.contains("by version 1 of the rules"), "{message}");
    assert_eq!(before, fs::read(tool.store()).unwrap(), "{version}");
}

fn stores_of_version_1_open() {
    check(1, EARLY, 5);
}

fn stores_of_version_2_open() {
    check(2, EARLY, 5);
}

fn stores_of_version_3_open() {
    check(3, RESCORED, 6);
}

fn stores_of_version_4_open() {
    check(4, RESCORED, 6);
}
