//! Inputs that a model is measured on, and the outputs that the host computes from them.

use nas_kernels::{
    Hop, Model, Stream,
    blob::{CHECKSUM_START, checksum_from},
};

use crate::{
    quant::{BlobError, Interpreter},
    units::Rng,
};

/// Inputs of a model, which `firmware/app` reads as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inputs {
    /// Int8 inputs of the network.
    Tensors {
        /// Values in one input.
        length: usize,
        /// All inputs, one after the other.
        values: Vec<i8>,
    },
    /// Sound for the whole detector.
    Samples {
        /// The class that the sound should have.
        class: u32,
        /// 16-bit samples at the model's rate.
        samples: Vec<i16>,
    },
}

const MAGIC: &[u8; 8] = b"NASINPUT";
const VERSION: u32 = 1;
const TENSORS: u32 = 1;
const SAMPLES: u32 = 2;

impl Inputs {
    /// Random tensors over the whole range of int8. The same count and length give the same tensors.
    pub fn random_tensors(count: usize, length: usize) -> Inputs {
        let mut rng = Rng::new(0, 0);
        let values = (0..count * length).map(|_| rng.below(256) as u8 as i8);
        Inputs::Tensors {
            length,
            values: values.collect(),
        }
    }

    /// `count` samples of noise. The same count gives the same noise.
    pub fn noise(count: usize) -> Inputs {
        let mut rng = Rng::new(0, 1);
        let samples = (0..count).map(|_| (rng.normal() * 3000.0) as i16);
        Inputs::Samples {
            class: 0,
            samples: samples.collect(),
        }
    }

    /// The bytes for the firmware; `firmware/app/src/input.rs` describes the layout.
    pub fn to_bytes(&self, expected_hash: u64) -> Vec<u8> {
        let words = match self {
            Inputs::Tensors { length, values } => {
                let count = values.len() / (*length).max(1);
                [VERSION, TENSORS, count as u32, *length as u32]
            }
            Inputs::Samples { class, samples } => [VERSION, SAMPLES, samples.len() as u32, *class],
        };
        let mut bytes = MAGIC.to_vec();
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(expected_hash.to_le_bytes());
        match self {
            Inputs::Tensors { values, .. } => bytes.extend(values.iter().map(|value| *value as u8)),
            Inputs::Samples { samples, .. } => {
                bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
            }
        }
        bytes
    }

    /// FNV-1a hash of the outputs that the host computes; the firmware should print the same.
    ///
    /// Fails where the model cannot be run.
    pub fn expected_hash(&self, blob: &[u8]) -> Result<u64, BlobError> {
        let mut hash = CHECKSUM_START;
        match self {
            Inputs::Tensors { length, values } => {
                let mut interpreter = Interpreter::new(blob)?;
                for input in values.chunks_exact((*length).max(1)) {
                    let output = interpreter.run(input);
                    hash = checksum_from(hash, output.iter().map(|value| *value as u8));
                }
            }
            Inputs::Samples { class, samples } => {
                for hop in hops(blob, *class, samples)? {
                    hash = checksum_from(hash, outputs(&hop));
                }
            }
        }
        Ok(hash)
    }
}

/// What a detector computes from sound, hop by hop, on the host.
///
/// Fails where the model cannot be run, or has no front end.
pub fn hops(blob: &[u8], class: u32, samples: &[i16]) -> Result<Vec<Hop>, BlobError> {
    let model = Model::parse(blob)?;
    let mut arena = vec![0; model.arena_bytes()];
    let mut memory = vec![0; model.stream_bytes() / 4];
    let mut stream = Stream::new(&model, class as usize, &mut arena, &mut memory)?;
    let mut heard = samples;
    Ok(std::iter::from_fn(|| stream.next(&mut heard)).collect())
}

/// The part of a hop that is compared: the bits of the score, and the decision.
fn outputs(hop: &Hop) -> impl Iterator<Item = u8> {
    let anomaly = hop.anomaly.map_or(2, u8::from);
    let score = hop.score.map(|score| score.to_bits().to_le_bytes());
    let outputs = score.map(|[a, b, c, d]| [a, b, c, d, anomaly]);
    outputs.into_iter().flatten()
}
