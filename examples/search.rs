//! A search from Rust: small networks for a built-in machine on a Cortex-M7, and the front that it found.
//!
//! ```sh
//! cargo run --release --example search                # trains eight networks, about half a minute
//! cargo run --release --example search -- fan 24      # another machine, more networks
//! ```

use std::{error::Error, sync::atomic::AtomicBool};

use nas::{
    data, hardware,
    hardware::Budget,
    report::{self, text::front::front_tables},
    run::Experiment,
    store::Store,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let machine = args.next().unwrap_or_else(|| "bearing".to_string());
    let trials = args.next().map_or(Ok(8), |count| count.parse())?;

    // The store lives in memory; `Store::open(path)` keeps runs and models in a file and the folder around it.
    let mut store = Store::open_in_memory()?;
    let stop = AtomicBool::new(false);
    let run = Experiment::new(data::named(&format!("synthetic:{machine}"))?)
        .targets([hardware::find("m7")?])
        .budget(Budget {
            ram_bytes: Some(64.0 * 1024.0),
            ..Budget::default()
        })
        .trials(trials)
        .run_observed(&mut store, &stop, &mut |progress| {
            if let Some(news) = &progress.news {
                eprintln!("{news}");
            }
        })?;

    let info = report::load(&store, &run)?;
    print!("{}", front_tables(&info, 100));
    Ok(())
}
