//! What a network that Vela compiled does on an Ethos-U55: its operations, their cycles, and what looks unsafe.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ethos_u55::{
    Npu as Model, Stream, check,
    cycles::{self, Bottleneck, System, Timeline},
    operation::{Action, Kernel, Transfer},
    vela::{self, Job, Operator, VelaError},
};

use crate::hardware::{Npu, Port, Target};

/// Why a compiled network cannot be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NpuError {
    /// The file of the network cannot be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A dump of a tensor cannot be written.
    #[error("cannot write {}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The file is not what Vela writes.
    #[error("{0}")]
    Vela(#[from] VelaError),
    /// The target has no NPU; holds its name.
    #[error("{0} has no NPU; `nas targets` lists those that have")]
    NoNpu(String),
    /// The network is compiled for another size of NPU.
    #[error(
        "the file is for {compiled} MACs per cycle, {target} has {found}; compile it again, or name another target"
    )]
    OtherNpu {
        /// MACs per cycle that the file is for.
        compiled: usize,
        /// Name of the target.
        target: String,
        /// MACs per cycle of the target.
        found: usize,
    },
    /// Parts of the network run on the core, which the NPU's model does not have.
    #[error(
        "only a network that is one operator on the NPU can be run; the others run on the core"
    )]
    NotAlone,
}

/// A compiled network on a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// The file.
    pub network: String,
    /// The target whose memories count.
    pub target: String,
    /// Size of the NPU.
    pub macs_per_cycle: usize,
    /// From the start of the first operation to the end of the last; jobs follow each other.
    pub cycles: f64,
    /// Kernels and copies in their order.
    pub operations: Vec<Operation>,
    /// What the hardware may stumble over, in words.
    pub findings: Vec<String>,
    /// Every command in words.
    pub commands: Vec<String>,
}

/// A kernel or a copy.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Number of its job, from 0.
    pub job: usize,
    /// Number within the job, from 0.
    pub number: usize,
    /// `CONV`, `DEPTHWISE`, `MAX_POOL` … or `COPY`.
    pub kind: &'static str,
    /// Shapes, window, order of weights and block in words.
    pub what: String,
    /// Multiplications of a weight with an input.
    pub macs: u64,
    /// Bytes of encoded weights and scales that a kernel reads, or that a copy moves.
    pub constant_bytes: usize,
    /// Cycle at which it begins.
    pub start: f64,
    /// Cycles from its beginning to its end.
    pub cycles: f64,
    /// `multipliers`, `output`, `commands`, `weights` or `activations`; of a copy `memory`.
    pub bottleneck: &'static str,
    /// Share of the multipliers' cycles that compute.
    pub utilisation: f64,
}

/// Reads a file that Vela wrote, and follows its commands on a target.
pub fn trace(path: &Path, target: &Target) -> Result<Trace, NpuError> {
    let file = read(path)?;
    let model = vela::Model::read(&file)?;
    let npu = target
        .npu
        .as_ref()
        .ok_or_else(|| NpuError::NoNpu(target.name.clone()))?;
    let mut trace = Trace {
        network: path.display().to_string(),
        target: target.name.clone(),
        macs_per_cycle: npu.macs_per_cycle.value as usize,
        cycles: 0.0,
        operations: Vec::new(),
        findings: Vec::new(),
        commands: Vec::new(),
    };
    let jobs = model
        .operators
        .iter()
        .filter_map(|operator| match operator {
            Operator::Npu(job) => Some(job),
            Operator::Core { .. } => None,
        });
    for (idx, job) in jobs.enumerate() {
        add(&mut trace, idx, job, &system(npu))?;
    }
    Ok(trace)
}

/// Multiply-accumulates per cycle that a file was compiled for.
pub fn compiled_for(path: &Path) -> Result<usize, NpuError> {
    let file = read(path)?;
    let model = vela::Model::read(&file)?;
    let job = model.operators.iter().find_map(|operator| match operator {
        Operator::Npu(job) => Some(job),
        Operator::Core { .. } => None,
    });
    let job = job.ok_or(VelaError::NoJob)?;
    Ok(job.accelerator()?.macs)
}

/// Runs a network and writes the output of every kernel into a folder, as files for NumPy; their paths.
///
/// `input` holds the bytes of all inputs one behind the other, zeros where it ends.
pub fn dump(path: &Path, input: &[u8], folder: &Path) -> Result<Vec<PathBuf>, NpuError> {
    let file = read(path)?;
    let model = vela::Model::read(&file)?;
    let job = model.job().ok_or(NpuError::NotAlone)?;
    let mut rest = input.to_vec();
    rest.resize(job.inputs.iter().map(vela::Tensor::bytes).sum(), 0);
    let mut rest = rest.as_slice();
    let inputs = job.inputs.iter().map(|tensor| {
        let (input, after) = rest.split_at(tensor.bytes());
        rest = after;
        input
    });
    let inputs: Vec<&[u8]> = inputs.collect();
    let mut arenas = job.arenas();
    job.put(&inputs, &mut arenas[0])?;
    let stream = Stream::read(job.commands).map_err(VelaError::Stream)?;
    let mut outputs = Vec::new();
    let run = Model::new(job.accelerator()?).run_with(
        &stream,
        &mut job.memory(&mut arenas),
        ethos_u55::ALLOWED_WORK,
        |step, values| {
            if let Action::Kernel(kernel) = &step.action {
                outputs.push((step.number, kernel.kind.name(), npy(kernel, values)));
            }
        },
    );
    run.map_err(VelaError::Stream)?;
    let write = |file: PathBuf, bytes: &[u8]| match fs::write(&file, bytes) {
        Ok(()) => Ok(file),
        Err(source) => Err(NpuError::Write { file, source }),
    };
    if let Err(source) = fs::create_dir_all(folder) {
        let file = folder.to_path_buf();
        return Err(NpuError::Write { file, source });
    }
    outputs
        .iter()
        .map(|(number, kind, bytes)| write(folder.join(format!("{number:03}-{kind}.npy")), bytes))
        .collect()
}

fn read(path: &Path) -> Result<Vec<u8>, NpuError> {
    fs::read(path).map_err(|source| NpuError::Read {
        file: path.to_path_buf(),
        source,
    })
}

/// The memories of a target as the model of the NPU takes them.
fn system(npu: &Npu) -> System {
    let port = |port: &Port| cycles::Port {
        bandwidth: port.bandwidth.value,
        burst: port.burst.value as usize,
        read_latency: port.read_latency.value,
        write_latency: port.write_latency.as_ref().map_or(0.0, |fact| fact.value),
    };
    let activations = port(&npu.sram);
    match npu.weights_in {
        crate::space::WeightMemory::Flash => System::new(activations, port(&npu.flash)),
        crate::space::WeightMemory::Sram => System::new(activations, activations),
    }
}

fn add(trace: &mut Trace, idx: usize, job: &Job, system: &System) -> Result<(), NpuError> {
    let accelerator = job.accelerator()?;
    if accelerator.macs != trace.macs_per_cycle {
        return Err(NpuError::OtherNpu {
            compiled: accelerator.macs,
            target: trace.target.clone(),
            found: trace.macs_per_cycle,
        });
    }
    let stream = Stream::read(job.commands).map_err(VelaError::Stream)?;
    let mut arenas = job.arenas();
    let findings = check(&stream, &accelerator, &job.memory(&mut arenas));
    trace
        .findings
        .extend(findings.iter().map(ToString::to_string));
    trace
        .commands
        .extend(stream.commands.iter().map(ToString::to_string));
    let timeline = Timeline::of(&stream, &accelerator, system);
    let started = stream.steps.iter().filter_map(|step| match &step.action {
        Action::Kernel(kernel) => Some(Started::Kernel(kernel)),
        Action::Transfer(transfer) => Some(Started::Copy(transfer)),
        _ => None,
    });
    for (entry, started) in timeline.entries.iter().zip(started) {
        let cycles = entry.end - entry.start;
        let bottleneck = entry.kernel.as_ref().map(|kernel| kernel.bottleneck);
        let macs = started.macs();
        trace.operations.push(Operation {
            job: idx,
            number: entry.operation,
            kind: started.kind(),
            what: started.what(),
            macs,
            constant_bytes: started.constant_bytes(),
            start: trace.cycles + entry.start,
            cycles,
            bottleneck: match bottleneck {
                None => "memory",
                Some(Bottleneck::Multipliers) => "multipliers",
                Some(Bottleneck::Output) => "output",
                Some(Bottleneck::Commands) => "commands",
                Some(Bottleneck::Port(0)) => "weights",
                Some(Bottleneck::Port(_)) => "activations",
            },
            utilisation: macs as f64 / (cycles.max(1.0) * accelerator.macs as f64),
        });
    }
    trace.cycles += timeline.total;
    Ok(())
}

/// What a stream starts.
enum Started<'a> {
    Kernel(&'a Kernel),
    Copy(&'a Transfer),
}

impl Started<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Started::Kernel(kernel) => kernel.kind.name(),
            Started::Copy(_) => "COPY",
        }
    }

    fn what(&self) -> String {
        match self {
            Started::Kernel(kernel) => {
                let text = kernel.to_string();
                let name = kernel.kind.name();
                text.strip_prefix(name).unwrap_or(&text).trim().to_string()
            }
            Started::Copy(transfer) => transfer.to_string(),
        }
    }

    fn macs(&self) -> u64 {
        match self {
            Started::Kernel(kernel) => kernel.macs(),
            Started::Copy(_) => 0,
        }
    }

    fn constant_bytes(&self) -> usize {
        match self {
            Started::Kernel(kernel) => kernel.constants().map_or(0, |constants| {
                constants.weights.bytes + constants.scales.bytes
            }),
            Started::Copy(transfer) => transfer.bytes,
        }
    }
}

/// A file for NumPy, format 1.0: 32-bit numbers, height by width by channels.
fn npy(kernel: &Kernel, values: &[i32]) -> Vec<u8> {
    let shape = kernel.ofm.shape;
    let mut header = format!(
        "{{'descr': '<i4', 'fortran_order': False, 'shape': ({}, {}, {}), }}",
        shape.height, shape.width, shape.depth
    );
    // Magic, version and length take ten bytes; all of it is a multiple of 64, with a line break at its end.
    let padding = (10 + header.len() + 1).next_multiple_of(64) - (10 + header.len() + 1);
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.into_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}
