//! Kills at a system call and the order of system calls: what holds when a process or the power ends.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, Output},
};

use crate::{
    cli::{Tool, trials},
    made,
};

tests! {
    killed_at_any_call_a_resumed_run_ends_the_same: [Strace],
    what_a_row_promises_is_on_the_disk_first: [Strace],
}

/// Calls that bring bytes and names to the disk.
const CALLS: &str = "fsync,fdatasync,rename,renameat,renameat2,write,pwrite64,unlink,unlinkat";

/// Runs `nas` under strace with some of its options.
fn traced(tool: &Tool, options: &[&str], arguments: &str) -> Output {
    let nas = tool.command(arguments);
    Command::new("strace")
        .args(["-f", "-qq", "-y"])
        .args(options)
        .arg(nas.get_program())
        .args(nas.get_args())
        .output()
        .unwrap()
}

/// The system calls of a command that succeeds, one line each, by all threads in their order.
fn calls(tool: &Tool, arguments: &str) -> Vec<String> {
    let log = tool.folder.path().join("calls");
    let (log_path, trace) = (log.display().to_string(), format!("trace={CALLS}"));
    let output = traced(tool, &["-o", &log_path, "-e", &trace], arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
    fs::remove_file(log).unwrap();
    let call = |line: &str| Some(line.split_once(' ')?.1.trim_start().to_string());
    text.lines().filter_map(call).collect()
}

/// The n-th call is that of a thread, and the thread that records makes most of them.
fn killed_at_any_call_a_resumed_run_ends_the_same() {
    let begin = "search --debug-formula --target u55 --trials 8 --name run --jobs 1 -q";
    let resume = "search --debug-formula --resume run --jobs 1 -q";
    let whole = Tool::new();
    let all = calls(&whole, begin);
    let expected = trials(&whole.store());
    let mut killed = 0;
    for name in ["fsync", "fdatasync", "pwrite64", "write", "unlink"] {
        let count = all
            .iter()
            .filter(|call| call.starts_with(&format!("{name}(")))
            .count();
        for part in 0..4.min(count) {
            let place = 1 + part * (count - 1) / 3;
            let tool = Tool::new();
            let inject = format!("inject={name}:signal=KILL:when={place}");
            let trace = format!("trace={name}");
            let output = traced(
                &tool,
                &["-o", "/dev/null", "-e", &trace, "-e", &inject],
                begin,
            );
            killed += usize::from(output.status.signal() == Some(9));
            let runs = match tool.run("runs --json").status.success() {
                true => tool.json("runs --json")["runs"].as_array().unwrap().clone(),
                false => Vec::new(),
            };
            assert!(runs.iter().all(|run| run["state"] != "running"), "{runs:?}");
            tool.text(if runs.is_empty() { begin } else { resume });
            assert_eq!(trials(&tool.store()), expected, "{name} {place}");
        }
    }
    assert!(killed >= 8, "only {killed} were killed");
}

/// Bytes, then their name, then the row that names them: each on the disk before the next, so that a power cut at any
/// moment leaves no row without its model, and no export that looks whole and is not.
fn what_a_row_promises_is_on_the_disk_first() {
    let tool = Tool::new();
    let data = made::features(&tool.folder.path().join("data"), 1, 12, 6);
    let search = format!(
        "search --data {} --space level-mean --jobs 1 --name run -q",
        data.display()
    );
    let searched = calls(&tool, &search);
    // Reports are made again at any time, and wait for nothing.
    let models = renamed_to(&searched, "/model.");
    assert!(models.len() >= 3, "{models:?}");
    for (place, name) in &models {
        let folder = Path::new(name).parent().unwrap().display().to_string();
        let named = synced_after(&searched, *place, &folder);
        // Folders that were made for it, too, are in the folders around them.
        synced_after(
            &searched,
            0,
            Path::new(&folder).parent().unwrap().to_str().unwrap(),
        );
        synced_after(&searched, named, &format!("{}-wal", tool.store().display()));
    }

    let number = &tool.json("front run --json")["front"][0]["trial"];
    let to = tool.folder.path().join("out");
    let exported = calls(&tool, &format!("export run/{number} --to {}", to.display()));
    let files = renamed_to(&exported, "/out/");
    let whole = |call: &String| call.starts_with("unlink") && call.contains(".nas-export");
    let whole = exported.iter().rposition(whole).expect("a mark that goes");
    let [first, ..] = &files[..] else {
        panic!("nothing was exported");
    };
    assert!(first.1.ends_with(".nas-export"), "{first:?}");
    assert!(files.len() > 20);
    for (place, name) in &files {
        let folder = Path::new(name).parent().unwrap().display().to_string();
        assert!(synced_after(&exported, *place, &folder) < whole, "{name}");
    }
}

/// Place and name of every file that got a name with this part, whose bytes were synced before.
fn renamed_to(calls: &[String], part: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (place, call) in calls.iter().enumerate() {
        let quoted: Vec<&str> = call.split('"').skip(1).step_by(2).collect();
        if let (true, [from, to]) = (call.starts_with("rename"), &quoted[..])
            && to.contains(part)
        {
            let synced = |call: &String| is_sync(call, from);
            assert!(calls[..place].iter().any(synced), "{to} is not synced");
            found.push((place, to.to_string()));
        }
    }
    found
}

/// The first sync of a file or folder after a place.
fn synced_after(calls: &[String], place: usize, path: &str) -> usize {
    let later = calls[place..].iter().position(|call| is_sync(call, path));
    place + later.unwrap_or_else(|| panic!("{path} is not synced afterwards"))
}

fn is_sync(call: &str, path: &str) -> bool {
    let is_sync = call.starts_with("fsync(") || call.starts_with("fdatasync(");
    is_sync && call.contains(&format!("<{path}>"))
}
