//! Times one inference, and what its parts take; the fastest of some runs, which other work on the machine disturbs
//! least.
//!
//! `cargo run --release --example time FILE_vela.tflite [RUNS]`

use std::{
    env,
    error::Error,
    fs,
    hint::black_box,
    time::{Duration, Instant},
};

use ethos_u55::{Stream, operation::Action, vela::Model, weights::decode};

fn main() -> Result<(), Box<dyn Error>> {
    let file = fs::read(env::args().nth(1).ok_or("a file, please")?)?;
    let runs = env::args().nth(2).map_or(Ok(20), |runs| runs.parse())?;
    let model = Model::read(&file)?;
    let job = model.job().ok_or("not one operator on the NPU alone")?;
    let inputs: Vec<Vec<u8>> = job.inputs.iter().map(|one| vec![3; one.bytes()]).collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let stream = Stream::read(job.commands)?;
    let mut arenas = job.arenas();
    let memory = job.memory(&mut arenas);
    let reading = fastest(runs, || black_box(Stream::read(job.commands)).is_ok());
    let decoding = fastest(runs, || {
        stream.steps.iter().all(|step| {
            let Action::Kernel(kernel) = &step.action else {
                return true;
            };
            let Some(span) = kernel.constants().map(|constants| constants.weights) else {
                return true;
            };
            let bytes = memory.read("weights", 0, span.start, span.bytes);
            span.region != 0 || bytes.is_ok_and(|bytes| black_box(decode(bytes)).is_ok())
        })
    });
    let first = fastest(runs, || black_box(job.run(&inputs)).is_ok());
    let mut runner = job.runner()?;
    let again = fastest(runs, || black_box(runner.run(&inputs)).is_ok());
    println!(
        "reading {reading:?}, decoding weights {decoding:?}, first run {first:?}, next ones {again:?}"
    );
    Ok(())
}

fn fastest(runs: usize, mut one: impl FnMut() -> bool) -> Duration {
    let times = (0..runs.max(1)).map(|_| {
        let start = Instant::now();
        assert!(one(), "a run has failed");
        start.elapsed()
    });
    times.min().unwrap_or_default()
}
