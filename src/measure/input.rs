use crate::units::Rng;

/// Equally long int8 inputs of a model, and the bytes in which `firmware/app` reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    length: usize,
    values: Vec<i8>,
}

const MAGIC: &[u8; 8] = b"NASINPUT";
const VERSION: u32 = 1;

/// Inputs that reach every corner of the range; the same ones for the same length.
pub fn random_inputs(count: usize, length: usize) -> Inputs {
    let mut rng = Rng::new(0, 0);
    let values = (0..count * length).map(|_| rng.below(256) as u8 as i8);
    Inputs {
        length,
        values: values.collect(),
    }
}

impl Inputs {
    /// Inputs of `length` values each, one after the other.
    pub fn new(length: usize, values: Vec<i8>) -> Inputs {
        Inputs { length, values }
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[i8]> {
        self.values.chunks_exact(self.length.max(1))
    }

    /// The values alone, one input after the other.
    pub fn bytes(&self) -> Vec<u8> {
        self.values.iter().map(|value| *value as u8).collect()
    }

    /// The layout is described in `firmware/app/src/input.rs`.
    pub fn to_bytes(&self, expected_hash: Option<u64>) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let words = [
            VERSION,
            self.iter().len() as u32,
            self.length as u32,
            u32::from(expected_hash.is_some()),
        ];
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(expected_hash.unwrap_or(0).to_le_bytes());
        bytes.extend(self.bytes());
        bytes
    }
}
