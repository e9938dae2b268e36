//! How well stand-ins for anomalies rank networks: `proxy [networks] [epochs] [data …]`.
//!
//! Trains random networks once each, scores each on stand-ins and on labelled anomalies, and prints Kendall's tau-b of
//! the two AUCs. Labels enter nothing but the comparison. Data are paths, `synthetic:MACHINE`, or by default all
//! synthetic machines.

use std::{path::Path, sync::atomic::AtomicBool};

use nas::{
    data::{self, Dataset, Label, Split, synthetic},
    evaluate::{Evaluator, Options, Pipeline, Scorer},
    features::FeatureStore,
    score::{ClipScore, ThresholdRule, summarise},
    space::{self, Spaces},
    stats::kendall_tau,
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
    let (networks, epochs) = (number(0, 12), number(1, 6));
    let mut names = arguments.get(2..).unwrap_or_default().to_vec();
    if names.is_empty() {
        let machines = synthetic::Machine::ALL.map(synthetic::Machine::name);
        names = machines
            .iter()
            .map(|name| format!("synthetic:{name}"))
            .collect();
    }
    println!("data,networks,tau,kind,auc_true_min,auc_true_max,auc_proxy_min,auc_proxy_max");
    for name in names {
        let dataset = match name.strip_prefix("synthetic:") {
            Some(machine) => {
                synthetic::dataset(synthetic::Machine::from_name(machine).expect("a machine"))
            }
            None => data::open(Path::new(&name)).expect("a data set"),
        };
        compare(&name, dataset, networks, epochs);
    }
}

/// AUC against labelled anomalies, and against each kind of stand-in.
struct Ranked {
    truth: f64,
    proxy: f64,
    kinds: Vec<(String, f64)>,
}

fn compare(name: &str, dataset: Dataset, networks: usize, epochs: usize) {
    let options = Options {
        epochs: Some(epochs),
        backend: Backend::Flex,
        threshold: ThresholdRule::default(),
    };
    let store = || FeatureStore::new(None);
    let with_stand_ins = dataset.clone().with_stand_ins();
    let fixed = dataset.fixed_features;
    let pipeline = Pipeline::new(dataset, store(), options).expect("labels and training clips");
    let spaces = space::builtin().into_iter();
    let spaces = spaces.filter_map(|space| match &fixed {
        Some(spec) => space.with_fixed_features(spec),
        None => Some(space),
    });
    let spaces = Spaces::new(spaces.collect(), pipeline.classes());
    let stand_in_store = store();
    let mut rng = Rng::new(5, 0);
    let mut ranked = Vec::new();
    while ranked.len() < networks {
        let genome = spaces.random(&mut rng);
        let candidate = spaces.decode(&genome);
        // Large networks take long and are no harder to rank.
        if candidate.graph.macs() > 3_000_000 {
            continue;
        }
        let training = spaces.space_of(&genome).training;
        let stop = AtomicBool::new(false);
        let Ok(evaluation) = pipeline.evaluate(&candidate, &training, 1, &stop) else {
            continue;
        };
        let model = evaluation.model.expect("the pipeline makes models");
        let mut scorer = Scorer::new(&model).expect("a model that runs");
        let features = stand_in_store
            .get_device(&with_stand_ins, &candidate.front_end.spec)
            .expect("features");
        let mut real = Vec::new();
        let mut proxy: Vec<(String, ClipScore)> = Vec::new();
        for (clip, matrix) in with_stand_ins.clips.iter().zip(&features.clips) {
            let (Split::Test, Some(label)) = (clip.split, clip.label) else {
                continue;
            };
            let class = model.card.class_of(clip);
            let Some(score) = scorer.clip_score(matrix, class) else {
                continue;
            };
            let anomaly = label == Label::Anomaly;
            let scored = ClipScore {
                machine: clip.machine.clone(),
                section: clip.section.clone(),
                domain: clip.domain,
                anomaly,
                score,
            };
            let kind = clip.attribute("stand_in").map(str::to_string);
            if !anomaly || kind.is_none() {
                real.push(scored.clone());
            }
            if !anomaly || kind.is_some() {
                proxy.push((kind.unwrap_or_default(), scored));
            }
        }
        let auc = |keep: &dyn Fn(&str) -> bool| {
            let kept = proxy
                .iter()
                .filter(|(kind, scored)| !scored.anomaly || keep(kind));
            let clips: Vec<ClipScore> = kept.map(|(_, scored)| scored.clone()).collect();
            summarise(&clips).auc
        };
        let kinds = ["other section", "mixed", "tone", "clicks", "speed"];
        let kinds = kinds
            .iter()
            .filter_map(|kind| Some(((*kind).to_string(), auc(&|k| k == *kind)?)));
        let (Some(truth), Some(proxy_auc)) = (summarise(&real).auc, auc(&|_| true)) else {
            continue;
        };
        ranked.push(Ranked {
            truth,
            proxy: proxy_auc,
            kinds: kinds.collect(),
        });
    }
    let truth: Vec<f64> = ranked.iter().map(|r| r.truth).collect();
    let print = |kind: &str, proxy: &[f64]| {
        let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
        let tau = kendall_tau(proxy, &truth).map_or("-".to_string(), |tau| format!("{tau:.2}"));
        println!(
            "{name},{},{tau},{kind},{:.3},{:.3},{:.3},{:.3}",
            ranked.len(),
            least(&truth),
            most(&truth),
            least(proxy),
            most(proxy)
        );
    };
    print("all", &ranked.iter().map(|r| r.proxy).collect::<Vec<_>>());
    for kind in ["other section", "mixed", "tone", "clicks", "speed"] {
        let of_kind = |r: &Ranked| r.kinds.iter().find(|(k, _)| k == kind).map(|(_, auc)| *auc);
        let values: Option<Vec<f64>> = ranked.iter().map(of_kind).collect();
        if let Some(values) = values {
            print(kind, &values);
        }
    }
}
