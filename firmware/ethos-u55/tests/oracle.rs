//! Random networks, compiled by Vela, against TFLite Micro.
//!
//! Needs a Python with `tests/oracles/compile.py`'s packages: that of `ETHOS_U55_PYTHON`, or `.venv` of the
//! repository. Without it the test says that it is skipped.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use ethos_u55::{
    Hazard, Stream, check,
    operation::Action,
    vela::{Job, Model},
    weights::{decode, encode},
};

const NETWORKS: usize = 40;

#[test]
fn random_networks_are_those_of_tflite_micro() {
    let Some(python) = python() else {
        println!("skipped: no Python with Vela and TFLite Micro");
        return;
    };
    let folder = env::temp_dir().join(format!("ethos-u55-{}", std::process::id()));
    let networks = folder.join("networks");
    script(
        &python,
        "generate.py",
        &[networks.as_path(), Path::new("40"), Path::new("7000")],
    );
    let mut files: Vec<PathBuf> = fs::read_dir(&networks)
        .expect("networks")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert_eq!(files.len(), NETWORKS);
    let configurations = [
        ("32", "Sram_Only"),
        ("64", "Shared_Sram"),
        ("128", "Shared_Sram"),
        ("256", "Sram_Only"),
    ];
    let mut equal = 0;
    for (macs, memory_mode) in configurations {
        let out = folder.join(macs);
        let mut arguments = vec![out.as_path(), Path::new(macs), Path::new(memory_mode)];
        arguments.extend(files.iter().map(PathBuf::as_path));
        script(&python, "compile.py", &arguments);
        for file in &files {
            let stem = out.join(file.file_stem().expect("a name"));
            let stem = stem.to_str().expect("a path");
            // Some operators Vela leaves to the core.
            if fs::exists(format!("{stem}.out")).expect("a folder") {
                compare(stem);
                equal += 1;
            }
        }
    }
    fs::remove_dir_all(&folder).expect("a folder");
    println!("{equal} networks equal");
    assert!(equal > 3 * NETWORKS, "{equal}");
}

fn python() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let python = env::var_os("ETHOS_U55_PYTHON").map_or(own, PathBuf::from);
    let imports = "import ethosu.vela, tflite_micro, ai_edge_litert";
    let tried = Command::new(&python).args(["-c", imports]).output().ok()?;
    tried.status.success().then_some(python)
}

fn script(python: &Path, name: &str, arguments: &[&Path]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/oracles")
        .join(name);
    let output = Command::new(python).arg(path).args(arguments).output();
    let output = output.expect("Python starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
}

fn compare(stem: &str) {
    let file = fs::read(format!("{stem}_vela.tflite")).expect("a file");
    let model = Model::read(&file).expect("a network");
    let job = model.job().expect("one job");
    weights_are_velas(stem, job);
    let stream = Stream::read(job.commands).expect("a stream");
    let mut arenas = job.arenas();
    for finding in check(
        &stream,
        &job.accelerator().expect("an NPU"),
        &job.memory(&mut arenas),
    ) {
        // Where strides are larger than kernels, Vela's BLOCKDEP looks one too high.
        let is_known = matches!(finding.hazard, Hazard::BlockDependency { .. });
        assert!(is_known, "{stem}: {finding}");
    }
    let inputs = fs::read(format!("{stem}.in")).expect("inputs");
    let expected = fs::read(format!("{stem}.out")).expect("outputs");
    let mut runner = job.runner().expect("a stream");
    let mut inputs = inputs.as_slice();
    let mut outputs = Vec::new();
    while !inputs.is_empty() {
        let mut given = Vec::new();
        for tensor in &job.inputs {
            let (input, rest) = inputs.split_at(tensor.bytes());
            given.push(input);
            inputs = rest;
        }
        outputs.extend(runner.run(&given).expect("a run").concat());
    }
    assert!(outputs == expected, "{stem}");
}

fn weights_are_velas(stem: &str, job: &Job) {
    let accelerator = job.accelerator().expect("an NPU");
    for step in Stream::read(job.commands).expect("a stream").steps {
        let Action::Kernel(kernel) = &step.action else {
            continue;
        };
        let (Some(constants), Some(order)) = (kernel.constants(), kernel.order(&accelerator))
        else {
            continue;
        };
        let span = constants.weights;
        // What was copied into the arena stands in the constants, too.
        if span.region == 0 {
            let start = span.start as usize;
            let written = &job.constants[start..start + span.bytes];
            let weights = order.restore(&decode(written).expect("weights"));
            let again = encode(&order.arrange(&weights.expect("weights")));
            assert!(again == written, "{stem}, operation {}", step.number);
        }
    }
}
