//! Puts the linker script of the board where cortex-m-rt looks for it, and checks that there is one board.

use std::{env, fs, path::PathBuf};

const BOARDS: [&str; 5] = [
    "mps2-an500",
    "mps3-an547",
    "stm32h743",
    "alif-e7-he",
    "alif-e7-hp",
];

fn main() {
    let is_chosen = |board: &&str| {
        let variable = format!("CARGO_FEATURE_{}", board.to_uppercase().replace('-', "_"));
        env::var_os(variable).is_some()
    };
    let chosen: Vec<&str> = BOARDS.into_iter().filter(is_chosen).collect();
    let [board] = chosen[..] else {
        panic!("choose one board with `--features`: one of {BOARDS:?}; chosen are {chosen:?}");
    };
    let script = |name: &str| {
        let path = format!("boards/{name}.x");
        println!("cargo:rerun-if-changed={path}");
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo names a folder for output"));
    let memory = script(board) + &script("sections");
    fs::write(out.join("memory.x"), memory).expect("the folder for output takes files");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg=-Tlink.x");
    println!("cargo:rustc-env=NAS_BOARD={board}");
    let has_npu = env::var_os("CARGO_FEATURE_U55").is_some();
    assert!(
        !has_npu || env::var_os("CARGO_FEATURE_M55").is_some(),
        "there is no Ethos-U55 on {board}: `u55` goes with mps3-an547, alif-e7-he and alif-e7-hp"
    );
    let model = if has_npu { "npu.nas" } else { "model.nas" };
    for (variable, file) in [("NAS_MODEL", model), ("NAS_INPUT", "input.bin")] {
        name_file(variable, file);
    }
}

/// Where a file is: what the environment says, or `../model` as in an exported folder.
fn name_file(variable: &str, file: &str) {
    println!("cargo:rerun-if-env-changed={variable}");
    let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo names the folder of the package");
    let exported = PathBuf::from(folder).join("../model").join(file);
    let path = env::var_os(variable).map_or(exported, PathBuf::from);
    println!("cargo:rerun-if-changed={}", path.display());
    println!("cargo:rustc-env={variable}={}", path.display());
}
