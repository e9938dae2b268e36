//! Every reader of bytes from outside as a target of bolero, which knows random inputs, libFuzzer, AFL and honggfuzz.
//!
//! ```sh
//! cargo test                                        # seeds, and random inputs
//! cargo bolero test sound --corpus-dir corpus/sound # libFuzzer, led by coverage; needs cargo-bolero and a nightly Rust
//! ```
//! `cargo test seeds` writes the seeds into `corpus/`.

use std::{fs, path::Path};

use targets::TARGETS;

#[allow(dead_code)]
#[path = "../../tests/networks.rs"]
mod networks;
#[path = "../../tests/targets.rs"]
mod targets;

#[test]
fn seeds() {
    for target in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        fs::create_dir_all(&folder).unwrap();
        for (number, seed) in (target.seeds)().iter().enumerate() {
            (target.read)(seed);
            fs::write(folder.join(number.to_string()), seed).unwrap();
        }
    }
}

macro_rules! targets {
    ($($test:ident $name:literal),+ $(,)?) => {
        $(#[test]
        fn $test() {
            let target = TARGETS.iter().find(|target| target.name == $name).unwrap();
            bolero::check!().for_each(|bytes: &[u8]| (target.read)(bytes));
        })+

        #[test]
        fn all_are_here() {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$($name),+]);
        }
    };
}

targets! {
    sound "sound",
    csv "csv",
    toml "toml",
    settings "settings",
    tflite "tflite",
    blob "blob",
    manifest "manifest",
    zip "zip",
    tar_gz "tar-gz",
    store "store",
    npu "npu",
}
