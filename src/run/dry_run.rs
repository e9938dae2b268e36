//! Estimates a search before it runs: the share of the spaces that fits, and the time per candidate.

use std::time::{Duration, Instant};

use super::{
    Pace, Plan, Search, Settings, Setup, Trial, experiment::described, plan::fits_planned,
};
use crate::{
    evaluate::EvaluateError,
    hardware,
    search::Random,
    space::{Genome, Spaces},
    units::Rng,
};

/// Candidates drawn to find the share that fits.
const DRAWN: usize = 2000;
/// Detectors that are fitted to measure the time.
const FITTED: usize = 8;

/// The result of a dry run.
#[derive(Debug, Clone, PartialEq)]
pub struct DryRun {
    /// Number of genomes of all spaces.
    pub genomes: u128,
    /// Number of candidates drawn at random.
    pub drawn: usize,
    /// The share of them that fits at least one target, 0 to 1.
    pub share: f64,
    /// The expected time; `None` where nothing fits.
    pub time: Option<Time>,
}

/// The expected time of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Time {
    /// Number of detectors that were fitted in closed form to measure the time, and of networks that were trained.
    pub timed: [usize; 2],
    /// Mean seconds of each; 0 where none was timed.
    pub seconds_each: [f64; 2],
    /// Number of detectors that the search would fit at most, and of trainings.
    pub planned: [usize; 2],
    /// Number of candidates that train at the same time.
    pub jobs: usize,
    /// Time from start to end, once the program is built.
    pub end: Duration,
}

/// Draws candidates and costs them, then fits and trains a few of those that the search would begin with.
///
/// What follows the survey is expected to take as long as the quicker quarter of it: the sampler chooses by gain per
/// second.
///
/// # Errors
/// Where a candidate cannot be trained, or the pace's `stop` is set.
pub fn dry_run(
    setup: &Setup,
    settings: &Settings,
    pace: Pace<'_>,
    observer: &mut dyn FnMut(&str),
) -> Result<DryRun, EvaluateError> {
    let search = described(settings, setup, &Random, pace);
    let trained = setup.spaces.trained();
    let spaces = match trained.is_empty() {
        true => &setup.spaces,
        false => &trained,
    };
    Ok(DryRun {
        genomes: spaces.size(),
        drawn: DRAWN,
        share: share_that_fits(&search, spaces),
        time: time(&search, observer)?,
    })
}

fn share_that_fits(search: &Search<'_>, spaces: &Spaces) -> f64 {
    let mut rng = Rng::new(search.seed, 0x0064_7279_5f72_756e);
    let genomes = (0..DRAWN).map(|_| spaces.random(&mut rng));
    let fits = |genome: &Genome| {
        let candidate = spaces.decode(genome);
        let macs = candidate.graph.macs();
        let excess = |target| {
            let estimate = hardware::estimate(&candidate, target);
            search.budget.excess(target, &estimate, macs)
        };
        search.targets.iter().any(|target| excess(target).is_none())
    };
    genomes.filter(fits).count() as f64 / DRAWN as f64
}

/// `None` where nothing fits.
fn time(
    search: &Search<'_>,
    observer: &mut dyn FnMut(&str),
) -> Result<Option<Time>, EvaluateError> {
    let mut plan = Plan::default();
    let fits = plan.extend_fits(search, 0);
    // The survey is two blocks.
    for _ in 0..2 {
        plan.extend(search);
    }
    let fits = &plan.trials[fits];
    let survey = &plan.trials[fits.len()..];
    if !plan.trials.iter().any(Trial::fits) {
        return Ok(None);
    }
    let mut seconds_of = |trial: &Trial, what: &str| -> Result<f64, EvaluateError> {
        observer(what);
        let training = search.spaces.space_of(&trial.genome).training;
        let begin = Instant::now();
        search
            .evaluator
            .evaluate(&trial.candidate, &training, search.seed, search.pace.stop)?;
        Ok(begin.elapsed().as_secs_f64())
    };
    let mut fitting = 0.0;
    let some = &fits[..fits.len().min(FITTED)];
    for (idx, trial) in some.iter().enumerate() {
        fitting += seconds_of(
            trial,
            &format!("fitting detector {} of {}", idx + 1, some.len()),
        )?;
    }
    let mut networks: Vec<(f64, &Trial)> = survey
        .iter()
        .filter(|trial| trial.fits())
        .map(|trial| (trial.expected_seconds(search), trial))
        .collect();
    networks.sort_by(|a, b| a.0.total_cmp(&b.0));
    // A quick one and a slow one.
    let places = match networks.len() {
        0 => Vec::new(),
        1 => vec![0],
        count => vec![count / 4, (3 * count / 4).max(count / 4 + 1).min(count - 1)],
    };
    let (mut training, mut expected) = (0.0, 0.0);
    for (idx, place) in places.iter().enumerate() {
        let (seconds, trial) = networks[*place];
        let what = format!("training network {} of {}", idx + 1, places.len());
        training += seconds_of(trial, &what)?;
        expected += seconds;
    }
    let quick = networks.get(networks.len() / 4).map_or(0.0, |one| one.0);
    let surveyed = networks.len().min(search.trials);
    let all = networks[..surveyed].iter().map(|one| one.0).sum::<f64>()
        + (search.trials - surveyed + search.further.most) as f64 * quick;
    let pace = if expected > 0.0 {
        training / expected
    } else {
        0.0
    };
    let mean = |seconds: f64, count: usize| seconds / count.max(1) as f64;
    let seconds_each = [mean(fitting, some.len()), mean(training, places.len())];
    let planned = [
        fits_planned(fits.len()),
        if networks.is_empty() {
            0
        } else {
            search.trials + search.further.most
        },
    ];
    let jobs = search.pace.jobs.max(1);
    let end = (planned[0] as f64 * seconds_each[0] + all * pace) / jobs as f64;
    Ok(Some(Time {
        timed: [some.len(), places.len()],
        seconds_each,
        planned,
        jobs,
        end: Duration::try_from_secs_f64(end).unwrap_or(Duration::MAX),
    }))
}
