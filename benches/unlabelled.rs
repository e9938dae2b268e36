//! How well disturbed sound ranks detectors: `unlabelled [candidates] [epochs] [seed] [kinds or faults] [data …]`.
//!
//! Trains random candidates of all default spaces once each, and scores each on labelled anomalies and on disturbed clips.
//! Labels enter nothing but the comparison. Prints for the mean over all kinds, for the named kinds and for each kind
//! Kendall's tau with the true AUC, and the regret: the best true AUC less that of the candidate that is chosen. Beside
//! them stands always taking the default pooled Gaussian. Data are paths, `synthetic:MACHINE`, or by default all synthetic
//! machines.

use std::{collections::BTreeMap, sync::atomic::AtomicBool};

use nas::{
    audio::FeatureSpec,
    data::{self, Clip, Dataset, Label, Split, synthetic},
    disturb::{self, Kind},
    evaluate::{Evaluator, Options, Pipeline, Scorer},
    features::{FeatureStore, Features},
    score::{DisturbedScore, Figure, Measure, NormalScore, ThresholdRule, sensitivity},
    space::{self, SearchSpace, Spaces},
    stats::{kendall_interval, kendall_tau},
    train::Backend,
    units::Rng,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let number = |at: usize, default: usize| {
        arguments
            .get(at)
            .map_or(default, |text| text.parse().expect("a number"))
    };
    let (candidates, epochs, seed) = (number(0, 40), number(1, 6), number(2, 1));
    let named = arguments.get(3).map_or("knocks", String::as_str);
    let named = disturb::listened_for(named.split(',')).expect("kinds or faults");
    let mut names = arguments.get(4..).unwrap_or_default().to_vec();
    if names.is_empty() {
        let machines = synthetic::Machine::ALL.map(synthetic::Machine::name);
        names = machines
            .iter()
            .map(|name| format!("synthetic:{name}"))
            .collect();
    }
    println!("data,seed,candidates,by,tau,tau_low,tau_high,best,chosen,regret");
    for name in names {
        let dataset = data::named(&name).expect("a data set");
        compare(&name, dataset, [candidates, epochs, seed], &named);
    }
}

/// A trained candidate.
struct Ranked {
    truth: f64,
    of_kinds: BTreeMap<Kind, f64>,
}

fn compare(name: &str, dataset: Dataset, [candidates, epochs, seed]: [usize; 3], named: &[Kind]) {
    let options = Options {
        epochs: Some(epochs),
        backend: Backend::Flex,
        threshold: ThresholdRule::default(),
    };
    let mut disturbed = dataset.clone().with_disturbed(&Kind::ALL);
    let is_kept = |clip: &Clip| match clip.disturbed() {
        Some(made) => made.steers,
        None => clip.split == Split::Test && clip.label == Some(Label::Normal),
    };
    disturbed.clips.retain(is_kept);
    let fixed = dataset.fixed_features;
    let pipeline = Pipeline::new(dataset, FeatureStore::new(None), options)
        .expect("labels and training clips");
    let probe = fixed.unwrap_or(FeatureSpec::DCASE);
    let frames = pipeline.shortest_clip_frames(&probe).expect("features");
    let clip_s =
        (frames.saturating_sub(1) * probe.hop_length) as f64 / f64::from(probe.sample_rate_hz);
    let suited = |spaces: Vec<SearchSpace>| {
        let suited = spaces.into_iter().filter_map(|space| {
            let samples = (clip_s * f64::from(space.sample_rate_hz)).round() as usize;
            let space = match &fixed {
                Some(spec) => space.with_fixed_features(spec)?,
                None => space,
            };
            space.for_clips(samples)
        });
        Spaces::new(suited.collect(), pipeline.classes())
    };
    let mut rng = Rng::new(seed as u64, 0);
    let mut known = BTreeMap::new();
    let mut rank = |spaces: &Spaces, rng: &mut Rng| -> Option<Ranked> {
        let genome = spaces.random(rng);
        let candidate = spaces.decode(&genome);
        // Large networks take long and are no harder to rank.
        if candidate.graph.macs() > 2_000_000 {
            return None;
        }
        let training = spaces.space_of(&genome).training;
        let stop = AtomicBool::new(false);
        let evaluation = pipeline.evaluate(&candidate, &training, 1, &stop).ok()?;
        let model = evaluation.model?;
        let spec = candidate.front_end.spec;
        let features = known.entry(format!("{spec:?}")).or_insert_with(|| {
            let store = FeatureStore::new(None);
            store.get_device(&disturbed, &spec).expect("features")
        });
        let figures = evaluation.scores.figures;
        let halves = [Figure::AUC, Figure::test(Measure::Auc)].map(|figure| figures.get(figure));
        Some(Ranked {
            truth: (halves[0]? + halves[1]?) / 2.0,
            of_kinds: of_kinds(&disturbed, features, &mut Scorer::new(&model).ok()?)?,
        })
    };
    let spaces = suited(space::builtin());
    let mut ranked = Vec::new();
    // Some candidates are too large, or suit no clip.
    for _ in 0..50 * candidates {
        if ranked.len() < candidates {
            ranked.extend(rank(&spaces, &mut rng));
        }
    }
    let truth: Vec<f64> = ranked.iter().map(|one| one.truth).collect();
    let best = truth.iter().copied().fold(0.0, f64::max);
    let print = |by: &str, kinds: &[Kind]| {
        let mean = |one: &Ranked| {
            kinds.iter().map(|kind| one.of_kinds[kind]).sum::<f64>() / kinds.len() as f64
        };
        let heard: Vec<f64> = ranked.iter().map(mean).collect();
        let tau = kendall_tau(&heard, &truth).unwrap_or(f64::NAN);
        let [low, high] = kendall_interval(tau, ranked.len()).unwrap_or([f64::NAN; 2]);
        let first = (0..ranked.len()).max_by(|a, b| heard[*a].total_cmp(&heard[*b]));
        let chosen = first.map_or(f64::NAN, |first| truth[first]);
        println!(
            "{name},{seed},{},{by},{tau:.2},{low:.2},{high:.2},{best:.3},{chosen:.3},{:.3}",
            ranked.len(),
            best - chosen
        );
    };
    print("all kinds", &Kind::ALL);
    print("named kinds", named);
    for kind in Kind::ALL {
        print(kind.name(), &[kind]);
    }
    let mut reference = space::references();
    reference.retain(|space| space.name.contains("pooled"));
    if let Some(one) = rank(&suited(reference), &mut rng) {
        println!(
            "{name},{seed},1,default pooled Gaussian,,,,{best:.3},{:.3},{:.3}",
            one.truth,
            best - one.truth
        );
    }
}

/// How well disturbed clips of each kind stand out.
fn of_kinds(
    dataset: &Dataset,
    features: &Features,
    scorer: &mut Scorer<'_>,
) -> Option<BTreeMap<Kind, f64>> {
    let (mut normal, mut disturbed) = (Vec::new(), Vec::new());
    for (clip, matrix) in dataset.clips.iter().zip(&features.clips) {
        let class = scorer.class_of(clip);
        let Some(score) = scorer.clip_score(matrix, class) else {
            continue;
        };
        let group = (clip.machine.clone(), clip.section.clone(), clip.domain);
        match clip.disturbed() {
            Some(made) => disturbed.push(DisturbedScore {
                group,
                kind: made.kind,
                strength: made.strength,
                of: made.of.to_string(),
                score,
            }),
            None => normal.push(NormalScore { group, score }),
        }
    }
    Some(sensitivity(&normal, &disturbed)?.of_kinds)
}
