#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod accelerator;
mod block;
mod check;
pub mod command;
pub mod cycles;
mod device;
mod error;
mod execute;
mod feature_map;
mod fields;
pub mod gdb;
mod memory;
pub mod operation;
pub mod payload;
pub mod scale;
mod shape;
mod stream;
pub mod vela;
pub mod weights;

pub use accelerator::Accelerator;
pub use check::{Finding, Hazard, check};
pub use device::{Bus, Device, Fault, Slices};
pub use error::{Access, Error, Problem};
pub use execute::{ALLOWED_WORK, Npu, Overflow, Run};
pub use feature_map::FeatureMap;
pub use memory::{Memory, REGIONS};
pub use shape::Shape;
pub use stream::Stream;
