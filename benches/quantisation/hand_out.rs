//! Float networks and sound as files, for the tools of others.

use std::{fs, path::Path};

use nas::{
    features::{Matrix, Windows},
    graph::{Activation, OpKind, Weights},
    space::{Candidate, Task},
};

/// A dense autoencoder, and what calibrates it.
pub struct Network<'n> {
    pub candidate: &'n Candidate,
    pub weights: &'n Weights,
    pub calibration: &'n [&'n [f32]],
}

/// Writes `network.json`, `weights.f32` (weights row by row, then biases, layer after layer), `calibration.f32`, `test.f32`
/// (all windows of all test clips) and `test.json` into a folder. `ours` are the AUC of the float and of the int8 network.
///
/// # Panics
/// Where the network is no chain of dense layers.
pub fn write(
    folder: &Path,
    network: &Network<'_>,
    clips: &[Matrix],
    anomalies: &[bool],
    ours: [f64; 2],
) {
    let Candidate {
        graph,
        front_end,
        task,
        ..
    } = network.candidate;
    assert_eq!(*task, Task::Reconstruct, "only autoencoders are handed out");
    fs::create_dir_all(folder).expect("a folder");
    let (mut layers, mut numbers) = (Vec::new(), Vec::new());
    for (op, weights) in graph.ops.iter().zip(&network.weights.0) {
        match (op.kind, weights) {
            (OpKind::FullyConnected, Some(weights)) => {
                let rectified = op.activation == Activation::Relu;
                assert!(rectified || op.activation == Activation::None);
                layers.push(serde_json::json!({
                    "inputs": graph.op_input(op).len(),
                    "outputs": graph.op_output(op).len(),
                    "relu": rectified,
                }));
                numbers.extend(weights.weight.iter().chain(&weights.bias).copied());
            }
            (OpKind::Reshape, _) => (),
            (kind, _) => panic!("{kind:?} is no dense layer"),
        }
    }
    let mut counts = Vec::new();
    let mut tested = Vec::new();
    for clip in clips {
        let all = Windows::new(
            vec![clip],
            vec![0],
            front_end.frames,
            front_end.frame_stride,
        );
        counts.push(all.len());
        tested.extend(all.gather(0..all.len()).expect("in memory").concat());
    }
    let test = serde_json::json!({
        "windows": counts,
        "anomalies": anomalies,
        "auc_float": ours[0],
        "auc_int8": ours[1],
    });
    let bytes = |numbers: &[f32]| -> Vec<u8> {
        numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect()
    };
    let files = [
        (
            "network.json",
            serde_json::json!(layers).to_string().into_bytes(),
        ),
        ("weights.f32", bytes(&numbers)),
        ("calibration.f32", bytes(&network.calibration.concat())),
        ("test.f32", bytes(&tested)),
        ("test.json", test.to_string().into_bytes()),
    ];
    for (name, content) in files {
        fs::write(folder.join(name), content).expect("a file");
    }
}
