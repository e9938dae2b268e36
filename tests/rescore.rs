//! Training the front of a run again with further seeds.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde_json::Value;

use crate::cli::Tool;

tests! {
    lucky_trials_fall_off_the_front,
    a_killed_rescore_ends_as_one_that_was_not,
    a_search_trains_its_best_again,
    few_networks_serve_a_line_of_products,
}

const SEARCH: &str =
    "search --debug-formula --target u55 --target m7 --trials 40 --repeats 0 -q --json";

/// Numbers of the front's members, in their order.
fn members(document: &Value) -> Vec<u64> {
    let front = document["front"].as_array().unwrap();
    front
        .iter()
        .map(|member| member["trial"].as_u64().unwrap())
        .collect()
}

fn fronts(tool: &Tool) -> BTreeSet<(String, i64)> {
    let connection = Connection::open(tool.store()).unwrap();
    let mut statement = connection
        .prepare("SELECT target, number FROM fronts")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

fn repeats(tool: &Tool) -> i64 {
    let connection = Connection::open(tool.store()).unwrap();
    let count = "SELECT count(*) FROM repeats";
    // A search that has just begun has no table yet.
    connection
        .query_row(count, [], |row| row.get(0))
        .unwrap_or(0)
}

/// What is fitted in closed form is the same with every seed.
fn is_trained(member: &Value) -> bool {
    member["task"] != "distance"
}

/// The formula's ripple is luck, since it depends on the seed.
fn lucky_trials_fall_off_the_front() {
    let tool = Tool::new();
    let before = tool.json(SEARCH);
    assert!(before["front"][0]["rescored"].is_null());
    let after = tool.json("rescore --debug-formula --seeds 4 --near 0 --jobs 2 -q --json");
    assert_ne!(members(&before), members(&after));
    for member in after["front"].as_array().unwrap() {
        if !is_trained(member) {
            assert!(member["rescored"].is_null(), "{member}");
            continue;
        }
        let rescored = &member["rescored"];
        let trainings = rescored["trainings"].as_array().unwrap();
        assert_eq!(trainings.len(), 4, "{member}");
        let aucs: Vec<f64> = trainings
            .iter()
            .filter_map(|training| training["figures"]["auc_int8"].as_f64())
            .collect();
        let mean = aucs.iter().sum::<f64>() / aucs.len() as f64;
        assert!((member["auc_int8"].as_f64().unwrap() - mean).abs() < 1e-12);
        assert!(rescored["auc_int8"]["half_width"].as_f64().unwrap() > 0.0);
    }
    let best = |document: &Value| {
        let front = document["front"].as_array().unwrap();
        let network = front.iter().find(|member| is_trained(member));
        network.unwrap()["auc_int8"].as_f64().unwrap()
    };
    assert!(best(&after) < best(&before), "luck is an overestimate");

    // Nothing is trained twice, and every reader sees the same front.
    let count = repeats(&tool);
    assert_eq!(
        tool.json("rescore --debug-formula --seeds 4 --near 0 -q --json"),
        after
    );
    assert_eq!(repeats(&tool), count);
    assert_eq!(tool.json("front --json"), after);
    let connection = Connection::open(tool.store()).unwrap();
    let front = after["front"].as_array().unwrap();
    let network = front.iter().find(|member| is_trained(member)).unwrap();
    let trial = network["trial"].as_i64().unwrap();
    let (auc, seeds): (f64, i64) = connection
        .query_row(
            "SELECT auc_int8, further_seeds FROM front WHERE trial = ?1",
            [trial],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert!(
        (auc - best(&after)).abs() < 1e-12 && seeds > 0,
        "{auc} {seeds}"
    );
    assert!(
        tool.text(&format!("show latest/{trial}"))
            .contains("4 further seeds")
    );

    // More near trials or more seeds add to what is there.
    tool.json("rescore --debug-formula --seeds 4 --near 0.05 -q --json");
    assert!(repeats(&tool) > count);

    // A search that goes on proposes what it would have, and keeps the fronts of means.
    let long = tool.json("search --debug-formula --resume --trials 60 -q --json");
    let other = Tool::new();
    other.json(&SEARCH.replace("40", "60"));
    let keys = |tool: &Tool| -> Vec<String> {
        let connection = Connection::open(tool.store()).unwrap();
        let mut statement = connection
            .prepare("SELECT key FROM trials ORDER BY number")
            .unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    assert_eq!(keys(&tool), keys(&other));
    // What fell off by its mean does not come back by its first training.
    let [before, after, long] = [before, after, long].map(|document| members(&document));
    let fell = |trial: &&u64| !after.contains(trial);
    let gone: Vec<&u64> = before.iter().filter(fell).collect();
    assert!(
        !gone.is_empty() && gone.iter().all(|trial| !long.contains(trial)),
        "{gone:?} {long:?}"
    );
}

fn a_killed_rescore_ends_as_one_that_was_not() {
    let whole = Tool::new();
    whole.json(SEARCH);
    let rescore = "rescore --debug-formula --seeds 3 -q --jobs";
    whole.text(&format!("{rescore} 1"));
    let broken = Tool::new();
    broken.json(SEARCH);
    let mut child = broken.command(&format!("{rescore} 3")).spawn().unwrap();
    while child.try_wait().unwrap().is_none() {
        if repeats(&broken) >= 4 {
            // Nothing is lost where it has ended by itself.
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
    broken.text(&format!("{rescore} 2"));
    assert_eq!(repeats(&whole), repeats(&broken));
    assert_eq!(fronts(&whole), fronts(&broken));
}

/// A third of the trainings at most, one seed for all before the next, and the same however often it is cut.
fn a_search_trains_its_best_again() {
    let search = SEARCH.replace("40 --repeats 0", "60");
    let whole = Tool::new();
    let document = whole.json(&search);
    let runs = whole.json("runs --json");
    let (run, again) = (&runs["runs"][0], repeats(&whole));
    let count = |of: &str| run["trials"][of].as_i64().unwrap();
    assert_eq!(count("scored") + count("failed"), 40, "{run}");
    assert!((1..=20).contains(&again), "{again}");
    assert_eq!(run["state"], "finished");
    let front = document["front"].as_array().unwrap();
    let rescored = |member: &&Value| !member["rescored"].is_null();
    let networks = |member: &&Value| member["space"] != "pooled-gaussian";
    let once = front
        .iter()
        .filter(networks)
        .find(|member| !rescored(member));
    assert!(once.is_none() || again == 20, "{once:?}");

    let broken = Tool::new();
    let mut child = broken
        .command(&format!("{search} --jobs 3"))
        .spawn()
        .unwrap();
    while child.try_wait().unwrap().is_none() {
        if broken.store().exists() && repeats(&broken) >= 4 {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
    broken.json("search --debug-formula --resume --jobs 2 -q --json");
    assert_eq!(repeats(&whole), repeats(&broken));
    assert_eq!(fronts(&whole), fronts(&broken));

    let none = Tool::new();
    none.json(&format!("{search} --repeats 0"));
    assert_eq!(repeats(&none), 0);
}

/// Every device has a member that fits, and loses no more than it may.
fn few_networks_serve_a_line_of_products() {
    let tool = Tool::new();
    tool.json(&SEARCH.replace("--target m7", ""));
    let check = |arguments: &str, devices: usize| {
        let found = tool.json(&format!("lineup {arguments} --json"));
        let all = found["devices"].as_array().unwrap();
        assert_eq!(all.len(), devices);
        for device in all.iter().filter(|device| !device["best"].is_null()) {
            let [member, best] = ["member", "best"].map(|who| &device[who]);
            assert!(member["ram_bytes"].as_f64() <= device["most_ram_bytes"].as_f64());
            assert!(
                found["members"]
                    .as_array()
                    .unwrap()
                    .contains(&member["trial"])
            );
            let score = |on: &Value| on["score"].as_f64().unwrap();
            let loss = score(best) - score(member);
            assert!(
                (0.0..=found["within"].as_f64().unwrap()).contains(&loss),
                "{device}"
            );
        }
        found["members"].as_array().unwrap().len()
    };
    // m7 is costed anew, since the search did not have it.
    let devices = "--for 12k,24k,256k --targets u55,m55,m7";
    let [strict, usual, none] =
        ["0", "0.01", "1"].map(|within| check(&format!("{devices} --within {within}"), 9));
    assert!(
        strict >= usual && usual >= none && none >= 1,
        "{strict} {usual} {none}"
    );
    // A network of the smallest device fits all others.
    assert_eq!(check("--for 24k,256k --within 1", 2), 1);
    let nothing = tool.text("lineup --for 1k");
    assert!(
        nothing.contains("Nothing of the run fits u55 with 1.00 KiB"),
        "{nothing}"
    );
}
