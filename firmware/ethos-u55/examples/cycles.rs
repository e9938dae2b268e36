//! Prints the cycles of networks that Vela compiled, for the memories of its `Ethos_U55_High_End_Embedded`.
//!
//! `cargo run --example cycles FILE_vela.tflite...`; with `--kernels`, those of each kernel, too.

use std::{env, error::Error, fs};

use ethos_u55::{
    Stream,
    cycles::{Port, System, Timeline},
    operation::Action,
    vela::Model,
};

fn main() -> Result<(), Box<dyn Error>> {
    let sram = Port {
        bandwidth: 8.0,
        burst: 32,
        read_latency: 32.0,
        write_latency: 32.0,
    };
    let flash = Port {
        bandwidth: 1.0,
        burst: 128,
        read_latency: 64.0,
        write_latency: 0.0,
    };
    let arguments: Vec<String> = env::args().skip(1).collect();
    let shows_kernels = arguments.iter().any(|one| one == "--kernels");
    let files = arguments.iter().filter(|one| !one.starts_with("--"));
    for path in files {
        let file = fs::read(path)?;
        let model = Model::read(&file)?;
        let job = model.job().ok_or("not one operator on the NPU alone")?;
        let constants = if path.contains("Sram_Only") {
            sram
        } else {
            flash
        };
        let stream = Stream::read(job.commands)?;
        let system = System::new(sram, constants);
        let timeline = Timeline::of(&stream, &job.accelerator()?, &system);
        println!("{path} {}", timeline.total);
        for entry in timeline.entries.iter().filter(|_| shows_kernels) {
            let step = stream.steps.iter().find(|step| {
                let is_kernel = matches!(step.action, Action::Kernel(_));
                is_kernel && step.number == entry.operation
            });
            print!("  {:>9} {:>9}  ", entry.start, entry.end);
            match (&entry.kernel, step.map(|step| &step.action)) {
                (Some(cycles), Some(Action::Kernel(kernel))) => println!("{kernel}: {cycles:?}"),
                _ => println!("copy"),
            }
        }
    }
    Ok(())
}
