//! The command line as a user meets it: what it prints, how it ends, what it keeps.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

tests! {
    a_search_is_listed_shown_and_drawn,
    failures_have_their_exit_codes,
    a_damaged_store_is_named,
    results_do_not_depend_on_jobs,
    killed_at_any_moment_a_resumed_run_ends_the_same,
    resuming_goes_on_towards_a_larger_number,
    a_network_is_costed_and_explained,
    a_battery_limits_a_search,
    a_profile_is_fitted_and_never_overwritten,
    runs_and_caches_are_removed,
    a_full_device_is_one_error,
}

/// A store of its own, and `nas` with it.
pub struct Tool {
    pub folder: TempDir,
}

impl Tool {
    pub fn new() -> Tool {
        Tool {
            folder: TempDir::new().unwrap(),
        }
    }

    pub fn store(&self) -> PathBuf {
        self.folder.path().join("nas.sqlite")
    }

    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nas"));
        command
            .args(arguments.split_whitespace())
            .arg("--store")
            .arg(self.store());
        command
    }

    pub fn run(&self, arguments: &str) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Standard output of a command that must succeed.
    pub fn text(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "nas {arguments}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn json(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.text(arguments)).unwrap()
    }
}

/// Exit code and standard error.
fn failure(output: &Output) -> (Option<i32>, String) {
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

const FORMULA: &str = "search --debug-formula --target u55 --trials 24 -q";

fn a_search_is_listed_shown_and_drawn() {
    let tool = Tool::new();
    let document = tool.json(&format!("{FORMULA} --name first --budget-ram 64k --json"));
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["run"], "first");
    assert_eq!(document["targets"], serde_json::json!(["u55"]));
    let trials = &document["trials"];
    assert_eq!(
        trials["scored"].as_u64().unwrap() + trials["failed"].as_u64().unwrap(),
        // The rest of the 24 trainings goes to the best ones.
        16
    );
    assert!(
        trials["rejected"].as_u64().unwrap() > 0,
        "a tight budget rejects something"
    );
    let front = document["front"].as_array().unwrap();
    assert!(!front.is_empty());
    for member in front {
        let ram = &member["costs"]["u55"]["ram_bytes"];
        assert_eq!(ram["source"], "estimated");
        assert!(ram["value"].as_u64().unwrap() <= 64 * 1024);
        for key in [
            "space",
            "task",
            "auc_int8",
            "pauc_int8",
            "auc_float",
            "test_auc_int8",
            "macs",
            "params",
        ] {
            assert!(!member[key].is_null(), "{key}");
        }
    }

    assert_eq!(tool.json("front latest --json"), document);
    assert_eq!(tool.json("front fir --json"), document);
    assert!(tool.text("runs").contains("first"));
    assert_eq!(tool.json("runs --json")["runs"][0]["trials"], *trials);
    let number = &front[0]["trial"];
    let shown = tool.json(&format!("show first/{number} --json"));
    assert_eq!(shown["figures"]["auc_int8"], front[0]["auc_int8"]);
    assert!(
        tool.text(&format!("show first/{number}"))
            .contains("estimated")
    );
    assert!(tool.text("show first").contains("hypervolume"));
    assert_eq!(tool.text("front --csv").lines().count(), front.len() + 1);
    let pictures = tool.text("report first");
    // Two figures as SVG and PNG, and the page.
    assert_eq!(pictures.lines().count(), 5);
    for picture in pictures.lines() {
        assert!(fs::metadata(picture).unwrap().len() > 1000, "{picture}");
    }
}

fn failures_have_their_exit_codes() {
    let tool = Tool::new();
    let check = |arguments: &str, code: i32, said: &str| {
        let (found, errors) = failure(&tool.run(arguments));
        assert_eq!(found, Some(code), "nas {arguments}: {errors}");
        assert!(errors.contains(said), "nas {arguments}: {errors}");
        assert!(!errors.contains("panicked"), "nas {arguments}: {errors}");
        let causes: Vec<&str> = errors.trim().split(": ").collect();
        let is_told_twice = causes.windows(2).any(|two| two[0] == two[1]);
        assert!(!is_told_twice, "nas {arguments}: {errors}");
    };
    check("front", 1, "no runs yet");
    check("search --space nowhere.toml", 2, "No such file");
    check(
        "score a.tflite --front-end b.json --data synthetic",
        1,
        "No such file",
    );
    check("score a.tflite --data synthetic", 2, "--front-end");
    check("search --budget-ram 256x", 2, "write for example `256k`");
    check("search --target u56", 2, "did you mean `u55`");
    check("search --space dense", 2, "dense-ae");
    check("search --objectives speed", 2, "choose from");
    check("search --data nowhere", 1, "does not exist");
    check("search --data synthetic:car", 2, "fan");
    check("search --sampler best", 2, "evolution");
    check("search --budget-life 30d", 2, "needs --battery");
    check("search --battery 1000mWh", 2, "needs --period");
    check("search --device tpu", 2, "no device of this build");
    check("search --target u55 --target u55", 2, "given twice");
    check("score latest --data synthetic", 2, "give a trial");
    check(
        "search --debug-formula --budget-ram 1k -q",
        3,
        "nothing fits the budget; nearest miss",
    );
    tool.run(&format!("{FORMULA} --name one"));
    tool.run(&format!("{FORMULA} --name other"));
    check(&format!("{FORMULA} --name one"), 1, "one");
    check("front o", 2, "other");
    check("front x", 2, "one");
    check("show one/99999", 2, "no trial 99999");
    check("show one/a", 2, "not the number of a trial");
}

fn a_damaged_store_is_named() {
    let tool = Tool::new();
    fs::write(
        tool.store(),
        b"this is no database, but it is long enough to be looked at as one",
    )
    .unwrap();
    for arguments in ["front", "runs", "search --debug-formula -q"] {
        let (code, errors) = failure(&tool.run(arguments));
        assert_eq!(code, Some(5), "nas {arguments}: {errors}");
        assert!(errors.contains("nas.sqlite"), "{errors}");
    }
}

fn results_do_not_depend_on_jobs() {
    let run = |jobs: usize| {
        let tool = Tool::new();
        let document = tool.json(&format!("{FORMULA} --name same --jobs {jobs} --json"));
        (
            document["front"].clone(),
            document["trials"].clone(),
            document["hypervolume"].clone(),
        )
    };
    let one = run(1);
    assert_eq!(one, run(3));
    assert_eq!(one, run(8));
}

fn killed_at_any_moment_a_resumed_run_ends_the_same() {
    let whole = Tool::new();
    let expected = whole.json(&format!("{FORMULA} --name run --jobs 2 --json"));

    let tool = Tool::new();
    // The first start may be killed before the run exists; it is begun again then.
    let begin = format!("{FORMULA} --name run --jobs 2");
    let resume = "search --debug-formula --resume run --jobs 2 -q";
    // Before anything is recorded, and then after every twelfth of what will be.
    let recorded = trials(&whole.store()).len();
    let mut cut_short = 0;
    for twelfth in 0..12 {
        let begun = tool.run("show run -q").status.success();
        let mut child = tool
            .command(if begun { resume } else { &begin })
            .spawn()
            .unwrap();
        while child.try_wait().unwrap().is_none() {
            if twelfth == 0 || count(&tool.store()) >= recorded * twelfth / 12 {
                child.kill().unwrap();
                child.wait().unwrap();
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        cut_short += usize::from((1..recorded).contains(&count(&tool.store())));
    }
    assert!(
        cut_short > 0,
        "every round was over before it could be killed"
    );
    let begun = tool.run("show run -q").status.success();
    let last = if begun { resume } else { &begin };
    let resumed = tool.json(&format!("{last} --json"));
    assert_eq!(resumed, expected);
    assert_eq!(trials(&tool.store()), trials(&whole.store()));
}

fn resuming_goes_on_towards_a_larger_number() {
    let whole = Tool::new();
    let expected = whole.json(&format!("{FORMULA} --name run --json"));
    let tool = Tool::new();
    tool.json("search --debug-formula --target u55 --trials 5 -q --name run --json");
    let resumed = tool.json("search --debug-formula --resume --trials 24 -q --json");
    assert_eq!(resumed, expected);
}

fn runs_and_caches_are_removed() {
    let tool = Tool::new();
    for name in ["one", "other"] {
        tool.run(&format!("{FORMULA} --name {name}"));
    }
    let refused = |arguments: &str, code: i32, said: &str| {
        let (found, errors) = failure(&tool.run(arguments));
        assert!(
            found == Some(code) && errors.contains(said),
            "{arguments}: {errors}"
        );
    };
    refused(
        "runs remove on",
        2,
        "write the whole name to remove a run: one",
    );
    refused("runs remove latest", 2, "other");
    refused("runs remove third", 2, "no run is called");
    tool.text("runs remove one");
    assert!(!tool.folder.path().join("one").exists());
    let left = tool.json("runs --json");
    assert_eq!(left["runs"].as_array().unwrap().len(), 1);
    assert_eq!(left["runs"][0]["run"], "other");
    tool.text("front other");

    let cache = tool.folder.path().join("cache");
    fs::create_dir_all(cache.join("firmware/m7")).unwrap();
    fs::write(cache.join("a.features"), [0; 1000]).unwrap();
    fs::write(cache.join("firmware/m7/image"), [0; 24]).unwrap();
    let sizes = tool.json("cache size --json");
    assert_eq!(
        [&sizes["features_bytes"], &sizes["firmware_bytes"]],
        [1000, 24]
    );
    tool.text("cache clear");
    let sizes = tool.json("cache size --json");
    assert_eq!([&sizes["features_bytes"], &sizes["firmware_bytes"]], [0, 0]);
    tool.text("front other");
    refused("search --memory lots", 2, "write for example `256k`");
    let limited = "search --debug-formula --trials 2 --name third --memory 64M --cache 1G -v";
    let said = String::from_utf8(tool.run(limited).stderr).unwrap();
    assert!(
        said.contains("at most 64.0 MiB of memory and 1024 MiB of disk"),
        "{said}"
    );
}

fn a_full_device_is_one_error() {
    let Ok(full) = fs::File::options().write(true).open("/dev/full") else {
        return;
    };
    let tool = Tool::new();
    tool.run(&format!("{FORMULA} --name one"));
    let output = tool.command("runs").stdout(full).output().unwrap();
    let (code, errors) = failure(&output);
    assert_eq!(code, Some(1), "{errors}");
    let lines: Vec<&str> = errors.lines().collect();
    let [error, hint] = lines[..] else {
        panic!("{errors}");
    };
    assert!(
        error.starts_with("error: cannot write to stdout: No space left"),
        "{error}"
    );
    assert!(hint.contains("make some"), "{hint}");
}

/// How many trials are recorded; none before there is a store.
fn count(store: &Path) -> usize {
    let count = || -> rusqlite::Result<u32> {
        let read_only = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = rusqlite::Connection::open_with_flags(store, read_only)?;
        connection.query_row("SELECT count(*) FROM trials", [], |row| row.get(0))
    };
    count().unwrap_or(0) as usize
}

/// Everything that is recorded of the trials except times, as any SQLite client reads it.
pub fn trials(store: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(store).unwrap();
    let sql = "SELECT number || ' ' || key || ' ' || outcome || ' ' || coalesce(excess, '') || ' ' ||
               coalesce(message, '') || ' ' || hex(genome) || ' ' ||
               (SELECT count(*) FROM fronts WHERE fronts.number = trials.number) FROM trials ORDER BY number";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn a_network_is_costed_and_explained() {
    let tool = Tool::new();
    let front = tool.json(&format!("{FORMULA} --name first --budget-ram 64k --json"));
    let trial = &front["front"][0];
    let name = format!("first/{}", trial["trial"]);

    // The estimate of a trial is the one that the search saw.
    let costs = tool.json(&format!("estimate {name} --json"));
    let costs = costs["targets"].as_array().unwrap();
    assert_eq!(costs.len(), 1);
    for key in ["latency_us", "energy_uj", "ram_bytes", "flash_bytes"] {
        let (found, seen) = (
            &costs[0][key]["value"],
            &trial["costs"]["u55"][key]["value"],
        );
        let (found, seen) = (found.as_f64().unwrap(), seen.as_f64().unwrap());
        assert!((found - seen).abs() <= 0.5, "{key}: {found} and {seen}");
    }
    let table = tool.text(&format!(
        "estimate {name} --target m7 --target u55 --per-layer"
    ));
    for part in ["m7", "u55", "bottleneck", "← peak", "estimated"] {
        assert!(table.contains(part), "{part}: {table}");
    }
    let pictures = tool.folder.path().join("pictures");
    tool.text(&format!("estimate {name} --memory {}", pictures.display()));
    for picture in ["memory.svg", "memory.png"] {
        assert!(
            fs::metadata(pictures.join(picture)).unwrap().len() > 1000,
            "{picture}"
        );
    }

    let sleepy = tool.json(&format!(
        "estimate {name} --target m7 --period 10s --battery 1000mWh --json"
    ));
    let number = |key: &str| sleepy["targets"][0][key]["value"].as_f64().unwrap();
    let days = 1000.0 / number("mean_power_mw") / 24.0;
    assert!((number("battery_days") / days - 1.0).abs() < 1e-9);

    // A budget just below what the trial needs is exceeded, and some change keeps to it.
    let ram = trial["costs"]["u55"]["ram_bytes"]["value"]
        .as_u64()
        .unwrap();
    let document = tool.json(&format!("explain {name} --budget-ram {} --json", ram - 1));
    let target = &document["targets"][0];
    assert_eq!(target["fits"], false);
    for change in target["changes"].as_array().unwrap() {
        assert!(change["costs"]["ram_bytes"]["value"].as_f64().unwrap() < ram as f64);
        assert!(!change["axes"].as_array().unwrap().is_empty());
    }
    assert!(tool.text(&format!("explain {name}")).contains("fits u55"));
    // Nothing was trained; and a budget that does not hold ends with a code of its own.
    assert_eq!(sleepy["weights"], "guessed");
    assert_eq!(sleepy["targets"][0]["fits"], true);
    let over = tool.run(&format!(
        "estimate {name} --target m7 --budget-ram 1k --json"
    ));
    let document: Value = serde_json::from_slice(&over.stdout).unwrap();
    assert_eq!(document["targets"][0]["fits"], false);
    let (code, errors) = failure(&over);
    assert_eq!(code, Some(3));
    assert!(errors.contains("does not fit m7: RAM"), "{errors}");
    let (code, errors) = failure(&tool.run("estimate Cargo.toml"));
    assert_eq!(code, Some(1));
    assert!(errors.contains("not a .tflite file"), "{errors}");
}

fn a_battery_limits_a_search() {
    let tool = Tool::new();
    let search = "search --debug-formula --target m7 --trials 24 --period 100ms --battery 1000mWh";
    let days = |front: &Value| -> Vec<f64> {
        let members = front["front"].as_array().unwrap().iter();
        members
            .map(|member| &member["costs"]["m7"]["battery_days"]["value"])
            .map(|days| days.as_f64().unwrap())
            .collect()
    };
    let free = tool.json(&format!("{search} --name free -q --json"));
    let seen = days(&free);
    let shortest = seen.iter().copied().fold(f64::INFINITY, f64::min);
    let longest = seen.iter().copied().fold(0.0, f64::max);
    assert!(shortest < longest, "{seen:?}");
    let least = (1e4 * (0.3 * shortest + 0.7 * longest)).round() / 1e4;

    let limited = tool.json(&format!(
        "{search} --budget-life {least}d --name limited -q --json"
    ));
    assert!(days(&limited).iter().all(|days| *days >= least));
    let rejected = |front: &Value| front["trials"]["rejected"].as_u64().unwrap();
    assert!(rejected(&limited) > rejected(&free));
    let limit = limited["budgets"]["m7"]["battery_days"].as_f64().unwrap();
    assert!((limit / least - 1.0).abs() < 1e-9);
    assert!(tool.text("front limited").contains("battery"));
    let (trial, own_days) = (&limited["front"][0]["trial"], days(&limited)[0]);
    let costs = tool.json(&format!("estimate limited/{trial} --json"));
    let estimated = costs["targets"][0]["battery_days"]["value"]
        .as_f64()
        .unwrap();
    assert!((estimated / own_days - 1.0).abs() < 1e-9);
    let explained = tool.text(&format!(
        "explain limited/{trial} --budget-life {}d",
        own_days + 1.0
    ));
    assert!(explained.contains("mean power"), "{explained}");
}

fn a_profile_is_fitted_and_never_overwritten() {
    let tool = Tool::new();
    let table = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/hardware_profiles/calibration/xcubeai-8.csv"
    );
    let mine = tool.folder.path().join("mine.toml");
    let fit = format!("calibrate --measurements {table} --profile stm32h747-xcubeai-8");
    let text = tool.text(&format!("{fit} --to {}", mine.display()));
    for part in [
        "leave-family-out",
        "Kendall's tau",
        "conv_mac + pointwise_mac",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let copy = fs::read_to_string(mine.with_extension("csv")).unwrap();
    assert_eq!(copy, fs::read_to_string(table).unwrap());
    let shown = tool.text(&format!("targets show {}", mine.display()));
    for part in ["mine: ", "mine.csv", "cpu.cycles.conv_mac", "cycles/MAC"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let (code, errors) = failure(&tool.run(&format!("{fit} --to {}", mine.display())));
    assert_eq!(code, Some(2));
    assert!(errors.contains("already exists"), "{errors}");

    // What a search left is costed for the table, and the front says what to measure next.
    tool.text(&format!("{FORMULA} --name first --budget-ram 64k"));
    let document = tool.json(&format!("{fit} --suggest first --count 2 --json"));
    let next = document["measure_next"].as_array().unwrap();
    assert!(!next.is_empty() && next[0]["standard_error"].as_f64().unwrap() > 0.0);
    let trial = next[0]["trial"].as_str().unwrap();
    let counted = tool.folder.path().join("counted.csv");
    let row = format!("name,family,source,instructions,model\nn,f,s,1000000000,{trial}\n");
    fs::write(&counted, row).unwrap();
    // A profile that says itself which terms it is fitted by, and one that does not.
    let counted = format!("calibrate --measurements {}", counted.display());
    let (code, errors) = failure(&tool.run(&format!("{counted} --profile m7 --terms conv_mac")));
    assert_eq!(code, Some(2));
    assert!(
        errors.contains("of at least 3 different networks"),
        "{errors}"
    );
    let unfitted = "stm32h743-tflm-cmsis-nn";
    let (code, errors) = failure(&tool.run(&format!("{counted} --profile {unfitted}")));
    assert_eq!(code, Some(2));
    assert!(errors.contains("give `--terms`"), "{errors}");

    let energies = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/hardware_profiles/calibration/mlperf-tiny-energy.csv"
    );
    let powers = tool.json(&format!(
        "calibrate --power --measurements {energies} --json"
    ));
    assert!(powers["in_sample"].as_f64().unwrap() < 0.05);
}
