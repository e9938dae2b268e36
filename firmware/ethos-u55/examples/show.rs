//! Prints the commands of a network that Vela compiled, and between them what they start.
//!
//! `cargo run --example show FILE_vela.tflite`

use std::{env, error::Error, fs};

use ethos_u55::{Stream, operation::Action, vela::Model};

fn main() -> Result<(), Box<dyn Error>> {
    let file = fs::read(env::args().nth(1).ok_or("a file, please")?)?;
    let model = Model::read(&file)?;
    let job = model.job().ok_or("not one operator on the NPU alone")?;
    println!("{} MACs per cycle", job.accelerator()?.macs);
    let stream = Stream::read(job.commands)?;
    let mut steps = stream.steps.iter().peekable();
    for command in stream.commands {
        println!("{:6} {command}", command.offset);
        if let Some(step) = steps.next_if(|step| step.offset == command.offset) {
            match &step.action {
                Action::Kernel(kernel) => println!("{:>6} {kernel}", step.number),
                Action::Transfer(transfer) => println!("{:>6} COPY {transfer}", step.number),
                _ => {}
            }
        }
    }
    Ok(())
}
