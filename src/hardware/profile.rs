//! The hardware profile: one chip with one runtime, as read from `hardware_profiles/*.toml`.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;

use super::{TargetError, Term};
use crate::{
    graph::{Graph, OpKind},
    space::WeightMemory,
};

/// Profiles say which layout they follow, and this is the only one so far.
const FORMAT: u32 = 1;

/// A number that was looked up: a datasheet value, a size, a clock.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    pub value: f64,
    pub unit: String,
    pub source: String,
}

/// A number that was fitted, measured or estimated, with its relative error: 0.1 is a factor of 1.1 either way.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coefficient {
    pub value: f64,
    pub unit: String,
    pub error: f64,
    pub source: String,
}

/// A chip and a runtime: everything that a cost estimate needs to know.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub format: u32,
    pub name: String,
    /// Chip, clock and runtime in one line.
    pub description: String,
    /// What a user should know before trusting the numbers.
    pub notes: Vec<String>,
    /// How the fitted coefficients were found; profiles without it were put together by hand.
    pub calibration: Option<Calibration>,
    pub memories: Vec<Memory>,
    pub cpu: Cpu,
    pub npu: Option<Npu>,
    pub runtime: Runtime,
    /// The text that this was read from, to be kept with results.
    #[serde(skip)]
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    pub name: String,
    pub bytes: Fact,
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

/// Which measurements a profile was fitted to, and how well, as `nas calibrate` found.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The table of measurements, relative to the profile.
    pub table: String,
    /// What was fitted: terms that share a coefficient are joined by ` + `.
    pub terms: Vec<String>,
    pub rows: usize,
    pub families: usize,
    /// Mean absolute relative errors: of the fit, and of predictions without the row or its family.
    pub in_sample: f64,
    pub leave_one_out: f64,
    pub leave_family_out: f64,
    /// Rank correlation of the predictions without the family.
    pub kendall_tau: f64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    pub core: Core,
    /// MHz.
    pub clock: Fact,
    /// mW while computing.
    pub active_power: Coefficient,
    /// mW between inferences; without it nothing is known about duty cycles.
    pub idle_power: Option<Coefficient>,
    /// A factor on the sum of all cycles: whole networks against the sum of their operators.
    pub whole_network: Coefficient,
    /// Cycles per unit of work; a term that is not listed costs nothing.
    pub cycles: BTreeMap<Term, Coefficient>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Core {
    CortexM7,
    CortexM55,
}

/// An Ethos-U55 beside the CPU.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Npu {
    /// Which of the four accelerators: 32, 64, 128 or 256.
    pub macs_per_cycle: Fact,
    /// MHz.
    pub clock: Fact,
    /// Which memory the NPU reads weights and commands from.
    pub weights_in: WeightMemory,
    /// The port to the memory of activations.
    pub sram: Port,
    /// The port to the memory that is only read.
    pub flash: Port,
    /// A factor on the cycles of the performance model; its error is the model's on compute-bound networks.
    pub cycles: Coefficient,
    /// A factor on the size of encoded weights as it is guessed before training.
    pub weight_encoding: Coefficient,
    /// A factor on the size of the command stream.
    pub command_stream: Coefficient,
    /// CPU cycles per inference to start the NPU and take its interrupt.
    pub start_cycles: Coefficient,
    /// mW on top of the CPU's while the NPU computes.
    pub active_power: Coefficient,
}

/// The port of an NPU to one memory, as a system configuration of Vela describes it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Bytes per NPU cycle: 8 times Vela's `clock_scale`.
    pub bandwidth: Coefficient,
    /// Bytes of the longest burst.
    pub burst: Fact,
    /// Cycles until the first byte.
    pub read_latency: Fact,
    /// Cycles until the first byte; nothing for a memory that is only read.
    pub write_latency: Option<Fact>,
}

/// Memory of the program itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    pub name: String,
    /// Whose kernels it calls, and so how the work of operators is counted; others' where nothing is said.
    #[serde(default)]
    pub kernels: KernelSet,
    /// How it lays out its arena; this project's plan where nothing is said.
    #[serde(default)]
    pub arena: ArenaRule,
    pub code_bytes: Coefficient,
    pub stack_bytes: Coefficient,
    /// The stack of networks with convolutions, where that differs.
    pub convolution_stack_bytes: Option<Coefficient>,
    /// Static data that is neither arena nor front end.
    pub state_bytes: Coefficient,
}

/// Whose kernels run on the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KernelSet {
    /// Work is counted layer by layer: multiply-accumulates, outputs, taps.
    #[default]
    Others,
    /// This project's for the core: work is counted by their loops.
    Nas,
}

impl KernelSet {
    /// Terms of which a profile may not leave all out: without them an operator would cost nothing.
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

/// Terms of the front end, which every profile has.
const FRONT_END_TERMS: [&[Term]; 4] = [
    &[Term::FftPoint],
    &[Term::MelBin],
    &[Term::LogBand],
    &[Term::DctMac],
];

/// How many bytes of RAM a runtime takes for activations.
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
    /// The stack of a network.
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
    /// Reads a profile; `file` names it in errors.
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

    /// The same target under another name, text included.
    pub fn renamed(&self, name: &str) -> Target {
        let line = |name: &str| format!("name = \"{name}\"");
        Target {
            name: name.to_string(),
            text: self.text.replacen(&line(&self.name), &line(name), 1),
            ..self.clone()
        }
    }

    /// The same target with weights where a candidate wants them; itself where nothing is wanted, or without an NPU.
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

    /// What is wrong with the values, each as one sentence that names its key.
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

    /// The largest memory for these contents: one region of the linker holds all of them.
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

/// `cpu.cycles.conv_mac` for [`Term::ConvMac`].
fn term_key(term: Term) -> String {
    format!("cpu.cycles.{}", term.key())
}

/// Adds the nearest allowed word to a message such as "unknown field `clok`, expected one of `clock`, `core`".
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

/// The word with the fewest edits (Levenshtein), where those are at most half of its letters.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (edits(word, candidate), candidate))
        .filter(|(edits, candidate)| 2 * edits <= candidate.chars().count())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (a_idx, a_char) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = a_idx + 1;
        for (b_idx, &b_char) in b.iter().enumerate() {
            let replace = diagonal + usize::from(a_char != b_char);
            diagonal = row[b_idx + 1];
            row[b_idx + 1] = replace.min(row[b_idx] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
