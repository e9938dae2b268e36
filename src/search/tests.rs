//! The promises of every sampler. A new sampler joins `SamplerKind::ALL` and inherits every test.

use super::*;

/// Two spaces of different length, so that genomes of both must be handled.
fn two_spaces() -> Spaces {
    Spaces::with_axis_sizes(vec![vec![4; 8], vec![3; 12]])
}

fn run(
    sampler: &dyn Sampler,
    spaces: &Spaces,
    evaluate: &dyn Fn(&[u8]) -> Observed,
    seed: u64,
    n_trials: usize,
) -> Vec<Observation> {
    const BLOCK: usize = 8;
    let mut history: Vec<Observation> = Vec::new();
    while history.len() < n_trials {
        let mut rng = Rng::new(seed, history.len() as u64);
        let preview = |genome: &Genome| preview(&evaluate(&spaces.encode(genome)));
        let proposed = sampler.propose(spaces, history[..].into(), &preview, &mut rng, BLOCK);
        assert_eq!(proposed.len(), BLOCK);
        for genome in proposed {
            let bytes = spaces.encode(&genome);
            assert_eq!(spaces.decode_bytes(&bytes).as_ref(), Some(&genome));
            let result = evaluate(&bytes);
            history.push(Observation { genome, result });
        }
    }
    history.truncate(n_trials);
    history
}

fn fits(objectives: Vec<Option<f64>>) -> Preview {
    let seconds = 1.0;
    Preview::Fits(Prospect {
        objectives,
        seconds,
    })
}

/// All objectives except the first are known before training.
fn preview(result: &Observed) -> Preview {
    match result {
        Observed::Rejected(excess) => Preview::Over(*excess),
        Observed::Scored(objectives) => {
            let known = |(idx, value): (usize, &f64)| (idx > 0).then_some(*value);
            fits(objectives.iter().enumerate().map(known).collect())
        }
        Observed::Failed | Observed::Pending(_) => fits(vec![]),
    }
}

/// Runs `check` once for every sampler.
fn each(check: impl Fn(SamplerKind, &dyn Sampler)) {
    for kind in SamplerKind::ALL {
        check(kind, kind.sampler().as_ref());
    }
}

#[test]
fn names_read_and_print() {
    for kind in SamplerKind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    let message = "tpe".parse::<SamplerKind>().unwrap_err().to_string();
    assert_eq!(
        message,
        "`tpe` is not a sampler; choose random, evolution, nsga2 or bayes"
    );
}

#[test]
fn proposals_depend_only_on_history_and_seed() {
    let problem = Knapsack::new(3);
    let spaces = problem.spaces();
    each(|kind, sampler| {
        let evaluate = |genes: &[u8]| problem.evaluate(genes);
        let first = run(sampler, &spaces, &evaluate, 1, 120);
        assert_eq!(first, run(sampler, &spaces, &evaluate, 1, 120), "{kind}");
        assert_ne!(first, run(sampler, &spaces, &evaluate, 2, 120), "{kind}");
        // Resuming after any whole block proposes what the uninterrupted search proposed.
        let known = |genome: &Genome| preview(&evaluate(&spaces.encode(genome)));
        let resumed = sampler.propose(&spaces, first[..64].into(), &known, &mut Rng::new(1, 64), 8);
        let proposed: Vec<Genome> = first[64..72].iter().map(|o| o.genome.clone()).collect();
        assert_eq!(resumed, proposed, "{kind}");
    });
}

#[test]
fn any_count_from_any_history() {
    let histories: [fn(&[u8]) -> Observed; 12] = [
        |_| Observed::Failed,
        |_| Observed::Rejected(0.5),
        |genes| Observed::Rejected(f64::from(genes[1])),
        |_| Observed::Rejected(f64::NAN),
        |_| Observed::Rejected(f64::INFINITY),
        |_| Observed::Scored(vec![]),
        |_| Observed::Scored(vec![0.5]),
        |_| Observed::Scored(vec![f64::NAN; 3]),
        |_| Observed::Scored(vec![f64::INFINITY, 0.0]),
        |_| Observed::Scored(vec![f64::NEG_INFINITY, f64::INFINITY]),
        |genes| Observed::Scored(vec![f64::from(genes[1]); 5]),
        |genes| match genes[1] {
            0 => Observed::Scored(vec![f64::NAN, 1.0]),
            1 => Observed::Scored(vec![0.3, 0.2]),
            2 => Observed::Rejected(1.0),
            _ => Observed::Failed,
        },
    ];
    let spaces = two_spaces();
    each(|kind, sampler| {
        for (idx, evaluate) in histories.iter().enumerate() {
            let history = run(sampler, &spaces, evaluate, 1, 80);
            let known = |genome: &Genome| preview(&evaluate(&spaces.encode(genome)));
            for (count, history) in [(0, &history[..]), (1, &history[..]), (200, &history[..20])] {
                let mut rng = Rng::new(1, 0);
                let proposed = sampler.propose(&spaces, history.into(), &known, &mut rng, count);
                assert_eq!(proposed.len(), count, "{kind}, history {idx}");
            }
        }
        let unknown = |_: &Genome| fits(vec![None; 2]);
        let proposed = sampler.propose(&spaces, [][..].into(), &unknown, &mut Rng::new(1, 0), 300);
        assert_eq!(proposed.len(), 300, "{kind}, empty history");
    });
}

#[test]
fn known_genomes_are_proposed_only_when_the_space_is_used_up() {
    each(|kind, sampler| {
        let n_distinct = |history: &[Observation]| {
            let genomes: HashSet<_> = history.iter().map(|o| &o.genome).collect();
            genomes.len()
        };
        let evaluate =
            |genes: &[u8]| Observed::Scored(vec![genes[1].into(), 3.0 - f64::from(genes[1])]);
        let history = run(sampler, &two_spaces(), &evaluate, 1, 400);
        assert_eq!(n_distinct(&history), 400, "{kind}");
        // Six networks, forty trials: all six are found, and the rest are repetitions.
        let tiny = Spaces::with_axis_sizes(vec![vec![2, 1, 3]]);
        assert_eq!(
            n_distinct(&run(sampler, &tiny, &evaluate, 1, 40)),
            6,
            "{kind}"
        );
        let single = Spaces::with_axis_sizes(vec![vec![1]]);
        assert_eq!(
            n_distinct(&run(sampler, &single, &evaluate, 1, 60)),
            1,
            "{kind}"
        );
    });
}

/// A knapsack with two or more goals over axes of four values, and a weight limit that few genomes keep.
///
/// Value and effort of neighbouring axes interact, so the axes cannot be chosen one by one.
struct Knapsack {
    /// Gain, effort and weight, by axis, own value and next axis' value.
    table: Vec<[[[f64; 3]; 4]; 4]>,
    weight_max: f64,
}

impl Knapsack {
    const AXES: usize = 12;

    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed, 1000);
        let mut entry = |value: usize| {
            let size = value as f64 / 3.0;
            // Larger values bring more and cost more, by amounts that differ from entry to entry.
            [
                size.sqrt() * rng.range(0.3, 1.7),
                size * rng.range(0.3, 1.7),
                size * rng.range(0.3, 1.7),
            ]
        };
        let table = (0..Self::AXES)
            .map(|_| std::array::from_fn(|value| std::array::from_fn(|_| entry(value))))
            .collect();
        let weight_max = 0.3 * Self::AXES as f64;
        Knapsack { table, weight_max }
    }

    fn spaces(&self) -> Spaces {
        Spaces::with_axis_sizes(vec![vec![4; Self::AXES]])
    }

    /// `bytes`: the space, then one value per axis.
    fn evaluate(&self, bytes: &[u8]) -> Observed {
        let genes = &bytes[1..];
        let mut sums = [0.0; 3];
        for (axis, entries) in self.table.iter().enumerate() {
            let (own, next) = (genes[axis], genes[(axis + 1) % genes.len()]);
            let entry = entries[own as usize][next as usize];
            sums.iter_mut().zip(entry).for_each(|(sum, e)| *sum += e);
        }
        let [gain, effort, weight] = sums;
        if weight > self.weight_max {
            return Observed::Rejected(weight / self.weight_max - 1.0);
        }
        let n = Self::AXES as f64;
        Observed::Scored(vec![1.0 - gain / n, effort / n, weight / self.weight_max])
    }
}

fn found(history: &[Observation]) -> f64 {
    let points: Vec<&[f64]> = history.iter().filter_map(objectives).collect();
    hypervolume(&points, &[1.0, 1.0, 1.0])
}

/// Mean and standard error of the hypervolume found beyond random search with the same seed.
fn advantage(sampler: &dyn Sampler, n_seeds: u64, n_trials: usize) -> (f64, f64) {
    let gains: Vec<f64> = (0..n_seeds)
        .map(|seed| {
            let problem = Knapsack::new(seed);
            let evaluate = |genes: &[u8]| problem.evaluate(genes);
            let volume =
                |s: &dyn Sampler| found(&run(s, &problem.spaces(), &evaluate, seed, n_trials));
            volume(sampler) / volume(&Random) - 1.0
        })
        .collect();
    let n = gains.len() as f64;
    let mean = gains.iter().sum::<f64>() / n;
    let variance = gains.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

/// The seeds are fixed, so this fails only when a sampler, a space's steps or the generator changes. The mean
/// advantage is then some 130 % with a standard error of 20 %; a sampler without any advantage would pass four
/// standard errors with a probability of about 1e-3 (Student's t, 11 degrees of freedom).
#[test]
fn guided_samplers_find_more_than_random_search() {
    each(|kind, sampler| {
        // A model needs fewer trials than evolution, and more time for each.
        let n_trials = if kind == SamplerKind::Bayes { 120 } else { 300 };
        let (mean, error) = advantage(sampler, 12, n_trials);
        println!("{kind}: {mean:.4} ± {error:.4}");
        match kind {
            SamplerKind::Random => assert_eq!(mean, 0.0),
            _ => assert!(mean > 4.0 * error, "{kind}: {mean} ± {error}"),
        }
    });
}

#[test]
fn bayes_weighs_gain_by_time_and_adds_to_what_others_have() {
    let spaces = Spaces::with_axis_sizes(vec![vec![8, 2]]);
    // The first axis decides the score. `cost` and `seconds` are those of the second axis' two values.
    let choose = |costs: [f64; 2], seconds: [f64; 2], others: &[Vec<f64>]| {
        let side = |genome: &Genome| usize::from(spaces.encode(genome)[2]);
        let preview = |genome: &Genome| {
            Preview::Fits(Prospect {
                objectives: vec![None, Some(costs[side(genome)])],
                seconds: seconds[side(genome)],
            })
        };
        let history: Vec<Observation> = (0..5u8)
            .map(|place| Observation {
                genome: spaces.decode_bytes(&[0, place, place % 2]).unwrap(),
                result: Observed::Scored(vec![
                    0.9 - 0.1 * f64::from(place),
                    costs[usize::from(place % 2)],
                ]),
            })
            .collect();
        let past = Past {
            others,
            ..history[..].into()
        };
        let proposed = Bayes::DEFAULT.propose(&spaces, past, &preview, &mut Rng::new(1, 0), 2);
        proposed.iter().map(side).collect::<Vec<_>>()
    };
    assert_eq!(choose([0.5; 2], [1.0, 100.0], &[]), [0, 0]);
    assert_eq!(choose([0.5; 2], [100.0, 1.0], &[]), [1, 1]);
    // Others are perfect at a cost of 0.5: what costs more cannot add anything.
    let perfect = [vec![0.0, 0.5]];
    assert_eq!(choose([0.6, 0.4], [1.0; 2], &perfect), [1, 1]);
    assert_eq!(choose([0.4, 0.6], [1.0; 2], &perfect), [0, 0]);
}
