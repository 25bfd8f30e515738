//! Uniformly random bytes: `cat /dev/urandom`, with a seed.

use std::io;

use rand::Rng;
use rand::rngs::Xoshiro256PlusPlus;

use super::BLOCK_BYTES;
use super::stream::{Generator, More};

/// Uniformly random bytes, without end.
#[derive(Debug)]
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// The stream that `rng` gives.
    #[must_use]
    pub fn new(rng: Xoshiro256PlusPlus) -> Self {
        Self(rng)
    }
}

impl Generator for Random {
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<More> {
        let start = out.len();
        out.resize(start + BLOCK_BYTES, 0);
        self.0.fill_bytes(&mut out[start..]);
        Ok(More::Bytes)
    }
}
