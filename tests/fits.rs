//! Detectors that were fitted in closed form, of every kind: TFLM, emulated cores and the NPU's compiler compute what the
//! host computes.

use std::sync::atomic::AtomicBool;

use nas::{
    data::{self, Domain},
    evaluate::{Evaluator, Model, Options, Pipeline},
    features::FeatureStore,
    hardware::{self, Unit, op_costs},
    measure::Place,
    quant::Interpreter,
    score::ThresholdRule,
    space::{self, Candidate, Spaces},
    train::Backend,
    units::Rng,
};

use crate::{firmware, made, oracle};

tests! {
    tflm_gives_our_outputs_for_fits: [Oracles],
    a_cortex_m7_hears_what_fits_hear: [RustForM7, Qemu],
    a_cortex_m55_hears_what_fits_hear: [RustForM55, Qemu],
    an_npu_takes_the_whitening,
}

/// Axes of `search_spaces/references/pooled.toml` with other values: every kind of fit, and every statistic.
const KINDS: [(&str, &[(&str, f64)]); 9] = [
    (
        "variances of maxima",
        &[("covariance", 0.0), ("statistics", 4.0)],
    ),
    (
        "variances of each section",
        &[("covariance", 0.0), ("shared", 0.0), ("statistics", 1.0)],
    ),
    (
        "one full covariance",
        &[("covariance", 1.0), ("statistics", 3.0)],
    ),
    (
        "a full covariance each",
        &[("covariance", 1.0), ("shared", 0.0), ("statistics", 16.0)],
    ),
    (
        "oracle shrinkage",
        &[("covariance", 2.0), ("statistics", 2.0)],
    ),
    (
        "low rank",
        &[("covariance", 3.0), ("statistics", 8.0), ("ranking", 0.9)],
    ),
    (
        "memory bank",
        &[("covariance", 1.0), ("points", 4.0), ("statistics", 5.0)],
    ),
    (
        "a mean for each domain",
        &[
            ("covariance", 1.0),
            ("per_domain", 1.0),
            ("statistics", 1.0),
        ],
    ),
    (
        "all statistics",
        &[("covariance", 1.0), ("statistics", 31.0), ("ranking", 0.8)],
    ),
];

/// A detector of every kind, fitted to sound of three sections.
fn fits() -> Vec<(&'static str, Candidate, Model)> {
    let folder = tempfile::tempdir().unwrap();
    let csv = made::features(folder.path(), 3, 20, 6);
    let mut dataset = data::named(&csv.to_string_lossy()).unwrap();
    for clip in dataset.clips.iter_mut().step_by(2) {
        clip.domain = Domain::Target;
    }
    let fixed = dataset.fixed_features.unwrap();
    let options = Options {
        epochs: None,
        backend: Backend::Flex,
        threshold: ThresholdRule::default(),
    };
    let pipeline = Pipeline::new(dataset, FeatureStore::new(None), options).unwrap();
    let fit = |(name, axes): (&'static str, &[(&str, f64)])| {
        let mut space = space::load("pooled").unwrap();
        for axis in &mut space.axes {
            let chosen = axes.iter().find(|(name, _)| *name == axis.name);
            let usual = [
                ("frames", 24.0),
                ("frame_stride", 6.0),
                ("groups", 8.0),
                ("shared", 1.0),
            ];
            let usual = usual.iter().find(|(name, _)| *name == axis.name);
            if let Some((_, value)) = chosen.or(usual) {
                axis.values = vec![*value];
            }
        }
        let space = space.with_fixed_features(&fixed).unwrap();
        let training = space.training;
        let spaces = Spaces::new(vec![space], pipeline.classes());
        let candidate = spaces.decode(&spaces.random(&mut Rng::new(0, 0)));
        let evaluation = pipeline.evaluate(&candidate, &training, 0, &AtomicBool::new(false));
        let evaluation = evaluation.unwrap_or_else(|error| panic!("{name}: {error}"));
        (
            name,
            candidate,
            evaluation.model.expect("a fit makes a model"),
        )
    };
    KINDS.into_iter().map(fit).collect()
}

fn tflm_gives_our_outputs_for_fits() {
    let folder = tempfile::tempdir().unwrap();
    for (idx, (_, _, model)) in fits().into_iter().enumerate() {
        let length = Interpreter::new(&model.blob).unwrap().lengths().0;
        let mut rng = Rng::new(4, idx as u64);
        // Near what is normal, and at the ends of int8.
        let inputs = (0..16).map(|case| {
            let spread = [8.0, 30.0, 120.0, 400.0][case % 4];
            let value = |_| (rng.normal() * spread).round().clamp(-128.0, 127.0) as i8;
            (0..length).map(value).collect()
        });
        let inputs: Vec<Vec<i8>> = inputs.collect();
        oracle::write_files(folder.path(), idx, &model.tflite, &model.blob, &inputs);
    }
    let python = crate::runner::python().expect("a need of this test");
    let summary = oracle::run_oracles(&python, folder.path(), &["--vela-every", "1"]);
    say!("{summary}");
    let none = serde_json::json!([]);
    assert_eq!(summary["models"], KINDS.len(), "{summary}");
    assert_eq!(summary["failures"], none, "{summary}");
    assert_eq!(summary["tflm_different_models"], none, "{summary}");
    assert_eq!(summary["vela_all_on_npu"], summary["models"], "{summary}");
}

fn a_cortex_m7_hears_what_fits_hear() {
    hears(Place::QemuM7);
}

fn a_cortex_m55_hears_what_fits_hear() {
    hears(Place::QemuM55);
}

fn hears(place: Place) {
    let mut bench = firmware::bench(&place);
    for (name, candidate, model) in fits() {
        let seen = bench.measure(&model.blob);
        let seen = seen.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(seen.outputs_match, "{name}: {seen:?}");
        let (decision, model) = (seen.hop_instructions.unwrap(), seen.instructions.unwrap());
        let rest = decision - model;
        say!("{name}: {model} instructions of whitening, {rest} of the hop around it");
        let target = hardware::find(match place {
            Place::QemuM7 => "m7",
            _ => "m55",
        });
        let ram = hardware::ram_parts(
            Some(&candidate.front_end),
            &candidate.clip_rules,
            &candidate.graph,
            &target.unwrap(),
        );
        assert!(
            seen.front_end_bytes.unwrap() as f64 <= ram.front_end,
            "{name}: {seen:?}"
        );
    }
}

/// The layer runs on the NPU; what is left to the core costs time, and is in the estimate.
fn an_npu_takes_the_whitening() {
    let target = hardware::find("u55").unwrap();
    for (name, candidate, _) in fits() {
        let weighted = |op_idx: usize| candidate.graph.ops[op_idx].kind.has_weights();
        let costs = op_costs(&candidate.graph, &target);
        let layer: Vec<_> = costs.iter().filter(|cost| weighted(cost.op_idx)).collect();
        assert_eq!(layer.len(), 1, "{name}");
        assert_eq!(layer[0].unit, Unit::Npu, "{name}");
        let whole = hardware::estimate(&candidate, &target).latency_us.value;
        let front_end = hardware::front_end_latency_us(&candidate.front_end, &target);
        assert!(
            whole > front_end.value + layer[0].latency_us.value,
            "{name}: {whole}"
        );
    }
}
