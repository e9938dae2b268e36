//! Rows as plain structs.

use crate::hardware::{CostSource, WINDOW_KEY};
use rusqlite::{
    Row,
    types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Type, ValueRef},
};

/// Whether a name is one component of a path, without anything that a path or a shell understands.
pub(super) fn is_plain_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=100).contains(&name.len())
        && name.chars().all(is_plain)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// A column that becomes part of a path. A store may come from anyone, and must not lead out of its folder.
fn plain_path(row: &Row<'_>, column: usize, what: &str) -> rusqlite::Result<Option<String>> {
    let text: Option<String> = row.get(column)?;
    match &text {
        Some(path) if !path.split('/').all(is_plain_name) => {
            let message = format!("{path:?} is no {what}");
            Err(rusqlite::Error::FromSqlConversionFailure(
                column,
                Type::Text,
                message.into(),
            ))
        }
        _ => Ok(text),
    }
}

/// Identifies a run within its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub(super) i64);

/// A run to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    /// Name of the run; unique in its store.
    pub name: String,
    /// When it was created: RFC 3339, UTC.
    pub created_utc: String,
    /// Seed of the run.
    pub seed: u64,
    /// Version of the program that creates it.
    pub version: String,
    /// Name of the data set.
    pub data_name: String,
    /// Hash of the data set's clips.
    pub data_hash: String,
    /// Whether the data comes from the built-in generator.
    pub synthetic: bool,
    /// All that is needed to run it again, as JSON.
    pub settings_json: String,
    /// Reference points of the hypervolume, as JSON.
    pub reference_json: String,
}

/// A run as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Identifies the run within its store.
    pub id: RunId,
    /// Name of the run; unique in its store.
    pub name: String,
    /// When it was created: RFC 3339, UTC.
    pub created_utc: String,
    /// Seed of the run.
    pub seed: u64,
    /// Version of the program that created it.
    pub version: String,
    /// Name of the data set.
    pub data_name: String,
    /// Hash of the data set's clips.
    pub data_hash: String,
    /// Whether the data comes from the built-in generator.
    pub synthetic: bool,
    /// All that is needed to run it again, as JSON.
    pub settings_json: String,
    /// Reference points of the hypervolume, as JSON.
    pub reference_json: String,
    /// How far it is.
    pub state: RunState,
}

/// How far a run is. The coordinator says so: where it was killed, the run stays `Running`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunState {
    /// A coordinator works on it, or was killed.
    Running,
    /// It was stopped, and can be resumed.
    Interrupted,
    /// All its trials are recorded, or no further one can be found.
    Finished,
}

/// One trial of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialRow {
    /// Number of the trial in its run.
    pub number: i64,
    /// Number of its block: proposals of one block knew the same history.
    pub block: i64,
    /// The genome's bytes; the spaces of the run decode them.
    pub genome: Vec<u8>,
    /// Hash of the network; equal for genomes that decode to the same one.
    pub key: String,
    /// Name of the search space.
    pub space: String,
    /// `reconstruct` or `classify`.
    pub task: String,
    /// Multiply-accumulates of one inference.
    pub macs: i64,
    /// Number of weights and biases.
    pub params: i64,
    /// How it ended.
    pub outcome: TrialOutcome,
    /// Wall-clock seconds that its evaluation took.
    pub seconds: f64,
    /// When it was recorded: RFC 3339, UTC.
    pub recorded_utc: String,
    /// Sorted by target, metric and source.
    pub costs: Vec<CostRow>,
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq)]
pub enum TrialOutcome {
    /// Trained and scored.
    Scored {
        /// Key of the [`EvaluationRow`].
        evaluation_key: String,
    },
    /// Over budget, never trained.
    Rejected {
        /// Share of the budgets by which it is over them, above 0.
        excess: f64,
        /// What is exceeded by how much, in words.
        message: String,
    },
    /// Could not be evaluated.
    Failed {
        /// What went wrong.
        message: String,
    },
}

/// One further training of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatRow {
    /// Number of the trial in its run.
    pub number: i64,
    /// Its seed less the run's seed.
    pub seed: i64,
    /// The key of its evaluation, or why there is none.
    pub outcome: Result<String, String>,
}

/// One cost of a trial on one target.
#[derive(Debug, Clone, PartialEq)]
pub struct CostRow {
    /// Name of the target.
    pub target: String,
    /// A name that ends in its unit, for example `latency_us`.
    pub metric: String,
    /// The cost, in the unit that the metric names.
    pub value: f64,
    /// Lower end of the error band.
    pub low: f64,
    /// Upper end of the error band.
    pub high: f64,
    /// `estimated`, `emulated` or `measured`.
    pub source: String,
}

/// What a trial's model took when it ran as firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasurementRow {
    /// Number of the trial in its run.
    pub number: i64,
    /// `qemu-m7`, `qemu-m55` or the name of a chip.
    pub place: String,
    /// Whether the outputs were those of the host, bit for bit.
    pub outputs_match: bool,
    /// Instructions of one inference; `None` where no emulator counted them.
    pub instructions: Option<i64>,
    /// Cycles of one inference; `None` where nobody knows.
    pub cycles: Option<CyclesRow>,
    /// Instructions of one hop: the front end, and the inference where a window is complete.
    pub hop_instructions: Option<i64>,
    /// Bytes of the arena up to the last one that was written, in steps of 16.
    pub arena_bytes: i64,
    /// Bytes of samples, scratch and features; `None` for a model without front end.
    pub front_end_bytes: Option<i64>,
    /// Most bytes of stack at once, from the reset on.
    pub stack_bytes: i64,
    /// Bytes of vector table and code.
    pub text_bytes: i64,
    /// Bytes of constants.
    pub rodata_bytes: i64,
    /// Bytes of variables with an initial value.
    pub data_bytes: i64,
    /// Bytes of variables that begin as zero.
    pub bss_bytes: i64,
    /// Bytes of the model.
    pub model_bytes: i64,
    /// Version of the program that measured.
    pub version: String,
    /// When it was measured: RFC 3339, UTC.
    pub measured_utc: String,
}

/// Cycles of one inference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CyclesRow {
    /// Number of cycles.
    pub value: i64,
    /// `estimated` or `measured`.
    pub source: String,
}

/// One figure of merit of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreRow {
    /// The measure and the network, for example `auc_int8`.
    pub metric: String,
    /// The clips that it was computed on, for example `steer`.
    pub part: String,
    /// The figure; shares and areas are 0 to 1.
    pub value: f64,
}

/// A trained and scored network. Runs share it by its key.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationRow {
    /// Content hash of everything that the evaluation depends on.
    pub key: String,
    /// Its figures of merit, sorted by metric and part.
    pub scores: Vec<ScoreRow>,
    /// Details without a column of their own, as JSON.
    pub details_json: String,
    /// Folder of the trained network, relative to the folder of the store.
    pub artefacts: Option<String>,
    /// Wall-clock seconds that the evaluation took.
    pub seconds: f64,
    /// When it was recorded: RFC 3339, UTC.
    pub created_utc: String,
}

/// The front of one target: its name and the numbers of its trials, ascending.
pub type Front = (String, Vec<i64>);

/// Numbers of a run's trials by their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Trained and scored.
    pub scored: u64,
    /// Over budget, never trained.
    pub rejected: u64,
    /// Could not be evaluated.
    pub failed: u64,
}

impl RunState {
    const ALL: [RunState; 3] = [RunState::Running, RunState::Interrupted, RunState::Finished];

    /// The word in the store and in documents.
    pub fn name(self) -> &'static str {
        match self {
            RunState::Running => "running",
            RunState::Interrupted => "interrupted",
            RunState::Finished => "finished",
        }
    }
}

impl ToSql for RunState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.name().into())
    }
}

impl FromSql for RunState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        RunState::ALL
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or(FromSqlError::InvalidType)
    }
}

impl Run {
    pub(super) const COLUMNS: &str = "id, name, created_utc, seed, version, data_name, data_hash,
        synthetic, settings_json, reference_json, state";

    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Run> {
        Ok(Run {
            id: RunId(row.get(0)?),
            name: plain_path(row, 1, "name of a run")?.unwrap_or_default(),
            created_utc: row.get(2)?,
            seed: row.get::<_, i64>(3)?.cast_unsigned(),
            version: row.get(4)?,
            data_name: row.get(5)?,
            data_hash: row.get(6)?,
            synthetic: row.get(7)?,
            settings_json: row.get(8)?,
            reference_json: row.get(9)?,
            state: row.get(10)?,
        })
    }
}

impl TrialRow {
    pub(super) const COLUMNS: &str = "number, block, genome, key, space, task, macs, params,
        outcome, evaluation_key, excess, message, seconds, recorded_utc";

    /// Reads the row without its costs.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<TrialRow> {
        Ok(TrialRow {
            number: row.get(0)?,
            block: row.get(1)?,
            genome: row.get(2)?,
            key: row.get(3)?,
            space: row.get(4)?,
            task: row.get(5)?,
            macs: row.get(6)?,
            params: row.get(7)?,
            outcome: TrialOutcome::read(row)?,
            seconds: row.get(12)?,
            recorded_utc: row.get(13)?,
            costs: Vec::new(),
        })
    }
}

impl TrialOutcome {
    /// The columns outcome, evaluation_key, excess, message.
    pub(super) fn columns(&self) -> (&'static str, Option<&str>, Option<f64>, Option<&str>) {
        match self {
            TrialOutcome::Scored { evaluation_key } => ("scored", Some(evaluation_key), None, None),
            TrialOutcome::Rejected { excess, message } => {
                ("rejected", None, Some(*excess), Some(message))
            }
            TrialOutcome::Failed { message } => ("failed", None, None, Some(message)),
        }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<TrialOutcome> {
        match row.get_ref(8)?.as_str()? {
            "scored" => Ok(TrialOutcome::Scored {
                evaluation_key: row.get(9)?,
            }),
            "rejected" => Ok(TrialOutcome::Rejected {
                excess: row.get(10)?,
                message: row.get(11)?,
            }),
            "failed" => Ok(TrialOutcome::Failed {
                message: row.get(11)?,
            }),
            other => Err(rusqlite::Error::FromSqlConversionFailure(
                8,
                Type::Text,
                format!("`{other}` is no outcome").into(),
            )),
        }
    }
}

impl RepeatRow {
    pub(super) const COLUMNS: &str = "number, seed, evaluation_key, message";

    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<RepeatRow> {
        let message: Option<String> = row.get(3)?;
        Ok(RepeatRow {
            number: row.get(0)?,
            seed: row.get(1)?,
            outcome: match message {
                Some(message) => Err(message),
                None => Ok(row.get(2)?),
            },
        })
    }
}

impl TrialRow {
    /// Time between windows in microseconds; `None` where it was not recorded.
    pub fn window_us(&self, target: &str) -> Option<f64> {
        let is_it = |cost: &&CostRow| cost.target == target && cost.metric == WINDOW_KEY;
        self.costs.iter().find(is_it).map(|cost| cost.value)
    }
}

impl CostRow {
    /// The time between windows in microseconds, which is exact.
    pub fn window(target: &str, us: f64) -> CostRow {
        CostRow {
            target: target.to_string(),
            metric: WINDOW_KEY.to_string(),
            value: us,
            low: us,
            high: us,
            source: CostSource::Estimated.name().to_string(),
        }
    }

    pub(super) const COLUMNS: &str = "target, metric, value, low, high, source";

    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<CostRow> {
        Ok(CostRow {
            target: row.get(0)?,
            metric: row.get(1)?,
            value: row.get(2)?,
            low: row.get(3)?,
            high: row.get(4)?,
            source: row.get(5)?,
        })
    }
}

impl MeasurementRow {
    pub(super) const COLUMNS: &str = "number, place, outputs_match, instructions, cycles,
        cycles_source, hop_instructions, arena_bytes, front_end_bytes, stack_bytes, text_bytes,
        rodata_bytes, data_bytes, bss_bytes, model_bytes, version, measured_utc";

    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<MeasurementRow> {
        let cycles: Option<i64> = row.get(4)?;
        let source: Option<String> = row.get(5)?;
        Ok(MeasurementRow {
            number: row.get(0)?,
            place: row.get(1)?,
            outputs_match: row.get(2)?,
            instructions: row.get(3)?,
            cycles: cycles
                .zip(source)
                .map(|(value, source)| CyclesRow { value, source }),
            hop_instructions: row.get(6)?,
            arena_bytes: row.get(7)?,
            front_end_bytes: row.get(8)?,
            stack_bytes: row.get(9)?,
            text_bytes: row.get(10)?,
            rodata_bytes: row.get(11)?,
            data_bytes: row.get(12)?,
            bss_bytes: row.get(13)?,
            model_bytes: row.get(14)?,
            version: row.get(15)?,
            measured_utc: row.get(16)?,
        })
    }
}

impl EvaluationRow {
    pub(super) const COLUMNS: &str = "key, details_json, artefacts, seconds, created_utc";

    /// Reads the row without its scores.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<EvaluationRow> {
        Ok(EvaluationRow {
            key: row.get(0)?,
            details_json: row.get(1)?,
            artefacts: plain_path(row, 2, "folder of a model")?,
            seconds: row.get(3)?,
            created_utc: row.get(4)?,
            scores: Vec::new(),
        })
    }
}

impl ScoreRow {
    pub(super) const COLUMNS: &str = "metric, part, value";

    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<ScoreRow> {
        Ok(ScoreRow {
            metric: row.get(0)?,
            part: row.get(1)?,
            value: row.get(2)?,
        })
    }
}
