//! The list of runs.

use schemars::JsonSchema;
use serde::Serialize;

use super::{SCHEMA_VERSION, TrialsView};

/// What `nas runs --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RunsDocument {
    pub schema_version: u32,
    /// Newest first.
    pub runs: Vec<RunView>,
}

/// One line of a list of runs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RunView {
    pub run: String,
    /// RFC 3339, UTC.
    pub started: String,
    /// `running`, `finished`, `interrupted`.
    pub state: String,
    pub data: String,
    pub synthetic: bool,
    pub targets: Vec<String>,
    pub sampler: String,
    pub seed: u64,
    pub trials: TrialsView,
    pub best_auc_int8: Option<f64>,
    pub hypervolume: Option<f64>,
}

impl RunsDocument {
    pub fn new(runs: Vec<RunView>) -> RunsDocument {
        RunsDocument {
            schema_version: SCHEMA_VERSION,
            runs,
        }
    }
}
