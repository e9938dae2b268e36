//! `nas measure`: runs found models as firmware, in an emulator or on a board, and stores the results.

use clap::ValueEnum;

use super::{Exit, Failure, Global, open, out};
use nas::{
    evaluate::Model,
    hardware::CostSource,
    measure::{Bench, Limit, Measurement, Place},
    report::{self, json::MeasuredDocument, text::measured::MeasuredTable},
    run::utc_now,
    store::{CyclesRow, MeasurementRow, Run, Store},
    units::{Count, Span},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A trial of a run, for example latest/17; a run with --front
    #[arg(value_name = "RUN[/TRIAL]")]
    what: String,
    /// Measure all members of the run's fronts
    #[arg(long)]
    front: bool,
    /// Where to run: an emulated core, or a board behind a debug probe
    #[arg(long, value_enum)]
    on: On,
    /// The board's chip, for example STM32H743ZITx
    #[arg(long, required_if_eq("on", "probe"))]
    chip: Option<String>,
    /// In an emulator, give up on a model that has not ended after so many instructions
    #[arg(long, value_name = "COUNT", default_value = INSTRUCTIONS)]
    limit: Count,
    /// On a board, give up on a model that has not ended by then
    #[arg(long, value_name = "TIME", default_value = "60s")]
    timeout: Span,
}

/// Instructions after which an emulated model is given up: many times what the largest that fits a board takes.
pub const INSTRUCTIONS: &str = "20G";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum On {
    QemuM7,
    QemuM55,
    Probe,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let (selector, number) = open::run_and_trial(&self.what)?;
        let mut store = open::writable_store(global)?;
        let run = store.find_run(selector)?;
        let numbers = self.trials(&store, &run, selector, number)?;
        let place = match (self.on, &self.chip) {
            (On::QemuM7, _) => Place::QemuM7,
            (On::QemuM55, _) => Place::QemuM55,
            (On::Probe, chip) => Place::Probe {
                chip: chip.clone().unwrap_or_default(),
            },
        };
        let limit = Limit {
            instructions: self.limit.0,
            time: self.timeout.0,
        };
        let mut bench = open_bench(global, &place, limit)?;
        let mut rows = Vec::new();
        for number in numbers {
            let model = Model::read(&open::model_folder(global, &store, &run, number)?)?;
            let row = row(number, bench.measure(&model.blob)?);
            store.record_measurement(run.id, &row)?;
            rows.push(row);
        }
        if global.json {
            out::print(report::json::render(&MeasuredDocument::new(&rows)))?;
        } else {
            let mut info = report::load(&store, &run)?;
            info.measurements = rows.clone();
            let table = MeasuredTable::new(&info).map(MeasuredTable::show);
            out::print(table.unwrap_or_default())?;
        }
        match rows.iter().filter(|row| !row.outputs_match).count() {
            0 => Ok(()),
            different => Err(Failure::plain(format!(
                "{different} of {} models gave other outputs than on the host",
                rows.len()
            ))),
        }
    }

    /// The trials to measure.
    fn trials(
        &self,
        store: &Store,
        run: &Run,
        selector: &str,
        number: Option<u64>,
    ) -> Result<Vec<u64>, Failure> {
        match (number, self.front) {
            (Some(number), false) => Ok(vec![number]),
            (Some(_), true) => Err(Failure::usage(format!(
                "`--front` measures a whole run; write `nas measure {selector} --front`"
            ))),
            (None, false) => Err(Failure::usage(format!(
                "give a trial, for example {selector}/17, or add `--front`"
            ))),
            (None, true) => {
                let fronts = store.fronts(run.id)?.into_iter();
                let mut numbers: Vec<u64> = fronts
                    .flat_map(|(_, numbers)| numbers)
                    .map(|number| number as u64)
                    .collect();
                numbers.sort();
                numbers.dedup();
                if numbers.is_empty() {
                    let nobody = anyhow::anyhow!("run {} has no front yet", run.name);
                    return Err(Failure::new(Exit::Failure, nobody));
                }
                Ok(numbers)
            }
        }
    }
}

/// A bench whose images lie beside the store.
pub fn open_bench(global: &Global, place: &Place, limit: Limit) -> Result<Bench, Failure> {
    let folder = global.images();
    let note = |text: &str| global.note(text);
    Ok(Bench::open(place, &folder, limit, &note)?)
}

fn row(number: u64, seen: Measurement) -> MeasurementRow {
    let cycles = seen.cycles.map(|(value, source)| CyclesRow {
        value: value as i64,
        source: CostSource::name(source).to_string(),
    });
    MeasurementRow {
        number: number as i64,
        place: seen.on,
        outputs_match: seen.outputs_match,
        instructions: seen.instructions.map(|count| count as i64),
        cycles,
        hop_instructions: seen.hop_instructions.map(|count| count as i64),
        arena_bytes: seen.arena_bytes as i64,
        front_end_bytes: seen.front_end_bytes.map(|bytes| bytes as i64),
        stack_bytes: seen.stack_bytes as i64,
        text_bytes: seen.image.text as i64,
        rodata_bytes: seen.image.rodata as i64,
        data_bytes: seen.image.data as i64,
        bss_bytes: seen.image.bss as i64,
        model_bytes: seen.model_bytes as i64,
        version: env!("CARGO_PKG_VERSION").to_string(),
        measured_utc: utc_now(),
    }
}
