//! Reads the facts that reports show from the store.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Costs, RejectedTrial, ReportError, RunInfo, ScoredTrial, TargetInfo, TrialCounts, costs_of,
    json::{RunView, TrialsView},
    seeds,
};
use crate::{
    hardware::Target,
    run::{Details, Noise, Settings, Yardstick, figures_of, repeat_figures, stored_estimate},
    score::Figure,
    search::hypervolume,
    space::{Covariance, Fit, Task},
    store::{Run, Store, TrialOutcome, TrialRow},
};

/// Reads all that figures and tables show of a run.
pub fn load(store: &Store, run: &Run) -> Result<RunInfo, ReportError> {
    let settings = Settings::from_json(&run.settings_json)?;
    let mut info = load_alone(store, run)?;
    let references = super::baselines::references(&info);
    info.baselines = super::baselines::load(store, run, &settings.targets()?, &settings.budget)?;
    info.baselines.extend(references);
    Ok(info)
}

/// As [`load`], without the baselines: those would need every run of the store.
pub(super) fn load_alone(store: &Store, run: &Run) -> Result<RunInfo, ReportError> {
    let yardstick = Yardstick::of(run)?;
    let Yardstick {
        targets,
        budget,
        objectives,
        references,
    } = &yardstick;
    let rows = store.trials(run.id)?;
    let evaluations = store.evaluations(run.id)?;
    let repeats = store.repeats(run.id)?;
    let settings = Settings::from_json(&run.settings_json)?;
    let spaces = settings.spaces()?;
    let noise = Noise::of(&rows, &spaces, repeat_figures(&repeats, &evaluations));
    let trainings = seeds::trainings(repeats, &evaluations);
    let fronts: BTreeMap<String, Vec<i64>> = store.fronts(run.id)?.into_iter().collect();
    let counts = store.counts(run.id)?;

    let is_fit = |row: &TrialRow| spaces.fits(&row.space);

    let mut scored = Vec::new();
    let mut with_models = Vec::new();
    let mut rejected = Vec::new();
    let mut points: Vec<Vec<(usize, Vec<f64>)>> = vec![Vec::new(); targets.len()];
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
        let details = serde_json::from_str::<Details>(&evaluation.details_json).ok();
        let intervals = details.as_ref().map(Details::clip_intervals);
        let hears = details.as_ref().and_then(|one| one.hears.clone());
        if evaluation.artefacts.is_some() {
            with_models.extend(details.map(|details| (number, details)));
        }
        let own = figures_of(evaluation);
        let (figures, seeds) = seeds::figures(own, trainings.get(&row.number));
        for (points, point) in points.iter_mut().zip(yardstick.points(row, &figures)) {
            points.extend(point.map(|point| (number as usize, point)));
        }
        scored.push(ScoredTrial {
            trial: number,
            space: row.space.clone(),
            task: task_of(&row.task),
            is_fitted: is_fit(row),
            figures,
            intervals: intervals.unwrap_or_default(),
            hears,
            seeds,
            macs: row.macs as u64,
            params: row.params as u64,
            costs,
        });
    }

    let fitted = scored.iter().filter(|trial| trial.is_fitted).count() as u64;
    // Those that failed are no failed trainings.
    let lost = |row: &&TrialRow| is_fit(row) && matches!(row.outcome, TrialOutcome::Failed { .. });
    let lost_fits = rows.iter().filter(lost).count() as u64;
    let target_info = |(idx, target): (usize, &Target)| TargetInfo {
        name: target.name.clone(),
        budget: *budget,
        front: fronts
            .get(&target.name)
            .into_iter()
            .flatten()
            .map(|&number| number as u64)
            .collect(),
        ties: yardstick
            .front(idx, &points[idx], &noise)
            .1
            .into_iter()
            .filter(|number| {
                !fronts
                    .get(&target.name)
                    .is_some_and(|front| front.contains(number))
            })
            .map(|number| number as u64)
            .collect(),
        hypervolumes: hypervolumes(&points[idx], objectives.len()),
        reference: objectives
            .iter()
            .copied()
            .zip(references[idx].iter().copied())
            .collect(),
    };
    // Notes of hundreds of fits matter only where the fits are used.
    let of_front: BTreeSet<i64> = fronts.values().flatten().copied().collect();
    let matters = |row: &&TrialRow| !is_fit(row) || of_front.contains(&row.number);
    let keys: BTreeSet<&String> = rows
        .iter()
        .filter(matters)
        .filter_map(|row| match &row.outcome {
            TrialOutcome::Scored { evaluation_key } => Some(evaluation_key),
            _ => None,
        })
        .collect();
    let mut notes = settings.notes.clone();
    let of_data = notes.len();
    for (key, evaluation) in &evaluations {
        if !keys.contains(key) {
            continue;
        }
        if let Ok(details) = serde_json::from_str::<Details>(&evaluation.details_json) {
            notes.extend(details.notes);
        }
    }
    notes[of_data..].sort();
    let mut seen = BTreeSet::new();
    notes.retain(|note| seen.insert(note.clone()));
    notes.extend(super::quantised::notes(&with_models));
    Ok(RunInfo {
        run: run.name.clone(),
        data: run.data_name.clone(),
        synthetic: run.synthetic,
        steered: settings.steered.clone(),
        published: super::baselines::is_published(&settings),
        counts: TrialCounts {
            scored: counts.scored - fitted,
            fitted,
            rejected: counts.rejected,
            failed: counts.failed - lost_fits,
        },
        targets: targets.iter().enumerate().map(target_info).collect(),
        scored,
        baselines: Vec::new(),
        rejected,
        measurements: store.measurements(run.id)?,
        notes,
    })
}

/// Reads one line per run, oldest first.
pub fn load_runs(store: &Store) -> Result<Vec<RunView>, ReportError> {
    let mut views = Vec::new();
    for run in store.runs()? {
        let info = load_alone(store, &run)?;
        let settings = Settings::from_json(&run.settings_json)?;
        let best = info
            .scored
            .iter()
            .filter_map(|trial| trial.figures.get(Figure::AUC));
        views.push(RunView {
            state: store.state_of(&run).name().to_string(),
            run: run.name,
            started: run.created_utc,
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

/// Hypervolume after each scored trial, counted from 1, in the order of their numbers.
fn hypervolumes(points: &[(usize, Vec<f64>)], objectives: usize) -> Vec<(u64, f64)> {
    let reference = vec![1.0; objectives];
    let values: Vec<&[f64]> = points.iter().map(|(_, point)| point.as_slice()).collect();
    let until = |n: usize| (n as u64 + 1, hypervolume(&values[..=n], &reference));
    (0..points.len()).map(until).collect()
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
