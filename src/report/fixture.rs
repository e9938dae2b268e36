//! Invented runs for the tests of this module.

use super::{Costs, RejectedTrial, RunInfo, ScoredTrial, TargetInfo, TrialCounts};
use crate::{
    hardware::{Budget, Cost, CostSource, Metric},
    run::Objective,
    score::{ClipIntervals, Figure, Figures, Measure},
    space::Task,
    store::{CyclesRow, MeasurementRow},
    units::Rng,
};

/// What kind of run to invent.
#[derive(Debug, Clone, Copy)]
pub struct Fake {
    pub trained: u64,
    pub rejected: u64,
    pub targets: usize,
    pub synthetic: bool,
    pub limits: bool,
    /// Decades of cost between the smallest and the largest candidate.
    pub spread: f64,
    /// All candidates are the same.
    pub equal: bool,
    /// Odd names, several sources, numbers that are none.
    pub hostile: bool,
}

impl Fake {
    pub const COMMON: Fake = Fake {
        trained: 60,
        rejected: 300,
        targets: 1,
        synthetic: false,
        limits: true,
        spread: 1.7,
        equal: false,
        hostile: false,
    };
}

/// A run whose larger networks are better by and large, with its true front and hypervolumes.
pub fn fake_run(fake: &Fake) -> RunInfo {
    let mut rng = Rng::new(7, 0);
    let names = ["u55", "m7", "m55"];
    let mut scored = Vec::new();
    let mut rejected = Vec::new();
    let trials = fake.trained + fake.rejected;
    for trial in 1..=trials {
        let size = if fake.equal { 0.5 } else { rng.uniform() };
        let left = fake.trained - scored.len() as u64;
        let trained = rng.below((trials - trial + 1) as usize) < left as usize;
        // Whatever is over budget is larger than whatever is not.
        let size = if trained { size } else { 1.05 + 0.8 * size };
        let scale = 10f64.powf(fake.spread * size);
        let mut noise = || match fake.equal {
            true => 1.0,
            false => 2f64.powf(0.7 * rng.normal()).min(1.0 + scale),
        };
        let limited = |value: f64, limit: f64| match trained && fake.limits {
            true => value.min(limit),
            false => value,
        };
        let macs = 60e3 * scale * noise();
        let ram = limited(4600.0 * scale * noise(), 262144.0).round();
        let flash = limited(9800.0 * scale * noise(), 1048576.0).round();
        let latency = limited(300.0 * scale * noise(), 20e3);
        let costs = (0..fake.targets)
            .map(|target_idx| {
                let slow = [1.0, 18.0, 4.0][target_idx.min(2)];
                let source = match (fake.hostile, trial % 3) {
                    (true, 0) => CostSource::Measured,
                    (true, 1) => CostSource::Emulated,
                    _ => CostSource::Estimated,
                };
                let band = |value: f64, share: f64| Cost {
                    value,
                    low: value * (1.0 - share),
                    high: value * (1.0 + share),
                    source,
                };
                let broken = fake.hostile && trial % 7 == 0;
                Costs {
                    ram_bytes: Some(Cost::exact(ram, source)),
                    flash_bytes: (!fake.hostile).then(|| Cost::exact(flash, source)),
                    latency_us: Some(band(if broken { f64::NAN } else { latency * slow }, 0.2)),
                    energy_uj: Some(band(latency * 0.9, 0.35)),
                    real_time: None,
                    power: None,
                }
            })
            .collect();
        if !trained {
            let macs = macs as u64;
            rejected.push(RejectedTrial { trial, macs, costs });
            continue;
        }
        let skill = if fake.equal { 0.0 } else { rng.normal() };
        let auc = (0.62 + 0.26 * size.sqrt() + 0.05 * skill).clamp(0.4, 0.998);
        let broken = fake.hostile && trial % 5 == 0;
        scored.push(ScoredTrial {
            trial,
            space: [
                "dense-autoencoder",
                "conv-autoencoder",
                "mobilenet-v2",
                "ds-cnn",
            ][rng.below(4)]
            .to_string(),
            task: match rng.below(2) {
                0 => Task::Reconstruct,
                _ => Task::Classify { classes: 3 },
            },
            is_fitted: false,
            figures: Figures::default()
                .with(Figure::AUC, if broken { f64::NAN } else { auc })
                .with(Figure::steering(Measure::Pauc), 0.4 + auc / 4.0)
                .with(Figure::AUC_FLOAT, auc + 0.004)
                .with(Figure::float(Measure::Pauc), 0.41 + auc / 4.0)
                .with(
                    Figure::test(Measure::Auc),
                    (!fake.hostile).then_some(auc - 0.02),
                )
                .with(Figure::steering(Measure::Accuracy), auc - 0.1),
            intervals: ClipIntervals::new(),
            hears: None,
            seeds: None,
            macs: macs as u64,
            params: (flash * 0.8) as u64,
            costs,
        });
    }
    let budget = match fake.limits {
        true => Budget {
            ram_bytes: Some(262144.0),
            latency_us: Some(20e3),
            ..Budget::default()
        },
        false => Budget::default(),
    };
    let targets = (0..fake.targets).map(|idx| {
        let front = front(&scored, idx);
        let mut best = 0.0;
        let hypervolumes = scored.iter().map(|trial| {
            if front.contains(&trial.trial) {
                best += 0.6 / front.len() as f64;
            }
            (trial.trial, best)
        });
        TargetInfo {
            name: names[idx % 3].to_string(),
            budget,
            hypervolumes: hypervolumes.collect(),
            front,
            ties: Vec::new(),
            reference: vec![
                (Objective::AUC, 0.5),
                (Objective::Cost(Metric::Latency), 20e3),
                (Objective::Cost(Metric::Ram), 262144.0),
            ],
        }
    });
    let (run, data) = match fake.hostile {
        true => (
            "<b>\u{1}\n&\"very long \u{202e}name\" ".repeat(9),
            "\t/data/".repeat(40),
        ),
        false => ("brave-fan".to_string(), "toycar-ad01".to_string()),
    };
    RunInfo {
        run,
        data: match fake.synthetic {
            true => "synthetic:fan".to_string(),
            false => data,
        },
        synthetic: fake.synthetic,
        steered: None,
        published: false,
        counts: TrialCounts {
            scored: fake.trained,
            fitted: 0,
            rejected: fake.rejected,
            failed: 0,
        },
        targets: targets.collect(),
        baselines: baselines(&scored),
        scored,
        rejected,
        measurements: Vec::new(),
        notes: match fake.hostile {
            true => {
                vec!["only 2 normal and 2 anomalous test clips: too few to mean anything".into()]
            }
            false => Vec::new(),
        },
    }
}

/// The first trials under the names of baselines.
fn baselines(scored: &[ScoredTrial]) -> Vec<ScoredTrial> {
    let named = |(trial, name): (&ScoredTrial, &str)| ScoredTrial {
        space: name.to_string(),
        ..trial.clone()
    };
    scored
        .iter()
        .zip(["dcase-ae", "mimii-ae"])
        .map(named)
        .collect()
}

/// Two trials on two targets; every number is easy to tell from every other.
pub fn small_run() -> RunInfo {
    let exact = |value| Some(Cost::exact(value, CostSource::Estimated));
    let costs = |ram: f64, latency: f64, source: CostSource| Costs {
        ram_bytes: exact(ram),
        flash_bytes: exact(90000.4),
        latency_us: Some(Cost {
            value: latency,
            low: 0.8 * latency,
            high: 1.25 * latency,
            source,
        }),
        energy_uj: None,
        real_time: None,
        power: None,
    };
    let first = ScoredTrial {
        trial: 4,
        space: "ds-cnn".to_string(),
        task: Task::Classify { classes: 3 },
        is_fitted: false,
        figures: Figures::default()
            .with(Figure::AUC, 0.875)
            .with(Figure::steering(Measure::Pauc), 0.625)
            .with(Figure::AUC_FLOAT, 0.9),
        intervals: ClipIntervals::from([(Figure::AUC, [0.75, 1.0])]),
        hears: None,
        seeds: None,
        macs: 1_500_000,
        params: 52_000,
        costs: vec![
            costs(65536.0, 2000.0, CostSource::Estimated),
            costs(65536.0, 40000.0, CostSource::Measured),
        ],
    };
    let second = ScoredTrial {
        trial: 9,
        space: "dense-ae".to_string(),
        task: Task::Reconstruct,
        is_fitted: false,
        figures: first
            .figures
            .with(Figure::AUC, 0.75)
            .with(Figure::test(Measure::Auc), f64::NAN),
        intervals: ClipIntervals::new(),
        hears: None,
        seeds: None,
        macs: 300_000,
        params: 290_000,
        costs: vec![
            costs(8192.0, 1000.0, CostSource::Estimated),
            costs(8192.0, 50000.0, CostSource::Estimated),
        ],
    };
    let target = |name: &str, front: Vec<u64>| TargetInfo {
        name: name.to_string(),
        budget: Budget {
            ram_bytes: Some(131072.0),
            ..Budget::default()
        },
        front,
        ties: Vec::new(),
        hypervolumes: vec![(4, 0.25), (9, 0.5)],
        reference: vec![
            (Objective::AUC, 0.5),
            (Objective::Cost(Metric::Latency), 20000.0),
        ],
    };
    RunInfo {
        run: "brave-fan".to_string(),
        data: "synthetic:fan".to_string(),
        synthetic: true,
        steered: None,
        published: false,
        counts: TrialCounts {
            scored: 2,
            fitted: 0,
            rejected: 7,
            failed: 1,
        },
        targets: vec![target("u55", vec![4, 9]), target("m7", vec![4])],
        scored: vec![first, second],
        baselines: Vec::new(),
        rejected: Vec::new(),
        measurements: Vec::new(),
        notes: vec!["too few clips".to_string()],
    }
}

/// Trials that no other trial beats in AUC, latency and RAM at once.
fn front(scored: &[ScoredTrial], target_idx: usize) -> Vec<u64> {
    let key = |trial: &ScoredTrial| {
        let cost = |cost| trial.cost(target_idx, cost).map_or(f64::NAN, |q| q.value);
        [
            1.0 - trial.figures.get(Figure::AUC).unwrap_or(0.0),
            cost(Metric::Latency),
            cost(Metric::Ram),
        ]
    };
    let beats = |a: [f64; 3], b: [f64; 3]| a != b && a.iter().zip(b).all(|(a, b)| *a <= b);
    let member = |trial: &&ScoredTrial| !scored.iter().any(|other| beats(key(other), key(trial)));
    scored.iter().filter(member).map(|t| t.trial).collect()
}

/// Trial 4 on an emulated Cortex-M7.
pub fn measurement() -> MeasurementRow {
    MeasurementRow {
        number: 4,
        place: "qemu-m7".to_string(),
        outputs_match: true,
        instructions: Some(4_000_000),
        cycles: Some(CyclesRow {
            value: 3_000_000,
            source: "estimated".to_string(),
        }),
        hop_instructions: None,
        arena_bytes: 60_000,
        front_end_bytes: None,
        stack_bytes: 1_500,
        text_bytes: 40_000,
        rodata_bytes: 4_000,
        data_bytes: 0,
        bss_bytes: 8,
        model_bytes: 52_000,
        version: "0.1.0".to_string(),
        measured_utc: "2026-01-01T00:00:00Z".to_string(),
    }
}
