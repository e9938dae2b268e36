//! What was seen when found models ran as firmware, beside what was estimated.

use super::{RunInfo, listing::grid};
use crate::{
    measure::Place,
    store::MeasurementRow,
    target::{self, Cost, Metric},
    units::{Bytes, Count},
};

/// The measurements of a run's trials with the estimates for the same core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasuredTable {
    pub header: [&'static str; 9],
    pub rows: Vec<Vec<String>>,
    /// What the numbers are.
    pub notes: Vec<&'static str>,
}

impl MeasurementRow {
    /// All that lies in RAM: static data, arena, front end, stack.
    pub fn ram_bytes(&self) -> u64 {
        let front_end = self.front_end_bytes.unwrap_or(0);
        let all = self.data_bytes + self.bss_bytes + self.arena_bytes + front_end;
        (all + self.stack_bytes) as u64
    }

    /// All that lies in flash: code, constants, initial values, the model.
    pub fn flash_bytes(&self) -> u64 {
        (self.text_bytes + self.rodata_bytes + self.data_bytes + self.model_bytes) as u64
    }
}

impl MeasuredTable {
    /// `None` where nothing was measured.
    pub fn new(info: &RunInfo) -> Option<MeasuredTable> {
        if info.measurements.is_empty() {
            return None;
        }
        let mut notes = vec![
            "RAM and flash: estimated → seen. In QEMU memory and instructions are exact; outputs are compared with the host's bit for bit.",
        ];
        if info.measurements.iter().any(|row| row.cycles.is_some()) {
            notes.push(
                "Cycles in QEMU are estimated: instructions as counted, scheduled by LLVM for the core.",
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
        Bytes(row.arena_bytes as u64).to_string(),
        Bytes(row.stack_bytes as u64).to_string(),
    ]
}

/// The estimate for the core on which a model was measured; NPU targets have none.
fn estimate_for(info: &RunInfo, row: &MeasurementRow, metric: Metric) -> Option<Cost> {
    let core = Place::of(&row.place).core()?;
    let is_it = |name: &str| {
        let target = target::find(name).ok();
        target.is_some_and(|target| target.cpu.core == core && target.npu.is_none())
    };
    let idx = info.targets.iter().position(|target| is_it(&target.name))?;
    let trial = info
        .scored
        .iter()
        .find(|trial| trial.trial as i64 == row.number)?;
    trial.cost(idx, metric)
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
    }
}
