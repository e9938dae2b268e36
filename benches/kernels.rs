//! Instructions, estimated cycles and memory of the kernels on emulated cores, as the table of `docs/kernels.md`.
//!
//! Runs three networks of MLPerf Tiny from `../shared/data/tflite` (or `$NAS_SHARED/data/tflite`). Where
//! `NAS_CMSIS_NN` names `mlek_inference_runner.axf` for SSE-300 with TFLM and Ethos-U65, from the Python package
//! `mlia-ethos-u` 0.1.0, the same files run there under the same counter, from the call of
//! `MicroInterpreter::Invoke` to its return.

use std::{
    collections::BTreeMap,
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nas::{
    hardware::Core,
    measure::{BOARDS, Inputs, Kernels, Limit, build, build_plugin, count, cycles, read_counts},
    quant::{Interpreter, QuantizedModel},
};

const MODELS: [&str; 3] = ["ad01_int8", "kws_ref_model", "pretrainedResnet_quant"];
const LIMIT: Limit = Limit::instructions(20_000_000_000);
/// Of the foreign firmware, which looks at no limit.
const TIMEOUT: Duration = Duration::from_secs(120);

fn main() -> Result<()> {
    let shared = env::var_os("NAS_SHARED").map_or("../shared".into(), PathBuf::from);
    let models = shared.join("data/tflite");
    if !models.is_dir() {
        println!("skipped: there is no {}", models.display());
        return Ok(());
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("firmware");
    fs::create_dir_all(&folder)?;
    println!(
        "| model | MACs | core | build | instructions | per MAC | cycles (estimated) | arena bytes | stack bytes |"
    );
    println!("|---|--:|---|---|--:|--:|--:|--:|--:|");
    for name in MODELS {
        let path = models.join(name).with_extension("tflite");
        let file = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let model = QuantizedModel::from_tflite(&file)?;
        let (blob, macs) = (model.to_blob(), model.graph.macs());
        for board in BOARDS.iter().filter(|board| board.machine.is_some()) {
            let core = match board.core {
                Core::CortexM7 => "Cortex-M7",
                Core::CortexM55 => "Cortex-M55",
            };
            for kernels in [Kernels::Portable, Kernels::OfCore] {
                let image = build(board, kernels, &folder, &|note| eprintln!("{note}"))?;
                let counted = count(board, &image, &blob, &folder, LIMIT)?;
                ensure!(counted.outputs_match, "{name}: not the host's outputs");
                let profile = cycles(&image.path, board.core, &counted.executed)?;
                if env::var_os("NAS_FUNCTIONS").is_some() {
                    for cost in profile.functions.iter().take(12) {
                        eprintln!(
                            "{:>10} {:>12.0} {}",
                            cost.instructions, cost.cycles, cost.name
                        );
                    }
                }
                let build = match (kernels, board.core) {
                    (Kernels::Portable, _) => "portable",
                    (Kernels::OfCore, Core::CortexM7) => "DSP",
                    (Kernels::OfCore, Core::CortexM55) => "Helium",
                    (Kernels::WithNpu, _) => "Helium and NPU",
                };
                let instructions = counted.instructions();
                println!(
                    "| {name} | {macs} | {core} | {build} | {instructions} | {:.3} | {:.0} | {} | {} |",
                    instructions as f64 / macs as f64,
                    profile.cycles,
                    counted.arena_bytes,
                    counted.stack_bytes,
                );
            }
        }
        if let Some(runner) = env::var_os("NAS_CMSIS_NN") {
            let (executed, image, arena) = run_cmsis_nn(Path::new(&runner), &path, &blob, &folder)?;
            let instructions: u64 = executed.values().sum();
            let profile = cycles(&image, Core::CortexM55, &executed)?;
            println!(
                "| {name} | {macs} | Cortex-M55 | TFLM with CMSIS-NN | {instructions} | {:.3} | {:.0} | {arena} | |",
                instructions as f64 / macs as f64,
                profile.cycles,
            );
        }
    }
    Ok(())
}

/// Arm's firmware: counts of one inference, the image that ran, and the arena that it reports.
fn run_cmsis_nn(
    runner: &Path,
    model: &Path,
    blob: &[u8],
    folder: &Path,
) -> Result<(BTreeMap<u32, u64>, PathBuf, String)> {
    const INVOKE: &str = "<_ZN6tflite16MicroInterpreter6InvokeEv>";
    const NPU_INIT: &str = "<arm_ethosu_npu_init>:";
    let listing = Command::new("llvm-objdump-22")
        .args(["-d", "--no-show-raw-insn", "--mcpu=cortex-m55"])
        .arg(runner)
        .output()
        .context("cannot run llvm-objdump-22")?;
    let listing = String::from_utf8_lossy(&listing.stdout);
    let lines: Vec<&str> = listing.lines().collect();
    let address = |line: &str| {
        let digits = line.trim().split([':', ' ']).next().unwrap_or_default();
        u32::from_str_radix(digits, 16)
    };
    let find = |what: &dyn Fn(&str) -> bool| {
        let found = lines.iter().position(|line| what(line));
        found.with_context(|| format!("{} is not the runner that was meant", runner.display()))
    };
    let start = address(lines[find(&|line| line.ends_with(&format!("{INVOKE}:")))?])?;
    let call = find(&|line| line.contains("\tbl\t") && line.contains(INVOKE))?;
    let stop = address(lines[call + 1])?;

    // QEMU has no NPU: its initialisation is made to return success (`movs r0, #0; bx lr`).
    let npu_init = address(lines[find(&|line| line.ends_with(NPU_INIT))?])?;
    let mut image = fs::read(runner)?;
    let word = |image: &[u8], at: usize| {
        u32::from_le_bytes([0, 1, 2, 3].map(|idx| image[at + idx])) as usize
    };
    let program_headers = word(&image, 28);
    let (offset, at) = (
        word(&image, program_headers + 4),
        word(&image, program_headers + 8),
    );
    let place = offset + npu_init as usize - at;
    image[place..place + 4].copy_from_slice(&[0x00, 0x20, 0x70, 0x47]);
    let work = folder.join("cmsis-nn");
    fs::create_dir_all(&work)?;
    let patched = work.join("runner.axf");
    fs::write(&patched, image)?;

    let mut host = Interpreter::new(blob)?;
    let Inputs::Tensors { values, .. } = Inputs::random_tensors(1, host.lengths().0) else {
        bail!("tensors were asked for");
    };
    let expected = host.run(&values).to_vec();
    let [input, output, serial, counts] =
        ["input.bin", "output.bin", "serial.txt", "counts.txt"].map(|name| work.join(name));
    fs::write(
        &input,
        values.iter().map(|value| *value as u8).collect::<Vec<_>>(),
    )?;
    // What the last run said is not what this one says.
    fs::write(&serial, "")?;
    let loader = |path: &Path, address: u32| {
        format!(
            "loader,file={},addr={address:#x},force-raw=on",
            path.display()
        )
    };
    let plugin = build_plugin(folder)?;
    let mut child = Command::new("qemu-system-arm")
        .args([
            "-M",
            "mps3-an547",
            "-display",
            "none",
            "-monitor",
            "stdio",
            "-serial",
        ])
        .arg(format!("file:{}", serial.display()))
        .arg("-kernel")
        .arg(&patched)
        .args(["-device", &loader(&fs::canonicalize(model)?, 0x9000_0000)])
        .args(["-device", &loader(&input, 0x9200_0000), "-plugin"])
        .arg(format!(
            "{},start={start:#x},stop={stop:#x},out={}",
            plugin.display(),
            counts.display()
        ))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .context("cannot run qemu-system-arm")?;
    let began = Instant::now();
    let said = loop {
        let said = String::from_utf8_lossy(&fs::read(&serial).unwrap_or_default()).into_owned();
        if said.contains("program terminating") || began.elapsed() > TIMEOUT {
            break said;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let mut monitor = child.stdin.take().context("the monitor was asked for")?;
    // In quotes: a bare slash after the length would divide it.
    let save = format!(
        "pmemsave 0x93000000 {} \"{}\"",
        expected.len(),
        output.display()
    );
    writeln!(monitor, "{save}\nquit")?;
    child.wait()?;
    let outputs: Vec<i8> = fs::read(&output)?
        .into_iter()
        .map(|byte| byte as i8)
        .collect();
    ensure!(
        outputs == expected,
        "{}: not the outputs of TFLM",
        model.display()
    );
    let arena = said
        .lines()
        .rev()
        .find(|line| line.contains("arena"))
        .and_then(|line| {
            line.split(|letter: char| !letter.is_ascii_digit())
                .rfind(|word| !word.is_empty())
        })
        .unwrap_or("?");
    Ok((read_counts(&counts)?, patched, arena.to_string()))
}
