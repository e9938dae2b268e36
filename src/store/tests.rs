use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn new_run(name: &str) -> NewRun {
    NewRun {
        name: name.to_string(),
        created_utc: "2026-01-01T00:00:00Z".to_string(),
        seed: u64::MAX - 1,
        version: "0.1.0".to_string(),
        data_name: "synthetic:fan".to_string(),
        data_hash: "d1".to_string(),
        synthetic: true,
        settings_json: r#"{"epochs":3}"#.to_string(),
        reference_json: "[0.5,1,1]".to_string(),
    }
}

fn score(metric: &str, part: &str, value: f64) -> ScoreRow {
    ScoreRow {
        metric: metric.to_string(),
        part: part.to_string(),
        value,
    }
}

fn evaluation(key: &str) -> EvaluationRow {
    EvaluationRow {
        key: key.to_string(),
        scores: vec![
            score("accuracy_int8", "steer", 0.8),
            score("auc_float", "steer", 0.91),
            score("auc_int8", "steer", 0.9),
            score("auc_int8", "test", 0.88),
            score("pauc_int8", "steer", 0.7),
            score("pauc_int8", "test", f64::INFINITY),
        ],
        details_json: "{}".to_string(),
        artefacts: Some("a/evaluations/e1".to_string()),
        seconds: 2.5,
        created_utc: "2026-01-01T00:01:00Z".to_string(),
    }
}

fn trial(number: i64, outcome: TrialOutcome) -> TrialRow {
    let cost = |target: &str, metric: &str, value: f64, source: &str| CostRow {
        target: target.to_string(),
        metric: metric.to_string(),
        value,
        low: value * 0.9,
        high: value * 1.1,
        source: source.to_string(),
    };
    TrialRow {
        number,
        block: number / 4,
        genome: vec![0, number as u8, 255],
        key: format!("k{number}"),
        space: "dense".to_string(),
        task: "reconstruct".to_string(),
        macs: 1000 + number,
        params: 100,
        outcome,
        seconds: 0.25,
        recorded_utc: "2026-01-01T00:02:00Z".to_string(),
        costs: vec![
            cost("m7", "ram_bytes", 65536.0, "estimated"),
            cost("u55", "latency_us", 750.0, "emulated"),
            cost("u55", "latency_us", 800.0, "estimated"),
            cost("u55", "ram_bytes", 32768.0 + number as f64, "estimated"),
        ],
    }
}

fn scored(key: &str) -> TrialOutcome {
    let evaluation_key = key.to_string();
    TrialOutcome::Scored { evaluation_key }
}

fn rejected(excess: f64) -> TrialOutcome {
    let message = "ram: 300 KiB of 256 KiB".to_string();
    TrialOutcome::Rejected { excess, message }
}

fn failed() -> TrialOutcome {
    let message = "loss is not a number".to_string();
    TrialOutcome::Failed { message }
}

fn scratch() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs").join("nas.sqlite");
    (folder, path)
}

/// A store file with one run of three trials, as bytes.
fn sound_bytes() -> Vec<u8> {
    let (_folder, path) = scratch();
    let mut store = Store::open(&path).unwrap();
    fill(&mut store, "a");
    drop(store);
    fs::read(&path).unwrap()
}

fn fill(store: &mut Store, name: &str) -> RunId {
    let run = store.create_run(&new_run(name)).unwrap().id;
    let e1 = evaluation("e1");
    let record = |store: &mut Store, trial: &TrialRow, evaluation, front: &[i64]| {
        let fronts = [("m7", front), ("u55", front)].map(|(t, f)| (t.to_string(), f.to_vec()));
        store.record(run, trial, evaluation, &fronts).unwrap();
    };
    record(store, &trial(0, scored("e1")), Some(&e1), &[0]);
    record(store, &trial(1, rejected(0.5)), None, &[0]);
    record(store, &trial(2, scored("e1")), None, &[0, 2]);
    record(store, &trial(3, failed()), None, &[2]);
    run
}

/// Everything that can be read, read.
fn read_all(store: &Store) -> Result<usize, StoreError> {
    store.check()?;
    store.find_run("latest")?;
    let mut n_rows = 0;
    for run in store.runs()? {
        n_rows += store.trials(run.id)?.len() + store.fronts(run.id)?.len();
        n_rows += store.evaluations(run.id)?.len();
        store.counts(run.id)?;
    }
    store.evaluation("e1")?;
    Ok(n_rows)
}

#[test]
fn rows_come_back_as_they_went_in() {
    let (_folder, path) = scratch();
    let mut store = Store::open(&path).unwrap();
    let run = fill(&mut store, "a");
    store.set_state(run, RunState::Finished).unwrap();
    drop(store);
    for store in [Store::open(&path), Store::open_read_only(&path)].map(Result::unwrap) {
        let found = store.find_run("a").unwrap();
        assert_eq!((found.seed, found.synthetic), (u64::MAX - 1, true));
        assert_eq!(found.state, RunState::Finished);
        let outcomes = [scored("e1"), rejected(0.5), scored("e1"), failed()];
        let expected: Vec<_> = (0..).zip(outcomes).map(|(n, o)| trial(n, o)).collect();
        assert_eq!(store.trials(run).unwrap(), expected);
        assert_eq!(store.evaluation("e1").unwrap(), Some(evaluation("e1")));
        assert_eq!(store.evaluation("e2").unwrap(), None);
        assert_eq!(store.evaluations(run).unwrap().len(), 1);
        let fronts = ["m7", "u55"].map(|target| (target.to_string(), vec![2]));
        assert_eq!(store.fronts(run).unwrap(), fronts);
        let counts = Counts {
            scored: 2,
            rejected: 1,
            failed: 1,
        };
        assert_eq!(store.counts(run).unwrap(), counts);
        store.check().unwrap();
    }
}

#[test]
fn a_new_measurement_replaces_the_one_of_its_place() {
    let measurement = |number, place: &str, instructions, cycles: Option<i64>| MeasurementRow {
        number,
        place: place.to_string(),
        outputs_match: true,
        instructions,
        cycles: cycles.map(|value| CyclesRow {
            value,
            source: "estimated".to_string(),
        }),
        hop_instructions: None,
        arena_bytes: 3,
        front_end_bytes: Some(4),
        stack_bytes: 5,
        text_bytes: 6,
        rodata_bytes: 7,
        data_bytes: 8,
        bss_bytes: 9,
        model_bytes: 10,
        version: "0.1.0".to_string(),
        measured_utc: "2026-01-01T00:02:00Z".to_string(),
    };
    let mut store = Store::open_in_memory().unwrap();
    let run = fill(&mut store, "a");
    let expected = [
        measurement(0, "qemu-m55", Some(2), Some(7)),
        measurement(0, "qemu-m7", None, None),
        measurement(2, "qemu-m7", Some(1), None),
    ];
    let first = measurement(0, "qemu-m55", Some(1), None);
    for row in std::iter::once(&first).chain(expected.iter().rev()) {
        store.record_measurement(run, row).unwrap();
    }
    assert_eq!(store.measurements(run).unwrap(), expected);
    let error = store.record_measurement(run, &measurement(9, "qemu-m7", None, None));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("FOREIGN KEY"), "{error}");
}

#[test]
fn any_client_can_read_the_front() {
    let mut store = Store::open_in_memory().unwrap();
    fill(&mut store, "a");
    fill(&mut store, "b");
    let (sql, n_columns) = ("SELECT * FROM front ORDER BY run, target, trial", 16);
    let mut statement = store.connection.prepare(sql).unwrap();
    assert_eq!(statement.column_count(), n_columns);
    let shown: Vec<String> = statement
        .query_map([], |row| {
            let text = |column| row.get::<_, rusqlite::types::Value>(column);
            let (ram, latency) = (text("estimated_ram_bytes")?, text("estimated_latency_us")?);
            Ok(format!(
                "{} {} {} {:?} {ram:?} {latency:?}",
                row.get::<_, String>("run")?,
                row.get::<_, String>("target")?,
                row.get::<_, i64>("trial")?,
                row.get::<_, f64>("auc_int8")?,
            ))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    // The emulated latency does not mix with the estimated one.
    assert_eq!(
        shown,
        [
            "a m7 2 0.9 Real(65536.0) Null",
            "a u55 2 0.9 Real(32770.0) Real(800.0)",
            "b m7 2 0.9 Real(65536.0) Null",
            "b u55 2 0.9 Real(32770.0) Real(800.0)",
        ]
    );
    for run in store.runs().unwrap() {
        let of_view: Vec<Front> = ["m7", "u55"]
            .map(|target| {
                let numbers = store
                    .connection
                    .prepare(
                        "SELECT trial FROM front WHERE run = ?1 AND target = ?2 ORDER BY trial",
                    )
                    .unwrap()
                    .query_map([&run.name, target], |row| row.get(0))
                    .unwrap()
                    .map(Result::unwrap)
                    .collect();
                (target.to_string(), numbers)
            })
            .to_vec();
        assert_eq!(store.fronts(run.id).unwrap(), of_view);
    }
}

#[test]
fn runs_are_found_by_name() {
    let mut store = Store::open_in_memory().unwrap();
    let check = |store: &Store, selector: &str, expected: &str| {
        let found = match store.find_run(selector) {
            Ok(run) => run.name,
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{selector}");
    };
    check(
        &store,
        "latest",
        "no run is called `latest`; the store has no runs yet",
    );
    for name in ["fan-u55-1", "fan-u55-10", "valve", "fan-m7"] {
        store.create_run(&new_run(name)).unwrap();
    }
    let all = "`fan-m7`, `valve`, `fan-u55-10`, `fan-u55-1`";
    check(&store, "latest", "fan-m7");
    check(&store, "valve", "valve");
    check(&store, "v", "valve");
    check(&store, "fan-u55-1", "fan-u55-1");
    check(
        &store,
        "x",
        &format!("no run is called `x`; there are {all}"),
    );
    check(&store, "", &format!("no run is called ``; there are {all}"));
    check(
        &store,
        "%",
        &format!("no run is called `%`; there are {all}"),
    );
    check(
        &store,
        "fan-u",
        "`fan-u` may be any of the runs `fan-u55-10`, `fan-u55-1`; write more of its name",
    );
    for number in 0..10 {
        store
            .create_run(&new_run(&format!("many-{number}")))
            .unwrap();
    }
    assert!(
        store
            .find_run("many")
            .unwrap_err()
            .to_string()
            .contains("and 2 more")
    );
}

#[test]
fn wrong_requests_are_refused_and_change_nothing() {
    let mut store = Store::open_in_memory().unwrap();
    let run = fill(&mut store, "a");
    let before = store.trials(run).unwrap();
    for name in [
        "",
        "latest",
        "cache",
        "nas.sqlite-wal",
        "../a",
        "a/b",
        ".a",
        "a b",
        "ä",
        "-a",
        &"a".repeat(101),
    ] {
        let error = store.create_run(&new_run(name)).unwrap_err();
        assert!(
            matches!(error, StoreError::BadRunName { .. }),
            "{name}: {error}"
        );
    }
    let error = store.create_run(&new_run("a")).unwrap_err();
    assert!(matches!(error, StoreError::RunExists { .. }), "{error}");

    let refused =
        |store: &mut Store, trial: TrialRow, evaluation, fronts: &[Front], words: &str| {
            let error = store.record(run, &trial, evaluation, fronts).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert!(!error.is_locked_or_damaged());
        };
    let new = evaluation("e9");
    refused(
        &mut store,
        trial(3, scored("e9")),
        Some(&new),
        &[],
        "trial 3 is recorded already",
    );
    refused(
        &mut store,
        trial(4, scored("none")),
        Some(&new),
        &[],
        "FOREIGN KEY",
    );
    let front = [("u55".to_string(), vec![4, 77])];
    refused(
        &mut store,
        trial(4, scored("e9")),
        Some(&new),
        &front,
        "FOREIGN KEY",
    );
    refused(
        &mut store,
        trial(4, rejected(f64::NAN)),
        None,
        &[],
        "the excess of trial 4",
    );
    let mut nan_cost = trial(4, failed());
    nan_cost.costs[0].high = f64::NAN;
    refused(
        &mut store,
        nan_cost,
        None,
        &[],
        "the ram_bytes of trial 4 is not a number",
    );

    assert_eq!(store.trials(run).unwrap(), before);
    assert_eq!(store.evaluation("e9").unwrap(), None);
    let fronts = ["m7", "u55"].map(|target| (target.to_string(), vec![2]));
    assert_eq!(store.fronts(run).unwrap(), fronts);
}

#[test]
fn the_first_evaluation_of_a_key_stays() {
    let mut store = Store::open_in_memory().unwrap();
    let run = fill(&mut store, "a");
    let mut second = evaluation("e1");
    second.scores.truncate(1);
    store
        .record(run, &trial(4, scored("e1")), Some(&second), &[])
        .unwrap();
    assert_eq!(store.evaluation("e1").unwrap(), Some(evaluation("e1")));
}

#[test]
fn an_unfinished_transaction_leaves_no_trace() {
    let (_folder, path) = scratch();
    let mut store = Store::open(&path).unwrap();
    let run = fill(&mut store, "a");
    let transaction = store.connection.transaction().unwrap();
    insert_evaluation(&transaction, &evaluation("e9")).unwrap();
    insert_trial(&transaction, run, &trial(9, scored("e9"))).unwrap();
    replace_front(&transaction, run, "u55", &[9]).unwrap();
    drop(transaction);
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.trials(run).unwrap().len(), 4);
    assert_eq!(store.evaluation("e9").unwrap(), None);
    assert_eq!(store.fronts(run).unwrap()[1].1, [2]);
}

#[test]
fn a_full_disk_is_said_and_loses_nothing() {
    let (_folder, path) = scratch();
    let mut store = Store::open(&path).unwrap();
    let run = store.create_run(&new_run("a")).unwrap().id;
    // SQLite reports a file that may not grow exactly as it reports a full disk.
    let pages: i64 = store
        .connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    store
        .connection
        .pragma_update_and_check(None, "max_page_count", pages + 20, |_| Ok(()))
        .unwrap();
    let mut n_recorded = 0;
    let error = loop {
        match store.record(run, &trial(n_recorded, failed()), None, &[]) {
            Ok(()) => n_recorded += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
    assert!(error.to_string().contains("no space is left"));
    drop(store);
    let store = Store::open(&path).unwrap();
    store.check().unwrap();
    assert!(n_recorded > 10);
    assert_eq!(store.trials(run).unwrap().len() as i64, n_recorded);
}

#[test]
fn a_store_locked_by_another_is_said() {
    let (_folder, path) = scratch();
    let mut store = Store::open(&path).unwrap();
    let run = fill(&mut store, "a");
    let holder = Store::open(&path).unwrap();
    holder.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    store.connection.busy_timeout(Duration::ZERO).unwrap();
    let error = store
        .record(run, &trial(9, failed()), None, &[])
        .unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert!(error.is_locked_or_damaged());
    // Readers go on meanwhile.
    assert_eq!(store.trials(run).unwrap().len(), 4);
    holder.connection.execute_batch("ROLLBACK").unwrap();
    store.record(run, &trial(9, failed()), None, &[]).unwrap();
}

#[test]
fn files_that_are_no_store_are_told_apart() {
    fn check(bytes: &[u8], expected: &str) {
        let (_folder, path) = scratch();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        let error = match Store::open(&path).and_then(|store| read_all(&store)) {
            Ok(n_rows) => format!("{n_rows} rows"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(expected), "{error} instead of {expected}");
    }
    let sound = sound_bytes();
    let database = |sql: &str| {
        let (_folder, path) = scratch();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        fs::read(&path).unwrap()
    };
    check(&sound, "7 rows");
    check(b"", "the store has no runs yet");
    check(
        &b"not a database at all, but long enough for a header of one".repeat(20),
        "is damaged",
    );
    check(&sound[..sound.len() / 2], "is damaged");
    check(&sound[..100], "is damaged");
    check(
        &[&sound[..4096], &vec![0xa5; sound.len() - 4096][..]].concat(),
        "is damaged",
    );
    check(
        &database("CREATE TABLE t (x)"),
        "is the database of another program",
    );
    check(
        &database("PRAGMA user_version = 7"),
        "is the database of another program",
    );
    let ours = format!(
        "PRAGMA application_id = {}; PRAGMA user_version =",
        migrations::APPLICATION_ID
    );
    check(
        &database(&format!("{ours} 999")),
        &format!(
            "has version 999, this program knows versions up to {}",
            migrations::VERSION
        ),
    );
    check(&database(&format!("{ours} -1")), "its version is -1");
    check(&database(&format!("{ours} 1")), "no such table");
}

#[test]
fn missing_and_unwritable_places_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = Store::open_read_only(&folder.path().join("none.sqlite")).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("nas.sqlite")).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    // A folder stands where the file should be.
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Inaccessible { .. }), "{error}");
    assert!(!error.is_locked_or_damaged());
    let error = RunLock::acquire(&file.join("run")).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
}

#[test]
fn a_reader_writes_nothing() {
    let (_folder, path) = scratch();
    fill(&mut Store::open(&path).unwrap(), "a");
    let before = fs::read(&path).unwrap();
    let mut store = Store::open_read_only(&path).unwrap();
    let run = store.find_run("latest").unwrap();
    let error = store
        .record(run.id, &trial(9, failed()), None, &[])
        .unwrap_err();
    assert!(matches!(error, StoreError::Inaccessible { .. }), "{error}");
    drop(store);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_store_nobody_writes_to_can_be_read_as_immutable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("50% of #1?.sqlite");
    let mut store = Store::open(&path).unwrap();
    fill(&mut store, "a");
    assert!(has_log(&path));
    drop(store);
    assert!(!has_log(&path));
    let store = Store::open_for_reading(&path, true).unwrap();
    assert_eq!(read_all(&store).unwrap(), 7);
    // Without the index of the log no other file appears beside the store.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_run_has_one_coordinator() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("fan-1");
    let held = RunLock::acquire(&dir).unwrap();
    let error = RunLock::acquire(&dir).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the run `fan-1` is being continued by process {}; wait for it to end or stop it",
            std::process::id()
        )
    );
    assert!(error.is_locked_or_damaged());
    RunLock::acquire(&folder.path().join("fan-2")).unwrap();
    assert!(RunLock::is_held(&dir));
    drop(held);
    assert!(!RunLock::is_held(&dir));
    RunLock::acquire(&dir).unwrap();
}

#[test]
fn runs_that_begin_at_once_are_several() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("nas.sqlite")).unwrap();
    let begun = |store: &mut Store, is_chosen| store.begin_run(&new_run("fan"), is_chosen);
    let (first, lock) = begun(&mut store, false).unwrap();
    let (second, _lock) = begun(&mut store, false).unwrap();
    assert_eq!((&*first.name, &*second.name), ("fan", "fan-2"));
    assert!(begun(&mut store, true).is_err());
    // What was killed is not running.
    assert_eq!(store.state_of(&first), RunState::Running);
    drop(lock);
    assert_eq!(store.state_of(&first), RunState::Interrupted);
    assert_eq!(store.state_of(&second), RunState::Running);
}

#[test]
fn a_removed_run_leaves_what_others_share() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut store = Store::open(&path("nas.sqlite")).unwrap();
    let make = |store: &mut Store, name: &str| {
        fill(store, name);
        for file in [
            "evaluations/e1/model.nas",
            "evaluations/e0/model.nas",
            "pareto.svg",
        ] {
            disk::write_synced(&path(name).join(file), b"").unwrap();
        }
    };
    let remove = |store: &mut Store, name: &str| {
        let run = store.find_run(name).unwrap();
        let lock = RunLock::acquire(&path(name)).unwrap();
        store.remove_run(&run, lock).unwrap()
    };
    // Both runs have the evaluation whose model lies in the folder of the first.
    make(&mut store, "a");
    make(&mut store, "b");
    assert_eq!(remove(&mut store, "a"), 1);
    let names: Vec<String> = store
        .runs()
        .unwrap()
        .into_iter()
        .map(|run| run.name)
        .collect();
    assert_eq!(names, ["b"]);
    assert!(read_all(&store).is_ok());
    let is_there = |name: &str| path(name).exists();
    assert!(is_there("a/evaluations/e1/model.nas") && is_there("b/pareto.svg"));
    assert!(!is_there("a/evaluations/e0") && !is_there("a/pareto.svg") && !is_there("a/lock"));
    assert_eq!(remove(&mut store, "b"), 0);
    assert!(!is_there("b"));
    let left = |store: &Store, table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        store
            .connection
            .query_row(&sql, [], |row| row.get(0))
            .unwrap()
    };
    for table in ["runs", "trials", "costs", "fronts", "evaluations", "scores"] {
        assert_eq!(left(&store, table), 0, "{table}");
    }
}

/// The other process of the tests below: this binary once more, told by the environment what to do.
///
/// It takes the lock of its run, then records trials and prints each number once it is recorded.
#[test]
#[ignore = "only as a child process of other tests"]
fn child_process() {
    let (Ok(path), Ok(name)) = (
        std::env::var("STORE_TEST_PATH"),
        std::env::var("STORE_TEST_RUN"),
    ) else {
        return;
    };
    let path = Path::new(&path);
    let count = std::env::var("STORE_TEST_COUNT").unwrap().parse().unwrap();
    let _lock = RunLock::acquire(&path.with_file_name(&name)).unwrap();
    let mut store = Store::open(path).unwrap();
    let run = match store.find_run(&name) {
        Ok(run) => run.id,
        Err(_) => store.create_run(&new_run(&name)).unwrap().id,
    };
    let first = store.trials(run).unwrap().len() as i64;
    for number in first..count {
        let key = format!("{name}-{number}");
        let front = [("u55".to_string(), vec![number])];
        store
            .record(
                run,
                &trial(number, scored(&key)),
                Some(&evaluation(&key)),
                &front,
            )
            .unwrap();
        println!("\nrecorded {number}");
    }
    println!("\ndone");
}

fn spawn_child(path: &Path, name: &str, count: i64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "store::tests::child_process",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env("STORE_TEST_PATH", path)
        .env("STORE_TEST_RUN", name)
        .env("STORE_TEST_COUNT", count.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The numbers that the child reports as recorded.
fn recorded(child: &mut Child) -> impl Iterator<Item = i64> + use<> {
    BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("recorded ")?.parse().ok())
}

#[test]
fn kill_loses_nothing_that_was_recorded() {
    let (_folder, path) = scratch();
    let mut expected = 0;
    // The child dies while it goes on recording; each successor resumes where the store stands.
    for round in 0..6 {
        let mut child = spawn_child(&path, "a", i64::MAX);
        let mut numbers = recorded(&mut child);
        let last = numbers.nth(3 * round).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let last = numbers.last().unwrap_or(last);
        assert!(last >= expected);
        // The lock died with its holder.
        let _lock = RunLock::acquire(&path.with_file_name("a")).unwrap();
        let store = Store::open(&path).unwrap();
        store.check().unwrap();
        let run = store.find_run("a").unwrap().id;
        let trials = store.trials(run).unwrap();
        let n_trials = trials.len() as i64;
        // At most the trial that was recorded but not yet reported is more than was heard of.
        assert!(
            (last + 1..=last + 2).contains(&n_trials),
            "{last} {n_trials}"
        );
        assert!(
            trials
                .iter()
                .zip(0..)
                .all(|(trial, n)| trial.number == n && trial.costs.len() == 4)
        );
        assert_eq!(store.evaluations(run).unwrap().len() as i64, n_trials);
        assert_eq!(
            store.fronts(run).unwrap(),
            [("u55".to_string(), vec![n_trials - 1])]
        );
        expected = n_trials;
    }
}

#[test]
fn processes_and_threads_share_a_store() {
    const COUNT: i64 = 60;
    let (_folder, path) = scratch();
    let mut children: Vec<Child> = ["a", "b"]
        .map(|name| spawn_child(&path, name, COUNT))
        .into();
    thread::scope(|scope| {
        for name in ["c", "d"] {
            let path = &path;
            scope.spawn(move || {
                let mut store = Store::open(path).unwrap();
                let run = store.create_run(&new_run(name)).unwrap().id;
                for number in 0..COUNT {
                    store
                        .record(run, &trial(number, failed()), None, &[])
                        .unwrap();
                }
            });
        }
    });
    for child in &mut children {
        assert_eq!(recorded(child).count() as i64, COUNT);
        assert!(child.wait().unwrap().success());
    }
    let store = Store::open_read_only(&path).unwrap();
    assert_eq!(store.runs().unwrap().len(), 4);
    for run in store.runs().unwrap() {
        assert_eq!(store.trials(run.id).unwrap().len() as i64, COUNT);
    }
}

#[test]
fn new_stores_can_be_opened_at_once() {
    for _ in 0..5 {
        let (_folder, path) = scratch();
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            for number in 0..6 {
                let (path, sender) = (&path, sender.clone());
                scope.spawn(move || {
                    let mut store = Store::open(path).unwrap();
                    store
                        .create_run(&new_run(&format!("run-{number}")))
                        .unwrap();
                    sender.send(()).unwrap();
                });
            }
        });
        drop(sender);
        assert_eq!(receiver.iter().count(), 6);
        assert_eq!(Store::open(&path).unwrap().runs().unwrap().len(), 6);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_store_with_changed_bytes_is_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        length in any::<prop::sample::Index>(),
        truncate in any::<bool>(),
    ) {
        let mut bytes = sound_bytes();
        for (index, value) in changes {
            *index.get_mut(&mut bytes) = value;
        }
        if truncate {
            bytes.truncate(length.index(bytes.len()));
        }
        let (_folder, path) = scratch();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        let reader = Store::open_read_only(&path).and_then(|store| read_all(&store));
        let writer = Store::open(&path).and_then(|mut store| {
            let run = store.find_run("latest")?.id;
            store.record(run, &trial(100, failed()), None, &[])?;
            read_all(&store)
        });
        for error in [reader.err(), writer.err()].into_iter().flatten() {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_store(bytes in prop::collection::vec(any::<u8>(), 1..600)) {
        let (_folder, path) = scratch();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        let error = Store::open(&path).unwrap_err();
        prop_assert!(error.is_locked_or_damaged(), "{}", error);
    }
}

#[test]
fn further_trainings_are_recorded_once_with_their_fronts() {
    let (_folder, path) = scratch();
    let mut store = Store::open(&path).unwrap();
    let run = fill(&mut store, "a");
    let repeat = |seed: i64, outcome: Result<&str, &str>| RepeatRow {
        number: 2,
        seed,
        outcome: outcome.map(str::to_string).map_err(str::to_string),
    };
    let rows = [repeat(1, Ok("e2")), repeat(2, Err("diverged"))];
    let fronts = [("m7".to_string(), vec![0])];
    let e2 = evaluation("e2");
    store
        .record_repeat(run, &rows[0], Some(&e2), &fronts)
        .unwrap();
    store.record_repeat(run, &rows[1], None, &[]).unwrap();
    // What is there stays.
    store
        .record_repeat(run, &repeat(1, Err("late")), None, &[])
        .unwrap();
    assert_eq!(store.repeats(run).unwrap(), rows);
    assert_eq!(store.evaluations(run).unwrap().len(), 2);
    assert_eq!(store.fronts(run).unwrap()[0], fronts[0]);
    // A trial or an evaluation that is not there.
    let lost = RepeatRow {
        number: 9,
        ..repeat(1, Err(""))
    };
    store.record_repeat(run, &lost, None, &[]).unwrap_err();
    store
        .record_repeat(run, &repeat(3, Ok("e9")), None, &[])
        .unwrap_err();
}

#[test]
fn a_strangers_store_does_not_lead_out_of_its_folder() {
    let check = |change: &str, words: &str| {
        let mut store = Store::open_in_memory().unwrap();
        fill(&mut store, "a");
        assert!(read_all(&store).is_ok());
        store.connection.execute_batch(change).unwrap();
        let error = read_all(&store).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    check(
        "UPDATE runs SET name = '../a'",
        "\"../a\" is no name of a run",
    );
    check("UPDATE runs SET name = '/a'", "is no name of a run");
    for path in [
        "../../a",
        "a/../../b",
        "/etc",
        "a//b",
        "a/.b",
        "~/a",
        "a\\b",
    ] {
        let change = format!("UPDATE evaluations SET artefacts = '{path}'");
        check(&change, "is no folder of a model");
    }
}
