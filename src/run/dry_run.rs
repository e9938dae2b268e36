//! What a search would do: how much of the spaces fits, and how long a candidate takes.

use std::{
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use super::{Settings, Setup};
use crate::{evaluate::EvaluateError, hardware, space::Genome, units::Rng};

/// Candidates that are drawn to find the share that fits.
const DRAWN: usize = 2000;
/// Candidates that are trained to see how long it takes.
const TRAINED: usize = 2;

/// What a dry run found.
#[derive(Debug, Clone, PartialEq)]
pub struct DryRun {
    /// Genomes of all spaces together.
    pub genomes: u128,
    /// Candidates that were drawn at random.
    pub drawn: usize,
    /// The share of them that fits at least one target, 0 to 1.
    pub share: f64,
    /// `None` where nothing fits.
    pub time: Option<Time>,
}

/// How long the search would take.
#[derive(Debug, Clone, PartialEq)]
pub struct Time {
    /// Mean over the candidates that were trained.
    pub seconds_per_candidate: f64,
    /// Candidates that were trained for that.
    pub trained: usize,
    /// Candidates that the search would train.
    pub candidates: usize,
    /// Candidates that train at the same time.
    pub jobs: usize,
    /// From the start to the end.
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
    let genomes: Vec<Genome> = (0..DRAWN).map(|_| setup.spaces.random(&mut rng)).collect();
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
        genomes: setup.spaces.size(),
        drawn: DRAWN,
        share: fitting.len() as f64 / genomes.len() as f64,
        time,
    })
}
