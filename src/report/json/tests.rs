use serde_json::{Value, json};

use super::*;
use crate::report::fixture::small_run;

#[test]
fn the_front_is_the_documented_document() {
    let exact =
        |value: u64| json!({"value": value, "source": "estimated", "low": value, "high": value});
    let mut expected = json!({
        "schema_version": 1,
        "run": "brave-fan",
        "data": "synthetic:fan",
        "synthetic": true,
        "targets": ["u55", "m7"],
        "trials": {"scored": 2, "fitted": 0, "rejected": 7, "failed": 1},
        "hypervolume": 0.5,
        "hypervolumes": {
            "u55": {"value": 0.5, "reference": {"one_minus_auc_int8": 0.5, "latency_us": 20000.0}},
            "m7": {"value": 0.5, "reference": {"one_minus_auc_int8": 0.5, "latency_us": 20000.0}},
        },
        "front": [
            {
                "trial": 4, "space": "ds-cnn", "task": "classify", "auc_int8": 0.875, "pauc_int8": 0.625,
                "auc_float": 0.9, "test_auc_int8": null, "test_pauc_int8": null, "accuracy_int8": null, "test_accuracy_int8": null,
                "macro_f1_int8": null, "test_macro_f1_int8": null,
                "balanced_accuracy_int8": null, "test_balanced_accuracy_int8": null,
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
                "macro_f1_int8": null, "test_macro_f1_int8": null,
                "balanced_accuracy_int8": null, "test_balanced_accuracy_int8": null,
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
        "steered_by": null,
        "notes": ["too few clips"],
    });
    expected["ties"] = json!({"u55": [], "m7": []});
    // As deep as the macro goes.
    expected["front"][0]["intervals"] = json!({"auc_int8": {"low": 0.75, "high": 1.0}});
    expected["front"][1]["intervals"] = json!({});
    for target in ["u55", "m7"] {
        expected["budgets"][target]["offline"] = Value::Bool(false);
        for place in 0..2 {
            expected["front"][place]["costs"][target]["real_time_factor"] = Value::Null;
        }
    }
    let of_disturbed = [
        "sensitivity_int8",
        "sensitivity_float",
        "test_sensitivity_int8",
        "hears",
    ];
    for key in of_disturbed {
        expected["front"][0][key] = Value::Null;
        expected["front"][1][key] = Value::Null;
    }
    let text = render(&FrontDocument::new(&small_run()));
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
}
