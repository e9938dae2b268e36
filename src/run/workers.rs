//! Threads that evaluate candidates. One coordinator sends them tasks and records the results.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Instant,
};

use super::RunError;
use crate::{
    evaluate::{EvaluateError, Evaluation, Evaluator},
    space::{Candidate, Training},
};

/// One evaluation to do.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub number: usize,
    pub candidate: Candidate,
    pub training: Training,
    pub seed: Seed,
}

/// The seed of one training, and the offset of its run's seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seed {
    pub offset: u64,
    pub value: u64,
}

impl Seed {
    /// A candidate's seed depends on the candidate and not on its number. So equal networks train alike in runs of
    /// equal seeds, and the further seeds of a run are the seeds of the runs after it.
    pub fn of(run_seed: u64, offset: u64, key: &str) -> Seed {
        let hash = blake3::hash(format!("{} {key}", run_seed.wrapping_add(offset)).as_bytes());
        let bytes = hash.as_bytes()[..8].try_into().expect("eight of 32 bytes");
        Seed {
            offset,
            value: u64::from_le_bytes(bytes),
        }
    }
}

/// One finished evaluation.
pub(super) struct Done {
    pub task: Task,
    pub result: Result<Evaluation, EvaluateError>,
    pub seconds: f64,
}

/// Runs `coordinate` beside `jobs` threads that evaluate its tasks; returns when all of them are done.
pub(super) fn with_workers<T>(
    evaluator: &dyn Evaluator,
    stop: &AtomicBool,
    jobs: usize,
    coordinate: impl FnOnce(&Sender<Task>, &Receiver<Done>) -> Result<T, RunError>,
) -> Result<T, RunError> {
    let (task_sender, tasks) = channel::<Task>();
    let tasks = Mutex::new(tasks);
    let (result_sender, results) = channel::<Done>();
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (tasks, result_sender) = (&tasks, result_sender.clone());
            scope.spawn(move || work(evaluator, stop, tasks, &result_sender));
        }
        let result = coordinate(&task_sender, &results);
        // Where the coordinator fails, trials in training give up.
        if result.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        drop(task_sender);
        result
    })
}

/// Evaluates many short tasks, `jobs` at a time, and gives the results in the order of the tasks.
pub(super) fn evaluate_all(
    evaluator: &dyn Evaluator,
    stop: &AtomicBool,
    jobs: usize,
    tasks: Vec<Task>,
) -> Vec<Done> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(tasks.len()));
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = evaluated(evaluator, stop, task.clone());
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(result);
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|done: &Done| done.task.number);
    done
}

/// A worker thread: evaluates until there are no more tasks.
fn work(
    evaluator: &dyn Evaluator,
    stop: &AtomicBool,
    tasks: &Mutex<Receiver<Task>>,
    results: &Sender<Done>,
) {
    loop {
        let task = tasks
            .lock()
            .expect("no thread panics while it waits for a task")
            .recv();
        let Ok(task) = task else { return };
        if results.send(evaluated(evaluator, stop, task)).is_err() {
            return;
        }
    }
}

fn evaluated(evaluator: &dyn Evaluator, stop: &AtomicBool, task: Task) -> Done {
    let begin = Instant::now();
    let evaluate = || evaluator.evaluate(&task.candidate, &task.training, task.seed.value, stop);
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
    Done {
        seconds: begin.elapsed().as_secs_f64(),
        task,
        result,
    }
}
