//! `nas` searches neural networks for sound on microcontrollers.
//!
//! A [`space::Candidate`] is an audio front end, a network and a task. A [`space::SearchSpace`] says which
//! candidates there are, a [`hardware::Target`] says what each would cost, an [`evaluate::Evaluator`] says how well it
//! scores, and a [`run::Experiment`] runs the search and records every trial in a [`store::Store`].
//!
//! # From data to a front
//! ```
//! use nas::{data, hardware, report, run::Experiment, score::Figure, store::Store};
//!
//! // Normal sounds of a built-in machine; `data::named` takes paths of real data sets, too.
//! let sounds = data::named("synthetic:fan")?;
//! let budget = hardware::Budget {
//!     ram_bytes: Some(256.0 * 1024.0),
//!     ..hardware::Budget::default()
//! };
//! // A store in memory; `Store::open` keeps runs and models in a file and the folder around it.
//! let mut store = Store::open_in_memory()?;
//! let run = Experiment::new(sounds)
//!     .targets([hardware::find("u55")?])
//!     .budget(budget)
//!     .trials(8)
//!     .by_formula() // a formula scores; without this line networks are trained
//!     .run(&mut store)?;
//!
//! let info = report::load(&store, &run)?;
//! for member in info.front(0) {
//!     let latency = member.costs[0].latency_us.expect("every target has a latency");
//!     println!("{}: AUC {:?}, {:.0} µs", member.space, member.figures.get(Figure::AUC), latency.value);
//! }
//! assert!(!info.front(0).is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layout
//! Each module uses only those below it; `tests/layers.rs` checks it. CONTRIBUTING.md has the steps for what is added most
//! often: a figure of merit, a column, a picture, a target, a space, a sampler, an operator.
//!
//! | module | what it does |
//! |---|---|
//! | `cli` | arguments, printing, exit codes (`cli/exit.rs`): the program `nas`, which is no part of the library |
//! | [`bundle`] | the exported folder: model, firmware, C interface, golden vectors |
//! | [`report`] | facts of a run; `report::text` for terminals (columns: `text/front.rs`), `report::json` for programs, `report::draw` for pictures |
//! | [`run`] | the loop: propose, cost, train what fits, record; `run/plan.rs` decides what is trained next, `run/coordinator.rs` takes up what is recorded when a run resumes |
//! | [`store`] | all SQL |
//! | [`search`] | samplers propose genomes (a value for each axis of a space) to `run/plan.rs`; Pareto front, hypervolume; pure |
//! | [`evaluate`] | features, training, quantisation and scoring of one candidate |
//! | [`measure`] | runs a model as firmware, in QEMU or on a board: counts, memory, outputs compared |
//! | [`train`] | graph to folded float weights; the only module that uses the library burn |
//! | [`fit`] | detectors that need no training: they are computed in closed form |
//! | [`quant`] | float weights to int8, `.tflite` and the blob that `nas-kernels` runs |
//! | [`score`] | AUC, partial AUC and the other figures of merit; `score/figures.rs` lists them |
//! | [`features`] | features of a data set, extracted once, cached, standardised |
//! | [`hardware`] | targets (files of `hardware_profiles/`, which `hardware/mod.rs` lists), estimated costs with error bands, budgets |
//! | [`space`] | families of networks, axes, genomes; spaces are files of `search_spaces/`, which `space/file.rs` lists |
//! | [`graph`] | the one intermediate representation, and its memory plan |
//! | [`data`] | clip tables of every layout, the synthetic machines |
//! | [`audio`] | reads sound files, and refuses some (`audio/read.rs`, `audio/wav.rs`); resampling, log-mel and MFCC |
//! | [`disturb`] | disturbances of sound, of graded strength |
//! | `disk` | files that appear whole or not at all |
//! | [`identity`] | the texts that keys and hashes are made of |
//! | [`stats`] | rank correlation, the normal distribution |
//! | [`units`] | quantities as people write them, the random generator |
//!
//! Below all of them lie two crates without an operating system: `firmware/kernels` (`nas-kernels`) is what a device and
//! this library execute: front end, int8 operators (a file each in `ops/`, faster ones in `ops/dsp` and `ops/mve`) and decision; `firmware/ethos-u55` is a model of the NPU.

#![warn(missing_docs)]

pub mod audio;
pub mod bundle;
pub mod data;
mod disk;
pub mod disturb;
pub mod evaluate;
pub mod features;
pub mod fit;
pub mod graph;
pub mod hardware;
pub mod identity;
pub mod measure;
pub mod quant;
pub mod report;
pub mod run;
pub mod score;
pub mod search;
pub mod space;
pub mod stats;
pub mod store;
pub mod train;
pub mod units;
