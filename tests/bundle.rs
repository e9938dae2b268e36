//! The whole path: search, measure, export; then the exported folder alone, by the commands of its own README.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::LazyLock,
};

use nas::{
    audio::{self, Channel},
    hardware::Core,
    measure::Toolchain,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::{
    cli::Tool,
    detectors::with_stream,
    runner::{project, vela},
};

tests! {
    a_folder_that_was_changed_is_named_and_nothing_is_built,
    a_manifest_leads_nowhere_else,
    several_models_go_into_one_image: [RustForM7, ArmGcc, Qemu],
    a_reconstruction_model_runs_alone_on_a_cortex_m7: [RustForM7, ArmGcc, Qemu],
    a_classification_model_runs_alone_on_a_cortex_m55: [RustForM55, ArmGcc, Qemu, Vela],
}

fn a_reconstruction_model_runs_alone_on_a_cortex_m7() {
    runs_alone("dense-ae", "stm32h743-nas", Core::CortexM7, "qemu-m7");
}

fn a_classification_model_runs_alone_on_a_cortex_m55() {
    runs_alone("ds-cnn", "alif-e7-hp", Core::CortexM55, "qemu-m55");
}

fn runs_alone(space: &str, target: &str, core: Core, place: &str) {
    let tool = Tool::new();
    let front = tool.json(&format!(
        "search --data synthetic:valve --space {space} --target {target} --budget-ram 256k --trials 2 --epochs 3 --name run -q --json"
    ));
    let trial = &front["front"][0]["trial"];

    // Beside the store of the test, images would be built anew.
    let images = tool.folder.path().join("cache");
    fs::create_dir_all(&images).unwrap();
    std::os::unix::fs::symlink(shared_folder("firmware"), images.join("firmware")).unwrap();
    let measured = tool.json(&format!("measure run --front --on {place} --json"));
    for entry in measured["measurements"].as_array().unwrap() {
        assert_eq!(entry["on"], place);
        assert_eq!(entry["outputs_match"], true, "{entry}");
        for key in ["instructions", "arena_bytes", "stack_bytes"] {
            assert!(entry[key].as_u64().unwrap() > 0, "{key}: {entry}");
        }
        assert!(
            entry["image"]["text_bytes"].as_u64().unwrap() > 10_000,
            "{entry}"
        );
    }
    let shown = tool.json(&format!("show run/{trial} --json"));
    let seen = &shown["measurements"][0];
    say!("{seen}");
    assert_eq!(seen["source"], "emulated");
    assert_eq!(
        tool.json("front run --json")["front"][0]["measurements"][0],
        *seen
    );
    assert!(tool.text("front run").contains("Measured"));
    estimates_agree(&shown, target);

    let outside = TempDir::new().unwrap();
    let bundle = outside.path().join("bundle");
    tool.text(&format!(
        "export run/{trial} --to {} --target {target}",
        bundle.display()
    ));
    tool.text(&format!("verify {} --host", bundle.display()));
    let manifest: Value =
        serde_json::from_slice(&fs::read(bundle.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["synthetic"], true);

    let commands = commands(&bundle.join("firmware/README.md"));
    let [_, run, flash @ ..] = &commands.app[..] else {
        panic!("{:?}", commands.app);
    };
    let ran = shell(&bundle, &commands.setup, run);
    let line: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(line["outputs_match"], true, "{line}");
    assert_eq!(ran.status.code(), Some(0));
    // The image for the chip is built; nobody flashes it.
    shell(&bundle, &commands.setup, &flash[0]);

    let [library, link, judge] = &commands.c[..] else {
        panic!("{:?}", commands.c);
    };
    shell(&bundle, &commands.setup, library);
    shell(&bundle, &commands.setup, link);
    let clips = manifest["golden"]["clips"].as_array().unwrap();
    assert_eq!(clips.len(), 2, "a normal and an anomalous clip");
    for clip in clips {
        let judge = judge.replace(
            "../golden/anomaly.wav",
            &format!("../{}", text(clip, "file")),
        );
        let output = run_shell(&bundle, &commands.setup, &judge);
        // QEMU's console for semihosting is standard error in some versions, standard output in others.
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        say!("{}: {said}", text(clip, "label"));
        let anomaly = clip["anomaly"].as_bool().unwrap();
        assert_eq!(output.status.code(), Some(i32::from(anomaly)), "{said}");
        let score = clip["score"].as_f64().unwrap();
        let printed: f64 = said.split_whitespace().nth(1).unwrap().parse().unwrap();
        // The example prints six places, of a number of 24 bits.
        assert!(
            (printed - score).abs() <= 1e-6 + score.abs() * 1e-6,
            "{said} {score}"
        );
        let clipped: u32 = said.split_whitespace().nth(3).unwrap().parse().unwrap();
        assert_eq!(clipped, clipped_in(&bundle, text(clip, "file")), "{said}");
    }
    let verdict = |label: &str| {
        let clip = clips.iter().find(|clip| clip["label"] == label).unwrap();
        clip["anomaly"].as_bool().unwrap()
    };
    // An autoencoder after three epochs knows the loudest faults; a classifier of that age may not.
    if space == "dense-ae" {
        assert!(verdict("anomaly") && !verdict("normal"), "{clips:?}");
    }

    let verified = tool
        .command(&format!("verify {} --json", bundle.display()))
        .env("CARGO_TARGET_DIR", shared_folder("bundle"))
        .output()
        .unwrap();
    let verified: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(verified["good"], true, "{verified}");
    assert_eq!(verified["emulated"][0]["outputs_match"], true, "{verified}");
    if core == Core::CortexM55 {
        brings_the_npus_firmware(&tool, trial, &outside.path().join("npu"));
    }
    fs::write(bundle.join("golden/outputs.bin"), b"other").unwrap();
    let output = tool.run(&format!("verify {} --host", bundle.display()));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("golden/outputs.bin"));
}

/// A run of one detector that takes no training.
static SEARCHED: LazyLock<Tool> = LazyLock::new(|| {
    let tool = Tool::new();
    let space = project("search_spaces/references/level-mean.toml");
    tool.text(&format!(
        "search --data synthetic:valve --space {} --target m7 --trials 1 --name run -q",
        space.display()
    ));
    tool
});

/// The detector, exported into a folder of this name.
fn exported(name: &str) -> (&'static Tool, PathBuf) {
    let tool = &*SEARCHED;
    let front = tool.json("front run --json");
    let bundle = tool.folder.path().join(name);
    let trial = &front["front"][0]["trial"];
    tool.text(&format!("export run/{trial} --to {}", bundle.display()));
    (tool, bundle)
}

/// Changes the manifest of a bundle.
fn edit(bundle: &Path, change: impl Fn(&mut Value)) {
    let path = bundle.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    fs::write(&path, manifest.to_string()).unwrap();
}

fn a_folder_that_was_changed_is_named_and_nothing_is_built() {
    let (tool, bundle) = exported("changed");
    let verify = |options: &str| -> Value {
        let output = tool.run(&format!("verify {} {options} --json", bundle.display()));
        assert!(!bundle.join("firmware/target").exists());
        serde_json::from_slice(&output.stdout).unwrap()
    };
    assert_eq!(verify("--host")["good"], true);
    // An export that did not end is no bundle, and may be written again; any other folder may not.
    let export_to = |folder: &Path| {
        let output = tool.run(&format!("export run/0 --to {}", folder.display()));
        output.status.code()
    };
    let export = || export_to(&bundle);
    assert_eq!(export(), Some(1));
    fs::write(bundle.join(".nas-export"), b"").unwrap();
    assert_eq!(verify("--host")["unlisted_files"], json!([".nas-export"]));
    assert_eq!(export(), Some(0));
    assert_eq!(verify("--host")["good"], true);
    // Nor is one that was killed before its mark had a name.
    let left = tool.folder.path().join("left");
    fs::create_dir(&left).unwrap();
    fs::write(left.join(".tmp-nas-1"), b"").unwrap();
    assert_eq!(export_to(&left), Some(0));
    assert!(!left.join(".tmp-nas-1").exists());
    let script = bundle.join("firmware/app/build.rs");
    let source = fs::read_to_string(&script).unwrap();
    fs::write(&script, format!("{source}\n// Not ours.\n")).unwrap();
    fs::write(bundle.join("golden/more.bin"), b"more").unwrap();
    let found = verify("");
    assert_eq!(found["changed_files"][0], "firmware/app/build.rs");
    assert_eq!(found["unlisted_files"][0], "golden/more.bin");
    assert_eq!(found["foreign_sources"][0], "firmware/app/build.rs");
    let why = found["emulated"][0]["error"].as_str().unwrap();
    assert!(why.contains("nothing is built"), "{why}");
    // A manifest that lists what lies there hides no foreign source.
    let hash = |path: &str| {
        let digest = Sha256::digest(fs::read(bundle.join(path)).unwrap());
        let digits = digest.iter().map(|byte| format!("{byte:02x}"));
        Value::String(digits.collect())
    };
    edit(&bundle, |manifest| {
        for path in ["firmware/app/build.rs", "golden/more.bin"] {
            manifest["files"][path] = hash(path);
        }
    });
    let found = verify("");
    assert_eq!(found["changed_files"], json!([]));
    assert_eq!(found["foreign_sources"], json!(["firmware/app/build.rs"]));
    assert_eq!(found["good"], false);
    let why = found["emulated"][0]["error"].as_str().unwrap();
    assert!(why.contains("--build-foreign"), "{why}");
}

/// A program that hears the same sound with two detectors, and prints the bits of their scores.
const TWO: &str = r#"
#include "fan_model.h"
#include "pump_model.h"

static void print(const char *text)
{
    register int r0 __asm__("r0") = 4;
    register const void *r1 __asm__("r1") = text;
    __asm__ volatile("bkpt #0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void leave(int code)
{
    const uint32_t parameters[2] = {0x20026, (uint32_t)code};
    register int r0 __asm__("r0") = 0x20;
    register const void *r1 __asm__("r1") = parameters;
    for (;;)
        __asm__ volatile("bkpt #0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static void print_bits(float score)
{
    union { float score; uint32_t bits; } value = {score};
    char text[10] = "";
    for (int digit = 0; digit < 8; digit++)
        text[digit] = "0123456789abcdef"[value.bits >> (28 - 4 * digit) & 15];
    text[8] = ' ';
    print(text);
}

int main(void)
{
    static _Alignas(16) uint8_t for_fan[FAN_MEMORY_BYTES], for_pump[PUMP_MEMORY_BYTES];
    static int16_t sound[256];
    fan_rule rule;
    if (fan_init(for_fan, sizeof for_fan, 0) != 0 || pump_init(for_pump, sizeof for_pump, 0) != 0)
        return 2;
    if (fan_get_rule(&rule) != 0)
        return 3;
    rule.ready = 1;
    rule.threshold = 1024.5f;
    if (fan_set_rule(&rule) != FAN_ERROR_RULE)
        return 4;
    rule.threshold = -1024;
    if (fan_set_rule(&rule) != 0)
        return 5;
    uint32_t state = 1;
    for (int block = 0; block < 1000; block++) {
        for (int idx = 0; idx < 256; idx++) {
            state = state * 1664525u + 1013904223u;
            sound[idx] = (int16_t)((int32_t)(state >> 20) - 2048);
        }
        fan_push_samples(sound, 256);
        pump_push_samples(sound, 256);
    }
    float fan = 0, pump = 0;
    if (fan_score(&fan) != FAN_ANOMALY || pump_score(&pump) == PUMP_NO_SCORE)
        return 6;
    print_bits(fan);
    print_bits(pump);
    return 0;
}
"#;

fn several_models_go_into_one_image() {
    let tool = &*SEARCHED;
    let space = project("search_spaces/references/level-peak.toml");
    tool.text(&format!(
        "search --data synthetic:valve --space {} --target m7 --trials 1 --name peak -q",
        space.display()
    ));
    let export = |trial: &str, prefix: &str, folder: &str| {
        let bundle = tool.folder.path().join(folder);
        tool.text(&format!(
            "export {trial} --to {} --prefix {prefix} -q",
            bundle.display()
        ));
        tool.text(&format!("verify {} --host", bundle.display()));
        let commands = commands(&bundle.join("firmware/README.md"));
        shell(&bundle, &commands.setup, &commands.c[0]);
        let built = shared_folder("bundle").join("thumbv7em-none-eabihf/release/libnas_model.a");
        fs::copy(built, bundle.join("libmodel.a")).unwrap();
        bundle
    };
    let fan = export("run/0", "fan", "fan");
    let pump = export("peak/0", "pump", "pump");
    let main = tool.folder.path().join("two.c");
    fs::write(&main, TWO).unwrap();
    let image = tool.folder.path().join("two.elf");
    let link = |source: &Path, bundles: [&Path; 2]| {
        let example = bundles[0].join("firmware/c/example");
        let mut gcc = Command::new("arm-none-eabi-gcc");
        gcc.args("-mcpu=cortex-m7 -mfpu=fpv5-d16 -mthumb -mfloat-abi=hard -std=c11 -O2 -Wall -Wextra -Werror".split(' '))
            .args("-nostdlib -ffunction-sections -T m7.ld -Wl,--gc-sections,-z,noexecstack".split(' '))
            .arg("-L")
            .arg(&example)
            .arg(source)
            .arg(example.join("startup.c"));
        for bundle in bundles {
            gcc.arg("-I").arg(bundle.join("firmware/c"));
        }
        for bundle in bundles {
            gcc.arg(bundle.join("libmodel.a"));
        }
        gcc.args(["-lgcc", "-o"]).arg(&image).output().unwrap()
    };
    let linked = link(&main, [&fan, &pump]);
    let errors = String::from_utf8_lossy(&linked.stderr);
    assert!(linked.status.success(), "{errors}");
    let ran = Command::new("qemu-system-arm")
        .args("-M mps2-an500 -nographic -monitor none -serial none".split(' '))
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(&image)
        .output()
        .unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(ran.status.code(), Some(0), "{said}");
    // Each is what its model alone scores on the host.
    let mut state = 1u32;
    let samples: Vec<i16> = (0..256_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 20) as i32 - 2048) as i16
        })
        .collect();
    let alone = [&fan, &pump].map(|bundle| {
        let blob = fs::read(bundle.join("firmware/model/model.nas")).unwrap();
        let hops = nas::measure::hops(&blob, 0, &samples).unwrap();
        format!("{:08x}", hops.last().unwrap().score.unwrap().to_bits())
    });
    let found: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(found, alone);
    assert_ne!(alone[0], alone[1]);

    // Two with the same names do not link.
    let clash = export("run/0", "pump", "clash");
    let (one, other) = (
        tool.folder.path().join("one.c"),
        tool.folder.path().join("other.c"),
    );
    let uses = |bundle: &Path, name: &str| {
        let header = bundle.join("firmware/c/pump_model.h");
        format!(
            "#include \"{}\"\nint {name}(void *m) {{ return pump_init(m, 0, 0) + pump_score(0); }}\n",
            header.display()
        )
    };
    let body = "int one(void *); int other(void *); void leave(int c) { (void)c; for (;;) {} }\n\
                int main(void) { return one(0) + other(0); }\n";
    fs::write(&one, uses(&pump, "one") + body).unwrap();
    fs::write(&other, uses(&clash, "other")).unwrap();
    let objects = [&one, &other].map(|source| {
        let object = source.with_extension("o");
        let compiled = Command::new("arm-none-eabi-gcc")
            .args(
                "-mcpu=cortex-m7 -mfpu=fpv5-d16 -mthumb -mfloat-abi=hard -std=c11 -O2 -c"
                    .split(' '),
            )
            .arg(source)
            .arg("-o")
            .arg(&object)
            .output()
            .unwrap();
        assert!(compiled.status.success());
        object
    });
    let linked = Command::new("arm-none-eabi-gcc")
        .args(
            "-mcpu=cortex-m7 -mfpu=fpv5-d16 -mthumb -mfloat-abi=hard -nostdlib -T m7.ld".split(' '),
        )
        .arg("-L")
        .arg(fan.join("firmware/c/example"))
        .args(objects)
        .arg(fan.join("firmware/c/example/startup.c"))
        .arg(pump.join("libmodel.a"))
        .arg(clash.join("libmodel.a"))
        .args(["-lgcc", "-o"])
        .arg(&image)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&linked.stderr);
    assert!(
        !linked.status.success() && errors.contains("multiple definition"),
        "{errors}"
    );

    let refused = tool.run("export run/0 --to nowhere --prefix 2fan");
    assert_eq!(refused.status.code(), Some(2));
}

fn a_manifest_leads_nowhere_else() {
    let (tool, bundle) = exported("misled");
    let manifest = fs::read(bundle.join("manifest.json")).unwrap();
    let fifo = Command::new("mkfifo").arg(bundle.join("fifo")).status();
    std::os::unix::fs::symlink("/etc", bundle.join("link")).unwrap();
    let check = |change: &dyn Fn(&mut Value), words: &str| {
        fs::write(bundle.join("manifest.json"), &manifest).unwrap();
        edit(&bundle, change);
        let output = tool.run(&format!("verify {} --host", bundle.display()));
        assert_eq!(output.status.code(), Some(1), "{words}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(words), "{said}");
    };
    let lists =
        |path: &'static str| move |manifest: &mut Value| manifest["files"][path] = json!("00");
    for path in ["../store", "/etc/hostname", "a//b", "./model.json", ""] {
        check(&lists(path), "it is not a plain path inside the folder");
    }
    if fifo.is_ok_and(|status| status.success()) {
        check(&lists("fifo"), "it is no ordinary file");
    }
    check(&lists("link/hostname"), "it is no ordinary file");
    check(&lists("golden"), "it is no ordinary file");
    check(
        &|manifest| manifest["files"] = json!({}),
        "its list of files does not have it",
    );
    let golden = |key: &'static str, value: Value| {
        move |manifest: &mut Value| manifest["golden"][key] = value.clone()
    };
    for (key, value) in [
        ("count", json!(0)),
        ("count", json!(u64::MAX)),
        ("input_bytes", json!(0)),
        ("input_bytes", json!(1)),
        ("output_bytes", json!(1_000_000)),
    ] {
        check(&golden(key, value), "the golden vectors do not fit");
    }
    check(
        &golden("inputs", json!("../../nas.sqlite")),
        "does not have it",
    );
}

/// How many input values of a golden clip the host's stream cuts off.
fn clipped_in(bundle: &Path, clip: &str) -> u32 {
    let blob = fs::read(bundle.join("firmware/model/model.nas")).unwrap();
    let sound = audio::read(&bundle.join(clip), Channel::default()).unwrap();
    let samples: Vec<i16> = sound
        .samples
        .iter()
        .map(|sample| (sample * 32768.0) as i16)
        .collect();
    with_stream(&blob, |stream| {
        stream.push(&samples);
        stream.clipped()
    })
    .unwrap()
}

/// The same model for a target with an NPU.
fn brings_the_npus_firmware(tool: &Tool, trial: &Value, bundle: &Path) {
    let manifest = tool.json(&format!(
        "export run/{trial} --to {} --target u55 --vela {} --json",
        bundle.display(),
        vela().unwrap().display()
    ));
    let vela = &manifest["vela"];
    say!("{vela}");
    assert_eq!(vela["npu"], "not executed here");
    for key in ["text_bytes", "model_bytes"] {
        assert!(vela["image"][key].as_u64().unwrap() > 1000, "{key}: {vela}");
    }
    let readme = fs::read_to_string(bundle.join("firmware/README.md")).unwrap();
    let features = format!("{},u55,embed", text(vela, "board"));
    assert!(readme.contains(&features), "{readme}");
    assert!(readme.contains("not executed here"), "{readme}");
    tool.text(&format!("verify {} --host", bundle.display()));
}

/// What was promised before training is what was seen.
fn estimates_agree(shown: &Value, target: &str) {
    let costs = &shown["costs"][target];
    let seen = &shown["measurements"][0];
    let share = |estimated: &Value, seen: &Value| {
        estimated["value"].as_f64().unwrap() / seen.as_f64().unwrap() - 1.0
    };
    let ram = share(&costs["ram_bytes"], &seen["ram_bytes"]);
    let flash = share(&costs["flash_bytes"], &seen["flash_bytes"]);
    say!(
        "estimates: RAM {:+.2} %, flash {:+.2} %",
        100.0 * ram,
        100.0 * flash
    );
    assert!(ram.abs() <= 0.02, "RAM: {costs} {seen}");
    assert!(flash.abs() <= 0.05, "flash: {costs} {seen}");
}

/// The commands of a README, by its blocks.
struct Commands {
    app: Vec<String>,
    /// Only where the compiler is Debian's.
    setup: Vec<String>,
    c: Vec<String>,
}

fn commands(readme: &Path) -> Commands {
    let text = fs::read_to_string(readme).unwrap();
    let mut blocks: Vec<Vec<String>> = vec![Vec::new()];
    for line in text.lines() {
        match line.strip_prefix("    ") {
            Some(command) => blocks.last_mut().unwrap().push(command.to_string()),
            None if blocks.last().unwrap().is_empty() => {}
            None => blocks.push(Vec::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    let [app, setup, c] = <[Vec<String>; 3]>::try_from(blocks).unwrap();
    let is_debian = !Toolchain::of(Core::CortexM7).is_ok_and(|found| found.is_installed());
    Commands {
        app,
        setup: if is_debian { setup } else { Vec::new() },
        c,
    }
}

/// Runs a command that must succeed in the folder of the firmware.
fn shell(bundle: &Path, setup: &[String], command: &str) -> Output {
    let output = run_shell(bundle, setup, command);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {errors}");
    output
}

fn run_shell(bundle: &Path, setup: &[String], command: &str) -> Output {
    let mut shell = Command::new("sh");
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        shell.env_remove(variable);
    }
    let script = [setup, &[command.to_string()]].concat().join("\n");
    shell
        .args(["-ec", &script])
        .current_dir(bundle.join("firmware"))
        .env("CARGO_TARGET_DIR", shared_folder("bundle"))
        .output()
        .unwrap()
}

/// Kept between tests and their runs.
fn shared_folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}
