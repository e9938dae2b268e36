//! Compares the front with published networks: what a search gained over them.

use super::{Costs, ReportError, RunInfo, ScoredTrial, costs_of, seeds, stored};
use crate::{
    hardware::{Budget, Metric, Target, estimate},
    run::{Details, Settings, figures_of},
    score::Figure,
    space,
    store::{Run, Store, TrialOutcome},
};

/// The published networks that were trained on the data of a run, the latest of each name, with costs on its targets. Those
/// that nobody has trained here come from the [`stored`] results.
///
/// [`ScoredTrial::space`] is the baseline's name, [`ScoredTrial::trial`] its number in its own run.
pub(super) fn load(
    store: &Store,
    run: &Run,
    targets: &[Target],
    budget: &Budget,
) -> Result<Vec<ScoredTrial>, ReportError> {
    let mut found: Vec<ScoredTrial> = Vec::new();
    for other in store.runs()? {
        if other.data_hash != run.data_hash || other.id == run.id {
            continue;
        }
        let settings = Settings::from_json(&other.settings_json)?;
        if !is_published(&settings) {
            continue;
        }
        let spaces = settings.spaces()?;
        let evaluations = store.evaluations(other.id)?;
        let trainings = seeds::trainings(store.repeats(other.id)?, &evaluations);
        for row in store.trials(other.id)? {
            let TrialOutcome::Scored { evaluation_key } = &row.outcome else {
                continue;
            };
            let (Some(evaluation), Some(genome)) = (
                evaluations.get(evaluation_key),
                spaces.decode_bytes(&row.genome),
            ) else {
                continue;
            };
            if found.iter().any(|baseline| baseline.space == row.space) {
                continue;
            }
            let candidate = spaces.decode(&genome);
            let costs: Vec<Costs> = targets
                .iter()
                .map(|target| costs_of(estimate(&candidate, target), target, budget))
                .collect();
            let details = serde_json::from_str::<Details>(&evaluation.details_json);
            let intervals = details.as_ref().map(Details::clip_intervals);
            let hears = details.as_ref().ok().and_then(|one| one.hears.clone());
            let (figures, seeds) =
                seeds::figures(figures_of(evaluation), trainings.get(&row.number));
            found.push(ScoredTrial {
                trial: row.number as u64,
                space: row.space.clone(),
                task: candidate.task,
                is_fitted: spaces.is_fitted(&genome),
                figures,
                intervals: intervals.unwrap_or_default(),
                hears,
                seeds,
                macs: row.macs as u64,
                params: row.params as u64,
                costs,
            });
        }
    }
    let classes = Settings::from_json(&run.settings_json)?.facts.classes;
    for stored in stored::of_data(&run.data_hash) {
        if found.iter().all(|own| own.space != stored.name) {
            found.extend(stored.scored(classes, targets, budget));
        }
    }
    found.sort_by(|a, b| a.space.cmp(&b.space));
    Ok(found)
}

/// Whether a run trained published networks and no others.
pub(super) fn is_published(settings: &Settings) -> bool {
    let known = space::baselines();
    let mut own = settings.spaces.iter();
    own.all(|space| known.iter().any(|known| known.name == space.name))
}

/// The reference detectors among a run's own trials.
pub(super) fn references(info: &RunInfo) -> Vec<ScoredTrial> {
    let known = space::references();
    let is_reference = |trial: &&ScoredTrial| known.iter().any(|one| one.name == trial.space);
    info.scored.iter().filter(is_reference).cloned().collect()
}

/// A line per reference detector of a run, to show beside one trial; empty where the run has none.
pub fn reference_lines(info: &RunInfo) -> String {
    let show = |score: Option<f64>| score.map_or("–".to_string(), |score| format!("{score:.3}"));
    let line = |trial: ScoredTrial| {
        let figures = &trial.figures;
        format!(
            "reference {} (trial {}): {} int8 {}, untouched {}\n",
            trial.space,
            trial.trial,
            figures.headline().title(),
            show(figures.steering(figures.headline())),
            show(figures.get(Figure::test(figures.headline())))
        )
    };
    references(info).into_iter().map(line).collect()
}

/// Which trial to take where no network is the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// The trial.
    pub trial: u64,
    /// Why this one.
    pub sentence: String,
}

/// The trial to take where no network of a run is better than its reference detectors, or where nothing was trained;
/// `None` where a network is better, or where nothing was fitted.
pub fn advice(info: &RunInfo) -> Option<Advice> {
    let merit = info.merit();
    let word = merit.title();
    let score = |trial: &ScoredTrial| {
        let score = trial.figures.steering(merit);
        score.filter(|score| score.is_finite())
    };
    let best = |of: &dyn Fn(&ScoredTrial) -> bool| {
        // Of equal ones the first wins, so those of the front come first: their costs are lower.
        let scored = info.front(0).into_iter().chain(&info.scored);
        let scored = scored.filter(|trial| of(trial));
        let scored = scored.filter_map(|trial| Some((trial, score(trial)?)));
        scored.reduce(|best, next| if next.1 > best.1 { next } else { best })
    };
    let is_fit = |trial: &ScoredTrial| trial.is_fitted;
    let known = space::references();
    let reference = best(&|trial| known.iter().any(|one| one.name == trial.space));
    let (fit, own) = best(&is_fit).or(reference)?;
    let take = format!(
        "take trial {}, {} with {word} {own:.3}",
        fit.trial, fit.space
    );
    let sentence = match best(&|trial| !is_fit(trial)) {
        None if info.counts.scored == 0 => take,
        None => return None,
        Some((_, network)) => {
            let (reference, theirs) = reference.filter(|(_, theirs)| network <= *theirs)?;
            format!(
                "no network is better than the reference detector {}, whose {word} is {theirs:.3}: the best has \
                 {network:.3}; {take}",
                reference.space
            )
        }
    };
    let trial = fit.trial;
    Some(Advice { trial, sentence })
}

/// A sentence per baseline. It names the fastest member of the front that is at least as good, and its savings.
pub fn gains(info: &RunInfo, target_idx: usize) -> Vec<String> {
    let merit = info.merit();
    let word = merit.title();
    let sentence = |baseline: &ScoredTrial| {
        let theirs = baseline.figures.steering(merit)?;
        let latency = |trial: &ScoredTrial| {
            let cost = trial.cost(target_idx, Metric::Latency)?;
            Some(cost.value).filter(|value| value.is_finite())
        };
        let as_good = info.front(target_idx).into_iter().filter(|member| {
            member
                .figures
                .steering(merit)
                .is_some_and(|own| own >= theirs)
                && latency(member).is_some()
        });
        let fastest = as_good.min_by(|a, b| {
            latency(a)
                .unwrap_or(0.0)
                .total_cmp(&latency(b).unwrap_or(0.0))
        });
        let name = &baseline.space;
        let Some(member) = fastest else {
            return Some(format!(
                "No network of the front reaches the {word} of {name}, {theirs:.3}."
            ));
        };
        let times = |metric: Metric| {
            let own = member.cost(target_idx, metric)?.value;
            let factor = baseline.cost(target_idx, metric)?.value / own;
            let name = match metric {
                Metric::Ram => "RAM",
                other => other.name(),
            };
            Some(format!("{factor:.1} times the {name}"))
        };
        let factors: Vec<String> = [Metric::Latency, Metric::Ram, Metric::Flash, Metric::Energy]
            .into_iter()
            .filter_map(times)
            .collect();
        let own = member.figures.steering(merit)?;
        Some(format!(
            "Trial {} has {} of {own:.3} against {theirs:.3} of {name}; {name} costs {}.",
            member.trial,
            merit.with_article(),
            factors.join(", ")
        ))
    };
    // The costs of references do not matter here.
    let references = space::references();
    let is_reference = |one: &&ScoredTrial| references.iter().any(|known| known.name == one.space);
    let published = info.baselines.iter().filter(|one| !is_reference(one));
    published.filter_map(sentence).collect()
}
