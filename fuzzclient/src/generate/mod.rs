//! The bytes of each connection: a function of the seed, the protocol, the strategy, the
//! corpus and the connection's number, and of nothing else.
//!
//! In reading order: [`recipe`](Recipe) says what is made, `stream` hands it out in pieces,
//! `random` and `lines` need no messages; `messages` are made by `mutate` out of `valid`
//! ones and of a [`corpus`](Corpus), and by `grammar`, all from `hostile` parts;
//! [`script`](Script) is how a connection is conducted beside its bytes; `datagrams` is the
//! same for UDP, with `garbage` for statsd; `source` is bytes from outside.

mod corpus;
mod datagrams;
mod garbage;
mod grammar;
mod hostile;
mod lines;
mod messages;
mod mutate;
mod random;
mod recipe;
mod script;
mod source;
mod stream;
mod valid;

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

pub use corpus::Corpus;
pub use datagrams::{Datagrams, Next};
pub(crate) use datagrams::{Pieces, Streamed};
pub(crate) use garbage::lines as lines_in;
pub use lines::Lines;
pub use random::Random;
pub use recipe::{Protocol, Recipe, Strategy};
pub use script::{Ending, Script};
pub use source::{Feed, Source};
pub use stream::{ByteStream, Generator, More, Whole};

/// Bytes made at once: they fit the cache, so that what is sent is still there.
const BLOCK_BYTES: usize = 64 * 1024;

/// The random numbers of one purpose on one connection. ChaCha8 makes unrelated starts
/// of seeds that are alike; xoshiro256++ (Blackman and Vigna, 2019) then makes more
/// bytes per second than a socket takes.
fn rng(seed: u64, connection: u64, purpose: u8) -> Xoshiro256PlusPlus {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8] = purpose;
    let mut chacha = ChaCha8Rng::from_seed(key);
    chacha.set_stream(connection);
    let mut start = [0; 32];
    chacha.fill_bytes(&mut start);
    Xoshiro256PlusPlus::from_seed(start)
}
