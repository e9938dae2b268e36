//! The loop of a search: read the history, propose, estimate, train what fits, record at once.
//!
//! A search is a fold over its store. Starting and resuming are the same code: the plan is made again from the seed
//! and the recorded trials, and recorded trials are not repeated.
//!
//! This module may not know SQL, command-line arguments or how results are shown.

mod account;
mod coordinator;
mod dry_run;
mod earlier;
mod experiment;
mod front;
mod judge;
mod objective;
mod plan;
mod proposal;
mod record;
mod requantise;
mod rescore;
mod settings;
mod setup;
mod workers;

use std::{
    sync::mpsc,
    time::{Duration, SystemTime},
};

pub use account::Losses;
pub use dry_run::{DryRun, Time, dry_run};
pub use earlier::{EarlierError, EarlierResult, EarlierResults, earlier_of_run, earlier_of_table};
pub use experiment::{Experiment, ExperimentError, Pace, all_cores, carry_out};
pub use front::{Noise, Yardstick, mean_figures, repeat_figures, stored_estimate};
pub use judge::{Training, judge, tested_part};
pub use objective::{Objective, UnknownObjective, references};
pub use plan::{BLOCK, PLAN_VERSION, Plan, Trial};
pub use proposal::{Proposal, load_proposal};
pub use record::{Details, DetailsGroup, figures_of, stored_model};
pub use requantise::{Requantise, Requantised, requantise};
pub use rescore::{Rescore, RescoreProgress, rescore};
pub use settings::{DataFacts, LogMelFacts, NamedText, Settings, SettingsError};
pub use setup::{ScoreWith, Setup, SetupError, WindowsOf, folds};

use self::{
    coordinator::Coordinator,
    plan::FIT_ROUNDS,
    workers::{Done, Task, with_workers},
};
use crate::{
    evaluate::Evaluator,
    hardware::{Budget, Target},
    score::Measure,
    search::{Earlier, Sampler},
    space::Spaces,
    store::{Run, RunState, Store, StoreError},
};

/// Everything that determines a search, and how to carry it out.
pub struct Search<'a> {
    /// The spaces that candidates come from.
    pub spaces: &'a Spaces,
    /// The targets that candidates are costed for; the sampler sees only the first.
    pub targets: &'a [Target],
    /// Limits of a candidate's costs on every target.
    pub budget: &'a Budget,
    /// The quantities to minimise, at least one.
    pub objectives: &'a [Objective],
    /// The reference value of each objective, per target: objectives are divided by it, and it is the hypervolume's
    /// reference point.
    pub references: &'a [Vec<f64>],
    /// Proposes candidates.
    pub sampler: &'a dyn Sampler,
    /// What other searches found, in terms of this one.
    pub earlier: &'a [Earlier],
    /// Gives a candidate its scores.
    pub evaluator: &'a dyn Evaluator,
    /// Decides every proposal and every training.
    pub seed: u64,
    /// Number of candidates to train; rejected ones do not count, nor does what is fitted in closed form.
    pub trials: usize,
    /// What its caller trains afterwards; the run is finished after that.
    pub further: Further,
    /// How fast; recorded trials stay where it ends early.
    pub pace: Pace<'a>,
}

/// Further trainings of the best trials, which follow a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Further {
    /// The most in all.
    pub most: usize,
    /// The most of one trial.
    pub each: u64,
}

/// How a search ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Finish {
    /// All trials are recorded.
    Done,
    /// The time was up before all trials were trained.
    TimeUp,
    /// The caller set [`Pace::stop`] or [`Pace::last`].
    Interrupted,
    /// The spaces have no further network that fits.
    Exhausted,
    /// No network fits; the message describes the nearest miss.
    NothingFits(String),
}

/// A search that cannot go on. Everything recorded so far stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The files of a trained model cannot be written.
    #[error("cannot write the model of trial {number}: {source}")]
    Artefact {
        /// Number of the trial.
        number: usize,
        /// The error of the model's files.
        source: crate::evaluate::ModelError,
    },
    /// The float weights of a trial are missing, or give no int8 network.
    #[error("trial {number} cannot be quantised again: {message}")]
    Requantise {
        /// Number of the trial.
        number: usize,
        /// What is missing or wrong.
        message: String,
    },
    /// A trial could not be evaluated because the data or the machine failed, for example a full disk.
    #[error(
        "trial {number} could not be evaluated, but its network is not the reason: {message}; nothing is stored of it, \
         and resuming tries it again"
    )]
    Lost {
        /// Number of the trial.
        number: usize,
        /// What went wrong.
        message: String,
    },
    /// The stored run was begun by other rules of planning.
    #[error(
        "run {run} plans its trials by version {version} of the rules, and this program by version {PLAN_VERSION}: it would \
         train other networks. What the run has stays and can be reported, exported and trained again. To search on, begin a \
         new run; networks that this one has trained are not trained again"
    )]
    OtherPlanVersion {
        /// Name of the run.
        run: String,
        /// Version of its rules.
        version: u32,
    },
    /// The stored run was begun by a version that plans other trials.
    #[error(
        "trial {number} of the stored run is not the network that this program proposes; \
         resume it with version {version}, which began the run"
    )]
    OtherPlan {
        /// Number of the first trial that differs.
        number: usize,
        /// Version of the program that began the run.
        version: String,
    },
    /// The run's settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A stored genome does not belong to the run's spaces.
    #[error("the genome of trial {number} belongs to no space of its run")]
    Genome {
        /// Number of the trial.
        number: usize,
    },
}

/// The state of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Trials with scores.
    pub scored: usize,
    /// Trials over budget; they were not trained.
    pub rejected: usize,
    /// Trials whose training or evaluation failed.
    pub failed: usize,
    /// Number of detectors that were fitted in closed form.
    pub fitted: usize,
    /// Number of trials to train.
    pub wanted: usize,
    /// Further trainings of the best that are recorded.
    pub repeated: usize,
    /// The most of these.
    pub further: usize,
    /// Trials in training.
    pub in_flight: usize,
    /// The best value so far of the leading score.
    pub best: Option<(Measure, f64)>,
    /// The hypervolume on each target, as a share of the box between the ideal and the reference point.
    pub hypervolumes: Vec<f64>,
    /// Expected time until the last training ends, in seconds; `None` before the first training has ended.
    pub seconds_left: Option<f64>,
    /// Detectors on the front of the first target, best score first.
    pub front: Vec<FrontMember>,
    /// A sentence about the last recorded trial; `None` where nothing is new.
    pub news: Option<String>,
}

/// A detector on the front of a running search.
#[derive(Debug, Clone, PartialEq)]
pub struct FrontMember {
    /// Number of its trial.
    pub number: usize,
    /// Name of its space.
    pub space: String,
    /// The value of each objective, in the order of the search's objectives; scores as distances from 1.
    pub values: Vec<f64>,
}

/// Runs a search until its trials are in the store, and says why it ended.
///
/// Calls `observer` after every recorded trial, a few times a second in between, and at the end.
///
/// # Errors
/// [`RunError`] where the store fails, or the stored run is not this search.
pub fn search(
    store: &mut Store,
    run: &Run,
    search: &Search<'_>,
    observer: &mut dyn FnMut(&Progress),
) -> Result<Finish, RunError> {
    store.set_state(run.id, RunState::Running)?;
    let mut coordinator = Coordinator::open(store, run, search)?;
    let finish = with_workers(
        search.evaluator,
        search.pace.stop,
        search.pace.jobs,
        |tasks, results| coordinate(&mut coordinator, tasks, results, observer),
    )?;
    if search.further.most == 0 || state_after(&finish) == RunState::Interrupted {
        coordinator.store.set_state(run.id, state_after(&finish))?;
    }
    Ok(finish)
}

/// The state of a run whose work has ended so.
fn state_after(finish: &Finish) -> RunState {
    match finish {
        Finish::Interrupted | Finish::TimeUp => RunState::Interrupted,
        Finish::Done | Finish::Exhausted | Finish::NothingFits(_) => RunState::Finished,
    }
}

fn coordinate(
    coordinator: &mut Coordinator<'_>,
    tasks: &mpsc::Sender<Task>,
    results: &mpsc::Receiver<Done>,
    observer: &mut dyn FnMut(&Progress),
) -> Result<Finish, RunError> {
    let search = coordinator.search;
    let ending = || search.pace.ending();
    for round in 0..FIT_ROUNDS {
        if ending() == (false, false) {
            coordinator.fit_round(round, observer)?;
        }
    }
    loop {
        while ending() == (false, false) && coordinator.may_plan() {
            coordinator.plan_block()?;
        }
        while ending() == (false, false) && coordinator.in_flight < search.pace.jobs.max(1) {
            let Some(number) = coordinator.queue.pop_front() else {
                break;
            };
            if !coordinator.reuse(number)? {
                coordinator.in_flight += 1;
                tasks
                    .send(coordinator.task(number))
                    .expect("workers live as long as the search");
                continue;
            }
            observer(&coordinator.progress());
        }
        // Evaluations from other runs can complete a block; then there is more to plan.
        let done = !coordinator.may_plan() && coordinator.queue.is_empty();
        if coordinator.in_flight == 0 && (done || ending() != (false, false)) {
            break;
        }
        match results.recv_timeout(Duration::from_millis(200)) {
            Ok(done) => {
                coordinator.in_flight -= 1;
                coordinator.record(done)?;
            }
            Err(_) => coordinator.news = None,
        }
        observer(&coordinator.progress());
    }
    // A search whose trials were all recorded has shown nothing yet.
    coordinator.news = None;
    observer(&coordinator.progress());
    let trained = coordinator.scored + coordinator.failed;
    Ok(match ending() {
        _ if trained >= search.trials => Finish::Done,
        // Nothing but fits was asked for.
        (false, false) if coordinator.fitted > 0 && search.spaces.trained().is_empty() => {
            Finish::Done
        }
        (true, _) => Finish::Interrupted,
        (_, true) => Finish::TimeUp,
        _ => match coordinator.nearest_miss() {
            Some(message) if coordinator.planned == 0 && coordinator.fitted == 0 => {
                Finish::NothingFits(message)
            }
            _ => Finish::Exhausted,
        },
    })
}

/// The seed of a network's training, from the network's key and the seed of its run.
pub fn training_seed(run_seed: u64, key: &str) -> u64 {
    workers::Seed::of(run_seed, 0, key).value
}

/// The current time, UTC, in ISO 8601.
pub fn utc_now() -> String {
    // A clock that was never set may lie before that.
    let now = SystemTime::now().max(SystemTime::UNIX_EPOCH);
    humantime::format_rfc3339_seconds(now).to_string()
}
