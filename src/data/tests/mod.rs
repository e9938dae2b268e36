mod damage;
mod disturbed;
mod divide;
mod folds;
mod info;
mod layouts;
mod manifests;
mod names;
mod one_machine;

use std::{fs, path::Path, path::PathBuf};

use tempfile::TempDir;

use super::*;

/// A folder with these files, each of 512 bytes; one named `path=text` holds that text.
fn tree(files: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        let (name, content) = match file.split_once('=') {
            Some((name, text)) => (name, text.as_bytes().to_vec()),
            None => (*file, vec![1; 512]),
        };
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

/// One line per kind of clips, then the notes.
fn summary(dataset: &Dataset) -> String {
    let mut lines = Vec::new();
    for count in describe(dataset).counts {
        let ClipCount {
            machine, section, ..
        } = &count;
        let label = count
            .label
            .map_or("Unlabelled".to_string(), |label| format!("{label:?}"));
        lines.push(format!(
            "{machine} {section} {:?} {:?} {label} {}",
            count.split, count.domain, count.clips
        ));
    }
    lines.extend(dataset.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

/// Compares the summary or the error; `ROOT` stands for the opened path.
fn check_path(path: &Path, expected: &str) {
    let shown = match open(path) {
        Ok(dataset) => summary(&dataset),
        Err(error) => format!("error: {error}"),
    };
    let shown = shown.replace(&*path.to_string_lossy(), "ROOT");
    // Where a machine's folder was opened, the machine has the name of the temporary folder.
    let name = path.file_name().unwrap().to_string_lossy();
    let shown = match name.starts_with(".tmp") {
        true => shown.replace(&*name, "ROOT"),
        false => shown,
    };
    let expected: Vec<&str> = expected.trim().lines().map(str::trim).collect();
    assert_eq!(shown, expected.join("\n"), "\n{shown}\n");
}

fn check_tree(files: &[&str], expected: &str) {
    check_path(tree(files).path(), expected);
}

/// Slices of UrbanSound8K as `<fold>/<recording>-<class>` and how many of each; every recording has its own slices.
fn urban(slices: &[(&str, usize)]) -> TempDir {
    let mut files = vec![
        "metadata/UrbanSound8K.csv=slice_file_name,fsID,salience\n7-9-0-0.wav,7,2\n".to_string(),
    ];
    for (place, count) in slices {
        files.extend((0..*count).map(|idx| format!("audio/fold{place}-0-{idx}.wav")));
    }
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    tree(&files)
}

/// Clips given as `<machine> <section> <split> <domain> <label> <count>`.
fn made_up(kinds: &[&str]) -> Dataset {
    let mut csv = "file,split,label,machine,section,domain\n".to_string();
    for (kind_idx, kind) in kinds.iter().enumerate() {
        let words: Vec<&str> = kind.split(' ').collect();
        let [machine, section, split, domain, label, count] = words[..] else {
            panic!("{kind}");
        };
        for clip_idx in 0..count.parse().unwrap() {
            csv += &format!(
                "{kind_idx}_{clip_idx}.wav,{split},{label},{machine},{section},{domain}\n"
            );
        }
    }
    let rows = manifest::parse(csv.as_bytes()).unwrap();
    let clips = rows
        .into_iter()
        .map(|row| row.clip(Source::Audio(PathBuf::new())));
    table(
        "made up".to_string(),
        Layout::Manifest,
        clips.collect(),
        Vec::new(),
        Vec::new(),
    )
    .unwrap()
}
