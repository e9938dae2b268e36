//! Training the best trials of a run again with other seeds, so that lucky ones fall off its fronts.
//!
//! A trial that was chosen out of many for its score owes part of it to luck. Once it was trained again, it counts with
//! the mean over its further trainings, without the one that it was chosen by. Where that takes a trial off a front,
//! others come onto it, and are trained again too, until every member of every front was.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use super::{
    Finish, Merit, RunError, Yardstick,
    front::front,
    record::{evaluation_row, write_model},
    workers::{Done, Seed, Task, with_workers},
};
use crate::{
    evaluate::{EvaluateError, Evaluator},
    space::Spaces,
    store::{Front, RepeatRow, Run, Store, TrialOutcome, TrialRow},
};

/// Everything that determines which trials are trained again, and how to carry it out.
pub struct Rescore<'a> {
    pub spaces: &'a Spaces,
    pub evaluator: &'a dyn Evaluator,
    /// Offsets from the run's seed; 0 is the training that the trial was chosen by.
    pub seeds: std::ops::Range<u64>,
    /// Trials off the front are trained again too where an AUC that is higher by this would put them on it.
    pub near: f64,
    /// Trainings at the same time, one thread each.
    pub jobs: usize,
    /// Set from outside to end it; what is recorded stays.
    pub stop: &'a AtomicBool,
}

/// Where rescoring stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RescoreProgress {
    /// Counted from 1; who takes part in a round follows from the rounds before.
    pub round: usize,
    /// Trials that take part in this round and did not before.
    pub trials: usize,
    pub done: usize,
    /// Trainings of this round.
    pub wanted: usize,
    /// The training that was recorded last, in words.
    pub news: String,
}

/// Trains the members of a run's fronts, and those near them, with further seeds, and records fronts of the means.
///
/// Ends with [`Finish::Done`] or [`Finish::Interrupted`]; called again it goes on where it ended, and what it does in all
/// is the same.
pub fn rescore(
    store: &mut Store,
    run: &Run,
    rescore: &Rescore<'_>,
    observer: &mut dyn FnMut(&RescoreProgress),
) -> Result<Finish, RunError> {
    let mut desk = Desk::open(store, run, rescore)?;
    with_workers(
        rescore.evaluator,
        rescore.stop,
        rescore.jobs,
        |tasks, results| coordinate(&mut desk, tasks, results, observer),
    )
}

fn coordinate(
    desk: &mut Desk<'_>,
    tasks: &mpsc::Sender<Task>,
    results: &mpsc::Receiver<Done>,
    observer: &mut dyn FnMut(&RescoreProgress),
) -> Result<Finish, RunError> {
    // Rounds are played again from the first one on, with what is recorded already, so that an interruption in the
    // middle of a round changes nothing.
    let mut counted = BTreeSet::new();
    let mut round = 0;
    loop {
        round += 1;
        let wanted = desk.contenders(&counted);
        if wanted.is_subset(&counted) {
            let all = desk.rescored();
            if all.is_subset(&counted) {
                return Ok(Finish::Done);
            }
            // Trials that were rescored by other rules earlier are on the recorded fronts with their means too.
            counted.extend(all);
            continue;
        }
        let mut queue = desk.missing(&wanted)?;
        let mut progress = RescoreProgress {
            round,
            trials: wanted.difference(&counted).count(),
            done: 0,
            wanted: queue.len(),
            news: String::new(),
        };
        observer(&progress);
        let mut in_flight = 0;
        let stopped = || desk.rescore.stop.load(Ordering::Relaxed);
        while in_flight > 0 || (!queue.is_empty() && !stopped()) {
            let has_room = in_flight < desk.rescore.jobs.max(1) && !stopped();
            if has_room && let Some(task) = queue.pop_front() {
                match desk.reuse(&task)? {
                    Some(news) => {
                        progress.done += 1;
                        progress.news = news;
                        observer(&progress);
                    }
                    None => {
                        in_flight += 1;
                        tasks.send(task).expect("workers live as long as this");
                    }
                }
                continue;
            }
            if let Ok(done) = results.recv_timeout(Duration::from_millis(200)) {
                in_flight -= 1;
                if let Some(news) = desk.record(done)? {
                    progress.done += 1;
                    progress.news = news;
                    observer(&progress);
                }
            }
        }
        if progress.done < progress.wanted {
            return Ok(Finish::Interrupted);
        }
        counted.extend(wanted);
    }
}

/// The coordinator's state: the scored trials of the run and their further trainings.
struct Desk<'a> {
    store: &'a mut Store,
    run: &'a Run,
    rescore: &'a Rescore<'a>,
    yardstick: Yardstick,
    /// By number: the row, and the merit of its own training.
    trials: BTreeMap<i64, (TrialRow, Merit)>,
    /// By number and offset of the seed; `None` where a training failed.
    repeats: BTreeMap<(i64, u64), Option<Merit>>,
}

impl<'a> Desk<'a> {
    fn open(
        store: &'a mut Store,
        run: &'a Run,
        rescore: &'a Rescore<'a>,
    ) -> Result<Desk<'a>, RunError> {
        let evaluations = store.evaluations(run.id)?;
        let merit = |key: &String| evaluations.get(key).and_then(Merit::of);
        let trials = store.trials(run.id)?.into_iter().filter_map(|row| {
            let TrialOutcome::Scored { evaluation_key } = &row.outcome else {
                return None;
            };
            let merit = merit(evaluation_key)?;
            Some((row.number, (row, merit)))
        });
        let repeats = store.repeats(run.id)?.into_iter().map(|repeat| {
            let merit = repeat.outcome.as_ref().ok().and_then(merit);
            ((repeat.number, repeat.seed as u64), merit)
        });
        let (trials, repeats) = (trials.collect(), repeats.collect());
        Ok(Desk {
            yardstick: Yardstick::of(run)?,
            store,
            run,
            rescore,
            trials,
            repeats,
        })
    }

    /// Trials with at least one further training.
    fn rescored(&self) -> BTreeSet<i64> {
        self.repeats.keys().map(|(number, _)| *number).collect()
    }

    /// The mean over the further trainings of a trial where those count and there are some; else that of its own.
    fn merit(&self, number: i64, own: Merit, counted: &BTreeSet<i64>) -> Merit {
        if !counted.contains(&number) {
            return own;
        }
        let repeats = self.repeats.range((number, 0)..=(number, u64::MAX));
        let merits: Vec<Merit> = repeats.filter_map(|(_, merit)| *merit).collect();
        Merit::mean(&merits).unwrap_or(own)
    }

    /// Per target, number and objectives of every scored trial that fits it.
    fn points(&self, counted: &BTreeSet<i64>) -> Vec<Vec<(usize, Vec<f64>)>> {
        let mut points = vec![Vec::new(); self.yardstick.targets.len()];
        for (number, (row, own)) in &self.trials {
            let merit = self.merit(*number, *own, counted);
            let on_targets = self.yardstick.points(row, merit);
            for (points, point) in points.iter_mut().zip(on_targets) {
                points.extend(point.map(|point| (*number as usize, point)));
            }
        }
        points
    }

    /// The members of all fronts, and the trials that are near one.
    fn contenders(&self, counted: &BTreeSet<i64>) -> BTreeSet<i64> {
        let objectives = &self.yardstick.objectives;
        let mut contenders = BTreeSet::new();
        let all = self.points(counted);
        for (mut points, references) in all.into_iter().zip(&self.yardstick.references) {
            contenders.extend(front(&points, objectives));
            for idx in 0..points.len() {
                let (number, point) = points[idx].clone();
                for (axis, objective) in objectives.iter().enumerate() {
                    if !objective.is_cost() {
                        points[idx].1[axis] -= self.rescore.near / references[axis];
                    }
                }
                if front(&points, objectives).contains(&(number as i64)) {
                    contenders.insert(number as i64);
                }
                points[idx].1 = point;
            }
        }
        contenders
    }

    /// The trainings that some trials lack, by trial and seed.
    fn missing(&self, wanted: &BTreeSet<i64>) -> Result<VecDeque<Task>, RunError> {
        let mut tasks = VecDeque::new();
        for number in wanted {
            let row = &self.trials[number].0;
            let spaces = self.rescore.spaces;
            let number = *number as usize;
            let genome = spaces
                .decode_bytes(&row.genome)
                .ok_or(RunError::Genome { number })?;
            let candidate = spaces.decode(&genome);
            let network_key = candidate.network_key();
            for offset in self.rescore.seeds.clone() {
                if !self.repeats.contains_key(&(row.number, offset)) {
                    tasks.push_back(Task {
                        number,
                        candidate: candidate.clone(),
                        training: spaces.space_of(&genome).training,
                        seed: Seed::of(self.run.seed, offset, &network_key),
                    });
                }
            }
        }
        Ok(tasks)
    }

    fn key(&self, task: &Task) -> String {
        let evaluator = self.rescore.evaluator;
        evaluator.content_key(&task.candidate, &task.training, task.seed.value)
    }

    /// Takes the evaluation from elsewhere in the store where it is there; what happened, in words.
    fn reuse(&mut self, task: &Task) -> Result<Option<String>, RunError> {
        let key = self.key(task);
        let Some(merit) = self.store.evaluation(&key)?.as_ref().and_then(Merit::of) else {
            return Ok(None);
        };
        let repeat = self.note(task, Ok(key), Some(merit));
        self.store
            .record_repeat(self.run.id, &repeat, None, &self.fronts())?;
        Ok(Some(format!("{}, known", words(task, merit))))
    }

    /// Writes one training down, in one transaction; what happened, in words, and `None` where it was interrupted.
    fn record(&mut self, done: Done) -> Result<Option<String>, RunError> {
        let Done {
            task,
            result,
            seconds,
        } = done;
        match result {
            Err(EvaluateError::Interrupted) => Ok(None),
            Err(EvaluateError::Failed(message)) => {
                let repeat = self.note(&task, Err(message.clone()), None);
                self.store
                    .record_repeat(self.run.id, &repeat, None, &self.fronts())?;
                let (number, offset) = (task.number, task.seed.offset);
                Ok(Some(format!(
                    "trial {number}, seed +{offset}: failed: {message}"
                )))
            }
            Ok(evaluation) => {
                let (number, offset) = (task.number, task.seed.offset);
                let folder = format!("{}/{number}/seed-{offset}", self.run.name);
                let artefacts = write_model(self.store, number, folder, &evaluation)?;
                let key = self.key(&task);
                let row = evaluation_row(key.clone(), &evaluation.scores, artefacts, seconds);
                let merit = Merit::from(&evaluation.scores);
                let repeat = self.note(&task, Ok(key), Some(merit));
                self.store
                    .record_repeat(self.run.id, &repeat, Some(&row), &self.fronts())?;
                Ok(Some(words(&task, merit)))
            }
        }
    }

    fn note(
        &mut self,
        task: &Task,
        outcome: Result<String, String>,
        merit: Option<Merit>,
    ) -> RepeatRow {
        let (number, offset) = (task.number as i64, task.seed.offset);
        self.repeats.insert((number, offset), merit);
        RepeatRow {
            number,
            seed: offset as i64,
            outcome,
        }
    }

    /// The front of each target, of means where there are some.
    fn fronts(&self) -> Vec<Front> {
        let points = self.points(&self.rescored());
        let fronts = self.yardstick.targets.iter().zip(&points);
        fronts
            .map(|(target, points)| {
                let front = front(points, &self.yardstick.objectives);
                (target.name.clone(), front)
            })
            .collect()
    }
}

fn words(task: &Task, merit: Merit) -> String {
    let (number, offset, auc) = (task.number, task.seed.offset, merit.auc_int8);
    format!("trial {number}, seed +{offset}: AUC {auc:.3}")
}
