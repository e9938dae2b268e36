//! The harness: what a test needs, whether it is there, and what is said where it is not.
//!
//! A test that lacks something is shown as ignored with its reason, and counted at the end with what to do about it.
//! With `NAS_REQUIRE_TOOLS=1` it fails instead.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use libtest_mimic::{Arguments, Conclusion, Trial};
use nas::{
    hardware::Core,
    measure::{Toolchain, find_program},
};

/// A test of the list that `tests!` makes.
pub struct Test {
    /// Module and function, as `cli::failures_have_their_exit_codes`.
    pub name: &'static str,
    pub needs: &'static [Need],
    pub run: fn(),
}

/// Lists the tests of a module as `TESTS`, each with what it needs: `tests! { a_test, other_test: [Qemu] }`.
///
/// A function that is not listed is never used, which the compiler warns about.
macro_rules! tests {
    ($($name:ident $(: [$($need:expr),+ $(,)?])?),+ $(,)?) => {
        pub const TESTS: &[$crate::runner::Test] = &[$({
            #[allow(unused_imports)]
            use $crate::runner::Need::*;
            $crate::runner::Test {
                name: concat!(module_path!(), "::", stringify!($name)),
                needs: &[$($($need),+)?],
                run: $name,
            }
        }),+];
    };
}

/// Prints figures that are worth a look; shown with `cargo test -- --nocapture`.
macro_rules! say {
    ($($part:tt)+) => {
        if $crate::runner::is_shown() {
            println!($($part)+);
        }
    };
}

pub fn is_shown() -> bool {
    env::args().any(|argument| argument == "--nocapture" || argument == "--no-capture")
}

/// What lies outside the project, or has to be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A Python with TFLM, LiteRT and Vela.
    Oracles,
    /// Arm's Vela.
    Vela,
    /// A Rust compiler for a Cortex-M7.
    RustForM7,
    /// A Rust compiler for a Cortex-M55.
    RustForM55,
    /// A C compiler for microcontrollers.
    ArmGcc,
    Qemu,
    /// Kills a process at a system call, and lists its calls.
    Strace,
    /// The sources of all dependencies on all platforms.
    Crates,
    /// A file or folder of real recordings, foreign models or measurements.
    Shared(&'static str),
}

/// What installs every tool.
const SETUP: &str = "bash tests/setup.sh";

impl Need {
    /// Why a test that needs it cannot run.
    fn missing(self) -> Option<String> {
        let program = |name: &str| match find_program(name) {
            Some(_) => None,
            None => Some(format!("no {name}")),
        };
        let rust = |core| {
            Toolchain::of(core)
                .err()
                .map(|_| format!("no Rust for {core:?}"))
        };
        match self {
            Need::Oracles => python().err(),
            Need::Vela => vela().is_none().then(|| "no vela".to_string()),
            Need::RustForM7 => rust(Core::CortexM7),
            Need::RustForM55 => rust(Core::CortexM55),
            Need::ArmGcc => program("arm-none-eabi-gcc"),
            Need::Qemu => program("qemu-system-arm"),
            Need::Strace => program("strace"),
            Need::Crates => crates(),
            Need::Shared(path) => (!shared(path).exists()).then(|| format!("no {path}")),
        }
    }

    fn remedy(self) -> String {
        match self {
            Need::Shared(_) => {
                "real recordings and foreign models are no part of the project; NAS_SHARED=DIR names them".to_string()
            }
            _ => format!("run `{SETUP}`"),
        }
    }
}

/// Runs the tests that the command line chooses.
pub fn run(tests: &[&[Test]]) -> ExitCode {
    let arguments = Arguments::from_args();
    let is_required = env::var("NAS_REQUIRE_TOOLS").is_ok_and(|value| value == "1");
    let is_chosen = |test: &&Test| match &arguments.filter {
        Some(filter) => short(test.name).contains(filter.as_str()),
        None => true,
    };
    // Looking takes seconds, so each need is looked for once and only where it matters.
    let mut looked_for: BTreeMap<Need, Option<String>> = BTreeMap::new();
    let mut ignored: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    let mut trials = Vec::new();
    for test in tests.iter().copied().flatten().filter(is_chosen) {
        let mut lacks = test.needs.iter().filter_map(|need| {
            let missing = looked_for.entry(*need).or_insert_with(|| need.missing());
            Some((*need, missing.clone()?))
        });
        let run = test.run;
        let trial = match lacks.next() {
            None => Trial::test(short(test.name), move || {
                run();
                Ok(())
            }),
            Some((need, reason)) => {
                if !is_required {
                    *ignored
                        .entry(need.remedy())
                        .or_default()
                        .entry(reason.clone())
                        .or_default() += 1;
                }
                let failure = format!("{reason}; {}", need.remedy());
                Trial::test(short(test.name), move || Err(failure.into()))
                    .with_kind(reason)
                    .with_ignored_flag(!is_required)
            }
        };
        trials.push(trial);
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list && !arguments.ignored && !arguments.include_ignored {
        print!("{}", summary(&conclusion, &ignored));
    }
    conclusion.exit_code()
}

/// How many were ignored, why, and what to do.
fn summary(conclusion: &Conclusion, ignored: &BTreeMap<String, BTreeMap<String, usize>>) -> String {
    let mut text = String::new();
    for (remedy, reasons) in ignored {
        let count: usize = reasons.values().sum();
        text += &format!(
            "{count} of {} tests ignored: {remedy}\n",
            conclusion.num_passed + conclusion.num_failed + conclusion.num_ignored
        );
        for (reason, count) in reasons {
            text += &format!("    {count:2} {reason}\n");
        }
    }
    text
}

/// Without the name of this program.
fn short(name: &str) -> &str {
    name.split_once("::").map_or(name, |(_, rest)| rest)
}

/// The place of a file that is no part of the project: in `../shared`, or in the folder that `NAS_SHARED` names.
pub fn shared(relative: &str) -> PathBuf {
    let folder = env::var_os("NAS_SHARED").map_or(project("../shared"), PathBuf::from);
    folder.join(relative)
}

/// A Python that has the packages of `oracles/requirements.txt`.
pub fn python() -> Result<PathBuf, String> {
    let candidates = [
        env::var_os("NAS_PYTHON").map(PathBuf::from),
        Some(project(".venv/bin/python")),
        Some(PathBuf::from("python3")),
    ];
    let has_packages = |python: &PathBuf| {
        Command::new(python)
            .args(["-c", "import tflite_micro, ai_edge_litert, ethosu.vela"])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    let found = candidates.into_iter().flatten().find(has_packages);
    found.ok_or_else(|| "no Python with TFLM, LiteRT and Vela".to_string())
}

/// Vela as `tests/setup.sh` installs it, or that of PATH.
pub fn vela() -> Option<PathBuf> {
    let own = project(".venv/bin/vela");
    own.is_file()
        .then_some(own)
        .or_else(|| find_program("vela"))
}

/// Chooses the dependencies of all features on all platforms.
pub const CRATES: [&str; 3] = ["--all-features", "--target", "all"];

/// Whether they are downloaded, so that cargo can say their licences without the network.
fn crates() -> Option<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--offline", "--locked"])
        .args(CRATES)
        .current_dir(project(""))
        .output();
    let is_there = output.is_ok_and(|output| output.status.success());
    (!is_there).then(|| "not all dependencies are downloaded".to_string())
}

pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
