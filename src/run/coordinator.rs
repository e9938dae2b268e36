//! The coordinator's books of a search: the plan, and what of it is in the store.

use std::collections::{BTreeMap, VecDeque};

use super::{
    Merit, Objective, Plan, Progress, RunError, Search, Trial,
    front::{front, shares},
    mean_merits,
    record::{evaluation_row, scores_of, write_model},
    utc_now,
    workers::{Done, Seed, Task},
};
use crate::{
    evaluate::{EvaluateError, Scores},
    hardware::Metric,
    search::{Observed, hypervolume},
    store::{CostRow, Front, Run, Store, TrialOutcome, TrialRow},
};

/// The coordinator's state: the plan, and what of it is in the store.
pub(super) struct Book<'a> {
    pub store: &'a mut Store,
    run: &'a Run,
    pub search: &'a Search<'a>,
    plan: Plan,
    /// Mean merits of trials that were trained again; fronts are of these.
    rescored: BTreeMap<i64, Merit>,
    /// Rows that an earlier session recorded and this one has not met yet.
    recorded: BTreeMap<i64, TrialRow>,
    /// Trials that wait for training.
    pub queue: VecDeque<usize>,
    /// Trials that were given to training or found recorded.
    pub planned: usize,
    pub in_flight: usize,
    /// Per target: number and objectives of every scored trial that fits it.
    points: Vec<Vec<(usize, Vec<f64>)>>,
    pub scored: usize,
    rejected: usize,
    pub failed: usize,
    best: Option<f64>,
    seconds: Vec<f64>,
    pub news: Option<String>,
}

impl<'a> Book<'a> {
    pub fn open(
        store: &'a mut Store,
        run: &'a Run,
        search: &'a Search<'a>,
    ) -> Result<Book<'a>, RunError> {
        let rows = store.trials(run.id)?;
        let rescored = mean_merits(&store.repeats(run.id)?, &store.evaluations(run.id)?);
        Ok(Book {
            rescored,
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
            best: None,
            seconds: Vec::new(),
            news: None,
        })
    }

    pub fn may_plan(&self) -> bool {
        self.planned < self.search.trials && self.plan.ready()
    }

    /// Plans a block: records what is over budget, takes over what is recorded, queues the rest.
    pub fn plan_block(&mut self) -> Result<(), RunError> {
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
    pub fn reuse(&mut self, number: usize) -> Result<bool, RunError> {
        let task = self.task(number);
        let key =
            self.search
                .evaluator
                .content_key(&task.candidate, &task.training, task.seed.value);
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

    pub fn task(&self, number: usize) -> Task {
        let trial = &self.plan.trials[number];
        let training = self.search.spaces.space_of(&trial.genome).training;
        Task {
            number,
            candidate: trial.candidate.clone(),
            training,
            seed: Seed::of(self.search.seed, 0, &trial.candidate.network_key()),
        }
    }

    /// Writes one finished evaluation down, in one transaction.
    pub fn record(&mut self, done: Done) -> Result<(), RunError> {
        let Done {
            task,
            result,
            seconds,
        } = done;
        let number = task.number;
        let evaluator = self.search.evaluator;
        let key = evaluator.content_key(&task.candidate, &task.training, task.seed.value);
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
                let folder = format!("{}/{number}", self.run.name);
                let artefacts = write_model(self.store, number, folder, &evaluation)?;
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
        let search = self.search;
        let merit = Merit::from(scores);
        let score = merit.score(Objective::leading(search.objectives));
        self.best = self.best.into_iter().chain(score).reduce(f64::max);
        let trial = &mut self.plan.trials[number];
        let macs = trial.candidate.graph.macs();
        let mean = self.rescored.get(&(number as i64)).copied();
        let mut steering = None;
        let on_targets = trial.estimates.iter().zip(search.references);
        for (idx, (estimate, references)) in on_targets.enumerate() {
            let shares = |merit| shares(search.objectives, references, merit, estimate, macs);
            if trial.excess[idx].is_none() {
                self.points[idx].push((number, shares(mean.unwrap_or(merit))));
            }
            steering.get_or_insert_with(|| shares(merit));
        }
        // The first target steers, by the trial's own training: proposals must not depend on what was trained again.
        trial.result = Some(Observed::Scored(steering.unwrap_or_default()));
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

    pub fn progress(&self) -> Progress {
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
            best: self
                .best
                .map(|best| (Objective::leading(self.search.objectives), best)),
            hypervolumes: self.points.iter().map(volume).collect(),
            seconds_per_trial: (!self.seconds.is_empty()).then_some(mean),
            news: self.news.clone(),
        }
    }

    /// The rejected trial that is over its budgets by least, in words.
    pub fn nearest_miss(&self) -> Option<String> {
        let misses = self.plan.trials.iter().filter_map(Trial::least_excess);
        misses
            .min_by(|a, b| a.total().total_cmp(&b.total()))
            .map(|excess| excess.to_string())
    }
}
