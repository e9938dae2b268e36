//! A network that Vela compiled: the document of `nas npu`.

use schemars::JsonSchema;
use serde::Serialize;

use super::SCHEMA_VERSION;
use crate::report::npu::{Operation, Trace};

/// What `nas npu --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct NpuDocument {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The file.
    pub network: String,
    /// The target whose memories count.
    pub target: String,
    /// Size of the NPU.
    pub macs_per_cycle: usize,
    /// Estimated, from the start of the first operation to the end of the last.
    pub cycles: f64,
    /// Kernels and copies in their order.
    pub operations: Vec<NpuOperationView>,
    /// What the hardware may stumble over, in words.
    pub findings: Vec<String>,
    /// Every command in words; only with `--commands`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commands: Option<Vec<String>>,
}

/// A kernel or a copy.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct NpuOperationView {
    /// Number of its job, from 0: a network has several where operators between them run on the core.
    pub job: usize,
    /// Number within the job, from 0.
    pub op: usize,
    /// `CONV`, `DEPTHWISE`, `MAX_POOL`, `COPY` …
    pub kind: &'static str,
    /// Shapes, window, order of weights and block in words.
    pub what: String,
    /// Multiplications of a weight with an input.
    pub macs: u64,
    /// Bytes of encoded weights and scales, or of a copy.
    pub constant_bytes: usize,
    /// Cycle at which it begins.
    pub start: f64,
    /// Cycles from its beginning to its end.
    pub cycles: f64,
    /// Share of the multipliers that compute.
    pub utilisation: f64,
    /// `multipliers`, `output`, `commands`, `weights`, `activations` or `memory`.
    pub bottleneck: &'static str,
}

impl NpuDocument {
    /// Views a trace.
    pub fn new(trace: &Trace, with_commands: bool) -> NpuDocument {
        NpuDocument {
            schema_version: SCHEMA_VERSION,
            network: trace.network.clone(),
            target: trace.target.clone(),
            macs_per_cycle: trace.macs_per_cycle,
            cycles: trace.cycles,
            operations: trace
                .operations
                .iter()
                .map(NpuOperationView::from)
                .collect(),
            findings: trace.findings.clone(),
            commands: with_commands.then(|| trace.commands.clone()),
        }
    }
}

impl From<&Operation> for NpuOperationView {
    fn from(operation: &Operation) -> NpuOperationView {
        NpuOperationView {
            job: operation.job,
            op: operation.number,
            kind: operation.kind,
            what: operation.what.clone(),
            macs: operation.macs,
            constant_bytes: operation.constant_bytes,
            start: operation.start,
            cycles: operation.cycles,
            utilisation: operation.utilisation,
            bottleneck: operation.bottleneck,
        }
    }
}
