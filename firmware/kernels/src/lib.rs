//! int8 networks on the host and on microcontrollers, by the same code.
//!
//! A model is data: a [`Model`] reads a blob once and checks everything in it. A [`Session`] puts it into an arena
//! and runs it; after that nothing can fail. A [`Stream`] does the same from samples: [`front_end`] makes features of
//! them, [`score`] judges the network's outputs, [`decision`] makes one score of many windows' scores, and [`alarm`] says
//! when that is an alarm. [`ops`] holds the operators as free functions on slices; their arithmetic is that of TensorFlow Lite for Microcontrollers, bit for
//! bit. [`blob`] is the format. [`npu`] drives an Ethos-U55, for networks that Vela compiled.
//!
//! The crate has no dependencies and needs no allocator. It may not know std (apart from the feature `std`), alloc or
//! types of the host.
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(unsafe_code)]

pub mod alarm;
pub mod blob;
mod bytes;
pub mod decision;
pub mod fixed_point;
pub mod front_end;
mod gate;
mod model;
pub mod npu;
pub mod ops;
mod requantize;
pub mod score;
mod stream;

pub use bytes::Words;
pub use gate::{Gate, Pass};
pub use model::{Model, Session};
pub use requantize::{multiply_by_quantized_multiplier, rounding_shift_right};
pub use stream::{Hop, Stream, memory_bytes};
