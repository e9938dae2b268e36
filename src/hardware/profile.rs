//! Hardware profiles (`hardware_profiles/*.toml`): one chip with one runtime.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;

use super::{TargetError, Term};
use crate::{
    graph::{Graph, OpKind},
    space::WeightMemory,
};

/// The only layout of profiles so far; each profile names its layout.
const FORMAT: u32 = 1;

/// A number that was looked up: a datasheet value, a size, a clock.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// The number, above zero.
    pub value: f64,
    /// Its unit: `MHz`, `B`, `cycles`.
    pub unit: String,
    /// Where it was looked up.
    pub source: String,
}

/// A fitted, measured or estimated number with its relative error: 0.1 is a factor of 1.1 either way.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coefficient {
    /// The number, not negative.
    pub value: f64,
    /// Its unit: `mW`, `B`, `factor`, `cycles/MAC`.
    pub unit: String,
    /// Relative error, from 0 (exact) to 9 (a factor of 10).
    pub error: f64,
    /// Where the number comes from.
    pub source: String,
}

/// A chip and a runtime: everything that a cost estimate needs to know.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Layout of the profile; 1 is the only one.
    pub format: u32,
    /// Name on the command line and in results.
    pub name: String,
    /// Chip, clock and runtime in one line.
    pub description: String,
    /// What a user should know before trusting the numbers.
    pub notes: Vec<String>,
    /// How the coefficients were fitted; `None` for profiles made by hand.
    pub calibration: Option<Calibration>,
    /// The memories of the chip.
    pub memories: Vec<Memory>,
    /// The core.
    pub cpu: Cpu,
    /// The NPU beside it, if the chip has one.
    pub npu: Option<Npu>,
    /// The program that runs the network.
    pub runtime: Runtime,
    /// The text of the profile; it is stored with results.
    #[serde(skip)]
    pub text: String,
}

/// One memory of the chip.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Its name in messages.
    pub name: String,
    /// Its size in bytes.
    pub bytes: Fact,
    /// What the linker may put into it.
    pub holds: Vec<Contents>,
}

/// What the linker may put into a memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contents {
    /// Arena, buffers and stack.
    Ram,
    /// Weights, tables and code.
    Flash,
}

/// The measurements behind a profile's fit, and its errors, as `nas calibrate` found them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The table of measurements, relative to the profile.
    pub table: String,
    /// The fitted terms; terms that share a coefficient are joined by ` + `.
    pub terms: Vec<String>,
    /// Number of measurements.
    pub rows: usize,
    /// Number of families of networks.
    pub families: usize,
    /// Mean absolute relative error of the fit; 0.1 is 10 %.
    pub in_sample: f64,
    /// The same where each row is predicted from the others.
    pub leave_one_out: f64,
    /// The same where each row is predicted from the other families.
    pub leave_family_out: f64,
    /// Rank correlation of measurements and predictions from the other families, -1 to 1.
    pub kendall_tau: f64,
}

/// The core and its speed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// Which core; it decides how work is counted.
    pub core: Core,
    /// MHz.
    pub clock: Fact,
    /// mW while computing.
    pub active_power: Coefficient,
    /// mW between inferences; without it a duty cycle cannot be costed.
    pub idle_power: Option<Coefficient>,
    /// A factor on the sum of all cycles: a whole network costs more or less than its operators alone.
    pub whole_network: Coefficient,
    /// Cycles per unit of work; a term that is not listed costs nothing.
    pub cycles: BTreeMap<Term, Coefficient>,
}

/// A core that estimates know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Core {
    /// Arm Cortex-M7, with SIMD instructions for two 16-bit values.
    CortexM7,
    /// Arm Cortex-M55, with vector instructions (Helium).
    CortexM55,
}

/// An Ethos-U55 beside the CPU.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Npu {
    /// Multiply-accumulates per cycle: 32, 64, 128 or 256.
    pub macs_per_cycle: Fact,
    /// MHz.
    pub clock: Fact,
    /// The memory that weights and commands are read from.
    pub weights_in: WeightMemory,
    /// The port to the memory of activations.
    pub sram: Port,
    /// The port to read-only memory.
    pub flash: Port,
    /// A factor on the cycles of the performance model; its error is the model's error on compute-bound networks.
    pub cycles: Coefficient,
    /// A factor on the size of encoded weights that is guessed before training.
    pub weight_encoding: Coefficient,
    /// A factor on the size of the command stream.
    pub command_stream: Coefficient,
    /// CPU cycles per inference to start the NPU and take its interrupt.
    pub start_cycles: Coefficient,
    /// mW on top of the CPU's while the NPU computes.
    pub active_power: Coefficient,
}

/// The port of an NPU to one memory, as a Vela system configuration describes it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Bytes per NPU cycle: 8 times Vela's `clock_scale`.
    pub bandwidth: Coefficient,
    /// Longest burst in bytes.
    pub burst: Fact,
    /// Cycles until the first byte is read.
    pub read_latency: Fact,
    /// Cycles until the first byte is written; `None` for read-only memory.
    pub write_latency: Option<Fact>,
}

/// The program that runs the network: its kernels and its memory.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// Name of the runtime.
    pub name: String,
    /// Whose kernels it calls, and so how work is counted; other people's by default.
    #[serde(default)]
    pub kernels: KernelSet,
    /// How it lays out its arena; this project's memory plan by default.
    #[serde(default)]
    pub arena: ArenaRule,
    /// Program code in bytes.
    pub code_bytes: Coefficient,
    /// Stack in bytes.
    pub stack_bytes: Coefficient,
    /// Stack in bytes of networks with convolutions, where that differs.
    pub convolution_stack_bytes: Option<Coefficient>,
    /// Bytes of static data that is neither arena nor front end.
    pub state_bytes: Coefficient,
}

/// Whose kernels run on the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KernelSet {
    /// Other people's: work is counted layer by layer (multiply-accumulates, outputs, taps).
    #[default]
    Others,
    /// This project's kernels for the core: work is counted by their loops.
    Nas,
}

impl KernelSet {
    /// Groups of terms; a profile must have one term of each, or an operator would cost nothing.
    fn required(self) -> &'static [&'static [Term]] {
        match self {
            KernelSet::Others => &[
                &[Term::ConvMac],
                &[Term::PointwiseMac],
                &[Term::DepthwiseMac, Term::DepthwiseOutput],
                &[Term::FullyConnectedMac],
                &[Term::PoolInput],
                &[Term::AddOutput],
                &[Term::UpsampleOutput],
                &[Term::Op],
            ],
            KernelSet::Nas => &[
                &[Term::ConvStep],
                &[Term::DepthwiseStep, Term::DepthwisePixel],
                &[Term::FullyConnectedStep],
                &[Term::PortableMac],
                &[Term::PoolStep],
                &[Term::PoolInput],
                &[Term::MaxPoolTap],
                &[Term::SoftmaxOutput],
                &[Term::AddOutput],
                &[Term::LookupOutput],
                &[Term::UpsampleCopy, Term::UpsampleStep],
                &[Term::Op],
            ],
        }
    }
}

/// Terms of the front end; every profile must have all of them.
const FRONT_END_TERMS: [&[Term]; 4] = [
    &[Term::FftPoint],
    &[Term::MelBin],
    &[Term::LogBand],
    &[Term::DctMac],
];

/// How many bytes of RAM a runtime needs for activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArenaRule {
    /// The plan of [`crate::graph::memory`], exact for this project's runtime.
    #[default]
    Plan,
    /// TensorFlow Lite Micro with CMSIS-NN on a core with DSP instructions, see [`super::tflm`].
    Tflm,
}

impl Runtime {
    /// The stack of a network in bytes.
    pub fn stack(&self, graph: &Graph) -> &Coefficient {
        let convolves = graph
            .ops
            .iter()
            .any(|op| matches!(op.kind, OpKind::Conv2d(_) | OpKind::DepthwiseConv2d(_)));
        match &self.convolution_stack_bytes {
            Some(bytes) if convolves => bytes,
            _ => &self.stack_bytes,
        }
    }
}

impl Target {
    /// Reads a profile; `file` is its name in errors.
    ///
    /// # Errors
    /// [`TargetError::Syntax`] and [`TargetError::Invalid`].
    pub fn parse(text: &str, file: &str) -> Result<Target, TargetError> {
        let target: Target = toml::from_str(text).map_err(|e| TargetError::Syntax {
            file: file.to_string(),
            message: with_suggestion(&e.to_string()),
        })?;
        let problems = target.validate();
        if !problems.is_empty() {
            return Err(TargetError::Invalid {
                file: file.to_string(),
                problems,
            });
        }
        Ok(Target {
            text: text.to_string(),
            ..target
        })
    }

    /// The same target under another name, also in its text.
    pub fn renamed(&self, name: &str) -> Target {
        let line = |name: &str| format!("name = \"{name}\"");
        Target {
            name: name.to_string(),
            text: self.text.replacen(&line(&self.name), &line(name), 1),
            ..self.clone()
        }
    }

    /// The same target with weights in another memory; unchanged without a wish or without an NPU.
    pub fn with_weights_in(&self, wanted: Option<WeightMemory>) -> Cow<'_, Target> {
        match (wanted, &self.npu) {
            (Some(weights_in), Some(npu)) if npu.weights_in != weights_in => {
                let npu = Npu {
                    weights_in,
                    ..npu.clone()
                };
                Cow::Owned(Target {
                    npu: Some(npu),
                    ..self.clone()
                })
            }
            _ => Cow::Borrowed(self),
        }
    }

    /// What is wrong with the values: one sentence per problem, each with its key.
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Problems(Vec::new());
        problems.expect(self.format == FORMAT, || {
            format!("`format` is {}, but only {FORMAT} is known", self.format)
        });
        problems.expect(!self.name.is_empty(), || "`name` is empty".to_string());
        for contents in [Contents::Ram, Contents::Flash] {
            problems.expect(self.largest_memory(contents).is_some(), || {
                format!("no entry of `memories` holds {contents:?}").to_lowercase()
            });
        }
        for memory in &self.memories {
            problems.fact(&memory.name, &memory.bytes, "B");
        }
        problems.fact("cpu.clock", &self.cpu.clock, "MHz");
        problems.coefficient("cpu.active_power", &self.cpu.active_power, "mW");
        if let Some(idle_power) = &self.cpu.idle_power {
            problems.coefficient("cpu.idle_power", idle_power, "mW");
        }
        problems.coefficient("cpu.whole_network", &self.cpu.whole_network, "factor");
        for (term, coefficient) in &self.cpu.cycles {
            problems.coefficient(&term_key(*term), coefficient, term.unit());
        }
        let required = self.runtime.kernels.required().iter();
        for terms in required.chain(&FRONT_END_TERMS) {
            let given = terms.iter().any(|term| self.cpu.cycles.contains_key(term));
            problems.expect(given, || format!("`{}` is missing", term_key(terms[0])));
        }
        if let Some(npu) = &self.npu {
            problems.npu(npu);
        }
        let runtime = &self.runtime;
        problems.coefficient("runtime.code_bytes", &runtime.code_bytes, "B");
        problems.coefficient("runtime.stack_bytes", &runtime.stack_bytes, "B");
        if let Some(bytes) = &runtime.convolution_stack_bytes {
            problems.coefficient("runtime.convolution_stack_bytes", bytes, "B");
        }
        problems.coefficient("runtime.state_bytes", &runtime.state_bytes, "B");
        problems.0
    }

    /// The largest memory for these contents; the linker puts all of them into one region.
    pub fn largest_memory(&self, contents: Contents) -> Option<&Memory> {
        self.memories
            .iter()
            .filter(|memory| memory.holds.contains(&contents))
            .max_by(|a, b| a.bytes.value.total_cmp(&b.bytes.value))
    }
}

struct Problems(Vec<String>);

impl Problems {
    fn expect(&mut self, holds: bool, sentence: impl FnOnce() -> String) {
        if !holds {
            self.0.push(sentence());
        }
    }

    fn fact(&mut self, key: &str, fact: &Fact, unit: &str) {
        self.unit(key, &fact.unit, unit);
        self.expect(fact.value.is_finite() && fact.value > 0.0, || {
            format!("`{key}` must be above zero, but is {}", fact.value)
        });
        self.source(key, &fact.source);
    }

    fn coefficient(&mut self, key: &str, coefficient: &Coefficient, unit: &str) {
        let Coefficient { value, error, .. } = *coefficient;
        self.unit(key, &coefficient.unit, unit);
        self.expect(value.is_finite() && value >= 0.0, || {
            format!("`{key}` must not be negative, but is {value}")
        });
        self.expect((0.0..=9.0).contains(&error), || {
            format!("the error of `{key}` must lie between 0 (exact) and 9 (a factor of 10), but is {error}")
        });
        self.source(key, &coefficient.source);
    }

    fn unit(&mut self, key: &str, given: &str, expected: &str) {
        self.expect(given == expected, || {
            format!("`{key}` is in {expected}, but its unit says `{given}`")
        });
    }

    fn source(&mut self, key: &str, source: &str) {
        self.expect(!source.trim().is_empty(), || {
            format!("`{key}` has no source")
        });
    }

    fn npu(&mut self, npu: &Npu) {
        self.fact("npu.macs_per_cycle", &npu.macs_per_cycle, "MAC/cycle");
        let macs = npu.macs_per_cycle.value;
        self.expect([32.0, 64.0, 128.0, 256.0].contains(&macs), || {
            format!("`npu.macs_per_cycle` must be 32, 64, 128 or 256, but is {macs}")
        });
        self.fact("npu.clock", &npu.clock, "MHz");
        self.port("npu.sram", &npu.sram);
        self.port("npu.flash", &npu.flash);
        self.coefficient("npu.cycles", &npu.cycles, "factor");
        self.coefficient("npu.weight_encoding", &npu.weight_encoding, "factor");
        self.coefficient("npu.command_stream", &npu.command_stream, "factor");
        self.coefficient("npu.start_cycles", &npu.start_cycles, "cycles");
        self.coefficient("npu.active_power", &npu.active_power, "mW");
    }

    fn port(&mut self, key: &str, port: &Port) {
        let bandwidth = format!("{key}.bandwidth");
        self.coefficient(&bandwidth, &port.bandwidth, "B/cycle");
        self.expect(port.bandwidth.value > 0.0, || {
            format!("`{bandwidth}` must be above zero")
        });
        self.fact(&format!("{key}.burst"), &port.burst, "B");
        self.fact(&format!("{key}.read_latency"), &port.read_latency, "cycles");
        if let Some(latency) = &port.write_latency {
            self.fact(&format!("{key}.write_latency"), latency, "cycles");
        }
    }
}

/// The key of a term in a profile: `cpu.cycles.conv_mac` for [`Term::ConvMac`].
fn term_key(term: Term) -> String {
    format!("cpu.cycles.{}", term.key())
}

/// Adds the nearest allowed word to a message like "unknown field `clok`, expected one of `clock`, `core`".
fn with_suggestion(message: &str) -> String {
    let message = message.trim_end();
    let Some(position) = message.find("unknown ") else {
        return message.to_string();
    };
    let mut words = message[position..].split('`').skip(1).step_by(2);
    let Some(unknown) = words.next() else {
        return message.to_string();
    };
    match nearest(unknown, words) {
        Some(word) => format!("{message}; did you mean `{word}`?"),
        None => message.to_string(),
    }
}

/// The known word with the fewest edits (Levenshtein), if those are at most half of its letters.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::levenshtein(word, candidate), candidate))
        .filter(|(edits, candidate)| 2 * edits <= candidate.chars().count())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}
