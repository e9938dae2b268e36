//! Modules may only look down, and heavy dependencies have one door each. These tables are the architecture.

use std::{fs, path::Path};

/// The modules of the crate, top first. Each line may use only the lines below it.
const LAYERS: &[&[&str]] = &[
    &["cli"],
    &["bundle"],
    &["report"],
    &["run"],
    &["store"],
    &["search"],
    &["evaluate", "measure"],
    &["train", "quant", "score"],
    &["features", "space", "hardware"],
    &["graph", "audio", "data"],
    &["identity", "stats", "units"],
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
    // Sound is read in `audio`; `data` looks at headers and writes the synthetic set.
    ("hound", "data"),
    ("claxon", "audio data"),
    ("rubato", "audio"),
    ("toml", "space hardware report"),
    // Downloads are unpacked and transferred in `data/fetch`.
    ("ureq", "data"),
    ("zip", "data"),
    ("tar", "data"),
    ("flate2", "data"),
    ("toml_edit", "hardware"),
    ("argmin", "hardware"),
];

#[test]
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

#[test]
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

#[test]
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
                let product = text.split("#[cfg(test)]").next().unwrap().to_string();
                found.push((inside, module, product));
            }
        }
    }
    assert!(found.len() > 20, "the source folder was not found");
    found
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
    let (mut depth, mut start, mut names) = (0, 0, Vec::new());
    for (idx, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' | ',' if depth == 0 => {
                names.push(first_word(&group[start..idx]));
                start = idx + 1;
                if c == '}' {
                    break;
                }
            }
            _ => (),
        }
    }
    names.retain(|name| !name.is_empty());
    names
}
