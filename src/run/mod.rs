//! The loop: history, proposals, estimate, train what fits, record at once.
//!
//! A search is a fold over its store. Starting and resuming are the same code: the plan is made again from
//! the seed and the recorded trials, and what is recorded already is not done again.

mod coordinator;
mod dry_run;
mod experiment;
mod front;
mod judge;
mod objective;
mod plan;
mod proposal;
mod record;
mod rescore;
mod settings;
mod setup;
mod workers;

use std::{
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant, SystemTime},
};

pub use dry_run::{DryRun, Time, dry_run};
pub use experiment::{Experiment, ExperimentError, Pace, all_cores, carry_out};
pub use front::{Merit, Yardstick, mean_merits, stored_estimate};
pub use judge::{Training, judge, tested_part};
pub use objective::{Objective, UnknownObjective, references};
pub use plan::{BLOCK, Plan, Trial};
pub use proposal::{Proposal, load_proposal};
pub use record::{Details, DetailsGroup};
pub use rescore::{Rescore, RescoreProgress, rescore};
pub use settings::{DataFacts, LogMelFacts, NamedText, Settings, SettingsError};
pub use setup::{ScoreWith, Setup, SetupError, WindowsOf, folds};

use self::{
    coordinator::Book,
    workers::{Done, Task, with_workers},
};
use crate::{
    evaluate::Evaluator,
    hardware::{Budget, Target},
    search::Sampler,
    space::Spaces,
    store::{Run, RunState, Store, StoreError},
};

/// Everything that determines a search, and how to carry it out.
pub struct Search<'a> {
    pub spaces: &'a Spaces,
    /// The first one steers.
    pub targets: &'a [Target],
    pub budget: &'a Budget,
    pub objectives: &'a [Objective],
    /// Per target, the reference value of each objective: what it is scaled by, and the hypervolume's reference point.
    pub references: &'a [Vec<f64>],
    pub sampler: &'a dyn Sampler,
    pub evaluator: &'a dyn Evaluator,
    pub seed: u64,
    /// Candidates to train in all; those over budget do not count.
    pub trials: usize,
    /// No training begins after this.
    pub deadline: Option<Instant>,
    /// Candidates that train at the same time, one thread each.
    pub jobs: usize,
    /// Set from outside to end the search; what is recorded stays.
    pub stop: &'a AtomicBool,
}

/// How a search ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Finish {
    Done,
    /// Time is up before the wished number of trials was reached.
    TimeUp,
    Interrupted,
    /// The spaces have no further network that fits.
    Exhausted,
    /// No network fits; the message names the nearest miss.
    NothingFits(String),
}

/// A search that could not go on. Everything recorded so far stays.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot write the model of trial {number}: {source}")]
    Artefact {
        number: usize,
        source: crate::evaluate::ModelError,
    },
    #[error(
        "trial {number} of the stored run is another network than this program proposes; \
         resume it with version {version}, which began it"
    )]
    OtherPlan { number: usize, version: String },
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("the genome of trial {number} is of no space of its run")]
    Genome { number: usize },
}

/// Where a search stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    pub scored: usize,
    pub rejected: usize,
    pub failed: usize,
    /// Trials to train in all.
    pub wanted: usize,
    pub in_flight: usize,
    /// The best so far of the score that leads.
    pub best: Option<(Objective, f64)>,
    /// Per target, as a share of the box between the ideal and the reference point.
    pub hypervolumes: Vec<f64>,
    /// Mean training time of this session's trials.
    pub seconds_per_trial: Option<f64>,
    /// The trial that was recorded last, in words; `None` where nothing is new.
    pub news: Option<String>,
}

/// Runs a search until its trials are in the store, and says why it ended.
///
/// `observer` is called after every recorded trial and a few times a second in between.
pub fn search(
    store: &mut Store,
    run: &Run,
    search: &Search<'_>,
    observer: &mut dyn FnMut(&Progress),
) -> Result<Finish, RunError> {
    store.set_state(run.id, RunState::Running)?;
    let mut book = Book::open(store, run, search)?;
    let finish = with_workers(
        search.evaluator,
        search.stop,
        search.jobs,
        |tasks, results| coordinate(&mut book, tasks, results, observer),
    )?;
    let state = match finish {
        Finish::Interrupted | Finish::TimeUp => RunState::Interrupted,
        Finish::Done | Finish::Exhausted | Finish::NothingFits(_) => RunState::Finished,
    };
    book.store.set_state(run.id, state)?;
    Ok(finish)
}

fn coordinate(
    book: &mut Book<'_>,
    tasks: &mpsc::Sender<Task>,
    results: &mpsc::Receiver<Done>,
    observer: &mut dyn FnMut(&Progress),
) -> Result<Finish, RunError> {
    let search = book.search;
    let ending = || {
        let late = search
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline);
        (search.stop.load(Ordering::Relaxed), late)
    };
    loop {
        while ending() == (false, false) && book.may_plan() {
            book.plan_block()?;
        }
        while ending() == (false, false) && book.in_flight < search.jobs.max(1) {
            let Some(number) = book.queue.pop_front() else {
                break;
            };
            if !book.reuse(number)? {
                book.in_flight += 1;
                tasks
                    .send(book.task(number))
                    .expect("workers live as long as the search");
                continue;
            }
            observer(&book.progress());
        }
        // Evaluations taken from other runs can complete a block: then there is more to plan.
        let done = !book.may_plan() && book.queue.is_empty();
        if book.in_flight == 0 && (done || ending() != (false, false)) {
            break;
        }
        match results.recv_timeout(Duration::from_millis(200)) {
            Ok(done) => {
                book.in_flight -= 1;
                book.record(done)?;
            }
            Err(_) => book.news = None,
        }
        observer(&book.progress());
    }
    let trained = book.scored + book.failed;
    Ok(match ending() {
        _ if trained >= search.trials => Finish::Done,
        (true, _) => Finish::Interrupted,
        (_, true) => Finish::TimeUp,
        _ => match book.nearest_miss() {
            Some(message) if book.planned == 0 => Finish::NothingFits(message),
            _ => Finish::Exhausted,
        },
    })
}

/// The seed of the training of a network, by its key, in a run of this seed.
pub fn training_seed(run_seed: u64, key: &str) -> u64 {
    workers::Seed::of(run_seed, 0, key).value
}

/// The present time, UTC, in ISO 8601.
pub fn utc_now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
