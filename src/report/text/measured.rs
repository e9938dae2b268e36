//! What models took when they ran as firmware, beside the estimates.

use std::collections::BTreeMap;

use super::grid;
use crate::{
    hardware::{self, Budget, Cost, Excess, Metric, Target},
    measure::Place,
    report::{RunInfo, TargetInfo},
    store::MeasurementRow,
    units::{Bytes, Count},
};

/// The measurements of a run's trials with the estimates for the same core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasuredTable {
    /// Titles of the columns.
    pub header: [&'static str; 10],
    /// One row per measurement, a text per column.
    pub rows: Vec<Vec<String>>,
    /// Sentences that explain the numbers.
    pub notes: Vec<&'static str>,
}

impl MeasurementRow {
    /// Bytes of RAM: static data, arena, front end and stack.
    pub fn ram_bytes(&self) -> u64 {
        let front_end = self.front_end_bytes.unwrap_or(0);
        let all = self.data_bytes + self.bss_bytes + self.arena_bytes + front_end;
        (all + self.stack_bytes) as u64
    }

    /// Bytes of flash: code, constants, initial values and model.
    pub fn flash_bytes(&self) -> u64 {
        (self.text_bytes + self.rodata_bytes + self.data_bytes + self.model_bytes) as u64
    }

    /// What exceeds the budget or the memories of each target with this core, and by how much.
    pub fn excess(&self, budgets: &[(String, Budget)]) -> BTreeMap<String, Option<Excess>> {
        let excess = |(name, budget): &(String, Budget)| {
            let target = target_on_core(name, &self.place)?;
            let excess = budget.memory_excess(&target, self.ram_bytes(), self.flash_bytes());
            Some((name.clone(), excess))
        };
        budgets.iter().filter_map(excess).collect()
    }
}

impl RunInfo {
    /// Names and budgets of the targets.
    pub fn budgets(&self) -> Vec<(String, Budget)> {
        let budget = |target: &TargetInfo| (target.name.clone(), target.budget);
        self.targets.iter().map(budget).collect()
    }
}

impl MeasuredTable {
    /// The table of a run; `None` where nothing was measured.
    pub fn new(info: &RunInfo) -> Option<MeasuredTable> {
        if info.measurements.is_empty() {
            return None;
        }
        let mut notes = vec![
            "RAM and flash: estimated → seen. The linked image fits where what was seen is within budget and chip. In QEMU, memory and instructions are exact. Outputs are compared with the host's bit for bit.",
        ];
        if info.measurements.iter().any(|row| row.cycles.is_some()) {
            notes.push(
                "Cycles in QEMU are estimated: LLVM schedules the counted instructions for the core.",
            );
        }
        Some(MeasuredTable {
            header: [
                "trial",
                "on",
                "outputs",
                "instructions",
                "cycles",
                "RAM",
                "flash",
                "fits",
                "arena",
                "stack",
            ],
            rows: info
                .measurements
                .iter()
                .map(|row| cells(info, row))
                .collect(),
            notes,
        })
    }

    /// The table with a heading and its notes, for a terminal.
    pub fn show(self) -> String {
        let table = grid(&self.header, self.rows);
        format!("Measured\n{table}\n{}\n", self.notes.join("\n"))
    }
}

fn cells(info: &RunInfo, row: &MeasurementRow) -> Vec<String> {
    let count = |value: Option<i64>| {
        value.map_or("–".to_string(), |value| Count(value as u64).to_string())
    };
    let beside = |metric, seen: u64| match estimate_for(info, row, metric) {
        Some(estimate) => format!("{} → {}", Bytes(estimate.value as u64), Bytes(seen)),
        None => Bytes(seen).to_string(),
    };
    vec![
        row.number.to_string(),
        row.place.clone(),
        if row.outputs_match {
            "same"
        } else {
            "DIFFERENT"
        }
        .to_string(),
        count(row.instructions),
        count(row.cycles.as_ref().map(|cycles| cycles.value)),
        beside(Metric::Ram, row.ram_bytes()),
        beside(Metric::Flash, row.flash_bytes()),
        fit_cell(row, &info.budgets()),
        Bytes(row.arena_bytes as u64).to_string(),
        Bytes(row.stack_bytes as u64).to_string(),
    ]
}

/// Whether the linked image fits, and otherwise what it exceeds.
fn fit_cell(row: &MeasurementRow, budgets: &[(String, Budget)]) -> String {
    let excess = row.excess(budgets);
    let over = |(name, excess): (&String, &Option<Excess>)| {
        let excess = excess.as_ref()?;
        Some(format!("{name}: {excess}"))
    };
    let overs: Vec<String> = excess.iter().filter_map(over).collect();
    match (excess.is_empty(), overs.is_empty()) {
        (true, _) => "–".to_string(),
        (false, true) => "yes".to_string(),
        (false, false) => format!("NO ({})", overs.join("; ")),
    }
}

/// The estimate for the core on which a model was measured; NPU targets have none.
fn estimate_for(info: &RunInfo, row: &MeasurementRow, metric: Metric) -> Option<Cost> {
    let is_it = |info: &TargetInfo| target_on_core(&info.name, &row.place).is_some();
    let idx = info.targets.iter().position(is_it)?;
    let trial = info
        .scored
        .iter()
        .find(|trial| trial.trial as i64 == row.number)?;
    trial.cost(idx, metric)
}

/// The target with that name, if it has no NPU and its core is the one of that place.
fn target_on_core(name: &str, place: &str) -> Option<Target> {
    let core = Place::of(place).core()?;
    let target = hardware::find(name).ok()?;
    (target.cpu.core == core && target.npu.is_none()).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{measurement, small_run};

    #[test]
    fn measurements_stand_beside_estimates() {
        let mut info = small_run();
        assert_eq!(MeasuredTable::new(&info), None);
        info.measurements = vec![measurement()];
        let text = MeasuredTable::new(&info).unwrap().show();
        // 60,000 + 8 + 1,500 bytes beside the fixture's 64 KiB for trial 4 on m7.
        assert!(text.contains("64.0 KiB → 60.1 KiB"), "{text}");
        assert!(text.contains("same"), "{text}");
        assert!(text.contains("Cycles in QEMU are estimated"), "{text}");
        let fit = |info: &RunInfo| fit_cell(&info.measurements[0], &info.budgets());
        assert_eq!(fit(&info), "yes");
        info.measurements[0].stack_bytes = 1 << 20;
        assert!(fit(&info).starts_with("NO (m7: RAM"), "{}", fit(&info));
    }
}
