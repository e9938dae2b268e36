//! Finds the Rust compiler on this machine that builds for microcontrollers.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use super::MeasureError;
use crate::hardware::Core;

/// A way to compile firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    recipe: Recipe,
    /// What the compiler says about itself (`rustc -vV`).
    pub version: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Recipe {
    /// The standard library for the target is installed (`rustup target add`).
    Installed,
    /// The standard library is built from source by a compiler whose source is installed (Debian's `rustc-web` and
    /// `rust-web-src`).
    FromSource { rustc: PathBuf, linker: PathBuf },
}

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/core";

/// Variables that `cargo test` and `cargo run` set for their children; they would change the build.
pub const INHERITED: [&str; 7] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_TARGET_DIR",
    "CARGO_MANIFEST_DIR",
];

impl Toolchain {
    /// The compiler for a core; fails where none is installed.
    pub fn of(core: Core) -> Result<Toolchain, MeasureError> {
        let target = target_of(core);
        if let Some(folder) = printed("rustc", &["--print", "target-libdir", "--target", target])
            && has_core(Path::new(folder.trim()))
        {
            return Toolchain::new("rustc", Recipe::Installed, target);
        }
        let linker = ["ld.lld-22", "ld.lld", "ld.lld-21", "ld.lld-20", "ld.lld-19"]
            .iter()
            .find_map(|name| find_program(name))
            .or_else(rust_lld);
        match linker {
            Some(linker)
                if Path::new(DEBIAN_RUSTC).exists() && Path::new(DEBIAN_SOURCE).exists() =>
            {
                let rustc = PathBuf::from(DEBIAN_RUSTC);
                Toolchain::new(DEBIAN_RUSTC, Recipe::FromSource { rustc, linker }, target)
            }
            _ => Err(MeasureError::NoToolchain { target }),
        }
    }

    fn new(rustc: &str, recipe: Recipe, target: &'static str) -> Result<Toolchain, MeasureError> {
        let version = printed(rustc, &["-vV"]).ok_or(MeasureError::NoToolchain { target })?;
        Ok(Toolchain { recipe, version })
    }

    /// Whether the standard library for the core is installed, so plain `cargo` commands work.
    pub fn is_installed(&self) -> bool {
        self.recipe == Recipe::Installed
    }

    /// `cargo build` with what it needs for `target`. The caller adds package, features and folder.
    pub fn cargo(&self, target: &str) -> Command {
        let mut command = Command::new("cargo");
        for variable in INHERITED {
            command.env_remove(variable);
        }
        command.args(["build", "--release", "--locked", "--target", target]);
        if let Recipe::FromSource { rustc, linker } = &self.recipe {
            let target = target.to_uppercase().replace(['-', '.'], "_");
            command
                .arg("-Zbuild-std=core")
                .env("RUSTC", rustc)
                .env("RUSTC_BOOTSTRAP", "1")
                .env(format!("CARGO_TARGET_{target}_LINKER"), linker);
        }
        command
    }
}

/// Rust's name of a core's instruction set.
pub fn target_of(core: Core) -> &'static str {
    match core {
        Core::CortexM7 => "thumbv7em-none-eabihf",
        Core::CortexM55 => "thumbv8m.main-none-eabihf",
    }
}

/// The path of a program, found as a shell finds it.
pub fn find_program(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn has_core(folder: &Path) -> bool {
    let Ok(entries) = folder.read_dir() else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with("libcore-")
    })
}

/// The linker that rustup installs with every compiler.
fn rust_lld() -> Option<PathBuf> {
    let root = printed("rustc", &["--print", "sysroot"])?;
    let version = printed("rustc", &["-vV"])?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))?;
    let path = Path::new(root.trim())
        .join("lib/rustlib")
        .join(host)
        .join("bin/rust-lld");
    path.is_file().then_some(path)
}

fn printed(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(text)
}
