//! The bytes of each connection: a function of the seed, the strategy and the
//! connection's number, and of nothing else.
//!
//! A [`Generator`] appends the next part of its stream, in parts that suit it;
//! [`ByteStream`] hands them out in pieces that suit the socket. So no generator has to
//! care how its bytes are cut, and the cuts cannot change the bytes.

mod lines;
mod random;
mod source;

use std::io;

use clap::ValueEnum;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use serde::Serialize;

pub use lines::Lines;
pub use random::Random;
pub use source::{Feed, Source};

/// Bytes made at once: they fit the cache, so that what is sent is still there.
const BLOCK_BYTES: usize = 64 * 1024;

/// What is sent. The numbers are part of what the bytes depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// Uniformly random bytes.
    #[default]
    Random = 0,
    /// Random bytes with newlines at line-like distances.
    Lines = 1,
}

impl Strategy {
    /// The generator of one connection's bytes.
    #[must_use]
    pub fn generator(self, seed: u64, connection: u64) -> Box<dyn Generator> {
        let rng = rng(seed, connection, self as u8);
        match self {
            Self::Random => Box::new(Random::new(rng)),
            Self::Lines => Box::new(Lines::new(rng)),
        }
    }
}

/// The random numbers of one purpose on one connection. ChaCha8 makes unrelated starts
/// of seeds that are alike; xoshiro256++ (Blackman and Vigna, 2019) then makes more
/// bytes per second than a socket takes.
pub(crate) fn rng(seed: u64, connection: u64, purpose: u8) -> Xoshiro256PlusPlus {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8] = purpose;
    let mut chacha = ChaCha8Rng::from_seed(key);
    chacha.set_stream(connection);
    let mut start = [0; 32];
    chacha.fill_bytes(&mut start);
    Xoshiro256PlusPlus::from_seed(start)
}

/// What a generator has for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// It has appended something.
    Bytes,
    /// Nothing at the moment: whoever feeds it will say when.
    NotYet,
    /// Nothing any more.
    End,
}

/// Makes a connection's bytes.
pub trait Generator: Send {
    /// Appends the next part of the stream to `out`.
    ///
    /// # Errors
    /// That the bytes come from somewhere that cannot be read.
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<More>;
}

/// A generator's bytes, in pieces of any size.
pub struct ByteStream {
    generator: Box<dyn Generator>,
    block: Vec<u8>,
    taken: usize,
}

impl ByteStream {
    /// The stream from its start.
    #[must_use]
    pub fn new(generator: Box<dyn Generator>) -> Self {
        Self {
            generator,
            block: Vec::with_capacity(BLOCK_BYTES),
            taken: 0,
        }
    }

    /// The next bytes, at most `limit` of them, without taking them. The slice is empty
    /// unless this says [`More::Bytes`].
    ///
    /// # Errors
    /// The generator's.
    pub fn peek(&mut self, limit: usize) -> io::Result<(More, &[u8])> {
        if self.taken == self.block.len() {
            self.block.clear();
            self.taken = 0;
            let more = self.generator.more(&mut self.block)?;
            if more != More::Bytes {
                return Ok((more, &[]));
            }
        }
        let rest = &self.block[self.taken..];
        Ok((More::Bytes, &rest[..rest.len().min(limit)]))
    }

    /// Takes the first `n` bytes of what [`peek`](Self::peek) showed.
    pub fn take(&mut self, n: usize) {
        self.taken = (self.taken + n).min(self.block.len());
    }
}

impl std::fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByteStream")
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn bytes(strategy: Strategy, seed: u64, connection: u64, pieces: &[usize]) -> Vec<u8> {
        let mut stream = ByteStream::new(strategy.generator(seed, connection));
        let mut all = Vec::new();
        for &piece in pieces {
            let mut left = piece;
            while left > 0 {
                let (more, shown) = stream.peek(left).unwrap();
                assert_eq!(more, More::Bytes);
                all.extend_from_slice(shown);
                let n = shown.len();
                left -= n;
                stream.take(n);
            }
        }
        all
    }

    #[test]
    fn the_bytes_of_a_seed_stay_what_they_are() {
        // Recorded sessions are replayed by seed: changing a byte breaks all of them.
        let first = |strategy, connection| bytes(strategy, 1, connection, &[12]);
        let cases = [
            (
                Strategy::Random,
                0,
                r"\xf6w\x8f\xa5\x91\xcd\xed\xc0\x1f\xfb\x84g",
            ),
            (
                Strategy::Random,
                1,
                r"\x88\x16\'\x05\x0bG\x1c\x03\xd3Fr\x91",
            ),
            (Strategy::Lines, 0, r"JTd\xde0\x82\x82}\xc76m\xc5"),
        ];
        for (strategy, connection, expected) in cases {
            let shown = first(strategy, connection).escape_ascii().to_string();
            assert_eq!(shown, expected, "{strategy:?} {connection}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn bytes_do_not_depend_on_the_pieces(
            seed in any::<u64>(),
            connection in any::<u64>(),
            pieces in proptest::collection::vec(1_usize..50_000, 1..8),
            lines in any::<bool>(),
        ) {
            let strategy = if lines { Strategy::Lines } else { Strategy::Random };
            let whole = bytes(strategy, seed, connection, &[pieces.iter().sum()]);
            prop_assert_eq!(&bytes(strategy, seed, connection, &pieces), &whole);
            let other = bytes(strategy, seed, connection ^ 1, &pieces);
            prop_assert!(whole.len() < 16 || other != whole);
        }
    }
}
