//! Estimates cycles from executed instructions, with LLVM's scheduling models.
//!
//! A block is a straight run of instructions that were executed equally often. LLVM says how many cycles one execution
//! takes when many like it run in a row; the counts say how often that was. The estimate assumes that memory answers at
//! once and that all branches are predicted. It does not see what one block leaves in the pipeline for the next, and it
//! was not compared with silicon.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use super::toolchain::find_program;
use crate::hardware::Core;

/// The instructions that were executed, and the cycles that a core would take.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Executed instructions of all functions.
    pub instructions: u64,
    /// Cycles of all functions, estimated.
    pub cycles: f64,
    /// The functions, with most cycles first.
    pub functions: Vec<FunctionCost>,
}

/// What one function of the image costs.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionCost {
    /// Its name, as the disassembler shows it.
    pub name: String,
    /// How many instructions were executed in it.
    pub instructions: u64,
    /// How many cycles they take, estimated.
    pub cycles: f64,
}

/// Why cycles could not be estimated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CyclesError {
    /// A program of LLVM is not installed.
    #[error("{name} is not installed; on Debian and Ubuntu run `apt-get install llvm-22`")]
    Missing {
        /// The program.
        name: &'static str,
    },
    /// A program of LLVM ended with an error.
    #[error("{name} failed: {said}")]
    Failed {
        /// The program.
        name: &'static str,
        /// The first lines of its message.
        said: String,
    },
    /// A program of LLVM could not be run.
    #[error("cannot run {name}: {source}")]
    Io {
        /// The program.
        name: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
}

/// How many executions in a row LLVM averages over.
const ITERATIONS: u32 = 100;

/// Sums the cycles of every executed block of an image.
///
/// `executed` counts executions by address; addresses outside the image's code are ignored. Fails where LLVM's programs
/// are missing or refuse the image.
pub fn cycles(
    image: &Path,
    core: Core,
    executed: &BTreeMap<u32, u64>,
) -> Result<Profile, CyclesError> {
    let objdump = Tool::find("llvm-objdump")?;
    let arguments = [
        "--disassemble",
        "--no-show-raw-insn",
        &format!("--mcpu={}", name(core)),
    ];
    let listing = objdump.run(&arguments, Some(image), String::new())?;
    let blocks = blocks(&listing, executed);
    let lengths = block_cycles(core, &blocks)?;
    let mut functions: BTreeMap<&str, FunctionCost> = BTreeMap::new();
    for (block, cycles) in blocks.iter().zip(lengths) {
        let cost = functions
            .entry(block.function)
            .or_insert_with(|| FunctionCost {
                name: block.function.to_string(),
                instructions: 0,
                cycles: 0.0,
            });
        cost.instructions += block.executions * block.instructions.len() as u64;
        cost.cycles += block.executions as f64 * cycles;
    }
    let mut functions: Vec<FunctionCost> = functions.into_values().collect();
    functions.sort_by(|a, b| b.cycles.total_cmp(&a.cycles));
    Ok(Profile {
        instructions: functions.iter().map(|cost| cost.instructions).sum(),
        cycles: functions.iter().map(|cost| cost.cycles).sum(),
        functions,
    })
}

fn name(core: Core) -> &'static str {
    match core {
        Core::CortexM7 => "cortex-m7",
        Core::CortexM55 => "cortex-m55",
    }
}

fn triple(core: Core) -> &'static str {
    match core {
        Core::CortexM7 => "thumbv7em-none-eabihf",
        Core::CortexM55 => "thumbv8.1m.main-none-eabihf",
    }
}

/// Instructions in a row that are executed equally often; only the last may be a branch.
#[derive(Debug, PartialEq)]
struct Block<'a> {
    function: &'a str,
    executions: u64,
    instructions: Vec<&'a str>,
}

/// The executed blocks in a disassembly.
fn blocks<'a>(listing: &'a str, executed: &BTreeMap<u32, u64>) -> Vec<Block<'a>> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut function = "";
    let mut ended = true;
    for line in listing.lines() {
        if let Some(label) = line.strip_suffix(">:") {
            function = label.split_once('<').map_or(label, |(_, name)| name);
            ended = true;
            continue;
        }
        let Some((address, text)) = line.split_once(':') else {
            continue;
        };
        let Ok(address) = u32::from_str_radix(address.trim(), 16) else {
            continue;
        };
        let text = text.split('@').next().unwrap_or(text).trim();
        let executions = executed.get(&address).copied().unwrap_or(0);
        if executions == 0 {
            ended = true;
            continue;
        }
        match blocks.last_mut() {
            Some(block) if !ended && block.executions == executions => {
                block.instructions.push(text);
            }
            _ => blocks.push(Block {
                function,
                executions,
                instructions: vec![text],
            }),
        }
        ended = is_branch(text);
    }
    blocks
}

fn mnemonic(text: &str) -> &str {
    text.split(['\t', ' ']).next().unwrap_or(text)
}

fn is_branch(text: &str) -> bool {
    let mnemonic = mnemonic(text).trim_end_matches(".w").trim_end_matches(".n");
    let conditional = mnemonic.strip_prefix('b').is_some_and(|condition| {
        [
            "eq", "ne", "lt", "gt", "le", "ge", "lo", "hs", "hi", "ls", "mi", "pl", "vs", "vc",
            "cc", "cs",
        ]
        .contains(&condition)
    });
    conditional
        || [
            "b", "bl", "bx", "blx", "cbz", "cbnz", "le", "letp", "tbb", "tbh",
        ]
        .contains(&mnemonic)
        || (mnemonic == "pop" && text.contains("pc"))
}

/// An instruction in the form that LLVM's scheduler accepts; `None` for the ends of low-overhead loops, which cost
/// nothing.
fn schedulable(text: &str) -> Option<String> {
    // The disassembler shows the targets of branches with their symbols.
    let text = match text.split_once('<') {
        Some((before, _)) => before.trim_end(),
        None => text,
    };
    let (word, operands) = text.split_once(['\t', ' ']).unwrap_or((text, ""));
    let plain = word.trim_end_matches(".w").trim_end_matches(".n");
    match plain {
        "le" | "letp" => None,
        _ if ["dls", "wls"].iter().any(|start| plain.starts_with(start)) => {
            Some("dls lr, r0".to_string())
        }
        "cbz" | "cbnz" => {
            let register = operands.split(',').next().unwrap_or("r0");
            Some(format!("{plain} {register}, #4"))
        }
        _ if plain != "bx" && plain != "blx" && is_branch(text) && operands.starts_with("0x") => {
            Some(format!("{plain} #4"))
        }
        _ => Some(text.to_string()),
    }
}

/// Cycles that one execution of each block takes in the steady state.
fn block_cycles(core: Core, blocks: &[Block]) -> Result<Vec<f64>, CyclesError> {
    let mut source = String::from(".syntax unified\n.thumb\n");
    for (idx, block) in blocks.iter().enumerate() {
        let instructions: Vec<String> = block
            .instructions
            .iter()
            .filter_map(|text| schedulable(text))
            .collect();
        if instructions.is_empty() {
            continue;
        }
        writeln!(source, "@ LLVM-MCA-BEGIN block{idx}").expect("text grows");
        for instruction in instructions {
            writeln!(source, "{instruction}").expect("text grows");
        }
        writeln!(source, "@ LLVM-MCA-END block{idx}").expect("text grows");
    }
    let arguments = [
        &format!("-mtriple={}", triple(core)),
        &format!("-mcpu={}", name(core)),
        &format!("-iterations={ITERATIONS}"),
        // LLVM has no model of `it` and the starts of low-overhead loops.
        "-skip-unsupported-instructions=lack-sched",
        "-resource-pressure=false",
        "-instruction-info=false",
    ];
    let report = Tool::find("llvm-mca")?.run(&arguments, None, source)?;
    let mut cycles = vec![0.0; blocks.len()];
    let mut block = None;
    for line in report.lines() {
        if let Some((_, name)) = line.split_once("Code Region - block") {
            block = name.trim().parse::<usize>().ok();
        } else if let Some(total) = line.strip_prefix("Total Cycles:")
            && let (Some(block), Ok(total)) = (block, total.trim().parse::<f64>())
            && let Some(cycles) = cycles.get_mut(block)
        {
            *cycles = total / f64::from(ITERATIONS);
        }
    }
    Ok(cycles)
}

/// A program of LLVM.
struct Tool {
    name: &'static str,
    path: std::path::PathBuf,
}

impl Tool {
    fn find(name: &'static str) -> Result<Tool, CyclesError> {
        // LLVM 22 was the first with schedulers of these cores; a name without a version may be any version.
        let path = ["-24", "-23", "-22", ""]
            .iter()
            .find_map(|version| find_program(&format!("{name}{version}")))
            .ok_or(CyclesError::Missing { name })?;
        Ok(Tool { name, path })
    }

    fn run(
        &self,
        arguments: &[&str],
        file: Option<&Path>,
        input: String,
    ) -> Result<String, CyclesError> {
        let io_error = |source| CyclesError::Io {
            name: self.name,
            source,
        };
        let mut child = Command::new(&self.path)
            .args(arguments)
            .args(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(io_error)?;
        let mut stdin = child.stdin.take().expect("the pipe was asked for");
        // The program prints while it reads, so another thread writes the input.
        let writer = thread::spawn(move || stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().map_err(io_error)?;
        let _ = writer.join();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(CyclesError::Failed {
                name: self.name,
                said: said.lines().take(5).collect::<Vec<_>>().join("; "),
            });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
