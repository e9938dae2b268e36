//! The loop: history, proposals, estimate, train what fits, record at once.
//!
//! A search is a fold over its store. Starting and resuming are the same code: the plan is made again from
//! the seed and the recorded trials, and what is recorded already is not done again.

mod objective;
mod plan;
mod settings;

use std::{
    collections::{BTreeMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

pub use objective::{Objective, UnknownObjective, references};
pub use plan::{BLOCK, Plan, Trial};
pub use settings::{BudgetSettings, DataFacts, LogMelFacts, NamedText, Settings, SettingsError};

use crate::{
    evaluate::{EvaluateError, Evaluation, Evaluator, Scores},
    score::GroupScore,
    search::{Observed, Sampler, hypervolume, pareto_front},
    space::Spaces,
    store::{
        CostRow, EvaluationRow, Front, Run, RunState, Store, StoreError, TrialOutcome, TrialRow,
    },
    target::{Budget, Metric, Target},
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
    pub best_auc_int8: Option<f64>,
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
    let (task_sender, tasks) = mpsc::channel::<Task>();
    let tasks = Mutex::new(tasks);
    let (result_sender, results) = mpsc::channel::<Done>();
    let finish = thread::scope(|scope| {
        for _ in 0..search.jobs.max(1) {
            let (tasks, result_sender) = (&tasks, result_sender.clone());
            scope.spawn(move || work(search, tasks, &result_sender));
        }
        let finish = coordinate(&mut book, &task_sender, &results, observer);
        // Trials that are still training give up where the search failed.
        if finish.is_err() {
            search.stop.store(true, Ordering::Relaxed);
        }
        drop(task_sender);
        finish
    })?;
    let state = match finish {
        Finish::Interrupted | Finish::TimeUp => RunState::Interrupted,
        Finish::Done | Finish::Exhausted | Finish::NothingFits(_) => RunState::Finished,
    };
    book.store.set_state(run.id, state)?;
    Ok(finish)
}

/// One evaluation to be done.
struct Task {
    number: usize,
    candidate: crate::space::Candidate,
    training: crate::space::Training,
    seed: u64,
}

/// One evaluation that is done.
struct Done {
    number: usize,
    result: Result<Evaluation, EvaluateError>,
    seconds: f64,
}

/// A worker thread: evaluates until there are no more tasks.
fn work(search: &Search<'_>, tasks: &Mutex<mpsc::Receiver<Task>>, results: &mpsc::Sender<Done>) {
    loop {
        let task = tasks
            .lock()
            .expect("no thread panics while it waits for a task")
            .recv();
        let Ok(task) = task else { return };
        let begin = Instant::now();
        let evaluate = || {
            search
                .evaluator
                .evaluate(&task.candidate, &task.training, task.seed, search.stop)
        };
        // One candidate that hits a defect must not end a night's search.
        let result = catch_unwind(AssertUnwindSafe(evaluate)).unwrap_or_else(|panic| {
            let message = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            Err(EvaluateError::Failed(format!(
                "defect in the program: {message}"
            )))
        });
        let seconds = begin.elapsed().as_secs_f64();
        let done = Done {
            number: task.number,
            result,
            seconds,
        };
        if results.send(done).is_err() {
            return;
        }
    }
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

/// The coordinator's state: the plan, and what of it is in the store.
struct Book<'a> {
    store: &'a mut Store,
    run: &'a Run,
    search: &'a Search<'a>,
    plan: Plan,
    /// Rows that an earlier session recorded and this one has not met yet.
    recorded: BTreeMap<i64, TrialRow>,
    /// Trials that wait for training.
    queue: VecDeque<usize>,
    /// Trials that were given to training or found recorded.
    planned: usize,
    in_flight: usize,
    /// Per target: number and objectives of every scored trial that fits it.
    points: Vec<Vec<(usize, Vec<f64>)>>,
    scored: usize,
    rejected: usize,
    failed: usize,
    best_auc_int8: Option<f64>,
    seconds: Vec<f64>,
    news: Option<String>,
}

impl<'a> Book<'a> {
    fn open(
        store: &'a mut Store,
        run: &'a Run,
        search: &'a Search<'a>,
    ) -> Result<Book<'a>, RunError> {
        let rows = store.trials(run.id)?;
        Ok(Book {
            store,
            run,
            search,
            plan: Plan::default(),
            recorded: rows.into_iter().map(|row| (row.number, row)).collect(),
            queue: VecDeque::new(),
            planned: 0,
            in_flight: 0,
            points: vec![Vec::new(); search.targets.len()],
            scored: 0,
            rejected: 0,
            failed: 0,
            best_auc_int8: None,
            seconds: Vec::new(),
            news: None,
        })
    }

    fn may_plan(&self) -> bool {
        self.planned < self.search.trials && self.plan.ready()
    }

    /// Plans a block: records what is over budget, takes over what is recorded, queues the rest.
    fn plan_block(&mut self) -> Result<(), RunError> {
        let mut rejected = Vec::new();
        for number in self.plan.extend(self.search) {
            let trial = &self.plan.trials[number];
            // What lies beyond the last wished trial belongs to a longer search.
            if self.planned >= self.search.trials {
                break;
            }
            self.planned += usize::from(trial.fits());
            match self.recorded.remove(&(number as i64)) {
                Some(row) => self.take_over(number, &row)?,
                None if trial.fits() => self.queue.push_back(number),
                None => {
                    let excess = trial
                        .least_excess()
                        .expect("a trial that fits nowhere exceeds");
                    let (message, excess) = (excess.to_string(), excess.total());
                    rejected.push(self.row(
                        number,
                        TrialOutcome::Rejected { excess, message },
                        0.0,
                    ));
                    self.rejected += 1;
                }
            }
        }
        self.store.record_rejected(self.run.id, &rejected)?;
        Ok(())
    }

    /// Meets a trial that an earlier session recorded.
    fn take_over(&mut self, number: usize, row: &TrialRow) -> Result<(), RunError> {
        if row.key != self.plan.trials[number].key {
            let version = self.run.version.clone();
            return Err(RunError::OtherPlan { number, version });
        }
        match &row.outcome {
            TrialOutcome::Rejected { .. } => self.rejected += 1,
            TrialOutcome::Failed { .. } => self.note_failed(number),
            TrialOutcome::Scored { evaluation_key } => {
                let evaluation = self.store.evaluation(evaluation_key)?;
                match evaluation.as_ref().and_then(scores_of) {
                    Some(scores) => self.note_scored(number, &scores),
                    None => self.note_failed(number),
                }
            }
        }
        Ok(())
    }

    /// Takes the evaluation from another run where one has made it.
    fn reuse(&mut self, number: usize) -> Result<bool, RunError> {
        let task = self.task(number);
        let key = self
            .search
            .evaluator
            .content_key(&task.candidate, &task.training, task.seed);
        let Some(evaluation) = self.store.evaluation(&key)? else {
            return Ok(false);
        };
        let Some(scores) = scores_of(&evaluation) else {
            return Ok(false);
        };
        self.note_scored(number, &scores);
        let row = self.row(
            number,
            TrialOutcome::Scored {
                evaluation_key: key,
            },
            0.0,
        );
        self.store.record(self.run.id, &row, None, &self.fronts())?;
        self.news = Some(format!(
            "trial {number}: AUC {:.3}, known from another run",
            scores.auc_int8
        ));
        Ok(true)
    }

    fn task(&self, number: usize) -> Task {
        let trial = &self.plan.trials[number];
        let training = self.search.spaces.space_of(&trial.genome).training;
        // A candidate's seed depends on what it is and not on when it came up.
        let key = trial.candidate.network_key();
        let hash = blake3::hash(format!("{} {key}", self.search.seed).as_bytes());
        let seed = u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("eight of 32 bytes"));
        Task {
            number,
            candidate: trial.candidate.clone(),
            training,
            seed,
        }
    }

    /// Writes one finished evaluation down, in one transaction.
    fn record(&mut self, done: Done) -> Result<(), RunError> {
        let Done {
            number,
            result,
            seconds,
        } = done;
        let task = self.task(number);
        let key = self
            .search
            .evaluator
            .content_key(&task.candidate, &task.training, task.seed);
        match result {
            Err(EvaluateError::Interrupted) => self.news = None,
            Err(EvaluateError::Failed(message)) => {
                self.seconds.push(seconds);
                self.note_failed(number);
                self.news = Some(format!("trial {number}: failed: {message}"));
                let row = self.row(number, TrialOutcome::Failed { message }, seconds);
                self.store.record(self.run.id, &row, None, &self.fronts())?;
            }
            Ok(evaluation) => {
                self.seconds.push(seconds);
                let artefacts = match &evaluation.model {
                    None => None,
                    Some(model) => {
                        let relative = format!("{}/{number}", self.run.name);
                        let folder = self
                            .store
                            .path()
                            .parent()
                            .unwrap_or(Path::new("."))
                            .join(&relative);
                        model
                            .write(&folder)
                            .map_err(|source| RunError::Artefact { number, source })?;
                        Some(relative)
                    }
                };
                let scores = &evaluation.scores;
                self.note_scored(number, scores);
                let space = &self
                    .search
                    .spaces
                    .space_of(&self.plan.trials[number].genome)
                    .name;
                self.news = Some(format!(
                    "trial {number}: {space}, AUC {:.3}",
                    scores.auc_int8
                ));
                let row = self.row(
                    number,
                    TrialOutcome::Scored {
                        evaluation_key: key.clone(),
                    },
                    seconds,
                );
                let evaluation = evaluation_row(key, scores, artefacts, seconds);
                self.store
                    .record(self.run.id, &row, Some(&evaluation), &self.fronts())?;
            }
        }
        Ok(())
    }

    fn note_failed(&mut self, number: usize) {
        self.failed += 1;
        self.plan.trials[number].result = Some(Observed::Failed);
    }

    fn note_scored(&mut self, number: usize, scores: &Scores) {
        self.scored += 1;
        if self.best_auc_int8.is_none_or(|best| scores.auc_int8 > best) {
            self.best_auc_int8 = Some(scores.auc_int8);
        }
        let search = self.search;
        let trial = &mut self.plan.trials[number];
        let macs = trial.candidate.graph.macs();
        let mut scaled = Vec::new();
        for (idx, (estimate, references)) in
            trial.estimates.iter().zip(search.references).enumerate()
        {
            let point: Vec<f64> = search
                .objectives
                .iter()
                .zip(references)
                .map(|(objective, reference)| objective.value(scores, estimate, macs) / reference)
                .collect();
            if trial.excess[idx].is_none() {
                self.points[idx].push((number, point.clone()));
            }
            scaled.push(point);
        }
        // The first target steers.
        trial.result = Some(Observed::Scored(scaled.swap_remove(0)));
    }

    /// The front of each target.
    fn fronts(&self) -> Vec<Front> {
        let fronts = self.search.targets.iter().zip(&self.points);
        fronts
            .map(|(target, points)| {
                let front = front(points, self.search.objectives);
                (target.name.clone(), front)
            })
            .collect()
    }

    fn row(&self, number: usize, outcome: TrialOutcome, seconds: f64) -> TrialRow {
        let trial = &self.plan.trials[number];
        let mut costs: Vec<CostRow> = Vec::new();
        for (target, estimate) in self.search.targets.iter().zip(&trial.estimates) {
            for metric in Metric::COSTED {
                let Some(cost) = estimate.get(metric) else {
                    continue;
                };
                costs.push(CostRow {
                    target: target.name.clone(),
                    metric: metric.key().to_string(),
                    value: cost.value,
                    low: cost.low,
                    high: cost.high,
                    source: cost.source.name().to_string(),
                });
            }
        }
        TrialRow {
            number: number as i64,
            block: trial.block as i64,
            genome: self.search.spaces.encode(&trial.genome),
            key: trial.key.clone(),
            space: self.search.spaces.space_of(&trial.genome).name.clone(),
            task: trial.candidate.task.name().to_string(),
            macs: trial.candidate.graph.macs() as i64,
            params: trial.candidate.graph.params() as i64,
            outcome,
            seconds,
            recorded_utc: utc_now(),
            costs,
        }
    }

    fn progress(&self) -> Progress {
        let volume = |points: &Vec<(usize, Vec<f64>)>| {
            let points: Vec<&[f64]> = points.iter().map(|(_, point)| point.as_slice()).collect();
            hypervolume(&points, &vec![1.0; self.search.objectives.len()])
        };
        let mean = self.seconds.iter().sum::<f64>() / self.seconds.len() as f64;
        Progress {
            scored: self.scored,
            rejected: self.rejected,
            failed: self.failed,
            wanted: self.search.trials,
            in_flight: self.in_flight,
            best_auc_int8: self.best_auc_int8,
            hypervolumes: self.points.iter().map(volume).collect(),
            seconds_per_trial: (!self.seconds.is_empty()).then_some(mean),
            news: self.news.clone(),
        }
    }

    /// The rejected trial that is over its budgets by least, in words.
    fn nearest_miss(&self) -> Option<String> {
        let misses = self.plan.trials.iter().filter_map(Trial::least_excess);
        misses
            .min_by(|a, b| a.total().total_cmp(&b.total()))
            .map(|excess| excess.to_string())
    }
}

/// Numbers of the trials that no other dominates, ascending; of equal ones the earliest.
///
/// `points` are objectives as shares of their references. A network that tells anomalies no better than chance
/// is worth nothing however cheap it is: it is on the front only where no network does better.
fn front(points: &[(usize, Vec<f64>)], objectives: &[Objective]) -> Vec<i64> {
    let is_useful = |point: &Vec<f64>| {
        let mut pairs = objectives.iter().zip(point);
        pairs.all(|(objective, share)| objective.is_cost() || *share < 1.0)
    };
    let any_useful = points.iter().any(|(_, point)| is_useful(point));
    let mut points: Vec<&(usize, Vec<f64>)> = points
        .iter()
        .filter(|(_, point)| is_useful(point) || !any_useful)
        .collect();
    // Trials are recorded in the order they finish, which differs from machine to machine.
    points.sort_by_key(|(number, _)| *number);
    let objectives: Vec<&[f64]> = points.iter().map(|(_, point)| point.as_slice()).collect();
    pareto_front(&objectives)
        .into_iter()
        .map(|idx| points[idx].0 as i64)
        .collect()
}

/// The present time, UTC, in ISO 8601.
pub fn utc_now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// What is stored of an evaluation besides its headline numbers.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Details {
    pub accuracy: Option<f64>,
    pub epochs: usize,
    pub groups: Vec<DetailsGroup>,
    pub notes: Vec<String>,
}

/// AUC of one machine, section and domain on the clips that steer.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct DetailsGroup {
    pub machine: String,
    pub section: String,
    /// `source`, `target`, or absent for both together.
    pub domain: Option<String>,
    pub auc: Option<f64>,
    pub pauc: Option<f64>,
    pub normals: usize,
    pub anomalies: usize,
}

fn evaluation_row(
    key: String,
    scores: &Scores,
    artefacts: Option<String>,
    seconds: f64,
) -> EvaluationRow {
    let group = |group: &GroupScore| DetailsGroup {
        machine: group.machine.clone(),
        section: group.section.clone(),
        domain: group.domain.map(|domain| domain.name().to_string()),
        auc: group.auc,
        pauc: group.pauc,
        normals: group.normals,
        anomalies: group.anomalies,
    };
    let details = Details {
        accuracy: scores.accuracy,
        epochs: scores.epochs,
        groups: scores.groups.iter().map(group).collect(),
        notes: scores.notes.clone(),
    };
    EvaluationRow {
        key,
        auc_int8: Some(scores.auc_int8),
        pauc_int8: Some(scores.pauc_int8),
        auc_float: Some(scores.auc_float),
        pauc_float: Some(scores.pauc_float),
        test_auc_int8: scores.test_auc_int8,
        test_pauc_int8: scores.test_pauc_int8,
        details_json: serde_json::to_string(&details).expect("details have only plain fields"),
        artefacts,
        seconds,
        created_utc: utc_now(),
    }
}

/// The headline scores of a stored evaluation.
fn scores_of(row: &EvaluationRow) -> Option<Scores> {
    let headline = Scores::headline(
        row.auc_int8?,
        row.pauc_int8?,
        row.auc_float?,
        row.pauc_float?,
    );
    Some(Scores {
        test_auc_int8: row.test_auc_int8,
        test_pauc_int8: row.test_pauc_int8,
        ..headline
    })
}

#[cfg(test)]
mod tests {
    use super::{Objective, front};
    use crate::target::Metric;

    #[test]
    fn fronts() {
        let objectives = [Objective::Auc, Objective::Cost(Metric::Latency)];
        let check = |points: &[[f64; 2]], expected: &[i64]| {
            let points: Vec<_> = points.iter().map(|p| p.to_vec()).enumerate().collect();
            assert_eq!(front(&points, &objectives), expected, "{points:?}");
        };
        check(&[], &[]);
        check(&[[0.2, 0.9], [0.8, 0.1], [0.8, 0.2]], &[0, 1]);
        // Equal ones: the earliest.
        check(&[[0.2, 0.9], [0.2, 0.9]], &[0]);
        // Chance or worse is on no front, ...
        check(&[[0.2, 0.9], [1.0, 0.1], [1.2, 0.05]], &[0]);
        // ... unless there is nothing else.
        check(&[[1.0, 0.1], [1.2, 0.05]], &[0, 1]);
    }
}
