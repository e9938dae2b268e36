//! How differently targets order the same networks: a network that is fast on one may be slow on another.

use super::{RunInfo, ScoredTrial, approach};
use crate::{hardware::Metric, score::Figure, stats::kendall_tau};

/// The members of all fronts, in their order on every target.
pub struct Ranks<'a> {
    /// The trials, best AUC first.
    pub trials: Vec<&'a ScoredTrial>,
    /// Per target and trial: latency in microseconds.
    pub latency_us: Vec<Vec<f64>>,
    /// Per target and trial: the rank by latency, 0 for the fastest.
    pub ranks: Vec<Vec<usize>>,
    /// One comparison per pair of targets.
    pub comparisons: Vec<Comparison>,
}

/// How two targets order the same networks by latency.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Indices of the two targets in the run.
    pub targets: [usize; 2],
    /// Kendall's tau-b; `None` where all latencies are equal on one target.
    pub tau: Option<f64>,
    /// Number of pairs that the two targets order differently.
    pub inverted: usize,
    /// Number of pairs without equal latencies.
    pub pairs: usize,
    /// The pair that is told apart most on both targets; `None` where no pair is inverted.
    pub strongest: Option<Inversion>,
}

/// Two trials. The first one is faster on the first target, and slower on the second.
#[derive(Debug, Clone, PartialEq)]
pub struct Inversion {
    /// Indices into [`Ranks::trials`].
    pub trials: [usize; 2],
    /// How many times faster on the first target, and slower on the second.
    pub factors: [f64; 2],
}

impl<'a> Ranks<'a> {
    /// Compares the targets of a run; `None` with fewer than two targets or members, or where a latency is unknown.
    pub fn new(info: &'a RunInfo) -> Option<Ranks<'a>> {
        let is_member = |trial: &&ScoredTrial| {
            let mut fronts = info.targets.iter().map(|target| &target.front);
            fronts.any(|front| front.contains(&trial.trial))
        };
        let mut trials: Vec<&ScoredTrial> = info.scored.iter().filter(is_member).collect();
        if info.targets.len() < 2 || trials.len() < 2 {
            return None;
        }
        let auc = |trial: &ScoredTrial| trial.figures.get(Figure::AUC).unwrap_or(f64::NEG_INFINITY);
        trials.sort_by(|a, b| auc(b).total_cmp(&auc(a)).then(a.trial.cmp(&b.trial)));
        let on_target = |idx: usize| -> Option<Vec<f64>> {
            let latency = |trial: &&ScoredTrial| Some(trial.cost(idx, Metric::Latency)?.value);
            trials.iter().map(latency).collect()
        };
        let latency_us: Vec<Vec<f64>> = (0..info.targets.len())
            .map(on_target)
            .collect::<Option<_>>()?;
        let ranks = latency_us.iter().map(|values| ranks(values)).collect();
        let targets = info.targets.len();
        let comparisons = (0..targets)
            .flat_map(|a| (a + 1..targets).map(move |b| [a, b]))
            .map(|pair| compare(pair, &latency_us[pair[0]], &latency_us[pair[1]]))
            .collect();
        Some(Ranks {
            trials,
            latency_us,
            ranks,
            comparisons,
        })
    }

    /// A line per pair of targets.
    pub fn show(&self, info: &RunInfo) -> String {
        let name = |idx: usize| info.targets[idx].name.as_str();
        let trial = |idx: usize| {
            let trial = self.trials[idx];
            format!("trial {} ({})", trial.trial, approach(trial.task))
        };
        let mut text = String::new();
        for comparison in &self.comparisons {
            let [a, b] = comparison.targets.map(name);
            let (inverted, pairs) = (comparison.inverted, comparison.pairs);
            let tau = match comparison.tau {
                Some(tau) => format!("{tau:.2}"),
                None => "undefined: on one of them all networks are equally fast".to_string(),
            };
            text += &format!(
                "By latency, {a} and {b} order {inverted} of {pairs} pairs of front members differently (Kendall's tau {tau})"
            );
            if let Some(Inversion { trials, factors }) = &comparison.strongest {
                let [fast, slow] = trials.map(trial);
                let [on_a, on_b] = factors;
                text += &format!(
                    ": {fast} is {on_a:.1} times faster than {slow} on {a}, and {on_b:.1} times slower on {b}"
                );
            }
            text += ".\n";
        }
        text
    }
}

/// The place of each value in ascending order; of equal values the earlier one is first.
fn ranks(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0; values.len()];
    for (rank, idx) in order.into_iter().enumerate() {
        ranks[idx] = rank;
    }
    ranks
}

fn compare(targets: [usize; 2], first: &[f64], second: &[f64]) -> Comparison {
    let (mut pairs, mut inverted) = (0, 0);
    let mut strongest: Option<Inversion> = None;
    for i in 0..first.len() {
        for j in i + 1..first.len() {
            if first[i] == first[j] || second[i] == second[j] {
                continue;
            }
            pairs += 1;
            let (fast, slow) = if first[i] < first[j] { (i, j) } else { (j, i) };
            let factors = [first[slow] / first[fast], second[fast] / second[slow]];
            if factors[1] < 1.0 {
                continue;
            }
            inverted += 1;
            let strength = |[a, b]: [f64; 2]| a.min(b);
            if strongest
                .as_ref()
                .is_none_or(|known| strength(known.factors) < strength(factors))
            {
                let trials = [fast, slow];
                strongest = Some(Inversion { trials, factors });
            }
        }
    }
    Comparison {
        targets,
        tau: kendall_tau(first, second),
        inverted,
        pairs,
        strongest,
    }
}

#[cfg(test)]
mod tests {
    use super::{compare, ranks};

    #[test]
    fn orders_are_compared() {
        let check = |first: &[f64],
                     second: &[f64],
                     tau: Option<f64>,
                     strongest: Option<([usize; 2], [f64; 2])>| {
            let found = compare([0, 1], first, second);
            assert_eq!(found.tau, tau, "{first:?} {second:?}");
            let inversion = found.strongest.map(|found| (found.trials, found.factors));
            assert_eq!(inversion, strongest, "{first:?} {second:?}");
        };
        check(&[1.0, 2.0, 3.0], &[10.0, 20.0, 30.0], Some(1.0), None);
        check(
            &[1.0, 2.0],
            &[8.0, 2.0],
            Some(-1.0),
            Some(([0, 1], [2.0, 4.0])),
        );
        // Equal latencies on one target say nothing.
        check(&[1.0, 1.0], &[8.0, 2.0], None, None);
        // Of two inversions, the one that is strong on both targets counts.
        let two = [[1.0, 2.0, 2.1], [3.0, 1.0, 2.9]];
        check(
            &two[0],
            &two[1],
            Some(-1.0 / 3.0),
            Some(([0, 1], [2.0, 3.0])),
        );
        assert_eq!(ranks(&[3.0, 1.0, 2.0, 1.0]), [3, 0, 2, 1]);
    }
}
