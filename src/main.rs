//! The program `nas`: the command line over the library of the same name.

mod cli;

use std::process::ExitCode;

/// Many short-lived tensors of similar sizes: mimalloc trains half again as fast as the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
