//! Documents for programs; `docs/json.md` describes them.
//!
//! These are view types: what is not here is no promise, and a change that breaks a reader raises
//! [`SCHEMA_VERSION`].

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Costs, Figures, RunInfo, ScoredTrial, TargetInfo, TrialCounts};
use crate::space::Task;
use crate::store::MeasurementRow;
use crate::target::{Budget, Cost, CostSource, Metric};

/// The version that every document carries.
pub const SCHEMA_VERSION: u32 = 1;

/// What `nas front RUN --json` prints, and `nas search --json` ends with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FrontDocument {
    pub schema_version: u32,
    pub run: String,
    pub data: String,
    pub synthetic: bool,
    pub targets: Vec<String>,
    pub trials: TrialsView,
    /// Of the first target, which steers the search.
    pub hypervolume: Option<f64>,
    /// Per target.
    pub hypervolumes: BTreeMap<String, HypervolumeView>,
    /// Per target.
    pub budgets: BTreeMap<String, LimitsView>,
    /// Trials on the front of at least one target, best AUC of the first target's front first.
    pub front: Vec<FrontMember>,
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TrialsView {
    pub scored: u64,
    pub rejected: u64,
    pub failed: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HypervolumeView {
    pub value: Option<f64>,
    /// The reference point: objective to value.
    pub reference: BTreeMap<&'static str, f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LimitsView {
    pub ram_bytes: Option<u64>,
    pub flash_bytes: Option<u64>,
    pub latency_us: Option<f64>,
    pub energy_uj: Option<f64>,
    pub macs: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FrontMember {
    pub trial: u64,
    pub space: String,
    pub task: &'static str,
    pub auc_int8: Option<f64>,
    pub pauc_int8: Option<f64>,
    pub auc_float: Option<f64>,
    pub test_auc_int8: Option<f64>,
    pub test_pauc_int8: Option<f64>,
    pub macs: u64,
    pub params: u64,
    /// The targets on whose front the trial is.
    pub on_front: Vec<String>,
    /// Per target.
    pub costs: BTreeMap<String, CostsView>,
    /// Per target how likely the budget is kept, where the band of a cost crosses it.
    pub fit_probability: BTreeMap<String, f64>,
    /// What was seen when the model ran as firmware, one per place.
    pub measurements: Vec<MeasurementView>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CostsView {
    pub ram_bytes: Option<CostView<u64>>,
    pub flash_bytes: Option<CostView<u64>>,
    pub latency_us: Option<CostView<f64>>,
    pub energy_uj: Option<CostView<f64>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CostView<T> {
    pub value: T,
    pub source: &'static str,
    pub low: T,
    pub high: T,
}

/// What was seen when a model ran as firmware.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasurementView {
    /// `qemu-m7`, `qemu-m55` or the name of a chip.
    pub on: String,
    /// `emulated` or `measured`.
    pub source: &'static str,
    pub outputs_match: bool,
    /// Of one inference; null on a chip.
    pub instructions: Option<u64>,
    /// Of one inference.
    pub cycles: Option<CyclesView>,
    /// Of one hop of the front end with what it leads to.
    pub hop_instructions: Option<u64>,
    pub arena_bytes: u64,
    pub front_end_bytes: Option<u64>,
    pub stack_bytes: u64,
    /// Static data, arena, front end and stack.
    pub ram_bytes: u64,
    /// Code, constants and model.
    pub flash_bytes: u64,
    pub image: ImageView,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CyclesView {
    pub value: u64,
    /// `estimated` (scheduled instructions) or `measured`.
    pub source: String,
}

/// Bytes of a linked image by section, and of the model beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ImageView {
    pub text_bytes: u64,
    pub rodata_bytes: u64,
    pub data_bytes: u64,
    pub bss_bytes: u64,
    pub model_bytes: u64,
}

/// A member of the list that `nas measure --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeasuredView {
    pub trial: u64,
    pub on: String,
    pub outputs_match: bool,
    pub instructions: Option<u64>,
    pub arena_bytes: u64,
    pub stack_bytes: u64,
    pub image: ImageView,
}

/// What `nas baseline NAME --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BaselineDocument {
    pub schema_version: u32,
    pub name: String,
    pub data: String,
    pub synthetic: bool,
    pub task: &'static str,
    pub auc_float: Option<f64>,
    pub auc_int8: Option<f64>,
    pub pauc_float: Option<f64>,
    pub pauc_int8: Option<f64>,
    pub test_auc_int8: Option<f64>,
    pub test_pauc_int8: Option<f64>,
    pub params: u64,
    pub macs: u64,
    /// Per target.
    pub costs: BTreeMap<String, CostsView>,
}

/// What `nas compare-approaches --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BaselinesDocument {
    pub schema_version: u32,
    pub run: String,
    pub approaches: Vec<BaselineDocument>,
}

/// What `nas runs --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunsDocument {
    pub schema_version: u32,
    /// Newest first.
    pub runs: Vec<RunView>,
}

/// One line of a list of runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
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

/// What `nas show RUN/TRIAL --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrialDocument {
    pub schema_version: u32,
    pub run: String,
    pub data: String,
    pub synthetic: bool,
    pub trial: u64,
    /// `scored`, `rejected`, `failed`.
    pub state: &'static str,
    pub space: String,
    pub task: &'static str,
    pub seed: u64,
    /// The chosen value of every axis of the space.
    pub axes: BTreeMap<String, String>,
    pub front_end: FrontEndView,
    pub macs: u64,
    pub params: u64,
    pub figures: Option<FiguresView>,
    /// Figures per machine, section and domain, on the clips that steer.
    pub groups: Vec<GroupView>,
    /// Per target.
    pub costs: BTreeMap<String, CostsView>,
    /// What was seen when the model ran as firmware, one per place.
    pub measurements: Vec<MeasurementView>,
    /// Share of each exceeded budget, such as 0.5 for half as much again; only where the trial was rejected.
    pub excess: BTreeMap<String, f64>,
    /// Only where the trial failed.
    pub error: Option<String>,
    /// The network, operator by operator.
    pub operators: Vec<OperatorView>,
    /// Files that belong to the trial, relative to the store's folder.
    pub files: Vec<String>,
}

/// What `nas score --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoresDocument {
    pub schema_version: u32,
    /// The trial whose model scored.
    pub model: String,
    pub synthetic: bool,
    /// A clip with a higher score is called anomalous.
    pub threshold: Option<f64>,
    /// Over the labelled test clips.
    pub auc_int8: Option<f64>,
    pub pauc_int8: Option<f64>,
    /// Of DCASE, and half the width of its 95 % interval.
    pub official_score: Option<f64>,
    pub official_half_width: Option<f64>,
    /// Where a least recall was asked for.
    pub operating_point: Option<OperatingPointView>,
    pub clips: Vec<ClipView>,
}

/// What a threshold does to the labelled test clips.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OperatingPointView {
    pub threshold: f64,
    pub recall: f64,
    pub precision: f64,
    pub false_alarm_rate: f64,
    pub false_alarms_per_day: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClipView {
    pub file: String,
    pub score: f64,
    pub anomalous: Option<bool>,
    /// `normal`, `anomaly`, or null where nobody says.
    pub label: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FiguresView {
    pub auc_int8: Option<f64>,
    pub pauc_int8: Option<f64>,
    pub auc_float: Option<f64>,
    pub test_auc_int8: Option<f64>,
    pub test_pauc_int8: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FrontEndView {
    pub sample_rate_hz: u32,
    pub n_fft: usize,
    pub hop_length: usize,
    pub n_mels: usize,
    /// Coefficients per frame where the features are MFCCs.
    pub mfcc: Option<usize>,
    pub frames: usize,
    pub frame_stride: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupView {
    pub machine: String,
    pub section: String,
    /// `source`, `target`, or null for the whole section.
    pub domain: Option<String>,
    pub auc_int8: Option<f64>,
    pub pauc_int8: Option<f64>,
    pub normals: usize,
    pub anomalies: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OperatorView {
    /// TFLite's name.
    pub operator: String,
    /// Height, width, channels.
    pub output: [usize; 3],
    pub macs: u64,
    pub params: u64,
}

impl BaselineDocument {
    pub fn new(info: &RunInfo, trial: &ScoredTrial) -> BaselineDocument {
        let names = info.targets.iter().map(|target| target.name.clone());
        BaselineDocument {
            schema_version: SCHEMA_VERSION,
            name: trial.space.clone(),
            data: info.data.clone(),
            synthetic: info.synthetic,
            task: task_name(trial.task),
            auc_float: trial.figures.auc_float,
            auc_int8: trial.figures.auc_int8,
            pauc_float: trial.figures.pauc_float,
            pauc_int8: trial.figures.pauc_int8,
            test_auc_int8: trial.figures.test_auc_int8,
            test_pauc_int8: trial.figures.test_pauc_int8,
            params: trial.params,
            macs: trial.macs,
            costs: names.zip(trial.costs.iter().map(CostsView::from)).collect(),
        }
    }
}

impl BaselinesDocument {
    pub fn new(info: &RunInfo) -> BaselinesDocument {
        let document = |trial| BaselineDocument::new(info, trial);
        BaselinesDocument {
            schema_version: SCHEMA_VERSION,
            run: info.run.clone(),
            approaches: info.scored.iter().map(document).collect(),
        }
    }
}

impl FrontDocument {
    pub fn new(info: &RunInfo) -> FrontDocument {
        let mut on_fronts: Vec<(u64, String)> = Vec::new();
        for (target_idx, target) in info.targets.iter().enumerate() {
            let members = info.front(target_idx).into_iter();
            on_fronts.extend(members.map(|member| (member.trial, target.name.clone())));
        }
        let mut front: Vec<FrontMember> = Vec::new();
        for (number, _) in &on_fronts {
            let known = front.iter().any(|member| member.trial == *number);
            let trial = info.scored.iter().find(|trial| trial.trial == *number);
            let Some(trial) = trial.filter(|_| !known) else {
                continue;
            };
            let names = info.targets.iter().map(|target| target.name.clone());
            let costs = trial.costs.iter().map(CostsView::from);
            let own = on_fronts.iter().filter(|(trial, _)| trial == number);
            let fit = |(target_idx, target): (usize, &TargetInfo)| {
                let (probability, _) = info.fit(trial, target_idx)?;
                Some((target.name.clone(), probability))
            };
            front.push(FrontMember {
                trial: trial.trial,
                space: trial.space.clone(),
                task: task_name(trial.task),
                auc_int8: trial.figures.auc_int8,
                pauc_int8: trial.figures.pauc_int8,
                auc_float: trial.figures.auc_float,
                test_auc_int8: trial.figures.test_auc_int8,
                test_pauc_int8: trial.figures.test_pauc_int8,
                macs: trial.macs,
                params: trial.params,
                on_front: own.map(|(_, target)| target.clone()).collect(),
                costs: names.zip(costs).collect(),
                fit_probability: info.targets.iter().enumerate().filter_map(fit).collect(),
                measurements: measurements_of(&info.measurements, *number),
            });
        }
        let by_target = || info.targets.iter().map(|target| target.name.clone());
        FrontDocument {
            schema_version: SCHEMA_VERSION,
            run: info.run.clone(),
            data: info.data.clone(),
            synthetic: info.synthetic,
            targets: by_target().collect(),
            trials: info.counts.into(),
            hypervolume: info.targets.first().and_then(TargetInfo::hypervolume),
            hypervolumes: by_target()
                .zip(info.targets.iter().map(HypervolumeView::from))
                .collect(),
            budgets: by_target()
                .zip(info.targets.iter().map(|t| LimitsView::from(&t.budget)))
                .collect(),
            front,
            notes: info.notes.clone(),
        }
    }
}

impl RunsDocument {
    pub fn new(runs: Vec<RunView>) -> RunsDocument {
        RunsDocument {
            schema_version: SCHEMA_VERSION,
            runs,
        }
    }
}

/// The measurements of one trial.
pub fn measurements_of(rows: &[MeasurementRow], trial: u64) -> Vec<MeasurementView> {
    let own = rows.iter().filter(|row| row.number as u64 == trial);
    own.map(MeasurementView::from).collect()
}

/// A document as text, indented, with a line break at its end. Numbers that JSON cannot say are null.
pub fn render<T: Serialize>(document: &T) -> String {
    let text = serde_json::to_string_pretty(document);
    // Only maps with keys that are not text fail, and there are none here.
    text.expect("documents have text keys") + "\n"
}

/// The task's name in documents.
pub const fn task_name(task: Task) -> &'static str {
    match task {
        Task::Reconstruct => "reconstruct",
        Task::Classify { .. } => "classify",
    }
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

impl From<&MeasurementRow> for MeasurementView {
    fn from(row: &MeasurementRow) -> MeasurementView {
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

impl From<TrialCounts> for TrialsView {
    fn from(counts: TrialCounts) -> TrialsView {
        TrialsView {
            scored: counts.scored,
            rejected: counts.rejected,
            failed: counts.failed,
        }
    }
}

impl From<&TargetInfo> for HypervolumeView {
    fn from(target: &TargetInfo) -> HypervolumeView {
        let reference = target.reference.iter();
        HypervolumeView {
            value: target.hypervolume(),
            reference: reference
                .map(|(objective, value)| (objective.key(), *value))
                .collect(),
        }
    }
}

impl From<&Budget> for LimitsView {
    fn from(limits: &Budget) -> LimitsView {
        let whole = |cost: Metric| limits.limit(cost).map(|limit| limit.round() as u64);
        LimitsView {
            ram_bytes: whole(Metric::Ram),
            flash_bytes: whole(Metric::Flash),
            latency_us: limits.latency_us,
            energy_uj: limits.energy_uj,
            macs: whole(Metric::Macs),
        }
    }
}

impl From<&Figures> for FiguresView {
    fn from(figures: &Figures) -> FiguresView {
        FiguresView {
            auc_int8: figures.auc_int8,
            pauc_int8: figures.pauc_int8,
            auc_float: figures.auc_float,
            test_auc_int8: figures.test_auc_int8,
            test_pauc_int8: figures.test_pauc_int8,
        }
    }
}

impl From<&Costs> for CostsView {
    fn from(costs: &Costs) -> CostsView {
        CostsView {
            ram_bytes: costs
                .ram_bytes
                .map(|q| view(q, |value| value.round() as u64)),
            flash_bytes: costs
                .flash_bytes
                .map(|q| view(q, |value| value.round() as u64)),
            latency_us: costs.latency_us.map(|q| view(q, |value| value)),
            energy_uj: costs.energy_uj.map(|q| view(q, |value| value)),
        }
    }
}

fn view<T>(quantity: Cost, number: impl Fn(f64) -> T) -> CostView<T> {
    CostView {
        value: number(quantity.value),
        source: CostSource::name(quantity.source),
        low: number(quantity.low),
        high: number(quantity.high),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::report::fixture::{measurement, small_run};

    #[test]
    fn the_front_is_the_documented_document() {
        let exact = |value: u64| json!({"value": value, "source": "estimated", "low": value, "high": value});
        let expected = json!({
            "schema_version": 1,
            "run": "brave-fan",
            "data": "synthetic:fan",
            "synthetic": true,
            "targets": ["u55", "m7"],
            "trials": {"scored": 2, "rejected": 7, "failed": 1},
            "hypervolume": 0.5,
            "hypervolumes": {
                "u55": {"value": 0.5, "reference": {"one_minus_auc_int8": 0.5, "latency_us": 20000.0}},
                "m7": {"value": 0.5, "reference": {"one_minus_auc_int8": 0.5, "latency_us": 20000.0}},
            },
            "front": [
                {
                    "trial": 4, "space": "ds-cnn", "task": "classify", "auc_int8": 0.875, "pauc_int8": 0.625,
                    "auc_float": 0.9, "test_auc_int8": null, "test_pauc_int8": null,
                    "macs": 1500000, "params": 52000, "on_front": ["u55", "m7"],
                    "costs": {
                        "u55": {
                            "ram_bytes": exact(65536), "flash_bytes": exact(90000),
                            "latency_us": {"value": 2000.0, "source": "estimated", "low": 1600.0, "high": 2500.0},
                            "energy_uj": null,
                        },
                        "m7": {
                            "ram_bytes": exact(65536), "flash_bytes": exact(90000),
                            "latency_us": {"value": 40000.0, "source": "measured", "low": 32000.0, "high": 50000.0},
                            "energy_uj": null,
                        },
                    },
                    "fit_probability": {},
                    "measurements": [],
                },
                {
                    "trial": 9, "space": "dense-ae", "task": "reconstruct", "auc_int8": 0.75, "pauc_int8": 0.625,
                    "auc_float": 0.9, "test_auc_int8": null, "test_pauc_int8": null,
                    "macs": 300000, "params": 290000, "on_front": ["u55"],
                    "costs": {
                        "u55": {
                            "ram_bytes": exact(8192), "flash_bytes": exact(90000),
                            "latency_us": {"value": 1000.0, "source": "estimated", "low": 800.0, "high": 1250.0},
                            "energy_uj": null,
                        },
                        "m7": {
                            "ram_bytes": exact(8192), "flash_bytes": exact(90000),
                            "latency_us": {"value": 50000.0, "source": "estimated", "low": 40000.0, "high": 62500.0},
                            "energy_uj": null,
                        },
                    },
                    "fit_probability": {},
                    "measurements": [],
                },
            ],
            "budgets": {
                "u55": {"ram_bytes": 131072, "flash_bytes": null, "latency_us": null, "energy_uj": null, "macs": null},
                "m7": {"ram_bytes": 131072, "flash_bytes": null, "latency_us": null, "energy_uj": null, "macs": null},
            },
            "notes": ["too few clips"],
        });
        let text = render(&FrontDocument::new(&small_run()));
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    }

    /// `docs/json.md` names every key, so that no key is added in silence.
    #[test]
    fn every_key_is_documented() {
        fn keys(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    for (key, value) in map {
                        found.push(key.clone());
                        keys(value, found);
                    }
                }
                Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
                _ => {}
            }
        }
        let info = small_run();
        let run = RunView {
            run: info.run.clone(),
            started: String::new(),
            state: String::new(),
            data: String::new(),
            synthetic: true,
            targets: Vec::new(),
            sampler: String::new(),
            seed: 0,
            trials: info.counts.into(),
            best_auc_int8: None,
            hypervolume: None,
        };
        let trial = TrialDocument {
            schema_version: SCHEMA_VERSION,
            run: String::new(),
            data: String::new(),
            synthetic: true,
            trial: 4,
            state: "scored",
            space: String::new(),
            task: task_name(info.scored[0].task),
            seed: 0,
            axes: BTreeMap::new(),
            front_end: FrontEndView {
                sample_rate_hz: 16000,
                n_fft: 1024,
                hop_length: 512,
                n_mels: 64,
                mfcc: None,
                frames: 5,
                frame_stride: 1,
            },
            macs: 0,
            params: 0,
            figures: Some((&info.scored[0].figures).into()),
            groups: vec![GroupView {
                machine: String::new(),
                section: String::new(),
                domain: None,
                auc_int8: None,
                pauc_int8: None,
                normals: 0,
                anomalies: 0,
            }],
            costs: BTreeMap::new(),
            measurements: vec![MeasurementView::from(&measurement())],
            excess: BTreeMap::new(),
            error: None,
            operators: vec![OperatorView {
                operator: String::new(),
                output: [1, 1, 1],
                macs: 0,
                params: 0,
            }],
            files: Vec::new(),
        };
        let mut found = Vec::new();
        for text in [
            render(&FrontDocument::new(&info)),
            render(&RunsDocument::new(vec![run])),
            render(&trial),
            render(&[MeasuredView::from(&measurement())]),
        ] {
            keys(&serde_json::from_str(&text).unwrap(), &mut found);
        }
        let documentation = include_str!("../../docs/json.md");
        for key in found
            .iter()
            .filter(|key| !["u55", "m7"].contains(&key.as_str()))
        {
            assert!(documentation.contains(&format!("`{key}`")), "{key}");
        }
    }
}
