//! Budgets on the command line.

use crate::{
    target::Budget,
    units::{Bytes, Count, Microjoules, Micros},
};

// A group of its own name, because every command's arguments are called `Args`.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(id = "budget")]
pub struct Args {
    /// Most RAM, such as 256k
    #[arg(long, value_name = "BYTES")]
    pub budget_ram: Option<Bytes>,
    /// Most flash, such as 1M
    #[arg(long, value_name = "BYTES")]
    pub budget_flash: Option<Bytes>,
    /// Longest time of one inference with its front end, such as 20ms
    #[arg(long, value_name = "TIME")]
    pub budget_latency: Option<Micros>,
    /// Most energy of one inference with its front end, such as 300uJ
    #[arg(long, value_name = "ENERGY")]
    pub budget_energy: Option<Microjoules>,
    /// Most multiply-accumulates of one inference, such as 3M
    #[arg(long, value_name = "COUNT")]
    pub budget_macs: Option<Count>,
}

impl Args {
    /// The budget, with the limits of another one where none is given.
    pub fn or(&self, other: &Budget) -> Budget {
        Budget {
            ram_bytes: self
                .budget_ram
                .map(|bytes| bytes.0 as f64)
                .or(other.ram_bytes),
            flash_bytes: self
                .budget_flash
                .map(|bytes| bytes.0 as f64)
                .or(other.flash_bytes),
            latency_us: self.budget_latency.map(|time| time.0).or(other.latency_us),
            energy_uj: self
                .budget_energy
                .map(|energy| energy.0)
                .or(other.energy_uj),
            macs: self.budget_macs.map(|count| count.0).or(other.macs),
        }
    }
}
