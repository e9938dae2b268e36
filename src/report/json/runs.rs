//! The list of runs.

use schemars::JsonSchema;
use serde::Serialize;

use super::{SCHEMA_VERSION, TrialsView};

/// What `nas runs --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RunsDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// The runs, oldest first.
    pub runs: Vec<RunView>,
}

/// One line of a list of runs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RunView {
    /// Name of the run.
    pub run: String,
    /// When it began: RFC 3339, UTC.
    pub started: String,
    /// `running`, `finished` or `interrupted`.
    pub state: String,
    /// Name of the data set.
    pub data: String,
    /// Whether the data comes from the built-in generator.
    pub synthetic: bool,
    /// Names of the targets; the first one steers the search.
    pub targets: Vec<String>,
    /// Name of the sampler.
    pub sampler: String,
    /// Seed of the run.
    pub seed: u64,
    /// Numbers of trials.
    pub trials: TrialsView,
    /// Highest AUC of an int8 network, on the clips that steer; null without scored trials.
    pub best_auc_int8: Option<f64>,
    /// Hypervolume on the first target, 0 to 1; null without scored trials.
    pub hypervolume: Option<f64>,
}

impl RunsDocument {
    /// The document of these runs, in the given order.
    pub fn new(runs: Vec<RunView>) -> RunsDocument {
        RunsDocument {
            schema_version: SCHEMA_VERSION,
            runs,
        }
    }
}
