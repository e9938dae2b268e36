//! Reads one trial from the store as a document, which is shown as JSON or text.

use std::collections::BTreeMap;

use super::{
    ReportError, costs_of,
    json::{
        CostsView, FiguresView, GroupView, OperatorView, RescoredView, SCHEMA_VERSION,
        TrialDocument, bounds_of, measurements_of,
    },
    network::operator_name,
    quantised::is_older,
    seeds,
};
use crate::{
    hardware::{Budget, Target},
    run::{Details, Settings, figures_of, stored_estimate},
    space::Candidate,
    store::{Run, Store, TrialOutcome, TrialRow},
};

/// Reads all that is known about one trial; `None` where the run has no such trial.
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
        .and_then(|row| seeds::figures(figures_of(row), trainings.get(&(number as i64))).1);
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
    let files = evaluation.as_ref().and_then(|e| e.artefacts.clone());
    let clip_score = details
        .as_ref()
        .and_then(|details| details.clip_score.clone());
    let int8 = details.as_ref().and_then(|details| details.int8.clone());
    let hears = details.as_ref().and_then(|details| details.hears.clone());
    let is_older = files.is_some() && details.as_ref().is_some_and(is_older);
    let intervals = details.as_ref().map(Details::clip_intervals);
    let groups = details.into_iter().flat_map(|details| details.groups);
    let file = |folder: String| {
        ["model.tflite", "model.nas", "model.json"].map(|name| format!("{folder}/{name}"))
    };
    Ok(Some(TrialDocument {
        schema_version: SCHEMA_VERSION,
        run: run.name.clone(),
        data: run.data_name.clone(),
        synthetic: run.synthetic,
        steered_by: settings.steered.clone(),
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
        figures: evaluation.as_ref().map(|row| FiguresView(figures_of(row))),
        intervals: bounds_of(intervals.unwrap_or_default()),
        rescored: further.as_ref().map(RescoredView::from),
        clip_score,
        int8,
        hears,
        older_pipeline: is_older,
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

/// The candidate of a stored genome, and its axes.
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
