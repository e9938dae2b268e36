//! The licences and duplicates of what the program is built of, and that no test hides from the harness.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use crate::runner::{CRATES, project};

tests! {
    licences_are_permissive,
    licences_of_all_features_are_permissive: [Crates],
    duplicate_dependencies_are_known,
    every_test_is_listed,
    versions_agree,
}

/// What may be linked into a program under MIT or Apache-2.0. MPL-2.0 concerns changes to its own files,
/// CDLA-Permissive-2.0 a list of root certificates.
const LICENCES: [&str; 15] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates of which the program holds two versions because dependencies disagree. One more is one more to compile;
/// one that is no longer double goes from this list.
const DOUBLE: [&str; 11] = [
    "cpufeatures",
    "darling",
    "darling_core",
    "darling_macro",
    "getrandom",
    "hashbrown",
    "miniz_oxide",
    "rand",
    "rand_chacha",
    "rand_core",
    "syn",
];

/// Name, version and licence of every crate of a build, by `cargo tree`.
fn dependencies(options: &[&str]) -> BTreeSet<(String, String, String)> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--workspace",
            "--edges=normal,build",
            "--prefix=none",
        ])
        .args(["--offline", "--locked", "--format={p}|{l}"])
        .args(options)
        .current_dir(project(""))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            // What was shown before is marked.
            let line = line.trim_end_matches(" (*)");
            let (package, licence) = line.split_once('|').unwrap();
            let mut words = package.split(' ');
            let mut word = || words.next().unwrap().to_string();
            (word(), word(), licence.to_string())
        })
        .collect()
}

fn licences_are_permissive() {
    check_licences(&[]);
}

fn licences_of_all_features_are_permissive() {
    check_licences(&CRATES);
}

fn check_licences(options: &[&str]) {
    let found = dependencies(options);
    assert!(found.len() > 100, "{found:?}");
    let refused: Vec<_> = found
        .iter()
        .filter(|(_, _, licence)| !is_allowed(licence))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
    // The judge itself: both sides of AND, one of OR, brackets first.
    assert!(is_allowed("(MIT OR GPL-3.0) AND Unicode-3.0") && is_allowed("GPL-3.0/MIT"));
    assert!(
        !is_allowed("MIT AND GPL-3.0") && !is_allowed("GPL-3.0 OR AGPL-3.0") && !is_allowed("")
    );
}

/// Whether an SPDX expression can be kept to; a slash is an old way to write OR.
fn is_allowed(expression: &str) -> bool {
    let mut expression = expression.replace('/', " OR ");
    while let Some(end) = expression.find(')') {
        let start = expression[..end]
            .rfind('(')
            .expect("brackets come in pairs");
        let inner = if is_allowed(&expression[start + 1..end]) {
            "MIT"
        } else {
            "refused"
        };
        expression.replace_range(start..=end, inner);
    }
    let all = |part: &str| {
        part.split(" AND ")
            .all(|licence| LICENCES.contains(&licence.trim()))
    };
    expression.split(" OR ").any(all)
}

fn duplicate_dependencies_are_known() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, version, _) in dependencies(&[]) {
        versions.entry(name).or_default().insert(version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    let found: Vec<&str> = versions.keys().map(String::as_str).collect();
    assert_eq!(found, DOUBLE, "{versions:#?}");
}

/// `#[test]` means nothing to this harness: such a function would never run.
fn every_test_is_listed() {
    let files = fs::read_dir(project("tests")).unwrap();
    let paths = files.map(|entry| entry.unwrap().path());
    for path in paths.filter(|path| !path.ends_with("hygiene.rs")) {
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            assert!(
                !text.contains("#[test]"),
                "{}: list it in `tests!`",
                path.display()
            );
        }
    }
}

/// The newest entry of the change log is the version of the crate, and all crates go out together.
fn versions_agree() {
    let read = |name: &str| fs::read_to_string(project(name)).unwrap();
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let package = |key: &str| manifest["package"][key].as_str().unwrap().to_string();
    let log = read("CHANGELOG.md");
    let newest = log
        .lines()
        .find_map(|line| line.strip_prefix("## "))
        .unwrap();
    assert!(
        newest == "Unreleased" || newest.starts_with(&package("version")),
        "{newest}"
    );
    for (name, folder) in [
        ("nas-kernels", "firmware/kernels"),
        ("ethos-u55", "firmware/ethos-u55"),
    ] {
        let own: toml::Table = read(&format!("{folder}/Cargo.toml")).parse().unwrap();
        let wanted = &manifest["dependencies"][name]["version"];
        assert_eq!(own["package"]["version"], *wanted);
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            assert_eq!(read(licence), read(&format!("{folder}/{licence}")));
        }
    }
}
