//! From the store to the plain facts that reports show.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Costs, Figures, RejectedTrial, ReportError, RunInfo, ScoredTrial, TargetInfo, TrialCounts,
    json::{
        CostsView, FiguresView, GroupView, OperatorView, RescoredView, RunView, SCHEMA_VERSION,
        TrialDocument, TrialsView, measurements_of,
    },
    seeds,
};
use crate::{
    graph::{Function, OpKind},
    run::{Details, Merit, Settings, Yardstick, stored_estimate},
    search::hypervolume,
    space::{Candidate, Covariance, Fit, Genome, Spaces, Task},
    store::{EvaluationRow, Run, Store, TrialOutcome, TrialRow},
    target::{self, Budget, Estimate, Target},
};

/// All that figures and tables show of a run.
pub fn load(store: &Store, run: &Run) -> Result<RunInfo, ReportError> {
    let settings = Settings::from_json(&run.settings_json)?;
    let mut info = load_alone(store, run)?;
    let references = super::baselines::references(&info);
    info.baselines = super::baselines::load(store, run, &settings.targets()?, &settings.budget)?;
    info.baselines.extend(references);
    Ok(info)
}

/// As [`load`], without the baselines, for which every run of the store is looked at.
fn load_alone(store: &Store, run: &Run) -> Result<RunInfo, ReportError> {
    let yardstick = Yardstick::of(run)?;
    let Yardstick {
        targets,
        budget,
        objectives,
        references,
    } = &yardstick;
    let rows = store.trials(run.id)?;
    let evaluations = store.evaluations(run.id)?;
    let trainings = seeds::trainings(store.repeats(run.id)?, &evaluations);
    let fronts: BTreeMap<String, Vec<i64>> = store.fronts(run.id)?.into_iter().collect();
    let counts = store.counts(run.id)?;

    let mut scored = Vec::new();
    let mut rejected = Vec::new();
    let mut points: Vec<Vec<(u64, Vec<f64>)>> = vec![Vec::new(); targets.len()];
    for row in &rows {
        let number = row.number as u64;
        let on_target = |target: &Target| {
            let estimate = stored_estimate(row, &target.name);
            estimate.map_or(Costs::default(), |e| costs_of(e, target, budget))
        };
        let costs: Vec<Costs> = targets.iter().map(on_target).collect();
        let evaluation = match &row.outcome {
            TrialOutcome::Scored { evaluation_key } => evaluations.get(evaluation_key),
            TrialOutcome::Rejected { .. } => {
                rejected.push(RejectedTrial {
                    trial: number,
                    macs: row.macs as u64,
                    costs,
                });
                continue;
            }
            TrialOutcome::Failed { .. } => None,
        };
        let Some(evaluation) = evaluation else {
            continue;
        };
        let own = Figures::from(evaluation);
        let (figures, seeds) = seeds::figures(own, trainings.get(&row.number));
        let merit = Merit {
            auc_int8: figures.auc_int8.unwrap_or(0.0),
            pauc_int8: figures.pauc_int8.unwrap_or(0.0),
            accuracy_int8: figures.accuracy_int8,
        };
        for (points, point) in points.iter_mut().zip(yardstick.points(row, merit)) {
            points.extend(point.map(|point| (number, point)));
        }
        scored.push(ScoredTrial {
            trial: number,
            space: row.space.clone(),
            task: task_of(&row.task),
            figures,
            seeds,
            macs: row.macs as u64,
            params: row.params as u64,
            costs,
        });
    }

    let is_fit = |trial: &&ScoredTrial| matches!(trial.task, Task::Distance(_));
    let fitted = scored.iter().filter(is_fit).count() as u64;
    let target_info = |(idx, target): (usize, &target::Target)| TargetInfo {
        name: target.name.clone(),
        budget: *budget,
        front: fronts
            .get(&target.name)
            .into_iter()
            .flatten()
            .map(|&number| number as u64)
            .collect(),
        hypervolumes: hypervolumes(&points[idx], objectives.len()),
        reference: objectives
            .iter()
            .copied()
            .zip(references[idx].iter().copied())
            .collect(),
    };
    // What there is to say of hundreds of fits matters where they are of use.
    let of_front: BTreeSet<i64> = fronts.values().flatten().copied().collect();
    let matters = |row: &&TrialRow| row.task != "distance" || of_front.contains(&row.number);
    let keys: BTreeSet<&String> = rows
        .iter()
        .filter(matters)
        .filter_map(|row| match &row.outcome {
            TrialOutcome::Scored { evaluation_key } => Some(evaluation_key),
            _ => None,
        })
        .collect();
    let mut notes = Vec::new();
    for (key, evaluation) in &evaluations {
        if !keys.contains(key) {
            continue;
        }
        if let Ok(details) = serde_json::from_str::<Details>(&evaluation.details_json) {
            notes.extend(details.notes);
        }
    }
    notes.sort();
    notes.dedup();
    Ok(RunInfo {
        run: run.name.clone(),
        data: run.data_name.clone(),
        synthetic: run.synthetic,
        published: super::baselines::is_published(&Settings::from_json(&run.settings_json)?),
        counts: TrialCounts {
            scored: counts.scored - fitted,
            fitted,
            rejected: counts.rejected,
            failed: counts.failed,
        },
        targets: targets.iter().enumerate().map(target_info).collect(),
        scored,
        baselines: Vec::new(),
        rejected,
        measurements: store.measurements(run.id)?,
        notes,
    })
}

/// One line per run, newest first.
pub fn load_runs(store: &Store) -> Result<Vec<RunView>, ReportError> {
    let mut views = Vec::new();
    for run in store.runs()? {
        let info = load_alone(store, &run)?;
        let settings = Settings::from_json(&run.settings_json)?;
        let best = info
            .scored
            .iter()
            .filter_map(|trial| trial.figures.auc_int8);
        views.push(RunView {
            run: run.name,
            started: run.created_utc,
            state: run.state.name().to_string(),
            data: run.data_name,
            synthetic: run.synthetic,
            targets: info
                .targets
                .iter()
                .map(|target| target.name.clone())
                .collect(),
            sampler: settings.sampler,
            seed: settings.seed,
            trials: TrialsView {
                scored: info.counts.scored,
                fitted: info.counts.fitted,
                rejected: info.counts.rejected,
                failed: info.counts.failed,
            },
            best_auc_int8: best.max_by(f64::total_cmp),
            hypervolume: info.targets.first().and_then(TargetInfo::hypervolume),
        });
    }
    Ok(views)
}

/// What a trial proposed, and what its run asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    pub run: String,
    pub spaces: Spaces,
    pub genome: Genome,
    pub candidate: Candidate,
    pub targets: Vec<Target>,
    pub budget: Budget,
}

/// What a trial proposed; `None` where the run has no such trial.
pub fn load_proposal(
    store: &Store,
    run: &Run,
    number: u64,
) -> Result<Option<Proposal>, ReportError> {
    let rows = store.trials(run.id)?;
    let Some(row) = rows.iter().find(|row| row.number as u64 == number) else {
        return Ok(None);
    };
    let settings = Settings::from_json(&run.settings_json)?;
    let spaces = settings.spaces()?;
    let genome = spaces
        .decode_bytes(&row.genome)
        .ok_or(ReportError::Genome { trial: row.number })?;
    Ok(Some(Proposal {
        run: run.name.clone(),
        candidate: spaces.decode(&genome),
        spaces,
        genome,
        targets: settings.targets()?,
        budget: settings.budget,
    }))
}

/// All that is known of one trial; `None` where the run has no such trial.
pub fn load_trial(
    store: &Store,
    run: &Run,
    number: u64,
) -> Result<Option<TrialDocument>, ReportError> {
    let Some(row) = store
        .trials(run.id)?
        .into_iter()
        .find(|row| row.number as u64 == number)
    else {
        return Ok(None);
    };
    let settings = Settings::from_json(&run.settings_json)?;
    let targets = settings.targets()?;
    let candidate = candidate_of(&settings, &row)?;
    let evaluation = match &row.outcome {
        TrialOutcome::Scored { evaluation_key } => store.evaluation(evaluation_key)?,
        TrialOutcome::Rejected { .. } | TrialOutcome::Failed { .. } => None,
    };
    let trainings = seeds::trainings(store.repeats(run.id)?, &store.evaluations(run.id)?);
    let further = evaluation
        .as_ref()
        .and_then(|row| seeds::figures(Figures::from(row), trainings.get(&(number as i64))).1);
    let details = evaluation
        .as_ref()
        .and_then(|e| serde_json::from_str::<Details>(&e.details_json).ok());
    let mut excess = BTreeMap::new();
    if let TrialOutcome::Rejected { .. } = row.outcome {
        for target in &targets {
            let Some(estimate) = stored_estimate(&row, &target.name) else {
                continue;
            };
            for over in settings
                .budget
                .excess(target, &estimate, row.macs as u64)
                .iter()
                .flat_map(|e| &e.0)
            {
                excess.insert(
                    format!("{} {}", target.name, over.what.key()),
                    over.relative(),
                );
            }
        }
    }
    let costs = targets.iter().filter_map(|target| {
        let estimate = stored_estimate(&row, &target.name)?;
        let costs = costs_of(estimate, target, &settings.budget);
        Some((target.name.clone(), CostsView::from(&costs)))
    });
    let budget = |target: &Target| (target.name.clone(), settings.budget);
    let budgets: Vec<(String, Budget)> = targets.iter().map(budget).collect();
    let groups = details.into_iter().flat_map(|details| details.groups);
    let files = evaluation.as_ref().and_then(|e| e.artefacts.clone());
    let file = |folder: String| {
        ["model.tflite", "model.nas", "model.json"].map(|name| format!("{folder}/{name}"))
    };
    Ok(Some(TrialDocument {
        schema_version: SCHEMA_VERSION,
        run: run.name.clone(),
        data: run.data_name.clone(),
        synthetic: run.synthetic,
        trial: number,
        state: match row.outcome {
            TrialOutcome::Scored { .. } => "scored",
            TrialOutcome::Rejected { .. } => "rejected",
            TrialOutcome::Failed { .. } => "failed",
        },
        space: row.space.clone(),
        task: candidate.candidate.task.name(),
        seed: run.seed,
        axes: candidate.axes,
        front_end: candidate.candidate.front_end.into(),
        macs: row.macs as u64,
        params: row.params as u64,
        figures: evaluation
            .as_ref()
            .map(|row| FiguresView::from(&Figures::from(row))),
        rescored: further.as_ref().map(RescoredView::from),
        groups: groups
            .map(|group| GroupView {
                machine: group.machine,
                section: group.section,
                domain: group.domain,
                auc_int8: group.auc,
                pauc_int8: group.pauc,
                normals: group.normals,
                anomalies: group.anomalies,
            })
            .collect(),
        costs: costs.collect(),
        measurements: measurements_of(&store.measurements(run.id)?, number, &budgets),
        excess,
        error: match &row.outcome {
            TrialOutcome::Failed { message } => Some(message.clone()),
            TrialOutcome::Scored { .. } | TrialOutcome::Rejected { .. } => None,
        },
        operators: operators(&candidate.candidate),
        files: files.into_iter().flat_map(file).collect(),
    }))
}

/// Hypervolume after each scored trial, counted from 1, in the order of their numbers.
fn hypervolumes(points: &[(u64, Vec<f64>)], objectives: usize) -> Vec<(u64, f64)> {
    let reference = vec![1.0; objectives];
    let values: Vec<&[f64]> = points.iter().map(|(_, point)| point.as_slice()).collect();
    let until = |n: usize| (n as u64 + 1, hypervolume(&values[..=n], &reference));
    (0..points.len()).map(until).collect()
}

/// The candidate that a stored genome stands for, and its axes.
struct Decoded {
    candidate: Candidate,
    axes: BTreeMap<String, String>,
}

fn candidate_of(settings: &Settings, row: &TrialRow) -> Result<Decoded, ReportError> {
    let spaces = settings.spaces()?;
    let genome = spaces
        .decode_bytes(&row.genome)
        .ok_or(ReportError::Genome { trial: row.number })?;
    let axes = spaces
        .explain(&genome)
        .into_iter()
        .map(|(name, value)| (name.to_string(), value));
    Ok(Decoded {
        candidate: spaces.decode(&genome),
        axes: axes.collect(),
    })
}

fn operators(candidate: &Candidate) -> Vec<OperatorView> {
    let graph = &candidate.graph;
    let view = |op| {
        let shape = graph.op_output(op);
        OperatorView {
            operator: operator_name(&op.kind),
            output: [shape.height, shape.width, shape.channels],
            macs: graph.op_macs(op),
            params: (graph.op_weight_len(op) + graph.op_bias_len(op)) as u64,
        }
    };
    graph.ops.iter().map(view).collect()
}

pub(super) fn operator_name(kind: &OpKind) -> String {
    match kind {
        OpKind::Conv2d(w) => format!(
            "CONV_2D {}x{} / {}x{}",
            w.kernel[0], w.kernel[1], w.stride[0], w.stride[1]
        ),
        OpKind::DepthwiseConv2d(w) => {
            format!(
                "DEPTHWISE_CONV_2D {}x{} / {}x{}",
                w.kernel[0], w.kernel[1], w.stride[0], w.stride[1]
            )
        }
        OpKind::FullyConnected => "FULLY_CONNECTED".to_string(),
        OpKind::AveragePool2d(w) => format!("AVERAGE_POOL_2D {}x{}", w.kernel[0], w.kernel[1]),
        OpKind::MaxPool2d(w) => format!("MAX_POOL_2D {}x{}", w.kernel[0], w.kernel[1]),
        OpKind::Mean => "MEAN".to_string(),
        OpKind::Add => "ADD".to_string(),
        OpKind::Upsample(factor) => format!("RESIZE_NEAREST_NEIGHBOR {}x{}", factor[0], factor[1]),
        OpKind::Pad { .. } => "PAD".to_string(),
        OpKind::Lookup(function) => match function {
            Function::Identity => "QUANTIZE".to_string(),
            Function::Relu => "RELU".to_string(),
            Function::Relu6 => "RELU6".to_string(),
        },
        OpKind::Softmax => "SOFTMAX".to_string(),
        OpKind::Reshape => "RESHAPE".to_string(),
    }
}

fn task_of(name: &str) -> Task {
    match name {
        "reconstruct" => Task::Reconstruct,
        "distance" => Task::Distance(Fit {
            covariance: Covariance::LedoitWolf,
            shared: true,
            standardised: true,
            points: 1,
            per_domain: false,
            sections: 1,
        }),
        _ => Task::Classify { classes: 0 },
    }
}

impl From<&EvaluationRow> for Figures {
    fn from(row: &EvaluationRow) -> Figures {
        Figures {
            auc_int8: row.auc_int8,
            pauc_int8: row.pauc_int8,
            auc_float: row.auc_float,
            pauc_float: row.pauc_float,
            test_auc_int8: row.test_auc_int8,
            test_pauc_int8: row.test_pauc_int8,
            accuracy_int8: row.accuracy_int8,
            test_accuracy_int8: row.test_accuracy_int8,
        }
    }
}

pub(super) fn costs_of(estimate: Estimate, target: &Target, budget: &Budget) -> Costs {
    Costs {
        power: budget
            .duty
            .and_then(|duty| duty.power(&estimate, target).ok()),
        ram_bytes: Some(estimate.ram_bytes),
        flash_bytes: Some(estimate.flash_bytes),
        latency_us: Some(estimate.latency_us),
        energy_uj: Some(estimate.energy_uj),
    }
}
