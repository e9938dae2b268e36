//! Modules may only look down, and heavy dependencies have one door each. These tables are the architecture.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

tests! {
    modules_only_look_down,
    heavy_dependencies_have_one_door,
    output_has_one_door,
    only_tests_are_left_out,
    no_file_needs_one_that_needs_it,
    unsafe_code_is_in_listed_files,
}

/// The modules of the crate, top first. Each line may use only the lines below it.
const LAYERS: &[&[&str]] = &[
    &["cli"],
    &["bundle"],
    &["report"],
    &["run"],
    &["store"],
    &["search"],
    &["evaluate", "measure"],
    &["train", "fit", "quant", "score"],
    &["features", "space", "hardware"],
    &["graph", "audio", "data"],
    &["disturb"],
    &["disk", "identity", "stats", "units"],
];

/// Uses of a neighbour on the same line that are meant.
const NEIGHBOURS: &[(&str, &str)] = &[("hardware", "space"), ("data", "audio")];

/// A heavy dependency, and the only module that may name it.
const DOORS: &[(&str, &str)] = &[
    ("burn", "train"),
    ("burn_flex", "train"),
    ("rusqlite", "store"),
    ("plotters", "report"),
    ("clap", "cli"),
    ("indicatif", "cli"),
    ("flatbuffers", "quant"),
    ("sha2", "bundle"),
    ("probe_rs", "measure"),
    ("hound", "audio"),
    ("symphonia", "audio"),
    ("rubato", "audio"),
    ("toml", "space hardware report"),
    // Downloads are unpacked and transferred in `data/fetch`.
    ("ureq", "data"),
    ("zip", "data"),
    ("tar", "data"),
    ("flate2", "data"),
    ("statrs", "stats score"),
    ("object", "measure"),
    ("strsim", "hardware"),
    ("toml_edit", "hardware"),
    ("argmin", "hardware"),
    ("tempfile", "disk bundle measure"),
];

fn modules_only_look_down() {
    let mut faults = Vec::new();
    for (path, module, text) in sources() {
        let Some(own) = layer(&module) else {
            faults.push(format!("{path}: `{module}` has no place in LAYERS"));
            continue;
        };
        for used in uses(&text) {
            let meant = NEIGHBOURS.contains(&(module.as_str(), used));
            match layer(used) {
                Some(other) if used == module || other > own || meant => (),
                Some(_) => faults.push(format!("{path}: `{module}` may not use `crate::{used}`")),
                None => faults.push(format!("{path}: `crate::{used}` has no place in LAYERS")),
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn heavy_dependencies_have_one_door() {
    let mut faults = Vec::new();
    for (path, module, text) in sources() {
        for (dependency, door) in DOORS {
            let named = text.contains(&format!("{dependency}::"));
            if named && !door.split(' ').any(|door| door == module) {
                faults.push(format!("{path}: only `{door}` may name `{dependency}`"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn output_has_one_door() {
    let printing = ["print!(", "println!(", "eprint!(", "eprintln!(", "dbg!("];
    let faults: Vec<String> = sources()
        .into_iter()
        .filter(|(_, _, text)| printing.iter().any(|word| text.contains(word)))
        .map(|(path, ..)| format!("{path}: only `cli::out` writes to stdout and stderr"))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|names| names.contains(&module))
}

/// Files of the library that may allow unsafe code, which is denied elsewhere.
const UNSAFE: &[&str] = &["quant/float.rs", "train/bf16.rs", "train/kernels.rs"];

fn unsafe_code_is_in_listed_files() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    assert!(manifest.contains("unsafe_code = \"deny\""));
    let mut found: Vec<String> = sources()
        .into_iter()
        .filter(|(_, _, text)| text.contains("unsafe_code"))
        .map(|(path, _, _)| path)
        .collect();
    found.sort();
    assert_eq!(found, UNSAFE);
}

/// Path, module and text of every source file of the library; tests inside files may look anywhere.
fn sources() -> Vec<(String, String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![src.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inside = path
                .strip_prefix(&src)
                .unwrap()
                .to_str()
                .unwrap()
                .to_string();
            let module = inside.split(['/', '.']).next().unwrap().to_string();
            let is_test = inside.ends_with("tests.rs")
                || inside.contains("/tests/")
                || inside.ends_with("fixture.rs");
            if inside.ends_with(".rs") && !is_test && module != "main" && module != "lib" {
                let text = fs::read_to_string(&path).unwrap();
                let mut text = product(&text);
                if module == "cli" {
                    // The program sees the library from outside.
                    text = text.replace("nas::", "crate::");
                }
                found.push((inside, module, text));
            }
        }
    }
    assert!(found.len() > 20, "the source folder was not found");
    found
}

/// A file without what is compiled for tests alone, which may look anywhere, and without comments.
///
/// rustfmt lays out every file, so an item ends where its own indentation closes it.
fn product(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let indent = &line[..line.len() - line.trim_start().len()];
        match line.trim_start() {
            "#[cfg(test)]" => {
                let ends = |line: &str| {
                    let own = line.strip_prefix(indent).unwrap_or_default();
                    own.starts_with('}') || (own.ends_with(';') && !own.starts_with(' '))
                };
                lines.by_ref().find(|line| ends(line));
            }
            comment if comment.starts_with("//") => (),
            _ => kept.extend([line, "\n"]),
        }
    }
    kept
}

fn only_tests_are_left_out() {
    let text = "use a;\n#[cfg(test)]\nmod tests {\n    use b;\n}\n#[cfg(test)]\nmod fixture;\nuse c; // d\n";
    assert_eq!(product(text), "use a;\nuse c; // d\n");
}

/// Files that need each other cannot be read one after the other. A module and what lies in its folder may.
fn no_file_needs_one_that_needs_it() {
    let files: BTreeMap<Vec<String>, String> = sources()
        .into_iter()
        .map(|(path, _, text)| (place(&path), text))
        .collect();
    let needs: BTreeMap<&[String], BTreeSet<&[String]>> = files
        .iter()
        .map(|(own, text)| (own.as_slice(), needed(&files, own, text)))
        .collect();
    let mut circles = Vec::new();
    for (own, direct) in &needs {
        let mut reached: BTreeSet<&[String]> = BTreeSet::new();
        let mut queue: Vec<&[String]> = direct.iter().copied().collect();
        while let Some(next) = queue.pop() {
            if reached.insert(next) {
                queue.extend(needs.get(next).into_iter().flatten());
            }
        }
        if reached.contains(own) {
            circles.push(own.join("::"));
        }
    }
    assert!(circles.is_empty(), "in circles: {}", circles.join(", "));
}

/// `data/fetch/mod.rs` is `data`, `fetch`.
fn place(path: &str) -> Vec<String> {
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_string).collect()
}

/// The other files whose items a file names, by `crate::` or `super::`; not those it lies in.
fn needed<'a>(
    files: &'a BTreeMap<Vec<String>, String>,
    own: &[String],
    text: &str,
) -> BTreeSet<&'a [String]> {
    let mut found = BTreeSet::new();
    let mut rest = text;
    while let Some(at) = ["crate::", "super::"]
        .iter()
        .filter_map(|word| rest.find(word))
        .min()
    {
        let mut base = own.to_vec();
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("crate::") {
            base.clear();
            rest = after;
        }
        while let Some(after) = rest.strip_prefix("super::") {
            base.pop();
            rest = after;
        }
        for path in paths(rest) {
            let mut full: Vec<String> = base.iter().cloned().chain(path).collect();
            while !full.is_empty() && !files.contains_key(&full) {
                full.pop();
            }
            if let Some((other, _)) = files.get_key_value(&full)
                && !own.starts_with(other)
            {
                found.insert(other.as_slice());
            }
        }
    }
    found
}

/// `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(text: &str) -> Vec<Vec<String>> {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        return members(group).into_iter().flat_map(paths).collect();
    }
    let word = first_word(text);
    let after = text[word.len()..].strip_prefix("::");
    let ends = after.map_or(vec![Vec::new()], paths);
    let begun = |end: Vec<String>| [word.to_string()].into_iter().chain(end).collect();
    ends.into_iter().map(begun).collect()
}

/// The names that follow `crate::` anywhere in the text.
fn uses(text: &str) -> impl Iterator<Item = &str> {
    text.split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => top_level_names(group),
            None => vec![first_word(rest)],
        })
}

fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| c != '_' && !c.is_alphanumeric());
    &text[..end.unwrap_or(text.len())]
}

/// `a, b::{c, d}}; ...` names `a` and `b`.
fn top_level_names(group: &str) -> Vec<&str> {
    let names = members(group).into_iter().map(first_word);
    names.filter(|name| !name.is_empty()).collect()
}

/// `a, b::{c, d}}; ...` has the members `a` and `b::{c, d}`.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut members) = (0, 0, Vec::new());
    for (idx, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' | ',' if depth == 0 => {
                members.push(&group[start..idx]);
                start = idx + 1;
                if c == '}' {
                    break;
                }
            }
            _ => (),
        }
    }
    members.retain(|member| !member.trim().is_empty());
    members
}
