//! `nas npu`: what a network that Vela compiled does on an Ethos-U55.

use std::{fs, path::PathBuf};

use super::{Failure, Global, out};
use nas::{
    hardware::{self, Target},
    report::{
        json::{self, npu::NpuDocument},
        npu::{self, NpuError},
        text,
    },
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file that Vela wrote
    #[arg(value_name = "FILE_vela.tflite")]
    file: PathBuf,
    /// The target whose memories count, by name or TOML file [default: the first with the NPU of the file]
    #[arg(long, value_name = "NAME|FILE")]
    target: Option<String>,
    /// Every command in words
    #[arg(long)]
    commands: bool,
    /// Run it, and write the output of every operation into this folder, as .npy files
    #[arg(long, value_name = "DIR")]
    dump: Option<PathBuf>,
    /// Bytes of the inputs for --dump, one behind the other [default: zeros]
    #[arg(long, value_name = "FILE", requires = "dump")]
    input: Option<PathBuf>,
}

impl Args {
    pub fn run(&self, global: &Global) -> Result<(), Failure> {
        let trace = npu::trace(&self.file, &self.target()?)?;
        if let Some(folder) = &self.dump {
            let input = match &self.input {
                None => Vec::new(),
                Some(file) => fs::read(file).map_err(|source| NpuError::Read {
                    file: file.clone(),
                    source,
                })?,
            };
            let written = npu::dump(&self.file, &input, folder)?;
            let count = written.len();
            global.note(&format!("wrote {count} files into {}", folder.display()));
        }
        if global.json {
            return out::print(json::render(&NpuDocument::new(&trace, self.commands)));
        }
        if self.commands {
            out::print(text::npu::commands(&trace))?;
        }
        out::print(text::npu::trace(&trace))
    }

    fn target(&self) -> Result<Target, Failure> {
        if let Some(name) = &self.target {
            return Ok(hardware::find(name)?);
        }
        let macs = npu::compiled_for(&self.file)?;
        let has_it = |target: &&Target| {
            let npu = target.npu.as_ref();
            npu.is_some_and(|npu| npu.macs_per_cycle.value as usize == macs)
        };
        let target = hardware::builtin().iter().find(has_it).cloned();
        target.ok_or_else(|| {
            Failure::usage(format!(
                "no built-in target has an Ethos-U55 with {macs} MACs per cycle; name a file with --target"
            ))
        })
    }
}

impl From<NpuError> for Failure {
    fn from(error: NpuError) -> Failure {
        match error {
            NpuError::NoNpu(_) | NpuError::OtherNpu { .. } => Failure::usage(error),
            error => Failure::new(super::Exit::Failure, error),
        }
    }
}
