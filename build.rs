//! Lists the files of `firmware/`, so that the program carries them along and can build them anywhere.

use std::{env, fmt::Write as _, fs, path::Path};

/// Not sources.
const LEFT_OUT: [&str; 1] = ["target"];

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo names the folder of the package");
    let firmware = Path::new(&root).join("firmware");
    let mut files = Vec::new();
    for name in names(&firmware) {
        println!("cargo:rerun-if-changed=firmware/{name}");
        collect(&firmware, &name, &mut files);
    }
    println!("cargo:rerun-if-changed=build.rs");
    let mut list = String::from("pub const FILES: &[(&str, &[u8])] = &[\n");
    for file in files {
        // Not the path of now: what is built here may be kept when the folder moves, or serve another copy of it.
        writeln!(
            list,
            "    ({file:?}, include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/firmware/\", {file:?}))),"
        )
        .expect("text grows");
    }
    list += "];\n";
    let out = env::var("OUT_DIR").expect("cargo names a folder for output");
    fs::write(Path::new(&out).join("firmware_files.rs"), list)
        .expect("the folder for output takes files");
}

fn collect(firmware: &Path, relative: &str, files: &mut Vec<String>) {
    let path = firmware.join(relative);
    if path.is_dir() {
        for name in names(&path) {
            collect(firmware, &format!("{relative}/{name}"), files);
        }
    } else {
        files.push(relative.to_string());
    }
}

/// Names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !LEFT_OUT.contains(&name.as_str()))
        .collect();
    names.sort();
    names
}
