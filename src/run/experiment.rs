//! Begins a search from Rust in a few lines.

#![expect(clippy::result_large_err, reason = "an experiment fails once")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use super::{
    EarlierResults, Finish, Objective, PLAN_VERSION, Progress, Rescore, RunError, ScoreWith,
    Search, Settings, Setup, SetupError, WindowsOf, rescore, search, setup::folds_of, state_after,
};
use crate::{
    data::Dataset,
    features::FeatureStore,
    hardware::{Budget, Target, TargetError},
    search::{Sampler, SamplerKind},
    space::{self, SearchSpace},
    store::{Run, RunState, Store, StoreError},
    train::Backend,
};

/// A search that is about to begin: spaces, data and targets.
///
/// The defaults are those of `nas search`: the shipped spaces, target `m7`, no budget, the objectives AUC, latency
/// and RAM, the sampler `bayes`, seed 0, and all cores.
///
/// The crate's front page has an example.
pub struct Experiment {
    dataset: Dataset,
    spaces: Vec<SearchSpace>,
    targets: Vec<Target>,
    budget: Budget,
    objectives: Vec<Objective>,
    sampler: SamplerKind,
    warm_start: Vec<EarlierResults>,
    seed: u64,
    trials: usize,
    repeats: u64,
    epochs: Option<usize>,
    jobs: Option<usize>,
    backend: Backend,
    name: Option<String>,
    scores: ScoreWith,
    allow_skipped: bool,
}

/// An experiment that cannot be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// The search cannot begin with these settings and this data.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// No target was given, and the default one is missing.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The store does not accept the run.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The search cannot go on; recorded trials stay.
    #[error(transparent)]
    Run(#[from] RunError),
    /// No network fits the budget.
    #[error("nothing fits the budget; nearest miss: {0}")]
    NothingFits(String),
}

impl Experiment {
    /// A search on these clips.
    pub fn new(dataset: Dataset) -> Experiment {
        Experiment {
            dataset,
            spaces: space::builtin(),
            targets: Vec::new(),
            budget: Budget::default(),
            objectives: Objective::DEFAULT.to_vec(),
            sampler: SamplerKind::Bayes,
            warm_start: Vec::new(),
            seed: 0,
            trials: Settings::DEFAULT_TRIALS,
            repeats: Settings::DEFAULT_REPEATS,
            epochs: None,
            jobs: None,
            backend: Backend::usual(),
            name: None,
            scores: ScoreWith::Training,
            allow_skipped: false,
        }
    }

    /// The search spaces, instead of all that are shipped.
    pub fn spaces(self, spaces: impl IntoIterator<Item = SearchSpace>) -> Experiment {
        Experiment {
            spaces: spaces.into_iter().collect(),
            ..self
        }
    }

    /// The targets that candidates are costed for; the first one steers.
    pub fn targets(self, targets: impl IntoIterator<Item = Target>) -> Experiment {
        Experiment {
            targets: targets.into_iter().collect(),
            ..self
        }
    }

    /// Limits of a candidate's costs on a target; a candidate over them is recorded and not trained.
    pub fn budget(self, budget: Budget) -> Experiment {
        Experiment { budget, ..self }
    }

    /// The quantities to minimise.
    pub fn objectives(self, objectives: impl IntoIterator<Item = Objective>) -> Experiment {
        Experiment {
            objectives: objectives.into_iter().collect(),
            ..self
        }
    }

    /// The sampler that proposes candidates.
    pub fn sampler(self, sampler: SamplerKind) -> Experiment {
        Experiment { sampler, ..self }
    }

    /// Results of other searches of the same spaces, from which the sampler `bayes` starts.
    pub fn warm_start(self, from: impl IntoIterator<Item = EarlierResults>) -> Experiment {
        Experiment {
            warm_start: from.into_iter().collect(),
            ..self
        }
    }

    /// The seed; it decides every proposal and every training.
    pub fn seed(self, seed: u64) -> Experiment {
        Experiment { seed, ..self }
    }

    /// Number of trainings, further ones of the best included; networks over budget do not count.
    pub fn trials(self, trials: usize) -> Experiment {
        Experiment { trials, ..self }
    }

    /// Further trainings of each network on the front or near it, out of the same number; the default is 3.
    pub fn repeats(self, repeats: u64) -> Experiment {
        Experiment { repeats, ..self }
    }

    /// Epochs of every training; the default is each space's own number.
    pub fn epochs(self, epochs: usize) -> Experiment {
        Experiment {
            epochs: Some(epochs),
            ..self
        }
    }

    /// Number of networks that train at the same time; results do not depend on it.
    pub fn jobs(self, jobs: usize) -> Experiment {
        Experiment {
            jobs: Some(jobs),
            ..self
        }
    }

    /// The device that networks train on.
    pub fn backend(self, backend: Backend) -> Experiment {
        Experiment { backend, ..self }
    }

    /// The run's name; the default consists of data, target and time.
    pub fn name(self, name: impl Into<String>) -> Experiment {
        Experiment {
            name: Some(name.into()),
            ..self
        }
    }

    /// Begins even where a tenth of the labelled clips, or more, cannot be used.
    pub fn allow_skipped(self) -> Experiment {
        Experiment {
            allow_skipped: true,
            ..self
        }
    }

    /// Scores candidates with a formula of their shape and trains nothing, to try out everything else.
    pub fn by_formula(self) -> Experiment {
        Experiment {
            scores: ScoreWith::Formula,
            ..self
        }
    }

    /// Begins a run in the store and searches until its trials are recorded.
    ///
    /// # Errors
    /// See [`ExperimentError`]. Everything recorded so far stays in the store.
    pub fn run(self, store: &mut Store) -> Result<Run, ExperimentError> {
        self.run_observed(store, &AtomicBool::new(false), &mut |_| ())
    }

    /// Like [`Experiment::run`]; calls `observer` with the state of the search, and ends early when `stop` is set.
    ///
    /// # Errors
    /// See [`ExperimentError`].
    pub fn run_observed(
        self,
        store: &mut Store,
        stop: &AtomicBool,
        observer: &mut dyn FnMut(&Progress),
    ) -> Result<Run, ExperimentError> {
        let mut settings = self.settings()?;
        let setup = match self.scores {
            ScoreWith::Formula => {
                let store = Arc::new(FeatureStore::new(None));
                Setup::begin(&mut settings, self.scores, WindowsOf::Searched, store)?
            }
            ScoreWith::Training => {
                let cache = store.folder().map(|folder| folder.join("cache"));
                let cache = Arc::new(FeatureStore::new(cache));
                let folds = folds_of(Vec::new(), self.dataset.clone(), &settings, cache)?;
                Setup::begin_on(folds, &mut settings, WindowsOf::Searched)?
            }
        };
        let new = setup.new_run(&settings, self.name.as_deref());
        let (run, _lock) = store.begin_run(&new, self.name.is_some())?;
        let pace = Pace::new(self.jobs, stop);
        let finish = carry_out(store, &run, &settings, &setup, pace, observer)?;
        match finish {
            Finish::NothingFits(nearest) => Err(ExperimentError::NothingFits(nearest)),
            Finish::Done | Finish::TimeUp | Finish::Interrupted | Finish::Exhausted => Ok(run),
        }
    }

    fn settings(&self) -> Result<Settings, ExperimentError> {
        let default = match self.targets.is_empty() {
            true => vec![crate::hardware::find("m7")?],
            false => Vec::new(),
        };
        let targets: Vec<Target> = self.targets.iter().cloned().chain(default).collect();
        let spaces = space::with_references(self.spaces.clone());
        Ok(Settings {
            allow_skipped: self.allow_skipped,
            budget: self.budget,
            objectives: Objective::names(self.objectives.iter().copied()),
            sampler: self.sampler.name().to_string(),
            warm_start: self.warm_start.clone(),
            seed: self.seed,
            epochs: self.epochs,
            device: self.backend.name().to_string(),
            trials: self.trials,
            repeats: self.repeats,
            ..Settings::new(&self.dataset.name, &spaces, &targets)
        })
    }
}

/// How fast a search is carried out; its trials do not depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Pace<'a> {
    /// Number of candidates that train at the same time, one thread each.
    pub jobs: usize,
    /// No training begins after this time.
    pub deadline: Option<Instant>,
    /// The caller sets it to end the search at once; recorded trials stay.
    pub stop: &'a AtomicBool,
    /// The caller sets it to end the search after the trainings that run.
    pub last: &'a AtomicBool,
}

impl<'a> Pace<'a> {
    /// As many jobs, or as many as there are cores, without a deadline.
    pub fn new(jobs: Option<usize>, stop: &'a AtomicBool) -> Pace<'a> {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Pace {
            jobs: jobs.unwrap_or_else(all_cores),
            deadline: None,
            stop,
            last: &NEVER,
        }
    }

    /// Whether the caller ends the work, and whether the time is up.
    pub(super) fn ending(&self) -> (bool, bool) {
        let is_ended = self.stop.load(Ordering::Relaxed) || self.last.load(Ordering::Relaxed);
        let is_late = self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline);
        (is_ended, is_late)
    }
}

/// Searches by the settings until the run's trials are recorded.
///
/// # Errors
/// Where the store fails, or the stored run is not the search that this program proposes.
pub fn carry_out(
    store: &mut Store,
    run: &Run,
    settings: &Settings,
    setup: &Setup,
    pace: Pace<'_>,
    observer: &mut dyn FnMut(&Progress),
) -> Result<Finish, RunError> {
    if settings.plan_version != PLAN_VERSION {
        return Err(RunError::OtherPlanVersion {
            run: run.name.clone(),
            version: settings.plan_version,
        });
    }
    let sampler = settings.sampler()?.sampler();
    let described = described(settings, setup, sampler.as_ref(), pace);
    let further = described.further;
    let mut last = None;
    let finish = search(store, run, &described, &mut |progress| {
        last = Some(progress.clone());
        observer(progress);
    })?;
    let goes_on = matches!(finish, Finish::Done | Finish::Exhausted | Finish::TimeUp);
    let (true, true, Some(mut progress)) = (further.most > 0, goes_on, last) else {
        return Ok(finish);
    };
    store.set_state(run.id, RunState::Running)?;
    let described = Rescore {
        spaces: &setup.spaces,
        evaluator: setup.evaluator(),
        seeds: 1..further.each + 1,
        near: NEAR,
        limit: Some(further.most),
        pace,
    };
    let repeated = rescore(store, run, &described, &mut |state| {
        progress.repeated = state.all_done;
        progress.in_flight = 0;
        progress.hypervolumes.clone_from(&state.hypervolumes);
        progress.seconds_left = state.seconds_left;
        progress.news = Some(state.news.clone()).filter(|news| !news.is_empty());
        observer(&progress);
    })?;
    let finish = match repeated {
        Finish::Done => finish,
        ended => ended,
    };
    store.set_state(run.id, state_after(&finish))?;
    Ok(finish)
}

/// The search that settings describe.
pub(super) fn described<'a>(
    settings: &'a Settings,
    setup: &'a Setup,
    sampler: &'a dyn Sampler,
    pace: Pace<'a>,
) -> Search<'a> {
    let further = settings.further_trainings();
    Search {
        spaces: &setup.spaces,
        targets: &setup.targets,
        budget: &settings.budget,
        objectives: &setup.objectives,
        references: &setup.references,
        sampler,
        earlier: &setup.earlier,
        evaluator: setup.evaluator(),
        seed: settings.seed,
        trials: settings.trials - further.most,
        further,
        pace: Pace {
            deadline: pace.deadline.map(|end| earlier(end, further.most)),
            ..pace
        },
    }
}

/// A trial off the front whose AUC is lower by no more is trained once more: what a further training of a dense autoencoder
/// changes (docs/search.md).
const NEAR: f64 = 0.01;

/// The end of the first two thirds of the time until `end`, where further trainings follow.
fn earlier(end: Instant, further: usize) -> Instant {
    let left = end.saturating_duration_since(Instant::now());
    match further {
        0 => end,
        _ => end.checked_sub(left / 3).unwrap_or(end),
    }
}

/// The number of cores of this machine.
pub fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get())
}
