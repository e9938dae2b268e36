//! Estimates a search before it runs: the share of the spaces that fits, and the time per candidate.

use std::{
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use super::{Settings, Setup};
use crate::{evaluate::EvaluateError, hardware, space::Genome, units::Rng};

/// Candidates drawn to find the share that fits.
const DRAWN: usize = 2000;
/// Candidates trained to measure the time.
const TRAINED: usize = 2;

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
    /// Mean seconds of the candidates that were trained.
    pub seconds_per_candidate: f64,
    /// Number of candidates that were trained.
    pub trained: usize,
    /// Number of candidates that the search would train.
    pub candidates: usize,
    /// Number of candidates that train at the same time.
    pub jobs: usize,
    /// Time from start to end.
    pub end: Duration,
}

/// Draws candidates, costs them, and trains the first two that fit.
///
/// # Errors
/// Where a candidate cannot be trained, or `stop` is set.
pub fn dry_run(
    setup: &Setup,
    settings: &Settings,
    jobs: usize,
    stop: &AtomicBool,
) -> Result<DryRun, EvaluateError> {
    let budget = settings.budget;
    let mut rng = Rng::new(settings.seed, 0x0064_7279_5f72_756e);
    // What is fitted in closed form takes no time to speak of.
    let trained = setup.spaces.trained();
    let spaces = match trained.is_empty() {
        true => &setup.spaces,
        false => &trained,
    };
    let genomes: Vec<Genome> = (0..DRAWN).map(|_| spaces.random(&mut rng)).collect();
    let fits = |genome: &&Genome| {
        let candidate = setup.spaces.decode(genome);
        let macs = candidate.graph.macs();
        let excess = |target| budget.excess(target, &hardware::estimate(&candidate, target), macs);
        setup.targets.iter().any(|target| excess(target).is_none())
    };
    let fitting: Vec<&Genome> = genomes.iter().filter(fits).collect();
    let timed = &fitting[..fitting.len().min(TRAINED)];
    let begin = Instant::now();
    for genome in timed {
        let training = setup.spaces.space_of(genome).training;
        let candidate = setup.spaces.decode(genome);
        let evaluator = setup.evaluator();
        evaluator.evaluate(&candidate, &training, settings.seed, stop)?;
    }
    let time = (!timed.is_empty()).then(|| {
        let seconds = begin.elapsed().as_secs_f64() / timed.len() as f64;
        let all = seconds * settings.trials as f64 / jobs.max(1) as f64;
        Time {
            seconds_per_candidate: seconds,
            trained: timed.len(),
            candidates: settings.trials,
            jobs,
            end: Duration::from_secs_f64(all),
        }
    });
    Ok(DryRun {
        genomes: spaces.size(),
        drawn: DRAWN,
        share: fitting.len() as f64 / genomes.len() as f64,
        time,
    })
}
