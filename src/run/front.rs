//! The value of trials compared with each other: objectives as shares of reference values, and their fronts.

use std::{cmp::Ordering, collections::BTreeMap};

use super::{Objective, Settings, SettingsError, record::scored_figures};
use crate::{
    hardware::{Budget, Cost, CostSource, Estimate, Metric, Target},
    score::{Figures, Measure},
    search::{hypervolume, pareto_front},
    space::Spaces,
    store::{CostRow, EvaluationRow, RepeatRow, Run, TrialRow},
};

/// The mean figures of every trial with further trainings, over those trainings.
///
/// A failed training counts as chance: with that seed there is no detector.
pub fn mean_figures(
    repeats: &[RepeatRow],
    evaluations: &BTreeMap<String, EvaluationRow>,
) -> BTreeMap<i64, Figures> {
    let mut figures: BTreeMap<i64, Vec<Figures>> = BTreeMap::new();
    for (number, training) in repeat_figures(repeats, evaluations) {
        figures.entry(number).or_default().push(training);
    }
    let mean = |(number, figures): (i64, Vec<Figures>)| Some((number, Figures::mean(&figures)?));
    figures.into_iter().filter_map(mean).collect()
}

/// Number and figures of every further training; of one that failed, chance.
pub fn repeat_figures(
    repeats: &[RepeatRow],
    evaluations: &BTreeMap<String, EvaluationRow>,
) -> Vec<(i64, Figures)> {
    let figures = |repeat: &RepeatRow| match &repeat.outcome {
        Ok(key) => evaluations.get(key).and_then(scored_figures),
        Err(_) => Some(Figures::CHANCE),
    };
    repeats
        .iter()
        .filter_map(|repeat| Some((repeat.number, figures(repeat)?)))
        .collect()
}

/// How much of a score is the luck of a training, learnt from networks that were trained again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Noise {
    /// The space of each trial that was trained; what is fitted depends on no seed.
    spaces: BTreeMap<i64, String>,
    /// The number of further trainings of each trial.
    trainings: BTreeMap<i64, usize>,
    /// Sum of squared deviations from the means of the trials, and degrees of freedom, by space and measure.
    squares: BTreeMap<(String, &'static str), (f64, usize)>,
}

/// With fewer degrees of freedom than this, a space's noise is that of all spaces.
const LEAST_FREEDOM: usize = 4;

impl Noise {
    /// From the trials of a run and their further trainings. Failed ones say nothing about noise.
    pub fn of<'a>(
        rows: impl IntoIterator<Item = &'a TrialRow>,
        spaces: &Spaces,
        trainings: impl IntoIterator<Item = (i64, Figures)>,
    ) -> Noise {
        let trained = rows.into_iter().filter(|row| !spaces.fits(&row.space));
        let spaces = trained.map(|row| (row.number, row.space.clone()));
        Noise::of_spaces(spaces.collect(), trainings)
    }

    /// From the space of every trial that was trained.
    fn of_spaces(
        spaces: BTreeMap<i64, String>,
        trainings: impl IntoIterator<Item = (i64, Figures)>,
    ) -> Noise {
        let mut by_trial: BTreeMap<i64, Vec<Figures>> = BTreeMap::new();
        for (number, figures) in trainings {
            if figures != Figures::CHANCE {
                by_trial.entry(number).or_default().push(figures);
            }
        }
        let mut noise = Noise {
            spaces,
            ..Noise::default()
        };
        for (number, figures) in by_trial {
            noise.trainings.insert(number, figures.len());
            let Some(space) = noise.spaces.get(&number) else {
                continue;
            };
            for measure in Measure::ALL {
                let values: Option<Vec<f64>> =
                    figures.iter().map(|one| one.steering(measure)).collect();
                let Some(values) = values else { continue };
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
                let place = (space.clone(), measure.name());
                let sum = noise.squares.entry(place).or_default();
                sum.0 += squares;
                sum.1 += values.len() - 1;
            }
        }
        noise
    }

    /// The variance of a trial's score: of one training, divided by their number. Zero where too little is known.
    fn variance(&self, number: i64, measure: Measure) -> f64 {
        let Some(space) = self.spaces.get(&number) else {
            return 0.0;
        };
        let own = self.squares.get(&(space.clone(), measure.name())).copied();
        let of_measure = self
            .squares
            .iter()
            .filter(|((_, name), _)| *name == measure.name());
        let all = of_measure.fold((0.0, 0), |sum, (_, one)| (sum.0 + one.0, sum.1 + one.1));
        let of_one = [own.unwrap_or_default(), all]
            .into_iter()
            .find(|(_, freedom)| *freedom >= LEAST_FREEDOM)
            .map_or(0.0, |(squares, freedom)| squares / freedom as f64);
        of_one / self.trainings.get(&number).copied().unwrap_or(1) as f64
    }
}

/// The settings by which a run compares its trials.
#[derive(Debug, Clone, PartialEq)]
pub struct Yardstick {
    /// The targets; the sampler saw only the first.
    pub targets: Vec<Target>,
    /// Limits of a candidate's costs on every target.
    pub budget: Budget,
    /// The quantities to minimise.
    pub objectives: Vec<Objective>,
    /// The reference value of each objective, per target.
    pub references: Vec<Vec<f64>>,
}

impl Yardstick {
    /// The settings of a stored run.
    ///
    /// # Errors
    /// [`SettingsError`] where the settings cannot be read.
    pub fn of(run: &Run) -> Result<Yardstick, SettingsError> {
        let settings = Settings::from_json(&run.settings_json)?;
        Ok(Yardstick {
            targets: settings.targets()?,
            budget: settings.budget,
            objectives: settings.objectives()?,
            references: serde_json::from_str(&run.reference_json)?,
        })
    }

    /// Numbers of the trials on the front of target number `target_idx`, ascending, and of those that are left out of it for a
    /// cheaper one that is as good within the noise of trainings.
    ///
    /// `points` are objectives as shares of their references, by the trial's number.
    pub fn front(
        &self,
        target_idx: usize,
        points: &[(usize, Vec<f64>)],
        noise: &Noise,
    ) -> (Vec<i64>, Vec<i64>) {
        let all = front(points, &self.objectives);
        let references = &self.references[target_idx];
        without_ties(all, points, &self.objectives, references, noise)
    }

    /// The objectives of a stored trial as shares of their references, per target; `None` on a target that it does
    /// not fit.
    pub fn points(&self, row: &TrialRow, figures: &Figures) -> Vec<Option<Vec<f64>>> {
        let macs = row.macs as u64;
        let on_target = |(target, references): (&Target, &Vec<f64>)| {
            let estimate = stored_estimate(row, &target.name)?;
            let fits = self.budget.excess(target, &estimate, macs).is_none();
            fits.then(|| shares(&self.objectives, references, figures, &estimate, macs))
        };
        self.targets
            .iter()
            .zip(&self.references)
            .map(on_target)
            .collect()
    }
}

/// The stored estimate of a trial; `None` where a cost is missing.
pub fn stored_estimate(row: &TrialRow, target: &str) -> Option<Estimate> {
    let cost = |metric: Metric| {
        let is_it = |cost: &&CostRow| {
            cost.target == target
                && cost.metric == metric.key()
                && cost.source == CostSource::Estimated.name()
        };
        let cost = row.costs.iter().find(is_it)?;
        Some(Cost {
            value: cost.value,
            low: cost.low,
            high: cost.high,
            source: CostSource::Estimated,
        })
    };
    Some(Estimate {
        ram_bytes: cost(Metric::Ram)?,
        flash_bytes: cost(Metric::Flash)?,
        latency_us: cost(Metric::Latency)?,
        energy_uj: cost(Metric::Energy)?,
        window_us: row.window_us(target),
    })
}

/// Objectives as shares of their references.
pub(super) fn shares(
    objectives: &[Objective],
    references: &[f64],
    figures: &Figures,
    estimate: &Estimate,
    macs: u64,
) -> Vec<f64> {
    let share = |(objective, reference): (&Objective, &f64)| {
        objective.value(figures, estimate, macs) / reference
    };
    objectives.iter().zip(references).map(share).collect()
}

/// [`shares`] of a network before training; `None` where only training can tell.
pub(super) fn known_shares(
    objectives: &[Objective],
    references: &[f64],
    estimate: &Estimate,
    macs: u64,
) -> Vec<Option<f64>> {
    let share = |(objective, reference): (&Objective, &f64)| match objective {
        Objective::Score(_) => None,
        Objective::Cost(metric) => Some(metric.value(estimate, macs) / reference),
    };
    objectives.iter().zip(references).map(share).collect()
}

/// Numbers of the trials that no other trial dominates, ascending; of equal trials the first.
///
/// `points` are objectives as shares of their references. A network that is no better than chance has no value
/// however cheap it is: it is on the front only where no network is better, and never where a constant answer decides as
/// well.
pub(super) fn front(points: &[(usize, Vec<f64>)], objectives: &[Objective]) -> Vec<i64> {
    let is_useful = |point: &Vec<f64>| {
        let mut pairs = objectives.iter().zip(point);
        pairs.all(|(objective, share)| objective.is_cost() || *share < 1.0)
    };
    let mut steering = Objective::measures(objectives);
    let decide = steering.any(|measure| Measure::DECISIONS.contains(&measure));
    let any_useful = decide || points.iter().any(|(_, point)| is_useful(point));
    let mut points: Vec<&(usize, Vec<f64>)> = points
        .iter()
        .filter(|(_, point)| is_useful(point) || !any_useful)
        .collect();
    // Trials are recorded in the order in which they finish, which differs between machines.
    points.sort_by_key(|(number, _)| *number);
    let objectives: Vec<&[f64]> = points.iter().map(|(_, point)| point.as_slice()).collect();
    pareto_front(&objectives)
        .into_iter()
        .map(|idx| points[idx].0 as i64)
        .collect()
}

/// The members of a front that are better than a cheaper one by more than luck explains, ascending, and the others.
///
/// A member is left out where another that stays costs no more in anything, and is worse in no score by more than the
/// standard deviation of the difference. `references` are what points are shares of.
pub(super) fn without_ties(
    front: Vec<i64>,
    points: &[(usize, Vec<f64>)],
    objectives: &[Objective],
    references: &[f64],
    noise: &Noise,
) -> (Vec<i64>, Vec<i64>) {
    let mut members: Vec<&(usize, Vec<f64>)> = points
        .iter()
        .filter(|(number, _)| front.contains(&(*number as i64)))
        .collect();
    let costs = |point: &[f64]| -> Vec<f64> {
        let pairs = objectives.iter().zip(point);
        let costs = pairs.filter(|(objective, _)| objective.is_cost());
        costs.map(|(_, share)| *share).collect()
    };
    // Whatever costs no more than another comes before it.
    members.sort_by(|a, b| {
        let order = costs(&a.1).partial_cmp(&costs(&b.1));
        order.unwrap_or(Ordering::Equal).then(a.0.cmp(&b.0))
    });
    let is_as_good = |a: &(usize, Vec<f64>), b: &(usize, Vec<f64>)| {
        let mut axes = objectives.iter().zip(references).zip(a.1.iter().zip(&b.1));
        axes.all(
            |((objective, reference), (a_share, b_share))| match objective {
                Objective::Cost(_) => a_share <= b_share,
                Objective::Score(measure) => {
                    let variance = |number: usize| noise.variance(number as i64, *measure);
                    let deviation = (variance(a.0) + variance(b.0)).sqrt() / reference;
                    a_share - b_share <= deviation
                }
            },
        )
    };
    let mut kept: Vec<&(usize, Vec<f64>)> = Vec::new();
    let mut ties = Vec::new();
    for member in members {
        match kept.iter().any(|other| is_as_good(other, member)) {
            true => ties.push(member.0 as i64),
            false => kept.push(member),
        }
    }
    let mut kept: Vec<i64> = kept.into_iter().map(|member| member.0 as i64).collect();
    kept.sort_unstable();
    ties.sort_unstable();
    (kept, ties)
}

/// The hypervolume of points, as a share of the box between the ideal and the reference point.
pub(super) fn volume(points: &[(usize, Vec<f64>)], objectives: usize) -> f64 {
    let points: Vec<&[f64]> = points.iter().map(|(_, point)| point.as_slice()).collect();
    hypervolume(&points, &vec![1.0; objectives])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Noise, Objective, front, mean_figures, without_ties};
    use crate::{
        hardware::Metric,
        score::{Figure, Figures, Measure},
        store::{EvaluationRow, RepeatRow, ScoreRow},
    };

    #[test]
    fn a_training_that_failed_counts_as_chance() {
        let repeat = |number, seed, outcome: Result<&str, &str>| RepeatRow {
            number,
            seed,
            outcome: outcome.map(str::to_string).map_err(str::to_string),
        };
        let score = |metric: &str| ScoreRow {
            metric: metric.to_string(),
            part: "steer".to_string(),
            value: 0.75,
        };
        let evaluation = EvaluationRow {
            key: "e".to_string(),
            scores: vec![score("auc_int8"), score("pauc_int8")],
            details_json: String::new(),
            artefacts: None,
            seconds: 1.0,
            created_utc: String::new(),
        };
        let evaluations = BTreeMap::from([("e".to_string(), evaluation)]);
        let repeats = [
            repeat(1, 1, Ok("e")),
            repeat(2, 1, Ok("e")),
            repeat(2, 2, Err("diverged")),
            repeat(3, 1, Err("diverged")),
        ];
        let means = mean_figures(&repeats, &evaluations);
        let auc = |number: i64| means[&number].get(Figure::AUC);
        assert_eq!([auc(1), auc(2), auc(3)], [0.75, 0.625, 0.5].map(Some));
        // A figure that the others lack is no mean.
        let accuracy = Figure::steering(Measure::Accuracy);
        assert_eq!(means[&2].get(accuracy), None);
        assert_eq!(means[&3], Figures::CHANCE);
    }

    #[test]
    fn ties_within_noise_go_to_the_cheaper() {
        let objectives = [Objective::AUC, Objective::Cost(Metric::Latency)];
        let noise = |aucs: &[[f64; 3]]| {
            let spaces = (0..9).map(|number| (number, "a".to_string())).collect();
            let figures = |auc: f64| Figures::from_iter([(Figure::AUC, auc)]);
            let trainings = aucs
                .iter()
                .zip(0..)
                .flat_map(|(aucs, number)| aucs.iter().map(move |auc| (number, figures(*auc))));
            Noise::of_spaces(spaces, trainings)
        };
        // Of one training a variance of 1e-4, so of the difference of two means of three 0.0082; shares are 2 (1 - AUC).
        let known = noise(&[[0.79, 0.80, 0.81], [0.89, 0.90, 0.91], [0.69, 0.70, 0.71]]);
        let check = |noise: &Noise, points: &[[f64; 2]], expected: (&[i64], &[i64])| {
            let points: Vec<_> = points.iter().map(|p| p.to_vec()).enumerate().collect();
            let all = (0..points.len() as i64).collect();
            let (front, ties) = without_ties(all, &points, &objectives, &[0.5, 1.0], noise);
            assert_eq!((&front[..], &ties[..]), expected, "{points:?}");
        };
        check(&known, &[[0.20, 0.9], [0.21, 0.1]], (&[1], &[0]));
        check(&known, &[[0.20, 0.9], [0.22, 0.1]], (&[0, 1], &[]));
        // Against what stays alone: small steps do not add up.
        let steps = [[0.20, 0.9], [0.21, 0.5], [0.22, 0.1]];
        check(&known, &steps, (&[0, 2], &[1]));
        // Trained once, and compared with one that was trained three times: 0.0115.
        check(
            &known,
            &[[0.22, 0.9], [9.0, 2.0], [9.0, 3.0], [0.24, 0.1]],
            (&[3], &[0, 1, 2]),
        );
        // Nothing is a tie where the noise is not known.
        let (close, two) = ([[0.20, 0.9], [0.21, 0.1]], noise(&[[0.79, 0.80, 0.81]]));
        check(&two, &close, (&[0, 1], &[]));
        check(&Noise::default(), &close, (&[0, 1], &[]));
    }

    #[test]
    fn fronts() {
        let objectives = [Objective::AUC, Objective::Cost(Metric::Latency)];
        let check = |points: &[[f64; 2]], expected: &[i64]| {
            let points: Vec<_> = points.iter().map(|p| p.to_vec()).enumerate().collect();
            assert_eq!(front(&points, &objectives), expected, "{points:?}");
        };
        check(&[], &[]);
        check(&[[0.2, 0.9], [0.8, 0.1], [0.8, 0.2]], &[0, 1]);
        // Of equal points, the first.
        check(&[[0.2, 0.9], [0.2, 0.9]], &[0]);
        // Chance or worse is on no front, ...
        check(&[[0.2, 0.9], [1.0, 0.1], [1.2, 0.05]], &[0]);
        // ... unless there is nothing else.
        check(&[[1.0, 0.1], [1.2, 0.05]], &[0, 1]);
    }
}
