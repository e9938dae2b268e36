//! Float weights as bytes: what an int8 network can be made from again.
//!
//! | bytes | content |
//! |---|---|
//! | 0..8 | `NASFLOAT` |
//! | 8..12 | format version, 1 |
//! | 12..16 | number of operators |
//! | | per operator: number of weights and of biases (u32 each; 0 and 0 for an operator without), then both as f32 |
//! | last 32 | BLAKE3 of everything before |
//!
//! All numbers are little-endian. Layouts are those of [`OpWeights`].

use super::{OpWeights, Weights};

const MAGIC: &[u8; 8] = b"NASFLOAT";
const VERSION: u32 = 1;
const HASH_BYTES: usize = 32;

/// Bytes that are no weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeightsError {
    /// They do not begin as such a file does.
    #[error("it does not start with `NASFLOAT`")]
    Magic,
    /// They were written by another program version.
    #[error("it has format version {0}, and this program reads version {VERSION}")]
    Version(u32),
    /// They were cut off or changed.
    #[error("it is damaged: its checksum or its length does not fit")]
    Damaged,
}

impl Weights {
    /// The weights as one file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let word = |bytes: &mut Vec<u8>, value: u32| bytes.extend(value.to_le_bytes());
        word(&mut bytes, VERSION);
        word(&mut bytes, self.0.len() as u32);
        for op in &self.0 {
            let (weight, bias): (&[f32], &[f32]) = match op {
                Some(held) => (&held.weight, &held.bias),
                None => (&[], &[]),
            };
            word(&mut bytes, weight.len() as u32);
            word(&mut bytes, bias.len() as u32);
            bytes.extend(
                weight
                    .iter()
                    .chain(bias)
                    .flat_map(|value| value.to_le_bytes()),
            );
        }
        let hash = blake3::hash(&bytes);
        bytes.extend(hash.as_bytes());
        bytes
    }

    /// Reads what [`Weights::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Weights, WeightsError> {
        if !bytes.starts_with(MAGIC) {
            return Err(WeightsError::Magic);
        }
        let (content, hash) = bytes
            .split_at_checked(bytes.len().saturating_sub(HASH_BYTES))
            .ok_or(WeightsError::Damaged)?;
        let mut rest = content.get(MAGIC.len()..).ok_or(WeightsError::Damaged)?;
        let version = take_word(&mut rest)?;
        if version != VERSION {
            return Err(WeightsError::Version(version));
        }
        if blake3::hash(content).as_bytes() != hash {
            return Err(WeightsError::Damaged);
        }
        let count = take_word(&mut rest)?;
        let mut ops = Vec::new();
        for _ in 0..count {
            let [weights, biases] = [take_word(&mut rest)?, take_word(&mut rest)?];
            let weight = take_floats(&mut rest, weights)?;
            let bias = take_floats(&mut rest, biases)?;
            ops.push((weights > 0 || biases > 0).then_some(OpWeights { weight, bias }));
        }
        match rest.is_empty() {
            true => Ok(Weights(ops)),
            false => Err(WeightsError::Damaged),
        }
    }
}

fn take_word(rest: &mut &[u8]) -> Result<u32, WeightsError> {
    let (word, behind) = rest.split_first_chunk().ok_or(WeightsError::Damaged)?;
    *rest = behind;
    Ok(u32::from_le_bytes(*word))
}

fn take_floats(rest: &mut &[u8], count: u32) -> Result<Vec<f32>, WeightsError> {
    let bytes = (count as usize)
        .checked_mul(4)
        .ok_or(WeightsError::Damaged)?;
    let (values, behind) = rest.split_at_checked(bytes).ok_or(WeightsError::Damaged)?;
    *rest = behind;
    let values = values.as_chunks::<4>().0.iter();
    Ok(values.map(|value| f32::from_le_bytes(*value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights() -> Weights {
        let op = |weight: &[f32], bias: &[f32]| {
            let (weight, bias) = (weight.to_vec(), bias.to_vec());
            Some(OpWeights { weight, bias })
        };
        Weights(vec![
            op(&[0.5, -1e-30, f32::MAX], &[2.0]),
            None,
            op(&[1.0], &[]),
        ])
    }

    #[test]
    fn weights_come_back_bit_for_bit() {
        assert_eq!(Weights::from_bytes(&weights().to_bytes()), Ok(weights()));
        let empty = Weights(Vec::new());
        assert_eq!(Weights::from_bytes(&empty.to_bytes()), Ok(empty));
    }

    #[test]
    fn any_change_of_a_file_is_an_error() {
        let good = weights().to_bytes();
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 1;
            assert!(Weights::from_bytes(&bad).is_err(), "byte {place}");
            assert!(
                Weights::from_bytes(&good[..place]).is_err(),
                "{place} bytes"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_weights_or_an_error(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..256),
        ) {
            let _ = Weights::from_bytes(&bytes);
        }
    }
}
