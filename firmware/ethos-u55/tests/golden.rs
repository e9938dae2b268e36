//! Small networks that Vela 5.2 compiled, with inputs and the outputs of TFLite Micro.
//!
//! `tests/golden` has nine that together use every operation, layout, kind of scaling and size of NPU that random
//! networks of `tests/oracles/generate.py` led to; `tests/oracles/compile.py` made the files.

use std::{fs, path::PathBuf};

use ethos_u55::{
    Accelerator, Hazard, Memory, Stream, check,
    command::{self, Command, Opcode, What},
    operation::Action,
    vela::{Job, Model},
    weights::{decode, encode},
};

/// Calls with the name and file of each network.
fn for_each(mut one: impl FnMut(&str, &Job)) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder of networks")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "tflite"))
        .collect();
    paths.sort();
    assert_eq!(paths.len(), 9);
    for path in paths {
        let name = path.to_str().expect("a name");
        let file = fs::read(&path).expect("a file");
        let model = Model::read(&file).expect("a network");
        let stem = name.strip_suffix("_vela.tflite").expect("a name from Vela");
        one(stem, model.job().expect("one job"));
    }
}

#[test]
fn outputs_are_those_of_tflite_micro() {
    for_each(|stem, job| {
        let inputs = fs::read(format!("{stem}.in")).expect("inputs");
        let expected = fs::read(format!("{stem}.out")).expect("outputs");
        let sizes: Vec<usize> = job.inputs.iter().map(|tensor| tensor.bytes()).collect();
        let mut outputs = Vec::new();
        let mut runner = job.runner().expect("an NPU");
        for run in inputs.chunks(sizes.iter().sum()) {
            let mut rest = run;
            let given = sizes.iter().map(|&size| {
                let (input, after) = rest.split_at(size);
                rest = after;
                input
            });
            let given: Vec<&[u8]> = given.collect();
            outputs.extend(runner.run(&given).expect("a run").concat());
        }
        assert!(outputs == expected, "{stem}");
    });
}

#[test]
fn the_encoder_writes_what_vela_wrote() {
    let mut streams = 0;
    for_each(|stem, job| {
        let accelerator = job.accelerator().expect("an NPU");
        let stream = Stream::read(job.commands).expect("a stream");
        for step in &stream.steps {
            let Action::Kernel(kernel) = &step.action else {
                continue;
            };
            let (Some(constants), Some(order)) = (kernel.constants(), kernel.order(&accelerator))
            else {
                continue;
            };
            let memory = Memory::new().constant(0, job.constants);
            let span = constants.weights;
            if span.region == 0 {
                let written = memory.read("weights", 0, span.start, span.bytes);
                let written = written.expect("weights");
                let weights = order.restore(&decode(written).expect("weights"));
                let again = encode(&order.arrange(&weights.expect("weights")));
                assert!(again == written, "{stem}, operation {}", step.number);
                streams += 1;
            }
        }
    });
    assert!(streams > 5, "{streams}");
}

#[test]
fn commands_are_written_as_they_were_read() {
    for_each(|stem, job| {
        let commands = command::read(job.commands).expect("commands");
        let written = command::write(&commands);
        assert_eq!(job.commands[..written.len()], written, "{stem}");
    });
}

#[test]
fn every_wait_is_needed_and_enough() {
    let mut taken_out = 0;
    for_each(|stem, job| {
        let commands = command::read(job.commands).expect("commands");
        let accelerator = job.accelerator().expect("an NPU");
        assert_eq!(races(job, &commands, &accelerator), 0, "{stem}");
        for (idx, command) in commands.iter().enumerate() {
            let waits = [Opcode::WaitForCopies, Opcode::WaitForKernels];
            if matches!(command.what, What::Start(opcode, _) if waits.contains(&opcode)) {
                let mut without = commands.clone();
                without.remove(idx);
                assert!(races(job, &without, &accelerator) > 0, "{stem}: {command}");
                taken_out += 1;
            }
        }
    });
    assert_eq!(taken_out, 4);
}

/// Number of races, and nothing else is found.
fn races(job: &Job, commands: &[Command], accelerator: &Accelerator) -> usize {
    let stream = Stream::read(&command::write(commands)).expect("a stream");
    let mut arenas = job.arenas();
    let findings = check(&stream, accelerator, &job.memory(&mut arenas));
    for finding in &findings {
        assert!(matches!(finding.hazard, Hazard::Race { .. }), "{finding}");
    }
    findings.len()
}
