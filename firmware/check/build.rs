//! Links for the memory that QEMU's boards have at address 0 and at 0x20000000.

use std::{env, fs, path::PathBuf};

/// The smaller of `mps2-an500` and `mps3-an547`.
const MEMORY: &str =
    "MEMORY { FLASH : ORIGIN = 0, LENGTH = 512K  RAM : ORIGIN = 0x20000000, LENGTH = 512K }";

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo names a folder for output"));
    fs::write(out.join("memory.x"), MEMORY).expect("the folder for output takes files");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg=-Tlink.x");
    println!("cargo:rerun-if-changed=build.rs");
}
