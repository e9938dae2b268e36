use serde_json::{Value, json};

use super::*;
use crate::report::fixture::{measurement, rescored, small_run};

#[test]
fn the_front_is_the_documented_document() {
    let exact =
        |value: u64| json!({"value": value, "source": "estimated", "low": value, "high": value});
    let expected = json!({
        "schema_version": 1,
        "run": "brave-fan",
        "data": "synthetic:fan",
        "synthetic": true,
        "targets": ["u55", "m7"],
        "trials": {"scored": 2, "rejected": 7, "failed": 1},
        "hypervolume": 0.5,
        "hypervolumes": {
            "u55": {"value": 0.5, "reference": {"one_minus_auc_int8": 0.5, "latency_us": 20000.0}},
            "m7": {"value": 0.5, "reference": {"one_minus_auc_int8": 0.5, "latency_us": 20000.0}},
        },
        "front": [
            {
                "trial": 4, "space": "ds-cnn", "task": "classify", "auc_int8": 0.875, "pauc_int8": 0.625,
                "auc_float": 0.9, "test_auc_int8": null, "test_pauc_int8": null, "accuracy_int8": null, "test_accuracy_int8": null,
                "rescored": null, "macs": 1500000, "params": 52000, "on_front": ["u55", "m7"],
                "costs": {
                    "u55": {
                        "ram_bytes": exact(65536), "flash_bytes": exact(90000),
                        "latency_us": {"value": 2000.0, "source": "estimated", "low": 1600.0, "high": 2500.0},
                        "energy_uj": null,
                    },
                    "m7": {
                        "ram_bytes": exact(65536), "flash_bytes": exact(90000),
                        "latency_us": {"value": 40000.0, "source": "measured", "low": 32000.0, "high": 50000.0},
                        "energy_uj": null,
                    },
                },
                "fit_probability": {},
                "measurements": [],
            },
            {
                "trial": 9, "space": "dense-ae", "task": "reconstruct", "auc_int8": 0.75, "pauc_int8": 0.625,
                "auc_float": 0.9, "test_auc_int8": null, "test_pauc_int8": null, "accuracy_int8": null, "test_accuracy_int8": null,
                "rescored": null, "macs": 300000, "params": 290000, "on_front": ["u55"],
                "costs": {
                    "u55": {
                        "ram_bytes": exact(8192), "flash_bytes": exact(90000),
                        "latency_us": {"value": 1000.0, "source": "estimated", "low": 800.0, "high": 1250.0},
                        "energy_uj": null,
                    },
                    "m7": {
                        "ram_bytes": exact(8192), "flash_bytes": exact(90000),
                        "latency_us": {"value": 50000.0, "source": "estimated", "low": 40000.0, "high": 62500.0},
                        "energy_uj": null,
                    },
                },
                "fit_probability": {},
                "measurements": [],
            },
        ],
        "budgets": {
            "u55": {"ram_bytes": 131072, "flash_bytes": null, "latency_us": null, "energy_uj": null, "macs": null},
            "m7": {"ram_bytes": 131072, "flash_bytes": null, "latency_us": null, "energy_uj": null, "macs": null},
        },
        "notes": ["too few clips"],
    });
    let text = render(&FrontDocument::new(&small_run()));
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
}

/// `docs/json.md` names every key, so that no key is added in silence.
#[test]
fn every_key_is_documented() {
    fn keys(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    found.push(key.clone());
                    keys(value, found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
            _ => {}
        }
    }
    let info = small_run();
    let run = RunView {
        run: info.run.clone(),
        started: String::new(),
        state: String::new(),
        data: String::new(),
        synthetic: true,
        targets: Vec::new(),
        sampler: String::new(),
        seed: 0,
        trials: info.counts.into(),
        best_auc_int8: None,
        hypervolume: None,
    };
    let trial = TrialDocument {
        schema_version: SCHEMA_VERSION,
        run: String::new(),
        data: String::new(),
        synthetic: true,
        trial: 4,
        state: "scored",
        space: String::new(),
        task: task_name(info.scored[0].task),
        seed: 0,
        axes: BTreeMap::new(),
        front_end: FrontEndView {
            sample_rate_hz: 16000,
            n_fft: 1024,
            hop_length: 512,
            n_mels: 64,
            mfcc: None,
            frames: 5,
            frame_stride: 1,
            statistics: None,
        },
        macs: 0,
        params: 0,
        figures: Some((&info.scored[0].figures).into()),
        rescored: Some(RescoredView::from(&rescored())),
        groups: vec![GroupView {
            machine: String::new(),
            section: String::new(),
            domain: None,
            auc_int8: None,
            pauc_int8: None,
            normals: 0,
            anomalies: 0,
        }],
        costs: BTreeMap::new(),
        measurements: vec![MeasurementView::new(&measurement(), &[])],
        excess: BTreeMap::new(),
        error: None,
        operators: vec![OperatorView {
            operator: String::new(),
            output: [1, 1, 1],
            macs: 0,
            params: 0,
        }],
        files: Vec::new(),
    };
    let mut found = Vec::new();
    for text in [
        render(&FrontDocument::new(&info)),
        render(&RunsDocument::new(vec![run])),
        render(&trial),
        render(&[MeasuredView::from(&measurement())]),
    ] {
        keys(&serde_json::from_str(&text).unwrap(), &mut found);
    }
    let documentation = include_str!("../../../docs/json.md");
    for key in found
        .iter()
        .filter(|key| !["u55", "m7"].contains(&key.as_str()))
    {
        assert!(documentation.contains(&format!("`{key}`")), "{key}");
    }
}
