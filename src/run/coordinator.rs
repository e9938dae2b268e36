//! The coordinator of a search: the plan, and the part of it that is in the store.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::atomic::Ordering,
};

use super::{
    FrontMember, Objective, Pace, Plan, Progress, RunError, Search, Trial,
    front::{Noise, front, repeat_figures, shares, volume, without_ties},
    mean_figures,
    plan::BLOCK,
    record::{evaluation_row, is_whole, scored_figures, write_model},
    utc_now,
    workers::{Done, Seed, Task, evaluate_all},
};
use crate::{
    evaluate::EvaluateError,
    hardware::Metric,
    score::{Figures, Measure},
    search::Observed,
    store::{CostRow, Front, Run, Store, TrialOutcome, TrialRow},
};

/// The coordinator's state.
pub(super) struct Coordinator<'a> {
    pub store: &'a mut Store,
    run: &'a Run,
    pub search: &'a Search<'a>,
    plan: Plan,
    /// Mean figures of trials that were trained again; fronts use these.
    rescored: BTreeMap<i64, Figures>,
    /// How much of a score is luck, by those.
    noise: Noise,
    /// Rows from an earlier session that this session has not reached yet.
    recorded: BTreeMap<i64, TrialRow>,
    /// Trials that wait for training.
    pub queue: VecDeque<usize>,
    /// Trials that were queued for training or found recorded.
    pub planned: usize,
    pub in_flight: usize,
    /// Number and objectives of every scored trial that fits, per target.
    points: Vec<Vec<(usize, Vec<f64>)>>,
    pub scored: usize,
    rejected: usize,
    pub failed: usize,
    pub fitted: usize,
    best: Option<f64>,
    /// Measured and expected seconds of all trainings of this session.
    seconds: [f64; 2],
    pub news: Option<String>,
}

impl<'a> Coordinator<'a> {
    pub fn open(
        store: &'a mut Store,
        run: &'a Run,
        search: &'a Search<'a>,
    ) -> Result<Coordinator<'a>, RunError> {
        let rows = store.trials(run.id)?;
        let (repeats, evaluations) = (store.repeats(run.id)?, store.evaluations(run.id)?);
        let trainings = repeat_figures(&repeats, &evaluations);
        Ok(Coordinator {
            rescored: mean_figures(&repeats, &evaluations),
            noise: Noise::of(&rows, search.spaces, trainings),
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
            fitted: 0,
            best: None,
            seconds: [0.0; 2],
            news: None,
        })
    }

    pub fn may_plan(&self) -> bool {
        self.planned < self.search.trials && self.plan.ready()
    }

    /// Plans a round of fits, and does it: takes over what is recorded or known, fits the rest.
    pub fn fit_round(
        &mut self,
        round: usize,
        observer: &mut dyn FnMut(&Progress),
    ) -> Result<(), RunError> {
        let mut tasks = Vec::new();
        for number in self.plan.extend_fits(self.search, round) {
            match self.recorded.remove(&(number as i64)) {
                Some(row) => self.take_over(number, &row)?,
                None if self.reuse(number)? => self.news = None,
                None => tasks.push(self.task(number)),
            }
        }
        let Search {
            evaluator,
            pace: Pace { stop, jobs, .. },
            ..
        } = *self.search;
        // A few at a time, so that what is done is recorded soon.
        let mut tasks = tasks.into_iter().peekable();
        while tasks.peek().is_some() && !stop.load(Ordering::Relaxed) {
            let some: Vec<Task> = tasks.by_ref().take(8 * jobs.max(1)).collect();
            for done in evaluate_all(evaluator, stop, jobs, some) {
                self.record(done)?;
            }
            self.news = None;
            observer(&self.progress());
        }
        Ok(())
    }

    fn is_fitted(&self, number: usize) -> bool {
        let trial = &self.plan.trials[number];
        self.search.spaces.is_fitted(&trial.genome)
    }

    /// Plans a block: records trials over budget, takes over recorded ones, and queues the rest.
    pub fn plan_block(&mut self) -> Result<(), RunError> {
        let mut rejected = Vec::new();
        for number in self.plan.extend(self.search) {
            let trial = &self.plan.trials[number];
            // Trials after the last wanted one belong to a longer search.
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

    /// Takes over a trial that an earlier session recorded.
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
                match evaluation.as_ref().and_then(scored_figures) {
                    Some(figures) => self.note_scored(number, &figures),
                    None => self.note_failed(number),
                }
            }
        }
        Ok(())
    }

    /// Uses the evaluation of another run, if there is one.
    pub fn reuse(&mut self, number: usize) -> Result<bool, RunError> {
        let task = self.task(number);
        let key =
            self.search
                .evaluator
                .content_key(&task.candidate, &task.training, task.seed.value);
        let Some(evaluation) = self.store.evaluation(&key)? else {
            return Ok(false);
        };
        let Some(figures) = scored_figures(&evaluation) else {
            return Ok(false);
        };
        // A model that was deleted or replaced is trained anew.
        if !self.has_what_steers(&figures) || !is_whole(self.store, &evaluation) {
            return Ok(false);
        }
        self.note_scored(number, &figures);
        let row = self.row(
            number,
            TrialOutcome::Scored {
                evaluation_key: key,
            },
            0.0,
        );
        self.store.record(self.run.id, &row, None, &self.fronts())?;
        self.news = Some(format!(
            "trial {number}: {}, known from another run",
            figures.told()
        ));
        Ok(true)
    }

    /// Whether an evaluation has the figures that steer this search. A program that did not know one stored evaluations
    /// without it. Without a threshold no figure of decisions is known; that is no lack.
    fn has_what_steers(&self, figures: &Figures) -> bool {
        let decides = Measure::DECISIONS
            .iter()
            .any(|measure| figures.steering(*measure).is_some());
        let is_lacking = |measure: Measure| {
            let is_expected = decides || !Measure::DECISIONS.contains(&measure);
            is_expected && figures.steering(measure).is_none()
        };
        !Objective::measures(self.search.objectives).any(is_lacking)
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

    /// Records one finished evaluation in one transaction.
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
            Err(EvaluateError::Lost(message)) => return Err(RunError::Lost { number, message }),
            Err(EvaluateError::Failed(message)) => {
                self.note_seconds(number, seconds);
                self.note_failed(number);
                self.news = Some(format!("trial {number}: failed: {message}"));
                let row = self.row(number, TrialOutcome::Failed { message }, seconds);
                self.store.record(self.run.id, &row, None, &self.fronts())?;
            }
            Ok(evaluation) => {
                self.note_seconds(number, seconds);
                let (run, folder) = (&self.run.name, number.to_string());
                let artefacts = write_model(self.store, number, run, folder, &evaluation)?;
                let scores = &evaluation.scores;
                self.note_scored(number, &scores.figures);
                let space = &self
                    .search
                    .spaces
                    .space_of(&self.plan.trials[number].genome)
                    .name;
                self.news = Some(format!(
                    "trial {number}: {space}, {}",
                    scores.figures.told()
                ));
                let row = self.row(
                    number,
                    TrialOutcome::Scored {
                        evaluation_key: key.clone(),
                    },
                    seconds,
                );
                let evaluation = evaluation_row(key, &evaluation, artefacts, seconds);
                self.store
                    .record(self.run.id, &row, Some(&evaluation), &self.fronts())?;
            }
        }
        Ok(())
    }

    /// Only trainings say how long trainings take.
    fn note_seconds(&mut self, number: usize, seconds: f64) {
        if !self.is_fitted(number) {
            let expected = self.plan.trials[number].expected_seconds(self.search);
            self.seconds[0] += seconds;
            self.seconds[1] += expected;
        }
    }

    fn note_failed(&mut self, number: usize) {
        match self.is_fitted(number) {
            true => self.fitted += 1,
            false => self.failed += 1,
        }
        self.plan.trials[number].result = Some(Observed::Failed);
    }

    fn note_scored(&mut self, number: usize, figures: &Figures) {
        match self.is_fitted(number) {
            true => self.fitted += 1,
            false => self.scored += 1,
        }
        let search = self.search;
        let score = figures.steering(Objective::leading(search.objectives));
        self.best = self.best.into_iter().chain(score).reduce(f64::max);
        let trial = &mut self.plan.trials[number];
        let macs = trial.candidate.graph.macs();
        let mean = self.rescored.get(&(number as i64));
        let mut steering = None;
        let on_targets = trial.estimates.iter().zip(search.references);
        for (idx, (estimate, references)) in on_targets.enumerate() {
            let shares = |figures| shares(search.objectives, references, figures, estimate, macs);
            if trial.excess[idx].is_none() {
                self.points[idx].push((number, shares(mean.unwrap_or(figures))));
            }
            steering.get_or_insert_with(|| shares(figures));
        }
        // The sampler sees the first target and the trial's own training: proposals must not depend on repeated
        // trainings.
        trial.result = Some(Observed::Scored(steering.unwrap_or_default()));
    }

    /// The front of each target.
    fn fronts(&self) -> Vec<Front> {
        let Search {
            targets,
            objectives,
            references,
            ..
        } = self.search;
        let fronts = targets.iter().zip(*references).zip(&self.points);
        fronts
            .map(|((target, references), points)| {
                let all = front(points, objectives);
                let (front, _) = without_ties(all, points, objectives, references, &self.noise);
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
            costs.extend(
                estimate
                    .window_us
                    .map(|us| CostRow::window(&target.name, us)),
            );
        }
        TrialRow {
            number: number as i64,
            block: trial.block as i64,
            genome: self.search.spaces.encode(&trial.genome),
            key: trial.key.clone(),
            space: self.search.spaces.space_of(&trial.genome).name.clone(),
            task: trial.candidate.approach().name().to_string(),
            macs: trial.candidate.graph.macs() as i64,
            params: trial.candidate.graph.params() as i64,
            outcome,
            seconds,
            recorded_utc: utc_now(),
            costs,
        }
    }

    pub fn progress(&self) -> Progress {
        let fronts = self.fronts();
        let objectives = self.search.objectives.len();
        Progress {
            scored: self.scored,
            rejected: self.rejected,
            failed: self.failed,
            fitted: self.fitted,
            wanted: self.search.trials,
            repeated: 0,
            further: self.search.further.most,
            in_flight: self.in_flight,
            best: self
                .best
                .map(|best| (Objective::leading(self.search.objectives), best)),
            hypervolumes: self
                .points
                .iter()
                .map(|points| volume(points, objectives))
                .collect(),
            seconds_left: self.seconds_left(&fronts),
            front: self.front_members(&fronts),
            news: self.news.clone(),
        }
    }

    /// Expected time until the last training ends: what is planned by the shapes of its networks, the rest as the quicker ones of
    /// the latest, at the pace that trainings of this session have had.
    fn seconds_left(&self, fronts: &[Front]) -> Option<f64> {
        let [measured, expected] = self.seconds;
        if expected <= 0.0 {
            return None;
        }
        let networks: Vec<(f64, bool)> = self
            .plan
            .trials
            .iter()
            .filter(|trial| trial.fits() && !self.search.spaces.is_fitted(&trial.genome))
            .map(|trial| (trial.expected_seconds(self.search), trial.result.is_none()))
            .collect();
        let waiting = networks.iter().filter(|(_, is_waiting)| *is_waiting);
        let waiting: Vec<f64> = waiting.map(|(seconds, _)| *seconds).collect();
        let count = (self.search.trials).saturating_sub(self.scored + self.failed);
        let planned: f64 = waiting.iter().take(count).sum();
        let mut latest: Vec<f64> = networks.iter().rev().take(BLOCK).map(|one| one.0).collect();
        latest.sort_by(f64::total_cmp);
        // What comes is chosen by gain per second, so it is as quick as the quicker ones of what is planned.
        let usual = latest.get(latest.len() / 4).copied().unwrap_or(0.0);
        let further = count.saturating_sub(waiting.len()) + self.further(fronts);
        let further = further as f64 * usual;
        let left = (planned + further) * measured / expected / self.search.pace.jobs.max(1) as f64;
        let until_deadline = self.search.pace.deadline.map(|deadline| {
            deadline
                .saturating_duration_since(std::time::Instant::now())
                .as_secs_f64()
        });
        Some(until_deadline.map_or(left, |limit| left.min(limit)))
    }

    /// How many trainings follow the search, if the front stays as it is.
    fn further(&self, fronts: &[Front]) -> usize {
        let Search { further, .. } = self.search;
        let members = fronts.iter().flat_map(|(_, front)| front);
        let networks: BTreeSet<i64> = members
            .copied()
            .filter(|number| !self.is_fitted(*number as usize))
            .collect();
        further.most.min(networks.len() * further.each as usize)
    }

    fn front_members(&self, fronts: &[Front]) -> Vec<FrontMember> {
        let search = self.search;
        let first = self.points.first().zip(search.references.first());
        let Some(((points, references), (_, on_front))) = first.zip(fronts.first()) else {
            return Vec::new();
        };
        let mut members: Vec<FrontMember> = points
            .iter()
            .filter(|(number, _)| on_front.contains(&(*number as i64)))
            .map(|(number, shares)| FrontMember {
                number: *number,
                space: search
                    .spaces
                    .space_of(&self.plan.trials[*number].genome)
                    .name
                    .clone(),
                values: shares
                    .iter()
                    .zip(references)
                    .map(|(share, of)| share * of)
                    .collect(),
            })
            .collect();
        members.sort_by(|a, b| {
            a.values[0]
                .total_cmp(&b.values[0])
                .then(a.number.cmp(&b.number))
        });
        members
    }

    /// The rejected trial that exceeds its budgets least, in words.
    pub fn nearest_miss(&self) -> Option<String> {
        let misses = self.plan.trials.iter().filter_map(Trial::least_excess);
        misses
            .min_by(|a, b| a.total().total_cmp(&b.total()))
            .map(|excess| excess.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, AtomicUsize, Ordering},
        time::Duration,
    };

    use super::super::{Finish, Further, Objective, Pace, RunError, Search, search};
    use crate::{
        evaluate::{EvaluateError, Evaluation, Evaluator, Formula},
        hardware::{self, Budget},
        search::Random,
        space::{self, Candidate, Spaces, Training},
        store::{NewRun, Store},
    };

    /// A formula on a machine whose disk fails at the fourth evaluation, once.
    struct Failing {
        evaluations: AtomicUsize,
    }

    const FORMULA: Formula = Formula {
        pause: Duration::ZERO,
    };

    impl Evaluator for Failing {
        fn content_key(&self, candidate: &Candidate, training: &Training, seed: u64) -> String {
            FORMULA.content_key(candidate, training, seed)
        }

        fn expected_seconds(&self, candidate: &Candidate, training: &Training) -> f64 {
            FORMULA.expected_seconds(candidate, training)
        }

        fn evaluate(
            &self,
            candidate: &Candidate,
            training: &Training,
            seed: u64,
            stop: &AtomicBool,
        ) -> Result<Evaluation, EvaluateError> {
            match self.evaluations.fetch_add(1, Ordering::Relaxed) {
                3 => Err(EvaluateError::Lost("the disk is gone".to_string())),
                _ => FORMULA.evaluate(candidate, training, seed, stop),
            }
        }
    }

    #[test]
    fn a_fault_of_the_machine_is_tried_again() {
        let spaces = Spaces::new(vec![space::load("dense-ae").unwrap()], 3);
        let targets = [hardware::find("m7").unwrap()];
        let mut store = Store::open_in_memory().unwrap();
        let run = NewRun {
            name: "a".to_string(),
            created_utc: String::new(),
            seed: 0,
            version: String::new(),
            data_name: String::new(),
            data_hash: String::new(),
            synthetic: true,
            settings_json: String::new(),
            reference_json: String::new(),
        };
        let run = store.create_run(&run).unwrap();
        let evaluator = Failing {
            evaluations: AtomicUsize::new(0),
        };
        let once = |store: &mut Store| {
            let stop = AtomicBool::new(false);
            let setup = Search {
                spaces: &spaces,
                targets: &targets,
                budget: &Budget::default(),
                objectives: &[Objective::AUC],
                references: &[vec![0.5]],
                sampler: &Random,
                earlier: &[],
                evaluator: &evaluator,
                seed: 0,
                trials: 8,
                further: Further::default(),
                pace: Pace::new(Some(1), &stop),
            };
            search(store, &run, &setup, &mut |_| ())
        };
        let error = once(&mut store).unwrap_err();
        assert!(matches!(error, RunError::Lost { .. }), "{error}");
        assert!(error.to_string().contains("the disk is gone"), "{error}");
        let before = store.trials(run.id).unwrap();
        assert_eq!(before.len(), 3);
        assert_eq!(once(&mut store).unwrap(), Finish::Done);
        let after = store.trials(run.id).unwrap();
        assert_eq!(after.len(), 8);
        // What is stored is what the formula says: no trial has failed by the disk.
        let failed = store.counts(run.id).unwrap().failed;
        let expected = after.iter().filter(|trial| {
            let message = format!("{:?}", trial.outcome);
            message.contains("one time in 32")
        });
        assert_eq!(failed as usize, expected.count());
    }
}
