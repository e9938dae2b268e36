//! Weights that were decoded before.

use std::collections::BTreeMap;

use super::products::{self, LANES};
use crate::{
    error::Problem,
    operation::{Kernel, Kind},
    weights::{Order, WeightError, decode},
};

/// Decoded weights of kernels, by the byte of their command in the stream.
///
/// They count as long as their bytes and their order stay what they were.
#[derive(Debug, Clone, Default)]
pub struct Cache(BTreeMap<usize, Entry>);

#[derive(Debug, Clone)]
struct Entry {
    encoded: Vec<u8>,
    order: Order,
    is_narrow: bool,
    weights: Weights,
}

/// Weights as a kernel wants them.
#[derive(Debug, Clone)]
pub enum Weights {
    /// Of a convolution of 8-bit inputs: groups of outputs, tap by tap.
    Groups(Vec<Vec<[f32; LANES]>>),
    /// Of one of 16-bit inputs: `[output][tap]`.
    Rows(Vec<i16>),
    /// Of a depthwise one: `[tap][channel]`.
    Channels(Vec<i32>),
}

impl Cache {
    /// The weights of a convolution.
    pub fn weights(
        &mut self,
        offset: usize,
        order: Option<Order>,
        encoded: &[u8],
        kernel: &Kernel,
    ) -> Result<&Weights, Problem> {
        let order = order.ok_or(Problem::Contradiction("weights of no convolution"))?;
        let is_narrow = kernel.ifm.bytes == 1;
        let is_known = self.0.get(&offset).is_some_and(|entry| {
            entry.encoded == encoded && entry.order == order && entry.is_narrow == is_narrow
        });
        if !is_known {
            let weights = Weights::decode(encoded, &order, kernel).map_err(Problem::Weights)?;
            let entry = Entry {
                encoded: encoded.to_vec(),
                order,
                is_narrow,
                weights,
            };
            self.0.insert(offset, entry);
        }
        let entry = self.0.get(&offset);
        let weights = entry.map(|entry| &entry.weights);
        weights.ok_or(Problem::Contradiction("weights of no convolution"))
    }
}

impl Weights {
    fn decode(encoded: &[u8], order: &Order, kernel: &Kernel) -> Result<Weights, WeightError> {
        let weights = order.restore(&decode(encoded)?)?;
        let taps = order.taps().elements();
        Ok(match kernel.kind {
            Kind::Depthwise(..) => {
                let mut channels = vec![0; weights.len()];
                for (channel, row) in weights.chunks_exact(taps).enumerate() {
                    for (tap, &weight) in row.iter().enumerate() {
                        channels[tap * order.outputs + channel] = i32::from(weight);
                    }
                }
                Weights::Channels(channels)
            }
            _ if kernel.ifm.bytes == 1 => Weights::Groups(products::group(&weights, taps)),
            _ => Weights::Rows(weights),
        })
    }
}
