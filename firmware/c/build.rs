//! Says where the model is: `NAS_MODEL`, or `../model/model.nas` as in an exported folder.

use std::{env, path::Path};

fn main() {
    println!("cargo:rerun-if-env-changed=NAS_MODEL");
    let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo names the folder of the package");
    let exported = Path::new(&folder).join("../model/model.nas");
    let model = env::var_os("NAS_MODEL").map_or(exported, Into::into);
    println!("cargo:rerun-if-changed={}", model.display());
    println!("cargo:rustc-env=NAS_MODEL={}", model.display());
}
