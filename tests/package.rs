//! What `cargo package` packs is a crate that builds and works.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use nas::measure;
use tempfile::TempDir;

use crate::runner::project;

tests! {
    the_packaged_crate_builds_and_runs,
}

/// Dependencies are those that these tests were built of; only the package itself is built, without optimisation.
fn the_packaged_crate_builds_and_runs() {
    let folder = TempDir::new().unwrap();
    let packed = folder.path().join("packed");
    run(cargo(&packed).args([
        "package",
        "--workspace",
        "--no-verify",
        "--allow-dirty",
        "--offline",
        "--quiet",
    ]));
    let unpacked = folder.path().join("unpacked");
    let mut crates: Vec<PathBuf> = fs::read_dir(packed.join("package"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "crate")
        })
        .collect();
    crates.sort();
    assert_eq!(crates.len(), 3, "{crates:?}");
    for path in &crates {
        let file = flate2::read::GzDecoder::new(fs::File::open(path).unwrap());
        tar::Archive::new(file).unpack(&unpacked).unwrap();
    }
    let version = env!("CARGO_PKG_VERSION");
    let own = unpacked.join(format!("nas-{version}"));
    let kernels = unpacked.join(format!("nas-kernels-{version}"));

    // The firmware that the program carries along came through, though cargo leaves out folders with manifests.
    for (name, content) in measure::files() {
        let path = own
            .join("packaged")
            .join(name.replace("Cargo.toml", "manifest.toml"));
        assert_eq!(&fs::read(&path).unwrap(), content, "{name}");
    }
    for name in ["LICENSE-MIT", "LICENSE-APACHE", "README.md", "CHANGELOG.md"] {
        assert!(own.join(name).is_file(), "{name}");
    }

    // In a registry the kernels and the model of the NPU would be beside it.
    let npu = unpacked.join("ethos-u55-0.1.0");
    let patch =
        |name: &str, path: &Path| format!("patch.crates-io.{name}.path=\"{}\"", path.display());
    let built = folder.path().join("built");
    run(cargo(&built)
        .args([
            "build",
            "--bins",
            // Which asks for the same features of dependencies as the tests, so that they are not compiled again.
            "--example",
            "search",
            "--offline",
            "--quiet",
            "--config",
            &patch("nas-kernels", &kernels),
            "--config",
            &patch("ethos-u55", &npu),
        ])
        .args(["--config", "profile.dev.package.nas.opt-level=0"])
        .env("CARGO_BUILD_BUILD_DIR", target())
        .current_dir(&own));
    let nas = built.join("debug/nas");
    let store = folder.path().join("nas.sqlite");
    let search = [
        "search",
        "--debug-formula",
        "--trials",
        "4",
        "--quiet",
        "--store",
    ];
    let said = run(Command::new(&nas).args(search).arg(&store));
    assert!(
        String::from_utf8_lossy(&said.stdout).contains("Front of"),
        "{said:?}"
    );
    let carried = run(Command::new(&nas).args(["targets", "show", "u55"]));
    assert!(
        String::from_utf8_lossy(&carried.stdout).contains("Ethos-U55"),
        "{carried:?}"
    );
}

/// The folder of what these tests were built of.
fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap()
}

fn cargo(target: &Path) -> Command {
    let mut command = Command::new(env!("CARGO"));
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        command.env_remove(variable);
    }
    command
        .current_dir(project(""))
        .env("CARGO_TARGET_DIR", target);
    command
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    output
}
