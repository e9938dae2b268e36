//! Runs networks that Vela compiled and compares their outputs with those of another program.
//!
//! `cargo run --example compare DIR`: for each `NAME_vela.tflite` in the folder, `NAME.in` holds the inputs of some
//! runs one behind the other, `NAME.out` the outputs.

use std::{env, error::Error, fs, path::Path, process::ExitCode};

use ethos_u55::{
    Stream, check,
    operation::Action,
    vela::{Job, Model},
    weights::{decode, encode},
};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let folder = env::args().nth(1).ok_or("a folder, please")?;
    let mut names: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    names.sort_by_key(|entry| entry.path());
    let (mut all, mut equal) = (0, 0);
    for path in names.iter().map(fs::DirEntry::path) {
        let Some(stem) = path
            .to_str()
            .and_then(|name| name.strip_suffix("_vela.tflite"))
        else {
            continue;
        };
        all += 1;
        match compare(&path, stem) {
            Ok(()) => equal += 1,
            Err(error) => println!("{stem}: {error}"),
        }
    }
    println!("{equal} of {all} equal");
    Ok(ExitCode::from(u8::from(equal < all)))
}

fn compare(path: &Path, stem: &str) -> Result<(), Box<dyn Error>> {
    let file = fs::read(path)?;
    let model = Model::read(&file)?;
    let job: &Job = model.job().ok_or("not one operator on the NPU alone")?;
    check_encoder(job)?;
    check_stream(job)?;
    let inputs = fs::read(format!("{stem}.in"))?;
    let expected = fs::read(format!("{stem}.out"))?;
    let mut inputs = inputs.as_slice();
    let mut outputs = Vec::new();
    let mut runner = job.runner()?;
    while !inputs.is_empty() {
        let mut given = Vec::new();
        for tensor in &job.inputs {
            let (input, rest) = inputs
                .split_at_checked(tensor.bytes())
                .ok_or("short input")?;
            given.push(input);
            inputs = rest;
        }
        outputs.extend(runner.run(&given)?.concat());
    }
    let wrong = outputs
        .iter()
        .zip(&expected)
        .filter(|(a, b)| a != b)
        .count();
    match wrong {
        0 if outputs.len() == expected.len() => Ok(()),
        _ => Err(format!("{wrong} of {} outputs differ", expected.len()).into()),
    }
}

/// The encoder writes the streams of weights that Vela wrote.
fn check_encoder(job: &Job) -> Result<(), Box<dyn Error>> {
    let accelerator = job.accelerator()?;
    let mut arenas = job.arenas();
    let memory = job.memory(&mut arenas);
    for step in Stream::read(job.commands)?.steps {
        let Action::Kernel(kernel) = &step.action else {
            continue;
        };
        let (Some(constants), Some(order)) = (kernel.constants(), kernel.order(&accelerator))
        else {
            continue;
        };
        // Weights that were copied into the arena stand in the constants, too.
        let span = constants.weights;
        if span.region != 0 {
            continue;
        }
        let stream = memory.read("weights", span.region, span.start, span.bytes)?;
        let decoded = decode(stream)?;
        let again = encode(&order.arrange(&order.restore(&decoded)?));
        if again != stream {
            let lengths = [stream.len(), again.len()];
            return Err(format!("operation {}: weights encode as {lengths:?}", step.number).into());
        }
    }
    Ok(())
}

/// Nothing in the stream is a hazard.
fn check_stream(job: &Job) -> Result<(), Box<dyn Error>> {
    let mut arenas = job.arenas();
    let stream = Stream::read(job.commands)?;
    let findings = check(&stream, &job.accelerator()?, &job.memory(&mut arenas));
    match findings.first() {
        None => Ok(()),
        Some(first) => Err(format!("{} findings, the first: {first}", findings.len()).into()),
    }
}
