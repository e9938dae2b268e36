//! `nas` searches neural networks for sound on microcontrollers.
pub mod audio;
pub mod cli;
pub mod data;
pub mod evaluate;
pub mod features;
pub mod graph;
pub mod quant;
pub mod report;
pub mod run;
pub mod score;
pub mod search;
pub mod space;
pub mod store;
pub mod target;
pub mod train;
pub mod units;
