//! Trains the best trials of a run again with other seeds, so that lucky ones fall off its fronts.
//!
//! A trial that was chosen out of many for its score owes part of the score to luck. Once it is trained again, it
//! counts with the mean over its further trainings, without the one that it was chosen by. Where that takes a trial
//! off a front, others come onto it. They are trained again too, until every member of every front was.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use super::{
    Finish, RunError, Yardstick,
    front::front,
    record::{evaluation_row, scored_figures, write_model},
    workers::{Done, Seed, Task, with_workers},
};
use crate::{
    evaluate::{EvaluateError, Evaluator},
    score::{Figure, Figures},
    space::Spaces,
    store::{Front, RepeatRow, Run, Store, TrialOutcome, TrialRow},
};

/// Everything that determines which trials are trained again, and how to carry it out.
pub struct Rescore<'a> {
    /// The spaces of the run.
    pub spaces: &'a Spaces,
    /// Gives a candidate its scores.
    pub evaluator: &'a dyn Evaluator,
    /// Offsets from the run's seed; 0 is the training that the trial was chosen by.
    pub seeds: std::ops::Range<u64>,
    /// A trial off the front is also trained again if an AUC higher by this would put it on the front.
    pub near: f64,
    /// Number of trainings at the same time, one thread each.
    pub jobs: usize,
    /// The caller sets it to end the work; recorded trainings stay.
    pub stop: &'a AtomicBool,
}

/// The state of rescoring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RescoreProgress {
    /// The round, from 1; its trials follow from the rounds before.
    pub round: usize,
    /// Trials that are new in this round.
    pub trials: usize,
    /// Trainings of this round that are recorded.
    pub done: usize,
    /// Trainings of this round.
    pub wanted: usize,
    /// A sentence about the last recorded training.
    pub news: String,
}

/// Trains the members of a run's fronts, and trials near them, with further seeds, and records fronts of the means.
///
/// Ends with [`Finish::Done`] or [`Finish::Interrupted`]. Called again, it goes on where it ended, with the same
/// result as without the interruption.
///
/// # Errors
/// [`RunError`] where the store or the run's settings cannot be used.
pub fn rescore(
    store: &mut Store,
    run: &Run,
    rescore: &Rescore<'_>,
    observer: &mut dyn FnMut(&RescoreProgress),
) -> Result<Finish, RunError> {
    let mut rounds = Rounds::open(store, run, rescore)?;
    with_workers(
        rescore.evaluator,
        rescore.stop,
        rescore.jobs,
        |tasks, results| coordinate(&mut rounds, tasks, results, observer),
    )
}

fn coordinate(
    rounds: &mut Rounds<'_>,
    tasks: &mpsc::Sender<Task>,
    results: &mpsc::Receiver<Done>,
    observer: &mut dyn FnMut(&RescoreProgress),
) -> Result<Finish, RunError> {
    // Rounds are played again from the first one with the recorded trainings, so an interruption in the middle of a
    // round changes nothing.
    let mut counted = BTreeSet::new();
    let mut round = 0;
    loop {
        round += 1;
        let wanted = rounds.contenders(&counted);
        if wanted.is_subset(&counted) {
            let all = rounds.rescored();
            if all.is_subset(&counted) {
                return Ok(Finish::Done);
            }
            // Trials that were rescored earlier by other rules are on the recorded fronts with their means too.
            counted.extend(all);
            continue;
        }
        let mut queue = rounds.missing(&wanted)?;
        let mut progress = RescoreProgress {
            round,
            trials: wanted.difference(&counted).count(),
            done: 0,
            wanted: queue.len(),
            news: String::new(),
        };
        observer(&progress);
        let mut in_flight = 0;
        let stopped = || rounds.rescore.stop.load(Ordering::Relaxed);
        while in_flight > 0 || (!queue.is_empty() && !stopped()) {
            let has_room = in_flight < rounds.rescore.jobs.max(1) && !stopped();
            if has_room && let Some(task) = queue.pop_front() {
                match rounds.reuse(&task)? {
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
                if let Some(news) = rounds.record(done)? {
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
struct Rounds<'a> {
    store: &'a mut Store,
    run: &'a Run,
    rescore: &'a Rescore<'a>,
    yardstick: Yardstick,
    /// The row of each trial and the figures of its own training, by number.
    trials: BTreeMap<i64, (TrialRow, Figures)>,
    /// The figures of further trainings, by number and offset of the seed; a failed training counts as chance.
    repeats: BTreeMap<(i64, u64), Figures>,
}

impl<'a> Rounds<'a> {
    fn open(
        store: &'a mut Store,
        run: &'a Run,
        rescore: &'a Rescore<'a>,
    ) -> Result<Rounds<'a>, RunError> {
        let evaluations = store.evaluations(run.id)?;
        let figures = |key: &String| evaluations.get(key).and_then(scored_figures);
        let trials = store.trials(run.id)?.into_iter().filter_map(|row| {
            let TrialOutcome::Scored { evaluation_key } = &row.outcome else {
                return None;
            };
            let figures = figures(evaluation_key)?;
            Some((row.number, (row, figures)))
        });
        let repeats = store.repeats(run.id)?.into_iter().filter_map(|repeat| {
            let figures = match &repeat.outcome {
                Ok(key) => figures(key)?,
                Err(_) => Figures::CHANCE,
            };
            Some(((repeat.number, repeat.seed as u64), figures))
        });
        let (trials, repeats) = (trials.collect(), repeats.collect());
        Ok(Rounds {
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

    /// The mean over a trial's further trainings where they count and exist; else the trial's own training.
    fn figures(&self, number: i64, own: Figures, counted: &BTreeSet<i64>) -> Figures {
        if !counted.contains(&number) {
            return own;
        }
        let repeats = self.repeats.range((number, 0)..=(number, u64::MAX));
        let figures: Vec<Figures> = repeats.map(|(_, figures)| *figures).collect();
        Figures::mean(&figures).unwrap_or(own)
    }

    /// Number and objectives of every scored trial that fits, per target.
    fn points(&self, counted: &BTreeSet<i64>) -> Vec<Vec<(usize, Vec<f64>)>> {
        let mut points = vec![Vec::new(); self.yardstick.targets.len()];
        for (number, (row, own)) in &self.trials {
            let figures = self.figures(*number, *own, counted);
            let on_targets = self.yardstick.points(row, &figures);
            for (points, point) in points.iter_mut().zip(on_targets) {
                points.extend(point.map(|point| (*number as usize, point)));
            }
        }
        points
    }

    /// The members of all fronts, and the trials near one.
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

    /// The trainings that these trials lack, by trial and seed.
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

    /// Uses an evaluation from elsewhere in the store, if there is one; returns a sentence about it.
    fn reuse(&mut self, task: &Task) -> Result<Option<String>, RunError> {
        let key = self.key(task);
        let stored = self.store.evaluation(&key)?;
        let Some(figures) = stored.as_ref().and_then(scored_figures) else {
            return Ok(None);
        };
        let repeat = self.note(task, Ok(key), figures);
        self.store
            .record_repeat(self.run.id, &repeat, None, &self.fronts())?;
        Ok(Some(format!("{}, known", words(task, &figures))))
    }

    /// Records one training in one transaction; returns a sentence about it, and `None` where it was interrupted.
    fn record(&mut self, done: Done) -> Result<Option<String>, RunError> {
        let Done {
            task,
            result,
            seconds,
        } = done;
        match result {
            Err(EvaluateError::Interrupted) => Ok(None),
            Err(EvaluateError::Lost(message)) => {
                let number = task.number;
                Err(RunError::Lost { number, message })
            }
            Err(EvaluateError::Failed(message)) => {
                let repeat = self.note(&task, Err(message.clone()), Figures::CHANCE);
                self.store
                    .record_repeat(self.run.id, &repeat, None, &self.fronts())?;
                let (number, offset) = (task.number, task.seed.offset);
                Ok(Some(format!(
                    "trial {number}, seed +{offset}: failed: {message}"
                )))
            }
            Ok(evaluation) => {
                let (number, offset) = (task.number, task.seed.offset);
                let folder = format!("{number}/seed-{offset}");
                let artefacts =
                    write_model(self.store, number, &self.run.name, folder, &evaluation)?;
                let key = self.key(&task);
                let row = evaluation_row(key.clone(), &evaluation, artefacts, seconds);
                let figures = evaluation.scores.figures;
                let repeat = self.note(&task, Ok(key), figures);
                self.store
                    .record_repeat(self.run.id, &repeat, Some(&row), &self.fronts())?;
                Ok(Some(words(&task, &figures)))
            }
        }
    }

    fn note(
        &mut self,
        task: &Task,
        outcome: Result<String, String>,
        figures: Figures,
    ) -> RepeatRow {
        let (number, offset) = (task.number as i64, task.seed.offset);
        self.repeats.insert((number, offset), figures);
        RepeatRow {
            number,
            seed: offset as i64,
            outcome,
        }
    }

    /// The front of each target, with means where there are some.
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

fn words(task: &Task, figures: &Figures) -> String {
    let (number, offset) = (task.number, task.seed.offset);
    let auc = figures.get(Figure::AUC).unwrap_or_default();
    format!("trial {number}, seed +{offset}: AUC {auc:.3}")
}
