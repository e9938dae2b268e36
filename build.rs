//! Lists the files of `firmware/`, so that the program carries them along and can build them anywhere.
//!
//! `cargo package` leaves out folders with a `Cargo.toml` of their own. So `packaged/` has links to all of them, in which
//! manifests are called `manifest.toml`; in a package the links are files, and there is no `firmware/`.

use std::{collections::BTreeMap, env, fmt::Write as _, fs, path::Path};

/// No sources of firmware: what was built, and the model of the NPU, which runs on the host.
const LEFT_OUT: [&str; 2] = ["target", "ethos-u55"];

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo names the folder of the package");
    let is_packaged = !Path::new(&root).join("firmware").is_dir();
    let folder = if is_packaged { "packaged" } else { "firmware" };
    let mut files = BTreeMap::new();
    for name in names(&Path::new(&root).join(folder)) {
        println!("cargo:rerun-if-changed={folder}/{name}");
        collect(&Path::new(&root).join(folder), &name, &mut files);
    }
    println!("cargo:rerun-if-changed=build.rs");
    let mut list = String::from("pub const FILES: &[(&str, &[u8])] = &[\n");
    for (name, path) in files {
        // Not the path of now: what is built here may be kept when the folder moves, or serve another copy of it.
        writeln!(
            list,
            "    ({name:?}, include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{folder}/\", {path:?}))),"
        )
        .expect("text grows");
    }
    list += "];\n";
    let out = env::var("OUT_DIR").expect("cargo names a folder for output");
    fs::write(Path::new(&out).join("firmware_files.rs"), list)
        .expect("the folder for output takes files");
}

/// Adds a file, or all below a folder: the name that it has in `firmware/`, and the path where it lies.
fn collect(folder: &Path, relative: &str, files: &mut BTreeMap<String, String>) {
    let path = folder.join(relative);
    if path.is_dir() {
        for name in names(&path) {
            collect(folder, &format!("{relative}/{name}"), files);
        }
    } else {
        let name = relative.replace("manifest.toml", "Cargo.toml");
        files.insert(name, relative.to_string());
    }
}

/// Names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !LEFT_OUT.contains(&name.as_str()))
        .collect()
}
