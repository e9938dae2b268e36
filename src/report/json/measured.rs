//! What models took when they ran as firmware.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::SCHEMA_VERSION;
use crate::{
    hardware::{Budget, CostSource},
    store::MeasurementRow,
};

/// What a model took when it ran as firmware.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MeasurementView {
    /// `qemu-m7`, `qemu-m55` or the name of a chip.
    pub on: String,
    /// `emulated` or `measured`.
    pub source: &'static str,
    /// Whether the outputs were those of the host, bit for bit.
    pub outputs_match: bool,
    /// Instructions of one inference; null on a chip.
    pub instructions: Option<u64>,
    /// Cycles of one inference; null where they are unknown.
    pub cycles: Option<CyclesView>,
    /// Instructions of one hop: the front end, and the inference where a window is complete.
    pub hop_instructions: Option<u64>,
    /// Bytes of the arena up to the last one that was written, in steps of 16.
    pub arena_bytes: u64,
    /// Bytes of samples, scratch and features; null for a model without front end.
    pub front_end_bytes: Option<u64>,
    /// Most bytes of stack at once, from the reset on.
    pub stack_bytes: u64,
    /// Bytes of RAM: static data, arena, front end and stack.
    pub ram_bytes: u64,
    /// Bytes of flash: code, constants, initial values and model.
    pub flash_bytes: u64,
    /// Per target with this core: whether RAM and flash are within its budget and its memories.
    pub fits: BTreeMap<String, bool>,
    /// Bytes of the linked image.
    pub image: ImageView,
}

/// Cycles, and how they are known.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CyclesView {
    /// Number of cycles.
    pub value: u64,
    /// `estimated` (scheduled instructions) or `measured`.
    pub source: String,
}

/// Bytes of a linked image by section, and of the model beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ImageView {
    /// Vector table and code.
    pub text_bytes: u64,
    /// Constants.
    pub rodata_bytes: u64,
    /// Variables with an initial value.
    pub data_bytes: u64,
    /// Variables that begin as zero.
    pub bss_bytes: u64,
    /// The model.
    pub model_bytes: u64,
}

/// What `nas measure --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MeasuredDocument {
    /// Version of the schema that the document follows.
    pub schema_version: u32,
    /// One entry per trial.
    pub measurements: Vec<MeasuredView>,
}

impl MeasuredDocument {
    /// The document of these measurements.
    pub fn new(rows: &[MeasurementRow]) -> MeasuredDocument {
        MeasuredDocument {
            schema_version: SCHEMA_VERSION,
            measurements: rows.iter().map(MeasuredView::from).collect(),
        }
    }
}

/// A member of the list that `nas measure --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MeasuredView {
    /// Number of the trial.
    pub trial: u64,
    /// `qemu-m7`, `qemu-m55` or the name of a chip.
    pub on: String,
    /// Whether the outputs were those of the host, bit for bit.
    pub outputs_match: bool,
    /// Instructions of one inference; null on a chip.
    pub instructions: Option<u64>,
    /// Bytes of the arena up to the last one that was written, in steps of 16.
    pub arena_bytes: u64,
    /// Most bytes of stack at once, from the reset on.
    pub stack_bytes: u64,
    /// Bytes of the linked image.
    pub image: ImageView,
}

/// The measurements of one trial.
pub fn measurements_of(
    rows: &[MeasurementRow],
    trial: u64,
    budgets: &[(String, Budget)],
) -> Vec<MeasurementView> {
    let own = rows.iter().filter(|row| row.number as u64 == trial);
    own.map(|row| MeasurementView::new(row, budgets)).collect()
}

impl From<&MeasurementRow> for ImageView {
    fn from(row: &MeasurementRow) -> ImageView {
        ImageView {
            text_bytes: row.text_bytes as u64,
            rodata_bytes: row.rodata_bytes as u64,
            data_bytes: row.data_bytes as u64,
            bss_bytes: row.bss_bytes as u64,
            model_bytes: row.model_bytes as u64,
        }
    }
}

impl MeasurementView {
    pub(super) fn new(row: &MeasurementRow, budgets: &[(String, Budget)]) -> MeasurementView {
        let count = |value: Option<i64>| value.map(|value| value as u64);
        let source = match row.instructions {
            Some(_) => CostSource::Emulated,
            None => CostSource::Measured,
        };
        MeasurementView {
            on: row.place.clone(),
            source: source.name(),
            outputs_match: row.outputs_match,
            instructions: count(row.instructions),
            cycles: row.cycles.as_ref().map(|cycles| CyclesView {
                value: cycles.value as u64,
                source: cycles.source.clone(),
            }),
            hop_instructions: count(row.hop_instructions),
            arena_bytes: row.arena_bytes as u64,
            front_end_bytes: count(row.front_end_bytes),
            stack_bytes: row.stack_bytes as u64,
            ram_bytes: row.ram_bytes(),
            flash_bytes: row.flash_bytes(),
            fits: row
                .excess(budgets)
                .into_iter()
                .map(|(name, excess)| (name, excess.is_none()))
                .collect(),
            image: ImageView::from(row),
        }
    }
}

impl From<&MeasurementRow> for MeasuredView {
    fn from(row: &MeasurementRow) -> MeasuredView {
        MeasuredView {
            trial: row.number as u64,
            on: row.place.clone(),
            outputs_match: row.outputs_match,
            instructions: row.instructions.map(|value| value as u64),
            arena_bytes: row.arena_bytes as u64,
            stack_bytes: row.stack_bytes as u64,
            image: ImageView::from(row),
        }
    }
}
