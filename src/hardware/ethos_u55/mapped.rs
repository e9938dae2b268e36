//! Cache of the part of a pass's cost that does not depend on earlier passes.

use std::{
    cell::RefCell,
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use super::{
    block::{self, Block},
    cycles::{self, Place},
    encoding::{self, Coding},
    layer::Pass,
    system::{System, SystemKey},
};

/// A pass with its block.
#[derive(Debug, Clone, Copy)]
pub struct Mapped {
    /// The block of outputs that it is computed in.
    pub block: Block,
    /// Cycles of the multipliers and the output stage.
    pub compute: i64,
    /// Bytes over the SRAM port for feature maps.
    pub map_bytes: usize,
    /// Input elements fetched.
    pub fetched_input: usize,
    /// How often all weights are fetched.
    pub weight_fetches: usize,
    /// Weights per output channel, with the zeros that fill blocks.
    pub stored_per_channel: usize,
    /// The coding of weights before training.
    pub untrained: Coding,
}

/// Number of passes in the cache; a search sees the same few thousand again and again.
const REMEMBERED: usize = 1 << 16;

type Key = (SystemKey, Pass);

thread_local! {
    /// Finding a block takes longer than the rest of an estimate, and the result depends on the key alone.
    static FOUND: RefCell<HashMap<Key, Option<Mapped>, BuildHasherDefault<WordHasher>>> =
        RefCell::default();
}

/// Maps a pass; `None` where not even the smallest block fits.
pub fn map(pass: &Pass, system: &System) -> Option<Mapped> {
    let key = (system.key, *pass);
    if let Some(mapped) = FOUND.with_borrow(|found| found.get(&key).copied()) {
        return mapped;
    }
    let mapped = block::find(&pass.layer, system.accelerator).map(|block| Mapped {
        block,
        compute: cycles::compute(pass, &block, Place::ALONE, system),
        map_bytes: cycles::feature_map_bytes(pass, &block, system),
        fetched_input: cycles::fetched_input(&pass.layer, &block, pass.input_format),
        weight_fetches: cycles::weight_fetches(&pass.layer, &block),
        stored_per_channel: encoding::stored_per_channel(&pass.layer),
        untrained: encoding::untrained(&pass.layer),
    });
    FOUND.with_borrow_mut(|found| {
        if found.len() >= REMEMBERED {
            found.clear();
        }
        found.insert(key, mapped);
    });
    mapped
}

/// Hashes whole words: keys are a dozen small numbers that nobody chooses to collide.
#[derive(Default)]
struct WordHasher(u64);

impl Hasher for WordHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u64(&mut self, word: u64) {
        // The multiplier is 2^64 over the golden ratio (Fibonacci hashing).
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }
}
