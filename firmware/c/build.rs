//! Says where the model is: `NAS_MODEL`, or `../model/model.nas` as in an exported folder; and what its functions are called:
//! `NAS_PREFIX`, or the word in the file `prefix` beside the model, or `nas`.

use std::{env, fs, path::Path};

fn main() {
    println!("cargo:rerun-if-env-changed=NAS_MODEL");
    println!("cargo:rerun-if-env-changed=NAS_PREFIX");
    let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo names the folder of the package");
    let exported = Path::new(&folder).join("../model/model.nas");
    let model = env::var_os("NAS_MODEL").map_or(exported, Into::into);
    println!("cargo:rerun-if-changed={}", model.display());
    println!("cargo:rustc-env=NAS_MODEL={}", model.display());

    let named = model.with_file_name("prefix");
    println!("cargo:rerun-if-changed={}", named.display());
    let prefix = env::var("NAS_PREFIX").or_else(|_| fs::read_to_string(named));
    let prefix = prefix.unwrap_or_else(|_| "nas".to_string());
    println!("cargo:rustc-env=NAS_PREFIX={}", prefix.trim());

    // The checksum in the header of the blob.
    let blob = fs::read(&model).unwrap_or_default();
    let checksum = blob.get(16..24).unwrap_or(&[]).iter().rev();
    let id: String = checksum.map(|byte| format!("{byte:02x}")).collect();
    println!("cargo:rustc-env=NAS_ID={id}");
}
