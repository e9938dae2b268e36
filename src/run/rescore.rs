//! Trains the best trials of a run again with other seeds, so that lucky ones fall off its fronts.
//!
//! A trial that was chosen out of many for its score owes part of the score to luck. Once it is trained again, it
//! counts with the mean over its further trainings, without the one that it was chosen by. Where that takes a trial
//! off a front, others come onto it. They are trained again too, until every member of every front was, or until the
//! trainings of a search are spent. What is fitted in closed form owes nothing to a seed and stays as it is.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Range,
    sync::mpsc,
    time::Duration,
};

use super::{
    Finish, Pace, RunError, Yardstick,
    front::{Noise, front, volume},
    record::{evaluation_row, scored_figures, write_model},
    workers::{Done, Seed, Task, with_workers},
};
use crate::{
    evaluate::{EvaluateError, Evaluator},
    score::Figures,
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
    pub seeds: Range<u64>,
    /// A trial off the front is also trained again if an AUC higher by this would put it on the front.
    pub near: f64,
    /// The most trainings; `None` trains every member of every front with every seed. With a limit all members get one seed
    /// before any gets the next.
    pub limit: Option<usize>,
    /// How fast; recorded trainings stay where it ends early.
    pub pace: Pace<'a>,
}

/// The state of rescoring.
#[derive(Debug, Clone, PartialEq)]
pub struct RescoreProgress {
    /// The round, from 1; its trials follow from the rounds before.
    pub round: usize,
    /// Trials that are new in this round.
    pub trials: usize,
    /// Trainings of this round that are recorded.
    pub done: usize,
    /// Trainings of this round.
    pub wanted: usize,
    /// Trainings of all rounds so far that are recorded.
    pub all_done: usize,
    /// The hypervolume on each target, as a share of the box between the ideal and the reference point.
    pub hypervolumes: Vec<f64>,
    /// Expected time until the limit is spent or every member has its seeds, in seconds; `None` before the first
    /// training has ended.
    pub seconds_left: Option<f64>,
    /// A sentence about the last recorded training.
    pub news: String,
}

/// Trains the members of a run's fronts, and trials near them, with further seeds, and records fronts of the means.
///
/// Ends with [`Finish::Done`], [`Finish::TimeUp`] or [`Finish::Interrupted`]. Called again, it goes on where it ended,
/// with the same result as without the interruption.
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
    let Pace { stop, jobs, .. } = rescore.pace;
    with_workers(rescore.evaluator, stop, jobs, |tasks, results| {
        let Range { start, end } = rescore.seeds.clone();
        let stages = match rescore.limit {
            None => vec![(start..end, rescore.near)],
            // Whether a neighbour of the front belongs on it, one more training tells.
            Some(_) => (start..end)
                .map(|last| {
                    (
                        start..last + 1,
                        if last == start { rescore.near } else { 0.0 },
                    )
                })
                .collect(),
        };
        for (seeds, near) in stages {
            match coordinate(&mut rounds, &seeds, near, tasks, results, observer)? {
                Finish::Done => (),
                ended => return Ok(ended),
            }
        }
        Ok(Finish::Done)
    })
}

/// Trains contenders with these seeds until all of them have them.
fn coordinate(
    rounds: &mut Rounds<'_>,
    seeds: &Range<u64>,
    near: f64,
    tasks: &mpsc::Sender<Task>,
    results: &mpsc::Receiver<Done>,
    observer: &mut dyn FnMut(&RescoreProgress),
) -> Result<Finish, RunError> {
    let pace = rounds.rescore.pace;
    // Rounds are played again from the first one with the recorded trainings, so an interruption in the middle of a
    // round changes nothing.
    let mut settled = BTreeSet::new();
    loop {
        let wanted = rounds.contenders(near);
        if wanted.is_subset(&settled) {
            // Trials that were rescored earlier by other rules are on the recorded fronts with their means too.
            let all = rounds.rescored();
            if rounds.rescore.limit.is_some() || all.is_subset(&settled) {
                return Ok(Finish::Done);
            }
            rounds.count_all(&all);
            settled.extend(all);
            continue;
        }
        rounds.round += 1;
        let mut queue = rounds.missing(&wanted, seeds)?;
        let mut progress = RescoreProgress {
            round: rounds.round,
            trials: wanted.difference(&settled).count(),
            done: 0,
            wanted: queue.len(),
            all_done: rounds.counted.len() - queue.len(),
            hypervolumes: rounds.hypervolumes(),
            seconds_left: rounds.seconds_left(queue.len()),
            news: String::new(),
        };
        observer(&progress);
        let mut in_flight = 0;
        let ending = || pace.ending();
        while in_flight > 0 || (!queue.is_empty() && ending() == (false, false)) {
            let has_room = in_flight < pace.jobs.max(1) && ending() == (false, false);
            if has_room && let Some(task) = queue.pop_front() {
                match rounds.reuse(&task)? {
                    Some(news) => {
                        rounds.tell(&mut progress, queue.len() + in_flight, news);
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
                    rounds.tell(&mut progress, queue.len() + in_flight, news);
                    observer(&progress);
                }
            }
        }
        if progress.done < progress.wanted {
            return Ok(match ending() {
                (false, true) => Finish::TimeUp,
                _ => Finish::Interrupted,
            });
        }
        settled.extend(wanted);
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
    /// The further trainings that say who contends. A recorded one that a later round asks for does not yet.
    counted: BTreeSet<(i64, u64)>,
    round: usize,
    /// Seconds and number of the trainings of this session.
    seconds: (f64, usize),
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
            counted: BTreeSet::new(),
            round: 0,
            seconds: (0.0, 0),
        })
    }

    /// Trials with at least one further training.
    fn rescored(&self) -> BTreeSet<i64> {
        self.repeats.keys().map(|(number, _)| *number).collect()
    }

    /// From here on all recorded trainings of these trials count.
    fn count_all(&mut self, numbers: &BTreeSet<i64>) {
        let recorded = self.repeats.keys().copied();
        let of_these = recorded.filter(|(number, _)| numbers.contains(number));
        self.counted.extend(of_these);
    }

    /// The mean over those of a trial's further trainings that count; where there are none, the trial's own training.
    fn figures(&self, number: i64, own: Figures, counts: impl Fn(&(i64, u64)) -> bool) -> Figures {
        let repeats = self.repeats.range((number, 0)..=(number, u64::MAX));
        let repeats = repeats.filter(|(place, _)| counts(place));
        let figures: Vec<Figures> = repeats.map(|(_, figures)| *figures).collect();
        Figures::mean(&figures).unwrap_or(own)
    }

    /// Number and objectives of every scored trial that fits, per target.
    fn points(&self, counts: impl Fn(&(i64, u64)) -> bool) -> Vec<Vec<(usize, Vec<f64>)>> {
        let mut points = vec![Vec::new(); self.yardstick.targets.len()];
        for (number, (row, own)) in &self.trials {
            let figures = self.figures(*number, *own, &counts);
            let on_targets = self.yardstick.points(row, &figures);
            for (points, point) in points.iter_mut().zip(on_targets) {
                points.extend(point.map(|point| (*number as usize, point)));
            }
        }
        points
    }

    /// The members of all fronts, and the trials near one.
    fn contenders(&self, near: f64) -> BTreeSet<i64> {
        let objectives = &self.yardstick.objectives;
        let mut contenders = BTreeSet::new();
        let all = self.points(|place| self.counted.contains(place));
        for (mut points, references) in all.into_iter().zip(&self.yardstick.references) {
            contenders.extend(front(&points, objectives));
            for idx in 0..points.len() {
                let (number, point) = points[idx].clone();
                for (axis, objective) in objectives.iter().enumerate() {
                    if !objective.is_cost() {
                        points[idx].1[axis] -= near / references[axis];
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

    /// The trainings that these trials lack, by trial and seed, as far as the limit goes. From here on they count.
    fn missing(
        &mut self,
        wanted: &BTreeSet<i64>,
        seeds: &Range<u64>,
    ) -> Result<VecDeque<Task>, RunError> {
        let mut tasks = VecDeque::new();
        for number in wanted {
            let row = &self.trials[number].0;
            let spaces = self.rescore.spaces;
            let number = *number as usize;
            let genome = spaces
                .decode_bytes(&row.genome)
                .ok_or(RunError::Genome { number })?;
            if spaces.is_fitted(&genome) {
                continue;
            }
            let candidate = spaces.decode(&genome);
            let network_key = candidate.network_key();
            for offset in seeds.clone() {
                let place = (row.number, offset);
                let is_within = self
                    .rescore
                    .limit
                    .is_none_or(|limit| self.counted.len() < limit);
                if is_within && self.counted.insert(place) && !self.repeats.contains_key(&place) {
                    tasks.push_back(Task {
                        number,
                        candidate: candidate.clone(),
                        training: spaces.space_of(&genome).training,
                        seed: Seed::of(self.run.seed, offset, &network_key),
                    });
                }
            }
        }
        if self.rescore.limit.is_none() {
            self.count_all(wanted);
        }
        Ok(tasks)
    }

    /// The hypervolume of the recorded front on each target.
    fn hypervolumes(&self) -> Vec<f64> {
        let points = self.points(|_| true);
        let volume = |points: &Vec<_>| volume(points, self.yardstick.objectives.len());
        points.iter().map(volume).collect()
    }

    /// Adds a recorded training to what is shown; `waiting` are not recorded yet.
    fn tell(&self, progress: &mut RescoreProgress, waiting: usize, news: String) {
        progress.done += 1;
        progress.all_done += 1;
        progress.hypervolumes = self.hypervolumes();
        progress.seconds_left = self.seconds_left(waiting);
        progress.news = news;
    }

    /// Expected seconds of the trainings that wait, and of those that the limit leaves, as long as those of this session.
    fn seconds_left(&self, waiting: usize) -> Option<f64> {
        let (seconds, trained) = self.seconds;
        let limit = self.rescore.limit.unwrap_or(0);
        let further = waiting + limit.saturating_sub(self.counted.len());
        let each = (trained > 0).then(|| seconds / trained as f64)?;
        Some(each * further as f64 / self.rescore.pace.jobs.max(1) as f64)
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
        if result.is_ok() {
            self.seconds = (self.seconds.0 + seconds, self.seconds.1 + 1);
        }
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

    /// The front of each target, with means where there are some, and without those that a cheaper one equals.
    fn fronts(&self) -> Vec<Front> {
        let points = self.points(|_| true);
        let trainings = self.repeats.iter();
        let trainings = trainings.map(|((number, _), figures)| (*number, *figures));
        let rows = self.trials.values().map(|(row, _)| row);
        let noise = Noise::of(rows, self.rescore.spaces, trainings);
        let fronts = self.yardstick.targets.iter().zip(&points).enumerate();
        fronts
            .map(|(idx, (target, points))| {
                let (front, _) = self.yardstick.front(idx, points, &noise);
                (target.name.clone(), front)
            })
            .collect()
    }
}

fn words(task: &Task, figures: &Figures) -> String {
    let (number, offset) = (task.number, task.seed.offset);
    format!("trial {number}, seed +{offset}: {}", figures.told())
}
